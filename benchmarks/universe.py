"""What a full run of daily prices takes of a worker, over a small and a large universe: time per symbol, and memory.

Every symbol is a call of its own, to a provider that has nothing better: the hardest case for the bounds. The sandbox
and, where the store is a server, the store are in their own processes, so that the worker's memory is its own.

    python -m benchmarks.universe [--sizes 1000,4000,16281]
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from infra.child_process import Child
from infra.clock import SYSTEM
from infra.kafka.brokers import Brokers
from infra.kafka.embedded import EmbeddedBroker
from infra.ports import free_port
from streams.collecting import runs
from streams.messaging.collector_messages import CollectorRun
from streams.runtime.pages import Pages, new_token
from streams.runtime.process_tree import answers, sandbox_environment

READY_S = 120
ROOT = Path(__file__).parents[1]
DECLARED = """
[collectors.listed]
datasets = ["assets"]
universe = { asset_classes = ["equity"] }
providers = ["eodhd"]

[collectors.prices]
datasets = [{ dataset = "bars", interval = "1d", history = "60d" }]
universe = { where = "asset_class = 'equity' AND symbol NOT LIKE '%.%'" }
providers = ["finnhub"]
refresh = "full"
"""


@dataclass(frozen=True, slots=True)
class Result:
    """One full run: symbols asked for, ms for each, the worker's largest resident memory and its CPU time."""

    symbols: int
    ms_per_symbol: float
    rss_mb: float
    cpu_s: float


async def measure(symbols: int, folder: Path, *, server: bool) -> Result:
    """Collect the daily prices of so many shares, once, with the store in the worker or in a server of its own."""
    async with AsyncExitStack() as open_:
        broker = await open_.enter_async_context(EmbeddedBroker(log=folder / "broker.log"))
        sandbox = await open_.enter_async_context(_sandbox(folder, symbols))
        embedded = f"chdb://{folder}/store"
        store = await open_.enter_async_context(_server(folder)) if server else embedded
        await open_.enter_async_context(_worker(broker.url, folder, sandbox, store))
        await collect(broker.bootstrap, "listed")
        run = await collect(broker.bootstrap, "prices")
    assert run.state == "done", run.reason
    assert run.calls >= run.units
    ms = (run.ended_at - run.started_at) / run.units
    return Result(run.units, ms, run.rss_mb_peak, run.cpu_s)


async def collect(bootstrap: Brokers, collector: str) -> CollectorRun:
    """Have a collector run, and give its report."""
    return await runs.run(bootstrap, runs.request(collector, SYSTEM.now_ms(), full=False))


@asynccontextmanager
async def _sandbox(folder: Path, shares: int) -> AsyncIterator[str]:
    """A sandbox that knows so many shares, in a process of its own."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with _own("sandbox", folder, str(port), str(shares)) as child:
        await child.until_ready(lambda: answers(f"{url}/_sandbox/health"), READY_S)
        yield url


@asynccontextmanager
async def _server(folder: Path) -> AsyncIterator[str]:
    """A store that is asked over HTTP, in a process of its own."""
    told = folder / "store.url"

    async def listens() -> bool:
        return await asyncio.to_thread(told.exists)

    async with _own("server", folder, str(folder / "engine"), str(told)) as child:
        await child.until_ready(listens, READY_S)
        yield told.read_text()


@asynccontextmanager
async def _own(part: str, folder: Path, *arguments: str) -> AsyncIterator[Child]:
    """A part of this program as a process."""
    command = [sys.executable, "-m", "benchmarks.universe", part, *arguments]
    child = await Child.start(part, command, log=folder / f"{part}.log", cwd=ROOT)
    try:
        yield child
    finally:
        await child.stop(10)


@asynccontextmanager
async def _worker(kafka_url: str, folder: Path, sandbox: str, store: str) -> AsyncIterator[None]:
    port, token = free_port(), new_token()
    worker = await Child.start(
        "worker",
        [sys.executable, "-m", "faust", "-A", "streams", "worker", "--loglevel", "warn"],
        log=folder / "worker.log",
        env={
            **os.environ,
            **sandbox_environment(sandbox),
            "KAFKA_URL": kafka_url,
            "CLICKHOUSE_URL": store,
            "DATA_DIR": str(folder),
            "WEB_PORT": str(port),
            "WEB_TOKEN": token,
            "SCHEDULES": "off",
        },
        cwd=folder,
    )
    try:
        await worker.until_ready(Pages(f"http://127.0.0.1:{port}", token).ready, READY_S)
        yield
    finally:
        await worker.stop(20)


@click.group(invoke_without_command=True)
@click.option("--sizes", default="1000,4000,16281", show_default=True, help="How many assets, by comma.")
@click.pass_context
def main(context: click.Context, sizes: str) -> None:
    """Measure, and print a line for each run and the summary."""
    if context.invoked_subcommand is None:
        asyncio.run(_measure([int(size) for size in sizes.split(",")]))


@main.command(hidden=True)
@click.argument("port", type=int)
@click.argument("shares", type=int)
def sandbox(port: int, shares: int) -> None:
    """Serve a market of so many US shares."""
    from sandbox.market import universe  # noqa: PLC0415  (it is enlarged before anybody else reads it)

    plain = sum(i.asset_class == "equity" and "." not in i.symbol for i in universe.instruments().values())
    universe.enlarge(max(0, shares - plain))
    from sandbox.server.provider import providers  # noqa: PLC0415
    from sandbox.server.server import SandboxSettings, run  # noqa: PLC0415

    names = {name: "*" if provider.any_key else f"demo-{name}-1" for name, provider in providers().items()}
    run(port, settings=SandboxSettings(keys={name: {key: None} for name, key in names.items()}))


@main.command(hidden=True)
@click.argument("folder")
@click.argument("told", type=click.Path(path_type=Path))
def server(folder: str, told: Path) -> None:
    """Serve a store over HTTP until the end."""
    spec = importlib.util.spec_from_file_location("servers", ROOT / "tests" / "conftest.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    running = module.ClickHouseServer(folder)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=running.stop).start())
    told.write_text(running.url())
    running.thread.join()


async def _measure(sizes: list[int]) -> None:
    found: dict[tuple[int, bool], Result] = {}
    with tempfile.TemporaryDirectory(prefix="tapestream-bench-") as name:
        for size, server in [*((size, False) for size in sizes), (sizes[-1], True)]:
            folder = Path(name) / f"{size}-{server}"
            folder.mkdir()
            (folder / "tapestream.toml").write_text(DECLARED)
            result = found[size, server] = await measure(size, folder, server=server)
            print(
                f"{result.symbols:>6,} symbols, store {'on a server' if server else 'in the worker'}: "
                f"{result.ms_per_symbol:.2f} ms each, {result.rss_mb:.0f} MiB resident, {result.cpu_s:.1f} s of CPU"
            )
    least, most, apart = found[sizes[0], False], found[sizes[-1], False], found[sizes[-1], True]
    print(
        f"universe ms_per_symbol_1k={least.ms_per_symbol:.2f} ms_per_symbol_16k={most.ms_per_symbol:.2f} "
        f"rss_mb={most.rss_mb:.0f} rss_mb_server={apart.rss_mb:.0f}"
    )


if __name__ == "__main__":
    main()
