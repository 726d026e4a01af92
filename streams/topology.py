"""The composition root: which actor gets which parts, and the order in which they start and stop.

poll.requests -> Poller -> raw.responses -> Normalizer -> market.* -> Sink -> the store
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

from agents._desk import Desk
from agents._http import Transport
from agents.monitor import Monitor
from agents.poller import Poller
from agents.sink import Sink
from connectors import connectors
from infra import telemetry
from infra.clickhouse import Store, StoreError, StoreOwned, migrate
from infra.clickhouse.queries import calls_since
from infra.kafka.admin import TopicMismatch, TopicRefused, ensure_topics
from infra.kafka.connection import BrokerUnreachable
from infra.settings import Settings
from streams import application, topics
from streams.mailbox import Mailboxes
from streams.messages import now_ms
from streams.normalize import Normalizer
from streams.outbox import Outbox
from streams.state.quota import Window

log = telemetry.get(__name__)

OWNED_S = 5.0
DRAIN_S = 10.0  # of the 15 s that a stop may take
MAILBOX_HIGH = 1_000
NORMALIZE_WINDOW = 16


class Worker:
    """One worker process: the Faust app and everything its actors need."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.desks = open_desks(settings)
        self.base_urls = {name: url for name in connectors() if (url := settings.base_url(name))}
        self.outbox = Outbox(settings.bootstrap)
        self.app: Any = application.build(settings, opening=self.open, draining=self.drain, closing=self.close)
        self._wire()
        self.store: Store | None = None
        self.sink: Sink | None = None
        self.transport: Transport | None = None
        self.requests: Mailboxes | None = None
        self.responses: Mailboxes | None = None
        self._sinking: asyncio.Task[None] | None = None
        self._failure = ""

    def _wire(self) -> None:
        """Declare the Faust side: topics, agents, pages. Values stay bytes: decoding is ours, so are its faults."""
        requests = self._topic(topics.POLL_REQUESTS, topics.MAILBOXES)
        responses = self._topic(topics.RAW_RESPONSES, topics.SYMBOL_PARTITIONS)

        @self.app.agent(requests, name="poller")  # type: ignore[untyped-decorator]
        async def poller(stream: Any) -> None:
            async for event in stream.noack().events():
                self.requests.put(event)  # type: ignore[union-attr]

        @self.app.agent(responses, name="normalizer")  # type: ignore[untyped-decorator]
        async def normalizer(stream: Any) -> None:
            async for event in stream.noack().events():
                self.responses.put(event)  # type: ignore[union-attr]

        @self.app.on_partitions_revoked.connect  # type: ignore[untyped-decorator]
        async def release(_: Any, revoked: set[Any], **__: Any) -> None:
            for boxes in (self.requests, self.responses):
                if boxes is not None:
                    await boxes.release(revoked)

        Monitor(self).attach(self.app)

    def _topic(self, name: str, partitions: int) -> Any:
        return self.app.topic(
            name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw", partitions=partitions
        )

    async def open(self) -> None:
        """Open everything before the first event: topics, store, connections. Ends the process with one clear line."""
        settings = self.settings
        try:
            await ensure_topics(settings.bootstrap, topics.SPECS)
            self.store = await self._open_store()
            await migrate(self.store)
            await self._replay_calls(self.store)
        except (BrokerUnreachable, TopicMismatch, TopicRefused, StoreError) as error:
            if self.store:
                await self.store.close()
            raise SystemExit(f"tapestream: {error}") from None
        await self.outbox.start()
        self.transport = Transport(
            timeout_s=settings.http_timeout_s,
            body_limit=settings.http_body_limit,
            base_urls=self.base_urls,
        )
        poller = Poller(self.desks, self.transport, self.outbox, retries=settings.retries)
        normalizer = Normalizer(self.outbox)
        consumer = self.app.consumer
        self.requests = Mailboxes(
            poller.handle,
            window=settings.poller_window,
            high=MAILBOX_HIGH,
            consumer=consumer,
            on_fault=lambda error: self._fail("poller", error),
        )
        self.responses = Mailboxes(
            normalizer.handle,
            window=NORMALIZE_WINDOW,
            high=MAILBOX_HIGH,
            consumer=consumer,
            on_fault=lambda error: self._fail("normalizer", error),
        )
        self.sink = Sink(
            settings.bootstrap,
            self.store,
            self.outbox,
            batch_rows=settings.sink_batch_rows,
            batch_age_s=settings.sink_batch_age_s,
        )
        await self.sink.start()
        self._sinking = asyncio.create_task(self.sink.run(), name="sink")
        self._sinking.add_done_callback(self._sink_ended)
        log.info("worker.opened", store=repr(self.store), keys=sum(len(desk.keys) for desk in self.desks.values()))

    async def _replay_calls(self, store: Store) -> None:
        """Count again what earlier lives spent in the windows that still run: a restart gives no second quota."""
        now = now_ms()
        since = min((desk.horizon(now) for desk in self.desks.values()), default=now)
        for call in await calls_since(store, since):
            desk = self.desks.get(call.provider)
            if desk and call.key_label:
                desk.replay(call.key_label, call.cost_calls, call.outcome, call.retry_after_s, call.started_at)

    async def _open_store(self) -> Store:
        """Open the store; a folder that a command has open for a moment is waited for."""
        patience = asyncio.get_running_loop().time() + OWNED_S
        while True:
            try:
                return await Store.open(self.settings.store_url)
            except StoreOwned:
                if asyncio.get_running_loop().time() > patience:
                    raise
                await asyncio.sleep(0.2)

    async def drain(self) -> None:
        """Take no more requests, finish calls under way, and let what was received reach the store."""
        if self.requests is None or self.responses is None or self.sink is None or self._failure:
            return
        await self.requests.drain(DRAIN_S / 2)
        try:
            async with asyncio.timeout(DRAIN_S / 2):
                while not self.settled():
                    await asyncio.sleep(0.05)
        except TimeoutError:
            log.warning("worker.drain_incomplete", behind=self.behind())

    async def close(self) -> None:
        """Store what the sink holds and close every connection."""
        if self.responses:
            await self.responses.drain(1.0)
        if self.sink and not self._failure:
            await self.sink.stop()
        await self.outbox.stop()
        if self.transport:
            await self.transport.close()
        if self.store:
            await self.store.close()
        if self._failure:
            # everything is stored and closed; Faust's own way out hangs when its stop raises (tried)
            sys.stderr.write(f"tapestream: {self._failure}\n")
            sys.stderr.flush()
            os._exit(1)

    def ready(self) -> bool:
        """True when this worker owns mailboxes and takes their requests."""
        mine = any(where.topic == topics.POLL_REQUESTS for where in self.app.assignor.assigned_actives())
        return self.sink is not None and mine and not self.app.rebalancing

    def behind(self) -> dict[str, int]:
        """Records per topic that this worker produced and that are not handled yet, as far as this worker sees."""
        done: dict[tuple[str, int], int] = {}
        if self.responses and self.sink:
            done = {**self.sink.stored}
            for where, offset in self.responses.handled().items():
                done[where] = min(offset, done.get(where, 0))
        lag: dict[str, int] = {}
        for (topic, partition), offset in self.outbox.produced.items():
            if topic in STORED and (missing := offset + 1 - done.get((topic, partition), 0)) > 0:
                lag[topic] = lag.get(topic, 0) + missing
        return lag

    def settled(self) -> bool:
        """True when everything this worker produced has reached the store."""
        return not self.behind() and not self.outbox.waiting

    def _sink_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._fail("sink", error)

    def _fail(self, actor: str, error: BaseException) -> None:
        """An actor that cannot go on ends the worker: somebody has to look, and nothing more is acknowledged."""
        if not self._failure:
            self._failure = f"the {actor} failed: {error}"
            log.error("worker.failed", actor=actor, error=str(error), exc_info=error)
            os.kill(os.getpid(), signal.SIGTERM)


STORED = frozenset({topics.RAW_RESPONSES, topics.API_CALLS, topics.DEAD_LETTERS, *topics.MARKET.values()})


def open_desks(settings: Settings) -> Mapping[str, Desk]:
    """One desk per provider, with the keys and limits that the settings give it."""
    desks = {}
    for name, connector in connectors().items():
        keys = settings.keys(name) or (("",) if connector.auth.keyless else ())
        limits = settings.limits(name)
        windows = (
            [Window(calls, per, connector.zone) for calls, per in limits]
            if limits is not None
            else [Window(limit.calls, limit.per, limit.zone) for limit in connector.limits]
        )
        desks[name] = Desk(connector, {f"{name}#{i}": key for i, key in enumerate(keys, 1)}, windows)
    return desks
