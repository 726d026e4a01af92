"""The circuit breaker of one provider: a pure fold over outcomes. Knows no clock and no provider.

CLOSED --failure_threshold failures in a row--> OPEN --recovery_ms--> HALF_OPEN (one probe)
HALF_OPEN --success_threshold successes--> CLOSED,  HALF_OPEN --failure--> OPEN
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

State = Literal["CLOSED", "OPEN", "HALF_OPEN"]
HEALTH = frozenset({"ProviderUnavailable"})
"""Outcomes that speak against the provider's health; every other answer speaks for it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When the breaker opens and how it recovers."""

    failure_threshold: int = 5
    recovery_ms: int = 60_000
    success_threshold: int = 1


@dataclass(frozen=True, slots=True)
class Breaker:
    """State of one provider; `failures` in a row while closed, `successes` in a row while half open."""

    state: State = "CLOSED"
    failures: int = 0
    successes: int = 0
    opened_at: int = 0
    probe: int = 0
    """Number of the call that is the probe; 0: none is under way."""
    calls: int = 0
    """Calls begun: a call's number is this count after its `begin`."""
    failed: int = 0


def wait_ms(breaker: Breaker, policy: Policy, now: int) -> int | None:
    """Ms until a call may be tried: 0 is now; None while another call is the probe (ask again when it ends)."""
    if breaker.state == "CLOSED":
        return 0
    if breaker.probe:
        return None
    return max(0, breaker.opened_at + policy.recovery_ms - now) if breaker.state == "OPEN" else 0


def begin(breaker: Breaker, policy: Policy, now: int) -> Breaker:
    """Record that a call starts: from OPEN, after its rest, it is the one probe of HALF_OPEN."""
    if breaker.state == "CLOSED":
        return replace(breaker, calls=breaker.calls + 1)
    if wait_ms(breaker, policy, now) != 0:
        raise ValueError(f"a call may not start: the breaker is {breaker.state} and its probe is not due")
    number = breaker.calls + 1
    return replace(breaker, state="HALF_OPEN", probe=number, calls=number)


def end(breaker: Breaker, policy: Policy, outcome: str, now: int, number: int) -> Breaker:
    """Record how call `number` ended. One that began before the breaker opened only counts: it says nothing new."""
    failed = outcome in HEALTH
    counted = replace(breaker, failed=breaker.failed + failed)
    if breaker.state != "CLOSED" and breaker.probe != number:
        return counted
    if failed:
        failures = breaker.failures + 1
        if breaker.state == "CLOSED" and failures < policy.failure_threshold:
            return replace(counted, failures=failures)
        return replace(counted, state="OPEN", opened_at=now, failures=failures, successes=0, probe=0)
    successes = breaker.successes + 1
    if breaker.state == "CLOSED" or successes >= policy.success_threshold:
        return replace(counted, state="CLOSED", failures=0, successes=0, probe=0)
    return replace(counted, successes=successes, probe=0)


def abandon(breaker: Breaker, number: int) -> Breaker:
    """Record that call `number` will never end (cancelled, or a fault of ours): the next one probes in its place."""
    return replace(breaker, probe=0) if breaker.probe == number else breaker
