"""Follows topics: the normalized ones for strategies, any for who asks, also across a broker that was renewed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer

from infra.kafka.connection import bootstrap_servers
from streams.messaging import topics
from streams.messaging.bars import bars_of
from streams.messaging.follow import following
from streams.messaging.producer import MAX_MESSAGE


async def subscribe(
    kafka_url: str, *datasets: str, symbols: Collection[str] = (), group: str | None = None, history: bool = False
) -> AsyncGenerator[Any, None]:
    """Yield unified records as they arrive: `Bar` for bars, the record as a dict with its `dataset` for the others.

    `symbols` narrows to canonical symbols. With `group` the position is kept in Kafka and each record is given at
    least once; without, the subscription starts now, or with `history` at the oldest record the topic holds.
    Raises `ValueError` for an unknown dataset or a URL that is none, and `aiokafka.errors.KafkaConnectionError`.
    """
    if unknown := [name for name in datasets if name not in topics.MARKET]:
        raise ValueError(f"unknown dataset {unknown[0]!r}; known: {', '.join(topics.MARKET)}")
    names = {topics.MARKET[name]: name for name in datasets or topics.MARKET}
    bootstrap = bootstrap_servers(kafka_url)
    consumer = AIOKafkaConsumer(
        *names,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest" if history or group else "latest",
        max_partition_fetch_bytes=MAX_MESSAGE,
    )
    await consumer.start()
    try:
        async for message in following(consumer, bootstrap):
            record = orjson.loads(message.value)
            if symbols and record.get("symbol") not in symbols and not set(record.get("symbols") or ()) & set(symbols):
                continue
            dataset = names[message.topic]
            if dataset == "bars":
                for bar in bars_of(record):
                    yield bar
            else:
                yield {"dataset": dataset, **record}
    finally:
        await consumer.stop()
