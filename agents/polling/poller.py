"""Serves the providers' mailboxes: cuts requests into calls, waits for a key, hands on what another provider may serve.

Handling a request gives a step, and one place carries it out. `End` is reported here. `Received` is reported by the
normalizer, behind the records of the answer. `Wait` keeps the request in its mailbox. So every request ends in exactly
one `poll.done`. `agents.polling.caller` makes the calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from agents.log_events import AgentEvent
from agents.polling.caller import SLOW_S, Caller, CallResult
from agents.polling.key_pool import KeyPool, NoKey, Permit
from agents.polling.quote_cache import Quotes
from connectors import Call, Refusal, Request, UnsupportedCall, errors
from infra import telemetry
from infra.clock import SYSTEM
from streams.messaging import endings, market, routing_slip, topics
from streams.messaging.cancellations import Cancellations, is_cancellation
from streams.messaging.dead_letters import letter, unreadable
from streams.messaging.endings import End, Wait
from streams.messaging.events import Event
from streams.messaging.mailbox import Parked
from streams.messaging.messages import MOST_REASON, Cancellation, Hop, Page, PollRequest
from streams.messaging.outcomes import PollOutcome
from streams.messaging.paging import LastPage, next_look
from streams.messaging.producer import Outbox
from streams.planning import history
from streams.planning.entitlements import Parts

log = telemetry.get(__name__)

URGENT_PATIENCE_MS = 2_000  # the longest wait for a key that a waiting person does not hear of
STAND_BACK_S = 0.05  # how long bulk leaves the next free call to a request that somebody waits for
PENDING_MS = 10_000  # how long to leave a provider in peace that is still working
RETRY_BASE_MS = 500  # a dropped connection is often of the moment; the pause doubles from here
RETRY_CAP_MS = 30_000  # a provider that is back is asked again within half a minute
REDIRECTS = 3  # followed also without retries: a signed file is one move away
Sleep = Callable[[float], Any]
Ready = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Received:
    """The provider answered: the end is reported with the records of the answer."""

    request: PollRequest
    """The request as it was called."""
    result: CallResult
    """The answer, which travels to the normalizer."""


Step = End | Received | Wait


class Poller:
    """Serves poll requests of the providers whose mailboxes this worker owns.

    `ready(provider)` returns once this worker may call the provider and knows its whole account.
    """

    def __init__(
        self,
        pools: Mapping[str, KeyPool],
        caller: Caller,
        outbox: Outbox,
        *,
        retries: int,
        ready: Ready,
        quotes: Quotes | None = None,
        sleep: Sleep = SYSTEM.sleep,
        now: Callable[[], int] = SYSTEM.now_ms,
        real_s: Callable[[int], float] = SYSTEM.real_s,
    ) -> None:
        self.pools = pools
        self._caller = caller
        self._outbox = outbox
        self._retries = retries
        self._ready = ready
        self._quotes = quotes
        self._sleep = sleep
        self._now = now
        self._real_s = real_s
        self._cancellations = Cancellations()
        self._calls: dict[str, int] = {}
        """Calls in vain of each request that waits for its next one, by request id."""

    def arrived(self, event: Event) -> None:
        """Look at an event of a mailbox as it comes, ahead of its turn: a cancellation takes effect at once."""
        if is_cancellation(event):
            with suppress(ValidationError):
                self._cancellations.take(Cancellation.decode(event.value))

    async def handle(self, event: Event) -> Parked | None:
        """Handle one event of a mailbox: everything it causes is acknowledged by the broker on return.

        Returns what to wait for instead, when the request stays in its mailbox.
        """
        try:
            if is_cancellation(event):
                Cancellation.decode(event.value)
                return None
            request = PollRequest.decode(event.value)
        except ValidationError as error:
            await unreadable(self._outbox, event, error, self._now())
            return None
        try:
            return await self._carry_out(request, await self._step(request))
        except Exception as error:
            log.exception(AgentEvent.POLLER_FAULT, request_id=request.request_id, provider=request.provider)
            reason, at = f"{type(error).__name__}: {error}", self._now()
            found = letter(
                stage="poll",
                rule="fault",
                reason=reason,
                at=at,
                provider=request.provider,
                request_id=request.request_id,
            )
            await self._outbox.send(topics.DEAD_LETTERS, found.encode())
            return await self._carry_out(request, End(request, PollOutcome.FAULT, reason))

    async def _carry_out(self, request: PollRequest, step: Step) -> Parked | None:
        """The one place where a request ends, or is left to wait."""
        if isinstance(step, Wait):
            return self._rest(request, step.until - self._now())
        self._calls.pop(request.request_id, None)
        if isinstance(step, Received):
            await self._caller.keep(step.result, due=step.request)
        else:
            await endings.publish(self._outbox, step, self._now())
        return None

    # -- what to do with a request -----------------------------------------------------------------------------------

    async def _step(self, request: PollRequest) -> Step:
        if _ends_before(request, self._now()):
            return End(request, PollOutcome.EXPIRED, "its deadline passed before anybody could serve it")
        if self._cancellations.cover(request.job_id):
            return _cancelled(request)
        if request.not_before is not None and self._now() < request.not_before:
            return Wait(request.not_before)
        pool = self.pools.get(request.provider)
        if pool is None:
            return self._unserved(request, PollOutcome.UNSUPPORTED, f"unknown provider {request.provider!r}")
        if self._quotes and (known := self._quotes.answer(request, self._now())):
            return await self._from_cache(*known)
        await self._ready(request.provider)
        return await self._route(pool, request)

    async def _from_cache(self, quotes: list[dict[str, Any]], end: End) -> End:
        await asyncio.gather(
            *(
                self._outbox.send(
                    topics.MARKET["quote"],
                    orjson.dumps(record),
                    key=record["symbol"],
                    headers=market.headers(record["request_id"]),
                )
                for record in quotes
            )
        )
        return end

    async def _route(self, pool: KeyPool, request: PollRequest) -> Step:
        """Find what to ask the provider, or say why it cannot be asked."""
        entitlements = pool.entitlements(self._now())
        try:
            parts = Parts((request.call,)) if request.page else entitlements.split(request.call)
            if len(parts.sold) != 1 or parts.refused:
                calls = [*parts.sold, *(call for call, _ in parts.refused)]
                children = tuple(request.child(number, call=part) for number, part in enumerate(calls))
                return End(request, PollOutcome.CUT, f"{len(calls)} calls", children)
            (call,) = parts.sold
            page = request.page
            http = pool.connector.admit(page.request()) if page else entitlements.request(call)
            if too_old := history.before(pool.connector.endpoint(http.endpoint), call, self._now()):
                return self._unserved(request, PollOutcome.UNSUPPORTED, f"{request.provider}: {too_old}")
            return await self._ask(pool, request, call, http)
        except UnsupportedCall as error:
            refused = entitlements.why(request.call)
            outcome = PollOutcome.NOT_ENTITLED if refused else PollOutcome.UNSUPPORTED
            return self._unserved(request, outcome, str(refused or error))
        except NoKey as error:
            return self._without_key(pool, request, error)

    async def _ask(self, pool: KeyPool, request: PollRequest, call: Call, http: Request) -> Step:
        """Call until the provider has served or refused for good, or until it has to be waited for."""
        endpoint = pool.connector.endpoint(http.endpoint)
        weight = endpoint.weight(len(call.symbols))
        while True:
            permit = await self._permit(pool, request, call, http, weight)
            if self._cancellations.cover(request.job_id):
                return _cancelled(request)
            if permit.wait_ms:
                return self._unserved(request, permit.why, permit.reason, self._now() + permit.wait_ms)
            within_s = self._share_s(request, paid=pool.usd(endpoint.name) > 0)
            result = await self._caller.call(pool, request, call, http, permit.label, weight, within_s)
            refusal = result.refusal
            if refusal is None:
                return Received(request, result)
            await self._caller.keep(result)
            calls = self._calls.get(request.request_id, 0)
            down = isinstance(refusal, errors.ProviderUnavailable)
            at = self._now() + (min(RETRY_CAP_MS, RETRY_BASE_MS << calls) if down else 0)
            if not self._may_retry(pool, request, refusal, calls) or _ends_before(request, at):
                asked = request.page or Page.of(http)
                return self._refused(request, refusal, asked, endpoint.pages, result.call_id)
            self._calls[request.request_id] = calls + 1
            if down:
                return Wait(at)
            if isinstance(refusal, errors.Redirected) and refusal.target:
                http = refusal.target  # one of the tries: it needs a permit, and `RETRIES` bounds them

    async def _permit(self, pool: KeyPool, request: PollRequest, call: Call, http: Request, weight: float) -> Permit:
        """Wait for a key that may be asked now; returns what there is to wait for instead when that takes too long."""
        pool.urgent += request.urgent
        try:
            while True:
                permit = pool.next_permit(call, http, weight, self._now(), urgent=request.urgent)
                if permit.wait_ms > _patience_ms(request, permit):
                    return permit
                if permit.wait_ms == 0 and (request.urgent or not pool.urgent):
                    return permit
                if _ends_before(request, self._now() + permit.wait_ms):
                    return permit
                await self._rest(request, permit.wait_ms or round(STAND_BACK_S * 1000))
                if self._cancellations.cover(request.job_id):
                    return permit
        finally:
            pool.urgent -= request.urgent

    def _share_s(self, request: PollRequest, *, paid: bool) -> float | None:
        """Seconds that this provider may take to answer a waiting person, so that the others of the slip have theirs.

        The last one has all that is left. A paid answer is waited for as long as the time allows.
        """
        if not request.urgent:
            return None
        left_s = None if request.deadline is None else self._real_s(request.deadline - self._now())
        others = len(request.slip) - 1
        share_s = None if left_s is None else max(0.0, left_s) / (others + 1)
        if others and not paid:
            return SLOW_S if share_s is None else min(share_s, SLOW_S)
        return share_s

    # -- refusals ----------------------------------------------------------------------------------------------------

    def _refused(self, request: PollRequest, refusal: Refusal, asked: Page, most: int, call_id: str) -> Step:
        """`asked` is what the provider refuses; one that is not ready is looked at again, at most `most` times."""
        if isinstance(refusal, errors.Pending) and refusal.poll is not None:
            wait_ms = PENDING_MS if refusal.retry_after is None else round(refusal.retry_after * 1000)
            at = self._now() + wait_ms
            try:
                page = next_look(asked, refusal.poll, most, call_id)
            except LastPage as last:
                return self._unserved(request, refusal.name, f"{refusal.reason}; {last}")
            if not _ends_before(request, at):
                child = request.child(0, page=page, not_before=at)
                return End(request, PollOutcome.PENDING, refusal.reason, (child,))
        return self._unserved(request, refusal.name, refusal.reason)

    def _may_retry(self, pool: KeyPool, request: PollRequest, refusal: Refusal, calls: int) -> bool:
        """Return whether it is called again, after `calls` in vain: with another key, or when it may have recovered."""
        if isinstance(refusal, errors.Redirected):
            return refusal.target is not None and calls < max(self._retries, REDIRECTS)
        if calls >= self._retries:
            return False
        if isinstance(refusal, errors.KeyRejected) and pool.connector.auth.keyless:
            return calls == 0  # a session is renewed once
        if isinstance(refusal, errors.ProviderUnavailable):
            return not (request.urgent and len(request.slip) > 1)  # a person is better served by the next provider
        return isinstance(refusal, errors.KeyRejected | errors.NotEntitled | errors.RateLimited | errors.QuotaExhausted)

    def _without_key(self, pool: KeyPool, request: PollRequest, error: NoKey) -> Step:
        """No key may ask this: the provider may sell a part of it, or sell it elsewhere; otherwise another one does.

        A following page is never asked otherwise: what went before it would come again.
        """
        refused = error.outcome is PollOutcome.NOT_ENTITLED and request.page is None
        if refused and pool.entitlements(self._now()).why(request.call) is None:
            return End(request, error.outcome, str(error), (request.child(0),))
        return self._unserved(request, error.outcome, str(error))

    def _unserved(self, request: PollRequest, outcome: str, reason: str, free_at: int | None = None) -> End | Wait:
        """This provider does not serve the request. `free_at`: when it has room again, if it only lacks room."""
        hop = Hop(provider=request.provider, outcome=outcome, reason=reason[:MOST_REASON], free_at=free_at)
        return routing_slip.decide(request, hop, self._now())

    async def _rest(self, request: PollRequest, ms: int) -> None:
        await self._cancellations.rest(self._sleep, max(0, ms) / 1000, request.job_id)


def _ends_before(request: PollRequest, at: int) -> bool:
    """Return whether its deadline leaves nothing to be done at `at`."""
    return request.deadline is not None and at >= request.deadline


def _cancelled(request: PollRequest) -> End:
    return End(request, PollOutcome.CANCELLED, "its job was cancelled before a provider was asked")


def _patience_ms(request: PollRequest, permit: Permit) -> int:
    """How long a key is waited for in place, holding one of the provider's places."""
    if not request.urgent:
        return routing_slip.PATIENCE_MS
    return 0 if permit.why == PollOutcome.OPEN and len(request.slip) > 1 else URGENT_PATIENCE_MS
