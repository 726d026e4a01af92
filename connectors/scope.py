"""What a refusal covers: one range, parameter value, symbol, exchange or endpoint, or everything a key is asked. Pure.

A refusal speaks of a plan, and plans are sold by endpoint, by market (shares, coins, currencies) and by interval. So
a scope names all three wherever it names an endpoint: a key that is not sold coins still asks for shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.calls import DAY_MS, Call
from connectors.records import INTERVAL_MS, AssetClass, Interval, Span

MINUTE_MS = 60_000
SHARES: tuple[AssetClass, ...] = ("equity", "etf")
WHOLE_HISTORY = frozenset({"bars", "actions"})
"""Datasets of which a call without a start asks everything there is; of the others it asks the latest."""
MOST_RANGES = 10_000
"""Ranges that a refusal may cut a call into: a longest range of a millisecond would make billions of them."""
FEEDS = frozenset({"news", "insider"})
"""Datasets that go on and on: a call without a start asks for the latest page of them, which `limit` may shorten."""

Kind = Literal["range", "parameter", "symbol", "exchange", "endpoint", "key"]


class Scope(BaseModel):
    """The requests of which everything that is set here is true. `Scope()` is all that a key can be asked.

    Ranges are given by their age, for plans are: "two years of history", "all but the last 15 minutes".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str | None = None
    """Name of the connector's endpoint; None: every one."""
    asset_classes: tuple[AssetClass, ...] = ()
    """The market: several asset classes where they are sold together."""
    interval: Interval | None = None
    """Length of a bar; None: every one."""
    symbols: tuple[str, ...] = ()
    """Canonical symbols that were refused together."""
    exchange: str | None = None
    """MIC of the listings, or the exchange code of a whole-market call."""
    parameter: str | None = None
    """Name of a query parameter or path field."""
    value: str | None = None
    """The parameter's refused value; where it is a number, larger ones are refused too."""
    older_ms: Span | None = None
    """Ranges that begin this long ago or earlier, in milliseconds."""
    newer_ms: Span | None = None
    """Ranges that end less than this long ago, in milliseconds."""
    longer_ms: Annotated[Span, Field(ge=1)] | None = None
    """Ranges longer than this, in milliseconds."""
    limit_known: bool = True
    """The provider, or its documentation, says where the range ends that it sells: a range can be cut there.

    Otherwise the limit is just that of the range that was refused, and the next piece might be refused as well.
    """

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read what `text` wrote; None for an empty text, and for one that another version wrote."""
        try:
            return cls.model_validate_json(text) if text else None
        except ValidationError:
            return None

    def text(self) -> str:
        """The scope as compact JSON: how it travels and is stored."""
        return self.model_dump_json(exclude_defaults=True)

    @property
    def kind(self) -> Kind:
        """The narrowest thing that it names."""
        if self.older_ms is not None or self.newer_ms is not None or self.longer_ms is not None:
            return "range"
        named: tuple[tuple[object, Kind], ...] = (
            (self.parameter, "parameter"),
            (self.symbols, "symbol"),
            (self.exchange, "exchange"),
            (self.endpoint, "endpoint"),
        )
        return next((kind for value, kind in named if value), "key")

    def __str__(self) -> str:
        """Say it to a person: `aggregates (equity etf, 1d): ranges that begin 730 days ago or earlier`."""
        if self.kind == "key":
            return "everything"
        market = ", ".join(filter(None, (" ".join(self.asset_classes), self.interval)))
        what = {
            "parameter": f"{self.parameter}={self.value}",
            "symbol": " ".join(self.symbols),
            "exchange": f"exchange {self.exchange}",
            "range": " and ".join(self._ranges()),
        }.get(self.kind)
        name = self.endpoint or "every endpoint"
        where = f"{name} ({market})" if market else name
        return f"{where}: {what}" if what else where

    def _ranges(self) -> list[str]:
        said = (
            ("ranges that begin {} ago or earlier", self.older_ms),
            ("ranges that end less than {} ago", self.newer_ms),
            ("ranges longer than {}", self.longer_ms),
        )
        return [words.format(_span(ms)) for words, ms in said if ms is not None]

    def concerns(self, endpoint: str, call: Call, given: Mapping[str, str]) -> bool:
        """Return whether such a request of `endpoint` may be refused; `given` are its parameters and path fields."""
        return (
            self.endpoint in {None, endpoint}
            and (not self.asset_classes or call.asset_class in self.asset_classes)
            and (self.interval is None or call.interval == self.interval)
            and (self.parameter is None or _reaches(given.get(self.parameter), self.value))
        )

    def split(self, call: Call, now: int) -> tuple[Call | None, tuple[Call, ...]]:
        """Return (what of a call that the scope `concerns` is refused, what is not). `now` is in ms UTC."""
        if self.symbols or self.exchange:
            return self._split_symbols(call)
        if self.longer_ms is not None:
            refused, rest = _longer(call, self.longer_ms)
        elif self.older_ms is not None:
            refused, rest = _older(call, now - self.older_ms)
        elif self.newer_ms is not None:
            refused, rest = _newer(call, now - self.newer_ms, now)
        else:
            return call, ()
        return (refused, rest) if self.limit_known or rest == (call,) else (call, ())

    def _split_symbols(self, call: Call) -> tuple[Call | None, tuple[Call, ...]]:
        if not call.symbols:
            return (call, ()) if self.exchange and call.exchange == self.exchange else (None, (call,))
        if self.exchange:
            refused = tuple(symbol for symbol in call.symbols if symbol.endswith(f".{self.exchange}"))
        else:
            refused = self.symbols if set(self.symbols) <= set(call.symbols) else ()
        rest = tuple(symbol for symbol in call.symbols if symbol not in refused)
        return (
            call.model_copy(update={"symbols": refused}) if refused else None,
            (call.model_copy(update={"symbols": rest}),) if rest else (),
        )


def sold_together(asset_class: AssetClass) -> tuple[AssetClass, ...]:
    """The asset classes of one market: shares and ETFs trade alike, every other class is sold on its own."""
    return SHARES if asset_class in SHARES else (asset_class,)


def asks_whole_history(call: Call) -> bool:
    """Return whether a call without a start asks for all there is."""
    return call.start is None and call.dataset in WHOLE_HISTORY


def asks_latest_page(call: Call) -> bool:
    """Return whether one page is all that a call asks for: pages behind it would go back to the first event."""
    return call.dataset in FEEDS and (call.start is None or call.limit is not None)


def _reaches(asked: str | None, refused: str | None) -> bool:
    """A plan that lacks 10 rows lacks 20: numbers count from the refused one upward."""
    if asked is None or refused is None:
        return False
    if asked.isdecimal() and refused.isdecimal():
        return int(asked) >= int(refused)
    return asked == refused


def _within(call: Call, start: int | None, end: int | None) -> Call:
    return call.model_copy(update={"start": start, "end": end})


def _older(call: Call, limit: int) -> tuple[Call | None, tuple[Call, ...]]:
    """Cut at the first midnight (UTC) after `limit`, for days are what bars and plans count in."""
    begins_too_early = asks_whole_history(call) if call.start is None else call.start <= limit
    if not begins_too_early:
        return None, (call,)
    first = (limit // DAY_MS + 1) * DAY_MS
    if call.end is not None and call.end <= first:
        return call, ()
    return _within(call, call.start, first), (_within(call, first, call.end),)


def _newer(call: Call, limit: int, now: int) -> tuple[Call | None, tuple[Call, ...]]:
    """Cut at the last whole minute before `limit`; what is cut off is nothing where no bar can begin in it."""
    if call.start is None and call.end is None and not asks_whole_history(call):
        return call, ()  # the latest: there is no range to cut
    if (now if call.end is None else call.end) <= limit:
        return None, (call,)
    last = limit // MINUTE_MS * MINUTE_MS
    if call.start is not None and call.start >= last:
        return call, ()
    daily = call.interval is not None and INTERVAL_MS[call.interval] >= DAY_MS
    nothing = daily and -(-last // DAY_MS) * DAY_MS >= (now if call.end is None else call.end)
    return None if nothing else _within(call, last, call.end), (_within(call, call.start, last),)


def _longer(call: Call, longest: int) -> tuple[Call | None, tuple[Call, ...]]:
    """Cut a range into ranges of `longest`; one without both ends has no length to cut."""
    if call.start is None or call.end is None:
        return (call, ()) if asks_whole_history(call) else (None, (call,))
    starts = range(call.start, call.end, longest)
    if len(starts) > MOST_RANGES:
        return call, ()
    return None, tuple(_within(call, at, min(at + longest, call.end)) for at in starts)


def _span(ms: int) -> str:
    for size, word in ((DAY_MS, "day"), (3_600_000, "hour"), (MINUTE_MS, "minute")):
        if ms >= size:
            count = round(ms / size)
            return f"{count} {word}{'s' if count != 1 else ''}"
    return f"{max(ms, 0) / 1000:g} s"
