"""Turns a program's request into calls with their slips, or says why no provider serves it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypedDict

from pydantic import ValidationError

from connectors import Call, connector
from connectors.calls import DAY_MS
from connectors.forms import not_canonical
from streams.errors import Unroutable
from streams.planning import routing
from streams.planning.routing import NO_ROUTES, Routes

When = date | datetime | str
"""A day, or a moment; UTC where it names no zone. As text: `2024-06-03`, `2024-06-03T13:30:00Z`."""
Slip = tuple[str, ...]


class BarOptions(TypedDict, total=False):
    """How bars are asked: see `streams.client.client.Client.fetch_tickers`."""

    interval: str
    """Length of a bar: `1m` to `1mo`."""
    start: When | None
    """First moment of the range, included; None: as the provider gives by default."""
    end: When | None
    """End of the range, excluded; None: now."""
    asset_class: str
    """The asset class of the symbols; `equity` where none is given."""
    adjustment: str | None
    """`raw`, `split` or `total`; None: as the provider gives by default."""
    providers: Sequence[str]
    """Names of the only providers to ask, best first; empty: as the routes of the pipeline say."""
    timeout_s: float
    """Seconds to wait for the result."""


class QuoteOptions(TypedDict, total=False):
    """How quotes are asked: see `streams.client.client.Client.get_quotes`."""

    providers: Sequence[str]
    """Names of the only providers to ask, best first; empty: as the routes of the pipeline say."""
    force_fresh: bool
    """Whether a provider is called even where a young quote is known."""
    timeout_s: float
    """Seconds to wait for the result."""
    asset_class: str
    """The asset class of the symbols; `equity` where none is given."""


def call_for(**fields: Any) -> Call:
    """Make a call without symbols. Raises `ValueError` with one line."""
    try:
        return Call(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "".join(f"{name}: " for name in first["loc"])
        raise ValueError(f"{where}{first['msg'].removeprefix('Value error, ')}") from None


def span(days: int, start: When | None, end: When | None, now: int) -> tuple[int, int]:
    """The range [from, to) in ms UTC: up to now, and from `days` days before, where `start` and `end` are None.

    A `start` or `end` that is a day is included. Raises `ValueError`.
    """
    last = now if end is None else _moment(end, end=True)
    return (last // DAY_MS - days) * DAY_MS if start is None else _moment(start), last


def _moment(when: When, *, end: bool = False) -> int:
    if isinstance(when, str):
        try:
            when = date.fromisoformat(when) if len(when) == 10 else datetime.fromisoformat(when)
        except ValueError:
            raise ValueError(f"{when!r} is no date: write 2024-06-03 or 2024-06-03T13:30:00Z") from None
    if not isinstance(when, datetime):
        day = when + timedelta(days=1 if end else 0)
        when = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return round(when.replace(tzinfo=when.tzinfo or UTC).timestamp() * 1000)


def share_out(
    call: Call, symbols: Iterable[str], usable: Collection[str], providers: Sequence[str], wanted: Routes = NO_ROUTES
) -> tuple[list[tuple[Call, Slip]], dict[str, str]]:
    """The calls that ask for `symbols`, each with its slip, and for every other symbol why nobody can serve it.

    Symbols that the same providers can serve share a call where the first of those takes several at once.
    Raises `UnsupportedCall` for an unknown provider.
    """
    alike: dict[Slip, list[str]] = {}
    nobody: dict[str, str] = {}
    for symbol in dict.fromkeys(symbols):
        try:
            slip = routing.slip(_of(call, symbol), usable.__contains__, providers, wanted)
        except Unroutable as error:
            strange = not_canonical(symbol, call.asset_class)
            nobody[symbol] = f"nobody can serve it: {strange}" if strange else " ".join(str(error).split())
        else:
            alike.setdefault(slip, []).append(symbol)
    return [(part, slip) for slip, group in alike.items() for part in _parts(call, slip, group)], nobody


def _parts(call: Call, slip: Slip, symbols: Sequence[str]) -> list[Call]:
    if connector(slip[0]).route(_of(call, *symbols)).batch > 1:
        return [_of(call, *symbols)]
    return [_of(call, symbol) for symbol in symbols]


def _of(call: Call, *symbols: str) -> Call:
    return call.model_copy(update={"symbols": symbols})
