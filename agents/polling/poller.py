"""Serves the providers' mailboxes: cuts requests into calls, waits for a key, hands on what somebody else may serve.

Every request ends in exactly one `poll.done`. `agents.polling.caller` makes the calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import orjson
from pydantic import ValidationError

from agents.polling.caller import Caller
from agents.polling.key_pool import KeyPool, NoKey, Permit
from agents.polling.quote_cache import Quotes
from connectors import Call, Outcome, Refusal, Request, UnsupportedCall, errors
from infra import clock, telemetry
from streams.messaging import topics
from streams.messaging.cancellations import WITHDRAWN, Cancellations, is_cancellation
from streams.messaging.dead_letters import letter, unreadable
from streams.messaging.job import TRUNCATED
from streams.messaging.mailbox import Parked, post
from streams.messaging.messages import Cancellation, Hop, Page, PollDone, PollRequest
from streams.messaging.producer import Outbox
from streams.processing.normalize import judge, rows_of

log = telemetry.get(__name__)

PATIENCE_MS = 60_000  # a longer wait passes the request on, if somebody else may serve it, or parks it
STAND_BACK_S = 0.05  # how long bulk leaves the next free call to a request that somebody waits for
PENDING_S = 10.0  # how long to leave a provider in peace that is still working
RETRY_BASE_S = 0.5
RETRY_CAP_S = 30.0
TRIED_MOST = 50  # hops a request remembers: one that is parked for days meets the same providers again and again
Sleep = Callable[[float], Any]
Clock = Callable[[], int]
Ready = Callable[[str], Awaitable[None]]


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
        sleep: Sleep = clock.sleep,
        now: Clock = clock.now_ms,
    ) -> None:
        self.pools = pools
        self._caller = caller
        self._outbox = outbox
        self._retries = retries
        self._ready = ready
        self._quotes = quotes
        self._sleep = sleep
        self._now = now
        self._cancellations = Cancellations()

    def arrived(self, event: Any) -> None:
        """Look at an event of a mailbox as it comes, ahead of its turn: a withdrawal takes effect at once."""
        if is_cancellation(event):
            with suppress(ValidationError):
                self._cancellations.take(Cancellation.decode(event.value))

    async def handle(self, event: Any) -> Parked | None:
        """Handle one event of a mailbox: everything it causes is acknowledged by the broker on return.

        Returns what to wait for instead, when nobody can serve the request for a while.
        """
        try:
            if is_cancellation(event):
                Cancellation.decode(event.value)
                return None
            request = PollRequest.decode(event.value)
        except ValidationError as error:
            await unreadable(self._outbox, event, error)
            return None
        try:
            return await self._serve(request)
        except Exception as error:
            log.exception("poller.fault", request_id=request.request_id, provider=request.provider)
            reason = f"{type(error).__name__}: {error}"
            found = letter(
                stage="poll", rule="fault", reason=reason, provider=request.provider, request_id=request.request_id
            )
            await self._outbox.send(topics.DEAD_LETTERS, found.encode())
            await self._done(request, "Fault", reason=reason)
            return None

    async def _serve(self, request: PollRequest) -> Parked | None:
        if request.deadline is not None and self._now() >= request.deadline:
            await self._done(request, "Expired", reason="its deadline passed before anybody could serve it")
            return None
        if self._cancellations.cover(request.job_id):
            await self._withdrawn(request)
            return None
        pool = self.pools.get(request.provider)
        if pool is None:
            return await self._pass_on(request, "Unsupported", f"unknown provider {request.provider!r}")
        if await self._known(request):
            return None
        await self._ready(request.provider)
        return await self._route(pool, request)

    async def _route(self, pool: KeyPool, request: PollRequest) -> Parked | None:
        """Find what to ask the provider, or say why it cannot be asked."""
        try:
            skip = pool.not_entitled
            parts = [request.call] if request.page else pool.connector.split(request.call, skip)
            if len(parts) > 1:
                await self._cut(request, parts)
                return None
            call = parts[0]
            page = request.page
            http = pool.connector.admit(page.request()) if page else pool.connector.request(call, skip)
            return await self._ask(pool, request, call, http)
        except UnsupportedCall as error:
            return await self._pass_on(request, "Unsupported", str(error))
        except NoKey as error:
            return await self._without_key(pool, request, str(error))

    async def _known(self, request: PollRequest) -> bool:
        """Answer what young quotes can answer, by publishing them once more, and ask only for the others."""
        call = request.call
        if self._quotes is None or call.dataset != "quote" or request.force_fresh or request.page:
            return False
        sources = {*request.slip, *(hop.provider for hop in request.tried)}
        found = self._quotes.fresh(call, sources, self._now())
        if not found:
            return False
        await asyncio.gather(
            *(
                self._outbox.send(
                    topics.MARKET["quote"], orjson.dumps({**record, "request_id": request.request_id}), key=symbol
                )
                for symbol, record in found.items()
            )
        )
        lacking = tuple(symbol for symbol in call.symbols if symbol not in found)
        children = [request.child(0, call=call.model_copy(update={"symbols": lacking}))] if lacking else []
        await self._publish(children)
        await self._done(request, "cached", children=len(children), records=len(found))
        return True

    async def _ask(self, pool: KeyPool, request: PollRequest, call: Call, http: Request) -> Parked | None:
        endpoint = pool.connector.endpoint(http.endpoint)
        weight = endpoint.weight(len(call.symbols))
        for attempt in range(self._retries + 1):
            permit = await self._permit(pool, request, endpoint.name, weight)
            if self._cancellations.cover(request.job_id):
                await self._withdrawn(request)
                return None
            if permit.wait_ms:
                return await self._pass_on(request, permit.why, permit.reason, self._now() + permit.wait_ms)
            outcome = await self._caller.call(pool, request, call, http, permit.label, weight)
            refusal = outcome.refusal
            if refusal is None:
                await self._served(request, outcome)
                return None
            if not self._may_retry(pool, refusal, attempt):
                return await self._refused(request, refusal)
            if isinstance(refusal, errors.Redirected) and refusal.target:
                http = refusal.target  # one of the tries: it needs a permit, and `RETRIES` bounds them
            if isinstance(refusal, errors.ProviderUnavailable):
                await self._sleep(min(RETRY_CAP_S, RETRY_BASE_S * 2**attempt))
            if request.deadline is not None and self._now() >= request.deadline:
                return await self._refused(request, refusal)
        return None

    async def _permit(self, pool: KeyPool, request: PollRequest, endpoint: str, weight: float) -> Permit:
        """Wait for a key that may be asked now; returns what there is to wait for instead when that takes too long."""
        pool.urgent += request.urgent
        try:
            while True:
                permit = pool.next_permit(endpoint, weight, self._now(), urgent=request.urgent)
                if permit.wait_ms > PATIENCE_MS:
                    return permit
                if permit.wait_ms == 0 and (request.urgent or not pool.urgent):
                    return permit
                if request.deadline is not None and self._now() + permit.wait_ms >= request.deadline:
                    return permit
                await self._rest(request, permit.wait_ms / 1000 or STAND_BACK_S)
                if self._cancellations.cover(request.job_id):
                    return permit
        finally:
            pool.urgent -= request.urgent

    async def _served(self, request: PollRequest, outcome: Outcome) -> None:
        children: list[PollRequest] = []
        if outcome.next:
            children.append(request.child(0, page=Page.of(outcome.next)))
        lacking = tuple(symbol for symbol in request.call.symbols if symbol in outcome.missing)
        if lacking and len(request.slip) > 1:
            hop = Hop(provider=request.provider, outcome="UnknownSymbol", reason=outcome.missing[lacking[0]].reason)
            call = request.call.model_copy(update={"symbols": lacking})
            tried = (*request.tried, hop)
            children.append(request.child(1, call=call, slip=request.slip[1:], tried=tried, page=None))
        normalized = judge(outcome)
        records = sum(map(rows_of, normalized.records))
        await self._publish(children)
        await self._done(
            request,
            TRUNCATED if outcome.cut_off else "records",
            reason=outcome.cut_off,
            children=len(children),
            records=records,
            rejects=len(normalized.rejects),
        )

    async def _refused(self, request: PollRequest, refusal: Refusal) -> Parked | None:
        if isinstance(refusal, errors.Pending) and refusal.poll is not None:
            await self._sleep(refusal.retry_after or PENDING_S)
            await self._publish([request.child(0, page=Page.of(refusal.poll))])
            await self._done(request, refusal.name, reason=refusal.reason, children=1)
            return None
        return await self._pass_on(request, refusal.name, refusal.reason)

    def _may_retry(self, pool: KeyPool, refusal: Refusal, attempt: int) -> bool:
        if attempt >= self._retries:
            return False
        if isinstance(refusal, errors.KeyRejected) and pool.connector.auth.keyless:
            return attempt == 0  # a session is renewed once
        if isinstance(refusal, errors.KeyRejected | errors.NotEntitled):
            return True
        if isinstance(refusal, errors.Redirected):
            return refusal.target is not None
        return isinstance(refusal, errors.RateLimited | errors.QuotaExhausted | errors.ProviderUnavailable)

    async def _without_key(self, pool: KeyPool, request: PollRequest, reason: str) -> Parked | None:
        """No key may ask this endpoint: another endpoint of the provider may serve it, otherwise another provider."""
        if pool.not_entitled and pool.connector.sells(request.call, pool.not_entitled):
            await self._publish([request.child(0, page=None)])
            await self._done(request, "NotEntitled", reason=reason, children=1)
            return None
        return await self._pass_on(request, "NoKey", reason)

    async def _cut(self, request: PollRequest, parts: list[Call]) -> None:
        await self._publish([request.child(i, call=part) for i, part in enumerate(parts)])
        await self._done(request, "Cut", reason=f"{len(parts)} calls", children=len(parts))

    async def _pass_on(
        self, request: PollRequest, outcome: str, reason: str, free_at: int | None = None
    ) -> Parked | None:
        """Hand the request to the next provider of its slip. `free_at`: when this one has room again, if ever."""
        hop = Hop(provider=request.provider, outcome=outcome, reason=reason[:500], free_at=free_at)
        tried = (*request.tried, hop)[-TRIED_MOST:]
        if len(request.slip) > 1:
            await self._hand_on(request.child(0, slip=request.slip[1:], tried=tried, page=None), request, hop)
            return None
        return await self._later(request.model_copy(update={"tried": tried}), hop)

    async def _later(self, request: PollRequest, hop: Hop) -> Parked | None:
        """After the last provider: park the request until somebody has room, or give it up when nobody will."""
        free: dict[str, int] = {}
        for tried in request.tried:
            free.pop(tried.provider, None)
            if tried.free_at is not None:
                free[tried.provider] = tried.free_at
        first, at = min(free.items(), key=lambda found: found[1], default=("", 0))
        if not first:
            await self._done(request, hop.outcome, reason=hop.reason)
        elif request.deadline is not None and at >= request.deadline:
            await self._done(request, "Expired", reason=f"{hop.reason}; nobody has room before the deadline")
        elif hop.free_at is not None and (first == request.provider or at > self._now()):
            return self._rest(request, max(0, at - self._now()) / 1000)
        else:
            await self._hand_on(request.child(0, slip=(first,), page=None), request, hop)
        return None

    async def _rest(self, request: PollRequest, seconds: float) -> None:
        await self._cancellations.rest(self._sleep, seconds, request.job_id)

    async def _withdrawn(self, request: PollRequest) -> None:
        await self._done(request, WITHDRAWN, reason="it was taken back before anybody was asked")

    async def _hand_on(self, child: PollRequest, request: PollRequest, hop: Hop) -> None:
        await self._publish([child])
        await self._done(request, hop.outcome, reason=hop.reason, children=1)

    async def _publish(self, requests: list[PollRequest]) -> None:
        await asyncio.gather(*(post(self._outbox, request) for request in requests))

    async def _done(
        self,
        request: PollRequest,
        outcome: str,
        *,
        reason: str = "",
        children: int = 0,
        records: int = 0,
        rejects: int = 0,
    ) -> None:
        done = PollDone(
            request_id=request.request_id,
            job_id=request.job_id,
            provider=request.provider,
            call=request.call,
            outcome=outcome,
            reason=reason[:500],
            children=children,
            records=records,
            rejects=rejects,
            tried=request.tried,
            at=self._now(),
        )
        await self._outbox.send(topics.POLL_DONE, done.encode(), key=request.job_id)
