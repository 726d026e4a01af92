"""The topics: names, partition counts, retention. The public contract is `market.*`; the rest is internal."""

from __future__ import annotations

from connectors import connectors
from connectors.declaration import MAILBOXES as MAILBOXES  # noqa: PLC0414  (part of what this module says)
from connectors.records import DATASETS
from infra.kafka.admin import TopicSpec

APP = "tapestream"
"""Name of the Faust app: the consumer group of its agents, and what the changelogs of its tables begin with."""
SINK = f"{APP}-sink"
"""The consumer group of those who store."""
DAY_MS = 86_400_000
SYMBOL_PARTITIONS = 8  # eight workers can share the symbols; a later change would move keys

POLL_REQUESTS = "poll.requests"
POLL_URGENT = "poll.urgent"
POLLS = (POLL_URGENT, POLL_REQUESTS)
"""Mailboxes of the providers: of requests that somebody waits for, and of all the others."""
POLL_DONE = "poll.done"
COLLECT_REQUESTS = "collect.requests"
"""Whoever owns its one partition leads: it runs the collectors and keeps the clock of the schedules."""
ASKED = (*POLLS, COLLECT_REQUESTS)
"""What a renewed broker is given of what the old one held."""
COLLECT_DONE = "collect.done"
UNIVERSE_CHANGES = "universe.changes"
RAW_RESPONSES = "raw.responses"
API_CALLS = "api.calls"
DEAD_LETTERS = "dead.letters"
KEY_USAGE, BREAKERS, BUDGETS = "key_usage", "breakers", "budgets"
TABLES = (KEY_USAGE, BREAKERS, BUDGETS)
"""Faust tables, folded from api.calls and so partitioned as it is: by provider."""
MARKET = {"quote": "market.quotes"} | {name: f"market.{name}" for name in DATASETS if name != "quote"}
"""Topic of each dataset."""

SPECS: tuple[TopicSpec, ...] = (
    *(TopicSpec(topic, MAILBOXES, retention_ms=7 * DAY_MS) for topic in POLLS),
    TopicSpec(POLL_DONE, 1, retention_ms=7 * DAY_MS),
    TopicSpec(COLLECT_REQUESTS, 1, retention_ms=7 * DAY_MS),
    TopicSpec(COLLECT_DONE, 1, retention_ms=31 * DAY_MS),
    TopicSpec(UNIVERSE_CHANGES, 1, retention_ms=31 * DAY_MS),
    TopicSpec(RAW_RESPONSES, SYMBOL_PARTITIONS, retention_ms=3 * DAY_MS),
    TopicSpec(API_CALLS, MAILBOXES, retention_ms=31 * DAY_MS),
    TopicSpec(DEAD_LETTERS, 1, retention_ms=31 * DAY_MS),
    *(TopicSpec(f"{APP}-{table}-changelog", MAILBOXES, compacted=True) for table in TABLES),
    *(TopicSpec(topic, SYMBOL_PARTITIONS, retention_ms=7 * DAY_MS) for topic in MARKET.values()),
)

_PARTITIONS = {spec.name: spec.partitions for spec in SPECS}


def partitions(topic: str) -> int:
    """Number of partitions of one of our topics."""
    return _PARTITIONS[topic]


def mailbox(provider: str) -> int:
    """The partition of `poll.requests`, `poll.urgent` and `api.calls` that belongs to `provider` alone."""
    return connectors()[provider].mailbox
