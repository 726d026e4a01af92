"""Which key is asked next, and what each answer does to a key and to the provider."""

from dataclasses import replace

import pytest

from agents._desk import COOL_MS, Desk, NoKey
from connectors import REFUSALS, connector
from connectors._errors import KeyRejected, NotEntitled, ProviderUnavailable, QuotaExhausted, RateLimited
from streams.state.breaker import Policy
from streams.state.quota import KeyUsage, Window, window_end

NOON = 1_780_000_000_000


def desk_of(keys=3, windows=(), provider="polygon", **more):
    return Desk(connector(provider), {f"{provider}#{i}": f"key-{i}" for i in range(1, keys + 1)}, windows, **more)


def ask(desk, refusal=None, now=NOON, dataset="bars", weight=1):
    """One whole call; gives the label of the key that was asked."""
    turn = desk.turn(dataset, weight, now)
    assert turn.wait_ms == 0
    desk.end(desk.begin(turn.label, weight, now), dataset, refusal, now)
    return turn.label


def test_keys_take_turns():
    desk = desk_of(3)

    assert [ask(desk)[-1] for _ in range(7)] == ["1", "2", "3", "1", "2", "3", "1"]


def test_a_dozen_keys_take_turns_in_their_order():
    desk = desk_of(12)

    assert [int(ask(desk).partition("#")[2]) for _ in range(24)] == [*range(1, 13)] * 2


def test_every_key_is_spent_to_its_last_call_and_the_soonest_is_waited_for():
    desk = desk_of(2, [Window(2, "minute")])
    asked = [ask(desk, now=NOON + i * 1000) for i in range(4)]

    assert asked == ["polygon#1", "polygon#2"] * 2
    turn = desk.turn("bars", 1, NOON + 4_000)
    assert (turn.label, turn.wait_ms) == ("polygon#1", 56_000)


@pytest.mark.parametrize(("retry_after", "wait"), [(7, 7_000), (0.25, 250), (0, 0), (None, COOL_MS)])
def test_a_rate_limited_key_cools_and_the_others_go_on(retry_after, wait):
    desk = desk_of(2)
    ask(desk, RateLimited("slow down", retry_after=retry_after))

    assert ask(desk) == "polygon#2"
    if wait:
        assert ask(desk, now=NOON + wait - 1) == "polygon#2"
    assert ask(desk, now=NOON + wait) == "polygon#1"


def test_an_exhausted_key_rests_until_the_time_the_provider_named():
    desk = desk_of(1)
    ask(desk, QuotaExhausted("enough", resets_at=NOON + 5_000))

    assert desk.turn("bars", 1, NOON).wait_ms == 5_000


def test_an_exhausted_key_rests_until_midnight_in_the_providers_zone():
    desk = desk_of(1, provider="alphavantage")
    ask(desk, QuotaExhausted("25 requests per day"))

    midnight = window_end(Window(1, "day", "America/New_York"), NOON)
    assert desk.turn("bars", 1, NOON).wait_ms == midnight - NOON
    assert ask(desk, now=midnight) == "alphavantage#1"


def test_a_rejected_key_is_never_asked_again():
    desk = desk_of(2)
    ask(desk, KeyRejected("unknown key"))

    assert {ask(desk, now=NOON + day * 86_400_000) for day in range(40)} == {"polygon#2"}
    ask(desk, KeyRejected("unknown key"), now=NOON + 86_400_000 * 41)
    with pytest.raises(NoKey, match="polygon rejected every key: polygon#1, polygon#2"):
        desk.turn("bars", 1, NOON)


def test_a_refused_session_of_a_keyless_provider_takes_nothing_out():
    desk = Desk(connector("yahoo"), {"yahoo#1": ""}, [])
    ask(desk, KeyRejected("Invalid Crumb"))

    assert ask(desk) == "yahoo#1"


def test_a_plan_that_does_not_sell_an_endpoint_is_remembered_per_key_and_endpoint():
    desk = desk_of(2)
    ask(desk, NotEntitled("upgrade"), dataset="quote")
    assert desk.unsold == frozenset()

    assert {ask(desk, dataset="quote") for _ in range(3)} == {"polygon#2"}
    assert {ask(desk, dataset="bars") for _ in range(4)} == {"polygon#1", "polygon#2"}
    ask(desk, NotEntitled("upgrade"), dataset="quote")
    with pytest.raises(NoKey, match="no plan of polygon's keys sells its endpoint 'quote'"):
        desk.turn("quote", 1, NOON)
    assert desk.unsold == {"quote"}


def test_a_slice_that_is_not_sold_is_not_held_against_the_endpoint():
    desk = desk_of(1)
    ask(desk, NotEntitled("recent data", slice_only=True), dataset="bars")

    assert ask(desk, dataset="bars") == "polygon#1"


def test_without_keys_the_variable_to_set_is_named():
    with pytest.raises(NoKey, match="no key for polygon: set POLYGON_KEYS"):
        desk_of(0).turn("bars", 1, NOON)


def test_a_call_heavier_than_a_window_says_so():
    with pytest.raises(NoKey, match="a call of polygon costs 10 calls, more than 5/minute: raise POLYGON_LIMITS"):
        desk_of(1, [Window(5, "minute")]).turn("bars", 10, NOON)


def test_weights_are_spent():
    desk = desk_of(1, [Window(10, "day")])
    ask(desk, weight=7)

    assert desk.turn("bars", 3, NOON).wait_ms == 0
    assert desk.turn("bars", 4, NOON).wait_ms > 0


def test_a_provider_that_is_down_rests_whatever_its_keys_have_left():
    desk = desk_of(5, policy=Policy(failure_threshold=2, recovery_ms=9_000))
    for _ in range(2):
        ask(desk, ProviderUnavailable("HTTP 503"))

    assert desk.turn("bars", 1, NOON).wait_ms == 9_000
    probe = desk.begin(desk.turn("bars", 1, NOON + 9_000).label, 1, NOON + 9_000)
    assert desk.turn("bars", 1, NOON + 9_000).wait_ms == 1_000
    desk.end(probe, "bars", None, NOON + 9_500)
    assert desk.turn("bars", 1, NOON + 9_500).wait_ms == 0


def test_an_abandoned_probe_holds_nobody_up():
    desk = desk_of(1, policy=Policy(failure_threshold=1, recovery_ms=1_000))
    ask(desk, ProviderUnavailable("HTTP 503"))
    desk.abandon(desk.begin("polygon#1", 1, NOON + 1_000))

    assert desk.turn("bars", 1, NOON + 1_000).wait_ms == 0


@pytest.mark.parametrize("name", sorted({*REFUSALS} - {"KeyRejected", "NotEntitled", "RateLimited", "QuotaExhausted"}))
def test_other_refusals_leave_the_key_in_use(name):
    desk = desk_of(1)
    ask(desk, REFUSALS[name]("no"))

    assert replace(desk.usage["polygon#1"], recent=(), counted=()) == KeyUsage()


def test_a_clock_that_steps_back_holds_a_key_up_for_one_window_at_most():
    desk = desk_of(1, [Window(1, "minute")])
    ask(desk, now=NOON)

    assert desk.turn("bars", 1, NOON - 3_600_000).wait_ms == 60_000
    assert desk.turn("bars", 1, NOON - 3_540_000).wait_ms == 0


def test_an_earlier_lifes_calls_count_in_the_windows_that_still_run():
    windows = (Window(5, "minute"), Window(100, "day"))
    fresh, again = desk_of(1, windows), desk_of(1, windows)
    for second in range(5):
        fresh.begin(fresh.turn("bars", 1, NOON + second).label, 1, NOON + second)
        again.replay("polygon#1", 1, "records", None, NOON + second)

    assert again.turn("bars", 1, NOON + 10).wait_ms == fresh.turn("bars", 1, NOON + 10).wait_ms > 0
    assert again.horizon(NOON) == min(NOON - 60_000, window_end(windows[1], NOON) - 86_400_000)


def test_an_earlier_lifes_refusal_still_rests_the_key():
    desk = desk_of(1)
    desk.replay("polygon#1", 1, "RateLimited", 90.0, NOON)
    desk.replay("polygon#9", 1, "records", None, NOON)

    assert desk.turn("bars", 1, NOON + 10_000).wait_ms == 80_000
