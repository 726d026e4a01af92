"""Topics become what we want them to be, and a group's lag is told truly, on both brokers."""

import asyncio
import os
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from infra.kafka.admin import Replication, TopicMismatch, TopicRefused, TopicSpec, ensure_topics, partition_counts
from infra.kafka.apache import ApacheKafka, available
from infra.kafka.brokers import Brokers
from infra.kafka.connection import BrokerUnreachable, connected
from infra.kafka.embedded import EmbeddedBroker
from infra.kafka.lag import lag
from infra.ports import free_port
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["embedded", pytest.param("apache", marks=pytest.mark.kafka)]
)
async def bootstrap(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("broker")
    if request.param == "embedded":
        broker = EmbeddedBroker(log=folder / "broker.log")
    else:
        reason = available()
        if reason is not None:
            (pytest.fail if os.environ.get("TAPESTREAM_REQUIRE_KAFKA") == "1" else pytest.skip)(reason)
        broker = ApacheKafka(data_dir=folder)
    async with broker:
        yield broker.bootstrap


async def partitions(bootstrap):
    async with connected(bootstrap) as client:
        return await partition_counts(client)


async def configs(bootstrap, topic):
    admin = AIOKafkaAdminClient(**bootstrap.options)
    await admin.start()
    [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    await admin.close()
    return {name: value for name, value, *_ in answer.resources[0][4]}


async def produce(bootstrap, topic, count, partition=0):
    """In as few batches as they fit."""
    async with AIOKafkaProducer(**bootstrap.options, linger_ms=50) as producer:
        sent = [await producer.send(topic, b"x", key=b"k", partition=partition) for _ in range(count)]
        await asyncio.gather(*sent)


async def commit(bootstrap, group, topic, partition, offset):
    async with AIOKafkaConsumer(**bootstrap.options, group_id=group, enable_auto_commit=False) as consumer:
        at = TopicPartition(topic, partition)
        consumer.assign([at])
        await consumer.commit({at: offset})


async def test_missing_topics_are_created_as_wanted(bootstrap):
    await ensure_topics(
        bootstrap,
        [
            TopicSpec("created.bars", 3, retention_ms=3_600_000),
            TopicSpec("created.table", 2, compacted=True, max_message_bytes=2**20),
        ],
    )

    counts = await partitions(bootstrap)
    bars, table = await configs(bootstrap, "created.bars"), await configs(bootstrap, "created.table")
    assert (counts["created.bars"], counts["created.table"]) == (3, 2)
    assert bars["cleanup.policy"] == "delete"
    assert bars["retention.ms"] == "3600000"
    assert bars["max.message.bytes"] == str(16 * 2**20)
    assert table["cleanup.policy"] == "compact"
    assert table["max.message.bytes"] == str(2**20)


async def test_running_it_again_changes_nothing(bootstrap):
    specs = [TopicSpec("again", 2, retention_ms=60_000)]
    await ensure_topics(bootstrap, specs)
    await produce(bootstrap, "again", 3)
    before = await configs(bootstrap, "again")

    await ensure_topics(bootstrap, specs)

    assert await configs(bootstrap, "again") == before
    assert [row.end for row in await lag(bootstrap, "again.group", ["again"])] == [3, 0]


async def test_several_may_start_at_once(bootstrap):
    specs = [TopicSpec(f"at.once.{number}", 2) for number in range(5)]

    await asyncio.gather(*(ensure_topics(bootstrap, specs) for _ in range(4)))

    counts = await partitions(bootstrap)
    assert [counts[spec.name] for spec in specs] == [2] * 5


async def test_differing_configuration_is_set_and_the_rest_left_alone(bootstrap):
    await ensure_topics(bootstrap, [TopicSpec("changed", 1, retention_ms=60_000, max_message_bytes=2**20)])

    await ensure_topics(bootstrap, [TopicSpec("changed", 1, compacted=True)])

    async def applied():  # Kafka applies it a moment after it has said yes
        return (await configs(bootstrap, "changed"))["cleanup.policy"] == "compact"

    await until(applied, "the changed clean-up policy")
    found = await configs(bootstrap, "changed")
    assert found["max.message.bytes"] == str(16 * 2**20)
    assert found["retention.ms"] == "60000"


async def test_wrong_partition_counts_are_all_named_and_nothing_is_created(bootstrap):
    await ensure_topics(bootstrap, [TopicSpec("fixed.a", 3), TopicSpec("fixed.b", 1)])

    with pytest.raises(
        TopicMismatch, match=r"fixed\.a has 3, needs 4; fixed\.b has 1, needs 2\. .*delete these topics"
    ):
        await ensure_topics(bootstrap, [TopicSpec("fixed.a", 4), TopicSpec("fixed.b", 2), TopicSpec("fixed.new", 1)])

    assert "fixed.new" not in await partitions(bootstrap)


async def test_of_two_that_disagree_one_is_told(bootstrap):
    outcomes = await asyncio.gather(
        *(ensure_topics(bootstrap, [TopicSpec("disputed", count)]) for count in (2, 3)), return_exceptions=True
    )

    assert sorted(map(type, outcomes), key=str) == sorted([type(None), TopicMismatch], key=str)


@pytest.mark.kafka
@pytest.mark.parametrize("bootstrap", ["apache"], indirect=True)  # Tansu takes whatever it is told
async def test_what_the_broker_refuses_is_passed_on(bootstrap):
    with pytest.raises(TopicRefused, match=r"would not create topic three\.copies: .*replicat"):
        await ensure_topics(bootstrap, [TopicSpec("three.copies", 1)], replication=Replication(3))


async def test_a_large_message_fits(bootstrap):
    body = os.urandom(12 * 2**20)
    await ensure_topics(bootstrap, [TopicSpec("large", 1)])

    async with AIOKafkaProducer(**bootstrap.options, compression_type="lz4", max_request_size=16 * 2**20) as producer:
        await producer.send_and_wait("large", body)
    async with AIOKafkaConsumer("large", **bootstrap.options, auto_offset_reset="earliest") as consumer:
        assert (await consumer.getone()).value == body


async def test_lag_counts_whole_batches_and_partitions_without_a_commit(bootstrap):
    await ensure_topics(bootstrap, [TopicSpec("lagging", 3)])
    await produce(bootstrap, "lagging", 100, partition=0)
    await produce(bootstrap, "lagging", 10, partition=1)
    await commit(bootstrap, "lagging.group", "lagging", 0, 40)

    rows = await lag(bootstrap, "lagging.group", ["lagging"])

    assert [(row.partition, row.committed, row.end, row.behind) for row in rows] == [
        (0, 40, 100, 60),
        (1, None, 10, 10),
        (2, None, 0, 0),
    ]


async def test_lag_of_a_missing_topic_is_no_row_and_creates_nothing(bootstrap):
    assert await lag(bootstrap, "a.group", ["never.created"]) == []

    assert "never.created" not in await partitions(bootstrap)


async def test_an_unreachable_broker_is_named():
    nobody = Brokers(f"127.0.0.1:{free_port()}")

    with pytest.raises(BrokerUnreachable, match=str(nobody)):
        await ensure_topics(nobody, [TopicSpec("a", 1)], within_s=0.2)


async def test_a_broker_lost_on_the_way_is_unreachable(tmp_path):
    async with EmbeddedBroker(log=tmp_path / "broker.log") as broker:

        async def ask_too_late():
            async with connected(broker.bootstrap) as client:
                await broker.stop()
                await partition_counts(client)

        with pytest.raises(BrokerUnreachable, match=f"lost the Kafka broker at {broker.url}"):
            await ask_too_late()


async def test_copies_are_as_many_as_brokers_up_to_three_and_all_but_one_acknowledge():
    automatic = Replication()

    assert [automatic.copies(brokers) for brokers in (0, 1, 2, 3, 30)] == [1, 1, 2, 3, 3]
    assert [automatic.configs("t", copies) for copies in (1, 2, 3)] == [
        {},
        {"min.insync.replicas": "1"},
        {"min.insync.replicas": "2"},
    ]
    assert Replication(2, 2).copies(3) == 2
    assert Replication(None, 1).configs("t", 3) == {"min.insync.replicas": "1"}
    with pytest.raises(TopicRefused, match="topic t has 1 copies, and KAFKA_MIN_INSYNC_REPLICAS is 2: nothing"):
        Replication(None, 2).configs("t", 1)


@pytest.mark.kafka
@pytest.mark.parametrize("bootstrap", ["apache"], indirect=True)
async def test_where_there_is_one_broker_two_cannot_acknowledge(bootstrap):
    with pytest.raises(TopicRefused, match="lower it, or give the topic more copies"):
        await ensure_topics(bootstrap, [TopicSpec("alone", 1)], replication=Replication(min_insync=2))


@pytest.mark.kafka
async def test_three_brokers_keep_three_copies_and_write_while_one_is_away(apache_kafka, tmp_path):
    del apache_kafka  # where there is none, this is skipped for the same reason
    async with AsyncExitStack() as running:
        nodes = []
        for number in (1, 2, 3):
            joins = nodes[-1] if nodes else None
            node = ApacheKafka(data_dir=tmp_path / str(number), heap="256m", joins=joins)
            nodes.append(await running.enter_async_context(node))
        bootstrap = Brokers(",".join(str(node.bootstrap) for node in nodes))
        async with asyncio.timeout(60), connected(bootstrap) as client:
            while len(client.cluster.brokers()) < 3:
                await client.force_metadata_update()

        await ensure_topics(bootstrap, [TopicSpec("kept", 2)])
        await ensure_topics(bootstrap, [TopicSpec("once", 1)], replication=Replication(factor=1))
        await ensure_topics(bootstrap, [TopicSpec("once", 1), TopicSpec("kept", 2)])

        async def applied():  # a node hears of a change a moment later
            return (await configs(bootstrap, "kept"))["min.insync.replicas"] == "2"

        await until(applied, "two copies in sync to be demanded")
        await nodes[2].stop()
        async with AIOKafkaProducer(**bootstrap.options, acks="all") as producer:
            for partition in (0, 1):
                await producer.send_and_wait("kept", b"x", partition=partition)

        # a topic of one copy, which none may miss, is left as it is
        assert (await configs(bootstrap, "once")).get("min.insync.replicas", "1") == "1"
