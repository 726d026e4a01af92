"""What every tier shares: hypothesis profiles, the brokers, a store, and one on a server."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from infra.clickhouse import Store, migrate
from infra.clickhouse.distribution import available as clickhouse_available
from infra.clickhouse.server import ClickHouseServer
from infra.kafka.apache import ApacheKafka, available
from infra.kafka.connection import brokers_at
from infra.kafka.embedded import EmbeddedBroker

settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

DOCKER_IMAGE = "apache/kafka:4.1.0"


def pytest_configure(config):
    # a test never calls a real provider with somebody's keys, nor writes into somebody's store
    for name in list(os.environ):
        ours = name in {"CLICKHOUSE_URL", "DATA_DIR"} or name.startswith("WEB_")
        ours = ours or (name.startswith("KAFKA_") and name != "KAFKA_URL")
        if ours or name.endswith(("_KEYS", "_KEY", "_LIMITS")):
            del os.environ[name]


@pytest.fixture(scope="session")
def run():
    """Runs what starts and stops long-lived children, on the main thread, without becoming the current loop."""
    loop = asyncio.new_event_loop()
    yield loop.run_until_complete
    loop.close()


@pytest.fixture(scope="session")
def apache_kafka(run, tmp_path_factory):
    """Apache Kafka: KAFKA_URL, else a container, else its own jars; skipped with the reason."""
    if url := os.environ.get("KAFKA_URL"):
        yield brokers_at(url)
        return
    if container := _container():
        yield brokers_at(container.get_bootstrap_server())
        container.stop()
        return
    reason = available()
    if reason is not None:
        (pytest.fail if os.environ.get("TAPESTREAM_REQUIRE_KAFKA") == "1" else pytest.skip)(reason)
    broker = ApacheKafka(data_dir=tmp_path_factory.mktemp("kafka"))
    run(broker.start())
    yield broker.bootstrap
    run(broker.stop())


@pytest.fixture
def embedded_broker(run, tmp_path):
    """A fresh embedded broker."""
    broker = EmbeddedBroker(log=tmp_path / "broker.log")
    run(broker.start())
    yield broker.bootstrap
    run(broker.stop())


@pytest.fixture(scope="session")
def migrated(run, tmp_path_factory):
    """The folder of an empty store that has had every migration: to be copied, which takes a third of the time."""

    async def make():
        async with await Store.open(f"chdb://{folder}") as opened:
            await migrate(opened)

    folder = tmp_path_factory.mktemp("migrated") / "store"
    run(make())
    return folder


@pytest.fixture
async def store(migrated, tmp_path):
    """An empty store of the test's own that has had every migration."""
    shutil.copytree(migrated, tmp_path / "store", symlinks=True)
    async with await Store.open(f"chdb://{tmp_path}/store") as opened:
        yield opened


def _container():
    """A Kafka container where a Docker engine runs."""
    if not (os.environ.get("DOCKER_HOST") or Path("/var/run/docker.sock").exists()):
        return None
    from testcontainers.kafka import KafkaContainer

    return KafkaContainer(DOCKER_IMAGE).with_kraft().start()


@pytest.fixture
async def clickhouse_server(tmp_path):
    """A ClickHouse server with an empty store; several workers may use it. Skipped with the reason."""
    reason = clickhouse_available()
    if reason is not None:
        (pytest.fail if os.environ.get("TAPESTREAM_REQUIRE_CLICKHOUSE") == "1" else pytest.skip)(reason)
    async with ClickHouseServer(data_dir=tmp_path / "clickhouse") as server:
        yield server
