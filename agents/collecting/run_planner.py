"""What a run of a collector asks: for whom, what of it is missing, and whom the keys let us ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from agents.log_events import AgentEvent
from agents.polling.key_pool import KeyPool
from connectors import connectors
from infra import telemetry
from infra.clickhouse import Rows, Store, StoreUnavailable
from infra.clickhouse.queries import CallCost, RefusedCall, answered_sql, calls_sql, refused_sql
from infra.clickhouse.universe import active_sql, chosen_sql, listed_sql
from streams.accounts import account as accounts
from streams.accounts import budget
from streams.accounts.entitlement import REMEMBERED_MS
from streams.collecting.targets import Members, Target, targets
from streams.planning import planner
from streams.planning.availability import availabilities, horizons
from streams.planning.coverage import covered_by, kinds_of, poll_shape
from streams.planning.plan import Availability, Covered, Plan, Requirement

if TYPE_CHECKING:
    from connectors.records import AssetClass
    from infra.settings import Settings
    from streams.collecting.model import Collector, Refresh, Universe

log = telemetry.get(__name__)

T = TypeVar("T")
RETRY_S = 1.0  # a store that restarts is back within seconds
"""How long another worker's key is taken not to sell what it once refused."""


class RunPlanner:
    """Plans with the key pools of the providers of this worker; the store has the remaining capacity of the others."""

    def __init__(
        self, store: Store, settings: Settings, pools: Mapping[str, KeyPool], owned: Callable[[], Iterable[str]]
    ) -> None:
        self._store = store
        self._settings = settings
        self._pools = pools
        self._owned = owned

    async def members(self, universe: Universe) -> Members:
        """Ask the store for whom a run is. Raises `QueryRefused` for a condition that is no SQL."""
        if universe.asset_classes or universe.where:
            sql = chosen_sql(universe.where) if universe.where else active_sql(universe.asset_classes)
            found: dict[AssetClass, list[str]] = {name: [] for name in universe.asset_classes}
            for symbol, asset_class in await self._rows(sql):
                found.setdefault(asset_class, []).append(symbol)
            return found
        listed = dict.fromkeys(universe.symbols)
        for symbol, change in await self._rows(listed_sql(universe.asset_class)):
            if change == "add":
                listed[symbol] = None
            else:
                listed.pop(symbol, None)
        return {universe.asset_class: list(listed)}

    async def plan(self, collector: Collector, members: Members, refresh: Refresh, at: int, now: int) -> Plan:
        """Plan what is missing as of `at`; what was answered since `at` is not asked again."""
        wanted = list(targets(collector, members, refresh, at))
        covered = await self._covered(wanted)
        supplied = await self._supplies(collector.providers or tuple(connectors()), now)
        requirements = [requirement for target in wanted if (requirement := _open(target, covered))]
        return await asyncio.to_thread(planner.make, requirements, supplied, covered, now)

    async def _covered(self, wanted: Iterable[Target]) -> Covered:
        answered = {}
        for requirement, since, final in ((target.requirement, target.since, target.final) for target in wanted):
            of = (requirement.dataset, requirement.asset_class, requirement.interval, requirement.adjustment)
            answered[poll_shape(requirement)] = [
                await self._rows(answered_sql(*of, kinds, period=requirement.period, since=since, final=final))
                for kinds in kinds_of(requirement)
            ]
        return covered_by(answered)

    async def _supplies(self, names: Iterable[str], now: int) -> list[Availability]:
        owned = set(self._owned())
        others = [name for name in names if name not in owned]
        found = [availability(self._pools[name], now) for name in names if name in owned]
        if others:
            calls = [CallCost(*row) for row in await self._rows(calls_sql(horizons(self._settings, others, now)))]
            refused = [RefusedCall(*row) for row in await self._rows(refused_sql(now - REMEMBERED_MS))]
            found += availabilities(self._settings, others, calls, refused, now)
        return found

    async def _rows(self, sql: str) -> list[Any]:
        found: Rows = await patiently(lambda: self._store.query_user(sql))
        return found.rows


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask a store until it answers: one that is away is waited for."""
    while True:
        try:
            return await ask()
        except StoreUnavailable as error:
            log.warning(AgentEvent.STORE_AWAY, error=str(error))
            await asyncio.sleep(RETRY_S)


def availability(pool: KeyPool, now: int) -> Availability:
    """What a key pool's keys still allow."""
    account, allowance = accounts.advanced(pool.account, pool.policy, now), pool.policy.allowance
    left = None
    if allowance:
        left = max(0, allowance.micros - budget.today(account.budget, allowance, now).micros) / budget.MICROS
    usages = {label: key.usage for label, key in account.keys.items()}
    return Availability(pool.connector, pool.policy.windows, usages, left, pool.price, refusals=account.refusals)


def _open(target: Target, covered: Covered) -> Requirement | None:
    """What is left of a requirement; one without a range is wanted of those who have not answered it yet."""
    requirement = target.requirement
    if requirement.start is not None or requirement.end is not None or requirement.of_each:
        return requirement
    symbols = tuple(symbol for symbol in requirement.symbols if not covered(requirement, symbol))
    return replace(requirement, symbols=symbols) if symbols else None
