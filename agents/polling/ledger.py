"""Makes every call count before it is made, where a crash of this process cannot forget it.

A reservation is acknowledged by the broker. The embedded broker forgets when it ends, so on the embedded default it is
also in the store: all reservations that wait together are one insert.
"""

from __future__ import annotations

import asyncio
from typing import Any

from agents.log_events import AgentEvent
from infra import telemetry
from infra.clickhouse import Store, StoreUnavailable, log_table
from streams.messaging import topics
from streams.messaging.messages import ApiCall
from streams.messaging.producer import Outbox
from streams.processing.table_rows import CALL_COLUMNS

log = telemetry.get(__name__)

GAP_S = 0.04  # between inserts: each costs a core 10 ms, whether of one row or of a hundred
RETRY_S = 1.0  # a store that restarts is back within seconds


class Ledger:
    """Keeps the calls of this worker. With `store` it is the store that remembers, otherwise Kafka alone."""

    def __init__(self, outbox: Outbox, store: Store | None = None) -> None:
        self._outbox = outbox
        self._store = store
        self._waiting: list[tuple[ApiCall, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def reserve(self, call: ApiCall, partition: int) -> None:
        """Return when it is safe that this call counts. A broker or store that is away is waited for."""
        if self._store is not None:
            await self._kept(call)  # first: so that nothing is published that a start does not count
        await self.publish(call, partition)

    async def publish(self, call: ApiCall, partition: int) -> None:
        """Publish a call to the components that fold the provider's account."""
        await self._outbox.send(topics.API_CALLS, call.encode(), key=call.provider, partition=partition)

    async def close(self) -> None:
        """Finish what is being written."""
        if self._writing:
            await self._writing

    async def _kept(self, call: ApiCall) -> None:
        kept = asyncio.get_running_loop().create_future()
        self._waiting.append((call, kept))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="ledger")
        await kept

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await self._insert([call for call, _ in batch])
            except Exception as error:  # noqa: BLE001  (whatever it is, every call that waits hears of it, and none starts)
                _release(batch, error)
            else:
                _release(batch)
            await asyncio.sleep(GAP_S)
        self._writing = None

    async def _insert(self, calls: list[ApiCall]) -> None:
        assert self._store is not None
        rows = [call.model_dump() for call in calls]
        columns: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in CALL_COLUMNS}
        columns["symbols"] = [list(symbols) for symbols in columns["symbols"]]
        while True:
            try:
                await self._store.insert(log_table("api_calls"), columns)
            except StoreUnavailable as error:
                log.warning(AgentEvent.LEDGER_RETRY, error=str(error))
                await asyncio.sleep(RETRY_S)
            else:
                return


def _release(batch: list[tuple[ApiCall, asyncio.Future[None]]], error: Exception | None = None) -> None:
    for _, kept in batch:
        if kept.done():
            continue  # its request was cancelled meanwhile
        if error:
            kept.set_exception(error)
        else:
            kept.set_result(None)
