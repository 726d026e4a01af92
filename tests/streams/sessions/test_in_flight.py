"""Units under way: each attempt ends once, late reports mean nothing, and what is counted adds up."""

from hypothesis import given
from hypothesis import strategies as st

from streams.messaging.messages import PollDone
from streams.messaging.outcomes import PollOutcome
from streams.sessions.in_flight import TRIES, WORTH_ANOTHER_TRY, InFlight, report_of
from streams.sessions.spec import HOUR_MS, SessionAsset, Spec
from streams.sessions.state import Session, Started, UnitsPlanned, advance
from streams.sessions.units import once

NOW = 1_717_419_600_000
SPEC = Spec("s-1", "custom", HOUR_MS, (SessionAsset("AAPL"), SessionAsset("IBM")), ("polygon",), ("bars", "actions"))
UNITS = once("polygon", SPEC.symbols, SPEC.datasets, NOW)


def report(request, outcome="records", *, child="", children=0, records=0):
    return PollDone(
        request_id=request.request_id + child,
        job_id=request.job_id,
        provider=request.provider,
        call=request.call,
        outcome=outcome,
        children=children,
        records=records,
        at=NOW,
    )


def test_an_attempt_ends_with_the_last_report_of_all_that_it_caused():
    work = InFlight("s-1")
    attempt = work.begin(UNITS[0], NOW + HOUR_MS, NOW)

    assert work.note(report(attempt.request, children=1, records=5)) is None
    assert work.busy("polygon")
    assert work.note(report(attempt.request, child="/0", records=2)) is attempt
    assert not work.busy("polygon")
    assert work.note(report(attempt.request, child="/0", records=2)) is None

    (told,) = work.stored([attempt], {attempt.request.request_id: 3})
    assert (told.records, told.calls, told.calls_with_records, told.outcome) == (7, 3, 2, "records")
    assert work.ended == []


def test_a_late_report_of_an_earlier_attempt_is_none_of_this_one():
    work = InFlight("s-1")
    earlier = InFlight("s-1").begin(UNITS[0], None, NOW - 1)
    attempt = work.begin(UNITS[0], None, NOW)

    assert work.note(report(earlier.request, records=5)) is None
    assert list(work.underway.values()) == [attempt]
    assert attempt.request.request_id.startswith(f"s-1-{UNITS[0].id}.")
    assert attempt.request.force_fresh


def test_what_failed_for_a_passing_reason_is_tried_again_but_not_for_ever():
    work = InFlight("s-1")
    for number in range(TRIES):
        attempt = work.begin(UNITS[0], None, NOW + number)
        assert work.note(report(attempt.request, "ProviderUnavailable")) is attempt
        assert work.may_try_again(attempt) is (number + 1 < TRIES)

    attempt = work.begin(UNITS[1], None, NOW)
    work.note(report(attempt.request, "NotEntitled"))
    assert not work.may_try_again(attempt)


def test_what_was_taken_back_is_no_try_and_no_event_unless_it_was_called():
    work = InFlight("s-1")
    for number in range(2 * TRIES):
        attempt = work.begin(UNITS[0], None, NOW + number)
        assert work.note(report(attempt.request, PollOutcome.CANCELLED)) is attempt
        assert work.may_try_again(attempt)
        assert work.stored([attempt], {}) == []

    called = work.begin(UNITS[0], None, NOW)
    work.note(report(called.request, PollOutcome.CANCELLED, records=5))
    (told,) = work.stored([called], {called.request.request_id: 1})
    assert (told.calls, told.records, told.outcome) == (1, 5, PollOutcome.CANCELLED)
    assert work.ended == []


def test_a_renewed_work_asks_in_a_job_of_its_own():
    work = InFlight("s-1")
    before = work.begin(UNITS[0], None, NOW)
    work.renew()
    after = work.begin(UNITS[1], None, NOW)

    assert before.request.job_id != after.request.job_id
    assert work.note(report(before.request, records=1)) is before
    assert work.note(report(after.request, records=1)) is after


def test_a_cycle_leaves_out_what_brought_nothing_for_good():
    work = InFlight("s-1")
    for unit, outcome in zip(UNITS, ("NotEntitled", "RateLimited", "records"), strict=False):
        work.note(report(work.begin(unit, None, NOW).request, outcome))

    assert work.worth_asking(UNITS[:3]) == UNITS[1:3]


def test_a_report_of_the_store_is_as_good_as_one_that_was_heard():
    work = InFlight("s-1")
    attempt = work.begin(UNITS[0], None, NOW)

    found = report_of(attempt, [attempt.request.request_id, "records", "", 9, 1, 0])

    assert work.note(found) is attempt
    assert attempt.ended_with(1).records == 9


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["records", "Expired", *WORTH_ANOTHER_TRY]), st.integers(0, 9))
    )
)
def test_a_session_counts_what_its_attempts_brought(tries):
    work = InFlight("s-1")
    session = advance(advance(Session(SPEC), UnitsPlanned(len(UNITS)), NOW), Started(), NOW)
    calls = records = 0
    for number, (place, outcome, count) in enumerate(tries):
        unit = UNITS[place % len(UNITS)]
        if unit.id in session.done:
            continue
        attempt = work.begin(unit, None, NOW + number)
        brought = count if outcome == "records" else 0
        work.note(report(attempt.request, outcome, records=brought))
        calls, records = calls + 2, records + brought
        for event in work.stored([attempt], {attempt.request.request_id: 2}):
            session = advance(session, event, NOW + number)

    figures = session.tallies.get("polygon")
    assert (figures.calls, figures.records) == (calls, records) if figures else not calls
    assert work.underway == {}
