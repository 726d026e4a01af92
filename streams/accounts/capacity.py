"""The calls that keys allow in a span of time, and the time that a number of calls takes. Knows no clock.

The model: a window of length T with limit L is used up as soon as it opens. So calls start in steps: L at once, L more
after T, and floor(t / T) + 1 times L within t. This holds for each window of a key. The calls of a key within t are the
least of its windows' steps, and those of several keys add up. `allowed` counts whole windows only, since a session that
begins in the middle of a day has that day's quota once. `startable` and `time_for` start from the current use.

The functions of t are steps that never fall. `least` therefore finds the shortest time by bisection, without inverting
a sum of minima of step functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import floor, inf

from streams.accounts import quota
from streams.accounts.quota import ROLLING_MS, KeyUsage, Window

PERIOD_MS = {**ROLLING_MS, "day": 86_400_000, "month": 2_629_746_000}
"""How long windows last. Days and months after the running one are taken for 24 hours and the twelfth of a year."""
TIMES = " \N{MULTIPLICATION SIGN} "
ALMOST = 1e-9  # weights are sums of fractions


def allowed(windows: Sequence[Window], keys: int, span_ms: int) -> float | None:
    """Calls (credits, where calls have weights) that `keys` keys may be asked in a span; None: without limit.

    The tightest window decides. It counts as often as it fits into the span, and once in a shorter one: 25 a day allow
    25 in a session of 8 hours, 500 a month allow 500 on one day.
    """
    if not keys:
        return 0.0
    return keys * min(window.calls * _times(window, span_ms) for window in windows) if windows else None


def formula(windows: Sequence[Window], keys: int, span_ms: int) -> str:
    """How `allowed` comes to its figure, to be checked by hand: `min(60/minute × 480, 25/day) × 3 keys = 75`."""  # noqa: RUF002
    total = allowed(windows, keys, span_ms)
    if total is None:
        return "no limit"
    terms = [_term(window, _times(window, span_ms)) for window in windows]
    tightest = f"min({', '.join(terms)})" if len(terms) > 1 else "".join(terms)
    factors = [*([tightest] if terms else []), f"{keys} key{'' if keys == 1 else 's'}"]
    return f"{TIMES.join(factors)} = {_figure(total)}"


def time_for(windows: Sequence[Window], usages: Sequence[KeyUsage], calls: int, weight: float, now: int) -> int | None:
    """Ms from `now` until the last of `calls` calls of `weight` each may start, shared out among the keys.

    None: never, since no key may be asked or a call weighs more than a window holds.
    """
    if calls <= 0:
        return 0
    if not able(windows, usages, weight, now):
        return None

    def started(within_ms: int) -> bool:
        return startable(windows, usages, weight, now, within_ms) >= calls

    return least(started)


def startable(windows: Sequence[Window], usages: Sequence[KeyUsage], weight: float, now: int, within_ms: int) -> float:
    """Calls of `weight` that may start from `now` to `within_ms` later, all keys together; infinite without a limit.

    What each key has used counts; its calls under way are taken to end now.
    """
    longest_first = sorted(windows, key=lambda window: -PERIOD_MS[window.per])
    total = 0.0
    for usage in able(windows, usages, weight, now):
        rests = max(0, usage.rest_until - now)
        if within_ms >= rests:
            without_in_flight = quota.land(usage, windows, now)
            total += _of_key(longest_first, without_in_flight, weight, now + rests, within_ms - rests)
    return total


def least(enough: Callable[[int], bool]) -> int:
    """The least whole number that is enough, where all greater ones are, too."""
    low, high = 0, 1
    while not enough(high):
        low, high = high + 1, high * 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def able(windows: Sequence[Window], usages: Sequence[KeyUsage], weight: float, now: int) -> list[KeyUsage]:
    """The keys that may ever be asked a call of `weight`."""
    return [usage for usage in usages if quota.wait_ms(usage, windows, weight, now) < quota.NEVER]


def _of_key(windows: Sequence[Window], usage: KeyUsage, weight: float, now: int, within: int) -> float:
    """Calls that may start from `now` to `within` later with one key; the longest window comes first."""
    if not windows:
        return inf
    window, shorter = windows[0], windows[1:]
    period = PERIOD_MS[window.per]
    if window.per in ROLLING_MS:
        full, rest = divmod(within, period)
        room = _fitting(window, window.calls - quota.used(usage, window, now + rest), weight)
        return full * _fresh(windows, weight, period - 1) + min(room, _of_key(shorter, usage, weight, now, rest))
    room = _fitting(window, window.calls - quota.used(usage, window, now), weight)
    running = quota.window_end(window, now) - now
    if within < running:
        return min(room, _of_key(shorter, usage, weight, now, within))
    return min(room, _of_key(shorter, usage, weight, now, running - 1)) + _fresh(windows, weight, within - running)


def _fresh(windows: Sequence[Window], weight: float, within: int) -> float:
    """The same from a moment on at which every window opens anew."""
    if not windows:
        return inf
    window, shorter = windows[0], windows[1:]
    period = PERIOD_MS[window.per]
    full, rest = divmod(within, period)
    room = _fitting(window, window.calls, weight)
    return full * min(room, _fresh(shorter, weight, period - 1)) + min(room, _fresh(shorter, weight, rest))


def _fitting(window: Window, room: float, weight: float) -> float:
    """How many calls of `weight` fit into what a window has left."""
    each = window.amount(1, weight)
    return max(0, floor(room / each + ALMOST)) if each else inf


def _times(window: Window, span_ms: int) -> float:
    return max(1.0, span_ms / PERIOD_MS[window.per])


def _term(window: Window, times: float) -> str:
    limit = f"{_figure(window.calls)}/{window.per}"
    return limit if times == 1 else f"{limit}{TIMES}{_figure(times)}"


def _figure(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".")
