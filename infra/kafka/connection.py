"""How a broker is addressed and reached, whichever it is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
)

from infra.errors import ConfigurationError, PipelineError

DEFAULT_PORT = 9092  # where a Kafka broker listens unless it is configured otherwise
ACCEPT_S = 3.0  # longer than an embedded broker is away while it is started afresh
ANSWER_S = 10.0  # a loaded broker answers within seconds
RETRY_S = 0.1  # a start waits for the listener, not for this
SERVER = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")


class BadBrokerUrl(ConfigurationError, ValueError):
    """A text that does not name Kafka servers."""


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
            "the broker's URL carries credentials: give only kafka://HOST:PORT (TLS and SASL are not supported)"
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


async def answers(bootstrap: str, request_timeout_s: float = 5.0) -> bool:
    """True when one of the servers answers a metadata request and knows a broker that takes orders."""
    client = await _connect(await _listening(bootstrap, request_timeout_s), request_timeout_s)
    if client is None:
        return False
    await client.close()
    return True


@asynccontextmanager
async def connected(bootstrap: str, within_s: float | None = None) -> AsyncIterator[AIOKafkaClient]:
    """A client that has the cluster's metadata; closed at the end of the block.

    `within_s` is for who waits for a broker that may still be starting. Without it a server has to accept a connection
    within 3 s, and may then take 10 s to answer: a pipeline that was not started is reported soon.

    Raises:
        BrokerUnreachable: no server answered in time, or it was lost during the block.
    """
    accept_s, answer_s = (ACCEPT_S, ANSWER_S) if within_s is None else (within_s, within_s)
    client = await _connect_within(bootstrap, accept_s, answer_s)
    try:
        with needing(bootstrap):
            yield client
    finally:
        await client.close()


@contextmanager
def needing(bootstrap: str) -> Iterator[None]:
    """Raise `BrokerUnreachable` for what aiokafka raises in the block when the broker does not answer."""
    try:
        yield
    except (KafkaConnectionError, NodeNotReadyError, RequestTimedOutError) as error:
        raise BrokerUnreachable(f"lost the Kafka broker at kafka://{bootstrap}: {error}") from error


async def _connect_within(bootstrap: str, accept_s: float, answer_s: float) -> AIOKafkaClient:
    clock = asyncio.get_running_loop().time
    began, patience = clock(), accept_s
    while (left := began + patience - clock()) > 0:
        listening = await _listening(bootstrap, left)
        if listening:
            patience = answer_s
        client = await _connect(listening, began + patience - clock())
        if client is not None:
            return client
        await asyncio.sleep(min(RETRY_S, left))
    raise BrokerUnreachable(
        f"no Kafka broker answered at kafka://{bootstrap} within {patience:g} s: "
        "check that it runs and that the URL is right"
    )


async def _connect(servers: list[str], timeout_s: float) -> AIOKafkaClient | None:
    if not servers:
        return None
    client = AIOKafkaClient(bootstrap_servers=servers, request_timeout_ms=max(1, round(timeout_s * 1000)))
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


async def _listening(bootstrap: str, timeout_s: float) -> list[str]:
    """The servers that accept a connection: aiokafka would log an error for each of the others."""
    servers = bootstrap.split(",")
    accepted = await asyncio.gather(*(_accepts(server, timeout_s) for server in servers))
    return [server for server, yes in zip(servers, accepted, strict=True) if yes]


async def _accepts(server: str, timeout_s: float) -> bool:
    host, _, port = server.rpartition(":")
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except OSError:  # TimeoutError is one
        return False
    writer.close()
    await writer.wait_closed()
    return True
