from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from sandbox import Clock, Sandbox, SandboxSettings
from sandbox.market.analysts import grades, ratings, reports, targets
from sandbox.market.company import company, fund
from sandbox.market.insiders import insider_trades
from sandbox.market.newsroom import news
from sandbox.market.statements import market_cap, quarters, years

NOW = datetime(2026, 7, 15, 15, 30, 10, tzinfo=UTC)
SHARES = ("AAPL", "GOOG", "IBM", "MSFT", "FB")
MODULES = (
    "assetProfile,price,summaryDetail,defaultKeyStatistics,financialData,earningsHistory,calendarEvents,"
    "earningsTrend,insiderTransactions,recommendationTrend,upgradeDowngradeHistory"
)


@pytest.fixture
async def sandbox():
    async with Sandbox(SandboxSettings(seed=7, clock=Clock(NOW, rate=0))) as sandbox:
        yield sandbox


@pytest.fixture
async def get(sandbox):
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address without a name
    async with aiohttp.ClientSession(headers={"User-Agent": "Mozilla/5.0"}, cookie_jar=jar) as http:
        await http.get(f"{sandbox.url}/yahoo/")
        crumb = await (await http.get(f"{sandbox.url}/yahoo/v1/test/getcrumb")).text()

        async def get(path, status=200, **params):
            async with http.get(f"{sandbox.url}/yahoo{path}", params={"crumb": crumb, **params}) as response:
                assert response.status == status, await response.text()
                return await response.json()

        yield get


@pytest.fixture
async def summary(get):
    async def summary(symbol, modules=MODULES):
        told = await get(f"/v10/finance/quoteSummary/{symbol}", modules=modules)
        return told["quoteSummary"]["result"][0]

    return summary


@pytest.mark.parametrize("symbol", SHARES)
async def test_a_share_has_every_module_and_they_tell_the_truth(summary, sandbox, symbol):
    told, who = await summary(symbol), company(sandbox.market, symbol)
    out = [report for report in reports(sandbox.market, symbol, NOW) if report.eps_actual is not None]
    following = reports(sandbox.market, symbol, NOW, ahead=1)[-1]

    assert list(told) == MODULES.split(",")
    assert told["assetProfile"]["fullTimeEmployees"] == who.employees
    assert told["price"]["marketCap"] == market_cap(sandbox.market, symbol, NOW)
    assert told["financialData"]["targetMeanPrice"] == targets(sandbox.market, symbol, NOW).mean
    history = told["earningsHistory"]["history"]
    assert [row["quarter"]["fmt"] for row in history] == [str(report.fiscal_date) for report in out[-4:]]
    assert [row["period"] for row in history] == ["-4q", "-3q", "-2q", "-1q"]
    assert told["calendarEvents"]["earnings"]["earningsDate"] == [int(following.at.timestamp())]
    assert [row["period"] for row in told["earningsTrend"]["trend"]] == ["0q", "+1q", "0y", "+1y"]
    buys = [row["strongBuy"] for row in told["recommendationTrend"]["trend"]]
    assert buys == [month.strong_buy for month in ratings(sandbox.market, symbol, NOW)]
    changed = grades(sandbox.market, symbol, NOW - timedelta(days=365 * 13), NOW)
    assert [row["firm"] for row in told["upgradeDowngradeHistory"]["history"]] == [each.firm for each in changed]


async def test_insiders_shares_have_no_sign_and_the_text_tells_the_way(summary, sandbox):
    rows = (await summary("AAPL", "insiderTransactions"))["insiderTransactions"]["transactions"]
    truth = insider_trades(sandbox.market, "AAPL", (NOW - timedelta(days=730)).date(), NOW.date())

    assert [row["shares"]["raw"] for row in rows] == [abs(trade.shares) for trade in truth]
    assert {row["transactionText"].split(" at ")[0] for row in rows} == {
        "Sale",
        "Purchase",
        "Stock Award(Grant)",
        "Conversion of Exercise of derivative security",
    }


async def test_others_have_the_modules_that_suit_them(summary, sandbox):
    etf, coin, pair = [await summary(symbol) for symbol in ("SPY", "BTC-USD", "EURUSD=X")]

    assert list(etf) == ["assetProfile", "price", "summaryDetail", "defaultKeyStatistics"]
    assert etf["summaryDetail"]["totalAssets"] == fund(sandbox.market, "SPY").assets
    assert coin["assetProfile"]["name"] == "Bitcoin"
    assert pair["price"]["regularMarketPrice"] == sandbox.market.quote("EUR/USD", NOW).price


async def test_no_module_no_symbol_and_no_crumb_are_refused(get):
    nothing = await get("/v10/finance/quoteSummary/EURUSD=X", 404, modules="assetProfile")
    unknown = await get("/v10/finance/quoteSummary/NOPE", 404, modules="price")
    refused = await get("/v10/finance/quoteSummary/AAPL", 401, modules="price", crumb="stale")

    described = "No fundamentals data found for any of the summaryTypes=assetProfile"
    assert nothing["quoteSummary"]["error"] == {"code": "Not Found", "description": described}
    assert unknown["quoteSummary"]["error"]["description"] == "Quote not found for symbol: NOPE"
    assert refused["finance"]["error"] == {"code": "Unauthorized", "description": "Invalid Crumb"}


@pytest.mark.parametrize("symbol", SHARES)
async def test_statements_are_series_of_the_last_few_periods(get, sandbox, symbol):
    types = "annualTotalRevenue,quarterlyTotalAssets,trailingNetIncome,annualMineralProperties"
    path = f"/ws/fundamentals-timeseries/v1/finance/timeseries/{symbol}"
    annual, quarterly, trailing, nothing = (await get(path, type=types))["timeseries"]["result"]
    filed, whole = quarters(sandbox.market, symbol, NOW), years(sandbox.market, symbol, NOW)

    rows = [(row["asOfDate"], row["reportedValue"]["raw"]) for row in annual["annualTotalRevenue"]]
    assert rows == [(str(year.ends), year.income.revenue) for year in whole[-4:]]
    assert [row["reportedValue"]["raw"] for row in quarterly["quarterlyTotalAssets"]] == [
        quarter.balance.total_assets for quarter in filed[-5:]
    ]
    last = trailing["trailingNetIncome"][-1]
    assert (last["periodType"], last["reportedValue"]["raw"]) == (
        "TTM",
        sum(quarter.income.net_income for quarter in filed[-4:]),
    )
    assert nothing == {"meta": {"symbol": [symbol], "type": ["annualMineralProperties"]}}


async def test_a_series_keeps_to_its_span_and_needs_a_type(get):
    path = "/ws/fundamentals-timeseries/v1/finance/timeseries/IBM"
    since = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
    told = await get(path, type="annualTotalRevenue", period1=since)

    assert [row["asOfDate"] for row in told["timeseries"]["result"][0]["annualTotalRevenue"]] == ["2025-12-31"]
    assert (await get(path, 400))["timeseries"]["error"]["code"] == "Bad Request"


async def test_search_finds_instruments_and_their_news(get, sandbox):
    told = await get("/v1/finance/search", q="AAPL", newsCount=3)
    coin = await get("/v1/finance/search", q="bitcoin", newsCount=0)
    nothing = await get("/v1/finance/search", q="no such thing")

    truth = news(sandbox.market, ["AAPL"], NOW - timedelta(days=365), NOW)[:3]
    assert [(row["symbol"], row["quoteType"]) for row in told["quotes"]] == [("AAPL", "EQUITY")]
    assert [row["providerPublishTime"] for row in told["news"]] == [int(each.at.timestamp()) for each in truth]
    assert told["news"][0]["relatedTickers"] == ["AAPL"]
    assert [row["symbol"] for row in coin["quotes"]] == ["BTC-USD"]
    assert (coin["news"], nothing["quotes"], nothing["news"]) == ([], [], [])
