"""The pages that Bright Data fetches: Bloomberg's quotes (15 minutes old) and Google's search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

import orjson

from sandbox.market.actions import split_divisors
from sandbox.market.bars import Bars
from sandbox.market.newsroom import Article
from sandbox.market.universe import Instrument, instruments
from sandbox.server.news_pages import Request, articles
from sandbox.server.provider import Call, Reply

NEW_YORK = ZoneInfo("America/New_York")
DELAY = timedelta(minutes=15)
HTML = "text/html; charset=utf-8"
VENUES = {"XLON": ":LN", "XTKS": ":JP"}
INDICES = {"^GSPC": "SPX", "^DJI": "INDU", "^IXIC": "CCMP", "^RUT": "RTY", "^VIX": "VIX"}
COINS = {"BTC": "XBT", "ETH": "XET"}
TYPES = {"equity": "Common Stock", "etf": "ETP", "fund": "Open-End Fund", "index": "Index"}
ROBOT = (
    "<html><head><title>Bloomberg - Are you a robot?</title></head><body><h1>Bloomberg</h1>"
    "<p>We&#39;ve detected unusual activity from your computer network</p>"
    "<p>To continue, please click the box below to let us know you&#39;re not a robot.</p></body></html>"
)
MISSING = "<html><head><title>404. Page Not Found - Bloomberg</title></head><body><h1>404</h1></body></html>"
SEARCH_RESULTS = 10
Row = dict[str, Any]


@cache
def listings() -> dict[str, Instrument]:
    """The instruments that Bloomberg has: `AAPL:US`, `BRK/B:US`, `SPX:IND`, `EURUSD:CUR`, `CL1:COM`."""
    return {name: instrument for instrument in instruments().values() if (name := _spelled(instrument))}


def _spelled(instrument: Instrument) -> str | None:
    symbol = instrument.symbol
    match instrument.asset_class:
        case "forex":
            return f"{symbol.replace('/', '')}:CUR"
        case "crypto":
            coin = COINS.get(symbol.partition("-")[0])
            return f"{coin}USD:CUR" if coin else None
        case "commodity":
            return f"{symbol}1:COM" if len(symbol) == 2 else None
        case "index":
            return f"{INDICES[symbol]}:IND"
    if instrument.exchange in VENUES:
        return symbol.partition(".")[0] + VENUES[instrument.exchange]
    return f"{symbol.replace('.', '/')}:US"


def page(call: Call, url: str) -> Reply | None:
    """What the target answers; None where nobody answers at that address."""
    parts = urlsplit(url)
    if parts.hostname == "www.bloomberg.com" and parts.path.startswith("/quote/"):
        return _quote_page(call, unquote(parts.path.removeprefix("/quote/")))
    if parts.hostname == "www.bloomberg.com" and parts.path.startswith("/markets/api/quote-page/"):
        return _quote_json(call, unquote(parts.path.rpartition("/")[2]))
    if parts.hostname == "www.google.com" and parts.path == "/search":
        return _search(call, {name: values[0] for name, values in parse_qs(parts.query).items()}, url)
    return None


def _quote_page(call: Call, name: str) -> Reply:
    row = _quote(call, name)
    if row is None:
        return Reply(MISSING, 404, HTML)
    data = orjson.dumps({"props": {"pageProps": {"quote": row}}, "page": "/quote/[symbol]", "isFallback": False})
    return Reply(
        f"<!DOCTYPE html><html><head><title>{name} Stock Quote - Bloomberg</title></head><body>"
        f'<h1>{row["name"]}</h1><script id="__NEXT_DATA__" type="application/json">{data.decode()}</script>'
        "</body></html>",
        content_type=HTML,
    )


def _quote_json(call: Call, name: str) -> Reply:
    row = _quote(call, name)
    if row is None:
        return Reply({}, 404)
    return Reply({"securityType": row.pop("securityType"), "basicQuote": row, "marketStatus": {"id": name}})


def _quote(call: Call, name: str) -> Row | None:
    instrument = listings().get(name)
    quote = replace(call, now=call.now - DELAY).quote(instrument.symbol) if instrument else None
    if instrument is None or quote is None:
        return None
    currency, unit = ("GBp", 100.0) if instrument.exchange == "XLON" else (instrument.currency, 1.0)
    at = datetime.fromtimestamp(quote.ts // 1000, UTC)
    change = quote.price - quote.prev_close
    year = last_year(replace(call, now=call.now - DELAY), instrument)
    return {
        "id": name,
        "ticker": name.rpartition(":")[0],
        "name": instrument.name,
        "securityType": TYPES.get(instrument.asset_class, "Currency").upper(),
        "price": round(quote.price * unit, 6),
        "issuedCurrency": currency,
        "priceChange1Day": round(change * unit, 6),
        "percentChange1Day": round(100 * change / quote.prev_close, 8),
        "priceMinDecimals": instrument.decimals,
        "openPrice": round(quote.today.open * unit, 6),
        "lowPrice": round(quote.today.low * unit, 6),
        "highPrice": round(quote.today.high * unit, 6),
        "volume": round(quote.today.volume),
        "previousClosingPriceOneTradingDayAgo": round(quote.prev_close * unit, 6),
        "lowPrice52Week": round(float(year.low.min()) * unit, 6),
        "highPrice52Week": round(float(year.high.max()) * unit, 6),
        "lastUpdateEpoch": str(int(at.timestamp())),
        "lastUpdateISO": f"{at:%Y-%m-%dT%H:%M:%S}.000Z",
        "lastUpdateTime": f"{at.astimezone(NEW_YORK):%I:%M %p}",
        "userTimeZone": at.astimezone(NEW_YORK).tzname(),
    }


def last_year(call: Call, instrument: Instrument) -> Bars:
    """The days of a year, in the shares of now."""
    day = call.now.date()
    bars = call.market.daily(instrument.symbol, day - timedelta(days=364), day, call.now)
    return bars.scaled(split_divisors(bars.days, call.market.splits(instrument.symbol, call.now)))


def _search(call: Call, asked: Mapping[str, str], url: str) -> Reply:
    """A page of Google's results, which `brd_json=1` turns into JSON."""
    found = list(islice(articles_about(call, asked.get("q", ""), call.now), SEARCH_RESULTS))
    if asked.get("brd_json") != "1":
        links = "".join(f'<a href="{each.url}"><h3>{each.title}</h3></a>' for each in found)
        return Reply(f"<!doctype html><html><body>{links}</body></html>", content_type=HTML)
    general = {"search_engine": "google", "query": asked.get("q", ""), "language": "en", "mobile": False}
    general |= {"search_type": "text", "timestamp": f"{call.now:%Y-%m-%dT%H:%M:%S}.000Z"}
    organic = [
        {"link": each.url, "title": each.title, "description": each.summary, "rank": rank, "global_rank": rank}
        for rank, each in enumerate(found, 1)
    ]
    return Reply({"general": general, "input": {"original_url": url}, "organic": organic})


def articles_about(call: Call, keyword: str, until: datetime) -> list[Article]:
    """The news of thirty days about what carries the keyword in its symbol or name, newest first."""
    words = keyword.lower()
    symbols = [
        name for name, each in instruments().items() if words and (words in each.name.lower() or words == name.lower())
    ]
    return list(articles(call.market, Request(symbols, until - timedelta(days=30), until)))
