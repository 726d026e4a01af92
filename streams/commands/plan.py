"""`tapestream plan`, `capacity`: what a collection will take, and what the keys allow, before anything is spent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import click
from pydantic import SecretStr

from connectors import connector, connectors
from connectors.records import AssetClass, Period
from infra.clickhouse.queries import HAS_POLLS, CallCost, RefusedCall, answered_sql, calls_sql, refused_sql
from infra.settings import Settings
from streams.accounts import capacity as capacities
from streams.accounts.entitlement import REMEMBERED_MS
from streams.accounts.quota import Window
from streams.commands.console import fail, load_settings, make_call, moment, one_line_errors, say, say_json, show
from streams.commands.naming import ASSET_CLASS, named
from streams.planning.availability import availabilities, horizons
from streams.planning.candidates import best_effort
from streams.planning.coverage import covered_by, kinds_of, poll_shape
from streams.planning.plan import Availability, Covered, Plan, Requirement, Unavailable
from streams.planning.planner import make
from streams.planning.routing import routes
from streams.runtime.process_tree import ProcessTreeAddress, sandbox_environment
from streams.runtime.query import rows

SPANS = {"minute": 60_000, "hour": 3_600_000, "session": 8 * 3_600_000, "day": 86_400_000}
"""How long a key's plan is taken not to sell what it once refused: it may have been changed."""
SHOWN = 5  # reasons printed; `--json` has all of them


@click.command()
@click.option("--datasets", required=True, help="Which, by comma: bars,actions,profile.")
@click.option("--symbols", help="Canonical symbols by comma, or @FILE with one a line; none: a whole market.")
@ASSET_CLASS
@click.option("--interval", help="1m 5m 15m 30m 1h 4h 1d 1w 1mo; of bars.")
@click.option("--adjustment", help="raw, split or total, of bars; default: what the provider gives.")
@click.option("--start", help="YYYY-MM-DD or an ISO time, UTC.")
@click.option("--end", help="Likewise; a day is included.")
@click.option("--kind", help="A dataset's own subdivision, e.g. split or dividend.")
@click.option("--period", type=click.Choice(get_args(Period)), help="Of statements and metrics; ttm: 12 months.")
@click.option("--provider", "providers", multiple=True, help="Only these; repeat. Default: all that have a key.")
@click.option("--full", is_flag=True, help="Plan what is stored already, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@one_line_errors
def plan(
    datasets: str,
    symbols: str | None,
    asset_class: AssetClass | None,
    start: str | None,
    end: str | None,
    providers: tuple[str, ...],
    *,
    full: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Show the cost of a collection in advance: calls, time and money by provider, and what cannot be had.

    \b
    tapestream plan --datasets bars --interval 1d --start 2024-06-03 --end 2024-06-03 --symbols AAPL,MSFT
    tapestream plan --datasets profile,actions --symbols @symbols.txt --provider fmp --json
    """
    settings = settings_of_tree()
    names = chosen(providers)
    by_class, strange = named(symbols_of(symbols), asset_class)
    requirements = [
        _wish(dataset, tuple(members), asset_class=of, start=moment(start), end=moment(end, end=True), **given)
        for dataset in parts(datasets)
        for of, members in (by_class if symbols else {asset_class or "equity": []}).items()
    ]
    now = settings.clock.now_ms()
    covered, supplied = asyncio.run(_look(settings, requirements, names, now, full=full))
    found = make(requirements, supplied, covered, now, routes(settings.routes))
    lacking = [Unavailable(dataset, (symbol,), why) for dataset in parts(datasets) for symbol, why in strange.items()]
    found = replace(found, unavailable=(*found.unavailable, *lacking))
    keyless = without_key(supplied)
    if as_json:
        say_json({**_as_data(found), "without_key": keyless})
    else:
        _print(found, keyless)
    raise SystemExit(0 if found.requests or found.covered else 1)


@click.command()
@click.argument("names", metavar="[PROVIDER]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with the formula of each figure.")
@one_line_errors
def capacity(names: tuple[str, ...], *, as_json: bool) -> None:
    """Show the calls that the configured keys allow in a minute, an hour, a session of 8 hours and a day.

    \b
    tapestream capacity
    tapestream capacity polygon finnhub --json

    Where calls have weights (`tapestream providers` shows them), it is their sum that is allowed.
    """
    settings = settings_of_tree()
    supplied = availabilities(settings, chosen(names), (), (), settings.clock.now_ms())
    keyed = {availability.connector.name: availability for availability in supplied if availability.usages}
    allowed = {name: _each_span(availability, capacities.allowed) for name, availability in keyed.items()}
    counted = [
        name for name, availability in keyed.items() if availability.windows and not best_effort(availability.connector)
    ]
    total = {span: sum(allowed[name][span] for name in counted) if counted else None for span in SPANS}
    if as_json:
        formulas = {name: _each_span(availability, capacities.formula) for name, availability in keyed.items()}
        providers = {
            name: {
                "keys": len(availability.usages),
                **allowed[name],
                "formula": formulas[name],
                "in_total": name in counted,
            }
            for name, availability in keyed.items()
        }
        answer = {"providers": providers, "total": total, "without_key": without_key(supplied)}
        say_json(answer)
        return
    rows = [
        (
            name,
            len(availability.usages),
            *_cells(allowed[name]),
            _each_span(availability, capacities.formula)["session"],
        )
        for name, availability in keyed.items()
    ]
    columns = ("provider", "keys", "a minute", "an hour", "8 hours", "a day", "how the 8 hours are counted")
    if counted:
        rows.append(("total", sum(len(keyed[name].usages) for name in counted), *_cells(total), ""))
    show(columns, rows)
    if outside := [name for name in keyed if name not in counted]:
        say(f"not in the total, being best effort or without a limit: {', '.join(outside)}")
    _name_keyless(without_key(supplied))


def settings_of_tree() -> Settings:
    """The settings; where a sandboxed tree runs here, with the keys and limits that it gives every provider."""
    settings = load_settings()
    running = ProcessTreeAddress.find(settings.data_dir)
    if not (running and running.sandbox_url):
        return settings
    values = {name: SecretStr(value) for name, value in sandbox_environment(running.sandbox_url).items()}
    return settings.model_copy(update={"provider_values": {**settings.provider_values, **values}})


def chosen(providers: Sequence[str]) -> tuple[str, ...]:
    """The providers named, or all of them. Raises `UnsupportedCall` for an unknown one."""
    for name in providers:
        connector(name)
    return tuple(dict.fromkeys(providers)) or tuple(connectors())


def without_key(supplied: Iterable[Availability]) -> list[str]:
    """The providers that cannot be asked for want of a key."""
    return [availability.connector.name for availability in supplied if not availability.usages]


async def _look(
    settings: Settings, requirements: Sequence[Requirement], names: Sequence[str], now: int, *, full: bool
) -> tuple[Covered, list[Availability]]:
    """Ask the store, where there is one, what is there already and what the keys have used."""
    if not await rows(settings, HAS_POLLS):
        return covered_by({}), availabilities(settings, names, (), (), now)
    answered = {}
    for requirement in () if full else requirements:
        answered[poll_shape(requirement)] = [
            await rows(
                settings,
                answered_sql(
                    requirement.dataset,
                    requirement.asset_class,
                    requirement.interval,
                    requirement.adjustment,
                    kinds,
                    period=requirement.period,
                ),
            )
            for kinds in kinds_of(requirement)
        ]
    calls = [CallCost(*row) for row in await rows(settings, calls_sql(horizons(settings, names, now)))]
    refused = [RefusedCall(*row) for row in await rows(settings, refused_sql(now - REMEMBERED_MS))]
    return covered_by(answered), availabilities(settings, names, calls, refused, now)


def _wish(dataset: str, symbols: tuple[str, ...], **given: Any) -> Requirement:
    """Make a requirement of what the user wrote, or end with what was wrong."""
    if dataset != "bars":
        given = {**given, "interval": None, "adjustment": None}
    make_call(dataset=dataset, symbols=symbols, **given)
    return Requirement(dataset=dataset, symbols=symbols, **given)


def parts(text: str) -> list[str]:
    """What stands between commas, each once."""
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def symbols_of(text: str | None) -> tuple[str, ...]:
    """Symbols by comma, or of `@FILE`: by line or comma, blank lines and what follows a `#` left out."""
    if text is None:
        return ()
    if text.startswith("@"):
        try:
            lines = Path(text[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            fail(f"--symbols {text}: {error}", 2)
        text = ",".join(line.partition("#")[0] for line in lines)
    return tuple(parts(text)) or fail("--symbols names no symbol; leave it out for a whole market", 2)


def _as_data(found: Plan) -> dict[str, Any]:
    return {
        "calls_total": sum(found.calls.values()),
        "calls": found.calls,
        "weights": found.weights,
        "requests": len(found.requests),
        "duration_s": found.duration_s,
        "cost_usd": found.cost_usd,
        "covered": found.covered,
        "unavailable": [
            {"dataset": lacking.dataset, "symbols": lacking.symbols, "reason": lacking.reason}
            for lacking in found.unavailable
        ],
    }


def _print(found: Plan, keyless: Sequence[str]) -> None:
    rows = [
        (name, work.calls, work.weight, in_words(work.duration_ms / 1000), f"${work.usd:,.2f}")
        for name, work in found.work.items()
    ]
    calls, weight = sum(found.calls.values()), sum(found.weights.values())
    total = ("total", calls, weight, in_words(found.duration_s), f"${found.cost_usd:,.2f}")
    show(("provider", "calls", "of its quotas", "lasts", "costs"), [*rows, total])
    say(
        f"in all: calls {calls:,}, requests {len(found.requests):,}, duration {in_words(found.duration_s)}, "
        f"cost ${found.cost_usd:,.2f}; stored already: {found.covered:,}"
    )
    for lacking in found.unavailable:
        more = f" and {len(lacking.symbols) - SHOWN:,} more" if len(lacking.symbols) > SHOWN else ""
        of = f" {' '.join(lacking.symbols[:SHOWN])}{more}" if lacking.symbols else ""
        say(f"cannot be had: {lacking.dataset}{of}: {lacking.reason}")
    if frail := [name for name in found.work if best_effort(connector(name))]:
        say(f"best effort, may fail: {', '.join(frail)}")
    _name_keyless(keyless)


def _name_keyless(names: Sequence[str]) -> None:
    if names:
        say(f"without a key: {', '.join(f'{name} (set {name.upper()}_KEYS)' for name in names)}")


def _each_span(availability: Availability, figure: Callable[[Sequence[Window], int, int], Any]) -> dict[str, Any]:
    return {span: figure(availability.windows, len(availability.usages), ms) for span, ms in SPANS.items()}


def _cells(figures: dict[str, Any]) -> list[Any]:
    return ["no limit" if figure is None else figure for figure in figures.values()]


def in_words(seconds: float) -> str:
    """A duration as a person says it: `at once`, `45 s`, `12 min`, `4 h 26 min`, `64 days 3 h`."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s" if whole else "at once"
    minutes = round(seconds / 60)
    hours, days = minutes // 60, minutes // 1440
    if minutes < 60:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{days:,} days {hours % 24} h"
