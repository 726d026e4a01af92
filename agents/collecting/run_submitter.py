"""Submits the requests of a run, with a bound per provider, and follows each with its children."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from connectors import Call
from streams.messaging.job import Job, root_of
from streams.messaging.listener import Inbox
from streams.messaging.mailbox import post
from streams.messaging.messages import PollDone, PollRequest
from streams.messaging.outcomes import RETRYABLE, PollOutcome
from streams.messaging.producer import Outbox
from streams.planning.plan import Slip

UNDER_WAY = 64
"""Requests of a run in one provider's mailbox at once: eight providers hold at most 512, however many are wanted."""
TOLD = 3  # examples of failures in a report
Asked = tuple[Call, Slip]


@dataclass(slots=True)
class JobCounts:
    """The result of a run: its requests, and how they ended."""

    units: int = 0
    """Requests that were submitted, a count."""
    covered: int = 0
    """Requests that were not needed, since the store holds their records, a count."""
    attempts: int = 0
    """Submissions of the run: the first, and the retries of what failed."""
    served: int = 0
    """Requests that a provider served, in whole or in part, a count."""
    passing: int = 0
    """Requests that were given up for a reason that may pass, a count."""
    bearable: float = 0.1
    """Share (0 to 1) of all requests that may be given up so without the run failing."""
    fault: str = ""
    """What ended the run early; empty otherwise."""
    records: int = 0
    """Rows that were published."""
    rejects: int = 0
    """Rows that broke a rule."""
    errors: Counter[PollOutcome] = field(default_factory=Counter)
    """Requests that stayed unserved, a count by outcome."""
    reasons: list[str] = field(default_factory=list)
    """The first reasons of those, in the words of providers."""
    retry: list[tuple[Asked, PollDone]] = field(default_factory=list)
    """The requests that failed for a reason that may pass, each with its report; the next attempt asks them."""

    def note(self, job: Job, slip: Slip) -> None:
        """Count a request that has ended, with all its children."""
        for report in job.done.values():
            self.records += report.records
            self.rejects += report.rejects
        failures = job.failures
        self.served += len(failures) < sum(not report.children for report in job.done.values())
        for report in failures:
            if report.outcome in RETRYABLE:
                self.retry.append(((report.call, slip), report))
            else:
                self.give_up(report)

    def give_up(self, report: PollDone) -> None:
        """Count a request that nobody served."""
        self.lack(report.outcome, 1, f"{' '.join(report.symbols[:TOLD]) or report.dataset}: {_why(report)}")

    def lack(self, outcome: PollOutcome, count: int, reason: str) -> None:
        """Count what cannot be had."""
        self.errors[outcome] += count
        if len(self.reasons) < TOLD:
            self.reasons.append(reason)


class RunSubmitter:
    """Requests of one job under way; `deadline` (ms UTC) ends each of them."""

    def __init__(self, outbox: Outbox, job_id: str, deadline: int) -> None:
        self._outbox = outbox
        self._job_id = job_id
        self._deadline = deadline
        self._number = 0
        self._queues: dict[str, deque[Asked]] = {}
        self._under_way: dict[str, tuple[Job, Slip]] = {}

    async def run(self, asked: Iterable[Asked], inbox: Inbox[PollDone], tally: JobCounts) -> None:
        """Submit, and return when all has ended. Raises the fault of `inbox`."""
        for call, slip in asked:
            self._queues.setdefault(slip[0], deque()).append((call, slip))
        await asyncio.gather(*(self._fill(name) for name in self._queues))
        while self._under_way:
            report = await inbox.next_event()
            root = root_of(report.request_id)
            job, slip = self._under_way.get(root, (None, ()))
            if job and job.note(report) and job.finished:
                del self._under_way[root]
                tally.note(job, slip)
                await self._fill(slip[0])

    async def _fill(self, provider: str) -> None:
        queue = self._queues[provider]
        mine = sum(slip[0] == provider for _, slip in self._under_way.values())
        sending = []
        for _ in range(min(UNDER_WAY - mine, len(queue))):
            call, slip = queue.popleft()
            request_id = f"{self._job_id}-{self._number}"
            self._number += 1
            self._under_way[request_id] = (Job(self._job_id, 1), slip)
            sending.append(
                PollRequest(request_id=request_id, job_id=self._job_id, call=call, slip=slip, deadline=self._deadline)
            )
        await asyncio.gather(*(post(self._outbox, request) for request in sending))


def _why(report: PollDone) -> str:
    hops = "; ".join(f"{hop.provider} {hop.outcome} {hop.reason}".strip() for hop in report.tried[-TOLD:])
    return f"{report.outcome} ({hops or report.reason or 'no reason given'})"
