"""Takes back what was asked and is wanted no more. A piece of work (a session, a run) asks in jobs, one after another.

Who begins a new job of it, or ends it, posts a `Cancellation`: what earlier jobs still have in the mailboxes ends
uncalled. Otherwise requests that wait for tomorrow's quota would spend it on work that was stopped, or begun again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from streams.messaging import topics
from streams.messaging.events import Event
from streams.messaging.messages import CANCELLATION, FORMER_CANCELLATION, Cancellation, new_id
from streams.messaging.producer import Outbox

KINDS = frozenset({CANCELLATION["kind"], FORMER_CANCELLATION["kind"]})
"""Values of the header `kind` that mark a cancellation."""


def next_job_id(work: str) -> str:
    """A fresh id for the next job of a piece of work."""
    return f"{work}.{new_id()}"


def work_of(job_id: str) -> str:
    """The piece of work that a job belongs to; empty for a job that stands alone."""
    return job_id.rpartition(".")[0]


async def cancel(outbox: Outbox, work: str, providers: Iterable[str], kept: str = "") -> None:
    """Take back, from these providers, what is left of the work's jobs, but for the job `kept`.

    It goes where bulk requests go, behind those that it means: so a worker that reads them again also reads it again.
    """
    value = Cancellation(work=work, kept=kept).encode()
    await asyncio.gather(
        *(
            outbox.send(
                topics.POLL_REQUESTS, value, key=provider, partition=topics.mailbox(provider), headers=CANCELLATION
            )
            for provider in providers
        )
    )


def is_cancellation(event: Event) -> bool:
    """Return whether an event of a mailbox is one, also of a former version."""
    return (event.headers or {}).get("kind") in KINDS


class Cancellations:
    """What was taken back, as far as a worker has heard."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}
        self._heard: asyncio.Future[None] | None = None

    def take(self, cancellation: Cancellation) -> None:
        """Note one, and wake who rests."""
        self._kept[cancellation.work] = cancellation.kept
        if self._heard is not None:
            self._heard.set_result(None)
            self._heard = None

    def cover(self, job_id: str) -> bool:
        """Return whether a job was taken back."""
        return self._kept.get(work_of(job_id), job_id) != job_id

    async def rest(self, sleep: Callable[[float], Awaitable[None]], seconds: float, job_id: str) -> None:
        """Sleep, but no longer than until the job is taken back."""
        resting = asyncio.ensure_future(sleep(seconds))
        try:
            while not resting.done() and not self.cover(job_id):
                self._heard = self._heard or asyncio.get_running_loop().create_future()
                await asyncio.wait({resting, self._heard}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            resting.cancel()
