"""What the sandbox was asked and what it did: exact counts, and the last calls one by one."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from datetime import datetime

Outcome = Literal["accepted", "refused"]
LOG_SIZE = 10_000


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """One call. Accepted calls have spent quota."""

    at: datetime
    """When it came, by the sandbox's clock."""
    provider: str
    """Name of the provider."""
    key: str
    """Label of the key (`polygon#2`), never the key."""
    endpoint: str
    """Name of the endpoint."""
    symbols: tuple[str, ...]
    """The symbols that it names, as the provider spells them."""
    path: str
    """Path without the query, which may hold the key."""
    outcome: Outcome
    """What the sandbox decided."""
    status: int
    """HTTP status of the answer."""
    fault: str | None
    """The misbehaviour that it met; None where it met none."""


@dataclass(slots=True)
class CallLog:
    """Counts of every call, and the newest `LOG_SIZE` of them."""

    newest: deque[LoggedCall] = field(default_factory=lambda: deque(maxlen=LOG_SIZE))
    """The latest calls, oldest first."""
    _counts: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)

    def add(self, call: LoggedCall) -> None:
        """Count a call."""
        self.newest.append(call)
        self._counts[call.provider, call.key, call.endpoint, call.outcome] += 1

    def clear(self) -> None:
        """Forget everything."""
        self.newest.clear()
        self._counts.clear()

    def as_json(self) -> dict[str, dict[str, Any]]:
        """`{provider: {key label: {received, accepted, refused, endpoints: {endpoint: {…}}}}}`."""
        reported: dict[str, dict[str, Any]] = {}
        for (provider, key, endpoint, outcome), n in sorted(self._counts.items()):
            of_key = reported.setdefault(provider, {}).setdefault(key, {**_NONE, "endpoints": {}})
            for counts in (of_key, of_key["endpoints"].setdefault(endpoint, dict(_NONE))):
                counts["received"] += n
                counts[outcome] += n
        return reported

    def log_as_json(self, last: int) -> list[dict[str, Any]]:
        """The newest `last` calls, oldest first."""
        return [asdict(call) | {"at": call.at.isoformat()} for call in list(self.newest)[-last:]]


_NONE = {"received": 0, "accepted": 0, "refused": 0}
