"""When a schedule fires: cron in a named zone, as moments in ms UTC. Knows no clock.

A schedule with listed hours means times on the wall, and each fires once: a time that the spring gap skips, at the
first moment after the gap (several skipped ones together), a time that autumn repeats, at its first occurrence. A
schedule with `*` for its hours runs with real time instead: at every minute that reads like it, in both of the
repeated hours and in none of the skipped one, so that `*/15 * * * *` is always 15 minutes apart.

croniter only reads the expression. With zones it fires in the skipped hour and an hour late after the repeated
one, and without them it leaves out 1 March of `0 0 1,30 * *`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import count
from typing import Literal
from zoneinfo import ZoneInfo

from croniter import croniter

GRACE_MS = 7 * 86_400_000
FORM = "write minute hour day month weekday, such as 30 16 * * 1-5"
FIELDS = ("minute", "hour", "day", "month", "weekday")
BEYOND = re.compile(r"#|\br\b|l\w", re.IGNORECASE)  # croniter's own: an `r` is random, another value at each look
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
DAY = timedelta(days=1)
Part = frozenset[int | str]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Fires at `cron` in `zone`; `name` is what its last fire moment is kept under.

    The fields are minute, hour, day (`l` is a month's last), month and weekday (0 and 7 are Sunday). Of a restricted
    day and a restricted weekday either suffices. Raises `ValueError` for a cron or a zone that cannot be used.
    """

    name: str
    cron: str
    zone: str

    def __post_init__(self) -> None:
        _check_zone(self.zone)
        _plan(self.cron)


def next_after(schedule: Schedule, ms: int) -> int:
    """Return the first fire moment after `ms`."""
    local, repeated = _local(schedule, ms)
    return min(
        next(at for at in _moments(schedule, local - repeated, 1, fold) if at > ms)
        for fold in _plan(schedule.cron).folds
    )


def latest_before(schedule: Schedule, ms: int) -> int | None:
    """Return the last fire moment before `ms`; None when that was before 1970."""
    local, repeated = _local(schedule, ms)
    found = max(
        next(at for at in _moments(schedule, local + repeated, -1, fold) if at < ms)
        for fold in _plan(schedule.cron).folds
    )
    return found if found >= 0 else None


def due(schedule: Schedule, last_fired: int | None, now: int) -> int | None:
    """Return the one fire moment that is owed at `now`; None when there is none. Keep it as the new `last_fired`.

    `last_fired` is the moment of the last fire, or when the schedule was first seen: for None nothing is owed, keep
    `now` instead and the schedule begins with its next time. Of the times missed in a downtime only the latest is
    owed, and only for `GRACE_MS`. That is a week, so that what fires weekly or more often is always caught up (a
    Friday's close on Sunday too); a rarer run that was missed by more should not start at a moment nobody expects.
    With a clock set back nothing fires until it has passed `last_fired` again.
    """
    if last_fired is None:
        return None
    latest = latest_before(schedule, now + 1)
    if latest is None or latest <= last_fired or now - latest > GRACE_MS:
        return None
    return latest


@dataclass(frozen=True, slots=True)
class _Plan:
    """An expression as read: the local times of a day, ascending, and the days."""

    times: tuple[time, ...]
    days: Part
    months: Part
    weekdays: Part
    folds: tuple[int, ...]
    """The occurrences of a repeated local time that fire: 0 the first, 1 the second."""

    def on(self, day: date) -> bool:
        """Return whether it fires on this day."""
        if day.month not in self.months and "*" not in self.months:
            return False
        if "*" in self.days and "*" in self.weekdays:
            return True
        last = (day + DAY).day == 1
        return day.day in self.days or (last and "l" in self.days) or day.isoweekday() % 7 in self.weekdays


@cache
def _plan(cron: str) -> _Plan:
    fields = cron.split()
    if len(fields) != len(FIELDS):
        raise ValueError(f"cron {cron!r} has {len(fields)} fields, not {len(FIELDS)}; {FORM}")
    for place, (name, field) in enumerate(zip(FIELDS, fields, strict=True)):
        alone = " ".join(field if other == place else "*" for other in range(len(FIELDS)))
        if BEYOND.search(field) or not croniter.is_valid(alone):
            raise ValueError(f"cron {cron!r}: there is no {name} {field!r}; {FORM}")
    minutes, hours, days, months, weekdays = (frozenset(part) for part in croniter.expand(cron)[0])
    plan = _Plan(
        times=tuple(time(hour, minute) for hour in _numbers(hours, 24) for minute in _numbers(minutes, 60)),
        days=days,
        months=months,
        weekdays=weekdays,
        folds=(0, 1) if "*" in hours else (0,),
    )
    if not any(plan.on(date(2000, 1, 1) + DAY * n) for n in range(366)):
        raise ValueError(f"cron {cron!r} never fires: no such date exists; {FORM}")
    return plan


def _numbers(part: Part, end: int) -> list[int]:
    return [number for number in range(end) if number in part or "*" in part]


def _check_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"unknown zone {zone!r}; write an IANA name such as America/New_York or UTC") from None


def _moments(schedule: Schedule, start: datetime, step: Literal[1, -1], fold: int) -> Iterator[int]:
    """Return the moments of the local times from `start` on, or back from it; their order is that of the times."""
    zone, plan = ZoneInfo(schedule.zone), _plan(schedule.cron)
    for local in _times(plan, start, step):
        before, after = offsets = _offsets(local, zone)
        if before >= after:
            yield _ms(local, offsets[fold])
        elif len(plan.folds) == 1:
            yield _gap_end(local, before, after, zone)


def _times(plan: _Plan, start: datetime, step: Literal[1, -1]) -> Iterator[datetime]:
    for n in count():
        day = start.date() + DAY * n * step
        if plan.on(day):
            times = (datetime.combine(day, at) for at in plan.times[::step])
            yield from (local for local in times if (local - start) * step >= timedelta())


def _local(schedule: Schedule, ms: int) -> tuple[datetime, timedelta]:
    """Return the local time without its zone and, while local times repeat, how long the repeated span is."""
    zone = ZoneInfo(schedule.zone)
    local = _aware(ms, zone).replace(tzinfo=None, fold=0)
    first, second = _offsets(local, zone)
    return local, first - second


def _offsets(local: datetime, zone: ZoneInfo) -> tuple[timedelta, timedelta]:
    """Return the offsets of a local time's two readings: the first is greater when it repeats, less in a gap."""
    aware = local.replace(tzinfo=zone)
    return _offset(aware), _offset(aware.replace(fold=1))


def _gap_end(skipped: datetime, before: timedelta, after: timedelta, zone: ZoneInfo) -> int:
    """Return the moment at which the clocks jumped over `skipped`."""
    around = range(_ms(skipped, after), _ms(skipped, before))
    return around.start + bisect_left(around, after, key=lambda ms: _offset(_aware(ms, zone)))


def _offset(aware: datetime) -> timedelta:
    return aware.utcoffset() or timedelta()


def _aware(ms: int, zone: ZoneInfo) -> datetime:
    return (EPOCH + ms * MILLISECOND).astimezone(zone)


def _ms(local: datetime, offset: timedelta) -> int:
    return (local.replace(tzinfo=UTC) - offset - EPOCH) // MILLISECOND
