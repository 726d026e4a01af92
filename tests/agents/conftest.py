"""A poller with its parts, real but for the broker and the clock."""

import asyncio
from types import SimpleNamespace

import pytest
from aiohttp import web
from aiokafka.errors import MessageSizeTooLargeError

from agents._desk import Desk
from agents._http import Transport
from agents.poller import Poller
from connectors import Call, connector
from infra.sandbox import Sandbox, SandboxSettings
from streams import topics
from streams.messages import ApiCall, DeadLetter, PollDone, PollRequest, now_ms
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
    def calls(self):
        return self.read(topics.API_CALLS, ApiCall)

    @property
    def letters(self):
        return self.read(topics.DEAD_LETTERS, DeadLetter)

    @property
    def children(self):
        children = self.read(topics.POLL_REQUESTS, PollRequest)
        for child, record in zip(children, self.to(topics.POLL_REQUESTS), strict=True):
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
    ):
        self.time, self.outbox = Time(), Recorder(refuse)
        self.desks = {
            "polygon": Desk(
                connector("polygon"), {f"polygon#{i}": key for i, key in enumerate(keys, 1)}, windows, policy
            ),
            "yahoo": Desk(connector("yahoo"), {"yahoo#1": ""}, windows, policy),
            **{other.name: Desk(other, {f"{other.name}#1": ""}, (), policy) for other in extra},
        }
        bases = {name: f"{url}/{name}" for name in self.desks}
        self.transport = Transport(timeout_s=timeout_s, body_limit=2**24, base_urls=bases)
        self.poller = Poller(
            self.desks, self.transport, self.outbox, retries=retries, sleep=self.time.sleep, clock=self.time
        )

    async def receive(self, value):
        """Handle one record of poll.requests."""
        message = SimpleNamespace(topic=topics.POLL_REQUESTS, partition=6, offset=9)
        await self.poller.handle(SimpleNamespace(message=message, value=value, headers={}))

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
