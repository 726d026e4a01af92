"""Which key is asked next, and what each answer does to a key and to the provider."""

import pytest

from agents.polling.key_pool import BURST, Desk, NoKey, paced
from connectors import connector
from streams.accounts.account import Ended, Terms, replayed
from streams.accounts.breaker import Policy
from streams.accounts.budget import Allowance
from streams.accounts.quota import KeyUsage, Window, window_end

NOON = 1_780_000_000_000
DAY = 86_400_000


def desk_of(keys=3, windows=(), provider="polygon", *, policy=None, price=None, **terms):
    one = connector(provider)
    agreed = Terms(windows=windows, policy=policy or Policy(), zone=one.zone, keyless=one.auth.keyless, **terms)
    return Desk(one, {f"{provider}#{i}": f"key-{i}" for i in range(1, keys + 1)}, agreed, price)


def ask(desk, outcome="records", now=NOON, endpoint=None, weight=1, **told):
    """One whole call; gives the label of the key that was asked."""
    endpoint = endpoint or desk.connector.endpoints[0].name
    turn = desk.turn(endpoint, weight, now)
    assert turn.wait_ms == 0
    call_id = f"call-{desk.account.breaker.calls}"
    desk.begin(turn.label, call_id, endpoint, weight, now)
    desk.end(Ended(call_id, turn.label, endpoint, outcome, now, **told))
    return turn.label


def waits(desk, now=NOON, weight=1, endpoint=None, **more):
    return desk.turn(endpoint or desk.connector.endpoints[0].name, weight, now, **more).wait_ms


def usage(desk, label):
    return desk.account.keys[label].usage


def test_keys_take_turns():
    desk = desk_of(3)

    assert [ask(desk)[-1] for _ in range(7)] == ["1", "2", "3", "1", "2", "3", "1"]


def test_a_dozen_keys_take_turns_in_their_order():
    desk = desk_of(12)

    assert [int(ask(desk).partition("#")[2]) for _ in range(24)] == [*range(1, 13)] * 2


def test_the_key_with_the_most_left_is_asked_first():
    desk = desk_of(2, [Window(10, "day")])
    ask(desk, weight=6)

    assert [ask(desk)[-1] for _ in range(7)] == ["2", "2", "2", "2", "2", "2", "1"]


def test_every_key_is_spent_to_its_last_call_and_the_soonest_is_waited_for():
    desk = desk_of(2, [Window(2, "minute")])
    asked = [ask(desk, now=NOON + i * 1000) for i in range(4)]

    assert asked == ["polygon#1", "polygon#2"] * 2
    turn = desk.turn("aggregates", 1, NOON + 4_000)
    assert (turn.label, turn.wait_ms, turn.why) == ("polygon#1", 56_000, "Busy")


def test_bulk_is_spread_out_and_urgent_calls_are_not():
    desk = desk_of(1, [Window(600, "minute")])
    for _ in range(20):
        ask(desk)

    assert waits(desk, urgent=False) == 1_000
    assert waits(desk) == 0


def test_small_limits_are_not_spread_out():
    assert paced([Window(5, "minute"), Window(25, "day"), Window(30, "second")]) == (Window(BURST, "second"),)


@pytest.mark.parametrize(("retry_after", "wait"), [(7, 7_000), (0.25, 250), (0, 0), (None, 60_000)])
def test_a_rate_limited_key_cools_and_the_others_go_on(retry_after, wait):
    desk = desk_of(2)
    ask(desk, "RateLimited", retry_after_s=retry_after)

    assert ask(desk) == "polygon#2"
    if wait:
        assert ask(desk, now=NOON + wait - 1) == "polygon#2"
    assert ask(desk, now=NOON + wait) == "polygon#1"


def test_a_day_that_is_full_by_our_count_too_rests_the_key_until_it_ends():
    desk = desk_of(1, [Window(2, "day")], provider="fmp")
    ask(desk)
    ask(desk, "RateLimited")

    assert waits(desk) == window_end(Window(2, "day"), NOON) - NOON


def test_refusals_in_a_row_rest_a_key_of_daily_limits_longer_each_time():
    desk, now, rests = desk_of(1, [Window(250, "day")], provider="fmp"), NOON, []
    for _ in range(3):
        ask(desk, "RateLimited", now=now)
        rests.append(waits(desk, now))
        now += rests[-1]

    assert rests == [60_000, 120_000, 240_000]


def test_an_exhausted_key_rests_until_the_time_the_provider_named():
    desk = desk_of(1)
    ask(desk, "QuotaExhausted", resets_at=NOON + 5_000)

    assert waits(desk) == 5_000


def test_an_exhausted_key_rests_until_midnight_in_the_providers_zone():
    desk = desk_of(1, provider="alphavantage")
    ask(desk, "QuotaExhausted", endpoint="global_quote")

    midnight = window_end(Window(1, "day", "America/New_York"), NOON)
    assert waits(desk, endpoint="global_quote") == midnight - NOON
    assert ask(desk, now=midnight, endpoint="global_quote") == "alphavantage#1"


def test_a_provider_whose_clock_is_late_at_midnight_does_not_cost_the_day():
    midnight = window_end(Window(1, "day"), NOON)
    desk = desk_of(1, provider="eodhd")
    ask(desk, "QuotaExhausted", now=midnight + 500, endpoint="eod")

    assert waits(desk, midnight + 500, endpoint="eod") == 60_000
    ask(desk, "QuotaExhausted", now=midnight + 60_500, endpoint="eod")
    assert waits(desk, midnight + 60_500, endpoint="eod") == DAY - 60_500


def test_a_rejected_key_is_never_asked_again():
    desk = desk_of(2)
    ask(desk, "KeyRejected")

    assert {ask(desk, now=NOON + day * DAY) for day in range(40)} == {"polygon#2"}
    ask(desk, "KeyRejected", now=NOON + DAY * 41)
    with pytest.raises(NoKey, match="polygon rejected every key: polygon#1, polygon#2"):
        desk.turn("aggregates", 1, NOON)


def test_a_refused_session_of_a_keyless_provider_takes_nothing_out():
    desk = desk_of(1, provider="yahoo")
    ask(desk, "KeyRejected", endpoint="quote")

    assert ask(desk, endpoint="quote") == "yahoo#1"


def test_a_plan_that_does_not_sell_an_endpoint_is_remembered_per_key_and_endpoint():
    desk = desk_of(2)
    ask(desk, "NotEntitled", endpoint="snapshots")
    assert desk.unsold == frozenset()

    assert {ask(desk, endpoint="snapshots") for _ in range(3)} == {"polygon#2"}
    assert {ask(desk) for _ in range(4)} == {"polygon#1", "polygon#2"}
    ask(desk, "NotEntitled", endpoint="snapshots")
    with pytest.raises(NoKey, match="no plan of polygon's keys sells its endpoint 'snapshots'"):
        desk.turn("snapshots", 1, NOON)
    assert desk.unsold == {"snapshots"}


def test_a_slice_that_is_not_sold_is_not_held_against_the_endpoint():
    desk = desk_of(1)
    ask(desk, "NotEntitled", slice_only=True)

    assert ask(desk) == "polygon#1"


def test_without_keys_the_variable_to_set_is_named():
    with pytest.raises(NoKey, match="no key for polygon: set POLYGON_KEYS"):
        desk_of(0).turn("aggregates", 1, NOON)


def test_a_call_heavier_than_a_window_says_so():
    with pytest.raises(NoKey, match="a call of polygon costs 10 calls, more than 5/minute: raise POLYGON_LIMITS"):
        desk_of(1, [Window(5, "minute")]).turn("aggregates", 10, NOON)


def test_weights_are_spent():
    desk = desk_of(1, [Window(10, "day")])
    ask(desk, weight=7)

    assert waits(desk, weight=3) == 0
    assert waits(desk, weight=4) > 0


def test_a_provider_that_is_down_rests_whatever_its_keys_have_left():
    desk = desk_of(5, policy=Policy(failure_threshold=2, recovery_ms=9_000))
    for _ in range(2):
        ask(desk, "ProviderUnavailable")

    turn = desk.turn("aggregates", 1, NOON)
    assert (turn.wait_ms, turn.why) == (9_000, "Open")
    desk.begin(desk.turn("aggregates", 1, NOON + 9_000).label, "probe", "aggregates", 1, NOON + 9_000)
    assert waits(desk, NOON + 9_000) == 1_000
    desk.end(Ended("probe", "polygon#1", "aggregates", "records", NOON + 9_500))
    assert waits(desk, NOON + 9_500) == 0


def test_an_abandoned_probe_holds_nobody_up():
    desk = desk_of(1, policy=Policy(failure_threshold=1, recovery_ms=1_000))
    ask(desk, "ProviderUnavailable")
    desk.abandon(desk.begin("polygon#1", "probe", "aggregates", 1, NOON + 1_000), NOON + 1_000)

    assert waits(desk, NOON + 1_000) == 0


def test_a_breaker_is_closed_by_hand():
    desk = desk_of(1, policy=Policy(failure_threshold=1, recovery_ms=1_000))
    ask(desk, "ProviderUnavailable")
    desk.reset_breaker()

    assert waits(desk) == 0


def test_money_is_spent_to_the_last_call_and_comes_back_at_midnight_in_its_zone():
    desk = desk_of(1, provider="brightdata", allowance=Allowance.usd(0.0045, "America/New_York"))
    for _ in range(3):
        ask(desk, endpoint="unlocker")

    turn = desk.turn("unlocker", 1, NOON)
    midnight = window_end(Window(1, "day", "America/New_York"), NOON)
    assert (turn.why, turn.wait_ms) == ("BudgetExhausted", midnight - NOON)
    assert "brightdata has spent $0.0045 of $0.00 today in 3 calls" in turn.reason
    assert ask(desk, now=midnight, endpoint="unlocker") == "brightdata#1"


def test_a_price_of_ones_own_replaces_the_declared_one():
    desk = desk_of(1, price=0.25, allowance=Allowance.usd(0.5))
    ask(desk)
    ask(desk)

    assert desk.turn("aggregates", 1, NOON).why == "BudgetExhausted"


@pytest.mark.parametrize("outcome", ["UnknownSymbol", "InvalidRequest", "Pending", "MalformedPayload", "records"])
def test_other_outcomes_leave_the_key_in_use(outcome):
    desk = desk_of(1)
    ask(desk, outcome)

    assert usage(desk, "polygon#1") == KeyUsage()


def test_a_clock_that_steps_back_holds_a_key_up_for_one_window_at_most():
    desk = desk_of(1, [Window(1, "minute")])
    ask(desk, now=NOON)

    assert waits(desk, NOON - 3_600_000) == 60_000
    assert waits(desk, NOON - 3_540_000) == 0


def test_the_horizon_reaches_back_to_the_oldest_window_that_still_runs():
    windows = (Window(5, "minute"), Window(100, "day"))

    assert desk_of(1, windows).horizon(NOON) == window_end(windows[1], NOON) - DAY
    assert desk_of(1, windows[:1]).horizon(NOON) == NOON - 60_000
    assert desk_of(1, (), allowance=Allowance.usd(1)).horizon(NOON) == window_end(Window(1, "day"), NOON) - DAY
    assert desk_of(1).horizon(NOON) == NOON


def test_an_adopted_account_is_that_of_the_configured_keys():
    account = replayed([], Terms()).with_key("polygon#9", desk_of(1).account.key("polygon#1"))
    desk = desk_of(2)
    desk.adopt(account)

    assert list(desk.account.keys) == ["polygon#1", "polygon#2"]


def test_what_an_earlier_owner_sent_counts_until_its_time_out_and_what_we_sent_until_it_ends():
    earlier, desk = desk_of(1, [Window(1, "second")]), desk_of(1, [Window(1, "second")], longest_ms=20_000)
    endpoint = desk.connector.endpoints[0].name
    earlier.begin("polygon#1", "theirs", endpoint, 1, NOON)
    desk.adopt(earlier.account)

    assert waits(desk, NOON + 19_999) == 1_000
    assert waits(desk, NOON + 20_000) == 1_000  # it ended by now, at the latest
    assert waits(desk, NOON + 21_000) == 0
    desk.begin("polygon#1", "ours", endpoint, 1, NOON + 21_000)
    assert waits(desk, NOON + 90_000) == 1_000  # whatever keeps it, it has not been sent yet
