"""Apache Kafka runs from its own jars, keeps its records, and says why when it cannot."""

import asyncio
import contextlib
import os
import subprocess
import sys

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from infra.kafka import distribution
from infra.kafka.admin import TopicSpec, ensure_topics
from infra.kafka.apache import ApacheKafka, available
from infra.kafka.brokers import Brokers
from infra.kafka.connection import answers, brokers_at
from infra.ports import PortBusy, free_port

PARENT = """
import asyncio, sys
from pathlib import Path
from infra.kafka.apache import ApacheKafka

async def main(folder):
    async with ApacheKafka(data_dir=Path(folder)) as broker:
        print(broker.bootstrap, flush=True)
        await broker.wait()

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def folder(tmp_path):
    reason = available()
    if reason is not None:
        (pytest.fail if os.environ.get("TAPESTREAM_REQUIRE_KAFKA") == "1" else pytest.skip)(reason)
    return tmp_path / "kafka"


@pytest.mark.kafka
async def test_what_a_transaction_wrote_survives_a_restart_on_another_port(folder):
    async with ApacheKafka(data_dir=folder) as broker:
        await ensure_topics(broker.bootstrap, [TopicSpec("quotes", 1)])
        async with (
            AIOKafkaProducer(**broker.bootstrap.options, transactional_id="t") as producer,
            producer.transaction(),
        ):
            assert (await producer.send_and_wait("quotes", b"190.5")).offset == 0

    async with ApacheKafka(data_dir=folder, port=free_port()) as broker:
        async with AIOKafkaConsumer(
            "quotes",
            **broker.bootstrap.options,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        ) as consumer:
            assert (await consumer.getone()).value == b"190.5"
        assert broker.rss() > 2**20

    assert not await answers(broker.bootstrap)


@pytest.mark.kafka
async def test_a_busy_port_is_refused(folder):
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]

        with pytest.raises(PortBusy, match=str(port)):
            await ApacheKafka(data_dir=folder, port=port).start()


@pytest.mark.kafka
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills the children of a killed process")
async def test_it_dies_with_a_parent_that_was_killed(folder):
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(folder), stdout=asyncio.subprocess.PIPE
    )
    host, _, port = (await parent.stdout.readline()).decode().strip().rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))

    parent.kill()

    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b"", "its connection ends with it"
    writer.close()
    await parent.communicate()


def command(folder, *words):
    """Runs the command line as a developer would; its exit code and what it said."""
    run = subprocess.run(
        [sys.executable, "-m", "infra.kafka.apache", "--dir", str(folder), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout


@pytest.mark.kafka
def test_start_leaves_it_running_until_stop(folder):
    port = free_port()

    assert command(folder, "status") == (3, "Apache Kafka is not running\n")
    try:
        assert command(folder, "start", "--port", port)[0] == 0
        assert asyncio.run(answers(Brokers(f"127.0.0.1:{port}")))
        assert command(folder, "start", "--port", port)[1].endswith("already\n")
        assert command(folder, "start", "--port", free_port())[0] == 1
        assert f"runs at kafka://127.0.0.1:{port}" in command(folder, "status")[1]
    finally:
        stopped = command(folder, "stop")
    assert stopped == (0, "Apache Kafka stopped\n")
    assert not asyncio.run(answers(Brokers(f"127.0.0.1:{port}")))
    assert command(folder, "status")[0] == 3


@pytest.mark.kafka
async def test_in_the_foreground_it_stays_until_asked_to_stop(folder):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.kafka.apache", "--dir", str(folder)),
        *("start", "--foreground", "--port", str(free_port())),
        stdout=asyncio.subprocess.PIPE,
    )
    url = (await process.stdout.readline()).decode().split()[4]
    assert await answers(brokers_at(url))

    process.terminate()

    assert await process.wait() == 0
    assert not await answers(brokers_at(url))


@pytest.mark.kafka
async def test_start_says_in_one_line_what_is_wrong(folder):
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]

        code, said = await asyncio.to_thread(command, folder, "start", "--port", port)

    assert code == 1
    assert f"port {port} on 127.0.0.1 is already in use" in said
    assert said.count("\n") == 1


def program(folder, name, script):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_without_java_it_is_not_available(monkeypatch, tmp_path):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert available() == "no java on PATH: install Java 17+"


def test_an_old_java_is_not_enough(monkeypatch, tmp_path):
    program(tmp_path, "java", """echo 'openjdk version "11.0.2" 2019-01-15' >&2""")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "is too old" in available()


@pytest.mark.parametrize(
    ("maven", "reason"),
    [
        (None, "no mvn on PATH"),
        ("echo '[INFO] hm'; echo '[ERROR] Could not resolve kafka'; exit 1", "[ERROR] Could not resolve kafka"),
    ],
)
def test_without_the_jars_it_is_not_available(monkeypatch, tmp_path, maven, reason):
    program(tmp_path, "java", """echo 'openjdk version "21" 2023-09-19' >&2""")
    if maven:
        program(tmp_path, "mvn", maven)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(distribution, "RUN", tmp_path / "run")

    assert reason in available()
