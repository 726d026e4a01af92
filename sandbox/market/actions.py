"""Splits and dividends, and what they do to older prices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from fractions import Fraction

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Split:
    """A split, in force from the opening of its day."""

    ex_date: date
    """First day with the new shares."""
    ratio: Fraction
    """New shares for one old: 4-for-1 is 4, 1-for-10 is 1/10."""


@dataclass(frozen=True, slots=True)
class Dividend:
    """A dividend in cash."""

    ex_date: date
    """First day that trades without it."""
    amount: float
    """What a share was paid on the day, in the instrument's currency."""
    close_before: float
    """Raw close of the session before, which the dividend is weighed against."""


def split_divisors(days: NDArray[np.datetime64], splits: Iterable[Split]) -> NDArray[np.float64]:
    """By what a raw price of each day is divided (a volume multiplied) to adjust it for later `splits`."""
    divisors = np.ones(len(days))
    for split in splits:
        divisors[days < np.datetime64(split.ex_date, "D")] *= float(split.ratio)
    return divisors


def dividend_factors(days: NDArray[np.datetime64], dividends: Iterable[Dividend]) -> NDArray[np.float64]:
    """By what a price of each day is multiplied to adjust it for later `dividends`.

    Each takes its part of the close before it off every earlier price, as at Yahoo.
    """
    factors = np.ones(len(days))
    for dividend in dividends:
        factors[days < np.datetime64(dividend.ex_date, "D")] *= 1.0 - dividend.amount / dividend.close_before
    return factors
