"""Turns the user's description of a session into its spec: options, a list of symbols, a TOML file."""

from __future__ import annotations

import getpass
import re
import secrets
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors import forms
from streams.errors import InvalidSpec
from streams.sessions import units
from streams.sessions.spec import HOUR_MS, PRESETS, Preset, SessionAsset, Spec, preset

KNOWN = {asset.symbol: asset.asset_class for found in PRESETS.values() for asset in found.symbols}
IN_FILE = ("mode", "hours", *(field.name for field in fields(Preset) if field.name != "duration_ms"))


def make(
    now: int,
    *,
    mode: str | None = None,
    hours: float | None = None,
    symbols: Sequence[str] = (),
    sources: Sequence[str] = (),
    datasets: Sequence[str] = (),
    file: Path | None = None,
) -> Spec:
    """Return the spec of a new session: a mode's, changed by the other arguments. Raises `InvalidSpec`.

    Arguments override the values of a file. Without a mode it is `custom`, and production's where nothing else
    is said.
    """
    given = {"mode": mode, "hours": hours, "symbols": symbols, "sources": sources, "datasets": datasets}
    chosen = {**(_read(file) if file else {}), **{name: value for name, value in given.items() if value}}
    session_id = f"{datetime.fromtimestamp(now / 1000, UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    base = preset(chosen.get("mode") or "production", session_id, _person())
    changes: dict[str, Any] = {name: tuple(chosen[name]) for name in ("sources", "datasets") if name in chosen}
    if "symbols" in chosen:
        changes["symbols"] = assets(chosen["symbols"])
    if "hours" in chosen:
        changes["duration_ms"] = round(chosen["hours"] * HOUR_MS)
    if not chosen.get("mode"):
        changes["mode"] = "custom"
    spec = replace(base, **changes)
    units.check(spec)
    return spec


def assets(symbols: Iterable[str]) -> tuple[SessionAsset, ...]:
    """The assets of `AAPL`, `EUR/USD` or `SPY:etf`; without a word the asset class is what is known, or its form's."""
    return tuple(dict.fromkeys(map(asset, symbols)))


def asset(text: str) -> SessionAsset:
    """The asset of one symbol, as `assets`."""
    symbol, _, asset_class = text.partition(":")
    return SessionAsset(symbol, asset_class or asset_class_of(symbol))


def asset_class_of(symbol: str) -> str:
    """Return the asset class that a symbol is known to have, or else that its form has."""
    return KNOWN.get(symbol) or forms.asset_class_of(symbol)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        chosen = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidSpec(f"{path}: {error}") from None
    if unknown := [name for name in chosen if name not in IN_FILE]:
        raise InvalidSpec(f"{path}: unknown key {unknown[0]!r}; known: {', '.join(IN_FILE)}")
    for name, value in chosen.items():
        fits = {"mode": isinstance(value, str), "hours": isinstance(value, int | float) and value > 0}
        texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if not fits.get(name, texts):
            raise InvalidSpec(f"{path}: {name} was {value!r:.60}")
    return chosen


def _person() -> str:
    try:
        return re.sub(r"[^\w .,@+-]", "_", getpass.getuser())[:80]
    except (OSError, KeyError):
        return ""
