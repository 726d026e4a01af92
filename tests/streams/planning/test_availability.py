"""What is left of each provider's keys and money, after the calls that the store knows of."""

from pathlib import Path

import pytest

from infra import settings
from infra.clickhouse.queries import CallCost, RefusedCall, calls_sql, refused_sql
from streams.accounts.entitlement import REMEMBERED_MS
from streams.accounts.quota import used
from streams.planning.availability import availabilities, horizons

NOON = 1_717_416_000_000  # 2024-06-03 12:00 UTC
SECOND, HOUR, DAY = 1_000, 3_600_000, 86_400_000
KEYS = {"POLYGON_KEYS": "a,b", "BRIGHTDATA_KEYS": "z:t", "FMP_KEYS": "c"}
EVERY = ("brightdata", "finnhub", "fmp", "polygon", "yahoo")


def given(**more):
    return settings.load(Path("none"), {**KEYS, **more})


def call(call_id, provider, ago, **differing):
    return {
        **{"call_id": call_id, "request_id": "r", "provider": provider, "key_label": f"{provider}#1", "endpoint": "e"},
        **{"dataset": "bars", "asset_class": "equity", "symbols": ["AAPL"], "started_at": NOON - ago},
        **{"ended_at": NOON - ago, "latency_ms": 1.0, "status": 200, "outcome": "records", "cost_calls": 1.0},
        **{"cost_usd": 0.0, "bytes": 9, "scope": "", "error": ""},
        **differing,
    }


async def stored(store, *calls):
    await store.insert("api_calls_log", {name: [call[name] for call in calls] for name in calls[0]})


async def look(store, found):
    calls = [CallCost(*row) for row in (await store.query(calls_sql(horizons(found, EVERY, NOON)))).rows]
    refused = [RefusedCall(*row) for row in (await store.query(refused_sql(NOON - REMEMBERED_MS))).rows]
    return {one.connector.name: one for one in availabilities(found, EVERY, calls, refused, NOON)}


async def test_calls_of_windows_that_still_run_count_for_their_key(store):
    await stored(
        store,
        call("1", "polygon", 10 * SECOND),
        call("2", "polygon", 20 * SECOND, cost_calls=2.0),
        call("3", "polygon", 70 * SECOND),
        call("4", "fmp", 11 * HOUR),
        call("5", "fmp", 13 * HOUR),
        call("6", "alpaca", SECOND),
    )
    found = await look(store, given())

    polygon, fmp = found["polygon"], found["fmp"]
    assert [used(usage, polygon.windows[0], NOON) for usage in polygon.usages.values()] == [3, 0]
    assert [used(usage, fmp.windows[0], NOON) for usage in fmp.usages.values()] == [1]


async def test_providers_without_a_key_have_no_usages_and_keyless_ones_have_one(store):
    found = await look(store, given())

    assert {name: len(one.usages) for name, one in found.items()} == {
        "brightdata": 1,
        "finnhub": 0,
        "fmp": 1,
        "polygon": 2,
        "yahoo": 1,
    }


async def test_refusals_of_a_day_say_what_a_plan_does_not_sell(store):
    def refused(call_id, provider, ago, scope, **more):
        return call(call_id, provider, ago, **{"outcome": "NotEntitled", "scope": scope, "error": "no", **more})

    await stored(
        store,
        refused("1", "polygon", HOUR, '{"endpoint":"grouped_daily"}'),
        refused("2", "polygon", HOUR, '{"endpoint":"aggregates","older_ms":1}', outcome="records"),
        refused("3", "polygon", HOUR, '{"endpoint":"snapshots"}', key_label="polygon#2"),
        refused("4", "fmp", 25 * HOUR, '{"endpoint":"quote"}'),
        call("5", "fmp", HOUR),
    )
    found = await look(store, given())

    scopes = {label: [str(known.covers) for known in kept] for label, kept in found["polygon"].refusals.items()}
    assert scopes == {
        "polygon#1": ["grouped_daily", "aggregates: ranges that begin 0.001 s ago or earlier"],
        "polygon#2": ["snapshots"],
    }
    assert {known.outcome for known in found["polygon"].refusals["polygon#1"]} == {"NotEntitled"}
    assert found["fmp"].refusals == {}


async def test_money_spent_today_is_left_out_of_the_budget(store):
    await stored(store, call("1", "brightdata", HOUR, cost_usd=0.5), call("2", "brightdata", DAY, cost_usd=3.0))

    assert (await look(store, given()))["brightdata"].usd_left == pytest.approx(5.0)
    assert (await look(store, given(BRIGHTDATA_BUDGET="none")))["brightdata"].usd_left is None
    assert (await look(store, given(BRIGHTDATA_BUDGET="0.2")))["brightdata"].usd_left == 0


def test_settings_give_limits_and_prices():
    (found,) = availabilities(given(POLYGON_LIMITS="300/minute", POLYGON_PRICE="0.01"), ["polygon"], (), (), NOON)

    assert ([window.calls for window in found.windows], found.price) == ([300], 0.01)
