"""The circuit breaker of one provider: a pure fold over outcomes. Knows no clock and no provider.

CLOSED --failure_threshold failures in a row--> OPEN --recovery_ms--> HALF_OPEN (one probe)
HALF_OPEN --success_threshold successes--> CLOSED,  HALF_OPEN --failure--> OPEN
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from connectors import errors

State = Literal["CLOSED", "OPEN", "HALF_OPEN"]
HEALTH = frozenset({errors.ProviderUnavailable.__name__})
"""Outcomes that speak against the provider's health; every other answer speaks for it."""
UNTOLD = frozenset({"Timeout"})
"""Outcomes that say nothing of it: the request could not wait for as long as a healthy provider may take."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When the breaker opens and how it recovers."""

    failure_threshold: int = 5
    """Failures in a row that open it."""
    recovery_ms: int = 60_000
    """Milliseconds that it stays open before a call is tried."""
    success_threshold: int = 1
    """Successes in a row that close it again."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """State of one provider."""

    state: State = "CLOSED"
    """`CLOSED` lets calls pass, `OPEN` none, `HALF_OPEN` one at a time."""
    failures: int = 0
    """Failed calls in a row while closed; they stay until it closes again."""
    successes: int = 0
    """Successful calls in a row while half open."""
    opened_at: int = 0
    """When it last opened, ms UTC; 0: never."""
    probe: str = ""
    """Id of the call that is the probe; empty: none is under way."""
    calls: int = 0
    """Calls begun, in all."""
    failed: int = 0
    """Calls that spoke against the provider's health, in all."""
    opened: int = 0
    """How often it opened."""

    @property
    def failure_rate(self) -> float | None:
        """Failed calls of all that began; None before the first."""
        return self.failed / self.calls if self.calls else None


def wait_ms(breaker: Breaker, policy: BreakerPolicy, now: int) -> int | None:
    """Ms until a call may be tried: 0 is now; None while another call is the probe (ask again when it ends)."""
    if breaker.state == "CLOSED":
        return 0
    if breaker.probe:
        return None
    return max(0, breaker.opened_at + policy.recovery_ms - now) if breaker.state == "OPEN" else 0


def advance(breaker: Breaker, now: int) -> Breaker:
    """Follow a clock that stepped back: nobody waits longer than the rest lasts."""
    return replace(breaker, opened_at=now) if breaker.opened_at > now else breaker


def begin(breaker: Breaker, policy: BreakerPolicy, call_id: str, now: int) -> Breaker:
    """Record that a call starts: from OPEN, after its rest, it is the one probe of HALF_OPEN."""
    counted = replace(breaker, calls=breaker.calls + 1)
    if breaker.state == "CLOSED" or wait_ms(breaker, policy, now) != 0:
        return counted  # a call that began before the breaker opened, reported late
    return replace(counted, state="HALF_OPEN", probe=call_id)


def end(breaker: Breaker, policy: BreakerPolicy, call_id: str, outcome: str, now: int) -> Breaker:
    """Record how a call ended. One that began before the breaker opened only counts: it says nothing new."""
    if outcome in UNTOLD:
        return abandon(breaker, call_id)
    failed = outcome in HEALTH
    counted = replace(breaker, failed=breaker.failed + failed)
    if breaker.state != "CLOSED" and breaker.probe != call_id:
        return counted
    if failed:
        failures = breaker.failures + 1
        if breaker.state == "CLOSED" and failures < policy.failure_threshold:
            return replace(counted, failures=failures)
        return replace(
            counted, state="OPEN", opened_at=now, failures=failures, successes=0, probe="", opened=breaker.opened + 1
        )
    successes = breaker.successes + 1
    if breaker.state == "CLOSED" or successes >= policy.success_threshold:
        return replace(counted, state="CLOSED", failures=0, successes=0, probe="")
    return replace(counted, successes=successes, probe="")


def abandon(breaker: Breaker, call_id: str) -> Breaker:
    """Record that a call will never end (cancelled, or a fault of ours): the next one probes in its place."""
    return replace(breaker, probe="") if breaker.probe == call_id else breaker


def reset(breaker: Breaker) -> Breaker:
    """Close it by hand; its statistics stay."""
    return replace(breaker, state="CLOSED", failures=0, successes=0, probe="")
