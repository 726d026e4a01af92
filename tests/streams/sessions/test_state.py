"""A session's states, times and counts, whatever happens to it in whatever order."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from connectors import REFUSALS, Call
from streams.errors import ForbiddenEvent
from streams.messaging.outcomes import CONCLUSIVE
from streams.sessions.spec import HOUR_MS, SessionAsset, Spec
from streams.sessions.state import (
    FINAL,
    RUNNING,
    TRANSITIONS,
    Checkpointed,
    Failed,
    Hour,
    Interrupted,
    Paused,
    Resumed,
    Session,
    SessionEnded,
    Started,
    StopAsked,
    UnitDone,
    UnitsPlanned,
    active_ms,
    advance,
    ends_at,
    remaining_ms,
    unit_id,
)

SPEC = Spec("s-1", "custom", 1_000, (SessionAsset("AAPL"),), ("polygon", "yahoo"), ("bars",))
UNITS = [unit_id("polygon", {"dataset": "bars", "start": year}) for year in range(6)]


def told(*events, spec=SPEC):
    """A session after (event, now) pairs."""
    session = Session(spec)
    for event, now in events:
        session = advance(session, event, now)
    return session


def running(*events, spec=SPEC):
    return told((UnitsPlanned(4), 0), (Started(), 100), *events, spec=spec)


def done(unit=UNITS[0], source="polygon", records=5, calls=2, worth_asking=1, outcome="records"):
    return UnitDone(unit, source, records, calls, worth_asking, outcome)


def test_a_usual_session_runs_to_its_end():
    session = running((done(), 200), (SessionEnded(), 700), (Checkpointed(), 800))

    assert (session.state, session.started, session.ended) == ("completed", 100, 700)
    assert active_ms(session, 9_999) == 600
    assert remaining_ms(session, 9_999) == 0


@pytest.mark.parametrize("state", TRANSITIONS)
def test_a_forbidden_event_is_refused_in_one_line_that_says_what_is_possible(state):
    session = replace(running(), state=state)
    events = (
        Started(),
        Paused(),
        Resumed(),
        StopAsked(),
        SessionEnded(),
        Interrupted(),
        Checkpointed(),
        Failed("OSError"),
    )
    for event in events:
        if type(event) in TRANSITIONS[state]:
            assert advance(session, event, 200).state == TRANSITIONS[state][type(event)]
            continue
        with pytest.raises(ForbiddenEvent) as caught:
            advance(session, event, 200)
        assert f"session s-1 is {state} and cannot take {type(event).__name__}; it can take" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_every_state_but_the_final_ones_leads_to_an_end():
    for state, allowed in TRANSITIONS.items():
        ends = {target for target in allowed.values() if target in FINAL}
        assert bool(ends) is True
        assert state not in FINAL or set(allowed) == {Checkpointed}


def test_a_pause_does_not_use_up_time_and_the_end_moves_only_when_resumed():
    session = running()
    assert ends_at(session) == 1_100

    session = advance(session, Paused(), 400)
    assert ends_at(session) is None
    assert remaining_ms(session, 50_000) == 700

    session = advance(session, Resumed(), 5_000)
    assert ends_at(session) == 5_700
    assert remaining_ms(session, 5_100) == 600


def test_a_killed_run_counts_up_to_its_last_sign_of_life():
    session = running((Checkpointed(), 300), (Interrupted(), 90_000))

    assert (session.state, active_ms(session, 95_000)) == ("interrupted", 200)
    assert ends_at(advance(session, Resumed(), 100_000)) == 100_800


def test_a_stop_lets_work_under_way_count_and_its_time_too():
    session = running((StopAsked(), 300), (StopAsked(), 310), (done(), 350), (SessionEnded(), 400))

    assert (session.state, active_ms(session, 400), session.done) == ("completed", 300, {UNITS[0]})


def test_a_session_that_was_never_started_can_be_called_off():
    session = told((StopAsked(), 5), (SessionEnded(), 6))

    assert (session.state, session.started, session.ended, active_ms(session, 99)) == ("completed", None, 6, 0)


def test_work_that_ends_during_a_pause_counts():
    assert running((Paused(), 200), (done(), 250)).done == {UNITS[0]}


def test_a_clock_that_stepped_back_stands_still():
    session = running((Checkpointed(), 500), (Checkpointed(), 50))

    assert session.at == 500
    assert remaining_ms(session, 0) == remaining_ms(session, 500) == 600


def test_counts_are_kept_by_source_outcome_and_hour():
    spec = replace(SPEC, duration_ms=3 * HOUR_MS)
    session = running(
        (done(UNITS[0]), 200),
        (done(UNITS[1], records=0, calls=3, worth_asking=0, outcome="ProviderUnavailable"), 300),
        (done(UNITS[1], records=7, calls=1), 100 + 2 * HOUR_MS),
        (
            done(UNITS[2], source="yahoo", records=0, calls=1, worth_asking=0, outcome="UnknownSymbol"),
            100 + 2 * HOUR_MS,
        ),
        spec=spec,
    )

    polygon = session.tallies["polygon"]
    assert (polygon.records, polygon.calls, polygon.calls_with_records) == (12, 6, 2)
    assert polygon.outcomes == {"records": 2, "ProviderUnavailable": 1}
    assert polygon.hours == {0: Hour(5, 5), 2: Hour(7, 1)}
    assert session.tallies["yahoo"].outcomes == {"UnknownSymbol": 1}
    assert session.done == set(UNITS[:3])


@pytest.mark.parametrize("outcome", sorted({"records", *REFUSALS}))
def test_a_unit_is_done_when_asking_again_would_bring_nothing(outcome):
    session = running((done(records=0, worth_asking=0, outcome=outcome), 200))

    assert (UNITS[0] in session.done) is (outcome in CONCLUSIVE)
    assert session.tallies["polygon"].calls == 2


def test_conclusive_outcomes_are_outcomes_of_connectors():
    assert {"records", *REFUSALS} > CONCLUSIVE


def test_a_report_that_comes_twice_counts_once():
    once = running((done(), 200))

    assert advance(once, done(), 200) == once


def test_a_unit_that_nobody_planned_is_refused():
    session = told((Started(), 0))
    with pytest.raises(ForbiddenEvent, match="one more than the 0 planned"):
        advance(session, done(), 1)
    with pytest.raises(ForbiddenEvent, match="0 units planned, but 1 are done"):
        advance(advance(advance(session, UnitsPlanned(1), 1), done(), 1), UnitsPlanned(0), 1)


def test_a_source_outside_the_task_is_refused():
    with pytest.raises(ForbiddenEvent, match="does not collect from 'alpaca'"):
        advance(running(), done(source="alpaca"), 200)


def test_what_cannot_be_a_report_is_refused():
    with pytest.raises(ValueError, match="no unit id"):
        done(unit="AAPL 2012")
    with pytest.raises(ValueError, match="by 3 of 2 calls"):
        done(worth_asking=3)
    with pytest.raises(ValueError, match="-1 records"):
        done(records=-1)


@pytest.mark.parametrize("text", ["", "https://x/?apikey=abc", "token=abc", "two words", "k3y", "x" * 41])
def test_only_a_kind_can_say_how_something_ended(text):
    with pytest.raises(ValueError, match="is no kind"):
        Failed(text)
    with pytest.raises(ValueError, match="is not a valid PollOutcome"):
        done(outcome=text)


def test_a_failure_is_remembered_by_its_kind():
    session = running((Failed("StoreAway"), 300))

    assert (session.state, session.failure, session.ended) == ("failed", "StoreAway", 300)


def test_a_unit_id_is_the_same_for_the_same_work_only():
    call = Call(dataset="bars", symbols=("AAPL", "MSFT"), interval="1d", start=0, end=10)
    same = call.model_copy(update={"symbols": ("MSFT", "AAPL")})
    others = [
        unit_id("yahoo", call.model_dump()),
        unit_id("polygon", call.model_copy(update={"end": 11}).model_dump()),
        unit_id("polygon", call.model_copy(update={"symbols": ("AAPL",)}).model_dump()),
        unit_id("polygon", call.model_copy(update={"interval": "1h"}).model_dump()),
    ]

    mine = unit_id("polygon", call.model_dump())

    assert mine == unit_id("polygon", same.model_dump()) == unit_id("polygon", call.model_dump(exclude_none=True))
    assert len({mine, *others}) == 5
    assert mine == "f8b1bb44174ffcc063ae", "resuming an older checkpoint relies on it"


@given(st.lists(st.tuples(st.sampled_from(["polygon", "yahoo"]), st.integers(0, 10**13)), unique=True, max_size=200))
def test_unit_ids_of_different_work_differ(works):
    assert len({unit_id(source, {"dataset": "bars", "start": start}) for source, start in works}) == len(works)


class AnySession(RuleBasedStateMachine):
    """Events of all kinds in any order; those that the table forbids must change nothing."""

    @initialize(duration=st.integers(1, 3 * HOUR_MS), planned=st.integers(0, len(UNITS)))
    def plan(self, duration, planned):
        self.now, self.reported = 0, []
        self.session = advance(Session(replace(SPEC, duration_ms=duration)), UnitsPlanned(planned), 0)
        self.ran = self.checkpoints = 0

    def take(self, event):
        before = self.session
        if type(event) not in TRANSITIONS[before.state]:
            with pytest.raises(ForbiddenEvent):
                advance(before, event, self.now)
            return False
        self.session = advance(before, event, self.now)
        assert self.session.state == TRANSITIONS[before.state][type(event)]
        if isinstance(event, Interrupted) and before.run_since is not None:
            self.ran -= max(0, self.now - before.at)
        return True

    @rule(
        event=st.sampled_from(
            [Started(), Paused(), Resumed(), StopAsked(), SessionEnded(), Interrupted(), Failed("Gone")]
        )
    )
    def happen(self, event):
        self.take(event)

    @rule(resumed=st.sampled_from([Started(), Resumed()]))
    def go_on(self, resumed):
        self.take(resumed)

    @rule()
    def checkpoint(self):
        self.checkpoints += self.take(Checkpointed())

    @rule(
        unit=st.sampled_from(UNITS),
        source=st.sampled_from(SPEC.sources),
        records=st.integers(0, 50),
        calls=st.integers(1, 4),
        outcome=st.sampled_from(["records", "ProviderUnavailable", "RateLimited", "NotEntitled"]),
    )
    def end_a_unit(self, unit, source, records, calls, outcome):
        event = UnitDone(unit, source, records, calls, calls - 1, outcome)
        known = unit in self.session.done
        if not known and outcome in CONCLUSIVE and len(self.session.done) >= self.session.planned:
            with pytest.raises(ForbiddenEvent):
                advance(self.session, event, self.now)
        elif self.take(event) and not known:
            self.reported.append(event)

    @rule(passed=st.integers(0, HOUR_MS))
    def let_time_pass(self, passed):
        self.now += passed
        self.ran += passed if self.session.run_since is not None else 0

    @invariant()
    def counts_add_up(self):
        sources = self.session.tallies.values()
        assert sum(t.records for t in sources) == sum(event.records for event in self.reported)
        assert sum(t.calls for t in sources) == sum(event.calls for event in self.reported)
        assert sum(sum(t.outcomes.values()) for t in sources) == len(self.reported)
        for figures in sources:
            assert sum(hour.records for hour in figures.hours.values()) == figures.records
            assert sum(hour.calls for hour in figures.hours.values()) == figures.calls
            assert figures.calls_with_records <= figures.calls
        assert self.session.done == {event.unit for event in self.reported if event.outcome in CONCLUSIVE}
        assert len(self.session.done) <= self.session.planned

    @invariant()
    def time_is_used_by_runs_only(self):
        assert active_ms(self.session, self.now) == self.ran
        left = remaining_ms(self.session, self.now)
        assert left == (0 if self.session.state in FINAL else max(0, self.session.spec.duration_ms - self.ran))
        if (end := ends_at(self.session)) is not None:
            assert left == max(0, end - self.now)

    @invariant()
    def its_parts_agree(self):
        session = self.session
        assert session.run_since is None or session.state in RUNNING
        assert session.state != "running" or session.run_since is not None
        assert (session.ended is not None) is (session.state in FINAL)
        assert session.checkpoints == self.checkpoints
        assert session.at <= self.now


TestAnySession = AnySession.TestCase
TestAnySession.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
