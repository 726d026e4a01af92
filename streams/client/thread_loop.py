"""A pipeline in a thread with an event loop of its own, for programs that have none. Knows nothing of what is asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from streams.errors import NotRunning

LOOK_S = 0.5  # how soon a thread notices the end of its pipeline


class Kept(Protocol):
    """What is entered, watched and left in the thread."""

    async def __aenter__(self) -> Any: ...
    async def __aexit__(self, *_: object) -> None: ...
    async def watch(self) -> None:
        """Return never. Raises what ended it."""


P = TypeVar("P", bound=Kept)
T = TypeVar("T")


class Background(Generic[P]):
    """Keeps `pipeline` from `start` until `stop`, or until the program ends without one. Use it once.

    Threads may share it. When the pipeline ends by itself, every waiting and every later call raises the reason.
    """

    def __init__(self, pipeline: P, name: str) -> None:
        self.pipeline = pipeline
        self._thread = threading.Thread(target=self._work, name=name)
        self._loop = asyncio.new_event_loop()
        self._leaving = asyncio.Event()
        self._gate = threading.RLock()  # a signal handler may stop it at any point
        self._ready: Future[None] = Future()
        self._ended: Future[None] = Future()
        self._untold: BaseException | None = None

    def start(self) -> None:
        """Return when the pipeline is ready. Raises what it does when it is entered; then nothing is left of it."""
        self._thread.start()
        try:
            self._first(self._ready)
        except BaseException:
            self._leave()
            raise

    def do(self, work: Callable[[P], Coroutine[Any, Any, T]]) -> T:
        """Do `work` with the pipeline, in its loop, and return its result.

        Raises what `work` does, what ended the pipeline, and `NotRunning` once it is stopped.
        """
        with self._gate:
            asked = None if self._ended.done() else asyncio.run_coroutine_threadsafe(work(self.pipeline), self._loop)
        if asked is None:
            return self._first(Future())
        try:
            return self._first(asked)
        except BaseException:
            asked.cancel()
            raise

    def stop(self) -> None:
        """Leave the pipeline. Raises what ended it too early, unless a call has raised it before."""
        self._leave()
        fault, self._untold = self._untold, None
        if fault:
            raise fault

    def _first(self, asked: Future[T]) -> T:
        """Return what was asked for, unless the pipeline ends first: then raise why."""
        either: set[Future[Any]] = {asked, self._ended}
        wait(either, return_when=FIRST_COMPLETED)
        if not asked.done() or asked.cancelled():
            self._untold = None
            self._ended.result()
        return asked.result()

    def _leave(self) -> None:
        self._end(NotRunning("it was stopped meanwhile"))
        with suppress(RuntimeError):  # its loop has ended by itself
            self._loop.call_soon_threadsafe(self._leaving.set)
        self._thread.join()

    def _end(self, reason: BaseException) -> None:
        with self._gate:
            if not self._ended.done():
                self._ended.set_exception(reason)

    def _fail(self, fault: BaseException) -> None:
        self._untold = fault
        self._end(fault)

    def _work(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._keep())
        except BaseException as error:  # noqa: BLE001  (raised where somebody asks)
            self._fail(error)

    async def _keep(self) -> None:
        if not await self._unless_leaving(self.pipeline.__aenter__()):
            return
        try:
            self._ready.set_result(None)
            await self._unless_leaving(self.pipeline.watch())
        except Exception as error:  # noqa: BLE001  (raised where somebody asks)
            self._fail(error)
        finally:
            self._end(NotRunning("the program has ended"))
            await self.pipeline.__aexit__(None, None, None)

    async def _unless_leaving(self, work: Coroutine[Any, Any, object]) -> bool:
        """Do `work`; False when it is time to leave before that is done: then it is cancelled."""
        working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(self._time_to_leave())
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if working.done():
            await working
            return True
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        return False

    async def _time_to_leave(self) -> None:
        """Return when it is stopped, or when the program is at its end and only waits for this thread."""
        while not self._leaving.is_set() and threading.main_thread().is_alive():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), LOOK_S)
