"""The actors under test, with their parts: real but for the broker, the clock and, for a collector, the pollers.

`Scene` is a poller with its transport, key pools and normalizer; `Recorder` stands for its producer and `Time` for
its clock. `Stage` is a collector over a real store; `Pollers` stands for the workers that answer its poll requests,
and `StillTime` for its clock. `conftest.py` makes fixtures of them. Times are ms UTC.
"""

import asyncio
import heapq
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

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
from streams.accounts.account import RESERVED, ProviderPolicy
from streams.accounts.breaker import BreakerPolicy
from streams.messaging import topics
from streams.messaging.collector_messages import CollectorRun, CollectRequest
from streams.messaging.listener import Inbox
from streams.messaging.messages import CANCELLATION, ApiCall, Cancellation, Child, DeadLetter, PollDone, PollRequest
from streams.processing.normalize import Normalizer
from streams.processing.table_rows import TABLES

DAY = 86_400_000
JULY_1 = 1_751_328_000_000  # 2025
DAILY = Call(dataset="bars", symbols=("KO",), interval="1d", start=JULY_1, end=JULY_1 + 20 * DAY)
"""The call of a scene: 20 days of daily bars of one symbol."""
DEFAULT = BreakerPolicy()
MONDAY = 1_717_416_000_000  # 2024-06-03 12:00
"""The time of a stage's clock when it begins."""
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
"""The collectors of a stage: `profiles` depends on `prices`, which depends on `stocks`; `chosen` is independent."""


class Recorder:
    """An outbox that keeps the records in `sent`; the broker refuses those of the topic `refuse` as too large."""

    def __init__(self, refuse=None):
        self.sent = []
        self._refuse = refuse

    async def send(self, topic, value, *, key=None, partition=None, headers=None):
        """Keep a record; raises `MessageSizeTooLargeError` for the topic `refuse`."""
        if topic == self._refuse:
            raise MessageSizeTooLargeError
        self.sent.append(SimpleNamespace(topic=topic, value=value, key=key, partition=partition, headers=headers))

    def to(self, topic):
        """Return the records of a topic, in the order of sending."""
        return [record for record in self.sent if record.topic == topic]

    def read(self, topic, message):
        """Return the decoded values of a topic, which hold messages of the class `message`."""
        return [message.decode(record.value) for record in self.to(topic)]

    @property
    def told(self):
        """Both records of each call: its reservation, and its end."""
        return self.read(topics.API_CALLS, ApiCall)

    @property
    def calls(self):
        """The ends of calls; asserts that a reservation precedes each."""
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
        """The dead letters."""
        return self.read(topics.DEAD_LETTERS, DeadLetter)

    @property
    def children(self):
        """The poll requests that were submitted; asserts topic, key and partition of each."""
        records = [record for topic in topics.POLLS for record in self.to(topic)]
        children = [PollRequest.decode(record.value) for record in records]
        for child, record in zip(children, records, strict=True):
            assert record.topic == (topics.POLL_URGENT if child.urgent else topics.POLL_REQUESTS)
            assert (record.key, record.partition) == (child.provider, topics.mailbox(child.provider))
        return children


class Time:
    """A clock that only a sleep moves; `slept` holds the seconds of each sleep."""

    def __init__(self):
        self.now = SYSTEM.now_ms()
        self.slept = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        """Move the clock, and give the event loop a turn."""
        self.slept.append(seconds)
        self.now += round(seconds * 1000)
        await asyncio.sleep(0)


class Scene:
    """A poller whose providers are served below `url`, each at its name.

    Polygon has `keys` and the `windows`, the breaker's `policy` and the `allowance` given; Yahoo needs no key; `extra`
    holds connectors beside these two. `retries` is the number of tries after a failed one, `timeout_s` that of a call,
    and `refuse` a topic whose records the broker refuses. `parked` counts how often a request was parked.
    """

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
        """Return at once: the account of each provider is known."""
        assert provider in self.pools

    async def receive(self, value):
        """Handle a record of poll.requests until it is parked no more, and normalize the answers."""
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
        """Serve one request; returns its report, and asserts that there is exactly one."""
        request = PollRequest(request_id="r", job_id="j", call=call, slip=slip, **more)
        before = len(self.outbox.to(topics.POLL_DONE))
        await self.receive(request.encode())
        (done,) = self.outbox.read(topics.POLL_DONE, PollDone)[before:]
        assert (done.request_id, done.job_id, done.provider, done.symbols) == ("r", "j", slip[0], call.symbols)
        assert set(done.children) <= set(map(Child.of, self.outbox.children))
        return done

    @property
    def outcomes(self):
        """The key's label and the outcome of each call."""
        return [(call.key_label, call.outcome) for call in self.outbox.calls]


class StillTime:
    """A clock that only a test moves, by `pass_ms`; a sleep ends when its time has come by this clock."""

    def __init__(self, now=MONDAY):
        self.now = now
        self._asleep = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        """Wait until `pass_ms` has moved the clock by this much."""
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._asleep, (self.now + seconds * 1000, id(woken), woken))
        await woken

    def asleep(self):
        """Return how many ms each sleep still lasts, the shortest first."""
        return sorted(at - self.now for at, _, woken in self._asleep if not woken.done())

    def pass_ms(self, ms):
        """Move the clock, and end the sleeps that are due."""
        self.now += ms
        while self._asleep and self._asleep[0][0] <= self.now:
            _, _, woken = heapq.heappop(self._asleep)
            if not woken.done():
                woken.set_result(None)


class Pollers:
    """Outbox and listener of a collector, for the workers that answer its poll requests.

    A request ends at once with the outcome `answer(request)`; while `held` is a list it is put there instead, and
    `end` ends it. Reports are stored unless `stores` is false. `polls`, `runs`, `requests` and `letters` hold the
    messages by kind, `withdrawn` the cancellations by partition, `most` the most parallel requests by provider.
    """

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
        """Take a record as the broker does, and answer it where it is a poll request."""
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
            await self.keep(TABLES[topic], value)
        elif topic == topics.COLLECT_REQUESTS:
            assert partition == 0
            self.requests.append(CollectRequest.decode(value))
            assert key == self.requests[-1].collector
        else:
            self.letters.append(DeadLetter.decode(value))

    async def end(self, request, at=None):
        """Report the end of a request, at `at` or a minute after `MONDAY`."""
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
            await self.keep(TABLES[topics.POLL_DONE], done.encode())
        if request.job_id in self._inboxes:
            self._inboxes[request.job_id].put(done)

    async def release(self):
        """Report the end of the requests that are held, and hold none from now on."""
        held, self.held = self.held, None
        for request in held:
            await self.end(request)

    @contextmanager
    def listen_for(self, name):
        """Yield an inbox for the reports of a job."""
        self._inboxes[name] = Inbox()
        yield self._inboxes[name]
        del self._inboxes[name]

    def asked(self):
        """Return the symbols of all poll requests, sorted; a symbol occurs once for each request."""
        return sorted(symbol for poll in self.polls for symbol in poll.call.symbols)

    async def keep(self, table, value):
        """Store an encoded message, as the sink does."""
        await self._store.insert(log_table(table.name), table.decode(value, {}))


class Stage:
    """A collector over a real store, with `Pollers` and a `StillTime`; `keys` are settings, one key of Finnhub if none.

    A run begins after the collector's `remember`, as with a new leader; `another` makes the collector of the next.
    """

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
        """Return a collector over the same store, as the next leader has it; it remembers nothing yet."""
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
        """Return at once: the pollers store a report before they send it."""

    def event(self, collector, run_id="run-1", **differing):
        """Return a record of collect.requests; `differing` are other fields of the request."""
        request = CollectRequest(
            run_id=run_id, collector=collector, cause="command", due_at=MONDAY, asked_at=MONDAY
        ).model_copy(update=differing)
        return SimpleNamespace(value=request.encode(), message=None)

    async def run(self, collector, run_id="run-1", **differing):
        """Run a collector; returns the report."""
        await self.collector.handle(self.event(collector, run_id, **differing))
        return self.pollers.runs[-1]

    def begin(self, *arguments, **differing):
        """Start a run as a task, which ends with the test at the latest; returns the task."""
        task = asyncio.create_task(self.collector.handle(self.event(*arguments, **differing)))
        self.tasks.append(task)
        return task

    async def ended(self, *collectors):
        """Store that these collectors have run and are done; the next `remember` of a collector reads it."""
        for name in collectors:
            run = CollectorRun(
                **{"run_id": f"earlier-{name}", "collector": name, "cause": "command", "refresh": "full"},
                **{"state": "done", "due_at": MONDAY - DAY, "started_at": MONDAY - DAY, "ended_at": MONDAY - DAY},
            )
            await self.pollers.keep(TABLES[topics.COLLECT_DONE], run.encode())

    async def insert(self, table, **columns):
        """Store rows, by column."""
        await self.store.insert(log_table(table), columns)

    async def know(self, *symbols, exchange="XNAS"):
        """Store these symbols as equities of an exchange."""
        n = len(symbols)
        await self.insert(
            "assets",
            **{"symbol": symbols, "asset_class": ["equity"] * n, "source": ["polygon"] * n, "request_id": ["r"] * n},
            **{"exchange": [exchange] * n, "provider_symbol": symbols, "observed_at": [MONDAY] * n},
        )
