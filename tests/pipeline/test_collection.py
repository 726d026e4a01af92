"""A session from Python: the program looks on, changes what is collected, and ends it."""

import asyncio
import time

import pytest

from infra import settings
from infra.clickhouse import Store
from infra.ports import free_port
from streams.client import Collection
from streams.errors import NothingToCollect
from tests.waiting import until_in_thread

pytestmark = pytest.mark.pipeline


@pytest.fixture
def fast(tmp_path, monkeypatch):
    """Time runs 60 times as fast, for this process and its children."""
    given = {"DATA_DIR": tmp_path, "WEB_PORT": free_port(), "CLOCK_RATE": 60, "CLOCK_ANCHOR": round(time.time() * 1000)}
    for name, value in given.items():
        monkeypatch.setenv(name, str(value))
    return tmp_path


def changed_symbols(collection):
    return {order.symbol for order in collection.folder.manifest().changes}


async def answer(folder, sql):
    async with await Store.open(f"chdb://{folder / 'store'}", readonly=True) as store:
        return (await store.query(sql)).rows


def test_a_collection_runs_beside_the_program_which_changes_and_stops_it(fast):
    wish = {"sources": ["polygon", "yahoo"], "datasets": ["quote", "profile"], "hours": 4, "sandbox": True}
    with Collection(symbols=["AAPL", "MSFT"], **wish) as collection:
        until_in_thread(lambda: collection.status()["units_done"] >= 6, "six units")
        assert not collection.wait(timeout_s=0)
        collection.add_symbol("IBM")
        collection.remove_symbol("MSFT")
        until_in_thread(lambda: "MSFT" in changed_symbols(collection), "the removal of MSFT")
        changed = settings.load().clock.now_ms()
        done = collection.status()["units_done"]
        until_in_thread(lambda: collection.status()["units_done"] >= done + 8, "eight more units")
        assert collection.statistics()["yahoo"]["records"] > 0
        collection.stop()
        assert collection.wait()

    summary = collection.summary()["session_summary"]
    late = f"WHERE request_id LIKE '{collection.id}-%' AND observed_at > fromUnixTimestamp64Milli({changed + 120_000})"
    rows = asyncio.run(answer(fast, f"SELECT DISTINCT symbol FROM quotes {late} ORDER BY symbol"))
    profiles = asyncio.run(answer(fast, "SELECT DISTINCT symbol FROM profiles ORDER BY symbol"))
    calls = asyncio.run(answer(fast, "SELECT count() FROM api_calls"))
    assert collection.status()["state"] == "completed"
    assert [symbol for (symbol,) in rows] == ["AAPL", "IBM"]
    assert [symbol for (symbol,) in profiles] == ["AAPL", "IBM", "MSFT"]
    assert calls[0][0] == summary["api_calls"]


def test_a_collection_that_can_ask_nobody_says_so(fast):
    with pytest.raises(NothingToCollect, match="no source can be asked"), Collection(sources=["polygon"]) as collection:
        collection.wait()

    assert collection.status()["state"] == "failed"
    assert "polygon has no key: set POLYGON_KEYS" in collection.folder.log.read_text()
