"""Alpaca market data: US shares and ETFs, crypto, currency rates. Documentation: https://docs.alpaca.markets.

Oddities played on purpose: bars are raw unless `adjustment` asks otherwise; `limit` counts the bars of all
symbols together, sorted by symbol first; an unknown symbol is a missing key, in stock snapshots a null; stock
days are stamped at midnight New York, crypto days at midnight Chicago (their values are the UTC day's); shares
begin in 2016, crypto in 2021; the free plan does not see the last 15 minutes of SIP bars; a wrong key is a 403
at the data host and a 401 at the trading host; the news spell a coin without slash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sandbox.alpaca.events import asset, assets, corporate_actions, news
from sandbox.alpaca.parameters import (
    BadRequest,
    Row,
    asked_limit,
    asked_moment,
    asked_symbols,
    bar_token,
    coins,
    indices,
    listings,
    page_token,
    rfc3339,
    stocks,
)
from sandbox.market.actions import dividend_factors, split_divisors
from sandbox.market.bars import NOTHING, Bar, Bars
from sandbox.market.market import Quote
from sandbox.market.universe import Instrument
from sandbox.server.limits import Left, Limit, Plan
from sandbox.server.provider import Call, Provider, Reason, Refusal, Reply, Route, named_symbols
from sandbox.server.windows import Grid, Reading, read

NEW_YORK = ZoneInfo("America/New_York")
CHICAGO = ZoneInfo("America/Chicago")
FIRST_DAY = {"equity": date(2016, 1, 4), "etf": date(2016, 1, 4), "crypto": date(2021, 1, 1)}
TIMEFRAME = re.compile(r"(\d{1,2})?(Min|T|Hour|H|Day|D|Week|W|Month|M)")
SPANS = {"Min": "minute", "T": "minute", "Hour": "hour", "H": "hour", "Day": "day", "D": "day"}
SPANS |= {"Week": "week", "W": "week", "Month": "month", "M": "month"}
MULTIPLIERS = {"minute": range(1, 60), "hour": range(1, 24), "day": [1], "week": [1], "month": [1, 2, 3, 4, 6, 12]}
BASE_BARS = {"minute": 1, "hour": 60, "day": 1, "week": 7, "month": 31}  # minutes or days in one bar, at most
ADJUSTMENTS = ("raw", "split", "dividend", "all")
TAPES = {"XNAS": "C", "XNYS": "A", "ARCX": "B"}
INDEX_VALUES = "index_values"
RECENT_SIP = "recent sip"  # among what a plan denies: a slice of the bars, not an endpoint
DELAY = timedelta(minutes=15)
LARGEST = 10_000
PRICE_DECIMALS = 6


# -- bars ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """What bars are asked for, by a bar's own time stamp."""

    timeframe: str
    """Length of a bar, as Alpaca writes it."""
    grid: Grid
    """The same as windows of time."""
    since: datetime
    """First moment, included."""
    until: datetime
    """Last moment, included."""
    backward: bool
    """Whether the newest bar comes first."""

    def after(self, stamp: int) -> Span:
        """What is left after the bar stamped `stamp` (UTC ms)."""
        at = datetime.fromtimestamp(stamp / 1000, UTC)
        if self.backward:
            return replace(self, until=at - timedelta(milliseconds=1))
        return replace(self, since=at + timedelta(milliseconds=1))


def stock_bars(call: Call) -> Reply:
    """`/v2/stocks/bars?symbols=A,B&timeframe=1Day&start=&end=&adjustment=&limit=&page_token=&sort=`."""
    bars, token = _bars(call, stocks(), asked_symbols(call))
    return Reply({"bars": bars, "next_page_token": token})


def stock_bars_of(call: Call) -> Reply:
    """`/v2/stocks/{symbol}/bars`: a list, and null where there is none."""
    symbol = call.path["symbol"]
    bars, token = _bars(call, stocks(), [symbol])
    return Reply({"bars": bars.get(symbol), "symbol": symbol, "next_page_token": token})


def crypto_bars(call: Call) -> Reply:
    """`/v1beta3/crypto/us/bars?symbols=BTC/USD&timeframe=1Day`."""
    bars, token = _bars(call, coins(), asked_symbols(call))
    return Reply({"bars": bars, "next_page_token": token})


def _bars(call: Call, known: Mapping[str, Instrument], names: Sequence[str]) -> tuple[dict[str, list[Row]], str | None]:
    left, found = asked_limit(call, LARGEST, 1000), {}
    reached, stamp = bar_token(call)
    for name in names:
        if name not in known or name < reached:
            continue
        span = _span(call, known[name])
        bars, more = _some(call, known[name], span.after(stamp) if name == reached else span, left)
        if rows := [_row(known[name], bar) for bar in call.with_faults(bars)]:
            found[name] = rows[::-1] if span.backward else rows
            left -= len(rows)
        if more or left <= 0:
            last = bars.starts[0 if span.backward else -1]
            more = more or name != names[-1]
            return found, page_token(f"{name}|{span.timeframe}|{int(last) * 1_000_000}") if more else None
    return found, None


def _some(call: Call, instrument: Instrument, span: Span, wanted: int) -> tuple[Bars, bool]:
    """The first `wanted` bars of the span (last ones if it runs backward), and whether there are more."""
    grid, begins = span.grid, datetime.combine(FIRST_DAY[instrument.asset_class], time(), span.grid.zone)
    start = max(span.since, begins)
    if grid.start(start) < start:  # a bar that began before is not in the span
        start = grid.end(start)
    limit = wanted * grid.multiplier * BASE_BARS[grid.span]
    reading = Reading(instrument, grid, start, grid.end(span.until), limit, span.backward)
    if reading.start >= reading.end or span.until < start:
        return NOTHING, False
    page = read(call.market, reading, call.now, lambda bars: _adjusted(call, instrument, bars))
    kept = page.bars.take(slice(-wanted, None) if span.backward else slice(wanted))
    return kept, page.rest is not None or len(page.bars) > wanted


def _span(call: Call, instrument: Instrument) -> Span:
    crypto = instrument.asset_class == "crypto"
    text = call.query.get("timeframe", "1Min")
    matched = TIMEFRAME.fullmatch(text)
    number, span = (int(matched[1] or 1), SPANS[matched[2]]) if matched else (0, "day")
    if number not in MULTIPLIERS[span]:
        raise BadRequest(f"invalid timeframe: {text}")
    zone = CHICAGO if crypto else NEW_YORK
    midnight = datetime.combine(call.now.astimezone(zone).date(), time(), zone)
    since = asked_moment(call, "start", midnight, zone)
    latest = call.now if crypto or RECENT_SIP not in call.plan.denies else call.now - DELAY
    until = asked_moment(call, "end", latest, zone)
    if since > until:
        raise BadRequest("end should not be before start")
    grid = Grid(number, span, UTC if crypto and span in ("minute", "hour") else zone)
    return Span(matched[2][0] if matched else "", grid, since, until, call.query.get("sort", "asc") == "desc")


def _hides_recent(call: Call) -> bool:
    """Whether the call asks for SIP bars that the plan does not show yet."""
    if RECENT_SIP not in call.plan.denies or call.query.get("feed", "sip") != "sip":
        return False
    return asked_moment(call, "end", call.now - DELAY, NEW_YORK) > call.now - DELAY


def _adjusted(call: Call, instrument: Instrument, bars: Bars) -> Bars:
    how = call.query.get("adjustment", "raw")
    if how not in ADJUSTMENTS:
        raise BadRequest(f"invalid adjustment: {how}")
    if how in ("split", "all") and (splits := call.market.splits(instrument.symbol, call.now)):
        bars = bars.scaled(split_divisors(bars.days, splits), PRICE_DECIMALS)
    if how in ("dividend", "all") and len(bars):
        paid = call.market.dividends(instrument.symbol, call.now, bars.days[0].item())
        prices = bars.scaled(1 / dividend_factors(bars.days, paid), PRICE_DECIMALS)
        bars = replace(prices, volume=bars.volume)
    return bars


def _row(instrument: Instrument, bar: Bar, stamp: int | None = None) -> Row:
    crypto = instrument.asset_class == "crypto"
    return {
        "t": rfc3339(bar.start if stamp is None else stamp),
        "o": bar.open,
        "h": bar.high,
        "l": bar.low,
        "c": bar.close,
        "v": round(bar.volume, 8) if crypto else round(bar.volume),
        "n": bar.trades,
        "vw": round(bar.vwap, PRICE_DECIMALS),
    }


# -- the latest of everything ------------------------------------------------------------------------------------------


def stock_snapshots(call: Call) -> Reply:
    """`/v2/stocks/snapshots?symbols=A,B`: symbols at the top; an unknown one is null."""
    return Reply({name: _latest(call, stocks(), name, _snapshot) for name in asked_symbols(call)})


def crypto_snapshots(call: Call) -> Reply:
    """`/v1beta3/crypto/us/snapshots?symbols=BTC/USD`: under `snapshots`; an unknown one is missing."""
    found = ((name, _latest(call, coins(), name, _snapshot)) for name in asked_symbols(call))
    return Reply({"snapshots": {name: row for name, row in found if row}})


def _latest(
    call: Call, known: Mapping[str, Instrument], name: str, reported: Callable[[Instrument, Quote], Row | None]
) -> Row | None:
    quote = call.quote(known[name].symbol) if name in known else None
    return reported(known[name], quote) if quote else None


def _snapshot(instrument: Instrument, quote: Quote) -> Row:
    days = [_row(instrument, bar, _midnight(instrument, bar.day)) if bar else None for bar in _days(quote)]
    return {
        "latestTrade": _trade(instrument, quote),
        "latestQuote": _sides(instrument, quote),
        "minuteBar": _minute(instrument, quote),
        "dailyBar": days[0],
        "prevDailyBar": days[1],
    }


def _days(quote: Quote) -> tuple[Bar, Bar | None]:
    return quote.today, quote.previous


def _midnight(instrument: Instrument, day: date) -> int:
    zone = CHICAGO if instrument.asset_class == "crypto" else NEW_YORK
    return int(datetime.combine(day, time(), zone).timestamp()) * 1000


def _minute(instrument: Instrument, quote: Quote) -> Row | None:
    return _row(instrument, quote.minute) if quote.minute else None


def _trade(instrument: Instrument, quote: Quote) -> Row:
    row = {"t": rfc3339(quote.ts), "p": quote.price}
    if instrument.asset_class == "crypto":
        return row | {"s": 0.1517, "tks": "B", "i": quote.today.trades}
    return row | {"x": "D", "s": 100, "c": ["@"], "i": quote.today.trades, "z": TAPES[instrument.exchange]}


def _sides(instrument: Instrument, quote: Quote) -> Row:
    row = {"t": rfc3339(quote.ts), "bp": quote.bid, "bs": quote.bid_size, "ap": quote.ask, "as": quote.ask_size}
    if instrument.asset_class == "crypto":
        return row
    return row | {"ax": "P", "bx": "K", "c": ["R"], "z": TAPES[instrument.exchange]}


def _latest_of(
    known: Callable[[], dict[str, Instrument]], word: str, reported: Callable[[Instrument, Quote], Row | None]
) -> Callable[[Call], Reply]:
    """The handler of `…/latest/trades`, `quotes` or `bars`."""

    def latest(call: Call) -> Reply:
        found = ((name, _latest(call, known(), name, reported)) for name in asked_symbols(call))
        return Reply({word: {name: row for name, row in found if row}})

    return latest


def forex_rates(call: Call) -> Reply:
    """`/v1beta1/forex/latest/rates?currency_pairs=EURUSD`: bid, middle and ask."""
    rates = {}
    for name in asked_symbols(call, "currency_pairs"):
        instrument = listings().get(name)
        if instrument and instrument.asset_class == "forex" and (quote := call.quote(instrument.symbol)):
            rates[name] = {"bp": quote.bid, "mp": quote.price, "ap": quote.ask, "t": rfc3339(quote.ts)}
    return Reply({"rates": rates})


def index_values(call: Call) -> Reply:
    """`/v1beta1/indices/latest/values?index_symbols=SPX,NDX`: one value each; an unknown index is left out."""
    known = [name for name in asked_symbols(call, "index_symbols") if name in indices()]
    quotes = [(name, quote) for name in known if (quote := call.quote(indices()[name].symbol))]
    return Reply({"values": {name: {"t": rfc3339(quote.ts), "v": quote.price} for name, quote in quotes}})


def _checked(handler: Callable[[Call], Reply]) -> Callable[[Call], Reply]:
    """The handler, with what Alpaca refuses before it reads anything."""

    def answer(call: Call) -> Reply:
        try:
            if call.endpoint == "bars" and _hides_recent(call):
                return Reply({"message": "subscription does not permit querying recent SIP data"}, 403)
            return handler(call)
        except BadRequest as error:
            return Reply({"message": str(error)}, 400)

    return answer


def _key(call: Call) -> str | None:
    """The key's id; a call without its secret has none."""
    return call.headers.get("APCA-API-KEY-ID") if call.headers.get("APCA-API-SECRET-KEY") else None


def _refuse(refusal: Refusal) -> Reply:
    match refusal.reason:
        case Reason.NO_SUCH_PATH:
            return Reply({"code": 40410000, "message": "resource not found"}, 404)
        case Reason.LIMITED:
            return Reply({"message": "too many requests."}, 429, headers=_quota(refusal.left) if refusal.left else {})
        case Reason.NOT_ENTITLED:
            grants = refusal.call.endpoint == INDEX_VALUES
            said = "forbidden: insufficient grants" if grants else "subscription does not permit querying this data"
            return Reply({"message": said}, 403)
    if refusal.call.url_path.startswith("/v2/assets"):  # the trading host
        message = "access key verification failed : verification failure"
        return Reply({"code": 40110000, "message": message}, 401)
    return Reply({"message": "forbidden."}, 403)


def _quota(left: Left) -> dict[str, str]:
    """The reset in unix seconds."""
    return {
        "X-RateLimit-Limit": str(left.limit.calls),
        "X-RateLimit-Remaining": str(left.calls),
        "X-RateLimit-Reset": str(round(left.resets.timestamp())),
    }


COIN = "/v1beta3/crypto/us"

PROVIDER = Provider(
    name="alpaca",
    routes=tuple(
        Route(path, _checked(handler), name)
        for path, handler, name in (
            ("/v2/stocks/bars", stock_bars, "bars"),
            ("/v2/stocks/bars/latest", _latest_of(stocks, "bars", _minute), "latest_bars"),
            ("/v2/stocks/trades/latest", _latest_of(stocks, "trades", _trade), "latest_trades"),
            ("/v2/stocks/quotes/latest", _latest_of(stocks, "quotes", _sides), "latest_quotes"),
            ("/v2/stocks/snapshots", stock_snapshots, "snapshots"),
            ("/v2/stocks/{symbol}/bars", stock_bars_of, "bars"),
            (f"{COIN}/bars", crypto_bars, "crypto_bars"),
            (f"{COIN}/latest/bars", _latest_of(coins, "bars", _minute), "crypto_latest_bars"),
            (f"{COIN}/latest/trades", _latest_of(coins, "trades", _trade), "crypto_latest_trades"),
            (f"{COIN}/latest/quotes", _latest_of(coins, "quotes", _sides), "crypto_latest_quotes"),
            (f"{COIN}/snapshots", crypto_snapshots, "crypto_snapshots"),
            ("/v1beta1/forex/latest/rates", forex_rates, "forex_rates"),
            ("/v1beta1/indices/latest/values", index_values, INDEX_VALUES),
            ("/v1/corporate-actions", corporate_actions, "corporate_actions"),
            ("/v1beta1/news", news, "news"),
            ("/v2/assets", assets, "assets"),
            ("/v2/assets/{symbol}", asset, "asset"),
        )
    ),
    key=_key,
    refuse=_refuse,
    plans={
        "basic": Plan((Limit(200, "minute"),), denies=frozenset({RECENT_SIP, INDEX_VALUES})),
        "algo_trader_plus": Plan((Limit(10_000, "minute"),)),
    },
    symbols=named_symbols("symbol", "symbols", "currency_pairs", "index_symbols"),
    quota=_quota,
)
