"""The Faust app: its settings and the moments of its life, not its actors. `streams.topology` wires those."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import faust
from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials

from infra import telemetry
from infra.kafka.brokers import KafkaSecurity
from infra.settings import Settings
from streams.messaging import topics

BIG = 32 * 2**20  # bytes: twice the largest message, so that one always fits
QUESTION = 2**20  # bytes: the longest question that a page reads
Step = Callable[[], Awaitable[None]]


class Tapestream(faust.App):  # type: ignore[misc]
    """Faust's app with three moments of ours: before anything starts, before it stops, after it stopped."""

    opening: Step
    """Runs before anything starts."""
    draining: Step
    """Runs before anything stops."""
    closing: Step
    """Runs after everything stopped."""

    async def on_start(self) -> None:
        """Open what the actors need, before any of them runs."""
        await self.opening()
        await super().on_start()

    async def on_stop(self) -> None:
        """Let what was received reach the store while everything still runs, then stop."""
        await self.draining()
        await super().on_stop()
        await self.closing()


def build(settings: Settings, guard: Any, *, opening: Step, draining: Step, closing: Step) -> Any:
    """Make the app for these settings. It connects to nothing before it is started.

    `guard` is the middleware of aiohttp that every page is behind, Faust's own too.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)  # Faust makes its own folder there, but no parents
    app = Tapestream(
        topics.APP,
        broker=settings.kafka_url,
        broker_credentials=_credentials(settings.bootstrap.security),
        store="memory://",
        datadir=str(settings.data_dir / "faust"),
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_wait_empty=False,
        broker_session_timeout=6.0,
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
    app.opening, app.draining, app.closing = opening, draining, closing
    return app


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
