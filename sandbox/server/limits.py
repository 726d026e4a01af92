"""Rate limits and quotas of a key: a number of calls (or credits) in a window of the calendar."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from datetime import datetime

Window = Literal["second", "minute", "hour", "day", "month"]


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of a key, counted anew when its unit of time begins."""

    calls: int
    """Calls (or credits) that fit into each window."""
    per: Window
    """The unit of time."""
    zone: str = "UTC"
    """The zone in which it begins."""
    credits: bool = False
    """Whether the weight of an endpoint counts, instead of one for each call."""

    def window(self, now: datetime) -> tuple[datetime, datetime]:
        """Start and end of the window around `now`, in `zone`."""
        local = now.astimezone(ZoneInfo(self.zone))
        start = local.replace(microsecond=0)
        if self.per == "second":
            return start, start + timedelta(seconds=1)
        start = start.replace(second=0)
        if self.per == "minute":
            return start, start + timedelta(minutes=1)
        start = start.replace(minute=0)
        if self.per == "hour":
            return start, start + timedelta(hours=1)
        start = start.replace(hour=0, fold=0)
        if self.per == "day":
            return start, start + timedelta(days=1)
        start = start.replace(day=1)
        return start, (start + timedelta(days=32)).replace(day=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a key may do."""

    limits: tuple[Limit, ...] = ()
    """Its limits; none: it is unlimited."""
    denies: frozenset[str] = frozenset()
    """Names of the endpoints that it is not sold."""
    history: timedelta | None = None
    """How far back it reaches; None: to the beginning."""


@dataclass(frozen=True, slots=True)
class Left:
    """What a key has left of one limit."""

    limit: Limit
    """The limit."""
    calls: int
    """Calls (or credits) that are left."""
    resets: datetime
    """When its window ends."""


@dataclass(slots=True)
class Meter:
    """What one key has used of its plan, window by window."""

    plan: Plan
    """What the key may do."""
    used: dict[Limit, int] = field(default_factory=dict)
    """Calls (or credits) of the running window, by limit."""
    peak: dict[Limit, int] = field(default_factory=dict)
    """Most calls (or credits) of any window so far, by limit."""
    _windows: dict[Limit, datetime] = field(default_factory=dict)

    def spend(self, now: datetime, credits: int = 1) -> tuple[Limit, timedelta] | None:
        """Count one call, or say which limit forbids it and how long that lasts; then nothing is counted."""
        for limit in self.plan.limits:
            start, end = limit.window(now)
            if self._windows.get(limit) != start:
                self._windows[limit], self.used[limit] = start, 0
            if self.used[limit] + self._weight(limit, credits) > limit.calls:
                return limit, end.astimezone(now.tzinfo) - now
        for limit in self.plan.limits:
            self.used[limit] += self._weight(limit, credits)
            self.peak[limit] = max(self.peak.get(limit, 0), self.used[limit])
        return None

    def left(self, per: Window, now: datetime) -> Left | None:
        """What is left of the plan's limit for each `per`; None when it has none."""
        for limit in self.plan.limits:
            if limit.per == per:
                start, end = limit.window(now)
                used = self.used[limit] if self._windows.get(limit) == start else 0
                return Left(limit, limit.calls - used, end.astimezone(now.tzinfo))
        return None

    @staticmethod
    def _weight(limit: Limit, credits: int) -> int:
        return credits if limit.credits else 1
