"""Submits poll requests to a running pipeline and listens to their reports. What of a client sessions need, too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, AsyncExitStack, suppress
from typing import Any, Self

from infra.kafka.admin import partition_counts
from infra.kafka.brokers import Brokers
from infra.kafka.connection import BrokerUnreachable, connected
from streams.messaging import topics
from streams.messaging.cancellations import cancel, work_of
from streams.messaging.events import ConsumerRecord
from streams.messaging.job import Job
from streams.messaging.listener import Inbox, TopicListener, key_of
from streams.messaging.mailbox import post
from streams.messaging.messages import PollDone, PollRequest
from streams.messaging.producer import Outbox


class Requester:
    """A connection to the pipeline at `bootstrap`; serves many jobs, also at the same time.

    Use as `async with Requester(bootstrap) as requester`. Raises `BrokerUnreachable` when entered while no pipeline is
    there.
    """

    def __init__(self, bootstrap: Brokers) -> None:
        self.bootstrap = bootstrap
        self._outbox = Outbox(bootstrap)
        self._reports = poll_reports(bootstrap)
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await require_pipeline(self.bootstrap, topics.POLL_DONE)
        try:
            await self._open.enter_async_context(self._outbox)
            await self._open.enter_async_context(self._reports)
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._open.aclose()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            # nobody cancelled us: it is aiokafka's own, which is closed while its broker has gone

    async def run(
        self,
        requests: list[PollRequest],
        on_report: Callable[[Job, PollDone], None] | None = None,
        *,
        within_s: float | None = None,
    ) -> Job:
        """Submit `requests` (of one job) and return when all of them, and all they caused, have ended.

        After `within_s` seconds the job is returned as far as it is: it has then not `finished`.
        """
        job = Job(requests[0].job_id, len(requests))
        with self.inbox(job.job_id) as inbox, suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.submit(requests)
                while not job.finished:
                    report = await inbox.next_event()
                    if job.note(report) and on_report:
                        on_report(job, report)
        return job

    async def submit(self, requests: Iterable[PollRequest]) -> None:
        """Put requests into their mailboxes, and wait for nothing more."""
        await asyncio.gather(*(post(self._outbox, request) for request in requests))

    async def cancel(self, work: str, providers: Iterable[str], kept: str = "") -> None:
        """Cancel what the jobs of a piece of work still have in these mailboxes, but for job `kept`."""
        await cancel(self._outbox, work, providers, kept)

    def inbox(self, name: str, inbox: Inbox[Any] | None = None) -> AbstractContextManager[Inbox[PollDone]]:
        """Collect the reports of a job, or of all jobs of a piece of work, as `TopicListener.listen_for` does."""
        return self._reports.listen_for(name, inbox)


def poll_reports(bootstrap: Brokers, *, patient: bool = False) -> TopicListener[PollDone]:
    """Listen to `poll.done`: a report has the names of its job and of the job's piece of work."""
    return TopicListener(
        bootstrap,
        topics.POLL_DONE,
        names=_job_names,
        read=lambda record: PollDone.decode(record.value),
        patient=patient,
    )


def _job_names(record: ConsumerRecord) -> tuple[str, ...]:
    job_id = key_of(record)
    return job_id, work_of(job_id)


async def require_pipeline(bootstrap: Brokers, topic: str, within_s: float | None = None) -> None:
    """Make sure that a pipeline reads `topic`. `within_s` as of `connected`.

    Raises:
        BrokerUnreachable: no broker answers, or no pipeline has run on it yet.
    """
    async with connected(bootstrap, within_s) as broker:
        known = await partition_counts(broker)
    if topic not in known:
        raise BrokerUnreachable(f"no pipeline has run on the broker at kafka://{bootstrap} yet")
