"""`tapestream collect`, `schedule`: runs of the collectors by hand, and when they run by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click
import orjson

from infra.clickhouse import QueryRefused
from infra.clickhouse.runs import FIRES, LAST_RUNS
from infra.clock import now_ms
from infra.kafka.admin import partition_counts
from infra.kafka.connection import BrokerUnreachable, connected
from infra.settings import Settings
from streams import topics, whereabouts
from streams.collectors import OWN, load
from streams.commands._terms import fail, load_settings, plainly, show
from streams.commands.ask import answer
from streams.hearing import Hearing
from streams.messages import CollectorRun, CollectRequest, new_id
from streams.outbox import Outbox
from streams.state.schedule import Schedule, due, next_after

NEXT = 3
COLUMNS = (
    *("collector", "priority", "depends_on", "last_state", "last_reason", "last_cause", "last_refresh"),
    *("last_started", "last_ended", "units", "calls", "records", "rejects"),
)
SHOWN = ("collector", "priority", "depends_on", "last_state", "last_ended", "calls", "records", "last_reason")


@click.command()
@click.argument("name", required=False)
@click.option("--full", is_flag=True, help="Fetch everything again, whatever is stored.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until the run has ended.")
@click.option("--json", "as_json", is_flag=True, help="The report, or one object per collector, as JSON.")
@plainly
def collect(name: str | None, *, full: bool, wait: bool, as_json: bool) -> None:
    """Let the running pipeline run a collector now; without a name, tell which there are and how each last ended.

    \b
    tapestream collect
    tapestream collect daily_prices
    tapestream collect stocks_etfs --full --no-wait
    """
    settings = load_settings()
    if name is None:
        _list(settings, as_json=as_json)
        return
    now = now_ms()
    request = CollectRequest(
        run_id=new_id(),
        collector=name,
        refresh="full" if full else None,
        cause="command",
        due_at=now,
        asked_at=now,
    )
    run = asyncio.run(_ask(whereabouts.find(settings).bootstrap, request, wait=wait))
    if run is None:
        click.echo(f"asked for {name} as {request.run_id}; `tapestream collect` tells how it ended")
        return
    if as_json:
        click.echo(orjson.dumps(run.model_dump()).decode())
    else:
        click.echo(
            f"{run.collector} {run.state}: {run.records:,} records, {run.rejects:,} rejected, {run.calls:,} calls, "
            f"{run.units:,} requests, {(run.ended_at - run.started_at) / 1000:,.1f} s"
        )
        if run.reason:
            click.echo(run.reason)
    raise SystemExit(0 if run.state == "done" else 1)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per schedule.")
@plainly
def schedule(*, as_json: bool) -> None:
    """Tell every schedule: its times and zone, when it last fired, when it fires next, and whether it is due.

    \b
    tapestream schedule
    """
    settings = load_settings()
    declared = load()
    every = [timing.schedule for collector in declared.collectors.values() for timing in collector.timings]
    seen = {name: (at, fired) for name, at, fired in asyncio.run(_rows(settings, FIRES))}
    now = now_ms()
    rows = [_told(each, *seen.get(each.name, (None, False)), now) for each in (*every, *declared.schedules)]
    columns = ("schedule", "cron", "zone", "last_fired", "next", "due")
    if as_json:
        show(columns, rows, as_json=True)
        return
    upcoming = [", ".join(f"{at:%Y-%m-%d %H:%M}" for at in row[4]) for row in rows]
    show(columns, [(*row[:4], at, "due" if row[5] else "") for row, at in zip(rows, upcoming, strict=True)])
    if settings.schedules == "off" or (settings.schedules == "auto" and not OWN.exists()):
        why = "SCHEDULES=off" if settings.schedules == "off" else f"there is no {OWN} here; SCHEDULES=on runs them"
        click.echo(f"times are UTC; none of them fires by itself: {why}")
    else:
        click.echo("times are UTC; they fire while a worker runs")


def _told(each: Schedule, seen: int | None, fired: bool, now: int) -> tuple[Any, ...]:
    upcoming, at = [], now
    for _ in range(NEXT):
        at = next_after(each, at)
        upcoming.append(_moment(at))
    last = _moment(seen) if seen is not None and fired else None
    return each.name, each.cron, each.zone, last, upcoming, due(each, seen, now) is not None


def _list(settings: Settings, *, as_json: bool) -> None:
    last = {row[0]: row for row in asyncio.run(_rows(settings, LAST_RUNS))}
    rows = []
    for collector in load().collectors.values():
        _, _, state, reason, cause, refresh, started, ended, *counts = last.get(collector.name, (None,) * 12)
        times = (None if at is None else _moment(at) for at in (started, ended))
        head = (collector.name, collector.priority, " ".join(collector.depends_on))
        rows.append(dict(zip(COLUMNS, (*head, state, reason, cause, refresh, *times, *counts), strict=True)))
    if as_json:
        show(COLUMNS, [tuple(row.values()) for row in rows], as_json=True)
    else:
        show(SHOWN, [[row[name] for name in SHOWN] for row in rows])


async def _ask(bootstrap: str, request: CollectRequest, *, wait: bool) -> CollectorRun | None:
    """Post a request, and give the report of its run, if that is waited for."""
    try:
        async with connected(bootstrap) as broker:
            known: Mapping[str, int] = await partition_counts(broker)
    except BrokerUnreachable as error:
        fail(f"{error}; `tapestream up` starts everything, KAFKA_URL names another broker")
    if topics.COLLECT_REQUESTS not in known:
        fail(f"no pipeline has run on the broker at kafka://{bootstrap} yet")
    async with Hearing(bootstrap, topics.COLLECT_DONE, patient=False) as hearing:
        with hearing.about(request.run_id) as inbox:
            await _post(bootstrap, request)
            while wait:
                heard = await inbox.get()
                if not isinstance(heard, bytes):
                    raise heard
                run = CollectorRun.decode(heard)
                if run.run_id == request.run_id:
                    return run
    return None


async def _post(bootstrap: str, request: CollectRequest) -> None:
    outbox = Outbox(bootstrap)
    await outbox.start()
    try:
        await outbox.send(topics.COLLECT_REQUESTS, request.encode(), key=request.collector, partition=0)
    finally:
        await outbox.stop()


async def _rows(settings: Settings, sql: str) -> list[Any]:
    """Ask the store, where there is one that knows of collectors."""
    try:
        return list((await answer(settings, sql))["rows"])
    except QueryRefused:
        return []


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
