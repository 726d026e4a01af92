"""Records go to those who listen for their names, from the moment of listening on; poison ends nobody."""

import pytest

from infra.kafka.admin import ensure_topics
from infra.kafka.connection import BrokerUnreachable
from infra.kafka.embedded import EmbeddedBroker
from streams.messaging import follow, topics
from streams.messaging.listener import Inbox, TopicListener, key_of
from streams.messaging.producer import Outbox
from tests.waiting import ending


def read(record):
    text = record.value.decode()
    if text == "poison":
        raise ValueError("no text of ours")
    return text


def listener(bootstrap, **options):
    return TopicListener(bootstrap, topics.COLLECT_DONE, names=lambda record: (key_of(record),), read=read, **options)


async def texts(inbox, count):
    return [await ending(inbox.next_event(), "an event") for _ in range(count)]


async def test_an_inbox_gives_events_in_order_and_then_the_fault():
    inbox = Inbox()
    inbox.put("one")
    inbox.put(ConnectionError("gone"))

    assert len(inbox) == 2
    assert await inbox.next_event() == "one"
    with pytest.raises(ConnectionError, match="gone"):
        await inbox.next_event()


@pytest.mark.pipeline
async def test_a_record_goes_to_its_name_alone_and_never_from_before(embedded_broker):
    await ensure_topics(embedded_broker, topics.SPECS)
    async with Outbox(embedded_broker) as outbox:
        await outbox.send(topics.COLLECT_DONE, b"too early", key="one")

        async with listener(embedded_broker, patient=True) as found:
            with found.listen_for("one") as ones, found.listen_for("one") as again, found.listen_for("two") as twos:
                for key, value in (("one", b"a"), ("two", b"one"), ("none", b"one two"), (None, b"one"), ("one", b"c")):
                    await outbox.send(topics.COLLECT_DONE, value, key=key)

                assert await texts(ones, 2) == await texts(again, 2) == ["a", "c"]
                assert await texts(twos, 1) == ["one"]
                assert not len(ones) + len(again) + len(twos)


@pytest.mark.pipeline
async def test_what_cannot_be_read_is_skipped_and_one_inbox_may_serve_several_names(embedded_broker):
    await ensure_topics(embedded_broker, topics.SPECS)
    async with Outbox(embedded_broker) as outbox, listener(embedded_broker) as found:
        with found.listen_for("one") as inbox, found.listen_for("two", inbox):
            for value, key in ((b"a", "one"), (b"poison", "one"), (b"\xff", "two"), (b"b", "two")):
                await outbox.send(topics.COLLECT_DONE, value, key=key)

            assert await texts(inbox, 2) == ["a", "b"]
            assert found.skipped == 2


@pytest.mark.pipeline
async def test_a_broker_that_has_gone_ends_the_impatient_and_nobody_else(tmp_path, monkeypatch):
    monkeypatch.setattr(follow, "AWAY_S", 0.0)
    monkeypatch.setattr(follow, "ASK_S", 0.0)
    broker = await EmbeddedBroker(log=tmp_path / "broker.log").start()
    await ensure_topics(broker.bootstrap, topics.SPECS)

    async with listener(broker.bootstrap) as impatient, listener(broker.bootstrap, patient=True) as patient:
        with impatient.listen_for("one") as told, patient.listen_for("one") as untold:
            await broker.stop()
            with pytest.raises(BrokerUnreachable):
                await ending(told.next_event(), "the fault of the broker")

            assert not len(untold)
        with pytest.raises(BrokerUnreachable), impatient.listen_for("two"):
            pass
        with patient.listen_for("two"):
            pass
