"""A subscription: single bars and records, at least once in a group, and no record ends it."""

import asyncio
import sys
from contextlib import aclosing

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from structlog.testing import capture_logs

from infra.kafka.admin import ensure_topics
from infra.kafka.lag import commits
from streams.client import subscribe
from streams.messaging import topics
from streams.messaging.producer import Outbox
from tests.waiting import LIMIT_S, ending, until

pytestmark = pytest.mark.pipeline

NOW = 1_717_406_123_000
READER = """
import asyncio, sys
from streams.client import subscribe

async def read(url, dataset, group, handled):
    count = 0
    async for record in subscribe(url, dataset, group=group):
        print(record["ts"] if isinstance(record, dict) else record.ts, flush=True)
        count += 1
        if count == handled:
            await asyncio.Event().wait()  # in the middle of handling it
        await asyncio.sleep(0.15)  # as long as a slow strategy takes

asyncio.run(read(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
"""
"""A process that prints what it is handed over, and never comes back from handling one of them."""


def quote(ts, symbol="AAPL", **more):
    common = {"symbol": symbol, "asset_class": "equity", "source": "polygon", "observed_at": NOW}
    return {**common, "request_id": "job-0", "ts": ts, "price": 10.0, **more}


def frame(first, n, symbol="AAPL"):
    prices = {name: [10.0] * n for name in ("open", "high", "low", "close", "volume")}
    common = {name: value for name, value in quote(0, symbol).items() if name not in {"ts", "price"}}
    return {**common, "interval": "1m", "adjustment": "raw", "ts": list(range(first, first + n)), **prices}


async def fill(bootstrap, dataset, *records):
    await ensure_topics(bootstrap, topics.SPECS)
    async with Outbox(bootstrap) as outbox:
        for record in records:
            value = record if record is None or isinstance(record, bytes) else orjson.dumps(record)
            await outbox.send(topics.MARKET[dataset], value, key="AAPL", partition=3)


async def read(bootstrap, dataset, count, **options):
    """The times of the next records; the subscription ends in the middle of the last."""
    found = []
    async with asyncio.timeout(LIMIT_S), aclosing(subscribe(bootstrap, dataset, **options)) as records:
        async for record in records:
            found.append(record["ts"] if isinstance(record, dict) else record.ts)
            if len(found) == count:
                break
    return found


async def committed(bootstrap, dataset, group):
    """The offset from which the group goes on."""
    where = TopicPartition(topics.MARKET[dataset], 3)
    async with commits(bootstrap, group) as asked:
        return (await asked([where]))[where]


@pytest.fixture(params=["embedded_broker", pytest.param("apache_kafka", marks=pytest.mark.kafka)])
def bootstrap(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
async def group(request, bootstrap):
    """A group that begins here: on Apache Kafka the topics hold what earlier tests left."""
    await ensure_topics(bootstrap, topics.SPECS)
    name = f"reader-{request.node.name}"
    consumer = AIOKafkaConsumer(**bootstrap.options, group_id=name)
    await consumer.start()
    partitions = [TopicPartition(topics.MARKET[dataset], n) for dataset in ("quote", "bars") for n in range(8)]
    consumer.assign(partitions)
    await consumer.commit(await consumer.end_offsets(partitions))
    await consumer.stop()
    return name


@pytest.mark.parametrize(
    ("dataset", "records"),
    [("quote", [quote(n) for n in range(1_000)]), ("bars", [frame(n, 10) for n in range(0, 1_000, 10)])],
    ids=["records", "frames"],
)
async def test_a_reader_killed_at_record_10_of_1000_loses_none(bootstrap, group, dataset, records):
    before = await committed(bootstrap, dataset, group)
    await fill(bootstrap, dataset, *records)
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", READER, f"kafka://{bootstrap}", dataset, group, "12"), stdout=asyncio.subprocess.PIPE
    )
    handed_over = [int(await ending(killed.stdout.readline(), "a record in the reader")) for _ in range(12)]

    async def has_committed():
        return await committed(bootstrap, dataset, group) > before

    if dataset == "quote":  # all twelve bars are of the first frame or the second, which is not passed yet
        await until(has_committed, "a commit of the reader")
    killed.kill()
    await killed.wait()

    passed = await committed(bootstrap, dataset, group) - before
    again = await read(bootstrap, dataset, 1_000 - passed * (1_000 // len(records)), group=group)

    assert len(handed_over) == 12
    assert sorted({*handed_over, *again}) == list(range(1_000))
    assert handed_over[-1] in again, "it was never handled to its end"


async def test_an_exception_commits_nothing_on_its_way_out(bootstrap, group):
    before = await committed(bootstrap, "quote", group)
    await fill(bootstrap, "quote", *(quote(n) for n in range(20)))

    async def strategy():
        async with aclosing(subscribe(bootstrap, "quote", group=group)) as records:
            async for record in records:
                assert record["ts"] < 10
                1 / (9 - record["ts"])

    with pytest.raises(ZeroDivisionError):
        await strategy()
    passed = await committed(bootstrap, "quote", group) - before
    assert passed <= 9, "record 9 was never handled to its end"

    assert await read(bootstrap, "quote", 20 - passed, group=group) == list(range(passed, 20))


async def test_what_was_handled_is_committed_when_the_reader_waits_for_more(bootstrap, group):
    before = await committed(bootstrap, "bars", group)
    await fill(bootstrap, "bars", frame(0, 5), frame(5, 5))
    async with asyncio.timeout(LIMIT_S), aclosing(subscribe(bootstrap, "bars", group=group)) as bars:
        assert [(await anext(bars)).ts for _ in range(10)] == list(range(10))
        assert await committed(bootstrap, "bars", group) - before < 2, "the last bar may not have been handled"
        waiting = asyncio.ensure_future(anext(bars))

        async def both_are():
            return await committed(bootstrap, "bars", group) == before + 2

        await until(both_are, "the commit of both frames")
        await fill(bootstrap, "bars", frame(10, 1))
        assert (await waiting).ts == 10

    assert await committed(bootstrap, "bars", group) == before + 2
    assert await read(bootstrap, "bars", 1, group=group) == [10]


async def test_poison_ends_no_subscription(embedded_broker):
    ragged = {**frame(0, 3), "close": [10.0]}
    poison = [
        None,
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        {"symbol": "AAPL"},
        quote(1),
        ragged,
        {**frame(0, 2), "open": "high"},
    ]
    await fill(embedded_broker, "bars", frame(0, 2), *poison, frame(2, 2))

    with capture_logs() as logs:
        assert await read(embedded_broker, "bars", 4, history=True) == [0, 1, 2, 3]

    (line,) = (line for line in logs if line["event"] == "record.unreadable")
    assert (line["topic"], line["partition"], line["offset"], line["skipped"]) == ("market.bars", 3, 1, 1)
    assert "AAPL" not in line["reason"]


async def test_symbols_narrow_records_and_their_bars(embedded_broker):
    await fill(embedded_broker, "bars", frame(0, 2), frame(2, 2, "IBM"), frame(4, 2, "MSFT"), frame(6, 1, "IBM"))
    news = {"source": "finnhub", "observed_at": NOW, "request_id": "job-0", "title": "Chips", "symbols": ["IBM", "AMD"]}
    await fill(embedded_broker, "news", *({**news, "id": f"n{n}", "ts": n} for n in range(2)))

    assert await read(embedded_broker, "bars", 3, history=True, symbols={"IBM"}) == [2, 3, 6]
    assert await read(embedded_broker, "news", 2, history=True, symbols=["AMD", "AAPL"]) == [0, 1]


async def test_readers_of_a_group_share_the_work_and_leave_nothing_out(bootstrap, group):
    async with Outbox(bootstrap) as outbox:
        for n in range(160):
            value = orjson.dumps(quote(n))
            await outbox.send(topics.MARKET["quote"], value, key="AAPL", partition=n % topics.SYMBOL_PARTITIONS)
    seen, everything, both_read = {"one": [], "two": []}, asyncio.Event(), asyncio.Event()

    async def reader(name):
        async with aclosing(subscribe(bootstrap, "quote", group=group)) as records:
            async for record in records:
                seen[name].append(record["ts"])
                if all(seen.values()):
                    both_read.set()
                if {*seen["one"], *seen["two"]} == set(range(160)):
                    everything.set()
                await both_read.wait()  # handles its first record until the other reader has one, too

    readers = [asyncio.create_task(reader(name)) for name in seen]
    try:
        await ending(everything.wait(), "all records in the readers")
    finally:
        for task in readers:
            task.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


async def test_an_unknown_dataset_and_a_url_that_is_none_are_refused():
    with pytest.raises(ValueError, match="unknown dataset 'candles'; known: quote, bars"):
        await anext(subscribe("kafka://127.0.0.1:1", "candles"))
    with pytest.raises(ValueError, match="is no broker URL"):
        await anext(subscribe("http://127.0.0.1:1", "bars"))
