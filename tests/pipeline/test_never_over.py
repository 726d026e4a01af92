"""Quotas and money hold through kill -9, and through workers that come, go and die. The sandbox counts.

`TAPESTREAM_KILLS=30` kills as often as that.
"""

import asyncio
import os
import random
from collections import Counter

import pytest

from connectors import Call, connectors
from infra.clickhouse import Store
from sandbox import SandboxSettings
from sandbox.server.limits import Limit
from streams.client import Client, requests_for
from tests.waiting import LIMIT_S, until

pytestmark = pytest.mark.pipeline

KILLS = int(os.environ.get("TAPESTREAM_KILLS", "4"))
KEYS = {"polygon": 3, "finnhub": 2, "brightdata": 1}
PER_SECOND, PER_DAY = 6, 20 + 6 * KILLS
DOLLARS, BUDGET = 0.0015, 0.0015 * (10 + 2 * KILLS)
SYMBOLS = ("KO", "PEP", "MSFT", "AAPL", "IBM", "NVDA", "JPM", "XOM", "CVX", "DIS")


def key(provider, n):
    return f"never-over-{provider}-{n}" + (":secret-of-it" if connectors()[provider].auth.paired else "")


def sandbox_of(keys, *limits):
    """A sandbox whose keys hold to these limits; Bright Data's have none but money."""
    return SandboxSettings(
        keys={
            name: {
                key(name, n).partition(":")[0]: [] if name == "brightdata" else list(limits)
                for n in range(1, count + 1)
            }
            for name, count in keys.items()
        }
    )


def environment(keys, limits, **more):
    # what a killed worker sent counts until its time-out
    found = {"RETRIES": "2", "QUOTE_TTL_S": "0", "HTTP_TIMEOUT_S": "5", **more}
    for name, count in keys.items():
        found[f"{name.upper()}_KEYS"] = ",".join(key(name, n) for n in range(1, count + 1))
        found[f"{name.upper()}_LIMITS"] = "none" if name == "brightdata" else limits
    return found


def bulk(names, rounds):
    """One call for one provider each: quotes, which every provider sells."""
    calls = [Call(dataset="quote", symbols=(symbol,)) for symbol in SYMBOLS]
    return [(call, (name,)) for _ in range(rounds) for call in calls for name in names]


def received(sandbox, names):
    """Calls that reached the providers, by the key's label."""
    counted = sandbox.calls()
    return {label: counts["received"] for name in names for label, counts in counted.get(name, {}).items()}


def refused(sandbox, names):
    return sum(counts["refused"] for name in names for counts in sandbox.calls().get(name, {}).values())


@pytest.mark.timeout(300 + 40 * KILLS)
async def test_killed_at_random_the_worker_never_calls_more_than_it_counted(start_pipeline, embedded_broker, tmp_path):
    chance = random.Random(7)
    settings = sandbox_of(KEYS, Limit(PER_SECOND, "second"), Limit(PER_DAY, "day"))
    given = environment(KEYS, f"{PER_SECOND}/second,{PER_DAY}/day", BRIGHTDATA_BUDGET=f"{BUDGET:.4f}")
    async with start_pipeline(embedded_broker, tmp_path, settings, **given) as pipeline:
        sandbox = pipeline.sandbox
        async with Client(pipeline.bootstrap) as client:
            job = asyncio.ensure_future(client.run(requests_for(bulk(KEYS, 15 + 2 * KILLS))))
            for _ in range(KILLS):
                target = sum(received(sandbox, KEYS).values()) + chance.randrange(1, 25)
                await until(lambda target=target: sum(received(sandbox, KEYS).values()) >= target, f"{target} calls")
                await pipeline.kill()
                await pipeline.start()

            async def days_are_spent():
                recorded, _ = await counted(pipeline.rows)
                return min(recorded[label] for label in recorded if "brightdata" not in label) >= PER_DAY

            await until(days_are_spent, "the day of each key to be spent", limit_s=LIMIT_S + 20 * KILLS)
            job.cancel()
        await pipeline.settled()
        recorded, spent = await counted(pipeline.rows)

    arrived = received(sandbox, KEYS)
    assert arrived.keys() <= recorded.keys()
    assert {label: count for label, count in arrived.items() if count > recorded[label]} == {}
    assert refused(sandbox, KEYS) == 0
    assert arrived["brightdata#1"] * DOLLARS - 1e-9 <= spent <= BUDGET + 1e-9
    # nothing more than what was under way at a kill is lost of a day
    assert sum(recorded.values()) - sum(arrived.values()) <= KILLS * 8 * len(KEYS)


async def counted(rows):
    calls = await rows("SELECT key_label, count() FROM api_calls GROUP BY key_label")
    spent = await rows("SELECT sum(cost_usd) FROM api_calls")
    return {label: int(count) for label, count in calls}, float(spent[0][0])


@pytest.mark.kafka
@pytest.mark.timeout(280)
async def test_each_provider_is_called_by_one_worker_at_a_time_through_joins_leaves_and_kills(
    start_pipeline, another_worker, apache_kafka, clickhouse_server, tmp_path
):
    names = sorted(connectors().keys() - {"yahoo", "brightdata"})  # no key of ours to limit; no limit but money
    keys = dict.fromkeys(names, 1)
    settings = sandbox_of(keys, Limit(3, "second"))
    given = environment(keys, "3/second", CLICKHOUSE_URL=clickhouse_server.url())
    async with start_pipeline(apache_kafka, tmp_path, settings, **given) as first:
        sandbox, second = first.sandbox, another_worker(first, tmp_path / "second")
        third = another_worker(first, tmp_path / "third")
        async with Client(first.bootstrap) as client:
            job = asyncio.ensure_future(client.run(requests_for(bulk(names, 60))))
            await more_calls(sandbox, names)
            await second.start()  # joins
            await more_calls(sandbox, names)
            await first.kill()  # dies
            await more_calls(sandbox, names)
            await third.start()  # joins
            await more_calls(sandbox, names)
            assert await second.worker.stop(20) == 0  # leaves
            await more_calls(sandbox, names)
            job.cancel()
        await third.worker.stop(20)
        calls = await everything_told(clickhouse_server.url(), sandbox, names)

    assert len({worker for _, worker, *_ in calls}) == 3
    assert overlaps(calls) == []
    assert refused(sandbox, names) == 0


async def everything_told(url, sandbox, names):
    """Every call as the store has it, once it has as many of each key as reached the providers."""
    sql = (
        "SELECT provider, worker, toUnixTimestamp64Milli(started_at), toUnixTimestamp64Milli(ended_at), outcome, "
        "key_label FROM api_calls ORDER BY started_at"
    )
    async with await Store.open(url) as store:
        calls = (await store.query(sql)).rows
        recorded = Counter(label for *_, label in calls)
        assert {label: n for label, n in received(sandbox, names).items() if n > recorded[label]} == {}
        return calls


async def more_calls(sandbox, names):
    """Every provider was called some more."""
    before = {name: sum(received(sandbox, [name]).values()) for name in names}
    for name in names:
        enough = before[name] + 4
        await until(
            lambda name=name, enough=enough: sum(received(sandbox, [name]).values()) >= enough,
            f"call {enough} of {name}; all are {received(sandbox, names)}",
        )


def overlaps(calls):
    """Pairs of calls of one provider that two workers had under way at once."""
    found, latest = [], {}
    for provider, worker, started, ended, outcome, _ in calls:
        for other, end in latest.get(provider, {}).items():
            if other != worker and end > started:
                found.append((provider, other, worker, started - end))
        if outcome != "Reserved":
            ends = latest.setdefault(provider, {})
            ends[worker] = max(ended, ends.get(worker, 0))
    return found
