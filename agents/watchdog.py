"""Finds an actor that has work and does none of it without an exception: the worker ends then, and starts afresh.

An actor stalls when records wait for it for a minute without one being handled or the lag becoming smaller. One that
waits on purpose says so and never stalls: for the broker, the store, a key, the time of a request. The lag is Kafka's
own, since a consumer that has died in silence leaves nothing behind in this process that could be counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from aiokafka.errors import KafkaError

from agents.sink import Sink
from infra.clock import uptime_s
from infra.kafka.brokers import Brokers
from infra.kafka.connection import BrokerUnreachable
from infra.kafka.lag import PartitionLag, lag
from streams.messaging import topics
from streams.messaging.mailbox import Mailboxes
from streams.processing.table_rows import TABLES

WORKED = (*topics.POLLS, topics.RAW_RESPONSES)
"""The topics whose events go through mailboxes. A run of `collect.requests` takes hours on purpose."""
STALLED_S = 60.0
"""Seconds without progress: many times what any actor needs for one record."""
LOOK_S = 15.0
"""Seconds between two looks: each costs a few requests to the broker."""
PAUSED_S = 3 * LOOK_S
"""A longer time between two looks was a pause of this process, in which nobody could make progress."""


class Stalled(Exception):
    """An actor has work and does none of it."""

    def __init__(self, actor: str, reason: str) -> None:
        super().__init__(reason)
        self.actor = actor


@dataclass(frozen=True, slots=True)
class Sample:
    """What an actor has done and what waits for it, at one moment."""

    actor: str
    """Its name for an operator."""
    handled: int
    """A number that changes with every record that it handles."""
    lag: int
    """Records that wait for it."""
    waits: bool = False
    """True while it waits on purpose."""
    longest_s: float = 0.0
    """Seconds that one record may take it."""


@dataclass(frozen=True, slots=True)
class _Standstill:
    since: float
    handled: int
    lag: int


class Watchdog:
    """Remembers since when each actor stands still. Pure: times are seconds of one clock that counts pauses too."""

    def __init__(self) -> None:
        self._still: dict[str, _Standstill] = {}
        self._looked_at: float | None = None

    def look(self, samples: Iterable[Sample], at: float) -> None:
        """Take the samples of one moment. Raises `Stalled` for the first actor that has stalled.

        An actor without a sample is forgotten: its partitions are another worker's, or nothing can be known.
        """
        paused = self._looked_at is not None and at - self._looked_at > PAUSED_S
        before = {} if paused else self._still
        self._looked_at, self._still = at, {}
        for sample in samples:
            if sample.waits or not sample.lag:
                continue
            still = before.get(sample.actor)
            if still is None or sample.handled != still.handled or sample.lag < still.lag:
                still = _Standstill(at, sample.handled, sample.lag)
            self._still[sample.actor] = still
            if at - still.since >= STALLED_S + sample.longest_s:
                passed = at - still.since
                raise Stalled(sample.actor, f"it has handled nothing for {passed:.0f} s, and {sample.lag} records wait")


class Watch:
    """Looks at the actors of a worker again and again, until one stalls.

    `samples` makes their samples of where the groups of the worker stand in Kafka, the actors' and the sink's; `away`
    says whether the broker takes nothing at the moment.
    """

    def __init__(
        self,
        bootstrap: Brokers,
        samples: Callable[[Collection[PartitionLag], Collection[PartitionLag]], Iterable[Sample]],
        *,
        away: Callable[[], bool],
    ) -> None:
        self._bootstrap = bootstrap
        self._samples = samples
        self._away = away
        self._watchdog = Watchdog()

    async def run(self) -> None:
        """Return never. Raises `Stalled`."""
        while True:
            await asyncio.sleep(LOOK_S)
            found = None if self._away() else await self._standing()
            self._watchdog.look(self._samples(*found) if found else (), uptime_s())

    async def _standing(self) -> tuple[list[PartitionLag], list[PartitionLag]] | None:
        """Where both groups stand; None while the broker does not answer."""
        try:
            return (
                await lag(self._bootstrap, topics.APP, WORKED),
                await lag(self._bootstrap, topics.SINK, tuple(TABLES)),
            )
        except (BrokerUnreachable, KafkaError):
            return None


def of_mailboxes(
    actor: str, boxes: Mailboxes, found: Iterable[PartitionLag], *, resting: Mapping[int, int], longest_s: float = 0.0
) -> Iterator[Sample]:
    """The samples of the actor that these mailboxes feed. `resting`: by partition the events that wait on purpose."""
    for at in found:
        if (box := boxes.standing((at.topic, at.partition))) is None:
            continue
        # all in work rest, or all that there are wait for their time
        rests = resting.get(at.partition, 0) >= box.running if box.running else box.parked > 0 and not box.waiting
        handled = box.finished + (at.committed or 0)
        yield Sample(f"{actor} of {at.topic}/{at.partition}", handled, at.behind, rests, longest_s)


def of_sink(sink: Sink, found: Iterable[PartitionLag]) -> Sample:
    """The sample of the sink over the partitions that it has."""
    mine = [at for at in found if (at.topic, at.partition) in sink.assignment]
    return Sample(
        "sink",
        sum(at.committed or 0 for at in mine) + sink.rows,
        sum(at.behind for at in mine),
        sink.waits,
        sink.batch_age_s,
    )
