"""What each provider may still be asked: its policy by the settings, and what the calls so far have used. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from connectors import connector
from infra.clickhouse.queries import CallCost, RefusedCall
from infra.settings import Settings
from streams.accounts import account as accounts
from streams.accounts import budget, entitlement, quota
from streams.accounts.account import Account, ProviderPolicy
from streams.accounts.policy import labels, policies
from streams.planning.plan import Availability


def horizons(settings: Settings, providers: Iterable[str], now: int) -> dict[str, int]:
    """For each provider the moment (ms UTC) since which calls still count in some window, or toward the day's money."""
    every = policies(settings)
    return {name: min(_starts(every[name], now), default=now) for name in providers}


def availabilities(
    settings: Settings,
    providers: Iterable[str],
    calls: Sequence[CallCost],
    refused: Iterable[RefusedCall],
    now: int,
) -> list[Availability]:
    """The providers, with what is left of their quotas and money after `calls`.

    `refused` are calls, oldest first, that say what a key is not sold. A provider without a key has no usages.
    """
    every, refusals = policies(settings), entitlement.replayed(refused)
    by_provider: dict[str, list[CallCost]] = {}
    for call in calls:
        by_provider.setdefault(call.provider, []).append(call)
    found = []
    for name in providers:
        own = every[name]
        account = accounts.after_takeover(accounts.replayed(by_provider.get(name, ()), own), own, now)
        usages = {label: account.key(label).usage for label in labels(settings, connector(name))}
        found.append(
            Availability(
                connector(name),
                own.windows,
                usages,
                _usd_left(account, own, now),
                settings.price(name),
                refusals=refusals.get(name, {}),
            )
        )
    return found


def _starts(own: ProviderPolicy, now: int) -> Iterable[int]:
    for window in (*own.windows, *([own.allowance.day] if own.allowance else [])):
        rolling = quota.ROLLING_MS.get(window.per)
        yield now - rolling if rolling else quota.window_start(window, now)


def _usd_left(account: Account, own: ProviderPolicy, now: int) -> float | None:
    if own.allowance is None:
        return None
    spent = budget.today(account.budget, own.allowance, now)
    return max(0, own.allowance.micros - spent.micros) / budget.MICROS
