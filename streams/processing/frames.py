"""Cuts records to what a Kafka record may hold. Pure.

A body within `HTTP_BODY_LIMIT` can be longer as JSON: `1e15` becomes seventeen characters. Kafka refuses what is longer
than 16 MiB, at every attempt. So a frame of bars is cut into frames of 4 MiB, and what cannot be cut is rejected above
the limit. The cuts depend on the frame alone, so a replay makes the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from connectors import AnyRecord, Reject
from connectors.records import Bars
from streams.messaging.producer import MAX_MESSAGE

LARGEST_FRAME = 4 * 2**20
"""Bytes: a produce request carries one batch of every partition, and a broker takes 100 MB of them."""
LARGEST_RECORD = MAX_MESSAGE - 2**20
"""Bytes, with room for the key, the headers and what compression adds to what it cannot shorten."""
BAR = 240
"""Bytes of one bar at most, in ten columns: a time of 15 digits, a count of 20, numbers of 24, and commas."""
ESCAPED = 6
"""Bytes that JSON may make of one: a control character takes six."""


def encode(record: AnyRecord) -> bytes:
    """Return the record's value on its `market.*` topic."""
    return orjson.dumps(record.__dict__)


def fitting(records: Iterable[AnyRecord], body_size: int) -> tuple[list[AnyRecord], list[Reject]]:
    """Return (records that fit a message, rejects for those that cannot be cut).

    `body_size` is the length of the answer they come from, in bytes.
    """
    kept: list[AnyRecord] = []
    rejects: list[Reject] = []
    for record in records:
        if isinstance(record, Bars):
            kept += _cut(record)
        elif ESCAPED * body_size > LARGEST_RECORD and (size := len(encode(record))) > LARGEST_RECORD:
            reason = f"a record of {size:,} bytes: a message holds {LARGEST_RECORD:,}"
            rejects.append(Reject(rule="too_large", reason=reason, symbol=getattr(record, "symbol", None)))
        else:
            kept.append(record)
    return kept, rejects


def _cut(frame: Bars) -> Iterator[Bars]:
    bars = len(frame.ts)
    if bars * BAR <= LARGEST_FRAME or (size := len(encode(frame))) <= LARGEST_FRAME:
        yield frame
        return
    most = bars // -(-size // LARGEST_FRAME) or 1
    columns = {name: column for name, column in frame.__dict__.items() if isinstance(column, list)}
    for at in range(0, bars, most):
        part = frame.model_copy(update={name: column[at : at + most] for name, column in columns.items()})
        yield from _cut(part) if most > 1 else (part,)
