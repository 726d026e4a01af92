"""The store's URL: a ClickHouse server or an embedded chDB folder, and the database in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from infra.clickhouse._errors import StoreUrlInvalid
from infra.tls import client_context

DEFAULT_DATABASE = "tapestream"
FORMS = "use http(s)://user:password@host:8123/database or chdb:///absolute/folder"

TLS_FILES = ("ca_cert", "client_cert", "client_cert_key")

_DATABASE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """A parsed URL; its text form carries no password.

    Attributes:
        shown: the URL as it may be printed and logged.
        database: the database the tables are in.
        folder: the chDB folder, or None for a server.
        driver: keyword arguments of `clickhouse_connect.get_client` for it, password included.
    """

    shown: str
    database: str
    folder: Path | None
    driver: dict[str, Any] = field(repr=False)

    def __str__(self) -> str:
        return self.shown


def parse(url: str) -> StoreUrl:
    """Parse a store URL; further query parameters of a server's URL go to the driver (`?verify=false`).

    Those of TLS name PEM files: `ca_cert` what is trusted instead of the system's, `client_cert` and `client_cert_key`
    our own. A certificate without a password in the URL is the login; with one, both are shown.

    Raises:
        StoreUrlInvalid: with what is wrong; never with the password.
        TlsFileInvalid: a file that it names cannot be used.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as exc:
        raise StoreUrlInvalid(f"the store's URL has a malformed host or port; {FORMS}") from exc
    if parts.scheme == "chdb":
        return _embedded(parts)
    if parts.scheme in ("http", "https"):
        return _server(parts)
    raise StoreUrlInvalid(f"the store's URL begins with {parts.scheme or 'no scheme'!r}; {FORMS}")


def _embedded(parts: SplitResult) -> StoreUrl:
    options = dict(parse_qsl(parts.query))
    database = _database(options.pop("database", ""))
    if parts.netloc or not parts.path.strip("/"):
        raise StoreUrlInvalid(f"a chDB store needs an absolute folder (three slashes): {FORMS}")
    if options or parts.fragment:
        raise StoreUrlInvalid(f"chdb:// takes no option but database; it has {', '.join(options) or '#'}")
    folder = Path(parts.path).resolve()
    # The folder goes in by its own argument: inside a DSN the driver would not take every character.
    return StoreUrl(f"chdb://{folder}", database, folder, {"dsn": "chdb://", "path": str(folder)})


def _server(parts: SplitResult) -> StoreUrl:
    if not parts.hostname:
        raise StoreUrlInvalid(f"the store's URL names no host; {FORMS}")
    database = _database(unquote(parts.path.strip("/")))
    options = dict(parse_qsl(parts.query))
    _require_files(parts.scheme, options)
    dsn = parts._replace(path="", fragment="").geturl()
    host = parts.netloc.rpartition("@")[2]
    driver = {
        "dsn": dsn,
        "interface": parts.scheme,  # the driver takes every DSN for plain http otherwise
        "autogenerate_session_id": False,  # a session stays locked on the server when a request times out
    }
    if "client_cert" in options and parts.password and "tls_mode" not in options:
        driver["tls_mode"] = "strict"  # both: the driver would leave the password out
    return StoreUrl(f"{parts.scheme}://{host}/{database}", database, None, driver)


def _require_files(scheme: str, options: dict[str, str]) -> None:
    """Try the files of TLS now: the driver would first look at them with a request. Raises as `parse`."""
    named = {name: Path(options[name]) for name in TLS_FILES if options.get(name) and options[name] != "certifi"}
    if named and scheme != "https":
        raise StoreUrlInvalid(f"the store's URL has {', '.join(named)}, which need https://; {FORMS}")
    if named:
        client_context(trusted=named.get("ca_cert"), cert=named.get("client_cert"), key=named.get("client_cert_key"))


def _database(name: str) -> str:
    name = name or DEFAULT_DATABASE
    if not _DATABASE_NAME.fullmatch(name):
        raise StoreUrlInvalid(f"{name!r} is not a database name: letters, digits and underscores; {FORMS}")
    return name
