"""A server that runs as a child of ours: started and ready on entering, ended on leaving, also again and again."""

from __future__ import annotations

import asyncio
import signal
from abc import ABC, abstractmethod
from types import TracebackType
from typing import ClassVar, Self

from infra.child_process import Child, ChildFailed


class ServerProcess(ABC):
    """One server. Use as `async with`, or by `start` and `stop`.

    Raises (on entering):
        ChildFailed: it ended or did not answer.
    """

    title: ClassVar[str]
    """What errors call it."""
    ready_within_s: ClassVar[float]
    """How long a start may take, in seconds."""
    grace_s: ClassVar[float]
    """How long an orderly end may take before it is killed, in seconds."""

    _child: Child | None = None

    @abstractmethod
    async def launch(self) -> Child:
        """Start the process, which need not answer yet."""

    @abstractmethod
    async def answers(self) -> bool:
        """Return whether it serves."""

    @property
    def pid(self) -> int:
        """Its process id. Raises `RuntimeError` before the first start."""
        return self._running().pid

    def rss(self) -> int:
        """Resident memory in bytes; 0 once it has ended."""
        return self._running().rss()

    async def start(self) -> Self:
        """Start it, or start it again, and wait until it answers."""
        self._child = await self.launch()
        try:
            await self._child.until_ready(self.answers, self.ready_within_s)
        except BaseException:
            await self.stop()
            raise
        return self

    async def wait(self) -> int:
        """Wait until it ends for any reason, and return its exit code."""
        return await self._running().wait()

    async def stop(self) -> int:
        """End it, in order within `grace_s` seconds, otherwise by force; returns its exit code."""
        return await self._running().stop(self.grace_s)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _running(self) -> Child:
        if self._child is None:
            raise RuntimeError(f"{self.title} has not been started")
        return self._child


async def until_signal(server: ServerProcess) -> None:
    """Return on SIGINT or SIGTERM; raise `ChildFailed` where a running server ends before."""
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    ended, stopped = asyncio.ensure_future(server.wait()), asyncio.ensure_future(asked.wait())
    try:
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            raise ChildFailed(f"{server.title} ended with exit code {ended.result()}")
    finally:
        ended.cancel()
        stopped.cancel()
