"""How Bloomberg spells symbols: AAPL:US, BRK/B:US, VOD:LN, SPX:IND, EURUSD:CUR, XBTUSD:CUR, CL1:COM.

Rows scraped from Yahoo Finance carry Yahoo's spelling, without a colon: AAPL, BRK-B, VOD.L.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from connectors import _errors as errors
from connectors._records import AssetClass
from connectors._symbols import FOREX, split_listing, venue_by

SHARES: tuple[AssetClass, ...] = ("equity", "etf", "fund")
INDICES = MappingProxyType(
    {
        "SPX": "GSPC",
        "INDU": "DJI",
        "CCMP": "IXIC",
        "RTY": "RUT",
        "UKX": "FTSE",
        "DAX": "GDAXI",
        "CAC": "FCHI",
        "SX5E": "STOXX50E",
        "NKY": "N225",
    }
)
FUTURES = MappingProxyType({root: root for root in ("CL", "GC", "HG", "HO", "NG", "PA", "PL", "SI")} | {"CO": "BZ"})
COINS = MappingProxyType({"XBT": "BTC", "XET": "ETH"})


def spell(symbol: str, asset_class: AssetClass) -> str:
    """`BRK.B` -> `BRK/B:US`, `VOD.XLON` -> `VOD:LN`, `^GSPC` -> `SPX:IND`. Raises `UnsupportedSymbol`."""
    found = None
    if asset_class in SHARES:
        found = _spell_share(symbol)
    elif asset_class == "index" and re.fullmatch(r"\^[A-Z0-9]{1,10}", symbol) and symbol[1:] not in INDICES:
        found = f"{_code(INDICES, symbol[1:]) or symbol[1:]}:IND"
    elif asset_class == "forex" and FOREX.fullmatch(symbol) and symbol[:3] not in COINS:
        found = f"{symbol.replace('/', '')}:CUR"
    elif asset_class == "crypto" and symbol.endswith("-USD") and (coin := _code(COINS, symbol[:-4])):
        found = f"{coin}USD:CUR"
    elif asset_class == "commodity" and (root := _code(FUTURES, symbol)):
        found = f"{root}1:COM"
    if found is None:
        raise errors.UnsupportedSymbol(
            f"brightdata cannot spell the {asset_class} {symbol!r} as Bloomberg does: it knows shares, their classes, "
            f"indices, currency pairs, {' '.join(COINS.values())} in USD, futures {' '.join(FUTURES.values())}"
        )
    return found


def _spell_share(symbol: str) -> str | None:
    if listing := split_listing(symbol):
        ticker, venue = listing
        known = venue_by("bloomberg", venue.bloomberg) == venue  # two venues of one country may share a code
        return f"{ticker.replace('.', '/')}:{venue.bloomberg}" if known else None
    return f"{symbol.replace('.', '/')}:US" if re.fullmatch(r"[A-Z][A-Z0-9]{0,11}(\.[A-Z])?", symbol) else None


def _code(table: Mapping[str, str], name: str) -> str | None:
    return next((code for code, known in table.items() if known == name), None)


def canonical(spelling: str, asset_class: AssetClass) -> tuple[str, AssetClass]:
    """`BRK/B:US` -> `BRK.B`, `OMX:IND` -> (`^OMX`, index), `CL1:COM` -> (`CL`, commodity). Raises `FieldError`."""
    name, colon, market = spelling.partition(":")
    shares: AssetClass = asset_class if asset_class in SHARES else "equity"
    if not colon and (match := re.fullmatch(r"([A-Z0-9-]{1,16})(?:\.([A-Z]{1,3}))?", name)):
        if venue := venue_by("yahoo", match[2] or ""):
            return f"{match[1].replace('-', '.')}.{venue.mic}", shares
        if not match[2]:
            return name.replace("-", "."), shares
    if re.fullmatch(r"[A-Z0-9][A-Z0-9/]{0,15}", name) and (found := _canonical_at(name, market, shares)):
        return found
    raise errors.FieldError("symbol", f"{spelling!r:.40} is no symbol of a known form")


def _canonical_at(name: str, market: str, shares: AssetClass) -> tuple[str, AssetClass] | None:
    if market == "US":
        return name.replace("/", "."), shares
    if market == "IND":
        return f"^{INDICES.get(name, name)}", "index"
    if market == "CUR" and len(name) == 6:
        coin = COINS.get(name[:3])
        return (f"{coin}-{name[3:]}", "crypto") if coin else (f"{name[:3]}/{name[3:]}", "forex")
    if market == "COM":
        return (FUTURES[name[:-1]], "commodity") if name.endswith("1") and name[:-1] in FUTURES else None
    venue = venue_by("bloomberg", market)
    return (f"{name.replace('/', '.')}.{venue.mic}", shares) if venue else None


def at_yahoo(symbol: str) -> str:
    """`BRK.B` -> `BRK-B`, `VOD.XLON` -> `VOD.L`."""
    listing = split_listing(symbol)
    return f"{listing[0].replace('.', '-')}.{listing[1].yahoo}" if listing else symbol.replace(".", "-")
