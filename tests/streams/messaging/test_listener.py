"""Reports are heard from the moment of listening on, by those whom they name."""

import asyncio

import pytest

from infra.kafka.admin import ensure_topics
from infra.kafka.connection import BrokerUnreachable
from infra.kafka.embedded import EmbeddedBroker
from streams.messaging import follow, topics
from streams.messaging.listener import Hearing
from streams.messaging.producer import Outbox

pytestmark = pytest.mark.pipeline


async def test_who_listens_hears_what_names_it_and_nothing_from_before(embedded_broker):
    await ensure_topics(embedded_broker, topics.SPECS)
    outbox = Outbox(embedded_broker)
    await outbox.start()
    await outbox.send(topics.COLLECT_DONE, b"one: too early")

    async with Hearing(embedded_broker, topics.COLLECT_DONE, patient=True) as hearing:
        with hearing.about("one") as ones, hearing.about("two") as twos:
            for value in (b"one: a", b"two: b", b"neither", b"one: c"):
                await outbox.send(topics.COLLECT_DONE, value)
            heard = [await asyncio.wait_for(ones.get(), 20) for _ in range(2)]
            other = await asyncio.wait_for(twos.get(), 20)
    await outbox.stop()

    assert (heard, other) == ([b"one: a", b"one: c"], b"two: b")
    assert ones.empty()
    assert twos.empty()


async def test_a_broker_that_has_gone_is_told_unless_it_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(follow, "AWAY_S", 0.0)
    monkeypatch.setattr(follow, "ASK_S", 0.0)
    broker = await EmbeddedBroker(log=tmp_path / "broker.log").start()
    await ensure_topics(broker.bootstrap, topics.SPECS)

    async with (
        Hearing(broker.bootstrap, topics.COLLECT_DONE, patient=False) as impatient,
        Hearing(broker.bootstrap, topics.COLLECT_DONE, patient=True) as patient,
    ):
        with impatient.about("one") as told, patient.about("one") as untold:
            await broker.stop()
            heard = await asyncio.wait_for(told.get(), 60)
            assert untold.empty()

    assert isinstance(heard, BrokerUnreachable)
