"""The sink against a real broker and the real store engine: nothing is acknowledged that is not safe."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from agents import sink as sinks
from agents.sink import Sink
from infra.clickhouse import StoreUnavailable
from infra.kafka.admin import ensure_topics
from streams.messaging import topics
from streams.messaging.producer import Outbox
from tests.waiting import ending, until

pytestmark = pytest.mark.pipeline

BARS = topics.MARKET["bars"]
ACTIONS = topics.MARKET["actions"]
ENVELOPE = {"asset_class": "equity", "source": "polygon", "observed_at": 1_700_000_000_000, "request_id": "r"}


def frame(symbol, days):
    series = {name: [1.5] * days for name in ("open", "high", "low", "close")}
    absent = dict.fromkeys(("vwap", "trades", "adj_close", "quote_volume"))
    return {
        **ENVELOPE,
        **{"symbol": symbol, "interval": "1d", "adjustment": "split", "currency": "USD"},
        **{"ts": [day * 86_400_000 for day in range(days)], "volume": [None] * days},
        **series,
        **absent,
    }


def split(symbol, day):
    names = (
        "amount",
        "amount_adjusted",
        "adjustment_factor",
        "new_symbol",
        "currency",
        "record_date",
        "pay_date",
        "declared_date",
    )
    return {**ENVELOPE, "symbol": symbol, "kind": "split", "ex_date": day, "ratio": 2.0, **dict.fromkeys(names)}


class Unreachable:
    """The real store, away for its first inserts."""

    def __init__(self, store, times):
        self._store = store
        self.times = times
        self.refused = asyncio.Event()

    async def insert(self, table, columns):
        if self.times:
            self.times -= 1
            self.refused.set()
            raise StoreUnavailable("the server is away")
        return await self._store.insert(table, columns)


class Gated:
    """The real store, whose inserts wait for a gate."""

    def __init__(self, store):
        self._store = store
        self.gate = asyncio.Event()
        self.reached = asyncio.Event()

    async def insert(self, table, columns):
        self.reached.set()
        await self.gate.wait()
        return await self._store.insert(table, columns)


@pytest.fixture
async def outbox(embedded_broker):
    await ensure_topics(embedded_broker, topics.SPECS)
    found = Outbox(embedded_broker)
    await found.start()
    yield found
    await found.stop()


@asynccontextmanager
async def sinking(bootstrap, store, outbox, **sizes):
    sink = Sink(bootstrap, store, outbox, **{"batch_rows": 50_000, "batch_age_s": 0.05, **sizes})
    await sink.start()
    task = asyncio.create_task(sink.run())
    try:
        yield sink
    finally:
        await sink.stop()
        await asyncio.wait([task])
        assert task.cancelled() or not task.exception()


async def count(store, table):
    return (await store.query(f"SELECT count() FROM {table}")).rows[0][0]


async def committed(bootstrap, topic):
    consumer = AIOKafkaConsumer(**bootstrap.options, group_id=topics.SINK, enable_auto_commit=False)
    await consumer.start()
    try:
        found = [await consumer.committed(TopicPartition(topic, p)) for p in range(topics.SYMBOL_PARTITIONS)]
    finally:
        await consumer.stop()
    return sum(offset or 0 for offset in found)


async def test_frames_become_rows_and_a_replay_changes_nothing(embedded_broker, store, outbox):
    async with sinking(embedded_broker, store, outbox):
        for _ in range(2):
            await asyncio.gather(
                *(outbox.send(BARS, orjson.dumps(frame(f"S{i}", 200)), key=f"S{i}") for i in range(20))
            )

        async def stored():
            return (await store.query("SELECT count() FROM bars_log")).rows[0][0] and await count(
                store, "bars"
            ) == 4_000

        await until(stored, "the rows in the store")

    assert await count(store, "bars") == 4_000
    assert await committed(embedded_broker, BARS) == 40
    nulls = (await store.query("SELECT countIf(volume IS NULL AND vwap IS NULL) FROM bars")).rows[0][0]
    assert nulls == 4_000


async def test_a_batch_is_cut_at_its_size(embedded_broker, store, outbox):
    await asyncio.gather(*(outbox.send(BARS, orjson.dumps(frame(f"S{i}", 100)), key=f"S{i}") for i in range(30)))

    async with sinking(embedded_broker, store, outbox, batch_rows=1_000, batch_age_s=3600):

        async def three_batches():
            return await count(store, "bars") == 3_000

        await until(three_batches, "three batches in the store")


async def test_a_store_that_is_away_stops_the_commit_and_loses_nothing(embedded_broker, store, outbox):
    away = Unreachable(store, times=2)
    await outbox.send(BARS, orjson.dumps(frame("A", 10)), key="A")

    async with sinking(embedded_broker, away, outbox) as sink:
        await ending(away.refused.wait(), "an insert that the store refuses")
        assert sink.waiting_for_store
        assert await committed(embedded_broker, BARS) == 0

        async def stored():
            return await count(store, "bars") == 10

        await until(stored, "the rows in the store")

    assert not sink.waiting_for_store
    assert await committed(embedded_broker, BARS) == 1


async def test_a_refused_row_goes_to_the_dead_letters_and_its_siblings_are_stored(embedded_broker, store, outbox):
    good = [split(f"S{i}", "2024-06-10") for i in range(9)]
    for record in [*good[:4], split("BAD", "2500-01-01"), *good[4:]]:  # the store's dates end in 2299
        await outbox.send(ACTIONS, orjson.dumps(record), key="one partition")

    async with sinking(embedded_broker, store, outbox):

        async def stored():
            return await count(store, "actions") == 9 and await count(store, "dead_letters") == 1

        await until(stored, "the rows in the store")

    letter = (await store.query("SELECT stage, rule, raw_topic, raw_offset, row FROM dead_letters")).rows[0]
    assert letter[:4] == ("sink", "store_refused", ACTIONS, 4)
    assert orjson.loads(letter[4])["symbol"] == "BAD"
    assert await committed(embedded_broker, ACTIONS) == 10


async def test_a_record_that_is_none_of_ours_goes_to_the_dead_letters(embedded_broker, store, outbox):
    for value in (b"not json", b"[]", b'{"ts": [1]}', orjson.dumps({**frame("A", 3), "close": [1.0]})):
        await outbox.send(BARS, value, key="A")
    await outbox.send(BARS, orjson.dumps(frame("A", 3)), key="A")

    async with sinking(embedded_broker, store, outbox):

        async def stored():
            return await count(store, "bars") == 3 and await count(store, "dead_letters") == 4

        await until(stored, "the rows in the store")

    rules = (await store.query("SELECT DISTINCT stage, rule FROM dead_letters")).rows
    assert rules == [("sink", "message")]


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param({"batch_rows": 10, "batch_age_s": 1}, id="while a record is taken"),
        pytest.param({"batch_rows": 50_000, "batch_age_s": 0.05}, id="while batches are cut by age"),
    ],
)
async def test_a_rebalance_during_an_insert_ends_no_sink_and_loses_nothing(embedded_broker, store, outbox, sizes):
    gated = Gated(store)
    for i in range(40):
        await outbox.send(BARS, orjson.dumps(frame(f"S{i}", 5)), key=f"S{i}")
        await outbox.send(ACTIONS, orjson.dumps(split(f"S{i}", "2024-06-10")), key=f"S{i}")

    async with sinking(embedded_broker, gated, outbox, **sizes) as first:
        await ending(gated.reached.wait(), "an insert")
        generation = first._generation
        async with sinking(embedded_broker, store, outbox, batch_age_s=0.05):

            async def rebalanced():
                return first._generation > generation

            await until(rebalanced, "the rebalance")
            gated.gate.set()
            await outbox.send(BARS, b"not json", key="S1")  # a sink that has lost its place would not come so far

            async def stored():
                counts = await asyncio.gather(*(count(store, table) for table in ("bars", "actions", "dead_letters")))
                return counts == [200, 40, 1]

            await until(stored, "the rows in the store")
        assert not first._ended.is_set()

    assert await committed(embedded_broker, BARS) == 41
    assert await committed(embedded_broker, ACTIONS) == 40


async def test_a_record_taken_before_a_rebalance_is_in_no_batch_after_it(embedded_broker, store, outbox):
    """The dead letter of an unreadable record is on its way while the partitions move."""
    sink = Sink(embedded_broker, store, outbox, batch_rows=50_000, batch_age_s=3600)

    async def moved_meanwhile(*_):
        await sink.hand_over()

    sink._dead = moved_meanwhile
    partition = TopicPartition(BARS, 0)
    unreadable, readable = (SimpleNamespace(topic=BARS, partition=0, offset=n, value=b"", headers=()) for n in (7, 8))

    await sink._take_all({partition: [unreadable, readable]})
    await sink._consumer.stop()

    assert sink._open == {}


async def test_a_stop_leaves_to_kafka_what_a_hanging_store_does_not_take(embedded_broker, store, outbox, monkeypatch):
    monkeypatch.setattr(sinks, "STOP_S", 0.2)
    gated = Gated(store)
    await outbox.send(BARS, orjson.dumps(frame("A", 10)), key="A")

    async with sinking(embedded_broker, gated, outbox):
        await ending(gated.reached.wait(), "an insert")

    assert await committed(embedded_broker, BARS) == 0
    async with sinking(embedded_broker, store, outbox):

        async def stored():
            return await count(store, "bars") == 10

        await until(stored, "the rows in the store")
    assert await committed(embedded_broker, BARS) == 1
