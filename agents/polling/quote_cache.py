"""The last quote of each symbol, as `market.quotes` brings them: what answers a request without a call.

Every worker has them all, whichever worker polled them: it follows the topic from as far back as a quote may be used.
(Faust's global tables would be the same, but with several workers their recovery may never end.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from connectors import Call
from infra import tasks
from infra.clock import SYSTEM
from infra.kafka.brokers import Brokers
from streams.messaging import topics
from streams.messaging.endings import End
from streams.messaging.follow import follow, tail
from streams.messaging.market import read_record
from streams.messaging.messages import PollRequest
from streams.messaging.outcomes import PollOutcome
from streams.messaging.tolerant_reader import TolerantReader

Record = dict[str, Any]


class Quotes:
    """Last quotes by (symbol, asset class, source). One younger than `ttl_ms` may answer; counts how often it did."""

    def __init__(self, bootstrap: Brokers, ttl_ms: int, *, now: Callable[[], int] = SYSTEM.now_ms) -> None:
        self._bootstrap = bootstrap
        self._ttl_ms = ttl_ms
        self._now = now
        self._last: dict[tuple[str, str], dict[str, Record]] = {}
        self._following: asyncio.Task[None] | None = None
        self._reader = TolerantReader(read_record)
        self.hits = 0
        self.misses = 0

    async def start(self) -> None:
        """Read what is young enough to be used, and follow; a reader that fails begins anew."""
        if self._ttl_ms:
            self._following = tasks.keep_alive(self._follow, "quotes")

    async def stop(self) -> None:
        """Stop following."""
        await tasks.end(self._following)

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

    def answer(self, request: PollRequest, now: int) -> tuple[list[Record], End] | None:
        """Answer a request with what is known: quotes to publish once more, and the end, which asks for the others.

        None where the request is no matter of young quotes, or none is known.
        """
        call = request.call
        if call.dataset != "quote" or request.force_fresh or request.page:
            return None
        found = self.fresh(call, {*request.slip, *(hop.provider for hop in request.tried)}, now)
        if not found:
            return None
        lacking = tuple(symbol for symbol in call.symbols if symbol not in found)
        children = (request.child(0, call=call.model_copy(update={"symbols": lacking})),) if lacking else ()
        quotes = [{**record, "request_id": request.request_id} for record in found.values()]
        return quotes, End(request, PollOutcome.CACHED, children=children, records=len(quotes))

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

    @property
    def unreadable(self) -> int:
        """Records of `market.quotes` that were no quotes, and were skipped."""
        return self._reader.skipped

    def __len__(self) -> int:
        return sum(map(len, self._last.values()))

    async def _follow(self) -> None:
        async with tail(self._bootstrap, topics.MARKET["quote"], since=self._now() - self._ttl_ms) as consumer:
            async for message in follow(consumer, self._bootstrap):
                if (quote := self._reader.read(message)) is not None:
                    self.note(dict(quote))
