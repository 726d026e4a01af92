"""How FMP spells and files the instruments, and what the handlers of all its endpoints share."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

from sandbox.market.universe import Instrument, instruments
from sandbox.server.provider import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

Row = TypeVar("Row")
EASTERN = ZoneInfo("America/New_York")  # of every time of day, whatever the market
VENUES = {
    "XNAS": ("NASDAQ", "NASDAQ Global Select"),
    "XNYS": ("NYSE", "New York Stock Exchange"),
    "ARCX": ("AMEX", "New York Stock Exchange Arca"),
    "XLON": ("LSE", "London Stock Exchange"),
    "XTKS": ("JPX", "Tokyo"),
    "CRYPTO": ("CRYPTO", "CRYPTO"),
    "FX": ("FOREX", "FOREX"),
    "XCME": ("COMMODITY", "Commodity"),
}
SUFFIXES = {"XLON": ".L", "XTKS": ".T"}
PREMIUM_PARAMETERS = "premium parameters"
"""A plan that denies this has no quarterly periods and no more than five of them."""
SUBSCRIBE = "is not available under your current subscription please visit our subscription page to upgrade your plan"


class Premium(Exception):
    """A value that the key's plan does not sell: 402 in plain text."""

    def __init__(self, parameter: str) -> None:
        said = f"Premium Query Parameter: 'Special Endpoint : This value set for '{parameter}' {SUBSCRIBE}"
        super().__init__(said)


class BadRequest(ValueError):
    """What FMP refuses with 400."""


def checked(handler: Callable[[Call], Reply]) -> Callable[[Call], Reply]:
    """The handler, its refusals worded as FMP's."""

    def answer(call: Call) -> Reply:
        try:
            return handler(call)
        except Premium as error:
            return Reply(str(error), 402, "text/plain; charset=utf-8")
        except BadRequest as error:
            return Reply({"Error Message": str(error)}, 400)

    return answer


@cache
def listings() -> dict[str, Instrument]:
    """Every instrument by FMP's symbol."""
    return {spelling(instrument): instrument for instrument in instruments().values()}


def spelling(instrument: Instrument) -> str:
    """FMP's symbol: `BRK-B`, `VOD.L`, `BTCUSD`, `EURUSD`, `GCUSD`, `^GSPC`."""
    symbol = instrument.symbol
    match instrument.asset_class:
        case "crypto":
            return symbol.replace("-", "")
        case "forex":
            return symbol.replace("/", "")
        case "commodity":
            return f"{symbol}USD"
    if instrument.exchange in SUFFIXES:
        return symbol.partition(".")[0] + SUFFIXES[instrument.exchange]
    return symbol.replace(".", "-")


def venue(instrument: Instrument) -> tuple[str, str]:
    """FMP's exchange: its code and its whole name."""
    return ("INDEX", "INDEX") if instrument.asset_class == "index" else VENUES[instrument.exchange]


def currency(instrument: Instrument) -> str:
    """London is quoted in pence."""
    return "GBp" if instrument.exchange == "XLON" else instrument.currency


def unit(instrument: Instrument) -> float:
    """How many of the quoted unit make the major one."""
    return 100.0 if instrument.exchange == "XLON" else 1.0


def named(call: Call, parameter: str = "symbol") -> list[Instrument]:
    """The instruments that `symbol` or `symbols` names; unknown ones are left out.

    Raises:
        BadRequest: the parameter is missing.
    """
    text = call.query.get(parameter)
    if not text:
        raise BadRequest(f"Query Error: Invalid or missing query parameter - {parameter}")
    return [listings()[name] for name in text.upper().split(",") if name in listings()]


def shares(call: Call) -> list[Instrument]:
    """The companies that `symbol` names."""
    return [each for each in named(call) if each.asset_class == "equity"]


def number(call: Call, name: str, usual: int, largest: int = 10_000) -> int:
    """A whole number of the query, no more than `largest`."""
    text = call.query.get(name) or str(usual)
    if not text.isdecimal():
        raise BadRequest(f"Query Error: Invalid or missing query parameter - {name}")
    return min(int(text), largest)


def page(call: Call, rows: list[Row], usual: int, largest: int) -> list[Row]:
    """The rows of `page` (from 0) and `limit`."""
    limit = number(call, "limit", usual, largest)
    start = limit * number(call, "page", 0)
    return rows[start : start + limit]


def dates(call: Call, first: date, last: date) -> tuple[date, date]:
    """`from` and `to`, both inclusive; `first` and `last` where they are not given."""
    try:
        since = date.fromisoformat(call.query.get("from") or first.isoformat())
        until = date.fromisoformat(call.query.get("to") or last.isoformat())
    except ValueError:
        raise BadRequest("Query Error: Invalid or missing query parameter - from, to") from None
    return since, until


def eastern(moment: datetime | int) -> str:
    """A moment (or UTC ms) as FMP's text without a zone."""
    at = datetime.fromtimestamp(moment / 1000, UTC) if isinstance(moment, int) else moment
    return at.astimezone(EASTERN).strftime("%Y-%m-%d %H:%M:%S")
