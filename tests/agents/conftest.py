"""A poller with its parts, real but for the broker and the clock."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest
from aiohttp import web
from aiokafka.errors import MessageSizeTooLargeError

from agents._desk import Desk
from agents._http import Transport
from agents.caller import Caller
from agents.ledger import Ledger
from agents.poller import Poller
from agents.quotes import Quotes
from connectors import Call, connector
from infra.clock import now_ms
from infra.sandbox import Sandbox, SandboxSettings
from streams import topics
from streams.messages import ApiCall, DeadLetter, PollDone, PollRequest
from streams.state.account import RESERVED, Terms
from streams.state.breaker import Policy

DAY = 86_400_000
JULY_1 = 1_751_328_000_000  # 2025
DAILY = Call(dataset="bars", symbols=("KO",), interval="1d", start=JULY_1, end=JULY_1 + 20 * DAY)
DEFAULT = Policy()


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
        self.now = now_ms()
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
        terms = Terms(windows=windows, policy=policy, allowance=allowance)
        self.desks = {
            "polygon": Desk(connector("polygon"), {f"polygon#{i}": key for i, key in enumerate(keys, 1)}, terms),
            "yahoo": Desk(connector("yahoo"), {"yahoo#1": ""}, replace(terms, keyless=True)),
            **{
                other.name: Desk(other, {f"{other.name}#1": ""}, Terms(policy=policy, keyless=other.auth.keyless))
                for other in extra
            },
        }
        bases = {name: f"{url}/{name}" for name in self.desks}
        self.transport = Transport(timeout_s=timeout_s, body_limit=2**24, base_urls=bases)
        self.quotes = Quotes("nobody", 900_000)
        self.poller = Poller(
            self.desks,
            Caller(self.transport, self.outbox, Ledger(self.outbox), now=self.time),
            self.outbox,
            retries=retries,
            ready=self.ready,
            quotes=self.quotes,
            sleep=self.time.sleep,
            now=self.time,
        )
        self.parked = 0

    async def ready(self, provider):
        assert provider in self.desks

    async def receive(self, value):
        """Handle one record of poll.requests, however often it is parked meanwhile."""
        message = SimpleNamespace(topic=topics.POLL_REQUESTS, partition=6, offset=9)
        event = SimpleNamespace(message=message, value=value, headers={})
        while (parked := await self.poller.handle(event)) is not None:
            self.parked += 1
            await parked

    async def handle(self, call=DAILY, slip=("polygon",), **more):
        """Serve one request; gives its one report."""
        request = PollRequest(request_id="r", job_id="j", call=call, slip=slip, **more)
        before = len(self.outbox.to(topics.POLL_DONE))
        await self.receive(request.encode())
        (done,) = self.outbox.read(topics.POLL_DONE, PollDone)[before:]
        assert (done.request_id, done.job_id, done.provider, done.symbols) == ("r", "j", slip[0], call.symbols)
        assert done.children == len(self.outbox.children)
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
