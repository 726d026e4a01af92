"""`tapestream symbols`: what belongs to the universe, and what a user adds to it or removes, at run time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

import click

from connectors.records import AssetClass
from infra.clickhouse.universe import members_sql
from infra.clock import now_ms
from streams.collecting.universe import ASSET_CLASSES, changes, keep
from streams.commands.console import load_settings, one_line_errors, say, show
from streams.runtime.query import rows

COLUMNS = ("symbol", "asset_class", "name", "exchange", "currency", "country", "active", "added", "sources")
CLASSES = click.Choice(ASSET_CLASSES)


@click.group()
def symbols() -> None:
    """Show and change the symbols of the collectors. Changes hold from the next run on, without a restart.

    \b
    tapestream symbols add TSM ASML
    tapestream symbols list --search apple
    """


@symbols.command()
@click.argument("named", metavar="SYMBOL...", nargs=-1, required=True)
@click.option("--asset-class", type=CLASSES, default="equity", show_default=True)
@one_line_errors
def add(named: tuple[str, ...], asset_class: AssetClass) -> None:
    """Add symbols to the universe, and to every list of symbols of their asset class.

    \b
    tapestream symbols add TSM ASML
    tapestream symbols add SOL-USD --asset-class crypto
    """
    _change("add", named, asset_class)


@symbols.command()
@click.argument("named", metavar="SYMBOL...", nargs=-1, required=True)
@click.option("--asset-class", type=CLASSES, default="equity", show_default=True)
@one_line_errors
def remove(named: tuple[str, ...], asset_class: AssetClass) -> None:
    """Remove symbols from the universe and from every list: no run asks for them. What is stored stays.

    \b
    tapestream symbols remove XOM
    """
    _change("remove", named, asset_class)


@symbols.command("list")
@click.option("--asset-class", type=CLASSES, help="Only these.")
@click.option("--search", help="The beginning of a symbol, or part of a name.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per member.")
@one_line_errors
def list_members(asset_class: str | None, search: str | None, *, as_json: bool) -> None:
    """List the members of the universe: all providers' lists, with additions and without removals.

    \b
    tapestream symbols list --asset-class etf --search QQ
    """
    members = asyncio.run(rows(load_settings(), members_sql(asset_class, search)))
    if as_json:
        show(COLUMNS, members, as_json=True)
        return
    show(COLUMNS, [(*row[:8], " ".join(row[8])) for row in members])
    say(f"{len(members):,} members")


def _change(change: Literal["add", "remove"], named: Sequence[str], asset_class: AssetClass) -> None:
    changed = changes(change, named, asset_class, now_ms())
    stored = asyncio.run(keep(load_settings(), changed))
    told = "holds from the next run on" if stored else "is on its way to the store"
    done = "added" if change == "add" else "removed"
    say(f"{done} {' '.join(each.symbol for each in changed)} ({asset_class}): {told}")
