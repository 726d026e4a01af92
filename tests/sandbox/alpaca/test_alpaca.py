import base64
from datetime import UTC, date, datetime, timedelta

import aiohttp
import pytest

from sandbox import Clock, Fault, Sandbox, SandboxSettings
from sandbox.market.actions import dividend_factors, split_divisors
from sandbox.market.newsroom import news
from sandbox.market.reorganizations import rename, spin_off

NOW = datetime(2026, 7, 15, 15, 30, 10, tzinfo=UTC)
BARS = "/v2/stocks/bars"
COINS = "/v1beta3/crypto/us"
FIVE = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


@pytest.fixture
async def sandbox():
    settings = SandboxSettings(seed=7, keys={"alpaca": {"k": None, "basic": "basic"}}, clock=Clock(NOW, rate=0))
    async with Sandbox(settings) as sandbox:
        yield sandbox


@pytest.fixture
async def get(sandbox):
    async with aiohttp.ClientSession() as http:

        async def get(path, key="k", expect=200, secret="s", **asked):
            headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}
            headers = {name: value for name, value in headers.items() if value}
            async with http.get(f"{sandbox.url}/alpaca{path}", params=asked, headers=headers) as response:
                assert response.status == expect, (await response.text())[:500]
                get.headers = response.headers
                return await response.json()

        yield get


async def pages(get, path, **asked):
    parts, more = [], {}
    while more is not None:
        page = await get(path, **asked, **more)
        parts.append(page)
        more = {"page_token": page["next_page_token"]} if page["next_page_token"] else None
    return parts


def joined(parts):
    found = {}
    for part in parts:
        for name, bars in part["bars"].items():
            found.setdefault(name, []).extend(bars)
    return found


@pytest.mark.parametrize("adjustment", ["raw", "split", "dividend", "all"])
async def test_closes_are_the_truth_in_every_adjustment(sandbox, get, adjustment):
    asked = {"symbols": ",".join(FIVE), "timeframe": "1Day", "start": "2016-01-01", "limit": 10000}
    found = joined(await pages(get, BARS, **asked, adjustment=adjustment))

    for symbol in FIVE:
        truth = sandbox.market.daily(symbol, date(2016, 1, 1), date(2026, 7, 15), NOW)
        divisors = split_divisors(truth.days, sandbox.market.splits(symbol, NOW))
        factors = dividend_factors(truth.days, sandbox.market.dividends(symbol, NOW))
        split, paid = adjustment in ("split", "all"), adjustment in ("dividend", "all")
        close = truth.close / (divisors if split else 1) * (factors if paid else 1)
        assert [bar["c"] for bar in found[symbol]] == pytest.approx(close.tolist(), rel=1e-6)
        assert [bar["v"] for bar in found[symbol]] == (truth.volume * (divisors if split else 1)).tolist()


@pytest.mark.parametrize(
    ("path", "symbol", "frame", "day", "stamp"),
    [
        (BARS, "AAPL", "1Day", "2022-02-01", "2022-02-01T05:00:00Z"),
        (BARS, "AAPL", "1Day", "2021-10-13", "2021-10-13T04:00:00Z"),
        (BARS, "AAPL", "1Week", "2022-02-07", "2022-02-07T05:00:00Z"),
        (BARS, "AAPL", "1Month", "2022-02-01", "2022-02-01T05:00:00Z"),
        (BARS, "AAPL", "1Hour", "2022-02-01", "2022-02-01T14:00:00Z"),
        (BARS, "AAPL", "15Min", "2022-02-01", "2022-02-01T14:30:00Z"),
        (f"{COINS}/bars", "BTC/USD", "1Day", "2022-03-09", "2022-03-09T06:00:00Z"),  # midnight in Chicago
        (f"{COINS}/bars", "BTC/USD", "1Min", "2022-03-09", "2022-03-09T06:00:00Z"),
    ],
)
async def test_bars_are_stamped_where_alpaca_does(get, path, symbol, frame, day, stamp):
    page = await get(path, symbols=symbol, timeframe=frame, start=day, limit=1)

    assert page["bars"][symbol][0]["t"] == stamp


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize(("frame", "limit"), [("1Min", 700), ("1Hour", 9), ("1Day", 3), ("1Week", 2)])
async def test_pages_hold_everything_exactly_once(get, frame, limit, sort):
    asked = {"symbols": "AAPL,IBM,MSFT", "timeframe": frame, "start": "2022-02-01", "end": "2022-02-11", "sort": sort}
    whole = await get(BARS, **asked, limit=10000)
    parts = await pages(get, BARS, **asked, limit=limit)

    assert len(parts) > 1
    assert joined(parts) == whole["bars"]
    assert list(whole["bars"]) == ["AAPL", "IBM", "MSFT"]
    assert all(sum(map(len, part["bars"].values())) <= limit for part in parts)
    stamps = [bar["t"] for bar in whole["bars"]["AAPL"]]
    assert stamps == sorted(stamps, reverse=sort == "desc")


async def test_the_token_names_the_last_bar(get):
    page = await get(BARS, symbols="AAPL", timeframe="1Day", start="2022-02-01", limit=2)

    assert base64.b64decode(page["next_page_token"]) == b"AAPL|D|1643778000000000000"


async def test_both_ends_are_inclusive(get):
    asked = {"start": "2022-02-01T05:00:00Z", "end": "2022-02-02T05:00:00Z"}
    whole = await get(BARS, symbols="AAPL", timeframe="1Day", **asked)
    later = await get(BARS, symbols="AAPL", timeframe="1Day", **asked | {"start": "2022-02-01T05:00:00.000000001Z"})

    assert [bar["t"][:10] for bar in whole["bars"]["AAPL"]] == ["2022-02-01", "2022-02-02"]
    assert [bar["t"][:10] for bar in later["bars"]["AAPL"]] == ["2022-02-01", "2022-02-02"]  # microseconds, at best


async def test_an_unknown_symbol_is_a_missing_key_and_a_null_among_snapshots(get):
    bars = await get(BARS, symbols="ZZZZ", timeframe="1Day", start="2022-02-01")
    snapshots = await get("/v2/stocks/snapshots", symbols="AAPL,ZZZZ")
    coins = await get(f"{COINS}/snapshots", symbols="BTC/USD,ZZZ/USD")

    assert bars == {"bars": {}, "next_page_token": None}
    assert snapshots["ZZZZ"] is None
    assert list(coins["snapshots"]) == ["BTC/USD"]


async def test_nothing_is_older_than_alpaca_itself(get):
    shares = await get(BARS, symbols="IBM", timeframe="1Day", start="2000-01-01", limit=1)
    coins = await get(f"{COINS}/bars", symbols="BTC/USD", timeframe="1Day", start="2000-01-01", limit=1)

    assert (shares["bars"]["IBM"][0]["t"], coins["bars"]["BTC/USD"][0]["t"]) == (
        "2016-01-04T05:00:00Z",
        "2021-01-01T06:00:00Z",
    )


async def test_one_symbol_s_path_gives_a_list(get):
    one = await get("/v2/stocks/AAPL/bars", timeframe="1Day", start="2022-02-01", limit=2)
    many = await get(BARS, symbols="AAPL", timeframe="1Day", start="2022-02-01", limit=2)

    assert one == {"bars": many["bars"]["AAPL"], "symbol": "AAPL", "next_page_token": many["next_page_token"]}


async def test_snapshots_agree_with_the_market(sandbox, get):
    row = (await get("/v2/stocks/snapshots", symbols="AAPL"))["AAPL"]
    quote = sandbox.market.quote("AAPL", NOW)

    assert row["latestTrade"]["p"] == row["dailyBar"]["c"] == quote.price
    assert (row["latestQuote"]["bp"], row["latestQuote"]["ap"]) == (quote.bid, quote.ask)
    assert row["dailyBar"]["t"] == "2026-07-15T04:00:00Z"
    assert row["prevDailyBar"]["c"] == quote.prev_close
    assert row["latestTrade"]["t"] == "2026-07-15T15:30:10Z"


@pytest.mark.parametrize("what", ["trades", "quotes", "bars"])
async def test_the_latest_of_each_kind(get, what):
    shares = await get(f"/v2/stocks/{what}/latest", symbols="AAPL,ZZZZ")
    coins = await get(f"{COINS}/latest/{what}", symbols="BTC/USD")

    assert list(shares[what]) == ["AAPL"]
    assert list(coins[what]) == ["BTC/USD"]


async def test_currency_rates(sandbox, get):
    rates = await get("/v1beta1/forex/latest/rates", currency_pairs="EURUSD,ZZZUSD")

    assert list(rates["rates"]) == ["EURUSD"]
    assert rates["rates"]["EURUSD"]["mp"] == sandbox.market.quote("EUR/USD", NOW).price


async def test_corporate_actions_by_process_date(sandbox, get):
    asked = {"symbols": "AAPL,GOOG", "start": "2013-01-01", "end": "2026-07-15"}
    parts = await pages(get, "/v1/corporate-actions", **asked, limit=10)
    (whole,) = await pages(get, "/v1/corporate-actions", **asked, limit=1000)

    splits = [(row["symbol"], row["new_rate"], row["old_rate"]) for row in whole["corporate_actions"]["forward_splits"]]
    assert splits == [("GOOG", 996913, 500000), ("AAPL", 7, 1), ("AAPL", 4, 1), ("GOOG", 20, 1)]
    paid = whole["corporate_actions"]["cash_dividends"]
    assert paid == [row for part in parts for row in part["corporate_actions"].get("cash_dividends", [])]
    truth = [
        paid for paid in sandbox.market.dividends("AAPL", NOW) if date(2012, 12, 18) <= paid.ex_date <= date(2026, 7, 1)
    ]
    assert [(row["ex_date"], row["rate"]) for row in paid] == [
        (each.ex_date.isoformat(), each.amount) for each in truth
    ]


async def test_only_today_s_corporate_actions_without_a_range(get):
    assert (await get("/v1/corporate-actions", symbols="AAPL"))["corporate_actions"] == {}


async def test_news_newest_first_and_every_article_once(sandbox, get):
    asked = {"symbols": "AAPL,BTCUSD", "start": "2026-06-01", "end": "2026-07-01"}
    parts = await pages(get, "/v1beta1/news", **asked, limit=7)
    found = [row for part in parts for row in part["news"]]
    truth = news(
        sandbox.market, ["AAPL", "BTC-USD"], datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    )

    assert [row["id"] for row in found] == [article.id for article in truth]
    assert {tuple(row["symbols"]) for row in found} == {("AAPL",), ("BTCUSD",)}
    backwards = await pages(get, "/v1beta1/news", **asked, limit=7, sort="asc")
    assert [row["id"] for part in backwards for row in part["news"]] == [article.id for article in truth][::-1]


async def test_assets(get):
    shares, coins = await get("/v2/assets"), await get("/v2/assets", asset_class="crypto")

    assert {"AAPL", "SPY", "BRK.B"} < {row["symbol"] for row in shares}
    assert {row["exchange"] for row in shares} == {"NASDAQ", "NYSE", "ARCA"}
    assert "BTC/USD" in {row["symbol"] for row in coins}
    assert (await get("/v2/assets/AAPL"))["name"] == "Apple"
    assert await get("/v2/assets", status="inactive") == []


@pytest.mark.parametrize(("key", "secret"), [("nobody", "s"), ("k", ""), ("", "s")])
async def test_a_wrong_key_is_refused(get, key, secret):
    refused = await get(BARS, key=key, secret=secret, symbols="AAPL", timeframe="1Day", expect=403)
    trading = await get("/v2/assets", key=key, secret=secret, expect=401)

    assert refused == {"message": "forbidden."}
    assert trading["code"] == 40110000


async def test_the_limit_and_when_it_ends(get):
    for _ in range(200):
        await get("/v2/assets/AAPL", key="basic")
    refused = await get("/v2/assets/AAPL", key="basic", expect=429)

    assert refused == {"message": "too many requests."}
    assert get.headers["X-RateLimit-Limit"] == "200"
    assert int(get.headers["X-RateLimit-Reset"]) == datetime(2026, 7, 15, 15, 31, tzinfo=UTC).timestamp()


async def test_the_free_plan_does_not_see_the_last_quarter_of_an_hour(get):
    asked = {"symbols": "AAPL", "timeframe": "1Min", "start": "2026-07-15"}
    refused = await get(BARS, key="basic", **asked, end="2026-07-15T15:30:00Z", expect=403)
    hidden = await get(BARS, key="basic", **asked)
    iex = await get(BARS, key="basic", **asked, end="2026-07-15T15:30:00Z", feed="iex")

    assert refused == {"message": "subscription does not permit querying recent SIP data"}
    assert hidden["bars"]["AAPL"][-1]["t"] == "2026-07-15T15:15:00Z"
    assert iex["bars"]["AAPL"][-1]["t"] == "2026-07-15T15:29:00Z"


@pytest.mark.parametrize(
    "asked",
    [
        {"timeframe": "1Day"},
        {"symbols": "aapl", "timeframe": "1Day"},
        {"symbols": "AAPL", "timeframe": "2Day"},
        {"symbols": "AAPL", "timeframe": "soon"},
        {"symbols": "AAPL", "timeframe": "1Day", "start": "yesterday"},
        {"symbols": "AAPL", "timeframe": "1Day", "start": "2026-07-02", "end": "2026-07-01"},
        {"symbols": "AAPL", "timeframe": "1Day", "limit": "10001"},
        {"symbols": "AAPL", "timeframe": "1Day", "page_token": "?"},
        {"symbols": "AAPL", "timeframe": "1Day", "adjustment": "some"},
    ],
)
async def test_what_cannot_be_read_is_a_400(get, asked):
    assert set(await get(BARS, **asked, expect=400)) == {"message"}


async def test_an_unknown_path(get):
    assert await get("/v1/last/stocks/FOOBAR", expect=404) == {"code": 40410000, "message": "resource not found"}


async def test_faults_reach_the_bars(sandbox, get):
    sandbox.misbehave(Fault("negative_price", provider="alpaca", next=1))
    page = await get(BARS, symbols="AAPL", timeframe="1Day", start=(NOW - timedelta(days=30)).date().isoformat())

    assert sum(bar["c"] < 0 for bar in page["bars"]["AAPL"]) == 1


async def test_a_company_s_new_symbol_and_the_part_that_left_it(sandbox, get):
    renamed = {name: rename(sandbox.market, name, NOW) for name in FIVE}
    split_up = {name: spin_off(sandbox.market, name, NOW) for name in FIVE}
    assert any(renamed.values())
    assert any(split_up.values())
    asked = {"symbols": ",".join(FIVE), "start": "1960-01-01", "end": "2026-07-15", "types": "name_change,spin_off"}
    found = (await get("/v1/corporate-actions", **asked))["corporate_actions"]

    changes = {row["new_symbol"]: (row["old_symbol"], row["process_date"]) for row in found["name_changes"]}
    assert changes == {name: (each.before, each.day.isoformat()) for name, each in renamed.items() if each}
    left = {row["source_symbol"]: (row["new_symbol"], row["new_rate"], row["ex_date"]) for row in found["spin_offs"]}
    assert left == {name: (e.symbol, e.ratio, e.ex_date.isoformat()) for name, e in split_up.items() if e}


async def test_values_of_indices_are_a_grant_of_their_own(sandbox, get):
    values = (await get("/v1beta1/indices/latest/values", index_symbols="SPX,NOPE"))["values"]

    assert values.keys() == {"SPX"}
    assert values["SPX"]["v"] == sandbox.market.quote("^GSPC", NOW).price
    assert (await get("/v1beta1/indices/latest/values", key="basic", expect=403, index_symbols="SPX")) == {
        "message": "forbidden: insufficient grants"
    }
