"""An account is the fold of its calls, whoever folds them and in whatever order they are found."""

import random
from dataclasses import replace
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from connectors.scope import Scope
from streams.accounts import account as accounts
from streams.accounts.account import Account, CallBegan, CallEnded, Key, ProviderPolicy
from streams.accounts.budget import MICROS, Allowance
from streams.accounts.quota import Window, used

NOON = 1_780_000_000_000
MINUTE, DAY = Window(10, "minute"), Window(100, "day", "America/New_York")
TERMS = ProviderPolicy(windows=(MINUTE, DAY), allowance=Allowance.usd(1), zone="America/New_York")
OUTCOMES = ["records", "RateLimited", "QuotaExhausted", "ProviderUnavailable", "UnknownSymbol", "Reserved"]


def call(n, started, lasted, outcome, label="polygon#1"):
    ended_at = None if outcome == "Reserved" else NOON + started + lasted
    return SimpleNamespace(
        **{"call_id": f"call-{n}", "key_label": label, "endpoint": "aggregates", "started_at": NOON + started},
        **{"ended_at": ended_at, "outcome": outcome, "retry_after_s": None, "resets_at": None},
        **{"said_left": None, "said_limit": None, "said_resets_at": None, "cost_calls": 1, "cost_usd": 0.0015},
        **{"reserved_usd": 0.0015, "scope": "", "error": "", "triggered_by": ""},
    )


calls = st.lists(
    st.tuples(st.integers(0, 10_000_000), st.integers(0, 30_000), st.sampled_from(OUTCOMES)), max_size=30
).map(lambda found: [call(n, *one) for n, one in enumerate(found)])


@given(calls=calls, seed=st.integers())
def test_the_order_in_which_a_store_gives_the_calls_does_not_matter(calls, seed):
    shuffled = random.Random(seed).sample(calls, len(calls))
    expected = accounts.replayed(calls, TERMS)

    found = accounts.replayed(shuffled, TERMS)

    assert found.budget == expected.budget
    assert found.breaker.calls == expected.breaker.calls == len(calls)
    for label, key in expected.keys.items():
        for window in TERMS.windows:
            at = NOON + 10_000_000
            assert used(found.key(label).usage, window, at) == used(key.usage, window, at)


@given(calls=calls)
def test_every_call_counts_though_nobody_told_its_end(calls):
    now = NOON + 10_030_000
    taken = accounts.after_takeover(accounts.replayed(calls, TERMS), TERMS, now)

    started = [one for one in calls if accounts.quota.window_start(DAY, now) <= one.started_at]
    assert used(taken.key("polygon#1").usage, DAY, now) >= len(started)
    assert taken.key("polygon#1").usage.in_flight == ()
    assert taken.breaker.probe == ""
    assert taken.budget.micros == 1_500 * len(started)


@given(calls=calls)
def test_a_key_survives_being_written_down(calls):
    kind = TypeAdapter(Key)
    key = accounts.replayed(calls, TERMS).key("polygon#1")

    assert kind.validate_json(kind.dump_json(key)) == key


def test_a_taken_over_call_counts_from_the_moment_of_taking_over():
    in_flight = accounts.fold(Account(), CallBegan("a", "polygon#1", 1, 0, NOON), TERMS)
    taken = accounts.after_takeover(in_flight, TERMS, NOON + 59_000)

    assert used(taken.key("polygon#1").usage, MINUTE, NOON + 100_000) == 1
    assert used(taken.key("polygon#1").usage, MINUTE, NOON + 119_000) == 0


def test_a_call_of_an_earlier_owner_may_be_on_its_way_until_its_time_out():
    slow = replace(TERMS, longest_ms=20_000)
    in_flight = accounts.fold(Account(), CallBegan("a", "polygon#1", 1, 0, NOON), slow)
    in_flight = accounts.fold(in_flight, CallBegan("b", "polygon#1", 1, 0, NOON + 15_000), slow)
    taken = accounts.after_takeover(in_flight, slow, NOON + 20_000)

    assert accounts.in_flight(taken) == {"b"}
    later = accounts.without_in_flight(taken, slow, {"b"}, NOON + 34_999)
    assert accounts.in_flight(later) == {"b"}
    assert used(later.key("polygon#1").usage, MINUTE, NOON + 90_000) == 1
    without_in_flight = accounts.without_in_flight(later, slow, {"b"}, NOON + 35_000)
    assert used(without_in_flight.key("polygon#1").usage, MINUTE, NOON + 90_000) == 1
    assert used(without_in_flight.key("polygon#1").usage, MINUTE, NOON + 95_000) == 0
    assert accounts.in_flight(accounts.without_in_flight(later, slow, {"a"}, NOON + 35_000)) == {"b"}


def ends(account, outcome, call_id="a", **more):
    """The account after a whole call."""
    account = accounts.fold(account, CallBegan(call_id, "polygon#1", 1, more.get("reserved_micros", 0), NOON), TERMS)
    return accounts.fold(account, CallEnded(call_id, "polygon#1", outcome, NOON, began_at=NOON, **more), TERMS)


def test_rejected_keys_are_asked_anew_by_the_next_owner_and_what_is_not_sold_is_not():
    account = ends(ends(Account(), "KeyRejected"), "NotEntitled", scope=Scope(endpoint="news"), reason="no")
    assert account.key("polygon#1").usage.rejected

    taken = accounts.after_takeover(account, TERMS, NOON)

    assert not taken.key("polygon#1").usage.rejected
    assert [known.covers.endpoint for known in taken.refusals["polygon#1"]] == ["news"]


def test_answer_that_lacks_a_part_of_its_range_is_remembered_as_not_sold():
    (known,) = ends(Account(), "records", scope=Scope(older_ms=1), reason="one year").refusals["polygon#1"]

    assert (known.outcome, known.reason, known.since) == ("NotEntitled", "one year", NOON)


def test_what_was_not_charged_is_given_back_once():
    free = {"reserved_micros": 1_500, "charged_micros": 0}
    account = ends(ends(Account(), "records", "b", reserved_micros=1_500, charged_micros=1_500), "RateLimited", **free)
    again = accounts.fold(account, CallEnded("a", "polygon#1", "RateLimited", NOON, began_at=NOON, **free), TERMS)

    assert (account.budget.micros, account.budget.calls) == (1_500, 1)
    assert again.budget == account.budget


def test_what_an_earlier_day_reserved_is_not_given_back_to_this_one():
    tomorrow = NOON + 86_400_000
    account = accounts.fold(Account(), CallBegan("a", "polygon#1", 1, 1_500, NOON), TERMS)
    account = accounts.fold(account, CallBegan("b", "polygon#1", 1, 1_500, tomorrow), TERMS)
    late = CallEnded("a", "polygon#1", "RateLimited", tomorrow, began_at=NOON, reserved_micros=1_500)

    assert accounts.fold(account, late, TERMS).budget.micros == 1_500


def test_money_that_was_given_back_is_not_in_a_replayed_account():
    stored = call(1, 0, 10, "RateLimited")
    stored.cost_usd = 0.0

    assert accounts.replayed([stored], TERMS).budget.micros == 0


RESULT, MOST_RESULTS = 0.0015, 50
jobs = st.lists(
    st.tuples(
        st.integers(0, 90_000_000),  # when it is triggered: on two days
        st.integers(1_000, 40_000_000),  # how long its results take
        st.integers(0, MOST_RESULTS),
        st.integers(0, 2),  # how often they are fetched: a worker that dies after the call fetches them again
    ),
    max_size=12,
    unique_by=lambda job: job[0],
)


def job_calls(n, started, takes, results, fetched):
    """A job's calls as they are stored: its trigger, then the polls that bring its results."""
    price = MOST_RESULTS * RESULT
    trigger = call(f"{n}-trigger", started, 10, "Pending")
    trigger.cost_usd = trigger.reserved_usd = price
    found = [trigger]
    for again in range(fetched):
        poll = call(f"{n}-poll-{again}", started + takes + again * 60_000, 10, "records")
        poll.reserved_usd, poll.triggered_by = 0.0, trigger.call_id
        poll.cost_usd = results * RESULT - price
        found.append(poll)
    return found


@given(jobs=jobs, seed=st.integers())
def test_a_job_costs_what_it_brought_in_the_day_that_reserved_it(jobs, seed):
    calls = [found for n, job in enumerate(jobs) for found in job_calls(n, *job)]
    shuffled = random.Random(seed).sample(calls, len(calls))
    events = [event for one in calls for event in (accounts.began(one), accounts.ended(one))]
    account, reserved = Account(), 0

    for event in sorted(events, key=lambda event: (event.at, isinstance(event, CallEnded))):
        day = account.budget.since
        account = accounts.fold(account, event, TERMS)
        reserved = (reserved if account.budget.since == day else 0) + getattr(event, "micros", 0)
        assert 0 <= account.budget.micros <= reserved

    today = [job for job in jobs if account.budget.since <= NOON + job[0]]
    expected = sum(results if fetched else MOST_RESULTS for _, _, results, fetched in today) * RESULT
    assert account.budget.micros == round(expected * MICROS)
    assert accounts.replayed(shuffled, TERMS).budget == account.budget


def test_a_job_gives_back_no_more_than_it_reserved():
    account = ends(Account(), "records", "other", reserved_micros=9_000, charged_micros=9_000)
    account = ends(account, "Pending", "job", reserved_micros=1_500, charged_micros=1_500)

    account = ends(account, "records", "poll", charged_micros=-5_000, triggered_by="job")

    assert (account.budget.micros, account.budget.calls, account.budget.jobs) == (9_000, 1, ())


def test_a_poll_of_no_known_job_gives_nothing_back():
    account = ends(Account(), "records", "a", reserved_micros=9_000, charged_micros=9_000)

    account = ends(account, "records", "poll", charged_micros=-5_000, triggered_by="job")

    assert account.budget.micros == 9_000


def test_an_end_without_a_begin_tells_of_the_key_but_spends_nothing():
    account = accounts.fold(Account(), CallEnded("a", "polygon#1", "RateLimited", NOON, 5.0), TERMS)

    assert account.key("polygon#1").usage.rest_until == NOON + 5_000
    assert used(account.key("polygon#1").usage, DAY, NOON) == 0
