"""What Alpha Vantage says of prices: bars, quotes, dividends and splits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from connectors import errors
from connectors.alphavantage.names import INTRADAY, LISTED, day, is_csv, plain, table
from connectors.alphavantage.requests import COMPACT
from connectors.fields import (
    NEW_YORK,
    column,
    days,
    iso_date,
    iso_time,
    local_date,
    number,
    period_start,
    price,
    shown,
    wall_times,
)
from connectors.items import BarColumns, Item, LeftOut, Reject
from connectors.reading import Reading, objects
from connectors.records import Action, Envelope, Quote

ZONES = MappingProxyType({"US/Eastern": NEW_YORK, "UTC": ZoneInfo("UTC")})
FIRST_MONTH = "2000-01"  # of TIME_SERIES_INTRADAY


# -- bars ------------------------------------------------------------------------------------------------------------


def _series(reading: Reading) -> tuple[dict[str, Any], list[dict[str, Any]], list[Reject]]:
    """Return (meta data, rows with their `timestamp`, strays) of a time series; CSV has no meta data."""
    if is_csv(reading):
        return {}, [plain(row) for row in reading.csv("timestamp", "open", "high", "low", "close")], []
    body = reading.json
    series = next((body[name] for name in body if "Time Series" in name), None)
    if not isinstance(series, dict):
        raise errors.MalformedPayload(f"no time series among {shown(list(body))}")
    dated = [{**plain(row), "timestamp": at} if isinstance(row, dict) else row for at, row in series.items()]
    rows, strays = objects(dated)
    if rows and not any("close" in row for row in rows):
        raise errors.MalformedPayload(f"the bars have {shown(list(rows[0]))} and no close")
    return plain(body.get("Meta Data") or {}), rows, strays


def _frame(reading: Reading, meta: dict[str, Any], rows: list[dict[str, Any]]) -> BarColumns:
    base = meta.get("from_symbol") or meta.get("digital_currency_code")
    quote = meta.get("to_symbol") or meta.get("market_code")
    envelope = reading.of(f"{base}/{quote}" if base and quote else meta.get("symbol"))
    interval, listed = reading.call.interval or "1d", envelope["asset_class"] in LISTED
    as_traded = not listed or interval not in INTRADAY or reading.params.get("adjusted") == "false"
    return BarColumns(
        envelope=envelope,
        interval=interval,
        adjustment="raw" if as_traded else "total",
        currency=_currency(envelope),
        ts=_starts([row["timestamp"] for row in rows], interval, meta.get("time_zone"), listed),
        open=column(rows, "open"),
        high=column(rows, "high"),
        low=column(rows, "low"),
        close=column(rows, "close"),
        volume=column(rows, "volume"),
        adj_close=column(rows, "adjusted_close"),
    )


def _starts(stamps: list[str], interval: str, zone_name: str | None, listed: bool) -> list[int | None]:
    """Weeks and months are stamped with their last trading day."""
    if interval not in INTRADAY:
        return [period_start(at, interval) for at in days(stamps)]
    zone = ZONES.get(zone_name or ("US/Eastern" if listed else "UTC"))
    if zone is None:
        raise errors.MalformedPayload(f"unknown time zone {shown(zone_name)}")
    return wall_times(stamps, zone)


def _currency(envelope: Envelope) -> str | None:
    return re.split("[-/]", envelope["symbol"])[-1] if envelope["asset_class"] in {"crypto", "forex"} else None


def _oldest(frame: BarColumns) -> int | None:
    return min((at for at in frame.ts if at is not None), default=None)


def bars(reading: Reading) -> Iterator[Item]:
    """A compact answer that does not reach the start is followed by the full one."""
    meta, rows, strays = _series(reading)
    yield from strays
    if rows:
        yield (frame := _frame(reading, meta, rows))
        start, oldest = reading.call.start, _oldest(frame)
        compact = reading.params.get("outputsize") == "compact" and len(rows) >= COMPACT
        if compact and start is not None and oldest is not None and oldest > start:
            yield reading.following(outputsize="full")


def adjusted_bars(reading: Reading) -> Iterator[Item]:
    """Only daily rows date their actions; a week's or month's dividends are sums."""
    yield from bars(reading)
    meta, rows, _ = _series(reading)

    def actions(row: dict[str, Any]) -> Iterator[Item]:
        envelope, ex_date = reading.of(meta.get("symbol")), str(iso_date(row["timestamp"]))
        if amount := number(row["dividend_amount"]):
            yield Action(**envelope, kind="dividend", ex_date=ex_date, amount=amount)
        if (ratio := number(row["split_coefficient"])) not in {None, 1.0}:
            yield Action(**envelope, kind="split", ex_date=ex_date, ratio=ratio)

    yield from reading.rows(rows, actions)


def intraday_bars(reading: Reading) -> Iterator[Item]:
    """Months are asked from the newest to the start; one before the listing is answered by an error and is the end."""
    if "Error Message" in reading.object:
        this_month = local_date(reading.answer.observed_at, NEW_YORK)[:7]
        if reading.params.get("month", "") > this_month:  # a range may end in the future
            yield reading.following(month=this_month)
        return
    meta, rows, strays = _series(reading)
    yield from strays
    oldest = None
    if rows:
        frame = _frame(reading, meta, rows)
        yield frame
        oldest = _oldest(frame)
    if reading.call.start is None:
        return
    month = _month_before(reading, reading.call.start, oldest)
    if month and month >= max(local_date(reading.call.start, NEW_YORK)[:7], FIRST_MONTH):
        yield reading.following(month=month)


def _month_before(reading: Reading, start: int, oldest: int | None) -> str | None:
    """Return the month before the one asked; after the last 30 days, the month in which they begin."""
    if month := reading.params.get("month"):
        return (date.fromisoformat(f"{month}-01") - timedelta(days=1)).isoformat()[:7]
    return local_date(oldest, NEW_YORK)[:7] if oldest is not None and oldest > start else None


def commodity(reading: Reading) -> Iterator[Item]:
    """One average a period is no bar, and a spot price is not the future of the same name."""
    yield from table(reading, lambda _: LeftOut(), "timestamp", "value", member="data")


# -- quotes ----------------------------------------------------------------------------------------------------------


def single_quote(reading: Reading) -> Iterator[Item]:
    """Only the trading day is said, no time. An unknown symbol is answered by an empty object.

    With an entitlement the name of the object says more: "Global Quote - DATA DELAYED BY 15 MINUTES".
    """
    rows = reading.csv("symbol", "price") if is_csv(reading) else [_member(reading.json, "Global Quote")]
    yield from reading.rows(rows, lambda row: _quote(reading, plain(row), "price", None))


def _member(body: dict[str, Any], name: str) -> Any:
    """The member of that name, or whose name begins with it. Raises `MalformedPayload`."""
    for found, value in body.items():
        if found.startswith(name):
            return value
    raise errors.MalformedPayload(f"no {shown(name)} among {shown(list(body))}")


def bulk_quotes(reading: Reading) -> Iterator[Item]:
    """`close` is the regular session's last price; unknown symbols are rows of empty texts."""

    def read(row: dict[str, Any]) -> Quote | None:
        return _quote(reading, row, "close", iso_time(row.get("timestamp"), NEW_YORK))

    yield from table(reading, read, "symbol", "timestamp", "close", member="data")


def _quote(reading: Reading, row: dict[str, Any], last: str, ts: int | None) -> Quote | None:
    if not row or (paid := price(row[last])) is None:
        return None
    return Quote(
        **reading.of(row["symbol"]),
        ts=reading.answer.observed_at if ts is None else ts,
        ts_estimated=ts is None,
        price=paid,
        open=price(row.get("open")),
        high=price(row.get("high")),
        low=price(row.get("low")),
        prev_close=price(row.get("previous_close")),
        volume=number(row.get("volume")),
    )


def exchange_rate(reading: Reading) -> Iterator[Item]:
    """Read the rate of a currency or coin in another one; its wall clock names its zone."""

    def read(given: dict[str, Any]) -> Quote:
        row = plain(given)
        envelope = reading.of(f"{row['from_currency_code']}/{row['to_currency_code']}")
        ts = iso_time(row.get("last_refreshed"), ZONES[row["time_zone"]])
        return Quote(
            **envelope,
            ts=reading.answer.observed_at if ts is None else ts,
            ts_estimated=ts is None,
            price=price(row.get("exchange_rate")),
            bid=price(row.get("bid_price")),
            ask=price(row.get("ask_price")),
            currency=_currency(envelope),
        )

    yield from reading.rows([_member(reading.json, "Realtime Currency Exchange Rate")], read)


# -- corporate actions -----------------------------------------------------------------------------------------------


def dividends(reading: Reading) -> Iterator[Item]:
    """Amounts are as paid; old rows know only their ex-date."""

    def read(row: dict[str, Any]) -> Action:
        return Action(
            **reading.of(reading.object.get("symbol")),
            kind="dividend",
            ex_date=day(row, "ex_dividend_date"),
            amount=number(row["amount"]),
            record_date=iso_date(row.get("record_date")),
            pay_date=iso_date(row.get("payment_date")),
            declared_date=iso_date(row.get("declaration_date")),
        )

    yield from table(reading, read, "ex_dividend_date", "amount", member="data")


def splits(reading: Reading) -> Iterator[Item]:
    """`split_factor` is new shares per old."""

    def read(row: dict[str, Any]) -> Action:
        envelope = reading.of(reading.object.get("symbol"))
        return Action(**envelope, kind="split", ex_date=day(row, "effective_date"), ratio=number(row["split_factor"]))

    yield from table(reading, read, "effective_date", "split_factor", member="data")
