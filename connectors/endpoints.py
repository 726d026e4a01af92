"""An endpoint of a provider's API, and the one builder that declares it. Pure: facts and functions, no I/O.

A provider declares a table of endpoints. What several of them have in common is said once, as `Facts`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from typing import Any, Literal, TypedDict, Unpack

from connectors import errors
from connectors.calls import DAY_MS, Call
from connectors.fields import FIRST_MS, midnight
from connectors.items import Item
from connectors.reading import Reading
from connectors.records import INTERVAL_MS, Adjustment, AssetClass, Period

MINUTE_MS = 60_000
SPARE_PAGES = 10
"""Pages beyond those that the rows of an answer fill: the last one, and short or empty ones before it."""
Parse = Callable[[Reading], Iterator[Item]]
"""Reads an answer: yields what it holds."""
Build = Callable[[Call, tuple[str, ...]], Mapping[str, str]]
"""Asks a call with its symbols as the provider spells them: path fields and query parameters, by name."""
Body = Callable[[Call, tuple[str, ...]], Mapping[str, Any] | list[Any]]
"""Asks alike, by the JSON that is posted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One path of the provider's API: what it serves, how it is asked, how its answer is read."""

    name: str
    """Unique within its provider, and stored with every call: never renamed."""
    dataset: str
    """Name of the dataset that it serves."""
    path: str
    """Template below the base URL; its fields in braces come from `build`."""
    build: Build
    """Makes path fields and query parameters of a call."""
    parse: Parse
    """Reads its answer."""
    docs: str
    """Address of its documentation."""
    asset_classes: tuple[AssetClass, ...] = ("equity", "etf")
    """The asset classes that it serves."""
    intervals: Mapping[str, str] = field(default_factory=dict)
    """The provider's code by canonical interval."""
    adjustments: tuple[Adjustment, ...] = ()
    """Those on sale; the first is the default."""
    kinds: tuple[str, ...] = ()
    """Those on sale; empty where a call's kind does not matter."""
    periods: tuple[Period, ...] = ("annual", "quarterly")
    """Those on sale, of a dataset that has fiscal periods; a call that names none asks those who sell years."""
    match: Mapping[str, str] = field(default_factory=dict)
    """Query parameters that tell endpoints of one path apart: always sent, and looked for in a URL."""
    batch: int = 1
    """Most symbols of one call; 0: it takes no symbols and lists a whole market."""
    span_ms: Mapping[str, int] = field(default_factory=dict)
    """Longest range of one call, ms, by interval ("" without one)."""
    history: str = ""
    """How far back it reaches, for people."""
    begins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Interval ("" for all) -> where its bars begin, by plan: a date, or an age (`730d`); not declared: at the listing.

    An empty text is a plan that sells everything since the listing.
    """
    rows: int | None = None
    """Most rows of one answer; None: not known."""
    pages: int = 1_000
    """Most pages of one answer, whatever was asked: more are a loop."""
    cost: float = 1
    """Calls (or credits) that one request takes of the key's limits."""
    cost_per_symbol: float = 0
    """Calls (or credits) that are added for each symbol."""
    usd: float = 0
    """Most that one request costs, US dollars."""
    results: int = 1
    """Results of which that is the price, where each is paid."""
    plan: str = "free"
    """The cheapest plan that sells it."""
    method: Literal["GET", "POST"] = "GET"
    """The HTTP method."""
    body: Body | None = None
    """Makes the JSON that is posted; None: nothing is posted."""
    latest: bool = False
    """A latest-value query: a symbol without a value is `UnknownSymbol`."""
    routed: bool = True
    """False: read but never asked (a retired shape, or one that another endpoint makes needless)."""

    def serves(self, call: Call) -> bool:
        """Return whether this endpoint can be asked `call`."""
        return (
            self.routed
            and self.dataset == call.dataset
            and call.asset_class in self.asset_classes
            and (call.interval is None or call.interval in self.intervals)
            and (call.adjustment is None or not self.adjustments or call.adjustment in self.adjustments)
            and (call.kind is None or not self.kinds or call.kind in self.kinds)
            and (call.period or "annual") in self.periods
            and bool(call.symbols) == (self.batch > 0)
        )

    @property
    def pattern(self) -> re.Pattern[str]:
        """The template as a pattern for the end of a URL's path."""
        return _pattern(self.path)

    def beginnings(self, interval: str | None, now: int) -> tuple[int, ...]:
        """Where the bars of an interval begin, ms UTC, one moment for each declared plan; `now` as well."""
        declared = self.begins.get(interval or "", self.begins.get("", ()))
        return tuple(_moment(text, now) for text in declared)

    def price(self, per_result: float | None = None) -> float:
        """Most that one request costs, US dollars; `per_result` replaces the declared price of a result.

        An endpoint that is not routed is asked as the poll of a job, which costs nothing beside the job.
        """
        if per_result is None or not self.routed:
            return self.usd
        return per_result * self.results

    def weight(self, symbols: int) -> float:
        """Calls (or credits) that one request for `symbols` symbols costs."""
        return self.cost + self.cost_per_symbol * symbols

    def most_pages(self, call: Call, now: int) -> int:
        """Pages that an answer to `call` has at most; `now` (ms UTC) ends a range without an end.

        Bars are counted: at most one a minute or a day for each symbol. An answer may have twice the pages that they
        fill, and a few more, since a page need not be full.
        """
        if call.interval is None or call.start is None or not call.symbols or not self.rows:
            return self.pages
        every_ms = DAY_MS if INTERVAL_MS[call.interval] >= DAY_MS else MINUTE_MS
        bars = len(call.symbols) * ((now if call.end is None else call.end) - call.start) // every_ms
        return min(self.pages, SPARE_PAGES + 2 * (bars // self.rows))


class Facts(TypedDict, total=False):
    """What can be said of an endpoint, under the names and types of the fields of `Endpoint`."""

    dataset: str
    path: str
    build: Build
    parse: Parse
    docs: str
    asset_classes: tuple[AssetClass, ...]
    intervals: Mapping[str, str]
    adjustments: tuple[Adjustment, ...]
    kinds: tuple[str, ...]
    periods: tuple[Period, ...]
    match: Mapping[str, str]
    batch: int
    span_ms: Mapping[str, int]
    history: str
    begins: Mapping[str, tuple[str, ...]]
    rows: int | None
    pages: int
    cost: float
    cost_per_symbol: float
    usd: float
    results: int
    plan: str
    method: Literal["GET", "POST"]
    body: Body | None
    latest: bool
    routed: bool


REQUIRED = frozenset(f.name for f in fields(Endpoint) if f.default is MISSING and f.default_factory is MISSING)


def endpoint(name: str, *shared: Facts, **own: Unpack[Facts]) -> Endpoint:
    """Declare an endpoint: the facts it shares with others, then its own; a later one replaces an earlier one.

    Raises `DeclarationError` that names what is lacking.
    """
    facts = Facts()
    for some in (*shared, own):
        facts |= some
    if lacking := REQUIRED - {"name", *facts}:
        raise errors.DeclarationError(f"endpoint {name!r} declares no {' and no '.join(sorted(lacking))}")
    return Endpoint(name=name, **facts)


def with_market(one: Endpoint, name: str) -> tuple[Endpoint, Endpoint]:
    """Return an endpoint of given symbols, and `name`: the same path asked without any, for a whole market."""
    return one, replace(one, name=name, batch=0, latest=False)


def _moment(text: str, now: int) -> int:
    """A date, or an age in days, as ms UTC; nothing is as early as can be."""
    if text.endswith("d"):
        return now - int(text[:-1]) * DAY_MS
    return FIRST_MS if not text else midnight(text) or 0


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)) + "/?$")
