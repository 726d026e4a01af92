"""Polygon's bars, quotes, splits and dividends."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from connectors import errors
from connectors import fields as read
from connectors.calls import DAY_MS
from connectors.items import BarColumns, Item, LeftOut, Missing
from connectors.polygon.names import PAIRS, SHARES
from connectors.polygon.rows import Row, each, follow, results, spelled
from connectors.reading import Reading, counted, objects, unrecognised
from connectors.records import Action, AssetClass, Quote
from connectors.refusals import asked

ROUND_LOT = (
    100  # quote sizes of shares count round lots: https://massive.com/docs/stocks/get_v2_last_nbbo__stocksticker
)


# -- bars ------------------------------------------------------------------------------------------------------------


def _currency(symbol: str, asset_class: AssetClass) -> str | None:
    """The quote side of a pair; shares are in dollars, an index in points."""
    if asset_class == "index":
        return None
    return re.split("[-/]", symbol)[-1] if asset_class in PAIRS else "USD"


def _columns(reading: Reading, ticker: str | None, rows: list[Row], ts: list[int | None], names: str) -> BarColumns:
    """Make columns of `rows`; `names` are the provider's names of open, high, low, close, volume, vwap and trades."""
    envelope = reading.of(ticker)
    asset_class = envelope["asset_class"]
    adjusted = reading.json.get("adjusted", reading.params.get("adjusted") != "false")
    opened, high, low, close, volume, vwap, trades = (read.column(rows, name) for name in names.split())
    return BarColumns(
        envelope=envelope,
        interval=reading.call.interval or "1d",
        adjustment="split" if adjusted and asset_class in SHARES else "raw",
        currency=_currency(envelope["symbol"], asset_class),
        ts=ts,
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=volume,
        vwap=[at or None for at in vwap],
        trades=trades,
    )


def _frame(reading: Reading, ticker: str | None, rows: list[Row]) -> BarColumns:
    interval = reading.call.interval or "1d"
    ts = read.times([row.get("t") for row in rows], "ms")
    if interval in {"1d", "1w", "1mo"}:
        days = ts if reading.of(ticker)["asset_class"] in PAIRS else [read.local_day(at, read.NEW_YORK) for at in ts]
        sunday = DAY_MS if interval == "1w" else 0
        ts = [read.period_start(None if at is None else at + sunday, interval) for at in days]
    return _columns(reading, ticker, rows, ts, "o h l c v vw n")


def parse_aggregates(reading: Reading) -> Iterator[Item]:
    """Read the bars of one ticker, stamped in ms; `adjusted` says whether for splits."""
    rows, strays = objects(results(reading), *"ohlc")
    yield from strays
    if rows:
        yield _frame(reading, read.text(reading.json.get("ticker")) or reading.params.get("ticker"), rows)
    yield from follow(reading)


def _grouped(reading: Reading, row: Row) -> BarColumns:
    read.one_of(row, *"ohlc")
    return _frame(reading, row["T"], [row])


parse_grouped = each(_grouped)


def parse_open_close(reading: Reading) -> Iterator[Item]:
    """`from` is the date; a time after it is meaningless."""
    row = reading.json
    read.one_of(row, "open", "high", "low", "close")
    ts = [read.midnight(read.iso_date(row["from"]))]
    yield _columns(reading, row["symbol"], [row], ts, "open high low close volume vwap trades")


# -- quotes ----------------------------------------------------------------------------------------------------------


def _since_epoch(value: Any) -> int | None:
    """Shares say ns, crypto and forex ms, in the same field: distinguished by size."""
    return read.millis(value, "ns" if isinstance(value, int) and abs(value) > 10**15 else "ms") or None


def _quote(reading: Reading, ticker: str, at: list[Any], values: Mapping[str, Any]) -> Quote | None:
    """Make a quote whose time is the first of `at` that is there; None without any price."""
    envelope = reading.of(ticker)
    paid, bid, ask = (read.price(values.get(name)) for name in ("price", "bid", "ask"))
    if not (paid or bid or ask):
        return None
    ts = next((found for value in at if (found := _since_epoch(value)) is not None), None)
    lot = ROUND_LOT if envelope["asset_class"] in SHARES else 1.0
    uncounted = envelope["asset_class"] in {"forex", "index"}  # a currency's volume is a number of quotes
    return Quote(
        **envelope,
        ts=reading.answer.observed_at if ts is None else ts,
        ts_estimated=ts is None,
        price=paid,
        bid=bid,
        ask=ask,
        bid_size=read.scaled(read.size(values.get("bid_size")), lot) if bid else None,
        ask_size=read.scaled(read.size(values.get("ask_size")), lot) if ask else None,
        open=read.price(values.get("open")),
        high=read.price(values.get("high")),
        low=read.price(values.get("low")),
        prev_close=read.price(values.get("prev_close")),
        volume=None if uncounted else read.number(values.get("volume")),
        currency=_currency(envelope["symbol"], envelope["asset_class"]),
    )


PARTS = ("day", "prevDay", "lastTrade", "lastQuote")
"""Objects of a snapshot that are read; which of them it has depends on the plan."""


def _snapshot(reading: Reading, row: Row) -> Iterator[Item]:
    """The sides of shares are P/S (ask) and p/s (bid), those of currencies a and b.

    Plans without trades and quotes have neither `lastTrade` nor `lastQuote`: the running day's close is the price.
    `updated` can lie hours ahead, so it is the time of last resort:
    https://massive.com/docs/stocks/get_v2_snapshot_locale_us_markets_stocks_tickers
    """
    trade, quote, day = row.get("lastTrade") or {}, row.get("lastQuote") or {}, row.get("day") or {}
    bare = not trade and not quote
    yield from unrecognised(row, PARTS, ("min", "fmv"))
    values = {
        "price": day.get("c") if bare else trade["p"] if trade else None,
        "bid": quote.get("p", quote.get("b")),
        "ask": quote.get("P", quote.get("a")),
        "bid_size": quote.get("s"),
        "ask_size": quote.get("S"),
        "open": day.get("o"),
        "high": day.get("h"),
        "low": day.get("l"),
        "volume": day.get("v"),
        "prev_close": (row.get("prevDay") or {}).get("c"),
    }
    at = [row.get("updated")] if bare else [trade.get("t"), quote.get("t")]
    if found := _quote(reading, row["ticker"], at, values):
        yield found


def parse_snapshots(reading: Reading) -> Iterator[Item]:
    """Read snapshots of several tickers, or the one of a ticker: sizes of shares count round lots."""
    body = reading.json
    rows = counted(body["tickers"], body.get("count")) if "tickers" in body else [body["ticker"]]
    yield from reading.rows(rows, lambda row: _snapshot(reading, row))


def _universal(reading: Reading, row: Row) -> Item | None:
    """A ticker's refusal stands in its own row: https://massive.com/docs/stocks/get_v3_snapshot."""
    if row.get("type") == "options":
        return LeftOut()
    if error := row.get("error"):
        symbol, said = reading.canonical(row["ticker"])[0], str(row.get("message") or error)
        if error == "NOT_FOUND":
            return Missing(symbol, errors.UnknownSymbol(said))
        return Missing(symbol, errors.NotEntitled(said, scope=asked(reading, symbols=(symbol,))))
    trade, quote, session = (row.get(name) or {} for name in ("last_trade", "last_quote", "session"))
    last = trade.get("price", row.get("value"))
    values = {
        **session,
        **quote,
        "price": session.get("price") if last is None else last,
        "prev_close": session.get("previous_close"),
    }
    at = [trade.get("sip_timestamp"), trade.get("last_updated"), quote.get("last_updated"), row.get("last_updated")]
    return _quote(reading, row["ticker"], at, values)


parse_universal = each(_universal)


def parse_last(reading: Reading) -> Iterator[Item]:
    """The last trade (`p` is its price) or the last quote (`p` is the bid, `P` the ask) of a share."""
    row = reading.json["results"]
    quoted = "/nbbo/" in reading.request.path
    sides = {"bid": row.get("p"), "ask": row.get("P"), "bid_size": row.get("s"), "ask_size": row.get("S")}
    read.one_of(row, *("pP" if quoted else "p"))
    if found := _quote(reading, row["T"], [row.get("t")], sides if quoted else {"price": row["p"]}):
        yield found


def parse_last_pair(reading: Reading) -> Iterator[Item]:
    """The v1 answers for crypto (a trade) and forex (a two-sided quote): ms, symbol with its separator."""
    last = reading.json["last"]
    names = ("price", "bid", "ask")
    read.one_of(last, *names)
    sides = {name: last.get(name) for name in names}
    if found := _quote(reading, reading.json["symbol"], [last.get("timestamp")], sides):
        yield found


# -- actions ---------------------------------------------------------------------------------------------------------


def _dividend(reading: Reading, row: Row) -> Action:
    """The retired v2 uses camelCase; amounts are as paid, beside what later splits made of them since 2026."""

    def day(new: str, old: str) -> str | None:
        return read.iso_date(row.get(new, row.get(old)))

    return Action(
        **reading.of(row["ticker"]),
        kind="dividend",
        ex_date=day("ex_dividend_date", "exDate"),
        amount=read.number(row.get("cash_amount", row.get("amount"))),
        amount_adjusted=read.number(row.get("split_adjusted_cash_amount")),
        adjustment_factor=read.number(row.get("historical_adjustment_factor")),
        currency=reading.currency(spelled(row.get("currency"))),
        record_date=day("record_date", "recordDate"),
        pay_date=day("pay_date", "paymentDate"),
        declared_date=day("declaration_date", "declaredDate"),
    )


parse_dividends = each(_dividend)


def _split(reading: Reading, row: Row) -> Action:
    """Both sides are given; the retired v2 gives old/new, the inverse of our ratio."""
    new, old = (row["split_to"], row["split_from"]) if "split_to" in row else (1, row["ratio"])
    above, below = read.number(new), read.number(old)
    return Action(
        **reading.of(row["ticker"]),
        kind="split",
        ex_date=read.iso_date(row.get("execution_date", row.get("exDate"))),
        ratio=round(above / below, 12) if above and below else None,
        adjustment_factor=read.number(row.get("historical_adjustment_factor")),
    )


parse_splits = each(_split)


def parse_ticker_events(reading: Reading) -> Iterator[Item]:
    """Read the tickers that an instrument has had, each with its first date, as changes from one to the next."""
    rows, strays = objects(reading.json["results"]["events"])
    yield from strays
    changes = [event for event in rows if event["type"] == "ticker_change"]
    dated = sorted(changes, key=lambda event: str(event.get("date")))
    yield from reading.rows(list(pairwise(dated)), lambda pair: _symbol_change(reading, *pair))


def _symbol_change(reading: Reading, before: Row, after: Row) -> Action | None:
    """None where the ticker stays: an event can be a listing, too."""
    old, new = (row["ticker_change"]["ticker"] for row in (before, after))
    if old == new:
        return None
    day, symbol = read.iso_date(after["date"]), reading.canonical(new)[0]
    return Action(**reading.of(old), kind="symbol_change", ex_date=day, new_symbol=symbol)
