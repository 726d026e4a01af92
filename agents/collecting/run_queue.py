"""Orders the waiting runs: dependencies first, then by priority, with a bound on parallel runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from streams.collecting.dependencies import Ending, Readiness, ready
from streams.collecting.model import Collector

SIDE_BY_SIDE = 4  # parallel runs: more would only share the same quotas


@dataclass(slots=True)
class RunQueue:
    """Runs of the collectors, and the order in which they go.

    Runs side by side are independent of each other, since who depends on one that waits or runs waits for it. A
    collector never runs twice at once.
    """

    collectors: Mapping[str, Collector]
    """The declared collectors by name, in the order in which they go."""
    endings: dict[str, Ending]
    """The last end of each collector's runs, by name."""
    side_by_side: int = SIDE_BY_SIDE
    """Most runs at once."""
    _waiting: dict[str, str] = field(default_factory=dict)
    _running: set[str] = field(default_factory=set)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, run_id: str, name: str, *, at_once: bool = False) -> Readiness:
        """Return when the run may start (then `ended` must follow), or when it is to be skipped.

        With `at_once` it only waits until no other run of the same collector goes on.
        """
        self._waiting[run_id] = name
        try:
            async with self._changed:
                self._changed.notify_all()
                await self._changed.wait_for(lambda: self._free(name) if at_once else self._decided(name))
                readiness = Readiness("run") if at_once else self._readiness(name)
                if readiness.decision == "run":
                    self._running.add(name)
        finally:
            del self._waiting[run_id]
        return readiness

    async def ended(self, name: str, ending: Ending | None) -> None:
        """Note how a run ended; None when it was cut off, which says nothing."""
        async with self._changed:
            self._running.discard(name)
            if ending is not None:
                self.endings[name] = ending
            self._changed.notify_all()

    def lacking(self, name: str) -> Iterable[str]:
        """What a collector depends on that has never run, does not run and does not wait."""
        return [other for other in self.collectors[name].depends_on if other not in {*self.endings, *self._busy()}]

    def _free(self, name: str) -> bool:
        return name not in self._running

    def _decided(self, name: str) -> bool:
        decision = self._readiness(name).decision
        if decision != "run":
            return decision == "skip"
        return name == self._next() and len(self._running) < self.side_by_side

    def _next(self) -> str | None:
        """Of the collectors that wait and may start, the one that stands first."""
        waiting = set(self._waiting.values()) - self._running
        return next((name for name in self.collectors if name in waiting and self._may_start(name)), None)

    def _may_start(self, name: str) -> bool:
        return self._readiness(name).decision == "run"

    def _readiness(self, name: str) -> Readiness:
        busy = self._busy()
        known = {other: ending for other, ending in self.endings.items() if other not in busy}
        return ready(name, known, self.collectors)

    def _busy(self) -> set[str]:
        return {*self._running, *self._waiting.values()}
