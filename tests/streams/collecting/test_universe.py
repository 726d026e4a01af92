"""Changes of the universe: what may be one, and that it is told whether they are stored."""

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import settings
from infra.clickhouse import Store
from infra.clickhouse.universe import changed_sql
from infra.kafka.admin import ensure_topics
from infra.ports import free_port
from streams.collecting import universe
from streams.collecting.universe import changes, hand_over, keep
from streams.errors import ChangeInvalid
from streams.messaging import topics
from streams.messaging.follow import follow, tail
from streams.messaging.messages import UniverseChange
from streams.runtime import query as answering
from tests.waiting import LIMIT_S

NOW = 1_717_416_000_000


@given(st.lists(st.from_regex(r"[A-Z]{1,4}(\.[A-Z]|-USD|/EUR)?", fullmatch=True), max_size=8))
def test_each_symbol_is_changed_once_in_its_order(symbols):
    found = changes("add", symbols, "equity", NOW)

    assert [change.symbol for change in found] == sorted(set(symbols), key=symbols.index)
    assert {(change.change, change.asset_class, change.at) for change in found} <= {("add", "equity", NOW)}


@given(st.text(alphabet="AB ,", max_size=6).filter(lambda text: not re.fullmatch("[AB]+", text)))
def test_what_is_no_symbol_is_refused(strange):
    with pytest.raises(ChangeInvalid, match="is no symbol; write canonical symbols"):
        changes("remove", ["AAPL", strange], "equity", NOW)


def test_an_unknown_asset_class_is_told_with_the_known_ones():
    with pytest.raises(ChangeInvalid, match="unknown asset class 'stock'; known: equity, etf"):
        changes("add", ["AAPL"], "stock", NOW)


async def test_without_a_pipeline_changes_are_in_the_store_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(universe, "BROKER_S", 0.1)
    environ = {"DATA_DIR": str(tmp_path / "data"), "KAFKA_URL": f"kafka://127.0.0.1:{free_port()}"}
    configured = settings.load(Path("no.env"), environ)

    assert await keep(configured, changes("add", ["TSM"], "equity", NOW))
    assert await keep(configured, changes("remove", ["XOM"], "equity", NOW))

    async with await Store.open(configured.store_url, readonly=True) as store:
        found = await store.query("SELECT symbol, change FROM universe_changes ORDER BY symbol")
    assert found.rows == [("TSM", "add"), ("XOM", "remove")]


@pytest.mark.pipeline
async def test_changes_are_handed_to_the_pipeline_and_looked_for_in_the_store(embedded_broker, monkeypatch):
    monkeypatch.setattr(answering, "LOOK_S", 0.0)
    await ensure_topics(embedded_broker, topics.SPECS)
    changed = changes("add", ["TSM", "ASML"], "equity", NOW)
    stored = iter([[], [(1,)], [(2,)]])

    async def ask(sql):
        assert sql == changed_sql("equity", NOW)
        return next(stored)

    async def none(_):
        return [(1,)]

    async with asyncio.timeout(LIMIT_S), tail(embedded_broker, topics.UNIVERSE_CHANGES) as consumer:
        assert await hand_over(embedded_broker, changed, ask)
        records = follow(consumer, embedded_broker)
        heard = [UniverseChange.decode((await anext(records)).value) for _ in changed]
    assert not await hand_over(embedded_broker, changed, none)

    assert sorted(heard, key=lambda change: change.symbol) == changed[::-1]
