"""`tapestream up`, `worker`, `sandbox`: what runs until it is stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime

import click

from infra import telemetry
from infra.ports import PortBusy, require_free
from streams.collecting import declarations as collectors
from streams.commands.console import fail, load_settings, one_line_errors, say
from streams.runtime.process_tree import Stack


@click.command()
@click.option("--sandbox", is_flag=True, help="Call the bundled sandbox instead of the real providers.")
@one_line_errors
def up(*, sandbox: bool) -> None:
    """Run everything embedded, as one process tree, until Ctrl-C.

    \b
    tapestream up            real providers, keys from the environment or .env
    tapestream up --sandbox  the bundled sandbox, no key and no network needed
    """
    settings = load_settings()
    telemetry.configure(settings.log_level)
    collectors.load()  # what is wrong with the declarations is said here, not in the worker's log
    sys.exit(asyncio.run(_up(Stack(settings, sandbox=sandbox))))


async def _up(stack: Stack) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    say("tapestream: starting broker and worker ...")
    starting = asyncio.ensure_future(stack.__aenter__())
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return 0
    await starting
    try:
        assert stack.address
        say(f"tapestream: ready; broker {stack.address.kafka_url}, pages {stack.address.web_url}/status/")
        say("tapestream: `tapestream status`, `tapestream poll` and `tapestream query` work; Ctrl-C stops")
        watching = asyncio.ensure_future(stack.watch())
        await asyncio.wait({watching, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            await watching
        watching.cancel()
        say("tapestream: stopping; what was received goes to the store first ...")
    finally:
        await stack.__aexit__()
    say("tapestream: stopped")
    return 0


@click.command()
@one_line_errors
def worker() -> None:
    """Run one worker against KAFKA_URL and CLICKHOUSE_URL (the same as `faust -A streams worker`)."""
    settings = load_settings()
    try:
        require_free(settings.web_port, settings.web_host)
    except PortBusy as error:
        fail(f"{error} (WEB_PORT)")
    level = {"debug": "debug", "info": "info", "warning": "warn", "error": "error"}[settings.log_level]
    os.execv(sys.executable, [sys.executable, "-m", "faust", "-A", "streams", "worker", "--loglevel", level])  # noqa: S606


@click.command()
@click.option("--port", default=8999, show_default=True, help="Port on 127.0.0.1.")
@click.option("--limits/--no-limits", default=False, help="Hold every key to its plan's limits.")
@one_line_errors
def sandbox(*, port: int, limits: bool) -> None:
    """Serve the providers' APIs on loopback, over real daily bars and a seeded market."""
    from sandbox.errors import SandboxError  # noqa: PLC0415
    from sandbox.server.clock import Clock  # noqa: PLC0415  (needs the extra `sandbox`)
    from sandbox.server.provider import providers  # noqa: PLC0415
    from sandbox.server.server import SandboxSettings, run  # noqa: PLC0415

    settings = load_settings()
    started = datetime.fromtimestamp(settings.clock.now_ms() / 1000, UTC)
    try:
        names = {name: "*" if provider.any_key else f"demo-{name}-1" for name, provider in providers().items()}
        unlimited = {} if limits else {name: {key: None} for name, key in names.items()}
        found = SandboxSettings(keys=unlimited, clock=Clock(started, settings.clock_rate))
        run(port, settings=found, ready=lambda url: say(f"sandbox at {url}"))
    except SandboxError as error:
        fail(str(error))
