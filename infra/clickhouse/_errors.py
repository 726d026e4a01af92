"""What the store can answer instead of a result, one class per decision, and how the driver's errors become them.

    StoreError                  the store did not do what was asked
    ├── StoreUrlInvalid         the URL or its user and password: correct the setting
    ├── StoreOwned              another process (or this one) has the chDB folder open: stop it, or ask it
    ├── StoreUnavailable        network, time-out, overload, disk full: retry later, nothing is wrong with the request
    ├── RowsRefused             these rows, and only these, will never be accepted: dead letters
    ├── QueryRefused            the SQL, the schema or the rights are wrong: retrying is pointless
    └── MigrationRefused        the applied migrations and the files at hand do not belong together

Codes are those of https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from clickhouse_connect.driver import exceptions as driver
from urllib3.exceptions import HTTPError

from infra.errors import TapestreamError

AUTHENTICATION_FAILED, READONLY, TIMEOUT_EXCEEDED, MEMORY_LIMIT_EXCEEDED = 516, 164, 159, 241
"""Codes of ClickHouse, as its table `system.errors` has them."""
CONVERSION_FAULTS = (TypeError, ValueError, AttributeError, OverflowError)

_UNAVAILABLE = frozenset(
    {
        *(
            74,
            75,
            76,
            MEMORY_LIMIT_EXCEEDED,
            242,
            243,
            252,
            425,
        ),  # files, memory, read-only table, disk full, too many parts, system
        *(
            TIMEOUT_EXCEEDED,
            160,
            202,
            203,
            209,
            210,
            236,
            274,
            279,
            285,
            319,
            373,
            394,
        ),  # time, load, network, cancelled
        *(999, 1000, 1001, 1002),  # keeper, network library, standard library, unknown
    }
)
_ROWS_REFUSED = frozenset(
    {
        *(6, 25, 26, 27, 32, 33, 38, 41, 53, 69, 70, 72, 117, 321, 349),  # cannot parse, convert or read; out of range
        *(128, 130, 131, 190, 469, 636),  # too large, sizes differ, constraint violated
    }
)

_PREFIX = re.compile(r"^.*?(?:Code: \d+\. DB::Exception: )+", re.DOTALL)
_TRAILER = re.compile(r"( Expected one of: .*| Stack trace: .*| \(version [^)]*\).*)", re.DOTALL)


class StoreError(TapestreamError):
    """The store did not do what was asked; the message says what, where and what to do."""


class StoreUrlInvalid(StoreError):
    """The store's URL, or the user and password in it, cannot be used."""


class StoreOwned(StoreError):
    """The chDB folder has an owner already; chDB is one engine and one process per folder."""


class StoreUnavailable(StoreError):
    """The store could not be reached or had no capacity; the same request may succeed later."""


class RowsRefused(StoreError):
    """The store refuses the rows of this insert; none of them was stored."""


class QueryRefused(StoreError):
    """The SQL, the schema or the rights are wrong; the message is the engine's, without its stack."""


class MigrationRefused(StoreError):
    """A migration was edited, lost, reordered or numbered twice."""


@contextmanager
def translated(where: str, *, inserting: bool = False) -> Iterator[None]:
    """Raise what the driver raises inside as a StoreError.

    Args:
        where: the store (and table) concerned, without a password.
        inserting: whether rows are on their way, so that a conversion fault is theirs.
    """
    try:
        yield
    except driver.Error as exc:
        raise _from_driver(exc, where, inserting=inserting) from exc
    except (OSError, HTTPError) as exc:
        raise StoreUnavailable(f"{where}: {_root_reason(exc)}") from exc
    except CONVERSION_FAULTS as exc:
        fault = RowsRefused if inserting else QueryRefused
        raise fault(f"{where}: a value does not fit: {exc}") from exc


def _from_driver(exc: driver.Error, where: str, *, inserting: bool) -> StoreError:
    message = f"{where}: {_plain(str(exc))}"
    if isinstance(exc, driver.DataError) or (inserting and exc.code in _ROWS_REFUSED):
        return RowsRefused(message)
    if exc.code == AUTHENTICATION_FAILED:
        return StoreUrlInvalid(f"{where}: the server refused this user and password: correct them in the store's URL")
    if exc.code == READONLY:
        return QueryRefused(f"{where}: only reading is allowed here, and without changing settings")
    if isinstance(exc, driver.ProgrammingError):
        return QueryRefused(message)
    if exc.code is None:
        return StoreUnavailable(f"{where} did not answer as a ClickHouse: {_root_reason(exc)}; is the server up?")
    return StoreUnavailable(message) if exc.code in _UNAVAILABLE else QueryRefused(message)


def _plain(message: str) -> str:
    """Strip the engine's repeated prefixes, its version, stack and the parser's list of every possible token."""
    return " ".join(_TRAILER.sub("", _PREFIX.sub("", message)).split())


def _root_reason(exc: BaseException) -> str:
    """Return the innermost cause: the driver wraps `Connection refused` three times."""
    while (inner := exc.__cause__ or exc.__context__) is not None:
        exc = inner
    return _plain(str(exc)) or type(exc).__name__
