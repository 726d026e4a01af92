"""What one provider can serve of a requirement, at which cost, and how providers share symbols to end soonest. Pure.

Sharing is a makespan problem: n symbols, each served by one of several providers, whose capacity within a time t is a
step function of t (`streams.accounts.capacity`). The best finish T is the least t whose capacities sum to n. Bisection
finds it (`finish`), because the sum never falls. Within T any distribution that respects the capacities ends in time.
The one with the fewest calls is taken: candidates with many symbols a call are filled first. Candidates of one kind
share in proportion to their capacities, which keeps every key busy until T instead of emptying one key first.

Whole symbols are dealt by rounding the cumulative share up, not each share by itself: the parts then sum to n, and no
part differs from its exact share by one symbol or more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from math import ceil, inf

from connectors import INTERVAL_MS, Call, Connector, Endpoint, UnsupportedCall
from connectors.calls import DAY_MS
from connectors.records import AssetClass
from infra.errors import TapestreamError
from streams.accounts import capacity
from streams.accounts.entitlement import Refused
from streams.accounts.quota import KeyUsage
from streams.planning.entitlements import Entitlements, Parts
from streams.planning.plan import EVER, Availability, Range

MINUTE_MS = 60_000
WEEK = 5 / 7
"""Share of all days on which exchanges trade."""
DAY = 16 / 24
"""Share of a day in which US shares trade, hours before and after the session included."""


class PartlySold(TapestreamError, UnsupportedCall):
    """A provider sells a part of a range only: `sold` and `refused` are its pieces, in order of time."""

    def __init__(self, reason: str, gap: Range, parts: Parts) -> None:
        super().__init__(reason)
        self.gap = gap
        self.pieces: tuple[Range, ...] = tuple(
            sorted(
                {(piece.start, piece.end) for piece in (*parts.sold, *(piece for piece, _ in parts.refused))},
                key=lambda piece: -EVER if piece[0] is None else piece[0],
            )
        )
        self.adjustment = parts.sold[0].adjustment


@dataclass(frozen=True, slots=True)
class Load:
    """What is planned on a provider so far."""

    calls: int = 0
    """HTTP calls."""
    weight: float = 0
    """Use of the quotas, in calls or credits."""
    usd: float = 0
    """Dollars."""


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One HTTP call of a candidate, and the rows that each symbol is likely to bring."""

    call: Call
    """The call, for one symbol of the batch."""
    endpoint: Endpoint
    """The endpoint that serves it."""
    rows: float
    """Rows that each symbol is likely to have."""

    def pages(self, symbols: int) -> int:
        """Answers of the call; one where the declaration states no number of rows."""
        return max(1, ceil(self.rows * symbols / self.endpoint.rows)) if self.endpoint.rows else 1


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """How a provider would serve a requirement: `ranges` for `batch` symbols a call (0: a whole market), as `parts`."""

    availability: Availability
    """The provider and what is left of its quotas."""
    asset_class: AssetClass
    """Asset class of the symbols."""
    ranges: tuple[Range, ...]
    """Ranges [start, end) in ms UTC that its calls cover."""
    parts: tuple[PlannedCall, ...]
    """HTTP calls for one batch of symbols."""
    batch: int
    """Most symbols of a call; 0 for a whole market."""
    spelled: frozenset[str]
    """The symbols that it can serve."""
    keys: tuple[KeyUsage, ...]
    """Use of the keys that may make these calls."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """The symbols that no key is sold, and why."""

    @property
    def paid(self) -> bool:
        """True when a call costs money."""
        return self.usd(1) > 0

    @property
    def tier(self) -> int:
        """0 comes first; 1 is best effort, 2 costs money: they serve what nobody before them can."""
        return 2 if self.paid else int(best_effort(self.availability.connector))

    def calls(self, symbols: int) -> int:
        """HTTP calls for one batch of `symbols` symbols."""
        return sum(part.pages(symbols) for part in self.parts)

    def weight(self, symbols: int) -> float:
        """What they take of a key's quota."""
        return sum(part.pages(symbols) * part.endpoint.weight(symbols) for part in self.parts)

    def usd(self, symbols: int) -> float:
        """What they cost, in dollars."""
        price = self.availability.price
        return sum(part.pages(symbols) * part.endpoint.price(price) for part in self.parts)

    def of(self, parts: Sequence[PlannedCall]) -> Candidate:
        """The candidate of these parts only."""
        return replace(self, parts=tuple(parts))


def best_effort(connector: Connector) -> bool:
    """True for an API that nobody sold us: it serves what nobody else can, and no claim of capacity leans on it."""
    return connector.auth.keyless


def candidate(
    availability: Availability, call: Call, gaps: Sequence[Range], symbols: Sequence[str], now: int
) -> Candidate:
    """What the provider can do for `call` in the ranges `gaps`, for those of `symbols` that it can spell.

    Raises `UnsupportedCall` that says why it can do nothing.
    """
    connector, name = availability.connector, availability.connector.name
    if not availability.usages:
        raise UnsupportedCall(f"{name}: no key, set {name.upper()}_KEYS")
    if all(usage.rejected for usage in availability.usages.values()):
        raise UnsupportedCall(f"{name} rejected every key: {', '.join(availability.usages)}")
    spelled = [symbol for symbol in symbols if spells(connector, call.asset_class, symbol)]
    if symbols and not spelled:
        connector.symbols.spell(symbols[0], call.asset_class)
    entitlements = availability.entitlements(now)
    refused = _refused(entitlements, call, gaps, spelled)
    sold = [symbol for symbol in spelled if symbol not in refused]
    if spelled and not sold:
        raise UnsupportedCall(refused[spelled[0]])
    ranges, parts = _cut(entitlements, call.model_copy(update={"symbols": tuple(sold[:1])}), gaps)
    keys = tuple(availability.usages[label] for label in entitlements.sold_to(part.call for part in parts))
    batch = min(part.endpoint.batch for part in parts)
    made = Candidate(availability, call.asset_class, ranges, parts, batch, frozenset(sold), keys, refused)
    return replace(made, batch=_lightened(made, now))


def spells(connector: Connector, asset_class: AssetClass, symbol: str) -> bool:
    """Return whether the provider has a name for a symbol of that asset class."""
    try:
        connector.symbols.spell(symbol, asset_class)
    except UnsupportedCall:
        return False
    return True


def fault(candidate: Candidate, symbol: str) -> str:
    """Why the provider of a candidate cannot serve a symbol."""
    if symbol in candidate.refused:
        return candidate.refused[symbol]
    try:
        candidate.availability.connector.symbols.spell(symbol, candidate.asset_class)
    except UnsupportedCall as error:
        return error.reason
    return ""


def by_ability(found: Sequence[Candidate], symbols: Iterable[str]) -> dict[tuple[Candidate, ...], list[str]]:
    """The symbols, together with those that the same candidates can serve."""
    groups: dict[tuple[Candidate, ...], list[str]] = {}
    for symbol in symbols:
        groups.setdefault(tuple(candidate for candidate in found if symbol in candidate.spelled), []).append(symbol)
    return dict(sorted(groups.items(), key=lambda item: len(item[0])))


def cost(candidate: Candidate, symbols: int) -> tuple[int, float, float]:
    """HTTP calls, weight and dollars for a number of symbols, in batches."""
    full, rest = divmod(symbols, candidate.batch)
    sizes = [(full, candidate.batch), *([(1, rest)] if rest else [])]
    return (
        sum(times * candidate.calls(size) for times, size in sizes),
        sum(times * candidate.weight(size) for times, size in sizes),
        sum(times * candidate.usd(size) for times, size in sizes),
    )


def finish(found: Sequence[Candidate], symbols: int, loads: Mapping[str, Load], now: int) -> int:
    """Ms, in whole minutes, within which the candidates together can request this number of symbols."""

    def enough(minutes: int) -> bool:
        return sum(_room(candidate, loads, now, minutes * MINUTE_MS) for candidate in found) >= symbols

    return capacity.least(enough) * MINUTE_MS


def share(found: Sequence[Candidate], symbols: int, loads: Mapping[str, Load], now: int) -> dict[Candidate, int]:
    """How many symbols each candidate serves so that all end soonest, and in that time with the fewest calls.

    Candidates of single symbols share them in proportion to what their keys still allow; a batch is not torn for that.
    Who takes several calls for one symbol stands back, unless that lasts more than a day and twice as long.
    """
    within = finish(found, symbols, loads, now)
    frugal = [candidate for candidate in found if _symbols_per_call(candidate) >= 1]
    if (
        frugal
        and len(frugal) < len(found)
        and (alone := finish(frugal, symbols, loads, now)) <= max(DAY_MS, 2 * within)
    ):
        found, within = frugal, alone
    ordered = sorted(found, key=lambda candidate: (-_symbols_per_call(candidate), candidate.availability.rank))
    shares: dict[Candidate, int] = {}
    for _, alike in groupby(ordered, key=_symbols_per_call):
        rooms = {candidate: _room(candidate, loads, now, within) for candidate in alike}
        dealt = _deal(rooms, symbols)
        symbols -= sum(dealt.values())
        shares |= {candidate: count for candidate, count in dealt.items() if count}
    return shares


def _deal(rooms: Mapping[Candidate, float], symbols: int) -> dict[Candidate, int]:
    if unlimited := [candidate for candidate, room in rooms.items() if room == inf]:
        rooms = dict.fromkeys(unlimited, float(symbols))
    whole = sum(rooms.values())
    count = int(min(symbols, whole))
    dealt, given, seen = {}, 0, 0.0
    for candidate, room in rooms.items():
        seen += room
        upto = ceil(count * seen / whole - capacity.ALMOST) if candidate.batch == 1 and whole else int(min(count, seen))
        dealt[candidate], given = upto - given, upto
    return dealt


def _symbols_per_call(candidate: Candidate) -> float:
    return candidate.batch / candidate.calls(candidate.batch)


def _room(candidate: Candidate, loads: Mapping[str, Load], now: int, within: int) -> float:
    """Symbols whose calls may start within `within` ms, beside what is planned already."""
    calls = candidate.calls(candidate.batch)
    each = candidate.weight(candidate.batch) / calls
    load = loads.get(candidate.availability.connector.name, Load())
    spare = capacity.startable(candidate.availability.windows, candidate.keys, each, now, within)
    if spare == inf:
        return inf
    taken = max(load.calls, load.weight / each if each else 0)
    return max(0, int((spare - taken) // calls)) * candidate.batch


def _refused(entitlements: Entitlements, call: Call, gaps: Sequence[Range], symbols: Sequence[str]) -> dict[str, str]:
    """Those of the symbols that are not sold in one of the gaps, and why: only a refusal names them."""
    found: dict[str, str] = {}
    for symbol in entitlements.named(symbols):
        for gap in gaps:
            if known := entitlements.why(_of(call, gap, (symbol,))):
                found[symbol] = not_sold(entitlements.connector, known)
    return found


def _cut(
    entitlements: Entitlements, call: Call, gaps: Sequence[Range]
) -> tuple[tuple[Range, ...], tuple[PlannedCall, ...]]:
    """The gaps and the HTTP calls that ask for them; from the first to the last at once where that takes fewer.

    Raises `UnsupportedCall` where a gap is not sold, and `PartlySold` where only a part of one is.
    """

    def split(gap: Range) -> tuple[Call, ...]:
        asked = _of(call, gap, call.symbols)
        try:
            parts = entitlements.split(asked)
        except UnsupportedCall:
            if known := entitlements.why(asked):
                raise UnsupportedCall(not_sold(entitlements.connector, known)) from None
            raise
        if parts.refused:
            raise PartlySold(not_sold(entitlements.connector, parts.refused[0][1]), gap, parts)
        return parts.sold

    ranges = tuple(gaps)
    calls = [part for gap in ranges for part in split(gap)]
    if len(ranges) > 1:
        whole = (ranges[0][0], ranges[-1][1])
        with suppress(UnsupportedCall):
            if len(at_once := split(whole)) < len(calls):
                ranges, calls = (whole,), list(at_once)
    return ranges, tuple(PlannedCall(part, entitlements.route(part), _rows(part)) for part in calls)


def _of(call: Call, gap: Range, symbols: tuple[str, ...]) -> Call:
    return call.model_copy(update={"symbols": symbols, "start": gap[0], "end": gap[1]})


def not_sold(connector: Connector, known: Refused) -> str:
    """Say what a provider does not sell, and when it will be asked again."""
    until = datetime.fromtimestamp(known.until / 1000, UTC)
    return f"{connector.name} does not sell {known} (asked again from {until:%Y-%m-%d %H:%M} UTC)"


def _rows(call: Call) -> float:
    """Bars that one symbol is likely to have in the range; 0 where it cannot be estimated."""
    if call.dataset != "bars" or call.interval is None or call.start is None or call.end is None:
        return 0
    bars = (call.end - call.start) / INTERVAL_MS[call.interval]
    if call.asset_class in {"crypto", "forex"} or INTERVAL_MS[call.interval] > DAY_MS:
        return bars
    return bars * WEEK * (1 if call.interval == "1d" else DAY)


def _lightened(candidate: Candidate, now: int) -> int:
    """The largest batch, down from the provider's own, that a key's limits hold. Raises `UnsupportedCall`."""

    def holds(symbols: int) -> bool:
        heaviest = max(part.endpoint.weight(symbols) for part in candidate.parts)
        return bool(capacity.able(candidate.availability.windows, candidate.keys, heaviest, now))

    for batch in range(candidate.batch, 0, -1):
        if holds(batch):
            return batch
    if candidate.batch == 0 and holds(0):
        return 0
    name, weight = candidate.availability.connector.name, candidate.weight(min(candidate.batch, 1))
    limit = min(candidate.availability.windows, key=lambda window: window.calls / window.amount(1, weight))
    raise UnsupportedCall(
        f"a call of {name} costs {weight:g} calls, more than {limit.calls:g}/{limit.per}: raise {name.upper()}_LIMITS"
    )
