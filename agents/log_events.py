"""What the actors write to the log: every event, its level, and what an operator does about it.

docs/OPERATIONS.md lists them, made from here by `make docs`.
"""

from __future__ import annotations

from enum import StrEnum


class AgentEvent(StrEnum):
    """Events of the actors, by the part that logs them."""

    BREAKER_CHANGED = "breaker.changed"
    """INFO or WARNING: A provider's circuit breaker changed its state; it is WARNING when it opened. Do: if it stays
    open, look at the provider's status page."""
    BREAKER_RESET = "breaker.reset"
    """INFO: An operator closed a provider's circuit breaker."""
    BUDGET_DAY = "budget.day"
    """INFO: The calls and the cost of the day before, by provider."""
    BUDGET_NEARLY_SPENT = "budget.nearly_spent"
    """WARNING: A provider has spent 80 % of its day's budget. Do: raise `<PROVIDER>_BUDGET`, or let it wait for
    midnight."""
    COLLECTOR_BEGUN = "collector.begun"
    """INFO: A run of a collector began."""
    COLLECTOR_ENDED = "collector.ended"
    """INFO or WARNING: A run of a collector ended; it is WARNING unless its state is `done`. Do: `tapestream collect`
    shows the reason; run it again."""
    COLLECTOR_FAULT = "collector.fault"
    """ERROR: A fault of this program ended a run; its report says `failed`. Do: report it with the log."""
    COLLECTOR_RETRY = "collector.retry"
    """WARNING: Requests of a run failed for a reason that may pass, and are asked again after a pause."""
    ENDPOINT_DEPRECATED = "endpoint.deprecated"
    """WARNING: A provider says that it will withdraw an endpoint. Do: look for a newer version of this program before
    the day."""
    KEY_NOT_ENTITLED = "key.not_entitled"
    """INFO: A key's plan does not sell a scope; it is not asked within the scope for a day."""
    KEY_REJECTED = "key.rejected"
    """ERROR: A provider does not accept a key, which is asked no more. Do: put a valid key into `<PROVIDER>_KEYS` and
    restart."""
    LEADER_LEADS = "leader.leads"
    """INFO: This worker runs the collectors and the schedules from now on."""
    LEDGER_RETRY = "ledger.retry"
    """WARNING: A reservation cannot be stored; its call waits until it can. Do: look at the store if it lasts."""
    POLLER_FAULT = "poller.fault"
    """ERROR: A fault of this program ended a request with the outcome `Fault`. Do: report it with the log."""
    PROVIDER_TAKEN_OVER = "provider.taken_over"
    """INFO: This worker knows every earlier call of a provider, and makes its calls from now on."""
    QUALITY_CHECKED = "quality.checked"
    """INFO or WARNING: The rows and dead letters of the day before, by dataset; it is WARNING where there are dead
    letters. Do: read their rules in the table `dead_letters`."""
    QUOTES_FORGOTTEN = "quotes.forgotten"
    """INFO: Expired quotes were removed from the leader's cache."""
    SCHEDULE_FIRED = "schedule.fired"
    """INFO: A schedule asked for its run, or began its maintenance job."""
    SCHEDULE_JOB_FAILED = "schedule.job_failed"
    """ERROR: A maintenance job failed; it comes again at its next time. Do: report it with the log."""
    SINK_COMMIT_RETRY = "sink.commit_retry"
    """WARNING: Kafka did not accept the position of stored rows; the sink tries again. Do: look at the broker if it
    lasts."""
    SINK_COMMIT_SUPERSEDED = "sink.commit_superseded"
    """INFO: The partitions of stored rows went to another worker, which stores them once more."""
    SINK_FETCH = "sink.fetch"
    """WARNING: Kafka returned no records; the sink asks again. Do: look at the broker if it lasts."""
    SINK_LEFT_TO_KAFKA = "sink.left_to_kafka"
    """WARNING: The worker ended with rows that are not stored; they stay in Kafka until the next start."""
    SINK_REFUSED = "sink.refused"
    """ERROR: The store refuses a row, which is a dead letter now. Do: report it with the row."""
    SINK_STORE_AWAY = "sink.store_away"
    """WARNING: The store cannot be reached; the sink waits, and Kafka keeps the rows. Do: bring the store back."""
    STORE_AWAY = "store.away"
    """WARNING: The store cannot be reached; a collector or a maintenance job waits. Do: bring the store back."""
