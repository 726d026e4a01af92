from datetime import UTC, datetime

import aiohttp
import numpy as np
import orjson
import pytest

from sandbox import Clock, Fault, InvalidFault, Sandbox, SandboxSettings
from sandbox.server.faults import KINDS, Faults

NOW = datetime(2026, 7, 15, 15, 30, 10, tzinfo=UTC)
PATH = "/polygon/v2/aggs/ticker/KO/range/1/day/2026-07-01/2026-07-10"


@pytest.fixture
async def sandbox():
    settings = SandboxSettings(keys={"polygon": {"k": None}}, clock=Clock(NOW, rate=0))
    async with Sandbox(settings) as sandbox:
        yield sandbox


@pytest.fixture
async def get(sandbox):
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer k", "User-Agent": "Mozilla/5.0"}) as http:

        async def get(path=PATH, **options):
            async with http.get(sandbox.url + path, **options) as response:
                return response, await response.read()

        yield get


def bars_of(body):
    return orjson.loads(body)["results"]


def test_the_first_matching_order_strikes_and_next_counts_down():
    faults = Faults()
    faults.set([Fault("hang", provider="yahoo", next=2), Fault("close", endpoint="ag*", symbol="A*", next=1)])

    struck = [
        faults.strike("polygon", "aggs", ["KO"]),
        faults.strike("polygon", "aggs", ["KO", "AAPL"]),
        faults.strike("polygon", "aggs", ["AAPL"]),
        faults.strike("yahoo", "chart", []),
        faults.strike("yahoo", "chart", []),
        faults.strike("yahoo", "chart", []),
    ]

    assert [fault and fault.kind for fault in struck] == [None, "close", None, "hang", "hang", None]
    assert faults.struck == 3
    assert faults.orders == []


def test_probability_is_seeded():
    def throws(seed):
        faults = Faults(seed)
        faults.set([Fault("hang", probability=0.3)])
        return [bool(faults.strike("polygon", "aggs", [])) for _ in range(1000)]

    assert throws(1) == throws(1) != throws(2)
    assert 230 < sum(throws(1)) < 370


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        ({"kind": "sulk"}, "kind: 'sulk' is none of"),
        ({"next": 1}, "an object with a"),
        (["hang"], "an object with a"),
        ({"kind": "hang", "when": "now"}, "Unknown field when"),
        ({"kind": "hang", "probability": 1.5}, "probability: 1.5"),
        ({"kind": "hang", "next": 0}, "next 1 or more"),
        ({"kind": "hang", "next": True}, "next: True is not int or null"),
        ({"kind": "status", "status": 200}, "status: 200"),
        ({"kind": "latency", "delay_s": "long"}, "delay_s: 'long' is not int or float"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(order, complaint):
    with pytest.raises(InvalidFault, match=complaint):
        Fault.from_json(order)


async def test_rate_limit_with_and_without_retry_after(sandbox, get):
    sandbox.misbehave(Fault("rate_limit", next=1), Fault("rate_limit", retry_after_s=17, next=1))

    (bare, body), (told, _), (after, _) = await get(), await get(), await get()

    assert (bare.status, told.status, after.status) == (429, 429, 200)
    assert "Retry-After" not in bare.headers
    assert told.headers["Retry-After"] == "17"
    assert orjson.loads(body)["error"].startswith("You've exceeded the maximum requests per minute")
    assert sandbox.calls()["polygon"]["polygon#1"]["refused"] == 2


async def test_server_error_is_no_json(sandbox, get):
    sandbox.misbehave(Fault("status", status=502))

    response, body = await get()

    assert (response.status, response.content_type) == (502, "text/html")
    assert b"502" in body
    assert sandbox.log.newest[-1].status == 502


async def test_latency_delays_but_answers(sandbox, get):
    whole = (await get())[1]
    sandbox.misbehave(Fault("latency", delay_s=0.02))

    assert (await get())[1] == whole


async def test_hang_never_answers_and_does_not_stop_others(sandbox, get):
    sandbox.misbehave(Fault("hang", symbol="KO"))

    with pytest.raises(TimeoutError):
        await get(timeout=aiohttp.ClientTimeout(total=0.3))
    response, _ = await get(PATH.replace("KO", "PEP"))

    assert response.status == 200


async def test_close_drops_the_connection(sandbox, get):
    sandbox.misbehave(Fault("close"))

    with pytest.raises(aiohttp.ClientConnectionError):
        await get()


async def test_cut_body_ends_before_its_announced_length(sandbox, get):
    sandbox.misbehave(Fault("cut_body"))

    with pytest.raises(aiohttp.ClientPayloadError):
        await get()


async def test_broken_json_looks_whole(sandbox, get):
    sandbox.misbehave(Fault("broken_json"))

    response, body = await get()

    assert response.status == 200
    assert int(response.headers["Content-Length"]) == len(body)
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(body)


async def test_empty_body_is_a_200(sandbox, get):
    sandbox.misbehave(Fault("empty_body"))

    response, body = await get()

    assert (response.status, body) == (200, b"")


async def test_negative_price(sandbox, get):
    sandbox.misbehave(Fault("negative_price"))

    assert sum(bar["c"] < 0 for bar in bars_of((await get())[1])) == 1


async def test_high_below_low(sandbox, get):
    sandbox.misbehave(Fault("high_below_low"))

    assert sum(bar["h"] < bar["l"] for bar in bars_of((await get())[1])) == 1


async def test_nan_is_no_json_and_none_is_a_text(sandbox, get):
    sandbox.misbehave(Fault("nan_price", next=1), Fault("none_price", next=1))

    (_, nan), (_, none) = await get(), await get()

    assert nan.count(b"NaN") == 1
    assert [bar["c"] for bar in bars_of(none)].count("None") == 1


async def test_duplicate_time(sandbox, get):
    times = [bar["t"] for bar in bars_of((await get())[1])]
    sandbox.misbehave(Fault("duplicate_time"))

    doubled = [bar["t"] for bar in bars_of((await get())[1])]

    assert len(doubled) == len(times) + 1
    assert sorted(set(doubled)) == times


async def test_quotes_are_falsified_too(sandbox, get):
    sandbox.misbehave(Fault("negative_price"))

    snapshot = orjson.loads((await get("/polygon/v2/snapshot/locale/us/markets/stocks/tickers/KO"))[1])

    assert snapshot["ticker"]["lastTrade"]["p"] < 0


async def test_columns_of_another_provider_are_falsified_too(sandbox, get):
    sandbox.misbehave(Fault("high_below_low", provider="yahoo"))

    body = orjson.loads((await get("/yahoo/v8/finance/chart/KO?range=1mo"))[1])
    quote = body["chart"]["result"][0]["indicators"]["quote"][0]

    assert (np.array(quote["high"]) < np.array(quote["low"])).sum() == 1


async def test_every_kind_is_answered_without_an_error_of_the_server(sandbox, get):
    for kind in KINDS:
        sandbox.misbehave(Fault(kind, next=1, delay_s=0))
        try:
            response, _ = await get(timeout=aiohttp.ClientTimeout(total=0.2))
            assert response.status in (200, 429, 503)
        except (TimeoutError, aiohttp.ClientError):
            assert kind in ("hang", "close", "cut_body")
    assert sandbox.faults.struck == len(KINDS)
