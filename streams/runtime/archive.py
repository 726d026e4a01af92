"""The archive of answers: those that the store keeps for 30 days, and folders of files. In batches, newest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from connectors import Call
from infra.clickhouse import archive
from infra.clickhouse.archive import ANSWER_COLUMNS, CALL_FIELDS, Place, Selection
from infra.redaction import Redactor
from streams.errors import FileRefused
from streams.processing.archived import Archived, from_row
from streams.runtime.query import Ask

PAGE = 500
"""Answers whose description is in memory at a time."""
BATCH, BATCH_BYTES = 100, 4 * 2**20
"""Answers, and bytes of their bodies, in memory at a time; a single body has up to `HTTP_BODY_LIMIT`, 14 MiB."""
UNKNOWN = "their request is not known: an earlier version stored them, and their poll or endpoint is gone"


class StoredAnswers:
    """The selected answers of the store. `skipped` counts those that cannot be read again, by the reason."""

    def __init__(self, ask: Ask, selection: Selection) -> None:
        self._ask = ask
        self._selection = selection
        self.skipped: Counter[str] = Counter()

    async def batches(self) -> AsyncIterator[list[Archived]]:
        """Return the answers in batches. Raises `StoreError`."""
        before: Place | None = None
        while places := [_place(row) for row in await self._ask(archive.places_sql(self._selection, before, PAGE))]:
            before = places[-1]
            rows = {row["call_id"]: row for row in map(_named, await self._ask(archive.answers_sql(places)))}
            known = [rows[place[3]] for place in places if place[3] in rows]
            asked = await self._asked(row["request_id"] for row in known if not row["call"])
            for some in _batches(known):
                yield await self._with_bodies(some, asked)

    async def _asked(self, requests: Iterable[str]) -> dict[str, Call]:
        """What polls asked, by request id: for answers of earlier versions."""
        if not (wanted := sorted(set(requests))):
            return {}
        fields = (*CALL_FIELDS, "start", "end")
        rows = await self._ask(archive.calls_sql(wanted))
        return {row[0]: Call.model_validate(dict(zip(fields, row[1:], strict=True))) for row in rows}

    async def _with_bodies(self, rows: Sequence[dict[str, Any]], asked: dict[str, Call]) -> list[Archived]:
        places = [(row["provider"], row["dataset"], row["received_at"], row["call_id"]) for row in rows]
        bodies = {row[0]: row[1] for row in await self._ask(archive.bodies_sql(places))}
        present = [row for row in rows if row["call_id"] in bodies]  # the store may have dropped some meanwhile
        found = [from_row(row, asked.get(row["request_id"]), bodies[row["call_id"]]) for row in present]
        answers = [answer for answer in found if answer is not None]
        if lost := len(found) - len(answers):
            self.skipped[UNKNOWN] += lost
        return answers


class AnswersOfFolder:
    """The selected answers among the files of a folder, the newest first as their names say."""

    def __init__(self, folder: Path, selection: Selection, open_calls: frozenset[str]) -> None:
        self._folder = folder
        self._selection = selection
        self._open_calls = open_calls
        self.skipped: Counter[str] = Counter()

    async def batches(self) -> AsyncIterator[list[Archived]]:
        """Return the answers in batches. Raises `FileRefused`, and `OSError` for a file that cannot be read."""
        some: list[Archived] = []
        for path in sorted(self._folder.glob("*.json"), reverse=True):
            answer = read_file(path)
            if not self._selects(answer):
                continue
            some.append(answer)
            if len(some) == BATCH or sum(len(one.body) for one in some) >= BATCH_BYTES:
                yield some
                some = []
        if some:
            yield some

    def _selects(self, answer: Archived) -> bool:
        meta, wanted = answer.meta, self._selection
        return (
            wanted.provider in {None, meta.provider}
            and wanted.dataset in {None, meta.call.dataset}
            and (not wanted.symbols or not set(wanted.symbols).isdisjoint(meta.call.symbols))
            and (wanted.since is None or meta.received_at >= wanted.since)
            and (not wanted.dead or meta.call_id in self._open_calls)
        )


def read_file(path: Path) -> Archived:
    """Read one file of a folder. Raises `FileRefused`, and `OSError` where it cannot be read."""
    try:
        return Archived.from_file(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise FileRefused(f"{path} is no exported answer: {where}: {first['msg']}") from None


def write_file(folder: Path, answer: Archived, redactor: Redactor) -> Path:
    """Write an answer into a folder, under a name that sorts by time of receipt. Raises `OSError`."""
    meta = answer.meta
    path = folder / f"{meta.received_at:015d}-{meta.provider}-{meta.call.dataset}-{meta.call_id}.json"
    path.write_bytes(answer.to_file(redactor))
    return path


def _place(row: Sequence[Any]) -> Place:
    provider, dataset, at, call_id = row
    return provider, dataset, int(at), call_id


def _named(row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(ANSWER_COLUMNS, row, strict=True))


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    some: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        if some and (len(some) == BATCH or size + row["size"] > BATCH_BYTES):
            yield some
            some, size = [], 0
        some.append(row)
        size += row["size"]
    if some:
        yield some
