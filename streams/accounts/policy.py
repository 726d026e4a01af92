"""How each provider may be called: what its connector declares, as far as the settings do not say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from connectors import Connector, connectors
from infra.settings import Settings
from streams.accounts.account import ProviderPolicy
from streams.accounts.breaker import BreakerPolicy
from streams.accounts.budget import Allowance
from streams.accounts.quota import Window


def labels(settings: Settings, connector: Connector) -> dict[str, str]:
    """The provider's keys by their labels, `polygon#1`; one without a secret where none is needed."""
    keys = settings.keys(connector.name) or (("",) if connector.auth.keyless else ())
    return {f"{connector.name}#{i}": key for i, key in enumerate(keys, 1)}


def options(settings: Settings, connector: Connector) -> dict[str, str]:
    """The parameters that the settings add to the provider's requests."""
    given = {"entitlement": settings.entitlement(connector.name)}
    return {name: value for name in connector.options if (value := given.get(name))}


def windows(settings: Settings, connector: Connector) -> tuple[Window, ...]:
    """The limits of each key. A limit of the settings counts calls as the declared limit of the same length does."""
    declared = tuple(Window(limit.calls, limit.per, limit.zone, limit.weighted) for limit in connector.limits)
    given = settings.limits(connector.name)
    if given is None:
        return declared
    known = {window.per: window for window in declared}
    return tuple(replace(known.get(per, Window(0, per, connector.zone)), calls=calls) for calls, per in given)


def policies(settings: Settings) -> Mapping[str, ProviderPolicy]:
    """The policy of every provider."""
    allowances = allowed(settings)
    return {
        name: ProviderPolicy(
            windows=windows(settings, connector),
            breaker=_breaker(settings, connector),
            allowance=allowances.get(name),
            zone=connector.zone,
            keyless=connector.auth.keyless,
            longest_ms=round(settings.http_timeout_s * 1000 * settings.clock_rate),
        )
        for name, connector in connectors().items()
    }


def allowed(settings: Settings) -> dict[str, Allowance]:
    """What each provider's calls may cost a day.

    A common budget below the sum of theirs is divided in proportion. Workers therefore cannot overspend it together,
    and need not ask each other before a call.
    """
    own = {name: settings.budget(name, connector.budget_usd) for name, connector in connectors().items()}
    priced = {name: usd for name, usd in own.items() if costs(settings, connectors()[name])}
    whole = settings.budget_usd
    if whole is not None:
        bounded = {name: whole if usd is None else min(usd, whole) for name, usd in priced.items()}
        total = sum(bounded.values())
        share = min(1.0, whole / total) if total else 1.0
        priced = {name: usd * share for name, usd in bounded.items()}
    return {name: Allowance.usd(usd, settings.budget_zone) for name, usd in priced.items() if usd is not None}


def costs(settings: Settings, connector: Connector) -> bool:
    """Return whether calls of the provider cost money."""
    price = settings.price(connector.name)
    return any(endpoint.usd for endpoint in connector.endpoints) if price is None else price > 0


def _breaker(settings: Settings, connector: Connector) -> BreakerPolicy:
    declared = (connector.failure_threshold, connector.recovery_s, connector.success_threshold)
    failures, recovery_s, successes = settings.breaker(connector.name) or declared
    return BreakerPolicy(failures, round(recovery_s * 1000), successes)
