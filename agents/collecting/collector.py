"""Runs collectors on the leader: finds what is missing, requests it within bounds, retries, and reports.

Every request ends in a report. Runs that depend on each other follow each other; others go side by side.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import ValidationError

from agents.collecting.resource_gauge import ResourceGauge
from agents.collecting.run_planner import RunPlanner, patiently
from agents.collecting.run_queue import RunQueue
from agents.collecting.run_submitter import JobCounts, RunSubmitter
from agents.log_events import AgentEvent
from connectors import connectors
from infra import tasks, telemetry
from infra.clickhouse import Store, StoreError
from infra.clickhouse.runs import LAST_RUNS, calls_of_sql, run_sql
from infra.clock import SYSTEM
from streams.collecting.dependencies import Ending, Readiness, retry_delay_s
from streams.collecting.model import Collector as Declared
from streams.collecting.model import Refresh
from streams.messaging import topics
from streams.messaging.cancellations import cancel, next_job_id
from streams.messaging.collector_messages import CollectorRun, CollectRequest
from streams.messaging.dead_letters import unreadable
from streams.messaging.events import Event
from streams.messaging.listener import Inbox, TopicListener
from streams.messaging.messages import PollDone
from streams.messaging.outcomes import PollOutcome
from streams.messaging.producer import Outbox

log = telemetry.get(__name__)

DAY_MS = 86_400_000
"""How long a run lasts at most: what is missing then is planned by the next one."""
LISTS_MS = 3_600_000
"""How long a run lasts that asks several providers for their lists: one without room does not hold up the others."""
OVERDUE_MS = 900_000  # a quarter of an hour without a report: read the store instead
Sleep = Callable[[float], Awaitable[None]]


class Overdue(Exception):
    """Requests have not ended, long after they had to."""


class CollectorRunner:
    """Serves `collect.requests`. `until_stored()` returns when what was received is in the store."""

    def __init__(
        self,
        declared: Mapping[str, Declared],
        planning: RunPlanner,
        outbox: Outbox,
        store: Store,
        reports: TopicListener[PollDone],
        until_stored: Callable[[], Awaitable[None]],
        *,
        sleep: Sleep = SYSTEM.sleep,
        now: Callable[[], int] = SYSTEM.now_ms,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._declared = declared
        self._planning = planning
        self._outbox = outbox
        self._store = store
        self._reports = reports
        self._until_stored = until_stored
        self._sleep = sleep
        self._now = now
        self._chance = chance
        self._turns = RunQueue(declared, {})
        self._remembered = asyncio.Event()
        self._under_way: dict[str, asyncio.Future[CollectorRun]] = {}
        self._waiting: dict[tuple[str, Refresh], asyncio.Future[CollectorRun]] = {}
        self._asked_for: set[str] = set()
        self._since = 0

    async def remember(self) -> None:
        """Learn from the store how each collector last ended; no run starts before."""
        found = await patiently(lambda: self._store.query(LAST_RUNS))
        self._turns.endings.update({collector: state for collector, _, state, *_ in found.rows})
        self._since = self._now()
        self._remembered.set()

    async def handle(self, event: Event) -> None:
        """Handle one event of the mailbox; what it causes is reported on return."""
        try:
            request = CollectRequest.decode(event.value)
        except ValidationError as error:
            await unreadable(self._outbox, event, error, self._now())
            return
        await self._remembered.wait()
        if (twin := self._under_way.get(request.run_id)) is not None:
            await asyncio.wait({twin})
            return
        declared = self._declared.get(request.collector)
        if declared is None:
            reason = f"unknown collector {request.collector!r}; known: {', '.join(self._declared)}"
            await self._publish(self._report(request, request.refresh or "incremental", "failed", reason))
        elif not (await patiently(lambda: self._store.query(run_sql(request.run_id)))).rows:
            await self._once(request, declared, request.refresh or declared.refresh)

    async def _once(self, request: CollectRequest, declared: Declared, refresh: Refresh) -> None:
        """Run, or share the run of an equal request that still waits: so a late leader faces no storm."""
        shared = self._waiting.get((declared.name, refresh))
        if shared is not None and not request.at_once:
            run = await asyncio.shield(shared)
            fields = {"run_id": request.run_id, "cause": request.cause, "due_at": request.due_at}
            await self._publish(
                run.model_copy(update={**fields, "reason": f"shared the run {run.run_id}. {run.reason}"})
            )
            return
        ending = self._under_way[request.run_id] = asyncio.get_running_loop().create_future()
        try:
            run = await self._in_turn(request, declared, refresh, ending)
            await self._publish(run)
            ending.set_result(run)
        finally:
            ending.cancel()
            del self._under_way[request.run_id]

    async def _in_turn(
        self, request: CollectRequest, declared: Declared, refresh: Refresh, ending: asyncio.Future[CollectorRun]
    ) -> CollectorRun:
        if request.at_once:
            readiness = await self._turns.take(request.run_id, declared.name, at_once=True)
        else:
            readiness = await self._queue(request, declared, refresh, ending)
        state: Ending | None = None
        try:
            if readiness.decision == "skip":
                run = self._report(request, refresh, "skipped", readiness.reason)
            else:
                run = await self._run(request, declared, refresh)
            state = run.state
        finally:
            self._asked_for.discard(declared.name)
            await self._turns.ended(declared.name, state)
        return run

    async def _queue(
        self, request: CollectRequest, declared: Declared, refresh: Refresh, ending: asyncio.Future[CollectorRun]
    ) -> Readiness:
        """Wait for dependencies and for its turn; meanwhile, equal requests share this run."""
        self._waiting[declared.name, refresh] = ending
        try:
            await self._ask_for_what_never_ran(request, declared)
            return await self._turns.take(request.run_id, declared.name)
        finally:
            del self._waiting[declared.name, refresh]

    async def _ask_for_what_never_ran(self, request: CollectRequest, declared: Declared) -> None:
        for name in self._turns.lacking(declared.name):
            if name not in self._asked_for:
                self._asked_for.add(name)
                cause = f"dependency:{declared.name}"
                wanted = request.model_copy(
                    update={"run_id": f"{request.run_id}.{name}", "collector": name, "refresh": None, "cause": cause}
                )
                await self._outbox.send(topics.COLLECT_REQUESTS, wanted.encode(), key=name, partition=0)

    async def _run(self, request: CollectRequest, declared: Declared, refresh: Refresh) -> CollectorRun:
        started, tally, job_id = self._now(), JobCounts(), next_job_id(request.run_id)
        log.info(AgentEvent.COLLECTOR_BEGUN, collector=declared.name, run_id=request.run_id, refresh=refresh)
        calls = 0
        async with ResourceGauge() as gauge:
            try:
                await self._collect(request, declared, refresh, tally, job_id)
                await self._until_stored()
                found = await patiently(lambda: self._store.query(calls_of_sql(job_id, started)))
                calls = found.rows[0][0]
            except (StoreError, Overdue) as error:
                tally.fault = str(error)
            except Exception as error:
                log.exception(AgentEvent.COLLECTOR_FAULT, collector=declared.name, run_id=request.run_id)
                tally.fault = f"{type(error).__name__}: {error}"
        state, reason = verdict(tally)
        return self._report(request, refresh, state, reason).model_copy(
            update={
                "started_at": started,
                "calls": calls,
                "rss_mb_peak": round(gauge.rss_mb_peak, 1),
                "cpu_s": round(gauge.cpu_s, 2),
                **{name: getattr(tally, name) for name in ("attempts", "units", "records", "rejects")},
                "errors": {outcome.value: count for outcome, count in tally.errors.items()},
            }
        )

    async def _collect(
        self, request: CollectRequest, declared: Declared, refresh: Refresh, tally: JobCounts, job_id: str
    ) -> None:
        """Plan, and submit as often as the collector's policy allows what failed for a reason that may pass."""
        if request.asked_at < self._since:  # whoever led before may have begun it
            await cancel(self._outbox, request.run_id, connectors(), kept=job_id)
        members = await self._planning.members(declared.universe)
        if not any(members.values()) and any(wanted.dataset != "assets" for wanted in declared.datasets):
            tally.fault = "its universe is empty: no such assets are stored, or all of them were removed"
            return
        plan = await self._planning.plan(declared, members, refresh, request.due_at, self._now())
        tally.covered, tally.units = plan.covered, len(plan.requests)
        for lacking in plan.unavailable:
            tally.lack(PollOutcome.UNAVAILABLE, max(1, len(lacking.symbols)), f"{lacking.dataset}: {lacking.reason}")
        deadline = self._now() + DAY_MS
        if len(plan.work) > 1 and all(wanted.dataset == "assets" for wanted in declared.datasets):
            deadline, tally.bearable = self._now() + LISTS_MS, 1.0  # what one does not list, another may
        submission, asked = RunSubmitter(self._outbox, job_id, deadline), list(plan.requests)
        del plan
        with self._reports.listen_for(job_id) as inbox:
            overdue = asyncio.create_task(self._overdue(inbox, deadline + OVERDUE_MS), name="overdue")
            try:
                while asked:
                    tally.attempts += 1
                    await submission.run(asked, inbox, tally)
                    asked = await self._again(declared, tally, deadline)
            finally:
                await tasks.end(overdue)

    async def _again(self, declared: Declared, tally: JobCounts, deadline: int) -> list[Any]:
        """Wait before the next attempt and return its requests; none when there is no next attempt."""
        failed, tally.retry = tally.retry, []
        delay_s = retry_delay_s(declared.retry, tally.attempts, self._chance())
        if failed and tally.attempts < declared.retry.attempts and self._now() + delay_s * 1000 < deadline:
            log.warning(
                AgentEvent.COLLECTOR_RETRY, collector=declared.name, requests=len(failed), in_s=round(delay_s, 1)
            )
            await self._sleep(delay_s)
            return [asked for asked, _ in failed]
        for _, report in failed:
            tally.give_up(report)
        tally.passing = len(failed)
        return []

    async def _overdue(self, inbox: Inbox[PollDone], until: int) -> None:
        await self._sleep((until - self._now()) / 1000)
        inbox.put(Overdue("requests have not ended, a quarter of an hour after they had to"))

    def _report(self, request: CollectRequest, refresh: Refresh, state: Ending, reason: str) -> CollectorRun:
        fields = request.model_dump(include={"run_id", "collector", "cause", "due_at"})
        now = self._now()
        return CollectorRun(**fields, refresh=refresh, state=state, reason=reason[:2000], started_at=now, ended_at=now)

    async def _publish(self, run: CollectorRun) -> None:
        level = logging.INFO if run.state == "done" else logging.WARNING
        fields = run.model_dump(include={"run_id", "collector", "state", "reason", "calls", "records"})
        log.log(level, AgentEvent.COLLECTOR_ENDED, **fields)
        await self._outbox.send(topics.COLLECT_DONE, run.encode(), key=run.collector)


def verdict(tally: JobCounts) -> tuple[Ending, str]:
    """How a run ended. It failed when it brought nothing, or when too much stayed unserved for transient reasons."""
    if tally.fault:
        return "failed", tally.fault
    lacking = sum(tally.errors.values())
    if not lacking:
        return "done", "" if tally.units else "nothing was missing"
    failed = tally.passing > tally.bearable * tally.units or not (tally.served or tally.covered)
    counts = ", ".join(f"{outcome} {count}" for outcome, count in tally.errors.most_common())
    return "failed" if failed else "done", f"unserved: {counts}. {'. '.join(tally.reasons)}"
