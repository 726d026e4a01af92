"""What a parse function yields, and the outcome of an answer that is made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.calls import Request
from connectors.errors import NotEntitled, Refusal
from connectors.records import Adjustment, AnyRecord, Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """One row that breaks a rule."""

    rule: str
    """Name of the rule: see docs/DATASETS.md."""
    reason: str
    """What broke it, in words about the data."""
    row: Any = None
    """What was read, for the dead letter."""
    symbol: str | None = None
    """The canonical symbol; None where it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BarColumns:
    """Bars as read, before they are judged: columns of equal length in the payload's order.

    None is absent, NaN unreadable, a None in `ts` an unreadable time. `streams.processing.validate` applies the
    bar rules and makes the `Bars` frame.
    """

    envelope: Envelope
    """The fields that all these bars share."""
    interval: str
    """`1m` `5m` `15m` `30m` `1h` `4h` `1d` `1w` or `1mo`."""
    adjustment: Adjustment
    """What open to close are: `raw` as traded, `split` adjusted for splits, `total` for splits and dividends."""
    ts: list[int | None]
    """Start of the interval, ms UTC, in the order of the payload."""
    open: list[float | None]
    """First trade, in `currency`."""
    high: list[float | None]
    """Highest trade, in `currency`."""
    low: list[float | None]
    """Lowest trade, in `currency`."""
    close: list[float | None]
    """Last trade, in `currency`."""
    volume: list[float | None]
    """Shares, coins or contracts traded; null where none is counted (forex, funds, indices)."""
    currency: str | None = None
    """ISO 4217 code (or a coin's) in which prices are; null for an index in points."""
    vwap: list[float | None] | None = None
    """Volume-weighted average price; the column is null when the provider has none; in `currency`."""
    trades: list[float | None] | None = None
    """Number of trades; the column is null when the provider has none."""
    adj_close: list[float | None] | None = None
    """Close adjusted for splits and dividends, beside a differently adjusted `close`, in `currency`."""
    quote_volume: list[float | None] | None = None
    """Volume in the quote currency, in units of `currency`."""


@dataclass(frozen=True, slots=True)
class Missing:
    """One symbol of the call that the answer refuses or leaves out."""

    symbol: str
    """The canonical symbol."""
    refusal: Refusal
    """Why there is nothing of it."""


@dataclass(frozen=True, slots=True)
class Next:
    """More of the same answer: the request that fetches the following page."""

    request: Request
    """The request that fetches it."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows outside the asset classes (options, bonds, private companies): counted, not rejected."""

    count: int = 1
    """Rows."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """A part of the range that the plan does not sell, of an answer that holds the rest."""

    refusal: NotEntitled
    """What the plan does not sell, with its scope."""


Item = AnyRecord | BarColumns | Reject | Missing | Next | LeftOut | Withheld


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one answer became: records (possibly none) or exactly one refusal."""

    items: tuple[AnyRecord | BarColumns, ...] = ()
    """The records that it holds."""
    rejects: tuple[Reject, ...] = ()
    """The rows that break a rule."""
    missing: Mapping[str, Refusal] = field(default_factory=dict)
    """Refusals of single symbols of a batch, by symbol."""
    next: Request | None = None
    """The request for the following page; None after the last."""
    left_out: int = 0
    """Rows outside the asset classes, a count."""
    refusal: Refusal | None = None
    """What it refuses as a whole; None where it serves."""
    withheld: NotEntitled | None = None
    """Beside records: the part of the range that the plan does not sell."""
    charged: float = 1.0
    """Share of the price that is billed, 0 to 1, where a provider bills results only; of a job's price in the answer
    that holds the job's results."""
    cut_off: str = ""
    """Why a following page that the answer names is not asked; empty otherwise."""

    @property
    def name(self) -> str:
        """`records`, or the refusal's name."""
        return self.refusal.name if self.refusal else "records"

    @classmethod
    def of(cls, items: Iterator[Item]) -> Outcome:
        """Take everything a parser yields before anything is kept: a payload that breaks midway gives nothing."""
        records: list[AnyRecord | BarColumns] = []
        rejects: list[Reject] = []
        missing: dict[str, Refusal] = {}
        following: Request | None = None
        withheld: NotEntitled | None = None
        left_out = 0
        for item in items:
            match item:
                case Reject():
                    rejects.append(item)
                case Missing():
                    missing[item.symbol] = item.refusal
                case Next():
                    following = item.request
                case LeftOut():
                    left_out += item.count
                case Withheld():
                    withheld = item.refusal
                case _:
                    records.append(item)
        return cls(
            items=tuple(records),
            rejects=tuple(rejects),
            missing=missing,
            next=following,
            left_out=left_out,
            withheld=withheld,
        )
