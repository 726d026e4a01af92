"""Runs of the collectors, seen from outside the pipeline: request a run, wait for its report, list all runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from infra.clickhouse.runs import FIRES, LAST_RUNS
from infra.kafka.brokers import Brokers
from streams.collecting.model import Declarations
from streams.collecting.schedule import Schedule, due, next_after
from streams.errors import UnknownCollector
from streams.messaging import topics
from streams.messaging.listener import TopicListener, key_of
from streams.messaging.messages import CollectorRun, CollectRequest, new_id
from streams.messaging.producer import Outbox
from streams.messaging.requester import require_pipeline
from streams.runtime.query import Ask

UPCOMING = 3  # fire times that a person wants to see


@dataclass(frozen=True, slots=True)
class Standing:
    """A collector and how its last run ended; None where it never ran."""

    collector: str
    """Name of the collector."""
    priority: int
    """Rank among collectors that may run; the lower goes first."""
    depends_on: tuple[str, ...]
    """Names of the collectors that it depends on."""
    last_state: str | None = None
    """`done`, `failed` or `skipped`."""
    last_reason: str | None = None
    """Reason of that end; empty when done."""
    last_cause: str | None = None
    """`schedule:<name>`, `dependency:<collector>` or `command`."""
    last_refresh: str | None = None
    """`incremental` or `full`."""
    last_started: datetime | None = None
    """Begin of the run, UTC."""
    last_ended: datetime | None = None
    """End of the run, UTC."""
    units: int | None = None
    """Requests submitted."""
    calls: int | None = None
    """HTTP calls made."""
    records: int | None = None
    """Records received."""
    rejects: int | None = None
    """Rows rejected."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """A schedule: when it last fired (None: never), its next three times, and whether one that was missed is owed."""

    schedule: str
    """Name of the schedule: `<collector>/<timing>`, or that of a maintenance job."""
    cron: str
    """Five cron fields."""
    zone: str
    """IANA zone of the fields."""
    last_fired: datetime | None
    """Last fire time, UTC; None for never."""
    next: tuple[datetime, ...]
    """The next three fire times, UTC."""
    due: bool
    """True when a missed time is owed."""


def require_declared(collector: str, declared: Declarations) -> None:
    """Make sure that there is a collector of this name. Raises `UnknownCollector`."""
    if collector not in declared.collectors:
        raise UnknownCollector(f"unknown collector {collector!r}; known: {', '.join(declared.collectors)}")


def request(collector: str, now: int, *, full: bool, at_once: bool = False) -> CollectRequest:
    """Make the request for a run by hand: of everything again when `full`, else as the collector refreshes itself.

    With `at_once` it waits for no dependency and for no other run.
    """
    return CollectRequest(
        run_id=new_id(),
        collector=collector,
        refresh="full" if full else None,
        cause="command",
        due_at=now,
        asked_at=now,
        at_once=at_once,
    )


async def submit(bootstrap: Brokers, asked: CollectRequest) -> None:
    """Ask the pipeline for a run, and wait for nothing more. Raises `BrokerUnreachable`."""
    await require_pipeline(bootstrap, topics.COLLECT_REQUESTS)
    await _post(bootstrap, asked)


async def run(bootstrap: Brokers, asked: CollectRequest) -> CollectorRun:
    """Request a run from the pipeline and return its report when it has ended. Raises `BrokerUnreachable`."""
    await require_pipeline(bootstrap, topics.COLLECT_REQUESTS)
    async with run_reports(bootstrap) as listener:
        with listener.listen_for(asked.collector) as inbox:
            await _post(bootstrap, asked)
            while (report := await inbox.next_event()).run_id != asked.run_id:
                pass  # another run of the same collector
            return report


def run_reports(bootstrap: Brokers) -> TopicListener[CollectorRun]:
    """Listen to `collect.done`: a report has the name of its collector."""
    return TopicListener(
        bootstrap,
        topics.COLLECT_DONE,
        names=lambda record: (key_of(record),),
        read=lambda record: CollectorRun.decode(record.value),
    )


async def standings(declared: Declarations, ask: Ask) -> list[Standing]:
    """Return every collector, in their order, with the end of its last run."""
    last = {row[0]: row for row in await ask(LAST_RUNS)}
    found = []
    for each in declared.collectors.values():
        head = (each.name, each.priority, each.depends_on)
        if row := last.get(each.name):
            _, _, state, reason, cause, refresh, started, ended, *counts = row
            found.append(Standing(*head, state, reason, cause, refresh, _moment(started), _moment(ended), *counts))
        else:
            found.append(Standing(*head))
    return found


async def timetables(declared: Declarations, ask: Ask, now: int) -> list[Timetable]:
    """Return the times of every schedule as of `now`: those of the collectors, then those of the worker's own jobs."""
    seen = {name: (at, bool(fired)) for name, at, fired in await ask(FIRES)}
    every = [timing.schedule for collector in declared.collectors.values() for timing in collector.timings]
    return [timetable(each, *seen.get(each.name, (None, False)), now) for each in (*every, *declared.schedules)]


def timetable(schedule: Schedule, seen: int | None, fired: bool, now: int) -> Timetable:
    """Return the times of a schedule that was last `seen` (ms UTC) when it `fired`, or when it was first met."""
    upcoming, at = [], now
    for _ in range(UPCOMING):
        at = next_after(schedule, at)
        upcoming.append(_moment(at))
    return Timetable(
        schedule=schedule.name,
        cron=schedule.cron,
        zone=schedule.zone,
        last_fired=_moment(seen) if seen is not None and fired else None,
        next=tuple(upcoming),
        due=due(schedule, seen, now) is not None,
    )


async def _post(bootstrap: Brokers, asked: CollectRequest) -> None:
    async with Outbox(bootstrap) as outbox:
        await outbox.send(topics.COLLECT_REQUESTS, asked.encode(), key=asked.collector, partition=0)


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
