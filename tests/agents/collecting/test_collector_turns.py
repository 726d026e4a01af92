"""What a collector does for the order of runs: it asks for dependencies, runs a request once, and remembers endings."""

import asyncio
from types import SimpleNamespace

from infra.clickhouse.runs import run_sql
from tests.waiting import turns, until


class AskedStore:
    """A store that notes the SQL of each query that it has answered, in `answered`."""

    def __init__(self, store):
        self._store = store
        self.answered = []

    async def query(self, sql):
        found = await self._store.query(sql)
        self.answered.append(sql)
        return found


async def three_are_held(stage):
    await until(lambda: len(stage.pollers.held) == 3, "three requests under way")


async def test_a_dependency_that_never_ran_is_asked_for_first(store, stage_of):
    stage = await stage_of(store)
    task = stage.begin("prices", "run-7")
    await until(lambda: stage.pollers.requests, "a request for the dependency")
    (wanted,) = stage.pollers.requests

    assert (wanted.collector, wanted.run_id, wanted.cause) == ("stocks", "run-7.stocks", "dependency:prices")
    assert not task.done()

    await stage.collector.handle(SimpleNamespace(value=wanted.encode(), message=None))
    await task

    assert [(run.collector, run.state) for run in stage.pollers.runs] == [("stocks", "done"), ("prices", "done")]


async def test_a_run_at_once_asks_for_no_dependency(store, stage_of):
    stage = await stage_of(store)

    run = await stage.run("prices", at_once=True)

    assert (run.state, stage.pollers.requests) == ("done", [])


async def test_who_depends_on_a_failure_is_skipped_down_the_chain_and_says_so(stage):
    stage.pollers.answer = lambda request: "UnknownSymbol"
    await stage.run("prices")

    skipped = await stage.run("profiles", "run-2")

    assert (skipped.state, skipped.reason) == ("skipped", "profiles depends on prices, which failed")
    assert {poll.call.dataset for poll in stage.pollers.polls} == {"bars"}


async def test_how_collectors_ended_is_remembered_by_the_next_leader(stage):
    stage.pollers.answer = lambda request: "UnknownSymbol"
    await stage.run("prices")

    stage.collector = stage.another()
    await stage.collector.remember()
    skipped = await stage.run("profiles", "run-2")

    assert skipped.state == "skipped"


async def test_nothing_runs_before_the_store_has_told_how_collectors_ended(stage):
    stage.pollers.answer = lambda request: "UnknownSymbol"
    await stage.run("prices")
    stage.collector = stage.another()

    task = stage.begin("profiles", "run-2")
    await turns()
    await stage.collector.remember()
    await task

    assert stage.pollers.runs[-1].state == "skipped"
    assert stage.pollers.requests == []


async def test_independent_runs_go_side_by_side(stage):
    stage.pollers.held = []
    await stage.know("NVDA")
    stage.begin("chosen", "one")
    stage.begin("prices", "two")

    await until(lambda: stage.pollers.asked() == ["AAPL", "IBM", "MSFT", "NVDA"], "the requests of both runs")


async def test_who_depends_on_a_run_that_goes_on_waits_for_it(stage):
    await stage.run("prices")
    await stage.know("NVDA")
    stage.pollers.held = []
    stage.begin("prices", "run-2", refresh="full", due_at=stage.monday + 3_600_000)
    await three_are_held(stage)
    waiting = stage.begin("profiles", "run-3")

    await stage.pollers.release()
    await waiting

    assert [run.run_id for run in stage.pollers.runs] == ["run-1", "run-2", "run-3"]


async def test_a_request_that_comes_twice_runs_once_also_for_the_next_leader(stage):
    stage.pollers.held = []
    first = stage.begin("prices")
    await three_are_held(stage)
    second = stage.begin("prices")
    await turns()
    await stage.pollers.release()
    await asyncio.gather(first, second)
    stage.collector = stage.another()
    await stage.collector.remember()
    await stage.collector.handle(stage.event("prices"))

    assert [run.run_id for run in stage.pollers.runs] == ["run-1"]
    assert len(stage.pollers.polls) == 3


async def test_equal_requests_that_wait_share_one_run(stage):
    stage.store = asked = AskedStore(stage.store)
    stage.collector = stage.another()
    await stage.collector.remember()
    stage.pollers.held = []
    running = [stage.begin("prices", "run-1")]
    await three_are_held(stage)
    for n in (2, 3, 4):
        running.append(stage.begin("prices", f"run-{n}", cause=f"schedule:s{n}", due_at=stage.monday + n))
        await until(lambda n=n: run_sql(f"run-{n}") in asked.answered, f"run-{n} to be looked for in the store")
        await turns()
    await stage.pollers.release()
    await asyncio.gather(*running)

    told = {run.run_id: run for run in stage.pollers.runs}
    assert len(stage.pollers.polls) == 3
    assert told["run-2"].reason == "nothing was missing"
    assert told["run-4"].reason == "shared the run run-2. nothing was missing"
    assert (told["run-4"].cause, told["run-4"].due_at) == ("schedule:s4", stage.monday + 4)
