"""Bars as a data frame of pandas, Polars or Arrow, whose packages the extra `frames` brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from importlib import import_module
from typing import Any, Literal

from streams.messaging.bars import Bar

Library = Literal["pandas", "polars", "arrow"]
TIMES = frozenset({"ts", "observed_at"})


def frame_of(bars: Sequence[Bar], library: Library) -> Any:
    """Return the bars as rows, one column for each field, times as UTC timestamps.

    Raises `ImportError` that says what to install, and `ValueError` for another library.
    """
    if library == "arrow":
        return _table(bars)
    if library == "pandas":
        _package("pandas")
        return _table(bars).to_pandas()
    if library == "polars":
        return _package("polars").from_arrow(_table(bars))
    raise ValueError(f"{library!r} makes no frames: write pandas, polars or arrow")


def _table(bars: Sequence[Bar]) -> Any:
    arrow = _package("pyarrow")
    types = {"str": arrow.string(), "int": arrow.int64(), "float": arrow.float64()}
    time = arrow.timestamp("ms", tz="UTC")
    columns = {}
    for column in fields(Bar):
        kind = time if column.name in TIMES else types[str(column.type).removesuffix(" | None")]
        columns[column.name] = arrow.array([getattr(bar, column.name) for bar in bars], kind)
    return arrow.table(columns)


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"a frame needs {name}: pip install 'tapestream[frames]'") from error
