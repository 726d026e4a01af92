"""How a broker is addressed and reached, whichever it is."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiokafka.client import AIOKafkaClient
from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from infra.errors import ConfigurationError, PipelineError
from infra.kafka.brokers import Brokers

DEFAULT_PORT = 9092
ACCEPT_S = 3.0  # longer than an embedded broker is away while it is started afresh
ANSWER_S = 10.0  # a loaded broker answers within seconds
DEAF_S = 0.5  # what accepts and says nothing may speak otherwise; aiokafka logs each try
RETRY_S = 0.1  # a start waits for the listener, not for this
AWAY = "check that it runs and that the URL is right"
AWAY_TLS = f"{AWAY}, and whether it wants a certificate of ours (KAFKA_SSL_CERTFILE)"
DEAF = "something listens there: check that it is a broker, and KAFKA_SECURITY_PROTOCOL"
REFUSALS = (
    AuthenticationFailedError,
    IllegalSaslStateError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
SERVER = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")


class BadBrokerUrl(ConfigurationError, ValueError):
    """A text that does not name Kafka servers."""


class BrokerRefused(PipelineError):
    """A server answers, but takes neither our certificate nor our user, or is not the one that it should be."""


class BrokerUnreachable(PipelineError, ConnectionError):
    """No server at the address answered in time."""


def passes(error: KafkaError) -> bool:
    """Return whether an error says that the broker is away or busy, so that the same request may succeed later.

    aiokafka calls `KafkaTimeoutError` not retriable, since its own retries are over by then. Ours are not.
    """
    return bool(error.retriable) or isinstance(error, KafkaTimeoutError)


def bootstrap_servers(url: str) -> str:
    """The plain form of a broker's address: `host:port`, several joined by commas.

    Takes `kafka://h:9092,h2:9092`, `kafka://h:9092;kafka://h2:9092` (Faust's) and `h:9092`; the port is
    9092 when left out. Prefix it with `kafka://` to hand it to Faust.

    Raises:
        BadBrokerUrl: anything else. The message never repeats credentials.
    """
    if "@" in url:
        raise BadBrokerUrl(
            "the broker's URL carries credentials: write kafka://HOST:PORT and set KAFKA_SASL_USERNAME and the others"
        )
    return ",".join(_server(part.strip(), url) for part in re.split("[,;]", url))


def _server(part: str, url: str) -> str:
    found = SERVER.fullmatch(part.removeprefix("kafka://").removesuffix("/"))
    port = int(found["port"] or DEFAULT_PORT) if found else 0
    if found is None or not 0 < port < 65536:
        where = "" if part == url else f" at {part!r}"
        raise BadBrokerUrl(
            f"{url!r} is no broker URL{where}: write kafka://HOST:PORT, several servers joined by commas"
        )
    return f"{found['host']}:{port}"


def brokers_at(url: str) -> Brokers:
    """The brokers that a text of `bootstrap_servers` names, without a login. Raises `BadBrokerUrl`."""
    return Brokers(bootstrap_servers(url))


async def answers(bootstrap: Brokers, request_timeout_s: float = 5.0) -> bool:
    """True when one of the servers answers a metadata request and knows a broker that takes orders."""
    try:
        client = await _connect(bootstrap, await _listening(bootstrap, request_timeout_s), request_timeout_s)
    except BrokerRefused:
        return False
    if client is None:
        return False
    await client.close()
    return True


@asynccontextmanager
async def connected(bootstrap: Brokers, within_s: float | None = None) -> AsyncIterator[AIOKafkaClient]:
    """A client that has the cluster's metadata; closed at the end of the block.

    `within_s` is for who waits for a broker that may still be starting. Without it a server has to accept a connection
    within 3 s, and may then take 10 s to answer: a pipeline that was not started is reported soon.

    Raises:
        BrokerUnreachable: no server answered in time, or it was lost during the block.
        BrokerRefused: one answered, but does not let us in.
    """
    accept_s, answer_s = (ACCEPT_S, ANSWER_S) if within_s is None else (within_s, within_s)
    client = await _connect_within(bootstrap, accept_s, answer_s)
    try:
        with needing(bootstrap):
            yield client
    finally:
        await client.close()


@contextmanager
def needing(bootstrap: Brokers) -> Iterator[None]:
    """Raise `BrokerUnreachable` for what aiokafka raises in the block when the broker does not answer."""
    try:
        yield
    except (KafkaConnectionError, NodeNotReadyError, RequestTimedOutError) as error:
        raise BrokerUnreachable(f"lost the Kafka broker at kafka://{bootstrap}: {error}") from error


async def _connect_within(bootstrap: Brokers, accept_s: float, answer_s: float) -> AIOKafkaClient:
    clock = asyncio.get_running_loop().time
    began, patience = clock(), accept_s
    advice = AWAY_TLS if bootstrap.security.tls else AWAY
    while (left := began + patience - clock()) > 0:
        listening = await _listening(bootstrap, left)
        if listening:
            patience, advice = answer_s, DEAF
        client = await _connect(bootstrap, listening, began + patience - clock())
        if client is not None:
            return client
        await asyncio.sleep(min(DEAF_S if listening else RETRY_S, left))
    raise BrokerUnreachable(f"no Kafka broker answered at kafka://{bootstrap} within {patience:g} s: {advice}")


async def _connect(bootstrap: Brokers, servers: list[str], timeout_s: float) -> AIOKafkaClient | None:
    if not servers:
        return None
    client = AIOKafkaClient(bootstrap_servers=servers, request_timeout_ms=_ms(timeout_s), **bootstrap.login)
    try:
        await client.bootstrap()
    except KafkaError:
        await client.close()
        return None
    # A broker that is still starting answers, but knows no controller yet.
    if client.cluster.brokers() and client.cluster.controller is not None:
        return client
    await client.close()
    return None


async def _listening(bootstrap: Brokers, timeout_s: float) -> list[str]:
    """The servers that let us in: aiokafka would log an error for each of the others, and keep its reason to itself."""
    servers = bootstrap.servers.split(",")
    accepted = await asyncio.gather(*(_accepts(server, bootstrap, timeout_s) for server in servers))
    return [server for server, yes in zip(servers, accepted, strict=True) if yes]


async def _accepts(server: str, bootstrap: Brokers, timeout_s: float) -> bool:
    """Return whether a server takes a connection, with TLS and a login where there are any. Raises `BrokerRefused`."""
    host, _, port = server.rpartition(":")
    security = bootstrap.security
    try:
        async with asyncio.timeout(timeout_s):
            if security.tls or security.sasl:
                options = {**bootstrap.login, "request_timeout_ms": _ms(timeout_s)}
                connection = await create_conn(host.strip("[]"), int(port), **options)
                connection.close()
            else:
                _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
                writer.close()
                await writer.wait_closed()
    except ssl.SSLError as error:  # before OSError, which it is
        why = getattr(error, "verify_message", None) or error.reason or "it failed"
        advice = "check KAFKA_SECURITY_PROTOCOL, KAFKA_SSL_CAFILE and KAFKA_SSL_CERTFILE"
        raise BrokerRefused(f"no TLS with kafka://{server}: {why}: {advice}") from None
    except REFUSALS as error:
        advice = "check KAFKA_SASL_MECHANISM, user and password"
        raise BrokerRefused(f"kafka://{server} does not let us in: {error}: {advice}") from None
    except (OSError, KafkaError):  # TimeoutError is an OSError
        return False
    return True


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
