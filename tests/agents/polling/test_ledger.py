"""A call counts where a crash cannot forget it, before it is made."""

import asyncio

import pytest

from agents.polling.ledger import Ledger
from infra.clickhouse import QueryRefused
from infra.clickhouse.queries import calls_since
from streams.messaging import topics
from streams.messaging.messages import ApiCall
from tests.waiting import turns, until

NOON = 1_780_000_000_000


class Outbox:
    def __init__(self):
        self.sent = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def send(self, topic, value, *, key=None, partition=None):
        await self.gate.wait()
        self.sent.append((topic, ApiCall.decode(value).call_id, key, partition))


def call(n, **more):
    return ApiCall(
        call_id=f"call-{n}",
        request_id="r",
        provider="polygon",
        key_label="polygon#1",
        endpoint="aggregates",
        dataset="bars",
        asset_class="equity",
        symbols=("KO", "PEP"),
        interval="1d",
        started_at=NOON + n,
        **more,
    )


async def test_with_a_store_every_reservation_is_in_it_when_it_returns(store):
    outbox = Outbox()
    ledger = Ledger(outbox, store)

    await asyncio.gather(*(ledger.reserve(call(n, cost_usd=0.0015, cost_calls=5), 6) for n in range(40)))

    kept = await calls_since(store, NOON)
    assert [(one.call_id, one.outcome, one.cost_calls, one.cost_usd) for one in kept] == [
        (f"call-{n}", "Reserved", 5, 0.0015) for n in range(40)
    ]
    assert sorted(outbox.sent) == sorted((topics.API_CALLS, f"call-{n}", "polygon", 6) for n in range(40))
    await ledger.close()
    parts = await store.query("SELECT count() FROM system.parts WHERE table = 'api_calls_log' AND level = 0")
    assert parts.rows[0][0] < 10  # those that wait together are one insert


async def test_what_was_told_later_replaces_the_reservation(store):
    ledger = Ledger(Outbox(), store)
    await ledger.reserve(call(1), 6)
    row = call(1, outcome="records", ended_at=NOON + 90).model_dump()
    await store.insert("api_calls_log", {name: [value] for name, value in {**row, "symbols": ["KO"]}.items()})

    (found,) = await calls_since(store, NOON)
    assert (found.outcome, found.started_at, found.ended_at) == ("records", NOON + 1, NOON + 90)
    await ledger.close()


async def test_no_reservation_returns_before_the_broker_has_it(store):
    outbox = Outbox()
    outbox.gate.clear()
    for ledger in (Ledger(outbox), Ledger(outbox, store)):
        reserving = asyncio.ensure_future(ledger.reserve(call(1), 6))
        if ledger._store:
            await until(lambda: calls_since(store, NOON), "the reservation in the store")
        await turns()
        assert not reserving.done()
        outbox.gate.set()
        await reserving
        outbox.gate.clear()
        await ledger.close()


async def test_a_cancelled_request_leaves_the_others_reservations_alone(store):
    ledger = Ledger(Outbox(), store)
    first, second = (asyncio.ensure_future(ledger.reserve(call(n), 6)) for n in (1, 2))
    await asyncio.sleep(0)
    first.cancel()

    await second
    assert "call-2" in [one.call_id for one in await calls_since(store, NOON)]
    await ledger.close()


async def test_a_store_that_refuses_is_told_to_whoever_reserves(store):
    ledger = Ledger(Outbox(), store)
    await store.execute("RENAME TABLE api_calls_log TO somewhere_else")

    with pytest.raises(QueryRefused):
        await ledger.reserve(call(1), 6)
    await ledger.close()


async def test_a_fault_of_the_writer_is_told_to_every_call_that_waits_and_ends_nothing(store):
    class Broken:
        async def insert(self, *_):
            raise ZeroDivisionError

    ledger = Ledger(Outbox(), Broken())
    found = await asyncio.gather(*(ledger.reserve(call(n), 6) for n in range(3)), return_exceptions=True)
    assert [type(fault) for fault in found] == [ZeroDivisionError] * 3

    ledger._store = store
    await ledger.reserve(call(4), 6)
    await ledger.close()
    assert [one.call_id for one in await calls_since(store, NOON)] == ["call-4"]
