"""`tapestream providers`: what can be asked of whom, before anybody is asked."""

from __future__ import annotations

from dataclasses import asdict

import click

from connectors import DATASETS, connector
from streams.commands.console import fail, one_line_errors, show
from streams.planning import capabilities
from streams.planning.capabilities import Capability


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
    if as_json:
        rows = [asdict(row) for row in found]
        show(tuple(Capability.__dataclass_fields__), [tuple(row.values()) for row in rows], as_json=True)
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
