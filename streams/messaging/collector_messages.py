"""What travels between users and the leader: runs that are asked for, how they ended, symbols that come and go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from connectors.records import AssetClass, Count, Millis
from streams.messaging.messages import Amount, Message, Number


class CollectRequest(Message):
    """Ask the leader for a run of a collector."""

    run_id: str
    """The id of the run."""
    collector: str
    """Name of the collector."""
    refresh: Literal["incremental", "full"] | None = None
    """Whether it asks only for what is missing or for everything; None: as the collector declares."""
    cause: str
    """`schedule:<name>`, `dependency:<collector>` or `command`."""
    due_at: Millis
    """The moment for which it was asked, ms UTC. A run that comes again after a crash counts what was answered
    since then."""
    asked_at: Millis
    """When it was asked, ms UTC."""
    at_once: bool = False
    """Whether it waits for no dependency and for no other run."""


class CollectorRun(Message):
    """Report how a run of a collector ended, and what it took of the worker's process."""

    run_id: str
    """The id of the run."""
    collector: str
    """Name of the collector."""
    cause: str
    """What asked for it: see `CollectRequest`."""
    refresh: str
    """`incremental` or `full`."""
    state: Literal["done", "failed", "skipped"]
    """How it ended."""
    reason: str = ""
    """Why, in words; empty where everything was served."""
    due_at: Millis
    """The moment for which it was asked, ms UTC."""
    started_at: Millis
    """When it began, ms UTC."""
    ended_at: Millis
    """When it ended, ms UTC."""
    attempts: Number = 0
    """Submissions: the first, and the retries of what failed."""
    units: Count = 0
    """Requests that were submitted, a count."""
    calls: Count = 0
    """HTTP calls that its requests made, a count."""
    records: Count = 0
    """Rows that were published."""
    rejects: Count = 0
    """Rows that broke a rule."""
    errors: Mapping[str, Number] = Field(default_factory=dict)
    """Requests that stayed unserved, a count by outcome."""
    rss_mb_peak: Amount = 0
    """Most resident memory of the worker during the run, MiB."""
    cpu_s: Amount = 0
    """Seconds of CPU that the worker took during the run."""


class UniverseChange(Message):
    """Report that a user added a symbol to the universe or removed it."""

    symbol: str
    """The canonical symbol."""
    asset_class: AssetClass
    """Its asset class."""
    change: Literal["add", "remove"]
    """What the user did."""
    at: Millis
    """When, ms UTC."""
