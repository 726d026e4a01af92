"""The forms of canonical symbols: the asset class of a form, and what was meant by another spelling. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from connectors.coins import NUMBERS, PLAIN
from connectors.currencies import KNOWN
from connectors.errors import OutOfScope
from connectors.records import AssetClass
from connectors.symbols import (
    FOREX,
    INDEX,
    PAIR,
    SHARES,
    is_us,
    listing,
    split_listing,
    split_pair,
    us_share,
)
from connectors.venues import BY_MIC, Venue, us_exchange, venue_by

EXAMPLES: dict[AssetClass, str] = {
    **dict.fromkeys(SHARES, "AAPL, BRK.B, VOD.XLON"),
    "crypto": "BTC-USD",
    "forex": "EUR/USD",
    "commodity": "GC",
    "index": "^GSPC",
}
_FUND_CODE = re.compile("0P[A-Z0-9]{8}|[A-Z]{2}[A-Z0-9]{9}[0-9]")  # Morningstar's, or an ISIN
_ROOT = re.compile("[A-Z]{1,5}(?![A-Z])|[A-Z]+[0-9]")  # tickers of the US have five letters at most
_SUFFIXED = re.compile(r"[A-Z]+\.[FLTV]")
"""With Yahoo's suffix of Frankfurt, London, Tokyo or TSX Venture: no share of the US has a class of these letters."""
_CURRENCIES = frozenset({"USD", "EUR", "GBP", "JPY", "AUD", "CAD", "CHF", "NZD", "SEK", "NOK", "CNY", "INR", "MXN"})
"""Those whose code is no coin's ticker."""


def asset_class_of(symbol: str) -> AssetClass:
    """Return the asset class whose form `symbol` has: `EUR/USD` forex, `BTC-USD` crypto, `^GSPC` index, else equity.

    Funds and commodities have the form of a share: their asset class must be said.
    """
    if FOREX.fullmatch(symbol):
        return "forex"
    if symbol.startswith("^"):
        return "index"
    return "crypto" if PAIR.fullmatch(symbol) and _us(symbol) is None else "equity"


def is_canonical(symbol: str, asset_class: AssetClass) -> bool:
    """Return whether `symbol` has the canonical form of its asset class; a provider need not have it."""
    match asset_class:
        case "crypto":
            pair = PAIR.fullmatch(symbol)
            return pair is not None and not {pair["base"], pair["quote"]} <= _CURRENCIES
        case "forex":
            sides = FOREX.fullmatch(symbol)
            return sides is not None and {sides["base"], sides["quote"]} <= KNOWN
        case "index":
            return INDEX.fullmatch(symbol) is not None
        case "commodity":
            return re.fullmatch("[A-Z0-9_]{1,20}", symbol) is not None
    us = is_us(symbol) and _ROOT.match(symbol) is not None and not _SUFFIXED.fullmatch(symbol)
    return us or split_listing(symbol) is not None or _FUND_CODE.fullmatch(symbol) is not None


def suggestion(text: str, asset_class: AssetClass) -> tuple[str, AssetClass] | None:
    """Return the canonical symbol, and its asset class, that `text` probably means; None where nothing is like it.

    It knows the notations of providers and web sites: `BRK-B`, `VOD.L`, `NASDAQ:AAPL`, `BTCUSD`, `EURUSD=X`, ….
    """
    written = text.strip().lstrip("$")
    for symbol, found in [*_meant(written), *_meant(written.upper())]:
        if symbol and is_canonical(symbol, found):
            return symbol, asset_class if found in SHARES and asset_class in SHARES else found
    return None


def _meant(text: str) -> Iterator[tuple[str | None, AssetClass]]:
    """What `text` may be, the likeliest first."""
    yield text, asset_class_of(text)
    if future := re.fullmatch(r"([A-Z0-9]{1,5})=F", text):
        yield future[1], "commodity"
    letters = re.sub(r"^[XC]:|=X$|[-/_ ]", "", text)
    if re.fullmatch("[A-Z]{6}", letters) and {letters[:3], letters[3:]} <= _CURRENCIES:
        yield f"{letters[:3]}/{letters[3:]}", "forex"
    if re.fullmatch("[A-Z]{3}=X", text):
        yield f"USD/{text[:3]}", "forex"
    if (coins := split_pair(letters)) and coins[0] in PLAIN | NUMBERS.keys():
        yield "-".join(coins), "crypto"
    yield from ((share, "equity") for share in _shares(text))


def _shares(text: str) -> Iterator[str | None]:
    """`NASDAQ:AAPL`, `VOD:LN`, `NOVO B DC`, `AAPL.US`, `BMW.XETRA`, `VOD.L`, `BRK/B`, `PEBpE`."""
    exchange, colon, ticker = text.partition(":")
    if colon and us_exchange(exchange) != exchange:
        yield _us(ticker)
    ticker, mark, suffix = re.sub(r" +(?=[A-Z]{2}$)", ":", text).replace("/", ".").rpartition(":")
    if mark:
        yield _us(ticker) if suffix == "US" else _listed(ticker, venue_by("bloomberg", suffix))
    ticker, _, suffix = text.rpartition(".")
    if suffix == "US":
        yield _us(ticker)
    yield _listed(ticker, BY_MIC.get(suffix))
    for column in ("yahoo", "eodhd", "alphavantage", "bloomberg"):
        yield _listed(ticker, venue_by(column, suffix))
    yield _us(text.replace("/", "."))


def _listed(ticker: str, venue: Venue | None) -> str | None:
    return listing(ticker, venue) if ticker and venue else None


def _us(text: str) -> str | None:
    try:
        return us_share(text)
    except OutOfScope:
        return None


def not_canonical(symbol: str, asset_class: AssetClass) -> str | None:
    """Say in one line that `symbol` is not canonical, and what may be meant; None for one that is."""
    if is_canonical(symbol, asset_class):
        return None
    if meant := suggestion(symbol, asset_class):
        suggested = (
            meant[0] if meant[1] == asset_class or meant[1] == asset_class_of(meant[0]) else f"{meant[0]} ({meant[1]})"
        )
        return f"{symbol} is not canonical: did you mean {suggested}?"
    return f"{symbol} is no canonical symbol of the asset class {asset_class}: write {EXAMPLES[asset_class]}"
