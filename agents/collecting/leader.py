"""What the worker does that owns `collect.requests`: there is one, so collectors and schedules need no election."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from agents.collecting.collector import CollectorRunner
from agents.collecting.housekeeping import hooks
from agents.collecting.run_planner import RunPlanner
from agents.collecting.scheduler import Scheduler
from agents.log_events import AgentEvent
from infra import tasks, telemetry
from infra.tasks import OnFault
from streams.collecting.declarations import OWN
from streams.collecting.model import Declarations
from streams.messaging import topics
from streams.messaging.events import Partition
from streams.messaging.mailbox import Consumer, Mailboxes
from streams.messaging.requester import poll_reports
from streams.runtime.stored import until_stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.polling.key_pool import KeyPool
    from agents.polling.quote_cache import Quotes
    from infra.clickhouse import Store
    from infra.clock import Clock
    from infra.settings import Settings
    from streams.messaging.producer import Outbox

log = telemetry.get(__name__)

WINDOW = 256
"""Requests for runs that are looked at together: among them goes first who stands first."""


class Leader:
    """Collector and scheduler of a worker.

    `owned()` names the providers that it may ask now; `on_fault` is called when a part of it cannot continue.
    """

    def __init__(
        self,
        settings: Settings,
        pools: Mapping[str, KeyPool],
        outbox: Outbox,
        quotes: Quotes,
        *,
        owned: Callable[[], list[str]],
        clock: Clock,
        on_fault: OnFault,
    ) -> None:
        self._settings = settings
        self._pools = pools
        self._outbox = outbox
        self._quotes = quotes
        self._owned = owned
        self._clock = clock
        self._on_fault = on_fault
        self._open = AsyncExitStack()
        self._collector: CollectorRunner | None = None
        self._scheduler: Scheduler | None = None
        self._leading: asyncio.Task[None] | None = None
        self.boxes: Mailboxes | None = None

    async def open(self, store: Store, declared: Declarations, consumer: Consumer) -> None:
        """Open what a leader needs. It leads once `collect.requests` is assigned to this worker."""
        bootstrap, clock = self._settings.bootstrap, self._clock
        reports = await self._open.enter_async_context(poll_reports(bootstrap, patient=True))
        self._collector = CollectorRunner(
            declared.collectors,
            RunPlanner(store, self._settings, self._pools, self._owned),
            self._outbox,
            store,
            reports,
            partial(until_stored, bootstrap),
            sleep=clock.sleep,
            now=clock.now_ms,
        )
        if scheduled(self._settings):
            self._scheduler = Scheduler(
                declared, hooks(store, self._quotes), self._outbox, store, sleep=clock.sleep, now=clock.now_ms
            )
        self.boxes = Mailboxes(
            self._collector.handle, window=WINDOW, high=WINDOW, consumer=consumer, on_fault=self._on_fault
        )

    async def assigned(self, _: Any, partitions: set[Partition], **__: Any) -> None:
        """Lead, if `collect.requests` is among what this worker was given."""
        if self.boxes is not None and _leads(partitions):
            self.boxes.own(partitions)
            if self._leading is None:
                self._leading = asyncio.create_task(self._lead(), name="leader")
                tasks.report_fault(self._leading, self._on_fault)

    async def revoked(self, _: Any, partitions: set[Partition], **__: Any) -> None:
        """Lead no longer, if `collect.requests` goes to another worker: it starts again what is under way."""
        if self.boxes is not None and _leads(partitions):
            await self._retire()
            await self.boxes.release(partitions)

    async def stop(self) -> None:
        """Lead no longer. A run under way is not acknowledged, and so comes again."""
        await self._retire()
        if self.boxes is not None:
            await self.boxes.drain(0)
        await self._open.aclose()

    async def _lead(self) -> None:
        assert self._collector is not None
        log.info(AgentEvent.LEADER_LEADS, schedules="on" if self._scheduler else "off")
        await self._collector.remember()
        if self._scheduler:
            await self._scheduler.run()

    async def _retire(self) -> None:
        task, self._leading = self._leading, None
        await tasks.end(task)


def scheduled(settings: Settings) -> bool:
    """Return whether the schedules run: with `auto` only where the user has a tapestream.toml."""
    return settings.schedules == "on" or (settings.schedules == "auto" and OWN.exists())


def _leads(partitions: Iterable[Partition]) -> bool:
    return any(where.topic == topics.COLLECT_REQUESTS for where in partitions)
