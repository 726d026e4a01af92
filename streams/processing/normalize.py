"""Raw answers to unified records: connector, then rules. The pure core of the processor, and its actor."""

from __future__ import annotations

import asyncio
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import orjson
from pydantic import ValidationError

from connectors import (
    Answer,
    AnyRecord,
    Outcome,
    Reject,
    UnsupportedCall,
    connector,
)
from connectors.errors import MalformedPayload
from connectors.records import News
from infra import telemetry
from infra.clock import SYSTEM
from streams.log_events import StreamEvent
from streams.messaging import dead_letters, endings, market, topics
from streams.messaging.dead_letters import Origin
from streams.messaging.endings import End
from streams.messaging.events import Event
from streams.messaging.messages import DeadLetter, RawMeta
from streams.messaging.outcomes import PollOutcome
from streams.messaging.producer import Outbox
from streams.processing.conclude import Understood, end_of, withheld
from streams.processing.frames import encode, fitting
from streams.processing.validate import validate

log = telemetry.get(__name__)

FAULT = "this program failed on the answer: the log has the fault as normalize.fault, under its call_id"
AT_ONCE = 500  # records on their way to the broker: a list of all instruments of a market has tens of thousands


@dataclass(frozen=True, slots=True)
class Normalized:
    """What one answer became: the records that keep every rule, and the rows that do not."""

    records: list[AnyRecord]
    """Records that keep every rule."""
    rejects: list[Reject]
    """Rows that break one."""


def judge(outcome: Outcome) -> Normalized:
    """Apply the rules to what a connector read."""
    records, broken = validate(outcome.items)
    return Normalized(records, [*outcome.rejects, *broken])


def dead_row(row: Any) -> str | None:
    """JSON text of a rejected row, at most 64 KiB; what JSON cannot say (nested too deep, say) as a text."""
    if row is None:
        return None
    try:
        found = orjson.dumps(row, default=repr, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:
        found = reprlib.repr(row).encode("utf-8", "replace")
    return found[:65_536].decode("utf-8", "replace")


class Normalizer:
    """Turns each raw response into records on the market topics and rejects on dead.letters, and reports the end."""

    def __init__(self, outbox: Outbox, *, now: Callable[[], int] = SYSTEM.now_ms) -> None:
        self._outbox = outbox
        self._now = now

    async def handle(self, event: Event) -> None:
        """Handle one event of raw.responses: what it became is acknowledged by the broker on return.

        The end of the request is reported behind its records: a reader of the report finds them.
        """
        message = event.message
        try:
            meta = RawMeta.decode(dict(event.headers or {}).get("meta", b""))
        except ValidationError as error:
            await dead_letters.unreadable(self._outbox, event, error, self._now())
            return
        raw = (message.topic, message.partition, message.offset)
        try:
            found = normalize(meta, bytes(event.value or b""), raw)
            await self._publish(found)
            end = meta.due and end_of(meta.due, meta.page, found, self._now())
        except Exception:  # a fault of ours must not stop the stream; the raw record stays
            log.exception(StreamEvent.NORMALIZE_FAULT, call_id=meta.call_id, provider=meta.provider)
            await self._publish(Understood(letters=[fault_letter(meta, raw)]))
            end = meta.due and End(meta.due, PollOutcome.FAULT, FAULT)
        if end:
            await endings.publish(self._outbox, end, meta.received_at)

    async def _publish(self, found: Understood) -> None:
        sends = chain(
            (
                self._outbox.send(
                    topics.MARKET[record.dataset],
                    encode(record),
                    key=key_of(record),
                    headers=market.headers(record.request_id),
                )
                for record in found.records
            ),
            (self._outbox.send(topics.DEAD_LETTERS, letter.encode()) for letter in found.letters),
        )
        while some := list(islice(sends, AT_ONCE)):
            await asyncio.gather(*some)


def normalize(meta: RawMeta, body: bytes, raw: Origin) -> Understood:
    """Read and judge one raw response. A refusal other than a broken payload gives neither records nor letters."""
    answer = Answer(status=meta.status, headers=meta.headers, body=body, observed_at=meta.received_at)
    try:
        outcome = connector(meta.provider).read(meta.call, meta.page.request(), answer, meta.request_id)
    except UnsupportedCall as error:
        letter = _letter(meta, raw, "normalize", "unsupported", str(error))
        return Understood(letters=[letter], refusal=MalformedPayload(str(error)))
    if isinstance(outcome.refusal, MalformedPayload):
        letter = _letter(meta, raw, "normalize", "MalformedPayload", outcome.refusal.reason)
        return Understood(letters=[letter], refusal=outcome.refusal)
    normalized = judge(outcome)
    records, too_large = fitting(normalized.records, len(body))
    rejects = (*normalized.rejects, *too_large)
    letters = [dead_letters.rejected(reject, meta, dead_row(reject.row), raw) for reject in rejects]
    return Understood(
        records,
        letters,
        outcome.refusal,
        outcome.missing,
        outcome.next,
        outcome.cut_off,
        rest=withheld(meta.call, outcome, meta.received_at),
    )


def fault_letter(meta: RawMeta, raw: Origin) -> DeadLetter:
    """The letter of an answer on which this program failed."""
    return _letter(meta, raw, "normalize", "fault", FAULT)


def _letter(meta: RawMeta, raw: Origin, stage: str, rule: str, reason: str) -> DeadLetter:
    return dead_letters.letter(
        stage=stage,
        rule=rule,
        reason=reason,
        at=meta.received_at,
        provider=meta.provider,
        dataset=meta.call.dataset,
        symbol=meta.call.symbols[0] if len(meta.call.symbols) == 1 else None,
        call_id=meta.call_id,
        request_id=meta.request_id,
        raw_topic=raw[0],
        raw_partition=raw[1],
        raw_offset=raw[2],
    )


def key_of(record: AnyRecord) -> str:
    """The record's key on its topic."""
    return record.id if isinstance(record, News) else record.symbol
