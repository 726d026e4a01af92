"""Everything embedded, as one process tree: broker, worker, and the sandbox if wanted. Restarts nothing silently."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp

from connectors import connectors
from infra import telemetry
from infra.child_process import Child
from infra.kafka.admin import ensure_topics
from infra.kafka.brokers import Brokers
from infra.kafka.connection import brokers_at
from infra.kafka.embedded import EmbeddedBroker
from infra.kafka.lag import unread
from infra.ports import free_port, require_free
from infra.settings import Settings
from streams.errors import PartEnded
from streams.log_events import StreamEvent
from streams.messaging import topics
from streams.messaging.producer import Outbox
from streams.runtime import run_file
from streams.runtime.pages import Pages, new_token
from streams.runtime.run_file import RunFile

log = telemetry.get(__name__)

READY_S = 60.0  # a start takes 6 to 7 s on a quick machine; machines differ by a factor of three
STOP_S = 14.0  # within the 15 s that systemd and Docker are given, with a second to spare
WATCH_S = 5.0  # the broker's memory grows slowly; a look every 5 s costs nothing

RUN_FILE = "run.json"
RUN_SHAPE: run_file.Shape = {
    **dict.fromkeys(("kafka_url", "web_url", "token"), str),
    **{"pid": int, "sandbox_url": (str, type(None))},
}


@dataclass(frozen=True, slots=True)
class ProcessTreeAddress:
    """Where a running tree is reached, as its `run.json` says."""

    pid: int
    """The process that started it, by its id."""
    kafka_url: str
    """Its broker, as `kafka://host:port`."""
    web_url: str
    """The pages of its worker, as a base URL."""
    token: str = field(repr=False)
    """What these pages demand of a caller."""
    sandbox_url: str | None = None
    """The sandbox's base URL; None where the providers are the real ones."""

    @property
    def bootstrap(self) -> Brokers:
        """Its broker."""
        return brokers_at(self.kafka_url)

    @property
    def pages(self) -> Pages:
        """The pages of its worker."""
        return Pages(self.web_url, self.token)

    @classmethod
    def find(cls, data_dir: Path) -> ProcessTreeAddress | None:
        """Return the address of the tree that runs in `data_dir`, or None. Raises `RunFileInvalid`."""
        found = run_file.read(data_dir / RUN_FILE, RUN_SHAPE)
        return cls(**found) if found else None


@dataclass
class Stack:
    """The embedded tree. `async with Stack(settings) as stack` returns once everything is ready.

    With `sandbox` the providers are the sandbox's, with keys and limits of its own; otherwise the real ones.
    """

    settings: Settings
    """The settings of its processes."""
    sandbox: bool = False
    """Whether the providers are the sandbox's, with keys and limits of its own."""
    sandbox_options: tuple[str, ...] = ()
    """Arguments of the sandbox's command line."""
    address: ProcessTreeAddress | None = None
    """Where it is reached; None while it does not run."""
    renewals: int = 0
    """How often broker and worker were restarted for the broker's memory."""
    _port: int = 0
    _parts: dict[str, Any] = field(default_factory=dict)
    _sandbox: Child | None = None
    _environment: dict[str, str] = field(default_factory=dict)
    _run_file: RunFile | None = None
    _pages: Pages = field(init=False)
    _exit: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        given = self.settings.web_token
        self._pages = Pages(self.settings.web_url, given.get_secret_value() if given else new_token())

    @property
    def data_dir(self) -> Path:
        """Where the store, the logs and `run.json` are."""
        return self.settings.data_dir

    async def __aenter__(self) -> Self:
        self._run_file = await asyncio.to_thread(RunFile(self.data_dir / RUN_FILE).acquire)
        try:
            require_free(self.settings.web_port, self.settings.web_host)
            sandbox_url = await self._start_sandbox() if self.sandbox else None
            await self._start_pipeline(sandbox_url)
        except BaseException:
            await self._stop_all()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop_all()

    async def watch(self) -> None:
        """Return never, unless a part ends by itself: then raise `PartEnded`. Renews a broker grown too large."""
        while True:
            waits = {asyncio.ensure_future(part.wait()): name for name, part in self._running().items()}
            done, pending = await asyncio.wait(waits, timeout=WATCH_S, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            for task in done:
                name = waits[task]
                raise PartEnded(f"{name} ended with exit code {task.result()}; its log is {self._log(name)}")
            if self._parts["broker"].rss() > self.settings.broker_memory_limit:
                await self.renew()

    async def status(self) -> dict[str, Any]:
        """The worker's own account of itself."""
        assert self.address
        return await self.address.pages.status()

    def _running(self) -> dict[str, Any]:
        return {**self._parts, **({"sandbox": self._sandbox} if self._sandbox else {})}

    async def _start_pipeline(self, sandbox_url: str | None) -> None:
        self._port = free_port()
        broker = self._parts["broker"] = await EmbeddedBroker(self._port, log=self._log("broker")).start()
        await self._start_worker()
        assert self._run_file
        self.address = ProcessTreeAddress(os.getpid(), broker.url, self._pages.url, self._pages.token, sandbox_url)
        self._run_file.publish(asdict(self.address))

    async def _start_worker(self) -> None:
        environment = {
            **os.environ,
            **self._environment,
            # its own broker has no login, whatever the settings say of another one
            **{name.upper(): "" for name in Settings.model_fields if name.startswith("kafka_")},
            "KAFKA_URL": self._parts["broker"].url,
            "CLICKHOUSE_URL": self.settings.store_url,
            "DATA_DIR": str(self.data_dir),
            "WEB_PORT": str(self.settings.web_port),
            "WEB_HOST": self.settings.web_host,
            "WEB_TOKEN": self._pages.token,
            "SCHEDULES": self.settings.schedules,
        }
        worker = await Child.start(
            "worker",
            [sys.executable, "-m", "faust", "-A", "streams", "worker", "--loglevel", "warn"],
            log=self._log("worker"),
            env=environment,
        )
        self._parts["worker"] = worker
        await worker.until_ready(self._pages.ready, READY_S)

    async def _start_sandbox(self) -> str:
        port = free_port()
        self._sandbox = await Child.start(
            "sandbox",
            [sys.executable, "-m", "streams", "sandbox", "--port", str(port), *self.sandbox_options],
            log=self._log("sandbox"),
        )
        url = f"http://127.0.0.1:{port}"
        await self._sandbox.until_ready(lambda: answers(f"{url}/_sandbox/health"), READY_S)
        self._environment = sandbox_environment(url)
        return url

    async def renew(self) -> None:
        """Start broker and worker afresh: the embedded broker never frees a record.

        The worker drains into the store first; requests that nobody has served yet move to the new broker, which
        listens where the old one did.
        """
        broker = self._parts["broker"]
        log.warning(StreamEvent.STACK_RENEW, broker_rss=broker.rss(), limit=self.settings.broker_memory_limit)
        await self._stop_worker()
        unserved = [record for name in topics.ASKED for record in await unread(broker.bootstrap, topics.APP, name)]
        await broker.stop()
        self._parts["broker"] = await EmbeddedBroker(self._port, log=self._log("broker")).start()
        await ensure_topics(broker.bootstrap, topics.SPECS)
        outbox = Outbox(broker.bootstrap)
        await outbox.start()
        for record in unserved:
            where = {"key": record.key.decode(), "partition": record.partition}
            await outbox.send(record.topic, record.value, **where, headers=dict(record.headers))
        await outbox.stop()
        await self._start_worker()
        self.renewals += 1

    async def _stop_worker(self) -> None:
        if worker := self._parts.pop("worker", None):
            code = await worker.stop(STOP_S)
            if code not in {0, -15}:
                log.warning(StreamEvent.STACK_WORKER_EXIT, code=code, log=str(self._log("worker")))

    async def _stop_all(self) -> None:
        """The worker first: what it received must reach the store while the broker still lives."""
        await self._stop_worker()
        if broker := self._parts.pop("broker", None):
            await broker.stop()
        if self._sandbox:
            await self._sandbox.stop(3.0)
        if self._run_file:
            self._run_file.release()

    def _log(self, name: str) -> Path:
        return self.data_dir / "logs" / f"{name}.log"


def sandbox_environment(url: str) -> dict[str, str]:
    """The variables that point every provider at the sandbox: its URL, a key it accepts, no plan limits."""
    found: dict[str, str] = {}
    for name, connector in connectors().items():
        prefix = name.upper()
        found[f"{prefix}_URL"] = f"{url}/{name}"
        found[f"{prefix}_LIMITS"] = "none"
        if not connector.auth.keyless:
            found[f"{prefix}_KEYS"] = f"demo-{name}-1" + (":demo-secret" if connector.auth.paired else "")
    return found


async def answers(url: str) -> bool:
    """Return whether a GET gives 200."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            session.get(url) as response,
        ):
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
