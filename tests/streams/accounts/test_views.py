"""What an operator reads of an account."""

from dataclasses import replace

from connectors.scope import Scope
from streams.accounts import account as accounts
from streams.accounts import views
from streams.accounts.account import Account, CallBegan, CallEnded, Key, ProviderPolicy
from streams.accounts.breaker import BreakerPolicy
from streams.accounts.budget import Allowance
from streams.accounts.entitlement import REMEMBERED_MS
from streams.accounts.quota import Window, window_end

NOON = 1_780_000_000_000
DAY = Window(100, "day")
TERMS = ProviderPolicy(
    windows=(Window(5, "minute"), DAY), breaker=BreakerPolicy(2, 60_000), allowance=Allowance.usd(0.01)
)


def told(outcome):
    refused = {"scope": Scope(endpoint="aggregates", older_ms=730 * 86_400_000), "reason": "Your plan lacks it."}
    return refused if outcome == "NotEntitled" else {}


def account(*outcomes, micros=0):
    found = Account({"polygon#1": Key(), "polygon#2": Key()})
    for n, outcome in enumerate(outcomes):
        found = accounts.fold(found, CallBegan(str(n), "polygon#1", 1, micros, NOON), TERMS)
        found = accounts.fold(found, CallEnded(str(n), "polygon#1", outcome, NOON, **told(outcome)), TERMS)
    return found


def test_a_key_tells_what_is_used_when_it_resets_and_how_it_fares():
    first, second = views.keys("polygon", account("records", "RateLimited"), TERMS, NOON + 1_000)

    assert (first.key, first.health, first.rests_ms) == ("polygon#1", "resting", 59_000)
    assert first.used == {"5/minute": 2, "100/day": 2}
    assert first.resets_ms == {"5/minute": 60_000, "100/day": window_end(DAY, NOON) - NOON - 1_000}
    assert (first.calls, first.refused, first.failed, first.last_outcome) == (2, 1, 0, "RateLimited")
    assert (second.key, second.health, second.used, second.calls) == (
        "polygon#2",
        "healthy",
        {"5/minute": 0, "100/day": 0},
        0,
    )


def test_a_rejected_key_and_what_is_not_sold_are_said():
    found = account("NotEntitled", "KeyRejected")
    (first, _) = views.keys("polygon", found, TERMS, NOON)

    (refusal,) = first.not_sold
    assert (first.health, refusal.kind, refusal.outcome) == ("rejected", "range", "NotEntitled")
    assert refusal.what == "aggregates: ranges that begin 730 days ago or earlier"
    assert (refusal.reason, refusal.since, refusal.until) == ("Your plan lacks it.", NOON, NOON + REMEMBERED_MS)
    assert views.keys("polygon", found, TERMS, NOON + REMEMBERED_MS)[0].not_sold == ()


def test_a_breaker_tells_its_failures_and_the_time_to_the_next_trial():
    view = views.breaker("polygon", account("records", "ProviderUnavailable", "ProviderUnavailable"), TERMS, NOON + 10)

    assert (view.state, view.calls, view.failures, view.opened, view.in_a_row) == ("OPEN", 3, 2, 1, 2)
    assert view.failure_rate == 2 / 3
    assert (view.trial_ms, view.policy) == (59_990, "2/60 s/1")
    assert views.breaker("polygon", Account(), TERMS, NOON).failure_rate is None


def test_a_budget_tells_what_is_left_and_when_it_comes_back():
    view = views.budget("polygon", account("records", "records", micros=2_500), TERMS, NOON)

    assert (view.spent_usd, view.limit_usd, view.left_usd, view.share, view.paid_calls) == (0.005, 0.01, 0.005, 0.5, 2)
    assert view.resets_ms == window_end(Window(1, "day"), NOON) - NOON
    tomorrow = views.budget("polygon", account("records", micros=2_500), TERMS, NOON + 86_400_000)
    assert (tomorrow.spent_usd, tomorrow.paid_calls) == (0, 0)
    assert views.budget("polygon", account(), replace(TERMS, allowance=None), NOON) is None
