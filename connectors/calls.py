"""A call before, on and after the wire: what is asked, sent and received. Pure data, no behaviour beyond checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, model_validator

from connectors.records import DATASETS, INTERVAL_MS, Adjustment, AssetClass, Interval, Period

DAY_MS = 86_400_000
LONGEST_REQUEST = 16_384
"""Characters of a path and its parameters: twice what common servers take, and longer than any request of ours."""
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@^-]|%[0-9A-Fa-f]{2})+)+/?")
_MISLEADING = re.compile(r"[\x00-\x1f\x7f\\]|(?:^|/)\.{1,2}(?:/|$)")


class Call(BaseModel):
    """What is asked, in canonical words, for one dataset and one asset class.

    `symbols` empty asks for a whole market (`exchange`, `kind` and the range narrow it). `start` (inclusive) and `end`
    (exclusive) are ms since the epoch, UTC, compared with a record's `ts`. `adjustment` None takes what
    the provider gives by default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    symbols: tuple[str, ...] = ()
    asset_class: AssetClass = "equity"
    interval: Interval | None = None
    adjustment: Adjustment | None = None
    start: int | None = None
    end: int | None = None
    kind: str | None = None
    """A dataset's own subdivision: `split`/`dividend`, a statement's or a metric's kind."""
    period: Period | None = None
    """None takes what the provider gives by default: years, at some quarters too, never the last twelve months."""
    exchange: str | None = None
    query: str | None = None
    limit: int | None = Field(default=None, ge=1)
    """Rows that are enough, of datasets that take one: news, insider, a search."""

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
    try:
        found = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    except OverflowError:
        return f"{ms} ms"
    return f"{found:%Y-%m-%d}" if ms % DAY_MS == 0 else found.isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request without its key: `path` is below the provider's base URL.

    `moved` is where the provider redirects it: path and query from the root of the same origin, without the key. The
    answer is read as that to `path` and `params`.
    """

    endpoint: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    method: Literal["GET", "POST"] = "GET"
    body: Mapping[str, Any] | list[Any] | None = None
    moved: str | None = None

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
    """One HTTP response as received. Header names are lower case; `observed_at` is its receive time, ms UTC."""

    status: int
    body: bytes
    observed_at: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Where a key goes: a query parameter, or header templates with `{key}` (or `{id}` and `{secret}` of `id:secret`).

    With `handshake` the provider hands out a session instead: GET `cookie_url` for cookies, then GET
    `token_path` for a text that travels as query parameter `token_param`.
    """

    query: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    handshake: Handshake | None = None
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
    token_path: str
    token_param: str
    endpoints: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `calls` per key in each `per` window; windows of a day or month start in `zone`.

    A call counts with its endpoint's weight, or, where `weighted` is false, as one.
    """

    calls: int
    per: Literal["second", "minute", "day", "month"]
    zone: str = "UTC"
    weighted: bool = True
