"""`tapestream keys`, `breakers`, `budget`: what was used of every quota, how the providers fare, what money is left.

A running worker answers for the providers it owns; the calls in the store answer for the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
import click

from connectors import connector, connectors
from infra.clickhouse import Store, StoreError
from infra.clickhouse.queries import calls_since
from infra.kafka.connection import connected
from infra.settings import Settings
from streams.accounts import account as accounts
from streams.accounts import views
from streams.accounts.account import Account
from streams.accounts.policy import labels, policies
from streams.accounts.quota import Window, window_start
from streams.commands.console import load_settings, one_line_errors, say, say_json, show
from streams.messaging import topics
from streams.messaging.messages import OWNER_COMMAND, OwnerCommand, new_id
from streams.messaging.producer import Outbox
from streams.runtime import discovery

Statuses = Mapping[str, dict[str, Any]]
"""By provider: its keys, breaker and budget, as `streams.accounts.views.provider` gives them."""


@click.command()
@click.argument("providers", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per key.")
@one_line_errors
def keys(providers: tuple[str, ...], *, as_json: bool) -> None:
    """Show the use of each key's limits, its state, and when it is whole again.

    \b
    tapestream keys
    tapestream keys polygon --json
    """
    statuses = asyncio.run(_statuses(load_settings(), providers))
    rows = [key for one in statuses.values() for key in one["keys"]]
    if as_json:
        _print_json(rows)
        return
    show(
        ("key", "health", "used", "resets in", "rests for", "calls", "refused", "failed"),
        [
            (
                key["key"],
                key["health"],
                _used(key["used"]),
                _resets(key),
                _span(key["rests_ms"]),
                *(key[name] for name in ("calls", "refused", "failed")),
            )
            for key in rows
        ],
    )
    refused = [(key["key"], found) for key in rows for found in key["not_sold"]]
    if refused:
        say("")
        show(
            ("key", "is not sold", "since", "asked again from", "the provider's words"),
            [
                (label, found["what"], _moment(found["since"]), _moment(found["until"]), found["reason"])
                for label, found in refused
            ],
        )
    lacking = [name for name, one in statuses.items() if not one["keys"]]
    if lacking:
        say(f"no key, so never asked: {', '.join(lacking)}")


@click.command()
@click.argument("providers", nargs=-1)
@click.option("--reset", "to_reset", metavar="PROVIDER", help="Close this provider's breaker now.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per provider.")
@one_line_errors
def breakers(providers: tuple[str, ...], to_reset: str | None, *, as_json: bool) -> None:
    """Show each provider's circuit breaker: state, calls, failures, time until the next trial.

    \b
    tapestream breakers
    tapestream breakers --reset polygon
    """
    settings = load_settings()
    if to_reset is not None:
        connector(to_reset)
        asyncio.run(_reset(settings, to_reset))
        say(f"the breaker of {to_reset} will close")
        return
    rows = [one["breaker"] for one in asyncio.run(_statuses(settings, providers)).values()]
    if as_json:
        _print_json(rows)
        return
    show(
        ("provider", "state", "calls", "failures", "failure rate", "in a row", "opened", "next trial in", "policy"),
        [
            (
                *(row[name] for name in ("provider", "state", "calls", "failures")),
                "" if row["failure_rate"] is None else f"{row['failure_rate']:.1%}",
                *(row[name] for name in ("in_a_row", "opened")),
                _span(row["trial_ms"]) if row["state"] != "CLOSED" else "",
                row["policy"],
            )
            for row in rows
        ],
    )


@click.command()
@click.argument("providers", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per provider that costs money, and one for all.")
@one_line_errors
def budget(providers: tuple[str, ...], *, as_json: bool) -> None:
    """Show the money spent today, by provider and in all.

    \b
    tapestream budget
    """
    settings = load_settings()
    rows = [one["budget"] for one in asyncio.run(_statuses(settings, providers)).values() if one["budget"]]
    whole = {
        "provider": "all",
        **{name: sum(row[name] for row in rows) for name in ("spent_usd", "limit_usd", "left_usd", "paid_calls")},
    }
    if settings.budget_usd is not None and not providers:
        whole["limit_usd"] = settings.budget_usd
        whole["left_usd"] = max(0.0, settings.budget_usd - whole["spent_usd"])
    if as_json:
        _print_json([*rows, whole])
        return
    show(
        ("provider", "spent $", "of $", "left $", "share", "paid calls", "resets in", "zone"),
        [
            (
                *(row[name] for name in ("provider", "spent_usd", "limit_usd", "left_usd")),
                f"{row['share']:.0%}" if "share" in row else "",
                row["paid_calls"],
                _span(row["resets_ms"]) if "resets_ms" in row else "",
                row.get("zone", ""),
            )
            for row in (*rows, whole)
        ],
    )


async def _statuses(settings: Settings, names: tuple[str, ...]) -> Statuses:
    for name in names:
        connector(name)
    wanted = names or tuple(connectors())
    live: dict[str, dict[str, Any]] = {}
    try:
        status = await discovery.find(settings).pages.status()
        live = {name: one for name, one in status["providers"].items() if name in status["owned"]}
    except (aiohttp.ClientError, TimeoutError, OSError, KeyError):
        pass  # no worker runs here: the store remembers
    counted = await _counted(settings) if set(wanted) - set(live) else {}
    agreed, now = policies(settings), settings.clock.now_ms()
    return {
        name: live.get(name) or views.provider(name, _configured(settings, name, counted), agreed[name], now)
        for name in wanted
    }


def _configured(settings: Settings, name: str, counted: Mapping[str, Account]) -> Account:
    account = counted.get(name, Account())
    own = {label: account.key(label) for label in labels(settings, connectors()[name])}
    return Account(own, account.breaker, account.budget, account.refusals)


async def _counted(settings: Settings) -> dict[str, Account]:
    """Every provider's account, counted from the calls of the running month. Nothing where there is no store yet."""
    agreed, now = policies(settings), settings.clock.now_ms()
    since = window_start(Window(1, "month"), now) - 86_400_000  # the month of any zone
    try:
        async with await Store.open(settings.store_url, readonly=True) as store:
            found = await calls_since(store, since)
    except StoreError:
        return {}
    return {
        name: accounts.replayed([call for call in found if call.provider == name], agreed[name])
        for name in {call.provider for call in found} & set(agreed)
    }


async def _reset(settings: Settings, provider: str) -> None:
    bootstrap = discovery.find(settings).bootstrap
    async with connected(bootstrap):
        pass  # a broker that is away is said in one line
    outbox = Outbox(bootstrap)
    await outbox.start()
    order = OwnerCommand(order="reset_breaker", provider=provider, order_id=new_id(), at=settings.clock.now_ms())
    try:
        await outbox.send(
            topics.API_CALLS, order.encode(), key=provider, partition=topics.mailbox(provider), headers=OWNER_COMMAND
        )
    finally:
        await outbox.stop()


def _used(used: Mapping[str, float]) -> str:
    return ", ".join(f"{amount:g} of {limit}" for limit, amount in used.items()) or "no limit"


def _resets(key: Mapping[str, Any]) -> str:
    """The time until the longest window is whole again; a rolling one frees its calls one by one."""
    resets = key["resets_ms"]
    return _span(max(resets.values())) if resets else ""


def _moment(ms: int) -> str:
    """A moment as a person reads it, UTC."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"


def _span(ms: int) -> str:
    """A time span as a person reads it: `45 s`, `12 min`, `7 h 05 min`."""
    seconds = -(-ms // 1000)
    if seconds < 120:
        return f"{seconds} s" if ms else ""
    minutes = seconds // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def _print_json(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        say_json(row)
