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
from connectors import Call, Refusal, Request, errors
from connectors.declaration import reported_quota
from connectors.deprecation import Deprecation, deprecation
from connectors.fields import utc_date
from infra import clock, telemetry
from streams.accounts import account as accounts
from streams.accounts import budget as budgets
from streams.accounts.account import Account, Began
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
    """What came of one HTTP call; `body` and `meta` are those of its raw response, None where no answer came."""

    refusal: Refusal | None
    body: bytes = b""
    meta: RawMeta | None = None


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
        _tell_changes(pool, before)
        underway = _Underway(request, call, http, began, weight, pool.usd(http.endpoint))
        try:
            await self._ledger.reserve(_told(underway), pool.connector.mailbox)
            refusal, fetched = await self._exchange(pool, underway, within_s)
        except BaseException:  # cancelled, or a fault of ours: a probe must not stay under way for ever
            pool.abandon(began, self._now())
            raise
        report = _told(underway, ended_at=self._now(), refusal=refusal, fetched=fetched)
        before = pool.account
        if told := accounts.ended(report):
            pool.end(told)
        _tell_changes(pool, before)
        if isinstance(refusal, errors.KeyRejected):
            self._transport.forget_session(pool.connector.name)
            if not pool.connector.auth.keyless:
                log.error("key.rejected", key=label, reason=refusal.reason[:200])
        await self._ledger.tell(report, topics.mailbox(report.provider))
        if fetched is None:
            return CallResult(refusal)
        self._heed(pool.connector.name, http.endpoint, fetched)
        return CallResult(refusal, fetched.answer.body, _meta(report, call, http, fetched))

    def _heed(self, provider: str, endpoint: str, fetched: Fetched) -> None:
        """Log once that a provider will withdraw an endpoint, and again when it says another time."""
        found = deprecation(fetched.answer.headers)
        if found is None or self._deprecated.get((provider, endpoint)) == found:
            return
        self._deprecated[provider, endpoint] = found
        days = {name: utc_date(at) for name, at in (("since", found.since), ("sunset", found.sunset)) if at is not None}
        log.warning("endpoint.deprecated", provider=provider, endpoint=endpoint, **days)

    async def _exchange(
        self, pool: KeyPool, underway: _Underway, within_s: float | None
    ) -> tuple[Refusal | None, Fetched | None]:
        """Send the request; returns the refusal, if it is one, and the answer, if one came."""
        connector = pool.connector
        try:
            async with asyncio.timeout(within_s):
                fetched = await self._transport.fetch(connector, underway.http, pool.keys[underway.began.label])
        except errors.Refusal as error:
            return error, None
        except TimeoutError:
            cls = errors.ProviderUnavailable if within_s and within_s >= SLOW_S else Timeout
            return cls(f"{connector.name} gave no answer within {within_s:.3g} s"), None
        if fetched.redirect:
            to = f"to {fetched.answer.headers.get('location')}"  # the header is kept without keys
            return errors.Redirected(to, target=fetched.redirect), fetched
        return connector.verdict(underway.call, underway.http, fetched.answer), fetched

    async def keep(self, result: CallResult, due: PollRequest | None = None) -> None:
        """Publish the answer as received, if any came. The end of the request `due` is reported with its records."""
        if result.meta is None:
            return
        meta = result.meta.model_copy(update={"due": due})
        key = meta.call.symbols[0] if meta.call.symbols else meta.call.exchange or meta.provider
        await self._outbox.send(topics.RAW_RESPONSES, result.body, key=key, headers={"meta": meta.encode()})


def _tell_changes(pool: KeyPool, before: Account) -> None:
    """Log what a call changed in the account that somebody may want to know: breaker and budget."""
    name, account, allowance = pool.connector.name, pool.account, pool.terms.allowance
    if account.breaker.state != before.breaker.state:
        level = log.warning if account.breaker.state == "OPEN" else log.info
        level("breaker.changed", provider=name, state=account.breaker.state, failures=account.breaker.failures)
    if allowance and budgets.warns(before.budget, account.budget, allowance):
        log.warning("budget.nearly_spent", provider=name, spent_usd=account.budget.micros / budgets.MICROS)


def _told(
    underway: _Underway,
    *,
    ended_at: int | None = None,
    refusal: Refusal | None = None,
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
    if ended_at is None:
        return begun
    left, limit, resets_at = (reported_quota(fetched.answer) if fetched else None) or (None, None, None)
    return begun.model_copy(
        update={
            "ended_at": ended_at,
            "outcome": refusal.name if refusal else SERVED,
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
