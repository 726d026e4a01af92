"""Single bars: what a frame of the bars topic is made of."""

from __future__ import annotations

from dataclasses import dataclass
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


BAR_SERIES = ("ts", "open", "high", "low", "close", "volume", "vwap", "trades", "adj_close", "quote_volume")


def bars_of(frame: dict[str, Any]) -> list[Bar]:
    """Return the single bars of a decoded frame, oldest first."""
    n = len(frame["ts"])
    columns = [frame[name] or [None] * n for name in BAR_SERIES]
    common = {name: value for name, value in frame.items() if name not in BAR_SERIES}
    return [Bar(**common, **dict(zip(BAR_SERIES, values, strict=True))) for values in zip(*columns, strict=True)]
