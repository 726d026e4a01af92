"""Waits until what was received is in the store, whichever worker normalizes and stores it: by the groups' offsets."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from aiokafka import TopicPartition

from infra import telemetry
from infra.kafka.brokers import Brokers
from infra.kafka.connection import BrokerUnreachable
from infra.kafka.lag import Committed, commits, lag
from streams.messaging import topics
from streams.processing.table_rows import TABLES

log = telemetry.get(__name__)

LOOKS, LOOK_S = 25, 0.08


async def until_stored(bootstrap: Brokers) -> None:
    """Return when every answer received before, all that was made of it, and every report is stored.

    A broker or a store that is away is waited for. Where the embedded broker was started afresh meanwhile, what the old
    one held is stored: its worker drained first.
    """
    await _reached(bootstrap, topics.APP, (topics.RAW_RESPONSES,))
    await _reached(bootstrap, topics.SINK, tuple(TABLES))


async def _reached(bootstrap: Brokers, group: str, names: Collection[str]) -> None:
    """Return when the group has committed everything that the topics held at the call."""
    ends: dict[TopicPartition, int] | None = None
    while ends is None or ends:
        try:
            found = {TopicPartition(at.topic, at.partition): at for at in await lag(bootstrap, group, names)}
            if ends is None:
                ends = {where: at.end for where, at in found.items() if at.behind}
            ends = {where: end for where, end in ends.items() if where in found and end <= found[where].end}
            async with commits(bootstrap, group) as committed:
                ends = await _looked(committed, ends)
        except BrokerUnreachable as error:
            log.warning("settling.broker_away", error=str(error))


async def _looked(committed: Committed, ends: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Look for a while; returns what is not committed yet."""
    for _ in range(LOOKS):
        if ends:
            done = await committed(ends)
            ends = {where: end for where, end in ends.items() if (done[where] or 0) < end}
        if not ends:
            break
        await asyncio.sleep(LOOK_S)
    return ends
