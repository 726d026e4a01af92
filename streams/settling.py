"""Waits until what was received is in the store, whichever worker normalizes and stores it: by the groups' offsets."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from infra import telemetry
from infra.kafka.connection import BrokerUnreachable
from infra.kafka.lag import lag
from streams import topics
from streams.rows import TABLES

log = telemetry.get(__name__)

LOOK_S = 0.25
SINK_GROUP = "tapestream-sink"


async def settled(bootstrap: str) -> None:
    """Return when every answer received before, all that was made of it, and every report is stored.

    A broker or a store that is away is waited for.
    """
    await _reached(bootstrap, topics.APP, (topics.RAW_RESPONSES,))
    await _reached(bootstrap, SINK_GROUP, tuple(TABLES))


async def _reached(bootstrap: str, group: str, names: Collection[str]) -> None:
    """Return when the group has committed everything that the topics held at the call."""
    ends: dict[tuple[str, int], int] | None = None
    while True:
        try:
            found = await lag(bootstrap, group, names)
        except BrokerUnreachable as error:
            log.warning("settling.broker_away", error=str(error))
            continue
        if ends is None:
            ends = {(at.topic, at.partition): at.end for at in found if at.behind}
        ends = {
            (at.topic, at.partition): ends[at.topic, at.partition]
            for at in found
            if (at.committed or 0) < ends.get((at.topic, at.partition), 0)
        }
        if not ends:
            return
        await asyncio.sleep(LOOK_S)
