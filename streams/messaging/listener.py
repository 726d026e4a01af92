"""Hears the reports of a topic that has one partition, for whoever expects one. Joins no group, commits nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from infra import telemetry
from infra.kafka.connection import BrokerUnreachable
from streams.messaging.follow import following
from streams.messaging.producer import MAX_MESSAGE

log = telemetry.get(__name__)

Heard = bytes | BrokerUnreachable


class Hearing:
    """The records of `topic` from the moment of `async with` on.

    A broker that is away is waited for when `patient`; otherwise everybody who listens is told.
    """

    def __init__(self, bootstrap: str, topic: str, *, patient: bool) -> None:
        self._bootstrap = bootstrap
        self._where = TopicPartition(topic, 0)
        self._patient = patient
        self._listening: dict[bytes, asyncio.Queue[Heard]] = {}
        self._consumer: Any = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, auto_offset_reset="earliest", max_partition_fetch_bytes=MAX_MESSAGE
        )
        try:
            await self._consumer.start()
            self._consumer.assign([self._where])
            await self._consumer.seek_to_end(self._where)
            await self._consumer.position(self._where)
        except BaseException:
            await self._consumer.stop()
            raise
        self._task = asyncio.create_task(self._hear(), name=f"hearing-{self._where.topic}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        # without its broker the consumer lets a cancellation of its own escape
        await asyncio.gather(asyncio.create_task(self._consumer.stop()), return_exceptions=True)

    @contextmanager
    def about(self, key: str) -> Iterator[asyncio.Queue[Heard]]:
        """What is heard from now on of the records that name `key`."""
        inbox = self._listening[key.encode()] = asyncio.Queue()
        try:
            yield inbox
        finally:
            del self._listening[key.encode()]

    async def _hear(self) -> None:
        while True:
            try:
                async for message in following(self._consumer, self._bootstrap):
                    for key, inbox in self._listening.items():
                        if key in message.value:
                            inbox.put_nowait(message.value)
            except BrokerUnreachable as error:
                log.warning("hearing.broker_away", topic=self._where.topic, error=str(error))
                if not self._patient:
                    for inbox in self._listening.values():
                        inbox.put_nowait(error)
                    return
