"""What every tier shares: hypothesis profiles, the brokers, a store, and one on a server."""

import asyncio
import base64
import http.server
import os
import re
import shutil
import tempfile
import threading
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import chdb
import pytest
from hypothesis import HealthCheck, settings

from infra.clickhouse import Store, migrate
from infra.kafka.apache import ApacheKafka, available
from infra.kafka.connection import bootstrap_servers
from infra.kafka.embedded import EmbeddedBroker

settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

DOCKER_IMAGE = "apache/kafka:4.1.0"


def pytest_configure(config):
    # a test never calls a real provider with somebody's keys, nor writes into somebody's store
    for name in list(os.environ):
        if name.endswith(("_KEYS", "_KEY", "_LIMITS")) or name in {"CLICKHOUSE_URL", "DATA_DIR", "WEB_PORT"}:
            del os.environ[name]


@pytest.fixture(scope="session")
def run():
    """Runs what starts and stops long-lived children, on the main thread, without becoming the current loop."""
    loop = asyncio.new_event_loop()
    yield loop.run_until_complete
    loop.close()


@pytest.fixture(scope="session")
def apache_kafka(run, tmp_path_factory):
    """`host:port` of Apache Kafka: KAFKA_URL, else a container, else its own jars; skipped with the reason."""
    if url := os.environ.get("KAFKA_URL"):
        yield bootstrap_servers(url)
        return
    if container := _container():
        yield container.get_bootstrap_server()
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
    """`host:port` of a fresh embedded broker."""
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


USER, PASSWORD = "trader", "s3cret/word"
SETTINGS = ("max_execution_time", "max_result_rows", "max_result_bytes", "max_memory_usage", "readonly")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self._body()
        given = dict(parse_qsl(urlsplit(self.path).query))
        if self.headers["Authorization"] != self.server.authorization:
            self._answer(403, b"Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)")
            return
        try:
            self._answer(200, self.server.run(body, given))
        except RuntimeError as exc:
            self._answer(500, str(exc).encode())

    def _body(self):
        if length := self.headers["Content-Length"]:
            return self.rfile.read(int(length))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, status, body):
        self.send_response(status)
        if code := re.search(rb"Code: (\d+)\.", body) if status != 200 else None:
            self.send_header("X-ClickHouse-Exception-Code", code[1].decode())
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class ClickHouseServer(http.server.ThreadingHTTPServer):
    """Real HTTP on loopback around the embedded engine.

    It binds the parameters and settings of each request as https://clickhouse.com/docs/interfaces/http says, and knows
    one user.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, folder, port=0):
        self.folder = str(folder)
        self.engine = chdb.connect(self.folder)
        self.turn = threading.Lock()
        self.authorization = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        super().__init__(("127.0.0.1", port), Handler)
        self.thread = threading.Thread(target=self.serve_forever)
        self.thread.start()

    def run(self, body, given):
        sql = "\n".join(part for part in (given.get("query", ""), body.decode(errors="replace")) if part)
        parameters = {name.removeprefix("param_"): value for name, value in given.items() if name.startswith("param_")}
        with self.turn, chdb.connect(self.folder) as session:
            if database := given.get("database"):
                session.query(f"USE {database}")
            for name in SETTINGS:
                if name in given:
                    session.query(f"SET {name} = {given[name]}")
            if not sql.startswith("INSERT"):
                return session.query(sql, "TabSeparated", params=parameters).bytes()
            insert, _, block = body.partition(b" FORMAT Native\n")
            with tempfile.NamedTemporaryFile() as file:
                file.write(block)
                file.flush()
                return session.query(f"{insert.decode()} FROM INFILE '{file.name}' FORMAT Native").bytes()

    def url(self, *, password=PASSWORD, path="", options=""):
        return f"http://{USER}:{quote(password, safe='')}@127.0.0.1:{self.server_port}{path}?compress=false{options}"

    def stop(self):
        self.shutdown()
        self.thread.join()
        self.server_close()
        self.engine.close()


@pytest.fixture
def clickhouse_server(tmp_path):
    """A store on a server; several workers may use it."""
    running = ClickHouseServer(tmp_path / "engine")
    yield running
    running.stop()
