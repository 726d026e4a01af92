"""The Faust app: its settings and the moments of its life, not its actors. `streams.topology` wires those."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import faust
from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials

from infra import telemetry
from infra.clock import uptime_s
from infra.kafka.brokers import KafkaSecurity
from infra.settings import Settings
from infra.stop_budget import StopBudget
from streams.messaging import topics

BIG = 32 * 2**20  # bytes: twice the largest message, so that one always fits
QUESTION = 2**20  # bytes: the longest question that a page reads
SESSION_S = 6.0
"""Seconds without a heartbeat after which the group gives this worker's mailboxes to another one."""
FAUST = 0.6
"""Share of a stop's time by which Faust has flushed its producer: half is for what was received, the rest for ours."""
Step = Callable[[], Awaitable[None]]


class Tapestream(faust.App):  # type: ignore[misc]
    """Faust's app with moments of ours: before anything starts, before it stops, and when all of it has stopped.

    `budget` is the time that all of a stop may take; a part of Faust that waits for its broker has a share of it.
    """

    budget: StopBudget
    """The time of a stop."""
    _followed: Any = None

    opening: Step
    """Runs before anything starts."""
    draining: Step
    """Runs before anything stops."""
    closing: Step
    """Runs after the actors stopped, while Faust still belongs to its consumer group."""
    closed: Callable[[], None]
    """Runs at last, when the time of the stop has not run out before."""

    def follow_heartbeats(self, accepted: Callable[[float], None]) -> None:
        """Call `accepted` with the time (`uptime_s`) at which each heartbeat was sent that the coordinator accepted.

        It is called in Faust's consumer thread. Neither Faust nor aiokafka reports heartbeats, so the function of the
        coordinator is wrapped.
        """
        coordinator = self.consumer._thread._consumer._coordinator  # noqa: SLF001
        if coordinator is self._followed:
            return
        self._followed, beat = coordinator, coordinator._do_heartbeat  # noqa: SLF001

        async def heartbeat() -> bool:
            sent_at = uptime_s()
            if answered := bool(await beat()):
                accepted(sent_at)
            return answered

        coordinator._do_heartbeat = heartbeat  # noqa: SLF001

    async def on_start(self) -> None:
        """Open what the actors need, before any of them runs."""
        await self.opening()
        await super().on_start()

    async def on_stop(self) -> None:
        """Let what was received reach the store while everything still runs, then stop."""
        self.budget.begin()
        await self.draining()
        await self.budget.within(FAUST, "faust", super().on_stop())
        await self.closing()

    async def on_shutdown(self) -> None:
        """Say what was left, when Faust has left its group too."""
        await super().on_shutdown()
        self.closed()


def build(settings: Settings, guard: Any) -> Any:
    """Make the app for these settings. It connects to nothing before it is started, and needs its moments by then.

    `guard` is the middleware of aiohttp that every page is behind, Faust's own too.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)  # Faust makes its own folder there, but no parents
    return Tapestream(
        topics.APP,
        broker=settings.kafka_url,
        broker_credentials=_credentials(settings.bootstrap.security),
        store="memory://",
        datadir=str(settings.data_dir / "faust"),
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_wait_empty=False,
        broker_session_timeout=SESSION_S,
        broker_heartbeat_interval=1.5,
        broker_commit_interval=0.5,
        broker_max_poll_interval=600.0,
        consumer_max_fetch_size=BIG,
        consumer_auto_offset_reset="earliest",
        producer_max_request_size=BIG,
        web_host=settings.web_host,
        web_bind=settings.web_host,
        web_application_options={"middlewares": [guard], "client_max_size": QUESTION},
        web_port=settings.web_port,
        worker_redirect_stdouts=False,
        logging_config=telemetry.config(settings.log_level),
    )


def _credentials(security: KafkaSecurity) -> Any:
    """How Faust's own consumers and producers log in; None without a login."""
    if security.credentials:
        return OAuthCredentials(oauth_cb=security.credentials, ssl_context=security.ssl_context)
    if security.sasl:
        return SASLCredentials(
            username=security.username,
            password=security.password,
            ssl_context=security.ssl_context,
            mechanism=security.mechanism,
        )
    return SSLCredentials(security.ssl_context) if security.tls else None
