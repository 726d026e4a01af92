"""FMP's lists of symbols: whole universes, the screener, the search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.fmp.listings import currency, listings, number, venue
from sandbox.market.company import company
from sandbox.market.statements import market_cap
from sandbox.server.provider import Call, Reply

if TYPE_CHECKING:
    from sandbox.market.universe import AssetClass, Instrument


def stocks(_: Call) -> Reply:
    """`/stock-list`: symbols and names of companies."""
    return Reply([{"symbol": name, "companyName": each.name} for name, each in _of("equity")])


def etfs(_: Call) -> Reply:
    """`/etf-list`."""
    return Reply([{"symbol": name, "name": each.name} for name, each in _of("etf")])


def coins(_: Call) -> Reply:
    """`/cryptocurrency-list`."""
    return Reply(
        [
            {
                "symbol": name,
                "name": f"{each.name} USD",
                "exchange": "CCC",
                "icoDate": each.listed.isoformat(),
                "circulatingSupply": each.daily_volume * 500,
                "totalSupply": None,
            }
            for name, each in _of("crypto")
        ]
    )


def pairs(_: Call) -> Reply:
    """`/forex-list`."""
    ends = [(name, each.symbol.split("/")) for name, each in _of("forex")]
    return Reply(
        [
            {"symbol": name, "fromCurrency": base, "toCurrency": quoted, "fromName": base, "toName": quoted}
            for name, (base, quoted) in ends
        ]
    )


def commodities(_: Call) -> Reply:
    """`/commodities-list`: the exchange is never named."""
    return Reply(
        [
            {"symbol": name, "name": each.name, "exchange": None, "tradeMonth": "Dec", "currency": each.currency}
            for name, each in _of("commodity")
        ]
    )


def indexes(_: Call) -> Reply:
    """`/index-list`."""
    return Reply(
        [
            {"symbol": name, "name": each.name, "exchange": "INDEX", "currency": each.currency}
            for name, each in _of("index")
        ]
    )


def delisted(_: Call) -> Reply:
    """`/delisted-companies`: nothing was ever delisted here."""
    return Reply([])


def search(call: Call) -> Reply:
    """`/search-symbol?query=&limit=`: symbols that begin with the query."""
    query, limit = call.query.get("query", "").upper(), number(call, "limit", 50)
    found = [(name, each) for name, each in listings().items() if query and name.startswith(query)]
    return Reply(
        [
            {
                "symbol": name,
                "name": each.name,
                "currency": currency(each),
                "exchangeFullName": venue(each)[1],
                "exchange": venue(each)[0],
            }
            for name, each in found[:limit]
        ]
    )


def screener(call: Call) -> Reply:
    """`/company-screener?isEtf=&isFund=&exchange=&sector=&limit=`."""
    classes: tuple[AssetClass, ...] = ("equity", "etf", "fund")
    rows = [_screened(call, name, each) for name, each in _of(*classes)]
    for parameter, field in (("exchange", "exchangeShortName"), ("sector", "sector"), ("country", "country")):
        if wanted := call.query.get(parameter):
            rows = [row for row in rows if row[field] in wanted.split(",")]
    for flag in ("isEtf", "isFund"):
        if flag in call.query:
            rows = [row for row in rows if row[flag] is (call.query[flag].lower() == "true")]
    return Reply(rows[: number(call, "limit", 1000)])


def _screened(call: Call, name: str, instrument: Instrument) -> dict[str, Any]:
    share = instrument.asset_class == "equity"
    who, quote = company(call.market, instrument.symbol) if share else None, call.quote(instrument.symbol)
    return {
        "symbol": name,
        "companyName": instrument.name,
        "marketCap": market_cap(call.market, instrument.symbol, call.now) if share else None,
        "sector": who.sector if who else "Financial Services",
        "industry": who.industry if who else "Asset Management",
        "beta": who.beta if who else 1.0,
        "price": quote.price if quote else None,
        "lastAnnualDividend": round(instrument.dividend_yield * (quote.price if quote else 0), 4),
        "volume": int(quote.today.volume) if quote else 0,
        "exchange": venue(instrument)[1],
        "exchangeShortName": venue(instrument)[0],
        "country": who.country if who else "US",
        "isEtf": instrument.asset_class == "etf",
        "isFund": instrument.asset_class == "fund",
        "isActivelyTrading": True,
    }


def _of(*classes: AssetClass) -> list[tuple[str, Instrument]]:
    return [(name, each) for name, each in listings().items() if each.asset_class in classes]
