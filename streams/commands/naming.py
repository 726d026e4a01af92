"""Symbols as a user writes them: the canonical ones by asset class, and what may be meant by the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast, get_args

import click

from connectors.forms import not_canonical
from connectors.records import AssetClass
from streams.commands.console import fail
from streams.sessions.options import asset_class_of

ASSET_CLASS = click.option("--asset-class", help="Default: what each symbol is known as, or has the form of.")


def named(symbols: Iterable[str], asset_class: str | None) -> tuple[dict[AssetClass, list[str]], dict[str, str]]:
    """Sort symbols by asset class: the one given, or what each is known as or has the form of.

    Returns (canonical symbols by asset class, for each of the others a line that says what may be meant). Ends the
    process where there is no such asset class.
    """
    if asset_class not in {None, *get_args(AssetClass)}:
        fail(f"asset_class was {asset_class!r}: it is one of {', '.join(get_args(AssetClass))}", 2)
    found: dict[AssetClass, list[str]] = {}
    strange = {}
    for symbol in dict.fromkeys(symbols):
        of = cast("AssetClass", asset_class or asset_class_of(symbol))
        if line := not_canonical(symbol, of):
            strange[symbol] = line
        else:
            found.setdefault(of, []).append(symbol)
    return found, strange
