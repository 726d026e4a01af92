"""What was received is in the store once both groups have committed it, and not before."""

import asyncio
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from infra.kafka.admin import ensure_topics
from infra.kafka.lag import lag
from streams.messaging import topics
from streams.messaging.producer import Outbox
from streams.runtime import stored
from tests.waiting import ending

pytestmark = pytest.mark.pipeline


async def commit(bootstrap, group, topic, offset):
    consumer = AIOKafkaConsumer(**bootstrap.options, group_id=group, enable_auto_commit=False)
    await consumer.start()
    where = TopicPartition(topic, 0)
    consumer.assign([where])
    await consumer.commit({where: offset})
    await consumer.stop()


async def looks(bootstrap):
    """Time for some looks of who waits: as many round trips of our own."""
    for _ in range(4):
        await lag(bootstrap, topics.SINK, [topics.POLL_DONE])


async def test_it_is_waited_for_the_normalizer_and_then_for_the_sink_but_for_nothing_that_came_later(embedded_broker):
    await ensure_topics(embedded_broker, topics.SPECS)
    outbox = Outbox(embedded_broker)
    await outbox.start()
    for topic in (topics.RAW_RESPONSES, topics.MARKET["bars"]):
        await outbox.send(topic, b"{}", partition=0)

    waiting = asyncio.create_task(stored.until_stored(embedded_broker))
    await looks(embedded_broker)
    assert not waiting.done()
    await outbox.send(topics.RAW_RESPONSES, b"{}", partition=0)
    await commit(embedded_broker, topics.APP, topics.RAW_RESPONSES, 1)
    await looks(embedded_broker)
    assert not waiting.done()
    await commit(embedded_broker, topics.SINK, topics.MARKET["bars"], 1)
    await commit(embedded_broker, topics.SINK, topics.RAW_RESPONSES, 2)

    await ending(waiting, "everything in the store")
    await outbox.stop()


async def test_what_a_broker_held_that_was_started_afresh_is_not_waited_for(embedded_broker, monkeypatch):
    await ensure_topics(embedded_broker, topics.SPECS)
    outbox = Outbox(embedded_broker)
    await outbox.start()
    await outbox.send(topics.RAW_RESPONSES, b"{}", partition=0)
    await commit(embedded_broker, topics.SINK, topics.RAW_RESPONSES, 1)
    held = await lag(embedded_broker, topics.APP, [topics.RAW_RESPONSES])
    before = [replace(at, end=at.end + 100) for at in held]
    looks = iter([before])

    async def old_first(*asked):
        return next(looks, None) or await lag(*asked)

    monkeypatch.setattr(stored, "lag", old_first)
    await ending(stored.until_stored(embedded_broker), "everything in the store")
    await outbox.stop()
