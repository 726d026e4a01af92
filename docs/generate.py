"""Writes what documents take from the code: docs/schemas, docs/PROVIDERS.md, and a table of docs/OPERATIONS.md.

`make docs` runs it; tests/test_docs.py compares what it would write with what is there.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, get_args

from agents.log_events import AgentEvent
from connectors import DATASETS
from connectors.records import AssetClass, RecordType
from infra.clickhouse import DATASET_TABLES
from infra.log_events import InfraEvent
from streams.commands.providers import price
from streams.log_events import SessionEvent, StreamEvent
from streams.messaging import topics
from streams.planning import capabilities
from streams.planning.capabilities import Capability, Seller

DOCS = Path(__file__).parent
LOG_EVENTS = (AgentEvent, StreamEvent, InfraEvent, SessionEvent)
EVENT = re.compile(r"(?P<levels>[A-Z]+(?: or [A-Z]+)?): (?P<what>.+?)(?: Do: (?P<remedy>.+))?")
EVENTS_HEAD = """\
| event | level | what happened | what to do |
|---|---|---|---|
"""
DIALECT = "https://json-schema.org/draft/2020-12/schema"
NOT_OF_NEWS = frozenset({"symbol", "asset_class"})
FIELD = re.compile(r"\| `(?P<name>\w+)` \| (?P<kind>[^|]+) \| (?P<meaning>[^|]+) \|")
PROVIDERS_HEAD = """\
# The providers

Made by `make docs` from the declarations in `connectors/`; `tapestream providers` prints the same. What an account may
really ask is decided by its plan: set `<PROVIDER>_LIMITS` to it.
"""


def main() -> None:
    """Write what differs."""
    for path, text in documents().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")


def documents() -> dict[Path, str]:
    """Every made document: path to text."""
    schemas = {DOCS / "schemas" / f"{name}.json": json.dumps(schema(name), indent=2) + "\n" for name in DATASETS}
    return {**schemas, DOCS / "PROVIDERS.md": providers(), DOCS / "OPERATIONS.md": operations()}


def schema(dataset: str) -> dict[str, Any]:
    """The JSON Schema of a record on its topic: shape from the record class, meanings from DATASETS.md.

    Raises `KeyError` for a field whose meaning is not written down.
    """
    record: RecordType = DATASETS[dataset]
    made = record.model_json_schema(mode="serialization")
    described = meanings(dataset)
    properties = {name: {**_plain(shape), "description": described[name]} for name, shape in made["properties"].items()}
    return {
        "$schema": DIALECT,
        "title": dataset,
        "description": made["description"],
        "x-topic": topics.MARKET[dataset],
        "x-table": DATASET_TABLES[dataset],
        "x-key": list(record.key),
        "type": "object",
        "properties": properties,
        "required": list(properties),  # absent values travel as null
        "additionalProperties": False,
    }


def operations() -> str:
    """The text of OPERATIONS.md with a row in its section "Log events" for every event."""
    told = (DOCS / "OPERATIONS.md").read_text(encoding="utf-8")
    rows = [_event_row(event) for catalogue in LOG_EVENTS for event in sorted(described(catalogue).items())]
    section = re.compile(rf"(?<=^{re.escape(EVENTS_HEAD)}).*?(?=^$)", re.MULTILINE | re.DOTALL)
    return section.sub(lambda _: "".join(rows), told, count=1)  # an empty match would be followed by another


def _event_row(described_event: tuple[str, str]) -> str:
    event, told = described_event
    found = EVENT.fullmatch(told)
    if not found:
        raise ValueError(f"log event {event}: write `LEVEL: What happened. Do: what an operator does.`, not {told!r}")
    remedy = found["remedy"] or "nothing"
    return f"| `{event}` | {found['levels']} | {found['what'].rstrip('.')} | {remedy.rstrip('.')} |\n"


def described(catalogue: type[StrEnum]) -> dict[str, str]:
    """Event to docstring, in one line; raises `KeyError` for an event without one."""
    body = ast.parse(inspect.getsource(catalogue)).body[0].body  # type: ignore[attr-defined]
    found = {
        member.targets[0].id: " ".join(docstring.value.value.split())
        for member, docstring in pairwise(body)
        if isinstance(member, ast.Assign) and isinstance(docstring, ast.Expr)
    }
    return {member.value: found[member.name] for member in catalogue}


def meanings(dataset: str) -> dict[str, str]:
    """Field to meaning, from the tables of DATASETS.md; the common fields included, where the dataset has them."""
    text = (DOCS / "DATASETS.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    found = {**_fields(sections["Common fields"]), **_fields(sections[dataset])}
    return {name: meaning for name, meaning in found.items() if not (dataset == "news" and name in NOT_OF_NEWS)}


def _fields(section: str) -> dict[str, str]:
    return {found["name"]: found["meaning"].replace("`", "").strip() for found in FIELD.finditer(section)}


def _plain(shape: Any) -> Any:
    """Leave out what pydantic adds for forms: titles and inner descriptions."""
    if isinstance(shape, dict):
        return {name: _plain(value) for name, value in shape.items() if name not in {"title", "description"}}
    return [_plain(value) for value in shape] if isinstance(shape, list) else shape


def providers() -> str:
    """The text of PROVIDERS.md."""
    rows = capabilities.matrix()
    parts = [PROVIDERS_HEAD, _overview(rows), _limits(capabilities.sellers())]
    titles = {seller.name: seller for seller in capabilities.sellers()}
    parts += [_provider(titles[name], list(sold)) for name, sold in groupby(rows, key=lambda row: row.provider)]
    return "\n".join(parts)


def _overview(rows: Sequence[Capability]) -> str:
    names = sorted({row.provider for row in rows})
    lines = [(f"`{dataset}`", *(_classes(rows, name, dataset) for name in names)) for dataset in DATASETS]
    return "## Who sells what, of which asset classes\n\n" + _table(("", *names), lines)


def _classes(rows: Sequence[Capability], provider: str, dataset: str) -> str:
    sold = {name for row in rows if (row.provider, row.dataset) == (provider, dataset) for name in row.asset_classes}
    return " ".join(name for name in get_args(AssetClass) if name in sold)


def _limits(sellers: Sequence[Seller]) -> str:
    head = ("provider", "key", "declared limits of a key", "its day ends in", "base URL")
    lines = [
        (
            f"[{seller.title}]({seller.docs})",
            "none needed" if seller.keyless else f"`{seller.name.upper()}_KEYS`",
            ", ".join(seller.limits) or "none",
            seller.zone,
            f"`{seller.base_url}`",
        )
        for seller in sellers
    ]
    return "## Keys and limits\n\n" + _table(head, lines)


def _provider(seller: Seller, rows: Sequence[Capability]) -> str:
    head = (
        *("dataset", "endpoint", "asset classes", "intervals, kinds, periods", "adjustment"),
        *("symbols a call", "rows", "cost", "plan", "history"),
    )
    lines = [
        (
            row.dataset,
            f"[{row.endpoint}]({row.docs})",
            " ".join(row.asset_classes),
            " ".join((*row.intervals, *row.kinds, *row.periods)),
            " ".join(row.adjustments),
            str(row.batch) if row.batch else "whole market",
            f"{row.rows:,}" if row.rows else "",
            price(row),
            row.plan,
            row.history,
        )
        for row in rows
    ]
    return f"## {seller.title}\n\n" + _table(head, lines)


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "".join(_lines(head, lines))


def _lines(head: Sequence[str], lines: Iterable[Sequence[str]]) -> Iterator[str]:
    for line in (head, ["---"] * len(head), *lines):
        yield f"| {' | '.join(line)} |\n"


if __name__ == "__main__":
    main()
