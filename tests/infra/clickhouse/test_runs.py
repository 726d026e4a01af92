"""What the store tells of runs and schedules: the last of each, what a day cost and brought."""

from infra.clickhouse import DATASET_TABLES
from infra.clickhouse.runs import FIRES, LAST_RUNS, calls_of_sql, quality_sql, run_sql, spending_sql

DAY = 86_400_000
NOW = 1_717_372_800_000
RUN = {
    **{"run_id": "r1", "collector": "prices", "cause": "command", "refresh": "full", "state": "done", "reason": ""},
    **{"due_at": NOW, "started_at": NOW, "ended_at": NOW + 1, "attempts": 1, "units": 2, "calls": 3, "records": 4},
    **{"rejects": 0, "errors": {"Busy": 1}, "rss_mb_peak": 1.5, "cpu_s": 0.5},
}
CALL = {
    **{"call_id": "c1", "request_id": "j1-0", "provider": "polygon", "endpoint": "e", "dataset": "bars"},
    **{"asset_class": "equity", "symbols": ["A"], "started_at": NOW, "latency_ms": 1.0, "outcome": "records"},
    **{"cost_calls": 1.0, "cost_usd": 0.25, "bytes": 1},
}


async def insert(store, table, *rows):
    await store.insert(table, {name: [row[name] for row in rows] for name in rows[0]})


async def rows(store, sql):
    return (await store.query(sql)).rows


async def test_the_last_run_of_each_collector_is_told_and_a_repeated_one_counts_once(store):
    await insert(
        store,
        "collector_runs_log",
        RUN,
        {**RUN, "ended_at": NOW + 2, "state": "failed"},
        {**RUN, "run_id": "r2", "collector": "news", "ended_at": NOW + 9},
        {**RUN, "run_id": "r3", "collector": "news", "ended_at": NOW + 5, "state": "skipped"},
    )

    assert sorted((row[0], row[1], row[2]) for row in await rows(store, LAST_RUNS)) == [
        ("news", "r2", "done"),
        ("prices", "r1", "failed"),
    ]
    assert await rows(store, run_sql("r1")) == [("failed", "")]
    assert await rows(store, run_sql("r0")) == []
    assert await rows(store, "SELECT errors FROM collector_runs WHERE run_id = 'r1'") == [({"Busy": 1},)]


async def test_a_schedule_has_fired_when_its_run_is_reported_and_was_seen_before(store):
    seen = {"schedule": "prices/close", "at": NOW, "fired": False}
    await insert(store, "schedule_marks_log", seen, {**seen, "schedule": "job", "fired": True})

    assert sorted(await rows(store, FIRES)) == [("job", NOW, True), ("prices/close", NOW, False)]

    await insert(store, "collector_runs_log", {**RUN, "cause": "schedule:prices/close", "due_at": NOW + 7})

    assert {name: (at, fired) for name, at, fired in await rows(store, FIRES)}["prices/close"] == (NOW + 7, True)


async def test_the_calls_of_a_job_are_counted_however_they_ended_and_those_of_no_other(store):
    own = [{**CALL, "call_id": f"c{i}", "request_id": f"j1-{i}/0", "outcome": "Reserved"} for i in range(3)]
    await insert(store, "api_calls_log", *own, CALL | {"call_id": "x", "request_id": "j10-0"})
    await insert(store, "api_calls_log", CALL | {"call_id": "y", "started_at": NOW - 1})

    assert await rows(store, calls_of_sql("j1", NOW)) == [(3,)]


async def test_a_day_s_spending_is_told_by_provider(store):
    await insert(
        store,
        "api_calls_log",
        CALL,
        CALL | {"call_id": "c2", "started_at": NOW + DAY - 1},
        CALL | {"call_id": "c3", "started_at": NOW + DAY},
        CALL | {"call_id": "c4", "provider": "yahoo", "cost_usd": 0.0},
    )

    assert await rows(store, spending_sql(NOW, NOW + DAY)) == [("polygon", 2, 0.5), ("yahoo", 1, 0.0)]


async def test_a_day_s_quality_is_told_of_every_dataset_also_of_one_without_rows(store):
    split = {"symbol": "A", "asset_class": "equity", "source": "s", "kind": "split", "request_id": "r"}
    await insert(
        store,
        "actions_log",
        split | {"ex_date": "2024-01-01", "observed_at": NOW + 5},
        split | {"ex_date": "2024-01-02", "observed_at": NOW + 3},
        split | {"ex_date": "2024-01-03", "observed_at": NOW - 1},
    )
    letter = {"letter_id": "l", "at": NOW, "stage": "validate", "dataset": "bars", "rule": "r", "reason": "r"}
    await insert(store, "dead_letters_log", letter, letter | {"letter_id": "m", "at": NOW + DAY})

    found = {row[0]: tuple(row[1:]) for row in await rows(store, quality_sql(NOW, NOW + DAY))}

    assert found.keys() == DATASET_TABLES.keys()
    assert found["actions"] == (2, 0, NOW + 5)
    assert found["bars"] == (0, 1, None)
    assert found["news"] == (0, 0, None)
