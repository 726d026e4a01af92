"""The time that a process may take to stop, shared by all of its parts, and what they left undone.

A part that waits for a broker, a store or a provider may wait for ever. Limits of each part by itself add up to more
than a supervisor grants (systemd and Docker kill then, without a word in the log). So there is one deadline. Each part
ends by a share of it, and a thread ends the process at the deadline, whatever the event loop does then.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from infra import tasks, telemetry
from infra.log_events import InfraEvent

log = telemetry.get(__name__)

WORDS_S = 0.5
"""Seconds for the last words: a log whose reader is gone may block, and must not keep the process."""


class StopBudget:
    """One deadline for all parts of a process that stops.

    `last_words()` is called in a thread when the time is over, and should log what was left. The process ends then
    with `exit_code()`.
    """

    def __init__(
        self,
        total_s: float,
        *,
        last_words: Callable[[], None],
        exit_code: Callable[[], int] = lambda: 0,
        now_s: Callable[[], float] = time.monotonic,
        leave: Callable[[int], Any] = os._exit,
    ) -> None:
        self.total_s = total_s
        self.late: list[str] = []
        """The parts that did not end in their time; `process` when the whole did not."""
        self._last_words = last_words
        self._exit_code = exit_code
        self._now_s = now_s
        self._leave = leave
        self._began_at: float | None = None

    def begin(self) -> None:
        """Start the time, at the first call."""
        if self._began_at is None:
            self._began_at = self._now_s()
            backstop = threading.Timer(self.total_s, self._spent)
            backstop.daemon = True
            backstop.start()

    def left_s(self, share: float = 1.0) -> float:
        """Seconds until a share of the time is over, at least 0; the whole share before `begin`."""
        began = self._now_s() if self._began_at is None else self._began_at
        return max(0.0, began + self.total_s * share - self._now_s())

    async def within(self, share: float, part: str, work: Coroutine[Any, Any, Any]) -> None:
        """Let `work` stop a part until a share of the time is over; it is cancelled then, and the part is late.

        A fault of it is logged, since the other parts have to stop all the same.
        """
        try:
            if not await tasks.within(self.left_s(share), work):
                self.late.append(part)
        except Exception as error:  # noqa: BLE001  (whatever it is, the others must stop)
            log.warning(InfraEvent.STOP_FAULT, part=part, error=repr(error))

    def _spent(self) -> None:
        self.late.append("process")
        self.end()

    def end(self) -> None:
        """End the process now, after its last words."""
        saying = threading.Thread(target=self._last_words, daemon=True)
        saying.start()
        saying.join(WORDS_S)
        self._leave(self._exit_code())
