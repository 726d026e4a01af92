"""How Yahoo spells and files the instruments: suffixes, kinds, venues, minor units, zones."""

from __future__ import annotations

from functools import cache
from zoneinfo import ZoneInfo

from sandbox.market.universe import Instrument, instruments

LONDON = ZoneInfo("Europe/London")
TYPES = {
    "equity": ("EQUITY", "Equity"),
    "etf": ("ETF", "ETF"),
    "fund": ("MUTUALFUND", "Fund"),
    "crypto": ("CRYPTOCURRENCY", "Cryptocurrency"),
    "forex": ("CURRENCY", "Currency"),
    "commodity": ("FUTURE", "Futures"),
    "index": ("INDEX", "Index"),
}
EXCHANGES = {
    "XNAS": ("NMS", "NasdaqGS"),
    "XNYS": ("NYQ", "NYSE"),
    "ARCX": ("PCX", "NYSEArca"),
    "XLON": ("LSE", "LSE"),
    "XTKS": ("JPX", "Tokyo"),
    "XCME": ("CMX", "COMEX"),
    "CRYPTO": ("CCC", "CCC"),
    "FX": ("CCY", "CCY"),
}
SUFFIXES = {"XLON": ".L", "XTKS": ".T"}


@cache
def listings() -> dict[str, Instrument]:
    """Every instrument by Yahoo's symbol; all of the market is there."""
    named: dict[str, Instrument] = {}
    for instrument in instruments().values():
        named |= dict.fromkeys(spellings(instrument), instrument)
    return named


def spellings(instrument: Instrument) -> tuple[str, ...]:
    """Yahoo's symbols of an instrument, the usual one first: dollar pairs have two."""
    symbol = instrument.symbol
    if instrument.asset_class == "forex":
        pair = symbol.replace("/", "")
        return (f"{pair}=X", f"{pair[3:]}=X") if pair.startswith("USD") else (f"{pair}=X",)
    if instrument.asset_class == "commodity":
        return (f"{symbol}=F",)
    if instrument.exchange in SUFFIXES:
        return (symbol.partition(".")[0] + SUFFIXES[instrument.exchange],)
    return (symbol.replace(".", "-"),)


def unit_of(instrument: Instrument) -> tuple[str, float]:
    """Yahoo's currency, perhaps a minor unit, and how many of it make the major one."""
    if instrument.exchange == "XLON":
        return "GBp", 100.0
    if instrument.symbol in ("ZC", "ZW"):
        return "USX", 100.0
    return instrument.currency, 1.0


def zone_of(instrument: Instrument) -> ZoneInfo:
    """The zone of its sessions at Yahoo."""
    return LONDON if instrument.asset_class == "forex" else instrument.calendar.tz
