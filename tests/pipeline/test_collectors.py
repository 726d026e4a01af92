"""Collectors, schedules and the universe on the whole pipeline: one worker, the real broker and store, the sandbox."""

import asyncio
import time

import pytest
from click.testing import CliRunner

from sandbox import Fault
from streams.__main__ import main
from streams.messaging import topics
from streams.messaging.follow import follow, tail
from streams.messaging.messages import CollectorRun, CollectRequest, new_id
from streams.messaging.producer import Outbox
from tests.waiting import LIMIT_S, until

pytestmark = pytest.mark.pipeline

QUICK = {"SCHEDULES": "off", "RETRIES": "0", "FINNHUB_BREAKER": "1000/1", "SINK_BATCH_AGE_S": "0.1"}
DECLARED = """
[collectors.listed]
datasets = ["assets"]
universe = { asset_classes = ["equity"] }
refresh = "full"

[collectors.prices]
depends_on = ["listed"]
datasets = [{ dataset = "bars", interval = "1d", history = "30d" }]
universe = { symbols = ["AAPL", "IBM"] }
providers = ["finnhub"]
retry = { attempts = 1 }

[collectors.ticking]
datasets = ["quote"]
universe = { symbols = ["AAPL"] }
schedules.always = { cron = "* * * * *", zone = "UTC" }

[collectors.after]
depends_on = ["prices"]
datasets = ["profile"]
universe = { symbols = ["AAPL"] }
"""


@pytest.fixture(autouse=True)
def declared(tmp_path, monkeypatch):
    """The worker inherits this working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tapestream.toml").write_text(DECLARED)


async def collect(pipeline, *names, **differing):
    """Ask for runs at once, and give their reports in the order of `names`."""
    now = round(time.time() * 1000)
    asked = [
        CollectRequest(run_id=new_id(), collector=name, cause="command", due_at=now, asked_at=now).model_copy(
            update=differing
        )
        for name in names
    ]
    async with asyncio.timeout(LIMIT_S), tail(pipeline.bootstrap, topics.COLLECT_DONE) as consumer:
        await post(pipeline.bootstrap, asked)
        found = {}
        async for record in follow(consumer, pipeline.bootstrap):
            run = CollectorRun.decode(record.value)
            found[run.run_id] = run
            if {request.run_id for request in asked} <= found.keys():
                break
    return [found[request.run_id] for request in asked]


async def post(bootstrap, requests):
    outbox = Outbox(bootstrap)
    await outbox.start()
    try:
        for request in requests:
            await outbox.send(topics.COLLECT_REQUESTS, request.encode(), key=request.collector, partition=0)
    finally:
        await outbox.stop()


def calls(pipeline, provider):
    return sum(key["received"] for key in pipeline.sandbox.calls().get(provider, {}).values())


def command(pipeline, *arguments):
    names = ("KAFKA_URL", "CLICKHOUSE_URL", "DATA_DIR", "WEB_PORT", "WEB_TOKEN")
    environment = {name: pipeline.environment[name] for name in names}
    return CliRunner().invoke(main, arguments, env={**environment, "TAPESTREAM_ENV": "none.env"})


async def test_a_chain_runs_repeats_nothing_and_follows_the_universe(
    start_pipeline, embedded_broker, tmp_path, declared
):
    async with start_pipeline(embedded_broker, tmp_path, **QUICK) as pipeline:
        after, prices = await collect(pipeline, "after", "prices")

        assert (prices.state, prices.units, prices.calls) == ("done", 2, 2)
        assert prices.started_at >= await pipeline.value(
            "SELECT toUnixTimestamp64Milli(max(ended_at)) FROM collector_runs WHERE collector = 'listed'"
        )
        assert after.state == "done"
        assert after.started_at >= prices.ended_at
        assert await pipeline.value("SELECT count() FROM universe WHERE asset_class = 'equity'") > 400
        listing = await pipeline.rows("SELECT arrayJoin(sources) FROM universe WHERE symbol = 'AAPL' ORDER BY 1")
        assert [name for (name,) in listing] == ["alpaca", "alphavantage", "eodhd", "finnhub", "fmp", "polygon"]
        bars = await pipeline.value("SELECT count() FROM daily_bars")
        assert bars == prices.records > 2 * 15
        assert await pipeline.value("SELECT uniq(symbol) FROM daily_bars") == 2
        assert calls(pipeline, "finnhub") >= 2

        before = calls(pipeline, "finnhub")
        (again,) = await collect(pipeline, "prices")
        assert (again.state, again.reason, again.calls) == ("done", "nothing was missing", 0)
        assert calls(pipeline, "finnhub") == before

        told = await asyncio.to_thread(command, pipeline, "symbols", "add", "MSFT")
        assert told.output == "added MSFT (equity): holds from the next run on\n"
        await asyncio.to_thread(command, pipeline, "symbols", "remove", "IBM")
        (grown,) = await collect(pipeline, "prices", refresh="full")
        assert (grown.state, grown.units) == ("done", 2)
        asked = await pipeline.rows(
            f"SELECT DISTINCT arrayJoin(symbols) FROM polls WHERE startsWith(job_id, '{grown.run_id}') ORDER BY 1"
        )
        assert asked == [("AAPL",), ("MSFT",)]

        pipeline.sandbox.misbehave(Fault("status", provider="finnhub"))
        failed, skipped = await collect(pipeline, "prices", "after", refresh="full")
        assert (failed.state, failed.errors) == ("failed", {"ProviderUnavailable": 2})
        assert (skipped.state, skipped.reason) == ("skipped", "after depends on prices, which failed")

        shown = await asyncio.to_thread(command, pipeline, "collect", "--json")
        assert '"collector":"prices"' in shown.output
        one = await asyncio.to_thread(command, pipeline, "collect", "nothing")
        assert (one.exit_code, "unknown collector 'nothing'" in one.output) == (1, True)


async def test_schedules_fire_by_themselves_where_they_are_declared(
    start_pipeline, embedded_broker, tmp_path, declared
):
    rate = 120  # a minute passes in half a second
    anchor = str(round(time.time() * 1000))
    async with start_pipeline(embedded_broker, tmp_path, CLOCK_RATE=str(rate), CLOCK_ANCHOR=anchor) as pipeline:

        async def three_runs():
            sql = "SELECT due_at, state FROM collector_runs WHERE cause = 'schedule:ticking/always' ORDER BY due_at"
            found = await pipeline.rows(sql)
            return found if len(found) >= 3 else None

        found = await until(three_runs, "three runs of the schedule")

    assert {state for _, state in found} == {"done"}
    assert len({due for due, _ in found}) == len(found)


@pytest.mark.kafka
async def test_when_the_leader_dies_the_next_one_ends_what_it_began(
    start_pipeline, another_worker, apache_kafka, clickhouse_server, tmp_path
):
    given = {**QUICK, "CLICKHOUSE_URL": clickhouse_server.url()}
    async with start_pipeline(apache_kafka, tmp_path, **given) as first:
        second = another_worker(first, tmp_path / "second")
        await collect(first, "listed")
        first.sandbox.misbehave(Fault("latency", delay_s=1.0))
        waiting = asyncio.create_task(collect(first, "prices"))
        await until(lambda: calls(first, "finnhub"), "a call of the first worker")
        await first.kill()
        first.sandbox.misbehave()
        await second.start()
        try:
            (run,) = await waiting
            assert run.state == "done"
            await second.settled()
            assert await second.value("SELECT uniq(symbol) FROM daily_bars") == 2
            assert await second.value("SELECT count() FROM collector_runs WHERE collector = 'prices'") == 1
        finally:
            await second.worker.stop(20)
