"""Fixtures of the actors: scenes of a poller and stages of a collector, which `stage.py` describes."""

import asyncio

import pytest
from aiohttp import web

from sandbox import Sandbox, SandboxSettings
from streams.collecting.declarations import load
from tests.agents.stage import DECLARED, Scene, Stage


@pytest.fixture
async def sandbox():
    """The providers' APIs on loopback; Polygon knows an unlimited key and one of its free plan."""
    async with Sandbox(SandboxSettings(keys={"polygon": {"good-key-0001": None, "free-key-0001": "free"}})) as sandbox:
        yield sandbox


@pytest.fixture
async def scene_at():
    """Makes scenes of a poller whose providers are served below a URL."""
    scenes = []

    def make(url, **options):
        scenes.append(Scene(url, **options))
        return scenes[-1]

    yield make
    for scene in scenes:
        await scene.transport.close()


@pytest.fixture
def scene(sandbox, scene_at):
    """Makes scenes of a poller whose providers are those of the sandbox."""
    return lambda **options: scene_at(sandbox.url, **options)


@pytest.fixture
async def answering(scene_at):
    """Makes scenes of a poller whose providers are one loopback server that answers each path by `reply(request)`."""
    runners = []

    async def make(reply, **options):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", reply)
        runners.append(web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
        return scene_at(f"http://127.0.0.1:{runners[-1].addresses[0][1]}", **options)

    yield make
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def stage_of(tmp_path):
    """Makes stages over a store, with settings of their own; the collectors that are named have run and are done."""
    made = []

    async def make(store, *ended, **keys):
        (tmp_path / "t.toml").write_text(DECLARED)
        made.append(Stage(store, load(tmp_path / "t.toml").collectors, **keys))
        await made[-1].ended(*ended)
        await made[-1].collector.remember()
        return made[-1]

    yield make
    for task in (task for found in made for task in found.tasks):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def stage(store, stage_of):
    """A stage with a key of one provider; `stocks`, on which the other collectors depend, is done."""
    return await stage_of(store, "stocks")
