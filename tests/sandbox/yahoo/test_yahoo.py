from datetime import UTC, date, datetime, timedelta

import aiohttp
import numpy as np
import orjson
import pytest
from bokeh_sampledata import stocks

from sandbox import Clock, Limit, Sandbox, SandboxSettings

NOW = datetime(2026, 7, 15, 15, 30, 10, tzinfo=UTC)
CHART = "/v8/finance/chart"
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}


@pytest.fixture
async def sandbox():
    settings = SandboxSettings(seed=7, keys={"polygon": {"k": None}}, clock=Clock(NOW, rate=0))
    async with Sandbox(settings) as sandbox:
        yield sandbox


@pytest.fixture
async def get(sandbox):
    jar = aiohttp.CookieJar(unsafe=True)  # takes cookies from an address without a name
    async with aiohttp.ClientSession(cookie_jar=jar) as http:

        async def get(path, status=200, headers=BROWSER):
            async with http.get(f"{sandbox.url}/yahoo{path}", headers=headers) as response:
                assert response.status == status, await response.text()
                body = await response.read()
                return orjson.loads(body) if "json" in response.content_type else body.decode()

        yield get


@pytest.fixture
def chart(get):
    async def chart(query):
        (result,) = (await get(f"{CHART}/{query}"))["chart"]["result"]
        return result

    return chart


def span(first, last):
    start, end = (int(datetime.fromisoformat(f"{day}T00:00+00:00").timestamp()) for day in (first, last))
    return f"period1={start}&period2={end}"


def stamps(result):
    return [datetime.fromtimestamp(ts, UTC).isoformat() for ts in result["timestamp"]]


@pytest.mark.parametrize(("symbol", "rows"), [("AAPL", 3270), ("FB", 196), ("GOOG", 2148), ("IBM", 3270)])
async def test_the_recorded_history_is_whole(chart, symbol, rows):
    result = await chart(f"{symbol}?{span('2000-03-01', '2013-03-02')}")
    (quote,), (adjusted,) = result["indicators"]["quote"], result["indicators"]["adjclose"]
    source = getattr(stocks, symbol)

    assert len(result["timestamp"]) == rows
    assert {len(column) for column in (*quote.values(), adjusted["adjclose"])} == {rows}
    # adjusted closes go with those of the source, up to what came later
    ratio = np.array(adjusted["adjclose"]) / np.array(source["adj_close"])
    assert np.ptp(np.log(ratio)) < 0.012


async def test_yahoo_is_polygon_in_other_words(sandbox, chart):
    """Raw of one divided by its splits is the other; both tell the same truth."""
    yahoo = await chart(f"AAPL?{span('2000-03-01', '2013-03-02')}")
    path = "/polygon/v2/aggs/ticker/AAPL/range/1/day/2000-03-01/2013-03-01"
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{sandbox.url}{path}?adjusted=false&limit=50000&apiKey=k") as response:
            raw = orjson.loads(await response.read())["results"]
        async with http.get(f"{sandbox.url}/polygon/v3/reference/splits?ticker=AAPL&apiKey=k") as response:
            splits = orjson.loads(await response.read())["results"]

    days = [datetime.fromtimestamp(bar["t"] / 1000, UTC).date().isoformat() for bar in raw]
    divisor = np.array(
        [np.prod([s["split_to"] / s["split_from"] for s in splits if day < s["execution_date"]]) for day in days]
    )
    (quote,) = yahoo["indicators"]["quote"]
    assert divisor[0] == 112
    for ours, theirs in (("o", "open"), ("h", "high"), ("l", "low"), ("c", "close")):
        np.testing.assert_allclose(np.array([bar[ours] for bar in raw]) / divisor, quote[theirs], rtol=1e-6)
    assert (np.array([bar["v"] for bar in raw]) * divisor).tolist() == quote["volume"]


async def test_prices_are_32_bit_floats(chart):
    (quote,) = (await chart("IBM?range=1mo"))["indicators"]["quote"]

    assert quote["close"] == np.array(quote["close"], np.float32).astype(float).tolist()
    assert quote["close"] != np.round(quote["close"], 4).tolist()


async def test_events_stand_at_the_opening_and_dividends_are_split_adjusted(chart):
    result = await chart(f"AAPL?events=div%7Csplit&{span('2005-02-01', '2012-09-01')}")

    assert result["events"]["splits"] == {
        "1109601000": {"date": 1109601000, "numerator": 2, "denominator": 1, "splitRatio": "2:1"}
    }
    assert result["events"]["dividends"] == {"1344519000": {"amount": round(2.65 / 28, 6), "date": 1344519000}}
    assert 1109601000 in result["timestamp"]
    assert "events" not in await chart(f"AAPL?{span('2005-02-01', '2012-09-01')}")


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("AAPL?interval=1d", "2012-01-10T14:30:00+00:00"),
        ("AAPL?interval=1wk", "2012-01-09T05:00:00+00:00"),
        ("AAPL?interval=1mo", "2012-01-01T05:00:00+00:00"),
        ("EURUSD=X?interval=1d", "2012-01-10T00:00:00+00:00"),
        ("GC=F?interval=1d", "2012-01-10T05:00:00+00:00"),
    ],
)
async def test_bars_are_stamped_where_yahoo_does(chart, query, first):
    result = await chart(f"{query}&{span('2012-01-10', '2012-01-13')}")

    assert stamps(result)[0] == first


async def test_forex_days_begin_in_london_and_some_are_hollow(chart):
    result = await chart(f"EURUSD=X?{span('2012-06-01', '2012-12-01')}")
    (quote,), (adjusted,) = result["indicators"]["quote"], result["indicators"]["adjclose"]
    hollow = [at for at, close in enumerate(quote["close"]) if close is None]

    assert "2012-06-11T23:00:00+00:00" in stamps(result)
    assert 1 <= len(hollow) <= 3
    assert all(column[at] is None for column in (*quote.values(), adjusted["adjclose"]) for at in hollow)
    assert {volume for volume in quote["volume"] if volume is not None} == {0}


async def test_a_running_session_ends_in_a_live_row(chart):
    minutes, days = await chart("AAPL?interval=5m&range=1d"), await chart("AAPL")
    weeks = await chart("AAPL?interval=1wk")
    (quote,) = minutes["indicators"]["quote"]
    price = minutes["meta"]["regularMarketPrice"]

    assert minutes["timestamp"][-1] == NOW.timestamp()
    assert [ts % 300 for ts in minutes["timestamp"][:-1]] == [0] * 24
    assert [quote[name][-1] for name in ("open", "high", "low", "close", "volume")] == [
        *[pytest.approx(price)] * 4,
        0,
    ]
    assert "adjclose" not in minutes["indicators"]
    assert days["timestamp"][-1] == weeks["timestamp"][-1] == NOW.timestamp()
    assert stamps(weeks)[-2] == "2026-07-13T04:00:00+00:00"


async def test_a_closed_market_has_no_live_row(sandbox, chart):
    sandbox.clock.advance(timedelta(days=3))

    assert stamps(await chart("AAPL"))[-1] == "2026-07-17T13:30:00+00:00"
    assert stamps(await chart("AAPL?interval=1h&range=1d"))[-1] == "2026-07-17T19:30:00+00:00"


async def test_range_of_days_counts_sessions(chart):
    for symbol in ("AAPL", "BTC-USD", "VOD.L", "EURUSD=X", "7203.T"):
        assert len((await chart(f"{symbol}?range=5d"))["timestamp"]) == 5


async def test_minor_units_and_money_volume(sandbox, chart):
    london, corn, coin = await chart("VOD.L?range=5d"), await chart("ZC=F?range=5d"), await chart("BTC-USD?range=5d")

    assert (london["meta"]["currency"], corn["meta"]["currency"]) == ("GBp", "USX")
    assert london["indicators"]["quote"][0]["close"][0] > 5
    days = sandbox.market.daily("BTC-USD", date(2026, 7, 11), date(2026, 7, 15), NOW)
    assert coin["indicators"]["quote"][0]["volume"] == (days.volume * days.vwap).astype(int).tolist()


async def test_offset_is_of_today(chart):
    winter = await chart(f"AAPL?{span('2012-01-10', '2012-01-13')}")

    assert (winter["meta"]["gmtoffset"], winter["meta"]["timezone"]) == (-14400, "EDT")


@pytest.mark.parametrize(
    ("query", "status", "description"),
    [
        ("NOPE", 404, "No data found, symbol may be delisted"),
        ("AAPL?interval=1m&range=1mo", 422, "Only 8 days worth of 1m"),
        ("AAPL?interval=1m&period1=1770000000&period2=1770100000", 422, "within the last 30 days"),
        ("AAPL?interval=15m&range=1y", 422, "within the last 60 days"),
        ("AAPL?interval=1h&range=5y", 422, "within the last 730 days"),
        ("AAPL?interval=7m", 422, "interval=7m is not supported"),
        ("AAPL?range=soon", 422, "range=soon"),
        ("AAPL?period1=5&period2=4", 400, "start date cannot be after end date"),
        ("AAPL?period1=then", 400, "epoch seconds"),
        ("FB?period1=946684800&period2=978307200", 400, "Data doesn't exist for startDate = 946684800"),
    ],
)
async def test_refused_charts(get, query, status, description):
    body = await get(f"{CHART}/{query}", status=status)

    assert body["chart"]["result"] is None
    assert description in body["chart"]["error"]["description"]


async def test_a_weekend_is_empty_but_no_error(chart):
    result = await chart(f"AAPL?{span('2012-07-07', '2012-07-08')}")

    assert "timestamp" not in result
    assert result["indicators"] == {"quote": [{}], "adjclose": [{}]}


async def test_quote_needs_cookie_and_crumb(sandbox, get):
    no_cookie = await get("/v1/test/getcrumb", status=401)
    refused = await get("/v7/finance/quote?symbols=AAPL", status=401)
    await get("/", status=404)
    crumb = await get("/v1/test/getcrumb")
    wrong = await get("/v7/finance/quote?symbols=AAPL&crumb=guess", status=401)
    quotes = (await get(f"/v7/finance/quote?symbols=AAPL,NOPE,BTC-USD,%5EGSPC&crumb={crumb}"))["quoteResponse"]
    sandbox.clock.advance(timedelta(days=1))
    stale = await get(f"/v7/finance/quote?symbols=AAPL&crumb={crumb}", status=401)

    assert no_cookie["finance"]["error"]["description"] == "Invalid Cookie"
    assert {body["finance"]["error"]["description"] for body in (refused, wrong, stale)} == {"Invalid Crumb"}
    assert [row["symbol"] for row in quotes["result"]] == ["AAPL", "BTC-USD", "^GSPC"]
    assert quotes["error"] is None


async def test_quote_and_chart_agree(get, chart):
    await get("/", status=404)
    crumb = await get("/v1/test/getcrumb")
    (quote,) = (await get(f"/v7/finance/quote?symbols=KO&crumb={crumb}"))["quoteResponse"]["result"]
    meta = (await chart("KO"))["meta"]

    shared = set(quote) & set(meta)
    assert {name: quote[name] for name in shared} == {name: meta[name] for name in shared}
    assert quote["bid"] < quote["regularMarketPrice"] < quote["ask"]
    assert quote["marketState"] == "REGULAR"


async def test_robots_are_turned_away_in_plain_text(sandbox, get):
    body = await get(f"{CHART}/AAPL", status=429, headers={"User-Agent": "python-httpx/0.28"})

    assert body == "Too Many Requests\r\n"
    assert sandbox.calls()["yahoo"]["none"]["refused"] == 1


async def test_an_address_has_a_limit():
    settings = SandboxSettings(keys={"yahoo": {"*": [Limit(2, "hour")]}}, clock=Clock(NOW, rate=0))
    async with Sandbox(settings) as sandbox, aiohttp.ClientSession(headers=BROWSER) as http:
        statuses = []
        for _ in range(3):
            async with http.get(f"{sandbox.url}/yahoo{CHART}/AAPL") as response:
                statuses.append(response.status)

    assert statuses == [200, 200, 429]
