"""What is collected, and when: `collectors.toml` beside this file, changed or added to by the user's tapestream.toml.

Owns the declarations and the order among them; never runs one and knows no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
)

from streams.collecting.dependencies import order
from streams.collecting.model import (
    CLOSED,
    Collector,
    Declarations,
    Name,
    ProviderName,
    Refresh,
    RetryPolicy,
    Timing,
    Universe,
    Wanted,
    some,
)
from streams.collecting.schedule import Schedule
from streams.collecting.toml_file import WITHIN, Place, line, merge, mistakes, read
from streams.errors import DeclarationsInvalid, DependencyCycle

SHIPPED = Path(__file__).with_name("collectors.toml")
OWN = Path("tapestream.toml")


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
    """Yield the mistakes between tables: undeclared names, and universes that cannot be requested."""
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
    """Return the keys that the table at a place may have."""
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
        """Return the schedule under its name."""
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

    datasets: Annotated[tuple[_DatasetOrName, ...], AfterValidator(some)]
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
