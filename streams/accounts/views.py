"""What an account looks like to a person: keys, breakers and budgets as plain data. Pure; times in ms, dollars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from streams.accounts import breaker as breakers
from streams.accounts import budget as budgets
from streams.accounts import quota
from streams.accounts.account import Account, ProviderPolicy
from streams.accounts.entitlement import Refusals, current
from streams.accounts.quota import ROLLING_MS


@dataclass(frozen=True, slots=True)
class RefusalView:
    """What a key is not sold, as the provider said it."""

    what: str
    """The scope as a sentence: `aggregates (equity etf, 1d): ranges that begin 730 days ago or earlier`."""
    kind: str
    """`range`, `parameter`, `symbol`, `exchange`, `endpoint` or `key`."""
    outcome: str
    """`NotEntitled`, or `InvalidRequest` for what no plan sells."""
    reason: str
    """The provider's words."""
    since: int
    """When it was first said, ms UTC."""
    until: int
    """When it is asked again, ms UTC."""


@dataclass(frozen=True, slots=True)
class KeyView:
    """One key."""

    key: str
    """The label of the key."""
    provider: str
    """Its provider's name."""
    health: str
    """One word for what its next call can expect: see `streams.accounts.account.Key.health`."""
    used: Mapping[str, float]
    """Calls (or credits) used of each limit, by the limit as it is written (`5/minute`)."""
    resets_ms: Mapping[str, int]
    """Milliseconds until each limit is whole again, by the limit."""
    rests_ms: int
    """Milliseconds that the key rests yet; 0: it does not."""
    not_sold: tuple[RefusalView, ...]
    """What it is not sold."""
    calls: int
    """Calls begun."""
    refused: int
    """Calls that were refused for the key's quota."""
    failed: int
    """Calls that failed at the provider."""
    last_outcome: str
    """How the last call ended; empty before the first."""


@dataclass(frozen=True, slots=True)
class BreakerView:
    """One provider's breaker."""

    provider: str
    """The provider's name."""
    state: str
    """`CLOSED`, `OPEN` or `HALF_OPEN`."""
    calls: int
    """Calls begun."""
    failures: int
    """Calls that spoke against the provider's health, in all."""
    failure_rate: float | None
    """Share (0 to 1) of such calls in all; None before the first call."""
    in_a_row: int
    """Failures in a row."""
    opened: int
    """How often it opened."""
    trial_ms: int
    """Milliseconds until the next trial while it is open; 0: a call may be made now, or a trial is under way."""
    policy: str
    """What opens and closes it, as the setting is written: failures, seconds, successes."""


@dataclass(frozen=True, slots=True)
class BudgetView:
    """One provider's money today."""

    provider: str
    """The provider's name."""
    spent_usd: float
    """US dollars spent or reserved since midnight."""
    limit_usd: float
    """US dollars that the day allows."""
    left_usd: float
    """US dollars that are left, never below 0."""
    share: float
    """What was spent as a share of the limit: 1 is all of it, more where a call cost more than was left."""
    paid_calls: int
    """Calls that cost money, a count."""
    resets_ms: int
    """Milliseconds until the next day of money."""
    zone: str
    """The zone whose midnight begins it."""


def keys(provider: str, account: Account, policy: ProviderPolicy, now: int) -> list[KeyView]:
    """The provider's keys, in the order of their labels."""
    found = []
    for label, key in account.keys.items():
        usage = quota.advance(key.usage, policy.windows, now)
        found.append(
            KeyView(
                key=label,
                provider=provider,
                health=key.health(now),
                used={_limit(window): quota.used(usage, window, now) for window in policy.windows},
                resets_ms={_limit(window): _resets_ms(window, now) for window in policy.windows},
                rests_ms=max(0, usage.rest_until - now),
                not_sold=_not_sold(account.refusals.get(label, ()), now),
                **_statistics(asdict(key.statistics)),
            )
        )
    return found


def _not_sold(refusals: Refusals, now: int) -> tuple[RefusalView, ...]:
    return tuple(
        RefusalView(str(known.covers), known.covers.kind, known.outcome, known.reason, known.since, known.until)
        for known in current(refusals, now)
    )


def breaker(provider: str, account: Account, policy: ProviderPolicy, now: int) -> BreakerView:
    """The provider's breaker."""
    state, limits = account.breaker, policy.breaker
    return BreakerView(
        provider=provider,
        state=state.state,
        calls=state.calls,
        failures=state.failed,
        failure_rate=state.failure_rate,
        in_a_row=state.failures,
        opened=state.opened,
        trial_ms=breakers.wait_ms(state, limits, now) or 0,
        policy=f"{limits.failure_threshold}/{limits.recovery_ms / 1000:g} s/{limits.success_threshold}",
    )


def budget(provider: str, account: Account, policy: ProviderPolicy, now: int) -> BudgetView | None:
    """The provider's money today; None where nothing bounds it."""
    allowance = policy.allowance
    if allowance is None:
        return None
    spent = budgets.today(account.budget, allowance, now)
    return BudgetView(
        provider=provider,
        spent_usd=spent.micros / budgets.MICROS,
        limit_usd=allowance.micros / budgets.MICROS,
        left_usd=max(0, allowance.micros - spent.micros) / budgets.MICROS,
        share=spent.micros / allowance.micros if allowance.micros else 1.0,
        paid_calls=spent.calls,
        resets_ms=budgets.resets_at(spent, allowance, now) - now,
        zone=allowance.zone,
    )


def provider(name: str, account: Account, policy: ProviderPolicy, now: int) -> dict[str, Any]:
    """Everything of one provider as JSON can carry it."""
    money = budget(name, account, policy, now)
    return {
        "keys": [asdict(key) for key in keys(name, account, policy, now)],
        "breaker": asdict(breaker(name, account, policy, now)),
        "budget": asdict(money) if money else None,
    }


def _limit(window: quota.Window) -> str:
    return f"{window.calls:g}/{window.per}"


def _resets_ms(window: quota.Window, now: int) -> int:
    return ROLLING_MS[window.per] if window.per in ROLLING_MS else quota.window_end(window, now) - now


def _statistics(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in ("calls", "refused", "failed", "last_outcome")}
