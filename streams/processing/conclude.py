"""What a request comes to once its answer has been read: its end, its next page, and what is asked elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from connectors import AnyRecord, BarColumns, Call, Outcome, Refusal, Request, connector
from connectors.fields import utc_date
from connectors.records import Bars
from connectors.scope import asks_latest_page
from streams.messaging import routing_slip
from streams.messaging.endings import End
from streams.messaging.messages import MOST_REASON, DeadLetter, Hop, Page, PollRequest
from streams.messaging.outcomes import PollOutcome
from streams.messaging.paging import LastPage, next_page
from streams.planning import history

PAGE, LACKING, WITHHELD, EARLIER = 0, 1, 2, 3
"""Numbers of the children of a served request: its next page, the symbols it lacks, the range that is withheld. From
the last number on: the beginnings of its range that it lacks."""


def rows_of(record: AnyRecord) -> int:
    """Rows that a record brings to its table."""
    return len(record.ts) if isinstance(record, Bars) else 1


@dataclass(frozen=True, slots=True)
class Understood:
    """One raw answer as it was read: its records, its dead letters, and what else it says of the request."""

    records: Sequence[AnyRecord] = ()
    letters: Sequence[DeadLetter] = ()
    refusal: Refusal | None = None
    missing: Mapping[str, Refusal] = field(default_factory=dict)
    """Refusals of single symbols."""
    next: Request | None = None
    """The request for the following page."""
    cut_off: str = ""
    """Why a following page that the answer names is not asked; empty otherwise."""
    rest: Call | None = None
    """The part of the range that the plan withholds, to be asked as a request of its own."""

    @property
    def rows(self) -> int:
        """Rows of all records."""
        return sum(map(rows_of, self.records))

    @property
    def first_bars(self) -> dict[str, int]:
        """The time of the first bar of each symbol, ms UTC."""
        found: dict[str, int] = {}
        for record in self.records:
            if isinstance(record, Bars):
                found[record.symbol] = min(record.ts[0], found.get(record.symbol, record.ts[0]))
        return found


def withheld(call: Call, outcome: Outcome, now: int) -> Call | None:
    """The part of the range that an answer says it withholds, to be asked of others in the same adjustment."""
    if outcome.withheld is None or outcome.withheld.scope is None:
        return None
    refused, _ = outcome.withheld.scope.split(call, now)
    frames = [item for item in outcome.items if isinstance(item, BarColumns)]
    if refused is None or not frames:
        return refused
    return refused.model_copy(update={"adjustment": frames[0].adjustment})


def end_of(request: PollRequest, asked: Page, found: Understood, now: int) -> End:
    """The end of a request whose answer was read: its next page is asked, and what it lacks goes on along the slip.

    `asked` is what the answer answers.
    """
    if found.refusal is not None:
        return routing_slip.refused(request, _hop(request, found.refusal), now)
    children, cut_off = [], found.cut_off
    if found.next and not asks_latest_page(request.call):
        most = connector(request.provider).endpoint(found.next.endpoint).most_pages(request.call, now)
        try:
            children = [request.child(PAGE, page=next_page(request.page or asked, found.next, most))]
        except LastPage as reason:
            cut_off = str(reason)
    lacking = tuple(symbol for symbol in request.call.symbols if symbol in found.missing)
    if lacking:
        call = request.call.model_copy(update={"symbols": lacking})
        children += routing_slip.part(
            request, _hop(request, found.missing[lacking[0]]), call, request.slip[1:], LACKING
        )
    if found.rest and not found.next:
        # asked of the same provider, whose account knows the refusal: so the part goes on, or ends, with its reason
        children.append(request.child(WITHHELD, call=found.rest, page=None))
    if not found.rest:
        children += _earlier(request, asked, found, now)
    if lacking == request.call.symbols != () and not (children or found.records):
        return routing_slip.refused(request, _hop(request, found.missing[lacking[0]]), now)
    return End(
        request,
        PollOutcome.TRUNCATED if cut_off else PollOutcome.RECORDS,
        cut_off,
        tuple(children),
        records=found.rows,
        rejects=len(found.letters),
        first_bars={symbol: first for symbol, first in found.first_bars.items() if symbol in request.call.symbols},
    )


def _earlier(request: PollRequest, asked: Page, found: Understood, now: int) -> Iterator[PollRequest]:
    """Ask the providers whose history reaches further back for the bars that lie before this one's.

    They are asked in the adjustment that came, since two adjustments make no series. Of an answer of several pages the
    first and the last are looked at: one of them has the beginning. A page without bars of a symbol says nothing of it.
    """
    inner = request.page is not None and found.next is not None
    if request.call.dataset != "bars" or len(request.slip) == 1 or inner:
        return
    endpoint, first = connector(request.provider).endpoint(asked.endpoint), found.first_bars
    call = request.call
    if request.page is not None or found.next is not None:
        call = call.model_copy(update={"symbols": tuple(symbol for symbol in call.symbols if symbol in first)})
    adjustments = {record.symbol: record.adjustment for record in found.records if isinstance(record, Bars)}
    for number, part in enumerate(history.cut_off(endpoint, call, first, now), EARLIER):
        earlier = part.model_copy(update={"adjustment": adjustments.get(part.symbols[0], part.adjustment)})
        assert earlier.end is not None
        reason = f"it has no {earlier.interval} bars before {utc_date(earlier.end)}"
        hop = Hop(provider=request.provider, outcome=PollOutcome.NO_RECORDS, reason=reason)
        slip = history.reaching(request.slip[1:], earlier, now)
        yield from routing_slip.part(request, hop, earlier, slip, number)


def _hop(request: PollRequest, refusal: Refusal) -> Hop:
    return Hop(provider=request.provider, outcome=refusal.name, reason=refusal.reason[:MOST_REASON])
