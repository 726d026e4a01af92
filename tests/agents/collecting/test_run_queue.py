"""Which run waits for which: dependencies, order, requests that come twice, and what the next leader knows of them."""

import asyncio
from types import SimpleNamespace

HOUR = 3_600_000


async def test_a_dependency_that_never_ran_is_asked_for_first(stage):
    stage.collector._turns.endings.clear()
    task = stage.begin("prices", "run-7")
    await stage.until(lambda: stage.pollers.requests)
    (wanted,) = stage.pollers.requests

    assert (wanted.collector, wanted.run_id, wanted.cause) == ("stocks", "run-7.stocks", "dependency:prices")
    assert not task.done()

    await stage.collector.handle(SimpleNamespace(value=wanted.encode(), message=None))
    await task

    assert [(run.collector, run.state) for run in stage.pollers.runs] == [("stocks", "done"), ("prices", "done")]


async def test_who_depends_on_a_failure_is_skipped_down_the_chain_and_says_so(stage):
    stage.pollers.answer = lambda request: "UnknownSymbol"
    await stage.run("prices")

    skipped = await stage.run("profiles", "run-2")

    assert (skipped.state, skipped.reason) == ("skipped", "profiles depends on prices, which failed")
    assert {poll.call.dataset for poll in stage.pollers.polls} == {"bars"}


async def test_who_is_wanted_at_once_waits_for_no_dependency_but_for_itself(stage):
    stage.collector._turns.endings.clear()
    stage.pollers.held = []
    first = stage.begin("prices", "run-1", at_once=True)
    await stage.until(lambda: len(stage.pollers.held) == 3)
    second = stage.begin("prices", "run-2", at_once=True, refresh="full")
    await stage.until(lambda: "run-2" in stage.collector._under_way)
    for _ in range(20):
        await asyncio.sleep(0)
    assert "run-2" in stage.collector._turns._waiting
    held, stage.pollers.held = stage.pollers.held, None
    for request in held:
        await stage.pollers.end(request)
    await asyncio.gather(first, second)

    assert [(run.run_id, run.state) for run in stage.pollers.runs] == [("run-1", "done"), ("run-2", "done")]
    assert stage.pollers.requests == []  # the dependency that never ran was not asked for


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
    for _ in range(20):
        await asyncio.sleep(0)
    await stage.collector.remember()
    await task

    assert stage.pollers.runs[-1].state == "skipped"
    assert stage.pollers.requests == []


async def test_who_depends_on_a_run_that_goes_on_waits_for_it(stage):
    await stage.run("prices")
    await stage.know("NVDA")
    stage.pollers.held = []
    stage.begin("prices", "run-2", refresh="full", due_at=stage.monday + HOUR)
    await stage.until(lambda: len(stage.pollers.held) == 3)
    stage.begin("profiles", "run-3")
    await stage.until(lambda: stage.collector._turns._waiting)

    assert {poll.call.dataset for poll in stage.pollers.held} == {"bars"}
    held, stage.pollers.held = stage.pollers.held, None
    for poll in held:
        await stage.pollers.end(poll)
    await stage.until(lambda: len(stage.pollers.runs) == 3)
    assert [run.run_id for run in stage.pollers.runs] == ["run-1", "run-2", "run-3"]


async def test_of_those_that_wait_the_first_in_order_goes_first(stage):
    stage.pollers.held = []
    await stage.know("AAPL")
    stage.collector._turns.side_by_side = 1
    stage.collector._turns.endings["prices"] = "done"
    stage.begin("chosen", "first")
    await stage.until(lambda: stage.pollers.held)
    stage.begin("profiles", "third")
    stage.begin("prices", "second")
    await stage.until(lambda: len(stage.collector._turns._waiting) == 2)

    held, stage.pollers.held = stage.pollers.held, None
    for poll in held:
        await stage.pollers.end(poll)
    await stage.until(lambda: len(stage.pollers.runs) == 3)

    assert [run.run_id for run in stage.pollers.runs] == ["first", "second", "third"]


async def test_independent_runs_go_side_by_side(stage):
    stage.pollers.held = []
    await stage.know("NVDA")
    stage.begin("chosen", "one")
    stage.begin("prices", "two")

    await stage.until(lambda: stage.pollers.asked() == ["AAPL", "IBM", "MSFT", "NVDA"])


async def test_a_request_that_comes_twice_runs_once_also_for_the_next_leader(stage):
    stage.pollers.held = []
    first = stage.begin("prices")
    await stage.until(lambda: len(stage.pollers.held) == 3)
    second = stage.begin("prices")
    for poll in stage.pollers.held:
        await stage.pollers.end(poll)
    await asyncio.gather(first, second)
    stage.collector = stage.another()
    await stage.collector.remember()
    await stage.collector.handle(stage.event("prices"))

    assert [run.run_id for run in stage.pollers.runs] == ["run-1"]
    assert len(stage.pollers.polls) == 3


async def test_equal_requests_that_wait_share_one_run(stage):
    stage.pollers.held = []
    running = [stage.begin("prices", "run-1")]
    await stage.until(lambda: len(stage.pollers.held) == 3)
    for n in (2, 3, 4):
        running.append(stage.begin("prices", f"run-{n}", cause=f"schedule:s{n}", due_at=stage.monday + n))
        await stage.until(lambda n=n: len(stage.collector._under_way) == 2 or n == 2)
    for poll in stage.pollers.held:
        await stage.pollers.end(poll)
    await asyncio.gather(*running)

    told = {run.run_id: run for run in stage.pollers.runs}
    assert len(stage.pollers.polls) == 3
    assert told["run-2"].reason == "nothing was missing"
    assert told["run-4"].reason == "shared the run run-2. nothing was missing"
    assert (told["run-4"].cause, told["run-4"].due_at) == ("schedule:s4", stage.monday + 4)
