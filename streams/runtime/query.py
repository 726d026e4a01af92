"""Answers questions to the store: through the worker that owns the embedded one, else by opening it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from infra.clickhouse import QueryRefused, Store, StoreError, StoreUnavailable
from infra.settings import Settings
from streams.runtime import discovery

LOOKS, LOOK_S = 40, 0.25  # ten seconds in all: ten times the age at which the sink stores a batch
Ask = Callable[[str], Awaitable[list[Any]]]
"""Gives the rows that answer a question, in SQL."""


async def answer(settings: Settings, sql: str) -> dict[str, Any]:
    """Answer a read-only query: `columns` and `rows`, and `empty` where there is no store yet. Raises `StoreError`."""
    if settings.embedded_store:
        try:
            found = await discovery.find(settings).pages.query(sql)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            pass
        else:
            if "error" in found:
                raise StoreError(found["error"])
            return found
        if not await asyncio.to_thread(Path(settings.store_url.removeprefix("chdb://")).is_dir):
            return {"columns": (), "rows": [], "empty": True}
    async with await Store.open(settings.store_url, readonly=True) as store:
        rows = await store.query_user(sql)
        return {"columns": rows.columns, "rows": rows.rows}


@asynccontextmanager
async def asking(settings: Settings) -> AsyncIterator[Ask]:
    """Open the way to the store for many questions, which raise `StoreError`; an embedded one that nobody owns, too.

    Raises `StoreError`, also where there is no store yet.
    """
    pages = discovery.find(settings).pages
    if settings.embedded_store and await pages.ready():

        async def ask(sql: str) -> list[Any]:
            try:
                found = await pages.query(sql)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                raise StoreUnavailable(f"the worker does not answer: {type(error).__name__}") from None
            if "error" in found:
                raise StoreError(found["error"])
            return list(found["rows"])

        yield ask
        return
    if settings.embedded_store and not await asyncio.to_thread(Path(settings.store_url.removeprefix("chdb://")).is_dir):
        raise StoreUnavailable(f"there is no store in {settings.data_dir} yet: run `tapestream up`, or set DATA_DIR")
    async with await Store.open(settings.store_url, readonly=True) as store:

        async def ask_store(sql: str) -> list[Any]:
            return list((await store.query_user(sql)).rows)

        yield ask_store


async def rows(settings: Settings, sql: str) -> list[Any]:
    """Return the rows of an answer; none where no pipeline has made the store and its tables yet."""
    try:
        return list((await answer(settings, sql))["rows"])
    except QueryRefused:
        return []


async def stored(ask: Ask, sql: str, wanted: Callable[[list[Any]], bool]) -> bool:
    """Ask again and again until the rows are as `wanted`: what was reported is soon stored; False after ten seconds."""
    for _ in range(LOOKS):
        if wanted(await ask(sql)):
            return True
        await asyncio.sleep(LOOK_S)
    return False
