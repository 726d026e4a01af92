"""`tapestream demo`: the whole job once, from an empty folder to three answered questions."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from connectors import Call, Connector, UnsupportedCall, connector, connectors
from infra.clickhouse import DATASET_TABLES
from infra.settings import Settings
from streams.commands.console import fail, load_settings, one_line_errors, say, show, stage
from streams.messaging.job import Job, requests_for
from streams.messaging.messages import PollDone
from streams.messaging.requester import Requester
from streams.planning.history import reaching
from streams.runtime.discovery import usable
from streams.runtime.pages import Pages
from streams.runtime.process_tree import Stack

SHARES = ("AAPL", "GOOG", "IBM", "MSFT", "FB")
HISTORY = ("2000-03-01", "2013-03-02")
QUOTED = {
    "equity": ("AAPL", "GOOG", "IBM", "MSFT", "FB"),
    "crypto": ("BTC-USD", "ETH-USD"),
    "forex": ("EUR/USD", "USD/JPY"),
}
RECENT = {"equity": "NVDA", "etf": "SPY", "crypto": "BTC-USD", "forex": "EUR/USD"}
SAMPLE = {"equity": "AAPL", "etf": "SPY", "crypto": "BTC-USD", "forex": "EUR/USD"}
MARKET = frozenset({"bars", "quote", "actions"})
DATED = {"news": 30, "earnings": 100}
"""Datasets that are asked by date: calendar days back; a quarter holds an earnings report."""
INTRADAY = {"1m": 4, "5m": 5, "1h": 20}
"""Interval to calendar days back."""
SETTLE_S = 120.0  # for a slow and busy machine
AGREEMENT = (
    "WITH splits AS (SELECT symbol, groupUniqArray((ex_date, assumeNotNull(ratio))) AS list FROM actions "
    "WHERE kind = 'split' AND source = 'polygon' GROUP BY symbol) "
    "SELECT symbol, max(sources) AS providers, count() AS days, max(spread) AS largest_relative_difference FROM "
    "(SELECT symbol, day, count() AS sources, max(traded) / min(traded) - 1 AS spread FROM "
    "(SELECT bar.symbol AS symbol, bar.ts AS day, bar.close * if(bar.adjustment = 'split', "
    "arrayFold((product, split) -> product * if(split.1 > toDate(bar.ts), split.2, 1.), list, 1.), 1.) AS traded "
    "FROM daily_bars AS bar LEFT JOIN splits ON splits.symbol = bar.symbol "
    "WHERE bar.asset_class IN ('equity', 'etf')) "
    "GROUP BY symbol, day HAVING sources > 1) GROUP BY symbol ORDER BY symbol"
)
QUESTIONS = (
    (
        "Daily history in the store, by share and provider",
        "SELECT symbol, source, adjustment, count() AS days, min(ts) AS first, max(ts) AS last "
        "FROM daily_bars WHERE asset_class = 'equity' AND ts < '2013-03-02' GROUP BY ALL ORDER BY symbol, source",
    ),
    (
        "Do the providers agree? Closes of the same day, brought back to the price as traded",
        AGREEMENT,
    ),
    (
        "The latest quotes of one share, one coin and one currency pair",
        "SELECT symbol, source, ts, price, bid, ask, currency FROM latest_quotes "
        "WHERE symbol IN ('AAPL', 'BTC-USD', 'EUR/USD') ORDER BY symbol, source",
    ),
)


@click.command()
@click.option("--sandbox", is_flag=True, help="Call the bundled sandbox instead of the real providers.")
@one_line_errors
def demo(*, sandbox: bool) -> None:
    """Start everything, collect real daily history, intraday bars and quotes, show what the store answers, stop.

    \b
    tapestream demo --sandbox  no key and no network needed
    tapestream demo            the real providers, keys from the environment or .env; Yahoo needs none
    """
    settings = load_settings()
    console = stage(120)
    try:
        asyncio.run(_demo(settings, console, sandbox=sandbox))
    except KeyboardInterrupt:
        fail("interrupted; what was received is in the store", 130)


@dataclass(slots=True)
class DemoCounts:
    """What came back, by provider."""

    started: float = field(default_factory=time.monotonic)
    """When the requests were submitted, in seconds of the monotonic clock."""
    requests: Counter[str] = field(default_factory=Counter)
    """Reports of ended requests, a count by provider."""
    ended: dict[str, float] = field(default_factory=dict)
    """Seconds from `started` to a provider's latest report, by provider."""

    def note(self, report: PollDone) -> None:
        """Count one report."""
        self.requests[report.provider] += 1
        self.ended[report.provider] = time.monotonic() - self.started


async def _demo(settings: Settings, console: Console, *, sandbox: bool) -> None:
    names = _providers(settings, sandbox=sandbox)
    console.print(f"tapestream: starting broker, worker{' and sandbox' if sandbox else ''} ...")
    async with Stack(settings, sandbox=sandbox) as stack:
        assert stack.address
        tally = DemoCounts()
        watching = asyncio.ensure_future(stack.watch())
        working = asyncio.ensure_future(_collect(stack, names, tally, console))
        await asyncio.wait({watching, working}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            await watching
        watching.cancel()
        job = await working
        await _settled(stack)
        await _report(stack, job, tally, console)


def _providers(settings: Settings, *, sandbox: bool) -> list[str]:
    if sandbox:
        from sandbox.server.provider import providers  # noqa: PLC0415  (needs the extra `sandbox`)

        return [name for name in connectors() if name in providers()]
    return [name for name in connectors() if usable(settings, name)]


def calls(names: list[str]) -> Iterator[tuple[Call, tuple[str, ...]]]:
    """Every provider is asked for itself: the store then holds each one's view of the same things."""
    for name in names:
        declared = connector(name)
        wanted = (*_daily_calls(declared), *_market_calls(), *_company_calls(declared))
        yield from ((call, (name,)) for call in wanted if _sells(declared, call))


def _sells(declared: Connector, call: Call) -> bool:
    """Return whether the provider has an endpoint for it, and a history that reaches so far back."""
    try:
        declared.split(call)
    except UnsupportedCall:
        return False
    return reaching((declared.name,), call, _ms(_today())) != ()


def _daily_calls(declared: Connector) -> Iterator[Call]:
    """Daily history as traded where the provider sells that, otherwise with its default adjustment."""
    first, last = (_ms(datetime.fromisoformat(f"{day}T00:00:00+00:00")) for day in HISTORY)
    for share in SHARES:
        call = Call(dataset="bars", symbols=(share,), interval="1d", start=first, end=last, adjustment="raw")
        yield call if _sells(declared, call) else call.model_copy(update={"adjustment": None})


def _market_calls() -> Iterator[Call]:
    """Corporate actions, recent intraday bars, quotes."""
    today = _today()  # whole days: the same day asks for the same bars again
    for share in SHARES:
        yield Call(dataset="actions", symbols=(share,))
    for share in SHARES[:2]:
        for interval, days in INTRADAY.items():
            since = _ms(today - timedelta(days=days))
            yield Call(dataset="bars", symbols=(share,), interval=interval, start=since, end=_ms(today))
    for asset_class, symbols in QUOTED.items():
        yield Call(dataset="quote", symbols=symbols, asset_class=asset_class)
    for asset_class, symbol in RECENT.items():
        since = _ms(today - timedelta(days=30))
        yield Call(
            dataset="bars", symbols=(symbol,), asset_class=asset_class, interval="1d", start=since, end=_ms(today)
        )


def _company_calls(declared: Connector) -> Iterator[Call]:
    """One call for each further endpoint that a call can reach: facts of one share or fund, and the universe."""
    today = _today()
    by_symbol = {endpoint.dataset for endpoint in declared.endpoints if endpoint.routed and endpoint.batch}
    for endpoint in declared.endpoints:
        whole_market = endpoint.batch == 0
        if endpoint.dataset in MARKET or (whole_market and endpoint.dataset in by_symbol):
            continue
        for asset_class in (name for name in endpoint.asset_classes if name in SAMPLE):
            call = Call(
                dataset=endpoint.dataset,
                symbols=() if whole_market else (SAMPLE[asset_class],),
                asset_class=asset_class,
                kind=endpoint.kinds[0] if endpoint.kinds else None,
                query=SAMPLE[asset_class] if whole_market else None,
                start=_ms(today - timedelta(days=DATED[endpoint.dataset])) if endpoint.dataset in DATED else None,
                end=_ms(today) if endpoint.dataset in DATED else None,
            )
            if endpoint.serves(call) and declared.route(call) is endpoint:
                yield call
                break


def _today() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


async def _collect(stack: Stack, names: list[str], tally: DemoCounts, console: Console) -> Job:
    assert stack.address
    requests = requests_for(calls(names))
    async with Requester(stack.address.bootstrap) as requester:
        if not console.is_terminal:
            return await requester.run(requests, _plain(tally, console))
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description:10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, TextColumn("{task.fields[records]:>10,} records"), console=console) as progress:
            bars = {name: progress.add_task(name, total=0, records=0) for name in names}
            for request in requests:
                task = bars[request.provider]
                progress.update(task, total=(progress.tasks[task].total or 0) + 1)

            def note(_: Job, report: PollDone) -> None:
                tally.note(report)
                task = progress.tasks[bars[report.provider]]
                progress.update(
                    task.id,
                    advance=1,
                    total=(task.total or 0) + len(report.children),
                    records=task.fields["records"] + report.records,
                )

            return await requester.run(requests, note)


def _plain(tally: DemoCounts, console: Console) -> Any:
    """Progress for a log file: a line for every tenth of the requests."""
    shown = 0

    def note(job: Job, report: PollDone) -> None:
        nonlocal shown
        tally.note(report)
        tenth = len(job.done) * 10 // job.total
        if tenth > shown or job.finished:
            shown = tenth
            records = sum(done.records for done in job.done.values())
            console.print(f"tapestream: {len(job.done)}/{job.total} requests, {records:,} records")

    return note


async def _settled(stack: Stack) -> None:
    """Wait until everything received is in the store."""
    async with asyncio.timeout(SETTLE_S):
        while not (await stack.status())["settled"]:
            await asyncio.sleep(0.1)


async def _report(stack: Stack, job: Job, tally: DemoCounts, console: Console) -> None:
    assert stack.address
    pages = stack.address.pages
    rows = []
    for name in sorted(tally.requests):
        done = [report for report in job.done.values() if report.provider == name]
        bars = await _number(pages, f"SELECT count() FROM bars WHERE source = '{name}'")  # noqa: S608  (names of our own)
        calls = await _number(pages, f"SELECT count() FROM api_calls WHERE provider = '{name}'")  # noqa: S608
        records, rejects = (sum(getattr(report, what) for report in done) for what in ("records", "rejects"))
        rows.append((name, len(done), calls, records, bars, rejects, round(tally.ended[name], 1)))
    titles = ("provider", "requests", "calls in store", "records", "bars in store", "rejects", "seconds")
    show(titles, rows, title="What was collected")
    show(*await _matrix(pages, sorted(tally.requests)), title="Rows in the store, by dataset and provider")
    for failure in job.failures:
        what = f"{failure.provider} {failure.dataset} {' '.join(failure.symbols)}"
        say(f"unserved: {what}: {failure.outcome} {failure.reason}")
    for title, sql in QUESTIONS:
        say(f"\n{title}\n  {sql}")
        found = await pages.query(sql)
        if "error" in found:
            fail(found["error"])
        show(found["columns"], found["rows"])


async def _matrix(pages: Pages, names: list[str]) -> tuple[list[str], list[list[Any]]]:
    """Rows of every dataset's table by provider; nothing where there are none."""
    rows: list[list[Any]] = []
    for dataset, table in DATASET_TABLES.items():
        found = await pages.query(f"SELECT source, count() FROM {table} GROUP BY source")  # noqa: S608
        counts = {source: int(count) for source, count in found["rows"]}
        rows.append([dataset, *(counts.get(name) for name in names)])
    return ["dataset", *names], rows


async def _number(pages: Pages, sql: str) -> int:
    found = await pages.query(sql)
    return int(found["rows"][0][0])
