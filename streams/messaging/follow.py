"""Follows a consumer, also across a broker that was renewed."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Any

from infra.kafka.connection import BrokerUnreachable, answers

IDLE_MS = 500  # how soon an idle reader notices a renewed broker
ASK_S = 5.0  # an idle topic is no reason to ask the broker more often
AWAY_S = 60.0  # a renewed broker is back within seconds


async def following(consumer: Any, bootstrap: str) -> AsyncGenerator[Any, None]:
    """Yield a consumer's records for ever, also across a renewed embedded broker, whose offsets start at 0 again.

    Raises `BrokerUnreachable` when nothing answers any more.
    """
    asked = heard = time.monotonic()
    while True:
        fetched = await consumer.getmany(timeout_ms=IDLE_MS)
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
