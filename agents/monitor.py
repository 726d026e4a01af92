"""The worker's pages on its loopback web server: its state, and answers to read-only SQL.

`/status/` is the whole; `/keys/`, `/breakers/` and `/budget/` are what it says of the providers that this worker owns.
POST SQL to `/query/` for rows, and to `/export/?format=Parquet` for a file: each client has one under way at a time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp.web import HTTPTooManyRequests
from faust.web import View

from infra.clickhouse import QueryRefused, Store, StoreUnavailable
from infra.clock import SYSTEM
from streams.accounts import views

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.polling.key_pool import KeyPool
    from agents.polling.quote_cache import Quotes


WAITING = 64
"""Questions of one client that may wait: a page of many panels asks some dozens at once, more are a loop."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a worker is."""

    ready: bool
    """True when requests are being taken."""
    behind: Mapping[str, int]
    """Records per topic not handled yet."""
    settled: bool
    """True when everything produced has reached the store."""
    rows_stored: int
    """Rows that the sink has stored."""
    store_away: bool
    """True while the sink waits for the store."""


class OnePerClient:
    """One question of a client is under way at a time, so that none keeps the store from the others."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._asking: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[None]:
        """Wait for the client's turn. Raises `HTTPTooManyRequests` where `WAITING` of its questions wait already."""
        if self._asking[client] > WAITING:
            raise HTTPTooManyRequests(text=f"{WAITING} questions of this client wait already: ask one after another")
        self._asking[client] += 1
        try:
            async with self._locks.setdefault(client, asyncio.Lock()):
                yield
        finally:
            self._asking[client] -= 1
            if not self._asking[client]:
                del self._asking[client], self._locks[client]


class Monitor:
    """Serves the pages.

    `owned()` names the providers that the worker may ask now; `store()` is None until it is open.
    """

    def __init__(
        self,
        pools: Mapping[str, KeyPool],
        quotes: Quotes,
        *,
        owned: Callable[[], list[str]],
        progress: Callable[[], Progress],
        store: Callable[[], Store | None],
        now: Callable[[], int] = SYSTEM.now_ms,
    ) -> None:
        self._pools = pools
        self._quotes = quotes
        self._owned = owned
        self._progress = progress
        self._store = store
        self._now = now
        self._questions = OnePerClient()

    def attach(self, app: Any) -> None:
        """Add the pages to the app."""

        @app.page("/status/")  # type: ignore[untyped-decorator]
        async def status(web: Any, request: Any) -> Any:
            del request
            return web.bytes(orjson.dumps(self.status()), content_type="application/json")

        for what in ("keys", "breaker", "budget"):
            self._attach(app, what, f"/{what if what != 'breaker' else 'breakers'}/")

        @app.page("/query/")
        class Query(View):  # type: ignore[misc,unused-ignore]
            async def post(view, request: Any) -> Any:  # noqa: N805
                sql = (await request.read()).decode("utf-8", "replace")
                async with self._questions.turn(request.remote):
                    body, code = await self.query(sql)
                return view.bytes(orjson.dumps(body, default=str), content_type="application/json", status=code)

        @app.page("/export/")
        class Export(View):  # type: ignore[misc,unused-ignore]
            async def post(view, request: Any) -> Any:  # noqa: N805
                sql = (await request.read()).decode("utf-8", "replace")
                async with self._questions.turn(request.remote):
                    body, code = await self.export(sql, request.query.get("format", "CSVWithNames"))
                return view.bytes(body, content_type="application/octet-stream", status=code)

    def status(self) -> dict[str, Any]:
        """The worker's state as plain data; times ms UTC."""
        now, quotes = self._now(), self._quotes
        return {
            "at": now,
            **asdict(self._progress()),
            "owned": self._owned(),
            "quotes": {
                "known": len(quotes),
                "hits": quotes.hits,
                "misses": quotes.misses,
                "unreadable": quotes.unreadable,
            },
            "providers": {
                name: views.provider(name, pool.account, pool.policy, now) for name, pool in self._pools.items()
            },
        }

    def _attach(self, app: Any, what: str, path: str) -> None:
        """A page with one view of every provider that this worker owns."""

        @app.page(path)  # type: ignore[untyped-decorator]
        async def page(web: Any, request: Any) -> Any:
            del request
            status = self.status()
            shown = {name: status["providers"][name][what] for name in status["owned"]}
            return web.bytes(orjson.dumps(shown), content_type="application/json")

    async def export(self, sql: str, form: str) -> tuple[bytes, int]:
        """Answer a user's SQL as a file: (its bytes, 200) or (what was wrong, 4xx/5xx)."""
        if (store := self._store()) is None:
            return b"the store is not open yet", 503
        try:
            return await store.export(sql, form), 200
        except QueryRefused as error:
            return str(error).encode(), 400
        except StoreUnavailable as error:
            return str(error).encode(), 503

    async def query(self, sql: str) -> tuple[dict[str, Any], int]:
        """Answer a user's SQL: (columns and rows, 200) or (error, 4xx/5xx)."""
        if (store := self._store()) is None:
            return {"error": "the store is not open yet"}, 503
        try:
            found = await store.query_user(sql)
        except QueryRefused as error:
            return {"error": str(error)}, 400
        except StoreUnavailable as error:
            return {"error": str(error)}, 503
        return {"columns": found.columns, "rows": found.rows}, 200
