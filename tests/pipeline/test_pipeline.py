"""From a request to the store: what the providers hold is what an analyst reads."""

import asyncio
import csv
import gzip
import io
import signal
from datetime import UTC, datetime
from importlib.resources import files

import pytest

from connectors import Call
from infra.clickhouse import Store, migrate
from sandbox import Fault
from streams.client import Client, requests_for, subscribe
from tests.waiting import ending, until

pytestmark = [pytest.mark.pipeline, pytest.mark.asyncio(loop_scope="module")]

ROUNDING = 0.000051  # Polygon gives four decimals
PROVIDERS = ("polygon", "yahoo")
SHARES = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
SPLITS_SINCE = {"AAPL": [("2000-06-21", 2), ("2005-02-28", 2), ("2014-06-09", 7), ("2020-08-31", 4)], "IBM": []}


def ms(day):
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


def daily(symbol, start="2000-01-01", end="2013-03-02"):
    return Call(dataset="bars", symbols=(symbol,), interval="1d", start=ms(start), end=ms(end))


def source(symbol):
    """The recorded daily bars of a share: date -> (close, volume), as traded."""
    packed = (files("bokeh_sampledata") / "_data" / "stocks.csv.gz").read_bytes()
    rows = csv.DictReader(io.StringIO(gzip.decompress(packed).decode()))
    return {row["Date"]: (float(row["Close"]), float(row["Volume"])) for row in rows if row["Ticker"] == symbol}


def divisor(symbol, day):
    found = 1
    for date, ratio in SPLITS_SINCE[symbol]:
        found *= ratio if day < date else 1
    return found


def every_daily_history():
    return [(daily(symbol), (provider,)) for provider in PROVIDERS for symbol in SHARES]


def brought_by(job):
    """The condition that a row is of this job: a pipeline that is shared holds those of others, too."""
    return f"startsWith(request_id, '{job.job_id}')"


async def letters_of(pipeline):
    counted = "SELECT provider, rule, count(), any(reason) FROM dead_letters GROUP BY ALL ORDER BY ALL"
    return await pipeline.rows(counted)


async def daily_counts(pipeline):
    rows = await pipeline.rows("SELECT source, symbol, count() FROM daily_bars GROUP BY source, symbol")
    return {(provider, symbol): int(count) for provider, symbol, count in rows}


async def test_daily_history_equals_its_source(pipeline):
    expected = {(provider, symbol): len(source(symbol)) for provider in PROVIDERS for symbol in SHARES}
    letters = await letters_of(pipeline)

    job = await pipeline.poll(*every_daily_history())

    assert job.failures == []
    assert await daily_counts(pipeline) == expected
    for symbol in SPLITS_SINCE:
        truth = source(symbol)
        rows = await pipeline.rows(
            f"SELECT source, toString(toDate(ts)), close FROM daily_bars WHERE symbol = '{symbol}'"
        )
        for provider, day, close in rows:
            adjusted = truth[day][0] / divisor(symbol, day)
            assert close == pytest.approx(adjusted, abs=ROUNDING), (provider, symbol, day)
    assert await letters_of(pipeline) == letters

    await pipeline.poll(*every_daily_history())

    assert await daily_counts(pipeline) == expected


async def test_every_dataset_arrives_with_its_account_of_calls(pipeline):
    now = datetime.now(UTC).timestamp() * 1000
    week = {"start": int(now - 7 * 86_400_000), "end": int(now)}
    calls = [
        Call(dataset="bars", symbols=("AAPL",), interval="5m", **week),
        Call(dataset="bars", symbols=("AAPL",), interval="1h", **week),
        Call(dataset="actions", symbols=("AAPL",)),
        Call(dataset="quote", symbols=("AAPL", "MSFT")),
        Call(dataset="quote", symbols=("BTC-USD",), asset_class="crypto"),
    ]

    job = await pipeline.poll(*((call, (name,)) for name in PROVIDERS for call in calls))

    assert job.failures == []
    for name in PROVIDERS:
        which = f"source = '{name}' AND {brought_by(job)}"
        intervals = await pipeline.rows(f"SELECT DISTINCT interval FROM bars WHERE {which} ORDER BY 1")
        assert intervals == [("1h",), ("5m",)]
        kinds = await pipeline.rows(f"SELECT DISTINCT kind FROM actions WHERE {which} ORDER BY 1")
        assert kinds == [("dividend",), ("split",)]
        quoted = await pipeline.rows(f"SELECT symbol FROM latest_quotes WHERE {which} ORDER BY 1")
        assert quoted == [("AAPL",), ("BTC-USD",), ("MSFT",)]
    received = sum(key["received"] for keys in pipeline.sandbox.calls().values() for key in keys.values())
    stored = await pipeline.value("SELECT count() FROM api_calls")
    assert 0 < stored <= received  # a session's own steps (cookie, crumb) are no calls of ours
    assert await pipeline.value("SELECT count() FROM raw_responses") == stored


async def test_bad_rows_go_to_the_dead_letters_and_good_ones_go_on(pipeline_shared):
    pipeline = pipeline_shared
    pipeline.sandbox.misbehave(Fault("high_below_low", provider="polygon"))

    job = await pipeline.poll((daily("IBM", "2012-01-01"), ("polygon",)))

    whole = sum(day >= "2012-01-01" for day in source("IBM"))
    bad = sum(report.rejects for report in job.done.values())
    assert bad > 0
    assert await pipeline.value(f"SELECT count() FROM daily_bars WHERE {brought_by(job)}") == whole - bad
    letters = f"SELECT DISTINCT rule, provider, symbol, raw_topic FROM dead_letters WHERE {brought_by(job)}"
    assert await pipeline.rows(letters) == [("low_above_high", "polygon", "IBM", "raw.responses")]


async def test_a_provider_that_fails_is_passed_over(pipeline_shared):
    pipeline = pipeline_shared
    pipeline.sandbox.misbehave(Fault("broken_json", provider="polygon"))

    job = await pipeline.poll((daily("IBM", "2012-01-01"), PROVIDERS))

    outcomes = [(report.provider, report.outcome) for report in job.done.values()]
    assert outcomes == [("polygon", "MalformedPayload"), ("yahoo", "records")]
    assert await pipeline.rows(f"SELECT DISTINCT source FROM daily_bars WHERE {brought_by(job)}") == [("yahoo",)]
    letters = await pipeline.rows(f"SELECT stage, rule FROM dead_letters WHERE {brought_by(job)}")
    assert letters == [("normalize", "MalformedPayload")]


@pytest.mark.kafka
async def test_kill_9_in_the_middle_loses_nothing(pipeline_on_apache):
    pipeline = pipeline_on_apache
    pipeline.sandbox.misbehave(Fault("latency", delay_s=0.2))  # long enough to be killed in the middle
    expected = {(provider, symbol): len(source(symbol)) for provider in PROVIDERS for symbol in SHARES}
    killed = 0

    async with Client(pipeline.bootstrap) as client:
        running = asyncio.ensure_future(client.run(requests_for(every_daily_history())))
        for calls in (2, 6):
            enough = calls + killed
            await until(lambda enough=enough: _received(pipeline.sandbox) >= enough, f"{enough} calls")
            await pipeline.kill()
            killed += 1
            await pipeline.start()
        await ending(running, "the job")
    await pipeline.settled()

    # what the first lives of the worker produced is told by the group's offsets, not by this worker's memory
    async def all_is_stored():
        return await daily_counts(pipeline) == expected

    await until(all_is_stored, "all bars in the store")


async def test_a_stop_leaves_everything_received_in_the_store(pipeline_embedded):
    pipeline = pipeline_embedded
    async with Client(pipeline.bootstrap) as client:
        running = asyncio.ensure_future(client.run(requests_for(every_daily_history() * 4)))
        await until(lambda: _received(pipeline.sandbox) >= 12, "twelve calls")
        pipeline.worker._process.send_signal(signal.SIGTERM)
        code = await ending(pipeline.worker.wait(), "the worker")
        running.cancel()

    assert code == 0
    received = _received(pipeline.sandbox)
    await pipeline.start()
    assert await pipeline.value("SELECT count() FROM raw_responses") == received
    answered = await pipeline.rows("SELECT DISTINCT provider, symbols[1] FROM raw_responses ORDER BY ALL")
    assert answered == await pipeline.rows("SELECT DISTINCT source, symbol FROM daily_bars ORDER BY ALL")


async def test_a_sink_that_cannot_go_on_ends_the_worker_with_one_clear_line(start_pipeline, embedded_broker, tmp_path):
    async with await Store.open(f"chdb://{tmp_path}/store") as store:
        await migrate(store)
        await store.execute("RENAME TABLE bars_log TO somewhere_else")

    async with start_pipeline(embedded_broker, tmp_path) as pipeline, Client(pipeline.bootstrap) as client:
        await client.run(requests_for([(daily("IBM", "2013-01-01"), ("polygon",))]))
        code = await ending(pipeline.worker.wait(), "the worker")

    assert code == 1
    assert "the sink failed" in (tmp_path / "worker.log").read_text().splitlines()[-1]


async def test_a_restart_gives_no_second_quota(pipeline_embedded):
    pipeline = pipeline_embedded
    await pipeline.poll((daily("IBM"), ("polygon",)), (daily("AAPL"), ("polygon",)))
    await pipeline.worker.stop(15)

    pipeline.environment["POLYGON_LIMITS"] = "2/day"
    await pipeline.start()
    job = await pipeline.poll((daily("MSFT"), PROVIDERS))

    outcomes = [(report.provider, report.outcome) for report in job.done.values()]
    assert outcomes == [("polygon", "QuotaExhausted"), ("yahoo", "records")]


async def test_a_strategy_sees_single_bars(pipeline_shared):
    pipeline = pipeline_shared
    seen = []
    expected = [ms(day) for day in source("IBM")]

    async def strategy(job):
        async for bar in subscribe(f"kafka://{pipeline.bootstrap}", "bars", symbols={"IBM"}, history=True):
            assert bar.symbol == "IBM"
            if bar.request_id.startswith(job.job_id):
                seen.append(bar)
            if len(seen) == len(expected):
                return

    job = await pipeline.poll((daily("IBM"), ("polygon",)), (daily("AAPL"), ("polygon",)))
    await ending(strategy(job), "the strategy")

    assert [bar.ts for bar in seen] == expected


def _received(sandbox):
    return sum(key["received"] for keys in sandbox.calls().values() for key in keys.values())
