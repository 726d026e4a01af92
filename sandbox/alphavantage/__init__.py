"""Alpha Vantage: one path, `function` selects. Documentation: https://www.alphavantage.co/documentation/.

Oddities played on purpose: every answer is a 200, a refusal too, and a refusal is JSON even where CSV was asked
for; numbers are strings, keys numbered; newest first, times in the zone the head names; prices as traded and of
the end of the day; longer bars stamped with their last day; London in pence; an unknown quote is empty;
without a premium plan bulk quotes are an artificial sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from sandbox.alphavantage import company as facts
from sandbox.alphavantage import series
from sandbox.alphavantage.listings import (
    DOCUMENTATION,
    Refused,
    Row,
    at_last_close,
    currency_name,
    invalid_call,
    pair,
    pence,
    shares,
    table,
    wants_csv,
)
from sandbox.market.market import Quote
from sandbox.market.newsroom import Article
from sandbox.market.universe import Instrument, instruments
from sandbox.server import news_pages
from sandbox.server.limits import Limit, Plan
from sandbox.server.provider import Call, Provider, Reason, Refusal, Reply, Route

PREMIUM_PAGE = "https://www.alphavantage.co/premium/"
THANKS = "Thank you for using Alpha Vantage!"
PREMIUM_FUNCTIONS = "premium functions"  # among what a plan denies: they answer, but not what was asked
BULK_SIZE = 100
TYPES = {"equity": "Stock", "etf": "ETF", "fund": "Mutual Fund"}
EXCHANGES = {"XNAS": "NASDAQ", "XNYS": "NYSE", "ARCX": "NYSE ARCA"}
LABELS = ((-0.35, "Bearish"), (-0.15, "Somewhat-Bearish"), (0.15, "Neutral"), (0.35, "Somewhat-Bullish"))
SENTIMENT_SCALE = (
    "x <= -0.35: Bearish; -0.35 < x <= -0.15: Somewhat-Bearish; -0.15 < x < 0.15: Neutral; "
    "0.15 <= x < 0.35: Somewhat_Bullish; x >= 0.35: Bullish"
)
MOST_NEWS = 1000
COMMODITIES = {  # function: the future whose average it is, its name and unit
    "WTI": ("CL", "Crude Oil Prices WTI", "dollars per barrel"),
    "NATURAL_GAS": ("NG", "Henry Hub Natural Gas Spot Price", "dollars per million BTU"),
    "COPPER": ("HG", "Global Price of Copper", "dollars per metric ton"),
    "WHEAT": ("ZW", "Global Price of Wheat", "dollar per metric ton"),
    "CORN": ("ZC", "Global Price of Corn", "dollar per metric ton"),
}


# -- quotes ------------------------------------------------------------------------------------------------------------


def global_quote(call: Call) -> Reply:
    """`GLOBAL_QUOTE`: of the last day that is over."""
    symbol = call.query.get("symbol", "").upper()
    instrument = shares().get(symbol)
    quote = at_last_close(call, instrument).quote(instrument.symbol) if instrument else None
    if instrument is None or quote is None:
        return Reply({"Global Quote": {}})
    row = {"symbol": symbol} | _quoted(quote, pence(instrument))
    row["latest trading day"] = row.pop("day")
    if wants_csv(call):
        columns = ("symbol", "open", "high", "low", "price", "volume", "latestDay", "previousClose", "change")
        values = [row[name] for name in ("symbol", "open", "high", "low", "price", "volume", "latest trading day")]
        values += [row["previous close"], row["change"], row["change percent"]]
        return table(call, (*columns, "changePercent"), [values], "global_quote")
    order = ("symbol", "open", "high", "low", "price", "volume", "latest trading day", "previous close", "change")
    reported = {f"{at:02}. {name}": row[name] for at, name in enumerate((*order, "change percent"), 1)}
    return Reply({"Global Quote": reported})


def _quoted(quote: Quote, unit: float) -> Row:
    change = quote.price - quote.prev_close
    return {
        "open": f"{quote.today.open * unit:.4f}",
        "high": f"{quote.today.high * unit:.4f}",
        "low": f"{quote.today.low * unit:.4f}",
        "price": f"{quote.price * unit:.4f}",
        "volume": f"{quote.today.volume:.0f}",
        "day": str(quote.today.day),
        "previous close": f"{quote.prev_close * unit:.4f}",
        "change": f"{change * unit:.4f}",
        "change percent": f"{100 * change / quote.prev_close:.4f}%",
    }


def bulk_quotes(call: Call) -> Reply:
    """`REALTIME_BULK_QUOTES`: up to a hundred symbols; without a premium plan a sample with invented numbers."""
    sample = PREMIUM_FUNCTIONS in call.plan.denies
    rows = []
    for symbol in call.query.get("symbol", "").upper().split(",")[:BULK_SIZE]:
        instrument = shares().get(symbol)
        if instrument and (quote := call.quote(instrument.symbol)):
            rows.append(_bulk_row(symbol, quote, 1.7 if sample else pence(instrument)))
    message = "This is an ARTIFICIAL sample response. Please subscribe to a premium plan to unlock the real data."
    reported = {"endpoint": "Realtime Bulk Quotes", "message": message if sample else "success", "data": rows}
    if wants_csv(call) and not sample:
        return table(call, list(rows[0]) if rows else ["symbol"], (list(row.values()) for row in rows), "bulk_quotes")
    return Reply(reported)


def _bulk_row(symbol: str, quote: Quote, unit: float) -> Row:
    row = _quoted(quote, unit)
    at = datetime.fromtimestamp(quote.ts / 1000, series.EASTERN)
    return {
        "symbol": symbol,
        "timestamp": f"{at:%Y-%m-%d %H:%M:%S}.{quote.ts % 1000:03}",
        "open": row["open"],
        "high": row["high"],
        "low": row["low"],
        "close": row["price"],
        "volume": row["volume"],
        "previous_close": row["previous close"],
        "change": row["change"],
        "change_percent": row["change percent"].rstrip("%"),
        "extended_hours_quote": "",
        "extended_hours_change": "",
        "extended_hours_change_percent": "",
    }


def exchange_rate(call: Call) -> Reply:
    """`CURRENCY_EXCHANGE_RATE`: of currencies and coins, straight or turned round."""
    one, other = call.query.get("from_currency", ""), call.query.get("to_currency", "")
    instrument, turned = pair(one, other), False
    if instrument is None:
        instrument, turned = pair(other, one), True
    quote = call.quote(instrument.symbol) if instrument else None
    if quote is None:
        raise invalid_call("CURRENCY_EXCHANGE_RATE")
    rates = [1 / quote.price, 1 / quote.ask, 1 / quote.bid] if turned else [quote.price, quote.bid, quote.ask]
    at = datetime.fromtimestamp(quote.ts / 1000, UTC)
    named = ("From_Currency Code", "From_Currency Name", "To_Currency Code", "To_Currency Name", "Exchange Rate")
    values = (one, currency_name(one), other, currency_name(other), f"{rates[0]:.8f}", f"{at:%Y-%m-%d %H:%M:%S}", "UTC")
    names = (*named, "Last Refreshed", "Time Zone", "Bid Price", "Ask Price")
    reported = zip(names, (*values, f"{rates[1]:.8f}", f"{rates[2]:.8f}"), strict=True)
    return Reply(
        {"Realtime Currency Exchange Rate": {f"{at}. {name}": value for at, (name, value) in enumerate(reported, 1)}}
    )


# -- universe, commodities, news ---------------------------------------------------------------------------------------


def listing_status(call: Call) -> Reply:
    """`LISTING_STATUS`: US shares and ETFs, always as CSV; nothing was ever delisted here."""
    columns = ("symbol", "name", "exchange", "assetType", "ipoDate", "delistingDate", "status")
    rows = [
        (name, found.name, EXCHANGES[found.exchange], TYPES[found.asset_class], found.listed, None, "Active")
        for name, found in sorted(shares().items())
        if found.asset_class != "fund" and found.exchange in EXCHANGES
    ]
    return table(call, columns, rows if call.query.get("state", "active") == "active" else [], "listing_status")


def symbol_search(call: Call) -> Reply:
    """`SYMBOL_SEARCH`: by symbol or name, the best ten."""
    text = call.query.get("keywords", "").lower()
    found = [
        (1.0 if name.lower() == text else 0.8 if name.lower().startswith(text) else 0.6, name, each)
        for name, each in shares().items()
        if text and (text in name.lower() or text in each.name.lower())
    ]
    columns = ("symbol", "name", "type", "region", "marketOpen", "marketClose", "timezone", "currency", "matchScore")
    rows = [_match(*each) for each in sorted(found, key=lambda each: (-each[0], each[1]))[:10]]
    if wants_csv(call):
        return table(call, columns, rows, "symbol_search")
    matches = [
        {f"{at}. {name}": value for at, (name, value) in enumerate(zip(columns, row, strict=True), 1)} for row in rows
    ]
    return Reply({"bestMatches": matches})


def _match(score: float, name: str, instrument: Instrument) -> tuple[str, ...]:
    kind = {"equity": "Equity", "etf": "ETF", "fund": "Mutual Fund"}[instrument.asset_class]
    where = ("United Kingdom", "08:00", "16:30", "UTC+01", "GBX")
    if instrument.exchange != "XLON":
        where = ("United States", "09:30", "16:00", "UTC-04", instrument.currency)
    return (name, instrument.name, kind, *where, f"{score:.4f}")


def commodity(call: Call) -> Reply:
    """`WTI`, `COPPER` and the like: averages of `interval` daily, monthly (default) or quarterly; no bars."""
    symbol, name, unit = COMMODITIES[call.query["function"]]
    instrument, interval = instruments()[symbol], call.query.get("interval", "monthly")
    step = {"daily": "D", "monthly": "M"}.get(interval)
    if step is None:
        raise invalid_call(call.query["function"])
    bars = call.with_faults(call.market.daily(symbol, instrument.listed, call.now.date(), call.now))
    values: dict[str, list[float]] = {}
    for bar in bars:
        values.setdefault(str(bar.day) if step == "D" else f"{bar.day:%Y-%m}-01", []).append(bar.close)
    rows = [{"date": day, "value": f"{sum(each) / len(each):.10g}"} for day, each in reversed(values.items())]
    if wants_csv(call):
        return table(call, ("timestamp", "value"), (list(row.values()) for row in rows), name)
    return Reply({"name": name, "interval": interval, "unit": unit, "data": rows})


def news_sentiment(call: Call) -> Reply:
    """`NEWS_SENTIMENT`: `tickers=AAPL,CRYPTO:BTC,FOREX:EUR` (articles about all of them), `time_from`, `limit`."""
    wanted = [name for name in call.query.get("tickers", "").split(",") if name]
    named = [_symbols_of(name) for name in wanted]
    limit = call.query.get("limit", "50")
    if not all(named) or not limit.isdecimal():
        raise Refused(
            f"Invalid inputs. Please refer to the API documentation {DOCUMENTATION}#newsapi and try again.",
            "Information",
        )
    symbols = set.intersection(*named) if named else set(instruments())
    since = _moment(call, "time_from", call.now - timedelta(days=365))
    until = min(_moment(call, "time_to", call.now), call.now)
    asked = news_pages.Request(sorted(symbols), since, until, call.query.get("sort", "LATEST") != "EARLIEST")
    page, _ = news_pages.page(call.market, asked, min(int(limit), MOST_NEWS))
    scale = {"sentiment_score_definition": SENTIMENT_SCALE}
    scale["relevance_score_definition"] = "0 < x <= 1, with a higher score indicating higher relevance."
    return Reply({"items": str(len(page)), **scale, "feed": [_article(each) for each in page]})


def _symbols_of(ticker: str) -> set[str]:
    """The canonical symbols a ticker of the news stands for; a currency is a part of many pairs."""
    if ticker.startswith("CRYPTO:"):
        return {f"{ticker[7:]}-USD"} & set(instruments())
    if ticker.startswith("FOREX:"):
        return {name for name in instruments() if "/" in name and ticker[6:] in name.split("/")}
    return {shares()[ticker].symbol} if ticker in shares() else set()


def _article(reported: Article) -> Row:
    label = next((name for bound, name in LABELS if reported.sentiment <= bound), "Bullish")
    tickers = [ticker for symbol in reported.symbols for ticker in _tickers_of(symbol)]
    return {
        "title": reported.title,
        "url": reported.url,
        "time_published": f"{reported.at:%Y%m%dT%H%M%S}",
        "authors": [reported.author],
        "summary": reported.summary,
        "banner_image": reported.image,
        "source": reported.publisher,
        "category_within_source": "General",
        "source_domain": reported.publisher,
        "topics": [{"topic": "financial_markets", "relevance_score": "0.846949"}],
        "overall_sentiment_score": reported.sentiment,
        "overall_sentiment_label": label,
        "ticker_sentiment": [
            {
                "ticker": ticker,
                "relevance_score": "1.000000",
                "ticker_sentiment_score": f"{reported.sentiment:.6f}",
                "ticker_sentiment_label": label,
            }
            for ticker in tickers
        ],
    }


def _tickers_of(symbol: str) -> list[str]:
    match instruments()[symbol].asset_class:
        case "crypto":
            return [f"CRYPTO:{symbol.partition('-')[0]}"]
        case "forex":
            return [f"FOREX:{code}" for code in symbol.split("/")]
    return [symbol.replace(".", "-")]


def _moment(call: Call, name: str, default: datetime) -> datetime:
    if name not in call.query:
        return default
    try:
        return datetime.strptime(call.query[name], "%Y%m%dT%H%M").replace(tzinfo=UTC)
    except ValueError:
        raise Refused(
            f"Invalid inputs. Please refer to the API documentation {DOCUMENTATION}#newsapi", "Information"
        ) from None


# -- one path, and what it refuses -------------------------------------------------------------------------------------


FUNCTIONS: Mapping[str, Callable[[Call], Reply]] = {
    "GLOBAL_QUOTE": global_quote,
    "REALTIME_BULK_QUOTES": bulk_quotes,
    "CURRENCY_EXCHANGE_RATE": exchange_rate,
    "TIME_SERIES_DAILY": series.daily,
    "TIME_SERIES_DAILY_ADJUSTED": series.daily_adjusted,
    "TIME_SERIES_WEEKLY": series.weekly,
    "TIME_SERIES_WEEKLY_ADJUSTED": series.weekly_adjusted,
    "TIME_SERIES_MONTHLY": series.monthly,
    "TIME_SERIES_MONTHLY_ADJUSTED": series.monthly_adjusted,
    "TIME_SERIES_INTRADAY": series.intraday,
    "FX_DAILY": series.fx_daily,
    "FX_WEEKLY": series.fx_weekly,
    "FX_MONTHLY": series.fx_monthly,
    "FX_INTRADAY": series.fx_intraday,
    "DIGITAL_CURRENCY_DAILY": series.coin_daily,
    "DIGITAL_CURRENCY_WEEKLY": series.coin_weekly,
    "DIGITAL_CURRENCY_MONTHLY": series.coin_monthly,
    "CRYPTO_INTRADAY": series.coin_intraday,
    "DIVIDENDS": facts.dividends,
    "SPLITS": facts.splits,
    "OVERVIEW": facts.overview,
    "ETF_PROFILE": facts.etf_profile,
    "EARNINGS_ESTIMATES": facts.earnings_estimates,
    "SHARES_OUTSTANDING": facts.shares_outstanding,
    "INCOME_STATEMENT": facts.income_statement,
    "BALANCE_SHEET": facts.balance_sheet,
    "CASH_FLOW": facts.cash_flow,
    "EARNINGS": facts.earnings,
    "EARNINGS_CALENDAR": facts.earnings_calendar,
    "INSIDER_TRANSACTIONS": facts.insider_transactions,
    "NEWS_SENTIMENT": news_sentiment,
    "LISTING_STATUS": listing_status,
    "SYMBOL_SEARCH": symbol_search,
    **dict.fromkeys(COMMODITIES, commodity),
}
PREMIUM = frozenset({"TIME_SERIES_DAILY_ADJUSTED", "TIME_SERIES_INTRADAY", "FX_INTRADAY", "CRYPTO_INTRADAY"})


def query(call: Call) -> Reply:
    """`/query?function=…`. A premium function costs a call of the quota even where it is refused."""
    function = call.query.get("function", "")
    if function in PREMIUM and PREMIUM_FUNCTIONS in call.plan.denies:
        text = f"{THANKS} This is a premium endpoint. You may subscribe to any of the premium plans at {PREMIUM_PAGE} "
        return Reply({"Information": f"{text}to instantly unlock all premium endpoints"})
    if function not in FUNCTIONS:
        return Reply({"Error Message": f"This API function ({function}) does not exist."})
    try:
        return FUNCTIONS[function](call)
    except Refused as refused:
        return Reply({refused.word: str(refused)})


def _refuse(refusal: Refusal) -> Reply:
    match refusal.reason:
        case Reason.NO_SUCH_PATH:
            return Reply("<h1>Not Found</h1>", 404, "text/html")
        case Reason.LIMITED:
            return Reply({"Information": _limit_text(refusal.limit)})
    claim = "Please claim your free API key on (https://www.alphavantage.co/support/#api-key)."
    text = f"the parameter apikey is invalid or missing. {claim} It should take less than 20 seconds."
    return Reply({"Error Message": text})


def _limit_text(limit: Limit | None) -> str:
    if limit and limit.per == "second":
        return (
            "Please consider spreading out your free API requests more sparingly (1 request per second). You may "
            f"subscribe to any of the premium plans at {PREMIUM_PAGE} to lift the free key rate limit (25 requests "
            "per day), raise the per-second burst limit, and instantly unlock all premium endpoints"
        )
    calls, per = (limit.calls, limit.per) if limit else (25, "day")
    return (
        f"{THANKS} Our standard API rate limit is {calls} requests per {per}. Please subscribe to any of the premium "
        f"plans at {PREMIUM_PAGE} to instantly remove all daily rate limits."
    )


def _symbols(call: Call) -> list[str]:
    one = call.query.get("from_symbol") or call.query.get("from_currency")
    if one:
        return [f"{one}/{call.query.get('to_symbol') or call.query.get('to_currency', '')}"]
    named = call.query.get("symbol") or call.query.get("tickers") or ""
    return [name for name in named.split(",") if name]


PROVIDER = Provider(
    name="alphavantage",
    routes=(Route("/query", query, lambda call: call.query.get("function", "")),),
    key=lambda call: call.query.get("apikey"),
    refuse=_refuse,
    plans={
        "free": Plan((Limit(1, "second"), Limit(25, "day", "America/New_York")), denies=frozenset({PREMIUM_FUNCTIONS})),
        **{f"premium_{calls}": Plan((Limit(calls, "minute"),)) for calls in (75, 150, 300, 600, 1200)},
    },
    symbols=_symbols,
)
