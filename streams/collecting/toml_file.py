"""Reads a file of declarations and reports its mistakes with their places. Knows no collector."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from streams.errors import DeclarationsInvalid

WITHIN = "(table)"
"""Tag of a union's table: pydantic puts it into the place of a mistake, where the file has nothing."""
NO_TABLE = {"dataclass_type", "dict_type", "mapping_type", "model_type", "model_attributes_type"}
Place = tuple[str | int, ...]


def read(path: Path) -> dict[str, Any]:
    """Read a TOML file. Raises `DeclarationsInvalid`."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeclarationsInvalid(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise DeclarationsInvalid(f"{path} is not TOML: {error}") from None


def merge(shipped: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return `shipped` changed by `own`: in the tables of a section, each key of `own` replaces the shipped one."""
    merged = {**shipped, **own}
    for section, tables in own.items():
        known = shipped.get(section)
        if isinstance(tables, dict) and isinstance(known, dict):
            merged[section] = {**known, **{name: _over(known.get(name), table) for name, table in tables.items()}}
    return merged


def _over(known: Any, table: Any) -> Any:
    return {**known, **table} if isinstance(known, dict) and isinstance(table, dict) else table


def mistakes(error: ValidationError, known: Callable[[Place], Iterable[str]]) -> Iterator[tuple[Place, str]]:
    """Return the place of each mistake and what is wrong there; `known` names the keys of the table at a place."""
    for found in error.errors(include_url=False):
        place = tuple(part for part in found["loc"] if part not in {WITHIN, "[key]"})
        kind, message = found["type"], found["msg"].removeprefix("Value error, ")
        if kind in {"extra_forbidden", "unexpected_keyword_argument"}:
            message = f"unknown key; known: {', '.join(known(place[:-1]))}"
        elif kind == "missing":
            message = "is missing"
        elif kind in NO_TABLE:
            message = f"was {found['input']!r:.60}: write a table"
        elif kind != "value_error":
            message = f"was {found['input']!r:.60}: {message}"
        yield place, message


def line(file: str, place: Place, message: str) -> str:
    """One mistake as a person reads it: `tapestream.toml [collectors.quotes] datasets[0].interval: …`."""
    table, keys = (place[:2], place[2:]) if len(place) > 1 else ((), place)
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in keys).removeprefix(".")
    return " ".join(filter(None, (file, f"[{'.'.join(map(str, table))}]" if table else "", key))) + f": {message}"
