"""The container's question whether its worker is ready: with the token that is there, whoever left another one."""

import asyncio
import json
import os
import socket

import pytest
from aiohttp import web

from infra import healthcheck

TOKEN = "the token of the one that runs"


@pytest.fixture
async def worker(monkeypatch, tmp_path):
    """A worker's page behind a token; gives its readiness, to be changed."""
    state = {"ready": True}

    async def status(request):
        shown = request.headers.get("Authorization") == f"Bearer {TOKEN}"
        return web.json_response(state if shown else {"error": "the token"}, status=200 if shown else 401)

    app = web.Application()
    app.router.add_get("/status/", status)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setenv("WEB_PORT", str(runner.addresses[0][1]))
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    yield state
    await runner.cleanup()


async def ready():
    return await asyncio.to_thread(healthcheck.ready)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "localhost"])
async def test_with_a_token_of_the_environment(worker, monkeypatch, host):
    monkeypatch.setenv("WEB_TOKEN", TOKEN)
    monkeypatch.setenv("WEB_HOST", host)

    assert await ready()
    worker["ready"] = False
    assert not await ready()


async def test_with_the_token_that_runs_whatever_a_crash_left_beside_it(worker, monkeypatch, tmp_path):
    mine = tmp_path / f"worker-{socket.gethostname()}-{os.environ['WEB_PORT']}.json"
    tree = tmp_path / "run.json"
    assert not await ready()
    for stale, lives in ((mine, tree), (tree, mine)):
        lives.write_text(json.dumps({"token": TOKEN}))
        for left in ('{"token": "of yesterday"}', "{", '{"pid": 1}', "[]"):
            stale.write_text(left)
            assert await ready(), (stale, left)


async def test_where_nothing_listens(monkeypatch, tmp_path):
    monkeypatch.setenv("WEB_TOKEN", TOKEN)
    monkeypatch.setenv("WEB_PORT", "1")

    assert not await ready()
