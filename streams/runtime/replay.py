"""A replay: archived answers are read by today's connectors, and what differs from the store is published again.

No provider is called. The difference is found and published a batch of answers at a time, the newest first.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import md5
from itertools import islice
from typing import Literal, Protocol

from connectors import AnyRecord
from infra import telemetry
from infra.clickhouse import DATASET_TABLES, archive
from infra.clickhouse.archive import LETTER_COLUMNS
from infra.clock import SYSTEM
from streams.log_events import StreamEvent
from streams.messaging import market, topics
from streams.messaging.messages import DeadLetter, RawMeta
from streams.messaging.producer import Outbox
from streams.processing.archived import Archived
from streams.processing.conclude import Understood
from streams.processing.difference import (
    Change,
    Found,
    Key,
    Layout,
    Origin,
    Row,
    Yield,
    differences,
    gone,
    key_bytes,
    letters_closed,
    letters_new,
    part_of,
)
from streams.processing.frames import encode
from streams.processing.normalize import AT_ONCE, fault_letter, key_of, normalize
from streams.runtime.query import Ask

log = telemetry.get(__name__)

LONGEST_ROW = 65_536
"""Bytes of a refused record that its dead letter holds."""


@dataclass(frozen=True, slots=True)
class LetterChange:
    """One dead letter of the difference: `closed`, or `new` where a row is rejected today only."""

    kind: Literal["closed", "new"]
    """What the difference is."""
    letter: DeadLetter
    """The letter."""


@dataclass(slots=True)
class Summary:
    """What a replay has found."""

    answers: int = 0
    """Answers read again."""
    rows: Counter[str] = field(default_factory=Counter)
    """Rows by `added`, `changed`, `gone` and `refused`, which the store has refused before."""
    letters: Counter[str] = field(default_factory=Counter)
    """Dead letters by `closed`, `new` and `open`, which stay as they are."""

    @property
    def published(self) -> int:
        """Rows and dead letters that a replay publishes."""
        return self.rows["added"] + self.rows["changed"] + self.letters["closed"] + self.letters["new"]


class Answers(Protocol):
    """Archived answers."""

    def batches(self) -> AsyncIterator[list[Archived]]:
        """Return the answers in batches, the newest first."""
        ...


class Replay:
    """Finds the difference of archived answers; with an outbox it publishes what was added, changed and closed.

    `show` gets every change as it is found; `now` is the time of the pipeline, ms UTC.
    """

    def __init__(
        self,
        ask: Ask,
        outbox: Outbox | None,
        show: Callable[[Change | LetterChange], None],
        now: Callable[[], int] = SYSTEM.now_ms,
    ) -> None:
        self._now = now
        self._ask = ask
        self._outbox = outbox
        self._show = show
        self._layouts: dict[str, Layout] = {}
        self._refused: frozenset[str] = frozenset()
        self.summary = Summary()

    async def run(self, answers: Answers) -> Summary:
        """Read the answers again. Raises `StoreError` where the store does not answer."""
        self._layouts = await _layouts(self._ask)
        self._refused = frozenset(row[0] for row in await self._ask(archive.REFUSED_ROWS))
        with closing(SettledKeys()) as settled:
            async for batch in answers.batches():
                await self._batch(batch, settled)
        return self.summary

    async def _batch(self, batch: Sequence[Archived], settled: SettledKeys) -> None:
        letters = [
            DeadLetter.model_validate(dict(zip(LETTER_COLUMNS, row, strict=True)))
            for row in await self._ask(archive.letters_sql(answer.meta.call_id for answer in batch))
        ]
        places = {letter.call_id: (letter.raw_topic, letter.raw_partition, letter.raw_offset) for letter in letters}
        found, today = Yield(self._layouts), list[DeadLetter]()
        for answer in batch:
            understood = _read(answer, places.get(answer.meta.call_id, (None, None, None)))
            found.add(answer.meta, understood.records)
            today += understood.letters
            await asyncio.sleep(0)  # the outbox keeps its connections meanwhile
        self.summary.answers += len(batch)
        stored = await self._observed(found)
        stored |= await self._located(found, stored)
        others = await self._others(found, stored)
        await self._rows(found, stored, others, settled)
        await self._letters(letters, today)

    async def _rows(
        self, found: Yield, stored: Mapping[Key, Row], others: frozenset[Origin], settled: SettledKeys
    ) -> None:
        """Show and publish the difference of a batch's rows."""
        changes: dict[int, tuple[list[Change], list[Found]]] = {}
        for change, row in differences(found, stored, others, settled):
            said, rows = changes.setdefault(id(row.record), ([], []))
            said.append(change)
            rows.append(row)
        publish: list[AnyRecord] = []
        for said, rows in changes.values():
            record = part_of(rows)
            if self._is_refused(record):
                self.summary.rows["refused"] += len(rows)
                continue
            publish.append(record)
            for change in said:
                self._say(change)
        for change in gone(found, stored, others, settled, self._layouts):
            self._say(change)
        if self._outbox:
            outbox = self._outbox
            await _together(
                outbox.send(
                    topics.MARKET[record.dataset],
                    encode(record),
                    key=key_of(record),
                    headers=market.headers(record.request_id),
                )
                for record in publish
            )

    async def _letters(self, stored: Sequence[DeadLetter], today: Sequence[DeadLetter]) -> None:
        """Close the letters that are understood, behind the rows that replace them, and write the new ones."""
        closed, new = letters_closed(stored, today), letters_new(stored, today)
        for kind, letters in (("closed", closed), ("new", new)):
            for letter in letters:
                self._show(LetterChange(kind, letter))  # type: ignore[arg-type]
            self.summary.letters[kind] += len(letters)
        self.summary.letters["open"] += len(stored) - len(closed)
        if self._outbox:
            at, outbox = self._now(), self._outbox
            sent = [*(letter.model_copy(update={"resolved_at": at}) for letter in closed), *new]
            await _together(outbox.send(topics.DEAD_LETTERS, letter.encode()) for letter in sent)

    def _say(self, change: Change) -> None:
        self.summary.rows[change.kind] += 1
        self._show(change)

    def _is_refused(self, record: AnyRecord) -> bool:
        """Return whether the store has refused this record before: it would refuse it at every replay."""
        if not self._refused:
            return False
        value = encode(record)[:LONGEST_ROW].decode("utf-8", "replace")
        return md5(value.encode(), usedforsecurity=False).hexdigest() in self._refused

    async def _observed(self, found: Yield) -> dict[Key, Row]:
        """The stored rows that were observed in these answers."""
        times = [at for _, at, _ in found.origins]
        providers = {provider for provider, _, _ in found.origins}
        rows: dict[Key, Row] = {}
        for dataset, count in await self._ask(archive.observed_sql(times, providers)):
            if int(count):
                layout = self._layouts[dataset]
                sql = archive.rows_observed_sql(dataset, layout.types, times, providers)
                rows |= _by_key(layout, await self._ask(sql))
        return rows

    async def _located(self, found: Yield, known: Mapping[Key, Row]) -> dict[Key, Row]:
        """The stored rows of the keys that are not among the `known` ones: other answers brought them."""
        rows: dict[Key, Row] = {}
        for dataset, layout in self._layouts.items():
            lacking = {key: one.row for key, one in found.rows.items() if key[0] == dataset and key not in known}
            names = archive.LOCATING.get(dataset, ("symbol",)) if dataset != "bars" else archive.SERIES_OF_BARS
            providers = archive.texts({provider for provider, _, _ in found.origins})
            for where in archive.where_sql(dataset, (layout.named(row, names) for row in lacking.values())):
                sql = archive.rows_sql(dataset, layout.types, f"source IN ({providers}) AND {where}")
                rows |= {key: row for key, row in _by_key(layout, await self._ask(sql)).items() if key in lacking}
        return rows

    async def _others(self, found: Yield, stored: Mapping[Key, Row]) -> frozenset[Origin]:
        """All archived answers of the moments at which rows of other requests were observed, too."""
        at_once = {(provider, at) for provider, at, _ in found.origins}
        origins = {self._layouts[key[0]].origin(row) for key, row in stored.items()}
        times = {at for provider, at, request in origins - found.origins.keys() if (provider, at) in at_once}
        if not times:
            return frozenset(found.origins)
        rows = await self._ask(archive.requests_sql(times))
        return frozenset((provider, int(at), request) for provider, at, request in rows) | found.origins.keys()


class SettledKeys:
    """A set of keys in a temporary file: a replay of a month may change more rows than fit into memory."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)  # a private file, gone with its connection
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("CREATE TABLE keys (key BLOB PRIMARY KEY) WITHOUT ROWID")

    def __contains__(self, key: object) -> bool:
        """Return whether the key was added."""
        assert isinstance(key, tuple)
        return self._file.execute("SELECT 1 FROM keys WHERE key = ?", (key_bytes(key),)).fetchone() is not None

    def add(self, key: Key) -> None:
        """Add a key."""
        self._file.execute("INSERT OR IGNORE INTO keys VALUES (?)", (key_bytes(key),))

    def close(self) -> None:
        """Delete the file."""
        self._file.close()


def _read(answer: Archived, raw: tuple[str | None, int | None, int | None]) -> Understood:
    """Read one answer as the processor does; a fault of ours is a letter here too."""
    try:
        return normalize(answer.meta, answer.body, raw)
    except Exception:  # the others are still read
        meta: RawMeta = answer.meta
        log.exception(StreamEvent.REPLAY_FAULT, call_id=meta.call_id, provider=meta.provider)
        return Understood(letters=[fault_letter(meta, raw)])


async def _layouts(ask: Ask) -> dict[str, Layout]:
    """The tables of all datasets, as the store has them."""
    types: dict[str, dict[str, str]] = {}
    for table, name, kind in await ask(archive.TYPES):
        types.setdefault(table, {})[name] = kind
    return {dataset: Layout(dataset, types[table]) for dataset, table in DATASET_TABLES.items()}


def _by_key(layout: Layout, rows: Iterable[Sequence[object]]) -> dict[Key, Row]:
    return {layout.key(row): row for row in map(tuple, rows)}


async def _together(sends: Iterable[Awaitable[None]]) -> None:
    """Send a number of records at a time."""
    waiting = iter(sends)
    while some := list(islice(waiting, AT_ONCE)):
        await asyncio.gather(*some)
