"""The questions the program itself asks of the store. Times go in and come out as milliseconds since the epoch, UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra.clickhouse._errors import QueryRefused
from infra.clickhouse._literal import text as text  # noqa: PLC0414  (what writes questions needs it)
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

OPERATION_TABLES = ("api_calls", "polls", "raw_responses", "dead_letters")
NEVER = 2**62  # beyond any time in ms, and still an Int64

_COUNTED = (
    f"SELECT {place} AS place, '{name}' AS name, count() AS rows FROM {name}"  # noqa: S608  (our own names)
    for place, name in enumerate((*DATASET_TABLES.values(), *OPERATION_TABLES))
)
ROW_COUNTS = f"SELECT name AS table, rows FROM ({' UNION ALL '.join(_COUNTED)}) ORDER BY place"  # noqa: S608
"""SQL: every table with its number of distinct rows, empty ones included, datasets first."""


@dataclass(frozen=True, slots=True)
class CallCost:
    """One call, as far as it speaks of its key's quota, the provider's health and money."""

    call_id: str
    """The id of the call."""
    provider: str
    """The provider's name."""
    key_label: str
    """The label of the key."""
    endpoint: str
    """Name of the connector's endpoint."""
    started_at: int
    """When it was sent, ms UTC."""
    ended_at: int | None
    """When it ended, ms UTC; None: its end is not known."""
    outcome: str
    """`records`, the name of the refusal, or `Reserved` where its end is not known."""
    retry_after_s: float | None
    """Seconds that the provider asked to wait; None: it did not say."""
    resets_at: int | None
    """When the key's quota is whole again, ms UTC, as a refusal said; None: it did not say."""
    scope: str
    """What was refused, as text: see `connectors.scope`."""
    error: str
    """The provider's words about that."""
    said_left: float | None
    """Calls (or credits) left of the key's quota, as the answer reported; None: it did not say."""
    said_limit: float | None
    """Calls (or credits) of the whole quota, likewise."""
    said_resets_at: int | None
    """When the quota is whole again, ms UTC, likewise."""
    cost_calls: float
    """What it took of the key's limits, in calls or credits."""
    cost_usd: float
    """US dollars that it cost in the end."""
    reserved_usd: float
    """US dollars that were reserved for it before it was sent."""


_CALLS = """
    SELECT call_id, provider, coalesce(key_label, ''), endpoint, toUnixTimestamp64Milli(started_at),
        if(outcome = 'Reserved', NULL, toUnixTimestamp64Milli(coalesce(ended_at, started_at))),
        outcome, retry_after_s, toUnixTimestamp64Milli(resets_at), scope, coalesce(error, ''),
        said_left, said_limit, toUnixTimestamp64Milli(said_resets_at), cost_calls, cost_usd, reserved_usd
    FROM api_calls
"""


def log_table(table: str) -> str:
    """Return the table to insert into, for the view that readers use: `bars` → `bars_log`."""
    return f"{table}_log"


async def calls_since(store: Store, since: int) -> list[CallCost]:
    """Return every call started at or after a moment, oldest first, so that quotas can be counted again."""
    found = await store.query(
        f"{_CALLS} WHERE started_at >= fromUnixTimestamp64Milli({{since:Int64}}) ORDER BY started_at, call_id",
        {"since": since},
    )
    return [CallCost(*row) for row in found.rows]


HAS_POLLS = "SELECT name FROM system.tables WHERE database = currentDatabase() AND name = 'polls'"
"""SQL: one row where the store knows of polls."""


def calls_sql(since: Mapping[str, int]) -> str:
    """SQL: every call of these providers that started at or after the provider's moment, as rows of `CallCost`."""
    either = " OR ".join(
        f"(provider = {text(name)} AND started_at >= fromUnixTimestamp64Milli({at:d}))" for name, at in since.items()
    )
    return f"{_CALLS} WHERE {either or 'false'} ORDER BY started_at, call_id"


DEPRECATED = """
    SELECT provider, endpoint, argMax(headers, received_at) FROM raw_responses
    WHERE headers['deprecation'] != '' OR headers['sunset'] != ''
    GROUP BY provider, endpoint ORDER BY provider, endpoint
"""
"""SQL: (provider, endpoint, headers of the last answer that spoke of the endpoint's end), of the last 30 days."""


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """One call that was refused within a scope."""

    provider: str
    """The provider's name."""
    key_label: str
    """The label of the key."""
    outcome: str
    """The name of the refusal."""
    scope: str
    """The scope as text, see `connectors.scope`."""
    error: str
    """The provider's words."""
    at: int
    """When the call ended, ms UTC."""


def refused_sql(since: int) -> str:
    """SQL: the calls since a moment (ms UTC) that were refused within a scope, oldest first: rows of `RefusedCall`."""
    return f"""
        SELECT provider, coalesce(key_label, ''), if(outcome = 'records', 'NotEntitled', outcome), scope,
            coalesce(error, ''), toUnixTimestamp64Milli(coalesce(ended_at, started_at)) AS at
        FROM api_calls WHERE started_at >= fromUnixTimestamp64Milli({since:d}) AND scope != '' ORDER BY at, call_id
    """  # noqa: S608  (a number)


async def refused_since(store: Store, since: int) -> list[RefusedCall]:
    """Return every call since a moment that was refused within a scope, oldest first."""
    return [RefusedCall(*row) for row in (await store.query(refused_sql(since))).rows]


def answered_sql(
    dataset: str,
    asset_class: str,
    interval: str | None,
    adjustment: str | None,
    kinds: Sequence[str | None],
    *,
    period: str | None = None,
    since: int = 0,
    final: int = NEVER,
) -> str:
    """SQL: (symbol, exchange, start, end) of the ranges that polls have answered, joined where they touch.

    A symbol "" is the whole market of the exchange ("": the usual one). An end is no later than the moment of the
    poll, and there no later than the start of the interval then running. A poll whose next page failed is no answer.
    `kinds` are those that count, None among them a poll that named none; an `adjustment` of None takes any.
    Only polls from `since` on count. What was asked from `final` on is final: such a poll counts up to its own end.
    """
    named = ", ".join(text(kind) for kind in kinds if kind is not None)
    of_kind = [*(["kind IS NULL"] if None in kinds else []), *([f"kind IN ({named})"] if named else [])]
    terms = [
        f"dataset = {text(dataset)}",
        f"asset_class = {text(asset_class)}",
        f"interval = {text(interval)}" if interval else "interval IS NULL",
        *([f"adjustment = {text(adjustment)}"] if adjustment else []),
        f"({' OR '.join(of_kind)})",
        f"period = {text(period)}" if period else "period IS NULL",
        *([f"at >= fromUnixTimestamp64Milli({since:d})"] if since else []),
    ]
    length = _PERIODS.get(interval or "", "1 DAY")
    return _ANSWERED.format(terms=" AND ".join(terms), length=length, final=final, ever=NEVER)


_PERIODS = {
    "1m": "1 MINUTE",
    "5m": "5 MINUTE",
    "15m": "15 MINUTE",
    "30m": "30 MINUTE",
    "1h": "1 HOUR",
    "4h": "4 HOUR",
    "1w": "1 WEEK",
    "1mo": "1 MONTH",
}
_ANSWERED = """
    WITH torn AS
    (
        -- the way back from a page that failed: each page is child 0 of the one before
        SELECT arrayJoin(arrayMap(i -> substring(request_id, 1, length(request_id) - 2 * i), range(1, depth + 1))) AS id
        FROM
        (
            SELECT request_id,
                intDiv(length(request_id) - length(replaceRegexpOne(request_id, '(/0)+$', '')), 2) AS depth
            FROM polls WHERE {terms}
                AND (children = 0 AND outcome NOT IN ('records', 'cached') OR outcome = 'Truncated')
        )
    ),
    asked AS
    (
        SELECT arrayJoin(if(empty(symbols), [''], symbols)) AS symbol, coalesce(exchange, '') AS venue,
            coalesce(toUnixTimestamp64Milli(start_at), -{ever}) AS since,
            toUnixTimestamp64Milli(at) AS said_at,
            if(said_at >= {final},
                coalesce(toUnixTimestamp64Milli(end_at), said_at),
                least(
                    coalesce(toUnixTimestamp64Milli(end_at), {ever}),
                    toInt64(toUnixTimestamp(toDateTime(toStartOfInterval(at, INTERVAL {length}, 'UTC'), 'UTC'))) * 1000
                )
            ) AS until
        FROM polls
        WHERE {terms} AND outcome = 'records' AND request_id NOT IN (SELECT id FROM torn)
    )
    SELECT symbol, venue, min(since), max(until) FROM
    (
        SELECT *, sum(apart) OVER (PARTITION BY symbol, venue ORDER BY since, until) AS island FROM
        (
            SELECT *, since > max(until) OVER (
                PARTITION BY symbol, venue ORDER BY since, until ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS apart
            FROM asked WHERE since < until
        )
    )
    GROUP BY symbol, venue, island
"""


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
