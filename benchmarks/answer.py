"""CPU of one answer, from the HTTP body to stored rows: as it was, read by poller and normalizer, and as it is.

Before, the poller read and judged every answer to count its records, and each cell of a column was looked at by itself.
Now it asks for the verdict, and columns of plain numbers are taken whole. Both ways run in turns, in one process, with
the same answers (Polygon's shape, 5,000 bars each) and the same store; of each step the cheapest round counts.

    python -m benchmarks.answer [--answers 20] [--rounds 5]
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from benchmarks.pipeline import BARS_PER_ANSWER, answers
from connectors import Answer, AnyRecord, Outcome, connector, fields
from infra.clickhouse import Store, log_table, migrate
from streams.messaging import topics
from streams.messaging.messages import RawMeta
from streams.processing.normalize import encode, judge
from streams.processing.table_rows import TABLES

Message = tuple[RawMeta, bytes]
Costs = dict[str, float]
"""CPU seconds of each step, by its name."""


@contextmanager
def each_cell_by_itself() -> Iterator[None]:
    """Read columns as before."""
    fast = fields.column, fields.cells, fields.times
    fields.column = lambda rows, name: fields.cells([row.get(name) for row in rows])
    fields.cells = lambda values, zero_absent=False: [fields.cell(value, zero_absent) for value in values]
    fields.times = lambda values, unit: [fields.time(value, unit) for value in values]
    try:
        yield
    finally:
        fields.column, fields.cells, fields.times = fast


@contextmanager
def timed(costs: Costs, step: str) -> Iterator[None]:
    """Add the CPU of this process, its threads included, to a step."""
    started = time.process_time()
    yield
    costs[step] = costs.get(step, 0) + time.process_time() - started


def read(message: Message) -> Outcome:
    """Let the connector read an answer."""
    meta, _ = message
    return connector(meta.provider).read(meta.call, meta.page.request(), _answer(message), meta.request_id)


def verdict(message: Message) -> None:
    """Let the connector look for a refusal in an answer."""
    meta, _ = message
    assert connector(meta.provider).verdict(meta.call, meta.page.request(), _answer(message)) is None


def _answer(message: Message) -> Answer:
    meta, body = message
    return Answer(status=meta.status, headers=meta.headers, body=body, observed_at=meta.received_at)


async def before(messages: list[Message], store: Store) -> Costs:
    """The costs of reading every answer twice."""
    costs: Costs = {}
    with each_cell_by_itself():
        with timed(costs, "poller"):
            for message in messages:
                judge(read(message))
        await _normalize_and_store(messages, store, costs)
    return costs


async def after(messages: list[Message], store: Store) -> Costs:
    """The costs of reading every answer once."""
    costs: Costs = {}
    with timed(costs, "poller"):
        for message in messages:
            verdict(message)
    await _normalize_and_store(messages, store, costs)
    return costs


async def _normalize_and_store(messages: list[Message], store: Store, costs: Costs) -> None:
    table = TABLES[topics.MARKET["bars"]]
    records: list[AnyRecord] = []
    with timed(costs, "read"):
        for message in messages:
            records += judge(read(message)).records
    with timed(costs, "encode"):
        values = [encode(record) for record in records]
    with timed(costs, "store"):
        rows: dict[str, list[Any]] = {name: [] for name in table.columns}
        for value in values:
            for name, column in table.decode(value, {}).items():
                rows[name].extend(column)
        stored = await store.insert(log_table(table.name), rows)
    assert stored == len(messages) * BARS_PER_ANSWER


def shown(name: str, costs: Mapping[str, float], count: int) -> float:
    """Print the steps of a way, in ms of CPU an answer; returns their sum."""
    steps = {step: seconds * 1000 / count for step, seconds in costs.items()}
    whole = sum(steps.values())
    print(f"{name:7} {whole:6.1f} ms an answer: " + ", ".join(f"{step} {ms:.1f}" for step, ms in steps.items()))
    return whole


async def _main(count: int, rounds: int) -> None:
    messages = list(answers(count * BARS_PER_ANSWER))
    ways = {"before": before, "after": after}
    found: dict[str, Costs] = {}
    with tempfile.TemporaryDirectory(prefix="tapestream-bench-") as folder:
        async with await Store.open(f"chdb://{Path(folder)}/store") as store:
            await migrate(store)
            for _ in range(rounds):
                for name, way in ways.items():
                    costs = await way(messages, store)
                    known = found.get(name, costs)
                    found[name] = {step: min(seconds, known[step]) for step, seconds in costs.items()}
    print(f"{count} answers of {BARS_PER_ANSWER:,} bars, {len(messages[0][1]) / 1000:.0f} kB each, {rounds} rounds")
    whole = {name: shown(name, costs, count) for name, costs in found.items()}
    ratio = whole["after"] / whole["before"]
    print(f"bench answer_before_ms={whole['before']:.1f} answer_after_ms={whole['after']:.1f} ratio_answer={ratio:.2f}")


@click.command()
@click.option("--answers", "count", default=20, show_default=True)
@click.option("--rounds", default=5, show_default=True)
def main(count: int, rounds: int) -> None:
    """Measure, and print the ratio."""
    asyncio.run(_main(count, rounds))


if __name__ == "__main__":
    main()
