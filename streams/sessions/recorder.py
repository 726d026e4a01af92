"""A session as of its last event, kept on disk: every event goes through here, and so does every checkpoint."""

from __future__ import annotations

from typing import Any

from infra.clock import Clock
from streams.log_events import SessionEvent
from streams.sessions import checkpoint
from streams.sessions.folder import Folder
from streams.sessions.log import SessionLog
from streams.sessions.spec import MINUTE_MS
from streams.sessions.state import RUNNING, Checkpointed, Event, Interrupted, Session, active_ms, advance, remaining_ms


class SessionRecorder:
    """The session of a folder that this process owns, by `clock`. One that was found running was interrupted.

    Raises `CheckpointRefused`.
    """

    def __init__(self, folder: Folder, log: SessionLog, clock: Clock) -> None:
        self.folder, self.log, self.clock = folder, log, clock
        loaded = checkpoint.read(folder.path, folder.id)
        if loaded.from_previous:
            log.say(f"the checkpoint before is used: {loaded.refused}", SessionEvent.CHECKPOINT_REFUSED)
        self.session: Session = loaded.session
        self.kept_at = self.clock.now_ms()
        if self.session.state in RUNNING:
            self.apply(Interrupted())
            self.keep()

    def apply(self, *events: Event) -> None:
        """Take in what happened now. Raises `ForbiddenEvent`."""
        for event in events:
            self.session = advance(self.session, event, self.clock.now_ms())

    def keep(self) -> None:
        """Write the checkpoint. Raises OSError."""
        self.apply(Checkpointed())
        checkpoint.write(self.folder.path, self.session)
        self.kept_at = self.clock.now_ms()

    def close(self) -> dict[str, Any]:
        """Write checkpoint and summary, and return the summary."""
        self.keep()
        return self.folder.write_summary(self.session, self.clock.now_ms())


def fold(folder: Folder, *events: Event, now: int) -> Session:
    """Apply events of `now` (ms UTC) to a session that no process runs, and return it.

    Raises `SessionBusy`, `ForbiddenEvent`.
    """
    with folder.owning():
        session = folder.session()
        for event in (*events, Checkpointed()):
            session = advance(session, event, now)
        checkpoint.write(folder.path, session)
    return session


def in_short(session: Session, underway: int, now: int) -> str:
    """How far a session is, in one line."""
    records = sum(source.records for source in session.tallies.values())
    calls = sum(source.calls for source in session.tallies.values())
    left = duration(remaining_ms(session, now))
    return (
        f"{session.state}, {duration(active_ms(session, now))} done, {left} left: {len(session.done):,} of "
        f"{session.planned:,} units, {underway} under way, {calls:,} calls, {records:,} records"
    )


def by_source(session: Session) -> str:
    """Calls and records of every source, in one line."""
    return ", ".join(
        f"{source} {figures.calls:,}/{figures.records:,}" for source, figures in sorted(session.tallies.items())
    )


def duration(ms: int) -> str:
    """A span as a person says it: `45 s`, `12 min`, `7 h 30 min`."""
    if ms < 2 * MINUTE_MS:
        return f"{ms // 1000} s"
    hours, minutes = divmod(ms // MINUTE_MS, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
