"""What Alpaca says of prices: bars, quotes and values of indices."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from connectors import errors
from connectors import fields as read
from connectors.alpaca.requests import ADJUSTMENTS, SHARES, follow
from connectors.items import BarColumns, Item
from connectors.reading import Reading, objects, unrecognised
from connectors.records import AssetClass, Quote

ROUND_LOT = 100  # quote sizes of shares count round lots: https://docs.alpaca.markets/reference/stocklatestquotes-1
UTC = ZoneInfo("UTC")
Row = dict[str, Any]


# -- bars ------------------------------------------------------------------------------------------------------------


def _frame(reading: Reading, spelling: str, rows: list[Row]) -> BarColumns:
    envelope = reading.of(spelling)
    shares = envelope["asset_class"] in SHARES
    interval = reading.call.interval or "1d"
    ts = read.wall_times([row.get("t") for row in rows], UTC)
    if interval in {"1d", "1w", "1mo"}:
        zone = read.NEW_YORK if shares else UTC
        ts = [read.period_start(read.local_day(at, zone), interval) for at in ts]
    return BarColumns(
        envelope=envelope,
        interval=interval,
        adjustment=ADJUSTMENTS[reading.params.get("adjustment", "raw")] if shares else "raw",
        currency=_currency(reading, envelope["symbol"], envelope["asset_class"]),
        ts=ts,
        open=read.column(rows, "o"),
        high=read.column(rows, "h"),
        low=read.column(rows, "l"),
        close=read.column(rows, "c"),
        volume=read.column(rows, "v"),
        vwap=[at or None for at in read.column(rows, "vw")],
        trades=read.column(rows, "n"),
    )


def _currency(reading: Reading, symbol: str, asset_class: AssetClass) -> str:
    return reading.params.get("currency", "USD") if asset_class in SHARES else re.split("[-/]", symbol)[-1]


def bars(reading: Reading) -> Iterator[Item]:
    """Lists by symbol; the path of one symbol gives its list alone, the latest bars an object for each symbol."""
    body = reading.json
    found = body["bars"] or {}
    keyed = found if isinstance(found, dict) else {body["symbol"]: found}

    def series(item: tuple[str, Any]) -> Iterator[Item]:
        spelling, given = item
        rows, strays = objects([given] if isinstance(given, dict) else given or [], *"ohlc")
        yield from strays
        if rows:
            yield _frame(reading, spelling, rows)

    yield from reading.rows(list(keyed.items()), series)
    yield from follow(reading)


# -- quotes ----------------------------------------------------------------------------------------------------------


def _quote(reading: Reading, spelling: str, trade: Row, quote: Row, day: Row, before: Row) -> Quote | None:
    """Make a quote of the latest trade, the latest sides, the running and the previous day; None without a price."""
    envelope = reading.of(spelling)
    last = read.price(trade["p"]) if trade else None
    bid, ask = (read.price(quote[side]) if quote else None for side in ("bp", "ap"))
    if not (last or bid or ask):
        return None
    ts = read.iso_time(trade.get("t") if last else quote.get("t"))
    lot = ROUND_LOT if envelope["asset_class"] in SHARES else 1.0
    return Quote(
        **envelope,
        ts=reading.answer.observed_at if ts is None else ts,
        ts_estimated=ts is None,
        price=last,
        bid=bid,
        ask=ask,
        bid_size=read.scaled(read.size(quote.get("bs")), lot) if bid else None,
        ask_size=read.scaled(read.size(quote.get("as")), lot) if ask else None,
        open=read.price(day.get("o")),
        high=read.price(day.get("h")),
        low=read.price(day.get("l")),
        prev_close=read.price(before.get("c")),
        volume=read.number(day.get("v")),
        currency=_currency(reading, envelope["symbol"], envelope["asset_class"]),
    )


def _by_symbol(found: Any) -> list[tuple[str, Any]]:
    """Symbols and what is said of them; null is said of an unknown one. Raises `MalformedPayload`."""
    if found and not any(isinstance(said, dict) or said is None for said in found.values()):
        raise errors.MalformedPayload(f"no object by symbol under {read.shown(list(found))}")
    return [(spelling, said) for spelling, said in found.items() if said is not None]


PARTS = ("latestTrade", "latestQuote", "dailyBar", "prevDailyBar")
"""Objects of a snapshot that are read; any of them can be null."""


def snapshots(reading: Reading) -> Iterator[Item]:
    """Crypto has a wrapper, stocks have none; members can be null."""

    def snapshot(item: tuple[str, Row]) -> Iterator[Item]:
        spelling, said = item
        read.one_of(said, *PARTS)
        yield from unrecognised(said, PARTS, ("minuteBar",))
        found = _quote(reading, spelling, *(said.get(name) or {} for name in PARTS))
        yield from [found] if found else []

    body = reading.json
    yield from reading.rows(_by_symbol(body.get("snapshots", body)), snapshot)


def trades(reading: Reading) -> Iterator[Item]:
    """Read the latest trades of shares and coins, one object by symbol: price, time, no sides."""
    latest = _by_symbol(reading.json["trades"])
    yield from reading.rows(latest, lambda item: _quote(reading, item[0], item[1], {}, {}, {}))


def quotes(reading: Reading) -> Iterator[Item]:
    """The latest sides of shares and coins, and the rates of currencies."""
    body = reading.json
    latest = _by_symbol(body["rates"] if "rates" in body else body["quotes"])
    yield from reading.rows(latest, lambda item: _quote(reading, item[0], {}, item[1], {}, {}))


def index_values(reading: Reading) -> Iterator[Item]:
    """Read the latest values of indices, in points: no sides, no session, no currency."""

    def value(item: tuple[str, Row]) -> Quote | None:
        spelling, said = item
        envelope, points = reading.of(spelling, "index"), read.price(said["v"])
        ts = read.iso_time(said.get("t"))
        if points is None:
            return None
        at = reading.answer.observed_at if ts is None else ts
        return Quote(**envelope, ts=at, ts_estimated=ts is None, price=points)

    yield from reading.rows(_by_symbol(reading.json["values"]), value)
