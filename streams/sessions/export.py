"""A session's rows as files, one for each source and dataset. The engine writes the formats itself.

A row that a later collection replaced is that one's: what is exported is what the store has of the session now.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from infra.clickhouse import DATASET_TABLES, Store, StoreError
from infra.clickhouse.queries import text
from infra.settings import Settings
from streams.runtime import discovery

FORMATS = {"parquet": "Parquet", "csv": "CSVWithNames", "json": "JSONEachRow"}
"""The ending of a file, and what the engine calls its format; `json` is one object a line."""
SOURCE = re.compile(r"[a-z0-9_]+")
"""A provider's name; nothing else of an answer becomes part of a path."""


class Exports(Protocol):
    """Answers a query as a file."""

    async def export(self, sql: str, form: str) -> bytes:
        """Return the answer in one of the engine's formats."""
        ...


async def export_to(folder: Path, session_id: str, form: str, settings: Settings) -> list[tuple[Path, int]]:
    """Write `<source>-<dataset>.<form>` files into an existing folder, and return each with its number of rows.

    Raises `StoreError`, OSError.
    """
    written = []
    async with _opened(settings) as store:
        for dataset, table in DATASET_TABLES.items():
            where = f"FROM {table} WHERE startsWith(request_id, {text(session_id + '-')})"
            counted = await store.export(f"SELECT source, count() {where} GROUP BY source ORDER BY source", "TSV")
            for source, rows in (line.split("\t") for line in counted.decode().splitlines()):
                if not SOURCE.fullmatch(source):
                    raise StoreError(f"the store names a source {source!r}, which cannot be part of a file's name")
                path = folder / f"{source}-{dataset}.{form}"
                found = await store.export(f"SELECT * {where} AND source = {text(source)} ORDER BY ALL", FORMATS[form])
                path.write_bytes(found)
                written.append((path, int(rows)))
    return written


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Exports]:
    """The store itself, or the worker that owns an embedded one."""
    pages = discovery.find(settings).pages
    if settings.embedded_store and await pages.ready():
        yield pages
        return
    async with await Store.open(settings.store_url, readonly=True) as store:
        yield store
