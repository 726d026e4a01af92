"""Which key is asked next, and what each answer does to a key and to the provider."""

import pytest

from agents.polling.key_pool import BURST, KeyPool, NoKey, paced
from connectors import Call, Request, connector
from connectors.scope import Scope
from streams.accounts.account import CallEnded, ProviderPolicy, replayed
from streams.accounts.breaker import BreakerPolicy
from streams.accounts.budget import Allowance
from streams.accounts.entitlement import REMEMBERED_MS
from streams.accounts.quota import KeyUsage, Window, window_end

NOON = 1_780_000_000_000
DAY = 86_400_000


def pool_of(keys=3, windows=(), provider="polygon", *, breaker=None, price=None, **policy):
    one = connector(provider)
    agreed = ProviderPolicy(
        windows=windows, breaker=breaker or BreakerPolicy(), zone=one.zone, keyless=one.auth.keyless, **policy
    )
    return KeyPool(one, {f"{provider}#{i}": f"key-{i}" for i in range(1, keys + 1)}, agreed, price)


def asked(pool, endpoint=None, **given):
    """A call, and its request of that endpoint."""
    call = Call(**{"dataset": "bars", "symbols": ("AAPL",), "interval": "1d", **given})
    return call, Request(endpoint=endpoint or pool.connector.endpoints[0].name, path="")


def permit_of(pool, endpoint=None, weight=1, now=NOON, *, urgent=True, **given):
    return pool.next_permit(*asked(pool, endpoint, **given), weight, now, urgent=urgent)


def ask(pool, outcome="records", now=NOON, endpoint=None, weight=1, call=None, **told):
    """One whole call; gives the label of the key that was asked."""
    permit = permit_of(pool, endpoint, weight, now, **(call or {}))
    assert permit.wait_ms == 0
    call_id = f"call-{pool.account.breaker.calls}"
    made, http = asked(pool, endpoint, **(call or {}))
    pool.begin(permit.label, call_id, http.endpoint, weight, now)
    scope = pool.covered(told.pop("scope", None), made, http, permit.label, now)
    pool.end(CallEnded(call_id, permit.label, outcome, now, scope=scope, **told))
    if outcome == "records":
        pool.answered(made, http, permit.label, now)
    return permit.label


def waits(pool, now=NOON, weight=1, endpoint=None, **more):
    return permit_of(pool, endpoint, weight, now, **more).wait_ms


def usage(pool, label):
    return pool.account.keys[label].usage


def test_keys_take_turns():
    pool = pool_of(3)

    assert [ask(pool)[-1] for _ in range(7)] == ["1", "2", "3", "1", "2", "3", "1"]


def test_a_dozen_keys_take_turns_in_their_order():
    pool = pool_of(12)

    assert [int(ask(pool).partition("#")[2]) for _ in range(24)] == [*range(1, 13)] * 2


def test_the_key_with_the_most_left_is_asked_first():
    pool = pool_of(2, [Window(10, "day")])
    ask(pool, weight=6)

    assert [ask(pool)[-1] for _ in range(7)] == ["2", "2", "2", "2", "2", "2", "1"]


def test_every_key_is_spent_to_its_last_call_and_the_soonest_is_waited_for():
    pool = pool_of(2, [Window(2, "minute")])
    asked = [ask(pool, now=NOON + i * 1000) for i in range(4)]

    assert asked == ["polygon#1", "polygon#2"] * 2
    permit = permit_of(pool, "aggregates", 1, NOON + 4_000)
    assert (permit.label, permit.wait_ms, permit.why) == ("polygon#1", 56_000, "Busy")


def test_bulk_is_spread_out_and_urgent_calls_are_not():
    pool = pool_of(1, [Window(600, "minute")])
    for _ in range(20):
        ask(pool)

    assert waits(pool, urgent=False) == 1_000
    assert waits(pool) == 0


def test_small_limits_are_not_spread_out():
    assert paced([Window(5, "minute"), Window(25, "day"), Window(30, "second")]) == (Window(BURST, "second"),)


@pytest.mark.parametrize(("retry_after", "wait"), [(7, 7_000), (0.25, 250), (0, 0), (None, 60_000)])
def test_a_rate_limited_key_cools_and_the_others_go_on(retry_after, wait):
    pool = pool_of(2)
    ask(pool, "RateLimited", retry_after_s=retry_after)

    assert ask(pool) == "polygon#2"
    if wait:
        assert ask(pool, now=NOON + wait - 1) == "polygon#2"
    assert ask(pool, now=NOON + wait) == "polygon#1"


def test_a_day_that_is_full_by_our_count_too_rests_the_key_until_it_ends():
    pool = pool_of(1, [Window(2, "day")], provider="fmp")
    ask(pool)
    ask(pool, "RateLimited")

    assert waits(pool) == window_end(Window(2, "day"), NOON) - NOON


def test_refusals_in_a_row_rest_a_key_of_daily_limits_longer_each_time():
    pool, now, rests = pool_of(1, [Window(250, "day")], provider="fmp"), NOON, []
    for _ in range(3):
        ask(pool, "RateLimited", now=now)
        rests.append(waits(pool, now))
        now += rests[-1]

    assert rests == [60_000, 120_000, 240_000]


def test_an_exhausted_key_rests_until_the_time_the_provider_named():
    pool = pool_of(1)
    ask(pool, "QuotaExhausted", resets_at=NOON + 5_000)

    assert waits(pool) == 5_000


def test_an_exhausted_key_rests_until_midnight_in_the_providers_zone():
    pool = pool_of(1, provider="alphavantage")
    ask(pool, "QuotaExhausted", endpoint="global_quote")

    midnight = window_end(Window(1, "day", "America/New_York"), NOON)
    assert waits(pool, endpoint="global_quote") == midnight - NOON
    assert ask(pool, now=midnight, endpoint="global_quote") == "alphavantage#1"


def test_a_provider_whose_clock_is_late_at_midnight_does_not_cost_the_day():
    midnight = window_end(Window(1, "day"), NOON)
    pool = pool_of(1, provider="eodhd")
    ask(pool, "QuotaExhausted", now=midnight + 500, endpoint="eod")

    assert waits(pool, midnight + 500, endpoint="eod") == 60_000
    ask(pool, "QuotaExhausted", now=midnight + 60_500, endpoint="eod")
    assert waits(pool, midnight + 60_500, endpoint="eod") == DAY - 60_500


def test_a_rejected_key_is_never_asked_again():
    pool = pool_of(2)
    ask(pool, "KeyRejected")

    assert {ask(pool, now=NOON + day * DAY) for day in range(40)} == {"polygon#2"}
    ask(pool, "KeyRejected", now=NOON + DAY * 41)
    with pytest.raises(NoKey, match="polygon rejected every key: polygon#1, polygon#2"):
        permit_of(pool, "aggregates", 1, NOON)


def test_a_refused_session_of_a_keyless_provider_takes_nothing_out():
    pool = pool_of(1, provider="yahoo")
    ask(pool, "KeyRejected", endpoint="quote")

    assert ask(pool, endpoint="quote") == "yahoo#1"


NEWS = Scope(endpoint="news", asset_classes=("equity", "etf"))


def test_a_plan_that_does_not_sell_an_endpoint_is_remembered_per_key_and_endpoint():
    pool = pool_of(2)
    ask(pool, "NotEntitled", endpoint="news", scope=NEWS, reason="not in your plan")

    assert {ask(pool, endpoint="news") for _ in range(3)} == {"polygon#2"}
    assert {ask(pool) for _ in range(4)} == {"polygon#1", "polygon#2"}


def test_what_no_key_is_sold_says_so_in_the_providers_words_until_it_is_tried_again():
    pool = pool_of(1)
    ask(pool, "NotEntitled", endpoint="news", scope=NEWS, reason="not in your plan")

    with pytest.raises(
        NoKey, match=r"no plan of polygon's keys sells news \(equity etf\): not in your plan"
    ) as refused:
        permit_of(pool, "news")
    assert refused.value.outcome == "NotEntitled"
    assert ask(pool, now=NOON + REMEMBERED_MS, endpoint="news") == "polygon#1"


@pytest.mark.parametrize(
    ("scope", "within", "beyond"),
    [
        ({"older_ms": DAY}, {"start": NOON - 2 * DAY, "end": NOON - DAY}, {"start": NOON - DAY // 2}),
        ({"newer_ms": DAY}, {"start": NOON - DAY // 2}, {"start": NOON - 3 * DAY, "end": NOON - DAY}),
        ({"symbols": ("AAPL",)}, {}, {"symbols": ("MSFT",)}),
        ({"exchange": "XETR"}, {"symbols": ("SAP.XETR",)}, {}),
        ({"asset_classes": ("crypto",)}, {"symbols": ("BTC-USD",), "asset_class": "crypto"}, {}),
        ({"interval": "1m"}, {"interval": "1m"}, {"interval": "1d"}),
        ({}, {}, {"endpoint": "news"}),
    ],
)
def test_a_key_is_asked_everything_outside_the_scope_of_a_refusal(scope, within, beyond):
    pool = pool_of(1)
    ask(pool, "NotEntitled", call=within, scope=Scope(**{"endpoint": "aggregates", **scope}))

    with pytest.raises(NoKey):
        permit_of(pool, **within)
    assert permit_of(pool, **beyond).wait_ms == 0


def test_an_endpoint_that_has_answered_is_not_refused_for_one_symbol():
    pool, scope = pool_of(1), Scope(endpoint="aggregates")
    ask(pool)
    ask(pool, "NotEntitled", call={"symbols": ("OTCX",)}, scope=scope)

    assert ask(pool) == "polygon#1"
    with pytest.raises(NoKey):
        permit_of(pool, symbols=("OTCX",))


def test_an_endpoint_that_answers_no_more_is_refused_whole():
    pool, scope = pool_of(1), Scope(endpoint="aggregates")
    ask(pool)
    for symbol in ("OTCX", "OTCY"):
        ask(pool, "NotEntitled", call={"symbols": (symbol,)}, scope=scope)

    with pytest.raises(NoKey):
        permit_of(pool)


def test_without_keys_the_variable_to_set_is_named():
    with pytest.raises(NoKey, match="no key for polygon: set POLYGON_KEYS"):
        permit_of(pool_of(0), "aggregates", 1, NOON)


def test_a_call_heavier_than_a_window_says_so():
    with pytest.raises(NoKey, match="a call of polygon costs 10 calls, more than 5/minute: raise POLYGON_LIMITS"):
        permit_of(pool_of(1, [Window(5, "minute")]), "aggregates", 10, NOON)


def test_weights_are_spent():
    pool = pool_of(1, [Window(10, "day")])
    ask(pool, weight=7)

    assert waits(pool, weight=3) == 0
    assert waits(pool, weight=4) > 0


def test_a_provider_that_is_down_rests_whatever_its_keys_have_left():
    pool = pool_of(5, breaker=BreakerPolicy(failure_threshold=2, recovery_ms=9_000))
    for _ in range(2):
        ask(pool, "ProviderUnavailable")

    permit = permit_of(pool, "aggregates", 1, NOON)
    assert (permit.wait_ms, permit.why) == (9_000, "Open")
    pool.begin(permit_of(pool, "aggregates", 1, NOON + 9_000).label, "probe", "aggregates", 1, NOON + 9_000)
    assert waits(pool, NOON + 9_000) == 1_000
    pool.end(CallEnded("probe", "polygon#1", "records", NOON + 9_500))
    assert waits(pool, NOON + 9_500) == 0


def test_an_abandoned_probe_holds_nobody_up():
    pool = pool_of(1, breaker=BreakerPolicy(failure_threshold=1, recovery_ms=1_000))
    ask(pool, "ProviderUnavailable")
    pool.abandon(pool.begin("polygon#1", "probe", "aggregates", 1, NOON + 1_000), NOON + 1_000)

    assert waits(pool, NOON + 1_000) == 0


def test_a_breaker_is_closed_by_hand():
    pool = pool_of(1, breaker=BreakerPolicy(failure_threshold=1, recovery_ms=1_000))
    ask(pool, "ProviderUnavailable")
    pool.reset_breaker()

    assert waits(pool) == 0


def test_money_is_spent_to_the_last_call_and_comes_back_at_midnight_in_its_zone():
    pool = pool_of(1, provider="brightdata", allowance=Allowance.usd(0.0045, "America/New_York"))
    for _ in range(3):
        ask(pool, endpoint="unlocker")

    permit = permit_of(pool, "unlocker", 1, NOON)
    midnight = window_end(Window(1, "day", "America/New_York"), NOON)
    assert (permit.why, permit.wait_ms) == ("BudgetExhausted", midnight - NOON)
    assert "brightdata has spent $0.0045 of $0.00 today in 3 calls" in permit.reason
    assert ask(pool, now=midnight, endpoint="unlocker") == "brightdata#1"


def test_a_price_of_ones_own_replaces_the_declared_one():
    pool = pool_of(1, price=0.25, allowance=Allowance.usd(0.5))
    ask(pool)
    ask(pool)

    assert permit_of(pool, "aggregates", 1, NOON).why == "BudgetExhausted"


@pytest.mark.parametrize("outcome", ["UnknownSymbol", "InvalidRequest", "Pending", "MalformedPayload", "records"])
def test_other_outcomes_leave_the_key_in_use(outcome):
    pool = pool_of(1)
    ask(pool, outcome)

    assert usage(pool, "polygon#1") == KeyUsage()


def test_a_clock_that_steps_back_holds_a_key_up_for_one_window_at_most():
    pool = pool_of(1, [Window(1, "minute")])
    ask(pool, now=NOON)

    assert waits(pool, NOON - 3_600_000) == 60_000
    assert waits(pool, NOON - 3_540_000) == 0


def test_the_horizon_reaches_back_to_the_oldest_window_that_still_runs():
    windows = (Window(5, "minute"), Window(100, "day"))

    assert pool_of(1, windows).horizon(NOON) == window_end(windows[1], NOON) - DAY
    assert pool_of(1, windows[:1]).horizon(NOON) == NOON - 60_000
    assert pool_of(1, (), allowance=Allowance.usd(1)).horizon(NOON) == window_end(Window(1, "day"), NOON) - DAY
    assert pool_of(1).horizon(NOON) == NOON


def test_an_adopted_account_is_that_of_the_configured_keys():
    account = replayed([], ProviderPolicy()).with_key("polygon#9", pool_of(1).account.key("polygon#1"))
    pool = pool_of(2)
    pool.adopt(account)

    assert list(pool.account.keys) == ["polygon#1", "polygon#2"]


def test_what_an_earlier_owner_sent_counts_until_its_time_out_and_what_we_sent_until_it_ends():
    earlier, pool = pool_of(1, [Window(1, "second")]), pool_of(1, [Window(1, "second")], longest_ms=20_000)
    endpoint = pool.connector.endpoints[0].name
    earlier.begin("polygon#1", "theirs", endpoint, 1, NOON)
    pool.adopt(earlier.account)

    assert waits(pool, NOON + 19_999) == 1_000
    assert waits(pool, NOON + 20_000) == 1_000  # it ended by now, at the latest
    assert waits(pool, NOON + 21_000) == 0
    pool.begin("polygon#1", "ours", endpoint, 1, NOON + 21_000)
    assert waits(pool, NOON + 90_000) == 1_000  # whatever keeps it, it has not been sent yet
