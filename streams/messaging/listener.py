"""Listens to a topic for components that expect records: each record goes to the listeners of one of its names.

A record's names stand outside its value, in its key or its headers, and match exactly or not at all. So of the records
that nobody listens for nothing is decoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Generic, Self, TypeVar

from aiokafka import AIOKafkaConsumer

from infra import tasks, telemetry
from infra.kafka.brokers import Brokers
from streams.log_events import StreamEvent
from streams.messaging.events import ConsumerRecord
from streams.messaging.follow import follow, tail
from streams.messaging.tolerant_reader import TolerantReader

log = telemetry.get(__name__)

T = TypeVar("T")


class Inbox(Generic[T]):
    """The events of one listener in the order of their arrival, or the fault after which none will come."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[T | BaseException] = asyncio.Queue()

    def put(self, event: T | BaseException) -> None:
        """Append an event; an exception says that nothing more will come."""
        self._events.put_nowait(event)

    async def next_event(self) -> T:
        """Wait for the next event. Raises the fault that ended the listening."""
        event = await self._events.get()
        if isinstance(event, BaseException):
            raise event
        return event

    def __len__(self) -> int:
        return self._events.qsize()


class TopicListener(Generic[T]):
    """Listens to `topic` from `async with` on; joins no group and commits nothing.

    `names` returns the names of a consumer's record, from its key or headers; `read` returns what it says, and raises
    `ValueError` for one that cannot be read: it is skipped and logged. A broker that is away is waited for when
    `patient`; otherwise every inbox raises `BrokerUnreachable`, and so does `listen_for` from then on.
    """

    def __init__(
        self,
        bootstrap: Brokers,
        topic: str,
        *,
        names: Callable[[ConsumerRecord], tuple[str, ...]],
        read: Callable[[ConsumerRecord], T],
        patient: bool = False,
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._names = names
        self._reader = TolerantReader(read)
        self._patient = patient
        self._inboxes: dict[str, list[Inbox[Any]]] = {}
        self._fault: BaseException | None = None
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        consumer = await self._open.enter_async_context(tail(self._bootstrap, self._topic))
        name = f"listener-{self._topic}"
        if self._patient:
            task = tasks.keep_alive(lambda: self._listen(consumer), name)
        else:
            task = asyncio.create_task(self._listen(consumer), name=name)
            tasks.report_fault(task, self._fail)
        self._open.push_async_callback(tasks.end, task)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    @contextmanager
    def listen_for(self, name: str, inbox: Inbox[Any] | None = None) -> Iterator[Inbox[T]]:
        """Collect the records of that name from now on, in `inbox` where one is given, which may serve several topics.

        Raises the fault that ended the listening.
        """
        if self._fault:
            raise self._fault
        inbox = Inbox() if inbox is None else inbox
        self._inboxes.setdefault(name, []).append(inbox)
        try:
            yield inbox
        finally:
            self._inboxes[name].remove(inbox)
            if not self._inboxes[name]:
                del self._inboxes[name]

    @property
    def skipped(self) -> int:
        """Expected records that could not be read."""
        return self._reader.skipped

    async def _listen(self, consumer: AIOKafkaConsumer) -> None:
        async for record in follow(consumer, self._bootstrap):
            inboxes = [inbox for name in self._names(record) for inbox in self._inboxes.get(name, ())]
            if inboxes and (event := self._reader.read(record)) is not None:
                for inbox in inboxes:
                    inbox.put(event)

    def _fail(self, fault: BaseException) -> None:
        log.warning(StreamEvent.LISTENER_ENDED, topic=self._topic, error=repr(fault))
        self._fault = fault
        for inbox in (inbox for inboxes in self._inboxes.values() for inbox in inboxes):
            inbox.put(fault)


def key_of(record: ConsumerRecord) -> str:
    """The key of a consumer's record as text; empty where it has none."""
    return (record.key or b"").decode("utf-8", "replace")
