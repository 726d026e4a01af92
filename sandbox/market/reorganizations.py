"""What befalls a company's shares beside splits and dividends: another symbol, a part that becomes a company."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from sandbox.market.company import company
from sandbox.market.generated import stream

if TYPE_CHECKING:
    from sandbox.market.market import Market

RATIOS = (0.1, 0.25, 0.5)


@dataclass(frozen=True, slots=True)
class Rename:
    """A change of a company's symbol."""

    day: date
    """First day under the new symbol."""
    before: str
    """Canonical symbol until the day before."""


@dataclass(frozen=True, slots=True)
class SpinOff:
    """A part of a company that trades by itself."""

    ex_date: date
    """First day of its trading."""
    symbol: str
    """Canonical symbol that it trades as."""
    ratio: float
    """Its shares for one share held."""


def rename(market: Market, symbol: str, asof: datetime) -> Rename | None:
    """The change of a company's symbol by `asof`; half of them have had none.

    Raises:
        UnknownInstrument: the market has no such symbol.
        ValueError: it is no company.
    """
    draw = stream(market.seed, symbol, "rename")
    day = _working_day(company(market, symbol).ipo + timedelta(days=int(draw.integers(400, 2000))))
    return Rename(day, f"{_letters(symbol)[::-1]}Q") if draw.random() < 0.5 and day <= asof.date() else None


def spin_off(market: Market, symbol: str, asof: datetime) -> SpinOff | None:
    """The part that left a company by `asof`; two thirds of them have had none. Raises as `rename`."""
    draw = stream(market.seed, symbol, "spin_off")
    day = _working_day(company(market, symbol).ipo + timedelta(days=int(draw.integers(2000, 4000))))
    ratio = RATIOS[int(draw.integers(len(RATIOS)))]
    return SpinOff(day, f"{_letters(symbol)}S", ratio) if draw.random() < 1 / 3 and day <= asof.date() else None


def _letters(symbol: str) -> str:
    return "".join(filter(str.isalpha, symbol))[:3]


def _working_day(day: date) -> date:
    return day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() >= 5 else 0)
