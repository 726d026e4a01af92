"""A ninth provider is one file: beside the others, it is listed, routed and polled with no other edit."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web

from infra import settings
from infra.child_process import Child
from infra.ports import free_port
from streams.runtime.pages import pages_of_worker
from tests.waiting import until

pytestmark = pytest.mark.pipeline

ROOT = Path(__file__).parents[2]
NINTH = '''
"""Ninth: an invented provider of daily bars. Documentation: https://ninth.example/docs."""

from connectors.declaration import Connector
from connectors.endpoints import endpoint
from connectors.symbols import Symbols
from connectors.fields import column, days
from connectors.calls import Auth
from connectors.items import BarColumns


def _parse(reading):
    rows = reading.json["days"]
    yield BarColumns(
        envelope=reading.of(reading.json["name"]),
        interval="1d",
        adjustment="raw",
        currency="USD",
        ts=days(row["day"] for row in rows),
        **{name: column(rows, name) for name in ("open", "high", "low", "close", "volume")},
    )


CONNECTOR = Connector(
    name="ninth",
    title="Ninth",
    base_url="https://ninth.example",
    docs="https://ninth.example/docs",
    auth=Auth(headers={"X-Ninth-Key": "{key}"}),
    symbols=Symbols(spell=lambda symbol, _: symbol.lower(), canonical=lambda name, kind: (name.upper(), kind)),
    mailbox=31,
    endpoints=(
        endpoint(
            "days",
            dataset="bars",
            path="/days/{name}",
            build=lambda _, spelled: {"name": spelled[0]},
            parse=_parse,
            docs="https://ninth.example/docs/days",
            intervals={"1d": "day"},
            adjustments=("raw",),
        ),
    ),
)
'''
DAYS = [
    {"day": f"2024-06-{day:02}", "open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5, "volume": 100}
    for day in (3, 4, 5)
]


@pytest.fixture
def tree(tmp_path):
    """The packages, and the one new file."""
    for name in ("agents", "connectors", "infra", "streams"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".run"))
    (tmp_path / "connectors" / "ninth.py").write_text(NINTH)
    return tmp_path


@pytest.fixture
async def ninth():
    """The provider itself: URL, and the keys it was shown."""
    keys = []

    async def answer(request):
        keys.append(request.headers.get("X-Ninth-Key"))
        return web.json_response({"name": request.match_info["name"], "days": DAYS})

    app = web.Application()
    app.router.add_get("/days/{name}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", keys
    await runner.cleanup()


def test_it_is_listed_beside_the_others(tree):
    command = [sys.executable, "-m", "streams", "providers", "--json"]

    found = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=True)

    assert "ninth" in found.stdout
    assert json.loads(found.stdout.splitlines()[0])


async def test_it_is_polled_into_the_store(tree, ninth, embedded_broker):
    url, keys = ninth
    environment = {
        **os.environ,
        "NINTH_URL": url,
        "NINTH_KEYS": "ninth-secret-key",
        "KAFKA_URL": f"kafka://{embedded_broker}",
        "CLICKHOUSE_URL": f"chdb://{tree}/store",
        "DATA_DIR": str(tree / "data"),
        "WEB_PORT": str(free_port()),
    }
    configured = settings.load(tree / "no.env", environment)
    worker = await Child.start(
        "worker",
        [sys.executable, "-m", "faust", "-A", "streams", "worker", "--loglevel", "warn"],
        log=tree / "worker.log",
        env=environment,
        cwd=tree,
    )
    try:
        await worker.until_ready(lambda: pages_of_worker(configured).ready(), 90)
        await _run([sys.executable, "-m", "infra.healthcheck"], tree, environment)
        polled = await _run(
            [sys.executable, "-m", "streams", "poll", "bars", "ABC", "--interval", "1d", "--provider", "ninth"],
            tree,
            environment,
        )
        assert "3 records, 0 rejected" in polled
        pages = pages_of_worker(configured)

        async def all_is_stored():
            return (await pages.status())["settled"]

        await until(all_is_stored, "everything in the store")
        found = await pages.query("SELECT symbol, source, toString(toDate(ts)), close FROM bars ORDER BY ts")
    finally:
        await worker.stop(15)

    assert found["rows"] == [["ABC", "ninth", row["day"], 10.5] for row in DAYS]
    assert keys == ["ninth-secret-key"]
    assert "ninth-secret-key" not in (tree / "worker.log").read_text()


async def _run(command, cwd, environment):
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()
