"""The program's own questions, on a store with a handful of rows."""

import pytest

from infra.clickhouse import QueryRefused
from infra.clickhouse.queries import ROW_COUNTS, CallCost, calls_since, columns

DAY = 86_400_000
NOON = 1_700_000_000_123


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


def letter(letter_id, **differing):
    return {
        **{"letter_id": letter_id, "at": NOON, "stage": "validate", "provider": "polygon", "rule": "x", "reason": "y"},
        **differing,
    }


async def test_rows_are_counted_once_and_empty_tables_too(store):
    await insert(store, "bars_log", bar(0), bar(DAY))
    await insert(store, "bars_log", bar(0), bar(DAY))
    await insert(store, "dead_letters_log", letter("a"))

    counts = dict((await store.query(ROW_COUNTS)).rows)

    assert {table: count for table, count in counts.items() if count} == {"bars": 2, "dead_letters": 1}
    assert list(counts)[:3] == ["quotes", "bars", "actions"]
    assert len(counts) == 15


async def test_calls_since_a_moment_replay_quotas_in_order(store):
    later = call("b", started_at=NOON + 1, key_label=None, cost_usd=0.0015, outcome="Reserved")
    limited = call(
        "c", started_at=NOON, ended_at=NOON + 9, outcome="RateLimited", retry_after_s=30.0, resets_at=NOON + 30
    )
    limited |= {"said_left": 0.0, "said_limit": 5.0, "said_resets_at": NOON + 40, "scope": "{}", "error": "no"}
    for row in (later, limited, limited, call("a", started_at=NOON - 1)):
        await insert(store, "api_calls_log", row)

    known = {"provider": "polygon", "endpoint": "aggs", "cost_calls": 1.0}
    nothing = dict.fromkeys(("ended_at", "retry_after_s", "resets_at", "said_left", "said_limit", "said_resets_at"))
    assert await calls_since(store, NOON) == [
        CallCost(
            **{**known, "call_id": "c", "key_label": "polygon#1", "started_at": NOON, "ended_at": NOON + 9},
            **{"outcome": "RateLimited", "retry_after_s": 30.0, "resets_at": NOON + 30, "scope": "{}", "error": "no"},
            **{"said_left": 0.0, "said_limit": 5.0, "said_resets_at": NOON + 40, "cost_usd": 0.0, "reserved_usd": 0.0},
            triggered_by="",
        ),
        CallCost(
            **{**known, **nothing, "call_id": "b", "key_label": "", "started_at": NOON + 1},
            **{"outcome": "Reserved", "scope": "", "error": "", "cost_usd": 0.0015, "reserved_usd": 0.0015},
            triggered_by="",
        ),
    ]


async def test_a_call_of_before_its_end_was_kept_ended_when_it_started(store):
    await insert(store, "api_calls_log", call("a"))

    (found,) = await calls_since(store, NOON)
    assert (found.outcome, found.ended_at) == ("records", NOON)


async def test_columns_are_told_with_their_types(store):
    found = await columns(store, "news")

    assert list(found)[:2] == ["source", "id"]
    assert found["symbols"] == "Array(String)"


async def test_columns_of_no_table_are_refused(store):
    with pytest.raises(QueryRefused, match="nothing"):
        await columns(store, "nothing")
