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
    """One request as a handler sees it.

    `path` holds the variables of the route, `query` the first value of each parameter, `headers` are looked
    up in any case, `base_url` is where the provider begins (`http://127.0.0.1:8900/polygon`), without a slash
    at the end. `now` is the sandbox's time, `plan` the key's. `spoil` is set by a fault on values.
    """

    method: str
    url_path: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    client: str
    body: bytes
    base_url: str
    now: datetime
    market: Market
    endpoint: str = ""
    plan: Plan = field(default_factory=Plan)
    spoil: Callable[[Bars], Bars] | None = None

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
    """An answer. A `body` that is no text and no bytes goes out as JSON."""

    body: Any = b""
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)


class Reason(Enum):
    """Why the server itself refuses a call."""

    KEY_MISSING = "no key was sent"
    KEY_UNKNOWN = "the key is not known"
    LIMITED = "a limit of the key is reached"
    NOT_ENTITLED = "the plan does not sell this endpoint"
    NO_SUCH_PATH = "the API has no such path"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal to be put into the provider's words.

    `limit` is the one reached and `retry_after` the real time until it is free again, for LIMITED; None where
    a fault pretends it.
    """

    reason: Reason
    call: Call
    limit: Limit | None = None
    retry_after: timedelta | None = None

    @property
    def left(self) -> Left | None:
        """What is left of the limit reached, which is nothing; None where a fault pretends it."""
        if self.limit is None or self.retry_after is None:
            return None
        return Left(self.limit, 0, self.call.now + self.retry_after)


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint: `path` after the prefix, with aiohttp's `{variables}`.

    `name` is what the call log, faults and plans call it; where one path carries many functions (Alpha
    Vantage) it is a function of the call. `cost` is its weight in credits.
    """

    path: str
    handler: Callable[[Call], Reply]
    name: str | Callable[[Call], str]
    method: str = "GET"
    cost: int | Callable[[Call], int] = 1
    open: bool = False  # needs no key and counts against no limit

    def endpoint(self, call: Call) -> str:
        """The endpoint's name for this call."""
        return self.name if isinstance(self.name, str) else self.name(call)

    def credits(self, call: Call) -> int:
        """The endpoint's weight for this call."""
        return self.cost if isinstance(self.cost, int) else self.cost(call)


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider as the sandbox plays it. A module of this package with a `PROVIDER` of this kind is one.

    `key` finds the key in a call (None: none sent), `refuse` words the server's refusals, `plans` are the real
    ones by name, the first being what a key gets by default. `symbols` are the symbols a call names, as the
    provider spells them, for faults on a symbol. `guard` may turn a call away before its key is looked at.
    `any_key` accepts every key: for a provider that distinguishes clients by their address. `quota` returns the
    headers by which every accepted answer reports the rest of the key's calls a minute.
    """

    name: str
    routes: tuple[Route, ...]
    key: Callable[[Call], str | None]
    refuse: Callable[[Refusal], Reply]
    plans: Mapping[str, Plan]
    symbols: Callable[[Call], list[str]]
    guard: Callable[[Call], Reply | None] = lambda _: None
    any_key: bool = False
    quota: Callable[[Left], Mapping[str, str]] = lambda _: {}


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
