"""Time travel: every wall-clock time fires once, whatever the zone's clocks do, and downtime is caught up once."""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.collecting.schedule import GRACE_MS, Schedule, due, latest_before, next_after

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NEW_YORK, LONDON, LORD_HOWE = "America/New_York", "Europe/London", "Australia/Lord_Howe"
DAYS = {  # hours around a change of the clocks, a year's end and a month's end
    "spring in New York": (NEW_YORK, "2024-03-09T18:00", 30),
    "autumn in New York": (NEW_YORK, "2024-11-02T18:00", 30),
    "spring in London": (LONDON, "2024-03-30T18:00", 30),
    "autumn in London": (LONDON, "2024-10-26T18:00", 30),
    "spring on Lord Howe": (LORD_HOWE, "2024-10-05T06:00", 30),
    "autumn on Lord Howe": (LORD_HOWE, "2024-04-06T06:00", 30),
    "spring at midnight in Beirut": ("Asia/Beirut", "2024-03-30T12:00", 30),
    "autumn at midnight in Beirut": ("Asia/Beirut", "2024-10-26T12:00", 30),
    "the day that Apia left out": ("Pacific/Apia", "2011-12-30T00:00", 30),
    "a year's end": (LONDON, "2023-12-31T12:00", 30),
    "a leap day": (NEW_YORK, "2024-02-29T00:00", 60),
    "no leap day": ("UTC", "2023-02-28T00:00", 40),
}
STEPPED = ("30 2 * * *", "15 1 * * *", "*/20 0-2 * * *", "* 2 * * *", "59 23 31 12 *", "*/15 * * * *", "0 * * * *")
CRONS = (
    *STEPPED,
    "0 0 * * *",
    "0 12 29 2 *",
    "45 1-3 * * *",
    "0 2 1,30 * 0",
    "20 4 1,16,31 * *",
    "40 * 10,26 * *",
)


def at(text, zone="UTC"):
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def told(ms, zone):
    return datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)).isoformat(timespec="minutes")


def fires(cron, zone, start, end):
    schedule, found, now = Schedule("s", cron, zone), [], start
    while (now := next_after(schedule, now)) <= end:
        found.append(told(now, zone))
    return found


@cache
def minutes(days):
    """The minutes of some days: (ms, local time)."""
    zone, first, hours = DAYS[days]
    start = datetime.fromisoformat(first).replace(tzinfo=UTC)
    span = [start + timedelta(minutes=n) for n in range(hours * 60)]
    return [(round(at.timestamp() * 1000), at.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)) for at in span]


def matches(cron, local):
    minute, hour, day, month, weekday = (_values(field) for field in cron.split())
    days = [local.day in day] * (day is not ALL) + [local.isoweekday() % 7 in weekday] * (weekday is not ALL)
    return local.minute in minute and local.hour in hour and local.month in month and (any(days) or not days)


ALL = frozenset(range(60))


@cache
def _values(field):
    if field == "*":
        return ALL
    if field.startswith("*/"):
        return frozenset(range(0, 60, int(field[2:])))
    ends = [part.split("-") for part in field.split(",")]
    return frozenset(value for part in ends for value in range(int(part[0]), int(part[-1]) + 1))


@cache
def expected(cron, days):
    """What fires, told by stepping: a listed time fires when the wall clock reaches or passes it for the first time."""
    runs, found = cron.split()[1] == "*", []
    passed = minutes(days)[0][1] - timedelta(minutes=1)
    for ms, local in minutes(days):
        new = [passed + timedelta(minutes=n + 1) for n in range(max(0, (local - passed) // timedelta(minutes=1)))]
        if any(matches(cron, time) for time in ([local] if runs else new)):
            found.append(ms)
        passed = max(passed, local)
    return found


@pytest.mark.parametrize("cron", STEPPED)
@pytest.mark.parametrize("days", DAYS)
def test_a_clock_that_goes_minute_by_minute_fires_each_wall_clock_time_once(cron, days):
    schedule = Schedule("s", cron, DAYS[days][0])
    found, last = [], minutes(days)[0][0] - 1
    for now, _ in minutes(days):
        if (moment := due(schedule, last, now)) is not None:
            assert moment == now
            found.append(moment)
            last = moment

    assert found == expected(cron, days)


@pytest.mark.parametrize("cron", CRONS)
@pytest.mark.parametrize("days", DAYS)
def test_next_and_latest_agree_with_the_stepped_clock(cron, days):
    schedule, moments = Schedule("s", cron, DAYS[days][0]), expected(cron, days)
    start, end = minutes(days)[0][0], minutes(days)[-1][0]
    walked, now = [], start - 1
    while (now := next_after(schedule, now)) <= end:
        walked.append(now)
    back, now = [], end + 1
    while (now := latest_before(schedule, now)) is not None and now >= start:
        back.append(now)

    assert walked == moments
    assert back == moments[::-1]


@given(
    cron=st.sampled_from(CRONS),
    days=st.sampled_from(sorted(DAYS)),
    jumps=st.lists(st.integers(-3 * HOUR, 8 * HOUR), max_size=30),
)
def test_a_clock_that_jumps_fires_the_latest_missed_time_and_none_twice(cron, days, jumps):
    schedule, moments = Schedule("s", cron, DAYS[days][0]), expected(cron, days)
    now = last = minutes(days)[0][0] - 1
    for jump in jumps:
        now = min(max(now + jump, minutes(days)[0][0]), minutes(days)[-1][0])
        moment = due(schedule, last, now)

        assert moment == max((missed for missed in moments if last < missed <= now), default=None)
        last = last if moment is None else moment
        assert due(schedule, last, now) is None


numbers = st.integers
listed = st.builds(
    "{} {} {} {} {}".format,
    numbers(0, 59),
    st.one_of(numbers(0, 23), st.just("*")),
    st.one_of(numbers(1, 28), st.just("*")),
    st.one_of(numbers(1, 12), st.just("*")),
    st.one_of(numbers(0, 6), st.just("*")),
)


@settings(deadline=None)
@given(
    cron=listed,
    zone=st.sampled_from([NEW_YORK, LONDON, LORD_HOWE, "UTC"]),
    ms=st.integers(at("1990-01-01"), at("2037-01-01")),
)
def test_no_moment_lies_between_a_latest_and_its_next(cron, zone, ms):
    schedule = Schedule("s", cron, zone)
    before, after = latest_before(schedule, ms), next_after(schedule, ms)

    assert before < ms < after
    assert next_after(schedule, ms - 1) == latest_before(schedule, ms + 1) or next_after(schedule, ms - 1) == after
    assert next_after(schedule, before) in {ms, after}
    assert latest_before(schedule, after) in {ms, before}


def test_a_skipped_time_fires_at_the_first_moment_after_the_gap():
    assert fires("30 2 * * *", NEW_YORK, at("2024-03-09T12:00"), at("2024-03-11T12:00")) == [
        "2024-03-10T03:00-04:00",
        "2024-03-11T02:30-04:00",
    ]
    assert fires("15 2 * * *", LORD_HOWE, at("2024-10-05T12:00"), at("2024-10-07T00:00")) == [
        "2024-10-06T02:30+11:00",
        "2024-10-07T02:15+11:00",
    ]


def test_a_repeated_time_fires_at_its_first_occurrence_only():
    assert fires("30 1 * * *", NEW_YORK, at("2024-11-03T00:00"), at("2024-11-04T12:00")) == [
        "2024-11-03T01:30-04:00",
        "2024-11-04T01:30-05:00",
    ]


@pytest.mark.parametrize(
    "days", ["spring in New York", "autumn in New York", "spring on Lord Howe", "autumn on Lord Howe"]
)
def test_a_schedule_of_every_quarter_hour_goes_on_every_15_real_minutes(days):
    start, end = minutes(days)[0][0], minutes(days)[-1][0]
    schedule, now = Schedule("s", "*/15 * * * *", DAYS[days][0]), start
    while now < end:
        after = next_after(schedule, now)
        assert after - now == 15 * MINUTE
        now = after


def test_a_leap_day_is_waited_for_over_a_century_without_one():
    assert fires("0 0 29 2 *", "UTC", at("2095-01-01"), at("2105-01-01")) == [
        "2096-02-29T00:00+00:00",
        "2104-02-29T00:00+00:00",
    ]


def test_the_last_day_of_a_month_is_written_l():
    assert fires("0 9 l * *", LONDON, at("2024-01-15"), at("2024-04-15")) == [
        "2024-01-31T09:00+00:00",
        "2024-02-29T09:00+00:00",
        "2024-03-31T09:00+01:00",
    ]


def test_hours_that_leave_none_out_run_with_real_time():
    start, end = minutes("spring in New York")[0][0], minutes("spring in New York")[-1][0]

    every = fires("0 * * * *", NEW_YORK, start, end)
    assert len(every) == 29
    assert fires("0 0-23 * * *", NEW_YORK, start, end) == fires("0 */1 * * *", NEW_YORK, start, end) == every


def test_of_a_day_and_a_weekday_a_star_restricts_nothing_and_of_two_lists_either_suffices():
    week = (at("2024-01-20"), at("2024-01-27"))  # from Sunday the 21st

    assert fires("0 0 21 * *", "UTC", *week) == fires("0 0 21 * */1", "UTC", *week) == ["2024-01-21T00:00+00:00"]
    assert fires("0 0 * * 1", "UTC", *week) == ["2024-01-22T00:00+00:00"]
    assert len(fires("0 0 21 * 1", "UTC", *week)) == 2
    assert len(fires("0 0 21 * 0-6", "UTC", *week)) == 7
    assert len(fires("0 0 */20 * 1", "UTC", *week)) == 2


def test_next_and_latest_do_not_count_the_moment_itself():
    schedule, noon = Schedule("s", "0 12 * * *", "UTC"), at("2024-06-03T12:00")

    assert (latest_before(schedule, noon), next_after(schedule, noon)) == (noon - DAY, noon + DAY)
    assert (latest_before(schedule, noon + 1), next_after(schedule, noon - 1)) == (noon, noon)


def test_nothing_fired_before_1970():
    schedule = Schedule("s", "0 0 1 1 *", "UTC")

    assert latest_before(schedule, 1) == 0
    assert latest_before(schedule, 0) is None
    assert due(schedule, -DAY, -1) is None


def test_a_schedule_never_seen_before_owes_nothing():
    schedule, noon = Schedule("s", "0 12 * * *", "UTC"), at("2024-06-03T12:00")

    assert due(schedule, None, noon) is None
    assert due(schedule, noon - 1, noon) == noon


def test_after_a_downtime_the_latest_of_the_missed_times_is_owed_once():
    schedule, noon = Schedule("s", "0 12 * * *", "UTC"), at("2024-06-03T12:00")

    assert due(schedule, noon - 5 * DAY, noon + HOUR) == noon
    assert due(schedule, noon, noon + HOUR) is None


def test_a_weekday_close_missed_on_friday_is_caught_up_on_sunday():
    schedule = Schedule("s", "30 16 * * 1-5", NEW_YORK)
    friday = at("2024-05-31T16:30", NEW_YORK)

    assert due(schedule, friday - DAY, friday + 2 * DAY) == friday


def test_a_run_missed_by_more_than_the_grace_waits_for_its_next_time():
    schedule, first = Schedule("s", "0 0 1 * *", "UTC"), at("2024-06-01")

    assert due(schedule, at("2024-05-01"), first + GRACE_MS) == first
    assert due(schedule, at("2024-05-01"), first + GRACE_MS + 1) is None
    assert due(schedule, at("2024-05-01"), at("2024-07-01")) == at("2024-07-01")


def test_a_clock_set_back_fires_nothing_until_it_has_passed_the_last_fire_again():
    schedule, noon = Schedule("s", "*/10 * * * *", "UTC"), at("2024-06-03T12:00")

    assert [due(schedule, noon, noon - HOUR + n * MINUTE) for n in range(70)] == [None] * 70
    assert due(schedule, noon, noon + 10 * MINUTE) == noon + 10 * MINUTE


@pytest.mark.parametrize(
    ("cron", "wrong"),
    [
        ("30 16 * *", "'30 16 * *' has 4 fields, not 5"),
        ("0 30 16 * * 1-5", "has 6 fields, not 5"),
        ("@daily", "has 1 fields, not 5"),
        ("", "has 0 fields, not 5"),
        ("61 * * * *", "there is no minute '61'"),
        ("0 24 * * *", "there is no hour '24'"),
        ("0 0 0 * *", "there is no day '0'"),
        ("0 0 * 13 *", "there is no month '13'"),
        ("0 0 * * mo", "there is no weekday 'mo'"),
        ("r * * * *", "there is no minute 'r'"),
        ("0 R(1-5) * * *", "there is no hour 'R(1-5)'"),
        ("0 0 * * sun#2", "there is no weekday 'sun#2'"),
        ("0 0 * * L5", "there is no weekday 'L5'"),
        ("h * * * *", "there is no minute 'h'"),
        ("0 0 LW * *", "there is no day 'LW'"),
        ("0 0 * * 5l", "there is no weekday '5l'"),
        ("0 22-2 * * *", "there is no hour '22-2'"),
        (f"{'9' * 5000} * * * *", f"there is no minute '{'9' * 5000}'"),
        ("0 0 30 2 *", "never fires: no such date exists"),
    ],
)
def test_a_wrong_cron_is_told_with_what_to_write(cron, wrong):
    with pytest.raises(ValueError, match=r"^cron ") as error:
        Schedule("s", cron, "UTC")

    assert f"{wrong}; write minute hour day month weekday, such as 30 16 * * 1-5" in str(error.value)


@pytest.mark.parametrize("zone", ["", "New York", "America", "America/Gotham", "/etc/localtime", "../UTC", "a\0b"])
def test_an_unknown_zone_is_told_with_what_to_write(zone):
    with pytest.raises(ValueError, match=r"^unknown zone .*; write an IANA name such as America/New_York or UTC$"):
        Schedule("s", "0 0 * * *", zone)
