"""Calls the providers. One mailbox per provider, a bounded window of calls, acknowledged in order.

Every request ends in exactly one `poll.done`; every HTTP call in one `api.calls` record and, when the provider
answered, one `raw.responses` record with the body as received.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from agents._desk import Begun, Desk, NoKey
from agents._http import Fetched, Transport
from connectors import Call, Connector, Outcome, Refusal, Request, UnsupportedCall
from connectors import _errors as errors
from infra import telemetry
from streams import topics
from streams.dead import letter, unreadable
from streams.mailbox import post
from streams.messages import ApiCall, Hop, Page, PollDone, PollRequest, RawMeta, new_id, now_ms
from streams.normalize import judge, rows_of
from streams.outbox import Outbox

log = telemetry.get(__name__)

PATIENCE_MS = 60_000  # a longer wait passes the request on, if somebody else may serve it
PENDING_S = 10.0  # how long to leave a provider in peace that is still working
RETRY_BASE_S = 0.5
RETRY_CAP_S = 30.0
Sleep = Callable[[float], Any]
Clock = Callable[[], int]


class Poller:
    """Serves poll requests of the providers whose mailboxes this worker owns."""

    def __init__(
        self,
        desks: Mapping[str, Desk],
        transport: Transport,
        outbox: Outbox,
        *,
        retries: int,
        sleep: Sleep = asyncio.sleep,
        clock: Clock = now_ms,
    ) -> None:
        self.desks = desks
        self._transport = transport
        self._outbox = outbox
        self._retries = retries
        self._sleep = sleep
        self._now = clock

    async def handle(self, event: Any) -> None:
        """Handle one event of poll.requests: everything it causes is acknowledged by the broker on return."""
        try:
            request = PollRequest.decode(event.value)
        except ValidationError as error:
            await unreadable(self._outbox, event, error)
            return
        try:
            await self._serve(request)
        except Exception as error:
            log.exception("poller.fault", request_id=request.request_id, provider=request.provider)
            reason = f"{type(error).__name__}: {error}"
            found = letter(
                stage="poll", rule="fault", reason=reason, provider=request.provider, request_id=request.request_id
            )
            await self._outbox.send(topics.DEAD_LETTERS, found.encode())
            await self._done(request, "Fault", reason=reason)

    async def _serve(self, request: PollRequest) -> None:
        if request.deadline is not None and self._now() >= request.deadline:
            await self._done(request, "Expired", reason="its deadline passed before anybody could serve it")
            return
        desk = self.desks.get(request.provider)
        if desk is None:
            await self._pass_on(request, "Unsupported", f"unknown provider {request.provider!r}")
            return
        try:
            skip = desk.unsold
            parts = [request.call] if request.page else desk.connector.split(request.call, skip)
            if len(parts) > 1:
                await self._cut(request, parts)
                return
            call = parts[0]
            http = request.page.request() if request.page else desk.connector.request(call, skip)
            await self._ask(desk, request, call, http)
        except UnsupportedCall as error:
            await self._pass_on(request, "Unsupported", str(error))
        except NoKey as error:
            await self._without_key(desk, request, str(error))

    async def _ask(self, desk: Desk, request: PollRequest, call: Call, http: Request) -> None:
        endpoint = desk.connector.endpoint(http.endpoint)
        weight = endpoint.weight(len(call.symbols))
        for attempt in range(self._retries + 1):
            begun = await self._turn(desk, request, endpoint.name, weight)
            if begun is None:
                return
            outcome = await self._call(desk, request, call, http, begun, weight)
            refusal = outcome.refusal
            if refusal is None:
                await self._served(request, outcome)
                return
            if not self._may_retry(desk, refusal, attempt):
                await self._refused(request, refusal)
                return
            if isinstance(refusal, errors.ProviderUnavailable):
                await self._sleep(min(RETRY_CAP_S, RETRY_BASE_S * 2**attempt))

    async def _turn(self, desk: Desk, request: PollRequest, endpoint: str, weight: float) -> Begun | None:
        """Wait for a key and begin the call; None when the request was passed on or expired instead."""
        while True:
            turn = desk.turn(endpoint, weight, self._now())
            if turn.wait_ms == 0:
                return desk.begin(turn.label, weight, self._now())
            if turn.wait_ms > PATIENCE_MS and len(request.slip) > 1:
                await self._pass_on(request, "Busy", f"{desk.connector.name} is free in {turn.wait_ms // 1000} s")
                return None
            if request.deadline is not None and self._now() + turn.wait_ms >= request.deadline:
                await self._done(request, "Expired", reason=f"{desk.connector.name} is free only after the deadline")
                return None
            await self._sleep(min(turn.wait_ms / 1000, PATIENCE_MS / 1000))

    async def _call(
        self, desk: Desk, request: PollRequest, call: Call, http: Request, begun: Begun, weight: float
    ) -> Outcome:
        """One HTTP call, reported whatever becomes of it."""
        connector, label = desk.connector, begun.label
        call_id, started = new_id(), self._now()
        fetched: Fetched | None = None
        try:
            fetched = await self._transport.fetch(connector, http, desk.keys[label])
            outcome = connector.read(call, http, fetched.answer, request.request_id)
        except errors.ProviderUnavailable as error:
            outcome = Outcome(refusal=error)
        except BaseException:  # cancelled, or a fault of ours: a probe must not stay under way for ever
            desk.abandon(begun)
            raise
        desk.end(begun, http.endpoint, outcome.refusal, self._now())
        if isinstance(outcome.refusal, errors.KeyRejected):
            self._transport.forget_session(connector.name)
            log.warning("poller.key_rejected", key=label, reason=outcome.refusal.reason)
        await self._report(connector, request, call, http, label, weight, call_id, started, fetched, outcome)
        return outcome

    async def _report(
        self,
        connector: Connector,
        request: PollRequest,
        call: Call,
        http: Request,
        label: str,
        weight: float,
        call_id: str,
        started: int,
        fetched: Fetched | None,
        outcome: Outcome,
    ) -> None:
        refusal = outcome.refusal
        report = ApiCall(
            call_id=call_id,
            request_id=request.request_id,
            provider=connector.name,
            key_label=label,
            endpoint=http.endpoint,
            dataset=call.dataset,
            asset_class=call.asset_class,
            symbols=call.symbols,
            interval=call.interval,
            started_at=started,
            latency_ms=fetched.latency_ms if fetched else self._now() - started,
            status=fetched.answer.status if fetched else None,
            outcome=outcome.name,
            retry_after_s=refusal.retry_after if isinstance(refusal, errors.RateLimited) else None,
            cost_calls=weight,
            cost_usd=connector.endpoint(http.endpoint).usd,
            bytes=len(fetched.answer.body) if fetched else 0,
            error=refusal.reason[:500] if refusal else "",
        )
        sends = [self._outbox.send(topics.API_CALLS, report.encode(), key=connector.name, partition=connector.mailbox)]
        if fetched:
            meta = _meta(report, call, http, fetched)
            key = call.symbols[0] if call.symbols else call.exchange or connector.name
            sends.append(
                self._outbox.send(topics.RAW_RESPONSES, fetched.answer.body, key=key, headers={"meta": meta.encode()})
            )
        await asyncio.gather(*sends)

    async def _served(self, request: PollRequest, outcome: Outcome) -> None:
        children: list[PollRequest] = []
        if outcome.next:
            children.append(request.child(0, page=Page.of(outcome.next)))
        lacking = tuple(symbol for symbol in request.call.symbols if symbol in outcome.missing)
        if lacking and len(request.slip) > 1:
            hop = Hop(provider=request.provider, outcome="UnknownSymbol", reason=outcome.missing[lacking[0]].reason)
            call = request.call.model_copy(update={"symbols": lacking})
            children.append(self._next(request.child(1, call=call), hop))
        normalized = judge(outcome)
        records = sum(map(rows_of, normalized.records))
        await self._publish(children)
        await self._done(request, "records", children=len(children), records=records, rejects=len(normalized.rejects))

    async def _refused(self, request: PollRequest, refusal: Refusal) -> None:
        if isinstance(refusal, errors.Pending) and refusal.poll is not None:
            await self._sleep(refusal.retry_after or PENDING_S)
            await self._publish([request.child(0, page=Page.of(refusal.poll))])
            await self._done(request, refusal.name, reason=refusal.reason, children=1)
            return
        await self._pass_on(request, refusal.name, refusal.reason)

    def _may_retry(self, desk: Desk, refusal: Refusal, attempt: int) -> bool:
        if attempt >= self._retries:
            return False
        if isinstance(refusal, errors.KeyRejected) and desk.connector.auth.keyless:
            return attempt == 0  # a session is renewed once
        if isinstance(refusal, errors.KeyRejected | errors.NotEntitled):
            return True
        return isinstance(refusal, errors.RateLimited | errors.QuotaExhausted | errors.ProviderUnavailable)

    async def _without_key(self, desk: Desk, request: PollRequest, reason: str) -> None:
        """No key may ask this endpoint: another endpoint of the provider may serve it, otherwise another provider."""
        if desk.unsold and desk.connector.sells(request.call, desk.unsold):
            await self._publish([request.child(0, page=None)])
            await self._done(request, "NotEntitled", reason=reason, children=1)
        else:
            await self._pass_on(request, "NoKey", reason)

    async def _cut(self, request: PollRequest, parts: list[Call]) -> None:
        await self._publish([request.child(i, call=part) for i, part in enumerate(parts)])
        await self._done(request, "Cut", reason=f"{len(parts)} calls", children=len(parts))

    async def _pass_on(self, request: PollRequest, outcome: str, reason: str) -> None:
        hop = Hop(provider=request.provider, outcome=outcome, reason=reason[:500])
        if len(request.slip) == 1:
            given_up = request.model_copy(update={"tried": (*request.tried, hop)})
            await self._done(given_up, outcome, reason=reason)
            return
        await self._publish([self._next(request.child(0), hop)])
        await self._done(request, outcome, reason=reason, children=1)

    @staticmethod
    def _next(request: PollRequest, hop: Hop) -> PollRequest:
        """The request for the next provider of its slip: from the first page."""
        return request.model_copy(update={"slip": request.slip[1:], "tried": (*request.tried, hop), "page": None})

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
            dataset=request.call.dataset,
            symbols=request.call.symbols,
            outcome=outcome,
            reason=reason[:500],
            children=children,
            records=records,
            rejects=rejects,
            tried=request.tried,
            at=self._now(),
        )
        await self._outbox.send(topics.POLL_DONE, done.encode(), key=request.job_id)


def _meta(report: ApiCall, call: Call, http: Request, fetched: Fetched) -> RawMeta:
    return RawMeta(
        call_id=report.call_id,
        request_id=report.request_id,
        provider=report.provider,
        key_label=report.key_label,
        call=call,
        page=Page.of(http),
        url=fetched.url,
        status=fetched.answer.status,
        headers=dict(fetched.answer.headers),
        received_at=fetched.answer.observed_at,
        latency_ms=fetched.latency_ms,
    )
