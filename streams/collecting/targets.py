"""What a run of a collector wants, as of a moment, and which earlier answers count as it. Pure; times in ms UTC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from connectors import INTERVAL_MS
from connectors.calls import DAY_MS
from connectors.records import AssetClass
from streams.planning.plan import EVER, Requirement

if TYPE_CHECKING:
    from streams.collecting.model import Collector, Refresh, Wanted

Members = Mapping[AssetClass, Sequence[str]]
"""For whom: symbols by asset class."""

BY_SESSION = frozenset({"equity", "etf", "fund", "index"})
"""Asset classes whose day ends when New York closes; of the others it ends at midnight UTC."""
NEW_YORK = ZoneInfo("America/New_York")
CLOSED = time(16, 15)  # delayed feeds have the last trade then


@dataclass(frozen=True, slots=True)
class Target:
    """A requirement, and the polls that answer it.

    Polls since `since` (ms UTC) count; those since `final` (ms UTC) count up to their own end.
    """

    requirement: Requirement
    """What is wanted."""
    since: int
    """Answers from this moment on count, ms UTC."""
    final: int
    """Answers from this moment on count up to their own end, ms UTC."""


def targets(collector: Collector, members: Members, refresh: Refresh, at: int) -> Iterator[Target]:
    """Return what `collector` wants for `members` as of `at`.

    With the refresh `full` nothing counts that was answered before `at`; what has no range is wanted anew, too.
    """
    for wanted in collector.datasets:
        for asset_class, symbols in members.items():
            if not symbols and wanted.dataset != "assets":
                continue  # a requirement without symbols would be one for a whole market
            requirement, final = _wish(wanted, asset_class, tuple(symbols), at)
            ranged = requirement.start is not None or requirement.end is not None
            yield Target(requirement, 0 if ranged and refresh == "incremental" else at, final)


def last_close(at: int) -> tuple[int, int]:
    """The last session of US shares that is over: when it was, and the end of its trading date (00:00 UTC)."""
    local = datetime.fromtimestamp(at / 1000, UTC).astimezone(NEW_YORK)
    day = local.date() if local.time() >= CLOSED else local.date() - timedelta(days=1)
    while day.isoweekday() > 5:
        day -= timedelta(days=1)
    midnight = datetime.combine(day + timedelta(days=1), time(), UTC)
    return _ms(datetime.combine(day, CLOSED, NEW_YORK)), _ms(midnight)


def interval_start(interval: str, at: int) -> int:
    """The start of the interval that runs at `at`: weeks begin on Mondays, months on their first."""
    if interval == "1mo":
        return _ms(datetime.fromtimestamp(at / 1000, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0))
    length = INTERVAL_MS[interval]
    since = 4 * DAY_MS if interval == "1w" else 0  # the epoch began on a Thursday
    return (at - since) // length * length + since


def _wish(wanted: Wanted, asset_class: AssetClass, symbols: tuple[str, ...], at: int) -> tuple[Requirement, int]:
    """The requirement, and from when on an answer is final: by default an answer of this run is final."""
    final, end = at, at
    if wanted.interval == "1d" and asset_class in BY_SESSION:
        final, end = last_close(at)
    elif wanted.interval:
        final, end = EVER, interval_start(wanted.interval, at)
    start = None
    if wanted.history:
        start = (end - wanted.history // timedelta(milliseconds=1)) // DAY_MS * DAY_MS
    requirement = Requirement(
        dataset=wanted.dataset,
        symbols=() if wanted.dataset == "assets" else symbols,
        asset_class=asset_class,
        interval=wanted.interval,
        adjustment=wanted.adjustment,
        kind=wanted.kind,
        period=wanted.period,
        start=start,
        end=end if start is not None or wanted.interval else None,
        of_each=wanted.dataset == "assets",
    )
    return requirement, final


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
