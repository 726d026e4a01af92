"""What a provider may be asked with the keys it has: a call is cut at what they are known not to be sold. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from connectors import Call, Connector, Endpoint, Request, UnsupportedCall
from connectors.declaration import KINDS, NOTHING
from streams.accounts.entitlement import Refusals, Refused, current, of_key

Given = Callable[[Call], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Parts:
    """A call by what may be asked of it."""

    sold: tuple[Call, ...]
    """What may be asked."""
    refused: tuple[tuple[Call, Refused], ...] = ()
    """What may not, each part with the refusal that covers it."""
    cut_by: Refused | None = None
    """The first refusal that cut anything off; None where the whole call is sold as it is."""


@dataclass(frozen=True, slots=True)
class Entitlements:
    """What a provider may be asked with any of its keys at a moment."""

    connector: Connector
    """The provider's declaration."""
    refusals: Mapping[str, Refusals]
    """By label of each key that may be used, an empty tuple where nothing is refused."""
    now: int
    """The moment, ms UTC."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Parameters that the settings add to requests."""

    def refused(self, label: str, endpoint: Endpoint, call: Call, given: Mapping[str, str]) -> Refused | None:
        """The refusal that covers any part of a request with a key; None where it may be sent as it is."""
        return self._parts_of_key(label, endpoint, call, lambda _: given).cut_by

    def skip(self, call: Call) -> frozenset[str]:
        """The endpoints of which no key is sold any part of `call`."""
        if not any(self.refusals.values()):
            return frozenset()
        return frozenset(
            endpoint.name
            for endpoint in self.connector.endpoints
            if endpoint.serves(call) and not self._parts(endpoint, call).sold
        )

    def split(self, call: Call) -> Parts:
        """Cut a call into calls that each fit one request and are sold or refused whole.

        Pieces of a bar series keep one adjustment, whichever provider serves them. Raises `UnsupportedCall`, also
        where nothing of it is sold: see `why`.
        """
        skip = self.skip(call)
        try:
            calls = self.connector.split(call, skip)
        except UnsupportedCall:
            if (by_kind := self._by_kind(call)) is None:
                raise
            return by_kind
        if not any(self.refusals.values()):
            return Parts(tuple(calls))
        found = [self._parts(self.connector.route(part, skip), part) for part in calls]
        sold = tuple(piece for parts in found for piece in parts.sold)
        refused = tuple(pair for parts in found for pair in parts.refused)
        if not refused or call.dataset != "bars" or call.adjustment is not None:
            return Parts(sold, refused)
        one = {"adjustment": self.route(sold[0]).adjustments[0]}
        return Parts(
            tuple(piece.model_copy(update=one) for piece in sold),
            tuple((piece.model_copy(update=one), known) for piece, known in refused),
        )

    def sold_to(self, calls: Iterable[Call]) -> list[str]:
        """The labels of the keys that are sold any of these calls, each of which `split` sold."""
        asked = [(call, self.route(call)) for call in calls]
        return [
            label
            for label in self.refusals
            if any(self._parts_of_key(label, endpoint, call, self._given(endpoint)).sold for call, endpoint in asked)
        ]

    def route(self, call: Call) -> Endpoint:
        """Return the endpoint that serves a call that `split` sold. Raises `UnsupportedCall`."""
        return self.connector.route(call, self.skip(call))

    def request(self, call: Call) -> Request:
        """Build the request of a call that `split` sold. Raises `UnsupportedCall`."""
        return self.connector.request(call, self.skip(call), self.options)

    def named(self, symbols: Iterable[str]) -> list[str]:
        """Those of the symbols that a refusal names, by themselves or by their exchange."""
        scopes = [known.covers for kept in self.refusals.values() for known in kept]
        refused = {symbol for scope in scopes for symbol in scope.symbols}
        ends = tuple(f".{scope.exchange}" for scope in scopes if scope.exchange)
        return [symbol for symbol in symbols if symbol in refused or symbol.endswith(ends)] if scopes else []

    def why(self, call: Call) -> Refused | None:
        """The refusal to report where no endpoint is sold any part of `call`; None where one may be asked."""
        serving = [self._parts(endpoint, call) for endpoint in self.connector.endpoints if endpoint.serves(call)]
        if not serving or any(parts.sold for parts in serving):
            return None
        return serving[0].refused[0][1]

    def _by_kind(self, call: Call) -> Parts | None:
        """Cut a call for every kind of its dataset where some kinds are refused, and not all of them."""
        kinds = KINDS.get(call.dataset, ()) if call.kind is None else ()
        each = [of for kind in kinds if self.connector.sells(of := call.model_copy(update={"kind": kind}))]
        refused = tuple((of, known) for of in each if (known := self.why(of)))
        if not 0 < len(refused) < len(each):
            return None
        found = [self.split(of) for of in each if self.why(of) is None]
        return Parts(
            tuple(piece for parts in found for piece in parts.sold),
            (*refused, *(pair for parts in found for pair in parts.refused)),
        )

    def _parts(self, endpoint: Endpoint, call: Call) -> Parts:
        """What the keys may be asked of a call: of several, the key of which the least is refused."""
        given = self._given(endpoint)
        choices = (self._parts_of_key(label, endpoint, call, given) for label in self.refusals)
        return min(choices, key=lambda parts: (not parts.sold, len(parts.refused)), default=Parts((call,)))

    def _given(self, endpoint: Endpoint) -> Given:
        """Parameters and path fields of the requests of an endpoint."""

        def given(call: Call) -> Mapping[str, str]:
            try:
                return self.connector.fields(self.connector.request_of(endpoint, call, self.options))
            except UnsupportedCall:
                return NOTHING  # it cannot be asked, which asking for it tells

        return given

    def _parts_of_key(self, label: str, endpoint: Endpoint, call: Call, given: Given) -> Parts:
        sold: tuple[Call, ...] = (call,)
        refused: list[tuple[Call, Refused]] = []
        cut_by: Refused | None = None
        for known in current(of_key(self.refusals, label), self.now):
            scope, rest = known.covers, []
            for piece in sold:
                if not scope.concerns(endpoint.name, piece, given(piece) if scope.parameter else NOTHING):
                    rest.append(piece)
                    continue
                without, within = scope.split(piece, self.now)
                rest += within
                refused += [(without, known)] if without is not None else []
            if tuple(rest) != sold:
                sold, cut_by = tuple(rest), cut_by or known
        return Parts(sold, tuple(refused), cut_by)
