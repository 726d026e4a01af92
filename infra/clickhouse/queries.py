"""The questions the program itself asks of the store. Times go in and come out as milliseconds since the epoch, UTC."""

from __future__ import annotations

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

_COUNTED = (
    f"SELECT {place} AS place, '{name}' AS name, count() AS rows FROM {name}"  # noqa: S608  (our own names)
    for place, name in enumerate((*DATASET_TABLES.values(), *OPERATION_TABLES))
)
ROW_COUNTS = f"SELECT name AS table, rows FROM ({' UNION ALL '.join(_COUNTED)}) ORDER BY place"  # noqa: S608
"""SQL: every table with its number of distinct rows, empty ones included, datasets first."""


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


def log_table(table: str) -> str:
    """Return the table to insert into, for the view that readers use: `bars` → `bars_log`."""
    return f"{table}_log"


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
