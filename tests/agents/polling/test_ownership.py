"""A provider is called by its owner alone, and only with the whole account."""

import asyncio

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from agents.polling.key_pool import KeyPool
from agents.polling.ownership import AccountOwnership
from connectors import connector
from streams.accounts.account import Account, CallBegan, ProviderPolicy, fold
from streams.accounts.quota import Window
from streams.messaging import topics
from streams.messaging.messages import OWNER_COMMAND, OwnerCommand
from tests.waiting import turns

TERMS = ProviderPolicy(windows=(Window(5, "minute"),))
POLYGON, YAHOO = (topics.mailbox(name) for name in ("polygon", "yahoo"))


class Outbox:
    def __init__(self):
        self.orders = []

    async def send(self, topic, value, *, key, partition, headers):
        assert (topic, headers, partition) == (topics.API_CALLS, OWNER_COMMAND, topics.mailbox(key))
        self.orders.append(OwnerCommand.decode(value))


@pytest.fixture
def pools():
    return {name: KeyPool(connector(name), {f"{name}#1": "key"}, TERMS) for name in ("polygon", "yahoo")}


def spent(calls):
    account = Account()
    for n in range(calls):
        account = fold(account, CallBegan(str(n), "polygon#1", 1, 0, 1_000), TERMS)
    return account


async def taken(pools, partitions=(POLYGON,)):
    outbox = Outbox()
    ownership = AccountOwnership(pools, outbox, counted=False, on_fault=pytest.fail)
    ownership.take(partitions)
    await turns()
    return ownership, outbox


async def test_a_new_owner_waits_until_it_has_read_its_own_order(pools):
    ownership, outbox = await taken(pools)
    (order,) = outbox.orders
    assert (order.order, order.provider, ownership.owned(), ownership.waiting) == ("takeover", "polygon", [], True)
    ready = asyncio.ensure_future(ownership.ready("polygon"))
    await turns()
    assert not ready.done()

    ownership.apply_command(order, spent(3), known=True)

    await ready
    assert (ownership.owned(), ownership.waiting) == (["polygon"], False)
    assert pools["polygon"].account.breaker.calls == 3


async def test_anothers_order_opens_nothing(pools):
    ownership, outbox = await taken(pools)
    other = outbox.orders[0].model_copy(update={"order_id": "another worker's"})

    ownership.apply_command(other, spent(3), known=True)

    assert ownership.owned() == []


async def test_an_account_that_no_table_knows_stays_as_it_was_counted_from_the_store(pools):
    pools["polygon"].adopt(spent(2))
    ownership, outbox = await taken(pools)

    ownership.apply_command(outbox.orders[0], Account(), known=False)

    assert pools["polygon"].account.breaker.calls == 2
    assert ownership.owned() == ["polygon"]


async def test_what_is_given_up_is_not_called_until_it_is_taken_again(pools):
    ownership, outbox = await taken(pools, (POLYGON, YAHOO))
    for order in outbox.orders:
        ownership.apply_command(order, Account(), known=False)
    ownership.release({POLYGON})

    assert ownership.owned() == ["yahoo"]
    ownership.apply_command(outbox.orders[0], Account(), known=False)
    assert ownership.owned() == ["yahoo"]
    ownership.take({POLYGON, YAHOO})
    await turns()
    assert [order.provider for order in outbox.orders] == ["polygon", "yahoo", "polygon"]


async def test_where_the_store_remembers_there_is_nothing_to_wait_for(pools):
    outbox = Outbox()
    ownership = AccountOwnership(pools, outbox, counted=True, on_fault=pytest.fail)
    ownership.take({POLYGON})

    await ownership.ready("polygon")
    assert (ownership.owned(), outbox.orders) == (["polygon"], [])


async def test_the_breaker_is_closed_by_an_order_of_anybody(pools):
    ownership, _ = await taken(pools)
    pool = pools["polygon"]
    pool.account = Account(breaker=pool.account.breaker.__class__(state="OPEN", opened_at=1, failures=5))

    ownership.apply_command(
        OwnerCommand(order="reset_breaker", provider="polygon", order_id="x", at=1), Account(), known=True
    )

    assert pool.account.breaker.state == "CLOSED"


async def test_an_order_that_is_read_twice_does_not_undo_what_was_counted_since(pools):
    ownership, outbox = await taken(pools)
    ownership.apply_command(outbox.orders[0], spent(3), known=True)
    pools["polygon"].begin("polygon#1", "ours", pools["polygon"].connector.endpoints[0].name, 1, 1_000)

    ownership.apply_command(outbox.orders[0], spent(3), known=True)

    assert pools["polygon"].account.breaker.calls == 4
    assert ownership.owned() == ["polygon"]


async def test_a_takeover_that_cannot_be_announced_is_reported(pools):
    faults = []

    class Refusing:
        async def send(self, *_, **__):
            raise MessageSizeTooLargeError

    ownership = AccountOwnership(pools, Refusing(), counted=False, on_fault=faults.append)
    ownership.take([POLYGON])
    await turns()

    assert [type(fault) for fault in faults] == [MessageSizeTooLargeError]
    assert ownership.owned() == []
