"""Supervised background tasks: one that must live is begun anew, one that must not fail reports its fault.

A task that only `asyncio.create_task` knows dies in silence. A task of the worker that outlives the call which began it
is therefore supervised here, or awaited by the component that made it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from infra import telemetry
from infra.log_events import InfraEvent

log = telemetry.get(__name__)

RESTART_S, RESTART_CAP_S = 1.0, 60.0
"""Pause before the first restart, and the longest one: a fault that stays must neither spin nor fill the log."""

OnFault = Callable[[BaseException], None]


def keep_alive(
    work: Callable[[], Coroutine[Any, Any, None]], name: str, *, sleep: Callable[[float], Awaitable[None]] | None = None
) -> asyncio.Task[None]:
    """Run `work` until the task is cancelled. When it ends, it begins anew after a pause that doubles each time.

    An end is logged as `task.restarted`; a fault of `work` never escapes. `sleep` takes seconds.
    """
    return asyncio.create_task(_kept_alive(work, name, sleep or asyncio.sleep), name=name)


async def _kept_alive(
    work: Callable[[], Coroutine[Any, Any, None]], name: str, sleep: Callable[[float], Awaitable[None]]
) -> None:
    clock = asyncio.get_running_loop().time
    pause = RESTART_S
    while True:
        began, fault = clock(), None
        try:
            await work()
        except Exception as error:  # noqa: BLE001  (whatever it is, the task must live)
            fault = error
        if clock() - began > RESTART_CAP_S:  # it had recovered: this is another fault
            pause = RESTART_S
        log.warning(InfraEvent.TASK_RESTARTED, task=name, in_s=pause, reason=repr(fault), exc_info=fault)
        await sleep(pause)
        pause = min(RESTART_CAP_S, pause * 2)


def report_fault(task: asyncio.Task[Any], on_fault: OnFault) -> None:
    """Call `on_fault` with what `task` raises, should it raise anything. A cancelled task has no fault."""

    def ended(task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()):
            on_fault(error)

    task.add_done_callback(ended)


async def end(*tasks: asyncio.Future[Any] | None) -> None:
    """Cancel tasks and return when all of them have ended. What they raise is not raised again."""
    found = [task for task in tasks if task is not None]
    for task in found:
        task.cancel()
    await asyncio.gather(*found, return_exceptions=True)
