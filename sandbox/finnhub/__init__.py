"""Finnhub: shares, forex, crypto and company facts. Documentation: https://finnhub.io/docs/api.

Oddities played on purpose: candles in columns, daily ones adjusted for splits and intraday ones not; stock days
stamped at midnight New York, forex days at 17:00 New York of the day before; an unknown quote is all zeros and
nulls, an unknown profile `{}`; money in millions; no batches; the list of US symbols is a redirect to a file;
the free plan is refused what is premium with 403.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from sandbox.finnhub import company as facts
from sandbox.finnhub.filings import financials_reported
from sandbox.finnhub.listings import Refused, Row, asked, coins, pairs, shares
from sandbox.market.actions import split_divisors
from sandbox.market.bars import NOTHING, Bars
from sandbox.market.calendars import midnights, months, weeks
from sandbox.market.company import company, fund
from sandbox.market.universe import Instrument
from sandbox.server.limits import Left, Limit, Plan
from sandbox.server.provider import Call, Provider, Reason, Refusal, Reply, Route, named_symbols
from sandbox.server.windows import Grid, Reading, read

NEW_YORK = ZoneInfo("America/New_York")
MINUTES = {"1": 1, "5": 5, "15": 15, "30": 30, "60": 60}
DAYS = ("D", "W", "M")
INTRADAY_SPAN = timedelta(days=31)  # one call gives a month of minutes, the last one asked for
PRICE_DECIMALS = 8
TYPES = {"equity": "Common Stock", "etf": "ETP", "fund": "Open-End Fund"}
PREMIUM = (
    *("stock_candle", "forex_candle", "crypto_candle", "forex_rates", "dividend", "split", "profile"),
    *("eps_estimate", "etf_profile", "mutual_fund_profile", "price_target", "upgrade_downgrade"),
)


def quote(call: Call) -> Reply:
    """`/quote?symbol=`: zeros and nulls for what is not known."""
    instrument = (shares() | pairs() | coins()).get(asked(call, "symbol"))
    reported = call.quote(instrument.symbol) if instrument else None
    if reported is None:
        return Reply({"c": 0, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0})
    change = reported.price - reported.prev_close
    return Reply(
        {
            "c": reported.price,
            "d": round(change, 4),
            "dp": round(100 * change / reported.prev_close, 4),
            "h": reported.today.high,
            "l": reported.today.low,
            "o": reported.today.open,
            "pc": reported.prev_close,
            "t": reported.ts // 1000,
        }
    )


def forex_rates(call: Call) -> Reply:
    """`/forex/rates?base=USD`: what one `base` is in other currencies, straight or turned round."""
    base, rates = call.query.get("base", "EUR"), {}
    for instrument in pairs().values():
        one, other = instrument.symbol.split("/")
        if base in (one, other) and (reported := call.quote(instrument.symbol)):
            rates[other if base == one else one] = reported.price if base == one else round(1 / reported.price, 8)
    return Reply({"base": base, "quote": rates})


# -- candles -----------------------------------------------------------------------------------------------------------


def stock_candle(call: Call) -> Reply:
    """`/stock/candle?symbol=&resolution=1|5|15|30|60|D|W|M&from=&to=` in unix seconds, both inclusive."""
    return _candle(call, shares(), NEW_YORK)


def forex_candle(call: Call) -> Reply:
    """`/forex/candle?symbol=OANDA:EUR_USD`."""
    return _candle(call, pairs(), UTC)


def crypto_candle(call: Call) -> Reply:
    """`/crypto/candle?symbol=COINBASE:BTC-USD`."""
    return _candle(call, coins(), UTC)


def _candle(call: Call, known: Mapping[str, Instrument], zone: tzinfo) -> Reply:
    symbol, resolution = asked(call, "symbol"), asked(call, "resolution")
    since, until = _moment(call, "from"), _moment(call, "to")
    if resolution not in MINUTES and resolution not in DAYS:
        raise Refused(422, "Wrong resolution: use 1, 5, 15, 30, 60, D, W or M")
    instrument = known.get(symbol)
    if instrument is None or since > until:
        return Reply({"s": "no_data"})
    reported = _minutes if resolution in MINUTES else _days
    bars = call.with_faults(reported(call, instrument, resolution, (since, until), zone))
    if not len(bars):
        return Reply({"s": "no_data"})
    columns = {name: getattr(bars, name).tolist() for name in ("close", "high", "low", "open", "volume")}
    body: Row = {name[0]: column for name, column in columns.items()}
    return Reply(body | {"t": (bars.starts // 1000).tolist(), "s": "ok"})


def _minutes(
    call: Call, instrument: Instrument, resolution: str, span: tuple[datetime, datetime], zone: tzinfo
) -> Bars:
    """Raw prices; bars that begin before the span are not in it."""
    grid = Grid(MINUTES[resolution], "minute", zone)
    start, until = max(span[0], span[1] - INTRADAY_SPAN), min(span[1], call.now)
    if grid.start(start) < start:
        start = grid.end(start)
    if start > until:
        return NOTHING
    reading = Reading(instrument, grid, start, grid.end(until), limit=100_000)
    return read(call.market, reading, call.now).bars


def _days(call: Call, instrument: Instrument, resolution: str, span: tuple[datetime, datetime], _: tzinfo) -> Bars:
    """Days, weeks and months, adjusted for splits."""
    since, until = span[0].date() - timedelta(days=31), span[1].date() + timedelta(days=1)
    first = _windows(resolution, np.array([since], "datetime64[D]"))[0].item()
    bars = call.market.daily(instrument.symbol, first, until, call.now)
    if splits := call.market.splits(instrument.symbol, call.now):
        bars = bars.scaled(split_divisors(bars.days, splits), PRICE_DECIMALS)
    begun = _windows(resolution, bars.days)
    stamps = _stamps(instrument, begun)
    bars = replace(bars, starts=stamps) if resolution == "D" else bars.grouped(stamps)
    inside = (bars.starts >= span[0].timestamp() * 1000) & (bars.starts <= span[1].timestamp() * 1000)
    return bars.take(inside)


def _windows(resolution: str, days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """First day of the candle that each day belongs to."""
    if resolution == "D":
        return days
    return weeks(days) if resolution == "W" else months(days)


def _stamps(instrument: Instrument, days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Where candles of these days are put, UTC ms: a forex day begins at 17:00 New York of the day before."""
    if instrument.asset_class == "crypto":
        return midnights(days, UTC)
    if instrument.asset_class != "forex":
        return midnights(days, NEW_YORK)
    eves, place = np.unique(days - np.timedelta64(1, "D"), return_inverse=True)
    begins = [int(datetime.combine(eve, time(17), NEW_YORK).timestamp()) * 1000 for eve in eves.tolist()]
    return np.array(begins, np.int64)[place]


def _moment(call: Call, name: str) -> datetime:
    text = asked(call, name)
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError):
        raise Refused(422, f"Wrong {name}: use a UNIX timestamp") from None


# -- symbols -----------------------------------------------------------------------------------------------------------


def stock_symbol(call: Call) -> Reply:
    """`/stock/symbol?exchange=US`: a redirect to a signed file; nothing but the US is in the free plan."""
    exchange = asked(call, "exchange")
    location = f"{call.base_url}/static/symbols/{exchange}.json?signature={_signature(exchange)}"
    return Reply("", 302, "text/html", {"Location": location})


def symbol_file(call: Call) -> Reply:
    """The file behind `/stock/symbol`; its signature opens it, no key."""
    exchange = call.path["exchange"]
    if call.query.get("signature") != _signature(exchange):
        return Reply("Forbidden", 403, "text/plain")
    suffixes = {"US": "", "L": ".L", "T": ".T"}
    wanted = [(name, found) for name, found in shares().items() if exchange == _exchange(found)]
    return Reply([_listed(call, name, found) for name, found in wanted if exchange in suffixes])


def _exchange(instrument: Instrument) -> str:
    return {"XLON": "L", "XTKS": "T"}.get(instrument.exchange, "US")


def _signature(exchange: str) -> str:
    return hashlib.blake2b(exchange.encode(), digest_size=12, key=b"finnhub").hexdigest()


def _listed(call: Call, name: str, instrument: Instrument) -> Row:
    who = company if instrument.asset_class == "equity" else fund
    figi = who(call.market, instrument.symbol).figi
    return {
        "currency": instrument.currency,
        "description": instrument.name.upper(),
        "displaySymbol": name,
        "figi": figi,
        "figiComposite": figi,
        "isin": "",
        "mic": instrument.exchange,
        "shareClassFIGI": figi,
        "symbol": name,
        "symbol2": "",
        "type": TYPES[instrument.asset_class],
    }


def forex_symbol(call: Call) -> Reply:
    """`/forex/symbol?exchange=oanda`."""
    return _of_exchange(call, pairs())


def crypto_symbol(call: Call) -> Reply:
    """`/crypto/symbol?exchange=binance`."""
    return _of_exchange(call, coins())


def _of_exchange(call: Call, known: Mapping[str, Instrument]) -> Reply:
    exchange = asked(call, "exchange").upper()
    return Reply(
        [
            {
                "description": f"{exchange.title()} {_shown(name, found)}",
                "displaySymbol": _shown(name, found),
                "symbol": name,
            }
            for name, found in known.items()
            if name.startswith(f"{exchange}:")
        ]
    )


def _shown(name: str, instrument: Instrument) -> str:
    return instrument.symbol.replace("-", "/") + ("T" if name.endswith("USDT") else "")


def search(call: Call) -> Reply:
    """`/search?q=apple`: by symbol or name."""
    text = asked(call, "q").lower()
    rows = [
        {"description": found.name, "displaySymbol": name, "symbol": name, "type": TYPES[found.asset_class]}
        for name, found in shares().items()
        if text in name.lower() or text in found.name.lower()
    ]
    return Reply({"count": len(rows), "result": rows})


# -- refusals ----------------------------------------------------------------------------------------------------------


def _checked(handler: Callable[[Call], Reply]) -> Callable[[Call], Reply]:
    """The handler, with a refusal of its own put into Finnhub's form."""

    def answer(call: Call) -> Reply:
        try:
            return handler(call)
        except Refused as refused:
            return Reply({"error": str(refused)}, refused.status)

    return answer


def _refuse(refusal: Refusal) -> Reply:
    status, error = {
        Reason.KEY_MISSING: (401, "Please use an API key."),
        Reason.KEY_UNKNOWN: (401, "Invalid API key"),
        Reason.LIMITED: (429, "API limit reached. Please try again later. Remaining Limit: 0"),
        Reason.NOT_ENTITLED: (403, "You don't have access to this resource."),
        Reason.NO_SUCH_PATH: (404, "Not Found"),
    }[refusal.reason]
    return Reply({"error": error}, status, headers=_quota(refusal.left) if refusal.left else {})


def _quota(left: Left) -> dict[str, str]:
    """The reset in unix seconds."""
    return {
        "X-Ratelimit-Limit": str(left.limit.calls),
        "X-Ratelimit-Remaining": str(left.calls),
        "X-Ratelimit-Reset": str(round(left.resets.timestamp())),
    }


EVERY_PLAN = Limit(30, "second")

PROVIDER = Provider(
    name="finnhub",
    routes=(
        *(
            Route(path, _checked(handler), name)
            for path, handler, name in (
                ("/quote", quote, "quote"),
                ("/stock/candle", stock_candle, "stock_candle"),
                ("/forex/candle", forex_candle, "forex_candle"),
                ("/crypto/candle", crypto_candle, "crypto_candle"),
                ("/forex/rates", forex_rates, "forex_rates"),
                ("/stock/dividend", facts.dividends, "dividend"),
                ("/stock/split", facts.splits, "split"),
                ("/stock/profile2", facts.profile2, "profile2"),
                ("/stock/profile", facts.profile, "profile"),
                ("/stock/financials-reported", financials_reported, "financials_reported"),
                ("/stock/metric", facts.metric, "metric"),
                ("/stock/eps-estimate", facts.eps_estimate, "eps_estimate"),
                ("/etf/profile", facts.etf_profile, "etf_profile"),
                ("/mutual-fund/profile", facts.mutual_fund_profile, "mutual_fund_profile"),
                ("/calendar/earnings", facts.earnings_calendar, "earnings_calendar"),
                ("/stock/earnings", facts.earnings, "earnings"),
                ("/company-news", facts.company_news, "company_news"),
                ("/news", facts.market_news, "news"),
                ("/stock/insider-transactions", facts.insider_transactions, "insider_transactions"),
                ("/stock/recommendation", facts.recommendation, "recommendation"),
                ("/stock/price-target", facts.price_target, "price_target"),
                ("/stock/upgrade-downgrade", facts.upgrade_downgrade, "upgrade_downgrade"),
                ("/stock/symbol", stock_symbol, "stock_symbol"),
                ("/forex/symbol", forex_symbol, "forex_symbol"),
                ("/crypto/symbol", crypto_symbol, "crypto_symbol"),
                ("/search", search, "search"),
            )
        ),
        Route("/static/symbols/{exchange}.json", symbol_file, "symbol_file", open=True),
    ),
    key=lambda call: call.query.get("token") or call.headers.get("X-Finnhub-Token"),
    refuse=_refuse,
    plans={
        "free": Plan((Limit(60, "minute"), EVERY_PLAN), denies=frozenset(PREMIUM)),
        "premium": Plan((Limit(300, "minute"), EVERY_PLAN)),
    },
    symbols=named_symbols("symbol"),
    quota=_quota,
)
