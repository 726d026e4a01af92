"""Everything embedded, as one process tree: broker, worker, and the sandbox if wanted. Restarts nothing silently."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
import psutil

from connectors import connectors
from infra import telemetry
from infra.child_process import Child
from infra.kafka.admin import ensure_topics
from infra.kafka.connection import bootstrap_servers
from infra.kafka.embedded import EmbeddedBroker
from infra.kafka.lag import unread
from infra.ports import free_port, require_free
from infra.settings import Settings
from streams.messaging import topics
from streams.messaging.producer import Outbox

log = telemetry.get(__name__)

READY_S = 60.0  # a start takes 6 to 7 s on a quick machine; machines differ by a factor of three
STOP_S = 14.0  # within the 15 s that systemd and Docker are given, with a second to spare
WATCH_S = 5.0  # the broker's memory grows slowly; a look every 5 s costs nothing


class AlreadyRunning(RuntimeError):
    """Another process tree owns this data folder."""


class PartEnded(RuntimeError):
    """A part of the tree ended by itself."""


@dataclass(frozen=True, slots=True)
class ProcessTreeAddress:
    """Where a running tree is reached, as its `run.json` says."""

    pid: int
    kafka_url: str
    web_url: str
    sandbox_url: str | None = None

    @property
    def bootstrap(self) -> str:
        """The broker as `host:port`."""
        return bootstrap_servers(self.kafka_url)

    @classmethod
    def find(cls, data_dir: Path) -> ProcessTreeAddress | None:
        """Return the address of the live tree that owns `data_dir`, or None."""
        try:
            found = cls(**json.loads((data_dir / "run.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return found if psutil.pid_exists(found.pid) else None


@dataclass
class Stack:
    """The embedded tree. `async with Stack(settings) as stack` returns once everything is ready.

    With `sandbox` the providers are the sandbox's, with keys and limits of its own; otherwise the real ones.
    """

    settings: Settings
    sandbox: bool = False
    sandbox_options: tuple[str, ...] = ()
    address: ProcessTreeAddress | None = None
    renewals: int = 0
    _port: int = 0
    _parts: dict[str, Any] = field(default_factory=dict)
    _sandbox: Child | None = None
    _environment: dict[str, str] = field(default_factory=dict)
    _exit: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def data_dir(self) -> Path:
        """Where the store, the logs and `run.json` are."""
        return self.settings.data_dir

    async def __aenter__(self) -> Self:
        if running := ProcessTreeAddress.find(self.data_dir):
            raise AlreadyRunning(f"{self.data_dir} is in use by process {running.pid}: stop it, or set DATA_DIR")
        require_free(self.settings.web_port)
        self.data_dir.mkdir(parents=True, exist_ok=True)
        try:
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
        return await ask_status(self.address.web_url)

    def _running(self) -> dict[str, Any]:
        return {**self._parts, **({"sandbox": self._sandbox} if self._sandbox else {})}

    async def _start_pipeline(self, sandbox_url: str | None) -> None:
        self._port = free_port()
        broker = self._parts["broker"] = await EmbeddedBroker(self._port, log=self._log("broker")).start()
        await self._start_worker()
        self.address = ProcessTreeAddress(os.getpid(), broker.url, self._web_url, sandbox_url)
        (self.data_dir / "run.json").write_text(json.dumps(asdict(self.address)))

    async def _start_worker(self) -> None:
        environment = {
            **os.environ,
            **self._environment,
            "KAFKA_URL": self._parts["broker"].url,
            "CLICKHOUSE_URL": self.settings.store_url,
            "DATA_DIR": str(self.data_dir),
            "WEB_PORT": str(self.settings.web_port),
            "SCHEDULES": self.settings.schedules,
        }
        worker = await Child.start(
            "worker",
            [sys.executable, "-m", "faust", "-A", "streams", "worker", "--loglevel", "warn"],
            log=self._log("worker"),
            env=environment,
        )
        self._parts["worker"] = worker
        await worker.until_ready(lambda: is_ready(self._web_url), READY_S)

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
        log.warning("stack.renew", broker_rss=broker.rss(), limit=self.settings.broker_memory_limit)
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
                log.warning("stack.worker_exit", code=code, log=str(self._log("worker")))

    async def _stop_all(self) -> None:
        """The worker first: what it received must reach the store while the broker still lives."""
        await self._stop_worker()
        if broker := self._parts.pop("broker", None):
            await broker.stop()
        if self._sandbox:
            await self._sandbox.stop(3.0)
        (self.data_dir / "run.json").unlink(missing_ok=True)

    @property
    def _web_url(self) -> str:
        return f"http://127.0.0.1:{self.settings.web_port}"

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


async def ask_status(web_url: str) -> dict[str, Any]:
    """Ask a worker for its status. Raises `aiohttp.ClientError`, `TimeoutError`."""
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{web_url}/status/") as response:
        response.raise_for_status()
        found: dict[str, Any] = await response.json()
        return found


async def ask_query(web_url: str, sql: str) -> dict[str, Any]:
    """Let the worker answer a read-only query: `columns` and `rows`, or `error`. Raises as `ask_status`."""
    timeout = aiohttp.ClientTimeout(total=120)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(f"{web_url}/query/", data=sql) as response,
    ):
        found: dict[str, Any] = await response.json()
        return found


async def is_ready(web_url: str) -> bool:
    """Return whether the worker says that it is ready."""
    try:
        return bool((await ask_status(web_url))["ready"])
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


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
