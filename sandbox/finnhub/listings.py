"""How Finnhub spells the market's instruments, and what every one of its endpoints asks for."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Any

from sandbox.market.universe import Instrument, instruments
from sandbox.server.provider import Call

Row = dict[str, Any]

SUFFIXES = {"XLON": ".L", "XTKS": ".T"}


class Refused(Exception):
    """A call that Finnhub refuses with `status` and words of its own."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


@cache
def shares() -> dict[str, Instrument]:
    """Shares, ETFs and mutual funds by ticker; foreign ones carry their exchange's suffix."""
    named = {}
    for instrument in instruments().values():
        if instrument.asset_class in ("equity", "etf", "fund"):
            suffix = SUFFIXES.get(instrument.exchange)
            named[instrument.symbol.partition(".")[0] + suffix if suffix else instrument.symbol] = instrument
    return named


@cache
def pairs() -> dict[str, Instrument]:
    """Currencies by symbol, at OANDA and in Finnhub's own mix of sources."""
    named = {}
    for instrument in instruments().values():
        if instrument.asset_class == "forex":
            named["OANDA:" + instrument.symbol.replace("/", "_")] = instrument
            named["FHFX:" + instrument.symbol.replace("/", "-")] = instrument
    return named


@cache
def coins() -> dict[str, Instrument]:
    """Coins against the dollar at Coinbase, and at Binance against the tether, which is worth a dollar here."""
    named = {}
    for instrument in instruments().values():
        if instrument.asset_class == "crypto":
            named[f"COINBASE:{instrument.symbol}"] = instrument
            named[f"BINANCE:{instrument.symbol.replace('-', '')}T"] = instrument
    return named


def asked(call: Call, name: str) -> str:
    """A parameter that must be there.

    Raises:
        Refused: it is not.
    """
    if not call.query.get(name):
        raise Refused(422, f"Missing parameters: {name}")
    return call.query[name]


def asked_day(call: Call, name: str, default: date | None = None) -> date:
    """A parameter that is a date; without a `default` it must be there.

    Raises:
        Refused: it is missing, or no date.
    """
    if default is not None and name not in call.query:
        return default
    try:
        return date.fromisoformat(asked(call, name))
    except ValueError:
        raise Refused(422, f"Wrong date format for {name}: use YYYY-MM-DD") from None


def company_of(call: Call) -> Instrument | None:
    """The US-listed or foreign company a call names by `symbol`; None for what is no company."""
    instrument = shares().get(asked(call, "symbol"))
    return instrument if instrument and instrument.asset_class == "equity" else None
