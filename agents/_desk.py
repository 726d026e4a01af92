"""One provider as the poller sees it: its keys with what each has left, and its breaker. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors import Connector, Refusal
from connectors import _errors as errors
from streams.state import breaker as breakers
from streams.state import quota
from streams.state.breaker import Breaker, Policy
from streams.state.quota import KeyUsage, Window

COOL_MS = 60_000  # a 429 without Retry-After: the longest window providers use for bursts


class NoKey(Exception):
    """No key of this provider may ever be asked for this."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Which key may be asked, and in how many ms (0: now)."""

    label: str
    wait_ms: int


@dataclass(frozen=True, slots=True)
class Begun:
    """A call under way: its key, and its number at the breaker."""

    label: str
    number: int


@dataclass(slots=True)
class Desk:
    """The keys (label to secret) of one provider, their quota windows, its breaker."""

    connector: Connector
    keys: Mapping[str, str]
    windows: Sequence[Window]
    policy: Policy = field(default_factory=Policy)
    usage: dict[str, KeyUsage] = field(default_factory=dict)
    breaker: Breaker = field(default_factory=Breaker)
    _last: int = -1

    def __post_init__(self) -> None:
        for label in self.keys:
            self.usage.setdefault(label, KeyUsage())

    def turn(self, endpoint: str, weight: float, now: int) -> Turn:
        """Choose the key that may be asked soonest; among those ready, the one after the last asked.

        Raises `NoKey` when there is none: no key configured, all rejected, or none entitled.
        """
        pause = breakers.wait_ms(self.breaker, self.policy, now)
        self.usage = {label: quota.settle(usage, self.windows, now) for label, usage in self.usage.items()}
        waits = {
            label: quota.wait_ms(usage, self.windows, weight, now)
            for label, usage in self.usage.items()
            if endpoint not in usage.unsold
        }
        able = {label: wait for label, wait in waits.items() if wait < quota.NEVER}
        if not able:
            raise NoKey(self._why_none(endpoint, weight))
        soonest = min(able.values())
        places = list(self.usage)
        labels = [label for label, wait in able.items() if wait == soonest]
        later = [label for label in labels if places.index(label) > self._last]
        return Turn((later or labels)[0], max(soonest, 1_000 if pause is None else pause))

    @property
    def unsold(self) -> frozenset[str]:
        """Endpoints that no plan of the keys sells."""
        known = [usage.unsold for usage in self.usage.values() if not usage.rejected]
        return frozenset.intersection(*known) if known else frozenset()

    def begin(self, label: str, weight: float, now: int) -> Begun:
        """Record that a call with this key starts."""
        self._last = list(self.usage).index(label)
        self.usage[label] = quota.spend(self.usage[label], self.windows, weight, now)
        self.breaker = breakers.begin(self.breaker, self.policy, now)
        return Begun(label, self.breaker.calls)

    def abandon(self, call: Begun) -> None:
        """Record that the call will never end: it counts as spent, and says nothing of the provider's health."""
        self.breaker = breakers.abandon(self.breaker, call.number)

    def end(self, call: Begun, endpoint: str, refusal: Refusal | None, now: int) -> None:
        """Record how the call ended: what it says of the key, and of the provider's health."""
        outcome = refusal.name if refusal else "records"
        self.breaker = breakers.end(self.breaker, self.policy, outcome, now, call.number)
        self.usage[call.label] = self._told(self.usage[call.label], endpoint, refusal, now)

    def replay(self, label: str, weight: float, outcome: str, retry_after: float | None, started_at: int) -> None:
        """Count a call of an earlier life of the worker: its cost, and the rest that its refusal asked for.

        Rejected keys and unsold endpoints are asked anew: the key behind the label, or its plan, may have changed.
        """
        if label not in self.usage:
            return
        usage = quota.spend(self.usage[label], self.windows, weight, started_at)
        if outcome == "RateLimited":
            usage = self._told(usage, "", errors.RateLimited(retry_after=retry_after), started_at)
        elif outcome == "QuotaExhausted":
            usage = self._told(usage, "", errors.QuotaExhausted(), started_at)
        self.usage[label] = usage

    def horizon(self, now: int) -> int:
        """Ms UTC since which calls still count in some window."""
        return min(
            (
                now - quota.ROLLING_MS[window.per]
                if window.per in quota.ROLLING_MS
                else quota.window_start(window, now)
                for window in self.windows
            ),
            default=now,
        )

    def _told(self, usage: KeyUsage, endpoint: str, refusal: Refusal | None, now: int) -> KeyUsage:
        match refusal:
            case errors.RateLimited():
                seconds = refusal.retry_after
                usage = quota.rest(usage, now + (COOL_MS if seconds is None else round(seconds * 1000)))
            case errors.QuotaExhausted():
                day = Window(calls=1, per="day", zone=self.connector.zone)
                usage = quota.rest(usage, refusal.resets_at or quota.window_end(day, now))
            case errors.KeyRejected() if not self.connector.auth.keyless:
                usage = quota.reject(usage)
            case errors.NotEntitled() if not refusal.slice_only:
                usage = quota.unsell(usage, endpoint)
        return usage

    def _why_none(self, endpoint: str, weight: float) -> str:
        name = self.connector.name
        if not self.usage:
            return f"no key for {name}: set {name.upper()}_KEYS"
        if all(usage.rejected for usage in self.usage.values()):
            return f"{name} rejected every key: {', '.join(self.usage)}"
        if heavy := [window for window in self.windows if weight > window.calls]:
            limit = f"{heavy[0].calls:g}/{heavy[0].per}"
            return f"a call of {name} costs {weight:g} calls, more than {limit}: raise {name.upper()}_LIMITS"
        return f"no plan of {name}'s keys sells its endpoint {endpoint!r}"
