"""Subscribes to the normalized topics for strategies, also across a broker that was renewed.

With a group, the position of a reader is kept in Kafka. aiokafka's own auto-commit stores what was *fetched*: a reader
that is killed at record 10 of 1,000 would never see the other 990. So a record is committed here once the reader has
asked for the next one, which says that it has handled this one, and never on the way out: what was handed over last may
not have been handled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from connectors import Bars
from connectors.records import News
from infra import telemetry
from infra.kafka.brokers import Brokers
from infra.kafka.connection import needing, passes
from streams.client.lookup import brokers_of
from streams.log_events import StreamEvent
from streams.messaging import topics
from streams.messaging.bars import bars_of
from streams.messaging.events import ConsumerRecord
from streams.messaging.follow import close, follow
from streams.messaging.market import read_record
from streams.messaging.producer import MAX_MESSAGE
from streams.messaging.tolerant_reader import TolerantReader

log = telemetry.get(__name__)

COMMIT_S = 1.0
"""A slow reader commits this often, a quick one with every fetch: a commit for each record would cost a round trip."""
COMMIT_TIMEOUT_S = 5.0
"""A broker answers within milliseconds; one that is away must not hold the reader up."""
SUPERSEDED = (CommitFailedError, IllegalStateError)
"""The partitions have gone to another reader of the group, which begins at the last commit."""


async def subscribe(
    kafka_url: str | Brokers,
    *datasets: str,
    symbols: Collection[str] = (),
    group: str | None = None,
    history: bool = False,
) -> AsyncGenerator[Any, None]:
    """Yield unified records as they arrive: `Bar` for bars, the record as a dict with its `dataset` for the others.

    `symbols` narrows to canonical symbols. With `group` the position is kept in Kafka and every record is yielded at
    least once: after a crash or an exit the records since the last commit, of about a second, come again. Without it
    the subscription starts now, or with `history` at the oldest record the topic holds. What cannot be read is skipped
    and logged as `record.unreadable`.

    A text as `kafka_url` is logged in to as that of `Client`.

    Raises:
        ValueError: a dataset is unknown, or the URL is none.
        BrokerUnreachable: no broker answers, or it has been away for a minute.
        aiokafka.errors.KafkaError: the broker refuses the topic or the group.
    """
    if unknown := [name for name in datasets if name not in topics.MARKET]:
        raise ValueError(f"unknown dataset {unknown[0]!r}; known: {', '.join(topics.MARKET)}")
    bootstrap = brokers_of(kafka_url)
    consumer = AIOKafkaConsumer(
        **bootstrap.options,
        group_id=group,
        enable_auto_commit=False,
        session_timeout_ms=6_000,  # the worker's, too: so soon the group notices that a reader was killed
        heartbeat_interval_ms=1_500,
        auto_offset_reset="earliest" if history or group else "latest",
        max_partition_fetch_bytes=MAX_MESSAGE,
    )
    position, reader = _Position(consumer, kept=group is not None), TolerantReader(_reader(frozenset(symbols)))
    consumer.subscribe([topics.MARKET[name] for name in datasets or topics.MARKET], listener=position)
    try:
        with needing(bootstrap):
            await consumer.start()
        async for message in follow(consumer, bootstrap, position.commit):
            for found in reader.read(message) or ():
                yield found
            await position.passed(message)
    finally:
        await close(consumer)


def _reader(symbols: frozenset[str]) -> Callable[[ConsumerRecord], list[Any]]:
    """Returns what a message holds for these symbols, for all where there are none."""

    def read(message: ConsumerRecord) -> list[Any]:
        record = read_record(message)
        if symbols and symbols.isdisjoint(record.symbols if isinstance(record, News) else (record.symbol,)):
            return []
        return bars_of(record.__dict__) if isinstance(record, Bars) else [{"dataset": record.dataset, **dict(record)}]

    return read


class _Position(ConsumerRebalanceListener):  # type: ignore[misc]
    """The position of a group's reader; `commit` writes it to Kafka. Does nothing unless the position is `kept`."""

    def __init__(self, consumer: AIOKafkaConsumer, *, kept: bool) -> None:
        self._consumer = consumer
        self._kept = kept
        self._passed: dict[TopicPartition, int] = {}
        self._committed_at = time.monotonic()

    async def passed(self, message: ConsumerRecord) -> None:
        """Note that the reader has handled a message; commits when the last commit is a while ago."""
        if not self._kept:
            return
        self._passed[TopicPartition(message.topic, message.partition)] = message.offset + 1
        if time.monotonic() - self._committed_at >= COMMIT_S:
            await self.commit()

    async def commit(self) -> None:
        """Store the position. A broker that is away, or a rebalance, leaves it to a later commit or another reader."""
        if not self._passed:
            return
        offsets, self._passed = self._passed, {}
        self._committed_at = time.monotonic()
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_S):  # aiokafka would wait for a broker for ever
                await self._consumer.commit(offsets)
        except SUPERSEDED as error:
            log.info(StreamEvent.SUBSCRIPTION_COMMIT_SUPERSEDED, error=str(error))
        except (KafkaError, TimeoutError) as error:
            if isinstance(error, KafkaError) and not passes(error):
                raise
            log.warning(StreamEvent.SUBSCRIPTION_COMMIT_RETRY, error=repr(error))
            self._passed = offsets | self._passed

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Store the position before other readers of the group go on from there."""
        await self.commit()
        for partition in revoked:
            self._passed.pop(partition, None)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Nothing: the new partitions begin where Kafka says."""
