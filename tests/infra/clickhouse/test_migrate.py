"""Migrations: each once, in order, unedited; and what the packaged ones promise of the tables."""

import pytest

from connectors.records import DATASETS
from infra.clickhouse import (
    DATASET_TABLES,
    MigrationRefused,
    QueryRefused,
    RowsRefused,
    Store,
    log_table,
    migrate,
    pending,
)
from infra.clickhouse.migrate import PACKAGED, load
from infra.clickhouse.queries import OPERATION_TABLES, calls_since, columns, refused_since

TS = 1_700_000_000_123
COMMON = {"symbol": "AAPL", "asset_class": "equity", "source": "yahoo", "observed_at": TS, "request_id": "r1"}
BAR = {**COMMON, "interval": "1d", "adjustment": "raw", "ts": TS, "open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5}
SMALLEST = {
    "quotes": {**COMMON, "ts": TS, "ts_estimated": False},
    "bars": BAR,
    "actions": {**COMMON, "kind": "split", "ex_date": "2014-06-09"},
    "profiles": {**COMMON, "ts": TS},
    "statements": {
        **COMMON,
        "statement": "income",
        "period": "FY",
        "fiscal_date": "2023-09-30",
        "items": {"revenue": 1.0},
    },
    "metrics": {**COMMON, "kind": "ratios", "period": "spot", "as_of": "2023-09-30", "values": {"pe": 1.0}},
    "earnings": COMMON,
    "news": {
        "source": "yahoo",
        "id": "n1",
        "ts": TS,
        "title": "t",
        "symbols": [],
        "observed_at": TS,
        "request_id": "r1",
    },
    "insiders": {**COMMON, "id": "i1"},
    "recommendations": {**COMMON, "kind": "consensus"},
    "assets": {**COMMON, "provider_symbol": "AAPL"},
}


@pytest.fixture
async def store(tmp_path):
    async with await Store.open(f"chdb://{tmp_path}/store") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "migrations"
    made.mkdir()
    (made / "0001_first.sql").write_text("CREATE TABLE IF NOT EXISTS first (n UInt8) ENGINE = Memory;\n")
    (made / "0002_second.sql").write_text(
        "-- a remark; with a semicolon;\n"
        "CREATE TABLE IF NOT EXISTS second (n UInt8) ENGINE = Memory;\n\n"
        "CREATE VIEW IF NOT EXISTS seconds AS\nSELECT n, ';' AS mark FROM second;\n"
    )
    return made


async def insert(store, table, row):
    await store.insert(log_table(table), {name: [value] for name, value in row.items()})


async def test_each_migration_is_applied_once(store, folder):
    assert [waiting.name for waiting in await pending(store, folder)] == ["0001_first", "0002_second"]
    assert await migrate(store, folder) == ["0001_first", "0002_second"]
    assert await pending(store, folder) == []
    assert await migrate(store, folder) == []

    record = await store.query("SELECT version, name, length(sha256) FROM schema_migrations FINAL ORDER BY version")

    assert record.rows == [(1, "0001_first", 64), (2, "0002_second", 64)]
    assert (await store.query("SELECT count() FROM seconds")).rows == [(0,)]


async def test_a_new_file_is_applied_alone(store, folder):
    await migrate(store, folder)
    (folder / "0003_third.sql").write_text("ALTER TABLE first ADD COLUMN IF NOT EXISTS m UInt8;")

    assert await migrate(store, folder) == ["0003_third"]


async def test_a_migration_that_failed_half_way_is_tried_again(store, folder):
    (folder / "0002_second.sql").write_text("CREATE TABLE IF NOT EXISTS second (n UInt8) ENGINE = Memory;\nNONSENSE;\n")
    with pytest.raises(QueryRefused, match=r"0002_second: .*NONSENSE"):
        await migrate(store, folder)
    (folder / "0002_second.sql").write_text("CREATE TABLE IF NOT EXISTS second (n UInt8) ENGINE = Memory;\n")

    assert await migrate(store, folder) == ["0002_second"]


async def test_two_that_started_at_once_leave_one_record(store, folder):
    await migrate(store, folder)
    for applied in load(folder):
        row = {"version": applied.version, "name": applied.name, "sha256": applied.sha256}
        await store.insert("schema_migrations", {name: [value] for name, value in row.items()})

    assert await pending(store, folder) == []
    assert (await store.query("SELECT count() FROM schema_migrations FINAL")).rows == [(2,)]


async def test_an_edited_file_is_refused(store, folder):
    await migrate(store, folder)
    (folder / "0001_first.sql").write_text("CREATE TABLE IF NOT EXISTS first (n UInt16) ENGINE = Memory;\n")

    with pytest.raises(MigrationRefused, match="0001_first is not what the store has had"):
        await migrate(store, folder)


async def test_a_renamed_file_is_refused(store, folder):
    await migrate(store, folder)
    (folder / "0001_first.sql").rename(folder / "0001_primary.sql")

    with pytest.raises(MigrationRefused, match="0001_primary is not what the store has had as 0001_first"):
        await pending(store, folder)


async def test_a_missing_file_is_refused(store, folder):
    await migrate(store, folder)
    (folder / "0002_second.sql").unlink()

    with pytest.raises(MigrationRefused, match="0002_second, which is missing"):
        await migrate(store, folder)


async def test_a_file_before_an_applied_one_is_refused(store, folder):
    (folder / "0002_second.sql").rename(folder / "0003_second.sql")
    await migrate(store, folder)
    (folder / "0002_between.sql").write_text("SELECT 1;")

    with pytest.raises(MigrationRefused, match="0002_between comes before 0003_second"):
        await migrate(store, folder)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("0002_again.sql", "SELECT 1;", "0002_again and 0002_second have one number"),
        ("third.sql", "SELECT 1;", "NNNN_name.sql"),
        ("0003_third.sql", "-- nothing yet\n", "no statement"),
    ],
)
def test_a_folder_with_a_faulty_file_is_refused(folder, name, content, said):
    (folder / name).write_text(content)

    with pytest.raises(MigrationRefused, match=said):
        load(folder)


@pytest.mark.parametrize("last", [1, 3, 6, 8, 9])
async def test_calls_that_an_earlier_version_stored_are_read_by_this_one(store, tmp_path, last):
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    for file in PACKAGED.iterdir():
        if file.name.endswith(".sql") and int(file.name[:4]) <= last:
            (earlier / file.name).write_bytes(file.read_bytes())
    await migrate(store, earlier)
    row = {
        **{"call_id": "c", "request_id": "r", "provider": "polygon", "key_label": "polygon#1", "endpoint": "news"},
        **{"dataset": "news", "asset_class": "equity", "symbols": ["KO"], "started_at": TS, "latency_ms": 1.0},
        **{"status": 403, "outcome": "NotEntitled", "cost_calls": 2.0, "cost_usd": 0.5, "bytes": 9, "error": "no"},
    }
    scope = {"scope": '{"endpoint":"news"}', "reserved_usd": 0.75} if last >= 7 else {}
    await insert(store, "api_calls", row | scope)

    applied = await migrate(store)

    assert [int(name[:4]) for name in applied] == [*range(last + 1, load()[-1].version + 1)]
    (call,) = await calls_since(store, 0)
    assert (call.call_id, call.ended_at, call.outcome, call.cost_calls, call.error) == ("c", TS, "NotEntitled", 2, "no")
    assert (call.cost_usd, call.reserved_usd, call.triggered_by) == (0.5, 0.75 if scope else 0.5, "")
    assert [known.scope for known in await refused_since(store, 0)] == [known for known in [call.scope] if known]
    assert call.scope == scope.get("scope", "")


async def test_every_packaged_statement_may_run_twice(store):
    await migrate(store)

    for migration in load():
        for statement in migration.statements:
            await store.execute(statement)


@pytest.mark.parametrize("dataset", DATASETS)
async def test_tables_have_the_fields_of_their_records(store, dataset):
    await migrate(store)
    record = DATASETS[dataset].model_fields

    for table in (DATASET_TABLES[dataset], log_table(DATASET_TABLES[dataset])):
        assert sorted(await columns(store, table)) == sorted(record)


@pytest.mark.parametrize("dataset", [dataset for dataset in DATASETS if dataset != "bars"])
async def test_what_a_record_may_leave_out_is_nullable_in_its_table(store, dataset):
    await migrate(store)
    optional = {name for name, field in DATASETS[dataset].model_fields.items() if field.default is None}

    kinds = await columns(store, DATASET_TABLES[dataset])

    assert {name for name, kind in kinds.items() if "Nullable" in kind} == optional


@pytest.mark.parametrize("table", SMALLEST)
async def test_absent_stays_null_and_a_replay_changes_nothing(store, table):
    await migrate(store)
    for _ in range(3):
        await insert(store, table, SMALLEST[table])
    await insert(store, table, SMALLEST[table] | {"observed_at": TS + 1, "request_id": "newer"})
    await insert(store, table, SMALLEST[table] | {"observed_at": TS - 1, "request_id": "older"})

    answer = await store.query(f"SELECT * EXCEPT ({', '.join(SMALLEST[table])}) FROM {table}")
    kept = await store.query(f"SELECT request_id, toUnixTimestamp64Milli(observed_at) FROM {table}")

    assert answer.rows == [(None,) * len(answer.columns)]
    assert kept.rows == [("newer", TS + 1)]


@pytest.mark.parametrize("table", ["quotes", "bars", "assets"])
async def test_a_future_and_a_share_of_one_ticker_are_two(store, table):
    await migrate(store)
    for asset_class in ("equity", "commodity", "equity"):
        await insert(store, table, SMALLEST[table] | {"symbol": "CL", "asset_class": asset_class})

    answer = await store.query(f"SELECT asset_class FROM {table} ORDER BY asset_class")

    assert answer.rows == [("commodity",), ("equity",)]


async def test_one_instrument_of_two_classes_is_one(store):
    await migrate(store)
    await insert(store, "bars", BAR | {"asset_class": "equity"})
    await insert(store, "bars", BAR | {"asset_class": "etf"})

    assert (await store.query("SELECT count() FROM bars")).rows == [(1,)]


async def test_the_latest_quote_is_the_newest_whatever_the_order(store):
    await migrate(store)
    for ts, price in ((TS, 1.0), (TS + 2000, 3.0), (TS + 1000, 2.0)):
        await insert(store, "quotes", SMALLEST["quotes"] | {"ts": ts, "price": price})
    await insert(store, "quotes", SMALLEST["quotes"] | {"source": "polygon", "price": 9.0})

    answer = await store.query("SELECT source, price FROM latest_quotes ORDER BY source")

    assert answer.rows == [("polygon", 9.0), ("yahoo", 3.0)]


async def test_daily_bars_are_the_daily_ones(store):
    await migrate(store)
    for interval in ("1m", "1d", "1w"):
        await insert(store, "bars", BAR | {"interval": interval})

    assert (await store.query("SELECT interval FROM daily_bars")).rows == [("1d",)]


async def test_a_century_of_every_interval_is_one_insert(store):
    await migrate(store)
    intervals = ("1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "1mo")
    years = [TS - year * 31_557_600_000 for year in range(65)]
    rows = [BAR | {"interval": interval, "ts": ts} for interval in intervals for ts in years]

    await store.insert("bars_log", {name: [row[name] for row in rows] for name in BAR})

    assert (await store.query("SELECT count() FROM bars")).rows == [(len(rows),)]


async def test_a_time_that_the_store_cannot_show_is_refused(store):
    await migrate(store)

    with pytest.raises(RowsRefused, match="ts_representable"):
        await insert(store, "bars", BAR | {"ts": -2_300_000_000_000})


async def test_calls_responses_and_letters_replayed_are_one(store):
    await migrate(store)
    call = {"call_id": "c1", "request_id": "r1", "provider": "yahoo", "endpoint": "chart", "dataset": "bars"}
    response = {"symbols": ["AAPL"], "status": 200, "key_label": None, "latency_ms": 12.5}
    cost = {"asset_class": "equity", "interval": "1d", "outcome": "records", "cost_calls": 1.0, "cost_usd": 0.0}
    rows = {
        "api_calls": {**call, **response, **cost, "started_at": TS, "retry_after_s": None, "bytes": 2, "error": None},
        "polls": {"request_id": "r1", "job_id": "j", "dataset": "bars", "symbols": ["AAPL"], "at": TS, "tried": "[]"},
        "raw_responses": {
            **call,
            **response,
            **{
                "url": "https://example.test/chart",
                "params": {"range": "max"},
                "headers": {"etag": "7"},
                "body": b'{"a": "\xc3\xa9"}',
            },
            "received_at": 4_000_000_000_000,
        },
        "dead_letters": {
            **{"letter_id": "l1", "at": TS, "stage": "validate", "rule": "low_above_high", "reason": "low 2 > high 1"},
            **{"provider": None, "raw_offset": None, "row": '{"low": 2}'},
        },
    }
    for table in OPERATION_TABLES:
        for _ in range(2):
            await insert(store, table, rows[table])

        assert (await store.query(f"SELECT count() FROM {table}")).rows == [(1,)]

    assert (await store.query("SELECT body, headers FROM raw_responses")).rows == [('{"a": "é"}', {"etag": "7"})]
