"""`tapestream symbols`: what belongs to the universe, and what a user adds to it or removes, at run time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal, get_args

import click

from connectors._records import AssetClass
from infra.clickhouse import QueryRefused, Store, log_table, migrate
from infra.clickhouse.universe import changed_sql, members_sql
from infra.clock import now_ms
from infra.kafka.admin import partition_counts
from infra.kafka.connection import BrokerUnreachable, connected
from infra.settings import Settings
from streams import topics, whereabouts
from streams.commands._terms import fail, load_settings, plainly, show
from streams.commands.ask import answer
from streams.messages import UniverseChange
from streams.outbox import Outbox

COLUMNS = ("symbol", "asset_class", "name", "exchange", "currency", "country", "active", "added", "sources")
LOOKS, LOOK_S = 40, 0.25
BROKER_S = 2.0
ASSET_CLASSES = click.Choice(get_args(AssetClass))


@click.group()
def symbols() -> None:
    """Tell and change for whom the collectors run. Changes hold from the next run on, without a restart.

    \b
    tapestream symbols add TSM ASML
    tapestream symbols list --search apple
    """


@symbols.command()
@click.argument("named", metavar="SYMBOL...", nargs=-1, required=True)
@click.option("--asset-class", type=ASSET_CLASSES, default="equity", show_default=True)
@plainly
def add(named: tuple[str, ...], asset_class: AssetClass) -> None:
    """Add symbols to the universe, and to every list of symbols of their asset class.

    \b
    tapestream symbols add TSM ASML
    tapestream symbols add SOL-USD --asset-class crypto
    """
    _change("add", named, asset_class)


@symbols.command()
@click.argument("named", metavar="SYMBOL...", nargs=-1, required=True)
@click.option("--asset-class", type=ASSET_CLASSES, default="equity", show_default=True)
@plainly
def remove(named: tuple[str, ...], asset_class: AssetClass) -> None:
    """Remove symbols from the universe and from every list: no run asks for them. What is stored stays.

    \b
    tapestream symbols remove XOM
    """
    _change("remove", named, asset_class)


@symbols.command("list")
@click.option("--asset-class", type=ASSET_CLASSES, help="Only these.")
@click.option("--search", help="The beginning of a symbol, or part of a name.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per member.")
@plainly
def list_members(asset_class: str | None, search: str | None, *, as_json: bool) -> None:
    """Tell the members of the universe: of all providers, with what was added, without what was removed.

    \b
    tapestream symbols list --asset-class etf --search QQ
    """
    rows = asyncio.run(_rows(load_settings(), members_sql(asset_class, search)))
    if as_json:
        show(COLUMNS, rows, as_json=True)
        return
    show(COLUMNS, [(*row[:8], " ".join(row[8])) for row in rows])
    click.echo(f"{len(rows):,} members")


def _change(change: Literal["add", "remove"], named: Sequence[str], asset_class: AssetClass) -> None:
    found = list(dict.fromkeys(named))
    if strange := [symbol for symbol in found if not symbol.strip() or "," in symbol or " " in symbol]:
        fail(f"{strange[0]!r} is no symbol; write canonical symbols, one by one: AAPL BRK.B", 2)
    settings, now = load_settings(), now_ms()
    changes = [UniverseChange(symbol=symbol, asset_class=asset_class, change=change, at=now) for symbol in found]
    stored = asyncio.run(_keep(settings, changes))
    told = "holds from the next run on" if stored else "is on its way to the store"
    click.echo(f"{'added' if change == 'add' else 'removed'} {' '.join(found)} ({asset_class}): {told}")


async def _keep(settings: Settings, changes: Sequence[UniverseChange]) -> bool:
    """Hand changes to the pipeline that runs, else put them into the store; False while they are on their way."""
    bootstrap = whereabouts.find(settings).bootstrap
    if not await _has_run(bootstrap):
        async with await Store.open(settings.store_url) as store:
            await migrate(store)
            columns = {name: [getattr(change, name) for change in changes] for name in UniverseChange.model_fields}
            await store.insert(log_table("universe_changes"), columns)
        return True
    outbox = Outbox(bootstrap)
    await outbox.start()
    try:
        await asyncio.gather(*(outbox.send(topics.UNIVERSE_CHANGES, change.encode()) for change in changes))
    finally:
        await outbox.stop()
    sql = changed_sql(changes[0].asset_class, changes[0].at)
    for _ in range(LOOKS):
        rows = await _rows(settings, sql)
        if rows and int(rows[0][0]) >= len(changes):
            return True
        await asyncio.sleep(LOOK_S)
    return False


async def _has_run(bootstrap: str) -> bool:
    """Tell whether a pipeline has run on the broker, so that it stores what is sent to it."""
    try:
        async with connected(bootstrap, BROKER_S) as broker:
            return topics.UNIVERSE_CHANGES in await partition_counts(broker)
    except BrokerUnreachable:
        return False


async def _rows(settings: Settings, sql: str) -> list[Any]:
    """Ask the store, where there is one that knows of a universe."""
    try:
        return list((await answer(settings, sql))["rows"])
    except QueryRefused:
        return []
