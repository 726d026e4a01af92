"""The last quote of each symbol, as `market.quotes` brings them: what answers a request without a call.

Every worker has them all, whichever worker polled them: it follows the topic from as far back as a quote may be used.
(Faust's global tables would be the same, but with several workers their recovery may never end.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from connectors import Call
from infra import telemetry
from infra.clock import now_ms
from streams.messaging import topics
from streams.messaging.producer import MAX_MESSAGE

log = telemetry.get(__name__)

Record = dict[str, Any]
RETRY_S = 1.0  # a broker that restarts is back within seconds


class Quotes:
    """Last quotes by (symbol, asset class, source). One younger than `ttl_ms` may answer; counts how often it did."""

    def __init__(self, bootstrap: str, ttl_ms: int) -> None:
        self._bootstrap = bootstrap
        self._ttl_ms = ttl_ms
        self._last: dict[tuple[str, str], dict[str, Record]] = {}
        self._following: asyncio.Task[None] | None = None
        self.hits = 0
        self.misses = 0

    async def start(self) -> None:
        """Read what is young enough to be used, and follow."""
        if not self._ttl_ms:
            return
        consumer: Any = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, max_partition_fetch_bytes=MAX_MESSAGE)
        await consumer.start()
        partitions = [TopicPartition(topics.MARKET["quote"], n) for n in range(topics.SYMBOL_PARTITIONS)]
        consumer.assign(partitions)
        since = now_ms() - self._ttl_ms
        for partition, found in (await consumer.offsets_for_times(dict.fromkeys(partitions, since))).items():
            if found is None:
                await consumer.seek_to_end(partition)
            else:
                consumer.seek(partition, found.offset)
        self._following = asyncio.create_task(self._follow(consumer), name="quotes")

    async def stop(self) -> None:
        """Stop following."""
        if self._following:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    def note(self, record: Record) -> None:
        """Remember a quote, unless a later one of its source is known."""
        known = self._last.setdefault((record["symbol"], record["asset_class"]), {})
        before = known.get(record["source"])
        if before is None or before["observed_at"] <= record["observed_at"]:
            known[record["source"]] = record

    def fresh(self, call: Call, sources: Iterable[str], now: int) -> dict[str, Record]:
        """The youngest usable quote of each symbol of `call` from one of `sources`; counts hits and misses."""
        wanted = set(sources)
        found = {}
        for symbol in call.symbols:
            known = self._last.get((symbol, call.asset_class), {})
            young = [
                record
                for source, record in known.items()
                if source in wanted and 0 <= now - record["observed_at"] < self._ttl_ms
            ]
            if young:
                found[symbol] = max(young, key=lambda record: record["observed_at"])
        self.hits += len(found)
        self.misses += len(call.symbols) - len(found)
        return found

    def forget_old(self, now: int) -> int:
        """Drop what is too old to be used; returns how many."""
        before = sum(map(len, self._last.values()))
        for key, known in list(self._last.items()):
            kept = {source: record for source, record in known.items() if now - record["observed_at"] < self._ttl_ms}
            if kept:
                self._last[key] = kept
            else:
                del self._last[key]
        return before - sum(map(len, self._last.values()))

    def __len__(self) -> int:
        return sum(map(len, self._last.values()))

    async def _follow(self, consumer: Any) -> None:
        try:
            while True:
                try:
                    fetched = await consumer.getmany(timeout_ms=500)
                except KafkaError as error:
                    log.warning("quotes.fetch", error=str(error))
                    await asyncio.sleep(RETRY_S)
                    continue
                for record in (record for records in fetched.values() for record in records):
                    self.note(orjson.loads(record.value))
        finally:
            await consumer.stop()
