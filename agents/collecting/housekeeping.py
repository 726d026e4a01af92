"""The worker's own jobs, which the scheduler does at their times: the day's quality, its spending, stale quotes."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from agents.collecting.run_planner import patiently
from agents.collecting.scheduler import Hook
from agents.log_events import AgentEvent
from agents.polling.quote_cache import Quotes
from infra import telemetry
from infra.clickhouse import Store, log_table
from infra.clickhouse.runs import quality_sql, spending_sql

log = telemetry.get(__name__)

DAY_MS = 86_400_000


def hooks(store: Store, quotes: Quotes) -> Mapping[str, Hook]:
    """The jobs by the names of their schedules."""

    async def quality_check(at: int) -> None:
        await check_quality(store, at)

    async def budget_reset(at: int) -> None:
        await report_spending(store, at)

    async def cache_cleanup(at: int) -> None:
        log.info(AgentEvent.QUOTES_FORGOTTEN, quotes=quotes.forget_old(at))

    return {"quality_check": quality_check, "budget_reset": budget_reset, "cache_cleanup": cache_cleanup}


async def check_quality(store: Store, at: int) -> None:
    """Store and log the day before `at` for each dataset: rows, dead letters, the newest observation."""
    found = await patiently(lambda: store.query(quality_sql(at - DAY_MS, at)))
    names = ("dataset", "rows", "dead_letters", "newest")
    columns = {name: list(column) for name, column in zip(names, zip(*found.rows, strict=True), strict=True)}
    columns["checked_at"] = [at] * len(found.rows)
    await patiently(lambda: store.insert(log_table("quality_checks"), columns))
    rejected = {dataset: letters for dataset, _, letters, _ in found.rows if letters}
    level = logging.WARNING if rejected else logging.INFO
    rows = {dataset: rows for dataset, rows, *_ in found.rows if rows}
    log.log(level, AgentEvent.QUALITY_CHECKED, rows=rows, dead_letters=rejected)


async def report_spending(store: Store, at: int) -> None:
    """Log the cost of the day before `at`: calls and dollars of each provider."""
    found = await patiently(lambda: store.query(spending_sql(at - DAY_MS, at)))
    log.info(
        AgentEvent.BUDGET_DAY,
        calls={provider: calls for provider, calls, _ in found.rows},
        usd={provider: round(usd, 6) for provider, _, usd in found.rows if usd},
    )
