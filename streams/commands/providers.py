"""`tapestream providers`: what can be asked of whom, before anybody is asked."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import click

from connectors import DATASETS, connector
from connectors.deprecation import deprecation
from connectors.fields import utc_date
from infra.clickhouse import StoreError
from infra.clickhouse.queries import DEPRECATED
from streams.commands.console import fail, load_settings, one_line_errors, say, say_json, show
from streams.planning import capabilities
from streams.planning.capabilities import Capability
from streams.runtime.query import rows


@click.command()
@click.argument("names", metavar="[PROVIDER]...", nargs=-1)
@click.option("--dataset", help="Only this dataset.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per row, with history, costs and documentation.")
@one_line_errors
def providers(names: tuple[str, ...], *, dataset: str | None, as_json: bool) -> None:
    """Show what each provider sells: datasets, asset classes, intervals, batch size, cost, plan.

    \b
    tapestream providers
    tapestream providers polygon yahoo --dataset bars
    tapestream providers --json

    Batch is the most symbols of one call ("market": a whole market, naming none); cost is in calls or credits.
    """
    for name in names:
        connector(name)
    if dataset is not None and dataset not in DATASETS:
        fail(f"unknown dataset {dataset!r}; known: {', '.join(DATASETS)}", 2)
    found = [
        row
        for row in capabilities.matrix()
        if (not names or row.provider in names) and (dataset is None or row.dataset == dataset)
    ]
    ends = _ends()
    if as_json:
        for row in found:
            say_json({**asdict(row), **ends.get((row.provider, row.endpoint), UNSAID)})
        return
    show(COLUMNS, [_row(row) for row in found])
    show(
        ("provider", "declared limits of a key", "its day ends in"),
        [
            (seller.name, ", ".join(seller.limits) or "none", seller.zone)
            for seller in capabilities.sellers()
            if not names or seller.name in names
        ],
    )
    if said := [(*place, *dates.values()) for place, dates in ends.items() if not names or place[0] in names]:
        show(("provider", "endpoint", "deprecated since", "ceases to answer"), said)


UNSAID: dict[str, str | None] = {"deprecated": None, "sunset": None}


def _ends() -> dict[tuple[str, str], dict[str, str | None]]:
    """What stored answers said of their endpoints' end, as dates; nothing where no store can be asked."""
    try:
        stored = asyncio.run(rows(load_settings(), DEPRECATED))
    except StoreError as error:
        say(f"the withdrawal dates of endpoints are not known: {error}", err=True)
        return {}
    withdrawn = {(provider, endpoint): deprecation(headers) for provider, endpoint, headers in stored}
    return {
        place: {"deprecated": _day(found.since) or "yes", "sunset": _day(found.sunset)}
        for place, found in withdrawn.items()
        if found
    }


def _day(at: int | None) -> str | None:
    return None if at is None else utc_date(at)


COLUMNS = (
    "provider",
    "dataset",
    "endpoint",
    "asset classes",
    "intervals, kinds, periods",
    "adjustment",
    "batch",
    "cost",
    "plan",
)


def _row(row: Capability) -> tuple[str, ...]:
    return (
        row.provider,
        row.dataset,
        row.endpoint,
        " ".join(row.asset_classes),
        " ".join((*row.intervals, *row.kinds, *row.periods)),
        " ".join(row.adjustments),
        str(row.batch) if row.batch else "market",
        price(row),
        row.plan,
    )


def price(row: Capability) -> str:
    """What one call costs, as a person reads it: `1`, `1 + 1/symbol`, `1, $0.0015`."""
    calls = f"{row.cost:g}" + (f" + {row.cost_per_symbol:g}/symbol" if row.cost_per_symbol else "")
    return calls + (f", ${row.usd:g}" if row.usd else "")
