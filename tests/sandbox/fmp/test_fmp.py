from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import aiohttp
import numpy as np
import orjson
import pytest

from sandbox import Clock, Limit, Sandbox, SandboxSettings
from sandbox.market.actions import dividend_factors, split_divisors
from sandbox.market.analysts import grades, reports, targets
from sandbox.market.company import company, fund
from sandbox.market.insiders import insider_trades
from sandbox.market.newsroom import news
from sandbox.market.statements import quarters, ttm, years

NOW = datetime(2026, 7, 15, 15, 30, 10, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")
SHARES = ("AAPL", "GOOG", "IBM", "MSFT", "FB")
PREMIUM = "Premium Query Parameter: 'Special Endpoint : This value set for"


@pytest.fixture
async def sandbox():
    keys = {"k": None, "basic": "basic", "once": [Limit(1, "minute")]}
    async with Sandbox(SandboxSettings(seed=7, keys={"fmp": keys}, clock=Clock(NOW, rate=0))) as sandbox:
        yield sandbox


@pytest.fixture
async def get(sandbox):
    async with aiohttp.ClientSession() as http:

        async def get(path, key="k", status=200, **params):
            headers = {"apikey": key} if key else {}
            async with http.get(f"{sandbox.url}/fmp{path}", params=params, headers=headers) as response:
                body = await response.read()
                assert response.status == status, body
                return orjson.loads(body) if response.content_type == "application/json" else body.decode()

        yield get


@pytest.mark.parametrize(
    ("spelled", "symbol"),
    [*zip(SHARES, SHARES, strict=True), ("BTCUSD", "BTC-USD"), ("EURUSD", "EUR/USD"), ("SPY", "SPY"), ("GCUSD", "GC")],
)
@pytest.mark.parametrize("kind", ["full", "non-split-adjusted", "dividend-adjusted"])
async def test_days_newest_first_adjusted_as_the_path_says(get, sandbox, spelled, symbol, kind):
    rows = (await get(f"/historical-price-eod/{kind}", symbol=spelled, **{"from": "2012-01-01"}))[::-1]
    days = np.array([row["date"] for row in rows], "datetime64[D]")
    truth = sandbox.market.daily(symbol, days[0].item(), NOW.date(), NOW)
    divisors = split_divisors(days, sandbox.market.splits(symbol, NOW))
    factors = dividend_factors(days, sandbox.market.dividends(symbol, NOW))
    wanted = {"full": 1 / divisors, "non-split-adjusted": np.ones(len(days)), "dividend-adjusted": factors / divisors}

    closes = [row["close" if kind == "full" else "adjClose"] for row in rows]
    assert closes == pytest.approx((truth.close * wanted[kind]).tolist(), rel=1e-6)
    assert days[-1] == np.datetime64(NOW.date())  # today, as far as it went


async def test_light_rows_a_mean_of_prices_and_a_volume_in_money(get, sandbox):
    light = await get("/historical-price-eod/light", symbol="IBM", **{"from": "2012-01-03", "to": "2012-01-03"})
    full = await get("/historical-price-eod/full", symbol="BTCUSD", **{"from": "2026-07-14", "to": "2026-07-14"})
    truth = next(iter(sandbox.market.daily("BTC-USD", date(2026, 7, 14), date(2026, 7, 14), NOW)))

    assert light == [{"symbol": "IBM", "date": "2012-01-03", "price": 186.3, "volume": 5646000}]
    assert full[0]["volume"] == round(truth.volume * truth.vwap)
    assert full[0]["vwap"] == pytest.approx((truth.open + truth.high + truth.low + truth.close) / 4)


async def test_no_more_than_5000_days_and_those_the_newest(get):
    rows = await get("/historical-price-eod/full", symbol="IBM", **{"from": "2000-01-01"})

    assert (len(rows), rows[0]["date"]) == (5000, "2026-07-15")
    assert await get("/historical-price-eod/full", symbol="NOPE") == []


@pytest.mark.parametrize("spelled", ["AAPL", "BTCUSD"])
async def test_minutes_tell_new_york_time_whatever_the_market(get, sandbox, spelled):
    symbol = {"BTCUSD": "BTC-USD"}.get(spelled, spelled)
    rows = await get("/historical-chart/1hour", symbol=spelled, **{"from": "2026-07-13", "to": "2026-07-13"})
    start = datetime(2026, 7, 13, tzinfo=NEW_YORK)
    truth = sandbox.market.minutes(symbol, start, start + timedelta(days=1), NOW)

    assert rows[0]["date"] > rows[-1]["date"]
    first = datetime.fromisoformat(rows[-1]["date"]).replace(tzinfo=NEW_YORK)
    assert first.timestamp() * 1000 == truth.starts[0]
    assert (rows[-1]["open"], rows[0]["close"]) == (truth.open[0], truth.close[-1])
    assert max(row["high"] for row in rows) == truth.high.max()


async def test_quotes_one_many_and_after_hours(get, sandbox):
    one = await get("/quote", symbol="AAPL")
    many = await get("/batch-quote", symbols="AAPL,NOPE,EURUSD,GCUSD,^GSPC")
    after = await get("/aftermarket-quote", symbol="AAPL")
    truth = sandbox.market.quote("AAPL", NOW)

    assert (one[0]["price"], one[0]["previousClose"]) == (truth.price, truth.prev_close)
    assert one[0]["timestamp"] == truth.ts // 1000
    assert one[0] == many[0]
    assert [(row["symbol"], row["exchange"]) for row in many[1:]] == [
        ("EURUSD", "FOREX"),
        ("GCUSD", "COMMODITY"),
        ("^GSPC", "INDEX"),
    ]
    assert (after[0]["bidPrice"], after[0]["timestamp"]) == (truth.bid, truth.ts)
    assert await get("/quote", symbol="NOPE") == []
    assert list((await get("/quote-short", symbol="AAPL"))[0]) == ["symbol", "price", "change", "volume"]


async def test_actions_of_one_and_of_everybody(get, sandbox):
    paid, split = await get("/dividends", symbol="AAPL"), await get("/splits", symbol="AAPL", limit=1)
    august = await get("/splits-calendar", **{"from": "2020-08-01", "to": "2020-08-31"})
    truth = sandbox.market.dividends("AAPL", NOW)

    assert [(row["date"], row["dividend"]) for row in paid] == [(str(d.ex_date), d.amount) for d in truth][::-1]
    assert paid[-1]["adjDividend"] == round(truth[0].amount / 28, 6)
    assert [(row["date"], row["numerator"], row["denominator"]) for row in split] == [("2020-08-31", 4, 1)]
    assert split[0] in august
    refused = await get("/dividends-calendar", status=400, **{"from": "2020-01-01", "to": "2020-12-31"})
    assert "longer than 90 days" in refused["Error Message"]


@pytest.mark.parametrize("symbol", SHARES)
async def test_profiles_and_statements_are_the_truth(get, sandbox, symbol):
    who, filed = company(sandbox.market, symbol), quarters(sandbox.market, symbol, NOW)
    profile = (await get("/profile", symbol=symbol))[0]
    yearly = await get("/income-statement", symbol=symbol, limit=1000)
    balance = await get("/balance-sheet-statement", symbol=symbol, period="quarter", limit=2)
    cash = await get("/cash-flow-statement", symbol=symbol, period="Q4", limit=3)

    assert (profile["isin"], profile["fullTimeEmployees"]) == (who.isin, str(who.employees))
    truth = years(sandbox.market, symbol, NOW)[::-1]
    assert [(row["date"], row["revenue"]) for row in yearly] == [(str(y.ends), y.income.revenue) for y in truth]
    assert [(row["period"], row["totalAssets"]) for row in balance] == [
        (quarter.label, quarter.balance.total_assets) for quarter in filed[:-3:-1]
    ]
    assert balance[0]["totalAssets"] == balance[0]["totalLiabilities"] + balance[0]["totalEquity"]
    assert {row["period"] for row in cash} == {"Q4"}
    assert all(row["freeCashFlow"] == row["operatingCashFlow"] + row["capitalExpenditure"] for row in cash)


async def test_ratios_and_the_last_twelve_months(get, sandbox):
    year = ttm(sandbox.market, "AAPL", NOW)
    ratios, now = await get("/ratios", symbol="AAPL"), (await get("/ratios-ttm", symbol="AAPL"))[0]
    summed = await get("/income-statement-ttm", symbol="AAPL", limit=1)
    metrics = (await get("/key-metrics-ttm", symbol="AAPL"))[0]

    assert len(ratios) == 5
    assert now["netProfitMarginTTM"] == year.income.net_income / year.income.revenue
    assert (summed[0]["revenue"], summed[0]["date"]) == (year.income.revenue, str(year.ends))
    assert metrics["enterpriseValueTTM"] == metrics["marketCap"] + year.balance.total_debt - (
        year.balance.cash_and_equivalents
    )
    assert list((await get("/discounted-cash-flow", symbol="AAPL"))[0]) == ["symbol", "date", "dcf", "Stock Price"]


async def test_earnings_estimates_and_what_analysts_say(get, sandbox):
    told = await get("/earnings", symbol="IBM")
    calendar = await get("/earnings-calendar", **{"from": "2026-07-10", "to": "2026-07-20"})
    estimates = await get("/analyst-estimates", symbol="IBM", period="annual")
    aims = (await get("/price-target-consensus", symbol="IBM"))[0]
    changes = await get("/grades", symbol="IBM", limit=1)
    months = await get("/grades-historical", symbol="IBM", limit=3)
    truth = reports(sandbox.market, "IBM", NOW)[::-1]

    assert [(row["date"], row["epsActual"]) for row in told] == [(str(r.report_date), r.eps_actual) for r in truth]
    assert told[0]["epsActual"] is None
    assert {"2026-07-10" <= row["date"] <= "2026-07-20" for row in calendar} == {True}
    assert all(row["revenueLow"] <= row["revenueAvg"] <= row["revenueHigh"] for row in estimates)
    assert aims["targetConsensus"] == targets(sandbox.market, "IBM", NOW).mean
    since = datetime(2000, 1, 1, tzinfo=UTC)
    assert [row["gradingCompany"] for row in changes] == [g.firm for g in grades(sandbox.market, "IBM", since, NOW)]
    assert [row["date"] for row in months] == ["2026-07-01", "2026-06-01", "2026-05-01"]


async def test_paging_through_insiders_covers_each_once(get, sandbox):
    pages = [await get("/insider-trading/search", symbol="FB", limit=250, page=page) for page in range(4)]
    truth = insider_trades(sandbox.market, "FB", date.min, NOW.date())

    rows = [row for page in pages for row in page]
    assert [row["securitiesTransacted"] for row in rows] == [abs(trade.shares) for trade in truth]
    assert len({row["url"] for row in rows}) == len(truth)
    assert pages[-1] == []
    assert {row["transactionType"] for row in rows} == {"S-Sale", "P-Purchase", "A-Award", "M-Exempt"}


@pytest.mark.parametrize(
    ("path", "spelled", "symbol"),
    [
        ("stock", "AAPL", "AAPL"),
        ("stock", "SPY", "SPY"),
        ("crypto", "BTCUSD", "BTC-USD"),
        ("forex", "EURUSD", "EUR/USD"),
    ],
)
async def test_paging_through_news_covers_each_once(get, sandbox, path, spelled, symbol):
    span = {"from": "2026-06-15", "to": "2026-07-14"}
    pages = [await get(f"/news/{path}", symbols=spelled, limit=10, page=page, **span) for page in range(5)]
    since, until = datetime(2026, 6, 15, tzinfo=NEW_YORK), datetime(2026, 7, 15, tzinfo=NEW_YORK)
    truth = news(sandbox.market, [symbol], since, until)

    rows = [row for page in pages for row in page]
    assert [row["url"] for row in rows] == [article.url for article in truth]
    assert rows[0]["publishedDate"] == truth[0].at.astimezone(NEW_YORK).strftime("%Y-%m-%d %H:%M:%S")
    latest = await get(f"/news/{path}-latest", limit=250)
    assert latest[0]["publishedDate"] >= latest[-1]["publishedDate"]


async def test_the_lists_hold_the_universe(get, sandbox):
    names = ("stock-list", "etf-list", "cryptocurrency-list", "forex-list", "commodities-list", "index-list")
    told = {name: {row["symbol"] for row in await get(f"/{name}")} for name in names}
    screened = await get("/company-screener", isEtf="false", isFund="false", exchange="NASDAQ")
    found = await get("/search-symbol", query="AAPL")

    assert sum(map(len, told.values())) + 4 == len(sandbox.market.instruments)  # the funds are on no list
    assert set(SHARES) < told["stock-list"]
    assert "BTCUSD" in told["cryptocurrency-list"]
    assert {row["exchangeShortName"] for row in screened} == {"NASDAQ"}
    assert [row["symbol"] for row in found] == ["AAPL"]
    assert await get("/delisted-companies") == []


async def test_what_an_etf_is(get, sandbox):
    told = (await get("/etf/info", symbol="SPY"))[0]

    assert told["expenseRatio"] == fund(sandbox.market, "SPY").expense_pct
    assert round(sum(row["exposure"] for row in told["sectorsList"]), 6) == 100


async def test_refusals_are_objects_or_plain_text(get):
    for key in (None, "wrong"):
        assert (await get("/quote", key=key, status=401, symbol="AAPL"))["Error Message"].startswith("Invalid API KEY")
    await get("/quote", key="once", symbol="AAPL")
    assert (await get("/quote", key="once", status=429, symbol="AAPL"))["Error Message"].startswith("Limit Reach .")
    assert (await get("/batch-quote", key="basic", status=402, symbols="AAPL")).startswith("Restricted Endpoint:")
    old = await get("/api/v3/quote/AAPL", status=403)
    assert old["Error Message"].startswith("Legacy Endpoint :")
    assert "symbol" in (await get("/quote", status=400))["Error Message"]


async def test_the_basic_plan_has_five_years_and_five_annual_periods(get):
    days = await get("/historical-price-eod/full", key="basic", symbol="IBM", **{"from": "2010-01-01"})

    assert days[-1]["date"] == "2021-07-16"
    assert len(await get("/income-statement", key="basic", symbol="IBM", limit=5)) == 5
    for parameter, params in {"limit": {"limit": 6}, "period": {"period": "quarter"}}.items():
        refused = await get("/income-statement", key="basic", status=402, symbol="IBM", **params)
        assert refused.startswith(f"{PREMIUM} '{parameter}'")


async def test_the_key_may_stand_in_the_query(sandbox):
    async with aiohttp.ClientSession() as http:
        answer = await http.get(f"{sandbox.url}/fmp/quote?symbol=AAPL&apikey=k")

        assert answer.status == 200
