"""Broker addresses are understood or refused, and a broker that does not answer is said so in bounded time."""

import asyncio
import contextlib
import logging

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NodeNotReadyError,
    TopicAuthorizationFailedError,
)
from hypothesis import given
from hypothesis import strategies as st

from infra.kafka import connection
from infra.kafka.brokers import Brokers
from infra.kafka.connection import BadBrokerUrl, BrokerUnreachable, answers, bootstrap_servers, connected, passes
from infra.kafka.embedded import EmbeddedBroker
from infra.ports import PortBusy, free_port, require_free

HOSTS = st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True) | st.just("[::1]")
SERVERS = st.tuples(HOSTS, st.integers(1, 65535)).map(lambda server: f"{server[0]}:{server[1]}")


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("kafka://127.0.0.1:19092", "127.0.0.1:19092"),
        ("broker:9093", "broker:9093"),
        ("kafka://a:1,b:2", "a:1,b:2"),
        ("kafka://a:1;kafka://b:2", "a:1,b:2"),
        (" kafka://a:1 , b:2/ ", "a:1,b:2"),
        ("kafka://broker", "broker:9092"),
        ("kafka://[::1]:9092", "[::1]:9092"),
    ],
)
def test_a_url_becomes_its_servers(url, servers):
    assert bootstrap_servers(url) == servers


@pytest.mark.parametrize(
    "url",
    [
        "",
        "kafka://",
        "http://a:9092",
        "a:b",
        "a:0",
        "a:65536",
        "a:1,,b:2",
        "kafka://a:1/topic",
        "::1",
        "a b:1",
        "a:\u0661",
    ],
)
def test_nonsense_is_refused_with_the_way_to_write_it(url):
    with pytest.raises(BadBrokerUrl, match="write kafka://HOST:PORT"):
        bootstrap_servers(url)


def test_credentials_are_refused_and_not_repeated():
    with pytest.raises(BadBrokerUrl) as refused:
        bootstrap_servers("kafka://me:hunter2@a:9092")

    assert "hunter2" not in str(refused.value)


@given(st.lists(SERVERS, min_size=1, max_size=4))
def test_the_plain_form_is_its_own_plain_form(servers):
    plain = ",".join(servers)

    assert bootstrap_servers(plain) == bootstrap_servers("kafka://" + plain) == plain


@given(st.text(max_size=40))
def test_any_text_is_understood_or_refused(text):
    with contextlib.suppress(BadBrokerUrl):
        assert bootstrap_servers(text)


async def test_a_closed_port_is_unreachable_in_one_clear_line(caplog):
    bootstrap = Brokers(f"127.0.0.1:{free_port()}")

    with pytest.raises(BrokerUnreachable, match=f"no Kafka broker answered at kafka://{bootstrap} within 0.3 s"):
        async with connected(bootstrap, within_s=0.3):
            pass
    assert not await answers(bootstrap)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.fixture
async def silent():
    """`host:port` of a server that accepts connections and never answers."""
    opened = []
    async with await asyncio.start_server(lambda _, writer: opened.append(writer), "127.0.0.1", 0) as server:
        yield Brokers(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        for writer in opened:
            writer.close()


async def test_a_server_that_never_answers_is_unreachable(silent):
    with pytest.raises(BrokerUnreachable):
        async with connected(silent, within_s=0.3):
            pass


async def test_where_nothing_listens_is_given_up_sooner_than_who_is_slow_to_answer(silent, monkeypatch):
    monkeypatch.setattr(connection, "ACCEPT_S", 0.2)
    monkeypatch.setattr(connection, "ANSWER_S", 0.5)

    for bootstrap, patience_s in ((Brokers(f"127.0.0.1:{free_port()}"), 0.2), (silent, 0.5)):
        with pytest.raises(BrokerUnreachable, match=f"kafka://{bootstrap} within {patience_s} s"):
            async with connected(bootstrap):
                pass


@pytest.mark.pipeline
async def test_who_says_how_long_waits_for_a_broker_that_only_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "ACCEPT_S", 0.0)
    broker = EmbeddedBroker(free_port(), log=tmp_path / "broker.log")

    async def reach():
        async with connected(broker.bootstrap, within_s=30) as client:
            return client.cluster.controller

    reaching = asyncio.create_task(reach())
    await asyncio.sleep(0)
    async with broker:
        assert await reaching is not None


def test_a_port_in_use_is_named():
    port = free_port()
    require_free(port)

    async def occupied() -> None:
        async with await asyncio.start_server(lambda *_: None, "127.0.0.1", port):
            require_free(port)

    with pytest.raises(PortBusy, match=f"port {port} on 127.0.0.1 is already in use"):
        asyncio.run(occupied())


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KafkaTimeoutError(), True),
        (KafkaConnectionError(), True),
        (NodeNotReadyError(), True),
        (MessageSizeTooLargeError(), False),
        (TopicAuthorizationFailedError(), False),
    ],
)
def test_only_a_broker_that_is_away_or_busy_is_worth_another_try(error, expected):
    assert passes(error) is expected
