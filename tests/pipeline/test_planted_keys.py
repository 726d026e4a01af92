"""Marked keys, repeated by providers in every spelling through every refusal, are nowhere in what is written."""

import asyncio
import base64
import html
import json
import re
import sys
from urllib.parse import quote, unquote

import pytest
import pytest_asyncio
from aiohttp import web
from aiokafka import AIOKafkaConsumer, TopicPartition

from connectors import Call
from streams.messaging import topics
from streams.messaging.producer import MAX_MESSAGE

pytestmark = [pytest.mark.pipeline, pytest.mark.asyncio(loop_scope="module")]

PROVIDERS = ("alpaca", "alphavantage", "brightdata", "eodhd", "finnhub", "fmp", "polygon")
STATUSES = (200, 302, 400, 401, 402, 403, 404, 429, 500)
"""One for each key of a provider; a redirect leads to the same provider."""
TABLES = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine NOT LIKE '%View'"


def key(provider, status):
    return f"pl4nt{status}zq7{provider}Key"


def spellings(secret):
    """A secret as bodies of providers, gateways and proxies may write it."""
    ordinals = [ord(char) for char in secret]
    return [
        secret,
        secret.upper(),
        secret[::1].replace("z", "\\u007a").replace("p", "\\u0070"),
        "".join(f"\\u{at:04x}" for at in ordinals),
        "".join(f"%{at:02x}" for at in ordinals),
        quote("".join(f"%{at:02X}" for at in ordinals)),
        "".join(f"&#x{at:X};" for at in ordinals),
        "".join(f"&#{at};" for at in ordinals),
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(f"user:{secret}".encode()).decode(),
        base64.urlsafe_b64encode(f"{secret}:".encode()).decode().rstrip("="),
        secret.encode().hex(),
    ]


def readings(text):
    """A text, and all that undoing its escapes makes of it."""
    seen, todo = set(), [text]
    while todo:
        one = todo.pop()
        if one in seen or len(seen) > 60:
            continue
        seen.add(one)
        todo += [unquote(one), html.unescape(one), re.sub(r"\\u00([0-9a-fA-F]{2})", lambda m: chr(int(m[1], 16)), one)]
        todo += [one.replace("\\\\", "\\"), one.replace("\\/", "/")]
    for one in list(seen):
        for run in re.findall(r"[A-Za-z0-9+/_-]{16,}", one):
            for skip in range(4):
                piece = run[skip:].replace("-", "+").replace("_", "/")
                seen.add(base64.b64decode(piece[: len(piece) // 4 * 4]).decode("latin-1"))
        seen |= {bytes.fromhex(run).decode("latin-1") for run in re.findall(r"\b(?:[0-9a-fA-F]{2}){12,}\b", one)}
    return seen


def found_in(text):
    return sorted({hit for reading in readings(text) for hit in re.findall(r"pl4nt\d+zq7\w+", reading.lower())})


async def test_the_search_finds_every_spelling():
    secret = key("polygon", 200)

    assert [text for text in spellings(secret) if not found_in(f"<p>{text}</p>")] == []
    assert found_in("nothing here, cGw0bnQ= neither") == []


@pytest_asyncio.fixture(loop_scope="module")
async def echoing():
    """The base URLs of providers that repeat the key that they are called with, and what they were asked with."""
    seen = set()

    async def answer(request):
        name = request.path.split("/")[1]
        sent = f"{request.path_qs} {dict(request.headers)}"
        status = next((each for each in STATUSES if key(name, each) in sent), None)
        seen.add((name, status))
        secret = key(name, status) if status else "no key"
        words = " ".join(spellings(secret))
        headers = {"X-Echo": secret, "X-Request-Url": f"/quote?apikey={quote(secret)}"}
        if status == 302 and "moved" not in request.path:
            headers["Location"] = f"/{name}/moved?apikey={secret}&{request.query_string}"
        page = json.dumps({"error": words, "message": words, "Note": words, "status": "ERROR"})
        body, kind = (words, "text/html") if status == 500 else (page, "application/json")
        return web.Response(text=body, status=status or 400, headers=headers, content_type=kind)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    yield {name: f"http://user:{key(name, 200)}pw@127.0.0.1:{port}/{name}" for name in PROVIDERS}, seen
    await runner.cleanup()


def environment(urls):
    found = {"RETRIES": "0"}
    for name, url in urls.items():
        keys = [key(name, status) for status in STATUSES]
        found[f"{name.upper()}_KEYS"] = ",".join(f"{each}:{each}Secret" if name == "alpaca" else each for each in keys)
        found |= {
            f"{name.upper()}_URL": url,
            f"{name.upper()}_LIMITS": "100/minute",
            f"{name.upper()}_BREAKER": "99/1/1",
        }
    return found


async def test_no_planted_key_is_written_anywhere(echoing, embedded_broker, tmp_path, start_pipeline):
    urls, seen = echoing
    symbols = iter(f"{a}{b}" for a in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for b in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    async with start_pipeline(embedded_broker, tmp_path, **environment(urls)) as pipeline:
        for _ in range(2 * len(STATUSES)):
            calls = [(Call(dataset="quote", symbols=(next(symbols),)), (name,)) for name in PROVIDERS]
            await pipeline.poll(*calls)
        assert {name for name, _ in seen} == set(PROVIDERS)
        assert {status for _, status in seen} >= set(STATUSES)
        written = {f"table {name}": text async for name, text in tables(pipeline)}
        for command in (("keys",), ("keys", "--json"), ("status", "--json"), ("providers", "--json"), ("breakers",)):
            written[" ".join(command)] = await printed(pipeline, *command)
    written |= {f"topic {name}": text async for name, text in records(embedded_broker)}
    for path in tmp_path.rglob("*"):
        if path.is_file():
            written[str(path.relative_to(tmp_path))] = path.read_bytes().decode("latin-1")

    assert len(written["table raw_responses_log"]) > 10_000
    assert {where: hits for where, text in written.items() if (hits := found_in(text))} == {}


async def tables(pipeline):
    """All rows of every table of the store, as text."""
    for (name,) in await pipeline.rows(TABLES):
        rows = await pipeline.rows(f"SELECT * FROM {name}")
        yield name, "\n".join(json.dumps(row, ensure_ascii=False, default=str) for row in rows)


async def records(bootstrap):
    """All records of every topic, with keys and headers, as text."""
    async with AIOKafkaConsumer(
        **bootstrap.options, auto_offset_reset="earliest", max_partition_fetch_bytes=MAX_MESSAGE
    ) as consumer:
        for spec in topics.SPECS:
            parts = [TopicPartition(spec.name, number) for number in range(spec.partitions)]
            ends = await consumer.end_offsets(parts)
            filled = [part for part in parts if ends[part]]
            consumer.assign(filled)
            text = []
            for part in filled:
                await consumer.seek_to_beginning(part)
                while await consumer.position(part) < ends[part]:
                    found = (await consumer.getmany(part, timeout_ms=1000)).get(part, [])
                    text += [f"{each.key} {each.headers} {(each.value or b'').decode('latin-1')}" for each in found]
            yield spec.name, "\n".join(text)


async def printed(pipeline, *words):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams", *words),
        env={**pipeline.environment, "COLUMNS": "300"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return output.decode()
