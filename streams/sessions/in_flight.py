"""The units of a session in flight, and the outcomes of those that ended. Knows no clock and no pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.messaging.cancellations import next_job_id
from streams.messaging.job import Job, root_of
from streams.messaging.messages import PollDone, PollRequest
from streams.messaging.outcomes import RETRYABLE, PollOutcome
from streams.sessions.state import UnitDone
from streams.sessions.units import Unit

TRIES = 3
"""Attempts at a unit in one run."""
WORTH_ANOTHER_TRY = RETRYABLE | {PollOutcome.CANCELLED}
"""A session that pauses cancels what waits, and asks for it again when it is resumed."""


@dataclass(slots=True)
class Attempt:
    """One try at a unit, from its submission at `since` (ms UTC) on."""

    request: PollRequest
    """The submitted request."""
    unit: Unit
    """The unit."""
    since: int
    """Time of submission, ms UTC."""
    job: Job
    """The request with its children."""

    @property
    def outcome(self) -> PollOutcome:
        """The outcome: the first failure, otherwise `records`."""
        failures = self.job.failures
        return failures[0].outcome if failures else PollOutcome.RECORDS

    def ended_with(self, calls: int) -> UnitDone:
        """The attempt as an event of its session; it took `calls` calls by the store's count."""
        reports = self.job.done.values()
        return UnitDone(
            unit=self.unit.id,
            source=self.unit.source,
            records=sum(report.records for report in reports),
            calls=calls,
            calls_with_records=min(calls, sum(report.records > 0 for report in reports)),
            outcome=self.outcome,
        )


@dataclass(slots=True)
class InFlight:
    """What a run of session `session_id` has under way (by request id), what ended, and how often each was tried."""

    session_id: str
    """Id of the session."""
    underway: dict[str, Attempt] = field(default_factory=dict)
    """Attempts in flight, by request id."""
    ended: list[Attempt] = field(default_factory=list)
    """SessionEnded, and not known to be stored yet."""
    tries: dict[str, int] = field(default_factory=dict)
    """Attempts of each unit, by its id."""
    skipped_in_cycles: set[tuple[str, str]] = field(default_factory=set)
    """(source, call as JSON) that need not be asked in a later cycle."""
    job_id: str = ""
    """The job that new attempts belong to."""

    def __post_init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Let new attempts belong to a job of their own, as those before are taken back."""
        self.job_id = next_job_id(self.session_id)

    def begin(self, unit: Unit, deadline: int | None, now: int) -> Attempt:
        """Make an attempt at a unit. Its request id differs from earlier ones, whose late reports are ignored."""
        request = PollRequest(
            request_id=f"{self.session_id}-{unit.id}.{now:x}",
            job_id=self.job_id,
            call=unit.call,
            slip=(unit.source,),
            deadline=deadline,
            force_fresh=True,
        )
        attempt = Attempt(request, unit, now, Job(self.job_id, 1))
        self.underway[request.request_id] = attempt
        self.tries[unit.id] = self.tries.get(unit.id, 0) + 1
        return attempt

    def note(self, report: PollDone) -> Attempt | None:
        """Apply a report, and return the attempt that it ends."""
        root = root_of(report.request_id)
        attempt = self.underway.get(root)
        if attempt is None or not attempt.job.note(report) or not attempt.job.finished:
            return None
        del self.underway[root]
        self.ended.append(attempt)
        if attempt.outcome == PollOutcome.CANCELLED:
            self.tries[attempt.unit.id] -= 1
        if attempt.outcome not in {PollOutcome.RECORDS, *WORTH_ANOTHER_TRY}:
            self.skipped_in_cycles.add(_same_call(attempt.unit))
        return attempt

    def may_try_again(self, attempt: Attempt) -> bool:
        """Return whether another attempt at its unit may bring what this one did not."""
        return attempt.outcome in WORTH_ANOTHER_TRY and self.tries[attempt.unit.id] < TRIES

    def busy(self, source: str) -> bool:
        """True while the source has units under way."""
        return any(attempt.unit.source == source for attempt in self.underway.values())

    def worth_asking(self, units: Iterable[Unit]) -> list[Unit]:
        """The units of a cycle that are worth asking."""
        return [unit for unit in units if _same_call(unit) not in self.skipped_in_cycles]

    def stored(self, batch: Sequence[Attempt], calls: Mapping[str, int]) -> list[UnitDone]:
        """The ended attempts, which are in the store now, as events; `calls` are by request id.

        One that was taken back before any call is none.
        """
        del self.ended[: len(batch)]
        counted = [(attempt, calls.get(attempt.request.request_id, 0)) for attempt in batch]
        return [
            attempt.ended_with(number)
            for attempt, number in counted
            if number or attempt.outcome != PollOutcome.CANCELLED
        ]


def _same_call(unit: Unit) -> tuple[str, str]:
    """What the unit asks, whichever cycle it belongs to."""
    return unit.source, unit.call.model_dump_json()


def report_of(attempt: Attempt, row: Sequence[Any]) -> PollDone:
    """A report as the store keeps it (columns `REPORTED`)."""
    columns = dict(zip(REPORTED, row, strict=True))
    request = attempt.request
    return PollDone(job_id=request.job_id, provider=attempt.unit.source, call=request.call, at=attempt.since, **columns)


REPORTED = ("request_id", "outcome", "reason", "records", "rejects", "children")
