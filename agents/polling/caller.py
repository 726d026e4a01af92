"""Makes the calls: each is counted before it is sent, reported when it has ended, and its answer kept as received.

Every HTTP call is published twice to `api.calls`; when the provider answered, there is one `raw.responses` record.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from agents.log_events import AgentEvent
from agents.polling.key_pool import KeyPool
from agents.polling.ledger import Ledger
from agents.polling.transport import Fetched, Transport
from connectors import Call, Outcome, Refusal, Request, errors
from connectors.deprecation import Deprecation, deprecation
from connectors.fields import utc_date
from connectors.headers import believable_reset, reported_quota
from connectors.scope import Scope
from infra import telemetry
from infra.clock import SYSTEM
from streams.accounts import account as accounts
from streams.accounts import budget as budgets
from streams.accounts.account import Account, CallBegan
from streams.messaging import topics
from streams.messaging.messages import WORKER, ApiCall, Page, PollRequest, RawMeta, new_id
from streams.messaging.producer import Outbox

log = telemetry.get(__name__)

SLOW_S = 10.0
"""A provider that has not answered by then is slow beyond any excuse: most answer within one second."""

SERVED = "records"
"""Outcome of a call whose answer is no refusal. What records it holds is found where they are made."""


class Timeout(errors.Refusal):
    """The request had less time left than a healthy provider may take: so it says nothing of the provider's health."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """The result of one HTTP call."""

    call_id: str
    """Its id."""
    refusal: Refusal | None
    """What the provider refused; None where it answered."""
    body: bytes = b""
    """The bytes of the raw response; empty where no answer came."""
    meta: RawMeta | None = None
    """The header of the raw response; None where no answer came."""


@dataclass(frozen=True, slots=True)
class _Underway:
    """One HTTP call: its request, what is sent, and how it was counted."""

    request: PollRequest
    call: Call
    http: Request
    began: CallBegan
    weight: float
    usd: float


class Caller:
    """The only actor that sends requests to providers."""

    def __init__(
        self, transport: Transport, outbox: Outbox, ledger: Ledger, *, now: Callable[[], int] = SYSTEM.now_ms
    ) -> None:
        self._transport = transport
        self._outbox = outbox
        self._ledger = ledger
        self._now = now
        self._deprecated: dict[tuple[str, str], Deprecation] = {}

    async def call(
        self,
        pool: KeyPool,
        request: PollRequest,
        call: Call,
        http: Request,
        label: str,
        weight: float,
        within_s: float | None = None,
    ) -> CallResult:
        """Make one call with the key of that label, and report its end. Its answer is to be kept by `keep`.

        `within_s` is how long an answer is waited for, where that is less than the transport's time-out.
        """
        before = pool.account
        began = pool.begin(label, new_id(), http.endpoint, weight, self._now())
        _log_changes(pool, before)
        underway = _Underway(request, call, http, began, weight, pool.usd(http.endpoint))
        try:
            await self._ledger.reserve(_report(underway), pool.connector.mailbox)
            verdict, fetched = await self._exchange(pool, underway, within_s)
        except BaseException:  # cancelled, or a fault of ours: a probe must not stay under way for ever
            pool.abandon(began, self._now())
            raise
        return await self._conclude(pool, underway, verdict, fetched)

    async def _conclude(
        self, pool: KeyPool, underway: _Underway, verdict: Outcome, fetched: Fetched | None
    ) -> CallResult:
        """Let the pool learn from the end of a call, and publish it."""
        call, http, ended_at = underway.call, underway.http, self._now()
        scope = pool.covered(_scope_of(verdict), call, http, underway.began.label, ended_at)
        usd = underway.usd * verdict.charged
        if job := _triggered_by(underway.request):
            usd -= pool.reserved_usd(job) * (1 - verdict.charged)
        report = _report(underway, ended_at=ended_at, verdict=verdict, fetched=fetched, scope=scope, usd=usd)
        before = pool.account
        self._learn(pool, call, http, verdict.refusal, report)
        _log_changes(pool, before)
        await self._ledger.publish(report, topics.mailbox(report.provider))
        if fetched is None:
            return CallResult(report.call_id, verdict.refusal)
        self._heed(pool.connector.name, http.endpoint, fetched)
        return CallResult(report.call_id, verdict.refusal, fetched.answer.body, _meta(report, call, http, fetched))

    def _learn(self, pool: KeyPool, call: Call, http: Request, refusal: Refusal | None, report: ApiCall) -> None:
        """Let the pool learn the outcome of a call with its key."""
        label = report.key_label
        if end := accounts.ended(report):
            pool.end(end)
        if refusal is None:
            pool.answered(call, http, label, self._now())
        if scope := Scope.read(report.scope):
            log.info(AgentEvent.KEY_NOT_ENTITLED, key=label, scope=str(scope), reason=report.error[:200])
        if isinstance(refusal, errors.KeyRejected):
            self._transport.forget_session(pool.connector.name)
            if not pool.connector.auth.keyless:
                log.error(AgentEvent.KEY_REJECTED, key=label, reason=refusal.reason[:200])

    def _heed(self, provider: str, endpoint: str, fetched: Fetched) -> None:
        """Log once that a provider will withdraw an endpoint, and again when it says another time."""
        found = deprecation(fetched.answer.headers)
        if found is None or self._deprecated.get((provider, endpoint)) == found:
            return
        self._deprecated[provider, endpoint] = found
        days = {name: utc_date(at) for name, at in (("since", found.since), ("sunset", found.sunset)) if at is not None}
        log.warning(AgentEvent.ENDPOINT_DEPRECATED, provider=provider, endpoint=endpoint, **days)

    async def _exchange(
        self, pool: KeyPool, underway: _Underway, within_s: float | None
    ) -> tuple[Outcome, Fetched | None]:
        """Send the request; returns the verdict on the answer, and the answer, if one came."""
        connector = pool.connector
        try:
            async with asyncio.timeout(within_s):
                fetched = await self._transport.fetch(connector, underway.http, pool.keys[underway.began.label])
        except errors.Refusal as error:
            return Outcome(refusal=error), None
        except TimeoutError:
            cls = errors.ProviderUnavailable if within_s and within_s >= SLOW_S else Timeout
            return Outcome(refusal=cls(f"{connector.name} gave no answer within {within_s:.3g} s")), None
        if fetched.redirect:
            to = f"to {fetched.answer.headers.get('location')}"  # the header is kept without keys
            return Outcome(refusal=errors.Redirected(to, target=fetched.redirect)), fetched
        return connector.verdict(underway.call, underway.http, fetched.answer), fetched

    async def keep(self, result: CallResult, due: PollRequest | None = None) -> None:
        """Publish the answer as received, if any came. The end of the request `due` is reported with its records."""
        if result.meta is None:
            return
        meta = result.meta.model_copy(update={"due": due})
        key = meta.call.symbols[0] if meta.call.symbols else meta.call.exchange or meta.provider
        await self._outbox.send(topics.RAW_RESPONSES, result.body, key=key, headers={"meta": meta.encode()})


def _log_changes(pool: KeyPool, before: Account) -> None:
    """Log the changes of breaker and budget that a call made."""
    name, account, allowance = pool.connector.name, pool.account, pool.policy.allowance
    if account.breaker.state != before.breaker.state:
        state, failures = account.breaker.state, account.breaker.failures
        level = logging.WARNING if state == "OPEN" else logging.INFO
        log.log(level, AgentEvent.BREAKER_CHANGED, provider=name, state=state, failures=failures)
    if allowance and budgets.warns(before.budget, account.budget, allowance):
        log.warning(AgentEvent.BUDGET_NEARLY_SPENT, provider=name, spent_usd=account.budget.micros / budgets.MICROS)


def _report(
    underway: _Underway,
    *,
    ended_at: int | None = None,
    verdict: Outcome | None = None,
    fetched: Fetched | None = None,
    scope: Scope | None = None,
    usd: float = 0,
) -> ApiCall:
    """The call as it is published: before it is sent, and with its outcome when it has ended."""
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
        reserved_usd=underway.usd,
        triggered_by=_triggered_by(underway.request),
        worker=WORKER,
    )
    if verdict is None or ended_at is None:
        return begun
    refusal, said = verdict.refusal, verdict.refusal or verdict.withheld
    return begun.model_copy(
        update={
            "ended_at": ended_at,
            "outcome": refusal.name if refusal else SERVED,
            "latency_ms": fetched.latency_ms if fetched else max(0, ended_at - began.at),
            "status": fetched.answer.status if fetched else None,
            "bytes": len(fetched.answer.body) if fetched else 0,
            "error": said.reason[:500] if said else "",
            "scope": scope.text() if scope else "",
            "cost_usd": usd,
            **_pause_of(refusal, ended_at),
            **_quota_of(fetched),
        }
    )


def _pause_of(refusal: errors.Refusal | None, ended_at: int) -> dict[str, float | int | None]:
    """How long a refusal says to wait: seconds, or until when in ms UTC."""
    resets_at = refusal.resets_at if isinstance(refusal, errors.QuotaExhausted) else None
    return {
        "retry_after_s": refusal.retry_after if isinstance(refusal, errors.RateLimited) else None,
        "resets_at": believable_reset(resets_at, ended_at),
    }


def _triggered_by(request: PollRequest) -> str:
    """The id of the call that triggered the job which the request polls; empty where there is none."""
    return request.page.triggered_by if request.page else ""


def _quota_of(fetched: Fetched | None) -> dict[str, float | int | None]:
    """What an answer reports of the key's quota: calls left, their limit, the reset in ms UTC."""
    left, limit, resets_at = (reported_quota(fetched.answer) if fetched else None) or (None, None, None)
    return {"said_left": left, "said_limit": limit, "said_resets_at": resets_at}


def _scope_of(verdict: Outcome) -> Scope | None:
    """What the answer refuses, wholly or beside its records."""
    said = verdict.refusal or verdict.withheld
    return said.scope if isinstance(said, errors.NotEntitled | errors.InvalidRequest) else None


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
