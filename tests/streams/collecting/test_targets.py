"""What a run wants as of a moment, up to where, and which answers count."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from connectors import INTERVAL_MS
from streams.collecting.model import Collector, Universe, Wanted
from streams.collecting.targets import interval_start, last_close, targets
from streams.planning.plan import EVER

DAY = 86_400_000
MOMENTS = st.integers(1_000_000_000_000, 2_000_000_000_000)


def ms(text):
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def wanted(*datasets, at="2024-06-06T12:00", refresh="incremental", members=None):
    collector = Collector(name="c", datasets=datasets, universe=Universe(symbols=("AAPL",)), priority=1)
    return list(targets(collector, members or {"equity": ["AAPL"]}, refresh, ms(at)))


def test_daily_bars_are_wanted_up_to_the_last_session_that_is_over():
    daily = Wanted(dataset="bars", interval="1d", history=timedelta(days=10))

    for at, end, final in (
        ("2024-06-06T12:00", "2024-06-06", "2024-06-05T20:15"),  # Thursday, before the opening
        ("2024-06-06T20:14", "2024-06-06", "2024-06-05T20:15"),
        ("2024-06-06T20:15", "2024-06-07", "2024-06-06T20:15"),
        ("2024-06-09T12:00", "2024-06-08", "2024-06-07T20:15"),  # Sunday
        ("2024-12-02T12:00", "2024-11-30", "2024-11-29T21:15"),  # winter time
    ):
        (target,) = wanted(daily, at=at)
        assert (target.requirement.end, target.final, target.since) == (ms(end), ms(final), 0)
        assert target.requirement.start == target.requirement.end - 10 * DAY


def test_other_bars_are_wanted_up_to_the_interval_that_runs():
    for interval, asset_class, end in (
        ("1d", "crypto", "2024-06-06"),
        ("1h", "equity", "2024-06-06T12:00"),
        ("1w", "equity", "2024-06-03"),
        ("1mo", "equity", "2024-06-01"),
    ):
        (target,) = wanted(
            Wanted(dataset="bars", interval=interval), at="2024-06-06T12:34", members={asset_class: ["X"]}
        )
        assert (target.requirement.start, target.requirement.end, target.final) == (None, ms(end), EVER)


def test_what_has_no_range_is_wanted_of_whoever_has_not_answered_since():
    (target,) = wanted(Wanted(dataset="profile"))

    assert (target.requirement.start, target.requirement.end) == (None, None)
    assert target.since == ms("2024-06-06T12:00")


def test_a_full_refresh_counts_nothing_that_was_answered_before():
    news = Wanted(dataset="news", history=timedelta(days=3))

    assert [target.since for refresh in ("incremental", "full") for target in wanted(news, refresh=refresh)] == [
        0,
        ms("2024-06-06T12:00"),
    ]


def test_assets_are_wanted_of_whole_markets_and_nothing_else_is():
    members = {"equity": [], "etf": ["SPY"]}

    found = wanted(Wanted(dataset="assets"), Wanted(dataset="profile"), members=members)

    assert [
        (
            target.requirement.dataset,
            target.requirement.asset_class,
            target.requirement.symbols,
            target.requirement.of_each,
        )
        for target in found
    ] == [
        ("assets", "equity", (), True),
        ("assets", "etf", (), True),
        ("profile", "etf", ("SPY",), False),
    ]


def test_all_terms_of_a_dataset_are_wanted():
    (target,) = wanted(Wanted(dataset="statements", kind="income", period="quarterly"))

    assert (target.requirement.kind, target.requirement.period) == ("income", "quarterly")
    assert target.requirement.call(("AAPL",)).period == "quarterly"


@given(MOMENTS)
def test_a_close_is_past_on_a_weekday_and_comes_at_least_every_four_days(at):
    closed, midnight = last_close(at)

    assert closed <= at < closed + 4 * DAY
    assert midnight % DAY == 0
    assert 0 < midnight - closed < DAY
    assert datetime.fromtimestamp(midnight / 1000 - 1, UTC).isoweekday() <= 5


@given(MOMENTS, st.sampled_from(sorted(INTERVAL_MS)))
def test_an_interval_begins_before_the_moment_and_its_start_is_its_own(at, interval):
    start = interval_start(interval, at)

    assert start <= at < start + (31 * DAY if interval == "1mo" else INTERVAL_MS[interval])
    assert interval_start(interval, start) == start
    assert interval_start(interval, start - 1) < start
