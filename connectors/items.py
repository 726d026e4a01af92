"""What a parse function yields: records, bars as columns, and everything else that an answer can say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from connectors.calls import Request
from connectors.errors import NotEntitled, Refusal
from connectors.records import Adjustment, AnyRecord, Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """One row that breaks a rule; `row` is what was read, for the dead letter."""

    rule: str
    reason: str
    row: Any = None
    symbol: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BarColumns:
    """Bars as read, before they are judged: columns of equal length in the payload's order.

    None is absent, NaN unreadable, a None in `ts` an unreadable time. `streams.processing.validate` applies the
    bar rules and makes the `Bars` frame.
    """

    envelope: Envelope
    interval: str
    adjustment: Adjustment
    ts: list[int | None]
    open: list[float | None]
    high: list[float | None]
    low: list[float | None]
    close: list[float | None]
    volume: list[float | None]
    currency: str | None = None
    vwap: list[float | None] | None = None
    trades: list[float | None] | None = None
    adj_close: list[float | None] | None = None
    quote_volume: list[float | None] | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """One symbol of the call that the answer refuses or leaves out."""

    symbol: str
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Next:
    """More of the same answer: the request that fetches the following page."""

    request: Request


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows outside the asset classes (options, bonds, private companies): counted, not rejected."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class Withheld:
    """A part of the range that the plan does not sell, of an answer that holds the rest."""

    refusal: NotEntitled


Item = AnyRecord | BarColumns | Reject | Missing | Next | LeftOut | Withheld
