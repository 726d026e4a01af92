"""Makes the calls: each is counted before it is sent, reported when it has ended, and its answer kept as received.

Every HTTP call is told twice in `api.calls`; when the provider answered, there is one `raw.responses` record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from agents.polling.key_pool import KeyPool
from agents.polling.ledger import Ledger
from agents.polling.transport import Fetched, Transport
from connectors import Call, Outcome, Request, errors
from connectors.declaration import reported_quota
from infra import clock, telemetry
from streams.accounts import account as accounts
from streams.accounts import budget as budgets
from streams.accounts.account import Began
from streams.messaging import topics
from streams.messaging.messages import WORKER, ApiCall, Page, PollRequest, RawMeta, new_id
from streams.messaging.producer import Outbox

log = telemetry.get(__name__)


@dataclass(frozen=True, slots=True)
class _Underway:
    """One HTTP call: its request, what is sent, and how it was counted."""

    request: PollRequest
    call: Call
    http: Request
    began: Began
    weight: float
    usd: float


class Caller:
    """The only actor that sends requests to providers."""

    def __init__(
        self, transport: Transport, outbox: Outbox, ledger: Ledger, *, now: Callable[[], int] = clock.now_ms
    ) -> None:
        self._transport = transport
        self._outbox = outbox
        self._ledger = ledger
        self._now = now

    async def call(
        self, pool: KeyPool, request: PollRequest, call: Call, http: Request, label: str, weight: float
    ) -> Outcome:
        """Make one call with the key of that label. Returns its outcome, whatever that is."""
        connector = pool.connector
        spent = pool.account.budget
        began = pool.begin(label, new_id(), http.endpoint, weight, self._now())
        underway = _Underway(request, call, http, began, weight, pool.usd(http.endpoint))
        allowance = pool.terms.allowance
        if allowance and budgets.warns(spent, pool.account.budget, allowance):
            dollars = pool.account.budget.micros / budgets.MICROS
            log.warning("budget.nearly_spent", provider=connector.name, spent_usd=dollars)
        fetched: Fetched | None = None
        try:
            await self._ledger.reserve(_told(underway), connector.mailbox)
            fetched = await self._transport.fetch(connector, http, pool.keys[label])
            if fetched.redirect:
                to = f"to {fetched.answer.headers.get('location')}"  # the header is kept without keys
                outcome = Outcome(refusal=errors.Redirected(to, target=fetched.redirect))
            else:
                outcome = connector.read(call, http, fetched.answer, request.request_id)
        except errors.Refusal as error:
            outcome = Outcome(refusal=error)
        except BaseException:  # cancelled, or a fault of ours: a probe must not stay under way for ever
            pool.abandon(began, self._now())
            raise
        report = _told(underway, ended_at=self._now(), outcome=outcome, fetched=fetched)
        if told := accounts.ended(report):
            pool.end(told)
        if isinstance(outcome.refusal, errors.KeyRejected):
            self._transport.forget_session(connector.name)
            if not connector.auth.keyless:
                log.error("key.rejected", key=label, reason=outcome.refusal.reason[:200])
        await self._report(underway, report, fetched)
        return outcome

    async def _report(self, underway: _Underway, report: ApiCall, fetched: Fetched | None) -> None:
        call = underway.call
        sends = [self._ledger.tell(report, topics.mailbox(report.provider))]
        if fetched:
            meta = _meta(report, call, underway.http, fetched)
            key = call.symbols[0] if call.symbols else call.exchange or report.provider
            sends.append(
                self._outbox.send(topics.RAW_RESPONSES, fetched.answer.body, key=key, headers={"meta": meta.encode()})
            )
        await asyncio.gather(*sends)


def _told(
    underway: _Underway,
    *,
    ended_at: int | None = None,
    outcome: Outcome | None = None,
    fetched: Fetched | None = None,
) -> ApiCall:
    """The call as it is told: before it is sent, and with its outcome when it has ended."""
    call, began = underway.call, underway.began
    begun = ApiCall(
        call_id=began.call_id,
        request_id=underway.request.request_id,
        provider=underway.request.provider,
        key_label=began.label,
        endpoint=underway.http.endpoint,
        dataset=call.dataset,
        asset_class=call.asset_class,
        symbols=call.symbols,
        interval=call.interval,
        started_at=began.at,
        cost_calls=underway.weight,
        cost_usd=underway.usd,
        worker=WORKER,
    )
    if outcome is None or ended_at is None:
        return begun
    refusal = outcome.refusal
    left, limit, resets_at = (reported_quota(fetched.answer) if fetched else None) or (None, None, None)
    return begun.model_copy(
        update={
            "ended_at": ended_at,
            "outcome": outcome.name,
            "latency_ms": fetched.latency_ms if fetched else ended_at - began.at,
            "status": fetched.answer.status if fetched else None,
            "bytes": len(fetched.answer.body) if fetched else 0,
            "error": refusal.reason[:500] if refusal else "",
            "retry_after_s": refusal.retry_after if isinstance(refusal, errors.RateLimited) else None,
            "resets_at": refusal.resets_at if isinstance(refusal, errors.QuotaExhausted) else None,
            "slice_only": isinstance(refusal, errors.NotEntitled) and refusal.slice_only,
            "said_left": left,
            "said_limit": limit,
            "said_resets_at": resets_at,
        }
    )


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
