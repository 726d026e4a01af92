"""Which pipeline a program uses: one that runs already is never taken for none, however busy it is just now."""

import pytest
from aiohttp import web

from infra import settings
from streams.errors import PipelineGone
from streams.runtime import pipeline
from streams.runtime.pages import keep_token
from streams.runtime.pipeline import Pipeline
from tests.waiting import ending


@pytest.fixture
async def worker(tmp_path):
    """A worker's page that says `ready` as often as told not to be; gives (settings that mean it, those answers)."""
    answers = []

    async def status(_):
        return web.json_response({"ready": answers.pop(0) if answers else True})

    app = web.Application()
    app.router.add_get("/status/", status)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    environ = {"DATA_DIR": str(tmp_path), "WEB_PORT": str(runner.addresses[0][1])}
    configured = settings.load(tmp_path / "no.env", environ)
    kept = keep_token(configured, "a token of the worker")
    yield configured, answers
    kept.release()
    await runner.cleanup()


async def test_a_worker_that_is_not_ready_just_now_is_waited_for_and_none_is_started_beside_it(worker):
    configured, answers = worker
    answers[:] = [False, False, True]

    async with Pipeline(configured) as found:
        assert not found.own
        assert answers == []
        assert found.pages.url.endswith(f":{configured.web_port}")


async def test_a_worker_that_never_becomes_ready_is_told_in_one_line(worker, monkeypatch):
    configured, answers = worker
    answers[:] = [False] * 100
    monkeypatch.setattr(pipeline, "READY_S", 0.3)

    with pytest.raises(PipelineGone, match=r"has not become ready within 0\.3 s: see its log"):
        await ending(Pipeline(configured).__aenter__(), "the pipeline that is refused")
