"""What is reported twice, with two times, is one row in every view, and counts once; also what an older store holds."""

import pytest

from infra.clickhouse import Store, log_table, migrate
from infra.clickhouse.migrate import PACKAGED, load
from streams.messaging import topics
from streams.processing.table_rows import TABLES

TS = 1_780_000_000_000
DAY = 86_400_000
REPORTS = {
    "api_calls": [
        {
            "call_id": "c",
            "provider": "polygon",
            "started_at": TS,
            "ended_at": None,
            "outcome": "Reserved",
            "cost_usd": 2.0,
        },
        {
            "call_id": "c",
            "provider": "polygon",
            "started_at": TS + 9,
            "ended_at": TS + 70,
            "outcome": "records",
            "cost_usd": 2.0,
        },
    ],
    "polls": [
        {"request_id": "r", "dataset": "bars", "outcome": "records", "records": 5, "at": TS},
        {"request_id": "r", "dataset": "bars", "outcome": "records", "records": 5, "at": TS + 40 * DAY},
    ],
    "raw_responses": [
        {"call_id": "c", "provider": "polygon", "dataset": "bars", "body": "old", "received_at": 2 * TS},
        {"call_id": "c", "provider": "polygon", "dataset": "bars", "body": "new", "received_at": 2 * TS + DAY},
    ],
    "dead_letters": [
        {"letter_id": "l", "rule": "time", "reason": "", "at": TS},
        {"letter_id": "l", "rule": "time", "reason": "", "at": TS + DAY},
    ],
    "collector_runs": [
        {"run_id": "r", "collector": "prices", "cause": "schedule:s", "state": "failed", "ended_at": TS, "due_at": TS},
        {
            "run_id": "r",
            "collector": "prices",
            "cause": "schedule:s",
            "state": "done",
            "ended_at": TS + 9,
            "due_at": TS,
        },
    ],
    "universe_changes": [
        {"symbol": "KO", "asset_class": "equity", "change": "add", "at": TS},
        {"symbol": "KO", "asset_class": "equity", "change": "add", "at": TS + 9},
    ],
}
"""Of each table that holds reports: two of one thing, the latest one last."""
RESOLVED = [{"letter_id": "l", "rule": "time", "at": at, "resolved_at": TS + 2 * DAY} for at in (TS, TS + DAY)]
LATEST = {
    "api_calls": "SELECT outcome, cost_usd FROM api_calls",
    "polls": "SELECT records, toUnixTimestamp64Milli(at) FROM polls",
    "raw_responses": "SELECT body, toUnixTimestamp64Milli(received_at) FROM raw_responses",
    "dead_letters": "SELECT letter_id, toUnixTimestamp64Milli(at) FROM dead_letters",
    "collector_runs": "SELECT run_id, state FROM collector_runs",
    "universe_changes": "SELECT symbol, toUnixTimestamp64Milli(at) FROM universe_changes",
}
EXPECTED = {
    "api_calls": ("records", 2.0),
    "polls": (5, TS + 40 * DAY),
    "raw_responses": ("new", 2 * TS + DAY),
    "dead_letters": ("l", TS + DAY),
    "collector_runs": ("r", "done"),
    "universe_changes": ("KO", TS + 9),
}
FIRST_OF = {"api_calls": ("started_at", TS), "polls": ("at", TS), "raw_responses": ("received_at", 2 * TS)}


@pytest.fixture
async def embedded(tmp_path):
    async with await Store.open(f"chdb://{tmp_path}/store") as opened:
        yield opened


@pytest.fixture
async def served(clickhouse_server):
    async with await Store.open(clickhouse_server.url()) as opened:
        yield opened


@pytest.fixture(params=["embedded", "served"])
def empty(request):
    """A store without a schema: of the embedded engine, and of ClickHouse's server."""
    return request.getfixturevalue(request.param)


async def insert(store, table, *rows):
    for row in rows:
        await store.insert(log_table(table), {name: [value] for name, value in row.items()})


async def one_row_each(store):
    for table, sql in LATEST.items():
        assert (await store.query(sql)).rows == [EXPECTED[table]], table
    for table, (column, at) in FIRST_OF.items():
        before = f"SELECT count() FROM {table} WHERE {column} <= fromUnixTimestamp64Milli({at})"
        assert (await store.query(before)).rows == [(0,)], f"{table} shows the replaced row to those who ask by time"


def test_every_table_that_the_sink_fills_with_reports_is_asked():
    assert set(REPORTS) == {table.name for topic, table in TABLES.items() if topic not in topics.MARKET.values()}


@pytest.mark.parametrize("order", [1, -1], ids=["in order", "the latest first"])
async def test_what_is_reported_twice_is_one_row_and_counts_once(empty, order):
    await migrate(empty)
    for table, rows in REPORTS.items():
        await insert(empty, table, *rows[::order], *rows[::order])

    await one_row_each(empty)
    assert (await empty.query("SELECT sum(records) FROM polls")).rows == [(5,)]
    assert (await empty.query("SELECT sum(cost_usd) FROM api_calls")).rows == [(2.0,)]
    fires = "SELECT schedule, toUnixTimestamp64Milli(last_at) FROM schedule_fires"
    assert (await empty.query(fires)).rows == [("s", TS)]

    await insert(empty, "dead_letters", *RESOLVED[::order])
    assert (await empty.query("SELECT letter_id FROM resolved_dead_letters")).rows == [("l",)]
    assert (await empty.query("SELECT count() FROM dead_letters")).rows == [(0,)]


async def test_a_store_of_before_keeps_its_rows_and_loses_the_doubles(empty, tmp_path):
    folder = tmp_path / "earlier"
    folder.mkdir()
    for migration in load():
        if migration.version < 9:
            name = f"{migration.name}.sql"
            (folder / name).write_bytes(PACKAGED.joinpath(name).read_bytes())
    await migrate(empty, folder)
    for table, rows in REPORTS.items():
        await insert(empty, table, *rows)
    others = {
        "api_calls": {"call_id": "d", "provider": "yahoo", "started_at": TS, "outcome": "Reserved", "worker": "w"},
        "polls": {"request_id": "s", "dataset": "quote", "records": 1, "at": TS, "tried": "[]"},
        "raw_responses": {"call_id": "d", "provider": "yahoo", "received_at": 2 * TS, "body": "other"},
    }
    for table, row in others.items():
        await insert(empty, table, row)
    assert (await empty.query("SELECT count() FROM polls WHERE request_id = 'r'")).rows == [(2,)]

    assert (await migrate(empty))[0] == "0009_one_row_per_request"

    for table, row in others.items():
        for name, value in row.items():
            read = f"toUnixTimestamp64Milli({name})" if isinstance(value, int) and value >= TS else name
            key = next(iter(row))
            found = await empty.query(f"SELECT {read} FROM {table} WHERE {key} = '{row[key]}'")
            assert found.rows == [(value,)]
        await empty.query(f"SELECT count() FROM {table}")
    for table in FIRST_OF:
        assert (await empty.query(f"SELECT count() FROM {table}")).rows == [(2,)]
    for table in ("api_calls", "polls", "raw_responses"):
        await insert(empty, table, *REPORTS[table])
        assert (await empty.query(f"SELECT count() FROM {table}")).rows == [(2,)]
