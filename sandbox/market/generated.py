"""The invented part of the market: seeded prices between yearly knots, and minutes inside a day.

Every year and every day has its own random stream, so any of them is made without those before it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from sandbox.market.actions import Dividend, Split, split_divisors
from sandbox.market.bars import NOTHING, Bars
from sandbox.market.calendars import MINUTE_MS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sandbox.market.universe import Instrument

LAST_YEAR = 2100
CRYPTO_LOT = 1e-4
SHARES_A_MINUTE = 50  # a day of fewer shares than this for each minute leaves minutes without a trade
SHARES_A_TRADE = 120


def stream(*names: object) -> np.random.Generator:
    """A random stream that belongs to `names` alone."""
    digest = hashlib.blake2b("|".join(map(str, names)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))


@dataclass(frozen=True, eq=False)
class Course:
    """How one instrument fares from a day on."""

    seed: int
    """What every random number comes from."""
    instrument: Instrument
    """The instrument."""
    since: date
    """The day from which it is generated."""
    price: float
    """Raw price at which it stood then."""
    splits: tuple[Split, ...] | None = None
    """Known splits; None: a share is split when its price has run away."""
    _knots: NDArray[np.float64] = field(init=False)
    _splits: tuple[Split, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_knots", self._draw_knots())
        object.__setattr__(self, "_splits", self._due_splits() if self.splits is None else self.splits)

    @property
    def all_splits(self) -> tuple[Split, ...]:
        """Every split that was or will be, oldest first."""
        return self._splits

    def year(self, year: int) -> Bars:
        """The raw daily bars of one calendar year after `since`."""
        first = max(date(year, 1, 1), self.since + timedelta(days=1))
        sessions = self.instrument.calendar.sessions(first, date(year, 12, 31))
        n = len(sessions.days)
        if not n or year < self.since.year:
            return NOTHING
        before, after = self._knots[year - self.since.year : year - self.since.year + 2]
        random = stream(self.seed, self.instrument.symbol, year)
        prices = self._walk(random, before, after, n, self.instrument.volatility / np.sqrt(_sessions_a_year(n)))
        later = [split for split in self._splits if split.ex_date > self.since]
        splits = split_divisors(sessions.days, later)
        whole = float(np.prod([float(split.ratio) for split in later]))
        tick = 10.0**-self.instrument.decimals
        open_, high, low, close = np.maximum(np.round(prices * splits / whole, self.instrument.decimals), tick)
        volume = self._volumes(random, n)
        trades = trade_counts(self.instrument, volume, (sessions.closes - sessions.opens) // MINUTE_MS)
        vwap = np.clip(np.round((high + low + close) / 3, self.instrument.decimals + 2), low, high)
        return Bars(sessions.days, sessions.opens, open_, high, low, close, volume, vwap, trades)

    def dividends(self, year: int) -> list[Dividend]:
        """The dividends of one calendar year after `since`: one a quarter, if the instrument pays any."""
        rate, phase = self.instrument.dividend_yield / 4, len(self.instrument.symbol) % 3
        bars = self.year(year) if rate else NOTHING
        splits = {split.ex_date for split in self._splits}
        paid = []
        for month in range(2 - phase % 2, 13, 3):
            at = int(np.searchsorted(bars.days, np.datetime64(date(year, month, 8), "D")))
            if 0 < at < len(bars) and (day := bars.days[at].item()) not in splits:
                close = float(bars.close[at - 1])
                if amount := round(rate * close, 2):
                    paid.append(Dividend(day, amount, close))
        return paid

    def _walk(
        self, random: np.random.Generator, before: float, after: float, n: int, sigma: float
    ) -> NDArray[np.float64]:
        """Open, high, low, close of `n` days on a bridge between two knots (logarithms); 4 rows."""
        noise = random.standard_normal((4, n)) * sigma
        part = np.arange(1, n + 1) / n
        walk = np.cumsum(noise[0])
        close = before + (after - before) * part + walk - part * walk[-1]
        if self.instrument.asset_class == "fund":  # one net asset value a day
            return np.tile(np.exp(close), (4, 1))
        open_ = np.r_[before, close[:-1]] + 0.35 * noise[1]
        high = np.maximum(open_, close) + 0.4 * np.abs(noise[2])
        low = np.minimum(open_, close) - 0.4 * np.abs(noise[3])
        prices: NDArray[np.float64] = np.exp(np.stack([open_, high, low, close]))
        return prices

    def _volumes(self, random: np.random.Generator, n: int) -> NDArray[np.float64]:
        volume = self.instrument.daily_volume * np.exp(0.35 * random.standard_normal(n))
        return np.round(volume, 4 if self.instrument.asset_class == "crypto" else 0)

    def _draw_knots(self) -> NDArray[np.float64]:
        """Logarithm of the price at `since` and at each New Year after it, as if there were no splits."""
        years = LAST_YEAR - self.since.year + 1
        lengths = np.ones(years)
        lengths[0] = (date(self.since.year + 1, 1, 1) - self.since).days / 365
        random = stream(self.seed, self.instrument.symbol, "knots")
        sigma = self.instrument.volatility
        steps = sigma * np.sqrt(lengths) * random.standard_normal(years)
        if self.instrument.drift:
            steps = np.cumsum(steps + (self.instrument.drift - sigma**2 / 2) * lengths)
        # without drift (currencies, volatility) the level stays near where it began
        knots: NDArray[np.float64] = np.log(self.price) + np.r_[0.0, steps]
        return knots

    def _due_splits(self) -> tuple[Split, ...]:
        if self.instrument.asset_class not in ("equity", "etf"):
            return ()
        splits: list[Split] = []
        level = 1.0
        for year in range(self.since.year + 1, LAST_YEAR + 1):
            price = np.exp(self._knots[year - self.since.year]) / level
            ratio = Fraction(4) if price > 400 else Fraction(1, 10) if price < 2 else None
            if ratio and self.instrument.currency == "USD":
                days = self.instrument.calendar.sessions(date(year, 2, 1), date(year, 11, 30)).days
                day = days[stream(self.seed, self.instrument.symbol, "split", year).integers(len(days))]
                splits.append(Split(day.item(), ratio))
                level *= float(ratio)
        return tuple(splits)


def _sessions_a_year(sessions: int) -> int:
    """Sessions of a whole year where a part of it has `sessions`: 365 for what never closes, else 252."""
    return 365 if sessions > 262 else 252


def trade_counts(instrument: Instrument, volume: NDArray[np.float64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Trades of each day: by its volume, and at least one for each of its minutes with a trade."""
    lots = np.round(volume / _lot(instrument)).astype(np.int64)
    return np.maximum(lots // SHARES_A_TRADE, _traded_minutes(lots, lengths))


def _lot(instrument: Instrument) -> float:
    return CRYPTO_LOT if instrument.asset_class == "crypto" else 1.0


def _traded_minutes(lots: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many minutes of each day see a trade; an index without volume moves in all of them."""
    return np.where(lots == 0, lengths, np.clip(lots // SHARES_A_MINUTE, 1, lengths))


def minutes(seed: int, instrument: Instrument, day: Bars, length: int) -> Bars:
    """The minutes with trades of one session of `length` minutes; together they are exactly `day` (one bar)."""
    lot = _lot(instrument)
    lots = round(float(day.volume[0]) / lot)
    if not lots and instrument.asset_class != "index":
        return NOTHING
    random = stream(seed, instrument.symbol, day.days[0])
    n = int(_traded_minutes(np.array([lots]), np.array([length]))[0])
    at = np.arange(length) if n == length else np.sort(random.choice(length, n, replace=False))
    open_, high, low, close = _inside(random, day, n, instrument.decimals)
    weights = (1.0 + 6 * (2 * at / length - 1) ** 4) * np.exp(0.5 * random.standard_normal(n))  # busy at both ends
    return Bars(
        np.repeat(day.days, n),
        day.starts[0] + at * MINUTE_MS,
        open_,
        high,
        low,
        close,
        _shared(lots, weights) * lot if lots else np.zeros(n),
        np.clip(np.round((high + low + close) / 3, instrument.decimals + 2), low, high),
        _shared(int(day.trades[0]), weights).astype(np.int64),
    )


def _inside(
    random: np.random.Generator, day: Bars, n: int, decimals: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Open, high, low, close of `n` minutes from the day's open to its close, touching its high and low."""
    first, top, bottom, last = (float(column[0]) for column in (day.open, day.high, day.low, day.close))
    part = np.arange(n + 1) / n
    walk = np.r_[0.0, np.cumsum(random.standard_normal(n))]
    bridge = walk - part * walk[-1]
    reach = float(np.ptp(bridge)) or 1.0
    path = np.round(first + (last - first) * part + bridge * (top - bottom) / reach, decimals)
    path = np.clip(path, bottom, top)
    path[0], path[-1] = first, last
    open_, close = path[:-1], path[1:]
    stretch = np.abs(random.standard_normal((2, n))) * (top - bottom) / (4 * np.sqrt(n))
    upper, lower = np.maximum(open_, close), np.minimum(open_, close)
    high = np.minimum(np.maximum(np.round(upper + stretch[0], decimals), upper), top)
    low = np.maximum(np.minimum(np.round(lower - stretch[1], decimals), lower), bottom)
    high[np.argmax(high)] = top
    low[np.argmin(low)] = bottom
    return open_, high, low, close


def _shared(whole: int, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """`whole` things dealt out by `weights`, in whole numbers that add up; everybody gets one if there are enough."""
    n = len(weights)
    floor = 1 if whole >= n else 0
    shares = np.cumsum(weights) / np.sum(weights)
    edges = np.round(shares * (whole - floor * n))
    return np.diff(edges, prepend=0.0) + floor
