"""What the pipeline and the sessions write to their logs: every event, its level, and what an operator does about it.

docs/OPERATIONS.md lists them, made from here by `make docs`.
"""

from __future__ import annotations

from enum import StrEnum


class StreamEvent(StrEnum):
    """Events of the worker, of the embedded process tree, and of programs that read the pipeline."""

    FOLLOW_RETRY = "follow.retry"
    """WARNING: A topic could not be read; the reader asks again. Do: look at the broker if it lasts."""
    LISTENER_ENDED = "listener.ended"
    """WARNING: A program hears no more reports; what waits for one fails with the reason. Do: look at the broker."""
    MAILBOX_STUCK = "mailbox.stuck"
    """ERROR: A fault of this program stopped a partition's mailbox, and so the worker. Do: report it with the log, and
    restart."""
    NORMALIZE_FAULT = "normalize.fault"
    """ERROR: This program failed on an answer, which is a dead letter now. Do: report it with the body."""
    OUTBOX_RETRY = "outbox.retry"
    """WARNING: Kafka did not accept a message; the sender tries again. Do: look at the broker if it lasts."""
    REPLAY_FAULT = "replay.fault"
    """ERROR: This program failed on a stored answer while it was read again. Do: report it with the body."""
    RECORD_UNREADABLE = "record.unreadable"
    """WARNING: A record is no message of its topic; the reader skips it and counts it in `skipped`. Do: see who else
    writes to the topic."""
    REQUEST_PASSED_ON = "request.passed_on"
    """INFO or DEBUG: A provider did not serve a request, and the next one is asked; it is DEBUG for bulk requests."""
    STACK_RENEW = "stack.renew"
    """WARNING: The embedded broker is at `BROKER_MEMORY_LIMIT`; broker and worker are restarted."""
    STACK_WORKER_EXIT = "stack.worker_exit"
    """WARNING: The worker of the process tree ended with an exit code other than 0. Do: read the log that it names."""
    STORED_BROKER_AWAY = "stored.broker_away"
    """WARNING: The broker cannot be reached; who waits for rows to be stored waits on."""
    SUBSCRIPTION_COMMIT_RETRY = "subscription.commit_retry"
    """WARNING: A reader's position could not be kept; it is kept with the next one."""
    SUBSCRIPTION_COMMIT_SUPERSEDED = "subscription.commit_superseded"
    """INFO: A reader's partitions went to another reader of its group, which begins at the last kept position."""
    TRACK_CALLS_UNREADABLE = "track_calls.unreadable"
    """WARNING: A record of `api.calls` is no message of ours; the sink makes a dead letter of it."""
    WORKER_DRAIN_INCOMPLETE = "worker.drain_incomplete"
    """WARNING: The worker ended before everything was stored; the rest stays in Kafka until the next start."""
    WORKER_FAILED = "worker.failed"
    """ERROR: An actor cannot continue, and the worker ends; nothing more was acknowledged. Do: report it with the log,
    and restart."""
    WORKER_OPENED = "worker.opened"
    """INFO: The worker has its store, its keys and its topics."""


class SessionEvent(StrEnum):
    """Events of a session, in its own `session.log`."""

    CHECKPOINT_REFUSED = "checkpoint.refused"
    """INFO: A checkpoint is torn or foreign; the one before it is used."""
    SESSION_ORDER = "session.order"
    """INFO: A command reached the session: stop, pause, a symbol added or removed."""
    SESSION_RUNNING = "session.running"
    """INFO: The session began, or went on, with these sources."""
    SESSION_STATUS = "session.status"
    """INFO: The session's progress: its calls and records by source."""
    SESSION_UNSTORED = "session.unstored"
    """WARNING: The session ended before the rows of these units were known to be stored. Do: `tapestream session
    resume` asks for them again."""
    SOURCE_NO_KEY = "source.no_key"
    """INFO: A source has no key, and the session goes on without it. Do: set `<PROVIDER>_KEYS`."""
    STORED_LATER = "stored.later"
    """WARNING: Broker or store cannot be reached; the session learns later what was stored."""
    UNIT_FAILED = "unit.failed"
    """INFO: A unit was not served; it is tried again where its reason may pass."""
    UNITS_GIVEN_UP = "units.given_up"
    """INFO: Units in flight at the end of the session whose answers it did not wait for."""
