"""What travels between the actors. Imperatives ask (`poll.requests`), past tenses report (`poll.done`)."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator

from connectors import Call, Request
from connectors.records import AssetClass
from infra.clock import SYSTEM
from streams.accounts.account import RESERVED
from streams.messaging.outcomes import PollOutcome

MOST_REASON = 500
"""Characters of a reason: providers refuse with whole pages."""


class Message(BaseModel):
    """A Kafka record's value, as JSON."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def encode(self) -> bytes:
        """Return the record's value."""
        return orjson.dumps(self.model_dump(mode="python"))

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Read a record's value. Raises `pydantic.ValidationError`."""
        return cls.model_validate_json(value)


class Hop(Message):
    """One provider of a routing slip that did not serve the request, and why.

    `free_at` (ms UTC) is when it may be asked again, where it only had no room; None where asking again is no use.
    """

    provider: str
    outcome: PollOutcome
    reason: str = ""
    free_at: int | None = None


class Page(Message):
    """A request that is already built: the following page, or a poll for something pending.

    `number` counts the pages before it. `seen` are the marks of the latest of them, which `paging` compares.
    """

    endpoint: str
    path: str
    params: Mapping[str, str] = Field(default_factory=dict)
    method: Literal["GET", "POST"] = "GET"
    body: Any = None
    number: int = 0
    seen: tuple[str, ...] = ()

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
    """Ask a provider. `slip` lists the providers that may serve it, best first; its head owns this mailbox.

    `job_id` ties together all requests of one submission.
    `deadline` (ms UTC) ends its life unserved. `urgent` says that a person or program waits for it: it goes before
    those of bulk. `force_fresh` asks the provider for a quote even where a young one is known. It waits in the mailbox
    until `not_before` (ms UTC).
    """

    request_id: str
    job_id: str
    call: Call
    slip: tuple[str, ...] = Field(min_length=1)
    tried: tuple[Hop, ...] = ()
    page: Page | None = None
    deadline: int | None = None
    urgent: bool = False
    force_fresh: bool = False
    not_before: int | None = None

    @property
    def provider(self) -> str:
        """The provider whose mailbox this is."""
        return self.slip[0]

    def child(self, number: int, **changes: Any) -> PollRequest:
        """Return a request that this one causes; its id is the same whenever this one is handled again."""
        return self.model_copy(update={"request_id": f"{self.request_id}/{number}", "not_before": None, **changes})


class Cancellation(Message):
    """Take back, among a provider's `poll.requests`, what the jobs `<work>.<id>` have there, but for the job `kept`."""

    work: str = Field(min_length=1)
    kept: str = ""


CANCELLATION = {"kind": b"cancellation"}
"""Headers of a `Cancellation` among the `poll.requests`."""
FORMER_CANCELLATION = {"kind": b"withdrawal"}
"""Headers that earlier versions gave a `Cancellation`: a mailbox may still hold one. Read for one version."""


class Child(Message):
    """A request that another one caused: its number in the other's id, the provider and the symbols it asks."""

    number: int
    provider: str
    symbols: tuple[str, ...]

    @classmethod
    def of(cls, request: PollRequest) -> Child:
        """Name a request that was made by `PollRequest.child`."""
        number = int(request.request_id.rpartition("/")[2])
        return cls(number=number, provider=request.provider, symbols=request.call.symbols)


class PollDone(Message):
    """Report that one poll request was handled: served, passed on, cut into `children`, or given up.

    `symbols` and `dataset` are the `call`'s. `tried` are the providers that were asked before, and why they did not
    serve it; where the request was given up, the last of them is `provider` itself. `records` and `rejects` count rows,
    `first_bars` has the time of the first bar of each symbol (ms UTC). `at` (ms UTC) is when the answer was received,
    or when it was decided that there will be none.
    """

    request_id: str
    job_id: str
    provider: str
    call: Call
    outcome: PollOutcome
    reason: str = ""
    children: tuple[Child, ...] = ()
    records: int = 0
    rejects: int = 0
    first_bars: Mapping[str, int] = Field(default_factory=dict)
    tried: tuple[Hop, ...] = ()
    at: int

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
        return [Child(number=n, provider="", symbols=()) for n in range(value)] if isinstance(value, int) else value

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
    """Report one HTTP call: what it costs, before it is sent, and once more how it ended. Keys go by their labels.

    `said_*` is what the answer reported of the key's quota, `resets_at` (ms UTC) what a refusal reported.
    """

    call_id: str
    request_id: str
    provider: str
    key_label: str
    endpoint: str
    dataset: str
    asset_class: str
    symbols: tuple[str, ...]
    interval: str | None
    started_at: int
    ended_at: int | None = None
    latency_ms: int = 0
    status: int | None = None
    outcome: str = RESERVED
    retry_after_s: float | None = None
    resets_at: int | None = None
    scope: str = ""
    said_left: float | None = None
    said_limit: float | None = None
    said_resets_at: int | None = None
    cost_calls: float = 1
    cost_usd: float = 0
    reserved_usd: float = 0
    bytes: int = 0
    error: str = ""
    worker: str = ""


class OwnerCommand(Message):
    """An order to the owner of a provider, among its `api.calls`: so it takes effect at one place in their sequence.

    `takeover` changes nothing: who reads it back knows that everything before it is folded.
    """

    order: Literal["takeover", "reset_breaker"]
    provider: str
    order_id: str
    at: int


OWNER_COMMAND = {"kind": b"order"}
"""Headers of an `OwnerCommand` among the `api.calls`."""


class RawMeta(Message):
    """What travels in the `meta` header of a raw response; the record's value is the body as received.

    The end of the request `due` is reported where the records are made. Without it, as after a refusal, it has been.
    """

    call_id: str
    request_id: str
    provider: str
    key_label: str
    call: Call
    page: Page
    url: str
    status: int
    headers: Mapping[str, str]
    received_at: int
    latency_ms: int
    due: PollRequest | None = None


class DeadLetter(Message):
    """What could not be understood, with the reason and the way back to the raw record."""

    letter_id: str
    at: int
    stage: str
    provider: str | None = None
    dataset: str | None = None
    symbol: str | None = None
    rule: str
    reason: str
    call_id: str | None = None
    request_id: str | None = None
    raw_topic: str | None = None
    raw_partition: int | None = None
    raw_offset: int | None = None
    row: str | None = None


class CollectRequest(Message):
    """Ask the leader for a run of a collector. `refresh` None means the collector's own.

    `cause` is `schedule:<name>`, `dependency:<collector>` or `command`. `due_at` (ms UTC) is the moment for which it
    was asked: a run that comes again after a crash counts what was answered since then. `at_once` waits for no
    dependency and for no other run.
    """

    run_id: str
    collector: str
    refresh: Literal["incremental", "full"] | None = None
    cause: str
    due_at: int
    asked_at: int
    at_once: bool = False


class CollectorRun(Message):
    """Report how a run of a collector ended, and what it took of the worker's process.

    `units` are the requests that were submitted, `errors` what stayed unserved, by outcome.
    """

    run_id: str
    collector: str
    cause: str
    refresh: str
    state: Literal["done", "failed", "skipped"]
    reason: str = ""
    due_at: int
    started_at: int
    ended_at: int
    attempts: int = 0
    units: int = 0
    calls: int = 0
    records: int = 0
    rejects: int = 0
    errors: Mapping[str, int] = Field(default_factory=dict)
    rss_mb_peak: float = 0
    cpu_s: float = 0


class UniverseChange(Message):
    """Report that a user added a symbol to the universe or removed it."""

    symbol: str
    asset_class: AssetClass
    change: Literal["add", "remove"]
    at: int


def new_id() -> str:
    """A fresh id that sorts by its time of making, which is real time."""
    return f"{SYSTEM.now_ms():012x}{uuid.uuid4().hex[:12]}"


WORKER = f"{socket.gethostname()}:{os.getpid()}"
"""The name of this process in what it reports."""
