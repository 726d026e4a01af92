"""The store: one asynchronous face for a ClickHouse server and the embedded chDB engine. Owns no SQL of its own.

Both speak through clickhouse-connect, whose client blocks: everything runs on one thread of the store's,
except users' queries, which have two of their own, so that a slow question never holds up the sink or the others.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from types import TracebackType
from typing import Any, Self, TypeVar

import clickhouse_connect
import psutil
from clickhouse_connect.datatypes.base import ClickHouseType
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ProgrammingError

from infra.clickhouse._errors import (
    CONVERSION_FAULTS,
    MEMORY_LIMIT_EXCEEDED,
    TIMEOUT_EXCEEDED,
    QueryRefused,
    RowsRefused,
    StoreError,
    StoreOwned,
    StoreUnavailable,
    StoreUrlInvalid,
    translated,
)
from infra.clickhouse._literal import text
from infra.clickhouse._owner import StoreLock
from infra.clickhouse._url import StoreUrl, parse
from infra.clickhouse._user_sql import require_reading, require_text

T = TypeVar("T")

# The driver logs a traceback beside every exception it raises; here each one reaches the caller as a StoreError.
logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)

_ACKNOWLEDGED_INSERT = {"async_insert": 0}  # answered when the rows are stored, not when they are queued
_DATE32_YEARS = range(1900, 2300)
_IN_SCOPE = re.compile(r": In scope SELECT formatQuery.*", re.DOTALL)
MIB = 2**20

USERS = 2  # questions of users under way at once
QUERY_S, EXPORT_S = 60.0, 600.0  # a person waits a minute for an answer; a file of a whole session takes longer
QUERY_ROWS = 1_000_000  # what a terminal or a data frame is asked for; more is an export
QUERY_BYTES, EXPORT_BYTES = 128 * MIB, 1024 * MIB
"""Of an answer, before it is encoded. A query's rows become Python objects, some five times as large."""
USER_MEMORY = min(2048 * MIB, psutil.virtual_memory().total // 4)
"""Bytes that the engine may take for one user's query; as many of its intermediate results may be on disk."""
EXPORT_FORMATS = frozenset(("CSVWithNames", "JSONEachRow", "Parquet", "TSV", "TSVWithNames"))


@dataclass(frozen=True, slots=True)
class Rows:
    """A query's answer."""

    columns: tuple[str, ...]
    """The columns' names, in order."""
    rows: list[tuple[Any, ...]]
    """One tuple per row; times are aware UTC datetimes, absent is None."""


class Store:
    """An open store. Use `async with await Store.open(url) as store`, or `close()` it."""

    def __init__(self, url: StoreUrl, *, readonly: bool) -> None:
        self._url = url
        self._readonly = readonly
        self._owner: StoreLock | None = None
        self._client: Client | None = None
        self._column_types: dict[tuple[str, ...], Sequence[ClickHouseType]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._users_thread = ThreadPoolExecutor(USERS, thread_name_prefix="store-users")
        self._closing: asyncio.Future[None] | None = None

    @classmethod
    async def open(cls, url: str, *, readonly: bool = False) -> Store:
        """Connect, and create the database when it is missing (`tapestream` when the URL names none).

        Args:
            url: `http(s)://user:password@host:8123/database` or `chdb:///absolute/folder[?database=name]`.
            readonly: refuse every write; then neither folder nor database is created.

        Raises:
            StoreUrlInvalid: the URL, its user and password, or the folder cannot be used.
            StoreOwned: the chDB folder is open elsewhere.
            StoreUnavailable: no server answers.
            QueryRefused: `readonly`, and there is no such database.
        """
        store = cls(parse(url), readonly=readonly)
        try:
            await store._on(store._thread, store._connect)
        except BaseException:
            await store.close()
            raise
        return store

    async def insert(self, table: str, columns: Mapping[str, Sequence[object]]) -> int:
        """Insert rows given as columns of equal length, and return their number once they are stored.

        Times are milliseconds since the epoch (fastest) or aware datetimes, dates ISO strings or `date`,
        absent is None, maps are dicts, text is str or, for a whole column, bytes. A refused insert stores none
        of its rows (up to a million at once).

        Raises:
            RowsRefused: a value does not fit its column or breaks a constraint.
            StoreUnavailable: retry; a repeated insert changes nothing that a query sees.
            QueryRefused: there is no such table or column, or the store is read-only.
        """
        return await self._on(self._thread, self._insert, table, columns)

    async def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> Rows:
        """Return a query's rows; `{name:Type}` in the SQL is bound to `parameters[name]` by the engine.

        Raises:
            QueryRefused: the SQL, the schema or the rights are wrong.
            StoreUnavailable: retry.
        """
        return await self._on(self._thread, self._query, sql, parameters)

    async def execute(self, sql: str) -> None:
        """Run one statement that returns nothing, such as DDL; raises as `query`."""
        await self._on(self._thread, self._execute, sql)

    async def query_user(
        self, sql: str, *, timeout_s: float = QUERY_S, max_rows: int = QUERY_ROWS, memory: int = USER_MEMORY
    ) -> Rows:
        """Run a user's SQL, which may read the tables of this database and nothing else, beside the sink's work.

        Args:
            sql: one statement; what it may hold, `infra.clickhouse._user_sql` says.
            timeout_s: seconds that it may take.
            max_rows: rows that it may answer.
            memory: bytes that the engine may take for it.

        Raises:
            QueryRefused: the SQL is wrong, does more than read, or exceeds a bound.
            StoreUnavailable: retry.
        """
        bounds = {"max_result_rows": max_rows, "max_result_bytes": QUERY_BYTES}
        return await self._on(self._users_thread, self._query_user, sql, timeout_s, memory, bounds)

    async def export(self, sql: str, form: str, *, timeout_s: float = EXPORT_S, max_bytes: int = EXPORT_BYTES) -> bytes:
        """Answer a user's SQL as a file in one of `EXPORT_FORMATS`, held in memory. Raises as `query_user`."""
        if form not in EXPORT_FORMATS:
            raise QueryRefused(f"there is no format {form!r}: use one of {', '.join(sorted(EXPORT_FORMATS))}")
        bounds = {"max_result_bytes": max_bytes}
        return await self._on(self._users_thread, self._export, sql, form, timeout_s, bounds)

    async def close(self) -> None:
        """Finish what is under way, disconnect, and release the folder; further calls wait for the first."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().run_in_executor(None, self._disconnect)
        await asyncio.shield(self._closing)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Store({self._url})"

    async def _on(self, thread: ThreadPoolExecutor, do: Callable[..., T], *args: object) -> T:
        if self._closing is not None:
            raise StoreError(f"{self._url} is closed")
        return await asyncio.get_running_loop().run_in_executor(thread, do, *args)

    def _connect(self) -> None:
        if self._url.folder:
            self._owner = StoreLock(self._url.folder, create=not self._readonly)
        database = self._url.database
        self._client = self._new_client(database=None)
        with translated(str(self._url)):
            known = "SELECT name FROM system.databases WHERE name = {name:String}"
            if not self._client.query(known, parameters={"name": database}).result_rows:
                if self._readonly:
                    raise QueryRefused(f"{self._url}: there is no database {database!r} yet")
                self._client.command(f"CREATE DATABASE IF NOT EXISTS {database}")
        self._client.database = database

    def _disconnect(self) -> None:
        self._users_thread.shutdown()
        self._thread.shutdown()
        if self._client:
            self._client.close()
        if self._owner:
            self._owner.release()

    def _new_client(self, *, database: str | None, **settings: object) -> Client:
        if self._readonly:
            settings["readonly"] = 1
        try:
            with translated(str(self._url)):
                client = clickhouse_connect.get_client(
                    **self._url.driver, database=database, tz_mode="aware", show_clickhouse_errors="scrub"
                )
                for name, value in settings.items():
                    known = client.server_settings.get(name)
                    if known is None or not known.readonly:  # what a server's profile fixes is its operator's to choose
                        client.set_client_setting(name, value)
                return client
        except QueryRefused as exc:
            if self._owner and isinstance(exc.__cause__, ProgrammingError):
                raise StoreOwned(f"{exc} (a process opens one chDB folder at a time, and no other has it)") from exc
            raise StoreUrlInvalid(str(exc)) from exc

    def _insert(self, table: str, columns: Mapping[str, Sequence[object]]) -> int:
        where = f"{self._url}, table {table}"
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) != 1:
            raise RowsRefused(f"{where}: the columns differ in length: {lengths}")
        with translated(where, inserting=True):
            types = self._types(table, tuple(columns))
            data = [_as_stored(*column) for column in zip(types, columns.items(), strict=True)]
            context = self._connected.create_insert_context(
                table, list(columns), column_types=types, column_oriented=True, settings=_ACKNOWLEDGED_INSERT
            )
            try:
                self._connected.insert(context=context, data=data)
            except CONVERSION_FAULTS as exc:
                raise ValueError(f"{context.column_name or 'a column'}: {exc}") from exc
        return lengths.popitem()[1]

    def _types(self, table: str, names: tuple[str, ...]) -> Sequence[ClickHouseType]:
        """Return the columns' types, asked once: asking with every insert costs a tenth of its time."""
        key = (table, *names)
        if key not in self._column_types:
            self._column_types[key] = self._connected.create_insert_context(table, names).column_types
        return self._column_types[key]

    def _query(self, sql: str, parameters: Mapping[str, object] | None) -> Rows:
        try:
            return _rows(self._connected, str(self._url), sql, parameters)
        except StoreError:
            self._renew()
            raise

    def _execute(self, sql: str) -> None:
        self._column_types.clear()
        try:
            with translated(str(self._url)):
                self._connected.command(sql)
        except StoreError:
            self._renew()
            raise

    def _query_user(self, sql: str, timeout_s: float, memory: int, bounds: Mapping[str, int]) -> Rows:
        with self._for_user(sql, timeout_s, memory, bounds) as (client, asked):
            return _bounded_rows(client, str(self._url), asked, bounds["max_result_bytes"])

    def _export(self, sql: str, form: str, timeout_s: float, bounds: Mapping[str, int]) -> bytes:
        with self._for_user(sql, timeout_s, USER_MEMORY, bounds) as (client, asked), translated(str(self._url)):
            found = bytes(client.raw_query(asked, fmt=form))
        _require_size(len(found), bounds["max_result_bytes"])
        return found

    @contextmanager
    def _for_user(
        self, sql: str, timeout_s: float, memory: int, bounds: Mapping[str, int]
    ) -> Iterator[tuple[Client, str]]:
        """A handle of its own: a failed query would leave traces in a shared one. Returns the SQL as it was judged."""
        settings = {
            "max_execution_time": timeout_s,
            "max_memory_usage": memory,
            "max_temporary_data_on_disk_size_for_query": memory,
            **bounds,
            "readonly": 1,  # last: it locks the others
        }
        client = self._new_client(database=self._url.database, **settings)
        try:
            yield client, self._judged(client, sql)
        except StoreUnavailable as exc:
            code = getattr(exc.__cause__, "code", None)
            if code == TIMEOUT_EXCEEDED:
                raise QueryRefused(f"the query took longer than {timeout_s:g} s: ask for less") from exc
            if code == MEMORY_LIMIT_EXCEEDED:
                raise QueryRefused(f"the query needs more memory than {memory / MIB:,.0f} MiB: ask for less") from exc
            raise
        finally:
            client.close()

    def _judged(self, client: Client, sql: str) -> str:
        """The user's SQL as the engine writes it, when it only reads. Raises `QueryRefused`."""
        where = str(self._url)
        if not (sql := sql.strip().rstrip("; \n")):
            raise QueryRefused("the query is empty")
        try:
            written = _rows(client, where, f"SELECT formatQuerySingleLine({text(sql)})", None).rows[0][0]
        except QueryRefused as exc:
            raise QueryRefused(_IN_SCOPE.sub("", str(exc))) from exc
        require_text(written)
        with translated(where):
            tree = client.raw_query(f"EXPLAIN AST {written}").decode("utf-8", "replace")
        require_reading(written, tree, self._url.database)
        return str(written)

    def _renew(self) -> None:
        """Replace chDB's handle: after a failed query it prepends what had been computed to the next answer."""
        if self._owner:
            spent = self._connected
            self._client = self._new_client(database=self._url.database)
            spent.close()

    @property
    def _connected(self) -> Client:
        assert self._client is not None, "open() returns only connected stores"
        return self._client


def _rows(client: Client, where: str, sql: str, parameters: Mapping[str, object] | None) -> Rows:
    with translated(where):
        answer = client.query(sql, parameters=dict(parameters or {}))
        return Rows(tuple(answer.column_names), [tuple(row) for row in answer.result_rows])


def _bounded_rows(client: Client, where: str, sql: str, max_bytes: int) -> Rows:
    """Rows, counted block by block: the engine counts a column of one repeated value once."""
    if sql.startswith(("DESCRIBE ", "EXISTS ", "EXPLAIN ", "SHOW ")):  # chDB gives blocks of a SELECT only
        return _rows(client, where, sql, None)
    rows: list[tuple[Any, ...]] = []
    size = 0
    with translated(where), client.query_column_block_stream(sql) as stream:
        for block in stream:
            size += sum(map(_size, block))
            _require_size(size, max_bytes)
            rows += zip(*block, strict=True)
        return Rows(tuple(stream.source.column_names), rows)


def _size(column: Sequence[Any]) -> int:
    """About as many bytes as a column takes: exact for text, eight for a number, and nested values as they print."""
    first = next((value for value in column if value is not None), None)
    if isinstance(first, str | bytes):
        return sum(len(value) for value in column if value is not None)
    if isinstance(first, Sequence | Mapping):
        return sum(len(str(value)) for value in column)
    return 8 * len(column)


def _require_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise QueryRefused(f"the answer is larger than {max_bytes / MIB:,.0f} MiB: ask for less")


def _as_stored(kind: ClickHouseType, named: tuple[str, Sequence[object]]) -> Sequence[object]:
    """Return a column as the driver takes it, and refuse what it would write as something else."""
    name, column = named
    if kind.name.startswith(("Array", "Map")) and None in column:
        raise ValueError(f"{name}: a list or map is never absent, only empty")
    if "Date32" not in kind.name:
        return column
    try:
        dates = [date.fromisoformat(value) if isinstance(value, str) else value for value in column]
    except ValueError as exc:
        raise ValueError(f"{name}: {exc}") from exc
    if strange := [value for value in dates if isinstance(value, date) and value.year not in _DATE32_YEARS]:
        raise ValueError(f"{name}: {strange[0]} is not between 1900 and 2299")
    return dates
