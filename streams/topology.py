"""The composition root: which actor gets which parts, and the order in which they start and stop.

poll.urgent, poll.requests -> Poller -> raw.responses -> Normalizer -> market.* -> Sink -> the store
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from agents.collecting.leader import Leader
from agents.monitor import Monitor, Progress
from agents.page_guard import PageGuard
from agents.polling.caller import Caller
from agents.polling.key_pool import open_key_pools
from agents.polling.ledger import Ledger
from agents.polling.ownership import AccountOwnership
from agents.polling.poller import Poller
from agents.polling.quote_cache import Quotes
from agents.polling.transport import Transport
from agents.sink import Sink
from connectors import connectors
from infra import tasks, telemetry
from infra.clickhouse import Store, StoreOwned, migrate
from infra.clickhouse.queries import CallCost, calls_since, refused_since
from infra.kafka.admin import ensure_topics
from infra.settings import Settings
from infra.terminal import printable
from streams import application
from streams.accounts import account as accounts
from streams.accounts import entitlement
from streams.accounts.account import Account
from streams.collecting.declarations import load
from streams.errors import TapestreamError
from streams.log_events import StreamEvent
from streams.messaging import topics
from streams.messaging.events import Partition
from streams.messaging.mailbox import Mailboxes, Work
from streams.messaging.messages import OwnerCommand
from streams.messaging.producer import Outbox
from streams.processing.normalize import Normalizer
from streams.processing.table_rows import TABLES
from streams.processing.track_calls import CallTracker
from streams.runtime.pages import keep_token, new_token
from streams.runtime.run_file import RunFile

log = telemetry.get(__name__)

STORED = frozenset(TABLES)
OWNED_S = 5.0  # Kafka assigns partitions within a heartbeat or two
DRAIN_S = 10.0  # of the 15 s that a stop may take
MAILBOX_HIGH = 1_000  # events in memory for each provider
NORMALIZE_WINDOW = 16  # answers in memory; each may be as large as the body limit


class Worker:
    """One worker process: the Faust app and everything its actors need."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = settings.clock
        self.pools = open_key_pools(settings)
        self.base_urls = {name: url for name in connectors() if (url := settings.base_url(name))}
        self.outbox = Outbox(settings.bootstrap)
        self.ownership = AccountOwnership(
            self.pools,
            self.outbox,
            counted=settings.embedded_store,
            on_fault=partial(self._fail, "owner"),
            now=self.clock.now_ms,
        )
        self.quotes = Quotes(settings.bootstrap, round(settings.quote_ttl_s * 1000), now=self.clock.now_ms)
        self.leader = Leader(
            settings,
            self.pools,
            self.outbox,
            self.quotes,
            owned=self.ownership.owned,
            clock=self.clock,
            on_fault=partial(self._fail, "leader"),
        )
        given = settings.web_token
        self._token = given.get_secret_value() if given else new_token()
        self._kept: RunFile | None = None
        guard = PageGuard(self._token, settings.web_names).middleware
        self.app: Any = application.build(settings, guard, opening=self.open, draining=self.drain, closing=self.close)
        self._wire()
        self.store: Store | None = None
        self.sink: Sink | None = None
        self.ledger: Ledger | None = None
        self.transport: Transport | None = None
        self.requests: Mailboxes | None = None
        self.responses: Mailboxes | None = None
        self._sinking: asyncio.Task[None] | None = None
        self._failure = ""

    def _wire(self) -> None:
        """Declare the Faust side: topics, agents, tables, pages. Values stay bytes: their decoding is ours."""
        self._follow_calls()
        for polls in topics.POLLS:
            self._hand_over("poller", polls, topics.MAILBOXES, lambda: self.requests)
        self._hand_over("normalizer", topics.RAW_RESPONSES, topics.SYMBOL_PARTITIONS, lambda: self.responses)
        self._hand_over("collector", topics.COLLECT_REQUESTS, 1, lambda: self.leader.boxes)
        for owner in (self, self.leader):
            self.app.on_partitions_assigned.connect(owner.assigned)
            self.app.on_partitions_revoked.connect(owner.revoked)
        Monitor(
            self.pools,
            self.quotes,
            owned=self.ownership.owned,
            progress=self.progress,
            store=lambda: self.store,
            now=self.clock.now_ms,
        ).attach(self.app)

    def _hand_over(self, name: str, topic: str, partitions: int, boxes: Callable[[], Mailboxes | None]) -> None:
        """Declare an agent that puts a topic's events into mailboxes, which acknowledge them."""

        @self.app.agent(self._topic(topic, partitions), name=f"{name}-{topic}")  # type: ignore[untyped-decorator]
        async def hand_over(stream: Any) -> None:
            async for event in stream.noack().events():
                boxes().put(event)  # type: ignore[union-attr]

    def _follow_calls(self) -> None:
        tables = {name: self.app.Table(name, partitions=topics.MAILBOXES) for name in topics.TABLES}
        self.tracker = CallTracker(tables, {name: pool.policy for name, pool in self.pools.items()}, self._obey)

        @self.app.agent(self._topic(topics.API_CALLS, topics.MAILBOXES), name="track_calls")  # type: ignore[untyped-decorator]
        async def track_calls(stream: Any) -> None:
            async for event in stream.events():
                self.tracker.handle(event.message)

    async def assigned(self, _: Any, assigned: set[Partition], **__: Any) -> None:
        """Take the mailboxes that this worker is given."""
        for boxes in (self.requests, self.responses):
            if boxes is not None:
                boxes.own(assigned)
        self.ownership.take(where.partition for where in assigned if where.topic == topics.API_CALLS)

    async def revoked(self, _: Any, revoked: set[Partition], **__: Any) -> None:
        """Return up the mailboxes that go to another worker."""
        self.ownership.release(where.partition for where in revoked if where.topic == topics.API_CALLS)
        for boxes in (self.requests, self.responses):
            if boxes is not None:
                await boxes.release(revoked)

    def _obey(self, order: OwnerCommand, account: Account) -> None:
        self.ownership.apply_command(order, account, known=self.tracker.knows(order.provider))

    def _topic(self, name: str, partitions: int) -> Any:
        return self.app.topic(
            name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw", partitions=partitions
        )

    async def open(self) -> None:
        """Open everything before the first event: topics, store, connections. Ends the process with one clear line."""
        settings = self.settings
        try:
            self._kept = keep_token(settings, self._token)
            await ensure_topics(settings.bootstrap, topics.SPECS, replication=settings.replication)
            self.store = await self._open_store()
            await migrate(self.store)
            await self._replay_calls(self.store)
            declared = load()
        except TapestreamError as error:
            if self.store:
                await self.store.close()
            raise SystemExit(f"tapestream: {error}") from None
        await self.outbox.start()
        await self._open_poller(self.store)
        normalizer = Normalizer(self.outbox, now=self.clock.now_ms)
        self.responses = self._mailboxes("normalizer", normalizer.handle, NORMALIZE_WINDOW)
        self.sink = Sink(
            settings.bootstrap,
            self.store,
            self.outbox,
            batch_rows=settings.sink_batch_rows,
            batch_age_s=settings.sink_batch_age_s,
        )
        await self.leader.open(self.store, declared, self.app.consumer)
        self._sinking = asyncio.create_task(self._sink(self.sink), name="sink")
        tasks.report_fault(self._sinking, partial(self._fail, "sink"))
        log.info(
            StreamEvent.WORKER_OPENED, store=repr(self.store), keys=sum(len(pool.keys) for pool in self.pools.values())
        )

    async def _open_poller(self, store: Store) -> None:
        settings = self.settings
        self.transport = Transport(
            timeout_s=settings.http_timeout_s,
            body_limit=settings.http_body_limit,
            base_urls=self.base_urls,
            now=self.clock.now_ms,
        )
        self.ledger = Ledger(self.outbox, store if settings.embedded_store else None)
        await self.quotes.start()
        poller = Poller(
            self.pools,
            Caller(self.transport, self.outbox, self.ledger, now=self.clock.now_ms),
            self.outbox,
            retries=settings.retries,
            ready=self.ownership.ready,
            quotes=self.quotes,
            sleep=self.clock.sleep,
            now=self.clock.now_ms,
            real_s=self.clock.real_s,
        )
        self.requests = self._mailboxes("poller", poller.handle, settings.poller_window, arrived=poller.arrived)

    def _mailboxes(self, actor: str, work: Work, window: int, **options: Any) -> Mailboxes:
        return Mailboxes(
            work,
            window=window,
            high=MAILBOX_HIGH,
            consumer=self.app.consumer,
            on_fault=partial(self._fail, actor),
            **options,
        )

    async def _replay_calls(self, store: Store) -> None:
        """Count again what earlier processes used in the current windows, so that a restart grants no second quota."""
        now = self.clock.now_ms()
        since = min((pool.horizon(now) for pool in self.pools.values()), default=now)
        calls: dict[str, list[CallCost]] = {}
        for call in await calls_since(store, since):
            calls.setdefault(call.provider, []).append(call)
        refused = entitlement.replayed(await refused_since(store, now - entitlement.REMEMBERED_MS))
        for name, pool in self.pools.items():
            known = accounts.after_takeover(accounts.replayed(calls.get(name, ()), pool.policy), pool.policy, now)
            pool.adopt(replace(known, refusals=refused.get(name, {})))

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
        await self.leader.stop()
        await self.requests.drain(DRAIN_S / 2)
        try:
            async with asyncio.timeout(DRAIN_S / 2):
                while not self.settled():
                    await asyncio.sleep(0.05)
        except TimeoutError:
            log.warning(StreamEvent.WORKER_DRAIN_INCOMPLETE, behind=self.behind())

    async def close(self) -> None:
        """Store what the sink holds and close every connection."""
        if self.responses:
            await self.responses.drain(1.0)
        if self.sink and not self._failure:
            await self.sink.stop()
        await self.quotes.stop()
        if self.ledger:
            await self.ledger.close()
        await self.outbox.stop()
        if self.transport:
            await self.transport.close()
        if self.store:
            await self.store.close()
        if self._kept:
            self._kept.release()
        if self._failure:
            # everything is stored and closed; Faust's own way out hangs when its stop raises (tried)
            sys.stderr.write(printable(f"tapestream: {self._failure}\n"))
            sys.stderr.flush()
            os._exit(1)

    def ready(self) -> bool:
        """True when this worker owns mailboxes and takes their requests."""
        mine = any(where.topic in topics.POLLS for where in self.app.assignor.assigned_actives())
        return self.sink is not None and mine and not self.ownership.waiting and not self.app.rebalancing

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

    def progress(self) -> Progress:
        """How far this worker is."""
        return Progress(
            ready=self.ready(),
            behind=self.behind(),
            settled=self.settled(),
            rows_stored=self.sink.rows if self.sink else 0,
            store_away=bool(self.sink and self.sink.waiting_for_store),
        )

    @staticmethod
    async def _sink(sink: Sink) -> None:
        """Join the sink's group while Faust joins its own: each takes seconds."""
        await sink.start()
        await sink.run()

    def _fail(self, actor: str, error: BaseException) -> None:
        """An actor that cannot continue ends the worker. Nothing more is acknowledged, and an operator has to look."""
        if not self._failure:
            self._failure = f"the {actor} failed: {error}"
            log.error(StreamEvent.WORKER_FAILED, actor=actor, error=str(error), exc_info=error)
            os.kill(os.getpid(), signal.SIGTERM)
