"""How the handling of a poll request ends, and the one place that publishes it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from infra import telemetry
from streams.log_events import StreamEvent
from streams.messaging import topics
from streams.messaging.mailbox import post
from streams.messaging.messages import Child, PollDone, PollRequest
from streams.messaging.outcomes import PollOutcome
from streams.messaging.producer import Outbox

log = telemetry.get(__name__)


@dataclass(frozen=True, slots=True)
class End:
    """The end of a request."""

    request: PollRequest
    """The request, with what was tried."""
    outcome: PollOutcome
    """How it ended."""
    reason: str = ""
    """Why, in words; empty where it was served."""
    children: tuple[PollRequest, ...] = ()
    """The requests that go on in its place."""
    records: int = 0
    """Rows that were published."""
    rejects: int = 0
    """Rows that broke a rule."""
    first_bars: Mapping[str, int] = field(default_factory=dict)
    """Time of the first bar of each symbol, ms UTC."""


@dataclass(frozen=True, slots=True)
class Wait:
    """No end yet: the request stays in its mailbox."""

    until: int
    """When it is handled again, ms UTC."""


async def publish(outbox: Outbox, end: End, at: int) -> None:
    """Post the children, then report the end at `at` (ms UTC); the broker has acknowledged both on return.

    In this order, so that a report never names a request that no mailbox holds.
    """
    _log_fallbacks(end)
    await asyncio.gather(*(post(outbox, child) for child in end.children))
    done = PollDone.of(
        end.request,
        end.outcome,
        at,
        map(Child.of, end.children),
        end.reason,
        records=end.records,
        rejects=end.rejects,
        first_bars=end.first_bars,
    )
    await outbox.send(topics.POLL_DONE, done.encode(), key=done.job_id)


def _log_fallbacks(end: End) -> None:
    """Log that another provider is asked. Of bulk, which may be thousands of requests, it is a detail."""
    request = end.request
    for child in end.children:
        if child.provider != request.provider:
            level = logging.INFO if request.urgent else logging.DEBUG
            fields = {"provider": request.provider, "to": child.provider, "outcome": end.outcome}
            log.log(
                level, StreamEvent.REQUEST_PASSED_ON, request_id=request.request_id, **fields, reason=end.reason[:200]
            )
