"""The producing side of every actor: one aiokafka producer, delivery acknowledged by all replicas, nothing dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from infra import telemetry
from infra.kafka.brokers import Brokers
from infra.kafka.connection import needing, passes
from streams.log_events import StreamEvent

log = telemetry.get(__name__)

MAX_MESSAGE = 16 * 2**20  # long histories pass 1 MB as JSON
RETRY_S = 1.0  # a broker that restarts is back within seconds


class Outbox:
    """Sends records and remembers, per partition, the highest offset the broker confirmed."""

    def __init__(self, bootstrap: Brokers) -> None:
        self._bootstrap = bootstrap
        self._producer: Any = None
        self.produced: dict[tuple[str, int], int] = {}
        self.waiting = 0

    async def start(self) -> None:
        """Connect. Raises `BrokerUnreachable`."""
        self._producer = AIOKafkaProducer(
            **self._bootstrap.options,
            acks="all",
            compression_type="lz4",
            linger_ms=5,
            max_batch_size=2**20,
            max_request_size=MAX_MESSAGE,
            request_timeout_ms=30_000,
        )
        try:
            with needing(self._bootstrap):
                await self._producer.start()
        except BaseException:
            await self._producer.stop()
            raise

    async def stop(self) -> None:
        """Flush what was sent, then disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def send(
        self,
        topic: str,
        value: bytes,
        *,
        key: str | None = None,
        partition: int | None = None,
        headers: Mapping[str, bytes] | None = None,
    ) -> None:
        """Send one record and return once the broker has it; a broker that is away is waited for."""
        encoded = None if key is None else key.encode()
        self.waiting += 1
        try:
            while True:
                try:
                    sent = await self._producer.send_and_wait(
                        topic, value, key=encoded, partition=partition, headers=list((headers or {}).items())
                    )
                    break
                except KafkaError as error:
                    if not passes(error):
                        raise
                    log.warning(StreamEvent.OUTBOX_RETRY, topic=topic, error=str(error))
                    await asyncio.sleep(RETRY_S)
        finally:
            self.waiting -= 1
        where = (topic, sent.partition)
        self.produced[where] = max(sent.offset, self.produced.get(where, -1))
