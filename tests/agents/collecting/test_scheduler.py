"""Schedules fire once each, over restarts too: the real store remembers, a clock of the test's own tells the time."""

import asyncio

import pytest
from structlog.testing import capture_logs

from agents.collecting.housekeeping import hooks
from agents.collecting.scheduler import LOOK_S, Scheduler
from agents.polling.quote_cache import Quotes
from infra.clickhouse import log_table
from infra.kafka.brokers import Brokers
from streams.collecting.declarations import load
from streams.messaging import topics
from streams.messaging.messages import CollectorRun, CollectRequest
from streams.processing.table_rows import TABLES
from tests.waiting import until

HOUR = 3_600_000
DAY = 24 * HOUR
MONDAY = 1_717_387_200_000  # 2024-06-03 04:00 UTC
DECLARED = """
[collectors.quotes]
schedules.session = { cron = "*/15 * * * *", zone = "UTC" }

[collectors.stocks_etfs]
schedules = { morning = { cron = "0 5 * * *", zone = "UTC" } }

[collectors.daily_prices]
schedules.close = { cron = "0 5 * * *", zone = "UTC" }
schedules.weekly = { cron = "0 6 * * 1", zone = "UTC", refresh = "full" }

[collectors.mutual_funds]
schedules = {}
[collectors.crypto]
schedules = {}
[collectors.fundamentals]
schedules = {}
[collectors.news_events]
schedules = {}
"""


class Posted:
    """An outbox that keeps the requests; the runs that they ask for are reported when a test says so."""

    def __init__(self, store):
        self._store = store
        self.requests = []

    async def send(self, topic, value, *, key=None, partition=None, headers=None):
        assert (topic, partition) == (topics.COLLECT_REQUESTS, 0)
        self.requests.append(CollectRequest.decode(value))
        assert key == self.requests[-1].collector

    def take(self):
        found, self.requests = self.requests, []
        return [(request.cause.removeprefix("schedule:"), request.due_at) for request in found]

    async def report(self, *requests):
        for request in requests:
            run = CollectorRun(
                **request.model_dump(include={"run_id", "collector", "cause", "due_at"}),
                refresh="full",
                state="failed",
                started_at=request.due_at,
                ended_at=request.due_at,
            )
            table = TABLES[topics.COLLECT_DONE]
            await self._store.insert(log_table(table.name), table.decode(run.encode(), {}))


class Scene:
    def __init__(self, store, declared):
        self.store, self.declared, self.now = store, declared, MONDAY
        self.posted, self.done, self.slept = Posted(store), [], []
        self.fails = False

    async def start(self):
        """A scheduler of a new life."""

        def hook(name):
            async def do(at):
                self.done.append((name, at))
                if self.fails:
                    raise OSError("the disk is full")

            return do

        names = ("quality_check", "cache_cleanup")
        found = Scheduler(
            self.declared,
            {name: hook(name) for name in names},
            self.posted,
            self.store,
            sleep=self.sleep,
            now=lambda: self.now,
        )
        await found.remember()
        return found

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += round(seconds * 1000)


@pytest.fixture
def scene(store, tmp_path):
    (tmp_path / "t.toml").write_text(DECLARED)
    return Scene(store, load(tmp_path / "t.toml"))


async def test_a_schedule_that_is_first_seen_begins_with_its_next_time(scene):
    scheduler = await scene.start()
    await scheduler.fire_due()
    assert scene.posted.take() == []

    scene.now += HOUR
    await scheduler.fire_due()

    assert scene.posted.take() == [
        ("stocks_etfs/morning", MONDAY + HOUR),
        ("daily_prices/close", MONDAY + HOUR),
        ("quotes/session", MONDAY + HOUR),
    ]


async def test_a_request_says_what_fired_for_when_and_what_is_fetched(scene):
    scheduler = await scene.start()
    scene.now += 2 * HOUR + 7
    await scheduler.fire_due()

    request = next(each for each in scene.posted.requests if each.cause == "schedule:daily_prices/weekly")
    assert (request.collector, request.refresh) == ("daily_prices", "full")
    assert request.run_id == f"daily_prices.weekly.{MONDAY + 2 * HOUR}"
    assert (request.due_at, request.asked_at) == (MONDAY + 2 * HOUR, MONDAY + 2 * HOUR + 7)


async def test_each_time_fires_once_and_many_missed_ones_once_together(scene):
    scheduler = await scene.start()
    scene.now += HOUR
    await scheduler.fire_due()
    await scheduler.fire_due()
    assert len(scene.posted.take()) == 3

    scene.now += 3 * DAY + 20 * 60_000
    await scheduler.fire_due()

    assert scene.posted.take() == [
        ("stocks_etfs/morning", MONDAY + HOUR + 3 * DAY),
        ("daily_prices/close", MONDAY + HOUR + 3 * DAY),
        ("daily_prices/weekly", MONDAY + 2 * HOUR),
        ("quotes/session", MONDAY + HOUR + 3 * DAY + 15 * 60_000),
    ]


async def test_after_a_downtime_what_was_reported_is_not_owed_and_what_was_cut_off_is(scene):
    scheduler = await scene.start()
    scene.now += HOUR
    await scheduler.fire_due()
    stocks, prices, quotes = scene.posted.requests
    await scene.posted.report(stocks, quotes)
    scene.posted.take()

    scene.now += 60_000
    await (await scene.start()).fire_due()

    assert scene.posted.requests == [prices.model_copy(update={"asked_at": scene.now})]


async def test_a_downtime_is_caught_up_once_after_a_restart(scene):
    await scene.start()
    scene.now += 2 * DAY

    scheduler = await scene.start()
    await scheduler.fire_due()
    await scheduler.fire_due()

    fired = scene.posted.take()
    assert len(fired) == len(set(fired)) == 4
    assert scene.done == [("quality_check", MONDAY + 5 * HOUR + DAY), ("cache_cleanup", MONDAY + 2 * DAY)]


async def test_a_job_is_done_once_also_when_it_fails_and_over_restarts(scene):
    scheduler = await scene.start()
    scene.fails = True
    scene.now += HOUR
    await scheduler.fire_due()
    await scheduler.fire_due()
    await (await scene.start()).fire_due()

    assert scene.done == [("cache_cleanup", MONDAY + HOUR)]

    scene.now += HOUR
    await (await scene.start()).fire_due()
    assert scene.done[1:] == [("cache_cleanup", MONDAY + 2 * HOUR)]


async def test_it_sleeps_until_the_next_time_and_looks_at_the_clock_meanwhile(scene):
    scheduler = await scene.start()
    scene.now += 1
    running = asyncio.create_task(scheduler.run())
    await until(lambda: scene.posted.requests, "the schedule to fire")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    fired = scene.posted.requests[0]
    assert fired.cause == "schedule:quotes/session"
    assert fired.asked_at == fired.due_at == MONDAY + 15 * 60_000
    assert max(scene.slept) == LOOK_S
    assert LOOK_S > scene.slept[14] > 0


async def test_the_day_s_quality_is_checked_and_kept(scene):
    letter = {"letter_id": ["l"], "at": [MONDAY - 5], "stage": ["validate"], "rule": ["r"], "reason": ["r"]}
    await scene.store.insert(log_table("dead_letters"), {**letter, "dataset": ["news"]})
    article = {"source": ["s"], "id": ["1"], "ts": [1], "title": ["t"], "symbols": [[]], "request_id": ["r"]}
    await scene.store.insert(log_table("news"), {**article, "observed_at": [MONDAY - 7]})

    await hooks(scene.store, Quotes(Brokers("nobody:1"), 1))["quality_check"](MONDAY)

    rows = (
        await scene.store.query(
            "SELECT dataset, rows, dead_letters, toUnixTimestamp64Milli(newest) FROM quality_checks WHERE checked_at = "
            f"fromUnixTimestamp64Milli({MONDAY}) ORDER BY rows DESC, dataset"
        )
    ).rows
    assert rows[0] == ("news", 1, 1, MONDAY - 7)
    assert len(rows) == 11
    assert rows[1] == ("actions", 0, 0, None)


async def test_stale_quotes_are_forgotten_and_young_ones_kept(scene):
    quotes = Quotes(Brokers("nobody:1"), 1000)
    for symbol, at in (("OLD", MONDAY - 1000), ("YOUNG", MONDAY - 999)):
        quotes.note({"symbol": symbol, "asset_class": "equity", "source": "s", "observed_at": at})

    await hooks(scene.store, quotes)["cache_cleanup"](MONDAY)

    assert len(quotes) == 1


async def test_the_day_s_spending_is_told_from_the_calls(scene):
    calls = {
        **{"call_id": ["1", "2", "3"], "provider": ["fmp", "fmp", "yahoo"], "cost_usd": [0.25, 0.5, 0.0]},
        **{"started_at": [MONDAY - 1, MONDAY - DAY, MONDAY - 1], "request_id": ["r"] * 3, "endpoint": ["e"] * 3},
        **{"dataset": ["bars"] * 3, "asset_class": ["equity"] * 3, "symbols": [["A"]] * 3, "latency_ms": [1.0] * 3},
        **{"outcome": ["records"] * 3, "cost_calls": [1.0] * 3, "bytes": [1] * 3},
    }
    await scene.store.insert(log_table("api_calls"), calls)

    with capture_logs() as told:
        await hooks(scene.store, Quotes(Brokers("nobody:1"), 1))["budget_reset"](MONDAY)

    assert told == [{"event": "budget.day", "log_level": "info", "calls": {"fmp": 2, "yahoo": 1}, "usd": {"fmp": 0.75}}]
