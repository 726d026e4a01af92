"""How far a consumer group is behind, partition by partition."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from infra.kafka.admin import partition_counts
from infra.kafka.brokers import Brokers
from infra.kafka.connection import BrokerUnreachable, connected, passes

SMALL_FETCH = 1024  # bytes: only the answer's header matters
FETCH_WAIT_MS = 20  # the end of a partition is known at the first empty answer
FETCH_ROUNDS = 100  # bounds the reading of a partition that grows meanwhile
COORDINATOR_S, RETRY_S = 10.0, 0.1  # the first group of a new broker waits for its coordinator
Committed = Callable[[Collection[TopicPartition]], Awaitable[dict[TopicPartition, int | None]]]
"""Gives the offsets that a group has committed; None where it has committed none yet."""


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """Offsets of one partition: the first kept, the group's commit (None before its first), the end."""

    topic: str
    """Name of the topic."""
    partition: int
    """Number of the partition."""
    start: int
    """First offset that is kept."""
    committed: int | None
    """Offset that the group committed; None before its first commit."""
    end: int
    """Offset after the last record."""

    @property
    def behind(self) -> int:
        """Records the group has still to read; a compacted topic holds fewer than that."""
        return max(0, self.end - max(self.start, self.committed or 0))


async def lag(bootstrap: Brokers, group: str, topics: Collection[str], *, within_s: float = 10.0) -> list[PartitionLag]:
    """Where `group` stands in each partition of `topics`, sorted; a topic that is missing has no rows.

    Joins no group and commits nothing, so it disturbs no worker.

    Raises:
        BrokerUnreachable: no server answered within `within_s` seconds.
    """
    async with connected(bootstrap, within_s) as client:
        counts = await partition_counts(client)
    partitions = [TopicPartition(topic, number) for topic in sorted(topics) for number in range(counts.get(topic, 0))]
    if not partitions:
        return []
    async with (
        commits(bootstrap, group) as committed,
        AIOKafkaConsumer(
            **bootstrap.options,
            enable_auto_commit=False,
            max_partition_fetch_bytes=SMALL_FETCH,
            fetch_max_wait_ms=FETCH_WAIT_MS,
        ) as consumer,
    ):
        consumer.assign(partitions)
        starts = await consumer.beginning_offsets(partitions)
        ends = await _ends(consumer, partitions)
        done = await committed(partitions)
        return [PartitionLag(at.topic, at.partition, starts[at], done[at], ends[at]) for at in partitions]


@asynccontextmanager
async def commits(bootstrap: Brokers, group: str) -> AsyncIterator[Committed]:
    """Look at what `group` commits, as often as wanted within the block, one request each time.

    Raises:
        BrokerUnreachable: the broker does not answer.
    """
    admin = AIOKafkaAdminClient(**bootstrap.options)
    clock = asyncio.get_running_loop().time

    async def committed(partitions: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        patience = clock() + COORDINATOR_S
        while True:
            try:
                found = await admin.list_consumer_group_offsets(group, partitions=list(partitions))
                known = {at: place.offset for at, place in found.items() if place.offset >= 0}
                return {at: known.get(at) for at in partitions}
            except KafkaError as error:  # the first group of a new broker waits for its coordinator
                if not passes(error) or clock() > patience:
                    raise
                await asyncio.sleep(RETRY_S)

    try:
        await admin.start()
        yield committed
    except KafkaError as error:
        raise BrokerUnreachable(f"the Kafka broker at kafka://{bootstrap} does not answer: {error}") from None
    finally:
        await admin.close()


async def _ends(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
    """The ends as fetch answers state them.

    Tansu 0.6.0 answers ListOffsets with the last batch's first offset plus one, but its fetch answers
    carry the true high watermark. Fetching from the listed end costs at most one batch a partition.
    """
    ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
    for at, end in ends.items():
        consumer.seek(at, end)
    for _ in range(FETCH_ROUNDS):
        await consumer.getmany(timeout_ms=FETCH_WAIT_MS)
        if all(consumer.highwater(at) is not None for at in partitions):
            break
    return {at: max(ends[at], consumer.highwater(at) or 0) for at in partitions}


async def unread(bootstrap: Brokers, group: str, topic: str, *, within_s: float = 30.0) -> list[ConsumerRecord]:
    """The records of `topic` that `group` has not committed, partition by partition, oldest first.

    Joins no group and commits nothing.

    Raises:
        BrokerUnreachable: no server answered.
        TimeoutError: they could not be read within `within_s` seconds.
    """
    waiting = {TopicPartition(topic, at.partition): at for at in await lag(bootstrap, group, [topic]) if at.behind}
    found: list[ConsumerRecord] = []
    if not waiting:
        return found
    async with (
        AIOKafkaConsumer(**bootstrap.options, enable_auto_commit=False) as consumer,
        asyncio.timeout(within_s),
    ):
        consumer.assign(list(waiting))
        for where, at in waiting.items():
            consumer.seek(where, max(at.start, at.committed or 0))
        while waiting:
            for where, records in (await consumer.getmany(timeout_ms=FETCH_WAIT_MS)).items():
                found += records
                if where in waiting and records[-1].offset + 1 >= waiting[where].end:
                    del waiting[where]
    return sorted(found, key=lambda record: (record.partition, record.offset))
