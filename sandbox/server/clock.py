"""The sandbox's own time, which may start anywhere, run fast, or stand still."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Time that begins at `start` (now if None) and runs `rate` times as fast as real time.

    With `rate` 0 it stands still and moves by `advance` alone.
    """

    def __init__(self, start: datetime | None = None, rate: float = 1.0) -> None:
        self.rate = rate
        self._start = (start or datetime.now(UTC)).astimezone(UTC)
        self._origin = time.monotonic()

    def now(self) -> datetime:
        """The moment, aware, UTC."""
        return self._start + timedelta(seconds=(time.monotonic() - self._origin) * self.rate)

    def advance(self, step: timedelta) -> None:
        """Jump forward by `step`."""
        self._start += step

    def real_seconds(self, span: timedelta) -> float:
        """How long a client has to wait, by its own watch, until `span` has passed here."""
        return span.total_seconds() / (self.rate or 1.0)
