"""The whole pipeline for tests: a real broker, a real worker process, the real store engine, the sandbox."""

import os
import signal
import sys
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from infra.child_process import Child
from infra.kafka.embedded import EmbeddedBroker
from infra.ports import free_port
from sandbox import Sandbox, SandboxSettings
from sandbox.server.provider import providers
from streams.client import Client, requests_for
from streams.runtime.pages import Pages, new_token
from streams.runtime.process_tree import sandbox_environment
from tests.waiting import until

READY_S = 90


class Pipeline:
    """One worker on one broker; the store is its own, the sandbox runs in the test's process."""

    def __init__(self, bootstrap, sandbox, folder, **environment):
        self.bootstrap = bootstrap
        self.sandbox = sandbox
        self.folder = folder
        self.pages = Pages(f"http://127.0.0.1:{free_port()}", new_token())
        self.worker = None
        self.environment = {
            **os.environ,
            **sandbox_environment(sandbox.url),
            "KAFKA_URL": f"kafka://{bootstrap}",
            "CLICKHOUSE_URL": f"chdb://{folder}/store",
            "DATA_DIR": str(folder),
            "WEB_PORT": self.pages.url.rpartition(":")[2],
            "WEB_TOKEN": self.pages.token,
            **environment,
        }

    async def start(self):
        self.worker = await Child.start(
            "worker",
            [sys.executable, "-m", "faust", "-A", "streams", "worker", "--loglevel", "warn"],
            log=self.folder / "worker.log",
            env=self.environment,
        )
        await self.worker.until_ready(self.pages.ready, READY_S)

    async def kill(self):
        os.kill(self.worker.pid, signal.SIGKILL)
        await self.worker.wait()

    async def poll(self, *calls):
        """Submit (call, slip) pairs, wait until all ended and everything is in the store."""
        async with Client(self.bootstrap) as client:
            job = await client.run(requests_for(calls))
        await self.settled()
        return job

    async def settled(self):
        async def all_is_stored():
            return (await self.pages.status())["settled"]

        await until(all_is_stored, "everything in the store")

    async def rows(self, sql):
        found = await self.pages.query(sql)
        assert "error" not in found, found
        return [tuple(row) for row in found["rows"]]

    async def value(self, sql):
        return (await self.rows(sql))[0][0]


@asynccontextmanager
async def running(bootstrap, folder, settings=None, **environment):
    unlimited = SandboxSettings(keys={name: {"*": None} for name in providers()})
    async with Sandbox(settings or unlimited) as sandbox:
        pipeline = Pipeline(bootstrap, sandbox, folder, **environment)
        await pipeline.start()
        try:
            yield pipeline
        finally:
            await pipeline.worker.stop(20)


@pytest.fixture
def start_pipeline():
    """The pipeline as a context manager, for tests that prepare something before the worker starts."""
    return running


@pytest.fixture
def another_worker():
    """Makes a worker beside that of a pipeline, of the same cluster and on the same store; it is started by itself."""

    def make(pipeline, folder):
        shared = {
            name: pipeline.environment[name] for name in pipeline.environment if name not in {"WEB_PORT", "WEB_TOKEN"}
        }
        found = Pipeline(pipeline.bootstrap, pipeline.sandbox, folder, **{**shared, "DATA_DIR": str(folder)})
        folder.mkdir()
        return found

    return make


# What follows lives on the loop of a test's module, and answers while that runs: such a module is marked
# `asyncio(loop_scope="module")`.


@pytest_asyncio.fixture(loop_scope="module")
async def pipeline_on_apache(apache_kafka, tmp_path):
    """A pipeline of the test's own, on Apache Kafka."""
    async with running(apache_kafka, tmp_path) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def pipeline_embedded(embedded_broker, tmp_path):
    """A pipeline of the test's own, on the embedded broker."""
    async with running(embedded_broker, tmp_path) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pipeline_of_module(tmp_path_factory):
    """One pipeline for a whole module, on the embedded broker, that stores soon; tests ask for `pipeline_shared`."""
    folder = tmp_path_factory.mktemp("shared")
    async with (
        EmbeddedBroker(log=folder / "broker.log") as broker,
        running(broker.bootstrap, folder, SINK_BATCH_AGE_S="0.1") as found,
    ):
        yield found


@pytest.fixture
def pipeline_shared(pipeline_of_module):
    """A pipeline that the module's tests share: what it stores and counts stays, the sandbox behaves again."""
    yield pipeline_of_module
    pipeline_of_module.sandbox.misbehave()


@pytest.fixture(params=["pipeline_shared", pytest.param("pipeline_on_apache", marks=pytest.mark.kafka)])
def pipeline(request):
    """The same pipeline, on the embedded broker and on Apache Kafka."""
    return request.getfixturevalue(request.param)
