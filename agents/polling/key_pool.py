"""One provider as the poller sees it: its keys with what each has left, its breaker, its budget. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil

from connectors import Connector, connectors
from infra.settings import Settings
from streams.accounts import account as accounts
from streams.accounts import breaker as breakers
from streams.accounts import budget as budgets
from streams.accounts import quota
from streams.accounts.account import Account, Began, ProviderPolicy
from streams.accounts.policy import labels, terms
from streams.accounts.quota import Window
from streams.messaging.outcomes import PollOutcome

PROBE_MS = 1_000  # another call is the breaker's probe: ask again soon
BURST = 10  # so many calls a second are never held back


class NoKey(Exception):
    """No key of this provider may ever be asked for this."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Which key may be asked, and in how many ms (0: now); `why` and `reason` say what has to be waited for."""

    label: str
    wait_ms: int
    why: PollOutcome = PollOutcome.BUSY
    reason: str = ""


@dataclass(slots=True)
class KeyPool:
    """The keys (label to secret) of one provider, on which terms it is called, and its account so far.

    `price` in dollars replaces what the connector declares a call to cost.
    """

    connector: Connector
    keys: Mapping[str, str]
    terms: ProviderPolicy = field(default_factory=ProviderPolicy)
    price: float | None = None
    account: Account = field(default_factory=Account)
    urgent: int = 0
    """Requests under way that somebody waits for: those of bulk stand back."""
    _paced: Sequence[Window] = ()
    _foreign: frozenset[str] = frozenset()
    """Ids of calls under way that an earlier owner made."""

    def __post_init__(self) -> None:
        self._paced = paced(self.terms.windows)
        self.adopt(self.account)

    def adopt(self, account: Account) -> None:
        """Take over an account: of its keys, those that are configured."""
        self.account = Account({label: account.key(label) for label in self.keys}, account.breaker, account.budget)
        self._foreign = accounts.in_flight(self.account)

    def usd(self, endpoint: str) -> float:
        """What a call of that endpoint costs, in dollars."""
        declared = self.connector.endpoint(endpoint).usd
        return declared if self.price is None else self.price

    def next_permit(self, endpoint: str, weight: float, now: int, *, urgent: bool = True) -> Permit:
        """Choose the key that may be asked soonest; among those ready, the one with the most left, then in turns.

        Calls of bulk are spread out, no more than twice as fast as the limit in the long run.
        Raises `NoKey` when there is none: no key configured, all rejected, or none entitled.
        """
        self.account = accounts.settled(self.account, self.terms, now)
        if self._foreign:
            self.account = accounts.without_in_flight(self.account, self.terms, self._foreign, now)
            self._foreign &= accounts.in_flight(self.account)
        windows = self.terms.windows if urgent else (*self.terms.windows, *self._paced)
        waits = self._waits(windows, endpoint, weight, now)
        soonest = min(waits.values())
        label = self._next([label for label, wait in waits.items() if wait == soonest], now)
        permit = Permit(label, soonest, *self._lack(soonest, now))
        pause = breakers.wait_ms(self.account.breaker, self.terms.policy, now)
        pause = PROBE_MS if pause is None else pause
        if pause > soonest:
            permit = Permit(
                label, pause, PollOutcome.OPEN, f"{self.connector.name} rests after failures for {pause / 1000:.3g} s"
            )
        allowance, micros = self.terms.allowance, round(self.usd(endpoint) * budgets.MICROS)
        if allowance and not budgets.affords(self.account.budget, allowance, micros, now):
            spent = budgets.exhausted(self.account.budget, allowance, self.connector.name, now)
            permit = Permit(label, max(permit.wait_ms, spent.resets_at - now), PollOutcome.BUDGET_EXHAUSTED, str(spent))
        return permit

    @property
    def not_entitled(self) -> frozenset[str]:
        """Endpoints that no plan of the keys sells."""
        known = [key.usage.not_entitled for key in self.account.keys.values() if not key.usage.rejected]
        return frozenset.intersection(*known) if known else frozenset()

    def begin(self, label: str, call_id: str, endpoint: str, weight: float, now: int) -> Began:
        """Record that a call with this key starts."""
        micros = round(self.usd(endpoint) * budgets.MICROS)
        began = Began(call_id, label, weight, micros, now)
        self.account = accounts.fold(self.account, began, self.terms)
        return began

    def end(self, ended: accounts.Ended) -> None:
        """Record how the call ended: what it says of the key, and of the provider's health."""
        self.account = accounts.fold(self.account, ended, self.terms)

    def abandon(self, began: Began, now: int) -> None:
        """Record that the call will never end."""
        self.account = accounts.abandoned(self.account, self.terms, began, now)

    def reset_breaker(self) -> None:
        """Close the breaker by hand."""
        self.account = accounts.fold(self.account, accounts.BreakerReset(), self.terms)

    def horizon(self, now: int) -> int:
        """Ms UTC since which calls still count in some window, or toward the day's money."""
        windows = [*self.terms.windows, *([self.terms.allowance.day] if self.terms.allowance else [])]
        starts = (
            now - quota.ROLLING_MS[window.per] if window.per in quota.ROLLING_MS else quota.window_start(window, now)
            for window in windows
        )
        return min(starts, default=now)

    def _lack(self, wait_ms: int, now: int) -> tuple[PollOutcome, str]:
        """What is waited for, and in words: a call of the running minute, or, for longer, the end of a day or month."""
        name = self.connector.name
        if wait_ms <= quota.ROLLING_MS["minute"]:
            return PollOutcome.BUSY, f"{name} is free in {wait_ms / 1000:.3g} s"
        free_at = datetime.fromtimestamp((now + wait_ms) / 1000, UTC)
        return PollOutcome.QUOTA_EXHAUSTED, f"{name} has no call left before {free_at:%Y-%m-%d %H:%M} UTC"

    def _waits(self, windows: Sequence[Window], endpoint: str, weight: float, now: int) -> dict[str, int]:
        waits = {
            label: wait
            for label, key in self.account.keys.items()
            if endpoint not in key.usage.not_entitled
            and (wait := quota.wait_ms(key.usage, windows, weight, now)) < quota.NEVER
        }
        if not waits:
            raise NoKey(self._why_none(endpoint, weight))
        return waits

    def _next(self, labels: Sequence[str], now: int) -> str:
        """The key with the most left; of several, the one that was asked longest ago."""

        def place(label: str) -> tuple[float, int]:
            key = self.account.keys[label]
            return -round(quota.left(key.usage, self.terms.windows, now), 6), key.statistics.calls

        return min(labels, key=place)

    def _why_none(self, endpoint: str, weight: float) -> str:
        name = self.connector.name
        keys = self.account.keys
        if not keys:
            return f"no key for {name}: set {name.upper()}_KEYS"
        if all(key.usage.rejected for key in keys.values()):
            return f"{name} rejected every key: {', '.join(keys)}"
        if heavy := [window for window in self.terms.windows if window.amount(1, weight) > window.calls]:
            limit = f"{heavy[0].calls:g}/{heavy[0].per}"
            return f"a call of {name} costs {weight:g} calls, more than {limit}: raise {name.upper()}_LIMITS"
        return f"no plan of {name}'s keys sells its endpoint {endpoint!r}"


def open_key_pools(settings: Settings) -> Mapping[str, KeyPool]:
    """One key pool per provider, with the keys and on the terms that the settings give it."""
    agreed = terms(settings)
    return {
        name: KeyPool(connector, labels(settings, connector), agreed[name], settings.price(name))
        for name, connector in connectors().items()
    }


def paced(windows: Sequence[Window]) -> tuple[Window, ...]:
    """What keeps bulk from spending a minute's calls in its first second: twice the average rate, or `BURST`."""
    return tuple(
        Window(max(BURST, ceil(window.calls / 30)), "second", window.zone, window.weighted)
        for window in windows
        if window.per == "minute"
    )
