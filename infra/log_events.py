"""What the ground below the pipeline writes to the log: every event, its level, and what an operator does about it.

docs/OPERATIONS.md lists them, made from here by `make docs`.
"""

from __future__ import annotations

from enum import StrEnum


class InfraEvent(StrEnum):
    """Events of background tasks and of topics."""

    TASK_RESTARTED = "task.restarted"
    """WARNING: A background task failed, and begins anew after a pause. Do: report it with the log if it repeats."""
    TOPICS_FEW_COPIES = "topics.few_copies"
    """WARNING: Topics have fewer copies than `KAFKA_REPLICATION_FACTOR`, as they were created with fewer. Do: add
    copies with Kafka's own tools, or lower the setting."""
