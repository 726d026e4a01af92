"""How much of the machine's own speed the pipeline keeps: bars/s with no broker, on the embedded one, on Apache Kafka.

The same raw answers (Polygon's shape, 5,000 bars each) are (a) decoded, validated and inserted in one process with no
broker: the limit; (b) read by a worker from the raw topic of a broker and followed until the last bar is in the store.

    python -m benchmarks.pipeline [--bars 1500000] [--repeat 1]
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import click
import orjson

from connectors import Call, connector
from infra.child_process import Child
from infra.clickhouse import Store, log_table, migrate
from infra.kafka.admin import ensure_topics
from infra.kafka.apache import ApacheKafka, available
from infra.kafka.brokers import Brokers
from infra.kafka.embedded import EmbeddedBroker
from infra.ports import free_port
from streams.messaging import topics
from streams.messaging.messages import Page, RawMeta
from streams.messaging.producer import Outbox
from streams.processing.normalize import normalize
from streams.processing.table_rows import TABLES, bar_rows
from streams.runtime.pages import Pages, new_token

BARS_PER_ANSWER = 5_000
BATCH = 50_000
MINUTE_MS = 60_000
FIRST_MS = 1_700_000_000_000 // MINUTE_MS * MINUTE_MS
DEADLINE_S = 300


def answers(bars: int) -> Iterator[tuple[RawMeta, bytes]]:
    """Raw answers of invented minute bars, one symbol each."""
    chance = random.Random(1)
    polygon = connector("polygon")
    for number in range(bars // BARS_PER_ANSWER):
        symbol = f"S{number:05d}"
        call = Call(dataset="bars", symbols=(symbol,), interval="1m", start=FIRST_MS, end=FIRST_MS + 10**10)
        price = 100.0
        rows = []
        for i in range(BARS_PER_ANSWER):
            close = round(price * (1 + chance.uniform(-0.001, 0.001)), 4)
            high, low = round(max(price, close) + 0.01, 4), round(min(price, close) - 0.01, 4)
            rows.append(
                {
                    **{"v": chance.randrange(100, 100_000), "vw": round((high + low) / 2, 4), "o": price, "c": close},
                    **{"h": high, "l": low, "t": FIRST_MS + i * MINUTE_MS, "n": chance.randrange(1, 900)},
                }
            )
            price = close
        body = {"ticker": symbol, "adjusted": True, "resultsCount": len(rows), "results": rows, "status": "OK"}
        meta = RawMeta(
            call_id=f"bench-{number}",
            request_id=f"bench-{number}",
            provider="polygon",
            key_label="polygon#1",
            call=call,
            page=Page.of(polygon.request(call)),
            url="",
            status=200,
            headers={},
            received_at=FIRST_MS + 10**10,
            latency_ms=0,
        )
        yield meta, orjson.dumps(body)


async def limit(messages: list[tuple[RawMeta, bytes]], folder: Path) -> float:
    """Bars/s of decode, validate and insert, with no broker."""
    table = TABLES[topics.MARKET["bars"]]
    async with await Store.open(f"chdb://{folder}/limit") as store:
        await migrate(store)
        started = time.perf_counter()
        total = waiting = 0
        batch: dict[str, list[Any]] = {name: [] for name in table.columns}
        for meta, body in messages:
            for record in normalize(meta, body, ("", 0, 0)).records:
                for name, column in bar_rows(record.__dict__).items():
                    batch[name].extend(column)
                waiting = len(batch["ts"])
            if waiting >= BATCH:
                total += await store.insert(log_table("bars"), batch)
                batch = {name: [] for name in table.columns}
        total += await store.insert(log_table("bars"), batch) if batch["ts"] else 0
        return total / (time.perf_counter() - started)


async def pipeline(
    messages: list[tuple[RawMeta, bytes]], folder: Path, broker: Callable[[], AbstractAsyncContextManager[Any]]
) -> float:
    """Bars/s from the raw topic to the store, through a worker process."""
    bars = len(messages) * BARS_PER_ANSWER
    async with broker() as running:
        await ensure_topics(running.bootstrap, topics.SPECS)
        await _produce(running.bootstrap, messages)
        async with _worker(running.url, folder) as pages:
            started = await _when(pages, lambda status: status["ready"] or status["rows_stored"])
            ended = await _when(pages, lambda status: status["rows_stored"] >= bars + len(messages))
            stored = (await pages.query("SELECT count() FROM bars"))["rows"][0][0]
            assert int(stored) == bars, f"{stored} bars in the store, not {bars}"
            return bars / (ended - started)


async def _produce(bootstrap: Brokers, messages: list[tuple[RawMeta, bytes]]) -> None:
    outbox = Outbox(bootstrap)
    await outbox.start()
    sends = [
        outbox.send(topics.RAW_RESPONSES, body, key=meta.call.symbols[0], headers={"meta": meta.encode()})
        for meta, body in messages
    ]
    await asyncio.gather(*sends)
    await outbox.stop()


@asynccontextmanager
async def _worker(kafka_url: str, folder: Path) -> AsyncIterator[Pages]:
    port, token = free_port(), new_token()
    child = await Child.start(
        "worker",
        [sys.executable, "-m", "faust", "-A", "streams", "worker", "--loglevel", "warn"],
        log=folder / "worker.log",
        env={
            **os.environ,
            "KAFKA_URL": kafka_url,
            "CLICKHOUSE_URL": f"chdb://{folder}/store",
            "DATA_DIR": str(folder),
            "WEB_PORT": str(port),
            "WEB_TOKEN": token,
        },
    )
    try:
        yield Pages(f"http://127.0.0.1:{port}", token)
    finally:
        await child.stop(15)


async def _when(pages: Pages, reached: Callable[[dict[str, Any]], object]) -> float:
    """The moment at which the worker's status fulfils `reached`."""
    deadline = time.perf_counter() + DEADLINE_S
    while time.perf_counter() < deadline:
        try:
            if reached(await pages.status()):
                return time.perf_counter()
        except OSError:
            pass  # it does not listen yet
        await asyncio.sleep(0.02)
    raise TimeoutError(f"the worker did not get there within {DEADLINE_S} s")


async def _main(bars: int) -> None:
    messages = list(answers(bars))
    print(f"{len(messages)} raw answers, {bars:,} bars, {sum(len(body) for _, body in messages) / 2**20:.0f} MiB")
    with tempfile.TemporaryDirectory(prefix="tapestream-bench-") as name:
        folder = Path(name)
        found = {"limit": await limit(messages, folder)}
        print(f"limit      {found['limit']:>10,.0f} bars/s")
        brokers: dict[str, Callable[[], AbstractAsyncContextManager[Any]]] = {
            "embedded": lambda: EmbeddedBroker(log=folder / "broker.log")
        }
        if (reason := available()) is None:
            brokers["kafka"] = lambda: ApacheKafka(data_dir=folder / "kafka")
        else:
            print(f"kafka      not measured: {reason}")
        for broker, start in brokers.items():
            found[broker] = await pipeline(messages, folder / f"run-{broker}", start)
            print(f"{broker:10} {found[broker]:>10,.0f} bars/s")
    ratios = " ".join(f"ratio_{name}={found[name] / found['limit']:.2f}" for name in brokers)
    print("bench " + " ".join(f"{name}={speed:.0f}" for name, speed in found.items()) + " " + ratios)


@click.command()
@click.option("--bars", default=1_500_000, show_default=True)
def main(bars: int) -> None:
    """Measure, and print the ratios."""
    asyncio.run(_main(bars))


if __name__ == "__main__":
    main()
