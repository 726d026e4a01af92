"""Raw answers to unified records: connector, then rules. The pure core of the processor, and its actor."""

from __future__ import annotations

import asyncio
import reprlib
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import orjson
from pydantic import ValidationError

from connectors import Answer, AnyRecord, Outcome, Reject, UnsupportedCall, connector
from connectors.errors import MalformedPayload
from connectors.records import Bars, News
from infra import telemetry
from streams.messaging import dead_letters, topics
from streams.messaging.messages import DeadLetter, RawMeta
from streams.messaging.producer import Outbox
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


def rows_of(record: AnyRecord) -> int:
    """Rows that a record brings to its table."""
    return len(record.ts) if isinstance(record, Bars) else 1


def dead_row(row: Any) -> str | None:
    """JSON text of a rejected row, at most 64 KiB; what JSON cannot say (nested too deep, say) as a text."""
    if row is None:
        return None
    try:
        found = orjson.dumps(row, default=repr, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:
        found = reprlib.repr(row).encode("utf-8", "replace")
    return found[:65_536].decode("utf-8", "replace")


def encode(record: AnyRecord) -> bytes:
    """Return the record's value on its `market.*` topic."""
    return orjson.dumps(record.__dict__)


class Normalizer:
    """Turns each raw response into records on the market topics and rejects on dead.letters."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def handle(self, event: Any) -> None:
        """Handle one event of raw.responses: what it became is acknowledged by the broker on return."""
        message = event.message
        try:
            meta = RawMeta.decode(dict(event.headers or {}).get("meta", b""))
        except ValidationError as error:
            await dead_letters.unreadable(self._outbox, event, error)
            return
        raw = (message.topic, message.partition, message.offset)
        try:
            records, letters = normalize(meta, bytes(event.value or b""), raw)
        except Exception:  # a fault of ours must not stop the stream; the raw record stays
            log.exception("normalize.fault", call_id=meta.call_id, provider=meta.provider)
            records, letters = [], [_letter(meta, raw, "normalize", "fault", FAULT)]
        sends = chain(
            (self._outbox.send(topics.MARKET[record.dataset], encode(record), key=_key(record)) for record in records),
            (self._outbox.send(topics.DEAD_LETTERS, found.encode()) for found in letters),
        )
        while some := list(islice(sends, AT_ONCE)):
            await asyncio.gather(*some)


def normalize(meta: RawMeta, body: bytes, raw: tuple[str, int, int]) -> tuple[list[AnyRecord], list[DeadLetter]]:
    """Return (records, dead letters) of one raw response. A refusal other than a broken payload gives neither."""
    answer = Answer(status=meta.status, headers=meta.headers, body=body, observed_at=meta.received_at)
    try:
        outcome = connector(meta.provider).read(meta.call, meta.page.request(), answer, meta.request_id)
    except UnsupportedCall as error:
        return [], [_letter(meta, raw, "normalize", "unsupported", str(error))]
    if isinstance(outcome.refusal, MalformedPayload):
        return [], [_letter(meta, raw, "normalize", "MalformedPayload", outcome.refusal.reason)]
    normalized = judge(outcome)
    return normalized.records, [
        dead_letters.rejected(reject, meta, dead_row(reject.row), raw) for reject in normalized.rejects
    ]


def _letter(meta: RawMeta, raw: tuple[str, int, int], stage: str, rule: str, reason: str) -> DeadLetter:
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


def _key(record: AnyRecord) -> str:
    return record.id if isinstance(record, News) else record.symbol
