"""The embedded tree: everything starts, a renewed broker loses no request, nothing outlives a stop."""

import asyncio
import os
import socket
import stat
from pathlib import Path

import aiohttp
import psutil
import pytest

from connectors import Call
from infra import settings
from infra.ports import PortBusy, free_port
from streams.client import Client, requests_for
from streams.errors import AlreadyRunning
from streams.runtime.process_tree import ProcessTreeAddress, Stack
from streams.runtime.run_file import RunFile
from tests.waiting import LIMIT_S, ending, until

DAY = 86_400_000
pytestmark = pytest.mark.pipeline


@pytest.fixture
def configured(tmp_path):
    environ = {"DATA_DIR": str(tmp_path / "data"), "WEB_PORT": str(free_port()), "POLLER_WINDOW": "2"}
    return settings.load(Path("no.env"), environ)


async def test_a_port_that_is_taken_leaves_the_folder_free(configured):
    with socket.create_server(("127.0.0.1", configured.web_port)), pytest.raises(PortBusy):
        await Stack(configured).__aenter__()
    assert not (configured.data_dir / "run.json").exists()
    RunFile(configured.data_dir / "run.json").acquire().release()


async def test_a_renewed_broker_loses_no_request(configured):
    symbols = ("AAPL", "IBM", "MSFT", "GOOG", "FB")
    calls = [
        (Call(dataset="bars", symbols=(symbol,), interval="1d", start=day * DAY, end=(day + 365) * DAY), (name,))
        for symbol in symbols
        for day in (13_000, 13_500, 14_000)
        for name in ("polygon", "yahoo")
    ]
    async with Stack(configured, sandbox=True) as stack:
        async with aiohttp.ClientSession() as session:
            slow = [{"kind": "latency", "delay_s": 0.5}]
            await session.post(f"{stack.address.sandbox_url}/_sandbox/faults", json=slow)
        async with Client(stack.address.bootstrap) as client:
            running = asyncio.ensure_future(client.run(requests_for(calls)))

            async def four_calls():
                return (await stack.status())["providers"]["polygon"]["breaker"]["calls"] >= 4

            await until(four_calls, "four calls of Polygon")
            assert not running.done()
            await stack.renew()
            job = await ending(running, "the job")
        assert stack.renewals == 1
        assert job.failures == []

        async def settled():
            return (await stack.status())["settled"]

        await until(settled, "everything in the store")
        found = await stack.address.pages.query("SELECT source, count() FROM bars GROUP BY source ORDER BY 1")
        counts = dict(found["rows"])
        # Yahoo's records are more than its bars: splits and dividends ride in the same answers
        asked = sum(report.records for report in job.done.values() if report.provider == "polygon")
        assert counts == {"polygon": asked, "yahoo": asked}


async def test_a_folder_has_one_tree_and_nothing_outlives_it(configured, monkeypatch):
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SSL")  # of another broker: the tree's own has no login
    others = set(psutil.Process().children(recursive=True))
    async with Stack(configured) as stack:
        children = set(psutil.Process().children(recursive=True)) - others
        assert len(children) == 2
        for _ in range(2):
            with pytest.raises(AlreadyRunning, match=f"is in use by process {os.getpid()}"):
                await Stack(configured).__aenter__()
        assert stack.address == ProcessTreeAddress.find(configured.data_dir)
        assert (await stack.status())["ready"]
        assert stat.S_IMODE((configured.data_dir / "run.json").stat().st_mode) == 0o600
        assert stack.address.token not in repr(stack.address)
        log = (configured.data_dir / "logs" / "worker.log").read_text()
        assert stack.address.token not in log

    assert psutil.wait_procs(children, timeout=LIMIT_S)[1] == []
    assert ProcessTreeAddress.find(configured.data_dir) is None
