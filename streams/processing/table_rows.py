"""Kafka records to table columns: which topic fills which table, and how one record becomes rows. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter, create_model

from connectors import Call
from connectors.fields import kind
from connectors.records import DATASETS, Int64, Millis
from infra.clickhouse import DATASET_TABLES
from streams.messaging import topics
from streams.messaging.collector_messages import CollectorRun, UniverseChange
from streams.messaging.events import ConsumerRecord, Partition
from streams.messaging.messages import OWNER_COMMAND, ApiCall, DeadLetter, Message, PollDone, RawMeta

Columns = dict[str, list[Any]]
Decode = Callable[[bytes, Mapping[str, bytes]], Columns]

SCALARS = ("symbol", "asset_class", "source", "interval", "adjustment", "currency", "observed_at", "request_id")
SERIES = ("ts", "open", "high", "low", "close", "volume", "vwap", "trades", "adj_close", "quote_volume")

_NUMERIC = re.compile(rb'"type":"(integer|number)"')
_TIMES, _INTEGERS = TypeAdapter(list[Millis]), TypeAdapter(list[Int64 | None])


@dataclass(frozen=True, slots=True)
class Table:
    """One table and how a record of its topic is read. `decode` raises `ValueError` for what is no such record."""

    name: str
    """Name of the view."""
    columns: tuple[str, ...]
    """Names of its columns, in order."""
    decode: Decode
    """Reads a record's value into columns."""


@dataclass(slots=True)
class Batch:
    """Rows of one table, and per partition the offset after the last record in it. Immutable once cut."""

    table: Table
    """The table."""
    opened_at: float
    """Time of its first record, seconds of the monotonic clock."""
    data: Columns = field(default_factory=dict)
    """Values by column."""
    records: list[tuple[ConsumerRecord, int]] = field(default_factory=list)
    """(Kafka record, its number of rows), in order: what to tell the dead letters when the store refuses a row."""
    rows: int = 0
    """Number of rows."""
    offsets: dict[Partition, int] = field(default_factory=dict)
    """Offset after the last record, by partition."""

    def __post_init__(self) -> None:
        self.data = {name: [] for name in self.table.columns}

    def add(self, partition: Partition, record: ConsumerRecord) -> None:
        """Add one record. Raises `ValueError`, leaving the batch as it was."""
        found = self.table.decode(record.value, dict(record.headers))
        count = len(found[self.table.columns[0]])
        for name, column in self.data.items():
            column.extend(found[name])
        self.records.append((record, count))
        self.rows += count
        self.skip(partition, record.offset)

    def skip(self, partition: Partition, offset: int) -> None:
        """Count a record as handled that brings no rows."""
        self.offsets[partition] = offset + 1

    def part(self, first: int, last: int) -> Columns:
        """Columns of the records `first` up to `last` (exclusive)."""
        start = sum(count for _, count in self.records[:first])
        stop = start + sum(count for _, count in self.records[first:last])
        return {name: column[start:stop] for name, column in self.data.items()}


def _object(value: bytes) -> dict[str, Any]:
    found = orjson.loads(value)
    if not isinstance(found, dict):
        raise ValueError(f"the record is {kind(found)}, not an object")
    return found


def _bars(value: bytes, _: Mapping[str, bytes]) -> Columns:
    return bar_rows(_object(value))


def bar_rows(frame: Mapping[str, Any]) -> Columns:
    """Return the columns of a frame, one row per bar. Raises `ValueError` for what is no frame."""
    try:
        n = len(frame["ts"])
        found: Columns = {name: list(repeat(frame[name], n)) for name in SCALARS}
        for name in SERIES:
            column = frame[name]
            found[name] = list(repeat(None, n)) if column is None else column
    except KeyError as error:
        raise ValueError(f"no frame of bars: {error.args[0]} is missing") from None
    except TypeError:
        raise ValueError("no frame of bars: a column is no list") from None
    if strange := [name for name in SERIES if not isinstance(found[name], list)]:
        raise ValueError(f"column {strange[0]} is no list")
    if ragged := [name for name in SERIES if len(found[name]) != n]:
        raise ValueError(f"column {ragged[0]} is not as long as ts")
    _TIMES.validate_python([frame["observed_at"], *found["ts"]])
    if frame["trades"] is not None:
        _INTEGERS.validate_python(found["trades"])
    return found


def _one_row(columns: Sequence[str], numbers: type[BaseModel]) -> Decode:
    def decode(value: bytes, _: Mapping[str, bytes]) -> Columns:
        record = _object(value)
        try:
            row = {name: [record[name]] for name in columns}
        except KeyError as error:
            raise ValueError(f"field {error} is missing") from None
        numbers.model_validate(record)
        return row

    return decode


def _numbers(record: type[BaseModel]) -> type[BaseModel]:
    """The fields of a record that hold numbers. What texts may be is for the store to judge, row by row.

    A number beyond its bounds it would keep as another one, or keep so that no query could read it.
    """
    schemas = record.model_json_schema()["properties"]
    held = [name for name, schema in schemas.items() if _NUMERIC.search(orjson.dumps(schema))]
    fields: dict[str, Any] = {name: (record.model_fields[name].rebuild_annotation(), ...) for name in held}
    return create_model(record.__name__, __config__=ConfigDict(allow_inf_nan=False), **fields)


RAW_COLUMNS = (
    *("call_id", "request_id", "provider", "endpoint", "dataset", "symbols", "call", "method", "path", "url", "params"),
    *("sent", "status", "headers", "body", "key_label", "received_at", "latency_ms"),
)


def _raw(value: bytes, headers: Mapping[str, bytes]) -> Columns:
    meta = RawMeta.decode(headers.get("meta", b""))
    row = {
        **{name: getattr(meta, name) for name in RAW_COLUMNS if name in RawMeta.model_fields},
        "endpoint": meta.page.endpoint,
        "dataset": meta.call.dataset,
        "symbols": list(meta.call.symbols),
        "call": meta.call.model_dump_json(exclude_defaults=True),
        "method": meta.page.method,
        "path": meta.page.path,
        "params": dict(meta.page.params),
        "sent": "" if meta.page.body is None else orjson.dumps(meta.page.body).decode(),
        "headers": dict(meta.headers),
        "body": value,
    }
    return {name: [row[name]] for name in RAW_COLUMNS}


CALL_COLUMNS = tuple(ApiCall.model_fields)


def _calls(value: bytes, headers: Mapping[str, bytes]) -> Columns:
    """A call is a row, also one of an earlier version, which lacks fields; an order to the provider's owner is none."""
    if OWNER_COMMAND.items() <= headers.items():
        return {name: [] for name in CALL_COLUMNS}
    return _message(ApiCall)(value, headers)


POLL_COLUMNS = (
    *("request_id", "job_id", "provider", "dataset", "asset_class", "symbols", "interval", "adjustment", "kind"),
    *("period", "exchange", "start_at", "end_at", "outcome", "reason", "records", "rejects", "children", "tried", "at"),
)


def _polls(value: bytes, _: Mapping[str, bytes]) -> Columns:
    done = PollDone.decode(value)
    call = done.call
    row = {
        **{name: getattr(call, name) for name in POLL_COLUMNS if name in Call.model_fields},
        **{name: getattr(done, name) for name in POLL_COLUMNS if name in PollDone.model_fields},
        "symbols": list(call.symbols),
        "children": len(done.children),
        "start_at": call.start,
        "end_at": call.end,
        "tried": orjson.dumps([hop.model_dump() for hop in done.tried]).decode(),
    }
    return {name: [row[name]] for name in POLL_COLUMNS}


def _message(kind: type[Message]) -> Decode:
    """One of an earlier version, which lacks fields, is one all the same."""

    def decode(value: bytes, _: Mapping[str, bytes]) -> Columns:
        return {name: [list(found) if isinstance(found, tuple) else found] for name, found in kind.decode(value)}

    return decode


def _reported(name: str, kind: type[Message]) -> Table:
    return Table(name, tuple(kind.model_fields), _message(kind))


def _observed(name: str, record: type[BaseModel]) -> Table:
    columns = tuple(record.model_fields)
    return Table(name, columns, _one_row(columns, _numbers(record)))


TABLES: dict[str, Table] = {
    topics.API_CALLS: Table("api_calls", CALL_COLUMNS, _calls),
    topics.POLL_DONE: Table("polls", POLL_COLUMNS, _polls),
    topics.DEAD_LETTERS: _reported("dead_letters", DeadLetter),
    topics.COLLECT_DONE: _reported("collector_runs", CollectorRun),
    topics.UNIVERSE_CHANGES: _reported("universe_changes", UniverseChange),
    topics.RAW_RESPONSES: Table("raw_responses", RAW_COLUMNS, _raw),
    **{
        topics.MARKET[name]: _observed(DATASET_TABLES[name], record)
        for name, record in DATASETS.items()
        if name != "bars"
    },
    topics.MARKET["bars"]: Table("bars", (*SCALARS, *SERIES), _bars),
}
"""The table of each topic that the sink stores."""
