"""One provider as the poller sees it: its keys with what each has left, its breaker, its budget. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil

from connectors import Call, Connector, Request, connectors
from connectors.scope import Scope, sold_together
from infra.settings import Settings
from streams.accounts import account as accounts
from streams.accounts import breaker as breakers
from streams.accounts import budget as budgets
from streams.accounts import quota
from streams.accounts.account import Account, CallBegan, ProviderPolicy
from streams.accounts.entitlement import REMEMBERED_MS
from streams.accounts.policy import labels, options, policies
from streams.accounts.quota import Window
from streams.messaging.outcomes import PollOutcome
from streams.planning.entitlements import Entitlements

PROBE_MS = 1_000  # another call is the breaker's probe: ask again soon
BURST = 10  # so many calls a second are never held back


class NoKey(Exception):
    """No key of this provider may be asked for this: there is none, or none whose plan sells it (`NotEntitled`)."""

    def __init__(self, reason: str, outcome: PollOutcome = PollOutcome.NO_KEY) -> None:
        super().__init__(reason)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Permit:
    """Which key may be asked, and when."""

    label: str
    """The label of the key."""
    wait_ms: int
    """Milliseconds until it may be asked; 0: now."""
    why: PollOutcome = PollOutcome.BUSY
    """The outcome of a request that does not wait that long."""
    reason: str = ""
    """What there is to wait for, in words."""


@dataclass(slots=True)
class KeyPool:
    """The keys of one provider, the policy it is called by, and its account so far."""

    connector: Connector
    """The provider's declaration."""
    keys: Mapping[str, str]
    """Label to secret."""
    policy: ProviderPolicy = field(default_factory=ProviderPolicy)
    """Limits, breaker and allowance that bound the calls."""
    price: float | None = None
    """US dollars of a call or result, in place of what the connector declares; None: what it declares."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Parameters that the settings add to requests whose endpoint takes them."""
    account: Account = field(default_factory=Account)
    """What the calls have used up so far."""
    urgent: int = 0
    """Requests under way that somebody waits for: those of bulk stand back."""
    _paced: Sequence[Window] = ()
    _foreign: frozenset[str] = frozenset()
    """Ids of calls under way that an earlier owner made."""
    _served: dict[tuple[str, ...], int] = field(default_factory=dict)
    """When a key was last answered (ms UTC), by label, endpoint, market and interval."""

    def __post_init__(self) -> None:
        self._paced = paced(self.policy.windows)
        self.adopt(self.account)

    def adopt(self, account: Account) -> None:
        """Take over an account: of its keys, those that are configured."""
        own = {label: account.key(label) for label in self.keys}
        refusals = {label: account.refusals.get(label, ()) for label in self.keys}
        self.account = Account(own, account.breaker, account.budget, refusals)
        self._foreign = accounts.in_flight(self.account)

    def usd(self, endpoint: str) -> float:
        """The most that a call of that endpoint costs, in dollars."""
        return self.connector.endpoint(endpoint).price(self.price)

    def reserved_usd(self, call_id: str) -> float:
        """What the job that a call triggered holds reserved until its results come, in dollars."""
        return budgets.reserved(self.account.budget, call_id) / budgets.MICROS

    def next_permit(self, call: Call, http: Request, weight: float, now: int, *, urgent: bool = True) -> Permit:
        """Choose the key that may be asked soonest; among those ready, the one with the most left, then in turns.

        Calls of bulk are spread out, no more than twice as fast as the limit in the long run.
        Raises `NoKey` when there is none: no key configured, all rejected, or none entitled.
        """
        self.account = accounts.advanced(self.account, self.policy, now)
        if self._foreign:
            self.account = accounts.without_in_flight(self.account, self.policy, self._foreign, now)
            self._foreign &= accounts.in_flight(self.account)
        windows = self.policy.windows if urgent else (*self.policy.windows, *self._paced)
        waits = self._waits(windows, self._entitled(call, http, now), weight, now)
        soonest = min(waits.values())
        label = self._next([label for label, wait in waits.items() if wait == soonest], now)
        permit = Permit(label, soonest, *self._lack(soonest, now))
        pause = breakers.wait_ms(self.account.breaker, self.policy.breaker, now)
        pause = PROBE_MS if pause is None else pause
        if pause > soonest:
            permit = Permit(
                label, pause, PollOutcome.OPEN, f"{self.connector.name} rests after failures for {pause / 1000:.3g} s"
            )
        allowance, micros = self.policy.allowance, round(self.usd(http.endpoint) * budgets.MICROS)
        if allowance and not budgets.affords(self.account.budget, allowance, micros, now):
            spent = budgets.exhausted(self.account.budget, allowance, self.connector.name, now)
            permit = Permit(label, max(permit.wait_ms, spent.resets_at - now), PollOutcome.BUDGET_EXHAUSTED, str(spent))
        return permit

    def entitlements(self, now: int) -> Entitlements:
        """What the keys that are not rejected may be asked."""
        usable = [label for label, key in self.account.keys.items() if not key.usage.rejected]
        refusals = {label: self.account.refusals.get(label, ()) for label in usable}
        return Entitlements(self.connector, refusals, now, self.options)

    def covered(self, scope: Scope | None, call: Call, http: Request, label: str, now: int) -> Scope | None:
        """What a refusal covers, as this key's other answers show it.

        An endpoint that has answered the key within the day is sold. What is refused then is what was asked of it,
        whatever the words leave open; without another answer since, the next such refusal is believed.
        """
        if scope is None or scope.kind != "endpoint" or not call.symbols:
            return scope
        answered_at = self._served.pop(self._place(label, call, http), None)
        believed = answered_at is None or now - answered_at > REMEMBERED_MS
        return scope if believed else scope.model_copy(update={"symbols": call.symbols})

    def answered(self, call: Call, http: Request, label: str, now: int) -> None:
        """Remember that the key is sold what it was asked."""
        self._served[self._place(label, call, http)] = now

    @staticmethod
    def _place(label: str, call: Call, http: Request) -> tuple[str, ...]:
        return label, http.endpoint, call.interval or "", *sold_together(call.asset_class)

    def begin(self, label: str, call_id: str, endpoint: str, weight: float, now: int) -> CallBegan:
        """Record that a call with this key starts."""
        micros = round(self.usd(endpoint) * budgets.MICROS)
        began = CallBegan(call_id, label, weight, micros, now)
        self.account = accounts.fold(self.account, began, self.policy)
        return began

    def end(self, ended: accounts.CallEnded) -> None:
        """Record how the call ended: what it says of the key, and of the provider's health."""
        self.account = accounts.fold(self.account, ended, self.policy)

    def abandon(self, began: CallBegan, now: int) -> None:
        """Record that the call will never end."""
        self.account = accounts.abandoned(self.account, self.policy, began, now)

    def reset_breaker(self) -> None:
        """Close the breaker by hand."""
        self.account = accounts.fold(self.account, accounts.BreakerReset(), self.policy)

    def horizon(self, now: int) -> int:
        """Ms UTC since which calls still count in some window, or toward the day's money."""
        windows = [*self.policy.windows, *([self.policy.allowance.day] if self.policy.allowance else [])]
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

    def _entitled(self, call: Call, http: Request, now: int) -> list[str]:
        """The keys that are sold such a request. Raises `NoKey` where there are keys and none of them is."""
        entitlements, endpoint = self.entitlements(now), self.connector.endpoint(http.endpoint)
        given = self.connector.fields(http)
        refused = {label: entitlements.refused(label, endpoint, call, given) for label in entitlements.refusals}
        if refused and all(refused.values()):
            reason = f"no plan of {self.connector.name}'s keys sells {next(iter(refused.values()))}"
            raise NoKey(reason, PollOutcome.NOT_ENTITLED)
        return [label for label, known in refused.items() if known is None]

    def _waits(self, windows: Sequence[Window], entitled: Iterable[str], weight: float, now: int) -> dict[str, int]:
        waits = {
            label: wait
            for label in entitled
            if (wait := quota.wait_ms(self.account.keys[label].usage, windows, weight, now)) < quota.NEVER
        }
        if not waits:
            raise NoKey(self._why_none(weight))
        return waits

    def _next(self, labels: Sequence[str], now: int) -> str:
        """The key with the most left; of several, the one that was asked longest ago."""

        def place(label: str) -> tuple[float, int]:
            key = self.account.keys[label]
            return -round(quota.left(key.usage, self.policy.windows, now), 6), key.statistics.calls

        return min(labels, key=place)

    def _why_none(self, weight: float) -> str:
        name = self.connector.name
        keys = self.account.keys
        if not keys:
            return f"no key for {name}: set {name.upper()}_KEYS"
        if all(key.usage.rejected for key in keys.values()):
            return f"{name} rejected every key: {', '.join(keys)}"
        heavy = next(window for window in self.policy.windows if window.amount(1, weight) > window.calls)
        limit = f"{heavy.calls:g}/{heavy.per}"
        return f"a call of {name} costs {weight:g} calls, more than {limit}: raise {name.upper()}_LIMITS"


def open_key_pools(settings: Settings) -> Mapping[str, KeyPool]:
    """One key pool per provider, with the keys and the policy that the settings give it."""
    agreed = policies(settings)
    return {
        name: KeyPool(
            connector, labels(settings, connector), agreed[name], settings.price(name), options(settings, connector)
        )
        for name, connector in connectors().items()
    }


def paced(windows: Sequence[Window]) -> tuple[Window, ...]:
    """What keeps bulk from spending a minute's calls in its first second: twice the average rate, or `BURST`."""
    return tuple(
        Window(max(BURST, ceil(window.calls / 30)), "second", window.zone, window.weighted)
        for window in windows
        if window.per == "minute"
    )
