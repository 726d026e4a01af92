"""The embedded broker answers Kafka clients, keeps to itself, and never outlives us."""

import asyncio
import contextlib
import os
import signal
import sys

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from infra.kafka.admin import TopicSpec, ensure_topics
from infra.kafka.connection import answers
from infra.kafka.embedded import BrokerMissing, EmbeddedBroker
from infra.ports import PortBusy, free_port

PARENT = """
import asyncio, sys
from pathlib import Path
from infra.kafka.embedded import EmbeddedBroker

async def main(log):
    async with EmbeddedBroker(log=Path(log)) as broker:
        print(broker.bootstrap, flush=True)
        await broker.wait()

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def log(tmp_path):
    return tmp_path / "broker.log"


async def test_it_carries_a_record_from_producer_to_consumer(log):
    async with EmbeddedBroker(log=log) as broker:
        await ensure_topics(broker.bootstrap, [TopicSpec("quotes", 1)])
        async with AIOKafkaProducer(**broker.bootstrap.options) as producer:
            await producer.send_and_wait("quotes", b"190.5", key=b"AAPL")
        async with AIOKafkaConsumer("quotes", **broker.bootstrap.options, auto_offset_reset="earliest") as consumer:
            record = await consumer.getone()

    assert (record.key, record.value) == (b"AAPL", b"190.5")


async def test_it_says_where_and_what_it_is_and_ends_with_the_block(log):
    port = free_port()
    async with EmbeddedBroker(port, log=log) as broker:
        assert broker.url == f"kafka://127.0.0.1:{port}"
        assert str(broker.bootstrap) == f"127.0.0.1:{port}"
        assert broker.rss() > 2**20
        listening = [
            (at.laddr.ip, at.laddr.port) for at in psutil.Process(broker.pid).net_connections() if not at.raddr
        ]
        assert listening == [("127.0.0.1", port)], "loopback and nothing else"

    assert not psutil.pid_exists(broker.pid)
    assert not await answers(broker.bootstrap)


async def test_its_death_is_noticed(log):
    async with EmbeddedBroker(log=log) as broker:
        os.kill(broker.pid, signal.SIGKILL)

        assert await broker.wait() == -signal.SIGKILL
        assert broker.rss() == 0


async def test_a_client_that_stays_connected_does_not_hold_up_the_stop(log):
    broker = await EmbeddedBroker(log=log).start()
    await ensure_topics(broker.bootstrap, [TopicSpec("quotes", 1)])
    async with AIOKafkaProducer(**broker.bootstrap.options) as producer:
        await producer.send_and_wait("quotes", b"190.5")

        assert await broker.stop() == -signal.SIGKILL, "left alone it would take five seconds"


async def test_a_busy_port_is_refused_and_its_owner_left_alone(log):
    async with EmbeddedBroker(log=log) as first:
        port = int(first.bootstrap.servers.rpartition(":")[2])

        with pytest.raises(PortBusy, match=f"port {port} .* already in use: stop what listens there"):
            await EmbeddedBroker(port, log=log).start()

        assert await answers(first.bootstrap)


async def test_a_missing_binary_says_what_to_do(log, monkeypatch):
    monkeypatch.setenv("CALF_TANSU_BIN", "/nowhere/tansu")

    with pytest.raises(BrokerMissing, match=r"/nowhere/tansu.*set KAFKA_URL"):
        await EmbeddedBroker(log=log).start()


async def test_it_sees_none_of_our_secrets(log, monkeypatch):
    monkeypatch.setenv("POLYGON_API_KEY", "secret")

    async with EmbeddedBroker(log=log) as broker:
        assert "POLYGON_API_KEY" not in psutil.Process(broker.pid).environ()


async def test_asking_before_the_start_is_an_error(log):
    with pytest.raises(RuntimeError, match="has not been started"):
        _ = EmbeddedBroker(log=log).pid


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills the children of a killed process")
async def test_it_dies_with_a_parent_that_was_killed(log):
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(log), stdout=asyncio.subprocess.PIPE
    )
    host, _, port = (await parent.stdout.readline()).decode().strip().rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))

    parent.kill()

    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b"", "its connection ends with it"
    writer.close()
    await parent.communicate()
