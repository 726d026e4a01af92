from collections import Counter
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import aiohttp
import numpy as np
import orjson
import pytest

from sandbox import Clock, Limit, Sandbox, SandboxSettings
from sandbox.market.actions import dividend_factors, split_divisors
from sandbox.market.analysts import reports
from sandbox.market.company import company, fund
from sandbox.market.insiders import insider_trades
from sandbox.market.newsroom import news
from sandbox.market.statements import quarters, years

NOW = datetime(2026, 7, 15, 15, 30, 10, tzinfo=UTC)
SHARES = ("AAPL", "GOOG", "IBM", "MSFT", "FB")


@pytest.fixture
async def sandbox():
    keys = {"k": None, "free": "free", "minute": [Limit(1, "minute")]}
    async with Sandbox(SandboxSettings(seed=7, keys={"eodhd": keys}, clock=Clock(NOW, rate=0))) as sandbox:
        yield sandbox


@pytest.fixture
async def get(sandbox):
    async with aiohttp.ClientSession() as http:

        async def get(path, key="k", status=200, **params):
            params = {"fmt": "json", **({"api_token": key} if key else {}), **params}
            async with http.get(f"{sandbox.url}/eodhd{path}", params=params) as response:
                body = await response.read()
                assert response.status == status, body
                return orjson.loads(body) if response.content_type == "application/json" else body.decode()

        yield get


@pytest.mark.parametrize(
    ("spelled", "symbol"),
    [*((f"{name}.US", name) for name in SHARES), ("BTC-USD.CC", "BTC-USD"), ("EURUSD.FOREX", "EUR/USD"),
     ("SPY.US", "SPY"), ("GSPC.INDX", "^GSPC")],
)  # fmt: skip
async def test_days_are_raw_with_volumes_and_a_second_close_adjusted(get, sandbox, spelled, symbol):
    rows = await get(f"/eod/{spelled}", **{"from": "2012-01-01"})
    days = np.array([row["date"] for row in rows], "datetime64[D]")
    truth = sandbox.market.daily(symbol, days[0].item(), days[-1].item(), NOW)
    divisors = split_divisors(days, sandbox.market.splits(symbol, NOW))
    factors = dividend_factors(days, sandbox.market.dividends(symbol, NOW)) / divisors

    assert [row["close"] for row in rows] == truth.close.tolist()
    assert [row["adjusted_close"] for row in rows] == pytest.approx((truth.close * factors).tolist(), abs=6e-5)
    if symbol in SHARES:
        assert [row["volume"] for row in rows] == np.round(truth.volume * divisors).tolist()
    assert days[-1] < np.datetime64(NOW.date())  # today is not over


async def test_weeks_and_months_and_the_other_order(get):
    days = await get("/eod/IBM.US", **{"from": "2012-01-01", "to": "2012-12-31", "order": "d"})
    weeks = await get("/eod/IBM.US", **{"from": "2012-01-02", "to": "2012-01-13", "period": "w"})
    months = await get("/eod/IBM.US", **{"from": "2012-01-01", "to": "2012-12-31", "period": "m"})

    assert days[0]["date"] > days[-1]["date"]
    assert [week["date"] for week in weeks] == ["2012-01-03", "2012-01-09"]
    assert weeks[0]["high"] == max(day["high"] for day in days if "2012-01-03" <= day["date"] <= "2012-01-06")
    assert len(months) == 12
    assert sum(month["volume"] for month in months) == sum(day["volume"] for day in days)


async def test_csv_is_the_default_and_ends_with_its_length(get):
    text = await get("/splits/AAPL.US", fmt="csv")
    *lines, length = text.split("\n")

    assert lines[0] == 'Date,"Stock Splits"'
    assert lines[1] == "2000-06-21,2.000000/1.000000"
    assert int(length) == len(text) - len(length)


async def test_minutes_are_32_bit_floats_and_a_session_ends_in_a_bar_without_volume(get, sandbox):
    day = {"from": int(datetime(2026, 7, 14, tzinfo=UTC).timestamp())}
    rows = await get("/intraday/AAPL.US", interval="5m", **day, to=day["from"] + 86_399)
    truth = sandbox.market.daily("AAPL", date(2026, 7, 14), date(2026, 7, 14), NOW)

    assert (rows[0]["datetime"], rows[-1]["datetime"]) == ("2026-07-14 13:30:00", "2026-07-14 20:00:00")
    assert len(rows) == 79
    assert rows[-1]["volume"] is None
    assert rows[-1]["close"] == round(float(np.float32(truth.close[0])), 6)
    assert sum(row["volume"] for row in rows[:-1]) == truth.volume[0]
    assert await get("/intraday/AAPL.US", interval="7m", status=422) == "The selected interval is invalid."
    wide = await get("/intraday/AAPL.US", interval="1m", status=422, **{"from": 1_700_000_000})
    assert wide == "The maximum range of 1m data is 120 days."


async def test_live_is_one_object_or_many_and_15_minutes_old(get, sandbox):
    one = await get("/real-time/AAPL.US")
    many = await get("/real-time/AAPL.US", s="NOPE.US,BTC-USD.CC")
    truth = sandbox.market.quote("AAPL", NOW - timedelta(minutes=15))

    assert one == many[0]
    assert (one["close"], one["previousClose"], one["timestamp"]) == (truth.price, truth.prev_close, truth.ts // 1000)
    assert set(many[1].values()) == {"NOPE.US", "NA", 0}
    assert many[2]["timestamp"] == int(NOW.timestamp())


async def test_us_quotes_count_milliseconds(get):
    told = await get("/us-quote-delayed", s="AAPL.US,EURUSD.FOREX,NOPE.US")

    assert list(told["data"]) == ["AAPL.US"]
    assert told["data"]["AAPL.US"]["lastTradeTime"] == told["data"]["AAPL.US"]["timestamp"] * 1000


async def test_an_exchange_in_one_call(get, sandbox):
    rows = await get("/eod-bulk-last-day/US")
    some = await get("/eod-bulk-last-day/US", symbols="AAPL.US,IBM", date="2012-01-03")
    listed = await get("/exchange-symbol-list/US")

    assert {row["date"] for row in rows} == {"2026-07-14"}
    assert {row["code"] for row in rows} == {row["Code"] for row in listed}
    assert [(row["code"], row["date"]) for row in some] == [("AAPL", "2012-01-03"), ("IBM", "2012-01-03")]
    assert Counter(row["Type"] for row in listed) == {"Common Stock": 412, "ETF": 36, "FUND": 4}
    apple = next(row for row in listed if row["Code"] == "AAPL")
    assert (apple["Exchange"], apple["Isin"]) == ("NASDAQ", company(sandbox.market, "AAPL").isin)
    assert (await get("/exchange-symbol-list/LSE"))[0]["Currency"] == "GBX"
    assert await get("/exchange-symbol-list/NOPE", status=404) == "Exchange Not Found."


async def test_actions_of_one_and_of_an_exchange(get, sandbox):
    paid = await get("/div/AAPL.US", **{"from": "2012-08-01", "to": "2012-12-31"})
    split = await get("/eod-bulk-last-day/US", type="splits", date="2020-08-31")
    whole = await get("/eod-bulk-last-day/US", type="dividends", date=paid[0]["date"])
    truth = [each for each in sandbox.market.dividends("AAPL", NOW) if each.ex_date.year == 2012]

    assert [(row["date"], row["unadjustedValue"]) for row in paid] == [(str(d.ex_date), d.amount) for d in truth]
    assert paid[0]["value"] == round(truth[0].amount / 28, 5)
    assert [(row["code"], row["split"]) for row in split] == [("AAPL", "4.000000/1.000000")]
    assert [row["dividend"] for row in whole if row["code"] == "AAPL"] == [paid[0]["value"]]


@pytest.mark.parametrize("symbol", SHARES)
async def test_fundamentals_are_the_truth_as_text(get, sandbox, symbol):
    document = await get(f"/fundamentals/{symbol}.US")
    filed, whole = quarters(sandbox.market, symbol, NOW), years(sandbox.market, symbol, NOW)
    income = document["Financials"]["Income_Statement"]

    assert document["General"]["CIK"] == company(sandbox.market, symbol).cik
    assert list(income["quarterly"]) == [str(period.ends) for period in filed][::-1]
    assert [row["totalRevenue"] for row in income["yearly"].values()] == [f"{y.income.revenue}.00" for y in whole][::-1]
    sheet = next(iter(document["Financials"]["Balance_Sheet"]["quarterly"].values()))
    assert float(sheet["totalAssets"]) == float(sheet["totalLiab"]) + float(sheet["totalStockholderEquity"])
    assert document["Highlights"]["MarketCapitalization"] > 0
    assert document["AnalystRatings"]["TargetPrice"] > 0


async def test_a_filter_gives_a_part_and_several_give_an_object(get):
    name = await get("/fundamentals/AAPL.US", filter="General::Name")
    parts = await get("/fundamentals/AAPL.US", filter="General,Financials::Balance_Sheet::yearly")

    assert name == "Apple"
    assert list(parts) == ["General", "Financials::Balance_Sheet::yearly"]
    assert parts["General"]["Name"] == "Apple"


async def test_funds_and_indices_have_documents_of_their_own(get, sandbox):
    etf, mutual, index = [await get(f"/fundamentals/{name}") for name in ("SPY.US", "VFIAX.US", "GSPC.INDX")]

    assert etf["General"]["Type"] == "ETF"
    assert etf["ETF_Data"]["NetExpenseRatio"] == f"{fund(sandbox.market, 'SPY').expense_pct / 100:.5f}"
    assert float(mutual["MutualFund_Data"]["Nav"]) == sandbox.market.quote("VFIAX", NOW).price
    assert index["Components"]["0"]["Code"] == "AAPL"
    assert await get("/fundamentals/BTC-USD.CC", status=404) == "Ticker Not Found."


async def test_bulk_fundamentals_end_in_an_empty_object(get):
    first, rest = [await get("/bulk-fundamentals/US", offset=at, limit=7) for at in (402, 409)]

    assert (len(first), len(rest), await get("/bulk-fundamentals/US", offset=412)) == (7, 3, {})
    assert list(first["0"]["Financials"]["Cash_Flow"])[:2] == ["currency_symbol", "quarterly_last_0"]
    assert list(first["0"]["Earnings"]) == ["Last_0", "Last_1", "Last_2", "Last_3"]


async def test_earnings_of_shares_and_of_a_week(get, sandbox):
    told = (await get("/calendar/earnings", symbols="AAPL.US,IBM.US"))["earnings"]
    week = (await get("/calendar/earnings"))["earnings"]
    trends = (await get("/calendar/trends", symbols="AAPL.US,IBM.US"))["trends"]
    truth = reports(sandbox.market, "IBM", NOW)

    rows = [row for row in told if row["code"] == "IBM.US"]
    assert [(row["date"], row["actual"]) for row in rows] == [(str(r.fiscal_date), r.eps_actual) for r in truth]
    assert {row["before_after_market"] for row in rows} <= {"BeforeMarket", "AfterMarket"}
    assert all("2026-07-15" <= row["report_date"] <= "2026-07-22" for row in week)
    assert week
    assert [{row["period"] for row in rows} for rows in trends] == [{"0q", "+1q", "0y", "+1y"}] * 2


async def test_paging_through_filings_covers_each_once(get, sandbox):
    seen, offset = [], 0
    while offset is not None:
        page = await get("/sec-filings/FB.US/form4", **{"page[limit]": 100, "page[offset]": offset})
        seen += [filing["accession_number"] for filing in page["data"]]
        following = page["links"]["next"]
        offset = int(parse_qs(urlsplit(following).query)["page[offset]"][0]) if following else None

    truth = insider_trades(sandbox.market, "FB", date.min, NOW.date())
    assert seen == [trade.accession for trade in truth]
    assert page["meta"]["total"] == len(truth)
    assert "api_token" not in str(page)


async def test_the_flat_feed_has_purchases_and_sales_of_a_year(get):
    rows = await get("/insider-transactions", limit=1000)

    assert {row["transactionCode"] for row in rows} == {"P", "S"}
    assert min(row["reportDate"] for row in rows) >= "2025-07-15"
    assert {(row["transactionCode"], row["transactionAcquiredDisposed"]) for row in rows} == {("P", "A"), ("S", "D")}


async def test_paging_through_news_covers_each_once(get, sandbox):
    span = {"from": "2026-06-15", "to": "2026-07-14"}
    pages = [await get("/news", s="AAPL.US", limit=10, offset=at, **span) for at in (0, 10, 20, 30)]
    since, until = datetime(2026, 6, 15, tzinfo=UTC), datetime(2026, 7, 15, tzinfo=UTC)

    links = [row["link"] for page in pages for row in page]
    assert links == [article.url for article in news(sandbox.market, ["AAPL"], since, until)]
    assert pages[0][0]["symbols"] == ["AAPL.US"]
    assert await get("/news", s="AAPL.US,IBM.US", status=422) == "Only one ticker is allowed in parameter s"


async def test_refusals_are_plain_text(get):
    assert await get("/eod/AAPL.US", key=None, status=401) == "Unauthenticated"
    assert await get("/eod/AAPL.US", key="wrong", status=401) == "Unauthenticated"
    assert await get("/eod/NOPE.US", status=404) == "Ticker Not Found."
    assert (await get("/news", key="free", status=403)).startswith("Only EOD data allowed for free users.")
    await get("/eod/AAPL.US", key="minute")
    assert await get("/eod/AAPL.US", key="minute", status=429) == "Too Many Requests"


async def test_the_free_plan_has_a_year_and_20_credits_a_day(get):
    rows = await get("/eod/AAPL.US", key="free", **{"from": "2020-01-01"})
    recent = await get("/eod/AAPL.US", key="free", **{"from": "2026-01-02"})
    for _ in range(18):
        await get("/exchange-symbol-list/CC", key="free")

    assert rows[0]["date"] == "2025-07-15"
    assert {row["warning"] for row in rows} == {"Data is limited by one year as you have free subscription"}
    assert "warning" not in recent[0]
    refused = await get("/eod/AAPL.US", key="free", status=402)
    assert refused == "You exceeded your daily API requests limit.  Please contact support@eodhistoricaldata.com"


@pytest.mark.parametrize(
    ("path", "credits"),
    [
        ("/eod/AAPL.US?", 1),
        ("/real-time/AAPL.US?s=IBM.US,FB.US&", 3),
        ("/intraday/AAPL.US?", 5),
        ("/news?", 5),
        ("/news?s=AAPL.US&", 10),
        ("/fundamentals/AAPL.US?", 10),
        ("/eod-bulk-last-day/CC?", 100),
        ("/eod-bulk-last-day/CC?symbols=BTC-USD,ETH-USD&", 102),
    ],
)
async def test_heavy_calls_cost_more(path, credits):
    keys = {"enough": [Limit(credits, "day", credits=True)], "short": [Limit(credits - 1, "day", credits=True)]}
    async with (
        Sandbox(SandboxSettings(seed=7, keys={"eodhd": keys}, clock=Clock(NOW, rate=0))) as sandbox,
        aiohttp.ClientSession() as http,
    ):
        answers = [await http.get(f"{sandbox.url}/eodhd{path}api_token={key}") for key in keys]

        assert [answer.status for answer in answers] == [200, 402]


async def test_a_listing_that_is_no_more_answers_its_last_values(get):
    row = await get("/real-time/GONE.US")

    assert (row["code"], row["close"]) == ("GONE.US", 4.2)
    assert datetime.fromtimestamp(row["timestamp"], UTC).year == 2021
