"""The wall clock of this process, and waiting by it. Every time that is kept or compared comes from here.

A rehearsal against the sandbox may run faster than time: at rate 60 an hour passes in a minute, for every process of
the tree alike, counted from the moment at which both clocks agreed.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass


@dataclass(slots=True)
class _Clock:
    rate: float = 1.0
    anchor_ms: int = 0


_clock = _Clock()


def configure(rate: float, anchor_ms: int) -> None:
    """Let time run `rate` times as fast as real time, counted from `anchor_ms` (ms UTC)."""
    _clock.rate, _clock.anchor_ms = rate, anchor_ms


def now_ms() -> int:
    """The time, ms since the epoch."""
    real = time.time_ns() // 1_000_000
    return real if _clock.rate == 1 else round(_clock.anchor_ms + (real - _clock.anchor_ms) * _clock.rate)


def real_s(ms: int) -> float:
    """Seconds of real time in which `ms` of this clock pass."""
    return ms / 1000 / _clock.rate


async def sleep(seconds: float) -> None:
    """Wait for a number of seconds by this clock."""
    await asyncio.sleep(seconds / _clock.rate)
