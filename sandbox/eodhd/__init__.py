"""EODHD: bars, quotes, actions, fundamentals, news of many exchanges. Documentation: https://eodhd.com/financial-apis.

Oddities played on purpose: CSV unless `fmt=json`, with its own length as last line; prices raw, volumes adjusted
for splits, `adjusted_close` for both; intraday prices as 32-bit floats with a closing bar without volume; quotes
15 minutes old; unknown symbols "NA" in a 200; refusals in plain text; a free year with a `warning` on each row.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from sandbox.eodhd import company, events
from sandbox.eodhd.answers import TEXT, BadRequest, checked, dates, number, table, ticker_not_found
from sandbox.eodhd.listings import currency, exchange, find, listings, spelling, ticker, unit
from sandbox.market.actions import dividend_factors, split_divisors
from sandbox.market.bars import Bars
from sandbox.market.calendars import MINUTE_MS, months, weeks
from sandbox.market.statements import later_splits
from sandbox.server.limits import Left, Limit, Plan
from sandbox.server.provider import Call, Provider, Reason, Refusal, Reply, Route, named_symbols

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandbox.market.actions import Dividend, Split
    from sandbox.market.bars import Bar
    from sandbox.market.universe import Instrument

    Rows = Callable[[Call, Instrument, date, date], list[dict[str, Any]]]

MINUTES = {"1m": 1, "5m": 5, "1h": 60}
REACH_DAYS = {"1m": 120, "5m": 600, "1h": 7200}  # the widest range of one call
SINCE = {"1m": date(2004, 1, 1), "5m": date(2020, 10, 1), "1h": date(2020, 10, 1)}
USUAL_DAYS = 120
DELAY = timedelta(minutes=15)
LATEST = timedelta(days=12)  # longer than any venue is closed
FREE_YEAR = "Data is limited by one year as you have free subscription"
EOD_NAMES = {"date": "Date", "open": "Open", "high": "High", "low": "Low", "close": "Close"}
EOD_NAMES |= {"adjusted_close": "Adjusted_close", "volume": "Volume"}
INTRADAY_NAMES = {"timestamp": "Timestamp", "gmtoffset": "Gmtoffset", "datetime": "Datetime", "open": "Open"}
INTRADAY_NAMES |= {"high": "High", "low": "Low", "close": "Close", "volume": "Volume"}


def eod(call: Call) -> Reply:
    """`/eod/{symbol}?from=&to=&period=d|w|m&order=a|d`: dates inclusive; a longer bar has the date of its first day."""
    instrument, period = find(call.path["symbol"]), call.query.get("period", "d")
    if instrument is None:
        return ticker_not_found()
    if period not in ("d", "w", "m"):
        raise BadRequest("The selected period is invalid.")
    since, until = dates(call, instrument.listed, call.now.date())
    reach = (call.now - call.plan.history).date() if call.plan.history else since
    bars = call.with_faults(_daily(call, instrument, max(since, reach), until))
    if period != "d" and len(bars):
        bars = bars.grouped((weeks(bars.days) if period == "w" else months(bars.days)).astype(np.int64))
    rows = _eod_rows(call, instrument, bars)
    rows = rows[::-1] if call.query.get("order") == "d" else rows
    if since < reach:
        rows = [row | {"warning": FREE_YEAR} for row in rows] or [{"warning": FREE_YEAR}]
    return table(call, rows, EOD_NAMES)


def bulk(call: Call) -> Reply:
    """`/eod-bulk-last-day/{exchange}?date=&symbols=&type=splits|dividends`: one day of a whole exchange."""
    where, kind = call.path["exchange"].upper(), call.query.get("type", "eod")
    listed = [each for each in listings().values() if exchange(each) == where]
    if not listed:
        return Reply("Exchange Not Found.", 404, TEXT)
    day = dates(replace(call, query={"from": call.query.get("date", "")}), _last_day(call, listed[0]), date.max)[0]
    if named := call.query.get("symbols"):
        wanted = {find(name if "." in name else f"{name}.{where}") for name in named.split(",")}
        listed = [each for each in listed if each in wanted]
    if kind == "eod":
        rows = [
            {"code": ticker(each), "exchange_short_name": where} | row
            for each in listed
            for row in _eod_rows(call, each, call.with_faults(_daily(call, each, day, day)))
        ]
        return table(call, rows, {"code": "Code", "exchange_short_name": "Ex"} | EOD_NAMES)
    return _bulk_actions(call, where, listed, day, kind)


def _bulk_actions(call: Call, where: str, listed: Iterable[Instrument], day: date, kind: str) -> Reply:
    names, find_rows = ("Dividend", _dividend_rows) if kind == "dividends" else ("Split", _split_rows)
    rows = [
        {"code": ticker(each), "exchange": where, names.lower(): row.pop("value", row.get("split"))} | row
        for each in listed
        for row in find_rows(call, each, day, day)
    ]
    return table(call, rows, {"code": "Code", "exchange": "Ex", "date": "Date", names.lower(): names})


def _daily(call: Call, instrument: Instrument, since: date, until: date) -> Bars:
    """Finished days: raw prices, as quoted; volumes adjusted for splits."""
    bars = call.market.daily(instrument.symbol, since, until, call.now)
    if len(bars):
        closes = instrument.calendar.sessions(bars.days[-1].item(), bars.days[-1].item()).closes[0]
        bars = bars.take(slice(-1)) if closes > call.now.timestamp() * 1000 else bars
    divisors = split_divisors(bars.days, call.market.splits(instrument.symbol, call.now))
    volume = bars.volume * divisors
    return replace(_quoted(instrument, bars), volume=volume if instrument.asset_class == "crypto" else np.round(volume))


def _quoted(instrument: Instrument, bars: Bars) -> Bars:
    """Prices in the unit EODHD quotes them in."""
    factor = unit(instrument)
    prices = {name: getattr(bars, name) * factor for name in ("open", "high", "low", "close", "vwap")}
    return bars if factor == 1 else replace(bars, **{name: np.round(price, 4) for name, price in prices.items()})


def _eod_rows(call: Call, instrument: Instrument, bars: Bars) -> list[dict[str, Any]]:
    since = bars.days[0].item() if len(bars) else call.now.date()
    splits = call.market.splits(instrument.symbol, call.now)
    dividends = call.market.dividends(instrument.symbol, call.now, since)
    factors = dividend_factors(bars.days, dividends) / split_divisors(bars.days, splits)
    return [
        {
            "date": bar.day.isoformat(),
            "open": bar.open,
            "high": bar.high,
            "low": bar.low,
            "close": bar.close,
            "adjusted_close": round(bar.close * factor, max(4, instrument.decimals)),
            "volume": _volume(instrument, bar),
        }
        for bar, factor in zip(bars, factors.tolist(), strict=True)
    ]


def _volume(instrument: Instrument, bar: Bar) -> float:
    if instrument.asset_class in ("forex", "fund"):
        return 0
    return bar.volume if instrument.asset_class == "crypto" else int(bar.volume)


def _last_day(call: Call, instrument: Instrument) -> date:
    bars = _daily(call, instrument, (call.now - LATEST).date(), call.now.date())
    last: date = bars.days[-1].item()
    return last


def intraday(call: Call) -> Reply:
    """`/intraday/{symbol}?interval=1m|5m|1h&from=&to=`: UTC seconds, both inclusive; the last 120 days if not given."""
    instrument, interval = find(call.path["symbol"]), call.query.get("interval", "5m")
    if instrument is None:
        return ticker_not_found()
    if interval not in MINUTES:
        raise BadRequest("The selected interval is invalid.")
    now = int(call.now.timestamp())
    until = min(number(call, "to", now, 2**40), now)
    since = number(call, "from", until - USUAL_DAYS * 86_400, 2**40)
    if until - since > REACH_DAYS[interval] * 86_400:
        raise BadRequest(f"The maximum range of {interval} data is {REACH_DAYS[interval]} days.")
    first = max(datetime.fromtimestamp(since, UTC), datetime.combine(SINCE[interval], time(), UTC))
    bars = _intraday_bars(call, instrument, MINUTES[interval], first, datetime.fromtimestamp(until + 1, UTC))
    rows = [_intraday_row(instrument, bar) for bar in call.with_faults(bars)]
    closing = _closing_rows(instrument, bars, until) if interval == "5m" else []
    return table(call, sorted(rows + closing, key=lambda row: int(row["timestamp"])), INTRADAY_NAMES)


def _intraday_bars(call: Call, instrument: Instrument, step: int, since: datetime, until: datetime) -> Bars:
    """Bars on the grid that begins at each session's opening."""
    bars = call.market.minutes(instrument.symbol, since, until, call.now)
    if not len(bars):
        return bars
    sessions = instrument.calendar.sessions(bars.days[0].item(), bars.days[-1].item())
    opens = sessions.opens[np.searchsorted(sessions.days, bars.days)]
    length = step * MINUTE_MS
    bars = bars.grouped(opens + (bars.starts - opens) // length * length)
    return _quoted(instrument, bars.take(bars.starts >= since.timestamp() * 1000))


def _intraday_row(instrument: Instrument, bar: Bar) -> dict[str, Any]:
    volume: float | None = None if instrument.asset_class == "forex" else _volume(instrument, bar)
    return _at(bar.start // 1000, bar.open, bar.high, bar.low, bar.close) | {"volume": volume}


def _closing_rows(instrument: Instrument, bars: Bars, until: int) -> list[dict[str, Any]]:
    """At the end of each session a bar of the last price, without volume."""
    if instrument.calendar.minutes == 1440 or not len(bars):
        return []
    sessions = instrument.calendar.sessions(bars.days[0].item(), bars.days[-1].item())
    last = np.searchsorted(bars.days, sessions.days, "right") - 1
    ends = zip((sessions.closes // 1000).tolist(), bars.close[last].tolist(), strict=True)
    return [_at(end, *[price] * 4) | {"volume": None} for end, price in ends if end <= until]


def _at(second: int, *prices: float) -> dict[str, Any]:
    reported = {"timestamp": second, "gmtoffset": 0, "datetime": f"{datetime.fromtimestamp(second, UTC):%F %T}"}
    rounded = (round(float(np.float32(price)), 6) for price in prices)
    return reported | dict(zip(("open", "high", "low", "close"), rounded, strict=True))


FROZEN = {
    "GONE.US": {"code": "GONE.US", "timestamp": 1_609_794_000, "gmtoffset": 0}
    | {"open": 4.1, "high": 4.4, "low": 4.0, "close": 4.2, "volume": 1200, "previousClose": 4.1}
    | {"change": 0.1, "change_p": 2.439}
}
"""Listings that are no more: they answer their last values for ever."""


def live(call: Call) -> Reply:
    """`/real-time/{symbol}?s=`: one object, or with `s` an array; unknown symbols have "NA" everywhere."""
    more = [name for name in call.query.get("s", "").split(",") if name]
    rows = [_live(call, name) for name in (call.path["symbol"], *more)]
    names = {name: name for name in rows[0]}
    return table(call, rows, names) if call.query.get("fmt") != "json" else Reply(rows if more else rows[0])


def _live(call: Call, name: str) -> dict[str, Any]:
    if name in FROZEN:
        return FROZEN[name]
    instrument = find(name)
    quote = _delayed(call, instrument).quote(instrument.symbol) if instrument else None
    fields = ("open", "high", "low", "close", "volume", "previousClose", "change", "change_p")
    if instrument is None or quote is None:
        code = name.upper() if "." in name else f"{name.upper()}.US"
        return {"code": code, "timestamp": "NA", "gmtoffset": 0} | dict.fromkeys(fields, "NA")
    last, factor = quote.today, unit(instrument)
    change = quote.price - quote.prev_close
    prices = [price * factor for price in (last.open, last.high, last.low, last.close)]
    values = (*prices, _volume(instrument, last), quote.prev_close * factor, change * factor)
    head = {"code": spelling(instrument), "timestamp": quote.ts // 1000, "gmtoffset": 0}
    rounded = [value if value is values[4] else round(value, 6) for value in values]
    return head | dict(zip(fields, (*rounded, round(100 * change / quote.prev_close, 4)), strict=True))


def _delayed(call: Call, instrument: Instrument) -> Call:
    """Exchanges' prices are 15 minutes late, currencies and coins are not."""
    return call if instrument.asset_class in ("forex", "crypto") else replace(call, now=call.now - DELAY)


def us_quotes(call: Call) -> Reply:
    """`/us-quote-delayed?s=&page[limit]=&page[offset]=`: quotes of US listings by symbol, times in ms."""
    names = [name for name in call.query.get("s", "").split(",") if name]
    offset, limit = number(call, "page[offset]", 0, 10**6), number(call, "page[limit]", 100, 100)
    known = [each for name in names if (each := find(name)) and exchange(each) == "US"]
    rows = {spelling(each): row for each in known[offset : offset + limit] if (row := _us_quote(call, each))}
    return Reply({"meta": {"count": len(rows)}, "data": rows, "links": {"next": None}})


def _us_quote(call: Call, instrument: Instrument) -> dict[str, Any] | None:
    quote = _delayed(call, instrument).quote(instrument.symbol)
    if quote is None:
        return None
    change = quote.price - quote.prev_close
    return {
        "symbol": spelling(instrument),
        "exchange": instrument.exchange,
        "name": instrument.name,
        "open": quote.today.open,
        "high": quote.today.high,
        "low": quote.today.low,
        "bidPrice": quote.bid,
        "bidSize": quote.bid_size,
        "bidTime": quote.ts,
        "askPrice": quote.ask,
        "askSize": quote.ask_size,
        "askTime": quote.ts,
        "size": 100,
        "lastTradePrice": quote.price,
        "lastTradeTime": quote.ts,
        "volume": int(quote.today.volume),
        "change": round(change, 6),
        "changePercent": round(100 * change / quote.prev_close, 6),
        "previousClosePrice": quote.prev_close,
        "currency": instrument.currency,
        "timestamp": quote.ts // 1000,
    }


def dividends(call: Call) -> Reply:
    """`/div/{symbol}?from=&to=`: by ex-date, oldest first; `value` is adjusted for later splits."""
    return _actions(call, _dividend_rows, {"date": "Date", "value": "Dividends"})


def splits(call: Call) -> Reply:
    """`/splits/{symbol}?from=&to=`: oldest first; `new/old` with six decimals."""
    return _actions(call, _split_rows, {"date": "Date", "split": "Stock Splits"})


def _actions(call: Call, rows: Rows, names: dict[str, str]) -> Reply:
    instrument = find(call.path["symbol"])
    if instrument is None:
        return ticker_not_found()
    return table(call, rows(call, instrument, *dates(call, instrument.listed, call.now.date())), names)


def _dividend_rows(call: Call, instrument: Instrument, since: date, until: date) -> list[dict[str, Any]]:
    paid = call.market.dividends(instrument.symbol, call.now, since)
    return [_dividend(call, instrument, dividend) for dividend in paid if dividend.ex_date <= until]


def _dividend(call: Call, instrument: Instrument, dividend: Dividend) -> dict[str, Any]:
    later = later_splits(call.market, instrument.symbol, dividend.ex_date, call.now)
    return {
        "date": dividend.ex_date.isoformat(),
        "declarationDate": (dividend.ex_date - timedelta(days=21)).isoformat(),
        "recordDate": (dividend.ex_date + timedelta(days=1)).isoformat(),
        "paymentDate": (dividend.ex_date + timedelta(days=14)).isoformat(),
        "period": "Quarterly",
        "value": round(dividend.amount * unit(instrument) / later, 5),
        "unadjustedValue": dividend.amount * unit(instrument),
        "currency": currency(instrument),
    }


def _split_rows(call: Call, instrument: Instrument, since: date, until: date) -> list[dict[str, Any]]:
    made = call.market.splits(instrument.symbol, call.now)
    return [_split(split) for split in made if since <= split.ex_date <= until]


def _split(split: Split) -> dict[str, Any]:
    whole = split.ratio.denominator in (1, 10)  # an odd ratio is told of one old share
    new, old = split.ratio.as_integer_ratio() if whole else (float(split.ratio), 1)
    return {"date": split.ex_date.isoformat(), "split": f"{new:.6f}/{old:.6f}"}


def _refuse(refusal: Refusal) -> Reply:
    """Everything in plain text; a day without credits is a 402, a minute without calls a 429."""
    match refusal.reason:
        case Reason.KEY_MISSING | Reason.KEY_UNKNOWN:
            return Reply("Unauthenticated", 401, TEXT)
        case Reason.NOT_ENTITLED:
            contact = "Please, contact our support team: support@eodhistoricaldata.com"
            return Reply(f"Only EOD data allowed for free users. {contact}", 403, TEXT)
        case Reason.NO_SUCH_PATH:
            return Reply("Not Found", 404, TEXT)
    if refusal.limit and refusal.limit.per == "day":
        contact = "Please contact support@eodhistoricaldata.com"
        return Reply(f"You exceeded your daily API requests limit.  {contact}", 402, TEXT)
    return Reply("Too Many Requests", 429, TEXT, headers={"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "0"})


def _quota(left: Left) -> dict[str, str]:
    return {"X-RateLimit-Limit": str(left.limit.calls), "X-RateLimit-Remaining": str(left.calls)}


def _each(*parameters: str) -> Callable[[Call], int]:
    """A credit for each symbol."""
    named = named_symbols(*parameters)
    return lambda call: max(1, len(named(call)))


FREE = ("eod", "symbols")
ROUTES = tuple(
    Route(path, checked(handler), name, cost=cost)
    for path, handler, name, cost in (
        ("/eod/{symbol}", eod, "eod", 1),
        ("/eod-bulk-last-day/{exchange}", bulk, "bulk", lambda call: 100 + len(named_symbols("symbols")(call))),
        ("/intraday/{symbol}", intraday, "intraday", 5),
        ("/real-time/{symbol}", live, "live", _each("symbol", "s")),
        ("/us-quote-delayed", us_quotes, "us_quotes", _each("s")),
        ("/div/{symbol}", dividends, "dividends", 1),
        ("/splits/{symbol}", splits, "splits", 1),
        ("/fundamentals/{symbol}", company.fundamentals, "fundamentals", 10),
        ("/bulk-fundamentals/{exchange}", company.bulk_fundamentals, "bulk_fundamentals", 100),
        ("/calendar/earnings", events.earnings, "earnings", 1),
        ("/calendar/trends", events.trends, "trends", 1),
        ("/news", events.articles, "news", lambda call: 5 + 5 * len(named_symbols("s")(call))),
        ("/sec-filings/{symbol}/form4", events.form4, "form4", 10),
        ("/insider-transactions", events.insider_transactions, "insider_transactions", 1),
        ("/exchange-symbol-list/{exchange}", events.symbols, "symbols", 1),
    )
)
PROVIDER = Provider(
    name="eodhd",
    routes=ROUTES,
    key=lambda call: call.query.get("api_token"),
    refuse=_refuse,
    plans={
        "free": Plan(
            (Limit(20, "day", credits=True), Limit(1000, "minute")),
            denies=frozenset(str(route.name) for route in ROUTES) - frozenset(FREE),
            history=timedelta(days=365),
        ),
        "all-in-one": Plan((Limit(100_000, "day", credits=True), Limit(1000, "minute"))),
    },
    symbols=named_symbols("symbol", "s", "symbols", "code"),
    quota=_quota,
)
