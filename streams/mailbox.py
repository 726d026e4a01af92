"""Events under way at once, acknowledged strictly in order. The one place that acknowledges.

Faust commits past a message in flight when later ones are acknowledged first, so each partition's events
are acknowledged from the head only, each once its work is done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from infra import telemetry
from streams import topics
from streams.messages import PollRequest
from streams.outbox import Outbox

log = telemetry.get(__name__)


class Event(Protocol):
    """What the mailbox needs of a Faust event."""

    message: Any
    value: Any
    headers: Any

    def ack(self) -> bool:
        """Acknowledge the event."""
        ...


@dataclass(slots=True)
class _Entry:
    event: Any
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Mailbox:
    """One partition's events: at most `window` in work, the others waiting, all acknowledged in order.

    `work` must not raise; what it raises all the same leaves the event unacknowledged, so that it comes
    again after a restart, and stops the mailbox: nothing behind it is acknowledged either. `on_fault` is told.
    """

    work: Callable[[Any], Awaitable[None]]
    window: int
    on_change: Callable[[Mailbox], None] | None = None
    on_fault: Callable[[BaseException], None] | None = None
    acked: int = -1
    """Highest acknowledged offset."""
    _entries: deque[_Entry] = field(default_factory=deque)
    _waiting: deque[_Entry] = field(default_factory=deque)
    _running: int = 0
    _closed: bool = False

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, event: Event) -> None:
        """Take an event; its work starts as soon as the window has room."""
        entry = _Entry(event)
        self._entries.append(entry)
        self._waiting.append(entry)
        self._start()

    async def drain(self, timeout_s: float) -> None:
        """Start nothing more, let the work under way finish, cancel what is left after `timeout_s`."""
        self._closed = True
        running = [entry.task for entry in self._entries if entry.task and not entry.task.done()]
        if running:
            _, late = await asyncio.wait(running, timeout=timeout_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def _start(self) -> None:
        while self._waiting and self._running < self.window and not self._closed:
            entry = self._waiting.popleft()
            self._running += 1
            entry.task = asyncio.ensure_future(self.work(entry.event))
            entry.task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running -= 1
        if not task.cancelled() and (error := task.exception()):
            log.error("mailbox.stuck", error=repr(error), exc_info=error)
            self._closed = True
            if self.on_fault:
                self.on_fault(error)
        while self._entries and (head := self._entries[0].task) and head.done():
            if head.cancelled() or head.exception():
                break
            event = self._entries.popleft().event
            event.ack()
            self.acked = event.message.offset
        self._start()
        if self.on_change:
            self.on_change(self)


class Mailboxes:
    """The mailboxes of one topic, one per partition this worker owns.

    A partition with `high` events waiting is no longer fetched until half of them are done; the others go on.
    """

    def __init__(
        self,
        work: Callable[[Any], Awaitable[None]],
        *,
        window: int,
        high: int,
        consumer: Any,
        on_fault: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._work = work
        self._on_fault = on_fault
        self._window = window
        self._high = high
        self._consumer = consumer
        self._boxes: dict[Any, Mailbox] = {}
        self._full: set[Any] = set()

    def put(self, event: Any) -> None:
        """Take an event into its partition's mailbox."""
        where = event.message.tp
        box = self._boxes.get(where)
        if box is None:
            box = self._boxes[where] = Mailbox(
                self._work,
                self._window,
                on_change=lambda changed: self._reopen(where, changed),
                on_fault=self._on_fault,
            )
        box.put(event)
        if len(box) >= self._high:
            # Faust reopens a partition by itself when its own buffer drains: say so with every event
            self._full.add(where)
            self._consumer.on_buffer_full(where)

    def _reopen(self, where: Any, box: Mailbox) -> None:
        if where in self._full and len(box) <= self._high // 2:
            self._full.discard(where)
            self._consumer.on_buffer_drop(where)

    @property
    def pending(self) -> int:
        """Events taken and not yet acknowledged."""
        return sum(len(box) for box in self._boxes.values())

    def handled(self) -> dict[tuple[str, int], int]:
        """Per (topic, partition) the offset below which every event is handled."""
        return {(where.topic, where.partition): box.acked + 1 for where, box in self._boxes.items()}

    async def release(self, revoked: set[Any]) -> None:
        """Abandon the work of partitions that go to another worker, who starts from the committed offset."""
        self._full -= revoked
        gone = [self._boxes.pop(where) for where in revoked if where in self._boxes]
        await asyncio.gather(*(box.drain(0) for box in gone))

    async def drain(self, timeout_s: float) -> None:
        """Start nothing more and finish what is under way."""
        await asyncio.gather(*(box.drain(timeout_s) for box in self._boxes.values()))


async def post(outbox: Outbox, request: PollRequest) -> None:
    """Put a request into the mailbox of the provider that heads its slip."""
    await outbox.send(
        topics.POLL_REQUESTS, request.encode(), key=request.provider, partition=topics.mailbox(request.provider)
    )
