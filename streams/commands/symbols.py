"""`tapestream symbols`: what belongs to the universe, and what a user adds to it or removes, at run time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal, cast

import click

from connectors.records import AssetClass
from infra.clickhouse.universe import members_sql
from streams.collecting.universe import ASSET_CLASSES, changes, keep
from streams.commands.console import load_settings, one_line_errors, say, show
from streams.commands.naming import ASSET_CLASS, named
from streams.runtime.query import rows
from streams.sessions.options import asset_class_of

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
@click.argument("symbols", metavar="SYMBOL...", nargs=-1, required=True)
@ASSET_CLASS
@one_line_errors
def add(symbols: tuple[str, ...], asset_class: str | None) -> None:
    """Add symbols to the universe, and to every list of symbols of their asset class.

    \b
    tapestream symbols add TSM ASML
    tapestream symbols add SOL-USD EUR/USD
    """
    by_class, strange = named(symbols, asset_class)
    for line in strange.values():
        say(f"not added: {line}", err=True)
    for of, members in by_class.items():
        _change("add", members, of)
    if strange:
        raise SystemExit(1 if by_class else 2)


@symbols.command()
@click.argument("symbols", metavar="SYMBOL...", nargs=-1, required=True)
@ASSET_CLASS
@one_line_errors
def remove(symbols: tuple[str, ...], asset_class: str | None) -> None:
    """Remove symbols from the universe and from every list: no run asks for them. What is stored stays.

    \b
    tapestream symbols remove XOM
    """
    by_class, strange = named(symbols, asset_class)
    for of, members in by_class.items():
        _change("remove", members, of)
    for symbol in strange:  # some providers list codes that are no canonical symbols
        _change("remove", [symbol], cast("AssetClass", asset_class or asset_class_of(symbol)))


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


def _change(change: Literal["add", "remove"], members: Sequence[str], asset_class: AssetClass) -> None:
    settings = load_settings()
    changed = changes(change, members, asset_class, settings.clock.now_ms())
    stored = asyncio.run(keep(settings, changed))
    when = "holds from the next run on" if stored else "is on its way to the store"
    done = "added" if change == "add" else "removed"
    say(f"{done} {' '.join(each.symbol for each in changed)} ({asset_class}): {when}")
