"""Topics as we want them: created when missing, checked and brought to our configuration when there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, NoError, TopicAlreadyExistsError, for_code
from aiokafka.protocol.admin import CreateTopicsRequest, DescribeConfigsRequest
from aiokafka.protocol.metadata import MetadataRequest

from infra import telemetry
from infra.errors import PipelineError
from infra.kafka._alter_configs import TOPIC, SetTopicConfigs
from infra.kafka.brokers import Brokers
from infra.kafka.connection import connected

log = telemetry.get(__name__)

MAX_MESSAGE_BYTES = 16 * 2**20
MOST_COPIES = 3  # one broker may be away while another one is mended
RETRY_S = 0.05  # a topic is there within a few of these


class TopicMismatch(PipelineError):
    """A topic exists with another number of partitions than we need."""


class TopicRefused(PipelineError):
    """The broker would not create or configure a topic."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic as we want it.

    `compacted` keeps the last record of each key for ever, otherwise records are deleted after
    `retention_ms` milliseconds (None: as the broker is set). `max_message_bytes` bounds a batch as it
    is stored, compressed. See https://kafka.apache.org/documentation/#topicconfigs.
    """

    name: str
    """Name of the topic."""
    partitions: int
    """Number of partitions."""
    compacted: bool = False
    """True keeps the last record of each key."""
    retention_ms: int | None = None
    """Age at which records are deleted, ms; None for the broker's default."""
    max_message_bytes: int = MAX_MESSAGE_BYTES
    """Largest batch as stored, bytes."""

    @property
    def configs(self) -> dict[str, str]:
        """What it sets of the topic's configuration, in the broker's words."""
        configs = {
            "cleanup.policy": "compact" if self.compacted else "delete",
            "max.message.bytes": str(self.max_message_bytes),
        }
        if self.retention_ms is not None:
            configs["retention.ms"] = str(self.retention_ms)
        return configs


@dataclass(frozen=True, slots=True)
class Replication:
    """How many copies of a topic there are, and how many have a record before it is acknowledged."""

    factor: int | None = None
    """Copies of a topic that is created; None for as many as there are brokers, up to 3."""
    min_insync: int | None = None
    """Copies that acknowledge; None for all but one of those that a topic has, so that one broker may be away."""

    def copies(self, brokers: int) -> int:
        """Copies of a new topic in a cluster of `brokers` brokers."""
        return self.factor or min(MOST_COPIES, max(1, brokers))

    def configs(self, topic: str, copies: int) -> dict[str, str]:
        """Configs of a topic that has `copies` copies. Raises `TopicRefused` where they are too few."""
        if self.min_insync is None:
            return {"min.insync.replicas": str(copies - 1)} if copies > 1 else {}
        if self.min_insync > copies:
            raise TopicRefused(
                f"topic {topic} has {copies} copies, and KAFKA_MIN_INSYNC_REPLICAS is {self.min_insync}: "
                "nothing could be written; lower it, or give the topic more copies"
            )
        return {"min.insync.replicas": str(self.min_insync)}


AUTOMATIC = Replication()


async def ensure_topics(
    bootstrap: Brokers,
    specs: Iterable[TopicSpec],
    *,
    replication: Replication = AUTOMATIC,
    within_s: float = 30.0,
) -> None:
    """Create the topics that are missing and set what differs on the others.

    Running it again changes nothing, and two may run at once. Nothing is changed when a topic has the
    wrong number of partitions: keys would move between them, and tables lose what is theirs.

    Args:
        bootstrap: the brokers.
        specs: the topics, each name once.
        replication: copies; a topic that is there keeps the number that it was created with.
        within_s: how long the broker may take for all of it, in seconds.

    Raises:
        BrokerUnreachable: no server answered.
        TopicMismatch: partition counts differ; names every such topic.
        TopicRefused: the broker refused one, or a topic got no leader in time.
    """
    wanted = {spec.name: spec for spec in specs}
    async with connected(bootstrap, within_s) as client:
        found = await partition_counts(client)
        _check(found, wanted)
        missing = [spec for name, spec in wanted.items() if name not in found]
        if missing:
            await _create(client, missing, replication.copies(len(client.cluster.brokers())), within_s)
            await _until_led(client, wanted, within_s)
        node = client.get_random_node()
        copies = await _copies(client, node, wanted, within_s)
        await _configure(
            client,
            node,
            {name: spec.configs | replication.configs(name, copies[name]) for name, spec in wanted.items()},
        )
        if few := sorted(name for name in wanted if copies[name] < (replication.factor or 1)):
            log.warning("topics.few_copies", topics=few, wanted=replication.factor)


async def partition_counts(client: AIOKafkaClient) -> dict[str, int]:
    """Every topic that has a leader for each partition, with their number.

    Asks for all topics: asked about one by name, Tansu would create it, with four partitions.
    """
    client.set_topics([])
    if not await client.force_metadata_update():
        raise KafkaConnectionError("it no longer answers")
    cluster = client.cluster
    return {
        topic: len(partitions)
        for topic in cluster.topics(exclude_internal_topics=False)
        if (partitions := cluster.partitions_for_topic(topic)) == cluster.available_partitions_for_topic(topic)
    }


def _check(found: Mapping[str, int], wanted: Mapping[str, TopicSpec]) -> None:
    wrong = [
        f"{name} has {found[name]}, needs {spec.partitions}"
        for name, spec in wanted.items()
        if found.get(name, spec.partitions) != spec.partitions
    ]
    if wrong:
        raise TopicMismatch(
            f"wrong number of partitions: {'; '.join(wrong)}. Partitions of a topic in use cannot be changed: "
            "delete these topics while no worker runs (their records go too), or use another Kafka cluster"
        )


async def _copies(client: AIOKafkaClient, node: int, wanted: Iterable[str], within_s: float) -> dict[str, int]:
    """The number of copies of every topic, of the partition that has the fewest.

    Brokers hear of a new topic one after the other: `node` is asked until it knows all that are wanted.
    """
    try:
        async with asyncio.timeout(within_s):
            while True:
                answer = await client.send(node, MetadataRequest(None, allow_auto_topic_creation=False))
                found = {
                    topic: min((len(replicas) for _, _, _, replicas, *_ in partitions), default=0)
                    for _, topic, *_, partitions in answer.topics
                }
                if set(wanted) <= found.keys():
                    return found
                await asyncio.sleep(RETRY_S)
    except TimeoutError:
        raise TopicRefused(f"a broker does not know every topic after {within_s:g} s: look at its log") from None


async def _create(client: AIOKafkaClient, specs: Sequence[TopicSpec], copies: int, within_s: float) -> None:
    request = CreateTopicsRequest(
        create_topic_requests=[(spec.name, spec.partitions, copies, [], list(spec.configs.items())) for spec in specs],
        timeout=round(within_s * 1000),
        validate_only=False,
    )
    answer = await client.send(client.cluster.controller.nodeId, request)
    for topic, code, message in answer.topic_errors:
        if for_code(code) is not TopicAlreadyExistsError:  # somebody else was faster: _check looks at theirs
            _require(code, f"create topic {topic}", message)


async def _until_led(client: AIOKafkaClient, wanted: Mapping[str, TopicSpec], within_s: float) -> None:
    """Creating is asynchronous: wait until every topic can be produced to."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                found = await partition_counts(client)
                if wanted.keys() <= found.keys():
                    break
                await asyncio.sleep(RETRY_S)
    except TimeoutError:
        raise TopicRefused(f"some topics got no leader within {within_s:g} s: look at the broker's log") from None
    _check(found, wanted)


async def _configure(client: AIOKafkaClient, node: int, wanted: Mapping[str, Mapping[str, str]]) -> None:
    actual = await _configs(client, node, list(wanted))
    differing = {
        name: changes
        for name, configs in wanted.items()
        if (changes := {key: value for key, value in configs.items() if actual[name].get(key) != value})
    }
    if not differing:
        return
    answer = await client.send(node, SetTopicConfigs(differing))
    for code, message, _, topic in answer.responses:
        _require(code, f"set {differing[topic]} on topic {topic}", message)


async def _configs(client: AIOKafkaClient, node: int, topics: Sequence[str]) -> dict[str, dict[str, str]]:
    request = DescribeConfigsRequest([(TOPIC, topic, None) for topic in topics])
    answer = await client.send(node, request)
    configs: dict[str, dict[str, str]] = {}
    for code, message, _, topic, entries in answer.resources:
        _require(code, f"read the configuration of topic {topic}", message)
        configs[topic] = {name: value for name, value, *_ in entries}
    return configs


def _require(code: int, what: str, message: Any) -> None:
    error = for_code(code)
    if error is not NoError:
        raise TopicRefused(f"the broker would not {what}: {message or error.__name__}")
