"""How Yahoo writes a value: plain or as `{raw, fmt}`, whether or not `formatted=false` was asked; `{}` is nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.errors import FieldError
from connectors.fields import iso_date, millis, shown, utc_date

Modules = Mapping[str, Mapping[str, Any]]
"""The modules of one quoteSummary answer, by name."""


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return `row` with `{raw, fmt}` as its raw value and `{}` as None."""
    return {name: raw(value) for name, value in row.items()}


def raw(value: Any) -> Any:
    """Return a value without its dress; an object of another shape stays as it is.

    Raises `FieldError` for a text to be shown (`fmt`) of which the value itself is missing.
    """
    if not isinstance(value, dict):
        return value
    if value.get("fmt") is not None and "raw" not in value:
        raise FieldError("shape", f'"raw" is missing beside {shown(value)}')
    return value.get("raw") if not value or "raw" in value else value


def listed(modules: Modules, name: str, member: str) -> Any:
    """Return the rows of a module; none where it does not apply. Raises `KeyError` where the module has no `member`."""
    module = modules.get(name)
    return module[member] or [] if module else []


def read_date(value: Any) -> str | None:
    """Read a date that Yahoo gives as seconds at midnight UTC, or as an ISO text."""
    value = raw(value)
    if isinstance(value, str):
        return iso_date(value)
    ms = millis(value, "s")
    return None if ms is None else utc_date(ms)


def required(day: str | None, name: str) -> str:
    """Return a date that must be there. Raises `FieldError` that names the field."""
    if day is None:
        raise FieldError("date", f"{name} is absent")
    return day
