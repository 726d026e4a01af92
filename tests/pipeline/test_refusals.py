"""Providers refuse one thing of each scope: they are called again for all else, and `keys` shows what is refused."""

import asyncio
import json
import os
import re
import sys
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from aiohttp import web

from connectors import Call
from connectors.calls import DAY_MS
from connectors.refusals import YEAR_MS
from infra.clock import SYSTEM

pytestmark = [pytest.mark.pipeline, pytest.mark.asyncio(loop_scope="module")]

TODAY = SYSTEM.now_ms() // DAY_MS * DAY_MS
FIREWALL = "<html><title>Attention Required! | Cloudflare</title></html>"
FIREWALLED = [(403, FIREWALL)]
"""What providers answer before anything else, the last first."""


def day(ms):
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")


def polygon(path, _):
    if path.startswith("v3/reference/news") or path.startswith("v2/reference/news"):
        return 403, {"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."}
    first = re.search(r"/(\d{4}-\d\d-\d\d)/", path)
    if first and first[1] < day(TODAY - 2 * YEAR_MS):
        return 403, {"status": "NOT_AUTHORIZED", "message": "Your plan doesn't include this data timeframe."}
    bar = dict.fromkeys(("o", "h", "l", "c", "v"), 1) | {"t": TODAY - 30 * DAY_MS}
    return 200, {"status": "OK", "resultsCount": 1, "results": [bar]}


def fmp(path, query):
    if query.get("symbol") == "VEEV":
        return 402, (
            "Premium Query Parameter: 'Special Endpoint : This value set for 'symbol' is not available under your plan"
        )
    if path.endswith("dividends"):
        return 402, "Restricted Endpoint: This endpoint is not available under your current subscription."
    return 200, []


def finnhub(_, query):
    if "." in query["symbol"]:
        return 403, {"error": "You don't have access to this resource."}
    return 200, {"s": "no_data"}


def alphavantage(_, query):
    if query.get("outputsize") == "full":
        return 200, {"Information": "The outputsize=full parameter value is a premium feature for the endpoint."}
    return 200, {"Meta Data": {"2. Symbol": query["symbol"]}, "Time Series (Daily)": {}}


def alpaca(*_):
    return 403, {"message": "Your subscription has expired"}


PROVIDERS = {each.__name__: each for each in (polygon, fmp, finnhub, alphavantage, alpaca)}


@pytest_asyncio.fixture(loop_scope="module")
async def asked():
    """The base URLs of the providers on loopback, and the list of (provider, path, query) that they are asked."""
    calls = []

    async def answer(request):
        _, name, path = request.path.split("/", 2)
        calls.append((name, path, dict(request.query)))
        status, body = FIREWALLED.pop() if FIREWALLED else PROVIDERS[name](path, request.query)
        if isinstance(body, str):
            return web.Response(
                text=body, status=status, content_type="text/html" if body == FIREWALL else "text/plain"
            )
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    yield {name: f"http://127.0.0.1:{port}/{name}" for name in PROVIDERS}, calls
    await runner.cleanup()


def bars(symbol="AAPL", years=1):
    return Call(dataset="bars", symbols=(symbol,), interval="1d", start=TODAY - years * YEAR_MS, end=TODAY)


OUTSIDE = [
    ("polygon", bars(years=8), bars("MSFT")),
    ("fmp", bars("VEEV"), bars("AAPL")),
    ("fmp", Call(dataset="actions", symbols=("AAPL",)), Call(dataset="actions", symbols=("IBM",), kind="split")),
    ("finnhub", bars("SAP.XETR"), bars("AAPL")),
    (
        "alphavantage",
        bars(),
        Call(dataset="bars", symbols=("IBM",), interval="1d", start=TODAY - 30 * DAY_MS, end=TODAY),
    ),
    ("polygon", Call(dataset="news", symbols=("AAPL",)), Call(dataset="quote", symbols=("AAPL",))),
]
"""(provider, what holds a refusal, what is outside its scope)"""


async def test_a_refusal_takes_off_its_scope_and_keys_tells_what_since_when_and_until_when(
    asked, embedded_broker, tmp_path, start_pipeline
):
    urls, calls = asked
    environment = {f"{name.upper()}_URL": url for name, url in urls.items()}
    before = SYSTEM.now_ms()
    async with start_pipeline(embedded_broker, tmp_path, **environment) as pipeline:
        for provider, refused, outside in OUTSIDE:
            first = await pipeline.poll((refused, (provider,)))
            calls.clear()
            again = await pipeline.poll((refused, (provider,)))
            held = len(calls)
            calls.clear()
            served = await pipeline.poll((outside, (provider,)))

            ends = {report.outcome for report in first.done.values() if not report.children}
            assert "NotEntitled" in ends, (provider, refused, first.done)
            assert {failure.outcome for failure in again.failures} == {"NotEntitled"}
            assert held == sum(report.outcome == "records" for report in again.done.values())
            assert calls != [], (provider, outside)
            assert "NotEntitled" not in {report.outcome for report in served.done.values()}, (provider, outside)
        whole = await pipeline.poll((bars(), ("alpaca",)))
        calls.clear()
        other = await pipeline.poll((Call(dataset="quote", symbols=("IBM",)), ("alpaca",)))
        assert [report.outcome for job in (whole, other) for report in job.failures] == ["NotEntitled"] * 2
        assert calls == []
        shown = await keys(pipeline, "--json")
        table = await keys(pipeline)

    kinds = {(row["provider"], refusal["kind"]) for row in shown for refusal in row["not_sold"]}
    assert kinds >= {
        ("polygon", "range"),
        ("polygon", "endpoint"),
        ("fmp", "symbol"),
        ("fmp", "endpoint"),
        ("finnhub", "exchange"),
        ("alphavantage", "parameter"),
        ("alpaca", "key"),
    }
    for row in shown:
        for refusal in row["not_sold"]:
            assert before <= refusal["since"] <= SYSTEM.now_ms()
            assert refusal["until"] - refusal["since"] >= DAY_MS
            assert refusal["reason"]
    assert "asked again from" in table
    assert "everything" in table


async def keys(pipeline, *options):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams", "keys", *PROVIDERS, *options),
        env={**os.environ, **pipeline.environment, "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return [json.loads(line) for line in printed.splitlines()] if options else printed.decode()
