"""What travels between the actors. Imperatives ask (`poll.requests`), past tenses report (`poll.done`)."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator

from connectors import Call, Request
from connectors.errors import LONGEST_WAIT_S
from connectors.records import Count, Millis
from infra.clock import SYSTEM
from streams.accounts.account import RESERVED
from streams.messaging.outcomes import PollOutcome

MOST_REASON = 500
"""Characters of a reason: providers refuse with whole pages."""
MOST_CHILDREN = 100_000
"""Children of a report that gives only their count: each becomes an object in memory."""

# Anybody may write to a topic, and a number beyond its bounds would only fail where it is counted with or stored.
Number = Annotated[int, Field(ge=0, lt=2**32, description="a count or a number in an order; a UInt32 of the store")]
Partition = Annotated[int, Field(ge=-1, lt=2**31, description="number of a partition; Kafka says -1 for none")]
Offset = Annotated[int, Field(ge=-1, lt=2**63, description="offset of a record; Kafka says -1 for none")]
Status = Annotated[int, Field(ge=0, le=999, description="HTTP status code")]
Amount = Annotated[float, Field(ge=0, le=2**53, description="calls, credits, MiB or seconds: finite")]
Usd = Annotated[float, Field(ge=0, le=1e6, description="US dollars of a call: their millionths fit into 64 bits")]
Balance = Annotated[float, Field(ge=-1e6, le=1e6, description="US dollars of a call, or given back by it")]
Wait = Annotated[float, Field(ge=0, le=LONGEST_WAIT_S, description="seconds to wait")]


class Message(BaseModel):
    """A Kafka record's value, as JSON."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    def encode(self) -> bytes:
        """Return the record's value."""
        return orjson.dumps(self.model_dump(mode="python"))

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Read a record's value. Raises `pydantic.ValidationError`."""
        return cls.model_validate_json(value)


class Hop(Message):
    """One provider of a routing slip that did not serve the request, and why."""

    provider: str
    """The provider's name."""
    outcome: PollOutcome
    """Why it did not serve it."""
    reason: str = ""
    """The same in words."""
    free_at: Millis | None = None
    """When it may be asked again, ms UTC, where it only had no room; None where asking again is no use."""


class Page(Message):
    """A request that is already built: the following page, or a poll for something pending."""

    endpoint: str
    """Name of the connector's endpoint."""
    path: str
    """Path below the provider's base URL."""
    params: Mapping[str, str] = Field(default_factory=dict)
    """Query parameters by name, without the key."""
    method: Literal["GET", "POST"] = "GET"
    """The HTTP method."""
    body: Any = None
    """What is posted as JSON; None: nothing."""
    number: Number = 0
    """Pages before it, a count."""
    seen: tuple[str, ...] = ()
    """Marks of the latest pages, which `paging` compares."""
    triggered_by: str = ""
    """Id of the call that triggered the job which is polled; empty: there is no job."""

    @field_validator("body")
    @classmethod
    def _sendable(cls, body: Any) -> Any:
        """Refuse what cannot be posted, and so neither travel on nor be stored: integers beyond 64 bits, say."""
        try:
            orjson.dumps(body)
        except orjson.JSONEncodeError as error:
            raise ValueError(f"no JSON that can be sent: {error}") from None
        return body

    @classmethod
    def of(cls, request: Request) -> Page:
        """Make a page of a connector's request."""
        return cls(
            endpoint=request.endpoint,
            path=request.path,
            params=dict(request.params),
            method=request.method,
            body=request.body,
        )

    def request(self) -> Request:
        """Return the connector's request again."""
        return Request(endpoint=self.endpoint, path=self.path, params=self.params, method=self.method, body=self.body)


class PollRequest(Message):
    """Ask a provider."""

    request_id: str
    """Its id; that of a child is its parent's with a number behind a slash."""
    job_id: str
    """The id of the submission, which ties its requests together."""
    call: Call
    """What is asked."""
    slip: tuple[str, ...] = Field(min_length=1)
    """Names of the providers that may serve it, best first; the mailbox of the first one holds it."""
    tried: tuple[Hop, ...] = ()
    """The providers that did not serve it."""
    page: Page | None = None
    """The page that is asked; None: the first one, which the connector builds."""
    deadline: Millis | None = None
    """When it ends unserved, ms UTC; None: it waits as long as it takes."""
    urgent: bool = False
    """Whether a person or program waits for it: it goes before those of bulk."""
    force_fresh: bool = False
    """Whether the provider is called for a quote even where a young one is known."""
    not_before: Millis | None = None
    """Until when it waits in the mailbox, ms UTC; None: it does not."""

    @property
    def provider(self) -> str:
        """The provider whose mailbox this is."""
        return self.slip[0]

    def child(self, number: int, **changes: Any) -> PollRequest:
        """Return a request that this one causes; its id is the same whenever this one is handled again."""
        return self.model_copy(update={"request_id": f"{self.request_id}/{number}", "not_before": None, **changes})


class Cancellation(Message):
    """Take back, among a provider's `poll.requests`, what the jobs of one piece of work have there."""

    work: str = Field(min_length=1)
    """The jobs `<work>.<id>` are cancelled."""
    kept: str = ""
    """The id of a job among them that is not; empty: there is none."""


CANCELLATION = {"kind": b"cancellation"}
"""Headers of a `Cancellation` among the `poll.requests`."""
FORMER_CANCELLATION = {"kind": b"withdrawal"}
"""Headers that earlier versions gave a `Cancellation`: a mailbox may still hold one. Read for one version."""


class Child(Message):
    """A request that another one caused."""

    number: Number
    """Its number in the other's id."""
    provider: str
    """The provider that it asks."""
    symbols: tuple[str, ...]
    """The canonical symbols that it asks for."""

    @classmethod
    def of(cls, request: PollRequest) -> Child:
        """Name a request that was made by `PollRequest.child`."""
        number = int(request.request_id.rpartition("/")[2])
        return cls(number=number, provider=request.provider, symbols=request.call.symbols)


class PollDone(Message):
    """Report that one poll request was handled: served, passed on, cut into children, or given up."""

    request_id: str
    """The id of the request."""
    job_id: str
    """The id of the submission that it belongs to."""
    provider: str
    """The provider whose mailbox held it."""
    call: Call
    """What was asked."""
    outcome: PollOutcome
    """How it ended."""
    reason: str = ""
    """Why, in words, at most `MOST_REASON` characters; empty where it was served."""
    children: tuple[Child, ...] = ()
    """The requests that go on in its place."""
    records: Count = 0
    """Rows that were published."""
    rejects: Count = 0
    """Rows that broke a rule."""
    first_bars: Mapping[str, Millis] = Field(default_factory=dict)
    """Time of the first bar of each symbol, ms UTC."""
    tried: tuple[Hop, ...] = ()
    """The providers that did not serve it before. Where it was given up, the last of them is `provider` itself."""
    at: Millis
    """When the answer was received, ms UTC, or when it was decided that there will be none."""

    @classmethod
    def of(
        cls,
        request: PollRequest,
        outcome: PollOutcome,
        at: int,
        children: Iterable[Child] = (),
        reason: str = "",
        **more: Any,
    ) -> PollDone:
        """Report the end of `request`; `more` are the counts."""
        return cls(
            request_id=request.request_id,
            job_id=request.job_id,
            provider=request.provider,
            call=request.call,
            outcome=outcome,
            reason=reason[:MOST_REASON],
            children=tuple(children),
            tried=request.tried,
            at=at,
            **more,
        )

    @field_validator("children", mode="before")
    @classmethod
    def _counted(cls, value: Any) -> Any:
        """Read a mere count, as the table `polls` keeps it: it stands for the children 0, 1, and so on."""
        if not isinstance(value, int):
            return value
        if not 0 <= value <= MOST_CHILDREN:
            raise ValueError(f"no report counts {value} children: 0 to {MOST_CHILDREN}")
        return [Child(number=n, provider="", symbols=()) for n in range(value)]

    def child_ids(self) -> Iterator[str]:
        """The ids of the requests that this one caused."""
        return (f"{self.request_id}/{child.number}" for child in self.children)

    @property
    def dataset(self) -> str:
        """The dataset that was asked for."""
        return self.call.dataset

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that were asked for."""
        return self.call.symbols


class ApiCall(Message):
    """Report one HTTP call: what it costs, before it is sent, and once more how it ended. Keys go by their labels."""

    call_id: str
    """The id of the call, the same in both reports."""
    request_id: str
    """The id of the poll request that made it."""
    provider: str
    """The provider's name."""
    key_label: str
    """The label of the key: `polygon#2`."""
    endpoint: str
    """Name of the connector's endpoint."""
    dataset: str
    """Name of the dataset that was asked for."""
    asset_class: str
    """The asset class of the symbols."""
    symbols: tuple[str, ...]
    """The canonical symbols; empty for a whole market."""
    interval: str | None
    """Length of a bar; None for datasets other than bars."""
    started_at: Millis
    """When it was sent, ms UTC."""
    ended_at: Millis | None = None
    """When it ended, ms UTC; None before."""
    latency_ms: Count = 0
    """Milliseconds from the sending to the last byte of the answer, or to the failure."""
    status: Status | None = None
    """The HTTP status code; None where no answer came."""
    outcome: str = RESERVED
    """`records`, the name of the refusal, or `Reserved` before the end."""
    retry_after_s: Wait | None = None
    """Seconds that the provider asks to wait; None: it did not say."""
    resets_at: Millis | None = None
    """When the key's quota is whole again, ms UTC, as a refusal said; None: it did not say."""
    scope: str = ""
    """What the answer refuses, as text: see `connectors.scope`; empty: nothing."""
    said_left: Amount | None = None
    """Calls (or credits) left of the key's quota, as the answer reported; None: it did not say."""
    said_limit: Amount | None = None
    """Calls (or credits) of the whole quota, likewise."""
    said_resets_at: Millis | None = None
    """When the quota is whole again, ms UTC, likewise."""
    cost_calls: Amount = 1
    """What it takes of the key's limits, in calls or credits."""
    cost_usd: Balance = 0
    """US dollars that it costs: before the end what it may cost, after it what it did. Negative where it brings the
    results of a job: what their price is less than was paid when the job was triggered."""
    reserved_usd: Usd = 0
    """US dollars that were reserved for it before it was sent."""
    triggered_by: str = ""
    """Id of the call that triggered the job which it polls; empty: there is no job."""
    bytes: Count = 0
    """Bytes of the answer's body, decompressed."""
    error: str = ""
    """The provider's words where it refused, at most 500 characters."""
    worker: str = ""
    """The process that made it, as `host:pid`."""


class OwnerCommand(Message):
    """An order to the owner of a provider, among its `api.calls`: so it takes effect at one place in their sequence.

    `takeover` changes nothing: who reads it back knows that everything before it is folded.
    """

    order: Literal["takeover", "reset_breaker"]
    """What to do."""
    provider: str
    """The provider whose owner obeys."""
    order_id: str
    """An id that its sender recognises."""
    at: Millis
    """When it was given, ms UTC."""


OWNER_COMMAND = {"kind": b"order"}
"""Headers of an `OwnerCommand` among the `api.calls`."""


class RawMeta(Message):
    """What travels in the `meta` header of a raw response; the record's value is the body as received."""

    call_id: str
    """The id of the call that brought it."""
    request_id: str
    """The id of the poll request that made the call."""
    provider: str
    """The provider's name."""
    key_label: str
    """The label of the key."""
    call: Call
    """What was asked."""
    page: Page
    """The HTTP request that asked it."""
    url: str
    """The URL that was called, without its key."""
    status: Status
    """The HTTP status code."""
    headers: Mapping[str, str]
    """Values by name in lower case, without secrets."""
    received_at: Millis
    """When it was received, ms UTC."""
    latency_ms: Count
    """Milliseconds from the sending to its last byte."""
    due: PollRequest | None = None
    """The request whose end is reported where the records are made; None, as after a refusal: it has been reported."""


class DeadLetter(Message):
    """What could not be understood, with the reason and the way back to the raw record.

    `resolved_at` (ms UTC) is when a replay understood it; the letter is published once more then.
    """

    letter_id: str
    """An id that is the same when the same fault is found again."""
    at: Millis
    """When it was found, ms UTC."""
    stage: str
    """Where: `poll`, `normalize`, `validate`, `sink` or `message`."""
    provider: str | None = None
    """The provider's name; None where it is not known."""
    dataset: str | None = None
    """Name of the dataset; None where it is not known."""
    symbol: str | None = None
    """The canonical symbol; None where it is not known."""
    rule: str
    """Name of the rule that was broken: see docs/DATASETS.md."""
    reason: str
    """What broke it, in words."""
    call_id: str | None = None
    """The id of the call that brought it; None where no call did."""
    request_id: str | None = None
    """The id of the poll request; None where it is not known."""
    raw_topic: str | None = None
    """Topic of the record that it was read from; None where it was read from none."""
    raw_partition: Partition | None = None
    """That record's partition."""
    raw_offset: Offset | None = None
    """That record's offset."""
    row: str | None = None
    """What was read, as text; None where it was not read."""
    resolved_at: Millis | None = None
    """When a replay understood it, ms UTC; None while it is open."""


def new_id() -> str:
    """A fresh id that sorts by its time of making, which is real time."""
    return f"{SYSTEM.now_ms():012x}{uuid.uuid4().hex[:12]}"


WORKER = f"{socket.gethostname()}:{os.getpid()}"
"""The name of this process in what it reports."""
