"""Dead letters: what could not be understood, with the reason and the way back to the raw record."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from connectors.reading import first_fault
from connectors.records import YEAR_1, YEAR_9999
from streams.messaging import topics
from streams.messaging.events import Event
from streams.messaging.messages import DeadLetter
from streams.messaging.producer import Outbox

if TYPE_CHECKING:
    from connectors import Reject
    from streams.messaging.messages import RawMeta

Origin = tuple[str | None, int | None, int | None]
"""Topic, partition and offset of a raw record; None where a replay reads an answer whose record is gone."""


def letter(*, stage: str, rule: str, reason: str, at: int, **where: Any) -> DeadLetter:
    """Make a dead letter; the same fault of the same record has the same id, so that a replay adds nothing.

    `at` is in ms UTC; a Kafka timestamp, which any producer may set, is brought within the bounds of a time.
    """
    at = min(max(at, YEAR_1), YEAR_9999)
    parts = (stage, rule, reason, *(f"{name}={where[name]}" for name in sorted(where)))
    ident = blake2b("\x1f".join(parts).encode("utf-8", "replace"), digest_size=16).hexdigest()
    return DeadLetter(letter_id=ident, at=at, stage=stage, rule=rule, reason=reason[:2000], **where)


def rejected(reject: Reject, meta: RawMeta, row: str | None, raw: Origin) -> DeadLetter:
    """The letter of one rejected row of a raw answer."""
    return letter(
        stage="validate",
        rule=reject.rule,
        reason=reject.reason,
        at=meta.received_at,
        provider=meta.provider,
        dataset=meta.call.dataset,
        symbol=reject.symbol or (meta.call.symbols[0] if len(meta.call.symbols) == 1 else None),
        call_id=meta.call_id,
        request_id=meta.request_id,
        raw_topic=raw[0],
        raw_partition=raw[1],
        raw_offset=raw[2],
        row=row,
    )


def unfit(error: ValueError) -> str:
    """Why a value is no message of its topic, in words about the value."""
    return first_fault(error) if isinstance(error, ValidationError) else str(error)


async def unreadable(outbox: Outbox, event: Event, error: ValidationError, now: int) -> None:
    """Send an event whose value is no message of ours to the dead letters; `now` in ms UTC."""
    message = event.message
    found = letter(
        stage="message",
        rule="message",
        at=now,
        reason=f"no message of this topic: {first_fault(error)}",
        raw_topic=message.topic,
        raw_partition=message.partition,
        raw_offset=message.offset,
        row=bytes(event.value or b"")[:65_536].decode("utf-8", "replace"),
    )
    await outbox.send(topics.DEAD_LETTERS, found.encode())
