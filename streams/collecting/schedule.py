"""When a schedule fires: cron in a named zone, as moments in ms UTC. Knows no clock.

A schedule with listed hours means times on the wall, and each fires once: a time that the spring gap skips, at the
first moment after the gap (several skipped ones together), a time that autumn repeats, at its first occurrence. A
schedule with `*` for its hours runs with real time instead: at every minute that reads like it, in both of the
repeated hours and in none of the skipped one, so that `*/15 * * * *` is always 15 minutes apart.

cronsim does both. It decides by the first letters of minute and hour, so that `*/20 0-2` would run with real time:
`_spell` writes the expression so that the hours alone decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

GRACE_MS = 7 * 86_400_000
"""How late a missed time is caught up: the longest pause of a weekly schedule."""
FORM = "write minute hour day month weekday, such as 30 16 * * 1-5"
FIELDS = {"minute": "0-59", "hour": "0-23", "day": "1-31", "month": "1-12", "weekday": "0-6"}
"""The fields in their order, and the whole of each."""
BEYOND = re.compile(r"#|\dl|lw", re.IGNORECASE)
"""What cronsim reads beyond crontab(5) and `l`: the second Sunday, the last Friday, the last weekday."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A time that comes again and again.

    The fields of a cron are minute, hour, day (`l` is a month's last), month and weekday (0 and 7 are Sunday). Of a
    restricted day and a restricted weekday either suffices. Raises `ValueError` for a cron or a zone that cannot be
    used.
    """

    name: str
    """What its last fire moment is kept under."""
    cron: str
    """The times, as a line of cron with five fields."""
    zone: str
    """The zone that the times are read in."""

    def __post_init__(self) -> None:
        _check_zone(self.zone)
        _spelled(self.cron)


def next_after(schedule: Schedule, ms: int) -> int:
    """Return the first fire moment after `ms`."""
    # in a repeated hour the walk begins among its first occurrences, which are over
    return next(moment for moment in _moments(schedule, ms) if moment > ms)


def latest_before(schedule: Schedule, ms: int) -> int | None:
    """Return the last fire moment before `ms`; None when that was before 1970."""
    found = next(moment for moment in _moments(schedule, ms, reverse=True) if moment < ms)
    # a walk back passes over some moments of a repeated hour; a walk forth does not
    while (later := next_after(schedule, found)) < ms:
        found = later
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


def _moments(schedule: Schedule, ms: int, *, reverse: bool = False) -> Iterator[int]:
    """Yield the fire moments from about `ms` on, or back from it."""
    start = (EPOCH + ms * MILLISECOND).astimezone(ZoneInfo(schedule.zone))
    for moment in CronSim(_spelled(schedule.cron), start, reverse):
        yield (moment - EPOCH) // MILLISECOND


@cache
def _spelled(cron: str) -> str:
    """Return the expression as cronsim takes it to mean what is meant here; `ValueError` for one that means nothing."""
    fields = cron.split()
    if len(fields) != len(FIELDS):
        raise ValueError(f"cron {cron!r} has {len(fields)} fields, not {len(FIELDS)}; {FORM}")
    values = [_values(cron, place, field) for place, field in enumerate(fields)]
    spelled = " ".join(map(_spell, FIELDS, fields, values))
    try:
        CronSim(spelled, EPOCH)
    except CronSimError:
        raise ValueError(f"cron {cron!r} never fires: no such date exists; {FORM}") from None
    return spelled


def _values(cron: str, place: int, field: str) -> set[int]:
    """Return what a field names. Raises `ValueError` that says which field of `cron` names nothing."""
    try:
        return _read(place, field)
    except (CronSimError, ValueError):
        name = list(FIELDS)[place]
        message = f"cron {cron!r}: there is no {name} {field!r}; {FORM}; ranges ascend, as in 22-23,0-2"
        raise ValueError(message) from None


def _read(place: int, field: str) -> set[int]:
    if BEYOND.search(field):
        raise ValueError(field)
    alone = ["*"] * len(FIELDS)
    alone[place] = field
    read = CronSim(" ".join(alone), EPOCH)
    weekdays = {day % 7 for day in read.weekdays if isinstance(day, int)}
    return (read.minutes, read.hours, read.days, read.months, weekdays)[place]


def _spell(name: str, field: str, values: set[int]) -> str:
    """Write a star where cronsim shall see one, and the range where it shall not."""
    first, last = map(int, FIELDS[name].split("-"))
    whole = values >= set(range(first, last + 1))
    if name == "hour":
        star = whole  # with real time
    elif name == "minute":
        star = False  # the hours alone decide
    else:
        star = whole and "*" in field  # no restriction; 0-6 is one, of which every day suffices
    return "*" if star else field.replace("*", FIELDS[name])


def _check_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"unknown zone {zone!r}; write an IANA name such as America/New_York or UTC") from None
