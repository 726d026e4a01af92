"""How much money a provider's calls have cost today: a pure fold. Knows no clock and no provider.

Money is counted in millionths of a dollar, as whole numbers, and before the call: no crash can overspend. What a call
did not cost in the end is given back to the day that reserved it. What a job costs is known only when its results come,
calls later: what was paid for it is remembered until then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from streams.accounts.quota import Window, window_end, window_start

MICROS = 1_000_000  # a dollar in millionths: Bright Data charges 0.0015 $ a call
WARNING_SHARE = 0.8  # share of the budget at which there is still time to act
MOST_JOBS = 200
"""Jobs that are remembered. A provider lets about a hundred run at a time; the price of a forgotten one stays spent."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be spent in a day."""

    micros: int
    """Millionths of a dollar."""
    zone: str = "UTC"
    """The zone whose midnight ends the day."""

    @classmethod
    def usd(cls, dollars: float, zone: str = "UTC") -> Allowance:
        """The allowance of `usd` dollars a day."""
        return cls(round(dollars * MICROS), zone)

    @property
    def day(self) -> Window:
        """The day as a window."""
        return Window(1, "day", self.zone)


@dataclass(frozen=True, slots=True)
class Budget:
    """What was spent in the current day."""

    since: int = 0
    """When the day began, ms UTC: a midnight in the allowance's zone."""
    micros: int = 0
    """What was spent since, in millionths of a dollar."""
    calls: int = 0
    """Paid calls since, a count."""
    jobs: tuple[tuple[str, int, int], ...] = ()
    """(id of the call that triggered it, when that began in ms UTC, millionths of a dollar) of each job whose results
    have not come."""


@dataclass(frozen=True, slots=True)
class BudgetExhausted:
    """The day's money is spent. As text it is a sentence for the operator."""

    provider: str
    """Name of the provider."""
    used: int
    """Calls of the day."""
    spent: float
    """What they cost, dollars."""
    limit: float
    """The day's budget, dollars."""
    resets_at: int
    """When the next day begins, ms UTC."""

    def __str__(self) -> str:
        resets = datetime.fromtimestamp(self.resets_at / 1000, UTC)
        return (
            f"{self.provider} has spent ${self.spent:.4f} of ${self.limit:.2f} today in {self.used} calls, "
            f"and may go on from {resets:%Y-%m-%d %H:%M} UTC"
        )


def today(budget: Budget, allowance: Allowance, now: int) -> Budget:
    """The budget as of `now`: empty when its day is over. A clock that stepped back frees nothing."""
    start = window_start(allowance.day, now)
    return Budget(since=start, jobs=budget.jobs) if start > budget.since else budget


def spend(budget: Budget, allowance: Allowance, micros: int, now: int) -> Budget:
    """Record a call that costs `micros` and starts now. It counts whatever becomes of it."""
    if not micros:
        return budget
    budget = today(budget, allowance, now)
    return replace(budget, micros=budget.micros + micros, calls=budget.calls + 1)


def give_back(budget: Budget, micros: int, began_at: int, *, whole: bool) -> Budget:
    """Record that so much of a call that began then was not charged, or the `whole` of it; its day may be over."""
    if not micros or began_at < budget.since:
        return budget
    return replace(budget, micros=max(0, budget.micros - micros), calls=max(0, budget.calls - whole))


def trigger(budget: Budget, call_id: str, micros: int, began_at: int) -> Budget:
    """Remember a job for which this call, which began then, paid `micros`."""
    if not micros:
        return budget
    return replace(budget, jobs=(*budget.jobs, (call_id, began_at, micros))[-MOST_JOBS:])


def reserved(budget: Budget, call_id: str) -> int:
    """What a job whose results have not come holds reserved, in millionths of a dollar."""
    return next((micros for job, _, micros in budget.jobs if job == call_id), 0)


def settle(budget: Budget, call_id: str, micros: int) -> Budget:
    """Record that a job's results came, and that `micros` of its price are not charged: they are given back once."""
    job = next((job for job in budget.jobs if job[0] == call_id), None)
    if job is None:
        return budget
    _, began_at, most = job
    left = replace(budget, jobs=tuple(other for other in budget.jobs if other is not job))
    back = min(micros, most)
    return give_back(left, back, began_at, whole=back == most)


def affords(budget: Budget, allowance: Allowance, micros: int, now: int) -> bool:
    """Return whether a call that costs `micros` may start."""
    return not micros or today(budget, allowance, now).micros + micros <= allowance.micros


def exhausted(budget: Budget, allowance: Allowance, provider: str, now: int) -> BudgetExhausted:
    """Say that the money is spent, and until when."""
    budget = today(budget, allowance, now)
    return BudgetExhausted(
        provider, budget.calls, budget.micros / MICROS, allowance.micros / MICROS, resets_at(budget, allowance, now)
    )


def resets_at(budget: Budget, allowance: Allowance, now: int) -> int:
    """Ms UTC of the midnight that ends the budget's day."""
    return window_end(allowance.day, max(now, budget.since))


def warns(before: Budget, after: Budget, allowance: Allowance) -> bool:
    """Return whether the step from one budget to the next crossed the share at which the owner is warned."""
    line = allowance.micros * WARNING_SHARE
    fresh = before.since != after.since
    return after.micros >= line > 0 and (fresh or before.micros < line)
