"""A collection becomes the cheapest set of calls: what is missing, asked of whom, at which cost. Pure.

Whole markets come first where they take fewer calls, then calls of many symbols, then single ones, which all providers
that can serve them share. Nothing is spent here: `Plan.requests` is what would be submitted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from connectors import Call, UnsupportedCall
from connectors.calls import DAY_MS
from streams.accounts import capacity
from streams.planning import candidates, routing
from streams.planning.candidates import Candidate, Load, PartlySold
from streams.planning.plan import (
    SHARES,
    Availability,
    Covered,
    Plan,
    ProviderLoad,
    Range,
    Requirement,
    Slip,
    Unavailable,
    market_of,
    missing,
)
from streams.planning.routing import NO_ROUTES, Routes

MARKET_WIDE = frozenset({"bars", "actions", "quote"})
"""Datasets whose whole-market answers hold what the answers for single symbols hold. Of the others they hold the
newest only (news, insiders) or what is announced (earnings)."""


def make(
    requirements: Iterable[Requirement],
    availabilities: Iterable[Availability],
    covered: Covered,
    now: int,
    routes: Routes = NO_ROUTES,
) -> Plan:
    """Plan the calls for `requirements`.

    `covered(requirement, symbol)` are the ranges already answered; the symbol "" stands for a whole market.
    `routes` decide between providers that are equal otherwise.
    """
    planner = _Planner(tuple(availabilities), covered, now)
    for requirement in requirements:
        places = {name: i for i, name in enumerate(routing.order(requirement.dataset, requirement.asset_class, routes))}
        ranked = (
            replace(availability, rank=places.get(availability.connector.name, len(places)))
            for availability in planner.availabilities
        )
        planner.availabilities = sorted(ranked, key=lambda availability: availability.rank)
        planner.add(requirement)
    return planner.plan()


@dataclass(slots=True)
class _Planner:
    availabilities: Sequence[Availability]
    covered: Covered
    now: int
    requests: list[tuple[Call, Slip]] = field(default_factory=list)
    loads: dict[str, Load] = field(default_factory=dict)
    unavailable: list[Unavailable] = field(default_factory=list)
    stored: int = 0
    asked: set[tuple[str, Call]] = field(default_factory=set)
    """Whole-market calls of this plan, by provider: another gap of the same day needs none of its own."""
    listed: set[tuple[object, ...]] = field(default_factory=set)

    def plan(self) -> Plan:
        """Everything added so far."""
        work = {}
        for availability in self.availabilities:
            load = self.loads.get(availability.connector.name)
            if load:
                keys = list(availability.usages.values())
                each = load.weight / load.calls
                ms = capacity.time_for(availability.windows, keys, load.calls, each, self.now)
                work[availability.connector.name] = ProviderLoad(load.calls, load.weight, load.usd, ms or 0)
        return Plan(tuple(self.requests), work, tuple(self.unavailable), self.stored)

    def add(self, requirement: Requirement) -> None:
        """Plan one requirement: symbols of the same market that miss the same ranges together."""
        groups: dict[tuple[str | None, tuple[Range, ...]], list[str]] = {}
        for symbol in dict.fromkeys(requirement.symbols or ("",)):
            market = market_of(symbol, requirement.asset_class)
            gaps = missing(requirement, self.covered(requirement, symbol))
            opens = tuple(gap for gap in gaps if not _closed(requirement, market, gap))
            if opens:
                groups.setdefault((market, opens), []).append(symbol)
            elif gaps == ((requirement.start, requirement.end),):
                groups.setdefault((market, ()), []).append(symbol)
            else:
                self.stored += 1
        for (market, gaps), symbols in groups.items():
            if not gaps:
                self._refuse(requirement, symbols, "US shares have no daily bar of a Saturday or Sunday")
            elif requirement.symbols:
                self._add_group(requirement, market, gaps, symbols)
            else:
                self._add_market(requirement, gaps)

    def _add_group(
        self, requirement: Requirement, market: str | None, gaps: tuple[Range, ...], symbols: list[str]
    ) -> None:
        found, why, cuts = self._offers(requirement, gaps, symbols)
        if cuts and all(candidate.tier for candidate in found):
            self._add_pieces(requirement, market, gaps, symbols, cuts[0])
            return
        wholes = [
            whole
            for availability in self.availabilities
            if (whole := self._whole(requirement, market, gaps, availability))
        ]
        while symbols and (best := self._bulk(wholes, found, symbols)):
            whole, served = best
            self._take_whole(whole, wholes)
            wholes.remove(whole)
            symbols = [symbol for symbol in symbols if symbol not in served]
        for able, together in candidates.by_ability(found, symbols).items():
            tier = min((candidate.tier for candidate in able), default=None)
            if tier is None:
                self._refuse(requirement, together, _reasons(found, why, together[0]))
            else:
                self._take(requirement, [candidate for candidate in able if candidate.tier == tier], able, together)

    def _offers(
        self, requirement: Requirement, gaps: tuple[Range, ...], symbols: Sequence[str]
    ) -> tuple[list[Candidate], dict[str, str], list[PartlySold]]:
        """What each provider can do for single symbols, why the others cannot, and who could do a part."""
        found, why, cuts = [], {}, []
        for availability in self.availabilities:
            try:
                found.append(
                    candidates.candidate(availability, requirement.call(tuple(symbols[:1])), gaps, symbols, self.now)
                )
            except UnsupportedCall as error:
                why[availability.connector.name] = error.reason
                if isinstance(error, PartlySold) and not candidates.best_effort(availability.connector):
                    cuts.append(error)
        return found, why, cuts

    def _add_pieces(
        self,
        requirement: Requirement,
        market: str | None,
        gaps: tuple[Range, ...],
        symbols: list[str],
        cut: PartlySold,
    ) -> None:
        """Plan a range in two where a key's plan ends: nobody who is free and sold the whole of it is there.

        Where one is, one call brings all, and two would take twice the quota.
        """
        one = replace(requirement, adjustment=requirement.adjustment or cut.adjustment)
        for piece in cut.pieces:
            self._add_group(one, market, (piece,), symbols)
        if others := tuple(gap for gap in gaps if gap != cut.gap):
            self._add_group(one, market, others, symbols)

    def _bulk(
        self, wholes: Sequence[Candidate], singly: Sequence[Candidate], symbols: Sequence[str]
    ) -> tuple[Candidate, frozenset[str]] | None:
        """The whole-market calls that serve most of the symbols in fewer calls than asking for them would take."""
        choices = []
        for whole in wholes:
            served = [
                symbol
                for symbol in symbols
                if candidates.spells(whole.availability.connector, whole.asset_class, symbol)
            ]
            calls = whole.calls(0)
            if whole.tier or not served:
                continue
            ms = self._time(whole, calls, whole.weight(0))
            otherwise, otherwise_ms = self._otherwise(singly, served)
            if calls < otherwise and ms <= max(otherwise_ms, DAY_MS):
                choices.append(((-len(served), calls, ms), whole, frozenset(served)))
        return min(choices, key=lambda choice: choice[0])[1:] if choices else None

    def _otherwise(self, singly: Sequence[Candidate], symbols: Sequence[str]) -> tuple[float, float]:
        """Calls, and ms, to ask for these symbols by name; infinite when nobody can who is not paid."""
        calls, longest = 0.0, 0.0
        for able, together in candidates.by_ability(singly, symbols).items():
            free = [candidate for candidate in able if not candidate.paid]
            free = [candidate for candidate in free if candidate.tier == 0] or free
            if not free:
                return float("inf"), float("inf")
            calls += min(candidates.cost(candidate, len(together))[0] for candidate in free)
            longest = max(longest, candidates.finish(free, len(together), self.loads, self.now))
        return calls, longest

    def _whole(
        self, requirement: Requirement, market: str | None, gaps: tuple[Range, ...], availability: Availability
    ) -> Candidate | None:
        """A provider's whole-market calls for these ranges, but for days on which nobody trades; None: it has none.

        Without a range, or a bound on the range of one answer, an answer has as many pages as a market has a past.
        """
        if requirement.dataset not in MARKET_WIDE or (
            requirement.dataset != "quote" and any(None in gap for gap in gaps)
        ):
            return None
        call = requirement.call((), market)
        try:
            whole = candidates.candidate(availability, call, gaps, (), self.now)
            parts = [part for part in whole.parts if not _closed(requirement, market, (part.call.start, part.call.end))]
            fresh = [part for part in parts if (availability.connector.name, part.call) not in self.asked]
            availability.entitlements(self.now).request(whole.parts[0].call)
        except UnsupportedCall:
            return None
        bounded = requirement.dataset == "quote" or all(
            (requirement.interval or "") in part.endpoint.span_ms for part in parts
        )
        local = market is None or all("{exchange}" in part.endpoint.path for part in parts)
        return whole.of(fresh) if parts and bounded and local else None

    def _take_whole(self, whole: Candidate, wholes: Iterable[Candidate]) -> None:
        name = whole.availability.connector.name
        slip = (name, *(o.availability.connector.name for o in _order(wholes) if o is not whole and not o.paid))
        for part in whole.parts:
            self.requests.append((part.call, slip))
            self.asked.add((name, part.call))
        self._load(whole, whole.calls(0), whole.weight(0), whole.usd(0))

    def _add_market(self, requirement: Requirement, gaps: tuple[Range, ...]) -> None:
        """Plan a requirement for a whole market: one provider serves all of it, or each provider serves its own.

        Who needs no key promises nothing: with `of_each` it is only asked where nobody else can be.
        """
        found, why, cuts = self._offers(requirement, gaps, ())
        if cuts and all(candidate.tier for candidate in found):
            for piece in cuts[0].pieces:
                self._add_market(requirement, (piece,))
            return
        affordable = [candidate for candidate in _order(found) if self._affordable(candidate, 1)]
        why |= {o.availability.connector.name: self._too_dear(o) for o in found if o not in affordable}
        if not affordable:
            self._refuse(requirement, (), _joined(why))
            return
        keyed = [
            candidate
            for candidate in affordable
            if not (candidate.paid or candidate.availability.connector.auth.keyless)
        ]
        if requirement.of_each and keyed:
            for candidate in keyed:
                if not self._is_listed(requirement, candidate):
                    self._take_market(requirement, candidate, ())
        else:
            self._take_market(
                requirement, affordable[0], [candidate for candidate in affordable[1:] if not candidate.paid]
            )

    def _is_listed(self, requirement: Requirement, candidate: Candidate) -> bool:
        """Return whether this plan requests that list already; one list holds several asset classes."""
        http = candidate.availability.entitlements(self.now).request(requirement.call(()))
        asked = (candidate.availability.connector.name, http.path, *sorted(http.params.items()))
        known = asked in self.listed
        self.listed.add(asked)
        return known

    def _take_market(self, requirement: Requirement, candidate: Candidate, behind: Iterable[Candidate]) -> None:
        slip = tuple(each.availability.connector.name for each in (candidate, *behind))
        for start, end in candidate.ranges:
            self.requests.append((requirement.call(()).model_copy(update={"start": start, "end": end}), slip))
        self._load(candidate, candidate.calls(0), candidate.weight(0), candidate.usd(0))

    def _take(
        self, requirement: Requirement, best: list[Candidate], able: Sequence[Candidate], symbols: list[str]
    ) -> None:
        """Share symbols out among the best candidates; all who are able stand behind on the slips."""
        if best[0].paid:
            best = sorted(best, key=lambda candidate: candidate.usd(1))[:1]
            count = min(len(symbols), self._affordable(best[0], len(symbols)))
            if symbols[count:]:
                self._refuse(requirement, symbols[count:], f"nobody can serve it: {self._too_dear(best[0])}")
            symbols = symbols[:count]
        at = 0
        template = requirement.call(())
        for candidate, count in candidates.share(best, len(symbols), self.loads, self.now).items():
            own = candidate.availability.connector.name
            slip = (own, *(o.availability.connector.name for o in _order(able) if o is not candidate and not o.paid))
            mine = symbols[at : at + count]
            at += count
            for group in (tuple(mine[i : i + candidate.batch]) for i in range(0, len(mine), candidate.batch)):
                for start, end in candidate.ranges:
                    call = template.model_copy(update={"symbols": group, "start": start, "end": end})
                    self.requests.append((call, slip))
            self._load(candidate, *candidates.cost(candidate, count))

    def _affordable(self, candidate: Candidate, count: int) -> int:
        """For how many of `count` symbols (or calls for a whole market) the day's money is enough."""
        price, left = candidate.usd(1), candidate.availability.usd_left
        if left is None or not price:
            return count
        spent = self.loads.get(candidate.availability.connector.name, Load()).usd
        return min(count, int((left - spent) / price + capacity.ALMOST))

    def _too_dear(self, candidate: Candidate) -> str:
        name = candidate.availability.connector.name
        left = (candidate.availability.usd_left or 0) - self.loads.get(name, Load()).usd
        return f"{name} may spend ${left:.4g} more today, and it costs ${candidate.usd(1):.4g}"

    def _time(self, candidate: Candidate, calls: int, weight: float) -> int:
        load = self.loads.get(candidate.availability.connector.name, Load())
        calls, weight = calls + load.calls, weight + load.weight
        return (
            capacity.time_for(candidate.availability.windows, candidate.keys, calls, weight / max(calls, 1), self.now)
            or 0
        )

    def _load(self, candidate: Candidate, calls: int, weight: float, usd: float) -> None:
        if calls:
            name = candidate.availability.connector.name
            load = self.loads.get(name, Load())
            self.loads[name] = Load(load.calls + calls, load.weight + weight, load.usd + usd)

    def _refuse(self, requirement: Requirement, symbols: Sequence[str], reason: str) -> None:
        self.unavailable.append(Unavailable(requirement.dataset, tuple(filter(None, symbols)), reason))


def _order(found: Iterable[Candidate]) -> list[Candidate]:
    return sorted(found, key=lambda candidate: (candidate.tier, candidate.availability.rank))


def _reasons(found: Iterable[Candidate], why: Mapping[str, str], symbol: str) -> str:
    """Why nobody serves a symbol: who could not serve any, and who cannot spell this one."""
    spelling = {o.availability.connector.name: candidates.fault(o, symbol) for o in found}
    return _joined({**why, **spelling})


def _joined(why: Mapping[str, str]) -> str:
    return "nobody can serve it: " + ("; ".join(why.values()) or "no provider was named")


def _closed(requirement: Requirement, market: str | None, gap: Range) -> bool:
    """Return whether a range holds nothing but days on which US shares have no daily bar."""
    start, end = gap
    if (
        requirement.dataset != "bars"
        or requirement.interval != "1d"
        or requirement.asset_class not in SHARES
        or market is not None
    ):
        return False
    if start is None or end is None or end - start > 3 * DAY_MS:
        return False
    days = range(-(-start // DAY_MS), -(-end // DAY_MS))
    return bool(days) and all(day % 7 in {2, 3} for day in days)  # day 0 of the epoch was a Thursday
