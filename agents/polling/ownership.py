"""Which providers this worker owns, and when it may call them: one worker at a time, and with the whole account.

Kafka gives a provider's mailboxes and its `api.calls` to the same worker. A new owner publishes a takeover command
among the calls and waits until it reads the command back. Every event of earlier owners precedes it and is folded by
then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from agents.log_events import AgentEvent
from agents.polling.key_pool import KeyPool
from infra import tasks, telemetry
from infra.clock import SYSTEM
from infra.tasks import OnFault
from streams.accounts.account import Account
from streams.messaging import topics
from streams.messaging.messages import OWNER_COMMAND, WORKER, OwnerCommand, new_id
from streams.messaging.producer import Outbox

log = telemetry.get(__name__)


class AccountOwnership:
    """The providers whose mailboxes are assigned to this worker.

    With `counted` the desks know all there is to know from the start: this worker is the only one there can be.
    """

    def __init__(
        self,
        pools: Mapping[str, KeyPool],
        outbox: Outbox,
        *,
        counted: bool,
        on_fault: OnFault,
        now: Callable[[], int] = SYSTEM.now_ms,
    ) -> None:
        self._pools = pools
        self._outbox = outbox
        self._counted = counted
        self._on_fault = on_fault
        self._now = now
        self._open = {name: asyncio.Event() for name in pools}
        self._asked: dict[str, str] = {}
        self._asking: set[asyncio.Task[None]] = set()

    def owned(self) -> list[str]:
        """The providers that this worker may call now."""
        return [name for name, opened in self._open.items() if opened.is_set()]

    @property
    def waiting(self) -> bool:
        """True while the account of a provider is on its way to this worker."""
        return bool(self._asked)

    async def ready(self, provider: str) -> None:
        """Return when this worker owns the provider and knows its whole account."""
        await self._open[provider].wait()

    def take(self, partitions: Iterable[int]) -> None:
        """Take over the providers of these mailboxes."""
        taken = set(partitions)
        for name, pool in self._pools.items():
            if pool.connector.mailbox not in taken or self._open[name].is_set():
                continue
            if self._counted:
                self._open[name].set()
            else:
                self._asked[name] = new_id()
                asking = asyncio.create_task(self._ask(name, self._asked[name]), name=f"take over {name}")
                self._asking.add(asking)
                asking.add_done_callback(self._asking.discard)
                tasks.report_fault(asking, self._on_fault)

    def release(self, partitions: Iterable[int]) -> None:
        """Return up the providers of these mailboxes; no call may start from now on."""
        gone = set(partitions)
        for name, pool in self._pools.items():
            if pool.connector.mailbox in gone:
                self._open[name].clear()
                self._asked.pop(name, None)

    def apply_command(self, order: OwnerCommand, account: Account, *, known: bool) -> None:
        """Follow an order that was read among the calls, given the account as of then."""
        pool = self._pools[order.provider]
        if order.order == "reset_breaker":
            pool.reset_breaker()
            log.info(AgentEvent.BREAKER_RESET, provider=order.provider)
        elif self._asked.get(order.provider) == order.order_id:
            del self._asked[order.provider]  # read once more, it would undo what we count of our own since
            if known:
                pool.adopt(account)
            self._open[order.provider].set()
            log.info(AgentEvent.PROVIDER_TAKEN_OVER, provider=order.provider, worker=WORKER)

    async def _ask(self, name: str, order_id: str) -> None:
        order = OwnerCommand(order="takeover", provider=name, order_id=order_id, at=self._now())
        await self._outbox.send(
            topics.API_CALLS, order.encode(), key=name, partition=topics.mailbox(name), headers=OWNER_COMMAND
        )
