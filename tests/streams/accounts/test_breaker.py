"""The breaker's transitions, and that a resting provider is probed by one call at a time."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from connectors import REFUSALS
from streams.accounts import breaker
from streams.accounts.breaker import Breaker, BreakerPolicy

POLICY = BreakerPolicy(failure_threshold=3, recovery_ms=1_000, success_threshold=2)
DOWN, UP = "ProviderUnavailable", "records"


def call(state, outcome, now=0, policy=POLICY):
    call_id = f"call-{state.calls + 1}"
    return breaker.end(breaker.begin(state, policy, call_id, now), policy, call_id, outcome, now)


def opened(now=0):
    state = Breaker()
    for _ in range(POLICY.failure_threshold):
        state = call(state, DOWN, now)
    return state


def test_failures_in_a_row_open_it():
    state = call(call(Breaker(), DOWN), DOWN)
    assert state.state == "CLOSED"

    state = call(state, DOWN, now=7)

    assert (state.state, state.opened_at, state.failed, state.calls) == ("OPEN", 7, 3, 3)
    assert breaker.wait_ms(state, POLICY, 7) == 1_000


def test_a_success_between_failures_keeps_it_closed():
    state = Breaker()
    for _ in range(10):
        state = call(call(call(state, DOWN), DOWN), UP)

    assert state.state == "CLOSED"
    assert state.failures == 0


@pytest.mark.parametrize("outcome", sorted({"records", *REFUSALS} - {DOWN}))
def test_every_answer_of_a_living_provider_speaks_for_its_health(outcome):
    state = Breaker()
    for _ in range(2 * POLICY.failure_threshold):
        state = call(state, outcome)

    assert state.state == "CLOSED"


def test_a_call_that_could_not_wait_says_nothing_of_its_health():
    failing = call(call(Breaker(), DOWN), DOWN)
    probing = breaker.begin(opened(), POLICY, "probe", 1_000)

    assert call(failing, "Timeout").failures == 2
    assert call(call(failing, "Timeout"), DOWN).state == "OPEN"
    untold = breaker.end(probing, POLICY, "probe", "Timeout", 1_500)
    assert (untold.state, breaker.wait_ms(untold, POLICY, 1_500)) == ("HALF_OPEN", 0)


def test_after_its_rest_one_call_probes_and_the_others_wait_for_it():
    state = opened()
    assert breaker.wait_ms(state, POLICY, 999) == 1

    probing = breaker.begin(state, POLICY, "probe", 1_000)

    assert (probing.state, probing.probe) == ("HALF_OPEN", "probe")
    assert breaker.wait_ms(probing, POLICY, 5_000) is None


def test_a_call_that_is_told_while_it_rests_only_counts():
    state = breaker.begin(opened(), POLICY, "late", 999)

    assert (state.state, state.probe, state.calls) == ("OPEN", "", 4)


def test_enough_good_probes_close_it():
    state = call(opened(), UP, 1_000)
    assert (state.state, breaker.wait_ms(state, POLICY, 1_000)) == ("HALF_OPEN", 0)

    state = call(state, UP, 1_001)

    assert (state.state, state.failures, state.successes) == ("CLOSED", 0, 0)


def test_a_failed_probe_opens_it_for_another_rest():
    state = call(call(opened(), UP, 1_000), DOWN, 1_500)

    assert (state.state, state.successes) == ("OPEN", 0)
    assert breaker.wait_ms(state, POLICY, 1_500) == 1_000


@pytest.mark.parametrize("outcome", [UP, DOWN])
def test_a_call_from_before_it_opened_neither_ends_the_rest_nor_the_probe(outcome):
    state = breaker.begin(Breaker(), POLICY, "late", 0)
    for _ in range(3):
        state = call(state, DOWN, 10)

    resting = breaker.end(state, POLICY, "late", outcome, 500)
    assert (resting.state, resting.opened_at, resting.successes) == ("OPEN", 10, 0)

    probing = breaker.begin(state, POLICY, "probe", 1_010)
    probing = breaker.end(probing, POLICY, "late", outcome, 1_020)
    assert (probing.state, breaker.wait_ms(probing, POLICY, 1_020)) == ("HALF_OPEN", None)


def test_it_is_closed_by_hand_and_keeps_its_statistics():
    state = breaker.reset(opened())

    assert (state.state, state.failures, state.calls, state.failed, state.opened) == ("CLOSED", 0, 3, 3, 1)
    assert state.failure_rate == 1.0
    assert breaker.wait_ms(state, POLICY, 0) == 0


def test_a_clock_that_steps_back_makes_nobody_wait_longer_than_the_rest():
    advanced = breaker.advance(opened(now=86_400_000), 5)

    assert breaker.wait_ms(advanced, POLICY, 5) == POLICY.recovery_ms


def test_an_abandoned_probe_leaves_the_place_to_the_next():
    probing = breaker.begin(opened(), POLICY, "probe", 1_000)

    state = breaker.abandon(probing, "probe")

    assert (state.state, breaker.wait_ms(state, POLICY, 1_000)) == ("HALF_OPEN", 0)
    assert breaker.abandon(probing, "another") == probing


class CallsOfManyTasks(RuleBasedStateMachine):
    """Many calls begin when they may and end in any order; some are abandoned."""

    @initialize(
        policy=st.builds(
            BreakerPolicy,
            failure_threshold=st.integers(1, 4),
            recovery_ms=st.integers(1, 100),
            success_threshold=st.integers(1, 3),
        )
    )
    def start(self, policy):
        self.policy, self.state, self.now = policy, Breaker(), 0
        self.under_way, self.probes = [], set()

    @rule()
    def begin(self):
        if breaker.wait_ms(self.state, self.policy, self.now) != 0:
            return
        probe = self.state.state != "CLOSED"
        call_id = f"call-{self.state.calls + 1}"
        self.state = breaker.begin(self.state, self.policy, call_id, self.now)
        self.under_way.append(call_id)
        if probe:
            self.probes.add(call_id)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), outcome=st.sampled_from([UP, DOWN, "RateLimited"]))
    def end(self, data, outcome):
        self.state = breaker.end(self.state, self.policy, self._finished(data), outcome, self.now)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def abandon(self, data):
        self.state = breaker.abandon(self.state, self._finished(data))

    def _finished(self, data):
        call_id = data.draw(st.sampled_from(self.under_way))
        self.under_way.remove(call_id)
        self.probes.discard(call_id)
        return call_id

    @rule(passed=st.integers(0, 200))
    def let_time_pass(self, passed):
        self.now += passed

    @rule(back=st.integers(1, 5_000))
    def clock_steps_back(self, back):
        self.now -= back
        self.state = breaker.advance(self.state, self.now)

    @invariant()
    def at_most_one_probe_is_under_way(self):
        assert len(getattr(self, "probes", ())) <= 1

    @invariant()
    def it_never_gets_stuck(self):
        if hasattr(self, "state") and not self.under_way:
            wait = breaker.wait_ms(self.state, self.policy, self.now)
            assert wait is not None
            assert wait <= self.policy.recovery_ms
            probing = breaker.begin(self.state, self.policy, "next", self.now + wait)
            assert probing.state == "CLOSED" or probing.probe == "next"

    @invariant()
    def it_opens_only_after_enough_failures(self):
        if hasattr(self, "state") and self.state.state == "CLOSED":
            assert self.state.failures < self.policy.failure_threshold


TestCallsOfManyTasks = CallsOfManyTasks.TestCase
TestCallsOfManyTasks.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
