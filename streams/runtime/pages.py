"""The pages of a worker, asked from another process: where they are, and the token that they demand."""

from __future__ import annotations

import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from infra.clickhouse import QueryRefused, StoreUnavailable
from infra.settings import Settings
from streams.errors import AccessRefused
from streams.runtime import run_file
from streams.runtime.run_file import RunFile

SQL = "application/sql"
"""What a question is sent as. A web page cannot send this type to another origin without being asked back first."""
STATUS_S, QUERY_S, EXPORT_S = 5.0, 120.0, 600.0  # a question may wait for the one before; an export is a whole session


@dataclass(frozen=True, slots=True)
class Pages:
    """A worker's pages.

    Every question raises `AccessRefused`, and where there is no answer `aiohttp.ClientError` or `TimeoutError`.
    """

    url: str
    """Their base URL."""
    token: str = field(default="", repr=False)
    """What they demand of a caller; empty where no worker of ours runs."""

    async def status(self) -> dict[str, Any]:
        """The worker's state as plain data; times ms UTC."""
        async with self._asked("GET", "/status/", STATUS_S) as answer:
            answer.raise_for_status()
            found: dict[str, Any] = await answer.json()
            return found

    async def ready(self) -> bool:
        """Return whether a worker answers and says that it is ready. Raises `AccessRefused` only."""
        try:
            return bool((await self.status())["ready"])
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def query(self, sql: str) -> dict[str, Any]:
        """Rows that answer read-only SQL: `columns` and `rows`, or `error`."""
        async with self._asked("POST", "/query/", QUERY_S, data=sql.encode()) as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def export(self, sql: str, form: str) -> bytes:
        """Read-only SQL as a file, in one of the store's formats. Raises `QueryRefused` and `StoreUnavailable` too."""
        try:
            async with self._asked("POST", "/export/", EXPORT_S, data=sql.encode(), params={"format": form}) as answer:
                found = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise StoreUnavailable(f"the worker does not answer: {type(error).__name__}") from None
        if answer.status != 200:
            raise QueryRefused(found.decode("utf-8", "replace"))
        return found

    @asynccontextmanager
    async def _asked(
        self, method: str, path: str, within_s: float, **more: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if not self.token:
            raise aiohttp.ClientConnectionError(f"no worker of ours runs at {self.url}")
        headers = {"Authorization": f"Bearer {self.token}", **({"Content-Type": SQL} if method == "POST" else {})}
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=within_s)) as session,
            # a redirect would carry the token to another place
            session.request(method, f"{self.url}{path}", headers=headers, allow_redirects=False, **more) as answer,
        ):
            if answer.status in {401, 403}:
                raise AccessRefused(
                    f"what listens at {self.url} does not take our token: use its worker's DATA_DIR, or its WEB_TOKEN"
                )
            yield answer


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(32)


def worker_file(settings: Settings) -> Path:
    """Where a worker that runs by itself keeps its token; containers that share DATA_DIR have names of their own."""
    return settings.data_dir / f"worker-{socket.gethostname()}-{settings.web_port}.json"


def keep_token(settings: Settings, token: str) -> RunFile | None:
    """Write a worker's token down for the commands of this machine; None where WEB_TOKEN has it. Raises OSError."""
    if settings.web_token:
        return None
    kept = RunFile(worker_file(settings)).acquire()
    kept.publish({"web_url": settings.web_url, "token": token})
    return kept


def pages_of_worker(settings: Settings) -> Pages:
    """The pages of the worker that runs by itself with these settings, if it does. Raises `RunFileInvalid`."""
    if settings.web_token:
        return Pages(settings.web_url, settings.web_token.get_secret_value())
    found = run_file.read(worker_file(settings), {"web_url": str, "token": str})
    return Pages(found["web_url"], found["token"]) if found else Pages(settings.web_url)
