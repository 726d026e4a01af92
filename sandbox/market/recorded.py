"""The real part of the market: daily bars of five shares to 2013-03-01 and their corporate actions.

The bars are those of the package bokeh_sampledata (public domain, from Quandl's WIKI Prices): raw prices and
volumes, and an adjusted close from which the dividends of the period follow.
"""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from sandbox.errors import RecordedBarsMissing
from sandbox.market.actions import Dividend, Split
from sandbox.market.bars import Bars
from sandbox.market.calendars import MINUTE_MS, NYSE
from sandbox.market.generated import trade_counts
from sandbox.market.universe import instruments

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
LAST_DAY = date(2013, 3, 1)

SPLITS: dict[str, tuple[Split, ...]] = {
    "AAPL": (
        Split(date(2000, 6, 21), Fraction(2)),
        Split(date(2005, 2, 28), Fraction(2)),
        Split(date(2014, 6, 9), Fraction(7)),
        Split(date(2020, 8, 31), Fraction(4)),
    ),
    "MSFT": (Split(date(2003, 2, 18), Fraction(2)),),
    "GOOG": (
        # Class C shares were handed out; this is the drop in price that the source's adjusted close shows.
        Split(date(2014, 4, 3), Fraction("1.993826")),
        Split(date(2022, 7, 18), Fraction(20)),
    ),
}


@cache
def daily(symbol: str) -> Bars:
    """The raw daily bars of one of `SYMBOLS`, oldest first, in US dollars.

    Raises:
        RecordedBarsMissing: bokeh_sampledata, the package's `sandbox` extra, is not installed.
    """
    source = _source(symbol)
    days = np.array(source["date"], "datetime64[D]")
    sessions = NYSE.sessions(days[0].item(), days[-1].item())
    at = np.searchsorted(sessions.days, days)
    open_, high, low, close, volume = (
        np.array(source[name], np.float64) for name in ("open", "high", "low", "close", "volume")
    )
    lengths = (sessions.closes - sessions.opens)[at] // MINUTE_MS
    return Bars(
        days,
        sessions.opens[at],
        open_,
        high,
        low,
        close,
        volume,
        np.round((high + low + close) / 3, 4),
        trade_counts(instruments()[symbol], volume, lengths),
    )


@cache
def dividends(symbol: str) -> tuple[Dividend, ...]:
    """Dividends of the period, from the steps in adjusted close / close.

    The source multiplies the factor of earlier days by close / (close + dividend) of the ex-date, and
    divides it by a split's ratio.
    """
    source = _source(symbol)
    days = [date.fromisoformat(day) for day in source["date"]]
    close = np.array(source["close"])
    factor = np.array(source["adj_close"]) / close
    ratios = {split.ex_date: float(split.ratio) for split in SPLITS.get(symbol, ())}
    steps = factor[1:] / factor[:-1]
    found = []
    for i in np.flatnonzero(np.abs(steps - 1) > 1e-6) + 1:
        amount = close[i] * (steps[i - 1] / ratios.get(days[i], 1.0) - 1)
        if amount > 0.001:
            found.append(Dividend(days[i], round(float(amount), 4), float(close[i - 1])))
    return tuple(found)


def require() -> None:
    """Do nothing where the recorded bars are installed; they are not read.

    Raises:
        RecordedBarsMissing: bokeh_sampledata, the package's `sandbox` extra, is not installed.
    """
    try:
        import bokeh_sampledata  # noqa: F401, PLC0415  an optional dependency
    except ImportError as error:
        raise RecordedBarsMissing(
            "The sandbox market needs the package bokeh_sampledata for its real daily bars: "
            "install tapestream[sandbox]."
        ) from error


def _source(symbol: str) -> dict[str, list[Any]]:
    require()
    from bokeh_sampledata import stocks  # noqa: PLC0415  an optional dependency, read on first use

    history: dict[str, list[Any]] = getattr(stocks, symbol)
    return history
