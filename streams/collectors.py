"""What is collected, and when: `collectors.toml` beside this file, changed or added to by the user's tapestream.toml.

Owns the declarations and the order among them; never runs one and knows no clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
)

from connectors import DATASETS, connectors
from connectors.records import Adjustment, AssetClass, Interval
from streams.capabilities import matrix
from streams.rounds import DependencyCycle, order
from streams.state.schedule import Schedule
from streams.tapestream_toml import WITHIN, DeclarationsInvalid, Place, line, merge, mistakes, read

SHIPPED = Path(__file__).with_name("collectors.toml")
OWN = Path("tapestream.toml")
UNIT_DAYS = {"d": 1, "w": 7, "mo": 31, "y": 366}  # the longest of each, so that what is asked for is reached
LONGEST_DAYS = 100 * UNIT_DAYS["y"]
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


def _some(datasets: tuple[Wanted, ...]) -> tuple[Wanted, ...]:
    if not datasets:
        raise ValueError("name at least one dataset")
    return datasets


Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, AfterValidator(_name)]
DatasetName = Annotated[str, AfterValidator(lambda name: _known("dataset", DATASETS, name))]
ProviderName = Annotated[str, AfterValidator(lambda name: _known("provider", connectors(), name))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One dataset of a collector, in the terms of a call; `history` is how far back it reaches (None: all)."""

    __pydantic_config__: ClassVar[ConfigDict] = CLOSED

    dataset: DatasetName
    interval: Interval | None = None
    adjustment: Adjustment | None = None
    kind: str | None = None
    period: Literal["annual", "quarterly"] | None = None
    history: Annotated[timedelta | None, BeforeValidator(_duration)] = None

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
    asset_class: AssetClass = "equity"
    asset_classes: tuple[AssetClass, ...] = ()
    where: str = ""

    def __post_init__(self) -> None:
        if [bool(self.symbols), bool(self.asset_classes), bool(self.where.strip())].count(True) != 1:
            raise ValueError("give exactly one of symbols, asset_classes and where")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Tries in all, and seconds between two of them: about `base_s`, each time doubled, up to `cap_s`."""

    __pydantic_config__: ClassVar[ConfigDict] = CLOSED

    attempts: Annotated[int, Field(ge=1, strict=True)] = 3
    base_s: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)] = 60
    cap_s: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)] = 3600


@dataclass(frozen=True, slots=True)
class Timing:
    """One schedule of a collector and what a run at its times fetches: what is new, or everything again."""

    schedule: Schedule
    refresh: Refresh


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """Datasets that are fetched together for a universe; of those that could run, a lower `priority` goes first.

    `refresh` is for a run that no timing caused. `providers` restricts and orders who is asked; empty: everybody.
    """

    name: str
    datasets: tuple[Wanted, ...]
    universe: Universe
    priority: int
    depends_on: tuple[str, ...] = ()
    refresh: Refresh = "incremental"
    timings: tuple[Timing, ...] = ()
    retry: RetryPolicy = RetryPolicy()
    providers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Declarations:
    """All collectors by name, in their order, and the schedules of the worker's own jobs."""

    collectors: Mapping[str, Collector]
    schedules: tuple[Schedule, ...]


def load(path: Path | None = None) -> Declarations:
    """Read what is shipped and the user's file over it: `path`, or tapestream.toml where there is one.

    Raises `DeclarationsInvalid`.
    """
    own = path or (OWN if OWN.exists() else None)
    file, shipped = str(own or SHIPPED.name), read(SHIPPED)
    try:
        tables = _Tables.model_validate(merge(shipped, read(own)) if own else shipped)
    except ValidationError as error:
        lines = [line(file, *found) for found in mistakes(error, _keys)]
        raise DeclarationsInvalid("\n".join(lines)) from None
    if lines := [line(file, *found) for found in _contradictions(tables)]:
        raise DeclarationsInvalid("\n".join(lines))
    try:
        found = order(_collector(name, table, tables.universes) for name, table in tables.collectors.items())
    except DependencyCycle as error:
        raise DeclarationsInvalid(line(file, ("collectors", error.names[0], "depends_on"), str(error))) from None
    return Declarations(
        collectors=MappingProxyType({collector.name: collector for collector in found}),
        schedules=tuple(table.schedule(name) for name, table in tables.schedules),
    )


def _collector(name: str, table: _Collector, universes: Mapping[str, Universe]) -> Collector:
    return Collector(
        name=name,
        datasets=table.datasets,
        universe=universes[table.universe] if isinstance(table.universe, str) else table.universe,
        priority=table.priority,
        depends_on=table.depends_on,
        refresh=table.refresh,
        timings=tuple(
            Timing(timing.schedule(f"{name}/{each}"), timing.refresh or table.refresh)
            for each, timing in table.schedules.items()
        ),
        retry=table.retry,
        providers=table.providers,
    )


def _contradictions(tables: _Tables) -> Iterator[tuple[Place, str]]:
    """Give what no table shows alone: names that nobody declares, and universes that cannot be asked."""
    for name, table in tables.collectors.items():
        place = ("collectors", name)
        universe = tables.universes.get(table.universe) if isinstance(table.universe, str) else table.universe
        if universe is None:
            yield (*place, "universe"), f"unknown universe {table.universe!r}; known: {', '.join(tables.universes)}"
        elif not universe.asset_classes and any(wanted.dataset == "assets" for wanted in table.datasets):
            yield (*place, "universe"), "assets make the universe: give asset_classes, not symbols or where"
        for other in table.depends_on:
            if other not in tables.collectors:
                yield (*place, "depends_on"), f"unknown collector {other!r}; known: {', '.join(tables.collectors)}"


def _keys(place: Place) -> list[str]:
    """Give the keys that the table at a place may have."""
    shape: Any
    match place:
        case ():
            shape = _Tables
        case ("schedules",):
            shape = _Jobs
        case ("schedules", _):
            shape = _Cron
        case ("collectors", _):
            shape = _Collector
        case ("collectors", _, "datasets", _):
            shape = Wanted
        case ("collectors", _, "schedules", _):
            shape = _Timing
        case ("collectors", _, "retry"):
            shape = RetryPolicy
        case _:
            shape = Universe
    return [field.name for field in fields(shape)] if is_dataclass(shape) else list(shape.model_fields)


class _Cron(BaseModel):
    """`{ cron = …, zone = … }`."""

    model_config = CLOSED

    cron: Annotated[str, AfterValidator(lambda cron: Schedule("", cron, "UTC").cron)]
    zone: Annotated[str, AfterValidator(lambda zone: Schedule("", "0 0 * * *", zone).zone)]

    def schedule(self, name: str) -> Schedule:
        """Give the schedule under its name."""
        return Schedule(name, self.cron, self.zone)


class _Timing(_Cron):
    refresh: Refresh | None = None


_DatasetOrName = Annotated[
    Wanted, BeforeValidator(lambda given: {"dataset": given} if isinstance(given, str) else given)
]
_UniverseOrName = Annotated[
    Annotated[str, Tag("name")] | Annotated[Universe, Tag(WITHIN)],
    Discriminator(lambda given: "name" if isinstance(given, str) else WITHIN),
]


class _Collector(BaseModel):
    model_config = CLOSED

    datasets: Annotated[tuple[_DatasetOrName, ...], AfterValidator(_some)]
    universe: _UniverseOrName
    priority: Annotated[int, Field(strict=True)] = 100
    depends_on: tuple[str, ...] = ()
    refresh: Refresh = "incremental"
    schedules: Mapping[Name, _Timing] = Field(default_factory=dict)
    retry: RetryPolicy = RetryPolicy()
    providers: tuple[ProviderName, ...] = ()


class _Jobs(BaseModel):
    model_config = CLOSED

    quality_check: _Cron
    budget_reset: _Cron
    cache_cleanup: _Cron


class _Tables(BaseModel):
    model_config = CLOSED

    universes: Mapping[Name, Universe]
    collectors: Mapping[Name, _Collector]
    schedules: _Jobs
