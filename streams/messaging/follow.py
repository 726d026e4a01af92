"""Follows topics for ever: from where they end now, or from a moment on, also across a broker that was renewed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from infra import telemetry
from infra.kafka.brokers import Brokers
from infra.kafka.connection import BrokerUnreachable, answers, needing, passes
from streams.log_events import StreamEvent
from streams.messaging import topics
from streams.messaging.events import ConsumerRecord
from streams.messaging.producer import MAX_MESSAGE

log = telemetry.get(__name__)

IDLE_MS = 500  # a consumer without records looks at its broker twice a second
ASK_S = 5.0  # a topic may be silent for hours: only then the broker itself is asked whether it lives
AWAY_S = 60.0  # a renewed broker is back within seconds, a Kafka node within a minute
RETRY_S = 1.0  # a broker that is away is asked again without a rush


@asynccontextmanager
async def tail(bootstrap: Brokers, topic: str, *, since: int | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of all partitions of a topic, in no group: from its end on, or from the first record of `since` on.

    `since` is ms UTC, by the records' timestamps. Raises `BrokerUnreachable`.
    """
    consumer = AIOKafkaConsumer(
        **bootstrap.options,
        auto_offset_reset="earliest",  # a renewed broker begins anew
        max_partition_fetch_bytes=MAX_MESSAGE,
    )
    try:
        with needing(bootstrap):
            await consumer.start()
            partitions = [TopicPartition(topic, number) for number in range(topics.partitions(topic))]
            consumer.assign(partitions)
            await _seek(consumer, partitions, since)
        yield consumer
    finally:
        await close(consumer)


async def _seek(consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition], since: int | None) -> None:
    found: dict[TopicPartition, Any] = {}
    if since is not None:
        found = await consumer.offsets_for_times(dict.fromkeys(partitions, since))
    for partition in partitions:
        if (first := found.get(partition)) is None:
            await consumer.seek_to_end(partition)
            await consumer.position(partition)  # the end of now, not of the first fetch
        else:
            consumer.seek(partition, first.offset)


async def close(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer. Without its broker aiokafka lets a cancellation of its own escape: it ends here."""
    await asyncio.gather(asyncio.create_task(consumer.stop()), return_exceptions=True)


async def follow(
    consumer: AIOKafkaConsumer, bootstrap: Brokers, before_fetch: Callable[[], Awaitable[None]] | None = None
) -> AsyncGenerator[ConsumerRecord, None]:
    """Yield a consumer's records for ever, also across a renewed embedded broker, whose offsets start at 0 again.

    `before_fetch` is awaited before the broker is asked for more, at least twice a second while there is nothing.
    Raises `BrokerUnreachable` when nothing has answered for a minute, and a `KafkaError` that will not pass.
    """
    asked = heard = time.monotonic()
    while True:
        if before_fetch:
            await before_fetch()
        fetched = await _fetched(consumer)
        for records in fetched.values():
            for record in records:
                yield record
        now = time.monotonic()
        if fetched:
            asked = heard = now
        elif now - asked > ASK_S:
            asked = now
            heard = now if await answers(bootstrap) else heard
            if now - heard > AWAY_S:
                raise BrokerUnreachable(f"the broker at {bootstrap} has been away for {now - heard:.0f} s")
        for where in consumer.assignment() if not fetched else ():
            end = consumer.highwater(where)
            if end is not None and end < await consumer.position(where):
                await consumer.seek_to_beginning(where)


async def _fetched(consumer: AIOKafkaConsumer) -> dict[TopicPartition, list[ConsumerRecord]]:
    try:
        found: dict[TopicPartition, list[ConsumerRecord]] = await consumer.getmany(timeout_ms=IDLE_MS)
    except KafkaError as error:
        if not passes(error):
            raise
        log.warning(StreamEvent.FOLLOW_RETRY, error=str(error))
        await asyncio.sleep(RETRY_S)
        return {}
    return found
