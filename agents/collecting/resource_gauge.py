"""What the worker's process takes while something runs: its largest resident memory and its CPU time."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import psutil

from infra import tasks

EVERY_S = 1.0  # peaks shorter than a second are not seen
MIB = 2**20


class ResourceGauge:
    """Measures this process within `async with`; it looks every second, and at both ends."""

    def __init__(self) -> None:
        self._process: Any = psutil.Process()
        self._since = self._cpu()
        self._task: asyncio.Task[None] | None = None
        self.rss_mb_peak = 0.0
        self.cpu_s = 0.0

    async def __aenter__(self) -> Self:
        self._look()
        self._task = tasks.keep_alive(self._follow, "gauge")
        return self

    async def __aexit__(self, *_: object) -> None:
        await tasks.end(self._task)
        self._look()

    def _look(self) -> None:
        self.rss_mb_peak = max(self.rss_mb_peak, self._process.memory_info().rss / MIB)
        self.cpu_s = self._cpu() - self._since

    def _cpu(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            self._look()
