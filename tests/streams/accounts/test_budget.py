"""The day's money: never a cent over, counted anew at midnight in its zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streams.accounts import budget as budgets
from streams.accounts.budget import Allowance, Budget

NEW_YORK = "America/New_York"


def at(text, zone="UTC"):
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


NOON = at("2026-03-10T12:00")


class SpendsMoney(RuleBasedStateMachine):
    """Calls of any price begin when they are afforded, over days, clock changes and a clock that steps back."""

    @initialize(
        micros=st.integers(0, 10_000),
        zone=st.sampled_from(["UTC", NEW_YORK, "Australia/Lord_Howe", "America/Sao_Paulo"]),
        start=st.datetimes(datetime(2015, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    )
    def begin(self, micros, zone, start):
        self.allowance, self.now, self.budget = Allowance(micros, zone), round(start.timestamp() * 1000), Budget()
        self.spent = {}

    @rule(micros=st.integers(0, 4_000))
    def call(self, micros):
        if budgets.affords(self.budget, self.allowance, micros, self.now):
            self.budget = budgets.spend(self.budget, self.allowance, micros, self.now)
            # a clock that stepped back spends of the latest day that anything was spent in
            day = datetime.fromtimestamp(max(self.now, self.budget.since) / 1000, ZoneInfo(self.allowance.zone)).date()
            self.spent[day] = self.spent.get(day, 0) + micros

    @rule(passed=st.integers(-7_200_000, 3 * 86_400_000))
    def clock_moves(self, passed):
        self.now += passed

    @rule()
    def midnight_comes(self):
        resets = budgets.resets_at(self.budget, self.allowance, self.now)
        assert self.now < resets <= max(self.now, self.budget.since) + 26 * 3_600_000
        self.now = resets
        assert budgets.affords(self.budget, self.allowance, self.allowance.micros, self.now)

    @invariant()
    def no_day_costs_more_than_its_allowance(self):
        if hasattr(self, "spent"):
            assert all(micros <= self.allowance.micros for micros in self.spent.values())


TestSpendsMoney = SpendsMoney.TestCase
TestSpendsMoney.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


def test_the_default_of_bright_data_buys_3666_requests_and_not_one_more():
    allowance, budget = Allowance.usd(5.50), Budget()
    for _ in range(3_666):
        assert budgets.affords(budget, allowance, 1_500, NOON)
        budget = budgets.spend(budget, allowance, 1_500, NOON)

    assert not budgets.affords(budget, allowance, 1_500, NOON)
    assert budget.micros == 5_499_000


def test_the_end_says_how_much_of_what_and_until_when():
    allowance = Allowance.usd(0.01, NEW_YORK)
    budget = budgets.spend(Budget(), allowance, 9_000, at("2026-03-07T20:00", NEW_YORK))
    ended = budgets.exhausted(budget, allowance, "brightdata", at("2026-03-07T21:00", NEW_YORK))

    assert (ended.used, ended.spent, ended.limit) == (1, 0.009, 0.01)
    assert ended.resets_at == at("2026-03-08T00:00", NEW_YORK)
    assert str(ended) == (
        "brightdata has spent $0.0090 of $0.01 today in 1 calls, and may go on from 2026-03-08 05:00 UTC"
    )


@pytest.mark.parametrize(
    ("steps", "warned"), [((7_900,), [False]), ((8_000,), [True]), ((7_000, 1_000, 500), [False, True, False])]
)
def test_the_owner_is_warned_once_a_day_at_80_percent(steps, warned):
    allowance, budget, found = Allowance(10_000), Budget(), []
    for step in steps:
        after = budgets.spend(budget, allowance, step, NOON)
        found.append(budgets.warns(budget, after, allowance))
        budget = after

    assert found == warned


def test_what_is_given_back_of_a_whole_call_leaves_no_trace_of_it():
    budget = budgets.spend(budgets.spend(Budget(), Allowance.usd(1), 1_500, NOON), Allowance.usd(1), 2_000, NOON)

    assert budgets.give_back(budget, 2_000, NOON, whole=True) == budgets.spend(Budget(), Allowance.usd(1), 1_500, NOON)
    assert budgets.give_back(budget, 500, NOON, whole=False).calls == 2
    assert budgets.give_back(budget, 500, NOON - 86_400_000, whole=False) == budget
    assert budgets.give_back(budget, 9_000, NOON, whole=False).micros == 0


def test_a_job_is_remembered_over_midnight_and_given_back_to_its_own_day_only():
    allowance, tomorrow = Allowance.usd(1), NOON + 86_400_000
    budget = budgets.trigger(budgets.spend(Budget(), allowance, 75_000, NOON), "job", 75_000, NOON)
    budget = budgets.spend(budget, allowance, 1_500, tomorrow)
    assert budgets.reserved(budget, "job") == 75_000

    budget = budgets.settle(budget, "job", 70_000)

    assert (budget.micros, budgets.reserved(budget, "job")) == (1_500, 0)


def test_the_jobs_that_are_remembered_are_bounded():
    budget = Budget()
    for n in range(budgets.MOST_JOBS + 1):
        budget = budgets.trigger(budget, f"job-{n}", 1_500, NOON)

    assert len(budget.jobs) == budgets.MOST_JOBS
    assert budgets.reserved(budget, "job-0") == 0


def test_calls_that_cost_nothing_leave_no_trace():
    assert budgets.spend(Budget(), Allowance(0), 0, NOON) == Budget()
    assert budgets.affords(Budget(), Allowance(0), 0, NOON)
