"""What polls have answered, as the store tells it, is not asked again; what they have not, is."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.clickhouse.queries import HAS_POLLS, answered_sql
from streams.planning.coverage import common, covered_by, joined, kinds_of, poll_shape
from streams.planning.plan import Requirement

HOUR, DAY = 3_600_000, 86_400_000
MONDAY = 1_717_372_800_000  # 2024-06-03
RANGES = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5)), max_size=6).map(
    lambda found: [(start, start + length) for start, length in found]
)
BARS = Requirement("bars", interval="1d", start=MONDAY, end=MONDAY + 9 * DAY)


def within(ranges):
    return {at for start, end in ranges for at in range(start, end)}


@given(RANGES)
def test_ranges_that_touch_are_joined(ranges):
    found = joined(ranges)

    assert within(found) == within(ranges)
    assert all(end < start for (_, end), (start, _) in pairwise(found))


@given(RANGES, RANGES)
def test_what_both_cover_is_common(some, others):
    assert within(common(joined(some), joined(others))) == within(some) & within(others)


def poll(request_id, *symbols, start=MONDAY, end=MONDAY + 3 * DAY, **differing):
    return {
        **{"request_id": request_id, "job_id": "j", "provider": "polygon", "dataset": "bars", "asset_class": "equity"},
        **{"symbols": list(symbols), "interval": "1d", "adjustment": None, "kind": None, "period": None},
        **{"exchange": None, "start_at": start, "end_at": end, "outcome": "records", "reason": "", "records": 1},
        **{"rejects": 0, "children": 0, "tried": "[]", "at": MONDAY + 30 * DAY},
        **differing,
    }


async def covered(store, requirement, symbol, *polls):
    if polls:
        await store.insert("polls_log", {name: [poll[name] for poll in polls] for name in polls[0]})
    answered = [
        (
            await store.query(
                answered_sql(
                    requirement.dataset, requirement.asset_class, requirement.interval, requirement.adjustment, kinds
                )
            )
        ).rows
        for kinds in kinds_of(requirement)
    ]
    return list(covered_by({poll_shape(requirement): answered})(requirement, symbol))


async def test_a_migrated_store_knows_of_polls(store):
    assert (await store.query(HAS_POLLS)).rows == [("polls",)]


async def test_answered_polls_cover_their_symbols_and_ranges(store):
    polls = [
        poll("a", "AAPL", "MSFT"),
        poll("b", "AAPL", start=MONDAY + 3 * DAY, end=MONDAY + 5 * DAY, records=0),
        poll("c", "AAPL", start=MONDAY + 7 * DAY, end=MONDAY + 8 * DAY),
        poll("d", "AAPL", start=MONDAY + 5 * DAY, end=MONDAY + 6 * DAY, outcome="UnknownSymbol"),
        poll("e", "AAPL", start=MONDAY + 5 * DAY, end=MONDAY + 6 * DAY, outcome="Cut", children=2),
        poll("f", "AAPL", start=MONDAY + 5 * DAY, end=MONDAY + 6 * DAY, interval="1h"),
        poll("g", "AAPL", start=MONDAY + 5 * DAY, end=MONDAY + 6 * DAY, asset_class="etf"),
    ]

    assert await covered(store, BARS, "AAPL", *polls) == [
        (MONDAY, MONDAY + 5 * DAY),
        (MONDAY + 7 * DAY, MONDAY + 8 * DAY),
    ]
    assert await covered(store, BARS, "MSFT") == [(MONDAY, MONDAY + 3 * DAY)]
    assert await covered(store, BARS, "IBM") == []


async def test_an_interval_that_still_ran_when_it_was_asked_is_not_covered(store):
    early = poll("a", "AAPL", end=MONDAY + 9 * DAY, at=MONDAY + 2 * DAY + 15 * HOUR)

    assert await covered(store, BARS, "AAPL", early) == [(MONDAY, MONDAY + 2 * DAY)]


@pytest.mark.parametrize(
    ("interval", "until"), [("1w", MONDAY), ("1mo", MONDAY - 2 * DAY), ("4h", MONDAY + 2 * DAY + 12 * HOUR)]
)
async def test_weeks_months_and_hours_end_where_they_end(store, interval, until):
    start = MONDAY - 30 * DAY
    early = poll("a", "AAPL", start=start, end=None, interval=interval, at=MONDAY + 2 * DAY + 15 * HOUR)
    requirement = Requirement("bars", interval=interval, start=start)

    assert await covered(store, requirement, "AAPL", early) == [(start, until)]


async def test_a_whole_market_covers_the_symbols_of_its_exchange(store):
    polls = [poll("a", end=MONDAY + DAY), poll("b", end=MONDAY + 2 * DAY, exchange="XLON")]

    assert await covered(store, BARS, "AAPL", *polls) == [(MONDAY, MONDAY + DAY)]
    assert await covered(store, BARS, "VOD.XLON") == [(MONDAY, MONDAY + 2 * DAY)]
    assert await covered(store, BARS, "BMW.XETR") == []


async def test_an_adjustment_that_is_wished_must_have_been_asked_for(store):
    polls = [poll("a", "AAPL"), poll("b", "AAPL", adjustment="raw", end=MONDAY + DAY)]
    raw = Requirement("bars", interval="1d", adjustment="raw", start=MONDAY, end=MONDAY + 9 * DAY)

    assert await covered(store, raw, "AAPL", *polls) == [(MONDAY, MONDAY + DAY)]
    assert await covered(store, BARS, "AAPL") == [(MONDAY, MONDAY + 3 * DAY)]


async def test_actions_are_covered_where_splits_and_dividends_are(store):
    polls = [
        poll("a", "AAPL", dataset="actions", interval=None, kind="split"),
        poll("b", "AAPL", dataset="actions", interval=None, kind="dividend", start=MONDAY + DAY),
        poll("c", "MSFT", dataset="actions", interval=None),
    ]
    both = Requirement("actions", start=MONDAY, end=MONDAY + 9 * DAY)
    splits = Requirement("actions", kind="split", start=MONDAY, end=MONDAY + 9 * DAY)

    assert await covered(store, both, "AAPL", *polls) == [(MONDAY + DAY, MONDAY + 3 * DAY)]
    assert await covered(store, splits, "AAPL") == [(MONDAY, MONDAY + 3 * DAY)]
    assert await covered(store, splits, "MSFT") == [(MONDAY, MONDAY + 3 * DAY)]


async def test_a_kind_of_other_datasets_is_covered_by_that_kind_alone(store):
    rest = {"dataset": "recommendations", "interval": None}
    polls = [poll("a", "AAPL", kind="consensus", **rest), poll("b", "MSFT", **rest)]
    consensus = Requirement("recommendations", kind="consensus", start=MONDAY, end=MONDAY + DAY)
    every = Requirement("recommendations", start=MONDAY, end=MONDAY + DAY)

    assert await covered(store, consensus, "AAPL", *polls)
    assert not await covered(store, consensus, "MSFT")
    assert await covered(store, every, "MSFT")
    assert not await covered(store, every, "AAPL")


async def test_an_answer_whose_later_page_failed_covers_nothing(store):
    polls = [
        poll("j-1", "AAPL", children=1),
        poll("j-1/0", "AAPL", children=1),
        poll("j-1/0/0", "AAPL", outcome="ProviderUnavailable"),
        poll("j-2", "MSFT", "NOPE", children=1),
        poll("j-2/1", "NOPE", outcome="UnknownSymbol"),
        poll("j-3", "IBM", children=1),
        poll("j-3/0", "IBM"),
        poll("j-4", "KO", "NOPE", children=1),
        poll("j-4/0", "KO", "NOPE", outcome="Truncated", children=1),
        poll("j-4/0/1", "NOPE"),
    ]

    assert await covered(store, BARS, "AAPL", *polls) == []
    assert await covered(store, BARS, "KO") == []
    assert await covered(store, BARS, "MSFT")
    assert await covered(store, BARS, "IBM")


async def test_what_a_user_writes_stays_a_text_in_sql(store):
    odd = "it's \\' OR 1 --"
    requirement = Requirement("recommendations", kind=odd, start=MONDAY, end=MONDAY + DAY)

    assert await covered(store, requirement, "AAPL", poll("a", "AAPL", dataset="recommendations", interval=None)) == []
    named = poll("b", "AAPL", dataset="recommendations", interval=None, kind=odd)
    assert await covered(store, requirement, "AAPL", named)


async def test_only_polls_since_a_moment_count_and_final_ones_up_to_their_own_end(store):
    polls = [
        poll("a", "AAPL", end=MONDAY + DAY, at=MONDAY + DAY // 2),
        poll("b", "MSFT", end=MONDAY + DAY, at=MONDAY + DAY - 1),
    ]
    await store.insert("polls_log", {name: [row[name] for row in polls] for name in polls[0]})

    async def ranges(**terms):
        return (await store.query(answered_sql("bars", "equity", "1d", None, (None,), **terms))).rows

    assert await ranges() == []
    assert await ranges(final=MONDAY + DAY - 1) == [("MSFT", "", MONDAY, MONDAY + DAY)]
    both = await ranges(final=MONDAY)
    assert sorted(symbol for symbol, *_ in both) == ["AAPL", "MSFT"]
    assert [symbol for symbol, *_ in await ranges(final=MONDAY, since=MONDAY + DAY - 1)] == ["MSFT"]


async def test_a_period_counts_for_itself_only(store):
    quarterly = poll("a", "AAPL", dataset="statements", interval=None, period="quarterly")
    await store.insert("polls_log", {name: [value] for name, value in quarterly.items()})

    async def ranges(period):
        return (await store.query(answered_sql("statements", "equity", None, None, (None,), period=period))).rows

    assert len(await ranges("quarterly")) == 1
    assert await ranges("annual") == await ranges(None) == []
