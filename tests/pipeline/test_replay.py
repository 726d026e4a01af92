"""A mended parser mends what is stored: `tapestream replay` against a running pipeline, broker and store included."""

import asyncio
import json
import sys

import orjson
import pytest

from connectors import Call
from infra.clickhouse import Store, log_table, migrate
from infra.clock import SYSTEM
from streams.messaging import topics
from streams.messaging.dead_letters import letter
from streams.messaging.messages import Page, RawMeta
from streams.processing.frames import encode
from streams.processing.normalize import normalize
from streams.processing.table_rows import TABLES

pytestmark = [pytest.mark.pipeline, pytest.mark.asyncio(loop_scope="module")]

MIDNIGHT = 1_717_372_800_000  # 2024-06-03
DAY = 86_400_000
LETTERS = "SELECT rule, symbol FROM dead_letters ORDER BY ALL"
BARS = "SELECT symbol, toString(toDate(ts)), close FROM bars ORDER BY ALL"


def answer(name, at, *rows, symbol="AAPL", **more):
    """What a provider answered to a call for daily bars: (meta, body)."""
    path = f"/v2/aggs/ticker/{symbol}/range/1/day/2024-06-03/2024-06-05"
    meta = RawMeta(
        **{"call_id": name, "request_id": name, "provider": "polygon", "key_label": "polygon#1", "latency_ms": 1},
        **{"call": Call(dataset="bars", symbols=(symbol,), interval="1d"), "url": f"https://api.massive.com{path}"},
        **{"page": Page(endpoint="aggregates", path=path), "status": 200, "headers": {}, "received_at": at, **more},
    )
    counted = dict.fromkeys(("queryCount", "resultsCount", "count"), len(rows))
    body = {"ticker": symbol, "status": "OK", "adjusted": True, **counted, "results": list(rows)}
    return meta, orjson.dumps(body)


def bar(day, close, **changes):
    return {"o": 10, "h": 12, "l": 9, "c": close, "v": 100, "t": MIDNIGHT + day * DAY + 14_400_000, **changes}


async def store_of_a_broken_parser(url):
    """What stands in the store after a parser misread one answer, gave up on another, and read a third one right."""
    now = SYSTEM.now_ms()
    misread, given_up, later = (
        answer("misread", now - 3_000, bar(0, 11), bar(1, 11.5), bar(2, 11, h=1)),
        answer("given_up", now - 2_000, bar(0, 11.25), symbol="MSFT"),
        answer("later", now - 1_000, bar(0, 10.75)),
    )
    async with await Store.open(url) as store:
        await migrate(store)

        async def insert(topic, value, headers=None):
            table = TABLES[topic]
            await store.insert(log_table(table.name), table.decode(value, headers or {}))

        for meta, body in (misread, given_up, later):
            await insert(topics.RAW_RESPONSES, body, {"meta": meta.encode()})
        read = normalize(*misread, (topics.RAW_RESPONSES, 0, 1))
        wrong = read.records[0].model_copy(
            update={"close": [99.0, 99.0], "request_id": "misread", "ts": [MIDNIGHT, MIDNIGHT + DAY]}
        )
        phantom = wrong.model_copy(update={"symbol": "AAPL.OLD"})
        right = normalize(*later, (topics.RAW_RESPONSES, 0, 3)).records[0]
        for record in (wrong, phantom, right):
            await insert(topics.MARKET["bars"], encode(record))
        for one in read.letters:
            await insert(topics.DEAD_LETTERS, one.encode())
        meta = given_up[0]
        reason = {"stage": "normalize", "rule": "MalformedPayload", "reason": "the answer has another shape"}
        where = {"provider": "polygon", "dataset": "bars", "symbol": "MSFT", "call_id": meta.call_id}
        await insert(topics.DEAD_LETTERS, letter(**reason, **where, at=meta.received_at).encode())


async def tapestream(pipeline, *args, code=0):
    """Run the command beside the pipeline; returns what it prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams", *args),
        env=pipeline.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == code, err.decode()
    return out.decode().splitlines()


async def mends(pipeline):
    """The whole way: dry run, run, second run."""
    before = await pipeline.rows(BARS), await pipeline.rows(LETTERS)
    assert before[1] == [("MalformedPayload", "MSFT"), ("low_above_high", "AAPL")]

    shown = await tapestream(pipeline, "replay", "--dry-run")
    assert shown == [
        "+ bars polygon MSFT 1d split 2024-06-03: "
        "asset_class equity, open 10.0, high 12.0, low 9.0, close 11.25, volume 100.0, currency USD",
        "~ bars polygon AAPL 1d split 2024-06-04: close 99.0 -> 11.5",
        *(line for line in shown if line.startswith("- bars polygon AAPL.OLD 1d split 2024-06-0")),
        "closed dead letter: polygon MSFT MalformedPayload: the answer has another shape",
        "3 answers read again: 1 rows added, 1 changed; 1 dead letters closed, 0 new (dry run)",
        "2 rows of the store are read no more and stay stored; --dry-run shows them",
        "1 dead letters stay open: their rows still break a rule",
    ]
    assert len(shown) == 8
    assert (await pipeline.rows(BARS), await pipeline.rows(LETTERS)) == before

    assert (await tapestream(pipeline, "replay"))[0] == shown[5].removesuffix(" (dry run)")

    assert await pipeline.rows(BARS) == [
        ("AAPL", "2024-06-03", 10.75),
        ("AAPL", "2024-06-04", 11.5),
        ("AAPL.OLD", "2024-06-03", 99.0),
        ("AAPL.OLD", "2024-06-04", 99.0),
        ("MSFT", "2024-06-03", 11.25),
    ]
    assert await pipeline.rows(LETTERS) == [("low_above_high", "AAPL")]
    assert await pipeline.rows("SELECT rule FROM resolved_dead_letters") == [("MalformedPayload",)]

    stored = await pipeline.value("SELECT count() FROM bars_log"), await pipeline.rows(LETTERS)
    *rows, counts = map(json.loads, await tapestream(pipeline, "replay", "--json"))
    assert [row["row"] for row in rows] == ["gone", "gone"]
    assert counts == {
        **{"answers": 3, "added": 0, "changed": 0, "gone": 2, "refused": 0},
        **{"letters_closed": 0, "letters_new": 0, "letters_open": 1, "skipped": {}},
    }
    assert (await pipeline.value("SELECT count() FROM bars_log"), await pipeline.rows(LETTERS)) == stored
    assert pipeline.sandbox.calls() == {}


async def test_a_mended_parser_mends_what_is_stored_without_a_call(start_pipeline, embedded_broker, tmp_path):
    await store_of_a_broken_parser(f"chdb://{tmp_path}/store")

    async with start_pipeline(embedded_broker, tmp_path, SINK_BATCH_AGE_S="0.1") as pipeline:
        await mends(pipeline)


async def test_a_server_s_rows_are_mended_too(start_pipeline, embedded_broker, clickhouse_server, tmp_path):
    url = clickhouse_server.url()
    await store_of_a_broken_parser(url)

    async with start_pipeline(embedded_broker, tmp_path, CLICKHOUSE_URL=url, SINK_BATCH_AGE_S="0.1") as pipeline:
        await mends(pipeline)


async def test_answers_are_exported_and_mend_another_store(start_pipeline, embedded_broker, tmp_path):
    await store_of_a_broken_parser(f"chdb://{tmp_path}/store")
    folder, other = tmp_path / "answers", tmp_path / "other"
    other.mkdir()

    async with start_pipeline(embedded_broker, tmp_path) as pipeline:
        said = await tapestream(pipeline, "raw", "export", "--dead", str(folder))
    async with start_pipeline(embedded_broker, other, SINK_BATCH_AGE_S="0.1") as pipeline:
        await tapestream(pipeline, "replay", "--from", str(folder), "--symbols", "MSFT,IBM")

        assert said == [f"2 answers written to {folder}"]
        assert await pipeline.rows(BARS) == [("MSFT", "2024-06-03", 11.25)]


async def test_without_a_worker_only_the_difference_can_be_shown(start_pipeline, embedded_broker, tmp_path):
    await store_of_a_broken_parser(f"chdb://{tmp_path}/store")
    async with start_pipeline(embedded_broker, tmp_path) as pipeline:
        pass

    shown = await tapestream(pipeline, "replay", "--dry-run", "--dead", "--provider", "polygon")
    await tapestream(pipeline, "replay", code=1)

    assert shown[-3].startswith("2 answers read again: 1 rows added, 1 changed")
