"""Plans are made with what the keys still allow: by the desks of this worker, and by the store for those of others."""

import pytest
from pydantic import SecretStr

from agents.collecting.run_planner import RunPlanner, availability, patiently
from agents.polling.key_pool import open_key_pools
from infra.clickhouse import StoreUnavailable, log_table
from infra.settings import Settings
from streams.collecting.model import Collector, Universe, Wanted

NOON = 1_717_416_000_000  # Monday 2024-06-03
SYMBOLS = ("AAPL", "IBM", "MSFT", "NVDA")
PRICES = Collector(
    name="prices",
    datasets=(Wanted(dataset="bars", interval="1d"),),
    universe=Universe(symbols=SYMBOLS),
    priority=1,
    providers=("finnhub", "fmp"),
)
VALUES = {"FINNHUB_KEYS": "one", "FINNHUB_LIMITS": "4/day", "FMP_KEYS": "two", "FMP_LIMITS": "4/day"}


@pytest.fixture
def settings():
    return Settings(provider_values={name: SecretStr(value) for name, value in VALUES.items()})


async def shares(planning):
    plan = await planning.plan(PRICES, {"equity": SYMBOLS}, "incremental", NOON, NOON)
    return plan.calls


def call(number, **differing):
    return {
        **{"call_id": f"c{number}", "request_id": "r", "provider": "finnhub", "key_label": "finnhub#1"},
        **{"endpoint": "stock_daily", "dataset": "bars", "asset_class": "equity", "symbols": [], "outcome": "records"},
        **{"started_at": NOON - 1000 - number, "ended_at": NOON - 500, "latency_ms": 1.0, "bytes": 1},
        **{"cost_calls": 1.0, "cost_usd": 0.0},
        **differing,
    }


async def remember(store, *calls):
    await store.insert(log_table("api_calls"), {name: [row[name] for row in calls] for name in calls[0]})


async def test_what_a_desk_has_spent_others_serve(store, settings):
    pools = open_key_pools(settings)
    planning = RunPlanner(store, settings, pools, lambda: ["finnhub", "fmp"])
    assert await shares(planning) == {"finnhub": 2, "fmp": 2}

    for number in range(4):
        pools["finnhub"].begin("finnhub#1", f"c{number}", "stock_daily", 1, NOON - 1000)

    assert await shares(planning) == {"fmp": 4}


async def test_what_the_keys_of_another_worker_have_spent_the_store_tells(store, settings):
    planning = RunPlanner(store, settings, open_key_pools(settings), lambda: ["fmp"])
    assert await shares(planning) == {"finnhub": 2, "fmp": 2}

    await remember(store, *(call(number) for number in range(4)))

    assert await shares(planning) == {"fmp": 4}


async def test_what_another_worker_s_key_is_not_sold_is_not_asked_of_it(store, settings):
    planning = RunPlanner(store, settings, open_key_pools(settings), lambda: ["fmp"])
    await remember(store, call(1, outcome="NotEntitled", scope='{"endpoint":"stock_daily"}'))

    assert await shares(planning) == {"fmp": 4}


async def test_a_supply_is_what_is_left_of_a_desk(settings):
    paid = {"FMP_BUDGET": "1.5", "FMP_PRICE": "0.5", "FMP_KEYS": "two"}
    pool = open_key_pools(Settings(provider_values={name: SecretStr(value) for name, value in paid.items()}))["fmp"]
    pool.begin("fmp#1", "c", "daily_split", 1, NOON)

    found = availability(pool, NOON)

    assert (found.usd_left, found.price, set(found.usages)) == (1.0, 0.5, {"fmp#1"})
    assert availability(open_key_pools(settings)["finnhub"], NOON).usd_left is None


async def test_a_store_that_is_away_is_waited_for():
    answers = iter([StoreUnavailable("away"), "found"])

    async def ask():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await patiently(ask) == "found"
