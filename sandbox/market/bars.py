"""Bars as columns: cutting, joining, grouping, scaling. Pure array work; no symbol, no clock."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from numpy.typing import NDArray


class Bar(NamedTuple):
    """One bar."""

    day: date
    """The trading date."""
    start: int
    """Start of the bar, ms UTC."""
    open: float
    """First price."""
    high: float
    """Highest price."""
    low: float
    """Lowest price."""
    close: float
    """Last price."""
    volume: float
    """Shares, coins or contracts traded."""
    vwap: float
    """Price, weighted by volume."""
    trades: int
    """Trades, a count."""


@dataclass(frozen=True, slots=True)
class Bars:
    """OHLCV in ascending order, columns of equal length."""

    days: NDArray[np.datetime64]
    """Trading dates."""
    starts: NDArray[np.int64]
    """Starts of the bars, ms UTC."""
    open: NDArray[np.float64]
    """First prices."""
    high: NDArray[np.float64]
    """Highest prices."""
    low: NDArray[np.float64]
    """Lowest prices."""
    close: NDArray[np.float64]
    """Last prices."""
    volume: NDArray[np.float64]
    """Shares, coins or contracts traded."""
    vwap: NDArray[np.float64]
    """Prices, weighted by volume."""
    trades: NDArray[np.int64]
    """Trades, counts."""

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[Bar]:
        """The bars one by one, as plain Python values."""
        columns = (getattr(self, column.name).tolist() for column in fields(self))
        return (Bar(*values) for values in zip(*columns, strict=True))

    @classmethod
    def of(cls, bar: Bar) -> Bars:
        """A single bar as columns."""
        columns: list[Any] = [np.array([bar.day], "datetime64[D]"), *(np.array([value]) for value in bar[1:])]
        return cls(*columns)

    def take(self, index: slice | NDArray[np.bool_] | NDArray[np.intp]) -> Bars:
        """The bars at `index`, a slice, a mask or positions."""
        return Bars(*(getattr(self, column.name)[index] for column in fields(self)))

    def scaled(self, divisor: NDArray[np.float64] | float, decimals: int | None = None) -> Bars:
        """Prices divided by `divisor` (one for each bar), rounded to `decimals`; volume multiplied, in whole shares."""
        prices = {name: getattr(self, name) / divisor for name in ("open", "high", "low", "close", "vwap")}
        if decimals is not None:
            prices = {name: np.round(values, decimals) for name, values in prices.items()}
        return replace(self, volume=np.round(self.volume * divisor), **prices)

    def grouped(self, keys: NDArray[np.int64]) -> Bars:
        """One bar for each run of equal `keys` (ascending, one for each bar), which become its `starts`."""
        if not len(self):
            return self
        firsts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
        lasts = np.r_[firsts[1:], len(keys)] - 1
        volume = np.add.reduceat(self.volume, firsts)
        notional = np.add.reduceat(self.vwap * self.volume, firsts)
        low, high = np.minimum.reduceat(self.low, firsts), np.maximum.reduceat(self.high, firsts)
        mean = np.divide(notional, volume, out=self.close[lasts].copy(), where=volume > 0)
        return Bars(
            self.days[firsts],
            keys[firsts],
            self.open[firsts],
            high,
            low,
            self.close[lasts],
            volume,
            np.clip(mean, low, high),
            np.add.reduceat(self.trades, firsts),
        )


_NO_NUMBERS = np.array([], np.float64)
_NO_COUNTS = np.array([], np.int64)
NOTHING = Bars(
    np.array([], "datetime64[D]"),
    _NO_COUNTS,
    _NO_NUMBERS,
    _NO_NUMBERS,
    _NO_NUMBERS,
    _NO_NUMBERS,
    _NO_NUMBERS,
    _NO_NUMBERS,
    _NO_COUNTS,
)


def joined(parts: Sequence[Bars]) -> Bars:
    """The bars of all `parts`, which follow one another in time."""
    if not parts:
        return NOTHING
    return Bars(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(Bars)))
