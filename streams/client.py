"""The door for programs: submit polls and wait for them, subscribe to the normalized topics.

async for bar in subscribe("kafka://127.0.0.1:9092", "bars", symbols={"AAPL"}):
...
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from connectors import Call
from infra.kafka.connection import BrokerUnreachable, answers, bootstrap_servers
from streams import topics
from streams.mailbox import post
from streams.messages import PollDone, PollRequest, new_id
from streams.outbox import MAX_MESSAGE, Outbox


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a frame; `ts` is the interval's start, ms UTC, prices in `currency`."""

    symbol: str
    asset_class: str
    source: str
    interval: str
    adjustment: str
    currency: str | None
    ts: int
    open: float
    high: float
    low: float
    close: float
    volume: float | None
    vwap: float | None
    trades: int | None
    adj_close: float | None
    quote_volume: float | None
    observed_at: int
    request_id: str


IDLE_MS = 500
ASK_S = 5.0
AWAY_S = 60.0  # a renewed broker is back within seconds
BAR_SERIES = ("ts", "open", "high", "low", "close", "volume", "vwap", "trades", "adj_close", "quote_volume")


def bars_of(frame: dict[str, Any]) -> list[Bar]:
    """Give the single bars of a decoded frame, oldest first."""
    n = len(frame["ts"])
    columns = [frame[name] or [None] * n for name in BAR_SERIES]
    common = {name: value for name, value in frame.items() if name not in BAR_SERIES}
    return [Bar(**common, **dict(zip(BAR_SERIES, values, strict=True))) for values in zip(*columns, strict=True)]


async def subscribe(
    kafka_url: str, *datasets: str, symbols: Collection[str] = (), group: str | None = None, history: bool = False
) -> AsyncGenerator[Any, None]:
    """Yield unified records as they arrive: `Bar` for bars, the record as a dict with its `dataset` for the others.

    `symbols` narrows to canonical symbols. With `group` the position is kept in Kafka and each record is given at
    least once; without, the subscription starts now, or with `history` at the oldest record the topic holds.
    Raises `ValueError` for an unknown dataset or a URL that is none, and `aiokafka.errors.KafkaConnectionError`.
    """
    if unknown := [name for name in datasets if name not in topics.MARKET]:
        raise ValueError(f"unknown dataset {unknown[0]!r}; known: {', '.join(topics.MARKET)}")
    names = {topics.MARKET[name]: name for name in datasets or topics.MARKET}
    bootstrap = bootstrap_servers(kafka_url)
    consumer = AIOKafkaConsumer(
        *names,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest" if history or group else "latest",
        max_partition_fetch_bytes=MAX_MESSAGE,
    )
    await consumer.start()
    try:
        async for message in _following(consumer, bootstrap):
            record = orjson.loads(message.value)
            if symbols and record.get("symbol") not in symbols and not set(record.get("symbols") or ()) & set(symbols):
                continue
            dataset = names[message.topic]
            if dataset == "bars":
                for bar in bars_of(record):
                    yield bar
            else:
                yield {"dataset": dataset, **record}
    finally:
        await consumer.stop()


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
        """True when every request and every child has ended."""
        return len(self.done) == self.total

    @property
    def failures(self) -> list[PollDone]:
        """The requests that ended unserved, with nobody left to try."""
        return [report for report in self.done.values() if report.outcome not in ENDED_WELL and not report.children]


ENDED_WELL = frozenset({"records", "Cut"})


def requests_for(calls: Iterable[tuple[Call, tuple[str, ...]]], deadline: int | None = None) -> list[PollRequest]:
    """Make one poll request per (call, slip), all of one new job."""
    job_id = new_id()
    return [
        PollRequest(request_id=f"{job_id}-{i}", job_id=job_id, call=call, slip=slip, deadline=deadline)
        for i, (call, slip) in enumerate(calls)
    ]


class Client:
    """Submits polls to a running pipeline and follows them. Use as `async with Client(settings.bootstrap)`."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._outbox = Outbox(bootstrap)
        self._reports: Any = None

    async def __aenter__(self) -> Self:
        await self._outbox.start()
        try:
            self._reports = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, auto_offset_reset="earliest")
            await self._reports.start()
            where = TopicPartition(topics.POLL_DONE, 0)
            self._reports.assign([where])
            await self._reports.seek_to_end(where)
            await self._reports.position(where)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._outbox.stop()
        if self._reports is not None:
            await self._reports.stop()

    async def run(self, requests: list[PollRequest], on_report: Callable[[Job, PollDone], None] | None = None) -> Job:
        """Submit `requests` (of one job) and return when all of them, and all they caused, have ended."""
        job = Job(requests[0].job_id, len(requests))
        await asyncio.gather(*(post(self._outbox, request) for request in requests))
        async for message in _following(self._reports, self._bootstrap):
            report = PollDone.decode(message.value)
            if job.note(report) and on_report:
                on_report(job, report)
            if job.finished:
                break
        return job


async def _following(consumer: Any, bootstrap: str) -> AsyncGenerator[Any, None]:
    """Yield a consumer's records for ever, also across a renewed embedded broker, whose offsets start at 0 again.

    Raises `BrokerUnreachable` when nothing answers any more.
    """
    asked = heard = time.monotonic()
    while True:
        fetched = await consumer.getmany(timeout_ms=IDLE_MS)
        for records in fetched.values():
            for record in records:
                yield record
        now = time.monotonic()
        if fetched:
            asked = heard = now
        elif now - asked > ASK_S:
            asked = now
            heard = now if await answers(bootstrap) else heard
            if now - heard > AWAY_S:
                raise BrokerUnreachable(f"the broker at {bootstrap} has been away for {now - heard:.0f} s")
        for where in consumer.assignment() if not fetched else ():
            end = consumer.highwater(where)
            if end is not None and end < await consumer.position(where):
                await consumer.seek_to_beginning(where)
