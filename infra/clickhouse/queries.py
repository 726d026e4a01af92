"""The questions the program itself asks of the store. Times go in and come out as milliseconds since the epoch, UTC."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from infra.clickhouse._errors import QueryRefused
from infra.clickhouse.client import Store

DATASET_TABLES = {
    "quote": "quotes",
    "bars": "bars",
    "actions": "actions",
    "profile": "profiles",
    "statements": "statements",
    "metrics": "metrics",
    "earnings": "earnings",
    "news": "news",
    "insider": "insiders",
    "recommendations": "recommendations",
    "assets": "assets",
}
"""Dataset → the deduplicated view that readers use."""

OPERATION_TABLES = ("api_calls", "raw_responses", "dead_letters")


@dataclass(frozen=True, slots=True)
class ProviderSummary:
    """What one provider was asked and gave.

    `calls` = `accepted` + the sum of `errors` (error class → calls); `records` counts distinct rows of every
    dataset but bars, `bars` distinct bars, `rejects` dead letters.
    """

    provider: str
    calls: int
    accepted: int
    errors: dict[str, int]
    records: int
    bars: int
    rejects: int


@dataclass(frozen=True, slots=True)
class CallCost:
    """What one call took from its key's quota."""

    provider: str
    key_label: str | None
    started_at: int
    cost_calls: float
    cost_usd: float
    outcome: str
    retry_after_s: float | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """The bars held of one series; `first_ts` and `last_ts` are starts of intervals."""

    symbol: str
    asset_class: str
    source: str
    interval: str
    adjustment: str
    first_ts: int
    last_ts: int
    bars: int


def log_table(table: str) -> str:
    """Return the table to insert into, for the view that readers use: `bars` → `bars_log`."""
    return f"{table}_log"


async def row_counts(store: Store) -> dict[str, int]:
    """Return the number of distinct rows of every table, empty ones included."""
    tables = (*DATASET_TABLES.values(), *OPERATION_TABLES)
    found = await store.query(
        " UNION ALL ".join(f"SELECT '{table}', count() FROM {table}" for table in tables)  # noqa: S608  (our own names)
    )
    counts: dict[str, int] = dict(found.rows)
    return {table: counts[table] for table in tables}


async def provider_summaries(store: Store, since: int = 0) -> list[ProviderSummary]:
    """Return a summary of each provider since a moment (calls by start, rows by receipt), by name."""
    moment = {"since": since}
    found = await store.query(
        """
        SELECT provider, outcome, count() FROM api_calls
        WHERE started_at >= fromUnixTimestamp64Milli({since:Int64}) GROUP BY ALL ORDER BY ALL
        """,
        moment,
    )
    outcomes: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for provider, outcome, calls in found.rows:
        outcomes[provider][outcome] = calls
    rows = await _rows_by_source(store, since)
    rejects = dict(
        (
            await store.query(
                """
                SELECT provider, count() FROM dead_letters
                WHERE at >= fromUnixTimestamp64Milli({since:Int64}) AND provider != '' GROUP BY provider
                """,
                moment,
            )
        ).rows
    )
    return [
        _summary(provider, outcomes[provider], rows[provider], rejects.get(provider, 0))
        for provider in sorted({*outcomes, *rows, *rejects})
    ]


async def calls_since(store: Store, since: int) -> list[CallCost]:
    """Return every call started at or after a moment, oldest first, so that quotas can be counted again."""
    found = await store.query(
        """
        SELECT provider, key_label, toUnixTimestamp64Milli(started_at), cost_calls, cost_usd, outcome, retry_after_s
        FROM api_calls WHERE started_at >= fromUnixTimestamp64Milli({since:Int64})
        ORDER BY started_at, call_id
        """,
        {"since": since},
    )
    return [CallCost(*row) for row in found.rows]


async def coverage(store: Store, *, symbol: str | None = None, source: str | None = None) -> list[Coverage]:
    """Return what bars the store holds, of all series or of one symbol or provider, in the order of their keys."""
    found = await store.query(
        """
        SELECT symbol, any(bars.asset_class), source, interval, adjustment,
               toUnixTimestamp64Milli(min(ts)), toUnixTimestamp64Milli(max(ts)), count()
        FROM bars
        WHERE ({symbol:String} = '' OR symbol = {symbol:String}) AND ({source:String} = '' OR source = {source:String})
        GROUP BY symbol, asset_class = 'commodity', source, interval, adjustment
        ORDER BY symbol, asset_class = 'commodity', source, interval, adjustment
        """,
        {"symbol": symbol or "", "source": source or ""},
    )
    return [Coverage(*row) for row in found.rows]


async def columns(store: Store, table: str) -> dict[str, str]:
    """Return column → ClickHouse type of a table or view, in their order.

    Raises:
        QueryRefused: there is no such table.
    """
    found = await store.query(
        """
        SELECT name, type FROM system.columns
        WHERE database = currentDatabase() AND table = {table:String} ORDER BY position
        """,
        {"table": table},
    )
    if not found.rows:
        raise QueryRefused(f"the store has no table {table!r}: is it migrated?")
    return dict(found.rows)


async def _rows_by_source(store: Store, since: int) -> defaultdict[str, dict[str, int]]:
    """Return provider → table → distinct rows received since a moment."""
    found = await store.query(
        " UNION ALL ".join(
            f"SELECT source, '{table}', count() FROM {table} "  # noqa: S608  (our own names)
            "WHERE observed_at >= fromUnixTimestamp64Milli({since:Int64}) GROUP BY source"
            for table in DATASET_TABLES.values()
        ),
        {"since": since},
    )
    counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for source, table, rows in found.rows:
        counts[source][table] = rows
    return counts


def _summary(provider: str, outcomes: dict[str, int], rows: dict[str, int], rejects: int) -> ProviderSummary:
    return ProviderSummary(
        provider,
        calls=sum(outcomes.values()),
        accepted=outcomes.get("records", 0),
        errors={outcome: calls for outcome, calls in outcomes.items() if outcome != "records"},
        records=sum(count for table, count in rows.items() if table != "bars"),
        bars=rows.get("bars", 0),
        rejects=rejects,
    )
