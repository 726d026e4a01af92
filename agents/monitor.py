"""The worker's window: pages on its loopback web server that tell its state and answer read-only SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import orjson
from faust.web import View

from infra.clickhouse import QueryRefused, Store, StoreUnavailable
from streams.messages import now_ms
from streams.state import quota

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents._desk import Desk
    from agents.sink import Sink


class Observed(Protocol):
    """What the monitor reads of a worker."""

    app: Any
    desks: Mapping[str, Desk]
    store: Store | None
    sink: Sink | None

    def ready(self) -> bool:
        """True when requests are being taken."""
        ...

    def behind(self) -> dict[str, int]:
        """Records per topic not handled yet."""
        ...

    def settled(self) -> bool:
        """True when everything produced has reached the store."""
        ...


class Monitor:
    """Serves `/status` and `/query`."""

    def __init__(self, worker: Observed) -> None:
        self._worker = worker

    def attach(self, app: Any) -> None:
        """Add the pages to the app."""

        @app.page("/status/")  # type: ignore[untyped-decorator]
        async def status(web: Any, request: Any) -> Any:
            del request
            return web.bytes(orjson.dumps(self.status()), content_type="application/json")

        @app.page("/query/")
        class Query(View):  # type: ignore[misc,unused-ignore]
            async def post(view, request: Any) -> Any:  # noqa: N805
                sql = (await request.read()).decode("utf-8", "replace")
                body, code = await self.query(sql)
                return view.bytes(orjson.dumps(body, default=str), content_type="application/json", status=code)

    def status(self) -> dict[str, Any]:
        """The worker's state as plain data; times ms UTC."""
        worker = self._worker
        now = now_ms()
        return {
            "at": now,
            "ready": worker.ready(),
            "settled": worker.settled(),
            "behind": worker.behind(),
            "rows_stored": worker.sink.rows if worker.sink else 0,
            "store_away": bool(worker.sink and worker.sink.waiting_for_store),
            "providers": {name: _provider(desk, now) for name, desk in worker.desks.items()},
        }

    async def query(self, sql: str) -> tuple[dict[str, Any], int]:
        """Answer a user's SQL: (columns and rows, 200) or (error, 4xx/5xx)."""
        if self._worker.store is None:
            return {"error": "the store is not open yet"}, 503
        try:
            found = await self._worker.store.query_user(sql)
        except QueryRefused as error:
            return {"error": str(error)}, 400
        except StoreUnavailable as error:
            return {"error": str(error)}, 503
        return {"columns": found.columns, "rows": found.rows}, 200


def _provider(desk: Desk, now: int) -> dict[str, Any]:
    return {
        "breaker": desk.breaker.state,
        "calls": desk.breaker.calls,
        "failed": desk.breaker.failed,
        "keys": {
            label: {
                "rejected": usage.rejected,
                "rests_ms": max(0, usage.rest_until - now),
                "used": {f"{window.calls:g}/{window.per}": quota.used(usage, window, now) for window in desk.windows},
                "not_sold": sorted(usage.unsold),
            }
            for label, usage in desk.usage.items()
        },
    }
