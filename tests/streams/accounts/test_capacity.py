"""What keys allow and how long work takes, held against keys that are asked one call after the other."""
# ruff: noqa: RUF001  (formulas are told as a person writes them)

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.accounts import quota
from streams.accounts.capacity import allowed, formula, startable, time_for
from streams.accounts.quota import KeyUsage, Window

NOON = 1_717_416_000_000  # 2024-06-03 12:00 UTC
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
SESSION = 8 * HOUR


def spend(usage, windows, weight, now):
    """A call that starts and ends now."""
    return quota.end(quota.begin(usage, windows, "", weight, now), windows, "", now)


def asked(windows, usages, calls, weight, now):
    """When the last call starts if each goes to the key that is free first."""
    usages, at = list(usages), now
    for _ in range(calls):
        waits = [quota.wait_ms(usage, windows, weight, at) for usage in usages]
        at += min(waits)
        first = waits.index(min(waits))
        usages[first] = spend(usages[first], windows, weight, at)
    return at - now


def spent(windows, moments, weight=1):
    usage = KeyUsage()
    for at in sorted(moments):
        usage = spend(usage, windows, weight, at)
    return usage


@given(st.integers(1, 12), st.integers(1, 40), st.integers(1, 3), st.integers(1, 60))
def test_bursts_last_as_long_as_asking_call_by_call(per_second, per_minute, keys, calls):
    windows = [Window(per_minute, "minute"), Window(min(per_second, per_minute), "second")]
    usages = [KeyUsage()] * keys

    assert time_for(windows, usages, calls, 1, NOON) == asked(windows, usages, calls, 1, NOON)


@given(st.integers(1, 40), st.integers(1, 60), st.lists(st.integers(-2 * MINUTE, -1), max_size=40))
def test_what_a_key_has_used_in_the_running_minute_delays_the_rest(limit, calls, before):
    windows = [Window(limit, "minute")]
    usage = spent(windows, [NOON + at for at in before][:limit])

    assert time_for(windows, [usage], calls, 1, NOON) == asked(windows, [usage], calls, 1, NOON)


@given(st.integers(1, 9), st.integers(0, 9), st.integers(1, 40), st.sampled_from(["UTC", "America/New_York"]))
def test_days_end_in_their_own_zone(limit, before, calls, zone):
    windows = [Window(limit, "day", zone)]
    usage = spent(windows, [NOON - HOUR] * min(before, limit))

    assert time_for(windows, [usage], calls, 1, NOON) == asked(windows, [usage], calls, 1, NOON)


@given(st.integers(1, 20), st.integers(1, 4), st.integers(1, 40))
def test_a_call_weighs_as_much_as_it_costs(limit, weight, calls):
    windows = [Window(limit * weight + 1, "minute"), Window(limit + 2, "minute", weighted=False)]

    assert time_for(windows, [KeyUsage()], calls, weight, NOON) == asked(windows, [KeyUsage()], calls, weight, NOON)


@given(st.integers(1, 500), st.integers(1, 30), st.integers(0, 30 * HOUR))
def test_what_may_start_in_a_time_is_what_that_time_is_needed_for(calls, limit, within):
    windows = [Window(limit, "minute"), Window(limit * 50, "day")]
    count = startable(windows, [KeyUsage()], 1, NOON, within)

    assert time_for(windows, [KeyUsage()], int(count), 1, NOON) <= within
    assert time_for(windows, [KeyUsage()], int(count) + 1, 1, NOON) > within
    assert time_for(windows, [KeyUsage()], calls, 1, NOON) <= time_for(windows, [KeyUsage()], calls + 1, 1, NOON)


def test_sixteen_thousand_calls_at_sixty_a_minute_last_four_hours_and_a_half():
    assert time_for([Window(60, "minute")], [KeyUsage()], 16_000, 1, NOON) == 15_960 * SECOND


def test_after_midnight_a_day_s_calls_still_take_their_minutes():
    windows = [Window(1000, "minute"), Window(100_000, "day")]

    assert time_for(windows, [KeyUsage()], 150_000, 1, NOON) == 12 * HOUR + 49 * MINUTE


def test_the_minute_that_begins_at_midnight_belongs_to_one_day():
    windows = [Window(1000, "minute"), Window(10**6, "day")]

    assert startable(windows, [KeyUsage()], 1, NOON, 12 * HOUR) == 721_000


def test_a_resting_key_joins_later_and_a_rejected_one_never():
    window = [Window(10, "minute")]
    resting = quota.rest(KeyUsage(), NOON + 5 * SECOND)

    assert time_for(window, [resting], 10, 1, NOON) == 5 * SECOND
    assert time_for(window, [resting], 11, 1, NOON) == 65 * SECOND
    assert time_for(window, [resting, KeyUsage()], 15, 1, NOON) == 5 * SECOND
    assert time_for(window, [quota.reject(KeyUsage())], 1, 1, NOON) is None


def test_work_that_no_key_can_do_lasts_for_ever_and_none_at_all_no_time():
    assert time_for([Window(20, "day")], [KeyUsage()], 1, 100, NOON) is None
    assert time_for([Window(20, "day")], [], 1, 1, NOON) is None
    assert time_for([Window(20, "day")], [], 0, 1, NOON) == 0
    assert time_for([], [KeyUsage()], 10**6, 1, NOON) == 0
    assert startable([], [KeyUsage()], 1, NOON, 0) == inf


def test_calls_under_way_count_from_now_on():
    windows = [Window(2, "minute")]
    in_flight = quota.begin(KeyUsage(), windows, "c", 1, NOON - 50 * SECOND)

    assert time_for(windows, [in_flight], 1, 1, NOON) == 0
    assert time_for(windows, [in_flight], 2, 1, NOON) == MINUTE


@pytest.mark.parametrize(
    ("windows", "keys", "span", "expected", "told"),
    [
        ([Window(60, "minute")], 1, MINUTE, 60, "60/minute × 1 key = 60"),
        ([Window(60, "minute")], 3, SESSION, 86_400, "60/minute × 480 × 3 keys = 86,400"),
        ([Window(1, "second"), Window(25, "day")], 1, SESSION, 25, "min(1/second × 28,800, 25/day) × 1 key = 25"),
        ([Window(250, "day")], 2, DAY, 500, "250/day × 2 keys = 500"),
        ([Window(250, "day")], 1, 2 * DAY, 500, "250/day × 2 × 1 key = 500"),
        ([Window(500, "month"), Window(5, "minute")], 1, DAY, 500, "min(500/month, 5/minute × 1,440) × 1 key = 500"),
        ([Window(60, "minute")], 0, DAY, 0, "60/minute × 1,440 × 0 keys = 0"),
        ([], 0, DAY, 0, "0 keys = 0"),
        ([], 2, DAY, None, "no limit"),
    ],
)
def test_the_tightest_window_decides_and_the_formula_says_so(windows, keys, span, expected, told):
    assert allowed(windows, keys, span) == expected
    assert formula(windows, keys, span) == told
