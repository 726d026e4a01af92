"""What a provider's calls have used up and how it fares: keys, breaker and budget as one fold over its calls.

A call is published twice: `CallBegan` before it is sent, `CallEnded` when its outcome is known. Three components fold
the same events into the same account: the poller that makes the calls, the tables that survive it, and a restart that
reads the store.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from connectors import REFUSALS, errors
from connectors.scope import Scope
from streams.accounts import breaker as breakers
from streams.accounts import budget as budgets
from streams.accounts import entitlement, quota
from streams.accounts.breaker import Breaker, BreakerPolicy
from streams.accounts.budget import MICROS, Allowance, Budget
from streams.accounts.entitlement import Refusals
from streams.accounts.quota import KeyUsage, ReportedQuota, Window

COOL_MS = 60_000
"""How long a key rests after a refusal that says neither how long nor belongs to a window."""
EARLY_MS = 300_000
"""A day's refusal this soon after the reset is the provider's clock being late: no reason to lose the day."""


RESERVED = "Reserved"
"""Outcome of a call that begins: what it costs is counted before it is sent. It stays when nobody tells the end."""
REFUSED_FOR_QUOTA = frozenset({errors.RateLimited.__name__, errors.QuotaExhausted.__name__})


@dataclass(frozen=True, slots=True)
class ProviderPolicy:
    """How a provider may be called: limits of each key, breaker policy, allowance; `zone` ends its day.

    `longest_ms` is how long a call is under way at most.
    """

    windows: Sequence[Window] = ()
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    allowance: Allowance | None = None
    zone: str = "UTC"
    keyless: bool = False
    longest_ms: int = 0


@dataclass(frozen=True, slots=True)
class CallBegan:
    """A call starts: it counts from here on, whatever becomes of it."""

    call_id: str
    label: str
    weight: float
    micros: int
    at: int


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call ended; `outcome` is `records` or a refusal's name, `said` what its answer reported of the quota.

    `scope` is what the answer refuses, and `reason` the provider's words; beside `records` it is the part of the range
    that the answer lacks.
    """

    call_id: str
    label: str
    outcome: str
    at: int
    retry_after_s: float | None = None
    resets_at: int | None = None
    said: ReportedQuota | None = None
    scope: Scope | None = None
    reason: str = ""
    began_at: int = 0
    """When the call began, ms UTC."""
    reserved_micros: int = 0
    """What was reserved for it, in millionths of a dollar."""
    charged_micros: int = 0
    """What it cost in the end."""


@dataclass(frozen=True, slots=True)
class BreakerReset:
    """An operator closes the breaker."""


Event = CallBegan | CallEnded | BreakerReset


class _PublishedCall(Protocol):
    """A published call: a message, or a row of the store. Times in ms UTC; labels, never keys."""

    @property
    def call_id(self) -> str: ...
    @property
    def key_label(self) -> str: ...
    @property
    def started_at(self) -> int: ...
    @property
    def ended_at(self) -> int | None: ...
    @property
    def outcome(self) -> str: ...
    @property
    def retry_after_s(self) -> float | None: ...
    @property
    def resets_at(self) -> int | None: ...
    @property
    def scope(self) -> str: ...
    @property
    def error(self) -> str: ...
    @property
    def said_left(self) -> float | None: ...
    @property
    def said_limit(self) -> float | None: ...
    @property
    def said_resets_at(self) -> int | None: ...
    @property
    def cost_calls(self) -> float: ...
    @property
    def cost_usd(self) -> float: ...
    @property
    def reserved_usd(self) -> float: ...


def began(call: _PublishedCall) -> CallBegan:
    """The event of a call's begin."""
    return CallBegan(call.call_id, call.key_label, call.cost_calls, _reserved(call), call.started_at)


def _reserved(call: _PublishedCall) -> int:
    """What was reserved, in millionths of a dollar; calls of before it was published cost all of it."""
    return round(max(call.reserved_usd, call.cost_usd) * MICROS)


def ended(call: _PublishedCall) -> CallEnded | None:
    """The event of a call's end; None before."""
    if call.outcome == RESERVED or call.ended_at is None:
        return None
    said = None if call.said_left is None else ReportedQuota(call.said_left, call.said_limit, call.said_resets_at)
    return CallEnded(
        call_id=call.call_id,
        label=call.key_label,
        outcome=call.outcome,
        at=call.ended_at,
        retry_after_s=call.retry_after_s,
        resets_at=call.resets_at,
        said=said,
        scope=Scope.read(call.scope),
        reason=call.error,
        began_at=call.started_at,
        reserved_micros=_reserved(call),
        charged_micros=round(call.cost_usd * MICROS),
    )


@dataclass(frozen=True, slots=True)
class KeyStatistics:
    """One key's life: calls begun, refused for its quota, failed at the provider, and the last outcome."""

    calls: int = 0
    refused: int = 0
    failed: int = 0
    last_at: int = 0
    last_outcome: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """One key: what it has used, and how it fared."""

    usage: KeyUsage = field(default_factory=KeyUsage)
    statistics: KeyStatistics = field(default_factory=KeyStatistics)

    def health(self, now: int) -> str:
        """`rejected`, `resting` after a refusal, or `healthy`."""
        if self.usage.rejected:
            return "rejected"
        return "resting" if self.usage.rest_until > now else "healthy"


@dataclass(frozen=True, slots=True)
class Account:
    """A provider's keys by label, its breaker, its budget, and what each key is not sold."""

    keys: Mapping[str, Key] = field(default_factory=dict)
    breaker: Breaker = field(default_factory=Breaker)
    budget: Budget = field(default_factory=Budget)
    refusals: Mapping[str, Refusals] = field(default_factory=dict)
    """By label of the key."""

    def key(self, label: str) -> Key:
        """The key of that label; a fresh one when nothing is known of it."""
        return self.keys.get(label) or Key()

    def with_key(self, label: str, key: Key) -> Account:
        """The account with one key changed."""
        return replace(self, keys={**self.keys, label: key})


def fold(account: Account, event: Event, policy: ProviderPolicy) -> Account:
    """Return the account after one more event."""
    match event:
        case CallBegan():
            return _began(account, event, policy)
        case CallEnded():
            return _ended(account, event, policy)
        case BreakerReset():
            return replace(account, breaker=breakers.reset(account.breaker))


def replayed(calls: Iterable[_PublishedCall], policy: ProviderPolicy) -> Account:
    """The account of these calls, in whatever order they are given: a call's begin and end each at its own time."""
    events: list[CallBegan | CallEnded] = []
    for call in calls:
        events.append(began(call))
        if end := ended(call):
            events.append(end)
    account = Account()
    for event in sorted(events, key=lambda event: (event.at, isinstance(event, CallEnded))):
        account = fold(account, event, policy)
    return account


def advanced(account: Account, policy: ProviderPolicy, now: int) -> Account:
    """Follow a clock that stepped back: it frees no call twice, and holds nobody up for longer than a window lasts."""
    keys = {}
    for label, key in account.keys.items():
        usage = quota.advance(key.usage, policy.windows, now)
        keys[label] = key if usage is key.usage else replace(key, usage=usage)
    return replace(account, keys=keys, breaker=breakers.advance(account.breaker, now))


def after_takeover(account: Account, policy: ProviderPolicy, now: int) -> Account:
    """The account as its next owner finds it, with no recorded end of the calls in flight: see `without_in_flight`.

    Rejected keys are asked anew: the key behind the label may have changed. What a key is not sold stays known.
    """
    anew = {label: replace(key, usage=replace(key.usage, rejected=False)) for label, key in account.keys.items()}
    found = replace(account, keys=anew, breaker=replace(account.breaker, probe=""))
    return without_in_flight(found, policy, in_flight(found), now)


def without_in_flight(account: Account, policy: ProviderPolicy, calls: Container[str], now: int) -> Account:
    """The account when these calls under way have ended, but for those that may still be on their way.

    An earlier owner made them, who died or gave the provider up: they may reach the provider as late as their time-out.
    """
    keys = {}
    for label, key in account.keys.items():
        usage = quota.land(key.usage, policy.windows, now, only=calls, longest_ms=policy.longest_ms)
        keys[label] = replace(key, usage=usage)
    return replace(account, keys=keys)


def in_flight(account: Account) -> frozenset[str]:
    """The ids of the calls under way."""
    return frozenset(call_id for key in account.keys.values() for call_id, *_ in key.usage.in_flight)


def abandoned(account: Account, policy: ProviderPolicy, began: CallBegan, now: int) -> Account:
    """The account when a call will never end: it counts as spent, and says nothing of the provider's health."""
    key = account.key(began.label)
    usage = quota.end(key.usage, policy.windows, began.call_id, now)
    changed = account.with_key(began.label, replace(key, usage=usage))
    return replace(changed, breaker=breakers.abandon(account.breaker, began.call_id))


def _began(account: Account, event: CallBegan, policy: ProviderPolicy) -> Account:
    key = account.key(event.label)
    usage = quota.begin(key.usage, policy.windows, event.call_id, event.weight, event.at)
    statistics = replace(key.statistics, calls=key.statistics.calls + 1, last_at=event.at)
    budget = account.budget
    if event.micros:
        budget = budgets.spend(budget, policy.allowance or Allowance(0), event.micros, event.at)
    return replace(
        account.with_key(event.label, Key(usage, statistics)),
        breaker=breakers.begin(account.breaker, policy.breaker, event.call_id, event.at),
        budget=budget,
    )


def _ended(account: Account, event: CallEnded, policy: ProviderPolicy) -> Account:
    key = account.key(event.label)
    known = any(call_id == event.call_id for call_id, *_ in key.usage.in_flight)
    usage = quota.end(key.usage, policy.windows, event.call_id, event.at, event.said)
    if event.outcome not in breakers.UNTOLD:
        usage = _with_verdict(usage, event, policy)
    refused = event.outcome in REFUSED_FOR_QUOTA
    statistics = replace(
        key.statistics,
        refused=key.statistics.refused + refused,
        failed=key.statistics.failed + (event.outcome in breakers.HEALTH),
        last_at=max(event.at, key.statistics.last_at),
        last_outcome=event.outcome,
    )
    back = event.reserved_micros - event.charged_micros if known else 0
    return replace(
        account.with_key(event.label, Key(usage, statistics)),
        breaker=breakers.end(account.breaker, policy.breaker, event.call_id, event.outcome, event.at),
        budget=budgets.give_back(account.budget, back, event.began_at, whole=not event.charged_micros),
        refusals=_refusals(account, event),
    )


def _refusals(account: Account, event: CallEnded) -> Mapping[str, Refusals]:
    """What the keys are not sold after a call; its answer may refuse a part of what it was asked."""
    if event.scope is None:
        return account.refusals
    outcome = "NotEntitled" if event.outcome == "records" else event.outcome
    known = account.refusals.get(event.label, ())
    return {**account.refusals, event.label: entitlement.learn(known, event.scope, outcome, event.reason, event.at)}


def _with_verdict(usage: KeyUsage, event: CallEnded, policy: ProviderPolicy) -> KeyUsage:
    """What the outcome says of the key."""
    match REFUSALS.get(event.outcome):
        case errors.RateLimited if event.retry_after_s is not None:
            return quota.rest(usage, event.at + round(event.retry_after_s * 1000))
        case errors.RateLimited:
            return quota.rest(usage, event.at + _cooling_ms(usage, policy.windows, event.at))
        case errors.QuotaExhausted:
            return quota.rest(usage, event.resets_at or _reset_of_the_day(usage, policy, event.at))
        case errors.KeyRejected if not policy.keyless:
            return quota.reject(usage)
        case _:
            return quota.served(usage)


def _cooling_ms(usage: KeyUsage, windows: Sequence[Window], now: int) -> int:
    """The rest of the window: a rolling one whole; a day's or month's when our own count, too, says that it is full.

    Otherwise a minute, and twice as long after each further refusal.
    """
    if rolling := [quota.ROLLING_MS[window.per] for window in windows if window.per in quota.ROLLING_MS]:
        return max(rolling) if max(rolling) > quota.ROLLING_MS["second"] else COOL_MS
    ends = [quota.window_end(window, now) - now for window in windows if quota.used(usage, window, now) >= window.calls]
    return max(ends, default=COOL_MS << min(usage.refused_in_a_row, 6))


def _reset_of_the_day(usage: KeyUsage, policy: ProviderPolicy, now: int) -> int:
    day = Window(1, "day", policy.zone)
    if now - quota.window_start(day, now) < EARLY_MS and usage.refused_in_a_row == 0:
        return now + COOL_MS
    return quota.window_end(day, now)
