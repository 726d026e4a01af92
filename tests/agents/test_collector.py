"""Runs of collectors over the real store and the real planner; only the pollers and the clock are played."""

import asyncio
import heapq
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from agents._desk import open_desks
from agents._planning import Planning
from agents._submission import UNDER_WAY
from agents.collector import Collector
from infra.clickhouse import Store, log_table, migrate
from infra.settings import Settings
from streams import topics
from streams.collectors import Universe, load
from streams.messages import CollectorRun, CollectRequest, DeadLetter, PollDone, PollRequest
from streams.rows import TABLES

MONDAY = 1_717_416_000_000  # 2024-06-03 12:00
DAY = 86_400_000
DECLARED = """
[collectors.stocks]
priority = 1
datasets = ["assets"]
universe = { asset_classes = ["equity"] }
refresh = "full"

[collectors.prices]
priority = 2
depends_on = ["stocks"]
datasets = [{ dataset = "bars", interval = "1d", history = "30d" }]
universe = { symbols = ["AAPL", "IBM", "MSFT"] }
retry = { attempts = 3, base_s = 60 }

[collectors.profiles]
priority = 3
depends_on = ["prices"]
datasets = ["profile"]
universe = { asset_classes = ["equity"] }

[collectors.chosen]
priority = 4
datasets = [{ dataset = "bars", interval = "1d", history = "30d" }]
universe = { where = "exchange = 'XNAS'" }
"""


class Time:
    """A clock that stands still; who sleeps is woken when a test moves it."""

    def __init__(self, now=MONDAY):
        self.now = now
        self._asleep = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._asleep, (self.now + seconds * 1000, id(woken), woken))
        await woken

    def asleep(self):
        """Ms until who sleeps is due."""
        return sorted(at - self.now for at, _, woken in self._asleep if not woken.done())

    def pass_ms(self, ms):
        self.now += ms
        while self._asleep and self._asleep[0][0] <= self.now:
            _, _, woken = heapq.heappop(self._asleep)
            if not woken.done():
                woken.set_result(None)


class Pollers:
    """The outbox and the ears of a collector: each poll request is answered as `answer(request)` says, or held."""

    def __init__(self, store):
        self._store = store
        self._inboxes = {}
        self.answer = lambda request: "records"
        self.stores = True
        self.polls, self.runs, self.requests, self.letters = [], [], [], []
        self.under_way, self.most = Counter(), Counter()
        self.held = None

    async def send(self, topic, value, *, key=None, partition=None, headers=None):
        if topic == topics.POLL_REQUESTS:
            request = PollRequest.decode(value)
            self.polls.append(request)
            self.under_way[request.provider] += 1
            self.most |= self.under_way
            if self.held is None:
                await self.end(request)
            else:
                self.held.append(request)
        elif topic == topics.COLLECT_DONE:
            self.runs.append(CollectorRun.decode(value))
            await self._insert(TABLES[topic], value)
        elif topic == topics.COLLECT_REQUESTS:
            assert partition == 0
            self.requests.append(CollectRequest.decode(value))
            assert key == self.requests[-1].collector
        else:
            self.letters.append(DeadLetter.decode(value))

    async def end(self, request, at=None):
        outcome = self.answer(request)
        done = PollDone(
            request_id=request.request_id,
            job_id=request.job_id,
            provider=request.provider,
            call=request.call,
            outcome=outcome,
            records=2 * (outcome == "records"),
            at=at or MONDAY + 60_000,
        ).encode()
        self.under_way[request.provider] -= 1
        if self.stores:
            await self._insert(TABLES[topics.POLL_DONE], done)
        if request.job_id in self._inboxes:
            self._inboxes[request.job_id].put_nowait(done)

    @contextmanager
    def about(self, key):
        self._inboxes[key] = asyncio.Queue()
        yield self._inboxes[key]
        del self._inboxes[key]

    def asked(self):
        """Symbols that were asked for, each time."""
        return sorted(symbol for poll in self.polls for symbol in poll.call.symbols)

    async def _insert(self, table, value):
        await self._store.insert(log_table(table.name), table.decode(value, {}))


class Scene:
    def __init__(self, store, declared, **keys):
        self.store, self.time, self.pollers = store, Time(), Pollers(store)
        values = keys or {"FINNHUB_KEYS": "one", "FINNHUB_LIMITS": "none"}
        settings = Settings(provider_values={name: SecretStr(value) for name, value in values.items()})
        desks = open_desks(settings)
        desks = {name: desk for name, desk in desks.items() if name != "yahoo"}
        self.declared = declared
        self.planning = Planning(store, settings, {**open_desks(settings)}, lambda: desks)
        self.collector = self.another()
        self.tasks = []

    def another(self):
        return Collector(
            self.declared,
            self.planning,
            self.pollers,
            self.store,
            self.pollers,
            self.settled,
            sleep=self.time.sleep,
            now=self.time,
            chance=lambda: 0.5,
        )

    async def settled(self):
        pass

    def event(self, collector, run_id="run-1", **differing):
        request = CollectRequest(
            run_id=run_id, collector=collector, cause="command", due_at=MONDAY, asked_at=MONDAY
        ).model_copy(update=differing)
        return SimpleNamespace(value=request.encode(), message=None)

    async def run(self, collector, run_id="run-1", **differing):
        """Have a run, and give its report."""
        await self.collector.handle(self.event(collector, run_id, **differing))
        return self.pollers.runs[-1]

    def begin(self, *arguments, **differing):
        """Have a run beside the test."""
        task = asyncio.create_task(self.collector.handle(self.event(*arguments, **differing)))
        self.tasks.append(task)
        return task

    async def until(self, reached):
        async with asyncio.timeout(10):
            while not reached():
                await asyncio.sleep(0.005)

    async def insert(self, table, **columns):
        await self.store.insert(log_table(table), columns)

    async def know(self, *symbols, exchange="XNAS"):
        """Store assets."""
        n = len(symbols)
        await self.insert(
            "assets",
            **{"symbol": symbols, "asset_class": ["equity"] * n, "source": ["polygon"] * n, "request_id": ["r"] * n},
            **{"exchange": [exchange] * n, "provider_symbol": symbols, "observed_at": [MONDAY] * n},
        )


@pytest.fixture
async def scene(tmp_path):
    (tmp_path / "t.toml").write_text(DECLARED)
    declared = load(tmp_path / "t.toml").collectors
    async with await Store.open(f"chdb://{tmp_path}/store") as store:
        await migrate(store)
        found = Scene(store, declared)
        await found.collector.remember()
        found.collector._turns.endings["stocks"] = "done"
        yield found
        for task in found.tasks:
            task.cancel()
        await asyncio.gather(*found.tasks, return_exceptions=True)


async def test_a_run_asks_for_what_is_missing_and_reports_what_came_of_it(scene):
    run = await scene.run("prices")

    assert scene.pollers.asked() == ["AAPL", "IBM", "MSFT"]
    assert {poll.slip[0] for poll in scene.pollers.polls} == {"finnhub"}
    assert not any(poll.urgent for poll in scene.pollers.polls)
    assert (run.state, run.reason, run.attempts, run.units, run.records) == ("done", "", 1, 3, 6)
    assert run.rss_mb_peak > 10
    assert run.cpu_s >= 0


async def test_the_next_run_repeats_nothing_that_is_stored_unless_all_is_wanted_anew(scene):
    await scene.run("prices")
    asked = len(scene.pollers.polls)

    again = await scene.run("prices", "run-2", due_at=MONDAY + 3_600_000)

    assert (len(scene.pollers.polls), again.state, again.reason) == (asked, "done", "nothing was missing")

    full = await scene.run("prices", "run-3", due_at=MONDAY + 3_600_000, refresh="full")

    assert (len(scene.pollers.polls), full.units) == (2 * asked, 3)


async def test_calls_are_counted_from_what_the_store_knows_of_this_run(scene):
    scene.pollers.held = []
    task = scene.begin("prices")
    await scene.until(lambda: len(scene.pollers.held) == 3)
    ids = [f"{poll.request_id}/0" for poll in scene.pollers.held]
    await scene.insert(
        "api_calls",
        **{"call_id": ["1", "2", "3", "4"], "request_id": [*ids, "another-0"], "provider": ["finnhub"] * 4},
        **{"endpoint": ["e"] * 4, "dataset": ["bars"] * 4, "asset_class": ["equity"] * 4, "symbols": [["A"]] * 4},
        **{"started_at": [MONDAY] * 4, "latency_ms": [1.0] * 4, "outcome": ["Reserved"] * 4, "bytes": [1] * 4},
        **{"cost_calls": [1.0] * 4, "cost_usd": [0.0] * 4},
    )
    for poll in scene.pollers.held:
        await scene.pollers.end(poll)
    await task

    assert scene.pollers.runs[-1].calls == 3


async def test_however_much_is_wanted_few_requests_are_under_way_at_once(scene):
    symbols = [f"A{chr(65 + n // 26)}{chr(65 + n % 26)}" for n in range(300)]
    await scene.know(*symbols)
    scene.pollers.stores = False

    run = await scene.run("chosen")

    assert (run.state, run.units, run.records) == ("done", 300, 600)
    assert scene.pollers.asked() == symbols
    scene.pollers.polls.clear()
    scene.pollers.held = []
    scene.begin("chosen", "run-2", refresh="full")
    await scene.until(lambda: len(scene.pollers.held) == UNDER_WAY)
    for poll in scene.pollers.held[:10]:
        await scene.pollers.end(poll)
    await scene.until(lambda: len(scene.pollers.held) == UNDER_WAY + 10)
    assert scene.pollers.most["finnhub"] == UNDER_WAY


async def test_what_failed_for_a_passing_reason_is_tried_again_alone_and_what_did_not_is_told(scene):
    down = {"AAPL"}
    outcomes = {"IBM": "UnknownSymbol"}
    scene.pollers.answer = lambda request: (
        "ProviderUnavailable" if request.call.symbols[0] in down else outcomes.get(request.call.symbols[0], "records")
    )
    task = scene.begin("prices")
    await scene.until(lambda: 45_000 in scene.time.asleep())  # of 60 s, by the chance of one half

    down.clear()
    scene.time.pass_ms(45_000)
    await task

    run = scene.pollers.runs[-1]
    assert scene.pollers.asked() == ["AAPL", "AAPL", "IBM", "MSFT"]
    assert (run.state, run.attempts, run.units, run.records) == ("done", 2, 3, 4)
    assert run.errors == {"UnknownSymbol": 1}
    assert "IBM: UnknownSymbol" in run.reason


async def test_a_run_fails_when_the_last_try_leaves_more_than_a_tenth_unserved(scene):
    scene.pollers.answer = lambda request: "records" if request.call.symbols[0] == "IBM" else "ProviderUnavailable"
    task = scene.begin("prices")
    for delay in (45_000, 90_000):
        await scene.until(lambda delay=delay: delay in scene.time.asleep())
        scene.time.pass_ms(delay)
    await task

    run = scene.pollers.runs[-1]
    assert (run.state, run.attempts, run.errors) == ("failed", 3, {"ProviderUnavailable": 2})


async def test_a_run_of_which_nothing_comes_fails(scene):
    scene.pollers.answer = lambda request: "UnknownSymbol"

    run = await scene.run("prices")

    assert (run.state, run.attempts, run.errors) == ("failed", 1, {"UnknownSymbol": 3})


async def test_what_nobody_can_serve_is_told_as_unavailable(scene):
    alone = {name: replace(each, providers=("polygon",)) for name, each in scene.declared.items()}
    scene.declared = alone
    scene.collector = scene.another()
    await scene.collector.remember()
    scene.collector._turns.endings["stocks"] = "done"

    run = await scene.run("prices")

    assert (run.state, run.units, run.errors) == ("failed", 0, {"Unavailable": 3})
    assert "polygon: no key, set POLYGON_KEYS" in run.reason


async def test_a_dependency_that_never_ran_is_asked_for_first(scene):
    scene.collector._turns.endings.clear()
    task = scene.begin("prices", "run-7")
    await scene.until(lambda: scene.pollers.requests)
    (wanted,) = scene.pollers.requests

    assert (wanted.collector, wanted.run_id, wanted.cause) == ("stocks", "run-7.stocks", "dependency:prices")
    assert not task.done()

    await scene.collector.handle(SimpleNamespace(value=wanted.encode(), message=None))
    await task

    assert [(run.collector, run.state) for run in scene.pollers.runs] == [("stocks", "done"), ("prices", "done")]


async def test_who_depends_on_a_failure_is_skipped_down_the_chain_and_says_so(scene):
    scene.pollers.answer = lambda request: "UnknownSymbol"
    await scene.run("prices")

    skipped = await scene.run("profiles", "run-2")

    assert (skipped.state, skipped.reason) == ("skipped", "profiles depends on prices, which failed")
    assert {poll.call.dataset for poll in scene.pollers.polls} == {"bars"}


async def test_how_collectors_ended_is_remembered_by_the_next_leader(scene):
    scene.pollers.answer = lambda request: "UnknownSymbol"
    await scene.run("prices")

    scene.collector = scene.another()
    await scene.collector.remember()
    skipped = await scene.run("profiles", "run-2")

    assert skipped.state == "skipped"


async def test_nothing_runs_before_the_store_has_told_how_collectors_ended(scene):
    scene.pollers.answer = lambda request: "UnknownSymbol"
    await scene.run("prices")
    scene.collector = scene.another()

    task = scene.begin("profiles", "run-2")
    for _ in range(20):
        await asyncio.sleep(0)
    await scene.collector.remember()
    await task

    assert scene.pollers.runs[-1].state == "skipped"
    assert scene.pollers.requests == []


async def test_who_depends_on_a_run_that_goes_on_waits_for_it(scene):
    await scene.run("prices")
    await scene.know("NVDA")
    scene.pollers.held = []
    scene.begin("prices", "run-2", refresh="full", due_at=MONDAY + 3_600_000)
    await scene.until(lambda: len(scene.pollers.held) == 3)
    scene.begin("profiles", "run-3")
    await scene.until(lambda: scene.collector._turns._waiting)

    assert {poll.call.dataset for poll in scene.pollers.held} == {"bars"}
    held, scene.pollers.held = scene.pollers.held, None
    for poll in held:
        await scene.pollers.end(poll)
    await scene.until(lambda: len(scene.pollers.runs) == 3)
    assert [run.run_id for run in scene.pollers.runs] == ["run-1", "run-2", "run-3"]


async def test_of_those_that_wait_the_first_in_order_goes_first(scene):
    scene.pollers.held = []
    await scene.know("AAPL")
    scene.collector._turns.side_by_side = 1
    scene.collector._turns.endings["prices"] = "done"
    scene.begin("chosen", "first")
    await scene.until(lambda: scene.pollers.held)
    scene.begin("profiles", "third")
    scene.begin("prices", "second")
    await scene.until(lambda: len(scene.collector._turns._waiting) == 2)

    held, scene.pollers.held = scene.pollers.held, None
    for poll in held:
        await scene.pollers.end(poll)
    await scene.until(lambda: len(scene.pollers.runs) == 3)

    assert [run.run_id for run in scene.pollers.runs] == ["first", "second", "third"]


async def test_independent_runs_go_side_by_side(scene):
    scene.pollers.held = []
    await scene.know("NVDA")
    scene.begin("chosen", "one")
    scene.begin("prices", "two")

    await scene.until(lambda: scene.pollers.asked() == ["AAPL", "IBM", "MSFT", "NVDA"])


async def test_a_request_that_comes_twice_runs_once_also_for_the_next_leader(scene):
    scene.pollers.held = []
    first = scene.begin("prices")
    await scene.until(lambda: len(scene.pollers.held) == 3)
    second = scene.begin("prices")
    for poll in scene.pollers.held:
        await scene.pollers.end(poll)
    await asyncio.gather(first, second)
    scene.collector = scene.another()
    await scene.collector.remember()
    await scene.collector.handle(scene.event("prices"))

    assert [run.run_id for run in scene.pollers.runs] == ["run-1"]
    assert len(scene.pollers.polls) == 3


async def test_equal_requests_that_wait_share_one_run(scene):
    scene.pollers.held = []
    running = [scene.begin("prices", "run-1")]
    await scene.until(lambda: len(scene.pollers.held) == 3)
    for n in (2, 3, 4):
        running.append(scene.begin("prices", f"run-{n}", cause=f"schedule:s{n}", due_at=MONDAY + n))
        await scene.until(lambda n=n: len(scene.collector._under_way) == 2 or n == 2)
    for poll in scene.pollers.held:
        await scene.pollers.end(poll)
    await asyncio.gather(*running)

    told = {run.run_id: run for run in scene.pollers.runs}
    assert len(scene.pollers.polls) == 3
    assert told["run-2"].reason == "nothing was missing"
    assert told["run-4"].reason == "shared the run run-2. nothing was missing"
    assert (told["run-4"].cause, told["run-4"].due_at) == ("schedule:s4", MONDAY + 4)


async def test_a_run_that_was_cut_off_goes_on_where_it_stood_even_when_all_was_wanted_anew(scene):
    scene.pollers.held = []
    cut = scene.begin("prices", refresh="full")
    await scene.until(lambda: len(scene.pollers.held) == 3)
    served = scene.pollers.held[0]
    await scene.pollers.end(served)
    cut.cancel()
    await asyncio.gather(cut, return_exceptions=True)
    assert scene.pollers.runs == []

    scene.collector, scene.pollers.held = scene.another(), None
    await scene.collector.remember()
    scene.collector._turns.endings["stocks"] = "done"
    scene.pollers.polls.clear()
    run = await scene.run("prices", refresh="full")

    assert (run.state, run.units) == ("done", 2)
    assert served.call.symbols[0] not in scene.pollers.asked()


async def test_what_has_no_range_is_asked_of_those_only_who_have_not_answered_this_run(scene):
    scene.collector._turns.endings["prices"] = "done"
    await scene.know("AAPL", "IBM")
    scene.pollers.answer = lambda request: "records" if request.call.symbols[0] == "IBM" else "UnknownSymbol"
    await scene.run("profiles", "run-1")
    await scene.run("profiles", "run-2")
    assert scene.pollers.asked() == ["AAPL", "AAPL", "IBM"]

    await scene.run("profiles", "run-3", due_at=MONDAY + DAY)

    assert scene.pollers.asked() == ["AAPL", "AAPL", "AAPL", "IBM", "IBM"]


async def test_what_users_added_and_removed_holds_at_the_next_run(scene):
    await scene.know("AAPL", "IBM", exchange="XNAS")
    await scene.insert(
        "universe_changes",
        symbol=["TSM", "IBM", "QQQ"],
        asset_class=["equity", "equity", "etf"],
        change=["add", "remove", "add"],
        at=[MONDAY] * 3,
    )

    await scene.run("prices")
    assert scene.pollers.asked() == ["AAPL", "MSFT", "TSM"]

    scene.pollers.polls.clear()
    await scene.run("profiles", "run-2")
    assert scene.pollers.asked() == ["AAPL", "TSM"]

    scene.pollers.polls.clear()
    scene.collector._turns.endings.clear()
    await scene.run("chosen", "run-3", refresh="full")
    assert scene.pollers.asked() == []  # AAPL's bars are stored since this moment, IBM was removed


async def test_an_empty_universe_and_a_wrong_condition_fail_with_their_reason(scene):
    empty = await scene.run("chosen")
    assert (empty.state, empty.reason[:22]) == ("failed", "its universe is empty:")

    wrongly = replace(scene.declared["chosen"], universe=Universe(where="no_such_column = 1"))
    scene.declared = {**scene.declared, "chosen": wrongly}
    scene.collector = scene.another()
    await scene.collector.remember()
    wrong = await scene.run("chosen", "run-2")
    assert wrong.state == "failed"
    assert "no_such_column" in wrong.reason


async def test_an_unknown_collector_is_answered_with_those_that_there_are(scene):
    run = await scene.run("price")

    assert run.state == "failed"
    assert run.reason.startswith("unknown collector 'price'; known: stocks")


async def test_a_request_that_cannot_be_read_is_a_dead_letter(scene):
    message = SimpleNamespace(topic=topics.COLLECT_REQUESTS, partition=0, offset=3)
    await scene.collector.handle(SimpleNamespace(value=b"{}", message=message))

    assert scene.pollers.letters[0].raw_offset == 3
    assert scene.pollers.runs == []


async def test_requests_that_never_end_do_not_hold_a_run_for_ever(scene):
    scene.pollers.held = []
    task = scene.begin("prices")
    await scene.until(lambda: len(scene.pollers.held) == 3)
    assert {poll.deadline for poll in scene.pollers.held} == {MONDAY + DAY}

    scene.time.pass_ms(DAY + 900_000)
    await task

    assert scene.pollers.runs[-1].state == "failed"
    assert "have not ended" in scene.pollers.runs[-1].reason
