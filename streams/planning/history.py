"""How far back the bars of a provider reach, by its declaration, and which part of a range lies before that. Pure.

A provider answers a range before its history with nothing, and one that begins before it from the limit on; neither is
an error to it. Where a plan limits the history, the answer does not say which plan it is: so an answer that begins at a
declared limit counts as cut off there, and one that begins elsewhere as whole (the instrument was listed then).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connectors import INTERVAL_MS, Call, Endpoint, UnsupportedCall, connector
from connectors.calls import DAY_MS
from connectors.fields import utc_date

CLOSED_MS = 10 * DAY_MS
"""Longer than any exchange stays closed: a range of days on which nothing is traded has no first bar before its end."""


def before(endpoint: Endpoint, call: Call, now: int) -> str | None:
    """Say that the whole range of a call lies before the history of the best plan; None where it does not."""
    begins = min(endpoint.beginnings(call.interval, now), default=None)
    if begins is None or call.end is None or call.end > begins:
        return None
    return f"its {call.interval} bars begin on {utc_date(begins)}"


def cut_off(endpoint: Endpoint, call: Call, first: Mapping[str, int], now: int) -> list[Call]:
    """The parts of a call's range that an answer lacks at its beginning, each with the symbols that lack it.

    `first` is the time of the first bar of each symbol (ms UTC); a symbol without bars is not in it.
    """
    lacking: dict[int, list[str]] = {}
    for symbol in call.symbols:
        if (limit := _limit(endpoint, call, first.get(symbol), now)) is not None:
            lacking.setdefault(limit, []).append(symbol)
    return [
        call.model_copy(update={"symbols": tuple(symbols), "end": limit if call.end is None else min(limit, call.end)})
        for limit, symbols in lacking.items()
    ]


def reaching(providers: Iterable[str], call: Call, now: int) -> tuple[str, ...]:
    """Those of the providers that can be asked a call, and whose history covers any of its range."""
    return tuple(name for name in providers if _covers(name, call, now))


def begins_late(call: Call, first: int | None) -> bool:
    """True where bars begin later than was asked by more than an exchange is ever closed."""
    return call.start is not None and first is not None and first > call.start + _slack(call)


def _limit(endpoint: Endpoint, call: Call, first: int | None, now: int) -> int | None:
    """The limit at which the history of a symbol was cut off; None where it was not."""
    start, slack = call.start, _slack(call)
    if start is None:
        return None
    limits = [
        limit
        for limit in endpoint.beginnings(call.interval, now)
        if limit > start + (0 if first is None else slack) and (first is None or abs(first - limit) <= slack)
    ]
    return max(limits, default=None)


def _covers(name: str, call: Call, now: int) -> bool:
    try:
        return before(connector(name).route(call), call, now) is None
    except UnsupportedCall:
        return False


def _slack(call: Call) -> int:
    return max(CLOSED_MS, 2 * INTERVAL_MS[call.interval or "1d"])
