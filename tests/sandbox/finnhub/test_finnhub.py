from datetime import UTC, date, datetime, timedelta

import aiohttp
import pytest

from sandbox import Clock, Fault, Sandbox, SandboxSettings
from sandbox.finnhub import PREMIUM
from sandbox.market.actions import split_divisors
from sandbox.market.analysts import ratings, reports, targets
from sandbox.market.company import company
from sandbox.market.insiders import insider_trades
from sandbox.market.newsroom import news
from sandbox.market.statements import market_cap, quarters, years

NOW = datetime(2026, 7, 15, 15, 30, 10, tzinfo=UTC)
FIVE = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
ALWAYS = int(datetime(1999, 1, 1, tzinfo=UTC).timestamp())


@pytest.fixture
async def sandbox():
    settings = SandboxSettings(seed=7, keys={"finnhub": {"k": None, "free": "free"}}, clock=Clock(NOW, rate=0))
    async with Sandbox(settings) as sandbox:
        yield sandbox


@pytest.fixture
async def get(sandbox):
    async with aiohttp.ClientSession() as http:

        async def get(path, key="k", expect=200, **asked):
            asked = {name.rstrip("_"): str(value) for name, value in asked.items()}
            url = f"{sandbox.url}/finnhub{path}"
            async with http.get(url, params=asked, headers={"X-Finnhub-Token": key} if key else {}) as response:
                assert response.status == expect, (await response.text())[:500]
                get.response = response
                return await response.json()

        yield get


def unix(*day):
    return int(datetime(*day, tzinfo=UTC).timestamp())


@pytest.mark.parametrize("symbol", FIVE)
async def test_daily_candles_are_the_truth_adjusted_for_splits(sandbox, get, symbol):
    body = await get("/stock/candle", symbol=symbol, resolution="D", from_=ALWAYS, to=unix(2026, 7, 15))
    truth = sandbox.market.daily(symbol, date(1999, 1, 1), date(2026, 7, 14), NOW)
    divisors = split_divisors(truth.days, sandbox.market.splits(symbol, NOW))

    assert body["s"] == "ok"
    assert body["c"] == pytest.approx((truth.close / divisors).tolist(), rel=1e-6)
    assert body["v"] == (truth.volume * divisors).round().tolist()


@pytest.mark.parametrize(
    ("path", "symbol", "resolution", "stamp"),
    [
        ("/stock/candle", "AAPL", "D", "2019-09-24T04:00:00+00:00"),  # midnight in New York
        ("/forex/candle", "OANDA:EUR_USD", "D", "2019-09-24T21:00:00+00:00"),  # 17:00 there, the eve
        ("/crypto/candle", "COINBASE:BTC-USD", "D", "2019-09-24T00:00:00+00:00"),
        ("/crypto/candle", "BINANCE:BTCUSDT", "60", "2019-09-24T00:00:00+00:00"),
        ("/stock/candle", "AAPL", "60", "2019-09-24T13:00:00+00:00"),
    ],
)
async def test_candles_are_stamped_where_finnhub_does(get, path, symbol, resolution, stamp):
    body = await get(path, symbol=symbol, resolution=resolution, from_=unix(2019, 9, 24), to=unix(2019, 9, 26))

    assert datetime.fromtimestamp(body["t"][0], UTC).isoformat() == stamp


async def test_intraday_candles_are_raw(sandbox, get):
    body = await get("/stock/candle", symbol="AAPL", resolution="1", from_=unix(2020, 8, 28), to=unix(2020, 8, 29))
    minutes = sandbox.market.minutes("AAPL", datetime(2020, 8, 28, tzinfo=UTC), datetime(2020, 8, 29, tzinfo=UTC), NOW)

    assert body["c"] == minutes.close.tolist()


@pytest.mark.parametrize("symbol", ["ZZZZ", "AAPL"])
async def test_no_candles_are_no_data(get, symbol):
    weekend = {"from_": unix(2012, 7, 7), "to": unix(2012, 7, 8)}

    assert await get("/stock/candle", symbol=symbol, resolution="D", **weekend) == {"s": "no_data"}


@pytest.mark.parametrize("symbol", ["AAPL", "SPY", "FHFX:EUR-USD", "COINBASE:BTC-USD"])
async def test_quotes_agree_with_the_market(sandbox, get, symbol):
    body = await get("/quote", symbol=symbol)
    quote = sandbox.market.quote({"FHFX:EUR-USD": "EUR/USD", "COINBASE:BTC-USD": "BTC-USD"}.get(symbol, symbol), NOW)

    assert (body["c"], body["pc"], body["t"]) == (quote.price, quote.prev_close, quote.ts // 1000)


async def test_an_unknown_symbol_is_zeros_and_nothing(get):
    assert await get("/quote", symbol="ZZZZ") == {
        "c": 0,
        "d": None,
        "dp": None,
        "h": 0,
        "l": 0,
        "o": 0,
        "pc": 0,
        "t": 0,
    }
    assert await get("/stock/profile2", symbol="ZZZZ") == {}
    assert await get("/stock/recommendation", symbol="ZZZZ") == []


@pytest.mark.parametrize("symbol", FIVE)
async def test_profiles_are_the_company_s_facts_in_millions(sandbox, get, symbol):
    body = await get("/stock/profile2", symbol=symbol)

    assert body["name"] == company(sandbox.market, symbol).name
    assert body["marketCapitalization"] * 1e6 == pytest.approx(market_cap(sandbox.market, symbol, NOW))
    assert (await get("/stock/profile", symbol=symbol))["isin"] == company(sandbox.market, symbol).isin


@pytest.mark.parametrize(("freq", "truth"), [("annual", years), ("quarterly", quarters)])
async def test_statements_are_those_that_were_filed(sandbox, get, freq, truth):
    body = await get("/stock/financials-reported", symbol="IBM", freq=freq)
    filed = [period for period in truth(sandbox.market, "IBM", NOW) if period.label != "Q4"][::-1]
    told = [
        {row["concept"]: row["value"] for part in filing["report"].values() for row in part} for filing in body["data"]
    ]

    assert [row["us-gaap_Assets"] for row in told] == [period.balance.total_assets for period in filed]
    assert [row["us-gaap_GrossProfit"] for row in told] == [period.income.gross_profit for period in filed]
    assert [row["us-gaap_PaymentsOfDividends"] for row in told] == [-each.cash_flow.dividends_paid for each in filed]
    assert {filing["form"] for filing in body["data"]} == {"10-K" if freq == "annual" else "10-Q"}


async def test_metrics_and_their_history(sandbox, get):
    body = await get("/stock/metric", symbol="AAPL", metric="all")
    last = years(sandbox.market, "AAPL", NOW)[-1]

    assert body["metric"]["marketCapitalization"] * 1e6 == pytest.approx(market_cap(sandbox.market, "AAPL", NOW))
    assert body["metric"]["52WeekLow"] < body["metric"]["52WeekHigh"]
    assert body["series"]["annual"]["netMargin"][0] == {
        "period": last.ends.isoformat(),
        "v": round(last.income.net_income / last.income.revenue, 4),
    }


async def test_earnings_and_their_calendar(sandbox, get):
    told = await get("/stock/earnings", symbol="MSFT")
    calendar = (await get("/calendar/earnings", symbol="MSFT", from_="2025-07-15", to="2027-07-15"))["earningsCalendar"]
    truth = [each for each in reports(sandbox.market, "MSFT", NOW) if each.eps_actual is not None][::-1]

    assert [(row["actual"], row["estimate"]) for row in told] == [
        (each.eps_actual, each.eps_estimate) for each in truth
    ]
    assert len(await get("/stock/earnings", key="free", symbol="MSFT")) == 4
    assert calendar[0]["epsActual"] is None
    assert calendar[-1]["epsActual"] is not None


async def test_analysts(sandbox, get):
    told = await get("/stock/recommendation", symbol="AAPL")
    target = await get("/stock/price-target", symbol="AAPL")
    estimates = await get("/stock/eps-estimate", symbol="AAPL", freq="annual")
    changes = await get("/stock/upgrade-downgrade", symbol="AAPL", from_="2025-01-01")

    assert [row["strongBuy"] for row in told] == [each.strong_buy for each in ratings(sandbox.market, "AAPL", NOW)]
    assert target["targetMean"] == targets(sandbox.market, "AAPL", NOW).mean
    assert {row["quarter"] for row in estimates["data"]} == {4}
    assert {row["action"] for row in changes} <= {"up", "down", "main", "init"}


async def test_insiders(sandbox, get):
    body = await get("/stock/insider-transactions", symbol="IBM", from_="2026-01-01", to="2026-07-15")
    truth = insider_trades(sandbox.market, "IBM", date(2026, 1, 1), date(2026, 7, 15))

    assert [(row["id"], row["change"]) for row in body["data"]] == [(each.accession, each.shares) for each in truth]
    whole = await get("/stock/insider-transactions", from_="2026-06-01", to="2026-07-15")
    assert len(whole["data"]) == 100


async def test_actions(sandbox, get):
    paid = await get("/stock/dividend", symbol="AAPL", from_="2012-01-01", to="2012-12-31")
    split = await get("/stock/split", symbol="AAPL", from_="2000-01-01", to="2026-07-15")

    truth = sandbox.market.dividends("AAPL", NOW, date(2012, 1, 1))
    assert [row["amount"] for row in paid] == [each.amount for each in truth if each.ex_date.year == 2012][::-1]
    assert [row["adjustedAmount"] for row in paid] == [round(row["amount"] / 28, 6) for row in paid]
    assert [(row["fromFactor"], row["toFactor"]) for row in split] == [(1, 4), (1, 7), (1, 2), (1, 2)]


async def test_company_news_of_both_days(sandbox, get):
    rows = await get("/company-news", symbol="AAPL", from_="2026-06-01", to="2026-06-30")
    truth = news(sandbox.market, ["AAPL"], datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))

    assert [row["id"] for row in rows] == [article.id for article in truth]
    free = await get("/company-news", key="free", symbol="AAPL", from_="2020-01-01", to="2026-06-30")
    assert min(row["datetime"] for row in free) >= (NOW - timedelta(days=365)).timestamp()


@pytest.mark.parametrize("category", ["general", "forex", "crypto", "merger"])
async def test_market_news(get, category):
    rows = await get("/news", category=category)

    assert len(rows) == 100
    assert {row["category"] for row in rows} == {category}


async def test_the_list_of_symbols_is_behind_a_redirect(sandbox, get):
    rows = await get("/stock/symbol", exchange="US")

    assert [response.status for response in get.response.history] == [302]
    assert {row["symbol"]: row["type"] for row in rows}["SPY"] == "ETP"
    assert {"AAPL", "BRK.B", "VFIAX"} < {row["symbol"] for row in rows}
    async with aiohttp.ClientSession() as http:
        refused = await http.get(f"{sandbox.url}/finnhub/static/symbols/US.json?signature=guessed")
    assert refused.status == 403


async def test_the_lists_of_pairs_and_coins_and_the_search(get):
    pairs = await get("/forex/symbol", exchange="oanda")
    coins = await get("/crypto/symbol", exchange="binance")

    assert {"description": "Oanda EUR/USD", "displaySymbol": "EUR/USD", "symbol": "OANDA:EUR_USD"} in pairs
    assert {"description": "Binance BTC/USDT", "displaySymbol": "BTC/USDT", "symbol": "BINANCE:BTCUSDT"} in coins
    assert (await get("/search", q="apple"))["result"][0]["symbol"] == "AAPL"


async def test_funds(sandbox, get):
    etf = (await get("/etf/profile", symbol="SPY"))["profile"]
    fund = (await get("/mutual-fund/profile", symbol="VFIAX"))["profile"]

    assert etf["nav"] == sandbox.market.quote("SPY", NOW).price
    assert fund["totalNav"] > 1e9


async def test_currency_rates(sandbox, get):
    body = await get("/forex/rates", base="USD")

    assert body["quote"]["JPY"] == sandbox.market.quote("USD/JPY", NOW).price
    assert body["quote"]["EUR"] == pytest.approx(1 / sandbox.market.quote("EUR/USD", NOW).price)


@pytest.mark.parametrize(
    ("key", "error"), [("nobody", "Invalid API key"), ("", "Please use an API key.")], ids=["unknown", "missing"]
)
async def test_a_wrong_key_is_refused(get, key, error):
    assert await get("/quote", key=key, symbol="AAPL", expect=401) == {"error": error}


async def test_the_free_plan_is_refused_what_is_premium(get):
    body = await get("/stock/candle", key="free", symbol="AAPL", resolution="D", from_=1, to=2, expect=403)

    assert body == {"error": "You don't have access to this resource."}
    assert len(PREMIUM) == len(set(PREMIUM)) == 12


async def test_the_limits_of_a_second_and_of_a_minute(sandbox, get):
    for _ in range(30):
        await get("/quote", key="free", symbol="AAPL")
    await get("/quote", key="free", symbol="AAPL", expect=429)
    sandbox.clock.advance(timedelta(seconds=1))
    for _ in range(30):
        await get("/quote", key="free", symbol="AAPL")
    sandbox.clock.advance(timedelta(seconds=1))
    refused = await get("/quote", key="free", symbol="AAPL", expect=429)

    assert refused == {"error": "API limit reached. Please try again later. Remaining Limit: 0"}
    assert get.response.headers["X-Ratelimit-Limit"] == "60"
    assert int(get.response.headers["X-Ratelimit-Reset"]) == unix(2026, 7, 15, 15, 31)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/quote", {}),
        ("/stock/candle", {"symbol": "AAPL", "resolution": "2", "from_": 1, "to": 2}),
        ("/stock/candle", {"symbol": "AAPL", "resolution": "D", "from_": "x", "to": 2}),
        ("/company-news", {"symbol": "AAPL", "from_": "today", "to": "2026-01-01"}),
        ("/news", {"category": "weather"}),
    ],
)
async def test_what_cannot_be_read_is_a_422(get, path, asked):
    assert set(await get(path, expect=422, **asked)) == {"error"}


async def test_faults_reach_the_candles(sandbox, get):
    sandbox.misbehave(Fault("negative_price", provider="finnhub", symbol="AAPL", next=1))
    body = await get("/stock/candle", symbol="AAPL", resolution="D", from_=unix(2026, 6, 1), to=unix(2026, 7, 1))

    assert sum(close < 0 for close in body["c"]) == 1
