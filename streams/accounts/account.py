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
    """How a provider may be called."""

    windows: Sequence[Window] = ()
    """The limits of each key, in calls."""
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    """When the provider's breaker opens, and how it recovers."""
    allowance: Allowance | None = None
    """The money of a day; None: nothing bounds it."""
    zone: str = "UTC"
    """The zone whose midnight ends the provider's day."""
    keyless: bool = False
    """Whether the provider needs no key."""
    longest_ms: int = 0
    """Milliseconds that a call is under way at most."""


@dataclass(frozen=True, slots=True)
class CallBegan:
    """A call starts: it counts from here on, whatever becomes of it."""

    call_id: str
    """The id of the call."""
    label: str
    """The label of its key."""
    weight: float
    """What it takes of the key's windows, in calls or credits."""
    micros: int
    """What is reserved for it, in millionths of a dollar."""
    at: int
    """When it began, ms UTC."""


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call ended."""

    call_id: str
    """The id of the call."""
    label: str
    """The label of its key."""
    outcome: str
    """`records`, or the name of the refusal."""
    at: int
    """When it ended, ms UTC."""
    retry_after_s: float | None = None
    """Seconds that the provider asks to wait; None: it did not say."""
    resets_at: int | None = None
    """When the key's quota is whole again, ms UTC, as a refusal said; None: it did not say."""
    said: ReportedQuota | None = None
    """What the answer reported of the key's quota; None: nothing."""
    scope: Scope | None = None
    """What the answer refuses; beside `records` the part of the range that the answer lacks."""
    reason: str = ""
    """The provider's words about that."""
    began_at: int = 0
    """When the call began, ms UTC."""
    reserved_micros: int = 0
    """What was reserved for it, in millionths of a dollar."""
    charged_micros: int = 0
    """What it cost in the end, in millionths of a dollar; negative: what it gives back of a job's price."""
    triggered_by: str = ""
    """Id of the call that paid for the job whose results this one asks for; empty: there is no job."""


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
    @property
    def triggered_by(self) -> str: ...


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
        triggered_by=call.triggered_by,
    )


@dataclass(frozen=True, slots=True)
class KeyStatistics:
    """One key's life, since its account began."""

    calls: int = 0
    """Calls begun."""
    refused: int = 0
    """Calls that were refused for the key's quota."""
    failed: int = 0
    """Calls that failed at the provider."""
    last_at: int = 0
    """When the last of its calls began or ended, ms UTC; 0 before the first."""
    last_outcome: str = ""
    """How the last call ended; empty before the first."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key: what it has used, and how it fared."""

    usage: KeyUsage = field(default_factory=KeyUsage)
    """What it has used of its windows."""
    statistics: KeyStatistics = field(default_factory=KeyStatistics)
    """How its calls fared."""

    def health(self, now: int) -> str:
        """`rejected`, `resting` after a refusal, or `healthy`."""
        if self.usage.rejected:
            return "rejected"
        return "resting" if self.usage.rest_until > now else "healthy"


@dataclass(frozen=True, slots=True)
class Account:
    """A provider's keys by label, its breaker, its budget, and what each key is not sold."""

    keys: Mapping[str, Key] = field(default_factory=dict)
    """Label to key, of those that were called."""
    breaker: Breaker = field(default_factory=Breaker)
    """The circuit breaker of the provider."""
    budget: Budget = field(default_factory=Budget)
    """What was spent today."""
    refusals: Mapping[str, Refusals] = field(default_factory=dict)
    """What each key is not sold, by its label."""

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
    return replace(
        account.with_key(event.label, Key(usage, statistics)),
        breaker=breakers.end(account.breaker, policy.breaker, event.call_id, event.outcome, event.at),
        budget=_charged(account.budget, event) if known else account.budget,
        refusals=_refusals(account, event),
    )


def _charged(budget: Budget, event: CallEnded) -> Budget:
    """The budget when it is known what a call cost, or what the job cost whose results it brought."""
    if event.charged_micros < 0:
        return budgets.settle(budget, event.triggered_by, -event.charged_micros)
    back = event.reserved_micros - event.charged_micros
    budget = budgets.give_back(budget, back, event.began_at, whole=not event.charged_micros)
    if event.outcome != errors.Pending.__name__:
        return budget
    return budgets.trigger(budget, event.call_id, event.charged_micros, event.began_at)


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
