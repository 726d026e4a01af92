import csv
import json
from datetime import UTC, date, datetime, timedelta

import aiohttp
import pytest

from sandbox import Clock, Fault, Sandbox, SandboxSettings
from sandbox.market.actions import dividend_factors, split_divisors
from sandbox.market.analysts import ratings, reports
from sandbox.market.insiders import insider_trades
from sandbox.market.newsroom import news
from sandbox.market.statements import market_cap, quarters, years

NOW = datetime(2026, 7, 15, 15, 30, 10, tzinfo=UTC)  # New York trades
FIVE = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


@pytest.fixture
async def sandbox():
    settings = SandboxSettings(seed=7, keys={"alphavantage": {"k": None, "free": "free"}}, clock=Clock(NOW, rate=0))
    async with Sandbox(settings) as sandbox:
        yield sandbox


@pytest.fixture
async def get(sandbox):
    async with aiohttp.ClientSession() as http:

        async def get(function, key="k", **asked):
            asked |= {"function": function} | ({"apikey": key} if key else {})
            async with http.get(f"{sandbox.url}/alphavantage/query", params=asked) as response:
                assert response.status == 200
                text = await response.text()
                return json.loads(text) if text.startswith(("{", "[")) else list(csv.DictReader(text.splitlines()))

        yield get


def closes(body, word, field="4. close"):
    """Closes, oldest first."""
    return [float(row[field]) for row in reversed(body[word].values())]


@pytest.mark.parametrize("symbol", FIVE)
async def test_daily_prices_are_the_raw_truth_of_days_that_are_over(sandbox, get, symbol):
    body = await get("TIME_SERIES_DAILY", symbol=symbol, outputsize="full")
    truth = sandbox.market.daily(symbol, date(1999, 1, 1), date(2026, 7, 14), NOW)

    assert list(body["Time Series (Daily)"]) == [str(day) for day in truth.days][::-1]
    assert closes(body, "Time Series (Daily)") == truth.close.tolist()
    assert body["Meta Data"]["3. Last Refreshed"] == "2026-07-14"
    assert body["Meta Data"]["5. Time Zone"] == "US/Eastern"


async def test_the_running_day_comes_with_an_entitlement(get):
    body = await get("TIME_SERIES_DAILY", symbol="AAPL", entitlement="realtime")

    assert body["Meta Data"]["3. Last Refreshed"] == "2026-07-15"
    assert len(body["Time Series (Daily)"]) == 100


async def test_adjusted_close_dividends_and_splits(sandbox, get):
    body = await get("TIME_SERIES_DAILY_ADJUSTED", symbol="AAPL", outputsize="full")
    rows = body["Time Series (Daily)"]
    truth = sandbox.market.daily("AAPL", date(1999, 1, 1), date(2026, 7, 14), NOW)
    paid = sandbox.market.dividends("AAPL", NOW)
    adjusted = truth.close / split_divisors(truth.days, sandbox.market.splits("AAPL", NOW))

    assert closes(body, "Time Series (Daily)", "5. adjusted close") == pytest.approx(
        (adjusted * dividend_factors(truth.days, paid)).tolist(), abs=6e-5
    )
    assert rows["2020-08-31"]["8. split coefficient"] == "4.0"
    assert [float(row["7. dividend amount"]) for row in rows.values() if float(row["7. dividend amount"])] == [
        each.amount for each in reversed(paid)
    ]


@pytest.mark.parametrize(
    ("function", "word", "stamps"),
    [
        ("TIME_SERIES_WEEKLY", "Weekly Time Series", ["2026-07-14", "2026-07-10", "2026-07-02"]),
        ("TIME_SERIES_WEEKLY_ADJUSTED", "Weekly Adjusted Time Series", ["2026-07-14", "2026-07-10", "2026-07-02"]),
        ("TIME_SERIES_MONTHLY", "Monthly Time Series", ["2026-07-14", "2026-06-30", "2026-05-29"]),
        ("TIME_SERIES_MONTHLY_ADJUSTED", "Monthly Adjusted Time Series", ["2026-07-14", "2026-06-30", "2026-05-29"]),
    ],
)
async def test_longer_bars_carry_their_last_trading_day(sandbox, get, function, word, stamps):
    body = await get(function, symbol="IBM")
    daily = await get("TIME_SERIES_DAILY", symbol="IBM", outputsize="full")

    assert list(body[word])[:3] == stamps
    assert body[word][stamps[1]]["4. close"] == daily["Time Series (Daily)"][stamps[1]]["4. close"]


@pytest.mark.parametrize("adjusted", ["true", "false"])
async def test_a_month_of_minutes_in_eastern_time(sandbox, get, adjusted):
    asked = {"symbol": "AAPL", "interval": "60min", "month": "2020-08", "outputsize": "full", "adjusted": adjusted}
    body = await get("TIME_SERIES_INTRADAY", **asked)
    rows = body["Time Series (60min)"]

    assert next(iter(rows)) == "2020-08-31 15:00:00"
    assert list(rows)[-1] == "2020-08-03 09:00:00"
    (last,) = sandbox.market.daily("AAPL", date(2020, 8, 31), date(2020, 8, 31), NOW)
    factor = dividend_factors(
        sandbox.market.daily("AAPL", date(2020, 8, 31), date(2020, 8, 31), NOW).days,
        sandbox.market.dividends("AAPL", NOW),
    )[0]
    truth = last.close * (factor if adjusted == "true" else 1)
    assert float(rows["2020-08-31 15:00:00"]["4. close"]) == pytest.approx(truth, abs=6e-5)
    friday = float(rows["2020-08-28 15:00:00"]["4. close"])
    assert (friday / truth > 3) == (adjusted == "false")  # the split of 31 August


async def test_csv_is_the_same_series(get):
    table = await get("TIME_SERIES_DAILY", symbol="IBM", datatype="csv")
    body = await get("TIME_SERIES_DAILY", symbol="IBM")

    assert [row["timestamp"] for row in table] == list(body["Time Series (Daily)"])
    assert [row["close"] for row in table] == [row["4. close"] for row in body["Time Series (Daily)"].values()]


@pytest.mark.parametrize(
    ("function", "asked", "word", "symbol"),
    [
        ("FX_DAILY", {"from_symbol": "EUR", "to_symbol": "USD"}, "Time Series FX (Daily)", "EUR/USD"),
        (
            "DIGITAL_CURRENCY_DAILY",
            {"symbol": "BTC", "market": "USD"},
            "Time Series (Digital Currency Daily)",
            "BTC-USD",
        ),
    ],
)
async def test_currencies_and_coins_run_until_now(sandbox, get, function, asked, word, symbol):
    body = await get(function, **asked, outputsize="full")
    truth = sandbox.market.daily(symbol, date(1999, 1, 1), date(2026, 7, 15), NOW)

    assert closes(body, word) == truth.close.tolist()
    assert "2026-07-15 15:30:10" in body["Meta Data"].values()


@pytest.mark.parametrize(
    ("function", "asked"),
    [
        ("FX_INTRADAY", {"from_symbol": "EUR", "to_symbol": "USD", "interval": "5min"}),
        ("CRYPTO_INTRADAY", {"symbol": "BTC", "market": "USD", "interval": "5min"}),
        ("FX_WEEKLY", {"from_symbol": "EUR", "to_symbol": "USD"}),
        ("FX_MONTHLY", {"from_symbol": "EUR", "to_symbol": "USD"}),
        ("DIGITAL_CURRENCY_WEEKLY", {"symbol": "BTC", "market": "USD"}),
        ("DIGITAL_CURRENCY_MONTHLY", {"symbol": "BTC", "market": "USD"}),
    ],
)
async def test_every_series_of_currencies_says_utc(get, function, asked):
    body = await get(function, **asked)

    assert len(body) == 2
    assert list(body["Meta Data"].values())[-1] == "UTC"


async def test_a_quote_is_of_the_last_day_that_is_over(sandbox, get):
    quote = (await get("GLOBAL_QUOTE", symbol="AAPL"))["Global Quote"]
    (day,) = sandbox.market.daily("AAPL", date(2026, 7, 14), date(2026, 7, 14), NOW)
    (row,) = await get("GLOBAL_QUOTE", symbol="AAPL", datatype="csv")

    assert (quote["05. price"], quote["07. latest trading day"]) == (f"{day.close:.4f}", "2026-07-14")
    assert quote["10. change percent"].endswith("%")
    assert row["price"] == quote["05. price"]
    assert await get("GLOBAL_QUOTE", symbol="ZZZZ") == {"Global Quote": {}}


async def test_london_is_quoted_in_pence(sandbox, get):
    quote = (await get("GLOBAL_QUOTE", symbol="VOD.LON", entitlement="realtime"))["Global Quote"]

    assert float(quote["05. price"]) == pytest.approx(100 * sandbox.market.quote("VOD.XLON", NOW).price)


async def test_bulk_quotes_are_a_sample_without_a_premium_plan(sandbox, get):
    real = await get("REALTIME_BULK_QUOTES", symbol="AAPL,ZZZZ,IBM")
    sample = await get("REALTIME_BULK_QUOTES", key="free", symbol="AAPL,IBM")

    assert [row["symbol"] for row in real["data"]] == ["AAPL", "IBM"]
    assert real["data"][0]["close"] == f"{sandbox.market.quote('AAPL', NOW).price:.4f}"
    assert real["data"][0]["timestamp"] == "2026-07-15 11:30:10.000"
    assert "ARTIFICIAL" in sample["message"]
    assert sample["data"][0]["close"] != real["data"][0]["close"]


async def test_exchange_rates_both_ways(sandbox, get):
    word = "Realtime Currency Exchange Rate"
    coin = (await get("CURRENCY_EXCHANGE_RATE", from_currency="BTC", to_currency="USD"))[word]
    turned = (await get("CURRENCY_EXCHANGE_RATE", from_currency="USD", to_currency="EUR"))[word]

    assert float(coin["5. Exchange Rate"]) == sandbox.market.quote("BTC-USD", NOW).price
    assert coin["2. From_Currency Name"] == "Bitcoin"
    assert float(turned["5. Exchange Rate"]) == pytest.approx(1 / sandbox.market.quote("EUR/USD", NOW).price)
    assert turned["8. Bid Price"] < turned["9. Ask Price"]


@pytest.mark.parametrize(
    ("function", "field", "told"),
    [
        ("INCOME_STATEMENT", "totalRevenue", lambda it: it.income.revenue),
        ("BALANCE_SHEET", "totalShareholderEquity", lambda it: it.balance.total_equity),
        ("CASH_FLOW", "capitalExpenditures", lambda it: -it.cash_flow.capital_expenditure),
    ],
)
async def test_statements_are_those_that_were_filed(sandbox, get, function, field, told):
    body = await get(function, symbol="MSFT")
    annual, quarterly = years(sandbox.market, "MSFT", NOW)[::-1], quarters(sandbox.market, "MSFT", NOW)[::-1]

    assert [row[field] for row in body["annualReports"]] == [str(told(it)) for it in annual][:20]
    assert [row[field] for row in body["quarterlyReports"]] == [str(told(it)) for it in quarterly][:81]
    assert "None" in body["annualReports"][0].values()
    assert await get(function, symbol="ZZZZ") == {}


async def test_the_overview(sandbox, get):
    body = await get("OVERVIEW", symbol="IBM")

    assert body["MarketCapitalization"] == str(market_cap(sandbox.market, "IBM", NOW))
    assert body["AnalystRatingBuy"] == str(ratings(sandbox.market, "IBM", NOW, 1)[0].buy)
    assert await get("OVERVIEW", symbol="SPY") == {}


async def test_earnings_estimates_shares_and_the_calendar(sandbox, get):
    body = await get("EARNINGS", symbol="IBM")
    truth = [each for each in reports(sandbox.market, "IBM", NOW) if each.eps_actual is not None][::-1]
    calendar = await get("EARNINGS_CALENDAR", symbol="IBM", horizon="12month")

    assert [row["reportedEPS"] for row in body["quarterlyEarnings"]] == [str(each.eps_actual) for each in truth]
    assert {row["reportTime"] for row in body["quarterlyEarnings"]} <= {"pre-market", "post-market"}
    assert {row["horizon"] for row in (await get("EARNINGS_ESTIMATES", symbol="IBM"))["estimates"]} == {
        "fiscal year",
        "fiscal quarter",
    }
    assert (await get("SHARES_OUTSTANDING", symbol="IBM"))["data"][0]["shares_outstanding_basic"].isdecimal()
    assert {row["symbol"] for row in calendar} == {"IBM"}
    assert all(row["reportDate"] >= "2026-07-15" for row in calendar)


async def test_actions_insiders_and_funds(sandbox, get):
    splits = await get("SPLITS", symbol="AAPL")
    paid = await get("DIVIDENDS", symbol="IBM", datatype="csv")
    insiders = await get("INSIDER_TRANSACTIONS", symbol="IBM")
    fund = await get("ETF_PROFILE", symbol="SPY")

    assert [row["split_factor"] for row in splits["data"]] == ["4.0000", "7.0000", "2.0000", "2.0000"]
    assert [row["amount"] for row in paid] == [str(each.amount) for each in sandbox.market.dividends("IBM", NOW)][::-1]
    truth = insider_trades(sandbox.market, "IBM", date(2000, 1, 1), NOW.date())
    assert [float(row["shares"]) for row in insiders["data"]] == [abs(each.shares) for each in truth]
    assert sum(float(row["weight"]) for row in fund["holdings"]) == pytest.approx(1, abs=0.01)


async def test_news_of_all_the_tickers_asked_for(sandbox, get):
    asked = {"time_from": "20260601T0000", "time_to": "20260701T0000", "limit": "1000"}
    body = await get("NEWS_SENTIMENT", tickers="AAPL", **asked)
    coin = await get("NEWS_SENTIMENT", tickers="CRYPTO:BTC", **asked)
    truth = news(sandbox.market, ["AAPL"], datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))

    assert [row["url"] for row in body["feed"]] == [article.url for article in truth]
    assert body["items"] == str(len(truth))
    assert coin["feed"][0]["ticker_sentiment"][0]["ticker"] == "CRYPTO:BTC"
    assert (await get("NEWS_SENTIMENT", tickers="AAPL,IBM", **asked))["feed"] == []
    assert "Invalid inputs" in (await get("NEWS_SENTIMENT", tickers="ZZZZ"))["Information"]
    assert len((await get("NEWS_SENTIMENT"))["feed"]) == 50


async def test_the_universe_and_the_search(get):
    rows = await get("LISTING_STATUS")
    found = await get("SYMBOL_SEARCH", keywords="aapl")

    assert {row["symbol"]: row["assetType"] for row in rows}["SPY"] == "ETF"
    assert {"AAPL", "BRK-B"} < {row["symbol"] for row in rows}
    assert await get("LISTING_STATUS", state="delisted") == []
    assert found["bestMatches"][0]["9. matchScore"] == "1.0000"


@pytest.mark.parametrize("function", ["WTI", "NATURAL_GAS", "COPPER", "WHEAT", "CORN"])
async def test_commodities_are_values(get, function):
    body = await get(function)

    assert body["interval"] == "monthly"
    assert body["data"][0]["date"] == "2026-07-01"


@pytest.mark.parametrize("key", ["nobody", ""])
async def test_a_wrong_key_is_refused_with_a_200(get, key):
    assert "apikey is invalid or missing" in (await get("GLOBAL_QUOTE", key=key, symbol="IBM"))["Error Message"]


async def test_a_second_and_a_day_of_new_york_have_their_own_limits(sandbox, get):
    for _ in range(25):
        assert "Global Quote" in await get("GLOBAL_QUOTE", key="free", symbol="IBM")
        sandbox.clock.advance(timedelta(seconds=1))
    day = await get("GLOBAL_QUOTE", key="free", symbol="IBM", datatype="csv")
    sandbox.clock.advance(datetime(2026, 7, 16, 4, tzinfo=UTC) - sandbox.clock.now())  # midnight in New York
    first = await get("GLOBAL_QUOTE", key="free", symbol="IBM")
    second = await get("GLOBAL_QUOTE", key="free", symbol="IBM")

    assert "25 requests per day" in day["Information"]
    assert "Global Quote" in first
    assert "1 request per second" in second["Information"]


@pytest.mark.parametrize(
    "function", ["TIME_SERIES_INTRADAY", "TIME_SERIES_DAILY_ADJUSTED", "FX_INTRADAY", "CRYPTO_INTRADAY"]
)
async def test_premium_functions_are_refused_on_the_free_plan(get, function):
    assert "premium endpoint" in (await get(function, key="free", symbol="IBM"))["Information"]


@pytest.mark.parametrize(
    ("function", "asked"),
    [
        ("TIME_SERIES_DAILY", {"symbol": "NOTREAL"}),
        ("TIME_SERIES_DAILY", {"symbol": "IBM", "outputsize": "huge"}),
        ("TIME_SERIES_INTRADAY", {"symbol": "IBM", "interval": "2min"}),
        ("TIME_SERIES_INTRADAY", {"symbol": "IBM", "interval": "5min", "month": "1999-12"}),
        ("TIME_SERIES_INTRADAY", {"symbol": "IBM", "interval": "5min", "month": "May"}),
        ("FX_DAILY", {"from_symbol": "EUR", "to_symbol": "XXX"}),
        ("DIGITAL_CURRENCY_DAILY", {"symbol": "BTC", "market": "EUR"}),
        ("CURRENCY_EXCHANGE_RATE", {"from_currency": "EUR", "to_currency": "XXX"}),
        ("WTI", {"interval": "hourly"}),
        ("NO_SUCH", {}),
    ],
)
async def test_what_cannot_be_read_is_an_error_message(get, function, asked):
    assert set(await get(function, **asked)) == {"Error Message"}


async def test_faults_reach_the_series(sandbox, get):
    sandbox.misbehave(Fault("none_price", provider="alphavantage", endpoint="TIME_SERIES_DAILY", next=1))
    body = await get("TIME_SERIES_DAILY", symbol="IBM")

    assert [row["4. close"] for row in body["Time Series (Daily)"].values()].count("None") == 1
