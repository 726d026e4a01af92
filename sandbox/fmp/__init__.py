"""Financial Modeling Prep, the stable API. Documentation: https://site.financialmodelingprep.com/developer/docs.

Oddities played on purpose: lists everywhere, newest first, errors an object or plain text; times of day in New
York's clock and without a zone, coins included; a coin's volume in money; `non-split-adjusted` rows named
adjOpen; seconds in a quote and milliseconds after hours; `vwap` the mean of open, high, low and close.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from sandbox.fmp import company, lists, statements
from sandbox.fmp.listings import (
    EASTERN,
    PREMIUM_PARAMETERS,
    SUBSCRIBE,
    BadRequest,
    checked,
    dates,
    eastern,
    listings,
    named,
    number,
    spelling,
    unit,
    venue,
)
from sandbox.market.actions import dividend_factors, split_divisors
from sandbox.market.bars import Bars
from sandbox.market.calendars import MINUTE_MS
from sandbox.market.statements import later_splits, market_cap
from sandbox.server.limits import Limit, Plan
from sandbox.server.provider import Call, Provider, Reason, Refusal, Reply, Route, named_symbols

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.market.actions import Dividend, Split
    from sandbox.market.bars import Bar
    from sandbox.market.universe import AssetClass, Instrument

    Rows = Callable[[Call, Instrument, date, date], list[dict[str, Any]]]

MINUTES = {"1min": 1, "5min": 5, "15min": 15, "30min": 30, "1hour": 60, "4hour": 240}
KINDS = ("full", "light", "non-split-adjusted", "dividend-adjusted")
MOST_BARS = 5000  # of one answer: the newest
USUAL_YEARS = timedelta(days=5 * 365)
USUAL_INTRADAY = timedelta(days=3)
PLAIN = "text/plain; charset=utf-8"
SITE = "https://site.financialmodelingprep.com"


def daily(call: Call) -> Reply:
    """`/historical-price-eod/{kind}?symbol=&from=&to=`: `full` and `light` adjusted for splits.

    Five years if no dates are given; the running day is included up to now.
    """
    kind, rows = call.path["kind"], []
    if kind not in KINDS:
        return Reply([], 404)
    for instrument in named(call):
        since, until = dates(call, (call.now - USUAL_YEARS).date(), call.now.date())
        reach = (call.now - call.plan.history).date() if call.plan.history else since
        bars = call.market.daily(instrument.symbol, max(since, reach), until, call.now)
        bars = call.with_faults(_adjusted(call, instrument, bars, kind))
        rows += [_daily_row(instrument, bar, kind) for bar in bars.take(slice(-MOST_BARS, None))][::-1]
    return Reply(rows)


def _adjusted(call: Call, instrument: Instrument, bars: Bars, kind: str) -> Bars:
    """Prices and volumes as the kind wants them, in the quoted unit; a coin's volume becomes money."""
    splits = call.market.splits(instrument.symbol, call.now)
    if instrument.asset_class == "crypto":
        bars = replace(bars, volume=bars.volume * bars.vwap)
    if unit(instrument) != 1:
        bars = bars.scaled(1 / unit(instrument), 4) if len(bars) else bars
        bars = replace(bars, volume=bars.volume * unit(instrument))
    if splits and kind != "non-split-adjusted":
        bars = bars.scaled(split_divisors(bars.days, splits))
    if kind == "dividend-adjusted" and len(bars):
        paid = call.market.dividends(instrument.symbol, call.now, bars.days[0].item())
        volume, factors = bars.volume, dividend_factors(bars.days, paid)
        bars = replace(bars.scaled(1 / factors), volume=volume)
    return bars


def _daily_row(instrument: Instrument, bar: Bar, kind: str) -> dict[str, Any]:
    head = {"symbol": spelling(instrument), "date": bar.day.isoformat()}
    open_, high, low, close = (round(price, 8) for price in (bar.open, bar.high, bar.low, bar.close))
    volume = {"volume": round(bar.volume)}
    if kind == "light":
        return head | {"price": close} | volume
    if kind != "full":
        return head | {"adjOpen": open_, "adjHigh": high, "adjLow": low, "adjClose": close} | volume
    change = {"change": round(close - open_, 6), "changePercent": round(100 * (close / open_ - 1), 8)}
    mean = {"vwap": round((open_ + high + low + close) / 4, 8)}
    return head | {"open": open_, "high": high, "low": low, "close": close} | volume | change | mean


def intraday(call: Call) -> Reply:
    """`/historical-chart/{interval}?symbol=&from=&to=&nonadjusted=`: New York's dates; else three days."""
    if call.path["interval"] not in MINUTES:
        return Reply([], 404)
    rows = []
    for instrument in named(call):
        today = call.now.astimezone(EASTERN).date()
        since, until = dates(call, today - USUAL_INTRADAY, today)
        bars = call.with_faults(_intraday_bars(call, instrument, MINUTES[call.path["interval"]], since, until))
        rows += [_intraday_row(bar) for bar in bars.take(slice(-MOST_BARS, None))][::-1]
    return Reply(rows)


def _intraday_bars(call: Call, instrument: Instrument, step: int, since: date, until: date) -> Bars:
    """Bars on the grid that begins at each session's opening."""
    start, end = (datetime.combine(day, time(), EASTERN) for day in (since, until + timedelta(days=1)))
    bars = call.market.minutes(instrument.symbol, start.astimezone(UTC), end.astimezone(UTC), call.now)
    if not len(bars):
        return bars
    sessions = instrument.calendar.sessions(bars.days[0].item(), bars.days[-1].item())
    opens = sessions.opens[np.searchsorted(sessions.days, bars.days)]
    kind = "non-split-adjusted" if call.query.get("nonadjusted") == "true" else "full"
    length = step * MINUTE_MS
    bars = _adjusted(call, instrument, bars, kind).grouped(opens + (bars.starts - opens) // length * length)
    return bars.take(bars.starts >= start.timestamp() * 1000)


def _intraday_row(bar: Bar) -> dict[str, Any]:
    open_, low, high, close = (round(price, 8) for price in (bar.open, bar.low, bar.high, bar.close))
    prices = {"open": open_, "low": low, "high": high, "close": close}
    return {"date": eastern(bar.start)} | prices | {"volume": bar.volume if bar.volume % 1 else int(bar.volume)}


def quotes(call: Call) -> Reply:
    """`/quote?symbol=`; unknown symbols give an empty list."""
    return Reply([row for each in named(call) if (row := _quote(call, each))])


def batch_quotes(call: Call) -> Reply:
    """`/batch-quote?symbols=A,B`; unknown ones are left out."""
    return Reply([row for each in named(call, "symbols") if (row := _quote(call, each))])


def short_quotes(call: Call) -> Reply:
    """`/quote-short?symbol=`."""
    wanted = ("symbol", "price", "change", "volume")
    return Reply([{name: row[name] for name in wanted} for each in named(call) if (row := _quote(call, each))])


def _quote(call: Call, instrument: Instrument) -> dict[str, Any] | None:
    quote = call.quote(instrument.symbol)
    if quote is None:
        return None
    factor, today = unit(instrument), quote.today
    price, before = quote.price * factor, quote.prev_close * factor
    year = call.market.daily(instrument.symbol, (call.now - timedelta(days=365)).date(), call.now.date(), call.now)
    year = _adjusted(call, instrument, year, "full")
    volume = today.volume * today.vwap if instrument.asset_class == "crypto" else today.volume
    return {
        "symbol": spelling(instrument),
        "name": instrument.symbol if instrument.asset_class == "forex" else instrument.name,
        "price": price,
        "changePercentage": round(100 * (price / before - 1), 5),
        "change": round(price - before, 6),
        "volume": int(volume),
        "dayLow": today.low * factor,
        "dayHigh": today.high * factor,
        "yearHigh": float(year.high.max()),
        "yearLow": float(year.low.min()),
        "marketCap": market_cap(call.market, instrument.symbol, call.now)
        if instrument.asset_class == "equity"
        else None,
        "priceAvg50": float(year.close[-50:].mean()),
        "priceAvg200": float(year.close[-200:].mean()),
        "exchange": venue(instrument)[0],
        "open": today.open * factor,
        "previousClose": before,
        "timestamp": quote.ts // 1000,
    }


def aftermarket_quotes(call: Call) -> Reply:
    """`/aftermarket-quote?symbol=`: bid and ask, with milliseconds."""
    rows = []
    for each in named(call):
        quote = call.quote(each.symbol) if each.asset_class in ("equity", "etf") else None
        if quote:
            bid = {"bidSize": quote.bid_size, "bidPrice": quote.bid}
            ask = {"askSize": quote.ask_size, "askPrice": quote.ask}
            rest = {"volume": int(quote.today.volume), "timestamp": quote.ts}
            rows.append({"symbol": spelling(each)} | bid | ask | rest)
    return Reply(rows)


def _of_symbol(rows: Rows) -> Callable[[Call], Reply]:
    """`?symbol=&limit=`: all of one instrument, newest first."""

    def answer(call: Call) -> Reply:
        found = [row for each in named(call) for row in rows(call, each, date.min, call.now.date())]
        return Reply(found[::-1][: number(call, "limit", 1000, 1000)])

    return answer


def _of_everybody(rows: Rows) -> Callable[[Call], Reply]:
    """`?from=&to=`: of everybody, newest first, no more than 90 days and 4000 rows."""

    def answer(call: Call) -> Reply:
        since, until = dates(call, (call.now - timedelta(days=30)).date(), call.now.date())
        if until - since > timedelta(days=90):
            raise BadRequest("Query Error: the range from, to is longer than 90 days")
        found = [row for each in listings().values() for row in rows(call, each, since, until)]
        return Reply(sorted(found, key=lambda row: (row["date"], row["symbol"]), reverse=True)[:4000])

    return answer


def _dividends(call: Call, instrument: Instrument, since: date, until: date) -> list[dict[str, Any]]:
    paid = call.market.dividends(instrument.symbol, call.now, since)
    return [_dividend(call, instrument, each) for each in paid if each.ex_date <= until]


def _dividend(call: Call, instrument: Instrument, paid: Dividend) -> dict[str, Any]:
    later = later_splits(call.market, instrument.symbol, paid.ex_date, call.now)
    amount = paid.amount * unit(instrument)
    return {
        "symbol": spelling(instrument),
        "date": paid.ex_date.isoformat(),
        "recordDate": paid.ex_date.isoformat(),
        "paymentDate": (paid.ex_date + timedelta(days=14)).isoformat(),
        "declarationDate": (paid.ex_date - timedelta(days=21)).isoformat(),
        "adjDividend": round(amount / later, 6),
        "dividend": amount,
        "yield": 400 * paid.amount / paid.close_before,
        "frequency": "Quarterly",
    }


def _splits(call: Call, instrument: Instrument, since: date, until: date) -> list[dict[str, Any]]:
    made = call.market.splits(instrument.symbol, call.now)
    return [_split(instrument, each) for each in made if since <= each.ex_date <= until]


def _split(instrument: Instrument, split: Split) -> dict[str, Any]:
    new, old = split.ratio.as_integer_ratio()
    parts = {"numerator": new, "denominator": old, "splitType": "stock-split"}
    return {"symbol": spelling(instrument), "date": split.ex_date.isoformat()} | parts


def _refuse(refusal: Refusal) -> Reply:
    """An object with an `Error Message`, but plain text for what the plan does not sell."""
    match refusal.reason:
        case Reason.NOT_ENTITLED:
            return Reply(f"Restricted Endpoint: This endpoint {SUBSCRIBE}", 402, PLAIN)
        case Reason.NO_SUCH_PATH if refusal.call.url_path.startswith("/api/v"):
            ended = (
                "Due to Legacy endpoints being no longer supported - This endpoint is only available for legacy users"
            )
            said = f"Legacy Endpoint : {ended} who have valid subscriptions prior August 31, 2025."
            return Reply({"Error Message": said}, 403)
        case Reason.NO_SUCH_PATH:
            return Reply([], 404)
        case Reason.LIMITED:
            said = f"Limit Reach . Please upgrade your plan or visit our documentation for more details at {SITE}/"
            return Reply({"Error Message": said}, 429)
    said = f"Invalid API KEY. Feel free to create a Free API Key or visit {SITE}/faqs for more information."
    return Reply({"Error Message": said}, 401)


SHARES: tuple[AssetClass, ...] = ("equity", "etf", "fund")
ENDPOINTS: tuple[tuple[str, Callable[[Call], Reply]], ...] = (
    ("/quote", quotes),
    ("/quote-short", short_quotes),
    ("/batch-quote", batch_quotes),
    ("/aftermarket-quote", aftermarket_quotes),
    ("/historical-price-eod/{kind}", daily),
    ("/historical-chart/{interval}", intraday),
    ("/dividends", _of_symbol(_dividends)),
    ("/splits", _of_symbol(_splits)),
    ("/dividends-calendar", _of_everybody(_dividends)),
    ("/splits-calendar", _of_everybody(_splits)),
    ("/profile", company.profile),
    ("/income-statement", statements.by_period(statements.income)),
    ("/income-statement-ttm", statements.of_last_year(statements.income)),
    ("/balance-sheet-statement", statements.by_period(statements.balance)),
    ("/balance-sheet-statement-ttm", statements.of_last_year(statements.balance)),
    ("/cash-flow-statement", statements.by_period(statements.cash_flow)),
    ("/cash-flow-statement-ttm", statements.of_last_year(statements.cash_flow)),
    ("/ratios", statements.valued(statements.ratios)),
    ("/ratios-ttm", statements.valued_now(statements.ratios)),
    ("/key-metrics", statements.valued(statements.key_metrics)),
    ("/key-metrics-ttm", statements.valued_now(statements.key_metrics)),
    ("/discounted-cash-flow", company.discounted_cash_flow),
    ("/analyst-estimates", company.analyst_estimates),
    ("/earnings", company.earnings),
    ("/earnings-calendar", company.earnings_calendar),
    ("/news/stock", company.articles(SHARES, latest=False)),
    ("/news/stock-latest", company.articles(SHARES, latest=True)),
    ("/news/crypto", company.articles(("crypto",), latest=False)),
    ("/news/crypto-latest", company.articles(("crypto",), latest=True)),
    ("/news/forex", company.articles(("forex",), latest=False)),
    ("/news/forex-latest", company.articles(("forex",), latest=True)),
    ("/insider-trading/search", company.insider_search),
    ("/insider-trading/latest", company.insider_latest),
    ("/grades", company.changed_grades),
    ("/grades-consensus", company.grades_consensus),
    ("/grades-historical", company.grades_historical),
    ("/price-target-consensus", company.price_target_consensus),
    ("/etf/info", company.etf_info),
    ("/stock-list", lists.stocks),
    ("/etf-list", lists.etfs),
    ("/cryptocurrency-list", lists.coins),
    ("/forex-list", lists.pairs),
    ("/commodities-list", lists.commodities),
    ("/index-list", lists.indexes),
    ("/company-screener", lists.screener),
    ("/delisted-companies", lists.delisted),
    ("/search-symbol", lists.search),
)
# named by path: `historical_price_eod`, `news_stock_latest`
ROUTES = tuple(
    Route(path, checked(handler), path.partition("/{")[0].strip("/").replace("/", "_").replace("-", "_"))
    for path, handler in ENDPOINTS
)
STARTER = frozenset({"historical_chart", "etf_info"})
BASIC = STARTER | {
    "batch_quote",
    "aftermarket_quote",
    "income_statement_ttm",
    "balance_sheet_statement_ttm",
    "cash_flow_statement_ttm",
    "news_stock",
    "news_stock_latest",
    "news_crypto",
    "news_crypto_latest",
    "news_forex",
    "news_forex_latest",
    "insider_trading_search",
    "company_screener",
    PREMIUM_PARAMETERS,
}
PROVIDER = Provider(
    name="fmp",
    routes=ROUTES,
    key=lambda call: call.query.get("apikey") or call.headers.get("apikey"),
    refuse=_refuse,
    plans={
        "basic": Plan((Limit(250, "day"),), denies=BASIC, history=USUAL_YEARS),
        "starter": Plan((Limit(300, "minute"),), denies=STARTER),
        "premium": Plan((Limit(750, "minute"),), denies=frozenset({"etf_info"})),
        "ultimate": Plan((Limit(3000, "minute"),)),
    },
    symbols=named_symbols("symbol", "symbols"),
)
