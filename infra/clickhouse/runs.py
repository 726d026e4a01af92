"""SQL about the runs of collectors and the schedules that cause them. Times go in and come out as ms UTC."""

from __future__ import annotations

from infra.clickhouse.queries import DATASET_TABLES, text

LAST_RUNS = """
    SELECT collector, run_id, state, reason, cause, refresh, toUnixTimestamp64Milli(started_at),
        toUnixTimestamp64Milli(ended_at), units, calls, records, rejects
    FROM collector_runs ORDER BY ended_at DESC LIMIT 1 BY collector
"""
"""SQL: the last run of each collector."""
FIRES = "SELECT schedule, toUnixTimestamp64Milli(last_at), has_fired FROM schedule_fires"
"""SQL: when each schedule last fired, or was first seen, and which of the two it was."""


def run_sql(run_id: str) -> str:
    """SQL: the state and reason of a run, if it was reported."""
    return f"SELECT state, reason FROM collector_runs WHERE run_id = {text(run_id)}"  # noqa: S608


def calls_of_sql(job_id: str, since: int) -> str:
    """SQL: how many calls the requests of a job made, started at or after `since`."""
    return f"""
        SELECT count() FROM api_calls
        WHERE started_at >= fromUnixTimestamp64Milli({since:d}) AND startsWith(request_id, {text(job_id + "-")})
    """  # noqa: S608


def spending_sql(since: int, until: int) -> str:
    """SQL: (provider, calls, dollars) of the calls that started in [since, until)."""
    return f"""
        SELECT provider, count(), sum(cost_usd) FROM api_calls
        WHERE started_at >= fromUnixTimestamp64Milli({since:d}) AND started_at < fromUnixTimestamp64Milli({until:d})
        GROUP BY provider ORDER BY provider
    """  # noqa: S608


def quality_sql(since: int, until: int) -> str:
    """SQL: (dataset, rows, dead letters, newest) of what was observed in [since, until)."""

    def within(column: str) -> str:
        return f"{column} >= fromUnixTimestamp64Milli({since:d}) AND {column} < fromUnixTimestamp64Milli({until:d})"

    parts = " UNION ALL ".join(
        f"""
        SELECT {text(dataset)} AS dataset, count() AS rows,
            (SELECT count() FROM dead_letters WHERE dataset = {text(dataset)} AND {within("at")}) AS letters,
            if(rows = 0, NULL, toUnixTimestamp64Milli(max(observed_at))) AS newest
        FROM {table} WHERE {within("observed_at")}
        """  # noqa: S608
        for dataset, table in DATASET_TABLES.items()
    )
    return f"SELECT dataset, rows, letters, newest FROM ({parts}) ORDER BY dataset"  # noqa: S608
