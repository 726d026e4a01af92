import base64
from collections import Counter
from datetime import UTC, datetime
from urllib.parse import parse_qs

import aiohttp
import orjson
import pytest

from sandbox import Clock, Sandbox, SandboxSettings
from sandbox.polygon import tickers

NOW = datetime(2026, 7, 15, 15, 30, 10, tzinfo=UTC)
AGGS = "/v2/aggs/ticker"


@pytest.fixture
async def sandbox():
    settings = SandboxSettings(seed=7, keys={"polygon": {"k": None, "free": "free"}}, clock=Clock(NOW, rate=0))
    async with Sandbox(settings) as sandbox:
        yield sandbox


@pytest.fixture
async def get(sandbox):
    async with aiohttp.ClientSession() as http:

        async def get(path, key="k", status=200):
            url = path if path.startswith("http") else f"{sandbox.url}/polygon{path}"
            async with http.get(url, headers={"Authorization": f"Bearer {key}"}) as response:
                assert response.status == status, await response.text()
                return orjson.loads(await response.read())

        yield get


async def pages(get, path):
    rows, at = [], path
    while at:
        page = await get(at)
        assert "apiKey" not in page.get("next_url", "")
        rows.append(page.get("results", []))
        at = page.get("next_url")
    return rows


def utc(ms):
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


async def test_daily_bars_are_adjusted_for_splits_unless_asked_otherwise(get):
    raw = await get(f"{AGGS}/AAPL/range/1/day/2005-02-25/2005-02-28?adjusted=false")
    adjusted = await get(f"{AGGS}/AAPL/range/1/day/2005-02-25/2005-02-28")

    assert [bar["c"] for bar in raw["results"]] == [88.99, 44.86]
    assert [bar["c"] for bar in adjusted["results"]] == [round(88.99 / 56, 4), round(44.86 / 28, 4)]
    assert adjusted["results"][0]["v"] == raw["results"][0]["v"] * 56
    assert (raw["adjusted"], adjusted["adjusted"]) == (False, True)


async def test_adjustment_is_as_of_now(sandbox, get):
    past = Clock(datetime(2014, 6, 6, 20, tzinfo=UTC), rate=0)
    sandbox.clock = past
    before = await get(f"{AGGS}/AAPL/range/1/day/2013-02-28/2013-02-28")
    sandbox.clock = Clock(NOW, rate=0)
    after = await get(f"{AGGS}/AAPL/range/1/day/2013-02-28/2013-02-28")

    assert before["results"][0]["c"] == pytest.approx(28 * after["results"][0]["c"], rel=1e-4)


@pytest.mark.parametrize(
    ("ticker", "span", "stamp"),
    [
        ("AAPL", "1/day", "2012-01-10T05:00:00+00:00"),  # midnight in New York, winter
        ("X:BTCUSD", "1/day", "2012-01-10T00:00:00+00:00"),
        ("AAPL", "1/week", "2012-01-08T05:00:00+00:00"),  # Sunday
        ("AAPL", "1/month", "2012-01-01T05:00:00+00:00"),
        ("AAPL", "1/quarter", "2012-01-01T05:00:00+00:00"),
        ("AAPL", "1/hour", "2012-01-10T14:00:00+00:00"),  # top of the hour, though trading began at :30
        ("AAPL", "30/minute", "2012-01-10T14:30:00+00:00"),
        ("AAPL", "4/hour", "2012-01-10T13:00:00+00:00"),  # fours from midnight in New York
    ],
)
async def test_bars_are_stamped_where_polygon_does(get, ticker, span, stamp):
    day = "2012-01-10" if ticker == "AAPL" else "2020-01-10"
    page = await get(f"{AGGS}/{ticker}/range/{span}/{day}/{day}")

    assert utc(page["results"][0]["t"]) == stamp.replace("2012-01-10", day)


async def test_longer_bars_are_made_of_the_shorter_ones(get):
    days = (await get(f"{AGGS}/AAPL/range/1/day/2005-02-27/2005-03-05"))["results"]
    minutes = (await get(f"{AGGS}/AAPL/range/1/minute/2005-02-27/2005-03-05"))["results"]
    (week,) = (await get(f"{AGGS}/AAPL/range/1/week/2005-03-01/2005-03-01"))["results"]

    for bars in (days, minutes):
        assert week["o"] == bars[0]["o"]
        assert week["c"] == bars[-1]["c"]
        assert week["h"] == max(bar["h"] for bar in bars)
        assert week["l"] == min(bar["l"] for bar in bars)
        assert week["v"] == sum(bar["v"] for bar in bars)
        assert week["n"] == sum(bar["n"] for bar in bars)


async def test_a_month_with_a_split_has_no_jump(get):
    (month,) = (await get(f"{AGGS}/AAPL/range/1/month/2005-02-01/2005-02-28"))["results"]

    assert 1.3 < month["l"] <= month["c"] <= month["h"] < 1.7


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize(
    ("span", "limit"), [("1/minute", 500), ("5/minute", 333), ("1/hour", 100), ("1/day", 3), ("1/week", 4)]
)
async def test_pages_hold_everything_exactly_once(get, span, limit, sort):
    path = f"{AGGS}/AAPL/range/{span}/2012-02-21/2012-03-02?sort={sort}"

    whole = (await get(f"{path}&limit=50000"))["results"]
    parts = await pages(get, f"{path}&limit={limit}")

    assert len(parts) > 1
    assert [bar for part in parts for bar in part] == whole
    assert whole == sorted(whole, key=lambda bar: bar["t"], reverse=sort == "desc")


async def test_the_key_is_not_in_the_next_url(get):
    page = await get(f"{AGGS}/AAPL/range/1/day/2012-02-21/2012-03-02?limit=2&apiKey=k")
    cursor = page["next_url"].partition("cursor=")[2]

    assert parse_qs(base64.urlsafe_b64decode(cursor + "==").decode()) == {"limit": ["2"]}


async def test_limit_counts_base_bars(get):
    page = await get(f"{AGGS}/AAPL/range/1/hour/2012-02-21/2012-02-21?limit=100")

    assert page["queryCount"] == 90  # 9:30 to 11:00: what is left of the hundred does not fill an hour
    assert page["resultsCount"] == page["count"] == len(page["results"]) == 2


async def test_pages_keep_what_was_asked(get):
    parts = await pages(get, f"{AGGS}/AAPL/range/1/day/2005-02-22/2005-03-02?adjusted=false&limit=2")

    assert [bar["c"] for part in parts for bar in part][3:5] == [88.99, 44.86]


@pytest.mark.parametrize("path", ["ZZZZ/range/1/day/2012-01-01/2012-02-01", "AAPL/range/1/day/2012-07-07/2012-07-08"])
async def test_an_empty_range_has_no_results(get, path):
    page = await get(f"{AGGS}/{path}")

    assert "results" not in page
    assert (page["resultsCount"], page["status"]) == (0, "OK")


@pytest.mark.parametrize(
    "path",
    [
        f"{AGGS}/AAPL/range/1/day/12-01-01/2012-02-01",
        f"{AGGS}/AAPL/range/1/day/2012-02-01/2012-01-01",
        f"{AGGS}/AAPL/range/0/day/2012-01-01/2012-02-01",
        f"{AGGS}/AAPL/range/1/fortnight/2012-01-01/2012-02-01",
        f"{AGGS}/AAPL/range/1/day/2012-01-01/2012-02-01?limit=50001",
        f"{AGGS}/AAPL/range/1/day/2012-01-01/2012-02-01?cursor=%C3%A4",
        "/v3/reference/splits?limit=x",
        "/v1/open-close/AAPL/yesterday",
    ],
)
async def test_bad_parameters_are_400(get, path):
    assert (await get(path, status=400))["status"] == "ERROR"


async def test_keys_are_taken_from_header_and_query(sandbox, get):
    unknown = await get(f"{AGGS}/AAPL/prev", key="wrong", status=401)
    assert unknown["error"] == "Unknown API Key"
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{sandbox.url}/polygon{AGGS}/AAPL/prev?apiKey=k") as response:
            assert response.status == 200
        async with http.get(f"{sandbox.url}/polygon{AGGS}/AAPL/prev") as response:
            assert response.status == 401


async def test_free_plan_is_refused_what_it_is_not_sold(get):
    snapshot = await get("/v2/snapshot/locale/us/markets/stocks/tickers/AAPL", key="free", status=403)
    old = await get(f"{AGGS}/AAPL/range/1/day/2012-01-01/2012-02-01", key="free", status=403)
    reach = await get(f"{AGGS}/AAPL/range/1/day/2010-01-01/2026-07-14", key="free")

    assert snapshot["status"] == old["status"] == "NOT_AUTHORIZED"
    assert "entitled" in snapshot["message"]
    assert "timeframe" in old["message"]
    assert utc(reach["results"][0]["t"]) == "2024-07-15T04:00:00+00:00"


async def test_the_sixth_call_of_a_minute_is_one_too_many(sandbox, get):
    for _ in range(5):
        await get(f"{AGGS}/AAPL/prev", key="free")
    refused = await get(f"{AGGS}/AAPL/prev", key="free", status=429)

    assert refused["error"].startswith("You've exceeded")
    await get(f"{AGGS}/AAPL/prev", key="k")
    sandbox.clock.advance(datetime(2026, 7, 15, 15, 31, tzinfo=UTC) - NOW)
    await get(f"{AGGS}/AAPL/prev", key="free")


async def test_previous_day_and_whole_market_are_stamped_at_the_close(get):
    prev = await get(f"{AGGS}/AAPL/prev")
    grouped = await get("/v2/aggs/grouped/locale/us/market/stocks/2012-02-01")
    sunday = await get("/v2/aggs/grouped/locale/us/market/stocks/2012-02-05")

    assert utc(prev["results"][0]["t"]) == "2026-07-14T20:00:00+00:00"
    assert {utc(bar["t"]) for bar in grouped["results"]} == {"2012-02-01T21:00:00+00:00"}
    assert Counter(bar["T"] for bar in grouped["results"]).most_common(1)[0][1] == 1
    assert "results" not in sunday


async def test_grouped_open_close_and_aggregates_agree(get):
    (aggregate,) = (await get(f"{AGGS}/IBM/range/1/day/2012-02-01/2012-02-01"))["results"]
    grouped = (await get("/v2/aggs/grouped/locale/us/market/stocks/2012-02-01"))["results"]
    one = await get("/v1/open-close/IBM/2012-02-01")

    (of_all,) = [bar for bar in grouped if bar["T"] == "IBM"]
    assert {name: of_all[name] for name in "ohlcvn"} == {name: aggregate[name] for name in "ohlcvn"}
    assert (one["open"], one["close"], one["volume"]) == (aggregate["o"], aggregate["c"], aggregate["v"])


async def test_snapshots_and_last_values_agree(get):
    stock = (await get("/v2/snapshot/locale/us/markets/stocks/tickers/KO"))["ticker"]
    trade, quote = (await get("/v2/last/trade/KO"))["results"], (await get("/v2/last/nbbo/KO"))["results"]

    assert stock["lastTrade"]["p"] == trade["p"] == stock["day"]["c"]
    assert stock["lastQuote"]["p"] == quote["p"] < trade["p"] < quote["P"] == stock["lastQuote"]["P"]
    assert stock["updated"] // 1_000_000_000 == NOW.timestamp()  # nanoseconds
    assert stock["todaysChange"] == pytest.approx(trade["p"] - stock["prevDay"]["c"])


async def test_snapshots_of_crypto_and_forex(get):
    coin = (await get("/v2/snapshot/locale/global/markets/crypto/tickers/X:BTCUSD"))["ticker"]
    (pair,) = (await get("/v2/snapshot/locale/global/markets/forex/tickers?tickers=C:EURUSD"))["tickers"]
    last = await get("/v1/last/crypto/BTC/USD")
    rate = await get("/v1/last_quote/currencies/EUR/USD")

    assert coin["lastTrade"]["p"] == last["last"]["price"]
    assert (pair["lastQuote"]["a"], pair["lastQuote"]["b"]) == (rate["last"]["ask"], rate["last"]["bid"])
    assert coin["updated"] == NOW.timestamp() * 1000  # milliseconds


async def test_snapshots_of_some_and_all(get):
    some = await get("/v2/snapshot/locale/us/markets/stocks/tickers?tickers=KO,NOPE,AAPL")
    every = await get("/v2/snapshot/locale/us/markets/stocks/tickers")

    assert [row["ticker"] for row in some["tickers"]] == ["KO", "AAPL"]
    assert every["count"] == sum(":" not in ticker for ticker in tickers())


@pytest.mark.parametrize(
    "path",
    [
        "/v2/snapshot/locale/us/markets/stocks/tickers/NOPE",
        "/v2/last/trade/NOPE",
        "/v1/last/crypto/NO/PE",
        "/v1/open-close/NOPE/2012-02-01",
    ],
)
async def test_unknown_tickers_are_404(get, path):
    assert "not found" in (await get(path, status=404))["message"]


async def test_splits_are_the_real_ones(get):
    page = await get("/v3/reference/splits?ticker=AAPL")

    assert [(row["execution_date"], row["split_from"], row["split_to"]) for row in page["results"]] == [
        ("2020-08-31", 1, 4),
        ("2014-06-09", 1, 7),
        ("2005-02-28", 1, 2),
        ("2000-06-21", 1, 2),
    ]


async def test_dividends_are_paged_and_filtered(get):
    path = "/v3/reference/dividends?ticker=IBM&ex_dividend_date.lte=2013-03-01&order=asc"
    whole = (await get(f"{path}&limit=1000"))["results"]
    parts = await pages(get, f"{path}&limit=7")
    after = "ex_dividend_date.gt=2012-11-07&limit=2&order=asc"
    later = (await get(f"/v3/reference/dividends?ticker=IBM&{after}"))["results"]

    assert len(whole) == 52
    assert [row for part in parts for row in part] == whole
    assert {len(part) for part in parts[:-1]} == {7}
    assert (later[0]["ex_dividend_date"], later[0]["cash_amount"]) == ("2013-02-06", 0.85)


async def test_tickers_are_paged(get):
    parts = await pages(get, "/v3/reference/tickers?limit=100")
    funds = (await get("/v3/reference/tickers?type=ETF&limit=1000"))["results"]

    assert sorted(row["ticker"] for part in parts for row in part) == sorted(tickers())
    assert "SPY" in {row["ticker"] for row in funds}
    assert {row["market"] for part in parts for row in part} == {"stocks", "crypto", "fx", "indices"}
