"""What users change of the universe: symbols are added and removed through the pipeline, or straight in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Literal, get_args

from connectors.records import AssetClass
from infra.clickhouse import Store, log_table, migrate
from infra.clickhouse.universe import changed_sql
from infra.kafka.brokers import Brokers
from infra.kafka.connection import BrokerUnreachable
from infra.settings import Settings
from streams.errors import ChangeInvalid
from streams.messaging import topics
from streams.messaging.messages import UniverseChange
from streams.messaging.producer import Outbox
from streams.messaging.requester import require_pipeline
from streams.runtime import discovery
from streams.runtime.query import Ask, rows, stored

ASSET_CLASSES: tuple[AssetClass, ...] = get_args(AssetClass)
BROKER_S = 2.0  # `symbols add` also works without a pipeline: no longer wait for one


def changes(
    change: Literal["add", "remove"], symbols: Iterable[str], asset_class: AssetClass, at: int
) -> list[UniverseChange]:
    """Make the changes of `symbols`, each once, as of `at` (ms UTC). Raises `ChangeInvalid`."""
    found = list(dict.fromkeys(symbols))
    if strange := [symbol for symbol in found if not symbol.strip() or "," in symbol or " " in symbol]:
        raise ChangeInvalid(f"{strange[0]!r} is no symbol; write canonical symbols, one by one: AAPL BRK.B")
    if asset_class not in ASSET_CLASSES:
        raise ChangeInvalid(f"unknown asset class {asset_class!r}; known: {', '.join(ASSET_CLASSES)}")
    return [UniverseChange(symbol=symbol, asset_class=asset_class, change=change, at=at) for symbol in found]


async def keep(settings: Settings, changed: Sequence[UniverseChange]) -> bool:
    """Hand changes to the pipeline that runs, else put them into the store; False while they are on their way."""
    bootstrap = discovery.find(settings).bootstrap
    try:
        await require_pipeline(bootstrap, topics.UNIVERSE_CHANGES, BROKER_S)
    except BrokerUnreachable:
        await _insert(settings, changed)
        return True
    return await hand_over(bootstrap, changed, partial(rows, settings))


async def hand_over(bootstrap: Brokers, changed: Sequence[UniverseChange], ask: Ask) -> bool:
    """Send changes of one moment to a running pipeline; True once they are stored, False after ten seconds without."""
    async with Outbox(bootstrap) as outbox:
        await asyncio.gather(*(outbox.send(topics.UNIVERSE_CHANGES, change.encode()) for change in changed))
    sql = changed_sql(changed[0].asset_class, changed[0].at)
    return await stored(ask, sql, lambda found: bool(found) and int(found[0][0]) >= len(changed))


async def _insert(settings: Settings, changed: Sequence[UniverseChange]) -> None:
    async with await Store.open(settings.store_url) as store:
        await migrate(store)
        columns = {name: [getattr(change, name) for change in changed] for name in UniverseChange.model_fields}
        await store.insert(log_table("universe_changes"), columns)
