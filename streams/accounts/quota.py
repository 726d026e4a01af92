"""How much of each key's quota is used: a pure fold. Knows no clock and no provider.

Seconds and minutes are rolling windows (no window of that length ever holds more than the limit, wherever the
provider starts its own); days and months are calendar windows in the limit's zone.

The provider receives a call at some moment between its start and its end. So a call under way counts in every window,
and one that ended counts from its end on: by the provider's clock, too, no window ever holds more than the limit.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

ROLLING_MS = {"second": 1_000, "minute": 60_000}
NEVER = 2**62  # beyond any time in ms, and still an Int64 of the store
NEVER_YET = -NEVER
FINE_MS, COARSE_MS = 4, 235
"""Steps of time to which the last second, and the minute before it, are thinned out: 256 entries each."""
ENTRIES = 512  # 256 of each step: bounds the memory of a key, whatever its rate


@dataclass(frozen=True, slots=True)
class Window:
    """One limit of a key."""

    calls: float
    """Calls (or credits) that fit into each window."""
    per: Literal["second", "minute", "day", "month"]
    """The length of a window."""
    zone: str = "UTC"
    """The zone whose midnight ends a day or month."""
    weighted: bool = True
    """Whether a call counts with its weight; otherwise it counts as one."""

    def amount(self, calls: float, weight: float) -> float:
        """What `calls` calls of `weight` in all take of this window."""
        return weight if self.weighted else calls


@dataclass(frozen=True, slots=True)
class ReportedQuota:
    """What a provider's answer says of the key's quota (`X-RateLimit-*`)."""

    left: float
    """Calls (or credits) that are left."""
    limit: float | None = None
    """Calls (or credits) of the whole window; None: not said."""
    resets_at: int | None = None
    """When the window is whole again, ms UTC; None: not said."""


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """One key: calls under way, recent calls for the rolling windows, counts since each calendar window's start."""

    in_flight: tuple[tuple[str, int, float], ...] = ()
    """(call id, started at, weight) of each call under way."""
    recent: tuple[tuple[int, float, float], ...] = ()
    """(ended at, calls, weight), by time."""
    counted: tuple[tuple[str, int, float, float], ...] = ()
    """(per, window start ms, calls, weight) of each calendar window."""
    rest_until: int = 0
    """When the key may be asked again after a refusal, ms UTC; 0: now."""
    refused_in_a_row: int = 0
    """Refusals for the quota since the last answer, a count."""
    rejected: bool = False
    """Whether the provider rejects the key: it is taken out for good."""


def wait_ms(usage: KeyUsage, windows: Iterable[Window], weight: float, now: int) -> int:
    """Ms until a call of `weight` may start; 0 is now, `NEVER` when a window can never hold it."""
    if usage.rejected:
        return NEVER
    waits = [max(0, usage.rest_until - now)]
    for window in windows:
        if window.amount(1, weight) > window.calls:
            return NEVER
        waits.append(
            _rolling_wait(usage, window, weight, now)
            if window.per in ROLLING_MS
            else _calendar_wait(usage, window, weight, now)
        )
    return max(waits)


def begin(usage: KeyUsage, windows: Iterable[Window], call_id: str, weight: float, now: int) -> KeyUsage:
    """Record a call that starts now. It counts whatever becomes of it."""
    usage = advance(usage, windows, now)
    counted = tuple(_count(usage, window, weight, now) for window in windows if window.per not in ROLLING_MS)
    return replace(usage, in_flight=(*usage.in_flight, (call_id, now, weight)), counted=counted)


def end(
    usage: KeyUsage, windows: Sequence[Window], call_id: str, now: int, said: ReportedQuota | None = None
) -> KeyUsage:
    """Record that a call ended. One that crossed a calendar window's start counts in both windows.

    What the provider says of the key's quota wins over our own count. A call that is not known changes nothing.
    """
    call = next((call for call in usage.in_flight if call[0] == call_id), None)
    if call is None:
        return usage
    _, started, weight = call
    usage = replace(usage, in_flight=tuple(other for other in usage.in_flight if other[0] != call_id))
    usage = advance(usage, windows, now)
    crossed = {
        window.per for window in windows if window.per not in ROLLING_MS and window_start(window, now) > started
    }  # also where others have been counted in the new window: this one was not
    counted = tuple(
        _count(usage, window, weight, now) if window.per in crossed else _counted(usage, window)
        for window in windows
        if window.per not in ROLLING_MS
    )
    horizon = max((ROLLING_MS[window.per] for window in windows if window.per in ROLLING_MS), default=0)
    kept = [entry for entry in usage.recent if entry[0] > now - horizon]
    recent = thinned((*kept, (now, 1, weight)), now) if horizon else ()
    usage = replace(usage, recent=recent, counted=counted)
    return _corrected(usage, windows, said, started, now) if said else usage


def land(
    usage: KeyUsage, windows: Sequence[Window], now: int, *, only: Container[str] | None = None, longest_ms: int = 0
) -> KeyUsage:
    """Record that calls under way ended by now at the latest: all, or these. Their outcomes are unknown.

    One that has been under way for less than `longest_ms` may still reach the provider, and goes on counting.
    """
    for call_id, started, _ in usage.in_flight:
        if started + longest_ms <= now and (only is None or call_id in only):
            usage = end(usage, windows, call_id, now)
    return usage


def used(usage: KeyUsage, window: Window, now: int) -> float:
    """What is used of `window` as of `now`."""
    if window.per in ROLLING_MS:
        return _amount(window, _inside(usage, window, now), usage.in_flight)
    start = window_start(window, now)
    counted = sum(
        window.amount(calls, weight)
        for per, since, calls, weight in usage.counted
        if per == window.per and since >= start
    )
    return counted + sum(window.amount(1, weight) for _, at, weight in usage.in_flight if at < start)


def left(usage: KeyUsage, windows: Iterable[Window], now: int) -> float:
    """The share of its tightest window that a key has left, 0 to 1."""
    return min((1 - used(usage, window, now) / window.calls for window in windows), default=1.0)


def advance(usage: KeyUsage, windows: Iterable[Window], now: int) -> KeyUsage:
    """Follow a clock that stepped back: calls of its future count as made now, a window of it as the next one.

    So a step never frees a call twice, and holds nobody up for longer than the windows last.
    """
    latest = [at for _, at, _ in usage.in_flight] + [since for _, since, *_ in usage.counted]
    if max(latest, default=now) <= now and (not usage.recent or usage.recent[-1][0] <= now):
        return usage  # as nearly always: nothing lies in the future
    ends: dict[str, int] = {window.per: window_end(window, now) for window in windows if window.per not in ROLLING_MS}
    return replace(
        usage,
        in_flight=tuple((call_id, min(at, now), weight) for call_id, at, weight in usage.in_flight),
        recent=tuple((min(at, now), calls, weight) for at, calls, weight in usage.recent),
        counted=tuple(
            (per, min(since, ends.get(per, since)), calls, weight) for per, since, calls, weight in usage.counted
        ),
    )


def rest(usage: KeyUsage, until: int) -> KeyUsage:
    """Do not ask this key before `until` (ms UTC)."""
    return replace(usage, rest_until=max(usage.rest_until, until), refused_in_a_row=usage.refused_in_a_row + 1)


def served(usage: KeyUsage) -> KeyUsage:
    """Remember that the key was not refused."""
    return replace(usage, refused_in_a_row=0) if usage.refused_in_a_row else usage


def reject(usage: KeyUsage) -> KeyUsage:
    """Take the key out."""
    return replace(usage, rejected=True)


def window_start(window: Window, now: int) -> int:
    """Ms UTC at which the calendar window that holds `now` began, by its zone's own rules."""
    return _ms(_floor(window, now))


def window_end(window: Window, now: int) -> int:
    """Ms UTC at which the calendar window that holds `now` ends."""
    start = _floor(window, now)
    days = 1 if window.per == "day" else 32
    day = start.date() + timedelta(days=days)
    return _ms(datetime(day.year, day.month, day.day if window.per == "day" else 1, tzinfo=start.tzinfo))


def thinned(recent: tuple[tuple[int, float, float], ...], now: int) -> tuple[tuple[int, float, float], ...]:
    """Sort, and where there are too many entries join neighbours: the later moment counts for both."""
    recent = tuple(sorted(recent))
    if len(recent) <= ENTRIES:
        return recent
    joined: list[tuple[int, float, float]] = []
    for at, calls, weight in recent:
        step = FINE_MS if at > now - ROLLING_MS["second"] else COARSE_MS
        if joined and joined[-1][0] // step == at // step:
            calls, weight = calls + joined[-1][1], weight + joined[-1][2]  # noqa: PLW2901
            joined.pop()
        joined.append((at, calls, weight))
    return tuple(joined)


def _corrected(usage: KeyUsage, windows: Iterable[Window], said: ReportedQuota, started: int, now: int) -> KeyUsage:
    """Take over what the provider counts: strangers' calls are added, what it no longer counts is forgiven.

    It cannot know of calls that ended after this one was sent, and need not know of those under way.
    """
    rolling = [window for window in windows if window.per in ROLLING_MS]
    window = max(rolling, key=lambda one: (one.calls == said.limit, ROLLING_MS[one.per]), default=None)
    if window is None:
        return usage
    length = ROLLING_MS[window.per]
    theirs = max(0.0, window.calls - said.left)
    inside = _inside(usage, window, now)
    ours = _amount(window, inside, ())
    unseen = sum(window.amount(calls, weight) for at, calls, weight in inside if at > started) - window.amount(
        *inside[-1][1:]
    )
    strangers = theirs - used(usage, window, now)
    if strangers > 0:
        at = now if said.resets_at is None else min(now, max(said.resets_at, now + 1) - length)
        return replace(usage, recent=thinned((*usage.recent, (at, strangers, strangers)), now))
    forgiven = ours - theirs - max(0.0, unseen)
    return replace(usage, recent=_forgive(usage.recent, window, forgiven)) if forgiven > 0 else usage


def _forgive(
    recent: tuple[tuple[int, float, float], ...], window: Window, amount: float
) -> tuple[tuple[int, float, float], ...]:
    kept = list(recent)
    while kept and window.amount(*kept[0][1:]) <= amount:
        amount -= window.amount(*kept.pop(0)[1:])
    return tuple(kept)


def _floor(window: Window, now: int) -> datetime:
    local = datetime.fromtimestamp(now / 1000, UTC).astimezone(ZoneInfo(window.zone))
    day = local.day if window.per == "day" else 1
    return datetime(local.year, local.month, day, tzinfo=local.tzinfo)


def _ms(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp() * 1000)


def _inside(usage: KeyUsage, window: Window, now: int) -> tuple[tuple[int, float, float], ...]:
    """The calls that ended within the rolling window before `now`."""
    return usage.recent[bisect_left(usage.recent, (now - ROLLING_MS[window.per] + 1,)) :]


def _amount(
    window: Window, ended: Iterable[tuple[int, float, float]], in_flight: Iterable[tuple[str, int, float]]
) -> float:
    """What these calls take of the window."""
    if window.weighted:
        return sum(weight for *_, weight in ended) + sum(weight for *_, weight in in_flight)
    return sum(calls for _, calls, _ in ended) + sum(1 for _ in in_flight)


def _rolling_wait(usage: KeyUsage, window: Window, weight: float, now: int) -> int:
    inside = _inside(usage, window, now)
    excess = _amount(window, inside, usage.in_flight) + window.amount(1, weight) - window.calls
    if excess <= 0:
        return 0
    length = ROLLING_MS[window.per]
    for at, calls, weights in inside:
        excess -= window.amount(calls, weights)
        if excess <= 0:
            return at + length - now
    return length  # what is under way ends now at the earliest


def _calendar_wait(usage: KeyUsage, window: Window, weight: float, now: int) -> int:
    if used(usage, window, now) + window.amount(1, weight) <= window.calls:
        return 0
    return window_end(window, max(now, _since(usage, window))) - now


def _count(usage: KeyUsage, window: Window, weight: float, now: int) -> tuple[str, int, float, float]:
    """One more call in the calendar window that holds `now`."""
    start = max(window_start(window, now), _since(usage, window))
    per, since, calls, weights = _counted(usage, window)
    return (per, start, calls + 1, weights + weight) if since >= start else (per, start, 1, weight)


def _counted(usage: KeyUsage, window: Window) -> tuple[str, int, float, float]:
    found = [entry for entry in usage.counted if entry[0] == window.per]
    return max(found, key=lambda entry: entry[1], default=(window.per, NEVER_YET, 0.0, 0.0))


def _since(usage: KeyUsage, window: Window) -> int:
    """Start of the window counted last: a later one than now's when the clock stepped back over its start."""
    return _counted(usage, window)[1]
