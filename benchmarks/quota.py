"""How much of every quota a bulk collection gets: calls accepted of calls allowed, by provider and number of keys.

The sandbox plays the providers with the limits of their plans; the client is the poller as a worker runs it, but for
broker and store. Requests never run out. Idle time is skipped: while every request under way waits, the clock jumps
to the moment at which the first of them goes on, so ten days pass in seconds and every real latency stays.

    python -m benchmarks.quota [--only finnhub]
"""

from __future__ import annotations

import asyncio
import heapq
import os
import time
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count, cycle, islice
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import click

from agents.polling.caller import Caller
from agents.polling.key_pool import KeyPool
from agents.polling.ledger import Ledger
from agents.polling.poller import Poller
from agents.polling.transport import Transport
from connectors import Call, connector
from infra import settings as environment
from infra import telemetry
from infra.settings import Settings
from sandbox import Clock, Limit, Sandbox, SandboxSettings
from sandbox.market.market import Market
from sandbox.market.universe import instruments
from sandbox.server.calls import CallLog
from sandbox.server.keys import ANY_KEY, KeyPlan
from streams.accounts import policy
from streams.messaging import topics
from streams.messaging.mailbox import Mailbox, Parked
from streams.messaging.messages import PollDone, PollRequest

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
MONDAY = datetime(2026, 3, 2)  # noqa: DTZ001  (midnight in the zone of each limit)
FEBRUARY_16, FEBRUARY_26, FEBRUARY_27 = (
    (datetime(2026, 2, day, tzinfo=UTC) - EPOCH) // MILLISECOND for day in (16, 26, 27)
)
DAILY = Call(dataset="bars", interval="1d", start=FEBRUARY_16, end=FEBRUARY_27)
INTRADAY = Call(dataset="bars", interval="5m", start=FEBRUARY_26, end=FEBRUARY_27)
QUOTE = Call(dataset="quote")
AHEAD = 1_000  # requests that the mailbox holds, as those of a worker do
ANYWHERE = SimpleNamespace(topic=topics.POLL_REQUESTS, partition=0, offset=0)
TURNS = 8  # of the event loop, until whoever was woken is at work


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured: keys of one plan, one kind of call of so much `weight`, so many windows of one limit.

    `plan` is the sandbox's; `given` are settings where the connector declares other limits than the plan's.
    """

    provider: str
    title: str
    plan: KeyPlan
    limit: Limit
    call: Call
    weight: int = 1
    given: Mapping[str, str] = field(default_factory=dict)
    keys: Sequence[int] = (1, 3, 10)
    windows: int = 10

    @property
    def edges(self) -> list[datetime]:
        """Where the windows begin, and where the last one ends."""
        edges = [MONDAY.replace(tzinfo=ZoneInfo(self.limit.zone))]
        for _ in range(self.windows):
            edges.append(self.limit.window(edges[-1])[1])
        return edges

    def allowed(self, keys: int) -> int:
        """What the limit allows so many keys in all windows."""
        return self.limit.calls * self.windows * keys


FREE_CREDITS = Limit(20, "day", credits=True)
CASES = (
    Case("alpaca", "basic", "basic", Limit(200, "minute"), DAILY),
    Case("alphavantage", "free", "free", Limit(25, "day", "America/New_York"), QUOTE),
    Case(
        "alphavantage",
        "premium_75",
        "premium_75",
        Limit(75, "minute"),
        QUOTE,
        given={"ALPHAVANTAGE_LIMITS": "75/minute"},
    ),
    Case("eodhd", "free", "free", FREE_CREDITS, DAILY),
    Case("eodhd", "20 credits, 5 a call", (FREE_CREDITS, Limit(1000, "minute")), FREE_CREDITS, INTRADAY, weight=5),
    Case("finnhub", "free", "free", Limit(60, "minute"), QUOTE),
    Case("fmp", "basic", "basic", Limit(250, "day"), DAILY),
    # ten keys of it are 30,000 calls: too long to wait for
    Case("fmp", "starter", "starter", Limit(300, "minute"), DAILY, given={"FMP_LIMITS": "300/minute"}, keys=(1, 3)),
    Case("polygon", "free", "free", Limit(5, "minute"), DAILY),
    # undocumented, and of the address: what the connector declares
    Case("yahoo", "declared", (Limit(30, "minute"),), Limit(30, "minute"), DAILY, keys=(1,)),
    # no limit but money: as many calls a day as $5.50 pay for at $0.0015
    Case("brightdata", "$5.50 a day", None, Limit(3_666, "day"), QUOTE, keys=(1,), windows=3),
)


class SkippingClock:
    """The sandbox's clock, read and slept by: real time while any request is at work, none while all of them sleep."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at_work: set[asyncio.Task[Any] | None] = set()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._changed = asyncio.Event()

    def now(self) -> int:
        """Ms UTC."""
        return (self._clock.now() - EPOCH) // MILLISECOND

    async def work(self, poller: Poller, event: Any) -> Parked | None:
        """Handle an event. Time passes really meanwhile, but for its sleeps."""
        task = asyncio.current_task()
        self._at_work.add(task)
        try:
            return await poller.handle(event)
        finally:
            self._rest(task)

    async def sleep(self, seconds: float) -> None:
        """Wait until so many seconds have passed by this clock."""
        task = asyncio.current_task()
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now() + round(seconds * 1000), next(self._numbers), woken))
        working = task in self._at_work
        self._rest(task)
        await woken
        if working:
            self._at_work.add(task)

    async def run(self) -> None:
        """Wake every sleeper when it is due, and skip what nobody uses. Somebody has to sleep all the time."""
        while True:
            if self._at_work:
                await self._change()
            else:
                for _ in range(TURNS):
                    await asyncio.sleep(0)
                if not self._at_work:
                    self._clock.advance(max(0, self._sleepers[0][0] - self.now()) * MILLISECOND)
            while self._sleepers and self._sleepers[0][0] <= self.now():
                woken = heapq.heappop(self._sleepers)[2]
                if not woken.done():
                    woken.set_result(None)

    async def _change(self) -> None:
        """Wait until a request rests or a sleeper is due."""
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0, self._sleepers[0][0] - self.now()) / 1000):
                await self._changed.wait()

    def _rest(self, task: asyncio.Task[Any] | None) -> None:
        self._at_work.discard(task)
        self._changed.set()


@dataclass(slots=True)
class Event:
    """A request as it comes out of the broker."""

    value: bytes
    message: Any = field(default_factory=lambda: ANYWHERE)
    headers: Any = None

    def ack(self) -> bool:
        """Nobody else has the event."""
        return True


class Requests:
    """One provider's requests without end, and the outbox that they and their children come from; it keeps nothing.

    `failed` tells of a request that ended otherwise than in records.
    """

    def __init__(self, case: Case) -> None:
        self._made = _requests(case)
        self._children: list[bytes] = []
        self.failed = asyncio.get_running_loop().create_future()

    def fill(self, box: Mailbox) -> None:
        """Put requests into the mailbox: children at once, others when it is half empty, as a worker fetches them."""
        children, self._children = self._children, []
        for child in children:
            box.put(Event(child))
        if len(box) <= AHEAD // 2:
            for request in islice(self._made, AHEAD - len(box)):
                box.put(Event(request.encode()))

    async def send(self, topic: str, value: bytes, **_: Any) -> None:
        """Take what the poller tells."""
        if topic == topics.POLL_REQUESTS:
            self._children.append(value)
        if topic == topics.POLL_DONE and not self.failed.done():
            done = PollDone.decode(value)
            if done.outcome not in {"records", "Cut"}:
                self.failed.set_result(f"{done.call}: {done.outcome}: {done.reason}")


def _requests(case: Case) -> Iterator[PollRequest]:
    for number, symbol in enumerate(cycle(_shares())):
        call = case.call.model_copy(update={"symbols": (symbol,)})
        yield PollRequest(request_id=f"{number}", job_id="quota", call=call, slip=(case.provider,))


def _shares() -> list[str]:
    return [one.symbol for one in instruments().values() if one.asset_class == "equity" and one.currency == "USD"]


@cache
def _market() -> Market:
    """One market for all measurements of this process, invented beforehand: that takes longer than to collect it."""
    market = Market()
    for symbol in _shares():
        market.quote(symbol, MONDAY.replace(tzinfo=UTC))
    return market


@dataclass(frozen=True, slots=True)
class Found:
    """What the sandbox accepted in the windows of a case (in credits where the limit counts them), and refused."""

    accepted: int
    refusals: int
    seconds: float


async def measure(case: Case, keys: int) -> Found:
    """Collect with so many keys for the windows of the case, from the start of the first to the end of the last."""
    market, began, edges = _market(), time.perf_counter(), case.edges
    secrets = [f"benchmark-key-{number}" for number in range(1, keys + 1)]
    clock = Clock(edges[0])
    known = [ANY_KEY] if connector(case.provider).auth.keyless else secrets
    sandbox = Sandbox(SandboxSettings(keys={case.provider: dict.fromkeys(known, case.plan)}, clock=clock))
    sandbox.log, sandbox.market = CallLog(deque()), market
    async with sandbox:
        settings = _settings(case, secrets, sandbox.url)
        requests, skipping = Requests(case), SkippingClock(clock)
        transport = _transport(case, settings)
        poller = _poller(case, settings, transport, requests, skipping)
        box = Mailbox(lambda event: skipping.work(poller, event), settings.poller_window, on_change=requests.fill)
        clock.advance(edges[0] - clock.now())
        requests.fill(box)
        ended = asyncio.create_task(skipping.sleep((edges[-1] - clock.now()).total_seconds()))
        running = asyncio.create_task(skipping.run())
        done, _ = await asyncio.wait({ended, running, requests.failed}, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        box.on_change = None
        await box.drain(0)
        await transport.close()
    if ended not in done:
        raise SystemExit(f"{case.provider} {case.title}: {done.pop().result()}")
    return _found(case, sandbox.log, edges, time.perf_counter() - began)


def _settings(case: Case, secrets: Sequence[str], url: str) -> Settings:
    name, connected = case.provider.upper(), connector(case.provider)
    given = [f"{secret}:secret" if connected.auth.paired else secret for secret in secrets]
    environ = {
        f"{name}_KEYS": "" if connected.auth.keyless else ",".join(given),
        f"{name}_URL": f"{url}/{case.provider}",
    }
    return environment.load(Path(os.devnull), {**environ, **case.given})


def _transport(case: Case, settings: Settings) -> Transport:
    bases = {case.provider: settings.base_url(case.provider) or ""}
    return Transport(timeout_s=settings.http_timeout_s, body_limit=settings.http_body_limit, base_urls=bases)


def _poller(case: Case, settings: Settings, transport: Transport, requests: Any, skipping: SkippingClock) -> Poller:
    connected = connector(case.provider)
    pool = KeyPool(
        connected,
        policy.labels(settings, connected),
        policy.policies(settings)[case.provider],
        settings.price(case.provider),
    )
    caller = Caller(transport, requests, Ledger(requests), now=skipping.now)
    return Poller(
        {case.provider: pool},
        caller,
        requests,
        retries=settings.retries,
        ready=lambda _: asyncio.sleep(0),
        sleep=skipping.sleep,
        now=skipping.now,
    )


def _found(case: Case, log: CallLog, edges: Sequence[datetime], seconds: float) -> Found:
    inside = [call for call in log.newest if edges[0] <= call.at < edges[-1]]
    served = Counter((call.key, bisect_right(edges, call.at)) for call in inside if call.outcome == "accepted")
    for (key, window), calls in served.items():
        if calls * case.weight > case.limit.calls:
            raise SystemExit(f"{case.provider} {case.title}: {calls} calls with {key} in window {window}: overspent")
    return Found(served.total() * case.weight, len(inside) - served.total(), seconds)


def _job(case: Case, keys: int) -> Found:
    telemetry.configure("error")
    return asyncio.run(measure(case, keys))


def _run(cases: Sequence[Case]) -> Iterator[tuple[Case, int, Found]]:
    """Measure every case with every number of keys, as many at once as there are cores, the longest first."""
    jobs = [(case, keys) for case in cases for keys in case.keys]
    pool = ProcessPoolExecutor(mp_context=get_context("spawn"))
    try:
        longest = sorted(range(len(jobs)), key=lambda i: -jobs[i][0].allowed(jobs[i][1]))
        found = {i: pool.submit(_job, *jobs[i]) for i in longest}
        for i, job in enumerate(jobs):
            yield *job, found[i].result()
    finally:
        pool.shutdown(cancel_futures=True)


@click.command()
@click.option(
    "--only", type=click.Choice(sorted({case.provider for case in CASES})), help="Measure this provider alone."
)
def main(only: str | None) -> None:
    """Measure, and print the smallest share of a quota that was used."""
    print(f"{'plan':<35}{'limit':>12}{'keys':>6}{'allowed':>9}{'accepted':>10}", end="")
    print(f"{'efficiency':>12}{'refusals':>10}{'seconds':>9}")
    shares, refusals = [], 0
    for case, keys, found in _run([case for case in CASES if only in {None, case.provider}]):
        allowed, accepted = case.allowed(keys), found.accepted
        shares.append(accepted / allowed)
        refusals += found.refusals
        name, limit = f"{case.provider} {case.title}", f"{case.limit.calls}/{case.limit.per}"
        figures = f"{allowed:>9,}{accepted:>10,}{shares[-1]:>12.4f}{found.refusals:>10}{found.seconds:>9.1f}"
        print(f"{name:<35}{limit:>12}{keys:>6}{figures}", flush=True)
    print(f"quota efficiency_min={min(shares):.3f} refusals={refusals}")


if __name__ == "__main__":
    main()
