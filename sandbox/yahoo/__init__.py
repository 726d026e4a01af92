"""Yahoo Finance, which has no documentation: charts, quotes, summaries as public clients know them.

Oddities played on purpose: prices as 32-bit floats, adjusted for splits as of now; a session's bar stamped at
its opening, forex at London midnight; a live last row stamped with its own second; forex days without
prices; London prices in pence and grain in cents; crypto volume in money; `gmtoffset` of today; unknown
symbols missing from a batch of quotes; a 404 that sets the cookie; robots refused in plain text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sandbox.market.actions import dividend_factors, split_divisors
from sandbox.market.bars import Bars, joined
from sandbox.market.calendars import MINUTE_MS, midnights, months, weeks
from sandbox.market.market import Quote
from sandbox.market.universe import Instrument
from sandbox.server.limits import Limit, Plan
from sandbox.server.provider import Call, Provider, Reason, Refusal, Reply, Route, named_symbols
from sandbox.yahoo import company
from sandbox.yahoo.listings import EXCHANGES, LONDON, TYPES, listings, unit_of, zone_of
from sandbox.yahoo.search import search
from sandbox.yahoo.session import JSON, cookie, getcrumb, has_crumb, unauthorized
from sandbox.yahoo.statements import timeseries

MINUTES = {"1m": 1, "2m": 2, "5m": 5, "15m": 15, "30m": 30, "60m": 60, "90m": 90, "1h": 60, "4h": 240}
DAYS = ("1d", "1wk", "1mo", "3mo")
REACH_DAYS = {"1m": 30, "60m": 730, "1h": 730, "4h": 730}  # how far back minutes reach; 60 for the others
ONE_MINUTE_DAYS = 8  # and how many of them one call may span
RANGES = ("1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max")
RANGE = re.compile(r"(\d{1,3})(d|wk|mo|y)")
RANGE_DAYS = {"wk": 7, "mo": 30.5, "y": 365.25}
CODES = {400: "Bad Request", 404: "Not Found", 422: "Unprocessable Entity"}
UNKNOWN = "No data found, symbol may be delisted"
HOLLOW_DAYS = 97  # every so many days forex has a bar without prices


class ChartError(Exception):
    """A chart that Yahoo refuses."""

    def __init__(self, status: int, description: str) -> None:
        super().__init__(description)
        self.status, self.told = status, {"code": CODES[status], "description": description}


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart that is asked for."""

    symbol: str
    """The symbol as Yahoo spells it."""
    instrument: Instrument
    """The instrument."""
    interval: str
    """Length of a bar, as Yahoo writes it."""
    range: str
    """The range as Yahoo writes it."""
    since: datetime
    """First moment, included."""
    until: datetime
    """Last moment, included."""

    @property
    def by_minutes(self) -> bool:
        """Whether its bars lie inside a session."""
        return self.interval in MINUTES


def chart(call: Call) -> Reply:
    """`/v8/finance/chart/{symbol}?interval=&range=` or `&period1=&period2=`, `&events=div,split`."""
    try:
        asked = _asked(call)
        result = _result(call, asked)
    except ChartError as error:
        return Reply({"chart": {"result": None, "error": error.told}}, error.status, JSON)
    return Reply({"chart": {"result": [result], "error": None}}, content_type=JSON)


def _asked(call: Call) -> Chart:
    symbol, interval = call.path["symbol"], call.query.get("interval", "1d")
    instrument = listings().get(symbol)
    if instrument is None:
        raise ChartError(404, UNKNOWN)
    if interval not in MINUTES and interval not in DAYS:
        valid = ", ".join((*MINUTES, *DAYS))
        raise ChartError(422, f"Invalid input - interval={interval} is not supported. Valid intervals: [{valid}]")
    span = "" if "period1" in call.query else call.query.get("range", "1mo")
    since, until = _periods(call) if not span else (_range_start(call, instrument, span), call.now)
    asked = Chart(symbol, instrument, interval, span, since, until)
    _check_reach(asked, call.now)
    if until.timestamp() < _first_opening(instrument):
        first, last = int(since.timestamp()), int(until.timestamp())
        raise ChartError(400, f"Data doesn't exist for startDate = {first}, endDate = {last}")
    return asked


def _periods(call: Call) -> tuple[datetime, datetime]:
    try:
        since, until = int(call.query["period1"]), int(call.query.get("period2", call.now.timestamp()))
        if since >= until:
            raise ChartError(400, "Invalid input - start date cannot be after end date.")
        return datetime.fromtimestamp(since, UTC), datetime.fromtimestamp(until, UTC)
    except (ValueError, OverflowError):
        raise ChartError(400, "Invalid input - period1 and period2 are epoch seconds.") from None


def _range_start(call: Call, instrument: Instrument, span: str) -> datetime:
    if span == "max":
        return datetime.combine(instrument.listed, time(), UTC)
    if span == "ytd":
        return datetime(call.now.year, 1, 1, tzinfo=zone_of(instrument))
    matched = RANGE.fullmatch(span)
    if not matched:
        raise ChartError(422, f"Invalid input - range={span}. Valid ranges: [{', '.join(RANGES)}]")
    number, today = max(1, int(matched[1])), call.now.date()
    if matched[2] != "d":
        return call.now - timedelta(days=number * RANGE_DAYS[matched[2]])
    # days are sessions: the last ones that have begun
    sessions = instrument.calendar.sessions(today - timedelta(days=2 * number + 12), today + timedelta(days=1))
    begun = sessions.days[sessions.opens <= call.now.timestamp() * 1000]
    return datetime.fromtimestamp(_opening(instrument, begun[-number:][0].item()), UTC)


def _check_reach(asked: Chart, now: datetime) -> None:
    if not asked.by_minutes:
        return
    first, last = int(asked.since.timestamp()), int(asked.until.timestamp())
    head = f"{asked.interval} data not available for startTime={first} and endTime={last}. "
    reach = REACH_DAYS.get(asked.interval, 60)
    if asked.interval == "1m" and asked.until - asked.since > timedelta(days=ONE_MINUTE_DAYS):
        tail = f"Only {ONE_MINUTE_DAYS} days worth of 1m granularity data are allowed to be fetched per request."
        raise ChartError(422, head + tail)
    if asked.since < now - timedelta(days=reach):
        tail = f"The requested range must be within the last {reach} days."
        raise ChartError(422, head + tail)


def _result(call: Call, asked: Chart) -> dict[str, Any]:
    quote = call.market.quote(asked.instrument.symbol, call.now)
    if quote is None:
        raise ChartError(404, UNKNOWN)
    bars = call.with_faults(_minutes(call, asked, quote) if asked.by_minutes else _days(call, asked, quote))
    columns = _columns(call, asked, bars)
    adjusted = columns.pop("adjclose")
    result: dict[str, Any] = {"meta": _meta(call, asked, quote, bars)}
    if len(bars):
        result["timestamp"] = (bars.starts // 1000).tolist()
    if events := _events(call, asked):
        result["events"] = events
    result["indicators"] = {"quote": [columns if len(bars) else {}]}
    if not asked.by_minutes:
        result["indicators"]["adjclose"] = [{"adjclose": adjusted} if len(bars) else {}]
    return result


def _days(call: Call, asked: Chart, quote: Quote) -> Bars:
    """Daily and longer bars. In longer ones a running day stands apart, in a last row of its own."""
    instrument, zone = asked.instrument, zone_of(asked.instrument)
    first = np.array([asked.since.astimezone(zone).date()], "datetime64[D]")
    start = _windows(asked.interval, first)[0].item()
    bars = call.market.daily(instrument.symbol, start, asked.until.astimezone(zone).date(), call.now)
    bars = _split_adjusted(call, instrument, bars)
    live = _live(call, asked, quote) and len(bars) and bars.days[-1].item() == quote.today.day
    last = Bars.of(quote.today._replace(start=quote.ts)) if live else bars.take(slice(0))
    bars = bars.take(slice(-1)) if live else bars
    if asked.interval != "1d":
        return joined([bars.grouped(midnights(_windows(asked.interval, bars.days), zone)), last])
    bars = replace(bars, starts=_stamps(instrument, bars.days))
    inside = (bars.starts >= asked.since.timestamp() * 1000) & (bars.starts <= asked.until.timestamp() * 1000)
    return joined([bars.take(inside), last])


def _minutes(call: Call, asked: Chart, quote: Quote) -> Bars:
    """Bars on the grid that begins at each session's opening, and while it runs the last price off that grid."""
    instrument, step = asked.instrument, MINUTES[asked.interval] * MINUTE_MS
    until = asked.until + timedelta(milliseconds=1)
    bars = call.market.minutes(instrument.symbol, asked.since, until, call.now)
    if len(bars):
        sessions = instrument.calendar.sessions(bars.days[0].item(), bars.days[-1].item())
        opens = sessions.opens[np.searchsorted(sessions.days, bars.days)]
        bars = _split_adjusted(call, instrument, bars).grouped(opens + (bars.starts - opens) // step * step)
        bars = bars.take(bars.starts >= asked.since.timestamp() * 1000)
    if not _live(call, asked, quote):
        return bars
    price = quote.price
    last = quote.today._replace(start=quote.ts, open=price, high=price, low=price, volume=0.0)
    return joined([bars, Bars.of(last)])


def _live(call: Call, asked: Chart, quote: Quote) -> bool:
    """Whether the chart ends in a running session; what never closes has a live row among minutes only."""
    round_the_clock = asked.instrument.calendar.minutes == 1440
    return quote.live and asked.until >= call.now and (asked.by_minutes or not round_the_clock)


def _windows(interval: str, days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """First day of the bar that each day belongs to."""
    if interval == "1wk":
        return weeks(days)
    return months(days, 3 if interval == "3mo" else 1) if interval.endswith("mo") else days


def _last_days(interval: str, days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Last day of the bar that each day belongs to, for dividends inside it."""
    longest = {"1wk": 7, "1mo": 31, "3mo": 92}.get(interval)
    if longest is None:
        return days
    begun = _windows(interval, days)
    return _windows(interval, begun + np.timedelta64(longest, "D")) - np.timedelta64(1, "D")


def _split_adjusted(call: Call, instrument: Instrument, bars: Bars) -> Bars:
    splits = call.market.splits(instrument.symbol, call.now)
    return bars.scaled(split_divisors(bars.days, splits)) if splits else bars


def _columns(call: Call, asked: Chart, bars: Bars) -> dict[str, list[Any]]:
    """Yahoo's columns, and `adjclose` among them. On some days forex has no prices at all."""
    instrument, (_, unit) = asked.instrument, unit_of(asked.instrument)
    factors = dividend_factors(
        _last_days(asked.interval, bars.days), call.market.dividends(instrument.symbol, call.now)
    )
    prices = {name: getattr(bars, name) for name in ("open", "high", "low", "close")}
    columns = {
        name: (column * unit).astype(np.float32).astype(np.float64).tolist()
        for name, column in (prices | {"adjclose": bars.close * factors}).items()
    }
    columns["volume"] = _volumes(instrument, bars).astype(np.int64).tolist()
    if instrument.asset_class == "forex" and asked.interval == "1d":
        for at in np.flatnonzero(bars.days.astype(np.int64) % HOLLOW_DAYS == 0).tolist():
            for column in columns.values():
                column[at] = None
    return columns


def _volumes(instrument: Instrument, bars: Bars) -> NDArray[np.float64]:
    if instrument.asset_class == "crypto":
        return bars.volume * bars.vwap
    return np.zeros(len(bars)) if instrument.asset_class == "forex" else bars.volume


def _events(call: Call, asked: Chart) -> dict[str, dict[str, Any]]:
    """Splits and dividends whose ex-date opens inside the chart; dividends adjusted for later splits."""
    wanted, symbol = re.split(r"[|,]", call.query.get("events", "")), asked.instrument.symbol
    splits = call.market.splits(symbol, call.now)
    events: dict[str, dict[str, Any]] = {}
    for dividend in call.market.dividends(symbol, call.now) if "div" in wanted else ():
        stamp = _opening(asked.instrument, dividend.ex_date)
        if asked.since.timestamp() <= stamp <= asked.until.timestamp():
            later = split_divisors(np.array([dividend.ex_date], "datetime64[D]"), splits)[0]
            paid = {"amount": round(dividend.amount / float(later), 6), "date": stamp}
            events.setdefault("dividends", {})[str(stamp)] = paid
    for split in splits if "split" in wanted else ():
        stamp, (new, old) = _opening(asked.instrument, split.ex_date), split.ratio.as_integer_ratio()
        if asked.since.timestamp() <= stamp <= asked.until.timestamp():
            reported = {"date": stamp, "numerator": new, "denominator": old, "splitRatio": f"{new}:{old}"}
            events.setdefault("splits", {})[str(stamp)] = reported
    return events


def _opening(instrument: Instrument, day: date) -> int:
    return int(_stamps(instrument, np.array([day], "datetime64[D]"))[0]) // 1000


def _first_opening(instrument: Instrument) -> int:
    days = instrument.calendar.sessions(instrument.listed, instrument.listed + timedelta(days=12)).days
    return _opening(instrument, days[0].item())


def _stamps(instrument: Instrument, days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Where Yahoo puts daily bars: the session's opening, for forex midnight in London; UTC ms."""
    if instrument.asset_class == "forex" or not len(days):
        return midnights(days, LONDON)
    sessions = instrument.calendar.sessions(days[0].item(), days[-1].item())
    return sessions.opens[np.searchsorted(sessions.days, days)]


def _meta(call: Call, asked: Chart, quote: Quote, bars: Bars) -> dict[str, Any]:
    instrument, zone = asked.instrument, zone_of(asked.instrument)
    here, (currency, unit) = call.now.astimezone(zone), unit_of(instrument)
    opens, closes = call.market.session(instrument.symbol, call.now)
    offset = int((here.utcoffset() or timedelta()).total_seconds())  # today's, whatever season the bars are of
    period = {"timezone": here.tzname(), "gmtoffset": offset}
    code, exchange = EXCHANGES[instrument.exchange]
    first = bars.days[0].item() if len(bars) else asked.since.date()
    start, end = first - timedelta(days=12), first - timedelta(days=1)
    eve = _split_adjusted(call, instrument, call.market.daily(instrument.symbol, start, end, call.now))
    return {
        "currency": currency,
        "symbol": asked.symbol,
        "exchangeName": code,
        "fullExchangeName": exchange,
        "instrumentType": TYPES[instrument.asset_class][0],
        "firstTradeDate": _first_opening(instrument),
        "hasPrePostMarketData": instrument.calendar.name == "XNYS" and instrument.asset_class in ("equity", "etf"),
        "gmtoffset": offset,
        "timezone": here.tzname(),
        "exchangeTimezoneName": str(zone),
        **_session(instrument, quote),
        **_year(call, instrument),
        "longName": instrument.name,
        "shortName": instrument.name,
        "chartPreviousClose": _round(eve.close[-1] * unit) if len(eve) else None,
        "priceHint": 4 if instrument.decimals > 2 else 2,
        "currentTradingPeriod": {
            "pre": {**period, "start": opens // 1000, "end": opens // 1000},
            "regular": {**period, "start": opens // 1000, "end": closes // 1000},
            "post": {**period, "start": closes // 1000, "end": closes // 1000},
        },
        "dataGranularity": asked.interval,
        "range": asked.range,
        "validRanges": list(RANGES),
    }


def _session(instrument: Instrument, quote: Quote) -> dict[str, Any]:
    _, unit = unit_of(instrument)
    return {
        "regularMarketTime": quote.ts // 1000,
        "regularMarketPrice": _round(quote.price * unit),
        "regularMarketDayHigh": _round(quote.today.high * unit),
        "regularMarketDayLow": _round(quote.today.low * unit),
        "regularMarketVolume": int(_volumes(instrument, Bars.of(quote.today))[0]),
    }


def _year(call: Call, instrument: Instrument) -> dict[str, float]:
    since, today = (call.now - timedelta(weeks=52)).date(), call.now.date()
    bars = call.market.daily(instrument.symbol, since, today, call.now)
    bars, (_, unit) = _split_adjusted(call, instrument, bars), unit_of(instrument)
    high, low = float(bars.high.max()), float(bars.low.min())
    return {"fiftyTwoWeekHigh": _round(high * unit), "fiftyTwoWeekLow": _round(low * unit)}


def _round(price: float) -> float:
    return round(float(price), 6)


def quotes(call: Call) -> Reply:
    """`/v7/finance/quote?symbols=A,B&crumb=`; unknown symbols are left out."""
    if not has_crumb(call):
        return unauthorized("Invalid Crumb")
    symbols = [symbol for symbol in call.query.get("symbols", "").split(",") if symbol]
    reported = [_quote(call, symbol, listings()[symbol]) for symbol in symbols if symbol in listings()]
    return Reply({"quoteResponse": {"result": [row for row in reported if row], "error": None}}, content_type=JSON)


def _quote(call: Call, symbol: str, instrument: Instrument) -> dict[str, Any] | None:
    quote = call.quote(instrument.symbol)
    if quote is None:
        return None
    currency, unit = unit_of(instrument)
    zone, (code, exchange) = zone_of(instrument), EXCHANGES[instrument.exchange]
    kind, shown = TYPES[instrument.asset_class]
    here, change = call.now.astimezone(zone), quote.price - quote.prev_close
    row = {
        "quoteType": kind,
        "typeDisp": shown,
        "quoteSourceName": "Delayed Quote",
        "currency": currency,
        "shortName": instrument.name,
        "longName": instrument.name,
        "marketState": "REGULAR" if quote.live else "CLOSED",
        **_session(instrument, quote),
        **_year(call, instrument),
        "regularMarketChange": _round(change * unit),
        "regularMarketChangePercent": _round(100 * change / quote.prev_close),
        "regularMarketOpen": _round(quote.today.open * unit),
        "regularMarketPreviousClose": _round(quote.prev_close * unit),
        "exchange": code,
        "fullExchangeName": exchange,
        "exchangeTimezoneName": str(zone),
        "exchangeTimezoneShortName": here.tzname(),
        "gmtOffSetMilliseconds": int((here.utcoffset() or timedelta()).total_seconds() * 1000),
        "exchangeDataDelayedBy": 0,
        "priceHint": 4 if instrument.decimals > 2 else 2,
        "tradeable": False,
        "symbol": symbol,
    }
    if instrument.asset_class in ("crypto", "fund"):
        return row
    if instrument.asset_class == "index":  # nobody trades an index itself
        return row | {"bid": 0, "ask": 0, "bidSize": 0, "askSize": 0}
    bid_size, ask_size = (0, 0) if instrument.asset_class == "forex" else (quote.bid_size, quote.ask_size)
    prices = {"bid": _round(quote.bid * unit), "ask": _round(quote.ask * unit)}
    return row | prices | {"bidSize": bid_size, "askSize": ask_size}


ROBOTS = ("python", "httpx", "aiohttp", "curl", "wget", "go-http-client", "java/")


def _turn_robots_away(call: Call) -> Reply | None:
    """Yahoo knows the libraries of robots by their names."""
    agent = call.headers.get("User-Agent", "").lower()
    return _too_many() if not agent or any(name in agent for name in ROBOTS) else None


def _too_many() -> Reply:
    return Reply("Too Many Requests\r\n", 429, "text/plain")


def _refuse(refusal: Refusal) -> Reply:
    if refusal.reason is Reason.NO_SUCH_PATH:
        error = {"code": "Not Found", "description": "HTTP 404 Not Found"}
        return Reply({"finance": {"result": None, "error": error}}, 404, JSON)
    return _too_many()


PROVIDER = Provider(
    name="yahoo",
    routes=(
        Route("/v8/finance/chart/{symbol}", chart, "chart"),
        Route("/v7/finance/quote", quotes, "quote"),
        Route("/v10/finance/quoteSummary/{symbol}", company.summary, "summary"),
        Route("/ws/fundamentals-timeseries/v1/finance/timeseries/{symbol}", timeseries, "timeseries"),
        Route("/v1/finance/search", search, "search"),
        Route("/v1/test/getcrumb", getcrumb, "getcrumb", open=True),
        Route("/", cookie, "cookie", open=True),
    ),
    key=lambda call: call.client,
    refuse=_refuse,
    plans={"free": Plan((Limit(2000, "hour"),))},  # undocumented; what clients report to be tolerated
    symbols=named_symbols("symbol", "symbols"),
    guard=_turn_robots_away,
    any_key=True,
)
