"""A submission of polls and its results: its requests, their children, how each ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from connectors import Call
from streams.messaging.messages import PollDone, PollRequest, new_id
from streams.messaging.outcomes import ENDED_WELL, PollOutcome


@dataclass(slots=True)
class Job:
    """A submission under way: its requests, their children, and how each ended.

    A request may end more than once, as a crash lets it be handled again. Its first report counts; the children that a
    later one names are awaited all the same, since they exist.
    """

    job_id: str
    roots: int
    done: dict[str, PollDone] = field(default_factory=dict)
    _named: set[str] = field(default_factory=set)
    """Ids of all children that any report names."""
    _awaited: set[str] = field(default_factory=set)
    """Those of them that have not ended."""
    _roots_done: int = 0

    def note(self, report: PollDone) -> bool:
        """Take in a report; False when it is another job's, or known already."""
        if report.job_id != self.job_id:
            return False
        new = set(report.child_ids()) - self._named
        self._named |= new
        self._awaited |= new - self.done.keys()
        if report.request_id in self.done:
            return False
        self.done[report.request_id] = report
        self._awaited.discard(report.request_id)
        self._roots_done += not parent_of(report.request_id)
        return True

    @property
    def total(self) -> int:
        """Requests known so far, children included."""
        return self.roots + len(self._named)

    @property
    def finished(self) -> bool:
        """True when every request and every child has ended; a child may be reported before who caused it."""
        return self._roots_done == self.roots and not self._awaited

    @property
    def unreported(self) -> int:
        """Requests of which no report has come, children included."""
        return self.roots - self._roots_done + len(self._awaited)

    @property
    def first_bars(self) -> dict[str, int]:
        """The time of the first bar of each symbol, ms UTC."""
        found: dict[str, int] = {}
        for report in self.done.values():
            for symbol, first in report.first_bars.items():
                found[symbol] = min(first, found.get(symbol, first))
        return found

    @property
    def failures(self) -> list[PollDone]:
        """The requests that ended unserved, with nobody left to try."""
        return [report for report in self.done.values() if gave_up(report) and not self._continues(report)]

    def _continues(self, report: PollDone) -> bool:
        """True where only the beginning of a range stays unserved, and a request before it brought the rest."""
        if not asks_beginning(report):
            return False
        parts = report.request_id.split("/")
        before = (self.done.get("/".join(parts[:length])) for length in range(1, len(parts)))
        return any(parent and parent.records for parent in before)


def gave_up(report: PollDone) -> bool:
    """Return whether something of the request stays unserved, with nobody left to try."""
    return report.outcome is PollOutcome.TRUNCATED or (report.outcome not in ENDED_WELL and not report.children)


def asks_beginning(report: PollDone) -> bool:
    """Return whether a request asked only for the beginning of a range, which an earlier answer lacked."""
    return any(hop.outcome == PollOutcome.NO_RECORDS for hop in report.tried)


def parent_of(request_id: str) -> str:
    """The id of the request that caused another; empty for one that was submitted."""
    return request_id.rpartition("/")[0]


def root_of(request_id: str) -> str:
    """The id of the request that was submitted, of which this one is a descendant or itself."""
    return request_id.partition("/")[0]


def job_of(request_id: str) -> str:
    """The id of the job that a request made by `requests_for` belongs to, whatever it is a descendant of."""
    return root_of(request_id).rpartition("-")[0]


def requests_for(
    calls: Iterable[tuple[Call, tuple[str, ...]]],
    deadline: int | None = None,
    *,
    urgent: bool = False,
    force_fresh: bool = False,
) -> list[PollRequest]:
    """Make one poll request per (call, slip), all of one new job; `urgent` when a person or program waits for it."""
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
