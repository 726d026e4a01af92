"""What is wanted, who could supply it, and the plan that comes of both: the words of `planner` and `candidates`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors import Call, Connector
from connectors.symbols import split_listing
from streams.accounts.entitlement import Refusals
from streams.accounts.quota import KeyUsage, Window
from streams.planning.entitlements import Entitlements

Range = tuple[int | None, int | None]
EVER = 2**62  # beyond any time in ms, and still an Int64 of the store
SHARES = frozenset({"equity", "etf"})
Covered = Callable[["Requirement", str], Sequence[tuple[int, int]]]
Slip = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Requirement:
    """What is wanted of one dataset and asset class; no `symbols` are a whole market.

    The range [start, end) is in ms UTC; None is open. What has no range at all is wanted anew, whatever is stored.
    An `adjustment` or `kind` that is None takes what the provider gives. With `of_each` every provider is asked for its
    whole market, as their answers differ and all of them are wanted: lists of assets.
    """

    dataset: str
    """Name of the dataset."""
    symbols: tuple[str, ...] = ()
    """Canonical symbols; empty for a whole market."""
    asset_class: str = "equity"
    """Asset class of the symbols."""
    interval: str | None = None
    """Canonical bar interval, `1d`; None for other datasets."""
    adjustment: str | None = None
    """`raw`, `split` or `total`; None for the provider's default."""
    kind: str | None = None
    """Subdivision of the dataset; None for all of them."""
    period: str | None = None
    """`annual` or `quarterly`; None for both."""
    start: int | None = None
    """First moment wanted, ms UTC, inclusive; None for open."""
    end: int | None = None
    """End of the range, ms UTC, exclusive; None for open."""
    of_each: bool = False
    """True where every provider's own answer is wanted: lists of assets."""

    def call(self, symbols: tuple[str, ...], exchange: str | None = None) -> Call:
        """The call that asks all of it for these symbols. Raises `pydantic.ValidationError`."""
        fields: dict[str, Any] = {
            "dataset": self.dataset,
            "asset_class": self.asset_class,
            "interval": self.interval,
            "adjustment": self.adjustment,
            "kind": self.kind,
            "period": self.period,
            "start": self.start,
            "end": self.end,
        }
        return Call(symbols=symbols, exchange=exchange, **fields)


@dataclass(frozen=True, slots=True)
class Availability:
    """One provider as it may be used: what each key (by label) has used of its windows, dollars left today.

    `usd_left` None is no budget; `price` in dollars replaces what the connector declares a call to cost. `rank` is its
    place among the others when nothing else decides.
    """

    connector: Connector
    """The provider."""
    windows: Sequence[Window] = ()
    """Limits of one key."""
    usages: Mapping[str, KeyUsage] = field(default_factory=dict)
    """Use of each key, by its label."""
    usd_left: float | None = None
    """Dollars left today; None without a budget."""
    price: float | None = None
    """Dollars a call; None for the declared price."""
    rank: int = 0
    """Place among equal candidates; the lower goes first."""

    refusals: Mapping[str, Refusals] = field(default_factory=dict)
    """What each key, by its label, is known not to be sold."""

    def entitlements(self, now: int) -> Entitlements:
        """What the keys that are not rejected may be asked; `now` is in ms UTC."""
        usable = (label for label, usage in self.usages.items() if not usage.rejected)
        return Entitlements(self.connector, {label: self.refusals.get(label, ()) for label in usable}, now)


@dataclass(frozen=True, slots=True)
class Unavailable:
    """What nobody can serve, and why for each provider; no symbols are a whole market."""

    dataset: str
    """Name of the dataset."""
    symbols: tuple[str, ...]
    """Canonical symbols; empty for a whole market."""
    reason: str
    """Reason for each provider, in one line."""


@dataclass(frozen=True, slots=True)
class ProviderLoad:
    """One provider's part: HTTP calls, what they take of its quotas, dollars, and how long its quotas make it last."""

    calls: int
    """HTTP calls."""
    weight: float
    """Use of the quotas, in calls or credits."""
    usd: float
    """Dollars."""
    duration_ms: int
    """Time that the quotas require, ms."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be submitted to poll.requests, each call with its slip, and what that takes.

    `covered` counts what is stored already: symbols of a dataset of which nothing is missing.
    """

    requests: tuple[tuple[Call, Slip], ...]
    """Calls with their routing slips, in the order of submission."""
    work: Mapping[str, ProviderLoad]
    """Load of each provider, by its name."""
    unavailable: tuple[Unavailable, ...]
    """Symbols that no provider can serve."""
    covered: int
    """Number of symbols, counted per dataset, with nothing missing."""

    @property
    def calls(self) -> dict[str, int]:
        """HTTP calls by provider."""
        return {name: work.calls for name, work in self.work.items()}

    @property
    def weights(self) -> dict[str, float]:
        """What the calls take of each provider's quotas."""
        return {name: work.weight for name, work in self.work.items()}

    @property
    def duration_s(self) -> float:
        """Seconds that the quotas make it last: the providers work side by side, so the longest."""
        return max((work.duration_ms for work in self.work.values()), default=0) / 1000

    @property
    def cost_usd(self) -> float:
        """Dollars for all calls."""
        return round(sum(work.usd for work in self.work.values()), 6)


def market_of(symbol: str, asset_class: str) -> str | None:
    """The venue (MIC) whose whole market a symbol belongs to; None: that of the US, or the one of its asset class."""
    listing = split_listing(symbol) if asset_class in {*SHARES, "fund"} else None
    return listing[1].mic if listing else None


def missing(requirement: Requirement, covered: Iterable[tuple[int, int]]) -> tuple[Range, ...]:
    """The ranges of `requirement` that `covered` leaves, in their order."""
    if requirement.start is None and requirement.end is None:
        return ((None, None),)
    at = -EVER if requirement.start is None else requirement.start
    last = EVER if requirement.end is None else requirement.end
    found: list[Range] = []
    for start, end in [*sorted(covered), (last, last)]:
        if at < (until := min(start, last)):
            found.append((None if at == -EVER else at, None if until == EVER else until))
        at = max(at, end)
    return tuple(found)
