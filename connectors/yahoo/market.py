"""Yahoo's bars, splits and dividends, and quotes: of charts, the retired CSV, and rows of `regularMarket…` fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from connectors.calls import Call
from connectors.errors import MalformedPayload, UnknownSymbol
from connectors.fields import (
    cells,
    days,
    local_date,
    local_day,
    millis,
    minor,
    number,
    one_of,
    period_start,
    price,
    scaled,
    shown,
    times,
)
from connectors.items import BarColumns, Item, Missing
from connectors.reading import Reading, unrecognised
from connectors.records import Action, Envelope, Quote
from connectors.symbols import split_listing
from connectors.yahoo.names import CODES, SHARES
from connectors.yahoo.rows import plain

INTERVALS = {**{code: interval for interval, code in CODES.items()}, "60m": "1h"}
PRICES = frozenset({"open", "high", "low", "close"})
DATED = frozenset({"1d", "1w", "1mo"})
ROUND_LOT = 100  # the sizes of a US share's bid and ask are in round lots


# -- charts ----------------------------------------------------------------------------------------------------------


def parse_chart(reading: Reading) -> Iterator[Item]:
    """One shape serves three datasets: bars (splits and dividends ride along), actions, a quote (from `meta`)."""
    for chart in reading.json["chart"]["result"] or []:
        if reading.call.dataset == "quote":
            yield _session_quote(reading, chart)
            continue
        if reading.call.dataset == "bars":
            yield from _bars(reading, chart)
        yield from unrecognised(chart, ("events",), ("meta", "timestamp", "indicators"))
        yield from _actions(reading, chart)


def _bars(reading: Reading, chart: dict[str, Any]) -> Iterator[BarColumns]:
    meta, stamps = chart["meta"], chart.get("timestamp") or []
    series = chart["indicators"]["quote"][0] | (chart["indicators"].get("adjclose") or [{}])[0]
    interval = INTERVALS.get(meta["dataGranularity"])
    if interval is None:
        raise MalformedPayload(f"asked for {reading.call.interval} bars, was {shown(meta['dataGranularity'])}")
    if stamps and not series.keys() & PRICES:
        raise MalformedPayload(f"{len(stamps)} timestamps, and no prices among {shown(list(series))}")
    ts = times(stamps, "s")
    kept = list(range(len(ts)))
    if interval in DATED:
        zone = _zone(meta)
        ts = [period_start(local_day(at, zone), interval) for at in ts]
        kept = _kept(reading.call, ts, live=bool(stamps) and stamps[-1] == meta.get("regularMarketTime"))
    envelope = reading.of(meta["symbol"])
    asset_class = envelope["asset_class"]
    pick = partial(_column, series, len(stamps), kept)
    as_price = partial(pick, factor=minor(meta.get("currency")), zero_absent=asset_class != "commodity")
    volume = pick("volume")
    in_money = asset_class == "crypto"
    columns = BarColumns(
        envelope=envelope,
        interval=interval,
        adjustment="split" if asset_class in SHARES else "raw",
        currency=reading.currency(meta.get("currency")),
        ts=[ts[i] for i in kept],
        open=as_price("open"),
        high=as_price("high"),
        low=as_price("low"),
        close=as_price("close"),
        volume=[None] * len(kept) if in_money else volume,
        quote_volume=volume if in_money else None,
        adj_close=as_price("adjclose"),
    )
    if kept:
        yield columns


def _column(
    series: Mapping[str, Any], n: int, kept: list[int], name: str, *, factor: float = 1, zero_absent: bool = False
) -> list[float | None]:
    values = series.get(name)
    if values is None:
        return [None] * len(kept)
    if len(values) != n:
        raise MalformedPayload(f"{name} has {len(values)} values for {n} timestamps")
    return [scaled(value, factor) for value in cells([values[i] for i in kept], zero_absent=zero_absent)]


def _kept(call: Call, ts: list[int | None], *, live: bool) -> list[int]:
    """Rows of the range asked for: the request reaches further, to get every period whole.

    A live row that repeats the day, week or month of the row before it is no bar of its own.
    """
    end = len(ts) - 1 if live and len(ts) > 1 and ts[-1] == ts[-2] else len(ts)
    return [i for i, at in enumerate(ts[:end]) if at is None or _within(call, at)]


def _within(call: Call, at: int) -> bool:
    return (call.start is None or at >= call.start) and (call.end is None or at < call.end)


def _zone(meta: Mapping[str, Any]) -> ZoneInfo:
    name = meta["exchangeTimezoneName"]
    try:
        return ZoneInfo(name)
    except (KeyError, TypeError, ValueError, OSError):  # OSError: the name of a folder, or too long for a file
        raise MalformedPayload(f"exchangeTimezoneName {shown(name)} is no time zone") from None


def _actions(reading: Reading, chart: dict[str, Any]) -> Iterator[Item]:
    if not (events := chart.get("events")):
        return
    meta = chart["meta"]
    envelope, zone = reading.of(meta["symbol"]), _zone(meta)
    yield from unrecognised(events, ("splits", "dividends"), ("capitalGains", "earnings"))
    splits, dividends = events.get("splits") or {}, events.get("dividends") or {}
    yield from reading.rows(list(splits.values()), partial(_split, envelope, zone))
    yield from reading.rows(list(dividends.values()), partial(_dividend, reading, envelope, zone, meta.get("currency")))


def _split(envelope: Envelope, zone: ZoneInfo, event: dict[str, Any]) -> Action:
    ratio = round(event["numerator"] / event["denominator"], 12)
    return Action(**envelope, kind="split", ex_date=_ex_date(event, zone), ratio=ratio)


def _dividend(reading: Reading, envelope: Envelope, zone: ZoneInfo, listed_in: Any, event: dict[str, Any]) -> Action:
    """The currency of the listing, unless the event names its own (an empty text does not)."""
    unit = event.get("currency") or listed_in
    return Action(
        **envelope,
        kind="dividend",
        ex_date=_ex_date(event, zone),
        amount_adjusted=scaled(number(event["amount"]), minor(unit)),
        currency=reading.currency(unit),
    )


def _ex_date(event: Mapping[str, Any], zone: ZoneInfo) -> str | None:
    ms = millis(event["date"], "s")
    return None if ms is None else local_date(ms, zone)


def _session_quote(reading: Reading, chart: dict[str, Any]) -> Quote | Missing:
    """`chartPreviousClose` is the close before the first bar: the previous session's only in a chart of one day."""
    meta = chart["meta"]
    one_day = meta.get("range") == "1d"
    opens = chart["indicators"]["quote"][0].get("open") or [None]
    previous = meta.get("previousClose") or (meta.get("chartPreviousClose") if one_day else None)
    session = {"regularMarketOpen": opens[0] if one_day else None, "regularMarketPreviousClose": previous}
    return read_quote(reading, {**meta, **session})


def parse_download(reading: Reading) -> Iterator[Item]:
    """The retired CSV names neither symbol nor currency."""
    rows = reading.csv("Date", "Open", "High", "Low", "Close", "Adj Close", "Volume")

    def column(name: str) -> list[float | None]:
        return cells([row[name] for row in rows])

    yield BarColumns(
        envelope=reading.of(),
        interval=INTERVALS[reading.params["interval"]],
        adjustment="split",
        ts=days([row["Date"] for row in rows]),
        open=column("Open"),
        high=column("High"),
        low=column("Low"),
        close=column("Close"),
        volume=column("Volume"),
        adj_close=column("Adj Close"),
    )


# -- quotes ----------------------------------------------------------------------------------------------------------


def parse_quotes(reading: Reading) -> Iterator[Item]:
    """Unknown symbols are left out without a word."""
    yield from reading.rows(reading.json["quoteResponse"]["result"] or [], partial(read_quote, reading))


def read_quote(reading: Reading, row: Mapping[str, Any]) -> Quote | Missing:
    """Read a row of `regularMarket…` fields; price and time are the regular session's, never those after hours."""
    row = plain(row)
    envelope = reading.of(row["symbol"])
    asset_class = envelope["asset_class"]
    factor = minor(row.get("currency"))

    def money(name: str) -> float | None:
        value = number(row.get(name))
        return scaled(value if asset_class == "commodity" else value or None, factor)

    last, bid, ask = money("regularMarketPrice"), price(row.get("bid")), price(row.get("ask"))
    if last is None and bid is None and ask is None:
        if row.get("quoteType") != "NONE":  # which is a symbol that Yahoo has but nothing of it
            one_of(row, "regularMarketPrice")
        return Missing(envelope["symbol"], UnknownSymbol(f"yahoo has no price of {envelope['symbol']}"))
    lots = ROUND_LOT if asset_class in SHARES and not split_listing(envelope["symbol"]) else 1
    volume = number(row.get("regularMarketVolume"))
    if asset_class in {"forex", "fund", "index"}:
        volume = volume or None
    in_money = asset_class == "crypto"
    ts = millis(row.get("regularMarketTime"), "s")
    return Quote(
        **envelope,
        ts=reading.answer.observed_at if ts is None else ts,
        ts_estimated=ts is None,
        price=last,
        bid=scaled(bid, factor),
        ask=scaled(ask, factor),
        bid_size=scaled(price(row.get("bidSize")), lots) if bid else None,
        ask_size=scaled(price(row.get("askSize")), lots) if ask else None,
        open=money("regularMarketOpen"),
        high=money("regularMarketDayHigh"),
        low=money("regularMarketDayLow"),
        prev_close=money("regularMarketPreviousClose"),
        volume=None if in_money else volume,
        quote_volume=volume if in_money else None,
        currency=reading.currency(row.get("currency")),
    )
