"""How EODHD spells and files the instruments: `TICKER.EXCHANGE`, six exchanges, minor units in London."""

from __future__ import annotations

from functools import cache

from sandbox.market.universe import Instrument, instruments

US_VENUES = {"XNAS": "NASDAQ", "XNYS": "NYSE", "ARCX": "NYSE ARCA"}
TYPES = {
    "equity": "Common Stock",
    "etf": "ETF",
    "fund": "FUND",
    "crypto": "Currency",
    "forex": "Currency",
    "commodity": "Commodity",
    "index": "INDEX",
}
COUNTRIES = {"US": "USA", "LSE": "UK"}
PENCE = 100.0


@cache
def listings() -> dict[str, Instrument]:
    """Every instrument EODHD has, by its `TICKER.EXCHANGE`. Tokyo is not among its exchanges."""
    spelled = ((spelling(instrument), instrument) for instrument in instruments().values())
    return {name: instrument for name, instrument in spelled if name}


def find(symbol: str) -> Instrument | None:
    """The instrument of a symbol in any case; a bare ticker is one of the US."""
    symbol = symbol.upper()
    return listings().get(symbol if "." in symbol else f"{symbol}.US")


def spelling(instrument: Instrument) -> str | None:
    """`TICKER.EXCHANGE`; None for what EODHD does not have."""
    code, where = ticker(instrument), exchange(instrument)
    return f"{code}.{where}" if where else None


def ticker(instrument: Instrument) -> str:
    """The part before the dot."""
    symbol = instrument.symbol
    match instrument.asset_class:
        case "forex":
            return symbol.replace("/", "")
        case "index":
            return symbol.removeprefix("^")
        case "equity" if instrument.exchange == "XLON":
            return symbol.partition(".")[0]
    return symbol.replace(".", "-")


def exchange(instrument: Instrument) -> str | None:
    """EODHD's exchange code; None for a venue it does not cover."""
    virtual = {"crypto": "CC", "forex": "FOREX", "commodity": "COMM", "index": "INDX"}
    if instrument.asset_class in virtual:
        return virtual[instrument.asset_class]
    return "US" if instrument.exchange in US_VENUES else {"XLON": "LSE"}.get(instrument.exchange)


def venue(instrument: Instrument) -> str:
    """How a list of symbols names the place: the US venues by name, the others by exchange code."""
    if instrument.asset_class == "fund":
        return "NMFQS"
    where = exchange(instrument) or ""
    return US_VENUES[instrument.exchange] if where == "US" else where


def currency(instrument: Instrument) -> str:
    """London is quoted in pence, which only the list of symbols says."""
    return "GBX" if instrument.exchange == "XLON" else instrument.currency


def unit(instrument: Instrument) -> float:
    """How many of the quoted unit make the major one."""
    return PENCE if instrument.exchange == "XLON" else 1.0
