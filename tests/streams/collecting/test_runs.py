"""Runs of collectors seen from outside: what each request hears, and what is told of all collectors and schedules."""

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.clickhouse.runs import FIRES, LAST_RUNS
from infra.kafka.admin import ensure_topics
from infra.kafka.connection import BrokerUnreachable
from streams.collecting import declarations, runs
from streams.collecting.schedule import Schedule, latest_before
from streams.messaging import topics
from streams.messaging.follow import follow, tail
from streams.messaging.messages import CollectorRun, CollectRequest
from streams.messaging.producer import Outbox
from tests.waiting import LIMIT_S, ending

DECLARED = declarations.load()
NOW = 1_717_416_000_000  # 2024-06-03 12:00 UTC, a Monday
HOUR = 3_600_000


def asking(**known):
    """A store that knows these rows."""

    async def ask(sql):
        return {LAST_RUNS: known.get("last", []), FIRES: known.get("fires", [])}[sql]

    return ask


def at(ms):
    return datetime.fromtimestamp(ms / 1000, UTC)


async def test_collectors_are_told_in_their_order_with_their_last_runs():
    run = ("quotes", "r1", "failed", "nobody answered", "command", "full", NOW - 500, NOW, 1, 2, 3, 4)

    found = await runs.standings(DECLARED, asking(last=[run]))

    assert [each.collector for each in found] == list(DECLARED.collectors)
    told = {each.collector: each for each in found}
    assert told["daily_prices"] == runs.Standing("daily_prices", 30, ("stocks_etfs",))
    assert told["quotes"] == runs.Standing(
        *("quotes", 60, ()),
        *("failed", "nobody answered", "command", "full", at(NOW - 500), at(NOW)),
        *(1, 2, 3, 4),
    )


async def test_every_schedule_is_told_those_of_the_worker_last():
    fires = [("quotes/session", NOW - 72 * HOUR, 1), ("budget_reset", NOW, 0), ("cache_cleanup", NOW - 2 * HOUR, True)]

    found = {each.schedule: each for each in await runs.timetables(DECLARED, asking(fires=fires), NOW)}

    assert list(found)[-3:] == ["quality_check", "budget_reset", "cache_cleanup"]
    assert (found["quotes/session"].last_fired, found["quotes/session"].due) == (at(NOW - 72 * HOUR), True)
    assert (found["budget_reset"].last_fired, found["budget_reset"].due) == (None, False)
    assert found["cache_cleanup"].due
    assert (found["crypto/weekly"].last_fired, found["crypto/weekly"].due) == (None, False)
    assert found["cache_cleanup"].next == (at(NOW + HOUR), at(NOW + 2 * HOUR), at(NOW + 3 * HOUR))


@given(
    cron=st.sampled_from(["*/15 * * * *", "30 16 * * 1-5", "0 0 1 * *", "30 2 * * *"]),
    zone=st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe"]),
    now=st.integers(NOW, NOW + 400 * 24 * HOUR),
    seen=st.none() | st.integers(0, 9 * 24 * HOUR),
    fired=st.booleans(),
)
def test_next_times_ascend_from_now_and_only_a_time_since_the_last_is_due(cron, zone, now, seen, fired):
    schedule = Schedule("s", cron, zone)
    last = None if seen is None else now - seen

    told = runs.timetable(schedule, last, fired, now)

    assert len(told.next) == 3
    assert at(now) < told.next[0] < told.next[1] < told.next[2]
    assert told.last_fired == (at(last) if fired and last is not None else None)
    if told.due:
        assert last < latest_before(schedule, now + 1) <= now


def test_a_run_by_hand_is_named_as_such_and_full_only_on_demand():
    plain, full = runs.request("quotes", NOW, full=False), runs.request("quotes", NOW, full=True)

    assert (plain.cause, plain.refresh, plain.due_at, plain.asked_at) == ("command", None, NOW, NOW)
    assert full.refresh == "full"
    assert plain.run_id != full.run_id


def test_an_unknown_collector_is_told_with_the_known_ones():
    runs.require_declared("quotes", DECLARED)
    with pytest.raises(runs.UnknownCollector, match=r"unknown collector 'quote'; known: stocks_etfs, .*, quotes"):
        runs.require_declared("quote", DECLARED)


async def serve(bootstrap):
    """Lead: report every run that is asked for, a stranger's that names it first."""
    outbox = Outbox(bootstrap)
    await outbox.start()
    try:
        async with tail(bootstrap, topics.COLLECT_REQUESTS) as consumer:
            yield
            async for record in follow(consumer, bootstrap):
                asked = CollectRequest.decode(record.value)
                told = {"collector": asked.collector, "cause": asked.cause, "refresh": "full", "state": "done"}
                times = dict.fromkeys(("due_at", "started_at", "ended_at"), NOW)
                await outbox.send(topics.COLLECT_DONE, b"no report of ours", key=asked.collector)
                for run_id, reason in (("other", f"shared the run {asked.run_id}"), (asked.run_id, "")):
                    run = CollectorRun(run_id=run_id, reason=reason, **told, **times)
                    await outbox.send(topics.COLLECT_DONE, run.encode(), key=run.collector)
    finally:
        await outbox.stop()


@pytest.mark.pipeline
async def test_a_request_reaches_the_leader_and_a_run_gives_its_own_report(embedded_broker):
    asked = runs.request("quotes", NOW, full=True)
    with pytest.raises(BrokerUnreachable, match="no pipeline has run on the broker"):
        await runs.run(embedded_broker, asked)
    await ensure_topics(embedded_broker, topics.SPECS)
    async with asyncio.timeout(LIMIT_S), tail(embedded_broker, topics.COLLECT_REQUESTS) as consumer:
        await runs.submit(embedded_broker, asked)
        record = await anext(follow(consumer, embedded_broker))
        assert CollectRequest.decode(record.value) == asked
    leader = serve(embedded_broker)
    await anext(leader)
    leading = asyncio.create_task(anext(leader))
    try:
        report = await ending(runs.run(embedded_broker, asked), "the report of the run")
    finally:
        leading.cancel()
        await asyncio.gather(leading, return_exceptions=True)

    assert (report.run_id, report.collector, report.state) == (asked.run_id, "quotes", "done")
