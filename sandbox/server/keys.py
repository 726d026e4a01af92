"""Which keys a provider accepts, on which plan, and what each has used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sandbox.errors import InvalidSettings
from sandbox.server.limits import Limit, Meter, Plan

if TYPE_CHECKING:
    from sandbox.server.provider import Provider

KeyPlan = str | Sequence[Limit] | None
"""A plan of the provider by name (`"free"`), limits of one's own, or None: unlimited and sold everything."""

ANY_KEY = "*"


class Keyring:
    """The keys of one provider. A key `*` accepts every key, each metered by itself."""

    def __init__(self, provider: Provider, keys: Mapping[str, KeyPlan] | None = None) -> None:
        if keys is None:
            keys = {ANY_KEY if provider.any_key else f"demo-{provider.name}-1": next(iter(provider.plans))}
        self._provider = provider
        self._any = _plan(provider, keys[ANY_KEY]) if ANY_KEY in keys else None
        self._meters = {key: Meter(_plan(provider, plan)) for key, plan in keys.items() if key != ANY_KEY}

    def meter(self, key: str) -> Meter | None:
        """The meter of a key; None for an unknown one."""
        if key not in self._meters and self._any is not None:
            self._meters[key] = Meter(self._any)
        return self._meters.get(key)

    def label(self, key: str | None) -> str:
        """How the log names a key: by provider and place (`polygon#2`), so that no key is ever shown."""
        if key is None:
            return "none"
        if key not in self._meters:
            return "unknown"
        return f"{self._provider.name}#{list(self._meters).index(key) + 1}"

    def reset(self) -> None:
        """Return every key its quota back."""
        self._meters = {key: Meter(meter.plan) for key, meter in self._meters.items()}

    def as_json(self) -> dict[str, list[dict[str, Any]]]:
        """`{label: [{calls, per, used, peak}]}`: use in the last window touched, and the most in any window."""
        return {
            self.label(key): [
                {
                    "calls": limit.calls,
                    "per": limit.per,
                    "credits": limit.credits,
                    "used": meter.used.get(limit, 0),
                    "peak": meter.peak.get(limit, 0),
                }
                for limit in meter.plan.limits
            ]
            for key, meter in self._meters.items()
        }


def _plan(provider: Provider, plan: KeyPlan) -> Plan:
    if plan is None:
        return Plan()
    if isinstance(plan, str):
        if plan not in provider.plans:
            raise InvalidSettings(
                f"{provider.name} has no plan {plan!r}; it has {', '.join(provider.plans)}. "
                "Limits of your own are a list of Limit."
            )
        return provider.plans[plan]
    return Plan(tuple(plan))
