"""The fold of a key's quota: no window ever holds more than its limit, whatever the clock does."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streams.accounts import quota
from streams.accounts.quota import NEVER, KeyUsage, ReportedQuota, Window

# zones that change their clocks at midnight, by half an hour, across the date line, or never
ZONES = (
    "UTC",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kolkata",
)
MOMENTS = st.datetimes(datetime(2005, 1, 1), datetime(2037, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


def spend(usage, windows, weight, now):
    """A call that starts and ends now."""
    return quota.end(quota.begin(usage, windows, "", weight, now), windows, "", now)


def ms(moment):
    return round(moment.timestamp() * 1000)


def at(text, zone="UTC"):
    return ms(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


NOON = at("2026-03-10T12:00")


def windows():
    return st.lists(
        st.builds(
            Window,
            calls=st.integers(1, 6),
            per=st.sampled_from(["second", "minute", "day", "month"]),
            zone=st.sampled_from(ZONES),
            weighted=st.booleans(),
        ),
        min_size=1,
        max_size=3,
        unique_by=lambda window: window.per,
    )


class SpendsWhatItMay(RuleBasedStateMachine):
    """A caller that asks first, calls when the answer is 0, or sleeps exactly as long as it is told."""

    @initialize(limits=windows(), start=MOMENTS)
    def begin(self, limits, start):
        self.windows, self.now, self.usage = limits, ms(start), KeyUsage()
        self.spent = []

    @rule(weight=st.integers(1, 3))
    def call(self, weight):
        if quota.wait_ms(self.usage, self.windows, weight, self.now) == 0:
            self.usage = spend(self.usage, self.windows, weight, self.now)
            self.spent.append((self.now, weight))

    @rule(weight=st.integers(1, 3))
    def wait_as_told_and_call(self, weight):
        wait = quota.wait_ms(self.usage, self.windows, weight, self.now)
        if wait == NEVER:
            assert any(window.amount(1, weight) > window.calls for window in self.windows)
            return
        self.now += wait
        assert quota.wait_ms(self.usage, self.windows, weight, self.now) == 0
        self.call(weight)

    @rule(passed=st.integers(0, 3_600_000) | st.integers(0, 40 * 86_400_000))
    def let_time_pass(self, passed):
        self.now += passed

    @invariant()
    def no_window_holds_more_than_its_limit(self):
        for window in getattr(self, "windows", ()):
            for end, _ in self.spent:
                first = (
                    end - quota.ROLLING_MS[window.per] + 1
                    if window.per in quota.ROLLING_MS
                    else quota.window_start(window, end)
                )
                inside = [weight for when, weight in self.spent if first <= when <= end]
                assert (sum(inside) if window.weighted else len(inside)) <= window.calls


class SpendsUnderABadClock(SpendsWhatItMay):
    """The wall clock steps back and forth; `true` is the time that really passes."""

    @initialize(limits=windows(), start=MOMENTS)
    def begin(self, limits, start):
        super().begin(limits, start)
        self.skew = 0

    @rule(step=st.integers(1, 120_000) | st.integers(1, 3 * 86_400_000))
    def clock_steps_back(self, step):
        self.now -= step
        self.skew += step

    @rule(weight=st.integers(1, 3))
    def call(self, weight):
        if quota.wait_ms(self.usage, self.windows, weight, self.now) == 0:
            self.usage = spend(self.usage, self.windows, weight, self.now)
            self.spent.append((self.now + self.skew, weight))

    @invariant()
    def no_window_holds_more_than_its_limit(self):
        """Rolling windows by the time that really passed. (Days and months are the wall clock's.)"""
        for window in getattr(self, "windows", ()):
            if length := quota.ROLLING_MS.get(window.per):
                for end, _ in self.spent:
                    inside = [weight for when, weight in self.spent if end - length < when <= end]
                    assert (sum(inside) if window.weighted else len(inside)) <= window.calls


class CallsTakeTheirTime(RuleBasedStateMachine):
    """Calls last; the provider receives each at any moment between its start and its end, and counts by that."""

    @initialize(limits=windows(), start=MOMENTS)
    def begin(self, limits, start):
        self.windows, self.now, self.usage = limits, ms(start), KeyUsage()
        self.in_flight, self.received, self.number = {}, [], 0

    @rule(weight=st.integers(1, 3))
    def call(self, weight):
        if quota.wait_ms(self.usage, self.windows, weight, self.now) == 0:
            self.number += 1
            call_id = str(self.number)
            self.usage = quota.begin(self.usage, self.windows, call_id, weight, self.now)
            self.in_flight[call_id] = (self.now, weight)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def end(self, data):
        call_id = data.draw(st.sampled_from(sorted(self.in_flight)))
        started, weight = self.in_flight.pop(call_id)
        self.usage = quota.end(self.usage, self.windows, call_id, self.now)
        self.received.append((data.draw(st.sampled_from([started, self.now, (started + self.now) // 2])), weight))

    @rule(passed=st.integers(0, 2_000) | st.integers(0, 120_000) | st.integers(0, 40 * 86_400_000))
    def let_time_pass(self, passed):
        self.now += passed

    @rule(weight=st.integers(1, 3))
    def never_starves(self, weight):
        """Once every call has ended, what is waited for comes, no later than the longest window lasts."""
        if self.in_flight or any(window.amount(1, weight) > window.calls for window in self.windows):
            return
        wait = quota.wait_ms(self.usage, self.windows, weight, self.now)
        assert wait <= 31 * 86_400_000 + 3_600_000
        assert quota.wait_ms(self.usage, self.windows, weight, self.now + wait) == 0

    @invariant()
    def the_provider_never_counts_more_than_the_limit(self):
        for window in getattr(self, "windows", ()):
            for end, _ in self.received:
                first = (
                    end - quota.ROLLING_MS[window.per] + 1
                    if window.per in quota.ROLLING_MS
                    else quota.window_start(window, end)
                )
                inside = [weight for when, weight in self.received if first <= when <= end]
                assert (sum(inside) if window.weighted else len(inside)) <= window.calls


TestSpendsWhatItMay = SpendsWhatItMay.TestCase
TestSpendsUnderABadClock = SpendsUnderABadClock.TestCase
TestCallsTakeTheirTime = CallsTakeTheirTime.TestCase
TestSpendsWhatItMay.settings = TestSpendsUnderABadClock.settings = TestCallsTakeTheirTime.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None
)


@given(moment=MOMENTS, zone=st.sampled_from(ZONES), per=st.sampled_from(["day", "month"]))
def test_calendar_windows_tile_time_and_begin_at_the_zones_midnight(moment, zone, per):
    window, now = Window(1, per, zone), ms(moment)
    start, end = quota.window_start(window, now), quota.window_end(window, now)

    assert start <= now < end
    assert quota.window_start(window, end) == end
    assert quota.window_start(window, end - 1) == start
    local = datetime.fromtimestamp(now / 1000, ZoneInfo(zone))
    before = datetime.fromtimestamp((start - 1) / 1000, ZoneInfo(zone))
    assert before.date() < local.date() if per == "day" else before.month != local.month


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-07", 24), ("2026-03-08", 23), ("2026-11-01", 25), ("2026-11-02", 24)],
)
def test_a_day_of_new_york_has_23_hours_in_march_and_25_in_november(day, hours):
    window = Window(1, "day", "America/New_York")
    noon = at(f"{day}T12:00", "America/New_York")

    assert quota.window_end(window, noon) - quota.window_start(window, noon) == hours * 3_600_000
    assert quota.window_start(window, noon) == at(f"{day}T00:00", "America/New_York")


def test_a_call_across_midnight_counts_in_a_day_in_which_others_were_counted_before():
    window, midnight = Window(4, "day"), at("2026-03-08T00:00", "UTC")
    usage = quota.begin(KeyUsage(), [window], "late", 1, midnight - 1_000)
    usage = quota.begin(usage, [window], "early", 3, midnight)
    for call_id in ("late", "early"):
        usage = quota.end(usage, [window], call_id, midnight + 1_000)

    assert quota.used(usage, window, midnight + 1_000) == 4
    assert quota.wait_ms(usage, [window], 1, midnight + 1_000) == 86_399_000


def test_a_spent_day_waits_for_the_zones_midnight_and_is_whole_again():
    window = Window(2, "day", "America/New_York")
    now = at("2026-03-08T22:00", "America/New_York")
    usage = spend(spend(KeyUsage(), [window], 1, now), [window], 1, now)

    assert quota.wait_ms(usage, [window], 1, now) == 2 * 3_600_000
    assert quota.used(usage, window, now + 2 * 3_600_000 - 1) == 2
    assert quota.used(usage, window, now + 2 * 3_600_000) == 0


def test_a_month_ends_with_its_last_day():
    window = Window(1, "month", "Asia/Kolkata")
    usage = spend(KeyUsage(), [window], 1, at("2028-02-03T05:00", "Asia/Kolkata"))

    assert quota.wait_ms(usage, [window], 1, at("2028-02-29T23:00", "Asia/Kolkata")) == 3_600_000
    assert quota.wait_ms(usage, [window], 1, at("2028-03-01T00:00", "Asia/Kolkata")) == 0


def test_rolling_windows_free_calls_one_by_one():
    window = Window(3, "minute")
    usage = KeyUsage()
    for second in (0, 10, 20):
        usage = spend(usage, [window], 1, NOON + second * 1000)

    assert quota.wait_ms(usage, [window], 1, NOON + 30_000) == 30_000
    assert quota.wait_ms(usage, [window], 2, NOON + 30_000) == 40_000
    assert quota.wait_ms(usage, [window], 3, NOON + 30_000) == 50_000
    assert quota.wait_ms(usage, [window], 4, NOON + 30_000) == NEVER


def test_the_strictest_window_decides():
    windows = [Window(5, "second"), Window(2, "minute"), Window(100, "day")]
    usage = spend(KeyUsage(), windows, 2, NOON)

    assert quota.wait_ms(usage, windows, 1, NOON) == 60_000
    assert [quota.used(usage, window, NOON) for window in windows] == [2, 2, 2]


def test_no_window_means_no_limit_and_keeps_nothing():
    usage = spend(KeyUsage(), [], 1, NOON)

    assert usage == KeyUsage()
    assert quota.wait_ms(usage, [], 1000, NOON) == 0


def test_spending_forgets_what_no_window_can_hold_any_more():
    window = Window(1000, "second")
    usage = KeyUsage()
    for step in range(500):
        usage = spend(usage, [window], 1, NOON + step * 100)

    assert len(usage.recent) == 10


def test_a_clock_that_steps_back_costs_at_most_one_window_from_the_next_call_on():
    window = Window(2, "minute")
    usage = spend(KeyUsage(), [window], 1, NOON)
    earlier = NOON - 86_400_000
    usage = spend(usage, [window], 1, earlier)

    assert quota.wait_ms(usage, [window], 1, earlier) == 60_000


def test_a_clock_that_steps_back_over_midnight_gives_no_second_day():
    window = Window(25, "day")
    midnight = at("2026-03-11T00:00")
    usage = KeyUsage()
    for _ in range(20):
        usage = spend(usage, [window], 1, midnight + 1_000)
    usage = spend(usage, [window], 1, midnight - 1_000)

    assert quota.used(usage, window, midnight + 2_000) == 21
    assert quota.wait_ms(usage, [window], 5, midnight - 500) == 86_400_500


def test_a_clock_that_was_a_year_ahead_blocks_no_year():
    window = Window(1, "day")
    usage = spend(KeyUsage(), [window], 1, NOON + 365 * 86_400_000)

    assert quota.wait_ms(quota.advance(usage, [window], NOON), [window], 1, NOON) <= 2 * 86_400_000


def test_settling_counts_calls_from_the_future_as_made_now():
    window = Window(2, "minute")
    usage = KeyUsage()
    for _ in range(2):
        usage = spend(usage, [window], 1, NOON + 3_600_000)

    advanced = quota.advance(usage, [window], NOON)

    assert quota.wait_ms(advanced, [window], 1, NOON) == 60_000
    assert quota.advance(advanced, [window], NOON + 30_000) == advanced


def test_refusals_rest_and_reject_a_key():
    rested = quota.rest(quota.rest(KeyUsage(), NOON + 500), NOON + 100)

    assert quota.wait_ms(rested, [], 1, NOON) == 500
    assert quota.wait_ms(rested, [], 1, NOON + 500) == 0
    assert quota.wait_ms(quota.reject(KeyUsage()), [], 1, NOON) == NEVER


@given(offset=st.timedeltas(timedelta(0), timedelta(days=1)))
def test_wait_is_never_negative(offset):
    windows = [Window(1, "day"), Window(1, "second")]
    usage = spend(quota.rest(KeyUsage(), NOON), windows, 1, NOON)

    assert quota.wait_ms(usage, windows, 1, NOON + offset // timedelta(milliseconds=1)) >= 0


def called(usage, windows, call_id, started, ended, said=None):
    return quota.end(quota.begin(usage, windows, call_id, 1, started), windows, call_id, ended, said)


def test_a_call_under_way_counts_and_frees_its_place_a_window_after_its_end():
    window = Window(1, "minute")
    usage = quota.begin(KeyUsage(), [window], "a", 1, NOON)

    assert quota.wait_ms(usage, [window], 1, NOON + 90_000) == 60_000
    usage = quota.end(usage, [window], "a", NOON + 100_000)
    assert quota.wait_ms(usage, [window], 1, NOON + 100_000) == 60_000


def test_a_call_that_crosses_midnight_counts_in_the_new_day_too():
    window = Window(5, "day")
    midnight = at("2026-03-11T00:00")
    usage = called(KeyUsage(), [window], "a", midnight - 10, midnight + 10)

    assert quota.used(usage, window, midnight + 20) == 1
    in_flight = quota.begin(KeyUsage(), [window], "a", 1, midnight - 10)
    assert quota.used(in_flight, window, midnight + 5) == 1


def test_what_the_provider_counts_wins_over_our_own_count():
    window = Window(10, "minute")
    usage = KeyUsage()
    for i in range(4):
        usage = called(usage, [window], str(i), NOON + i, NOON + i)

    strangers = called(
        usage, [window], "s", NOON + 100, NOON + 200, ReportedQuota(left=2, limit=10, resets_at=NOON + 30_000)
    )
    assert quota.used(strangers, window, NOON + 200) == 8
    assert quota.used(strangers, window, NOON + 30_000) == 5

    reset = called(
        usage, [window], "r", NOON + 100, NOON + 200, ReportedQuota(left=9, limit=10, resets_at=NOON + 60_000)
    )
    assert quota.used(reset, window, NOON + 200) == 1


def test_the_provider_cannot_forgive_what_it_has_not_seen():
    window = Window(10, "minute")
    usage = quota.begin(KeyUsage(), [window], "slow", 1, NOON)
    usage = called(usage, [window], "later", NOON + 5, NOON + 10)
    usage = quota.begin(usage, [window], "flying", 1, NOON + 20)

    usage = quota.end(usage, [window], "slow", NOON + 30, ReportedQuota(left=9, limit=10))

    assert quota.used(usage, window, NOON + 30) == 3


def test_a_limit_of_the_provider_that_is_larger_than_ours_frees_no_more_than_ours():
    window = Window(5, "minute")
    usage = called(KeyUsage(), [window], "a", NOON, NOON, ReportedQuota(left=1199, limit=1200))

    assert quota.wait_ms(usage, [window], 5, NOON) == 0
    assert quota.wait_ms(usage, [window], 6, NOON) == NEVER


def test_thousands_of_calls_a_minute_are_kept_as_a_few_hundred():
    window = Window(100_000, "minute")
    usage = KeyUsage()
    for i in range(6_000):
        usage = spend(usage, [window], 1, NOON + i * 10)

    assert quota.used(usage, window, NOON + 59_990) == 6_000
    assert len(usage.recent) <= 1_000
    assert quota.used(usage, window, NOON + 60_000 + 30_000) <= 3_000 + 40


def test_a_call_counts_as_one_where_a_window_counts_calls():
    windows = [Window(3, "minute", weighted=False), Window(200, "day")]
    usage = spend(KeyUsage(), windows, 100, NOON)

    assert [quota.used(usage, window, NOON) for window in windows] == [1, 100]
    assert quota.wait_ms(usage, windows, 100, NOON) == 0
    assert quota.wait_ms(usage, windows, 101, NOON) > 60_000
