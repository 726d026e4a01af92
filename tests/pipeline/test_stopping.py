"""A worker that is asked to stop ends, whatever hangs around it, and its last line says what it left."""

import asyncio
import json
import os
import signal
import sys
from contextlib import contextmanager

import pytest

from connectors import Call
from infra.child_process import Child
from infra.kafka.embedded import EmbeddedBroker
from sandbox import Fault
from streams.client import Client, requests_for
from streams.messaging.requester import Requester
from tests.pipeline.conftest import Pipeline
from tests.waiting import LIMIT_S, ending, until

pytestmark = pytest.mark.pipeline

SYMBOLS = ("KO", "PEP", "MSFT", "AAPL", "IBM", "NVDA", "JPM", "XOM", "CVX", "DIS")
STOP_S = 4
QUOTES = [(Call(dataset="quote", symbols=(symbol,)), ("polygon",)) for symbol in SYMBOLS * 8]
"""More requests than a worker has under way at once."""


@contextmanager
def frozen(pid):
    """A process that is there and does nothing, as one that swaps or whose disk hangs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def last_line(pipeline):
    """Ask the worker to stop; returns its exit code and the last line of its log, but for what is a terminal's."""
    pipeline.worker._process.send_signal(signal.SIGTERM)
    code = await ending(pipeline.worker.wait(), "the worker")
    lines = [line for line in pipeline.worker.log.read_text().splitlines() if not line.startswith("\x1b")]
    return code, json.loads(lines[-1])


async def test_with_nothing_left_it_warns_of_nothing(start_pipeline, embedded_broker, tmp_path):
    async with start_pipeline(embedded_broker, tmp_path) as pipeline:
        await pipeline.poll(*QUOTES[:2])
        assert await pipeline.worker.stop(LIMIT_S) == 0

    assert '"warning"' not in pipeline.worker.log.read_text()


async def test_a_broker_that_hangs_keeps_no_worker(start_pipeline, tmp_path):
    async with (
        EmbeddedBroker(log=tmp_path / "broker.log") as broker,
        start_pipeline(broker.bootstrap, tmp_path, STOP_S=str(STOP_S)) as pipeline,
        Requester(broker.bootstrap) as requester,
    ):
        await requester.submit(requests_for(QUOTES))
        await until(lambda: pipeline.sandbox.calls().get("polygon"), "a call")
        with frozen(broker.pid):
            code, said = await last_line(pipeline)

    assert (code, said["event"], said["level"], said["budget_s"]) == (0, "worker.stopped", "warning", STOP_S)
    assert said["requests"] > 0


async def test_a_store_that_hangs_keeps_no_worker(start_pipeline, embedded_broker, clickhouse_server, tmp_path):
    given = {"CLICKHOUSE_URL": clickhouse_server.url(), "STOP_S": str(STOP_S)}
    async with start_pipeline(embedded_broker, tmp_path, **given) as pipeline:
        with frozen(clickhouse_server.pid):
            async with Client(pipeline.bootstrap) as client:
                await client.run(requests_for(QUOTES[:3]))
            code, said = await last_line(pipeline)

        assert (code, said["event"], said["level"], said["budget_s"]) == (0, "worker.stopped", "warning", STOP_S)
        assert said["unstored"]["raw.responses"] == 3
        assert "store" in said["late"]
        await pipeline.start()  # Kafka has kept all of it

        async def stored():
            return await pipeline.value("SELECT count() FROM raw_responses") == 3

        await until(stored, "the answers in the store")


async def test_a_store_that_never_answers_keeps_no_worker_that_starts(embedded_broker, unlimited_sandbox, tmp_path):
    reached, connections = asyncio.Event(), []

    async def hang(reader, writer):
        connections.append(asyncio.current_task())
        reached.set()
        while await reader.read(65_536):
            continue  # it takes everything, and answers nothing
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        given = {"CLICKHOUSE_URL": f"http://127.0.0.1:{port}/tapestream", "STOP_S": "2"}
        pipeline = Pipeline(embedded_broker, unlimited_sandbox, tmp_path, **given)
        pipeline.worker = await Child.start(
            "worker",
            [sys.executable, "-m", "faust", "-A", "streams", "worker", "--loglevel", "warn"],
            log=tmp_path / "worker.log",
            env=pipeline.environment,
        )
        await ending(reached.wait(), "a question to the store")
        pipeline.worker._process.send_signal(signal.SIGTERM)
        code = await ending(pipeline.worker.wait(), "the worker")
        await ending(asyncio.gather(*connections), "the connections")

    assert code == 0  # it has taken nothing yet, and so leaves nothing


async def test_a_provider_that_hangs_keeps_no_worker(start_pipeline, embedded_broker, tmp_path):
    async with start_pipeline(embedded_broker, tmp_path, STOP_S=str(STOP_S), HTTP_TIMEOUT_S="600") as pipeline:
        pipeline.sandbox.misbehave(Fault("hang"))
        async with Requester(pipeline.bootstrap) as requester:
            await requester.submit(requests_for(QUOTES))
            await until(lambda: pipeline.sandbox.faults.struck >= 2, "calls that hang")
            code, said = await last_line(pipeline)

    assert (code, said["event"], said["level"], said["budget_s"]) == (0, "worker.stopped", "warning", STOP_S)
    assert said["requests"] == len(QUOTES)


STALLING = """
import agents.watchdog as watchdog
from streams.processing.normalize import Normalizer
import asyncio, sys

async def never(self, event):
    await asyncio.Event().wait()

Normalizer.handle = never
watchdog.LOOK_S, watchdog.STALLED_S = 0.5, 2.0
sys.argv = ["faust", "-A", "streams", "worker", "--loglevel", "warn"]
from faust.cli.faust import cli
cli()
"""
"""A worker whose normalizer never ends with an answer, and whose minute takes two seconds."""


async def test_an_actor_that_handles_nothing_ends_the_worker_with_its_name(
    embedded_broker, unlimited_sandbox, tmp_path
):
    pipeline = Pipeline(embedded_broker, unlimited_sandbox, tmp_path)
    program = [sys.executable, "-c", STALLING]
    pipeline.worker = await Child.start("worker", program, log=tmp_path / "worker.log", env=pipeline.environment)
    await pipeline.worker.until_ready(pipeline.pages.ready, LIMIT_S)
    async with Client(pipeline.bootstrap) as client:
        job = asyncio.ensure_future(client.run(requests_for(QUOTES[:1])))
        code = await ending(pipeline.worker.wait(), "the worker")
        job.cancel()

    assert code == 1
    assert "the normalizer of raw.responses/" in (tmp_path / "worker.log").read_text().splitlines()[-1]
