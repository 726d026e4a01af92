"""What a session says: every event as a JSON line in its own log, the ones for people on the console too. No secrets.

Times are by the session's clock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import structlog

from infra.clock import SYSTEM
from streams.log_events import SessionEvent

LARGEST = 4 * 2**20  # bytes of one file
KEPT = 4  # rotated files kept

Say = Callable[[str], None]


class SessionLog:
    """The log of one session at `path`, rotated; `say` takes lines for people, `draw` the line that is drawn anew.

    `now` returns the time of an event, ms UTC.
    """

    def __init__(
        self, path: Path, say: Say, draw: Say | None = None, *, now: Callable[[], int] = SYSTEM.now_ms
    ) -> None:
        self._say, self.draw, self._now = say, draw, now
        self._handler = RotatingFileHandler(path, maxBytes=LARGEST, backupCount=KEPT, encoding="ascii")
        self._handler.setFormatter(logging.Formatter("%(message)s"))
        target = logging.Logger("session", logging.INFO)  # of its own: a program's own logging is not touched
        target.addHandler(self._handler)
        self._logger = structlog.wrap_logger(
            target,
            processors=[structlog.stdlib.add_log_level, self._timed, structlog.processors.JSONRenderer()],
            wrapper_class=structlog.stdlib.BoundLogger,
            context_class=dict,
            cache_logger_on_first_use=False,
        )

    def note(self, event: SessionEvent, **fields: Any) -> None:
        """Keep an event."""
        self._logger.info(event, **fields)

    def warn(self, event: SessionEvent, **fields: Any) -> None:
        """Keep an event that mended itself, or will."""
        self._logger.warning(event, **fields)

    def say(self, line: str, event: SessionEvent, **fields: Any) -> None:
        """Keep an event, and say it to people."""
        self._logger.info(event, line=line, **fields)
        self._say(line)

    def close(self) -> None:
        """Close the file."""
        self._handler.close()

    def _timed(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        at = datetime.fromtimestamp(self._now() / 1000, UTC)
        return {"at": at.isoformat(timespec="milliseconds"), **event}
