"""What a key is known not to be sold: refusals by scope, each for a time. A pure fold; knows no clock.

A refusal is remembered for its scope and no more. It is remembered for a time and no longer, since plans change and
nobody says so: then the next request inside the scope is the trial.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from connectors.scope import Scope
from infra.clickhouse.queries import RefusedCall

REMEMBERED_MS = 86_400_000
"""A day: one call a day for each scope is little even of the smallest quota (12 to 25 calls a day), and an owner who
buys a larger plan waits no longer than that for it to be used."""
MOST = 500
"""Refusals kept of one key. Only symbols are refused one by one, and a key that is refused this many in a day has a
quota of a few hundred calls; the oldest are forgotten first, and asked again."""
REASON = 160  # characters of a reason: what a line of `tapestream keys` shows


@dataclass(frozen=True, slots=True)
class Refused:
    """One remembered refusal."""

    scope: str
    """The scope as text, see `connectors.scope`."""
    outcome: str
    """`NotEntitled`, or `InvalidRequest` for a range that no plan of the provider sells."""
    reason: str
    """The provider's words."""
    since: int
    """When it was first said, ms UTC."""
    until: int
    """When the scope is asked again, ms UTC."""

    @property
    def covers(self) -> Scope:
        """The scope itself."""
        return _scope(self.scope)

    def __str__(self) -> str:
        """Say what is refused, and why."""
        return f"{self.covers}: {self.reason}"


Refusals = tuple[Refused, ...]
NOWHERE = Scope(endpoint="")
"""What a scope covers that another version wrote and this one cannot read."""


def learn(refusals: Refusals, scope: Scope, outcome: str, reason: str, now: int) -> Refusals:
    """Remember a refusal from `now` on, in place of those that it repeats or widens."""
    text = scope.text()
    since = min([now, *(known.since for known in refusals if known.scope == text and known.until > now)])
    said = Refused(text, outcome, reason[:REASON], since, now + REMEMBERED_MS)
    kept = [known for known in current(refusals, now) if not _widens(scope, known.covers)]
    return (*kept, said)[-MOST:]


def current(refusals: Refusals, now: int) -> Refusals:
    """The refusals that still hold."""
    return tuple(known for known in refusals if known.until > now)


def replayed(calls: Iterable[RefusedCall]) -> dict[str, dict[str, Refusals]]:
    """Fold stored refusals, in their order, into what each key is not sold: by provider, then by label."""
    found: dict[str, dict[str, Refusals]] = {}
    for call in calls:
        keys, scope = found.setdefault(call.provider, {}), Scope.read(call.scope)
        if scope is not None:
            keys[call.key_label] = learn(keys.get(call.key_label, ()), scope, call.outcome, call.error, call.at)
    return found


def of_key(refusals: Mapping[str, Refusals], label: str) -> Refusals:
    """The refusals that a key is held to: its own, and what the provider answers no key."""
    others = (known for name, kept in refusals.items() if name != label for known in kept)
    return (*refusals.get(label, ()), *(known for known in others if known.outcome == "InvalidRequest"))


def _widens(new: Scope, old: Scope) -> bool:
    """True where `new` covers everything that `old` covers."""
    if new == old or new.kind == "key":
        return True
    if new.kind == "endpoint":
        return (new.endpoint, new.asset_classes, new.interval) == (old.endpoint, old.asset_classes, old.interval)
    return new.kind == "range" and any(
        mine is not None and its is not None and mine <= its and new.model_copy(update={limit: its}) == old
        for limit, mine, its in (
            ("older_ms", new.older_ms, old.older_ms),
            ("longer_ms", new.longer_ms, old.longer_ms),
        )
    )


@lru_cache(maxsize=4096)
def _scope(text: str) -> Scope:
    return Scope.read(text) or NOWHERE
