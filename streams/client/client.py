"""Asks a running pipeline: fetches bars and quotes, submits polls and waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from typing import Self, TypeVar, Unpack

from connectors import AnyRecord, Call, connectors
from infra import settings
from infra.kafka.brokers import Brokers
from streams.client.call_builder import BarOptions, QuoteOptions, When, call_for, share_out, span
from streams.client.gather import BRINGS, Gathering
from streams.client.lookup import brokers_of
from streams.client.results import FetchResult, QuoteResult
from streams.messaging.job import Job, requests_for
from streams.messaging.listener import Inbox, TopicListener
from streams.messaging.market import market_records
from streams.messaging.messages import PollDone, PollRequest
from streams.messaging.requester import Requester
from streams.planning.routing import NO_ROUTES
from streams.runtime import discovery

ResultT = TypeVar("ResultT")


async def fetch_ticker(
    symbol: str, days: int = 30, *, bootstrap: str | Brokers | None = None, **options: Unpack[BarOptions]
) -> FetchResult:
    """Fetch the bars of one symbol; `bootstrap` as of `Client`, the options as of `Client.fetch_tickers`."""
    return (await fetch_tickers([symbol], days, bootstrap=bootstrap, **options))[symbol]


async def fetch_tickers(
    symbols: Iterable[str], days: int = 30, *, bootstrap: str | Brokers | None = None, **options: Unpack[BarOptions]
) -> dict[str, FetchResult]:
    """Fetch the bars of several symbols; `bootstrap` as of `Client`, the options as of `Client.fetch_tickers`."""
    async with Client(bootstrap) as client:
        return await client.fetch_tickers(symbols, days, **options)


async def get_quote(
    symbol: str, *, bootstrap: str | Brokers | None = None, **options: Unpack[QuoteOptions]
) -> QuoteResult:
    """Get the quote of one symbol; `bootstrap` as of `Client`, the options as of `Client.get_quotes`."""
    return (await get_quotes([symbol], bootstrap=bootstrap, **options))[symbol]


async def get_quotes(
    symbols: Iterable[str], *, bootstrap: str | Brokers | None = None, **options: Unpack[QuoteOptions]
) -> dict[str, QuoteResult]:
    """Get the quotes of several symbols; `bootstrap` as of `Client`, the options as of `Client.get_quotes`."""
    async with Client(bootstrap) as client:
        return await client.get_quotes(symbols, **options)


class Client:
    """Sends requests to a running pipeline and returns their results. One connection serves many calls at once.

    Use as `async with Client() as client`. Without `bootstrap` it is the pipeline that the settings mean: the tree that
    owns DATA_DIR, else the broker of KAFKA_URL; with it, the worker alone knows which providers have a key. As text,
    `host:port`, it is logged in to as the settings say where it is KAFKA_URL's, and without a login otherwise.
    Deadlines are by the clock of the settings.

    Raises `SettingsInvalid` when made, and `BrokerUnreachable` when entered while no pipeline is there.
    """

    def __init__(self, bootstrap: str | Brokers | None = None) -> None:
        given = settings.load()
        where = None if bootstrap else discovery.find(given)
        self._clock = given.clock
        self._usable = where.providers if where else frozenset(connectors())
        self._routes = where.routes if where else NO_ROUTES
        self._requester = Requester(where.bootstrap if where else brokers_of(bootstrap or ""))
        self._records: dict[str, TopicListener[AnyRecord]] = {}
        self._opening = asyncio.Lock()
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._open.enter_async_context(self._requester)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def run(self, requests: list[PollRequest], on_report: Callable[[Job, PollDone], None] | None = None) -> Job:
        """Submit `requests` (of one job) and return when all of them, and all they caused, have ended.

        `on_report` is called with the job so far and each report. Raises `BrokerUnreachable` when the broker has gone.
        """
        return await self._requester.run(requests, on_report)

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
        first, last = span(days, start, end, self._clock.now_ms())
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
        """Request what can be served, and return for every symbol its result, or why no provider was asked."""
        if isinstance(symbols, str):
            raise TypeError(f"symbols was the text {symbols!r}: give a list of symbols")
        wished = list(symbols)
        calls, nobody = share_out(call, wished, self._usable, providers, self._routes)
        results = {symbol: refused(symbol, why) for symbol, why in nobody.items()}
        if calls:
            for dataset in BRINGS[call.dataset]:
                await self._listen(dataset)
            deadline = self._clock.now_ms() + round(timeout_s * 1000)
            requests = requests_for(calls, deadline, urgent=True, force_fresh=force_fresh)
            gathering = await self._gather(requests, BRINGS[call.dataset], timeout_s)
            results |= {symbol: found(gathering, symbol) for part, _ in calls for symbol in part.symbols}
        return {symbol: results[symbol] for symbol in wished}

    async def _gather(self, requests: list[PollRequest], datasets: Sequence[str], timeout_s: float) -> Gathering:
        gathering, inbox = Gathering.of(requests), Inbox[PollDone | AnyRecord]()
        job_id = gathering.job.job_id
        with ExitStack() as listening, suppress(TimeoutError):
            listening.enter_context(self._requester.inbox(job_id, inbox))
            for dataset in datasets:
                listening.enter_context(self._records[dataset].listen_for(job_id, inbox))
            async with asyncio.timeout(timeout_s):
                await self._requester.submit(requests)
                while not gathering.complete:
                    event = await inbox.next_event()
                    if isinstance(event, PollDone):
                        gathering.note(event)
                    else:
                        gathering.add(event.dataset, dict(event))
        return gathering

    async def _listen(self, dataset: str) -> None:
        """Listen to the records of a dataset from here on, until this client is closed."""
        async with self._opening:
            if dataset not in self._records:
                listener = market_records(self._requester.bootstrap, dataset)
                self._records[dataset] = await self._open.enter_async_context(listener)
