"""Folds `api.calls` into the tables `key_usage`, `refusals`, `breakers` and `budgets`, which outlive the worker.

One partition is one provider's. Every entry knows the offset it was folded up to, so that no call counts twice however
often it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from infra import telemetry
from streams.accounts import account as accounts
from streams.accounts.account import Account, Event, Key, ProviderPolicy
from streams.accounts.breaker import Breaker
from streams.accounts.budget import Budget
from streams.accounts.entitlement import Refusals
from streams.log_events import StreamEvent
from streams.messaging import topics
from streams.messaging.events import EventMessage
from streams.messaging.messages import OWNER_COMMAND, ApiCall, OwnerCommand

log = telemetry.get(__name__)

KEY, BREAKER, BUDGET = TypeAdapter(Key), TypeAdapter(Breaker), TypeAdapter(Budget)
REFUSED = TypeAdapter(Refusals)
Table = MutableMapping[str, Any]
OnOrder = Callable[[OwnerCommand, Account], None]
NOTHING = {"offset": -1}


class CallTracker:
    """Keeps the tables. `on_order` is called with every command to a provider's owner and the account then."""

    def __init__(self, tables: Mapping[str, Table], policy: Mapping[str, ProviderPolicy], on_order: OnOrder) -> None:
        self._keys = tables[topics.KEY_USAGE]
        self._breakers = tables[topics.BREAKERS]
        self._budgets = tables[topics.BUDGETS]
        self._refusals = tables[topics.REFUSALS]
        self._policies = policy
        self._on_order = on_order

    def handle(self, message: EventMessage) -> None:
        """Fold one record of api.calls. One that is no message of ours is left to the sink, which reports it.

        So is one whose times no calendar holds: a window that ends after the year 9999.
        """
        ordered = OWNER_COMMAND.items() <= dict(message.headers or ()).items()
        try:
            record: OwnerCommand | ApiCall = (
                OwnerCommand.decode(message.value) if ordered else ApiCall.decode(message.value)
            )
            if record.provider in self._policies:
                self._take(record, message.offset)
        except (ValidationError, OverflowError):
            log.warning(StreamEvent.TRACK_CALLS_UNREADABLE, partition=message.partition, offset=message.offset)

    def _take(self, record: OwnerCommand | ApiCall, offset: int) -> None:
        if isinstance(record, ApiCall):
            self._fold(record.provider, accounts.ended(record) or accounts.began(record), offset)
        else:
            self._obey(record, offset)

    def account(self, provider: str) -> Account:
        """The account as the tables know it: of the keys that were ever called with."""
        prefix = f"{provider}#"
        keys = {
            label: KEY.validate_python(entry["state"])
            for label, entry in self._keys.items()
            if label.startswith(prefix)
        }
        return Account(
            keys,
            self._entry(BREAKER, self._breakers, provider),
            self._entry(BUDGET, self._budgets, provider),
            {label: refused for label in keys if (refused := self._refused(label))},
        )

    def knows(self, provider: str) -> bool:
        """Return whether any call of the provider is in the tables."""
        return provider in self._breakers

    def _obey(self, order: OwnerCommand, offset: int) -> None:
        provider, policy = order.provider, self._policies[order.provider]
        known = self.account(provider)
        if order.order == "takeover":
            changed = accounts.after_takeover(known, policy, order.at)
        else:
            changed = accounts.fold(known, accounts.BreakerReset(), policy)
        if self.knows(provider):
            for label, key in changed.keys.items():
                self._put(self._keys, label, KEY, key, offset)
            self._put(self._breakers, provider, BREAKER, changed.breaker, offset)
        self._on_order(order, changed)

    def _fold(self, provider: str, event: Event, offset: int) -> None:
        label = getattr(event, "label", "")
        key = self._entry(KEY, self._keys, label)
        breaker = self._entry(BREAKER, self._breakers, provider)
        budget = self._entry(BUDGET, self._budgets, provider)
        refused = self._refused(label)
        folded = accounts.fold(
            Account({label: key}, breaker, budget, {label: refused}), event, self._policies[provider]
        )
        self._put(self._keys, label, KEY, folded.key(label), offset)
        self._put(self._breakers, provider, BREAKER, folded.breaker, offset)
        if folded.budget != budget:
            self._put(self._budgets, provider, BUDGET, folded.budget, offset)
        if folded.refusals[label] != refused:
            self._put(self._refusals, label, REFUSED, folded.refusals[label], offset)

    def _refused(self, label: str) -> Refusals:
        entry = self._refusals.get(label)
        return REFUSED.validate_python(tuple(entry["state"])) if entry else ()

    @staticmethod
    def _entry(kind: TypeAdapter[Any], table: Table, key: str) -> Any:
        entry = table.get(key)
        return kind.validate_python(entry["state"] if entry else {})

    @staticmethod
    def _put(table: Table, key: str, kind: TypeAdapter[Any], state: Any, offset: int) -> None:
        if (table.get(key) or NOTHING)["offset"] < offset:
            table[key] = {"offset": offset, "state": kind.dump_python(state, mode="json")}
