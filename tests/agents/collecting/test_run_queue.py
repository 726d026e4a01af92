"""The order of waiting runs: dependencies, the order of collectors, parallel runs, and runs that end or are cut off."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.collecting.run_queue import SIDE_BY_SIDE, RunQueue
from streams.collecting.dependencies import order
from streams.collecting.model import Collector, Universe, Wanted
from tests.waiting import ending, turns

DONE = {"stocks": "done", "prices": "done", "news": "done"}


def collector(name, *depends_on, priority=0):
    return Collector(
        name=name,
        datasets=(Wanted(dataset="news"),),
        universe=Universe(symbols=("AAPL",)),
        priority=priority,
        depends_on=depends_on,
    )


def named(*collectors):
    return {each.name: each for each in order(collectors)}


CHAIN = named(
    collector("stocks", priority=1), collector("prices", "stocks", priority=2), collector("news", "prices", priority=3)
)
"""Each depends on the one before it."""
LOOSE = named(*(collector(f"c{n}", priority=n) for n in range(6)))
"""Six that depend on nothing, in the order of their numbers."""


class Runs:
    """Runs of one queue: each is a task that waits for its turn; `started` holds their ids in the order of starting."""

    def __init__(self, collectors, endings=(), **more):
        self.queue = RunQueue(collectors, dict(endings), **more)
        self.started = []
        self.waiting = {}

    async def ask(self, run_id, name, *, at_once=False):
        """Let a run wait for its turn until nothing more happens by itself; returns its task."""

        async def take():
            readiness = await self.queue.take(run_id, name, at_once=at_once)
            if readiness.decision == "run":
                self.started.append(run_id)
            return readiness

        task = self.waiting[run_id] = asyncio.create_task(take())
        await turns()
        return task

    async def end(self, name, how):
        await self.queue.ended(name, how)
        await turns()

    async def close(self):
        for task in self.waiting.values():
            task.cancel()
        await asyncio.gather(*self.waiting.values(), return_exceptions=True)


@pytest.fixture
async def runs_of():
    """Makes queues of these collectors, whose waiting runs end with the test."""
    made = []

    def make(collectors, endings=(), **more):
        made.append(Runs(collectors, endings, **more))
        return made[-1]

    yield make
    for runs in made:
        await runs.close()


async def test_a_run_whose_dependencies_are_done_starts_at_once(runs_of):
    runs = runs_of(CHAIN, {"stocks": "done"})

    readiness = await ending(runs.queue.take("run-1", "prices"), "a run that waits for nothing")

    assert (readiness.decision, readiness.reason) == ("run", "")


@pytest.mark.parametrize("endings", [{}, DONE], ids=["never ran before", "all ran before"])
async def test_who_depends_on_a_run_waits_until_it_is_done(runs_of, endings):
    runs = runs_of(CHAIN, endings)
    await runs.ask("first", "stocks")
    await runs.ask("second", "prices")
    await runs.ask("third", "news")
    assert runs.started == ["first"]

    await runs.end("stocks", "done")
    assert runs.started == ["first", "second"]
    await runs.end("prices", "done")
    assert runs.started == ["first", "second", "third"]


async def test_who_depends_on_a_run_that_still_waits_waits_for_it_too(runs_of):
    runs = runs_of({**CHAIN, **LOOSE}, DONE, side_by_side=1)
    await runs.ask("busy", "c0")
    await runs.ask("prices", "prices")
    news = await runs.ask("news", "news")

    await runs.end("c0", "done")
    assert (runs.started, news.done()) == (["busy", "prices"], False)
    await runs.end("prices", "done")
    assert runs.started == ["busy", "prices", "news"]


@pytest.mark.parametrize(("how", "reason"), [("failed", "which failed"), ("skipped", "which was skipped")])
async def test_a_failure_skips_who_waits_for_it_down_the_chain(runs_of, how, reason):
    runs = runs_of(CHAIN)
    await runs.ask("first", "stocks")
    prices = await runs.ask("second", "prices")
    news = await runs.ask("third", "news")

    await runs.end("stocks", how)

    up = f"prices depends on stocks, {reason}"
    assert (prices.result().decision, prices.result().reason) == ("skip", up)
    assert (news.result().decision, news.result().reason) == ("skip", f"news depends on prices; {up}")
    assert runs.started == ["first"]


async def test_a_run_that_was_cut_off_leaves_the_last_end_as_it_was(runs_of):
    runs = runs_of(CHAIN, {"stocks": "done"})
    await runs.ask("first", "stocks")
    prices = await runs.ask("second", "prices")
    assert not prices.done()

    await runs.end("stocks", None)

    assert runs.queue.endings == {"stocks": "done"}
    assert runs.started == ["first", "second"]


async def test_what_never_ran_is_lacking_until_it_waits_or_runs_and_again_when_it_is_cut_off(runs_of):
    runs = runs_of(CHAIN)
    assert list(runs.queue.lacking("stocks")) == []
    assert list(runs.queue.lacking("prices")) == ["stocks"]

    await runs.ask("first", "stocks")
    assert list(runs.queue.lacking("prices")) == []
    await runs.end("stocks", None)
    assert list(runs.queue.lacking("prices")) == ["stocks"]
    await runs.ask("second", "stocks")
    await runs.end("stocks", "failed")
    assert list(runs.queue.lacking("prices")) == []


async def test_a_collector_never_runs_twice_at_once(runs_of):
    runs = runs_of(LOOSE)
    for run_id in ("first", "second", "third"):
        await runs.ask(run_id, "c0")
    assert runs.started == ["first"]

    await runs.end("c0", "failed")
    assert len(runs.started) == 2
    await runs.end("c0", "done")
    assert sorted(runs.started) == ["first", "second", "third"]


async def test_a_run_at_once_waits_for_no_dependency_and_no_place_but_for_its_own_collector(runs_of):
    runs = runs_of(CHAIN, side_by_side=1)
    await runs.ask("first", "stocks")
    await runs.ask("urgent", "prices", at_once=True)
    await runs.ask("again", "prices", at_once=True)
    assert runs.started == ["first", "urgent"]

    await runs.end("prices", "done")
    assert runs.started == ["first", "urgent", "again"]


async def test_of_those_that_wait_the_first_in_the_order_of_collectors_starts_first(runs_of):
    runs = runs_of(LOOSE, side_by_side=1)
    for name in ("c0", "c5", "c2", "c4"):
        await runs.ask(name, name)

    for name in ("c0", "c2", "c4"):
        await runs.end(name, "done")

    assert runs.started == ["c0", "c2", "c4", "c5"]


async def test_no_more_runs_go_side_by_side_than_the_bound(runs_of):
    runs = runs_of(LOOSE)
    for name in LOOSE:
        await runs.ask(name, name)
    assert runs.started == list(LOOSE)[:SIDE_BY_SIDE]

    await runs.end("c1", "failed")
    assert runs.started == list(LOOSE)[: SIDE_BY_SIDE + 1]


async def test_a_run_that_no_longer_waits_holds_up_nobody(runs_of):
    runs = runs_of(CHAIN, DONE)
    await runs.ask("first", "stocks")
    cancelled = await runs.ask("second", "prices")
    await runs.ask("third", "news")
    cancelled.cancel()
    await turns()

    await runs.end("stocks", "done")

    assert cancelled.cancelled()
    assert runs.started == ["first", "third"]


@st.composite
def rounds(draw):
    """Collectors of which each depends on earlier ones only, those that fail, and the order in which they ask."""
    names = "abcdefgh"[: draw(st.integers(1, 8))]
    depends = {name: draw(st.sets(st.sampled_from(names[:n]))) if n else set() for n, name in enumerate(names)}
    collectors = named(*(collector(name, *depends[name], priority=draw(st.integers(0, 3))) for name in names))
    return collectors, draw(st.sets(st.sampled_from(names))), draw(st.permutations(names))


@given(rounds(), st.integers(1, 3))
async def test_every_round_ends_within_the_bound_and_after_its_dependencies(found, side_by_side):
    collectors, failing, asking = found
    runs, running, most = Runs(collectors, side_by_side=side_by_side), Counter(), 0

    async def run(name):
        nonlocal most
        readiness = await runs.queue.take(name, name)
        if readiness.decision == "skip":
            await runs.queue.ended(name, "skipped")
            return
        assert {runs.queue.endings.get(other) for other in collectors[name].depends_on} <= {"done"}
        running[name] += 1
        most = max(most, running.total())
        await turns()
        running[name] -= 1
        await runs.queue.ended(name, "failed" if name in failing else "done")

    await ending(asyncio.gather(*map(run, asking)), "every run to end")

    assert most <= side_by_side
    for name, each in collectors.items():
        behind = any(runs.queue.endings[other] != "done" for other in each.depends_on)
        assert (runs.queue.endings[name] == "skipped") == behind
