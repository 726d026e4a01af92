"""What travels between the actors. Imperatives ask (`poll.requests`), past tenses report (`poll.done`)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field

from connectors import Call, Request


class Message(BaseModel):
    """A Kafka record's value, as JSON."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def encode(self) -> bytes:
        """Give the record's value."""
        return orjson.dumps(self.model_dump(mode="python"))

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Read a record's value. Raises `pydantic.ValidationError`."""
        return cls.model_validate_json(value)


class Hop(Message):
    """One provider of a routing slip that did not serve the request, and why."""

    provider: str
    outcome: str
    reason: str = ""


class Page(Message):
    """A request that is already built: the following page, or a poll for something pending."""

    endpoint: str
    path: str
    params: Mapping[str, str] = Field(default_factory=dict)
    method: Literal["GET", "POST"] = "GET"
    body: Any = None

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
        """Give the connector's request again."""
        return Request(endpoint=self.endpoint, path=self.path, params=self.params, method=self.method, body=self.body)


class PollRequest(Message):
    """Ask a provider. `slip` lists the providers that may serve it, best first; its head owns this mailbox.

    `job_id` ties together all requests of one submission.
    `deadline` (ms UTC) ends its life unserved.
    """

    request_id: str
    job_id: str
    call: Call
    slip: tuple[str, ...] = Field(min_length=1)
    tried: tuple[Hop, ...] = ()
    page: Page | None = None
    deadline: int | None = None

    @property
    def provider(self) -> str:
        """The provider whose mailbox this is."""
        return self.slip[0]

    def child(self, number: int, **changes: Any) -> PollRequest:
        """Give a request that this one causes; its id is the same whenever this one is handled again."""
        return self.model_copy(update={"request_id": f"{self.request_id}/{number}", **changes})


class PollDone(Message):
    """Report that one poll request was handled: served, passed on, cut into `children`, or given up."""

    request_id: str
    job_id: str
    provider: str
    dataset: str
    symbols: tuple[str, ...]
    outcome: str
    reason: str = ""
    children: int = 0
    records: int = 0
    rejects: int = 0
    tried: tuple[Hop, ...] = ()
    at: int


class ApiCall(Message):
    """Report one HTTP call: what it cost and how it ended. Names the key by its label only."""

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
    latency_ms: int
    status: int | None
    outcome: str
    retry_after_s: float | None = None
    cost_calls: float = 1
    cost_usd: float = 0
    bytes: int = 0
    error: str = ""


class RawMeta(Message):
    """What travels in the `meta` header of a raw response; the record's value is the body as received."""

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


def new_id() -> str:
    """A fresh id that sorts by its time of making."""
    return f"{time.time_ns() // 1_000_000:012x}{uuid.uuid4().hex[:12]}"


def now_ms() -> int:
    """The wall clock, ms since the epoch."""
    return time.time_ns() // 1_000_000
