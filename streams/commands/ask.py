"""`tapestream status`, `query`, `poll`: questions and orders to a running pipeline, from another terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args

import aiohttp
import click

from connectors import Call
from connectors.fields import utc_date
from connectors.records import Period
from infra.clickhouse.queries import DATASET_TABLES, ROW_COUNTS
from infra.errors import PipelineError
from infra.kafka.brokers import Brokers
from infra.settings import Settings
from streams.client.call_builder import Slip, share_out
from streams.commands.console import count, load_settings, make_call, moment, one_line_errors, say, say_json, show
from streams.commands.naming import ASSET_CLASS, named
from streams.messaging.job import Job, requests_for
from streams.messaging.messages import PollRequest
from streams.messaging.outcomes import PollOutcome
from streams.messaging.requester import Requester
from streams.planning import routing
from streams.planning.history import begins_late
from streams.runtime import discovery
from streams.runtime.discovery import PipelineLocation
from streams.runtime.query import answer
from streams.runtime.stored import until_stored

STORED_S = 10.0
"""Seconds in which a batch is stored even on a busy machine; what was asked is then shown."""
SHOWN = {
    "quote": (
        "SELECT symbol, price, bid, ask, volume, currency, ts, source FROM {table} WHERE {brought} "
        "ORDER BY symbol, ts DESC LIMIT 1 BY symbol"
    ),
    "bars": (
        "SELECT symbol, interval, adjustment, count() AS bars, min(ts) AS first, argMin(close, ts) AS first_close, "
        "max(ts) AS last, argMax(close, ts) AS last_close, source FROM {table} WHERE {brought} "
        "GROUP BY symbol, interval, adjustment, source ORDER BY symbol, source"
    ),
}
"""What `poll` shows of a job's rows, by dataset."""
REPORT_S = 5.0
"""Seconds after `--within` in which the worker's report of what is late is still waited for."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The whole state as one JSON object.")
@one_line_errors
def status(*, as_json: bool) -> None:
    """Show what is running, its lag, and what the store holds.

    \b
    tapestream status
    tapestream status --json
    """
    settings = load_settings()
    found = asyncio.run(_status(settings))
    if as_json:
        say_json(found)
        return
    say(f"worker: {found['worker']}")
    if live := found.get("live"):
        behind = ", ".join(f"{topic} {n}" for topic, n in live["behind"].items()) or "nothing"
        say(f"behind: {behind}; store {'away' if live['store_away'] else 'reachable'}")
        quotes = live["quotes"]
        asked = quotes["hits"] + quotes["misses"]
        say(f"quotes: {quotes['known']} young ones known, which answered {quotes['hits']} of {asked} asked for")
        rows = [
            (name, breaker["state"], breaker["calls"], breaker["failures"], _keys(provider["keys"]))
            for name, provider in live["providers"].items()
            for breaker in (provider["breaker"],)
        ]
        show(("provider", "breaker", "calls", "failed", "keys"), rows)
    if found["tables"]:
        show(("table", "rows"), found["tables"])
    else:
        say(f"store: nothing in {settings.data_dir} yet; `tapestream up` starts everything")


def _keys(keys: list[dict[str, Any]]) -> str:
    shown = (f"{key['key']}{'' if key['health'] == 'healthy' else ' (' + key['health'] + ')'}" for key in keys)
    return ", ".join(shown) or "no key"


async def _status(settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = {"worker": "not running"}
    try:
        found["live"] = await discovery.find(settings).pages.status()
        found["worker"] = "ready" if found["live"]["ready"] else "starting"
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass
    found["tables"] = (await answer(settings, ROW_COUNTS))["rows"]
    return found


@click.command()
@click.argument("dataset")
@click.argument("symbols", nargs=-1)
@click.option("--provider", "providers", multiple=True, help="Only these, in this order; repeat. Default: the best.")
@ASSET_CLASS
@click.option("--interval", help="1m 5m 15m 30m 1h 4h 1d 1w 1mo; bars only.")
@click.option("--adjustment", help="raw, split or total; default: what the provider gives.")
@click.option("--start", help="YYYY-MM-DD or an ISO time, UTC.")
@click.option("--end", help="Likewise; a day is included.")
@click.option("--kind", help="A dataset's own subdivision, e.g. split or dividend.")
@click.option("--period", type=click.Choice(get_args(Period)), help="Of statements and metrics; ttm: 12 months.")
@click.option("--exchange", help="MIC, for a whole market.")
@click.option("--force-fresh", is_flag=True, help="Call the provider even where a quote is younger than QUOTE_TTL_S.")
@click.option("--json", "as_json", is_flag=True, help="What was stored as JSON, one object per row.")
@click.option("--within", "within_s", type=click.FloatRange(min=1), help="Seconds after which to give up.")
@one_line_errors
def poll(
    dataset: str,
    symbols: tuple[str, ...],
    asset_class: str | None,
    providers: tuple[str, ...],
    start: str | None,
    end: str | None,
    force_fresh: bool,
    as_json: bool,
    within_s: float | None,
    **given: Any,
) -> None:
    """Ask the running pipeline to fetch something, and wait until it has ended.

    \b
    tapestream poll bars AAPL MSFT --interval 1d --start 2012-01-01 --end 2012-12-31
    tapestream poll quote AAPL BTC-USD EUR/USD ^GSPC
    tapestream poll quote AAPL --provider yahoo
    """
    settings = load_settings()
    call = make_call(dataset=dataset, asset_class=asset_class, start=moment(start), end=moment(end, end=True), **given)
    where = discovery.find(settings)
    calls, unasked = _calls(call, symbols, asset_class, where, providers)
    for line in unasked:
        say(f"not asked: {line}", err=True)
    if not calls:
        raise SystemExit(2)
    deadline = None if within_s is None else settings.clock.now_ms() + round(within_s * 1000)
    requests = requests_for(calls, deadline, urgent=True, force_fresh=force_fresh)
    job = asyncio.run(_poll(where.bootstrap, requests, within_s))
    _print(job, [request.call for request in requests], err=as_json)
    if not job.finished:
        lacking = count(job.unreported, "request")
        say(f"no report of {lacking} within {within_s:g} s: `tapestream status` shows whether a worker runs", err=True)
    if any(report.records for report in job.done.values()):
        asyncio.run(_show_stored(settings, where.bootstrap, job, call.dataset, as_json=as_json))
    raise SystemExit(1 if job.failures or unasked or not job.finished else 0)


def _calls(
    call: Call, symbols: Sequence[str], asset_class: str | None, where: PipelineLocation, providers: Sequence[str]
) -> tuple[list[tuple[Call, Slip]], list[str]]:
    """The calls for symbols, or for a whole market, with their slips; and why the other symbols are not asked."""
    if not symbols:
        return [(call, routing.slip(call, where.providers.__contains__, providers, where.routes))], []
    by_class, strange = named(symbols, asset_class)
    calls, unasked = [], list(strange.values())
    for of, members in by_class.items():
        part = call.model_copy(update={"asset_class": of})
        shared, nobody = share_out(part, members, where.providers, providers, where.routes)
        calls += shared
        unasked += [f"{symbol}: {why}" for symbol, why in nobody.items()]
    return calls, unasked


def _print(job: Job, calls: Iterable[Call], *, err: bool) -> None:
    records = sum(report.records for report in job.done.values())
    rejects = sum(report.rejects for report in job.done.values())
    say(f"{count(records, 'record')}, {rejects} rejected, {count(job.total, 'request')}", err=err)
    if answered := _answered(job):
        say(f"answered by {answered}", err=err)
    for line in _late(job, calls):
        say(line, err=err)
    for report in job.failures:
        tried = "; ".join(f"{hop.provider}: {hop.outcome} {hop.reason}" for hop in report.tried)
        say(
            f"unserved: {' '.join(report.symbols) or report.dataset}: {report.outcome} ({tried or report.reason})",
            err=err,
        )


def _late(job: Job, calls: Iterable[Call]) -> Iterator[str]:
    """The symbols whose bars begin later than asked: listed later, or nobody on the slip reaches further back."""
    firsts = job.first_bars
    for call in calls:
        for symbol in call.symbols:
            if begins_late(call, first := firsts.get(symbol)) and first is not None and call.start is not None:
                yield f"{symbol} begins on {utc_date(first)}, later than {utc_date(call.start)}"


def _answered(job: Job) -> str:
    """Who brought how many records: `polygon 250, yahoo 3 (known already)`."""
    found: dict[tuple[str, str], int] = {}
    for report in job.done.values():
        if report.records:
            who = (report.provider, " (known already)" if report.outcome == PollOutcome.CACHED else "")
            found[who] = found.get(who, 0) + report.records
    return ", ".join(f"{provider} {records}{how}" for (provider, how), records in found.items())


async def _show_stored(settings: Settings, bootstrap: Brokers, job: Job, dataset: str, *, as_json: bool) -> None:
    """Print what the job stored: quotes, or the ends of each series of bars; of other datasets where the rows are."""
    table, brought = DATASET_TABLES[dataset], f"startsWith(request_id, '{job.job_id}')"
    state = "stored"
    try:
        async with asyncio.timeout(STORED_S):
            await until_stored(bootstrap)
        if dataset in SHOWN:
            found = await answer(settings, SHOWN[dataset].format(table=table, brought=brought))
            show(found["columns"], found["rows"], as_json=as_json)
    except (TimeoutError, PipelineError) as error:
        state = f"not seen in the store yet ({error or 'it is behind'}), later"
    query = f"SELECT * FROM {table} WHERE {brought}"  # noqa: S608  (an id and a name of ours)
    say(f'{state}: tapestream query "{query}"', err=as_json)


async def _poll(bootstrap: Brokers, requests: list[PollRequest], within_s: float | None) -> Job:
    """A worker ends what is late by itself: without a report a little later, there is no worker."""
    async with Requester(bootstrap) as requester:
        return await requester.run(requests, within_s=None if within_s is None else within_s + REPORT_S)
