"""A collection session: a pure fold over what happened to it. Knows no clock, no provider and no file.

planned --Started--> running --SessionEnded--> completed     StopAsked leads to stopping: work under way finishes
running --Paused--> paused --Resumed--> running              Failed leads to failed
running --Interrupted--> interrupted --Resumed--> running

Only runs use up a session's duration. A run begins by Started or Resumed with the time that is left, and is over when
the session leaves running and stopping. A run that was killed counts up to the last event before: later time is
unknown and does not count as used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from streams.errors import ForbiddenEvent
from streams.messaging.outcomes import CONCLUSIVE, PollOutcome
from streams.sessions.spec import HOUR_MS, Spec

Count = Annotated[int, Field(ge=0, le=2**53)]
"""What a checkpoint may say: no count and no time is negative, or too large for JSON."""
State = Literal["planned", "running", "paused", "stopping", "completed", "failed", "interrupted"]
RUNNING: frozenset[State] = frozenset({"running", "stopping"})
FINAL: frozenset[State] = frozenset({"completed", "failed"})

_UNIT = re.compile(r"[0-9a-f]{20}")
_KIND = re.compile(r"[A-Za-z]{1,40}")  # a class name or a word: no sentence, URL or key fits


@dataclass(frozen=True, slots=True)
class UnitsPlanned:
    """The work was laid out: `count` units in all, done ones included. Said again when there are more."""

    count: int
    """Units in all, done ones included."""


@dataclass(frozen=True, slots=True)
class Started:
    """The first run begins."""


@dataclass(frozen=True, slots=True)
class Paused:
    """No new work is begun; what is under way may still end."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """Another run begins, with the time that is left."""


@dataclass(frozen=True, slots=True)
class StopAsked:
    """An early end is requested."""


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """All units are done, the time is up, or a stop has finished."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The session cannot go on. `kind` is the name of the fault's class."""

    kind: str
    """Name of the fault's class."""

    def __post_init__(self) -> None:
        _check_kind(self.kind)


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A later start found the session running: its process was killed."""


@dataclass(frozen=True, slots=True)
class UnitDone:
    """One attempt at a unit ended: it cost `calls`, of which `calls_with_records` brought the `records`.

    Raises ValueError.
    """

    unit: str
    """Id of the unit."""
    source: str
    """Name of the provider."""
    records: int
    """Records received."""
    calls: int
    """HTTP calls made."""
    calls_with_records: int
    """Calls that brought records; at most `calls`."""
    outcome: PollOutcome
    """How the attempt ended."""

    def __post_init__(self) -> None:
        if not _UNIT.fullmatch(self.unit):
            raise ValueError(f"{self.unit[:40]!r} is no unit id: make it by unit_id()")
        if self.records < 0 or not 0 <= self.calls_with_records <= self.calls:
            raise ValueError(
                f"unit {self.unit}: {self.records} records by {self.calls_with_records} of {self.calls} calls cannot be"
            )
        # a word that is none is refused: no sentence, URL or key can stand for one
        object.__setattr__(self, "outcome", PollOutcome(self.outcome))


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """The session as of now is about to be written to disk, under the next number."""


Event = (
    UnitsPlanned
    | Started
    | Paused
    | Resumed
    | StopAsked
    | SessionEnded
    | Failed
    | Interrupted
    | UnitDone
    | Checkpointed
)

TRANSITIONS: Mapping[State, Mapping[type[Event], State]] = MappingProxyType(
    {
        "planned": {
            UnitsPlanned: "planned",
            Checkpointed: "planned",
            Started: "running",
            StopAsked: "stopping",
            Failed: "failed",
        },
        "running": {
            UnitsPlanned: "running",
            UnitDone: "running",
            Checkpointed: "running",
            Paused: "paused",
            StopAsked: "stopping",
            SessionEnded: "completed",
            Failed: "failed",
            Interrupted: "interrupted",
        },
        "paused": {
            UnitsPlanned: "paused",
            UnitDone: "paused",
            Checkpointed: "paused",
            Resumed: "running",
            StopAsked: "stopping",
            Failed: "failed",
        },
        "stopping": {
            UnitDone: "stopping",
            Checkpointed: "stopping",
            StopAsked: "stopping",
            SessionEnded: "completed",
            Failed: "failed",
            Interrupted: "interrupted",
        },
        "interrupted": {
            Checkpointed: "interrupted",
            Resumed: "running",
            SessionEnded: "completed",
            Failed: "failed",
        },
        "completed": {Checkpointed: "completed"},
        "failed": {Checkpointed: "failed"},
    }
)
"""Which event each state can take, and where it leads."""


@dataclass(frozen=True, slots=True)
class Hour:
    """What one hour since the start brought."""

    records: Count = 0
    """Records received."""
    calls: Count = 0
    """HTTP calls made."""


@dataclass(frozen=True, slots=True)
class SourceFigures:
    """What one source brought: `outcomes` counts attempts, `hours` is by full hours since the start."""

    records: Count = 0
    """Records received."""
    calls: Count = 0
    """HTTP calls made."""
    calls_with_records: Count = 0
    """Calls that brought records."""
    outcomes: Mapping[PollOutcome, Count] = field(default_factory=dict)
    """Attempts by outcome."""
    hours: Mapping[Count, Hour] = field(default_factory=dict)
    """Figures by full hours since the start."""


@dataclass(frozen=True, slots=True)
class Session:
    """One session as of its last event. `Session(spec)` is a planned one."""

    spec: Spec
    """The task."""
    state: State = "planned"
    """Where it stands."""
    at: Count = 0
    """Time of the last event, ms UTC."""
    started: Count | None = None
    """Start, ms UTC; None before."""
    ended: Count | None = None
    """End, ms UTC; None before."""
    run_since: Count | None = None
    """Ms UTC at which the run under way began."""
    spent_ms: Count = 0
    """What the earlier runs used of the duration."""
    planned: Count = 0
    """Units in all."""
    done: frozenset[str] = frozenset()
    """Ids of the units that need no further attempt."""
    tallies: Mapping[str, SourceFigures] = field(default_factory=dict)
    """Figures by source."""
    checkpoints: Count = 0
    """Checkpoints written so far."""
    failure: str = ""
    """Name of the fault's class; empty without one."""


def unit_id(source: str, fields: Mapping[str, Any]) -> str:
    """Return the stable id of a unit of work: one source, one dataset, its symbols, their range.

    `fields` are a call's fields as JSON values. An absent field and the order of symbols make no difference.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    given["symbols"] = sorted(given.get("symbols", ()))
    canonical = orjson.dumps([source, given], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(canonical, digest_size=10).hexdigest()


def advance(session: Session, event: Event, now: int) -> Session:
    """Return the session after `event`. A clock that stepped back counts as standing still. Raises `ForbiddenEvent`."""
    allowed = TRANSITIONS[session.state]
    if type(event) not in allowed:
        names = ", ".join(sorted(kind.__name__ for kind in allowed))
        raise ForbiddenEvent(
            f"session {session.spec.id} is {session.state} and cannot take {type(event).__name__}; it can take {names}"
        )
    now = max(now, session.at)
    return _enter(_note(session, event, now), allowed[type(event)], event, now)


def ends_at(session: Session) -> int | None:
    """Ms UTC at which the run under way is out of time; None while there is none."""
    return None if session.run_since is None else session.run_since + session.spec.duration_ms - session.spent_ms


def active_ms(session: Session, now: int) -> int:
    """For how long the session has run, all runs together, pauses and interruptions left out."""
    running = 0 if session.run_since is None else max(now, session.at) - session.run_since
    return session.spent_ms + running


def remaining_ms(session: Session, now: int) -> int:
    """What is left of the duration: 0 when the time is up or the session has ended."""
    return 0 if session.state in FINAL else max(0, session.spec.duration_ms - active_ms(session, now))


def _enter(session: Session, state: State, event: Event, now: int) -> Session:
    run_since, spent_ms = session.run_since, session.spent_ms
    if run_since is not None and state not in RUNNING:
        spent_ms += (session.at if isinstance(event, Interrupted) else now) - run_since
        run_since = None
    if state == "running" and run_since is None:
        run_since = now
    return replace(
        session,
        state=state,
        at=now,
        started=now if isinstance(event, Started) else session.started,
        ended=now if state in FINAL and session.ended is None else session.ended,
        run_since=run_since,
        spent_ms=spent_ms,
    )


def _note(session: Session, event: Event, now: int) -> Session:
    """Take in what the event says, apart from the state and time."""
    match event:
        case UnitsPlanned(count):
            return _plan(session, count)
        case UnitDone():
            return _count(session, event, now)
        case Checkpointed():
            return replace(session, checkpoints=session.checkpoints + 1)
        case Failed(kind):
            return replace(session, failure=kind)
        case _:
            return session


def _plan(session: Session, count: int) -> Session:
    if count < len(session.done):
        raise ForbiddenEvent(f"session {session.spec.id}: {count} units planned, but {len(session.done)} are done")
    return replace(session, planned=count)


def _count(session: Session, event: UnitDone, now: int) -> Session:
    if event.source not in session.spec.sources:
        raise ForbiddenEvent(f"session {session.spec.id} does not collect from {event.source[:40]!r}")
    if event.unit in session.done:  # the report came twice
        return session
    figures = _added(
        session.tallies.get(event.source, SourceFigures()), event, (now - (session.started or now)) // HOUR_MS
    )
    counted = replace(session, tallies={**session.tallies, event.source: figures})
    if event.outcome not in CONCLUSIVE:
        return counted
    if len(session.done) >= session.planned:
        raise ForbiddenEvent(
            f"session {session.spec.id}: unit {event.unit} is one more than the {session.planned} planned; "
            "announce it by UnitsPlanned first"
        )
    return replace(counted, done=session.done | {event.unit})


def _added(figures: SourceFigures, event: UnitDone, hour: int) -> SourceFigures:
    before = figures.hours.get(hour, Hour())
    return SourceFigures(
        records=figures.records + event.records,
        calls=figures.calls + event.calls,
        calls_with_records=figures.calls_with_records + event.calls_with_records,
        outcomes={**figures.outcomes, event.outcome: figures.outcomes.get(event.outcome, 0) + 1},
        hours={**figures.hours, hour: Hour(before.records + event.records, before.calls + event.calls)},
    )


def _check_kind(kind: str) -> None:
    if not _KIND.fullmatch(kind):
        raise ValueError(f"{kind[:40]!r} is no kind: give a class name or one word, of letters only")
