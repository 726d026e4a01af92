"""Single bars: what a frame of the bars topic is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import repeat
from typing import Any


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a frame; `ts` is the interval's start, ms UTC, prices in `currency`."""

    symbol: str
    """Canonical symbol."""
    asset_class: str
    """Asset class of the symbol."""
    source: str
    """Name of the provider."""
    interval: str
    """Canonical interval, `1d`."""
    adjustment: str
    """`raw`, `split` or `total`."""
    currency: str | None
    """ISO 4217 code of the prices; None where unknown."""
    ts: int
    """Start of the interval, ms UTC."""
    open: float
    """First price, in `currency`."""
    high: float
    """Highest price, in `currency`."""
    low: float
    """Lowest price, in `currency`."""
    close: float
    """Last price, in `currency`."""
    volume: float | None
    """Shares, coins or contracts; None where absent."""
    vwap: float | None
    """Volume-weighted average price, in `currency`; None where absent."""
    trades: int | None
    """Number of trades; None where absent."""
    adj_close: float | None
    """Close adjusted for splits and dividends, in `currency`; None where absent."""
    quote_volume: float | None
    """Turnover in `currency`; None where absent."""
    observed_at: int
    """Receive time, ms UTC."""
    request_id: str
    """Id of the poll request."""


FIELDS = tuple(field.name for field in fields(Bar))
SERIES = frozenset({"ts", "open", "high", "low", "close", "volume", "vwap", "trades", "adj_close", "quote_volume"})


def bars_of(frame: Mapping[str, Any]) -> list[Bar]:
    """Return the single bars of a decoded frame, oldest first. Raises `ValueError` for columns of unequal length."""
    n = len(frame["ts"])
    if ragged := [name for name in SERIES if frame[name] is not None and len(frame[name]) != n]:
        raise ValueError(f"column {min(ragged)} is not as long as ts")
    columns = (
        frame[name] if name in SERIES and frame[name] is not None else repeat(frame.get(name), n) for name in FIELDS
    )
    return list(map(Bar, *columns))
