import ast
import asyncio
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

import sandbox as package
from sandbox import Clock, Fault, InvalidSettings, Limit, Sandbox, SandboxPortBusy, SandboxSettings, run, serve
from sandbox.server.provider import Call, Reason, Refusal, Reply, providers
from tests.waiting import until

NOW = datetime(2026, 7, 15, 15, 30, 10, tzinfo=UTC)
PREV = "/polygon/v2/aggs/ticker/AAPL/prev"


@pytest.fixture
async def sandbox():
    keys = {"polygon": {"first-key": [Limit(2, "minute"), Limit(3, "day")], "second-key": None}}
    async with Sandbox(SandboxSettings(keys=keys, clock=Clock(NOW, rate=0))) as sandbox:
        yield sandbox


@pytest.fixture
async def http(sandbox):
    async with aiohttp.ClientSession(sandbox.url) as http:
        yield http


async def status(http, path, key="first-key"):
    async with http.get(path, params={"apiKey": key}) as response:
        await response.read()
        return response.status


async def test_limits_refuse_exactly_the_one_too_many(sandbox, http):
    first = [await status(http, PREV) for _ in range(4)]
    sandbox.clock.advance(timedelta(minutes=1))
    second = [await status(http, PREV) for _ in range(2)]
    sandbox.clock.advance(timedelta(days=1))
    third = await status(http, PREV)

    assert first == [200, 200, 429, 429]
    assert second == [200, 429]  # the day's third call was its last
    assert third == 200


async def test_calls_are_counted_by_key_and_endpoint_and_keys_are_never_shown(sandbox, http):
    for key in ("first-key", "first-key", "first-key", "second-key", "third-key"):
        await status(http, PREV, key)
    await status(http, "/polygon/v3/reference/splits", "second-key")
    await status(http, "/polygon/v99/nothing", "second-key")

    async with http.get("/_sandbox/calls?log=5") as response:
        body, text = await response.json(), await response.text()

    calls = body["calls"]["polygon"]
    assert {key: (n["received"], n["accepted"], n["refused"]) for key, n in calls.items()} == {
        "polygon#1": (3, 2, 1),
        "polygon#2": (2, 2, 0),
        "unknown": (1, 0, 1),
        "none": (1, 0, 1),
    }
    assert calls["polygon#1"]["endpoints"] == {"prev": {"received": 3, "accepted": 2, "refused": 1}}
    assert body["quotas"]["polygon"]["polygon#1"][0]["used"] == 2
    assert [call["endpoint"] for call in body["log"]] == ["prev", "prev", "prev", "splits", "unknown path"]
    assert not any(key in text for key in ("first-key", "second-key", "third-key"))
    assert body["calls"] == sandbox.calls()


async def test_faults_are_set_shown_and_lifted_over_http(sandbox, http):
    async with http.post("/_sandbox/faults", json=[{"kind": "status", "provider": "polygon", "next": 2}]) as response:
        assert response.status == 200
    broken = await status(http, PREV, "second-key")
    async with http.get("/_sandbox/faults") as response:
        (left,) = await response.json()
    async with http.delete("/_sandbox/faults") as response:
        assert await response.json() == []
    healed = await status(http, PREV, "second-key")

    assert (broken, left["next"], healed) == (503, 1, 200)


@pytest.mark.parametrize("body", [b"{", b'{"kind":"sulk"}', b"[1]"])
async def test_an_order_that_makes_no_sense_is_answered_and_changes_nothing(sandbox, http, body):
    sandbox.misbehave(Fault("hang"))

    async with http.post("/_sandbox/faults", data=body) as response:
        assert response.status == 400
        assert (await response.json())["error"]
    assert sandbox.faults.orders == [Fault("hang")]


async def test_reset_forgets_calls_quotas_and_faults(sandbox, http):
    statuses = [await status(http, PREV) for _ in range(3)]
    sandbox.misbehave(Fault("status"))

    async with http.post("/_sandbox/reset") as response:
        assert response.status == 200

    assert statuses[-1] == 429
    assert sandbox.calls() == {}
    assert await status(http, PREV) == 200


async def test_health_names_the_providers(http):
    async with http.get("/_sandbox/health") as response:
        body = await response.json()

    assert body["status"] == "ok"
    assert {"polygon", "yahoo"} <= set(body["providers"])
    assert body["now"] == NOW.isoformat()


async def test_a_busy_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(SandboxPortBusy, match=f"Port {port} of 127.0.0.1 is in use"):
            await serve("127.0.0.1", port)


def test_settings_that_name_no_provider_are_refused():
    with pytest.raises(InvalidSettings, match=r"plays no provider reuters; it plays .*polygon"):
        Sandbox(SandboxSettings(keys={"reuters": {"k": None}}))


async def test_stop_lets_hanging_calls_go(sandbox, http):
    sandbox.misbehave(Fault("hang"))
    hanging = asyncio.create_task(status(http, PREV))
    await until(sandbox.calls, "the call at the provider")

    await sandbox.stop()

    with pytest.raises(aiohttp.ClientError):
        await hanging


def test_run_serves_until_it_is_told_to_end():
    seen = []

    def ready(url):
        seen.append(url)
        signal.raise_signal(signal.SIGTERM)

    run(0, ready=ready)

    assert seen[0].startswith("http://127.0.0.1:")


@pytest.mark.parametrize("provider", providers().values(), ids=lambda provider: provider.name)
def test_every_provider_is_whole(provider, sandbox_call):
    assert provider.plans
    assert len({(route.method, route.path) for route in provider.routes}) == len(provider.routes)
    for reason in Reason:
        refused = provider.refuse(Refusal(reason, sandbox_call, Limit(1, "day"), timedelta(seconds=5)))
        assert isinstance(refused, Reply)


@pytest.fixture
def sandbox_call():
    market = Sandbox().market
    return Call("GET", "/x", {}, {}, {}, {}, "127.0.0.1", b"", "http://127.0.0.1/x", NOW, market)


def test_the_sandbox_shares_no_code_with_what_it_tests():
    for source in Path(package.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            names = [alias.name for alias in getattr(node, "names", [])] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] in ("agents", "connectors", "infra", "streams")]


def test_a_sandbox_without_its_extra_does_not_start_and_says_what_to_install():
    program = "import sys; sys.modules['bokeh_sampledata'] = None; from streams.__main__ import main; main()"

    done = subprocess.run(
        [sys.executable, "-c", program, "sandbox", "--port", "0"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert "install tapestream[sandbox]" in done.stderr
    assert len(done.stderr.splitlines()) == 1
