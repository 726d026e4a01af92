"""In which order collectors run, which of them may run now, and how long one rests that failed. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Literal

from streams.errors import DependencyCycle

if TYPE_CHECKING:
    from streams.collecting.model import Collector, RetryPolicy

Ending = Literal["done", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a collector may run now, and otherwise why not."""

    decision: Literal["run", "wait", "skip"]
    """`run`, `wait` or `skip`."""
    reason: str = ""
    """Reason for waiting or skipping."""


def order(collectors: Iterable[Collector]) -> tuple[Collector, ...]:
    """Return dependencies first, then by priority, then by name. A dependency that is not among them does not count.

    Raises `DependencyCycle`.
    """
    named = {collector.name: collector for collector in collectors}
    graph = TopologicalSorter({name: set(each.depends_on) & named.keys() for name, each in named.items()})
    try:
        graph.prepare()
    except CycleError as error:
        raise DependencyCycle(tuple(reversed(error.args[1]))) from None
    found: list[Collector] = []
    free: list[tuple[int, str]] = []
    while graph.is_active():
        for name in graph.get_ready():
            heapq.heappush(free, (named[name].priority, name))
        _, first = heapq.heappop(free)
        found.append(named[first])
        graph.done(first)
    return tuple(found)


def ready(name: str, endings: Mapping[str, Ending], collectors: Mapping[str, Collector]) -> Readiness:
    """Return whether a collector may run: when all that it depends on is done. A failure far up skips it too.

    `endings` is the last end of each collector; a collector in progress, or without a run, has none.
    """
    waiting = []
    for other in collectors[name].depends_on:
        ending = endings.get(other)
        if ending == "failed":
            return Readiness("skip", f"{name} depends on {other}, which failed")
        if ending == "skipped":
            return Readiness("skip", f"{name} depends on {other}, which was skipped")
        if ending is None:
            above = ready(other, endings, collectors)
            if above.decision == "skip":
                return Readiness("skip", f"{name} depends on {other}; {above.reason}")
            waiting.append(other)
    return Readiness("wait", f"{name} waits for {', '.join(waiting)}") if waiting else Readiness("run")


def retry_delay_s(policy: RetryPolicy, attempt: int, chance: float) -> float:
    """Seconds from the failure of try number `attempt` (from 1) to the next try; `chance` in [0, 1) spreads them.

    It lies between half and all of the doubled time, so that what failed together does not come back together.
    """
    doubled = policy.base_s * 2.0 ** min(attempt - 1, 62)
    return min(policy.cap_s, doubled) * (1 + chance) / 2
