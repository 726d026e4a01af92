"""What a collector is: what it wants, of which symbols, when, and after which others. Knows no file and no clock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
)

from connectors import DATASETS, connectors
from connectors.records import Adjustment, AssetClass, Interval, Period
from streams.collecting.schedule import Schedule
from streams.planning.capabilities import matrix

UNIT_DAYS = {"d": 1, "w": 7, "mo": 31, "y": 366}  # the longest of each, so that what is asked for is reached
LONGEST_DAYS = 100 * UNIT_DAYS["y"]  # no market data is older
CLOSED = ConfigDict(extra="forbid", frozen=True)
Refresh = Literal["incremental", "full"]


def _known(what: str, names: Iterable[str], name: str) -> str:
    if name not in names:
        raise ValueError(f"unknown {what} {name!r}; known: {', '.join(names)}")
    return name


def _name(name: str) -> str:
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name!r} is no name; write small letters, digits and _")
    return name


def _duration(text: Any) -> timedelta:
    found = re.fullmatch(r"([1-9][0-9]{0,4})(d|w|mo|y)", str(text))
    days = int(found[1]) * UNIT_DAYS[found[2]] if found else 0
    if not 0 < days <= LONGEST_DAYS:
        raise ValueError(f"{text!r} is no duration; write 30d, 6w, 3mo or 2y, at most 100y")
    return timedelta(days=days)


def some(datasets: tuple[Wanted, ...]) -> tuple[Wanted, ...]:
    """Refuse an empty list of datasets. Raises `ValueError`."""
    if not datasets:
        raise ValueError("name at least one dataset")
    return datasets


Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, AfterValidator(_name)]
DatasetName = Annotated[str, AfterValidator(lambda name: _known("dataset", DATASETS, name))]
ProviderName = Annotated[str, AfterValidator(lambda name: _known("provider", connectors(), name))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One dataset of a collector, in the fields of a call; `history` is how far back it reaches (None: all)."""

    __pydantic_config__: ClassVar[ConfigDict] = CLOSED

    dataset: DatasetName
    """Name of the dataset."""
    interval: Interval | None = None
    """Canonical bar interval; None for other datasets."""
    adjustment: Adjustment | None = None
    """`raw`, `split` or `total`; None for the provider's default."""
    kind: str | None = None
    """Subdivision of the dataset; None for all of them."""
    period: Period | None = None
    """Fiscal period of statements; None for all."""
    history: Annotated[timedelta | None, BeforeValidator(_duration)] = None
    """How far back the data reach; None for everything."""

    def __post_init__(self) -> None:
        if self.dataset == "bars" and self.interval is None:
            raise ValueError("bars need an interval, such as 1d")
        if self.dataset != "bars" and (self.interval or self.adjustment):
            raise ValueError(f"only bars have an interval and an adjustment, not {self.dataset}")
        if self.dataset not in {"statements", "metrics"} and self.period:
            raise ValueError(f"only statements and metrics have a period, not {self.dataset}")
        kinds = {kind for row in matrix() if row.dataset == self.dataset for kind in row.kinds}
        if self.kind is not None:
            _known(f"kind of {self.dataset}", sorted(kinds), self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Universe:
    """For whom: `symbols` (of `asset_class`), all active assets of `asset_classes`, or those of a condition.

    `where` is the condition, in SQL, on the view `assets`. Exactly one of the three is given.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CLOSED

    symbols: tuple[Text, ...] = ()
    """Canonical symbols of `asset_class`."""
    asset_class: AssetClass = "equity"
    """Asset class of `symbols`."""
    asset_classes: tuple[AssetClass, ...] = ()
    """Asset classes whose active assets are all wanted."""
    where: str = ""
    """SQL condition on the view `assets`."""

    def __post_init__(self) -> None:
        if [bool(self.symbols), bool(self.asset_classes), bool(self.where.strip())].count(True) != 1:
            raise ValueError("give exactly one of symbols, asset_classes and where")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Tries in all, and seconds between two of them: about `base_s`, each time doubled, up to `cap_s`."""

    __pydantic_config__: ClassVar[ConfigDict] = CLOSED

    attempts: Annotated[int, Field(ge=1, strict=True)] = 3
    """Attempts in all."""
    base_s: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)] = 60
    """Seconds before the second attempt; doubled for each further one."""
    cap_s: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)] = 3600
    """Longest pause between two attempts, seconds."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One schedule of a collector and what a run at its times fetches: what is new, or everything again."""

    schedule: Schedule
    """The fire times."""
    refresh: Refresh
    """Scope of its runs: `incremental` or `full`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """Datasets that are fetched together for a universe; of those that could run, a lower `priority` goes first.

    `refresh` is for a run that no timing caused. `providers` restricts and orders who is asked; empty: everybody.
    """

    name: str
    """Name in the declarations."""
    datasets: tuple[Wanted, ...]
    """Datasets that are fetched together."""
    universe: Universe
    """The symbols."""
    priority: int
    """Rank among collectors that may run; the lower goes first."""
    depends_on: tuple[str, ...] = ()
    """Names of the collectors that must be done before."""
    refresh: Refresh = "incremental"
    """Scope of a run without a timing: `incremental` or `full`."""
    timings: tuple[Timing, ...] = ()
    """Its schedules."""
    retry: RetryPolicy = RetryPolicy()
    """Attempts after transient failures."""
    providers: tuple[str, ...] = ()
    """The only providers to ask, best first; empty for all."""


@dataclass(frozen=True, slots=True)
class Declarations:
    """All collectors by name, in their order, and the schedules of the worker's own jobs."""

    collectors: Mapping[str, Collector]
    """Collectors by name, in their order."""
    schedules: tuple[Schedule, ...]
    """Schedules of the maintenance jobs."""
