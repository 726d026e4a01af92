"""Brings a store's schema up to date: ordered SQL files, each applied once and recorded with its checksum.

A file is `NNNN_name.sql`; its statements end with `;` at the end of a line and may run twice
(`CREATE … IF NOT EXISTS`), so that two workers starting at once, or one that died half-way, do no harm.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise

from infra.clickhouse._errors import MigrationRefused, QueryRefused
from infra.clickhouse.client import Store

PACKAGED = files("infra.clickhouse.migrations")

_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")
_COMMENT_LINE = re.compile(r"^\s*--.*\n?", re.MULTILINE)
_STATEMENT_END = re.compile(r";[ \t]*$", re.MULTILINE)

_RECORD = """
    CREATE TABLE IF NOT EXISTS schema_migrations
    (version UInt32, name String, sha256 String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
    ENGINE = ReplacingMergeTree ORDER BY version
    COMMENT 'Which migrations this database has had'
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of migrations."""

    version: int
    """Its number: migrations are applied in this order."""
    name: str
    """The file's name without its suffix."""
    sha256: str
    """Digest of the file's bytes, in hexadecimal."""
    statements: tuple[str, ...]
    """Its SQL statements, in order."""


async def migrate(store: Store, folder: Traversable = PACKAGED) -> list[str]:
    """Apply what is pending, in order, and return the names applied.

    Raises:
        MigrationRefused: the files and the store's record do not belong together.
        QueryRefused: a statement is wrong, or the user lacks the right to create tables.
        StoreUnavailable: retry.
    """
    await store.execute(_RECORD)
    waiting = await pending(store, folder)
    for migration in waiting:
        await _apply(store, migration)
    return [migration.name for migration in waiting]


async def pending(store: Store, folder: Traversable = PACKAGED) -> list[Migration]:
    """Return the migrations not yet applied, in order; raises as `migrate`."""
    known = {migration.version: migration for migration in load(folder)}
    applied = await _applied(store)
    for version, (name, sha256) in applied.items():
        _check_applied(name, sha256, known.get(version))
    waiting = [migration for version, migration in known.items() if version not in applied]
    if waiting and applied and waiting[0].version < (newest := max(applied)):
        raise MigrationRefused(
            f"{waiting[0].name} comes before {applied[newest][0]}, which the store has had: give it a higher number"
        )
    return waiting


def load(folder: Traversable = PACKAGED) -> list[Migration]:
    """Read a folder's migrations, ascending by version.

    Raises:
        MigrationRefused: a `.sql` file is misnamed or empty, or two have one number.
    """
    migrations = [_read(file) for file in _by_name(folder.iterdir()) if file.name.endswith(".sql")]
    for earlier, later in pairwise(migrations):
        if earlier.version == later.version:
            raise MigrationRefused(f"{earlier.name} and {later.name} have one number: renumber the newer")
    return migrations


async def _apply(store: Store, migration: Migration) -> None:
    try:
        for statement in migration.statements:
            await store.execute(statement)
    except QueryRefused as exc:
        raise QueryRefused(f"{migration.name}: {exc}") from exc
    await store.insert(
        "schema_migrations",
        {"version": [migration.version], "name": [migration.name], "sha256": [migration.sha256]},
    )


def _by_name(entries: Iterable[Traversable]) -> list[Traversable]:
    return sorted(entries, key=lambda entry: entry.name)


def _read(file: Traversable) -> Migration:
    matched = _FILE_NAME.fullmatch(file.name)
    if not matched:
        raise MigrationRefused(f"{file.name} is not named NNNN_name.sql")
    content = file.read_bytes()
    text = _COMMENT_LINE.sub("", content.decode())
    statements = tuple(part.strip() for part in _STATEMENT_END.split(text) if part.strip())
    if not statements:
        raise MigrationRefused(f"{file.name} has no statement")
    name = file.name.removesuffix(".sql")
    return Migration(int(matched[1]), name, hashlib.sha256(content).hexdigest(), statements)


async def _applied(store: Store) -> dict[int, tuple[str, str]]:
    """Return version → (name, sha256) of what the store has had; nothing in a store that was never migrated."""
    if not (await store.query("EXISTS TABLE schema_migrations")).rows[0][0]:
        return {}
    found = await store.query("SELECT version, name, sha256 FROM schema_migrations FINAL ORDER BY version")
    return {version: (name, sha256) for version, name, sha256 in found.rows}


def _check_applied(name: str, sha256: str, file: Migration | None) -> None:
    if file is None:
        raise MigrationRefused(
            f"the store has had {name}, which is missing here: "
            "this program is older than the store, or the file is lost"
        )
    if (file.name, file.sha256) != (name, sha256):
        raise MigrationRefused(
            f"{file.name} is not what the store has had as {name}: restore it, and put the change into a new migration"
        )
