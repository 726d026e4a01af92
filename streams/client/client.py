"""The door for programs: fetch bars and quotes, subscribe to the normalized topics, submit polls and wait for them.

found = await fetch_ticker("AAPL", days=30)
async for bar in subscribe("kafka://127.0.0.1:9092", "bars", symbols={"AAPL"}):
...
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any, Self, TypeVar, Unpack

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from connectors import Call, connectors
from infra import settings
from infra.clock import now_ms
from infra.kafka.connection import BrokerUnreachable, bootstrap_servers, connected
from streams.client.call_builder import BarOptions, QuoteOptions, When, call_for, share_out, span
from streams.client.gather import BRINGS, Gathering
from streams.client.results import FetchResult, QuoteResult, Tried
from streams.client.subscription import subscribe
from streams.messaging import topics
from streams.messaging.bars import Bar, bars_of
from streams.messaging.cancellations import cancel
from streams.messaging.follow import following
from streams.messaging.job import Job, requests_for
from streams.messaging.mailbox import post
from streams.messaging.messages import PollDone, PollRequest
from streams.messaging.producer import MAX_MESSAGE, Outbox
from streams.planning.routing import NO_ROUTES
from streams.runtime import discovery

__all__ = [
    "Bar",
    "BrokerUnreachable",
    "Client",
    "FetchResult",
    "Job",
    "QuoteResult",
    "Tried",
    "bars_of",
    "fetch_ticker",
    "fetch_tickers",
    "get_quote",
    "get_quotes",
    "requests_for",
    "subscribe",
]

PARTITIONS = {spec.name: spec.partitions for spec in topics.SPECS}
ResultT = TypeVar("ResultT")


async def fetch_ticker(
    symbol: str, days: int = 30, *, bootstrap: str | None = None, **options: Unpack[BarOptions]
) -> FetchResult:
    """Fetch the bars of one symbol; `bootstrap` as of `Client`, the options as of `Client.fetch_tickers`."""
    return (await fetch_tickers([symbol], days, bootstrap=bootstrap, **options))[symbol]


async def fetch_tickers(
    symbols: Iterable[str], days: int = 30, *, bootstrap: str | None = None, **options: Unpack[BarOptions]
) -> dict[str, FetchResult]:
    """Fetch the bars of several symbols; `bootstrap` as of `Client`, the options as of `Client.fetch_tickers`."""
    async with Client(bootstrap) as client:
        return await client.fetch_tickers(symbols, days, **options)


async def get_quote(symbol: str, *, bootstrap: str | None = None, **options: Unpack[QuoteOptions]) -> QuoteResult:
    """Get the quote of one symbol; `bootstrap` as of `Client`, the options as of `Client.get_quotes`."""
    return (await get_quotes([symbol], bootstrap=bootstrap, **options))[symbol]


async def get_quotes(
    symbols: Iterable[str], *, bootstrap: str | None = None, **options: Unpack[QuoteOptions]
) -> dict[str, QuoteResult]:
    """Get the quotes of several symbols; `bootstrap` as of `Client`, the options as of `Client.get_quotes`."""
    async with Client(bootstrap) as client:
        return await client.get_quotes(symbols, **options)


class Client:
    """Asks a running pipeline and hears what becomes of it. One connection serves many calls, also at the same time.

    Use as `async with Client() as client`. Without `bootstrap` it is the pipeline that the settings mean: the tree that
    owns DATA_DIR, else the broker of KAFKA_URL; with it, the worker alone knows which providers have a key.

    Raises `SettingsInvalid` when made, and `BrokerUnreachable` when entered while no pipeline is there.
    """

    def __init__(self, bootstrap: str | None = None) -> None:
        where = None if bootstrap else discovery.find(settings.load())
        self._bootstrap = where.bootstrap if where else bootstrap_servers(bootstrap or "")
        self._usable = where.providers if where else frozenset(connectors())
        self._routes = where.routes if where else NO_ROUTES
        self._outbox = Outbox(self._bootstrap)
        self._inboxes: dict[str, asyncio.Queue[Any]] = {}
        self._following: dict[str, asyncio.Task[None]] = {}
        self._opening = asyncio.Lock()
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with connected(self._bootstrap) as broker:
            known = (await broker.fetch_all_metadata()).topics()
        if topics.POLL_DONE not in known:
            raise BrokerUnreachable(f"no pipeline has run on the broker at kafka://{self._bootstrap} yet")
        try:
            await self._outbox.start()
            self._closing.push_async_callback(self._outbox.stop)
            await self._follow(topics.POLL_DONE)
        except BaseException:
            await self._closing.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._closing.aclose()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            # nobody cancelled us: it is aiokafka's own, which is closed while its broker has gone

    async def run(self, requests: list[PollRequest], on_report: Callable[[Job, PollDone], None] | None = None) -> Job:
        """Submit `requests` (of one job) and return when all of them, and all they caused, have ended."""
        job = Job(requests[0].job_id, len(requests))
        with self.inbox(job.job_id) as inbox:
            await self.submit(requests)
            while not job.finished:
                report = await heard(inbox)
                if isinstance(report, PollDone) and job.note(report) and on_report:
                    on_report(job, report)
        return job

    async def fetch_ticker(self, symbol: str, days: int = 30, **options: Unpack[BarOptions]) -> FetchResult:
        """Fetch the bars of one symbol, as `fetch_tickers` does."""
        return (await self.fetch_tickers([symbol], days, **options))[symbol]

    async def fetch_tickers(
        self,
        symbols: Iterable[str],
        days: int = 30,
        *,
        interval: str = "1d",
        start: When | None = None,
        end: When | None = None,
        asset_class: str = "equity",
        adjustment: str | None = None,
        providers: Sequence[str] = (),
        timeout_s: float = 60.0,
    ) -> dict[str, FetchResult]:
        """Fetch bars: one result for each symbol, in their order, whatever becomes of the others.

        The range is the last `days` up to now, or from `start` to `end`, each included where it is a day. `adjustment`
        None takes what the provider gives by default. `providers` are the only ones to ask, in this order.

        Raises:
            ValueError: an option cannot be used.
            UnsupportedCall: a provider is unknown.
            BrokerUnreachable: the broker has gone.
        """
        first, last = span(days, start, end, now_ms())
        call = call_for(
            dataset="bars", interval=interval, asset_class=asset_class, adjustment=adjustment, start=first, end=last
        )
        return await self._ask(
            call,
            symbols,
            providers,
            timeout_s,
            found=lambda gathering, symbol: gathering.bars(symbol, timeout_s),
            refused=lambda symbol, why: FetchResult(symbol, error=why),
        )

    async def get_quote(self, symbol: str, **options: Unpack[QuoteOptions]) -> QuoteResult:
        """Get the latest quote of one symbol, as `get_quotes` does."""
        return (await self.get_quotes([symbol], **options))[symbol]

    async def get_quotes(
        self,
        symbols: Iterable[str],
        *,
        providers: Sequence[str] = (),
        force_fresh: bool = False,
        timeout_s: float = 30.0,
        asset_class: str = "equity",
    ) -> dict[str, QuoteResult]:
        """Get the latest quotes: one result for each symbol, in their order, whatever becomes of the others.

        One that is younger than QUOTE_TTL_S answers without a call, unless `force_fresh`. Raises as `fetch_tickers`.
        """
        return await self._ask(
            call_for(dataset="quote", asset_class=asset_class),
            symbols,
            providers,
            timeout_s,
            found=lambda gathering, symbol: gathering.quote(symbol, timeout_s),
            refused=lambda symbol, why: QuoteResult(symbol, error=why),
            force_fresh=force_fresh,
        )

    async def _ask(
        self,
        call: Call,
        symbols: Iterable[str],
        providers: Sequence[str],
        timeout_s: float,
        *,
        found: Callable[[Gathering, str], ResultT],
        refused: Callable[[str, str], ResultT],
        force_fresh: bool = False,
    ) -> dict[str, ResultT]:
        """Ask for what can be served, and tell for every symbol what was found, or why nobody was asked."""
        if isinstance(symbols, str):
            raise TypeError(f"symbols was the text {symbols!r}: give a list of symbols")
        wished = list(symbols)
        calls, nobody = share_out(call, wished, self._usable, providers, self._routes)
        results = {symbol: refused(symbol, why) for symbol, why in nobody.items()}
        if calls:
            for dataset in BRINGS[call.dataset]:
                await self._follow(topics.MARKET[dataset])
            deadline = now_ms() + round(timeout_s * 1000)
            requests = requests_for(calls, deadline, urgent=True, force_fresh=force_fresh)
            gathering = await self._gather(requests, timeout_s)
            results |= {symbol: found(gathering, symbol) for part, _ in calls for symbol in part.symbols}
        return {symbol: results[symbol] for symbol in wished}

    async def _gather(self, requests: list[PollRequest], timeout_s: float) -> Gathering:
        gathering = Gathering.of(requests)
        with self.inbox(gathering.job.job_id) as inbox, suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.submit(requests)
                while not gathering.complete:
                    found = await heard(inbox)
                    if isinstance(found, PollDone):
                        gathering.note(found)
                    else:
                        gathering.add(*found)
        return gathering

    async def submit(self, requests: Iterable[PollRequest]) -> None:
        """Put requests into their mailboxes, and wait for nothing more."""
        await asyncio.gather(*(post(self._outbox, request) for request in requests))

    async def cancel(self, work: str, providers: Iterable[str], kept: str = "") -> None:
        """Take back what the jobs of a piece of work still have in these mailboxes, but for job `kept`."""
        await cancel(self._outbox, work, providers, kept)

    @contextmanager
    def inbox(self, job_id: str) -> Iterator[asyncio.Queue[Any]]:
        """What is heard of a job from now on: reports, (dataset, record) pairs, or the fault that ended the hearing."""
        for task in self._following.values():
            if task.done():
                task.result()
        inbox = self._inboxes[job_id] = asyncio.Queue()
        try:
            yield inbox
        finally:
            del self._inboxes[job_id]

    async def _follow(self, topic: str) -> None:
        """Hear a topic from here on, until this client is closed."""
        async with self._opening:
            if topic in self._following:
                return
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap,
                auto_offset_reset="earliest",
                max_partition_fetch_bytes=MAX_MESSAGE,
            )
            self._closing.push_async_callback(consumer.stop)
            await consumer.start()
            partitions = [TopicPartition(topic, number) for number in range(PARTITIONS[topic])]
            consumer.assign(partitions)
            await consumer.seek_to_end(*partitions)
            for partition in partitions:
                await consumer.position(partition)
            task = asyncio.create_task(self._hear(topic, consumer), name=f"client-{topic}")
            task.add_done_callback(self._deafened)
            self._closing.push_async_callback(_cancelled, task)
            self._following[topic] = task

    async def _hear(self, topic: str, consumer: Any) -> None:
        async for message in following(consumer, self._bootstrap):
            # a record names its job in its request_id: of the others nothing is decoded
            for job_id, inbox in self._inboxes.items():
                if job_id.encode() in message.value:
                    inbox.put_nowait(_read(topic, message.value))

    def _deafened(self, task: asyncio.Task[None]) -> None:
        """Tell everybody who waits that nothing more will come."""
        if not task.cancelled() and (error := task.exception()):
            for inbox in self._inboxes.values():
                inbox.put_nowait(error)


DATASETS = {topic: dataset for dataset, topic in topics.MARKET.items()}


def _read(topic: str, value: bytes) -> PollDone | tuple[str, dict[str, Any]]:
    return PollDone.decode(value) if topic == topics.POLL_DONE else (DATASETS[topic], orjson.loads(value))


async def heard(inbox: asyncio.Queue[Any]) -> Any:
    """The next of what an inbox hears. Raises what ended the hearing."""
    found = await inbox.get()
    if isinstance(found, BaseException):
        raise found
    return found


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
