"""Massive (formerly Polygon.io): stocks, crypto and forex. Documentation: https://massive.com/docs.

Oddities played on purpose: prices adjusted for splits, never for dividends; volumes are floats; an empty range
has no `results`; daily bars are stamped at midnight of the market's zone and weeks on Sunday, but grouped and
previous-day bars at the close; `limit` counts base bars (minutes or days); `next_url` lacks the key; deprecated
paths say so in their headers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.errors import UnknownInstrument
from sandbox.market.actions import split_divisors
from sandbox.market.bars import NOTHING, Bar, Bars
from sandbox.market.calendars import SUNDAY
from sandbox.market.market import Quote
from sandbox.market.universe import Instrument
from sandbox.polygon import filings, reference
from sandbox.polygon.answers import (
    MARKETS,
    BadParameter,
    Row,
    asked_day,
    asked_number,
    listed,
    market_of,
    next_url,
    not_found,
    request_id,
    tickers,
    with_cursor,
)
from sandbox.polygon.financials import financials
from sandbox.server.limits import Limit, Plan
from sandbox.server.provider import Call, Provider, Reason, Refusal, Reply, Route, named_symbols
from sandbox.server.windows import SPANS, Grid, Page, Reading, read

NEW_YORK = ZoneInfo("America/New_York")
NS = 1_000_000
PRICING = "https://massive.com/pricing"
DEPRECATED = {"Deprecation": "@1771372800", "Sunset": "Fri, 09 Oct 2026 00:00:00 GMT"}
EXCHANGES = {"XNAS": 12, "XNYS": 10, "ARCX": 11}


def _zone(instrument: Instrument) -> tzinfo:
    return UTC if instrument.asset_class in ("crypto", "forex") else NEW_YORK


def aggregates(call: Call) -> Reply:
    """`/v2/aggs/ticker/{ticker}/range/{multiplier}/{span}/{from}/{to}`; an unknown ticker has no bars."""
    asked, instrument = with_cursor(call), tickers().get(call.path["ticker"])
    grid = _grid(call, _zone(instrument) if instrument else NEW_YORK)
    since = _moment(call.path["from"], "from", grid.zone)
    until = _moment(call.path["to"], "to", grid.zone, last=True)
    limit, backward = asked_number(asked, "limit", 5000, 50_000), asked.get("sort", "asc") == "desc"
    if since > until:
        raise BadParameter("The parameter 'to' cannot be a time that occurs before 'from'")
    reach = call.now - call.plan.history if call.plan.history else since
    if since > call.now or until < reach:
        return _not_in_plan(call)
    page = Page(NOTHING, 0, None)
    if instrument:  # both ends are moved outwards to whole windows
        start, end = grid.start(max(since, reach)), grid.end(until)
        reading = Reading(instrument, grid, start, end, limit, backward)
        page = read(call.market, reading, call.now, lambda bars: _adjusted(call, instrument, bars, asked))
    rows = [_row(bar) for bar in call.with_faults(page.bars)]
    if instrument and instrument.asset_class == "index":  # nobody trades an index itself
        rows = [{name: row[name] for name in "ochlt"} for row in rows]
    body = _listed(call, rows[::-1] if backward else rows, asked)
    body |= {"ticker": call.path["ticker"], "queryCount": page.used, "count": len(rows)}
    if page.rest is not None:
        ends = (call.path["from"], page.rest - 1) if backward else (page.rest, call.path["to"])
        path = "/v2/aggs/ticker/{ticker}/range/{multiplier}/{span}".format_map(call.path)
        body["next_url"] = next_url(call, f"{path}/{ends[0]}/{ends[1]}", asked)
    return Reply(body)


def previous_close(call: Call) -> Reply:
    """`/v2/aggs/ticker/{ticker}/prev`: the last trading date before today's."""
    ticker, rows = call.path["ticker"], []
    if instrument := tickers().get(ticker):
        yesterday = call.now.astimezone(_zone(instrument)).date() - timedelta(days=1)
        bars = call.market.daily(instrument.symbol, yesterday - timedelta(days=12), yesterday, call.now)
        last = call.with_faults(_adjusted(call, instrument, bars.take(slice(-1, None)), call.query))
        rows = [{"T": ticker} | _row(bar, _closing(instrument, bar.day)) for bar in last]
    return Reply(_listed(call, rows, call.query) | {"ticker": ticker, "count": len(rows)})


def grouped_daily(call: Call) -> Reply:
    """`/v2/aggs/grouped/locale/{locale}/market/{market}/{date}`: one day of a whole market."""
    market, day, rows = call.path["market"].lower(), asked_day(call.path["date"]), []
    if market not in MARKETS:
        raise BadParameter(f"Invalid market: {market}")
    for ticker, instrument in tickers().items():
        if instrument.asset_class in MARKETS[market]:
            bars = call.market.daily(instrument.symbol, day, day, call.now)
            bars = call.with_faults(_adjusted(call, instrument, bars, call.query))
            rows += [{"T": ticker} | _row(bar, _closing(instrument, day)) for bar in bars]
    return Reply(_listed(call, rows, call.query))


def open_close(call: Call) -> Reply:
    """`/v1/open-close/{ticker}/{date}`."""
    ticker, day = call.path["ticker"], asked_day(call.path["date"])
    if instrument := tickers().get(ticker):
        bars = call.market.daily(instrument.symbol, day, day, call.now)
        for bar in call.with_faults(_adjusted(call, instrument, bars, call.query)):
            prices = {"open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close}
            beyond = {"afterHours": bar.close, "preMarket": bar.open}
            head = {"status": "OK", "from": day.isoformat(), "symbol": ticker}
            return Reply(head | prices | {"volume": bar.volume} | beyond)
    return not_found(call, "Data not found.")


def _adjusted(call: Call, instrument: Instrument, bars: Bars, asked: Mapping[str, str]) -> Bars:
    splits = call.market.splits(instrument.symbol, call.now)
    if asked.get("adjusted") == "false" or not splits:
        return bars
    return bars.scaled(split_divisors(bars.days, splits), max(4, instrument.decimals))


def _row(bar: Bar, stamp: int | None = None) -> dict[str, float | int]:
    return {
        "v": round(bar.volume, 8),
        "vw": round(bar.vwap, 6),
        "o": bar.open,
        "c": bar.close,
        "h": bar.high,
        "l": bar.low,
        "t": bar.start if stamp is None else stamp,
        "n": bar.trades,
    }


def _closing(instrument: Instrument, day: date) -> int:
    """Stamp of the bars of a whole market: 16:00 New York for stocks, the day's last millisecond else."""
    if instrument.asset_class in ("crypto", "forex"):
        return int(datetime.combine(day, time(), UTC).timestamp() * 1000) + 86_399_999
    return int(datetime.combine(day, time(16), NEW_YORK).timestamp() * 1000)


def snapshot(call: Call) -> Reply:
    """`/v2/snapshot/locale/{locale}/markets/{market}/tickers/{ticker}`."""
    ticker = call.path["ticker"]
    row = _snapshot(call, ticker) if ticker in tickers() else None
    if row is None:
        return not_found(call, "Ticker not found.", status="NotFound")
    return Reply({"status": "OK", "request_id": request_id(call), "ticker": row})


def snapshots(call: Call) -> Reply:
    """`/v2/snapshot/locale/{locale}/markets/{market}/tickers`, all or `?tickers=A,B`; unknown ones are left out."""
    classes = MARKETS.get(call.path["market"].lower(), ())
    wanted = [ticker for ticker in call.query.get("tickers", "").split(",") if ticker]
    known = [name for name in wanted or tickers() if name in tickers() and tickers()[name].asset_class in classes]
    rows = [row for ticker in known if (row := _snapshot(call, ticker))]
    return Reply({"status": "OK", "request_id": request_id(call), "count": len(rows), "tickers": rows})


def _snapshot(call: Call, ticker: str) -> dict[str, Any] | None:
    instrument = tickers()[ticker]
    quote = call.quote(instrument.symbol)
    if quote is None:
        return None
    stocks = instrument.asset_class in ("equity", "etf")
    stamp = quote.ts * NS if stocks else quote.ts  # stocks count nanoseconds, the others milliseconds
    change = quote.price - quote.prev_close
    last_quote = _nbbo(quote) | {"t": stamp} if stocks else {"a": quote.ask, "b": quote.bid, "t": stamp, "x": 48}
    trade = {"c": [12], "i": str(quote.today.trades), "p": quote.price, "s": 100, "t": stamp, "x": 12}
    return {
        "day": _summary(quote.today),
        **({"lastQuote": last_quote} if instrument.asset_class != "crypto" else {}),
        **({"lastTrade": trade} if instrument.asset_class != "forex" else {}),
        "min": _minute(quote),
        "prevDay": _summary(quote.previous) if quote.previous else _summary(quote.today),
        "ticker": ticker,
        "todaysChange": round(change, 6),
        "todaysChangePerc": round(100 * change / quote.prev_close, 6),
        "updated": stamp,
    }


def _summary(bar: Bar) -> dict[str, float]:
    return {name: value for name, value in _row(bar).items() if name not in ("t", "n")}


def _minute(quote: Quote) -> dict[str, float | int]:
    if quote.minute is None:
        return {"av": 0, "c": 0, "h": 0, "l": 0, "o": 0, "v": 0, "vw": 0, "t": 0, "n": 0}
    return {"av": quote.today.volume} | _row(quote.minute)


def _nbbo(quote: Quote) -> dict[str, Any]:
    return {"P": quote.ask, "S": quote.ask_size, "p": quote.bid, "s": quote.bid_size}


def universal_snapshot(call: Call) -> Reply:
    """`/v3/snapshot?ticker.any_of=A,B` (of any market, an unknown one as an error), or all of a `type`."""
    asked = with_cursor(call)
    wanted = [ticker for ticker in asked.get("ticker.any_of", "").split(",") if ticker]
    classes = MARKETS.get(asked.get("type", "all"), ())
    names = wanted or [name for name, found in tickers().items() if found.asset_class in classes]
    limit, after = asked_number(asked, "limit", 10, 250), int(asked.get("after", 0))
    rows = [_universal(call, ticker) for ticker in names[after : after + limit]]
    more = after + limit < len(names)
    return listed(call, rows, {**asked, "limit": limit, "after": after + limit} if more else None)


def _universal(call: Call, ticker: str) -> Row:
    instrument = tickers().get(ticker)
    quote = call.quote(instrument.symbol) if instrument else None
    if instrument is None or quote is None:
        return {"error": "NOT_FOUND", "message": "Ticker not found.", "ticker": ticker}
    change, kind, stamp = quote.price - quote.prev_close, market_of(instrument), quote.ts * NS
    row: Row = {"ticker": ticker, "name": instrument.name, "type": kind}
    row["market_status"] = "open" if quote.live else "closed"
    day = {"open": quote.today.open, "high": quote.today.high, "low": quote.today.low, "close": quote.price}
    row["session"] = day | {
        "change": round(change, 6),
        "change_percent": round(100 * change / quote.prev_close, 6),
        "previous_close": quote.prev_close,
    }
    if kind == "indices":
        return row | {"value": quote.price, "timeframe": "REAL-TIME", "last_updated": stamp}
    when = {"last_updated": stamp, "timeframe": "REAL-TIME"}
    row["session"] |= {"volume": quote.today.volume}
    if kind != "crypto":
        sizes = {"bid_size": quote.bid_size, "ask_size": quote.ask_size} if kind == "stocks" else {}
        row["last_quote"] = when | {"bid": quote.bid, "ask": quote.ask} | sizes
    if kind != "fx":
        where = {"size": 100, "exchange": EXCHANGES.get(instrument.exchange, 4), "conditions": [12]}
        row["last_trade"] = when | {"price": quote.price, "id": str(quote.today.trades)} | where
    return row


def last_trade(call: Call) -> Reply:
    """`/v2/last/trade/{ticker}`; times in nanoseconds."""
    return _last(call, lambda quote: {"c": [12, 37], "p": quote.price, "s": 100, "r": 202})


def last_quote(call: Call) -> Reply:
    """`/v2/last/nbbo/{ticker}`; times in nanoseconds."""
    return _last(call, lambda quote: {**_nbbo(quote), "X": 11})


def _last(call: Call, reported: Callable[[Quote], dict[str, Any]]) -> Reply:
    ticker = call.path["ticker"]
    instrument = tickers().get(ticker)
    quote = call.quote(instrument.symbol) if instrument else None
    if instrument is None or quote is None:
        return not_found(call, "Data not found.")
    stamp = quote.ts * NS
    where = {"x": EXCHANGES.get(instrument.exchange, 4), "z": 3, "T": ticker, "i": str(quote.today.trades)}
    when = {"t": stamp + 310_617, "y": stamp, "f": stamp + 205_000, "q": quote.today.trades}
    return Reply({"results": reported(quote) | where | when, "status": "OK", "request_id": request_id(call)})


def last_crypto_trade(call: Call) -> Reply:
    """`/v1/last/crypto/{from}/{to}`; time in milliseconds."""
    name = f"{call.path['from']}-{call.path['to']}"
    return _last_of_pair(
        call, name, lambda quote: {"price": quote.price, "size": 0.002, "exchange": 1, "conditions": [1]}
    )


def last_currency_quote(call: Call) -> Reply:
    """`/v1/last_quote/currencies/{from}/{to}`; time in milliseconds."""
    name = f"{call.path['from']}/{call.path['to']}"
    return _last_of_pair(call, name, lambda quote: {"ask": quote.ask, "bid": quote.bid, "exchange": 48})


def _last_of_pair(call: Call, symbol: str, reported: Callable[[Quote], dict[str, Any]]) -> Reply:
    try:
        quote = call.quote(symbol)
    except UnknownInstrument:
        quote = None
    if quote is None:
        return not_found(call, "Data not found.")
    last = reported(quote) | {"timestamp": quote.ts}
    return Reply({"status": "success", "request_id": request_id(call), "symbol": symbol, "last": last})


def _grid(call: Call, zone: tzinfo) -> Grid:
    multiplier, span = call.path["multiplier"], call.path["span"]
    if not multiplier.isdecimal() or int(multiplier) < 1:
        raise BadParameter(f"Invalid multiplier: {multiplier}")
    if span not in SPANS:
        raise BadParameter(f"Invalid timespan: {span}")
    return Grid(int(multiplier), span, zone, week_begins=SUNDAY)


def _moment(text: str, name: str, zone: tzinfo, last: bool = False) -> datetime:
    """A time parameter; a `last` date reaches to its last millisecond."""
    if text.isdecimal():
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    try:
        day = datetime.combine(date.fromisoformat(text), time(), zone)
    except ValueError:
        raise BadParameter(
            f"Could not parse the time parameter: '{name}'. Use YYYY-MM-DD or Unix MS Timestamps"
        ) from None
    return day + timedelta(days=1, milliseconds=-1) if last else day


def _listed(call: Call, rows: list[dict[str, Any]], asked: Mapping[str, str]) -> dict[str, Any]:
    counts = {"queryCount": len(rows), "resultsCount": len(rows), "adjusted": asked.get("adjusted") != "false"}
    return counts | ({"results": rows} if rows else {}) | {"status": "OK", "request_id": request_id(call)}


def _not_in_plan(call: Call) -> Reply:
    message = f"Your plan doesn't include this data timeframe. Please upgrade your plan at {PRICING}"
    return Reply({"status": "NOT_AUTHORIZED", "request_id": request_id(call), "message": message}, 403)


def _checked(handler: Callable[[Call], Reply]) -> Callable[[Call], Reply]:
    """The handler, with a parameter it cannot read answered as Polygon does."""

    def answer(call: Call) -> Reply:
        try:
            return handler(call)
        except BadParameter as error:
            return Reply({"status": "ERROR", "request_id": request_id(call), "error": str(error)}, 400)

    return answer


def _deprecated(handler: Callable[[Call], Reply]) -> Callable[[Call], Reply]:
    """The handler of a path that will go: RFC 9745 and RFC 8594 headers say since when, and when."""

    def answer(call: Call) -> Reply:
        reply = handler(call)
        return replace(reply, headers={**reply.headers, **DEPRECATED})

    return answer


def _key(call: Call) -> str | None:
    scheme, _, token = call.headers.get("Authorization", "").partition(" ")
    return call.query.get("apiKey") or (token if scheme == "Bearer" and token else None)


def _refuse(refusal: Refusal) -> Reply:
    call = refusal.call
    if refusal.reason is Reason.NO_SUCH_PATH:
        return Reply("404 page not found", 404, "text/plain")
    if refusal.reason is Reason.NOT_ENTITLED:
        message = f"You are not entitled to this data. Please upgrade your plan at {PRICING}"
        return Reply({"status": "NOT_AUTHORIZED", "request_id": request_id(call), "message": message}, 403)
    status, error = {
        Reason.KEY_MISSING: (401, "API Key was not provided"),
        Reason.KEY_UNKNOWN: (401, "Unknown API Key"),
        Reason.LIMITED: (
            429,
            "You've exceeded the maximum requests per minute, please wait or upgrade your subscription to "
            f"continue. {PRICING}",
        ),
    }[refusal.reason]
    return Reply({"status": "ERROR", "request_id": request_id(call), "error": error}, status)


PROVIDER = Provider(
    name="polygon",
    routes=tuple(
        Route(path, _checked(handler), name)
        for path, handler, name in (
            ("/v2/aggs/ticker/{ticker}/range/{multiplier}/{span}/{from}/{to}", aggregates, "aggs"),
            ("/v2/aggs/ticker/{ticker}/prev", previous_close, "prev"),
            ("/v2/aggs/grouped/locale/{locale}/market/{market}/{date}", grouped_daily, "grouped"),
            ("/v1/open-close/{ticker}/{date}", open_close, "open_close"),
            ("/v2/snapshot/locale/{locale}/markets/{market}/tickers/{ticker}", snapshot, "snapshot"),
            ("/v2/snapshot/locale/{locale}/markets/{market}/tickers", snapshots, "snapshots"),
            ("/v2/last/trade/{ticker}", last_trade, "last_trade"),
            ("/v2/last/nbbo/{ticker}", last_quote, "last_quote"),
            ("/v1/last/crypto/{from}/{to}", last_crypto_trade, "last_crypto_trade"),
            ("/v1/last_quote/currencies/{from}/{to}", last_currency_quote, "last_currency_quote"),
            ("/v3/snapshot", universal_snapshot, "universal_snapshot"),
            ("/stocks/v1/splits", filings.splits, "stocks_splits"),
            ("/stocks/v1/dividends", filings.dividends, "stocks_dividends"),
            ("/vX/reference/tickers/{ticker}/events", filings.ticker_events, "ticker_events"),
            ("/stocks/financials/v1/income-statements", filings.statements(filings.income), "income_statements"),
            ("/stocks/financials/v1/balance-sheets", filings.statements(filings.balance), "balance_sheets"),
            ("/stocks/financials/v1/cash-flow-statements", filings.statements(filings.cash_flow), "cash_flows"),
            ("/stocks/financials/v1/ratios", filings.ratios, "ratios"),
            ("/stocks/filings/vX/form-4", filings.form4, "form4"),
            ("/v3/reference/splits", _deprecated(reference.splits), "splits"),
            ("/v3/reference/dividends", _deprecated(reference.dividends), "dividends"),
            ("/v3/reference/tickers", reference.list_tickers, "tickers"),
            ("/v3/reference/tickers/{ticker}", reference.ticker_details, "ticker_details"),
            ("/v2/reference/news", reference.news, "news"),
            ("/vX/reference/financials", _deprecated(financials), "financials"),
        )
    ),
    key=_key,
    refuse=_refuse,
    plans={
        "free": Plan(
            (Limit(5, "minute"),),
            denies=frozenset({"snapshot", "snapshots", "universal_snapshot", "last_trade", "last_quote"}),
            history=timedelta(days=730),
        ),
        "paid": Plan((Limit(100, "second"),)),
    },
    symbols=named_symbols("ticker", "tickers", "ticker.any_of"),
)
