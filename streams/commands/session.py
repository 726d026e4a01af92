"""`tapestream session`: collect for a number of hours, stop, resume, and show the results."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import click

from infra import telemetry
from infra.settings import Settings
from streams.commands.console import fail, load_settings, one_line_errors, say, say_json, show
from streams.commands.plan import parts, symbols_of
from streams.errors import CheckpointRefused
from streams.sessions import options, units
from streams.sessions.export import FORMATS, export_to
from streams.sessions.folder import LAST, Folder, SessionCommand, SessionManifest, adopt, every
from streams.sessions.log import SessionLog
from streams.sessions.recorder import duration, fold
from streams.sessions.runner import conduct
from streams.sessions.spec import PRESETS
from streams.sessions.state import FINAL, Event, Interrupted, Session, SessionEnded, StopAsked, remaining_ms
from streams.sessions.summary import summary

OBEYED_S = 60.0  # a session applies a command within a second, or has ended
CLEAR = "\r\033[K"
CALLED_OFF: Mapping[str, tuple[Event, ...]] = {
    **dict.fromkeys(("planned", "paused"), (StopAsked(), SessionEnded())),
    **dict.fromkeys(("running", "stopping"), (Interrupted(), SessionEnded())),
    "interrupted": (SessionEnded(),),
}
"""What a stop means where no process runs the session."""


@click.group()
def session() -> None:
    """Collect for a number of hours within the keys' quotas; stop at any time and resume later.

    \b
    tapestream session start --mode production
    tapestream session resume last
    """


@session.command()
@click.option("--mode", type=click.Choice(list(PRESETS)), help="A ready-made session; what else is given replaces it.")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), help="How long it runs; pauses do not count.")
@click.option("--symbols", help="By comma, or @FILE; SPY:etf names the asset class.")
@click.option("--sources", default="", help="Providers by comma.")
@click.option("--datasets", default="", help="Which, by comma.")
@click.option("--file", type=click.Path(path_type=Path), help="A TOML file with these options by their names.")
@click.option("--sandbox", is_flag=True, help="Call the bundled sandbox instead of the real providers.")
@click.option("--clock-rate", type=click.FloatRange(1, 100_000), help="Rehearse so many times as fast; with --sandbox.")
@click.option("--resume", "onward", is_flag=True, help="Go on with the mode's last session, if it has not ended.")
@one_line_errors
def start(
    *,
    mode: str | None,
    hours: float | None,
    symbols: str | None,
    sources: str,
    datasets: str,
    file: Path | None,
    sandbox: bool,
    clock_rate: float | None,
    onward: bool,
) -> None:
    """Start a session and run it, in this process, until it has ended.

    \b
    tapestream session start --mode production
    tapestream session start --hours 2 --symbols AAPL,MSFT,BTC-USD --sources finnhub,yahoo
    tapestream session start --mode test --sandbox --clock-rate 60
    """
    if clock_rate and not sandbox:
        fail("--clock-rate needs --sandbox: real providers cannot be hurried", 2)
    if onward and (unended := _unended(load_settings().data_dir, mode or "custom")):
        _go_on(unended)
        return
    settings = _settings(clock_rate or 0, round(time.time() * 1000))
    spec = options.make(
        settings.clock.now_ms(),
        mode=mode,
        hours=hours,
        symbols=symbols_of(symbols),
        sources=parts(sources),
        datasets=parts(datasets),
        file=file,
    )
    manifest = SessionManifest(spec, os.getpid(), sandbox, settings.clock_rate, settings.clock_anchor)
    _run(Folder.create(settings.data_dir, manifest), settings, manifest)


@session.command()
@click.argument("name", default=LAST)
@one_line_errors
def resume(*, name: str) -> None:
    """Go on with a session: NAME is its id, `last`, or a checkpoint file. One that is paused goes on in its process.

    \b
    tapestream session resume last
    tapestream session resume data/sessions/20240603-080000-1a2b/checkpoint.previous.json
    """
    folder = _folder(load_settings(), name)
    found = folder.session()
    if found.state in FINAL:
        fail(f"session {folder.id} is {found.state}: start another one")
    if folder.owned():
        folder.order(SessionCommand(what="resume"))
        say(f"tapestream: session {folder.id} goes on in process {folder.manifest().pid}")
        return
    _go_on(folder)


def _unended(data_dir: Path, mode: str) -> Folder | None:
    """The newest session of a mode, unless it has ended."""
    of_mode = [folder for folder in every(data_dir) if folder.manifest().spec.mode == mode]
    return of_mode[-1] if of_mode and of_mode[-1].session().state not in FINAL else None


def _go_on(folder: Folder) -> None:
    manifest = folder.manifest()
    for order in folder.orders():  # nobody was there to obey
        if order.what in {"add", "remove"}:
            manifest = folder.change(order)
    settings = _settings(manifest.rate if manifest.sandbox else 0, manifest.anchor)
    manifest = replace(manifest, pid=os.getpid())
    folder.write_card(manifest)
    _run(folder, settings, manifest)


@session.command()
@click.argument("name", default=LAST)
@one_line_errors
def stop(*, name: str) -> None:
    """End a session before its time; it cannot be resumed. Returns when it has ended.

    \b
    tapestream session stop last
    """
    settings = load_settings()
    folder = Folder.find(settings.data_dir, name)
    if folder.owned():
        _order(folder, "stop", FINAL)
    else:
        found = fold(folder, *CALLED_OFF.get(folder.session().state, ()), now=settings.clock.now_ms())
        folder.write_summary(found, found.at)
    say(f"tapestream: session {folder.id} is {folder.session().state}")


@session.command()
@click.argument("name", default=LAST)
@one_line_errors
def pause(*, name: str) -> None:
    """Let a session rest: nothing more is asked, and its time stands still, until `session resume`.

    \b
    tapestream session pause last
    """
    folder = Folder.find(load_settings().data_dir, name)
    if not folder.owned():
        fail(f"session {folder.id} is {folder.state(folder.session())}: there is nothing to pause")
    _order(folder, "pause", frozenset({"paused", *FINAL}))
    say(f"tapestream: session {folder.id} is {folder.session().state}")


@session.command()
@click.argument("symbols", metavar="SYMBOL...", nargs=-1, required=True)
@click.option("--session", "name", default=LAST, show_default=True, help="The session's id.")
@one_line_errors
def add(*, symbols: tuple[str, ...], name: str) -> None:
    """Collect more symbols in a session, from its next cycle on; `SPY:etf` names the asset class.

    \b
    tapestream session add AMD SOL-USD
    """
    _change("add", symbols, name)


@session.command()
@click.argument("symbols", metavar="SYMBOL...", nargs=-1, required=True)
@click.option("--session", "name", default=LAST, show_default=True, help="The session's id.")
@one_line_errors
def remove(*, symbols: tuple[str, ...], name: str) -> None:
    """Ask for symbols no more in a session, from its next cycle on. What is stored of them stays.

    \b
    tapestream session remove XOM
    """
    _change("remove", symbols, name)


@session.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per session.")
@one_line_errors
def list_sessions(*, as_json: bool) -> None:
    """All sessions, the oldest first.

    \b
    tapestream session list
    """
    rows = []
    for folder in every(load_settings().data_dir):
        try:
            found = folder.session()
        except CheckpointRefused as error:
            say(f"tapestream: session {folder.id}: {error}", err=True)
            continue
        figures = summary(found, found.at)["session_summary"]
        left = remaining_ms(found, found.at) // 1000
        units = f"{len(found.done)}/{found.planned}"
        rows.append((*_head(folder, found), left if as_json else duration(left * 1000), units, *_counts(figures)))
    titles = ("id", "state", "mode", "left_s" if as_json else "left", "units", "api_calls", "records")
    show(titles, rows, as_json=as_json)


@session.command("show")
@click.argument("name", default=LAST)
@click.option("--json", "as_json", is_flag=True, help="The figures as one JSON object.")
@one_line_errors
def show_session(*, name: str, as_json: bool) -> None:
    """What a session has brought so far, by source.

    \b
    tapestream session show last
    """
    folder = Folder.find(load_settings().data_dir, name)
    found = folder.session()
    figures = summary(found, found.at)
    figures["session_summary"]["state"] = folder.state(found)
    if as_json:
        say_json(figures)
        return
    head = figures["session_summary"]
    for moment in ("started", "ended"):
        head[moment] = head[moment] and datetime.fromtimestamp(head[moment] / 1000, UTC)
    show(("what", "value"), [*head.items(), *figures["data_quality_metrics"].items()])
    rows = [
        (
            source,
            brought["calls"],
            brought["records"],
            brought["success_rate"],
            _errors(brought["errors"]),
        )
        for source, brought in figures["source_performance"].items()
    ]
    show(("source", "calls", "records", "success_rate", "errors"), rows)


@session.command()
@click.argument("name", default=LAST)
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="parquet", show_default=True)
@click.option("--to", type=click.Path(path_type=Path), help="A folder; without it `export` in the session's own.")
@one_line_errors
def export(*, name: str, form: str, to: Path | None) -> None:
    """Write what a session collected into files, one for each source and dataset.

    \b
    tapestream session export last --format csv --to /tmp/aapl
    """
    settings = load_settings()
    folder = Folder.find(settings.data_dir, name)
    target = to or folder.path / "export"
    target.mkdir(parents=True, exist_ok=True)
    written = asyncio.run(export_to(target, folder.id, form, settings))
    show(("file", "rows"), [(str(path), rows) for path, rows in written])


def _run(folder: Folder, settings: Settings, manifest: SessionManifest) -> None:
    telemetry.configure(settings.log_level)
    terminal = sys.stderr.isatty()
    log = SessionLog(folder.log, _say, _draw if terminal else None, now=settings.clock.now_ms)
    say(f"tapestream: session {folder.id}, {duration(manifest.spec.duration_ms)}; {folder.path}")
    try:
        found = asyncio.run(_conduct(folder, settings, log, sandbox=manifest.sandbox))
    finally:
        log.close()
    left = duration(remaining_ms(found, found.at))
    onward = "" if found.state in FINAL else f", {left} left; `tapestream session resume {folder.id}` goes on"
    brought = f"{sum(tally.calls for tally in found.tallies.values()):,} calls, "
    brought += f"{sum(tally.records for tally in found.tallies.values()):,} records"
    _say(f"session {folder.id} is {found.state}: {brought}{onward}")


async def _conduct(folder: Folder, settings: Settings, log: SessionLog, *, sandbox: bool) -> Session:
    leaving = asyncio.Event()

    def leave() -> None:
        if leaving.is_set():
            os._exit(130)  # children die with us; the last checkpoint is what counts
        leaving.set()
        _say("stopping; what was received is stored first. Once more leaves at once")

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, leave)
    return await conduct(folder, settings, log, leaving, sandbox=sandbox)


def _settings(rate: float, anchor: int) -> Settings:
    """The settings; a rehearsal's clock goes into the environment, for every process that is started from here."""
    if rate:
        os.environ.update(CLOCK_RATE=str(rate), CLOCK_ANCHOR=str(anchor))
    return load_settings()


def _folder(settings: Settings, name: str) -> Folder:
    path = Path(name)
    return adopt(settings.data_dir, path) if path.is_file() else Folder.find(settings.data_dir, name)


def _order(folder: Folder, what: Any, until: frozenset[Any]) -> None:
    """Leave an order, and wait until it is obeyed."""
    folder.order(SessionCommand(what=what))
    patience = time.monotonic() + OBEYED_S
    while (folder.owned() and folder.session().state not in until) or (until == FINAL and folder.owned()):
        if time.monotonic() > patience:
            fail(f"process {folder.manifest().pid} has not obeyed within {OBEYED_S:g} s; its log is {folder.log}")
        time.sleep(0.1)


def _change(what: Literal["add", "remove"], symbols: tuple[str, ...], name: str) -> None:
    """Leave commands that change the symbols; the process that runs the session applies them."""
    folder = Folder.find(load_settings().data_dir, name)
    if folder.session().state in FINAL:
        fail(f"session {folder.id} is {folder.session().state}: start another one")
    found = options.assets(symbols)
    units.check(replace(folder.manifest().spec, symbols=found))
    for asset in found:
        folder.order(SessionCommand(what=what, symbol=asset.symbol, asset_class=asset.asset_class))
    when = "at its next cycle" if folder.owned() else "when it is resumed"
    done = "added" if what == "add" else "removed"
    say(f"{' '.join(asset.symbol for asset in found)} will be {done} {when}, in session {folder.id}")


def _head(folder: Folder, found: Session) -> tuple[str, str, str]:
    return folder.id, folder.state(found), found.spec.mode


def _counts(figures: dict[str, Any]) -> tuple[int, int]:
    return figures["api_calls"], figures["records"]


def _errors(errors: dict[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in errors.items())


def _say(line: str) -> None:
    if sys.stderr.isatty():
        click.echo(CLEAR, err=True, nl=False)
    say(f"tapestream: {line}", err=True)


def _draw(line: str) -> None:
    click.echo(CLEAR, err=True, nl=False)
    say(line[:118], err=True, end="")
