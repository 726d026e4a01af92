"""The vocabulary in which a provider file declares how one provider answers. No socket, no clock.

A handler is a plain function from `Call` to `Reply`; the server does the rest (keys, limits, faults, log).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.market.bars import Bars
from sandbox.market.market import Market, Quote
from sandbox.server.limits import Left, Limit, Plan


@dataclass(frozen=True, slots=True)
class Call:
    """One request as a handler sees it."""

    method: str
    """The HTTP method."""
    url_path: str
    """The path as it came."""
    path: Mapping[str, str]
    """Variables of the route by name."""
    query: Mapping[str, str]
    """First value of each parameter, by name."""
    headers: Mapping[str, str]
    """Values by name, looked up in any case."""
    cookies: Mapping[str, str]
    """Values by name."""
    client: str
    """Address of the client."""
    body: bytes
    """Bytes of the body."""
    base_url: str
    """Where the provider begins (`http://127.0.0.1:8900/polygon`), without a slash at the end."""
    now: datetime
    """The sandbox's time."""
    market: Market
    """The generated market."""
    endpoint: str = ""
    """Name of the endpoint."""
    plan: Plan = field(default_factory=Plan)
    """The plan of its key."""
    spoil: Callable[[Bars], Bars] | None = None
    """What a fault does to the bars; None: nothing."""

    def with_faults(self, bars: Bars) -> Bars:
        """The bars to render: the truth, unless a fault falsifies them. Every handler passes its bars here."""
        return self.spoil(bars) if self.spoil else bars

    def quote(self, symbol: str) -> Quote | None:
        """The quote to render, None before the first trade.

        Raises:
            UnknownInstrument: the market has no such symbol.
        """
        quote = self.market.quote(symbol, self.now)
        if quote is None or self.spoil is None:
            return quote
        return replace(quote, today=next(iter(self.spoil(Bars.of(quote.today)))))


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    body: Any = b""
    """What goes out: text or bytes as they are, anything else as JSON."""
    status: int = 200
    """The HTTP status."""
    content_type: str = "application/json"
    """The media type."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Values by name."""
    cookies: Mapping[str, str] = field(default_factory=dict)
    """Values by name."""


class Reason(Enum):
    """Why the server itself refuses a call."""

    KEY_MISSING = "no key was sent"
    KEY_UNKNOWN = "the key is not known"
    LIMITED = "a limit of the key is reached"
    NOT_ENTITLED = "the plan does not sell this endpoint"
    NO_SUCH_PATH = "the API has no such path"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal to be put into the provider's words."""

    reason: Reason
    """Why the call is refused."""
    call: Call
    """The call."""
    limit: Limit | None = None
    """The limit that was reached, for LIMITED; None where a fault pretends it."""
    retry_after: timedelta | None = None
    """Real time until it is free again, for LIMITED; None where a fault pretends it."""

    @property
    def left(self) -> Left | None:
        """What is left of the limit reached, which is nothing; None where a fault pretends it."""
        if self.limit is None or self.retry_after is None:
            return None
        return Left(self.limit, 0, self.call.now + self.retry_after)


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint."""

    path: str
    """Path after the prefix, with aiohttp's `{variables}`."""
    handler: Callable[[Call], Reply]
    """Answers a call."""
    name: str | Callable[[Call], str]
    """What the call log, faults and plans call it; a function of the call where one path carries many functions
    (Alpha Vantage)."""
    method: str = "GET"
    """The HTTP method."""
    cost: int | Callable[[Call], int] = 1
    """Weight of a call in credits."""
    open: bool = False
    """Whether it needs no key and counts against no limit."""

    def endpoint(self, call: Call) -> str:
        """The endpoint's name for this call."""
        return self.name if isinstance(self.name, str) else self.name(call)

    def credits(self, call: Call) -> int:
        """The endpoint's weight for this call."""
        return self.cost if isinstance(self.cost, int) else self.cost(call)


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider as the sandbox plays it. A module of this package with a `PROVIDER` of this kind is one."""

    name: str
    """Its name, and the prefix of its paths."""
    routes: tuple[Route, ...]
    """Its endpoints."""
    key: Callable[[Call], str | None]
    """Finds the key in a call; None: none was sent."""
    refuse: Callable[[Refusal], Reply]
    """Words the server's refusals."""
    plans: Mapping[str, Plan]
    """The real plans by name; the first is what a key gets by default."""
    symbols: Callable[[Call], list[str]]
    """The symbols that a call names, as the provider spells them, for faults on a symbol."""
    guard: Callable[[Call], Reply | None] = lambda _: None
    """May turn a call away before its key is looked at."""
    any_key: bool = False
    """Whether every key is accepted: for a provider that distinguishes clients by their address."""
    quota: Callable[[Left], Mapping[str, str]] = lambda _: {}
    """Returns the headers by which an accepted answer reports the rest of the key's calls a minute."""


@cache
def providers() -> dict[str, Provider]:
    """Every provider of the sandbox by name: each module or folder beside `server/` with a `PROVIDER` counts."""
    found = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parents[1])]):
        provider = getattr(importlib.import_module(f"sandbox.{module.name}"), "PROVIDER", None)
        if isinstance(provider, Provider):
            found[provider.name] = provider
    return found


def named_symbols(*parameters: str) -> Callable[[Call], list[str]]:
    """For `Provider.symbols`: what stands in these path variables or query parameters, split at commas."""

    def symbols(call: Call) -> list[str]:
        values = [call.path.get(name) or call.query.get(name) or "" for name in parameters]
        return [symbol for value in values for symbol in value.split(",") if symbol]

    return symbols
