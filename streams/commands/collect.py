"""`tapestream collect`, `schedule`: runs of the collectors by hand, and when they run by themselves."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from functools import partial

import click

from infra.kafka.brokers import Brokers
from infra.settings import Settings
from streams.collecting import runs
from streams.collecting.declarations import OWN, load
from streams.commands.console import load_settings, one_line_errors, say, say_json, show
from streams.messaging.collector_messages import CollectorRun, CollectRequest
from streams.runtime import discovery
from streams.runtime.query import rows

SHOWN = ("collector", "priority", "depends_on", "last_state", "last_ended", "calls", "records", "last_reason")


@click.command()
@click.argument("name", required=False)
@click.option("--full", is_flag=True, help="Fetch everything again, whatever is stored.")
@click.option(
    "--now", "at_once", is_flag=True, help="Wait for no dependency, even one that failed, and for no other run."
)
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until the run has ended.")
@click.option("--json", "as_json", is_flag=True, help="The report, or one object per collector, as JSON.")
@one_line_errors
def collect(name: str | None, *, full: bool, at_once: bool, wait: bool, as_json: bool) -> None:
    """Run a collector on the running pipeline; without a name, list the collectors with their last runs.

    \b
    tapestream collect
    tapestream collect daily_prices --now
    tapestream collect stocks_etfs --full --no-wait
    """
    settings = load_settings()
    if name is None:
        _list(settings, as_json=as_json)
        return
    asked = runs.request(name, settings.clock.now_ms(), full=full, at_once=at_once)
    run = asyncio.run(_ask(discovery.find(settings).bootstrap, asked, wait=wait))
    if run is None:
        say(f"asked for {name} as {asked.run_id}; `tapestream collect` tells how it ended")
        return
    if as_json:
        say_json(run.model_dump())
    else:
        say(
            f"{run.collector} {run.state}: {run.records:,} records, {run.rejects:,} rejected, {run.calls:,} calls, "
            f"{run.units:,} requests, {(run.ended_at - run.started_at) / 1000:,.1f} s"
        )
        if run.reason:
            say(run.reason)
    raise SystemExit(0 if run.state == "done" else 1)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per schedule.")
@one_line_errors
def schedule(*, as_json: bool) -> None:
    """Show every schedule: times and zone, last and next fire time, and whether it is due.

    \b
    tapestream schedule
    """
    settings = load_settings()
    found = asyncio.run(runs.timetables(load(), partial(rows, settings), settings.clock.now_ms()))
    if as_json:
        for each in found:
            say_json(asdict(each))
        return
    shown = [
        (each.schedule, each.cron, each.zone, each.last_fired, _upcoming(each), "due" if each.due else "")
        for each in found
    ]
    show(("schedule", "cron", "zone", "last_fired", "next", "due"), shown)
    if settings.schedules == "off" or (settings.schedules == "auto" and not OWN.exists()):
        why = "SCHEDULES=off" if settings.schedules == "off" else f"there is no {OWN} here; SCHEDULES=on runs them"
        say(f"times are UTC; none of them fires by itself: {why}")
    else:
        say("times are UTC; they fire while a worker runs")


def _upcoming(each: runs.Timetable) -> str:
    return ", ".join(f"{at:%Y-%m-%d %H:%M}" for at in each.next)


def _list(settings: Settings, *, as_json: bool) -> None:
    found = asyncio.run(runs.standings(load(), partial(rows, settings)))
    found_rows = [{**asdict(each), "depends_on": " ".join(each.depends_on)} for each in found]
    columns = tuple(found_rows[0]) if as_json else SHOWN
    show(columns, [[row[name] for name in columns] for row in found_rows], as_json=as_json)


async def _ask(bootstrap: Brokers, asked: CollectRequest, *, wait: bool) -> CollectorRun | None:
    """Request a run, and return its report if the caller waits for it."""
    if wait:
        return await runs.run(bootstrap, asked)
    await runs.submit(bootstrap, asked)
    return None
