"""A call before, on and after the wire: what is asked, sent and received. Pure data, no behaviour beyond checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, model_validator

from connectors.records import DATASETS, INTERVAL_MS, Adjustment, AssetClass, Interval, Millis, Period

DAY_MS = 86_400_000
LONGEST_REQUEST = 16_384
"""Characters of a path and its parameters: twice what common servers take, and longer than any request of ours."""
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@^-]|%[0-9A-Fa-f]{2})+)+/?")
_MISLEADING = re.compile(r"[\x00-\x1f\x7f\\]|(?:^|/)\.{1,2}(?:/|$)")


class Call(BaseModel):
    """What is asked, in canonical words, for one dataset and one asset class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    """Name of the dataset: see `connectors.records.DATASETS`."""
    symbols: tuple[str, ...] = ()
    """Canonical symbols; empty asks for a whole market, narrowed by `exchange`, `kind` and the range."""
    asset_class: AssetClass = "equity"
    """The asset class of the symbols."""
    interval: Interval | None = None
    """Length of a bar; None for datasets other than bars."""
    adjustment: Adjustment | None = None
    """What prices are adjusted for; None takes what the provider gives by default."""
    start: Millis | None = None
    """Start of the range, included, ms UTC, compared with a record's `ts`; None: as far as the provider goes."""
    end: Millis | None = None
    """End of the range, excluded, ms UTC, compared with a record's `ts`; None: up to now."""
    kind: str | None = None
    """A dataset's own subdivision: `split`/`dividend`, a statement's or a metric's kind."""
    period: Period | None = None
    """None takes what the provider gives by default: years, at some quarters too, never the last twelve months."""
    exchange: str | None = None
    """Code of the exchange whose market is asked; None: the provider's default."""
    query: str | None = None
    """Text to search for; None: nothing is searched."""
    limit: int | None = Field(default=None, ge=1, le=2**53)
    """Rows that are enough, of datasets that take one: news, insider, a search; None: all there are."""

    @model_validator(mode="after")
    def _consistent(self) -> Call:
        if self.dataset not in DATASETS:
            raise ValueError(f"unknown dataset {self.dataset!r}; known: {', '.join(DATASETS)}")
        if self.dataset == "bars" and self.interval is None:
            raise ValueError(f"bars need an interval: one of {', '.join(INTERVAL_MS)}")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError(f"the range is empty: start {_shown(self.start)} is not before end {_shown(self.end)}")
        return self


def _shown(ms: int) -> str:
    """A time in UTC as a person reads it: `2024-06-03`, or `2024-06-03T13:30:00Z` within a day."""
    found = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    return f"{found:%Y-%m-%d}" if ms % DAY_MS == 0 else found.isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request without its key."""

    endpoint: str
    """Name of the connector's endpoint."""
    path: str
    """Path below the provider's base URL."""
    params: Mapping[str, str] = field(default_factory=dict)
    """Query parameters by name."""
    method: Literal["GET", "POST"] = "GET"
    """The HTTP method."""
    body: Mapping[str, Any] | list[Any] | None = None
    """What is posted as JSON; None: nothing."""
    moved: str | None = None
    """Where the provider redirects it: path and query from the root of the same origin, without the key. The answer
    is read as that to `path` and `params`."""

    @property
    def size(self) -> int:
        """Characters of path and parameters."""
        return len(self.path) + sum(len(name) + len(value) for name, value in self.params.items())


def is_path(text: str) -> bool:
    """Return whether a text is a path that every reader of URLs takes for the same path.

    It is one of RFC 3986 (and the caret of `^GSPC`) that begins with one slash. No segment of it is empty or of dots,
    and none hides a backslash or a control character, also not behind percent signs.
    """
    return bool(_PATH.fullmatch(text)) and not any(_MISLEADING.search(unquote(part)) for part in text.split("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP response as received."""

    status: int
    """The HTTP status code."""
    body: bytes
    """The bytes, decompressed."""
    observed_at: int
    """When it was received, ms UTC."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Values by name in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Where a key goes."""

    query: str | None = None
    """Name of the query parameter that carries the key; None: no parameter does."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Templates of header values by name, with `{key}`, or `{id}` and `{secret}` of an `id:secret` key."""
    handshake: Handshake | None = None
    """How the provider hands out a session in place of a key; None: it does not."""
    account: str | None = None
    """A field of requests that names the part of an account a key belongs to: the id of an `id:secret` key."""

    @property
    def keyless(self) -> bool:
        """True when the provider needs no key of ours."""
        return self.query is None and not self.headers

    @property
    def paired(self) -> bool:
        """True when a key is a pair, written `id:secret`."""
        return any("{secret}" in text for text in self.headers.values())

    def place(self, key: str) -> tuple[dict[str, str], dict[str, str]]:
        """Return (query parameters, headers) that carry `key`. They must never be logged."""
        ident, _, secret = key.partition(":")
        parts = {"key": key, "id": ident, "secret": secret, "token": secret or key}
        headers = {name: text.format(**parts) for name, text in self.headers.items()}
        return ({self.query: key} if self.query else {}), headers

    def address(self, request: Request, key: str) -> Request:
        """Return the request with its `account` field, in query or body, set to the id of an `id:secret` key."""
        ident, paired, _ = key.partition(":")
        if not (self.account and paired):
            return request
        own = {self.account: ident}
        body = (
            {**request.body, **own}
            if isinstance(request.body, Mapping) and self.account in request.body
            else request.body
        )
        params = {**request.params, **own} if self.account in request.params else request.params
        return replace(request, params=params, body=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """A session that must be opened before some endpoints answer (Yahoo's cookie and crumb)."""

    cookie_url: str
    """Address that sets the cookies, asked by GET."""
    token_path: str
    """Path of the text that is asked next, with the cookies."""
    token_param: str
    """Name of the query parameter that carries this text."""
    endpoints: frozenset[str]
    """Names of the endpoints that need the session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit of a key."""

    calls: int
    """Calls (or credits) that fit into each window."""
    per: Literal["second", "minute", "day", "month"]
    """The length of a window."""
    zone: str = "UTC"
    """The zone whose midnight begins a day or month."""
    weighted: bool = True
    """Whether a call counts with its endpoint's weight; otherwise it counts as one."""
