"""The vocabulary in which a provider is declared. Pure: text in, records out; time comes as an argument.

Reading order: `Call` (what is asked, canonical) -> `Connector.split` -> `Connector.request` (what is sent)
-> `Answer` (what came back) -> `Connector.read` -> `Outcome` (records, rejects, or one refusal).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import chain
from types import MappingProxyType
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from pydantic import ValidationError

from connectors import errors
from connectors.calls import LONGEST_REQUEST, Answer, Auth, Call, Limit, Request, is_path
from connectors.endpoints import Endpoint
from connectors.gateways import gateway_answer
from connectors.headers import retry_after
from connectors.items import BarColumns, Outcome
from connectors.reading import UNREADABLE, Reading, broken_rule
from connectors.records import DATASETS
from connectors.refusals import scoped
from connectors.symbols import Symbols

NOTHING: Mapping[str, str] = MappingProxyType({})


MAILBOXES = 32
"""Partitions of poll.requests: how many providers there can be."""
KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"actions": ("split", "dividend"), "statements": ("income", "balance", "cash_flow")}
)
"""The kinds of which a dataset consists: a call that names none wants them all."""


STATUS: Mapping[int, type[errors.Refusal]] = MappingProxyType(
    {
        400: errors.InvalidRequest,
        401: errors.KeyRejected,
        402: errors.NotEntitled,
        403: errors.NotEntitled,
        404: errors.UnknownSymbol,
        405: errors.InvalidRequest,
        408: errors.ProviderUnavailable,
        410: errors.InvalidRequest,
        413: errors.InvalidRequest,
        414: errors.InvalidRequest,
        **dict.fromkeys((301, 302, 303, 307, 308), errors.Redirected),
        422: errors.InvalidRequest,
        429: errors.RateLimited,
    }
)


class NoRecords(Enum):
    """What a refusal hook answers when the provider's "error" only says that there is nothing in the range."""

    NO_RECORDS = "no records"


NO_RECORDS = NoRecords.NO_RECORDS
Hook = Callable[[Reading], errors.Refusal | NoRecords | None]


def nothing_hidden(_: Reading) -> errors.Refusal | None:
    """Refusal hook of a provider whose status is always right."""
    return None


def never_signed(_: Reading) -> bool:
    """Signature of a provider that has none: its answers are known by what they say."""
    return False


def always_charged(_: Reading) -> float:
    """Billing of a provider that is paid for calls, whatever they bring."""
    return 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """A provider, declared: where it is, how it is asked, what it sells, how it refuses."""

    name: str
    """What it is called in settings, topics and tables."""
    title: str
    """Its own name, for people."""
    base_url: str
    """Address that the paths of its endpoints are below."""
    docs: str
    """Address of its documentation."""
    auth: Auth
    """Where a key goes."""
    symbols: Symbols
    """How it spells symbols."""
    endpoints: tuple[Endpoint, ...]
    """What it sells; of several that serve a call the first is asked."""
    mailbox: int
    """Number of the poll.requests partition that is this provider's alone: unique, never reused.

    Far from those of others, since Kafka's assignors give neighbours to the same worker.
    """
    limits: tuple[Limit, ...] = ()
    """Limits of one key on the free plan, in calls."""
    zone: str = "UTC"
    """The zone whose midnight ends its days."""
    statuses: Mapping[int, type[errors.Refusal]] = field(default_factory=dict)
    """Refusals by HTTP status, where they differ from `STATUS`."""
    refusal: Hook = nothing_hidden
    """Asked first about every answer, for what hides in a 200 or needs the body to be distinguished."""
    signed: Callable[[Reading], bool] = never_signed
    """Tells the provider's own answer by its headers, or by a page that it was asked to fetch, whatever its body."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Header values by name that every request carries."""
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Endpoints (by name) that live on another base URL."""
    withholding: bytes = b""
    """Bytes of an answer from which the plan withholds a part: such an answer is read whole for its verdict."""
    charged: Callable[[Reading], float] = always_charged
    """Tells which share of the price an answer is billed, 0 to 1: some providers bill results only."""
    options: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Query parameters that a setting may add, and the endpoints (by name) that take them."""
    failure_threshold: int = 5
    """Failures in a row after which it is left alone for `recovery_s` seconds; settings may say otherwise."""
    recovery_s: float = 60
    """Seconds that it is left alone."""
    success_threshold: int = 1
    """Successes in a row after which it counts as healthy again."""
    budget_usd: float | None = None
    """US dollars that its calls may cost a day where settings do not say otherwise; None: as much as they cost."""

    def __post_init__(self) -> None:
        names = [endpoint.name for endpoint in self.endpoints]
        if twice := {name for name in names if names.count(name) > 1}:
            raise errors.DeclarationError(f"{self.name}: endpoint {sorted(twice)[0]!r} is declared twice")
        for endpoint in self.endpoints:
            if endpoint.dataset not in DATASETS:
                raise errors.DeclarationError(f"{self.name}.{endpoint.name}: unknown dataset {endpoint.dataset!r}")
            if endpoint.dataset == "bars" and not (endpoint.intervals and endpoint.adjustments):
                raise errors.DeclarationError(f"{self.name}.{endpoint.name}: bars need intervals and adjustments")
        if not 0 <= self.mailbox < MAILBOXES:
            raise errors.DeclarationError(f"{self.name}: mailbox {self.mailbox} is not within 0..{MAILBOXES - 1}")
        if unknown := {*self.hosts, *chain.from_iterable(self.options.values())} - set(names):
            raise errors.DeclarationError(f"{self.name}: host or option of unknown endpoint {sorted(unknown)[0]!r}")

    def endpoint(self, name: str) -> Endpoint:
        """Return the endpoint of that name. Raises `UnsupportedCall`."""
        for endpoint in self.endpoints:
            if endpoint.name == name:
                return endpoint
        raise errors.UnsupportedCall(f"{self.name} has no endpoint {name!r}")

    def route(self, call: Call, skip: frozenset[str] = frozenset()) -> Endpoint:
        """Return the endpoint that serves `call`: the first declared, but for those named in `skip`.

        Raises `UnsupportedCall`, saying what is sold.
        """
        for endpoint in self.endpoints:
            if endpoint.name not in skip and endpoint.serves(call):
                return endpoint
        named = (call.asset_class, call.dataset, call.kind, call.period, call.interval, call.adjustment)
        asked = " ".join(filter(None, named))
        scope = "" if call.symbols else " of a whole market"
        sold = sorted(f"{e.dataset}({' '.join((*e.asset_classes, *e.intervals))})" for e in self.endpoints if e.routed)
        raise errors.UnsupportedCall(f"{self.name} does not serve {asked}{scope}", f"it serves {', '.join(sold)}")

    def sells(self, call: Call, skip: frozenset[str] = frozenset()) -> bool:
        """Return whether an endpoint other than those named in `skip` serves `call`."""
        return any(endpoint.name not in skip and endpoint.serves(call) for endpoint in self.endpoints)

    def split(self, call: Call, skip: frozenset[str] = frozenset()) -> list[Call]:
        """Cut `call` into the fewest calls that each fit one request: by batch size and by range.

        Raises `UnsupportedCall`.
        """
        endpoint = self.route(call, skip)
        if call.kind is None and (kinds := self._kinds_apart(endpoint, call)):
            return [part for kind in kinds for part in self.split(call.model_copy(update={"kind": kind}), skip)]
        for symbol in call.symbols:
            self.symbols.spell(symbol, call.asset_class)
        size = endpoint.batch or 1
        groups = [call.symbols[i : i + size] for i in range(0, len(call.symbols), size)] or [()]
        ranges = _ranges(call, endpoint.span_ms.get(call.interval or ""))
        return [
            call.model_copy(update={"symbols": symbols, "start": start, "end": end})
            for symbols in groups
            for start, end in ranges
        ]

    def _kinds_apart(self, endpoint: Endpoint, call: Call) -> list[str]:
        """The kinds of a dataset that a call without one means, when each has an endpoint of its own."""
        whole = KINDS.get(call.dataset, ())
        if not endpoint.kinds or set(whole) <= set(endpoint.kinds):
            return []
        kinds = [call.model_copy(update={"kind": kind}) for kind in whole]
        return [k.kind for k in kinds if k.kind and any(e.kinds and e.serves(k) for e in self.endpoints)]

    def request(self, call: Call, skip: frozenset[str] = frozenset(), options: Mapping[str, str] = NOTHING) -> Request:
        """Build the request for a call that `split` gave, with the `options` that its endpoint takes.

        Raises `UnsupportedCall`.
        """
        return self.request_of(self.route(call, skip), call, options)

    def request_of(self, endpoint: Endpoint, call: Call, options: Mapping[str, str] = NOTHING) -> Request:
        """Build the request of one endpoint. Raises `UnsupportedCall`."""
        spelled = tuple(self.symbols.spell(symbol, call.asset_class) for symbol in call.symbols)
        taken = {name: value for name, value in options.items() if endpoint.name in self.options.get(name, ())}
        given = {**endpoint.match, **endpoint.build(call, spelled), **taken}
        fields = set(re.findall(r"\{(\w+)\}", endpoint.path))
        path = endpoint.path.format(**{name: quote(given[name], safe=":,=^.-") for name in fields})
        asked = Request(
            endpoint=endpoint.name,
            path=path,
            params={name: value for name, value in given.items() if name not in fields},
            method=endpoint.method,
            body=endpoint.body(call, spelled) if endpoint.body else None,
        )
        return self.admit(asked)

    def admit(self, request: Request, known: str = "") -> Request:
        """Return back a request that asks an endpoint at its own path, or at the `known` path of the request before.

        Raises `UnsupportedCall` for any other: what a provider names as the next page travels with a key.
        """
        endpoint = self.endpoint(request.endpoint)
        own = request.path == known or (is_path(request.path) and endpoint.pattern.fullmatch(request.path))
        if not own or request.method != endpoint.method:
            asked = f"{request.method} {request.path!r:.80}"
            raise errors.UnsupportedCall(
                f"{self.name}.{endpoint.name} is {endpoint.method} {endpoint.path}, not {asked}"
            )
        if request.size > LONGEST_REQUEST:
            raise errors.UnsupportedCall(f"{self.name}.{endpoint.name}: a request of {request.size} characters")
        return request

    def find(self, method: str, url: str, params: Mapping[str, str] = NOTHING) -> Request | None:
        """Recognise one of our endpoints in a URL, whatever its host; None when it is none of ours."""
        parts = urlsplit(url)
        given = {**dict(parse_qsl(parts.query)), **params}
        given.pop(self.auth.query or "", None)
        for endpoint in self.endpoints:
            if endpoint.method != method.upper() or any(given.get(k) != v for k, v in endpoint.match.items()):
                continue
            if endpoint.pattern.search(parts.path):
                return Request(endpoint=endpoint.name, path=parts.path, params=given, method=endpoint.method)
        return None

    def read(self, call: Call, request: Request, answer: Answer, request_id: str = "") -> Outcome:
        """Turn an answer into its outcome. Never raises for what a provider sent, however broken."""
        return self._guarded(call, request, answer, request_id, self._outcome)

    def verdict(self, call: Call, request: Request, answer: Answer) -> Outcome:
        """Find the refusal in an answer, and what it is charged, without making records; `read` finds more.

        That costs a fraction of reading it. The latest value of one symbol is read: its absence is the refusal. Never
        raises for what a provider sent, however broken.
        """
        whole = bool(self.withholding) and self.withholding in answer.body
        if whole or (len(call.symbols) == 1 and request.endpoint and self.endpoint(request.endpoint).latest):
            return self.read(call, request, answer)
        return self._guarded(call, request, answer, "", self._refused)

    def fields(self, request: Request) -> Mapping[str, str]:
        """Query parameters and path fields of a request, by name."""
        found = self.endpoint(request.endpoint).pattern.search(request.path) if request.endpoint else None
        path_fields = found.groupdict() if found else {}
        return {**{name: unquote(text) for name, text in path_fields.items()}, **request.params}

    def _guarded(
        self, call: Call, request: Request, answer: Answer, request_id: str, look: Callable[[Reading], Outcome]
    ) -> Outcome:
        """What `look` finds in an answer; whatever reading it raises is a refusal, too."""
        try:
            reading = Reading(
                source=self.name,
                symbols=self.symbols,
                params=self.fields(request),
                call=call,
                request=request,
                answer=answer,
                request_id=request_id,
                pattern=self.endpoint(request.endpoint).pattern if request.endpoint else None,
            )
        except errors.UnsupportedCall as error:  # an endpoint that another version had
            return Outcome(refusal=errors.MalformedPayload(str(error)))
        return replace(self._looked_at(reading, look), charged=self.charged(reading))

    def _looked_at(self, reading: Reading, look: Callable[[Reading], Outcome]) -> Outcome:
        try:
            return self._admitted(reading.request, look(reading))
        except errors.Refusal as refusal:
            return Outcome(refusal=scoped(refusal, reading))
        except errors.OutOfScope:
            return Outcome(left_out=1)
        except (errors.ConnectorError, ValidationError, *UNREADABLE) as error:
            reason = str(error) if isinstance(error, errors.ConnectorError) else broken_rule(error)[1]
            return Outcome(refusal=errors.MalformedPayload(f"{reading.request.endpoint or 'answer'}: {reason}"))

    def _admitted(self, request: Request, found: Outcome) -> Outcome:
        """Judge where the answer sends us on: rows stay without their next page, a job without its poll is broken."""
        if isinstance(found.refusal, errors.Pending) and found.refusal.poll:
            self.admit(found.refusal.poll)
        if found.next is None:
            return found
        try:
            self.admit(found.next, known=request.path)
        except errors.UnsupportedCall as error:
            return replace(found, next=None, cut_off=f"next page: {error}")
        return found

    def _refused(self, reading: Reading) -> Outcome:
        refusal = self._said(reading)
        if isinstance(refusal, errors.Refusal):
            raise refusal
        return Outcome()

    def _said(self, reading: Reading) -> errors.Refusal | NoRecords | None:
        limited = self._by_code(reading.answer.status) is errors.RateLimited  # by the provider or a gateway
        if not limited and not self.signed(reading) and (other := gateway_answer(reading.answer)):
            raise errors.ProviderUnavailable(other)
        return self.refusal(reading) or self._by_status(reading.answer)

    def _outcome(self, reading: Reading) -> Outcome:
        refusal = self._said(reading)
        if isinstance(refusal, errors.Refusal):
            raise refusal
        if refusal is NO_RECORDS or not reading.request.endpoint:
            return Outcome()
        endpoint = self.endpoint(reading.request.endpoint)
        found = Outcome.of(endpoint.parse(reading))
        if found.withheld is not None:
            found = replace(found, withheld=_partly(scoped(found.withheld, reading), reading))
        found = self._unknown(reading.call, found) if endpoint.latest else found
        return replace(found, rejects=(*found.rejects, *reading.doubts.values())) if reading.doubts else found

    def _unknown(self, call: Call, found: Outcome) -> Outcome:
        """A latest-value query: a symbol without a value is unknown; a single one makes that the whole outcome."""
        if not call.symbols or found.rejects:
            return found
        got = {
            item.envelope["symbol"] if isinstance(item, BarColumns) else getattr(item, "symbol", "")
            for item in found.items
        }
        lacking = [symbol for symbol in call.symbols if symbol not in got]
        refusals = {symbol: errors.UnknownSymbol(f"{self.name} gave no value for {symbol}") for symbol in lacking}
        missing = {**refusals, **found.missing}
        if len(call.symbols) == 1 and missing and not found.items:
            raise missing[call.symbols[0]]
        return replace(found, missing=missing)

    def _by_code(self, status: int) -> type[errors.Refusal] | None:
        """The refusal that a status is by itself; None for success."""
        if 200 <= status < 300:
            return None
        other = errors.ProviderUnavailable if status >= 500 else errors.MalformedPayload
        return self.statuses.get(status) or STATUS.get(status, other)

    def _by_status(self, answer: Answer) -> errors.Refusal | None:
        cls = self._by_code(answer.status)
        if cls is None:
            return None
        said = f"HTTP {answer.status}: {answer.body[:300].decode('utf-8', 'replace')}"
        if cls is errors.RateLimited:
            return errors.RateLimited(said, retry_after=retry_after(answer))
        return cls(said)


def _partly(refusal: errors.NotEntitled, reading: Reading) -> errors.NotEntitled | None:
    """The refusal of a part of the range; None where it would cover all of it, which the records beside it disprove.

    A provider may warn of its limit beside an answer that lies within the limit, which is no news.
    """
    within = refusal.scope and refusal.scope.split(reading.call, reading.answer.observed_at)[1]
    return refusal if within else None


def _ranges(call: Call, span: int | None) -> list[tuple[int | None, int | None]]:
    if span is None or call.start is None or call.end is None:
        return [(call.start, call.end)]
    return [(at, min(at + span, call.end)) for at in range(call.start, call.end, span)]
