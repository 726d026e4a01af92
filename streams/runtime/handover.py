"""Hands something to a running pipeline from outside: is there one, and a producer for one errand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from infra.kafka.admin import partition_counts
from infra.kafka.connection import BrokerUnreachable, connected
from streams.messaging.producer import Outbox


async def require_pipeline(bootstrap: str, topic: str, within_s: float | None = None) -> None:
    """Make sure that a worker reads `topic`. `within_s` as of `connected`.

    Raises:
        BrokerUnreachable: no broker answers, or no pipeline has run on it yet.
    """
    async with connected(bootstrap, within_s) as broker:
        known = await partition_counts(broker)
    if topic not in known:
        raise BrokerUnreachable(f"no pipeline has run on the broker at kafka://{bootstrap} yet")


@asynccontextmanager
async def posting(bootstrap: str) -> AsyncIterator[Outbox]:
    """An outbox that is connected for the block. Raises `aiokafka.errors.KafkaConnectionError`."""
    outbox = Outbox(bootstrap)
    await outbox.start()
    try:
        yield outbox
    finally:
        await outbox.stop()
