"""Events under way at once, acknowledged strictly in order. The one place that acknowledges.

Faust commits past a message in flight when later ones are acknowledged first, so each partition's events
are acknowledged from the head only, each once its work is done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from infra import telemetry
from streams.log_events import StreamEvent
from streams.messaging import topics
from streams.messaging.events import Event, Partition
from streams.messaging.messages import PollRequest
from streams.messaging.producer import Outbox

log = telemetry.get(__name__)


class Consumer(Protocol):
    """What the mailboxes need of the consumer that feeds them: to stop and resume fetching one partition."""

    def on_buffer_full(self, tp: Partition) -> None:
        """Fetch no more of a partition."""
        ...

    def on_buffer_drop(self, tp: Partition) -> None:
        """Fetch of a partition again."""
        ...


Parked = Awaitable[None]
Work = Callable[[Event], Awaitable[Parked | None]]
"""Handles one event. It gives None when that is done, or what to wait for before it is to be called again."""


@dataclass(slots=True)
class _Entry:
    event: Event
    task: asyncio.Future[Any] | None = None
    done: bool = False


@dataclass(slots=True)
class Mailbox:
    """One partition's events: a bounded number in work, the others waiting, all acknowledged in order.

    An event that is parked takes no place in the window. An event whose work raises stays unacknowledged, so that it
    comes again after a restart, and stops the mailbox: nothing behind it is acknowledged either.
    """

    work: Work
    """Handles one event; it must not raise."""
    window: int
    """Most events in work at once."""
    on_change: Callable[[Mailbox], None] | None = None
    """Called when an event has come or gone."""
    on_fault: Callable[[BaseException], None] | None = None
    """Called with what `work` raised all the same."""
    acked: int = -1
    """Highest acknowledged offset."""
    _entries: deque[_Entry] = field(default_factory=deque)
    _waiting: deque[_Entry] = field(default_factory=deque)
    _parked: set[asyncio.Future[None]] = field(default_factory=set)
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
        """Start nothing more, let the work under way finish, cancel what is left after `timeout_s` or is parked."""
        self._closed = True
        running = [entry.task for entry in self._entries if entry.task and not entry.task.done()]
        for task in set(running) & self._parked:
            task.cancel()
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
            entry.task.add_done_callback(partial(self._finished, entry))

    def _finished(self, entry: _Entry, task: asyncio.Future[Parked | None]) -> None:
        self._running -= 1
        if self._failed(task):
            return
        until = None if task.cancelled() else task.result()
        if until is None:
            entry.done = not task.cancelled()
            self._acknowledge()
        elif self._closed:
            asyncio.ensure_future(until).cancel()
        else:
            entry.task = asyncio.ensure_future(until)
            self._parked.add(entry.task)
            entry.task.add_done_callback(partial(self._woken, entry))
        self._start()
        if self.on_change:
            self.on_change(self)

    def _woken(self, entry: _Entry, task: asyncio.Future[None]) -> None:
        self._parked.discard(task)
        if not self._failed(task) and not task.cancelled():
            self._waiting.appendleft(entry)
            self._start()

    def _failed(self, task: asyncio.Future[Any]) -> bool:
        if task.cancelled() or not (error := task.exception()):
            return False
        log.error(StreamEvent.MAILBOX_STUCK, error=repr(error), exc_info=error)
        self._closed = True
        if self.on_fault:
            self.on_fault(error)
        return True

    def _acknowledge(self) -> None:
        while self._entries and self._entries[0].done:
            event = self._entries.popleft().event
            event.ack()
            self.acked = event.message.offset


class Mailboxes:
    """The mailboxes of one topic, one per partition this worker owns.

    A partition with `high` events waiting is no longer fetched until half of them are done; the others go on. `arrived`
    looks at every event as it comes, ahead of its turn.
    """

    def __init__(
        self,
        work: Work,
        *,
        window: int,
        high: int,
        consumer: Consumer,
        on_fault: Callable[[BaseException], None] | None = None,
        arrived: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self._work = work
        self._arrived = arrived
        self._on_fault = on_fault
        self._window = window
        self._high = high
        self._consumer = consumer
        self._boxes: dict[Partition, Mailbox] = {}
        self._full: set[Partition] = set()
        self._owned: set[Partition] = set()

    def own(self, assigned: Iterable[Partition]) -> None:
        """Take events of these partitions."""
        self._owned |= set(assigned)

    def put(self, event: Event) -> None:
        """Take an event into its partition's mailbox, unless the partition has gone to another worker meanwhile."""
        where = event.message.tp
        if where not in self._owned:
            return
        self._arrived(event)
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

    def _reopen(self, where: Partition, box: Mailbox) -> None:
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

    async def release(self, revoked: set[Partition]) -> None:
        """Abandon the work of partitions that go to another worker, who starts from the committed offset."""
        self._owned -= revoked
        self._full -= revoked
        gone = [self._boxes.pop(where) for where in revoked if where in self._boxes]
        await asyncio.gather(*(box.drain(0) for box in gone))

    async def drain(self, timeout_s: float) -> None:
        """Start nothing more and finish what is under way."""
        await asyncio.gather(*(box.drain(timeout_s) for box in self._boxes.values()))


async def post(outbox: Outbox, request: PollRequest) -> None:
    """Put a request into the mailbox of the provider that heads its slip."""
    topic = topics.POLL_URGENT if request.urgent else topics.POLL_REQUESTS
    await outbox.send(topic, request.encode(), key=request.provider, partition=topics.mailbox(request.provider))
