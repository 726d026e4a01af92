"""A submission of polls and what became of it: its requests, their children, how each ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from connectors import Call
from streams.messaging.messages import PollDone, PollRequest, new_id

ENDED_WELL = frozenset({"records", "cached", "Cut"})
TRUNCATED = "Truncated"
"""Outcome of a request that was served, but for the pages behind one that may not be asked."""


@dataclass(slots=True)
class Job:
    """A submission under way: its requests, their children, and how each ended."""

    job_id: str
    roots: int
    done: dict[str, PollDone] = field(default_factory=dict)

    def note(self, report: PollDone) -> bool:
        """Take in a report; False when it is another job's, or known already."""
        if report.job_id != self.job_id or report.request_id in self.done:
            return False
        self.done[report.request_id] = report
        return True

    @property
    def total(self) -> int:
        """Requests known so far, children included."""
        return self.roots + sum(report.children for report in self.done.values())

    @property
    def finished(self) -> bool:
        """True when every request and every child has ended; a child may be reported before who caused it."""
        return len(self.done) == self.total and {parent_of(name) for name in self.done} <= {"", *self.done}

    @property
    def failures(self) -> list[PollDone]:
        """The requests that ended unserved, with nobody left to try."""
        return [report for report in self.done.values() if gave_up(report)]


def gave_up(report: PollDone) -> bool:
    """Tell whether something of the request stays unserved, with nobody left to try."""
    return report.outcome == TRUNCATED or (report.outcome not in ENDED_WELL and not report.children)


def parent_of(request_id: str) -> str:
    """The id of the request that caused another; empty for one that was submitted."""
    return request_id.rpartition("/")[0]


def requests_for(
    calls: Iterable[tuple[Call, tuple[str, ...]]],
    deadline: int | None = None,
    *,
    urgent: bool = False,
    force_fresh: bool = False,
) -> list[PollRequest]:
    """Make one poll request per (call, slip), all of one new job; `urgent` when somebody waits for it."""
    job_id = new_id()
    return [
        PollRequest(
            request_id=f"{job_id}-{i}",
            job_id=job_id,
            call=call,
            slip=slip,
            deadline=deadline,
            urgent=urgent,
            force_fresh=force_fresh,
        )
        for i, (call, slip) in enumerate(calls)
    ]
