"""The next step of a request that a provider does not serve. Pure; times in ms UTC.

A routing slip is asked from its front. A provider that does not serve leaves a hop: its reason and, where it only had
no room, the moment from which it may be asked again. The request goes on to the next provider of the slip. Behind the
last one it goes back to the provider that has room first. A provider is asked again in no other case, so a request
whose providers all refuse ends after each was asked once.

A person does not wait for tomorrow's quota. A request of bulk waits as long as its deadline allows.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors import Call
from streams.messaging.endings import End, Wait
from streams.messaging.messages import Hop, PollRequest
from streams.messaging.outcomes import PollOutcome

PATIENCE_MS = 60_000
"""The longest wait for a quota that a person is left with: the length of the longest rolling window. Whatever lasts
longer waits for the end of a day or month."""


def decide(request: PollRequest, hop: Hop, now: int) -> End | Wait:
    """Decide about a request that the provider at the front of its slip does not serve, as `hop` says.

    Only a request of bulk waits where it is: a person's is ended and asked anew, so that its report shows the wait.
    """
    first = None if len(request.slip) > 1 else _with_room_first(after(request, hop))
    if first is None or first.provider != request.provider or request.urgent or _too_late(request, first, now):
        return refused(request, hop, now)
    return Wait(max(now, _free_at(first)))


def refused(request: PollRequest, hop: Hop, now: int) -> End:
    """End a request that its provider does not serve, with the child that goes on in its place, if any."""
    tried = after(request, hop)
    if len(request.slip) > 1:
        child = request.child(0, slip=request.slip[1:], tried=tried, page=None)
        return End(request, hop.outcome, hop.reason, (child,))
    ending = request.model_copy(update={"tried": tried})
    first = _with_room_first(tried)
    if first is None:
        last = _decisive(tried, hop)
        return End(ending, last.outcome, last.reason)
    if _too_late(request, first, now):
        outcome = first.outcome if request.urgent else PollOutcome.EXPIRED
        return End(ending, outcome, f"{first.reason}; nobody has room before {_limit(request, first)}")
    at = _free_at(first)
    child = request.child(
        0,
        slip=(first.provider,),
        tried=tried,
        page=request.page if first.provider == request.provider else None,
        not_before=at if at > now else None,
    )
    return End(request, hop.outcome, hop.reason, (child,))


def part(request: PollRequest, hop: Hop, call: Call, slip: tuple[str, ...], number: int) -> tuple[PollRequest, ...]:
    """Ask the providers of `slip` for the part of a served request that its answer lacks; nobody if it is empty."""
    if not slip:
        return ()
    return (request.child(number, call=call, slip=slip, tried=after(request, hop), page=None),)


def after(request: PollRequest, hop: Hop) -> tuple[Hop, ...]:
    """Every provider that was asked, and the last that each of them said; `hop` is the latest."""
    found: dict[str, Hop] = {}
    for known in (*request.tried, hop):
        found.pop(known.provider, None)
        found[known.provider] = known
    return tuple(found.values())


def _decisive(tried: Sequence[Hop], last: Hop) -> Hop:
    """The hop that says why a request stays unserved: the last of a provider that has a key and could be asked it."""
    able = (hop for hop in reversed(tried) if hop.outcome not in {PollOutcome.UNSUPPORTED, PollOutcome.NO_KEY})
    return next(able, last)


def _with_room_first(tried: Sequence[Hop]) -> Hop | None:
    return min((hop for hop in tried if hop.free_at is not None), key=_free_at, default=None)


def _too_late(request: PollRequest, hop: Hop, now: int) -> bool:
    """Return whether the provider has room only when nobody waits any more."""
    at = _free_at(hop)
    if request.urgent and at - now > PATIENCE_MS:
        return True
    return request.deadline is not None and at >= request.deadline


def _limit(request: PollRequest, hop: Hop) -> str:
    ends = request.deadline is not None and _free_at(hop) >= request.deadline
    return "the deadline" if ends else "that"


def _free_at(hop: Hop) -> int:
    assert hop.free_at is not None
    return hop.free_at
