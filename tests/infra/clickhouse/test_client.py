"""The store on the embedded engine: what goes in comes out, and every failure is one clear StoreError."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, date, datetime
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.clickhouse import (
    QueryRefused,
    RowsRefused,
    Store,
    StoreError,
    StoreOwned,
    StoreUrlInvalid,
)
from infra.clickhouse._url import parse

TABLE = """
    CREATE TABLE everything
    (
        n UInt64, at DateTime64(3, 'UTC'), price Nullable(Float64), day Nullable(Date32), flag Nullable(Bool),
        tag LowCardinality(Nullable(String)), items Map(String, Float64), names Array(String),
        CONSTRAINT n_is_small CHECK n < 1000000
    )
    ENGINE = MergeTree ORDER BY n
"""


@pytest.fixture
async def store(tmp_path):
    async with await Store.open(f"chdb://{tmp_path}/store") as opened:
        await opened.execute(TABLE)
        yield opened


def rows_of(n, **columns):
    """`n` rows of the table `everything`, columns replaced by the given ones."""
    count = len(n)
    return {
        "n": n,
        "at": [1_700_000_000_123] * count,
        "price": [1.5] * count,
        "day": ["2024-02-29"] * count,
        "flag": [True] * count,
        "tag": ["x"] * count,
        "items": [{"revenue": 2.0}] * count,
        "names": [["AAPL"]] * count,
        **columns,
    }


async def count(store):
    return (await store.query("SELECT count() FROM everything")).rows[0][0]


async def test_values_come_back_as_they_went_in(store):
    inserted = await store.insert(
        "everything",
        rows_of(
            [1, 2],
            at=[-1_577_923_200_001, 1_700_000_000_123],
            price=[None, 0.1],
            day=[None, "1962-01-02"],
            flag=[None, False],
            tag=[None, "é"],
            items=[{}, {"net_income": -1.5}],
            names=[[], ["BRK.B", "BTC-USD"]],
        ),
    )

    answer = await store.query("SELECT * FROM everything ORDER BY n")

    assert inserted == 2
    assert answer.columns == ("n", "at", "price", "day", "flag", "tag", "items", "names")
    assert answer.rows == [
        (1, datetime(1919, 12, 31, 23, 59, 59, 999_000, UTC), None, None, None, None, {}, []),
        (
            *(2, datetime(2023, 11, 14, 22, 13, 20, 123_000, UTC), 0.1, date(1962, 1, 2), False, "é"),
            *({"net_income": -1.5}, ["BRK.B", "BTC-USD"]),
        ),
    ]


async def test_aware_datetimes_are_the_same_instants_as_milliseconds(store):
    await store.insert("everything", rows_of([1], at=[datetime(2023, 11, 14, 22, 13, 20, 123_000, UTC)]))

    answer = await store.query("SELECT toUnixTimestamp64Milli(at) FROM everything")

    assert answer.rows == [(1_700_000_000_123,)]


async def test_a_large_insert_is_complete(store):
    await store.insert("everything", rows_of(list(range(200_000))))

    answer = await store.query("SELECT count(), uniqExact(n), sum(n) FROM everything")

    assert answer.rows == [(200_000, 200_000, 19_999_900_000)]


async def test_no_rows_are_nothing_to_insert(store):
    assert await store.insert("everything", rows_of([])) == 0
    assert await count(store) == 0


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"n": [1, None]}, "`n`"),
        ({"n": [1, "two"]}, "`n`"),
        ({"n": [1, -2]}, "`n`"),
        ({"n": [1, 1_000_000]}, "n_is_small"),
        ({"at": [1, None]}, "`at`"),
        ({"day": ["2024-02-29", "2024-02-30"]}, "day: "),
        ({"day": ["2024-02-29", "1850-01-01"]}, "day: 1850-01-01"),
        ({"items": [{}, {"eps": None}]}, "items: .*NoneType"),
        ({"items": [None, {}]}, "items: .*empty"),
        ({"names": [[], None]}, "names: .*empty"),
        ({"names": [[], [1]]}, "encode"),
        ({"tag": ["x", "\ud800"]}, "tag: .*surrogates"),
        ({"price": [1.0]}, "length"),
    ],
)
async def test_rows_that_do_not_fit_are_refused_and_none_is_stored(store, columns, said):
    with pytest.raises(RowsRefused, match=said) as refused:
        await store.insert("everything", rows_of([1, 2]) | columns)

    assert "table everything" in str(refused.value)
    assert await count(store) == 0


async def test_one_bad_row_at_the_end_refuses_the_whole_batch(store):
    with pytest.raises(RowsRefused, match="n_is_small"):
        await store.insert("everything", rows_of([*range(60_000), 1_000_000]))

    assert await count(store) == 0


@pytest.mark.parametrize(("table", "columns"), [("nothing", {"n": [1]}), ("everything", {"unknown": [1]})])
async def test_a_missing_table_or_column_is_not_the_rows_fault(store, table, columns):
    with pytest.raises(QueryRefused, match=r"nothing|unknown"):
        await store.insert(table, columns)


async def test_a_column_added_later_can_be_inserted(store):
    await store.insert("everything", rows_of([1]))
    await store.execute("ALTER TABLE everything ADD COLUMN later Nullable(Float64)")

    await store.insert("everything", rows_of([2], later=[7.0]))

    assert (await store.query("SELECT later FROM everything ORDER BY n")).rows == [(None,), (7.0,)]


async def test_a_table_made_anew_is_known_by_its_new_types(store):
    await store.insert("everything", rows_of([1]))
    await store.execute("DROP TABLE everything")
    await store.execute(TABLE.replace("price Nullable(Float64)", "price String"))

    await store.insert("everything", rows_of([1], price=["1.50"]))

    assert (await store.query("SELECT price FROM everything")).rows == [("1.50",)]


@pytest.mark.parametrize("columns", [{"items": [5]}, {"names": [5]}, {"names": [[5]]}, {"tag": [5]}, {"day": [5.5]}])
async def test_a_refused_insert_leaves_no_trace_in_the_next(store, columns):
    await store.insert("everything", rows_of([1]))
    with pytest.raises(RowsRefused):
        await store.insert("everything", rows_of([2], **columns))

    await store.insert("everything", rows_of([3]))

    assert (await store.query("SELECT n FROM everything ORDER BY n")).rows == [(1,), (3,)]


async def test_bad_sql_is_told_in_one_line_without_the_engines_stack(store):
    with pytest.raises(QueryRefused) as refused:
        await store.query("SELEC 1")

    message = str(refused.value)
    assert "Syntax error" in message
    assert not [noise for noise in ("\n", "Expected one of", "DB::Exception", "Stack trace") if noise in message]
    assert len(message) < 300


async def test_a_query_that_fails_half_way_leaves_nothing_in_the_next_answer(store):
    with pytest.raises(QueryRefused):
        await store.query("SELECT number, throwIf(number = 1500000) FROM numbers(2000000)")

    assert (await store.query("SELECT 42")).rows == [(42,)]


async def test_parameters_are_bound_by_the_engine(store):
    answer = await store.query("SELECT {text:String}", {"text": "'; DROP TABLE everything --"})

    assert answer.rows == [("'; DROP TABLE everything --",)]


async def test_a_users_query_cannot_change_what_the_next_one_sees(store):
    with pytest.raises(QueryRefused):
        await store.query_user("USE default")

    assert (await store.query_user("SELECT count() FROM everything -- mine")).rows == [(0,)]


async def test_a_readonly_store_reads_and_refuses_to_write(tmp_path):
    url = f"chdb://{tmp_path}/store"
    async with await Store.open(url) as store:
        await store.execute(TABLE)
        await store.insert("everything", rows_of([1]))

    async with await Store.open(url, readonly=True) as store:
        assert await count(store) == 1
        with pytest.raises(QueryRefused, match="only reading"):
            await store.insert("everything", rows_of([2]))
        with pytest.raises(QueryRefused, match="only reading"):
            await store.execute("DROP TABLE everything")
        assert await count(store) == 1


async def test_a_readonly_store_creates_nothing(tmp_path):
    with pytest.raises(StoreUrlInvalid, match="No such file"):
        await Store.open(f"chdb://{tmp_path}/absent", readonly=True)

    assert list(tmp_path.iterdir()) == []


async def test_databases_of_one_folder_are_separate_and_stay(tmp_path):
    async with await Store.open(f"chdb://{tmp_path}/store?database=mine") as store:
        await store.execute(TABLE)
        await store.insert("everything", rows_of([1]))
    async with await Store.open(f"chdb://{tmp_path}/store") as store:
        with pytest.raises(QueryRefused, match="everything"):
            await count(store)
    async with await Store.open(f"chdb://{tmp_path}/store?database=mine") as store:
        assert await count(store) == 1


async def test_a_closed_store_says_so_and_closes_again_in_peace(tmp_path):
    store = await Store.open(f"chdb://{tmp_path}/store")
    await asyncio.gather(store.close(), store.close())
    await store.close()

    with pytest.raises(StoreError, match="closed"):
        await store.query("SELECT 1")


async def test_one_process_opens_a_folder_once(tmp_path):
    async with await Store.open(f"chdb://{tmp_path}/store"):
        with pytest.raises(StoreOwned, match="this process itself"):
            await Store.open(f"chdb://{tmp_path}/./store")
    async with await Store.open(f"chdb://{tmp_path}/store") as store:
        assert (await store.query("SELECT 1")).rows == [(1,)]


async def test_one_process_opens_one_folder_at_a_time(tmp_path):
    async with await Store.open(f"chdb://{tmp_path}/store") as store:
        with pytest.raises(StoreOwned, match="already"):
            await Store.open(f"chdb://{tmp_path}/other")

        assert (await store.query("SELECT 1")).rows == [(1,)]


OPEN_IN_ANOTHER_PROCESS = """
import asyncio, sys
from infra.clickhouse import Store, StoreError

async def main():
    try:
        store = await Store.open(sys.argv[1])
    except StoreError as exc:
        sys.exit(f"{type(exc).__name__}: {exc}")
    print("open", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


def other_process(url):
    return subprocess.Popen(
        [sys.executable, "-c", OPEN_IN_ANOTHER_PROCESS, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def test_a_second_process_is_told_who_owns_the_folder(tmp_path):
    url = f"chdb://{tmp_path}/store"
    async with await Store.open(url) as store:
        second = other_process(url)
        _, complaint = await asyncio.to_thread(second.communicate)

        assert second.returncode == 1
        assert complaint.startswith("StoreOwned: ")
        assert f"process {os.getpid()}" in complaint
        assert "Traceback" not in complaint
        assert (await store.query("SELECT 1")).rows == [(1,)]


async def test_a_killed_owner_gives_the_folder_up(tmp_path):
    url = f"chdb://{tmp_path}/store"
    with other_process(url) as first:
        assert await asyncio.to_thread(first.stdout.readline) == "open\n"
        with pytest.raises(StoreOwned, match=f"process {first.pid}"):
            await Store.open(url)
        first.send_signal(signal.SIGKILL)
        await asyncio.to_thread(first.wait)

    async with await Store.open(url) as store:
        assert (await store.query("SELECT 1")).rows == [(1,)]


async def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "store").write_text("")

    with pytest.raises(StoreUrlInvalid, match="store"):
        await Store.open(f"chdb://{tmp_path}/store")


@pytest.mark.parametrize(
    "url",
    [
        *("", "store", "chdb", "chdb://", "chdb:///", "chdb://relative/folder", "chdb:///x?readonly=1"),
        *("http://", "http:///database", "http://host:port/", "http://host:99999", "tcp://host:9000/x"),
        *("http://host/data-base", "http://host/a/b", "chdb:///x?database=a.b"),
    ],
)
async def test_a_malformed_url_is_refused_with_the_right_forms(url):
    with pytest.raises(StoreUrlInvalid, match=r"chdb://"):
        await Store.open(url)


@given(tail=st.text(), host=st.sampled_from(["host", "host:99999", "host:x", "", "[::1]", "["]))
def test_no_password_is_shown(tail, host):
    url = f"https://user:s3cret{quote(tail, safe='')}@{host}/database"
    try:
        shown = repr(parse(url))
    except StoreUrlInvalid as exc:
        shown = f"{exc} {exc.__cause__}"

    assert "s3cret" not in shown


@given(st.text())
def test_any_text_is_a_url_or_refused(text):
    try:
        parse(text)
    except StoreUrlInvalid:
        return

    assert text.lstrip().lower().startswith(("chdb:", "http:", "https:"))
