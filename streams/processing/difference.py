"""The difference between what answers are read as today and what the store holds of them. Pure.

A table keeps one row of each key: the one observed last, and of two observed at once the one inserted last. So a row
that is published again replaces the stored row of the same answer, and never one of a later answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import orjson

from connectors import DATASETS, AnyRecord
from connectors.records import Bars
from streams.messaging.messages import DeadLetter, RawMeta
from streams.processing.table_rows import bar_rows

Row = tuple[Any, ...]
Key = tuple[Any, ...]
Origin = tuple[str, int, str]
"""Where a row is from: provider, time of receipt in ms UTC, request id."""
COMMODITY_APART = frozenset({"quote", "bars", "assets"})
"""Datasets in which a commodity's root may be a share's ticker: the asset class is a part of the key there."""


class Settled(Protocol):
    """A set of keys, which may lie outside the memory."""

    def __contains__(self, key: object, /) -> bool:
        """Return whether the key was added."""
        ...

    def add(self, key: Key, /) -> None:
        """Add a key."""
        ...


BOOKKEEPING = frozenset({"source", "observed_at", "request_id"})
"""Fields that say where a row is from: rows that differ in these alone are equal."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A dataset's table: its columns and their types in order, as the store has them."""

    dataset: str
    """Name of the dataset."""
    types: Mapping[str, str]
    """ClickHouse types by column."""
    place: Mapping[str, int] = field(init=False)
    """Positions by column."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", {name: at for at, name in enumerate(self.types)})

    def rows(self, record: AnyRecord) -> list[Row]:
        """Return a record's rows, each value as the store would return it."""
        if isinstance(record, Bars):
            columns = bar_rows(record.__dict__)
        else:
            columns = {name: [value] for name, value in record.__dict__.items()}
        return list(zip(*(_as_stored(columns[name], kind) for name, kind in self.types.items()), strict=True))

    def key(self, row: Row) -> Key:
        """Return the row's key: rows with one key replace each other. Absent parts of it count as one value."""
        values = {name: row[self.place[name]] or None for name in DATASETS[self.dataset].key}
        if self.dataset == "earnings":
            values["fiscal_date"] = values["fiscal_date"] or values["report_date"]
            del values["report_date"]
        apart = self.dataset in COMMODITY_APART and row[self.place["asset_class"]] == "commodity"
        return (self.dataset, *values.values(), apart)

    def named(self, row: Row, names: Iterable[str]) -> dict[str, Any]:
        """Return the fields of these names."""
        return {name: row[self.place[name]] for name in names}

    def fields(self) -> list[str]:
        """Names of the fields that are compared."""
        return [name for name in self.types if name not in BOOKKEEPING and name not in DATASETS[self.dataset].key]

    def origin(self, row: Row) -> Origin:
        """Return where a row is from."""
        return row[self.place["source"]], row[self.place["observed_at"]], row[self.place["request_id"]]

    def equal(self, one: Row, other: Row) -> bool:
        """Return whether the rows differ in no field that is compared. A key's absent parts may be written twice."""
        return all(a == b for name, a, b in zip(self.types, one, other, strict=True) if name not in BOOKKEEPING)


def _as_stored(column: Sequence[Any], kind: str) -> Sequence[Any]:
    if kind.startswith("Map"):
        return [{name: float(value) for name, value in found.items()} for found in column]
    return [None if value is None else float(value) for value in column] if "Float64" in kind else column


@dataclass(frozen=True, slots=True)
class Found:
    """One row as an answer is read today."""

    row: Row
    """Its values, in the order of its table."""
    layout: Layout
    """Its table."""
    record: AnyRecord
    """The record that holds it."""
    index: int
    """Its place in a frame of bars."""
    call_id: str
    """Id of the call that the answer answers."""


class Yield:
    """The rows of some answers as they are read today, the newest answer first."""

    def __init__(self, layouts: Mapping[str, Layout]) -> None:
        self._layouts = layouts
        self.rows: dict[Key, Found] = {}
        """Of each key the row that the store should hold, as far as these answers go."""
        self.origins: dict[Origin, str] = {}
        """Call ids of the answers by (provider, time of receipt, request id)."""
        self._keys: set[tuple[Key, int]] = set()

    def add(self, meta: RawMeta, records: Iterable[AnyRecord]) -> None:
        """Add an answer that was received before those already here."""
        self.origins[meta.provider, meta.received_at, meta.request_id] = meta.call_id
        own: dict[Key, Found] = {}
        for record in records:
            layout = self._layouts[record.dataset]
            for index, row in enumerate(layout.rows(record)):
                own[layout.key(row)] = Found(row, layout, record, index, meta.call_id)
        self._keys.update((key, meta.received_at) for key in own)
        for key, found in own.items():
            self.rows.setdefault(key, found)

    def yields(self, key: Key, received_at: int) -> bool:
        """Return whether an answer received at that time (ms UTC) has a row of this key."""
        return (key, received_at) in self._keys


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the difference: `added`, `changed`, or `gone` where the store's row is yielded no more."""

    kind: Literal["added", "changed", "gone"]
    """What the difference is."""
    dataset: str
    """Name of the dataset."""
    key: Mapping[str, Any]
    """Fields of the row's key."""
    fields: Mapping[str, tuple[Any, Any]]
    """(stored, read today) by field, of those that differ."""
    call_id: str
    """Id of the call whose answer it is."""


def differences(
    found: Yield,
    stored: Mapping[Key, Row],
    others: Set[Origin],
    settled: Settled,
) -> Iterator[tuple[Change, Found]]:
    """Compare what answers are read as with the store's rows of the same keys.

    `others` are all archived answers that were received at the same times. `settled` are the keys that newer answers
    have decided; those that these answers decide are added to them.
    """
    for key, new in found.rows.items():
        if (old := stored.get(key)) is not None:
            if _newer(new.layout.origin(old), new.layout.origin(new.row), others):
                continue
            if equal := new.layout.equal(old, new.row):
                settled.add(key)  # an answer between the two does not count any more
        else:
            equal = False
        if not equal and key not in settled:
            settled.add(key)
            yield _change("changed" if old is not None else "added", new.layout, old, new.row, new.call_id), new


def _newer(stored: Origin, read: Origin, others: Set[Origin]) -> bool:
    """Return whether the stored row is of a later answer, or of another one that was received at the same time."""
    return stored[1] > read[1] or (stored[1] == read[1] and stored[2] != read[2] and stored in others)


def gone(
    found: Yield,
    stored: Mapping[Key, Row],
    others: Set[Origin],
    settled: Settled,
    layouts: Mapping[str, Layout],
) -> Iterator[Change]:
    """Find the stored rows that were observed in one of these answers, which is read without them today."""
    times = {(provider, at): call_id for (provider, at, _), call_id in found.origins.items()}
    for key, row in stored.items():
        layout = layouts[key[0]]
        provider, at, _ = origin = layout.origin(row)
        mine = origin in found.origins or ((provider, at) in times and origin not in others)
        if mine and not found.yields(key, at) and key not in settled:
            yield _change("gone", layout, row, None, found.origins.get(origin) or times[provider, at])


def _change(
    kind: Literal["added", "changed", "gone"], layout: Layout, old: Row | None, new: Row | None, call_id: str
) -> Change:
    row = new if new is not None else old
    assert row is not None, "a change has a row"
    before, after = (layout.named(side, layout.fields()) if side is not None else {} for side in (old, new))
    pairs = {name: (before.get(name), after.get(name)) for name in layout.fields()}
    fields = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    key = layout.named(row, DATASETS[layout.dataset].key)
    return Change(kind, layout.dataset, key, fields, call_id)


def part_of(rows: Sequence[Found]) -> AnyRecord:
    """Return the record that holds these rows, all of one record; a frame of bars is reduced to these bars."""
    record = rows[0].record
    if not isinstance(record, Bars) or len(rows) == len(record.ts):
        return record
    kept = sorted(found.index for found in rows)
    columns = {name: column for name, column in record.__dict__.items() if isinstance(column, list)}
    return record.model_copy(update={name: [column[at] for at in kept] for name, column in columns.items()})


REREAD = frozenset({"normalize", "validate"})
"""Stages whose letters reading the answer again can close."""


def letters_closed(stored: Iterable[DeadLetter], today: Iterable[DeadLetter]) -> list[DeadLetter]:
    """Return the stored letters that reading their answers again does not write any more."""
    still = set(map(_about, today))
    return [letter for letter in stored if letter.stage in REREAD and _about(letter) not in still]


def letters_new(stored: Iterable[DeadLetter], today: Iterable[DeadLetter]) -> list[DeadLetter]:
    """Return the letters of reading answers again that the store has none of, each once."""
    known = set(map(_about, stored))
    return list({_about(letter): letter for letter in today if _about(letter) not in known}.values())


def _about(letter: DeadLetter) -> tuple[str | None, ...]:
    """What a letter is about: its reason may be worded anew, and its id depends on where the raw record was."""
    return letter.call_id, letter.rule, letter.symbol, letter.row


def key_bytes(key: Key) -> bytes:
    """Return the key as bytes, to be remembered outside the memory."""
    return orjson.dumps(key)
