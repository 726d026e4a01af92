"""What the store holds of a requirement already: the ranges that polls have answered. Pure; times in ms UTC."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from connectors.declaration import KINDS
from streams.planning.plan import Covered, Requirement, market_of

PollShape = tuple[str, str, str | None, str | None, str | None, str | None]
Answered = tuple[str, str, int, int]
"""Symbol ("" a whole market), exchange ("" the usual one), start, end."""
Ranges = Sequence[tuple[int, int]]


def poll_shape(requirement: Requirement) -> PollShape:
    """What a poll must have asked, beside symbols and range, to count for a requirement."""
    return (
        requirement.dataset,
        requirement.asset_class,
        requirement.interval,
        requirement.adjustment,
        requirement.kind,
        requirement.period,
    )


def kinds_of(requirement: Requirement) -> tuple[tuple[str | None, ...], ...]:
    """Return, for each kind of the requirement, the kinds of polls that answer it; None is a poll without a kind.

    Only where a dataset is the sum of its kinds does a poll without a kind answer each of them.
    """
    whole = KINDS.get(requirement.dataset, ())
    if requirement.kind is not None:
        return ((requirement.kind, None) if requirement.kind in whole else (requirement.kind,),)
    return tuple((kind, None) for kind in whole) or ((None,),)


def covered_by(found: Mapping[PollShape, Sequence[Iterable[Answered]]]) -> Covered:
    """Return `covered(requirement, symbol)`: the ranges that polls have answered.

    `found` holds the answered polls of each shape, one group for each kind of `kinds_of`.
    """
    known = {shape: [_by_place(rows) for rows in by_kind] for shape, by_kind in found.items()}

    def covered(requirement: Requirement, symbol: str) -> Ranges:
        market = market_of(symbol, requirement.asset_class) or ""
        by_kind = [
            joined([*places.get((symbol, ""), ()), *places.get(("", market), ())])
            for places in known.get(poll_shape(requirement), ())
        ]
        ranges: Ranges = by_kind[0] if by_kind else ()
        for others in by_kind[1:]:
            ranges = common(ranges, others)
        return ranges

    return covered


def joined(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The ranges in order, as one where they touch or overlap."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def common(some: Ranges, others: Ranges) -> Ranges:
    """The ranges that lie in both; each given in order, without overlaps."""
    found = [(max(a, c), min(b, d)) for a, b in some for c, d in others]
    return [(start, end) for start, end in found if start < end]


def _by_place(rows: Iterable[Answered]) -> Mapping[tuple[str, str], list[tuple[int, int]]]:
    """Ranges by (symbol, "") or, for a whole market, by ("", exchange)."""
    places: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for symbol, exchange, start, end in rows:
        places.setdefault((symbol, "" if symbol else exchange), []).append((start, end))
    return places
