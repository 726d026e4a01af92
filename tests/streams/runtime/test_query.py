"""Questions to the store are answered by whoever owns it; where there is none yet, there are no rows."""

from pathlib import Path

import pytest
from aiohttp import web

from infra import settings
from infra.clickhouse import QueryRefused, Store, StoreError
from infra.ports import free_port
from streams.runtime.pages import keep_token
from streams.runtime.query import answer, rows


@pytest.fixture
def configured(tmp_path):
    return settings.load(Path("no.env"), {"DATA_DIR": str(tmp_path / "data"), "WEB_PORT": str(free_port())})


@pytest.fixture
async def worker(configured):
    """The page of a worker that owns the store: it answers what it is told to."""
    told = {}

    async def query(request):
        assert await request.text() == "SELECT 1"
        assert request.headers["Authorization"] == "Bearer a token of the worker"
        return web.json_response(told)

    app = web.Application()
    app.router.add_post("/query/", query)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", configured.web_port).start()
    kept = keep_token(configured, "a token of the worker")
    yield told
    kept.release()
    await runner.cleanup()


async def test_where_there_is_no_store_there_are_no_rows_and_none_is_made(configured):
    assert (await answer(configured, "SELECT 1"))["empty"]
    assert await rows(configured, "SELECT 1") == []
    assert not configured.data_dir.exists()


async def test_a_store_that_nobody_owns_is_opened(configured):
    async with await Store.open(configured.store_url):
        pass

    assert await rows(configured, "SELECT 1 AS one") == [(1,)]
    assert await rows(configured, "SELECT * FROM collector_runs") == []
    with pytest.raises(QueryRefused, match="collector_runs"):
        await answer(configured, "SELECT * FROM collector_runs")


async def test_the_worker_that_owns_the_store_answers_for_it(configured, worker):
    worker.update(columns=["1"], rows=[[2]])

    assert await rows(configured, "SELECT 1") == [[2]]


async def test_what_the_worker_refuses_is_an_error_and_no_empty_answer(configured, worker):
    worker["error"] = "no such function"

    with pytest.raises(StoreError, match="no such function"):
        await rows(configured, "SELECT 1")
