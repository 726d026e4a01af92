"""What a hostile answer costs: the peak of a process that fetches it, as the kernel counts it, whatever is sent."""

import asyncio
import contextlib
import gzip
import json
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import brotli
import pytest

ROOT = Path(__file__).parents[3]
MIB = 2**20
LIMIT, UNPACKED = MIB, 192 * MIB
ALLOWED = 24 * MIB  # the limit, twice while it is put together, and a brotli window of up to 16 MiB
FETCH = """
import asyncio, json, re, sys
from pathlib import Path

from agents.polling.transport import Transport
from connectors import Connector, Endpoint, Request
from connectors.calls import Auth, Handshake
from connectors.errors import ProviderUnavailable
from connectors.symbols import Symbols


def memory(name):
    return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


async def main(url, path):
    session = Handshake(cookie_url=url, token_path="/token", token_param="crumb", endpoints=frozenset({"in_session"}))
    connector = Connector(
        name="example", title="", base_url=url, docs="", auth=Auth(handshake=session), mailbox=31,
        symbols=Symbols(spell=lambda symbol, _: symbol, canonical=lambda text, kind: (text, kind)), endpoints=(),
    )
    transport = Transport(timeout_s=3, body_limit=2**20, base_urls={})
    await transport.fetch(connector, Request(endpoint="open", path="/fine"), "a-key-of-ours")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = memory("VmRSS")
    try:
        request = Request(endpoint="in_session" if path == "/token" else "open", path=path)
        outcome = f"a body of {len((await transport.fetch(connector, request, 'a-key-of-ours')).answer.body)}"
    except ProviderUnavailable as error:
        outcome = error.reason
    print(json.dumps({"grown": memory("VmHWM") - before, "outcome": outcome}))
    await transport.close()


asyncio.run(main(*sys.argv[1:]))
"""
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n"
LINE = b"X-Brd-Filler: " + b"x" * 1_000 + b"\r\n"


def encoded(body, encoding):
    return [HEAD + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (encoding, len(body)), body]


def repeated(first, part, times=10**9):
    yield first
    for _ in range(times):
        yield part


def answers():
    zeros = bytes(UNPACKED)
    packed = gzip.compress(zeros, 1)
    return {
        "gzip": (encoded(packed, b"gzip"), "body is larger than 1048576 bytes"),
        "deflate": (encoded(zlib.compress(zeros, 1), b"deflate"), "body is larger than 1048576 bytes"),
        "br": (encoded(brotli.compress(zeros, quality=2), b"br"), "body is larger than 1048576 bytes"),
        "chain": (encoded(gzip.compress(packed), b"gzip, gzip"), "body is encoded 2 times"),
        "twice": (encoded(gzip.compress(packed), b"gzip"), "a body of "),
        "members": (encoded(gzip.compress(b"") * 40_000, b"gzip"), "goes on behind its end"),
        "plain": (repeated(HEAD + b"\r\n", b"0" * MIB), "body is larger than 1048576 bytes"),
        "headers": (repeated(HEAD, LINE * 100), "RemoteProtocolError"),
        "one_header": (repeated(HEAD + b"X-Brd-Error: ", b"x" * MIB), "RemoteProtocolError"),
        "continue": (repeated(b"", (b"HTTP/1.1 100 Continue\r\n" + LINE + b"\r\n") * 100), "TimeoutError"),
        "trailers": (repeated(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", LINE * 100), "RemoteProtocolError"),
        "chunks": (repeated(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 9_000 + b"\r\n0\r\n"), ""),
        "token": (repeated(HEAD + b"\r\n", b"0" * MIB), "body is larger than 4096 bytes"),
        "fine": ([HEAD + b"Content-Length: 2\r\n\r\n{}"], "a body of 2"),
    }


@pytest.fixture(scope="module")
def hostile():
    """The URL of a server, on a thread of its own, that answers each path as it is called above."""
    sent = answers()

    async def answer(reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            request = await reader.readuntil(b"\r\n\r\n")
            name = request.split()[1].decode().strip("/") or "fine"
            for part in sent[name][0]:
                writer.write(part)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", {name: reason for name, (_, reason) in sent.items()}
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


@pytest.mark.parametrize(
    "name",
    [
        *("gzip", "deflate", "br", "chain", "twice", "members", "plain"),
        *("headers", "one_header", "continue", "trailers", "chunks", "token"),
    ],
)
def test_no_answer_costs_more_memory_than_the_limit_and_a_decoder(hostile, name):
    url, reasons = hostile
    ran = subprocess.run(
        [sys.executable, "-c", FETCH, url, f"/{name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    told = json.loads(ran.stdout)

    assert reasons[name] in told["outcome"]
    assert told["grown"] < ALLOWED
