"""Polygon's reference data: splits, dividends, tickers and what is behind them, statements, news."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from sandbox.market.company import company, fund
from sandbox.market.newsroom import Article
from sandbox.market.statements import market_cap, shares_at
from sandbox.market.universe import Instrument
from sandbox.polygon.answers import (
    MARKETS,
    BadParameter,
    Row,
    asked_day,
    asked_number,
    in_range,
    listed,
    market_of,
    not_found,
    paged,
    request_id,
    tickers,
    with_cursor,
)
from sandbox.server import news_pages
from sandbox.server.provider import Call, Reply

EX_DATE_FROM = r"ex_dividend_date(\.gte?)?"
FIRST_NEWS = datetime(2016, 1, 1, tzinfo=UTC)
SECTOR_CODES = {"Technology": "3571", "Healthcare": "2834", "Financial Services": "6021", "Energy": "2911"}


def splits(call: Call) -> Reply:
    """`/v3/reference/splits`: newest first; `ticker`, `execution_date[.gte|.gt|.lte|.lt]`, `limit`."""

    def rows(ticker: str, symbol: str) -> list[Row]:
        return [
            {
                "execution_date": split.ex_date.isoformat(),
                "split_from": split.ratio.denominator,
                "split_to": split.ratio.numerator,
                "ticker": ticker,
            }
            for split in call.market.splits(symbol, call.now)
        ]

    return _actions(call, rows, "execution_date")


def dividends(call: Call) -> Reply:
    """`/v3/reference/dividends`: newest first, as paid; `ticker`, `ex_dividend_date[.gte|…]`, `limit`."""
    earliest = [value for name, value in with_cursor(call).items() if re.fullmatch(EX_DATE_FROM, name)]
    since = asked_day(max(earliest)) if earliest else date.min

    def rows(ticker: str, symbol: str) -> list[Row]:
        return [
            {
                "cash_amount": dividend.amount,
                "currency": "USD",
                "declaration_date": (dividend.ex_date - timedelta(days=21)).isoformat(),
                "dividend_type": "CD",
                "ex_dividend_date": dividend.ex_date.isoformat(),
                "frequency": 4,
                "pay_date": (dividend.ex_date + timedelta(days=14)).isoformat(),
                "record_date": (dividend.ex_date + timedelta(days=1)).isoformat(),
                "ticker": ticker,
            }
            for dividend in call.market.dividends(symbol, call.now, since)
        ]

    return _actions(call, rows, "ex_dividend_date")


def _actions(call: Call, rows: Callable[[str, str], list[Row]], by: str) -> Reply:
    asked = with_cursor(call)
    wanted = [asked["ticker"]] if "ticker" in asked else list(tickers())
    found = [row for name in wanted if name in tickers() for row in rows(name, tickers()[name].symbol)]
    found = [row for row in found if in_range(row[by], asked, by)]
    found.sort(key=lambda row: (row[by], row["ticker"]), reverse=asked.get("order", "desc") == "desc")
    return paged(call, asked, found, default=10)


def list_tickers(call: Call) -> Reply:
    """`/v3/reference/tickers`: `ticker`, `market` (stocks, crypto, fx, indices), `type` (CS, ETF), `limit`."""
    asked = with_cursor(call)
    classes = MARKETS.get(asked.get("market", "all"), MARKETS["all"])
    rows = [
        _reference(call, ticker, instrument)
        for ticker, instrument in sorted(tickers().items())
        if instrument.asset_class in classes and asked.get("ticker", ticker) == ticker
    ]
    rows = [row for row in rows if row.get("type") == asked.get("type", row.get("type"))]
    return paged(call, asked, rows, default=100)


def _reference(call: Call, ticker: str, instrument: Instrument) -> Row:
    row: Row = {"ticker": ticker, "name": instrument.name, "market": market_of(instrument), "active": True}
    row["last_updated_utc"] = f"{call.now:%Y-%m-%d}T00:00:00Z"
    if row["market"] == "stocks":
        who = (company if instrument.asset_class == "equity" else fund)(call.market, instrument.symbol)
        kind = "CS" if instrument.asset_class == "equity" else "ETF"
        listing = {"locale": "us", "primary_exchange": instrument.exchange, "type": kind, "currency_name": "usd"}
        return row | listing | {"cik": who.cik, "composite_figi": who.figi, "share_class_figi": who.figi}
    if row["market"] == "indices":
        return row | {"locale": "us", "source_feed": "CMEMarketDataPlatform"}
    base, _, quoted = instrument.symbol.replace("-", "/").partition("/")
    names = {"currency_symbol": quoted, "currency_name": quoted, "base_currency_symbol": base}
    return row | {"locale": "global", "base_currency_name": instrument.name} | names


def ticker_details(call: Call) -> Reply:
    """`/v3/reference/tickers/{ticker}?date=`: market capitalisation and shares as of a day."""
    ticker = call.path["ticker"]
    instrument = tickers().get(ticker)
    if instrument is None:
        return not_found(call, "Ticker not found.")
    row = _reference(call, ticker, instrument) | {"ticker_root": ticker.partition(".")[0]}
    del row["last_updated_utc"]
    if instrument.asset_class == "equity":
        row |= _company(call, instrument)
    elif instrument.asset_class == "etf":
        reported = fund(call.market, instrument.symbol)
        row |= {
            "description": reported.description,
            "homepage_url": reported.website,
            "list_date": reported.inception.isoformat(),
        }
    return Reply({"results": row, "status": "OK", "request_id": request_id(call)})


def _company(call: Call, instrument: Instrument) -> Row:
    asof = call.now
    if "date" in call.query:
        end = datetime.combine(asked_day(call.query["date"]), datetime.max.time(), UTC)
        asof = min(end, call.now)
    who, shares = company(call.market, instrument.symbol), shares_at(call.market, instrument.symbol, asof)
    return {
        "market_cap": market_cap(call.market, instrument.symbol, asof),
        "phone_number": who.phone,
        "address": {"address1": "1 MARKET STREET", "city": who.city.upper(), "state": "NY", "postal_code": "10001"},
        "description": who.description,
        "sic_code": SECTOR_CODES.get(who.sector, "7370"),
        "sic_description": who.industry.upper(),
        "homepage_url": who.website,
        "total_employees": who.employees,
        "list_date": who.ipo.isoformat(),
        "branding": {"logo_url": f"{who.website}/logo.svg", "icon_url": f"{who.website}/icon.png"},
        "share_class_shares_outstanding": shares,
        "weighted_shares_outstanding": shares,
        "round_lot": 100,
    }


def news(call: Call) -> Reply:
    """`/v2/reference/news`: `ticker`, `published_utc[.gte|.gt|.lte|.lt]`, `order`, `limit`; newest first."""
    asked = with_cursor(call)
    asked.setdefault("published_utc.lte", f"{call.now:%Y-%m-%dT%H:%M:%SZ}")  # later pages see no newer articles
    wanted = [asked["ticker"]] if "ticker" in asked else list(tickers())
    symbols = [tickers()[name].symbol for name in wanted if name in tickers()]
    since = max(_published(asked, "gte", FIRST_NEWS), _published(asked, "gt", FIRST_NEWS, 1))
    until = min(_published(asked, "lte", call.now, 1), _published(asked, "lt", call.now + timedelta(seconds=1)))
    limit, backward = asked_number(asked, "limit", 10, 1000), asked.get("order", "desc") == "desc"
    request = news_pages.Request(symbols, since, until, backward)
    try:
        page, mark = news_pages.page(call.market, request, limit, asked.get("after", ""))
    except ValueError:
        raise BadParameter("Invalid cursor") from None
    return listed(call, [_article(each) for each in page], {**asked, "limit": limit, "after": mark} if mark else None)


def _published(asked: dict[str, str], bound: str, default: datetime, seconds: int = 0) -> datetime:
    """A bound of the publication as a half-open one: articles are dated to the second."""
    text = asked.get(f"published_utc.{bound}")
    if text is None:
        return default
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadParameter(f"Could not parse the time: {text}. Use YYYY-MM-DD or RFC3339") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) + timedelta(seconds=seconds)


def _article(reported: Article) -> Row:
    spelled = {found.symbol: name for name, found in tickers().items()}
    names = [spelled[symbol] for symbol in reported.symbols if symbol in spelled]
    host = "/".join(reported.url.split("/")[:3])
    mood = "positive" if reported.sentiment > 0.15 else "negative" if reported.sentiment < -0.15 else "neutral"
    return {
        "id": f"{reported.id:064x}",
        "publisher": {
            "name": reported.publisher,
            "homepage_url": f"{host}/",
            "logo_url": f"{host}/logo.svg",
            "favicon_url": f"{host}/favicon.ico",
        },
        "title": reported.title,
        "author": reported.author,
        "published_utc": f"{reported.at:%Y-%m-%dT%H:%M:%SZ}",
        "article_url": reported.url,
        "tickers": names,
        "amp_url": f"{reported.url}/amp",
        "image_url": reported.image,
        "description": reported.summary,
        "keywords": ["markets"],
        "insights": [{"ticker": name, "sentiment": mood, "sentiment_reasoning": reported.summary} for name in names],
    }
