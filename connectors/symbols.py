"""Canonical symbols and the venues behind them: one table, one row per venue, shared by all connectors.

`AAPL`, `BRK.B`, `OCDO.XLON` (ISO 10383 MIC), `BTC-USD`, `EUR/USD`, `GC`, `^GSPC`: see docs/DATASETS.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from connectors.records import AssetClass

US_SHARE = re.compile(r"[A-Z][A-Z0-9]{0,11}(\.[A-Z]{1,3})?")
LISTED = re.compile(r"(?P<ticker>[A-Z0-9][A-Z0-9.\-&]{0,15})\.(?P<mic>X[A-Z0-9]{3}|[A-Z]{4})")
PAIR = re.compile(r"(?P<base>[A-Z0-9]{1,12})-(?P<quote>[A-Z]{3,5})")
FOREX = re.compile(r"(?P<base>[A-Z]{3})/(?P<quote>[A-Z]{3})")
QUOTE_COINS = (
    "USDT",
    "USDC",
    "USD",
    "EUR",
    "GBP",
    "JPY",
    "AUD",
    "CAD",
    "CHF",
    "KRW",
    "BTC",
    "ETH",
    "BNB",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbols:
    """Maps symbols both ways.

    `spell(symbol, asset_class)` gives the provider's spelling or raises `UnsupportedSymbol`;
    `canonical(spelling, asset_class)` gives (symbol, asset class), the asset class being the one asked
    for, or raises `FieldError`.
    """

    spell: Callable[[str, AssetClass], str]
    canonical: Callable[[str, AssetClass], tuple[str, AssetClass]]


class Venue(NamedTuple):
    """An exchange: its MIC, country (ISO 3166-1), and how providers write it; "" where one does not sell it."""

    mic: str
    country: str
    currency: str
    yahoo: str
    """Suffix at Yahoo, FMP and Finnhub."""
    eodhd: str
    alphavantage: str
    bloomberg: str


VENUES: tuple[Venue, ...] = (
    Venue("XLON", "GB", "GBP", "L", "LSE", "LON", "LN"),
    Venue("XETR", "DE", "EUR", "DE", "XETRA", "DEX", "GY"),
    Venue("XFRA", "DE", "EUR", "F", "F", "FRK", "GF"),
    Venue("XPAR", "FR", "EUR", "PA", "PA", "PAR", "FP"),
    Venue("XAMS", "NL", "EUR", "AS", "AS", "AMS", "NA"),
    Venue("XBRU", "BE", "EUR", "BR", "BR", "BRU", "BB"),
    Venue("XLIS", "PT", "EUR", "LS", "LS", "LIS", "PL"),
    Venue("XDUB", "IE", "EUR", "IR", "IR", "", "ID"),
    Venue("XMIL", "IT", "EUR", "MI", "", "", "IM"),
    Venue("XMAD", "ES", "EUR", "MC", "MC", "", "SM"),
    Venue("XSWX", "CH", "CHF", "SW", "SW", "SWX", "SW"),
    Venue("XWBO", "AT", "EUR", "VI", "VI", "", "AV"),
    Venue("XSTO", "SE", "SEK", "ST", "ST", "STO", "SS"),
    Venue("XOSL", "NO", "NOK", "OL", "OL", "OSL", "NO"),
    Venue("XCSE", "DK", "DKK", "CO", "CO", "CPH", "DC"),
    Venue("XHEL", "FI", "EUR", "HE", "HE", "HEL", "FH"),
    Venue("XICE", "IS", "ISK", "IC", "IC", "", "IR"),
    Venue("XWAR", "PL", "PLN", "WA", "WAR", "", "PW"),
    Venue("XPRA", "CZ", "CZK", "PR", "PR", "", "CP"),
    Venue("XBUD", "HU", "HUF", "BD", "BUD", "", "HB"),
    Venue("XATH", "GR", "EUR", "AT", "AT", "", "GA"),
    Venue("XIST", "TR", "TRY", "IS", "IS", "", "TI"),
    Venue("XTAE", "IL", "ILS", "TA", "TA", "", "IT"),
    Venue("XJSE", "ZA", "ZAR", "JO", "JSE", "", "SJ"),
    Venue("XTSE", "CA", "CAD", "TO", "TO", "TRT", "CT"),
    Venue("XTSX", "CA", "CAD", "V", "V", "TRV", "CV"),
    Venue("XCNQ", "CA", "CAD", "CN", "CN", "", "CF"),
    Venue("NEOE", "CA", "CAD", "NE", "NEO", "", "QF"),
    Venue("XMEX", "MX", "MXN", "MX", "MX", "", "MM"),
    Venue("BVMF", "BR", "BRL", "SA", "SA", "SAO", "BS"),
    Venue("XBUE", "AR", "ARS", "BA", "BA", "", "AR"),
    Venue("XSGO", "CL", "CLP", "SN", "SN", "", "CI"),
    Venue("XASX", "AU", "AUD", "AX", "AU", "", "AU"),
    Venue("XNZE", "NZ", "NZD", "NZ", "", "", "NZ"),
    Venue("XTKS", "JP", "JPY", "T", "TSE", "", "JT"),
    Venue("XHKG", "HK", "HKD", "HK", "HK", "HKG", "HK"),
    Venue("XSHG", "CN", "CNY", "SS", "SHG", "SHH", "CG"),
    Venue("XSHE", "CN", "CNY", "SZ", "SHE", "SHZ", "CS"),
    Venue("XKRX", "KR", "KRW", "KS", "KO", "", "KP"),
    Venue("XKOS", "KR", "KRW", "KQ", "KQ", "", "KQ"),
    Venue("XTAI", "TW", "TWD", "TW", "TW", "", "TT"),
    Venue("ROCO", "TW", "TWD", "TWO", "TWO", "", "TT"),
    Venue("XNSE", "IN", "INR", "NS", "NSE", "NSE", "IS"),
    Venue("XBOM", "IN", "INR", "BO", "BSE", "BSE", "IB"),
    Venue("XSES", "SG", "SGD", "SI", "", "", "SP"),
    Venue("XBKK", "TH", "THB", "BK", "BK", "", "TB"),
    Venue("XIDX", "ID", "IDR", "JK", "JK", "", "IJ"),
    Venue("XKLS", "MY", "MYR", "KL", "KLSE", "", "MK"),
    Venue("XBER", "DE", "EUR", "BE", "BE", "", "GB"),
    Venue("XHAM", "DE", "EUR", "HM", "HM", "", "GH"),
    Venue("XDUS", "DE", "EUR", "DU", "DU", "", "GD"),
    Venue("XHAN", "DE", "EUR", "HA", "HA", "", "GI"),
    Venue("XMUN", "DE", "EUR", "MU", "MU", "", "GM"),
    Venue("XSTU", "DE", "EUR", "SG", "STU", "", "GS"),
    Venue("XLUX", "LU", "EUR", "", "LU", "", "LX"),
    Venue("XPHS", "PH", "PHP", "PS", "PSE", "", "PM"),
    Venue("XBSE", "RO", "RON", "RO", "RO", "", "RO"),
    Venue("XSAU", "SA", "SAR", "SR", "", "", "AB"),
    Venue("DSMD", "QA", "QAR", "QA", "", "", "QD"),
    Venue("XDFM", "AE", "AED", "AE", "", "", "UH"),
    Venue("XCAI", "EG", "EGP", "CA", "", "", "EY"),
    Venue("XSTC", "VN", "VND", "VN", "", "", "VN"),
    Venue("XTAL", "EE", "EUR", "TL", "", "", "ET"),
    Venue("XRIS", "LV", "EUR", "RG", "", "", ""),
    Venue("XLIT", "LT", "EUR", "VS", "", "", ""),
)

BY_MIC = {venue.mic: venue for venue in VENUES}


def venue_by(field: str, code: str) -> Venue | None:
    """Return the venue that a provider writes as `code`; `field` is the column of `VENUES`, e.g. ``yahoo``."""
    return _BY_CODE[field].get(code)


def split_listing(symbol: str) -> tuple[str, Venue] | None:
    """Split `OCDO.XLON` into (`OCDO`, its venue); None for a US share or an unknown MIC."""
    if (match := LISTED.fullmatch(symbol)) and match["mic"] in BY_MIC:
        return match["ticker"], BY_MIC[match["mic"]]
    return None


def split_pair(text: str) -> tuple[str, str] | None:
    """Split `BTCUSD` or `EURSUSD` into base and quote coin by the known quote coins; None when none fits."""
    for coin in QUOTE_COINS:
        if text.endswith(coin) and len(text) > len(coin):
            return text[: -len(coin)], coin
    return None


def dashed(symbol: str) -> str | None:
    """Spell a share as Yahoo and FMP do: `BRK.B` -> `BRK-B`, `PEB.PRE` -> `PEB-PE`, `NOVO.B.XCSE` -> `NOVO-B.CO`.

    None when it is no share of a known form or venue.
    """
    if listing := split_listing(symbol):
        ticker, venue = listing
        return f"{ticker.replace('.', '-')}.{venue.yahoo}" if venue.yahoo else None
    if not US_SHARE.fullmatch(symbol):
        return None
    root, _, tail = symbol.partition(".")
    tail = _TAILS.get(tail) or re.sub(r"^PR(?=.)", "P", tail)
    return f"{root}-{tail}" if tail else root


def undashed(spelling: str) -> str | None:
    """Invert `dashed`; None when it is no share of a known form or venue."""
    ticker, _, suffix = spelling.partition(".")
    root, _, tail = ticker.partition("-")
    if suffix:
        # a dash before one or two letters is a class (NOVO-B), before more a part of the name (BAJAJ-AUTO)
        found = f"{root}.{tail}" if 0 < len(tail) < 3 else ticker
        venue = venue_by("yahoo", suffix)
        return f"{found}.{venue.mic}" if venue and LISTED.fullmatch(f"{found}.{venue.mic}") else None
    tail = _DASHED_TAILS.get(tail) or re.sub(r"^P(?=[A-Z]$)", "PR", tail)
    symbol = f"{root}.{tail}" if tail else root
    return symbol if US_SHARE.fullmatch(symbol) else None


_TAILS = {"WS": "WT", "U": "UN", "PR": "P"}  # warrants, units, preferreds without a series; a series E is PRE and PE
_DASHED_TAILS = {dash: dot for dot, dash in _TAILS.items()}


def us_exchange(name: str | None) -> str | None:
    """Return the MIC of a US exchange by its common name (`NYSE`, `NASDAQ`, `ARCA`); an unknown name stays as it is."""
    return None if name is None else _US_EXCHANGES.get(name.upper(), name)


_US_EXCHANGES = {
    "NYSE": "XNYS",
    "NYE": "XNYS",
    "NGS": "XNAS",
    "NASDAQ": "XNAS",
    "AMEX": "XASE",
    "NYSE MKT": "XASE",
    "NYSE AMERICAN": "XASE",
    "ARCA": "ARCX",
    "NYSE ARCA": "ARCX",
    "NYSEARCA": "ARCX",
    "BATS": "BATS",
    "CBOE": "BATS",
    "OTC": "OOTC",
}

_BY_CODE: dict[str, dict[str, Venue]] = {
    field: {code: venue for venue in reversed(VENUES) if (code := getattr(venue, field))}
    for field in ("yahoo", "eodhd", "alphavantage", "bloomberg")
}
