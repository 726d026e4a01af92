"""The records of Bright Data's scrapers: companies at Yahoo Finance, articles at Google News."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

from sandbox.brightdata.pages import articles_about, last_year
from sandbox.market.analysts import reports, targets
from sandbox.market.company import company, fund
from sandbox.market.market import Quote
from sandbox.market.statements import market_cap, ttm
from sandbox.market.universe import Instrument, instruments
from sandbox.server.provider import Call

Row = dict[str, Any]

EXCHANGES = {"XNAS": "NasdaqGS", "XNYS": "NYSE", "ARCX": "NYSEArca", "XLON": "LSE", "XTKS": "Tokyo"}
SUFFIXES = {"XLON": ".L", "XTKS": ".T"}
TYPES = {"equity": "EQUITY", "etf": "ETF", "fund": "MUTUALFUND"}
COUNTRIES = {"US": "United States", "GB": "United Kingdom", "JP": "Japan"}


@cache
def listings() -> dict[str, Instrument]:
    """Shares and funds by Yahoo's spelling."""
    named = {}
    for instrument in instruments().values():
        if instrument.asset_class in TYPES:
            suffix = SUFFIXES.get(instrument.exchange)
            symbol = instrument.symbol
            named[symbol.partition(".")[0] + suffix if suffix else symbol.replace(".", "-")] = instrument
    return named


def yahoo_finance(call: Call, asked: Mapping[str, Any]) -> list[Row]:
    """One record of the company or fund whose page the input names; a dead page is an error."""
    url = str(asked.get("url", ""))
    name = unquote(urlsplit(url).path).rstrip("/").rpartition("/")[2]
    instrument = listings().get(name)
    quote = call.quote(instrument.symbol) if instrument else None
    if instrument is None or quote is None:
        return [{"error": "Page is dead: 404", "error_code": "dead_page"}]
    row = _quoted(call, name, instrument, quote) | {"url": url}
    return [row | (_company(call, instrument) if instrument.asset_class == "equity" else _fund(call, instrument))]


def _quoted(call: Call, name: str, instrument: Instrument, quote: Quote) -> Row:
    unit, currency = (100.0, "GBp") if instrument.exchange == "XLON" else (1.0, instrument.currency)
    decimals = instrument.decimals
    year = last_year(call, instrument)
    return {
        "name": f"{instrument.name} ({name})",
        "company_id": name,
        "entity_type": TYPES[instrument.asset_class],
        "stock_ticker": name,
        "currency": currency,
        "exchange": EXCHANGES[instrument.exchange],
        "closing_price": round(quote.price * unit, 6),
        "previous_close": round(quote.prev_close * unit, 6),
        "open": round(quote.today.open * unit, 6),
        "bid": f"{quote.bid * unit:.{decimals}f} x {100 * quote.bid_size}",
        "ask": f"{quote.ask * unit:.{decimals}f} x {100 * quote.ask_size}",
        "day_range": f"{quote.today.low * unit:.{decimals}f} - {quote.today.high * unit:.{decimals}f}",
        "week_range": f"{float(year.low.min()) * unit:.{decimals}f} - {float(year.high.max()) * unit:.{decimals}f}",
        "volume": round(quote.today.volume),
        "avg_volume": round(float(year.volume[-63:].mean())),
    }


def _company(call: Call, instrument: Instrument) -> Row:
    who, last = company(call.market, instrument.symbol), ttm(call.market, instrument.symbol, call.now)
    cap, target = (
        market_cap(call.market, instrument.symbol, call.now),
        targets(call.market, instrument.symbol, call.now),
    )
    coming = [each for each in reports(call.market, instrument.symbol, call.now, 1) if each.eps_actual is None]
    earned = last.income.net_income if last else 0
    return {
        "summary": who.description,
        "earnings_date": f"{coming[0].report_date:%b %d, %Y}" if coming else None,
        "market_cap": cap,
        "beta": who.beta,
        "pe_ratio": round(cap / earned, 2) if cap and earned > 0 else None,
        "eps": last.income.eps_diluted if last else None,
        "target_est": target.mean if target else None,
        "company_profile_address": f"1 Market Street, {who.city}",
        "company_profile_country": COUNTRIES[who.country],
        "company_profile_website": who.website,
        "company_profile_phone": who.phone,
        "company_profile_sector": who.sector,
        "company_profile_industry": who.industry,
        "company_profile_employees": who.employees,
        "company_profile_description": who.description,
    }


def _fund(call: Call, instrument: Instrument) -> Row:
    reported = fund(call.market, instrument.symbol)
    return {"summary": reported.description, "market_cap": None, "beta": None, "pe_ratio": None}


def google_news(call: Call, asked: Mapping[str, Any]) -> list[Row]:
    """Articles about the keyword, newest first."""
    keyword, country = str(asked.get("keyword", "")), asked.get("country")
    return [
        {
            "url": each.url,
            "title": each.title,
            "publisher": each.publisher,
            "date": f"{each.at:%Y-%m-%dT%H:%M:%S}.000Z",
            "category": None,
            "keyword": keyword,
            "country": country,
            "image": each.image,
        }
        for each in articles_about(call, keyword, call.now)
    ]


SCRAPERS: Mapping[str, Callable[[Call, Mapping[str, Any]], list[Row]]] = {
    "gd_lmrpz3vxmz972ghd7": yahoo_finance,
    "gd_lnsxoxzi1omrwnka5r": google_news,
}
