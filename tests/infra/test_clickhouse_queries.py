"""The program's own questions, on a store with a handful of rows."""

import pytest

from infra.clickhouse import QueryRefused, Store, migrate
from infra.clickhouse.queries import (
    CallCost,
    Coverage,
    ProviderSummary,
    calls_since,
    columns,
    coverage,
    provider_summaries,
    row_counts,
)

DAY = 86_400_000
NOON = 1_700_000_000_123


@pytest.fixture
async def store(tmp_path):
    async with await Store.open(f"chdb://{tmp_path}/store") as opened:
        await migrate(opened)
        yield opened


async def insert(store, table, *rows):
    await store.insert(table, {name: [row[name] for row in rows] for name in rows[0]})


def call(call_id, **differing):
    return {
        **{"call_id": call_id, "request_id": "r", "provider": "polygon", "key_label": "polygon#1", "endpoint": "aggs"},
        **{"dataset": "bars", "asset_class": "equity", "symbols": ["AAPL"], "started_at": NOON, "latency_ms": 1.0},
        **{"status": 200, "outcome": "records", "retry_after_s": None, "cost_calls": 1.0, "cost_usd": 0.0, "bytes": 9},
        **differing,
    }


def bar(ts, **differing):
    return {
        **{"symbol": "AAPL", "asset_class": "equity", "source": "polygon", "interval": "1d", "adjustment": "raw"},
        **{"ts": ts, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "observed_at": NOON, "request_id": "r"},
        **differing,
    }


def quote(**differing):
    return {
        **{"symbol": "AAPL", "asset_class": "equity", "source": "yahoo", "ts": NOON, "ts_estimated": False},
        **{"observed_at": NOON, "request_id": "r", **differing},
    }


def letter(letter_id, **differing):
    return {
        **{"letter_id": letter_id, "at": NOON, "stage": "validate", "provider": "polygon", "rule": "x", "reason": "y"},
        **differing,
    }


async def test_rows_are_counted_once_and_empty_tables_too(store):
    await insert(store, "bars_log", bar(0), bar(DAY))
    await insert(store, "bars_log", bar(0), bar(DAY))
    await insert(store, "dead_letters_log", letter("a"))

    counts = await row_counts(store)

    assert {table: count for table, count in counts.items() if count} == {"bars": 2, "dead_letters": 1}
    assert list(counts)[:3] == ["quotes", "bars", "actions"]
    assert len(counts) == 14


async def test_a_summary_says_what_each_provider_was_asked_and_gave(store):
    limited = {"outcome": "RateLimited", "status": 429}
    await insert(store, "api_calls_log", call("a"), call("b"), call("c", **limited), call("c", **limited))
    await insert(store, "api_calls_log", call("d", provider="finnhub", outcome="ProviderUnavailable", status=None))
    await insert(store, "bars_log", bar(0), bar(DAY), bar(DAY))
    await insert(store, "quotes_log", quote())
    await insert(store, "dead_letters_log", letter("a"), letter("b", provider=None), letter("c", provider=""))

    assert await provider_summaries(store) == [
        ProviderSummary("finnhub", 1, 0, {"ProviderUnavailable": 1}, records=0, bars=0, rejects=0),
        ProviderSummary("polygon", 3, 2, {"RateLimited": 1}, records=0, bars=2, rejects=1),
        ProviderSummary("yahoo", 0, 0, {}, records=1, bars=0, rejects=0),
    ]
    assert await provider_summaries(store, since=NOON + 1) == []


async def test_calls_since_a_moment_replay_quotas_in_order(store):
    later = call("b", started_at=NOON + 1, key_label=None, cost_usd=0.0015)
    limited = call("c", started_at=NOON, outcome="RateLimited", retry_after_s=30.0)
    await insert(store, "api_calls_log", later, limited, limited, call("a", started_at=NOON - 1))

    assert await calls_since(store, NOON) == [
        CallCost("polygon", "polygon#1", NOON, 1.0, 0.0, "RateLimited", 30.0),
        CallCost("polygon", None, NOON + 1, 1.0, 0.0015, "records", None),
    ]


async def test_coverage_is_per_series(store):
    await insert(store, "bars_log", bar(0), bar(3 * DAY), bar(3 * DAY), bar(DAY, adjustment="split"))
    await insert(store, "bars_log", bar(DAY, symbol="CL"), bar(2 * DAY, symbol="CL", asset_class="commodity"))
    await insert(store, "bars_log", bar(-5 * DAY, source="yahoo"))

    polygon = await coverage(store, source="polygon")

    assert polygon == [
        Coverage("AAPL", "equity", "polygon", "1d", "raw", 0, 3 * DAY, 2),
        Coverage("AAPL", "equity", "polygon", "1d", "split", DAY, DAY, 1),
        Coverage("CL", "equity", "polygon", "1d", "raw", DAY, DAY, 1),
        Coverage("CL", "commodity", "polygon", "1d", "raw", 2 * DAY, 2 * DAY, 1),
    ]
    assert await coverage(store, symbol="AAPL", source="yahoo") == [
        Coverage("AAPL", "equity", "yahoo", "1d", "raw", -5 * DAY, -5 * DAY, 1)
    ]
    assert len(await coverage(store)) == 5


async def test_columns_are_told_with_their_types(store):
    found = await columns(store, "news")

    assert list(found)[:2] == ["source", "id"]
    assert found["symbols"] == "Array(String)"


async def test_columns_of_no_table_are_refused(store):
    with pytest.raises(QueryRefused, match="nothing"):
        await columns(store, "nothing")
