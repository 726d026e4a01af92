"""One source of a session: what it is asked once, what failed for a passing reason once more, then cycles of quotes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from streams.errors import PipelineAway
from streams.messaging.requester import Requester
from streams.runtime.pipeline import Pipeline
from streams.sessions.in_flight import Attempt, InFlight
from streams.sessions.recorder import SessionRecorder
from streams.sessions.spec import SessionAsset
from streams.sessions.state import UnitsPlanned, ends_at
from streams.sessions.units import LONGEST_MS, Unit, cost, interval_ms, once, quotes

UNDERWAY = 16
"""Units of one source under way at once."""
UNSTORED = 256
"""Units of one source that are under way, or ended and not known to be stored: as many as a kill can undo."""
AGAIN_S = 60.0  # of the session's clock, before what failed for a passing reason is asked again

Assets = Callable[[], Sequence[SessionAsset]]
"""The symbols that the session wants now."""


class SourceRun:
    """Submits a source's units, never more than `UNDERWAY` and `UNSTORED` at once, and only while `going` is set."""

    def __init__(
        self,
        name: str,
        recorder: SessionRecorder,
        work: InFlight,
        pipeline: Pipeline,
        requester: Requester,
        *,
        going: asyncio.Event,
        assets: Assets,
    ) -> None:
        self.name = name
        self._recorder, self._clock, self._work = recorder, recorder.clock, work
        self._pipeline, self._requester = pipeline, requester
        self._going, self._assets = going, assets
        self._slots = asyncio.Semaphore(UNDERWAY)
        self._unstored = asyncio.Semaphore(UNSTORED)
        self._ended = asyncio.Event()
        self._laid: set[SessionAsset] = set()
        self._once: set[str] = set()
        self._again: list[Unit] = []

    def lay_out(self, started: int) -> list[Unit]:
        """What it is asked once for symbols that it was not asked for yet, in a session begun at `started`."""
        new = [asset for asset in self._assets() if asset not in self._laid]
        self._laid |= set(new)
        units = once(self.name, new, self._recorder.session.spec.datasets, started)
        self._once |= {unit.id for unit in units}
        return units

    async def collect(self, units: Sequence[Unit]) -> None:
        """Return when there is no more to ask; while there are quotes, never."""
        began = self._clock.now_ms()
        await self._submit(units)
        while True:
            await self.quiet()
            if again := self._again:
                self._again = []
                await self._clock.sleep(AGAIN_S)
                await self._submit(again)
            elif cycle := self._cycle():
                began = await self._next_cycle(cycle, began)
            else:
                return

    def note(self, attempt: Attempt) -> None:
        """Make room for the next unit, and remember one that is worth another attempt."""
        if attempt.unit.id in self._once and self._work.may_try_again(attempt):
            self._again.append(attempt.unit)
        self._slots.release()
        self._ended.set()

    def stored(self) -> None:
        """Make room for one more, as another is known to be stored."""
        self._unstored.release()

    async def quiet(self) -> None:
        """Return once nothing is under way."""
        while self._work.busy(self.name):
            self._ended.clear()
            await self._ended.wait()

    def _cycle(self) -> list[Unit]:
        """The quotes that a cycle asks now; none where the session wants none, or nobody sells one."""
        if "quote" not in self._recorder.session.spec.datasets:
            return []
        return self._work.worth_asking(quotes(self.name, self._assets(), self._clock.now_ms()))

    async def _next_cycle(self, cycle: Sequence[Unit], began: int) -> int:
        """Wait until the cycle after that of `began` is due, submit it, and return its beginning (ms UTC)."""
        pause = await self._pause(cycle)
        await self._clock.sleep(max(0, began + (pause or LONGEST_MS) - self._clock.now_ms()) / 1000)
        await self._going.wait()
        began = self._clock.now_ms()
        if pause is None:  # the quota is used up: look again later
            return began
        added = self.lay_out(self._recorder.session.started or began)
        units = [unit for unit in [*added, *self._cycle()] if unit.id not in self._recorder.session.done]
        self._recorder.apply(UnitsPlanned(self._recorder.session.planned + len(units)))
        await self._submit(units)
        return began

    async def _pause(self, cycle: Sequence[Unit]) -> int | None:
        end = ends_at(self._recorder.session)
        try:
            status = await self._pipeline.provider_status(self.name)
        except PipelineAway:
            return LONGEST_MS
        return interval_ms(status, *cost(cycle), max(0, end - self._clock.now_ms()) if end else LONGEST_MS)

    async def _submit(self, units: Iterable[Unit]) -> None:
        """Submit units one by one, as others end."""
        for unit in units:
            if unit.id in self._recorder.session.done or self._unwanted(unit):
                continue
            await self._unstored.acquire()
            await self._slots.acquire()
            await self._going.wait()
            attempt = self._work.begin(unit, ends_at(self._recorder.session), self._clock.now_ms())
            await self._requester.submit([attempt.request])

    def _unwanted(self, unit: Unit) -> bool:
        return {asset.symbol for asset in self._assets()}.isdisjoint(unit.call.symbols)
