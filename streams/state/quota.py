"""How much of each key's quota is used: a pure fold. Knows no clock and no provider.

Seconds and minutes are rolling windows (no window of that length ever holds more than the limit, wherever the
provider starts its own); days and months are calendar windows in the limit's zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

ROLLING_MS = {"second": 1_000, "minute": 60_000}
NEVER = 2**62
NEVER_YET = -NEVER


@dataclass(frozen=True, slots=True)
class Window:
    """At most `calls` weighted calls in each `per`; `zone` names whose midnight ends a day or month."""

    calls: float
    per: Literal["second", "minute", "day", "month"]
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """One key: recent calls (ms UTC, weight) for the rolling windows, counts since each calendar window's start.

    `rest_until` (ms UTC) is set by a refusal: the key is not asked before; `rejected` takes it out for good.
    `unsold` are the endpoints that its plan does not sell.
    """

    recent: tuple[tuple[int, float], ...] = ()
    counted: tuple[tuple[str, int, float], ...] = ()
    """(per, window start ms, weight used) of each calendar window."""
    rest_until: int = 0
    rejected: bool = False
    unsold: frozenset[str] = frozenset()


def wait_ms(usage: KeyUsage, windows: Sequence[Window], weight: float, now: int) -> int:
    """Ms until a call of `weight` may start; 0 is now, `NEVER` when a window can never hold it."""
    if usage.rejected:
        return NEVER
    waits = [max(0, usage.rest_until - now)]
    for window in windows:
        if weight > window.calls:
            return NEVER
        waits.append(
            _rolling_wait(usage, window, weight, now)
            if window.per in ROLLING_MS
            else _calendar_wait(usage, window, weight, now)
        )
    return max(waits)


def spend(usage: KeyUsage, windows: Sequence[Window], weight: float, now: int) -> KeyUsage:
    """Record a call that starts now. It counts whatever becomes of it."""
    usage = settle(usage, windows, now)
    horizon = max((ROLLING_MS[w.per] for w in windows if w.per in ROLLING_MS), default=0)
    kept = tuple((at, w) for at, w in usage.recent if at > now - horizon)
    counted = []
    for window in windows:
        if window.per not in ROLLING_MS:
            start = max(window_start(window, now), _since(usage, window))
            counted.append((window.per, start, used(usage, window, now) + weight))
    return replace(usage, recent=(*kept, (now, weight)) if horizon else (), counted=tuple(counted))


def used(usage: KeyUsage, window: Window, now: int) -> float:
    """Weight used in `window` as of `now`."""
    if window.per in ROLLING_MS:
        return sum(weight for at, weight in usage.recent if at > now - ROLLING_MS[window.per])
    start = window_start(window, now)
    return sum(weight for per, since, weight in usage.counted if per == window.per and since >= start)


def settle(usage: KeyUsage, windows: Sequence[Window], now: int) -> KeyUsage:
    """Follow a clock that stepped back: calls of its future count as made now, a window of it as the next one.

    So a step never frees a call twice, and holds nobody up for longer than the windows last.
    """
    ends: dict[str, int] = {window.per: window_end(window, now) for window in windows if window.per not in ROLLING_MS}
    recent = tuple((min(at, now), weight) for at, weight in usage.recent)
    counted = tuple((per, min(since, ends.get(per, since)), weight) for per, since, weight in usage.counted)
    return replace(usage, recent=recent, counted=counted)


def rest(usage: KeyUsage, until: int) -> KeyUsage:
    """Do not ask this key before `until` (ms UTC)."""
    return replace(usage, rest_until=max(usage.rest_until, until))


def reject(usage: KeyUsage) -> KeyUsage:
    """Take the key out."""
    return replace(usage, rejected=True)


def unsell(usage: KeyUsage, endpoint: str) -> KeyUsage:
    """Remember that the key's plan does not sell `endpoint`."""
    return replace(usage, unsold=usage.unsold | {endpoint})


def window_start(window: Window, now: int) -> int:
    """Ms UTC at which the calendar window that holds `now` began, by its zone's own rules."""
    return _ms(_floor(window, now))


def window_end(window: Window, now: int) -> int:
    """Ms UTC at which the calendar window that holds `now` ends."""
    start = _floor(window, now)
    days = 1 if window.per == "day" else 32
    day = start.date() + timedelta(days=days)
    return _ms(datetime(day.year, day.month, day.day if window.per == "day" else 1, tzinfo=start.tzinfo))


def _floor(window: Window, now: int) -> datetime:
    local = datetime.fromtimestamp(now / 1000, UTC).astimezone(ZoneInfo(window.zone))
    day = local.day if window.per == "day" else 1
    return datetime(local.year, local.month, day, tzinfo=local.tzinfo)


def _ms(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp() * 1000)


def _rolling_wait(usage: KeyUsage, window: Window, weight: float, now: int) -> int:
    length = ROLLING_MS[window.per]
    inside = [(at, w) for at, w in usage.recent if at > now - length]
    excess = sum(w for _, w in inside) + weight - window.calls
    for at, freed in inside:
        if excess <= 0:
            return 0
        excess -= freed
        if excess <= 0:
            return at + length - now
    return 0


def _calendar_wait(usage: KeyUsage, window: Window, weight: float, now: int) -> int:
    if used(usage, window, now) + weight <= window.calls:
        return 0
    return window_end(window, max(now, _since(usage, window))) - now


def _since(usage: KeyUsage, window: Window) -> int:
    """Start of the window counted last: a later one than now's when the clock stepped back over its start."""
    return max((since for per, since, _ in usage.counted if per == window.per), default=NEVER_YET)
