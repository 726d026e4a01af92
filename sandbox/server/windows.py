"""Time cut into windows (minutes, days, weeks, months), and bars made of a bounded number of smaller ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import numpy as np

from sandbox.market.bars import Bars, joined
from sandbox.market.calendars import MINUTE_MS, MONDAY, midnights, months, weeks

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from numpy.typing import NDArray

    from sandbox.market.market import Market
    from sandbox.market.universe import Instrument

MINUTES = {"minute": 1, "hour": 60}
MONTHS = {"month": 1, "quarter": 3, "year": 12}
SPANS = (*MINUTES, "day", "week", *MONTHS)


@dataclass(frozen=True, slots=True)
class Grid:
    """Windows of time, counted from local midnight, week or January."""

    multiplier: int
    """Spans in a window, a count."""
    span: str
    """One of `SPANS`."""
    zone: tzinfo
    """The zone of midnight."""
    week_begins: int = MONDAY
    """First day of a week; 0 is Monday."""

    @property
    def by_minutes(self) -> bool:
        """Whether windows are made of minutes; else of days."""
        return self.span in MINUTES

    def starts(self, days: NDArray[np.datetime64], at: NDArray[np.int64]) -> NDArray[np.int64]:
        """Start of the window around each moment `at` of the local `days`; both moments UTC ms."""
        if self.by_minutes:
            midnight, step = midnights(days, self.zone), self.multiplier * MINUTES[self.span] * MINUTE_MS
            return midnight + (at - midnight) // step * step
        if self.span == "day":
            number = days.astype(np.int64) // self.multiplier * self.multiplier
            return midnights(number.astype("datetime64[D]"), self.zone)
        if self.span == "week":
            return midnights(weeks(days, self.week_begins, self.multiplier), self.zone)
        return midnights(months(days, MONTHS[self.span] * self.multiplier), self.zone)

    def start(self, moment: datetime) -> datetime:
        """Start of the window around `moment`."""
        day = np.array([moment.astimezone(self.zone).date()], "datetime64[D]")
        start = self.starts(day, np.array([int(moment.timestamp() * 1000)]))
        return datetime.fromtimestamp(int(start[0]) / 1000, UTC)

    def end(self, moment: datetime) -> datetime:
        """End of the window around `moment`, where the next one starts."""
        step = timedelta(minutes=MINUTES[self.span]) if self.by_minutes else timedelta(days=1)
        start, after = self.start(moment), moment
        while self.start(after) == start:
            after += step
        return self.start(after)


@dataclass(frozen=True, slots=True)
class Reading:
    """Bars to read."""

    instrument: Instrument
    """The instrument."""
    grid: Grid
    """The windows that bars are made of."""
    start: datetime
    """First moment, included."""
    end: datetime
    """End, excluded."""
    limit: int
    """Most minutes or days to read."""
    backward: bool = False
    """Whether they are read from the end."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a `Reading` returned."""

    bars: Bars
    """Whole windows, ascending."""
    used: int
    """Minutes or days that they are made of, a count."""
    rest: int | None
    """Where the next page goes on, ms UTC: the first moment not read, or backward the first that was; None on the
    last page."""


def read(market: Market, reading: Reading, now: datetime, adjust: Callable[[Bars], Bars] = lambda bars: bars) -> Page:
    """One page of bars. `adjust` works on the minutes or days, as a split may fall into a longer window.

    A window larger than the limit is read whole, or paging would never end.
    """
    base = adjust(_base(market, reading, now))
    keys = reading.grid.starts(base.days, base.starts)
    if len(base) <= reading.limit:
        return Page(base.grouped(keys), len(base), None)
    # one base bar more than the limit was read: the window it lies in is not whole
    edge = keys[0] if reading.backward else keys[-1]
    whole = keys > edge if reading.backward else keys < edge
    if not whole.any():
        return read(market, replace(reading, limit=2 * reading.limit), now, adjust)
    rest = int(keys[whole][0] if reading.backward else edge)
    return Page(base.take(whole).grouped(keys[whole]), int(whole.sum()), rest)


def _base(market: Market, reading: Reading, now: datetime) -> Bars:
    """The first (last) minutes or days of the span: one more than the limit, if the span has that number."""
    instrument, zone, wanted = reading.instrument, reading.grid.zone, reading.limit + 1
    if reading.grid.by_minutes:
        bars = _minutes(market, reading, wanted, now)
    else:
        first = reading.start.astimezone(zone).date()
        last = (reading.end - timedelta(milliseconds=1)).astimezone(zone).date()
        bars = market.daily(instrument.symbol, first, last, now)
    return bars.take(slice(-wanted, None) if reading.backward else slice(wanted))


def _minutes(market: Market, reading: Reading, wanted: int, now: datetime) -> Bars:
    """Minutes in strides of a size that mostly needs only one, since a long span holds millions."""
    symbol, calendar = reading.instrument.symbol, reading.instrument.calendar
    start = max(reading.start, datetime.combine(reading.instrument.listed, time(), calendar.tz))
    end, stride = min(reading.end, now), timedelta(days=wanted // calendar.minutes * 7 // 5 + 7)
    parts: list[Bars] = []
    while start < end and sum(map(len, parts)) < wanted:
        if reading.backward:
            parts.insert(0, market.minutes(symbol, max(start, end - stride), end, now))
            end -= stride
        else:
            parts.append(market.minutes(symbol, start, min(end, start + stride), now))
            start += stride
    return joined(parts)
