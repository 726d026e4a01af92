"""When each venue trades: sessions per year, in UTC and by the zone's own rules on the day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from numpy.typing import NDArray

MINUTE_MS = 60_000
MONDAY, THURSDAY, SATURDAY, SUNDAY = 0, 3, 5, 6

# Days on which New York did not open for a reason no rule knows: 11 September, state funerals, a hurricane.
NYSE_CLOSURES = frozenset(
    {
        date(1994, 4, 27),
        *(date(2001, 9, day) for day in (11, 12, 13, 14)),
        date(2004, 6, 11),
        date(2007, 1, 2),
        date(2012, 10, 29),
        date(2012, 10, 30),
        date(2018, 12, 5),
        date(2025, 1, 9),
    }
)


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions in ascending order."""

    days: NDArray[np.datetime64]
    """Trading dates."""
    opens: NDArray[np.int64]
    """When each opens, ms UTC."""
    closes: NDArray[np.int64]
    """When each closes, excluded, ms UTC."""


@dataclass(frozen=True)
class Calendar:
    """A venue's trading days and hours."""

    name: str
    """The calendar's name."""
    zone: str
    """The venue's time zone."""
    opens: time
    """Local time at which a session opens."""
    minutes: int
    """Length of a session in minutes; 1440 is the whole day."""
    holidays: Callable[[int], frozenset[date]]
    """Takes a year; returns the days without a session."""
    weekends: bool = False
    """Whether Saturday and Sunday have sessions."""
    early: Callable[[int], frozenset[date]] = lambda _: frozenset()
    """Takes a year; returns the days that close early."""
    early_minutes: int = 0
    """Length of a session on such a day, in minutes."""

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def tz(self) -> ZoneInfo:
        """The venue's time zone."""
        return ZoneInfo(self.zone)

    def sessions(self, start: date, end: date) -> Sessions:
        """Sessions whose trading date lies in `start`…`end`, both inclusive."""
        years = [self._year(year) for year in range(start.year, end.year + 1)]
        if not years:
            return _EMPTY
        whole = Sessions(
            np.concatenate([year.days for year in years]),
            np.concatenate([year.opens for year in years]),
            np.concatenate([year.closes for year in years]),
        )
        wanted = slice(
            np.searchsorted(whole.days, np.datetime64(start, "D"), "left"),
            np.searchsorted(whole.days, np.datetime64(end, "D"), "right"),
        )
        return Sessions(whole.days[wanted], whole.opens[wanted], whole.closes[wanted])

    @lru_cache(maxsize=1024)  # noqa: B019  calendars live as long as the process
    def _year(self, year: int) -> Sessions:
        closed, early, zone = self.holidays(year), self.early(year), self.tz
        days, opens, closes = [], [], []
        day = date(year, 1, 1)
        while day.year == year:
            if (self.weekends or day.weekday() < SATURDAY) and day not in closed:
                start = int(datetime.combine(day, self.opens, zone).timestamp()) * 1000
                days.append(day)
                opens.append(start)
                closes.append(start + (self.early_minutes if day in early else self.minutes) * MINUTE_MS)
            day += timedelta(days=1)
        return Sessions(np.array(days, "datetime64[D]"), np.array(opens, np.int64), np.array(closes, np.int64))


_EMPTY = Sessions(np.array([], "datetime64[D]"), np.array([], np.int64), np.array([], np.int64))


def midnights(days: NDArray[np.datetime64], tz: tzinfo) -> NDArray[np.int64]:
    """Midnight of each day in `tz`, by the zone's rules on that day; UTC ms."""
    each, place = np.unique(days, return_inverse=True)
    starts = [int(datetime.combine(day, time(0), tz).timestamp()) * 1000 for day in each.tolist()]
    return np.array(starts, np.int64)[place]


def weeks(days: NDArray[np.datetime64], first: int = MONDAY, n: int = 1) -> NDArray[np.datetime64]:
    """First day of the `n` weeks each day lies in; weeks begin on `first` (0 is Monday)."""
    shift = 3 - first  # 1970-01-01 was a Thursday
    number = (days.astype(np.int64) + shift) // (7 * n)
    return (number * 7 * n - shift).astype("datetime64[D]")


def months(days: NDArray[np.datetime64], n: int = 1) -> NDArray[np.datetime64]:
    """First day of the `n` months each day lies in, counted from January."""
    number = days.astype("datetime64[M]").astype(np.int64) // n * n
    return number.astype("datetime64[M]").astype("datetime64[D]")


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm)."""
    golden, century, rest = year % 19, year // 100, year % 100
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    shift = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * shift + 114, 31)
    return date(year, month, day + 1)


def _nth(year: int, month: int, weekday: int, n: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def _last_monday_of_may(year: int) -> date:
    return date(year, 5, 31) - timedelta(days=date(year, 5, 31).weekday())


def _observed(day: date) -> date:
    return day + timedelta(days={SATURDAY: -1, SUNDAY: 1}.get(day.weekday(), 0))


def _nyse_holidays(year: int) -> frozenset[date]:
    new_year = date(year, 1, 1)
    days = {
        _nth(year, 2, MONDAY, 3),
        easter(year) - timedelta(days=2),
        _last_monday_of_may(year),
        _observed(date(year, 7, 4)),
        _nth(year, 9, MONDAY, 1),
        _nth(year, 11, THURSDAY, 4),
        _observed(date(year, 12, 25)),
    }
    if new_year.weekday() != SATURDAY:  # New York does not move a Saturday's New Year into the old year
        days.add(_observed(new_year))
    if year >= 1998:
        days.add(_nth(year, 1, MONDAY, 3))
    if year >= 2022:
        days.add(_observed(date(year, 6, 19)))
    return frozenset(days) | NYSE_CLOSURES


def _nyse_early(year: int) -> frozenset[date]:
    return frozenset({date(year, 7, 3), _nth(year, 11, THURSDAY, 4) + timedelta(days=1), date(year, 12, 24)})


def _london_holidays(year: int) -> frozenset[date]:
    late_may, august = _last_monday_of_may(year), date(year, 8, 31)
    return frozenset(
        {
            _london_observed(date(year, 1, 1)),
            easter(year) - timedelta(days=2),
            easter(year) + timedelta(days=1),
            _nth(year, 5, MONDAY, 1),
            late_may,
            august - timedelta(days=august.weekday()),
            date(year, 12, 25),
            date(year, 12, 26),
        }
    )


def _london_observed(day: date) -> date:
    return day + timedelta(days={SATURDAY: 2, SUNDAY: 1}.get(day.weekday(), 0))


def _new_year(year: int) -> frozenset[date]:
    return frozenset({date(year, 1, 1), date(year, 1, 2), date(year, 1, 3)})


def _christmas(year: int) -> frozenset[date]:
    return frozenset({date(year, 1, 1), easter(year) - timedelta(days=2), date(year, 12, 25)})


def _never(_: int) -> frozenset[date]:
    return frozenset()


NYSE = Calendar("XNYS", "America/New_York", time(9, 30), 390, _nyse_holidays, early=_nyse_early, early_minutes=210)
FUTURES = Calendar("XCME", "America/New_York", time(0), 17 * 60, _christmas)
LONDON = Calendar("XLON", "Europe/London", time(8), 510, _london_holidays)
TOKYO = Calendar("XTKS", "Asia/Tokyo", time(9), 360, _new_year)
FOREX = Calendar("FX", "UTC", time(0), 1440, _never)
CRYPTO = Calendar("CRYPTO", "UTC", time(0), 1440, _never, weekends=True)
