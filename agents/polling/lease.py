"""The right to call providers, which lasts as long as the consumer group counts this worker in. Pure but for its clock.

A worker that was paused (SIGSTOP, a frozen machine) goes on as if nothing had been, while its group has given its
mailboxes to another worker, who spends the same quotas. The answer to its next heartbeat says so, which is too late for
the calls before it. So a call is sent only while the last accepted heartbeat is younger than the group's session
time-out: until then the coordinator cannot have counted this worker out. A lease that has lapsed begins a new term.
What was reserved in an earlier term is not sent any more: it counts at a time that has passed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from infra.clock import uptime_s


class Lapsed(Exception):
    """The group has not confirmed this worker for longer than its session time-out: nothing was sent."""


class Lease:
    """A lease of `lasts_s` seconds from each accepted heartbeat on; one without end is held from the beginning."""

    def __init__(self, lasts_s: float = math.inf, *, now_s: Callable[[], float] = uptime_s) -> None:
        self._lasts_s = lasts_s
        self._now_s = now_s
        self._renewed_at = -math.inf
        self._term = 0

    def renew(self, sent_at: float) -> None:
        """Take note that a heartbeat was accepted which was sent at `sent_at`, in seconds of the lease's clock."""
        if sent_at - self._renewed_at > self._lasts_s:
            self._term += 1  # first: a reader in another thread never sees the old term renewed
        self._renewed_at = sent_at

    def term(self) -> int | None:
        """The number of the term, constant as long as the lease does not lapse; None while it has lapsed."""
        return self._term if self._now_s() - self._renewed_at <= self._lasts_s else None

    def require(self, term: int | None = None) -> int:
        """Return the term, where it is still `term` if one is given. Raises `Lapsed`."""
        current = self.term()
        if current is None or term not in {None, current}:
            raise Lapsed
        return current
