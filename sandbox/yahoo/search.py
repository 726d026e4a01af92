"""Yahoo's search: instruments and news about what is asked for, in one answer."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sandbox.market.company import company
from sandbox.market.newsroom import Article, news
from sandbox.server.provider import Call, Reply
from sandbox.yahoo.listings import EXCHANGES, TYPES, listings, spellings
from sandbox.yahoo.session import JSON

if TYPE_CHECKING:
    from sandbox.market.universe import Instrument

NEWS_REACH = timedelta(days=365)


def search(call: Call) -> Reply:
    """`/v1/finance/search?q=&quotesCount=&newsCount=`: symbols that begin so, or names that hold it; newest news."""
    asked = call.query.get("q", "")
    found = [(name, each) for name, each in listings().items() if asked and name.startswith(asked.upper())]
    found += [(name, each) for name, each in listings().items() if asked and asked.lower() in each.name.lower()]
    matches = dict(found[: _count(call, "quotesCount", 7)])
    about = [found[0][1].symbol] if found else []
    articles = news(call.market, about, call.now - NEWS_REACH, call.now)[: _count(call, "newsCount", 8)]
    body = {
        "explains": [],
        "count": len(matches) + len(articles),
        "quotes": [_match(call, name, each) for name, each in matches.items()],
        "news": [_story(call, each) for each in articles],
        "nav": [],
        "lists": [],
        "researchReports": [],
        "totalTime": 20,
    }
    return Reply(body, content_type=JSON)


def _count(call: Call, name: str, usual: int) -> int:
    text = call.query.get(name, "")
    return int(text) if text.isdecimal() else usual


def _match(call: Call, name: str, instrument: Instrument) -> dict[str, Any]:
    code, place = EXCHANGES[instrument.exchange]
    kind, shown = TYPES[instrument.asset_class]
    row = {
        "exchange": code,
        "shortname": instrument.name,
        "quoteType": kind,
        "symbol": name,
        "index": "quotes",
        "score": 20_000,
        "typeDisp": shown,
        "longname": instrument.name,
        "exchDisp": place,
        "isYahooFinance": True,
    }
    if instrument.asset_class != "equity":
        return row
    who = company(call.market, instrument.symbol)
    return row | {
        "sector": who.sector,
        "sectorDisp": who.sector,
        "industry": who.industry,
        "industryDisp": who.industry,
    }


def _story(call: Call, article: Article) -> dict[str, Any]:
    digest = hashlib.blake2b(str(article.id).encode(), digest_size=16).hexdigest()
    return {
        "uuid": f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}",
        "title": article.title,
        "publisher": article.publisher,
        "link": article.url,
        "providerPublishTime": int(article.at.timestamp()),
        "type": "STORY",
        "thumbnail": {"resolutions": [{"url": article.image, "width": 140, "height": 140, "tag": "140x140"}]},
        "relatedTickers": [spellings(call.market.find(symbol))[0] for symbol in article.symbols],
    }
