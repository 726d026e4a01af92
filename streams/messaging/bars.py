"""Single bars: what a frame of the bars topic is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a frame; `ts` is the interval's start, ms UTC, prices in `currency`."""

    symbol: str
    asset_class: str
    source: str
    interval: str
    adjustment: str
    currency: str | None
    ts: int
    open: float
    high: float
    low: float
    close: float
    volume: float | None
    vwap: float | None
    trades: int | None
    adj_close: float | None
    quote_volume: float | None
    observed_at: int
    request_id: str


BAR_SERIES = ("ts", "open", "high", "low", "close", "volume", "vwap", "trades", "adj_close", "quote_volume")


def bars_of(frame: dict[str, Any]) -> list[Bar]:
    """Return the single bars of a decoded frame, oldest first."""
    n = len(frame["ts"])
    columns = [frame[name] or [None] * n for name in BAR_SERIES]
    common = {name: value for name, value in frame.items() if name not in BAR_SERIES}
    return [Bar(**common, **dict(zip(BAR_SERIES, values, strict=True))) for values in zip(*columns, strict=True)]
