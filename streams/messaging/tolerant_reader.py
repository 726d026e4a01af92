"""Reads records of topics that anybody may write to: what cannot be read is skipped, counted and logged.

One record that is no message of ours (a foreign producer's, a tombstone, a torn one) must end no reader. It becomes a
dead letter only where an actor owns the topic; a reader that only looks on has no right to speak for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from pydantic import ValidationError

from infra import telemetry
from streams.log_events import StreamEvent
from streams.messaging.events import ConsumerRecord

log = telemetry.get(__name__)

T = TypeVar("T")
LOG_EVERY_S = 10.0  # a topic full of them must not fill the disk with log lines: the next line has the count


class TolerantReader(Generic[T]):
    """Reads a consumer's records with `read`, which raises `ValueError` for what it cannot read."""

    def __init__(self, read: Callable[[ConsumerRecord], T]) -> None:
        self._read = read
        self._logged_at: float | None = None
        self.skipped = 0
        """Records that could not be read."""

    def read(self, record: ConsumerRecord) -> T | None:
        """Return what a consumer's record says, or None after it was skipped and reported."""
        try:
            return self._read(record)
        except ValueError as error:
            self.skipped += 1
            self._report(record, error)
            return None

    def _report(self, record: ConsumerRecord, error: ValueError) -> None:
        now = time.monotonic()
        if self._logged_at is not None and now - self._logged_at < LOG_EVERY_S:
            return
        self._logged_at = now
        log.warning(
            StreamEvent.RECORD_UNREADABLE,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=first_fault(error),
            skipped=self.skipped,
        )


def first_fault(error: ValueError) -> str:
    """One line that says what was wrong and where; of the record's own text it repeats nothing."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    return f"no {error.title}: {'.'.join(map(str, first['loc'])) or 'value'}: {first['msg']}"
