"""Sessions on a pipeline that runs already: what becomes of them with it, and that they leave nothing behind in it."""

import asyncio
import json

import aiohttp
import pytest

from infra import settings
from infra.clickhouse import Store
from infra.kafka.lag import lag
from infra.ports import free_port
from streams.errors import PipelineGone
from streams.messaging import topics
from streams.runtime.process_tree import Stack
from streams.sessions.folder import Folder, SessionCommand, SessionManifest
from streams.sessions.log import SessionLog
from streams.sessions.runner import conduct
from streams.sessions.spec import HOUR_MS, SessionAsset, Spec, preset
from tests.waiting import ending, until

pytestmark = pytest.mark.pipeline


async def conducted(folder, configured):
    log = SessionLog(folder.log, lambda _: None)
    try:
        return await conduct(folder, configured, log, asyncio.Event())
    finally:
        log.close()


def planned(pipeline, folder, hours, sources, datasets):
    """A session in `folder`, and settings that mean the pipeline."""
    names = [name for name in pipeline.environment if name.endswith("_KEYS")]
    given = {
        name: pipeline.environment[name] for name in ("KAFKA_URL", "CLICKHOUSE_URL", "WEB_PORT", "WEB_TOKEN", *names)
    }
    configured = settings.load(folder / "no.env", {**given, "DATA_DIR": str(folder / "data")})
    spec = Spec("s-1", "custom", hours * HOUR_MS, preset("focused", "p").symbols, sources, datasets)
    return Folder.create(configured.data_dir, SessionManifest(spec)), configured


async def some_are_done(folder):
    return bool(folder.session().done)


async def test_what_a_paused_or_stopped_session_still_had_to_ask_spends_no_quota_later(
    start_pipeline, embedded_broker, tmp_path
):
    async with start_pipeline(embedded_broker, tmp_path, FMP_LIMITS="3/month") as pipeline:
        folder, configured = planned(pipeline, tmp_path, 32 * 24, ("fmp",), ("profile", "news", "earnings"))

        def received():
            return sum(key["received"] for key in pipeline.sandbox.calls().get("fmp", {}).values())

        async def nobody_waits():
            waiting = await lag(pipeline.bootstrap, topics.APP, topics.POLLS)
            return received() == 3 and not sum(at.behind for at in waiting)

        async def somebody_waits():
            return any(at.behind for at in await lag(pipeline.bootstrap, topics.APP, topics.POLLS))

        async def is_in(state):
            return folder.session().state == state

        running = asyncio.ensure_future(conducted(folder, configured))
        await until(lambda: is_in("running"), "the session to run")
        await until(somebody_waits, "a request that waits")
        folder.order(SessionCommand(what="pause"))
        await until(lambda: is_in("paused"), "the session to pause")
        await until(nobody_waits, "three calls and no request that waits")
        folder.order(SessionCommand(what="resume"))
        await until(somebody_waits, "a request that waits")
        folder.order(SessionCommand(what="stop"))
        session = await ending(running, "the session")
        await until(nobody_waits, "three calls and no request that waits")

    assert session.state == "completed"
    assert (len(session.done), session.tallies["fmp"].calls) == (3, 3)
    assert session.tallies["fmp"].outcomes == {"records": 3}
    assert received() == 3


@pytest.mark.kafka
async def test_a_session_outlives_the_worker_that_it_found_where_others_go_on(
    start_pipeline, another_worker, apache_kafka, clickhouse_server, tmp_path
):
    sources = ("alpaca", "eodhd", "finnhub", "fmp", "polygon", "yahoo")
    async with start_pipeline(apache_kafka, tmp_path, CLICKHOUSE_URL=clickhouse_server.url()) as first:
        second = another_worker(first, tmp_path / "second")
        await second.start()
        folder, configured = planned(first, tmp_path, 1, sources, ("profile", "bars", "news"))
        slow = {"kind": "latency", "delay_s": 0.3}
        async with aiohttp.ClientSession() as web:
            await web.post(f"{first.sandbox.url}/_sandbox/faults", json=[slow])
        served = set()

        async def each_serves_some():
            owned = [set((await worker.pages.status())["owned"]) for worker in (first, second)]
            served.clear()
            served.update(owned[0])
            return all(own & set(sources) for own in owned) and not owned[0] & owned[1]

        async def some_of_the_first_s_are_done():
            assert not running.done(), running.exception()
            return any(tally.calls for name, tally in folder.session().tallies.items() if name in served)

        try:
            await until(each_serves_some, "each worker to own some of the providers")
            running = asyncio.ensure_future(conducted(folder, configured))
            await until(some_of_the_first_s_are_done, "calls of the first worker")
            await first.kill()
            session = await ending(running, "the session", limit_s=150)
        finally:
            await second.worker.stop(20)

        async with await Store.open(clickhouse_server.url()) as store:
            polls = "SELECT provider, sum(records) FROM polls WHERE startsWith(request_id, 's-1-') GROUP BY 1"
            brought = dict((await store.query(polls)).rows)
            workers = await store.query("SELECT count(DISTINCT worker) FROM api_calls WHERE outcome != 'Reserved'")

    assert session.state == "completed"
    assert len(session.done) == session.planned > 100
    assert {name: tally.records for name, tally in session.tallies.items()} == {
        name: brought[name] for name in session.tallies
    }
    assert workers.rows == [(2,)]


async def test_a_session_on_a_running_pipeline_outlives_its_broker_being_started_afresh(tmp_path):
    environ = {"DATA_DIR": str(tmp_path / "data"), "WEB_PORT": str(free_port())}
    configured = settings.load(tmp_path / "no.env", environ)
    spec = Spec("s-1", "custom", HOUR_MS, preset("focused", "p").symbols, ("polygon", "yahoo"), ("bars", "profile"))
    folder = Folder.create(configured.data_dir, SessionManifest(spec))
    async with Stack(configured, sandbox=True) as stack, aiohttp.ClientSession() as web:
        slow = [{"kind": "latency", "delay_s": 1.0}]
        await web.post(f"{stack.address.sandbox_url}/_sandbox/faults", json=slow)
        running = asyncio.ensure_future(conducted(folder, configured))
        await until(lambda: some_are_done(folder), "units that are done")
        await stack.renew()
        session = await ending(running, "the session")
        counted = await stack.address.pages.query("SELECT count(), countIf(outcome = 'Reserved') FROM api_calls")

    assert session.state == "completed"
    assert len(session.done) == session.planned == 60
    assert [int(count) for count in counted["rows"][0]] == [60, 0]
    assert sum(tally.calls for tally in session.tallies.values()) == 60


async def test_a_session_ends_with_the_pipeline_that_it_used_and_can_go_on(tmp_path):
    environ = {"DATA_DIR": str(tmp_path / "data"), "WEB_PORT": str(free_port())}
    configured = settings.load(tmp_path / "no.env", environ)
    spec = Spec("s-1", "custom", HOUR_MS, (SessionAsset("AAPL"),), ("yahoo",), ("quote",))
    folder = Folder.create(configured.data_dir, SessionManifest(spec))
    async with Stack(configured, sandbox=True):
        running = asyncio.ensure_future(conducted(folder, configured))
        await until(lambda: some_are_done(folder), "units that are done")

    with pytest.raises(PipelineGone, match="has ended"):
        await ending(running, "the session")
    assert folder.session().state == "interrupted"
    assert json.loads((folder.path / "summary.json").read_text())["session_summary"]["api_calls"] == 1
