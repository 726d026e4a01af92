"""Apache Kafka from its own jars: one KRaft node, broker and controller in one, on loopback only.

`python -m infra.kafka.apache start | stop | status` keeps one running beside us for development.
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import psutil

from infra.child_process import Child, ChildFailed
from infra.kafka.brokers import Brokers, KafkaSecurity
from infra.kafka.connection import DEFAULT_PORT, answers
from infra.kafka.distribution import RUN, KafkaUnavailable, available, jars, java
from infra.ports import LOOPBACK, PortBusy, free_port, require_free
from infra.server_process import ServerProcess, until_signal

__all__ = ["ApacheKafka", "KafkaUnavailable", "available"]

READY_WITHIN_S = 60.0  # for a JVM on a slow and busy machine
GRACE_S = 15.0  # for a controlled shutdown; then it is killed
HEAP = "512m"
MAX_REQUEST_BYTES = 17 * 2**20  # a 16 MiB message with its batch header
PID_FILE = "running.json"

PROPERTIES = """\
process.roles={roles}
node.id={node}
controller.quorum.voters=1@{host}:{controller_port}
listeners=CLIENT://{host}:{port},INTERNAL://{host}:{internal_port}{controller}
advertised.listeners=CLIENT://{host}:{port},INTERNAL://{host}:{internal_port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=INTERNAL
listener.security.protocol.map=CLIENT:{protocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
message.max.bytes={max_bytes}
replica.fetch.max.bytes={max_bytes}
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.cleaner.dedupe.buffer.size=16777216
"""


class ApacheKafka(ServerProcess):
    """Apache Kafka as a child that dies with us; its records stay in `data_dir`.

    `async with ApacheKafka(data_dir=folder) as broker:` runs it until the end of the block. Starting it
    again on the same folder, on any port, finds the old topics, records and offsets.

    Args:
        data_dir: its folder: configuration, log and records.
        port: where it listens on 127.0.0.1; None takes a free one.
        heap: the JVM's largest heap.
        security: how clients, and we ourselves, log in.
        properties: lines of the broker's configuration beside ours, such as those of TLS and of users.
        scram_users: users of SCRAM, known from the first start on: `SCRAM-SHA-512=[name=me,password=...]`.
        joins: a node whose cluster it joins as a further broker; that one runs, and the first is its controller.

    Raises (on entering):
        KafkaUnavailable: no Java, no Maven or no jars.
        PortBusy: another process listens on `port`.
        ChildFailed: it ended or did not answer.
    """

    title = "Apache Kafka"
    ready_within_s = READY_WITHIN_S
    grace_s = GRACE_S

    def __init__(
        self,
        *,
        data_dir: Path,
        port: int | None = None,
        heap: str = HEAP,
        security: KafkaSecurity | None = None,
        properties: Mapping[str, str] | None = None,
        scram_users: Sequence[str] = (),
        joins: ApacheKafka | None = None,
    ) -> None:
        self.node: int = joins.node + 1 if joins else 1
        """Number of this node in its cluster; the first is broker and controller in one."""
        self._first: ApacheKafka = joins._first if joins else self  # noqa: SLF001  (another of its own kind)
        self._controller_port = 0
        self._security = security or KafkaSecurity()
        self._properties = properties or {}
        self._scram_users = scram_users
        self._dir = data_dir.resolve()
        self._port = port
        self._heap = heap

    @property
    def bootstrap(self) -> Brokers:
        """Where it is, for Kafka clients."""
        return Brokers(f"{LOOPBACK}:{self._port}", self._security)

    @property
    def url(self) -> str:
        """`kafka://host:port`, for Faust."""
        return self.bootstrap.url

    @property
    def log(self) -> Path:
        """The file with what the broker prints."""
        return self._dir / "kafka.log"

    @property
    def cluster_id(self) -> str:
        """The id that its folder was formatted with."""
        lines = (self._dir / "records" / "meta.properties").read_text().splitlines()
        return next(line.removeprefix("cluster.id=") for line in lines if line.startswith("cluster.id="))

    async def launch(self) -> Child:
        """Start the JVM on its folder, which is formatted first where it is empty."""
        command = await asyncio.to_thread(self.prepare)
        return await Child.start(self.title, command, log=self.log, env={})

    async def answers(self) -> bool:
        """Return whether it answers a metadata request."""
        return await answers(self.bootstrap)

    def prepare(self) -> list[str]:
        """Choose the port, write the configuration, format an empty folder; the command that runs it."""
        if self._port is None:
            self._port = free_port()
        require_free(self._port)
        self._dir.mkdir(parents=True, exist_ok=True)
        data, properties = self._dir / "records", self._dir / "server.properties"
        if self._first is self:
            self._controller_port = free_port()
        controller = self._first._controller_port  # noqa: SLF001
        properties.write_text(
            PROPERTIES.format(
                host=LOOPBACK,
                port=self._port,
                internal_port=free_port(),
                node=self.node,
                roles="broker,controller" if self._first is self else "broker",
                controller=f",CONTROLLER://{LOOPBACK}:{controller}" if self._first is self else "",
                controller_port=controller,
                protocol=self._security.protocol,
                data=data,
                max_bytes=MAX_REQUEST_BYTES,
            )
            + "".join(f"{name}={value}\n" for name, value in self._properties.items())
        )
        properties.chmod(0o600)
        # The JVM reads the classpath's wildcard itself.
        base = [java(), f"-Xmx{self._heap}", "-XX:+ExitOnOutOfMemoryError"]
        base += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{jars()}/*"]
        if not (data / "meta.properties").exists():
            users = [part for user in self._scram_users for part in ("--add-scram", user)]
            cluster = _cluster_id() if self._first is self else self._first.cluster_id
            _format([*base, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties), *users])
        return [*base, "kafka.Kafka", str(properties)]


def _cluster_id() -> str:
    """A fresh id in Kafka's form, url-safe base64 of 16 bytes; a leading dash would look like an option."""
    return "k" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


def _format(command: list[str]) -> None:
    run = subprocess.run(command, capture_output=True, text=True, check=False, env={})  # noqa: S603 - our own command
    if run.returncode != 0:
        raise ChildFailed(f"Apache Kafka could not format its folder: {(run.stderr or run.stdout).strip()}")


@click.group()
@click.option("--dir", "folder", type=click.Path(path_type=Path), default=RUN / "kafka", help="Its folder.")
@click.pass_context
def main(context: click.Context, folder: Path) -> None:
    """One Apache Kafka on loopback, for development and tests."""
    context.obj = folder


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True)
@click.option("--foreground", is_flag=True, help="Stay, and stop it on Ctrl-C or SIGTERM.")
@click.pass_obj
def start(folder: Path, port: int, foreground: bool) -> None:
    """Start it, and leave it running unless --foreground is given."""
    running = _recorded(folder)
    if running is not None and (foreground or running[1] != port):
        raise click.ClickException(f"Apache Kafka {_described(running)} already: stop it first")
    if running is not None:
        click.echo(f"Apache Kafka {_described(running)} already")
        return
    kafka = ApacheKafka(data_dir=folder, port=port)
    try:
        if foreground:
            asyncio.run(_stay(kafka))
        else:
            _detach(kafka, folder, port)
    except (KafkaUnavailable, PortBusy, ChildFailed) as error:
        raise click.ClickException(str(error)) from None


@main.command()
@click.pass_obj
def stop(folder: Path) -> None:
    """Stop the one that `start` left running."""
    running = _recorded(folder)
    if running is None:
        click.echo("Apache Kafka is not running")
        return
    process, _ = running
    process.terminate()
    try:
        process.wait(GRACE_S)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait()
    (folder / PID_FILE).unlink(missing_ok=True)
    click.echo("Apache Kafka stopped")


@main.command()
@click.pass_obj
def status(folder: Path) -> None:
    """Return whether one is running; exits with 3 when none is."""
    running = _recorded(folder)
    click.echo(f"Apache Kafka {_described(running)}" if running else "Apache Kafka is not running")
    if running is None:
        raise click.exceptions.Exit(3)


async def _stay(kafka: ApacheKafka) -> None:
    async with kafka:
        click.echo(f"Apache Kafka runs at {kafka.url} (pid {kafka.pid})")
        await until_signal(kafka)


def _detach(kafka: ApacheKafka, folder: Path, port: int) -> None:
    command = kafka.prepare()
    with kafka.log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={},
            start_new_session=True,
        )
    record = {"pid": process.pid, "started": psutil.Process(process.pid).create_time(), "port": port}
    (folder / PID_FILE).write_text(json.dumps(record))
    deadline = time.monotonic() + READY_WITHIN_S
    while not asyncio.run(answers(kafka.bootstrap)):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise ChildFailed(f"Apache Kafka did not get ready (its log: {kafka.log})")
        time.sleep(0.1)
    click.echo(f"Apache Kafka runs at {kafka.url} (pid {process.pid})")


def _recorded(folder: Path) -> tuple[psutil.Process, int] | None:
    """The process that the pid file names and its port, unless it has ended."""
    try:
        record = json.loads((folder / PID_FILE).read_text())
        process = psutil.Process(record["pid"])
        same = process.create_time() == record["started"] and process.status() != psutil.STATUS_ZOMBIE
    except (FileNotFoundError, psutil.NoSuchProcess):
        return None
    return (process, record["port"]) if same else None


def _described(running: tuple[psutil.Process, int]) -> str:
    process, port = running
    return f"runs at kafka://{LOOPBACK}:{port} (pid {process.pid})"


if __name__ == "__main__":
    main()
