"""Stores the topics: own consumer, one immutable batch per table, insert, and only then commit.

A store that is away stops consumption and commits until it is back. A row that the store refuses goes to the
dead letters, acknowledged, before any offset passes it.

A rebalance may come at every `await`. It starts a new generation: records fetched and batches opened before are void,
since their next owner, which may be this sink, reads them again from the committed offsets. Taking them all the same
would commit past records that are in no batch any more. Only the insert in progress may still commit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from agents.log_events import AgentEvent
from infra import telemetry
from infra.clickhouse import RowsRefused, Store, StoreUnavailable, log_table
from infra.kafka.brokers import Brokers
from streams.messaging import topics
from streams.messaging.dead_letters import letter, unfit
from streams.messaging.events import ConsumerRecord, Partition
from streams.messaging.producer import Outbox
from streams.processing.table_rows import TABLES, Batch

log = telemetry.get(__name__)

FETCH_AGAIN_S = 1.0  # a broker that answered with an error is left in peace for a moment
POLL_MS = 100  # an idle sink looks ten times a second
RETRY_CAP_S = 30.0  # a store that is back is used within half a minute
HAND_OVER_S = 5.0  # a rebalance waits for the insert in progress
COMMIT_RETRY_S = 1.0  # a broker that restarts is back within seconds
STOP_S = 8.0  # of the 15 s of an exit: what is not stored by then is left to Kafka
DAY_MS = 86_400_000


class Sink:
    """Batches records of every stored topic into the store."""

    def __init__(
        self, bootstrap: Brokers, store: Store, outbox: Outbox, *, batch_rows: int, batch_age_s: float
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._batch_rows = batch_rows
        self._batch_age_s = batch_age_s
        self._open: dict[str, Batch] = {}
        self._generation = 0
        self._flushing: asyncio.Task[None] | None = None
        self._may_commit = True
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self.stored: dict[tuple[str, int], int] = {}
        """Per (topic, partition) the offset below which everything is in the store."""
        self.rows = 0
        self.waiting_for_store = False
        self._consumer = AIOKafkaConsumer(
            **bootstrap.options,
            group_id=topics.SINK,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_500,
            max_poll_interval_ms=DAY_MS,  # a store that is away for hours must not cost us the partitions
            fetch_max_bytes=64 * 2**20,
            max_partition_fetch_bytes=16 * 2**20,
        )

    async def start(self) -> None:
        """Join the group. Raises `aiokafka.errors.KafkaConnectionError`."""
        self._consumer.subscribe(list(TABLES), listener=_Rebalance(self))
        await self._consumer.start()

    async def run(self) -> None:
        """Consume until `stop`."""
        try:
            await self._run()
        finally:
            self._ended.set()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                fetched = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=2_000)
            except KafkaError as error:
                log.warning(AgentEvent.SINK_FETCH, error=str(error))
                await asyncio.sleep(FETCH_AGAIN_S)
                continue
            await self._take_all(fetched)
            await self._flush_due()

    async def stop(self) -> None:
        """Store what was received, commit, leave the group; what is not stored within `STOP_S` is left to Kafka."""
        self._stopping.set()
        try:
            async with asyncio.timeout(STOP_S):
                await self._ended.wait()
                await self.flush()
        except TimeoutError:
            left = sum(batch.rows for batch in self._open.values())
            log.warning(AgentEvent.SINK_LEFT_TO_KAFKA, open_rows=left, waiting_for_store=self.waiting_for_store)
            if self._flushing:
                self._flushing.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(HAND_OVER_S):
                await self._consumer.stop()

    async def flush(self) -> None:
        """Store every open batch now."""
        for topic in list(self._open):
            await self._flush(topic)
        if self._flushing:
            await self._flushing

    async def hand_over(self) -> None:
        """Begin a new generation; the insert in progress may end and commit within `HAND_OVER_S`."""
        self._generation += 1
        self._open.clear()
        if self._flushing:
            await asyncio.wait([self._flushing], timeout=HAND_OVER_S)
            self._may_commit = self._flushing.done()

    async def _take_all(self, fetched: Mapping[Partition, Sequence[ConsumerRecord]]) -> None:
        generation = self._generation
        for partition, records in fetched.items():
            for record in records:
                await self._take(partition, record)
                if generation != self._generation:
                    return

    async def _take(self, partition: Partition, record: ConsumerRecord) -> None:
        topic, generation = partition.topic, self._generation
        batch = self._open.get(topic)
        if batch is None:
            batch = self._open[topic] = Batch(TABLES[topic], time.monotonic())
        try:
            batch.add(partition, record)
        except ValueError as error:
            await self._dead(record, "message", unfit(error))
            if generation != self._generation:
                return
            batch.skip(partition, record.offset)
        if batch.rows >= self._batch_rows:
            await self._flush(topic)

    async def _flush_due(self) -> None:
        if self._flushing and self._flushing.done():
            self._flushing.result()  # a batch that could not be stored ends the sink now, not with the next batch
        now = time.monotonic()
        for topic, batch in list(self._open.items()):
            if now - batch.opened_at >= self._batch_age_s:
                await self._flush(topic)

    async def _flush(self, topic: str) -> None:
        """Cut the topic's batch and store it beside further reading; one insert is in progress at a time."""
        batch, generation = self._open.pop(topic, None), self._generation
        if self._flushing:
            await self._flushing
        if batch is None or generation != self._generation:
            return
        self._may_commit = True
        self._flushing = asyncio.ensure_future(self._store_and_commit(batch))

    async def _store_and_commit(self, batch: Batch) -> None:
        if batch.rows:
            await self._insert(batch, 0, len(batch.records))
        self.rows += batch.rows
        if await self._commit(batch):
            for partition, offset in batch.offsets.items():
                self.stored[partition.topic, partition.partition] = offset

    async def _commit(self, batch: Batch) -> bool:
        """Commit a stored batch; False where its partitions moved: their next owner stores the rows again."""
        while self._may_commit:
            try:
                await self._consumer.commit(batch.offsets)
            except (CommitFailedError, IllegalStateError) as error:
                log.info(AgentEvent.SINK_COMMIT_SUPERSEDED, table=batch.table.name, error=str(error))
                return False
            except KafkaError as error:
                log.warning(AgentEvent.SINK_COMMIT_RETRY, table=batch.table.name, error=str(error))
                await asyncio.sleep(COMMIT_RETRY_S)
            else:
                return True
        return False

    async def _insert(self, batch: Batch, first: int, last: int) -> None:
        """Insert records `first`..`last`; a refused part is halved until the refused records are alone."""
        columns = batch.data if last - first == len(batch.records) else batch.part(first, last)
        try:
            await self._until_stored(batch, columns)
        except RowsRefused as error:
            if last - first == 1:
                record, _ = batch.records[first]
                log.error(AgentEvent.SINK_REFUSED, table=batch.table.name, topic=record.topic, offset=record.offset)
                await self._dead(record, "store_refused", str(error))
                return
            middle = (first + last) // 2
            await self._insert(batch, first, middle)
            await self._insert(batch, middle, last)

    async def _until_stored(self, batch: Batch, columns: dict[str, list[Any]]) -> None:
        delay = 0.5
        while True:
            try:
                await self._store.insert(log_table(batch.table.name), columns)
            except StoreUnavailable as error:
                self.waiting_for_store = True
                log.warning(AgentEvent.SINK_STORE_AWAY, table=batch.table.name, retry_in_s=delay, error=str(error))
                await asyncio.sleep(delay)
                delay = min(RETRY_CAP_S, delay * 2)
            else:
                self.waiting_for_store = False
                return

    async def _dead(self, record: ConsumerRecord, rule: str, reason: str) -> None:
        found = letter(
            stage="sink",
            rule=rule,
            reason=reason,
            at=record.timestamp,
            raw_topic=record.topic,
            raw_partition=record.partition,
            raw_offset=record.offset,
            row=bytes(record.value or b"")[:65_536].decode("utf-8", "replace"),
        )
        await self._outbox.send(topics.DEAD_LETTERS, found.encode())


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    """Before partitions go, what is under way is stored; what is merely open is left to the next owner."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    async def on_partitions_revoked(self, revoked: Iterable[Partition]) -> None:
        await self._sink.hand_over()

    async def on_partitions_assigned(self, assigned: Iterable[Partition]) -> None:
        del assigned
