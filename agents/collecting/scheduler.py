"""Fires the schedules on the leader: requests the runs that are due, and runs the maintenance jobs.

Of the times missed in a downtime only the latest is caught up, once. What a schedule fired last is in the store.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from agents.collecting.run_planner import patiently
from agents.log_events import AgentEvent
from infra import telemetry
from infra.clickhouse import Store, log_table
from infra.clickhouse.runs import FIRES
from infra.clock import SYSTEM
from streams.collecting.model import Declarations, Refresh
from streams.collecting.schedule import Schedule, due, next_after
from streams.messaging import topics
from streams.messaging.collector_messages import CollectRequest
from streams.messaging.producer import Outbox

log = telemetry.get(__name__)

LOOK_S = 60.0  # a clock that is set, or a machine that slept, is noticed within this time
Hook = Callable[[int], Awaitable[None]]
"""A job; it is given the moment (ms UTC) for which it is done."""


class Scheduler:
    """Fires the schedules of `declared`. Those of collectors post to `collect.requests`, the others call their hook."""

    def __init__(
        self,
        declared: Declarations,
        hooks: Mapping[str, Hook],
        outbox: Outbox,
        store: Store,
        *,
        sleep: Callable[[float], Awaitable[None]] = SYSTEM.sleep,
        now: Callable[[], int] = SYSTEM.now_ms,
    ) -> None:
        self._timings: list[tuple[Schedule, str, Refresh]] = [
            (timing.schedule, collector.name, timing.refresh)
            for collector in declared.collectors.values()
            for timing in collector.timings
        ]
        self._jobs = [schedule for schedule in declared.schedules if schedule.name in hooks]
        self._hooks = hooks
        self._outbox = outbox
        self._store = store
        self._sleep = sleep
        self._now = now
        self._fired: dict[str, int] = {}

    async def run(self) -> None:
        """Fire what is due, for ever."""
        await self.remember()
        schedules = [*(schedule for schedule, _, _ in self._timings), *self._jobs]
        while True:
            await self.fire_due()
            now = self._now()
            upcoming = min((next_after(schedule, now) for schedule in schedules), default=now + 10**9)
            await self._sleep(min(LOOK_S, (upcoming - now) / 1000))

    async def fire_due(self) -> None:
        """Fire, once each, what is due now: collectors in their order, so that dependencies are asked for first."""
        now = self._now()
        for schedule, collector, refresh in self._timings:
            if (at := due(schedule, self._fired[schedule.name], now)) is not None:
                await self._ask(schedule, collector, refresh, at)
                self._fired[schedule.name] = at
        for schedule in self._jobs:
            if (at := due(schedule, self._fired[schedule.name], now)) is not None:
                await self._do(schedule, at)
                self._fired[schedule.name] = at

    async def remember(self) -> None:
        """Learn when each schedule last fired; one that nobody has seen yet begins with its next time."""
        found = await patiently(lambda: self._store.query(FIRES))
        self._fired = {name: at for name, at, _ in found.rows}
        schedules = [*(schedule for schedule, _, _ in self._timings), *self._jobs]
        for schedule in schedules:
            if schedule.name not in self._fired:
                self._fired[schedule.name] = self._now()
                await self._mark(schedule, self._fired[schedule.name], fired=False)

    async def _ask(self, schedule: Schedule, collector: str, refresh: Refresh, at: int) -> None:
        """Ask for a run. It is marked by its report, so that a run which a crash cut off is owed still."""
        request = CollectRequest(
            run_id=f"{schedule.name.replace('/', '.')}.{at}",
            collector=collector,
            refresh=refresh,
            cause=f"schedule:{schedule.name}",
            due_at=at,
            asked_at=self._now(),
        )
        log.info(AgentEvent.SCHEDULE_FIRED, schedule=schedule.name, due_at=at)
        await self._outbox.send(topics.COLLECT_REQUESTS, request.encode(), key=collector, partition=0)

    async def _do(self, schedule: Schedule, at: int) -> None:
        log.info(AgentEvent.SCHEDULE_FIRED, schedule=schedule.name, due_at=at)
        try:
            await self._hooks[schedule.name](at)
        except Exception:
            log.exception(AgentEvent.SCHEDULE_JOB_FAILED, schedule=schedule.name)
        await self._mark(schedule, at, fired=True)

    async def _mark(self, schedule: Schedule, at: int, *, fired: bool) -> None:
        columns: dict[str, list[object]] = {"schedule": [schedule.name], "at": [at], "fired": [fired]}
        await patiently(lambda: self._store.insert(log_table("schedule_marks"), columns))
