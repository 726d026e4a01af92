"""The clock of a pipeline: the time, and waiting by it. Every time that is kept or compared comes from one.

A rehearsal against the sandbox may run faster than time: at rate 60 an hour passes in a minute, for every process of
the tree alike, counted from the moment at which both clocks agreed. `Settings.clock` is the clock of a process; who
needs the time is handed that one, or its `now_ms` and `sleep`.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Time that runs `rate` times as fast as real time, counted from `anchor_ms` (ms UTC)."""

    rate: float = 1.0
    """How many times as fast as real time it runs."""
    anchor_ms: int = 0
    """The moment at which it agreed with real time, ms UTC."""

    def now_ms(self) -> int:
        """The time, ms since the epoch."""
        real = time.time_ns() // 1_000_000
        return real if self.rate == 1 else round(self.anchor_ms + (real - self.anchor_ms) * self.rate)

    def real_s(self, ms: int) -> float:
        """Seconds of real time in which `ms` of this clock pass."""
        return ms / 1000 / self.rate

    async def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds by this clock."""
        await asyncio.sleep(seconds / self.rate)


SYSTEM = Clock()
"""The clock of the machine: real time."""
