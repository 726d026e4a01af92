"""A poller, and a collector, each with its parts: real but for the broker and the clock."""

import asyncio
import heapq
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from aiohttp import web
from aiokafka.errors import MessageSizeTooLargeError
from pydantic import SecretStr

from agents.collecting.collector import CollectorRunner
from agents.collecting.run_planner import RunPlanner
from agents.polling.caller import Caller
from agents.polling.key_pool import KeyPool, open_key_pools
from agents.polling.ledger import Ledger
from agents.polling.poller import Poller
from agents.polling.quote_cache import Quotes
from agents.polling.transport import Transport
from connectors import Call, connector
from infra.clickhouse import log_table
from infra.clock import SYSTEM
from infra.kafka.brokers import Brokers
from infra.settings import Settings
from sandbox import Sandbox, SandboxSettings
from streams.accounts.account import RESERVED, ProviderPolicy
from streams.accounts.breaker import BreakerPolicy
from streams.collecting.declarations import load
from streams.messaging import topics
from streams.messaging.listener import Inbox
from streams.messaging.messages import (
    CANCELLATION,
    ApiCall,
    Cancellation,
    Child,
    CollectorRun,
    CollectRequest,
    DeadLetter,
    PollDone,
    PollRequest,
)
from streams.processing.normalize import Normalizer
from streams.processing.table_rows import TABLES

DAY = 86_400_000
JULY_1 = 1_751_328_000_000  # 2025
DAILY = Call(dataset="bars", symbols=("KO",), interval="1d", start=JULY_1, end=JULY_1 + 20 * DAY)
DEFAULT = BreakerPolicy()
MONDAY = 1_717_416_000_000  # 2024-06-03 12:00
DECLARED = """
[collectors.stocks]
priority = 1
datasets = ["assets"]
universe = { asset_classes = ["equity"] }
refresh = "full"

[collectors.prices]
priority = 2
depends_on = ["stocks"]
datasets = [{ dataset = "bars", interval = "1d", history = "30d" }]
universe = { symbols = ["AAPL", "IBM", "MSFT"] }
retry = { attempts = 3, base_s = 60 }

[collectors.profiles]
priority = 3
depends_on = ["prices"]
datasets = ["profile"]
universe = { asset_classes = ["equity"] }

[collectors.chosen]
priority = 4
datasets = [{ dataset = "bars", interval = "1d", history = "30d" }]
universe = { where = "exchange = 'XNAS'" }
"""


class Recorder:
    """An outbox that keeps what it is sent; `refuse` names a topic whose records the broker refuses."""

    def __init__(self, refuse=None):
        self.sent = []
        self._refuse = refuse

    async def send(self, topic, value, *, key=None, partition=None, headers=None):
        if topic == self._refuse:
            raise MessageSizeTooLargeError
        self.sent.append(SimpleNamespace(topic=topic, value=value, key=key, partition=partition, headers=headers))

    def to(self, topic):
        return [record for record in self.sent if record.topic == topic]

    def read(self, topic, message):
        return [message.decode(record.value) for record in self.to(topic)]

    @property
    def told(self):
        """Every call as it was told: when it began, and when it ended."""
        return self.read(topics.API_CALLS, ApiCall)

    @property
    def calls(self):
        """Every call that ended; each was reserved before."""
        reserved, ended = set(), []
        for call in self.told:
            if call.outcome == RESERVED:
                reserved.add(call.call_id)
            else:
                assert call.call_id in reserved
                ended.append(call)
        return ended

    @property
    def letters(self):
        return self.read(topics.DEAD_LETTERS, DeadLetter)

    @property
    def children(self):
        records = [record for topic in topics.POLLS for record in self.to(topic)]
        children = [PollRequest.decode(record.value) for record in records]
        for child, record in zip(children, records, strict=True):
            assert record.topic == (topics.POLL_URGENT if child.urgent else topics.POLL_REQUESTS)
            assert (record.key, record.partition) == (child.provider, topics.mailbox(child.provider))
        return children


class Time:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = SYSTEM.now_ms()
        self.slept = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += round(seconds * 1000)
        await asyncio.sleep(0)


class Scene:
    """A poller; every provider is served by `url`, below its name."""

    daily = DAILY

    def __init__(
        self,
        url,
        *,
        keys=("good-key-0001",),
        retries=2,
        windows=(),
        extra=(),
        policy=DEFAULT,
        timeout_s=20.0,
        refuse=None,
        allowance=None,
    ):
        self.time, self.outbox = Time(), Recorder(refuse)
        agreed = ProviderPolicy(windows=windows, breaker=policy, allowance=allowance)
        self.pools = {
            "polygon": KeyPool(connector("polygon"), {f"polygon#{i}": key for i, key in enumerate(keys, 1)}, agreed),
            "yahoo": KeyPool(connector("yahoo"), {"yahoo#1": ""}, replace(agreed, keyless=True)),
            **{
                other.name: KeyPool(
                    other, {f"{other.name}#1": ""}, ProviderPolicy(breaker=policy, keyless=other.auth.keyless)
                )
                for other in extra
            },
        }
        bases = {name: f"{url}/{name}" for name in self.pools}
        self.transport = Transport(timeout_s=timeout_s, body_limit=2**24, base_urls=bases)
        self.quotes = Quotes(Brokers("nobody:1"), 900_000)
        self.poller = Poller(
            self.pools,
            Caller(self.transport, self.outbox, Ledger(self.outbox), now=self.time),
            self.outbox,
            retries=retries,
            ready=self.ready,
            quotes=self.quotes,
            sleep=self.time.sleep,
            now=self.time,
        )
        self.normalizer = Normalizer(self.outbox, now=self.time)
        self.parked = 0

    async def ready(self, provider):
        assert provider in self.pools

    async def receive(self, value):
        """Handle one record of poll.requests, however often it is parked, and the answers that were received."""
        message = SimpleNamespace(topic=topics.POLL_REQUESTS, partition=8, offset=9)
        event = SimpleNamespace(message=message, value=value, headers={})
        received = len(self.outbox.to(topics.RAW_RESPONSES))
        while (parked := await self.poller.handle(event)) is not None:
            self.parked += 1
            await parked
        for record in self.outbox.to(topics.RAW_RESPONSES)[received:]:
            message = SimpleNamespace(topic=topics.RAW_RESPONSES, partition=0, offset=received)
            await self.normalizer.handle(
                SimpleNamespace(message=message, value=record.value, headers=list(record.headers.items()))
            )

    async def handle(self, call=DAILY, slip=("polygon",), **more):
        """Serve one request; gives its one report."""
        request = PollRequest(request_id="r", job_id="j", call=call, slip=slip, **more)
        before = len(self.outbox.to(topics.POLL_DONE))
        await self.receive(request.encode())
        (done,) = self.outbox.read(topics.POLL_DONE, PollDone)[before:]
        assert (done.request_id, done.job_id, done.provider, done.symbols) == ("r", "j", slip[0], call.symbols)
        assert set(done.children) <= set(map(Child.of, self.outbox.children))
        return done

    @property
    def outcomes(self):
        """Of every call the key's label and how it ended."""
        return [(call.key_label, call.outcome) for call in self.outbox.calls]


@pytest.fixture
async def sandbox():
    """The providers' APIs; Polygon knows a key of its free plan and an unlimited one."""
    async with Sandbox(SandboxSettings(keys={"polygon": {"good-key-0001": None, "free-key-0001": "free"}})) as sandbox:
        yield sandbox


@pytest.fixture
async def scene_at():
    """Makes scenes whose providers are served by a URL."""
    scenes = []

    def make(url, **options):
        scenes.append(Scene(url, **options))
        return scenes[-1]

    yield make
    for scene in scenes:
        await scene.transport.close()


@pytest.fixture
def scene(sandbox, scene_at):
    """Makes scenes whose providers are the sandbox's."""
    return lambda **options: scene_at(sandbox.url, **options)


@pytest.fixture
async def answering(scene_at):
    """Makes scenes whose providers are a loopback server that answers every path with `reply(request)`."""
    runners = []

    async def make(reply, **options):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", reply)
        runners.append(web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
        return scene_at(f"http://127.0.0.1:{runners[-1].addresses[0][1]}", **options)

    yield make
    for runner in runners:
        await runner.cleanup()


class StillTime:
    """A clock that stands still; who sleeps is woken when a test moves it."""

    def __init__(self, now=MONDAY):
        self.now = now
        self._asleep = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._asleep, (self.now + seconds * 1000, id(woken), woken))
        await woken

    def asleep(self):
        """Ms until who sleeps is due."""
        return sorted(at - self.now for at, _, woken in self._asleep if not woken.done())

    def pass_ms(self, ms):
        self.now += ms
        while self._asleep and self._asleep[0][0] <= self.now:
            _, _, woken = heapq.heappop(self._asleep)
            if not woken.done():
                woken.set_result(None)


class Pollers:
    """The outbox and the ears of a collector: each poll request is answered as `answer(request)` says, or held."""

    def __init__(self, store):
        self._store = store
        self._inboxes = {}
        self.answer = lambda request: "records"
        self.stores = True
        self.polls, self.runs, self.requests, self.letters = [], [], [], []
        self.withdrawn = {}
        self.under_way, self.most = Counter(), Counter()
        self.held = None

    async def send(self, topic, value, *, key=None, partition=None, headers=None):
        if headers == CANCELLATION:
            self.withdrawn[partition] = Cancellation.decode(value)
        elif topic == topics.POLL_REQUESTS:
            request = PollRequest.decode(value)
            self.polls.append(request)
            self.under_way[request.provider] += 1
            self.most |= self.under_way
            if self.held is None:
                await self.end(request)
            else:
                self.held.append(request)
        elif topic == topics.COLLECT_DONE:
            self.runs.append(CollectorRun.decode(value))
            await self._insert(TABLES[topic], value)
        elif topic == topics.COLLECT_REQUESTS:
            assert partition == 0
            self.requests.append(CollectRequest.decode(value))
            assert key == self.requests[-1].collector
        else:
            self.letters.append(DeadLetter.decode(value))

    async def end(self, request, at=None):
        outcome = self.answer(request)
        done = PollDone(
            request_id=request.request_id,
            job_id=request.job_id,
            provider=request.provider,
            call=request.call,
            outcome=outcome,
            records=2 * (outcome == "records"),
            at=at or MONDAY + 60_000,
        )
        self.under_way[request.provider] -= 1
        if self.stores:
            await self._insert(TABLES[topics.POLL_DONE], done.encode())
        if request.job_id in self._inboxes:
            self._inboxes[request.job_id].put(done)

    @contextmanager
    def listen_for(self, name):
        self._inboxes[name] = Inbox()
        yield self._inboxes[name]
        del self._inboxes[name]

    def asked(self):
        """Symbols that were asked for, each time."""
        return sorted(symbol for poll in self.polls for symbol in poll.call.symbols)

    async def _insert(self, table, value):
        await self._store.insert(log_table(table.name), table.decode(value, {}))


class Stage:
    """A collector over the store; its pollers and its clock are played."""

    monday = MONDAY

    def __init__(self, store, declared, **keys):
        self.store, self.time, self.pollers = store, StillTime(), Pollers(store)
        values = keys or {"FINNHUB_KEYS": "one", "FINNHUB_LIMITS": "none"}
        settings = Settings(provider_values={name: SecretStr(value) for name, value in values.items()})
        pools = open_key_pools(settings)
        pools = {name: pool for name, pool in pools.items() if name != "yahoo"}
        self.declared = declared
        self.planning = RunPlanner(store, settings, {**open_key_pools(settings)}, lambda: pools)
        self.collector = self.another()
        self.tasks = []

    def another(self):
        return CollectorRunner(
            self.declared,
            self.planning,
            self.pollers,
            self.store,
            self.pollers,
            self.until_stored,
            sleep=self.time.sleep,
            now=self.time,
            chance=lambda: 0.5,
        )

    async def until_stored(self):
        pass

    def event(self, collector, run_id="run-1", **differing):
        request = CollectRequest(
            run_id=run_id, collector=collector, cause="command", due_at=MONDAY, asked_at=MONDAY
        ).model_copy(update=differing)
        return SimpleNamespace(value=request.encode(), message=None)

    async def run(self, collector, run_id="run-1", **differing):
        """Have a run, and give its report."""
        await self.collector.handle(self.event(collector, run_id, **differing))
        return self.pollers.runs[-1]

    def begin(self, *arguments, **differing):
        """Have a run beside the test."""
        task = asyncio.create_task(self.collector.handle(self.event(*arguments, **differing)))
        self.tasks.append(task)
        return task

    async def until(self, reached):
        async with asyncio.timeout(10):
            while not reached():
                await asyncio.sleep(0.005)

    async def insert(self, table, **columns):
        await self.store.insert(log_table(table), columns)

    async def know(self, *symbols, exchange="XNAS"):
        """Store assets."""
        n = len(symbols)
        await self.insert(
            "assets",
            **{"symbol": symbols, "asset_class": ["equity"] * n, "source": ["polygon"] * n, "request_id": ["r"] * n},
            **{"exchange": [exchange] * n, "provider_symbol": symbols, "observed_at": [MONDAY] * n},
        )


@pytest.fixture
async def stage_of(tmp_path):
    """Makes collectors whose collectors are declared above, with keys of one's own."""
    made = []

    async def make(store, **keys):
        (tmp_path / "t.toml").write_text(DECLARED)
        made.append(Stage(store, load(tmp_path / "t.toml").collectors, **keys))
        await made[-1].collector.remember()
        return made[-1]

    yield make
    for task in (task for found in made for task in found.tasks):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def stage(store, stage_of):
    """A collector with a key of one provider; what the others depend on has been listed."""
    found = await stage_of(store)
    found.collector._turns.endings["stocks"] = "done"
    return found
