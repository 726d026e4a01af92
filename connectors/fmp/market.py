"""What Financial Modeling Prep says of markets: bars, quotes, actions, listings. Its clocks: see `fmp`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from connectors import errors
from connectors.endpoints import Parse
from connectors.fields import (
    NEW_YORK,
    cells,
    country,
    days,
    iso_date,
    millis,
    number,
    one_of,
    price,
    scaled,
    size,
    text,
    wall_times,
)
from connectors.fmp.names import EXCHANGE_CLASSES, INTERVALS, UNADJUSTED, exchange_mic, pair_currency, share_class
from connectors.items import BarColumns, Item
from connectors.reading import Reading, objects
from connectors.records import INTERVAL_MS, Action, Adjustment, Asset, Envelope, Quote

HOUR_MS = INTERVAL_MS["1h"]

# -- bars ------------------------------------------------------------------------------------------------------------

PLAIN = ("open", "high", "low", "close")
ADJUSTED = ("adjOpen", "adjHigh", "adjLow", "adjClose")


def _major(envelope: Envelope, spelling: Any) -> float:
    """USX is cents."""
    return 0.01 if envelope["asset_class"] == "commodity" and str(spelling).endswith("USX") else 1.0


def _eastern(stamps: list[Any]) -> list[int | None]:
    """The hour that the clock repeats in autumn follows from the order of the rows: its second pass is the newer."""
    ts = wall_times(stamps, NEW_YORK)
    before = None
    for i in reversed(range(len(ts))):
        at = ts[i]
        if at is None:
            continue
        if before is not None and at <= before and datetime.fromtimestamp((at + HOUR_MS) / 1000, NEW_YORK).fold:
            at += HOUR_MS
            ts[i] = at
        before = at
    return ts


def _frame(
    reading: Reading,
    spelling: str | None,
    rows: list[dict[str, Any]],
    *,
    interval: str,
    adjustment: Adjustment,
    names: tuple[str, ...] = PLAIN,
) -> BarColumns:
    envelope = reading.of(spelling)
    factor = _major(envelope, spelling)
    zero_absent = envelope["asset_class"] != "commodity"

    def prices(name: str) -> list[float | None]:
        read = cells([row.get(name) for row in rows], zero_absent=zero_absent)
        return read if factor == 1 else [scaled(value, factor) for value in read]

    stamps = [row.get("date") for row in rows]
    volume = cells([row.get("volume") for row in rows])
    in_money = envelope["asset_class"] == "crypto"
    opened, high, low, close = map(prices, names)
    return BarColumns(
        envelope=envelope,
        interval=interval,
        adjustment="raw" if envelope["asset_class"] in UNADJUSTED else adjustment,
        currency=pair_currency(envelope),
        ts=days(stamps) if interval == "1d" else _eastern(stamps),
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=[None] * len(rows) if in_money else volume,
        quote_volume=volume if in_money else None,
        vwap=prices("vwap"),
        adj_close=prices("adjClose") if names is PLAIN else None,
    )


def daily(adjustment: Adjustment, names: tuple[str, ...] = PLAIN) -> Parse:
    """Daily bars of one symbol; the endpoint fixes their adjustment, `names` its words for open, high, low, close."""

    def parse(reading: Reading) -> Iterator[Item]:
        rows, strays = objects(reading.json, *names)
        yield from strays
        spellings = {row["symbol"] for row in rows}
        if len(spellings) > 1:
            raise errors.MalformedPayload(f"one symbol was asked, rows are of {len(spellings)}")
        if rows:
            yield _frame(reading, spellings.pop(), rows, interval="1d", adjustment=adjustment, names=names)

    return parse


def intraday(reading: Reading) -> Iterator[Item]:
    """Read intraday bars: rows have no symbol, it is the one asked for."""
    rows, strays = objects(reading.json, *PLAIN)
    yield from strays
    interval = INTERVALS[reading.params["interval"]]
    adjustment: Adjustment = "raw" if reading.params.get("nonadjusted") == "true" else "split"
    if rows:
        yield _frame(reading, reading.params.get("symbol"), rows, interval=interval, adjustment=adjustment)


def retired_daily(reading: Reading) -> Iterator[Item]:
    """Read the retired v3: `{symbol, historical}` of each symbol, split-adjusted, with a fully adjusted close."""
    body = reading.json
    for part in body.get("historicalStockList", [body] if body else []):
        rows, strays = objects(part["historical"], *PLAIN)
        yield from strays
        if rows:
            yield _frame(reading, part["symbol"], rows, interval="1d", adjustment="split")


# -- quotes ----------------------------------------------------------------------------------------------------------


def _prices(envelope: Envelope, row: Mapping[str, Any]) -> Callable[[str], float | None]:
    factor = _major(envelope, row.get("symbol"))
    read = number if envelope["asset_class"] == "commodity" else price
    return lambda name: scaled(read(row.get(name)), factor)


def _volumes(envelope: Envelope, value: Any) -> dict[str, float | None]:
    volume = number(value)
    if envelope["asset_class"] == "crypto":
        return {"quote_volume": volume}
    return {"volume": (volume or None) if envelope["asset_class"] in {"forex", "fund", "index"} else volume}


def quote(reading: Reading, row: dict[str, Any]) -> Quote | None:
    """Read a quote; `quote-short` has no time and no session."""
    envelope = reading.of(row["symbol"] or "")
    prices = _prices(envelope, row)
    one_of(row, "price")
    if (last := prices("price")) is None:
        return None
    ts = millis(row.get("timestamp"), "s")
    return Quote(
        **envelope,
        ts=reading.answer.observed_at if ts is None else ts,
        ts_estimated=ts is None,
        price=last,
        open=prices("open"),
        high=prices("dayHigh"),
        low=prices("dayLow"),
        prev_close=prices("previousClose"),
        currency=pair_currency(envelope),
        **_volumes(envelope, row.get("volume")),
    )


def after_hours(reading: Reading, row: dict[str, Any]) -> Quote | None:
    """Read the two-sided quote before and after the session, stamped in milliseconds."""
    envelope = reading.of(row["symbol"] or "")
    bid, ask = price(row["bidPrice"]), price(row["askPrice"])
    if bid is None and ask is None:
        return None
    ts = millis(row.get("timestamp"), "ms")
    return Quote(
        **envelope,
        ts=reading.answer.observed_at if ts is None else ts,
        ts_estimated=ts is None,
        bid=bid,
        ask=ask,
        bid_size=size(row.get("bidSize")) if bid else None,
        ask_size=size(row.get("askSize")) if ask else None,
        volume=number(row.get("volume")),
    )


# -- corporate actions -------------------------------------------------------------------------------------------------


def dividend(reading: Reading, row: dict[str, Any]) -> Action:
    """Read a dividend: `dividend` is as paid, `adjDividend` adjusted for later splits."""
    return Action(
        **reading.of(row["symbol"] or ""),
        kind="dividend",
        ex_date=iso_date(row["date"]),
        amount=number(row.get("dividend")),
        amount_adjusted=number(row.get("adjDividend")),
        record_date=iso_date(row.get("recordDate")),
        pay_date=iso_date(row.get("paymentDate")),
        declared_date=iso_date(row.get("declarationDate")),
    )


def split(reading: Reading, row: dict[str, Any]) -> Action:
    """Read a split: numerator new shares for denominator old ones."""
    ratio = round(row["numerator"] / row["denominator"], 12)
    return Action(**reading.of(row["symbol"] or ""), kind="split", ex_date=iso_date(row["date"]), ratio=ratio)


# -- listings ----------------------------------------------------------------------------------------------------------


def asset(reading: Reading, row: dict[str, Any]) -> Asset:
    """Read one instrument of any list; lists differ in the fields they hold, and ignore the symbol asked for."""
    code = row.get("exchangeShortName") or row.get("exchange")
    envelope = reading.of(row["symbol"] or "", share_class(row) or EXCHANGE_CLASSES.get(str(code)))
    active = row.get("isActivelyTrading")
    return Asset(
        **envelope,
        name=text(row.get("companyName", row.get("name"))),
        exchange=exchange_mic(envelope["symbol"], code),
        currency=reading.currency(row.get("currency")) or pair_currency(envelope),
        country=country(row.get("country")),
        active=active if isinstance(active, bool) else None,
        listed_date=iso_date(row.get("ipoDate")),
        delisted_date=iso_date(row.get("delistedDate")),
        provider_symbol=row["symbol"],
    )
