"""What EODHD says of markets: bars, quotes, splits and dividends, listings. Its clocks and units: see `eodhd`."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.calls import DAY_MS
from connectors.eodhd import names
from connectors.eodhd.rows import Row, known, money, table, values, within
from connectors.errors import UnknownSymbol
from connectors.fields import (
    cells,
    days,
    iso_date,
    millis,
    minor,
    number,
    period_start,
    price,
    scaled,
    text,
    times,
    utc_date,
)
from connectors.items import BarColumns, Item, LeftOut, Missing
from connectors.reading import Reading, objects
from connectors.records import Action, Asset, Envelope, Quote

# -- bars and quotes -------------------------------------------------------------------------------------------------


def _frame(envelope: Envelope, interval: str, ts: list[int | None], rows: list[Row]) -> BarColumns:
    def prices(name: str) -> list[float | None]:
        return cells([row.get(name) for row in rows], zero_absent=envelope["asset_class"] != "commodity")

    return BarColumns(
        envelope=envelope,
        interval=interval,
        adjustment="raw",
        currency=money(envelope),
        ts=ts,
        open=prices("open"),
        high=prices("high"),
        low=prices("low"),
        close=prices("close"),
        volume=cells([row.get("volume") for row in rows]),
        adj_close=prices("adjusted_close"),
    )


def parse_eod(reading: Reading) -> Iterator[Item]:
    """Read days, weeks or months: raw prices beside `adjusted_close`, volumes adjusted for splits."""
    found, strays = objects(table(reading, "date", "close"))
    rows, others = within(reading, found, "date")
    yield from (*strays, *others)
    if rows:
        interval = reading.call.interval or "1d"
        ts = [period_start(day, interval) for day in days(row.get("date") for row in rows)]
        yield _frame(reading.of(reading.params["symbol"]), interval, ts, rows)


def parse_intraday(reading: Reading) -> Iterator[Item]:
    """Read bars within the day: raw prices, stamped with UTC seconds."""
    found, strays = objects(table(reading, "timestamp", "close"))
    rows, others = within(reading, found, "timestamp")
    yield from (*strays, *others)
    if rows:
        ts = times([row.get("timestamp") for row in rows], "s")
        yield _frame(reading.of(reading.params["symbol"]), reading.call.interval or "1h", ts, rows)


def _listed(reading: Reading, row: Row) -> Envelope:
    """Whole-market rows give code and exchange apart, the latter under a name of each table's own."""
    place = row.get("exchange_short_name") or row.get("exchange") or row.get("ex") or reading.params["exchange"]
    return reading.of(f"{row['code']}.{place}")


def parse_bulk(reading: Reading) -> Iterator[Item]:
    """Read one day of an exchange, a frame of one bar for each listing."""

    def frame(row: Row) -> BarColumns:
        return _frame(_listed(reading, row), "1d", days([row["date"]]), [row])

    # some listings come twice
    once = {str(row): row for row in table(reading, "code", "date", "close")}
    found, strays = objects(list(once.values()))
    rows, others = within(reading, found, "date")
    yield from (*strays, *others)
    yield from reading.rows(rows, frame)


FROZEN_MS = 30 * DAY_MS
"""Older values are those of a code that is no more: no exchange closes so long, few listings trade so rarely."""


def _frozen(reading: Reading, envelope: Envelope, ts: int | None) -> Missing | None:
    """A code that was delisted or renamed is answered with its last values for ever: it is unknown."""
    if ts is None or reading.answer.observed_at - ts <= FROZEN_MS:
        return None
    symbol = envelope["symbol"]
    said = f"eodhd's last value of {symbol} is of {utc_date(ts)}: it was delisted or renamed"
    return Missing(symbol, UnknownSymbol(said))


def _quote(reading: Reading, row: Row) -> Quote | Missing | None:
    """An unknown symbol is answered with "NA" in every field."""
    if (last := price(row["close"])) is None:
        return None
    envelope = reading.of(row["code"])
    ts, volume = millis(row.get("timestamp"), "s"), number(row.get("volume"))
    if gone := _frozen(reading, envelope, ts):
        return gone
    return Quote(
        **envelope,
        ts=reading.answer.observed_at if ts is None else ts,
        ts_estimated=ts is None,
        price=last,
        open=price(row.get("open")),
        high=price(row.get("high")),
        low=price(row.get("low")),
        prev_close=price(row.get("previousClose")),
        volume=(volume or None) if envelope["asset_class"] in {"forex", "index", "fund"} else volume,
        currency=money(envelope),
    )


def parse_live(reading: Reading) -> Iterator[Item]:
    """Read delayed quotes: one object, or a list when several symbols were asked; `NA` is absent."""
    body = reading.json
    listed = known(body if isinstance(body, list) else [body], "code", "close")
    yield from reading.rows(listed, lambda row: _quote(reading, row))


def _us_quote(reading: Reading, row: Row) -> Quote | Missing:
    """Sizes are left out: whether they count shares or round lots is not documented."""
    last = price(row.get("lastTradePrice"))
    traded, quoted = millis(row.get("lastTradeTime"), "ms"), millis(row.get("bidTime"), "ms")
    ts = quoted if last is None else traded
    envelope = reading.of(row["symbol"])
    if gone := _frozen(reading, envelope, ts):
        return gone
    return Quote(
        **envelope,
        ts=reading.answer.observed_at if ts is None else ts,
        ts_estimated=ts is None,
        price=last,
        bid=price(row.get("bidPrice")),
        ask=price(row.get("askPrice")),
        open=price(row.get("open")),
        high=price(row.get("high")),
        low=price(row.get("low")),
        prev_close=price(row.get("previousClosePrice")),
        volume=number(row.get("volume")),
        currency=reading.currency(row.get("currency")),
    )


def parse_us_quotes(reading: Reading) -> Iterator[Item]:
    """Read delayed US quotes by symbol, stamped in milliseconds."""
    yield from reading.rows(values(reading.json["data"]), lambda row: _us_quote(reading, row))


# -- corporate actions -----------------------------------------------------------------------------------------------


def _dividend(reading: Reading, envelope: Envelope, row: Row) -> Action:
    """What is adjusted for later splits is `value` (JSON), `dividends` (CSV) or `dividend` (whole market)."""
    unit = row.get("currency")
    adjusted = row.get("value", row.get("dividends", row.get("dividend")))
    # a whole market's rows are of one day, on which the two agree
    paid = row.get("unadjustedValue", row.get("dividend"))
    return Action(
        **envelope,
        kind="dividend",
        ex_date=iso_date(row["date"]),
        amount=scaled(number(paid), minor(unit)),
        amount_adjusted=scaled(number(adjusted), minor(unit)),
        currency=reading.currency(unit),
        record_date=iso_date(row.get("recordDate")),
        pay_date=iso_date(row.get("paymentDate")),
        declared_date=iso_date(row.get("declarationDate")),
    )


def _split(envelope: Envelope, row: Row) -> Action:
    """`7.000000/1.000000` is new over old."""
    new, old = str(row.get("split", row.get("stock splits"))).split("/")
    ratio = (number(new) or 0.0) / (number(old) or 0.0)
    return Action(**envelope, kind="split", ex_date=iso_date(row["date"]), ratio=round(ratio, 12))


def parse_dividends(reading: Reading) -> Iterator[Item]:
    """Read the dividends of one symbol, from JSON or CSV; the CSV has adjusted amounts only."""
    envelope = reading.of(reading.params["symbol"])
    yield from reading.rows(table(reading, "date"), lambda row: _dividend(reading, envelope, row))


def parse_splits(reading: Reading) -> Iterator[Item]:
    """Read the splits of one symbol, from JSON or CSV: new over old."""
    envelope = reading.of(reading.params["symbol"])
    yield from reading.rows(table(reading, "date"), lambda row: _split(envelope, row))


def parse_bulk_dividends(reading: Reading) -> Iterator[Item]:
    """Read the dividends of an exchange with this ex-date."""
    rows = table(reading, "code", "date", "dividend")
    yield from reading.rows(rows, lambda row: _dividend(reading, _listed(reading, row), row))


def parse_bulk_splits(reading: Reading) -> Iterator[Item]:
    """Read the splits of an exchange on this day."""
    rows = table(reading, "code", "date", "split")
    yield from reading.rows(rows, lambda row: _split(_listed(reading, row), row))


# -- listings --------------------------------------------------------------------------------------------------------


def _asset(reading: Reading, row: Row) -> Item:
    """Names are capitalised in JSON. A code is taken as it stands, for `NA` and `NAN` are tickers."""
    row = {name.lower(): value for name, value in row.items()}
    kind = names.ASSET_TYPES.get((text(row["type"]) or "").lower())
    if kind is None:
        return LeftOut()
    code, listed = row["code"], text(row.get("exchange")) or reading.params["exchange"]
    mic, country = names.place(listed)
    return Asset(
        **reading.of(f"{code}.{listed}", kind),
        name=text(row.get("name")),
        exchange=mic,
        currency=reading.currency(row.get("currency")),
        country=country,
        active=reading.params.get("delisted") != "1",
        isin=text(row.get("isin")),
        provider_symbol=f"{code}.{'US' if listed in names.US_NAMES else listed}",
    )


def parse_assets(reading: Reading) -> Iterator[Item]:
    """Read the listings of an exchange; bonds, rates and notes are left out."""
    yield from reading.rows(table(reading, "code", "type"), lambda row: _asset(reading, row))
