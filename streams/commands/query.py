"""`tapestream query`: SQL of a user, and its answer in the form that is wanted."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import orjson
from rich.table import Table
from rich.text import Text

from infra.terminal import printable
from streams.commands.console import count, fail, load_settings, one_line_errors, say, stage
from streams.runtime.query import answer

Columns = Sequence[str]
Rows = Sequence[Sequence[Any]]
NARROWEST = 10
"""Characters of a column below which a table cannot be read: wider answers are shown row by row."""
TEXTS, BINARY = ("csv", "tsv", "json"), ("parquet", "arrow")


@click.command()
@click.argument("sql")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "vertical", *TEXTS, *BINARY]),
    help="Default: a table; vertical where it is wider than the terminal.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json: one JSON object per row.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
@one_line_errors
def query(sql: str, form: str | None, output: Path | None, *, as_json: bool) -> None:
    """Answer read-only SQL from the store, whether the pipeline runs or not.

    \b
    tapestream query "SELECT symbol, count() FROM daily_bars GROUP BY symbol"
    tapestream query "SELECT * FROM bars" --format parquet -o bars.parquet
    """
    form = "json" if as_json else form
    if form in BINARY and output is None and sys.stdout.isatty():
        fail(f"{form} is no text for a terminal: name a file with -o, or send it on with a pipe", 2)
    settings = load_settings()
    found = asyncio.run(answer(settings, sql))
    if found.get("empty"):
        fail(f"there is no store in {settings.data_dir} yet: run `tapestream up`, or set DATA_DIR or CLICKHOUSE_URL")
    rows = found["rows"]
    body = _rendered(tuple(found["columns"]), rows, form, terminal=output is None and sys.stdout.isatty())
    if output is None:
        click.get_binary_stream("stdout").write(body)
    else:
        _write(output, body)
        say(f"{count(len(rows), 'row')} in {output}", err=True)


def _rendered(columns: Columns, rows: Rows, form: str | None, *, terminal: bool) -> bytes:
    writers: Mapping[str, Callable[[Columns, Rows], bytes]] = {"parquet": _parquet, "arrow": _arrow}
    if write := writers.get(form or ""):
        return write(columns, rows)
    if form not in TEXTS:
        return for_people(columns, rows, form).encode()
    text = _json_lines(columns, rows) if form == "json" else _separated(columns, rows, "\t" if form == "tsv" else ",")
    return (printable(text) if terminal else text).encode()


def for_people(columns: Columns, rows: Rows, form: str | None = None) -> str:
    """Return a table, or the rows one below the other where `form` says so or the columns have too little room."""
    console = stage(160)
    needed = 1 + sum(3 + max(NARROWEST, len(column)) for column in columns)
    if form == "vertical" or (form is None and needed > console.width):
        return vertical(columns, rows)
    table = Table()
    for column in columns:
        table.add_column(Text(printable(column)))
    for row in rows:
        table.add_row(*(Text(exact(value)) for value in row))
    with console.capture() as drawn:
        console.print(table)
    return drawn.get()


def vertical(columns: Columns, rows: Rows) -> str:
    """Return each row as lines of a column and its value."""
    width = max(map(len, columns), default=0)
    lines = []
    for number, row in enumerate(rows, 1):
        lines.append(f"row {number}")
        lines += [f"  {printable(name):<{width}}  {exact(value)}" for name, value in zip(columns, row, strict=True)]
    return "".join(f"{line}\n" for line in lines)


def exact(value: Any) -> str:
    """Return one value as a person reads it, no digit less than is stored; nothing that a terminal would obey."""
    return printable(_plain(value))


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping | list | tuple):
        return orjson.dumps(value, default=str).decode()
    return str(value)


def _separated(columns: Columns, rows: Rows, delimiter: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_plain(value) for value in row] for row in rows)
    return text.getvalue()


def _json_lines(columns: Columns, rows: Rows) -> str:
    objects = (orjson.dumps(dict(zip(columns, row, strict=True)), default=str).decode() for row in rows)
    return "".join(f"{printable(each)}\n" for each in objects)


def _table(columns: Columns, rows: Rows) -> Any:
    return _arrow_package("pyarrow").table({name: [row[at] for row in rows] for at, name in enumerate(columns)})


def _parquet(columns: Columns, rows: Rows) -> bytes:
    table, sink = _table(columns, rows), io.BytesIO()
    _arrow_package("pyarrow.parquet").write_table(table, sink)
    return sink.getvalue()


def _arrow(columns: Columns, rows: Rows) -> bytes:
    table, sink = _table(columns, rows), io.BytesIO()
    with _arrow_package("pyarrow.ipc").new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _arrow_package(name: str) -> Any:
    """An extra, and slow to import: only who wants its files needs it."""
    try:
        return import_module(name)
    except ImportError:
        fail("parquet and arrow need pyarrow: pip install 'tapestream[frames]'")


def _write(path: Path, body: bytes) -> None:
    """Write the whole file or nothing: a full disk leaves the one before."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(body)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        fail(f"{path} cannot be written: {error.strerror or error}")
