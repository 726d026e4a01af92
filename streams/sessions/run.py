"""Runs a session: submits its units, hears how they end, and takes them into the checkpoint once they are stored.

Every source has a task of its own, so that one that fails or waits for its quota holds up no other. A run is over
when its time is up, all is done, or a stop is requested. Nothing more is submitted then, and calls in flight may
still end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

from infra import tasks
from streams.errors import NothingToCollect, PipelineAway
from streams.log_events import SessionEvent
from streams.messaging.listener import Inbox
from streams.messaging.messages import PollDone
from streams.messaging.requester import Requester
from streams.runtime.pipeline import Pipeline
from streams.sessions.in_flight import Attempt, InFlight
from streams.sessions.recorder import SessionRecorder, by_source, in_short
from streams.sessions.source import SourceRun
from streams.sessions.spec import MINUTE_MS
from streams.sessions.state import RUNNING, Paused, Resumed, SessionEnded, Started, StopAsked, UnitsPlanned, ends_at
from streams.sessions.stored_calls import Stored
from streams.sessions.units import LONGEST_MS, Unit

CHECKPOINT_MS = 5 * MINUTE_MS  # at most this much running time is lost by a kill
STATUS_MS = 30 * MINUTE_MS  # a line in the log for a person who looks twice an hour
SETTLE_EVERY_S = 2.0  # soon for a person, seldom for the broker
TICK_S = 0.2  # how soon a stop, a pause or the end of time is noticed
CATCH_UP_S = 30.0  # reports that were missed are read from the store this often
COUNT_ALL_S = 60.0  # how long the end of a session waits for the sink
LEAVE_S = 3.0  # what is under way gets of the 15 s that an exit may take
LEAVE_COUNT_S = 5.0  # of the 15 s of an exit, for storing


class Run:
    """One run of a session, on a pipeline that is ready."""

    def __init__(
        self,
        recorder: SessionRecorder,
        pipeline: Pipeline,
        requester: Requester,
        leaving: asyncio.Event,
        http_timeout_s: float,
    ) -> None:
        self._recorder, self._log, self._clock = recorder, recorder.log, recorder.clock
        self._pipeline, self._requester = pipeline, requester
        self._leaving = leaving
        self._http_timeout_s = http_timeout_s
        self._manifest = recorder.folder.manifest()
        self._stored = Stored(pipeline, recorder.folder.id)
        self._work = InFlight(recorder.folder.id)
        self._going = asyncio.Event()
        self._sources = {
            name: SourceRun(
                name, recorder, self._work, pipeline, requester, going=self._going, assets=lambda: self._manifest.assets
            )
            for name in recorder.session.spec.sources
            if name in pipeline.providers
        }
        self._settling = asyncio.Lock()
        self._told_at = 0

    async def run(self) -> None:
        """Collect until it is over. What was heard of is stored, and the session says so, on return."""
        with self._requester.inbox(self._recorder.folder.id) as inbox:
            todo = self._begin()
            await self._cancel_job(kept=self._work.job_id)  # what an earlier run of it, which was killed, left
            sources = [asyncio.create_task(self._sources[name].collect(units)) for name, units in todo.items()]
            guards = [
                asyncio.create_task(work)
                for work in (self._hear(inbox), self._follow_the_store(), self._catch_up(), self._pipeline.watch())
            ]
            try:
                await self._guarded(self._until_over(sources), guards)
                await tasks.end(*sources)
                await self._guarded(self._wind_down(), guards)
            finally:
                await tasks.end(*sources, *guards)
        if self._recorder.session.state in RUNNING:
            self._recorder.apply(SessionEnded())

    # -- beginning ---------------------------------------------------------------------------------------------------

    def _begin(self) -> dict[str, list[Unit]]:
        """Start or resume the session, and plan the units that each source is asked once."""
        recorder = self._recorder
        for name in recorder.session.spec.sources:
            if name not in self._sources:
                self._log.say(f"{name} has no key: set {name.upper()}_KEYS", SessionEvent.SOURCE_NO_KEY, source=name)
        started = recorder.session.started or self._clock.now_ms()
        todo = {name: source.lay_out(started) for name, source in self._sources.items()}
        if not any(todo.values()):
            raise NothingToCollect("no source can be asked any of this: see `tapestream providers`")
        known = {unit.id for units in todo.values() for unit in units} | recorder.session.done
        recorder.apply(Resumed() if recorder.session.started else Started())
        recorder.apply(UnitsPlanned(max(recorder.session.planned, len(known))))
        recorder.keep()
        self._going.set()
        self._told_at = self._clock.now_ms()
        owner = "its own" if self._pipeline.own else "the running"
        line = in_short(recorder.session, 0, self._clock.now_ms())
        self._log.say(f"{line}; on {owner} pipeline", SessionEvent.SESSION_RUNNING, sources=list(self._sources))
        return todo

    # -- what becomes of it ------------------------------------------------------------------------------------------

    async def _hear(self, inbox: Inbox[PollDone]) -> None:
        while True:
            self._note(await inbox.next_event())

    def _note(self, report: PollDone) -> None:
        attempt = self._work.note(report)
        if attempt is None:
            return
        if attempt.job.failures:
            self._log.note(SessionEvent.UNIT_FAILED, **_described(attempt))
        self._sources[attempt.unit.source].note(attempt)

    async def _follow_the_store(self) -> None:
        while True:
            await asyncio.sleep(SETTLE_EVERY_S)
            try:
                await self._count_stored()
            except PipelineAway as error:
                self._log.warn(SessionEvent.STORED_LATER, reason=str(error))

    async def _count_stored(self) -> None:
        """Take into the checkpoint what has ended, once it is stored. Raises `PipelineAway`."""
        async with self._settling:
            batch = tuple(self._work.ended)
            if not batch:
                return
            await self._pipeline.until_stored()
            calls = await self._stored.calls(batch)
            self._recorder.apply(*self._work.stored(batch, calls))
            self._recorder.keep()
            for attempt in batch:
                self._sources[attempt.unit.source].stored()

    async def _catch_up(self) -> None:
        """Ask the store for reports that went by unheard, as when the embedded broker was started afresh."""
        while True:
            await asyncio.sleep(CATCH_UP_S)
            with suppress(PipelineAway):
                for report in await self._stored.reports(self._work.underway):
                    self._note(report)

    # -- time and orders ---------------------------------------------------------------------------------------------

    async def _until_over(self, sources: Sequence[asyncio.Task[None]]) -> None:
        """Apply commands, write checkpoints and log the status until the session or this run of it is over."""
        while not await self._over(sources):
            self._write_checkpoint()
            end = ends_at(self._recorder.session)
            await _first(
                asyncio.sleep(TICK_S), self._clock.sleep((end - self._clock.now_ms()) / 1000 if end else LONGEST_MS)
            )

    async def _over(self, sources: Sequence[asyncio.Task[None]]) -> bool:
        await self._obey()
        for task in sources:
            if task.done():
                task.result()
        session = self._recorder.session
        if self._leaving.is_set() and session.state == "running":
            self._recorder.apply(Paused())
        if self._leaving.is_set() or session.state == "stopping":
            return True
        end = ends_at(session)
        finished = all(task.done() for task in sources) and not self._work.underway
        return end is not None and (finished or self._clock.now_ms() >= end)

    async def _obey(self) -> None:
        for order in self._recorder.folder.orders():
            state = self._recorder.session.state
            if order.what == "stop":
                self._recorder.apply(StopAsked())
            elif order.what == "pause" and state == "running":
                self._going.clear()
                self._recorder.apply(Paused())
                self._work.renew()
                await self._cancel_job(kept=self._work.job_id)
            elif order.what == "resume" and state == "paused":
                self._recorder.apply(Resumed())
                self._going.set()
            elif order.what in {"add", "remove"}:
                self._manifest = self._recorder.folder.change(order)
            self._recorder.keep()
            self._log.say(
                f"{order.what} {order.symbol}".strip(), SessionEvent.SESSION_ORDER, state=self._recorder.session.state
            )

    def _write_checkpoint(self) -> None:
        session, now = self._recorder.session, self._clock.now_ms()
        if now - self._recorder.kept_at >= CHECKPOINT_MS and session.state != "paused":
            self._recorder.keep()
        line = in_short(session, len(self._work.underway), now)
        if now - self._told_at >= STATUS_MS:
            self._told_at = now
            self._log.say(f"{line}; calls/records: {by_source(session)}", SessionEvent.SESSION_STATUS)
        if self._log.draw:
            self._log.draw(line)

    # -- ending ------------------------------------------------------------------------------------------------------

    async def _wind_down(self) -> None:
        """Take back what waits, let calls under way end, within one HTTP time-out, and have all of it stored."""
        await self._cancel_job()
        await _first(self._idle(), asyncio.sleep(self._http_timeout_s), self._left(LEAVE_S))
        if given_up := len(self._work.underway):
            self._log.note(SessionEvent.UNITS_GIVEN_UP, count=given_up)
        await _first(self._count_all_stored(), asyncio.sleep(COUNT_ALL_S), self._left(LEAVE_COUNT_S))
        if unstored := len(self._work.ended):
            self._log.warn(SessionEvent.SESSION_UNSTORED, count=unstored)

    async def _cancel_job(self, kept: str = "") -> None:
        await self._requester.cancel(self._recorder.folder.id, self._sources, kept)

    async def _idle(self) -> None:
        for source in self._sources.values():
            await source.quiet()

    async def _left(self, within_s: float) -> None:
        await self._leaving.wait()
        await asyncio.sleep(within_s)

    async def _count_all_stored(self) -> None:
        """Settle, and count the calls of attempts without a recorded end."""
        while True:
            try:
                await self._count_stored()
                lost = await self._stored.lost(self._recorder.session)
            except PipelineAway as error:
                self._log.warn(SessionEvent.STORED_LATER, reason=str(error))
                await asyncio.sleep(TICK_S)
            else:
                self._recorder.apply(*lost)
                return

    async def _guarded(self, work: Coroutine[Any, Any, None], guards: Sequence[asyncio.Task[Any]]) -> None:
        """Do something as long as all guards stand; raises what a guard raises."""
        task = asyncio.ensure_future(work)
        await asyncio.wait({task, *guards}, return_when=asyncio.FIRST_COMPLETED)
        for guard in guards:
            if guard.done():
                await tasks.end(task)
                guard.result()
        await task


def _described(attempt: Attempt) -> dict[str, Any]:
    failure, call = attempt.job.failures[0], attempt.unit.call
    fields = {"source": attempt.unit.source, "dataset": call.dataset, "symbols": call.symbols[:5]}
    return {**fields, "outcome": failure.outcome, "reason": failure.reason[:200]}


async def _first(*works: Coroutine[Any, Any, None]) -> None:
    """Return as soon as one of these has ended; the others are cancelled."""
    running = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await tasks.end(*running)
