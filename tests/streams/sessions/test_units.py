"""What a session asks: its units are the same whenever it is laid out, fit one call each, and keep within quotas."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import connector
from streams.errors import InvalidSpec
from streams.sessions.spec import HOUR_MS, MINUTE_MS, PRESETS, SessionAsset, Spec, preset
from streams.sessions.units import LONGEST_MS, ORDER, SHORTEST_MS, check, cost, interval_ms, once, quotes

NOW = 1_717_419_600_000
PRODUCTION = preset("production", "p")
ASSETS = st.lists(st.sampled_from(PRODUCTION.symbols), unique=True, min_size=1).map(tuple)
SOURCES = st.sampled_from(PRODUCTION.sources)


def spec(**changes):
    found = {"symbols": (SessionAsset("AAPL"),), "sources": ("yahoo",), "datasets": ("bars",), **changes}
    return Spec(id="s", mode="custom", duration_ms=HOUR_MS, **found)


def told(limits, *, budget=None, keys=1, used=0.0, resets_ms=0):
    """What a worker tells of a provider whose keys have these limits."""
    key = {"health": "healthy", "used": dict.fromkeys(limits, used), "resets_ms": dict.fromkeys(limits, resets_ms)}
    return {"keys": [key] * keys, "budget": budget}


@given(SOURCES, ASSETS, st.integers(0, 6 * HOUR_MS), st.sets(st.sampled_from(ORDER), min_size=1))
def test_a_session_is_laid_out_the_same_later_on_the_day_and_whatever_the_order(source, assets, later, datasets):
    units = once(source, assets, datasets, NOW)

    assert once(source, assets, list(datasets)[::-1], NOW + later) == units
    assert len({unit.id for unit in units}) == len(units)
    assert {unit.call.dataset for unit in units} <= datasets
    places = [ORDER.index(unit.call.dataset) for unit in units]
    assert places == sorted(places)


@given(SOURCES, ASSETS)
def test_every_unit_is_one_call_that_its_source_can_be_asked(source, assets):
    for unit in once(source, assets, ORDER, NOW):
        assert connector(source).split(unit.call) == [unit.call]
        assert connector(source).request(unit.call).endpoint


@given(SOURCES, ASSETS, st.integers(1, 10_000))
def test_cycles_are_told_apart_by_their_minute_and_from_what_is_asked_once(source, assets, minutes):
    first = [unit.id for unit in quotes(source, assets, NOW)]
    second = [unit.id for unit in quotes(source, assets, NOW + minutes * MINUTE_MS)]

    assert len(first) == len(second)
    assert not {*first} & {*second}
    assert not {*first} & {unit.id for unit in once(source, assets, ["quote"], NOW)}


def test_symbols_share_a_call_where_the_source_takes_several():
    shares = [SessionAsset(symbol) for symbol in ("AAPL", "MSFT", "IBM")]

    assert [unit.call.symbols for unit in quotes("alpaca", shares, NOW)] == [("AAPL", "MSFT", "IBM")]
    assert len(quotes("finnhub", shares, NOW)) == 3


def test_what_a_source_does_not_sell_or_spell_is_left_out():
    assert once("alpaca", [SessionAsset("GC", "commodity")], ORDER, NOW) == []
    assert once("polygon", [SessionAsset("AAPL")], ["recommendations"], NOW) == []


@pytest.mark.parametrize("mode", PRESETS)
def test_ready_made_sessions_ask_for_what_there_is(mode):
    found = preset(mode, "s")

    check(found)
    assert all(once(source, found.symbols, found.datasets, NOW) for source in found.sources)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"sources": ("nobody",)}, "unknown source 'nobody'; known: alpaca"),
        ({"datasets": ("assets",)}, "unknown dataset 'assets'; known: bars"),
        ({"symbols": (SessionAsset("AAPL", "share"),)}, "unknown asset class 'share'; known: equity"),
    ],
)
def test_what_there_is_not_is_named(changes, line):
    with pytest.raises(InvalidSpec, match=line):
        check(spec(**changes))


# -- how often -------------------------------------------------------------------------------------------------------


@given(
    per_minute=st.integers(1, 500),
    per_day=st.integers(1, 100_000),
    used=st.floats(0, 400),
    keys=st.integers(1, 3),
    weight=st.integers(1, 200),
    remaining=st.integers(MINUTE_MS, 24 * HOUR_MS),
    resets=st.integers(0, 24 * HOUR_MS),
)
def test_cycles_never_take_more_than_the_quotas_leave(per_minute, per_day, used, keys, weight, remaining, resets):
    limits = {f"{per_minute}/minute": 0.0, f"{per_day}/day": used}
    key = {"health": "healthy", "used": limits, "resets_ms": dict.fromkeys(limits, resets)}

    found = interval_ms({"keys": [key] * keys, "budget": None}, weight, 0, remaining)

    by_minute = per_minute * max(1, remaining / MINUTE_MS)
    by_day = max(0, per_day - used) + (per_day if remaining > resets else 0)
    room = keys * min(by_minute, by_day)
    if found is None:
        assert room < weight
    else:
        assert SHORTEST_MS <= found <= LONGEST_MS
        assert found == LONGEST_MS or math.floor(remaining / found) * weight <= room * 1.001


def test_a_day_s_quota_lasts_for_the_time_that_is_left():
    assert interval_ms(told(["480/day"], resets_ms=20 * HOUR_MS), 10, 0, 8 * HOUR_MS) == 10 * MINUTE_MS
    assert interval_ms(told(["480/day"], resets_ms=20 * HOUR_MS, keys=2), 10, 0, 8 * HOUR_MS) == 5 * MINUTE_MS
    assert interval_ms(told(["480/day"], resets_ms=20 * HOUR_MS, used=471.0), 10, 0, 8 * HOUR_MS) is None


def test_money_bounds_the_cycles_too():
    money = {"left_usd": 0.48, "limit_usd": 5.5, "resets_ms": 20 * HOUR_MS}

    assert interval_ms(told([], budget=money), 10, 0.01, 8 * HOUR_MS) == 10 * MINUTE_MS
    assert interval_ms(told([], budget={**money, "left_usd": 0.009}), 10, 0.01, 8 * HOUR_MS) is None


def test_without_any_limit_the_shortest_interval_is_taken_and_a_rejected_key_gives_nothing():
    rejected = told(["60/minute"])
    rejected["keys"][0]["health"] = "rejected"

    assert interval_ms(told([]), 10, 0, HOUR_MS) == SHORTEST_MS
    assert interval_ms(rejected, 10, 0, HOUR_MS) is None


def test_a_cycle_costs_what_its_endpoints_declare():
    shares = [SessionAsset(symbol) for symbol in ("AAPL", "MSFT", "IBM")]

    assert cost(quotes("eodhd", shares, NOW)) == (3, 0)
    assert cost(quotes("brightdata", shares, NOW)) == (3, pytest.approx(0.0045))
