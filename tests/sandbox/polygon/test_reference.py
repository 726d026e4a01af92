from datetime import UTC, datetime

import aiohttp
import orjson
import pytest

from sandbox import Clock, Sandbox, SandboxSettings
from sandbox.market.company import company
from sandbox.market.newsroom import news
from sandbox.market.statements import market_cap, quarters, ttm, years

NOW = datetime(2026, 7, 15, 15, 30, 10, tzinfo=UTC)
FIVE = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
STATEMENTS = "/vX/reference/financials"


@pytest.fixture
async def sandbox():
    settings = SandboxSettings(seed=7, keys={"polygon": {"k": None, "free": "free"}}, clock=Clock(NOW, rate=0))
    async with Sandbox(settings) as sandbox:
        yield sandbox


@pytest.fixture
async def get(sandbox):
    async with aiohttp.ClientSession() as http:

        async def get(path, key="k", expect=200):
            url = path if path.startswith("http") else f"{sandbox.url}/polygon{path}"
            async with http.get(url, headers={"Authorization": f"Bearer {key}"}) as response:
                assert response.status == expect, (await response.text())[:500]
                return orjson.loads(await response.read())

        yield get


async def everything(get, path):
    rows, at = [], path
    while at:
        page = await get(at)
        assert page["count"] == len(page["results"])
        rows += page["results"]
        at = page.get("next_url")
    return rows


@pytest.mark.parametrize("symbol", FIVE)
async def test_details_are_the_company_s_facts(sandbox, get, symbol):
    row = (await get(f"/v3/reference/tickers/{symbol}"))["results"]
    who = company(sandbox.market, symbol)

    assert (row["name"], row["total_employees"], row["cik"]) == (who.name, who.employees, who.cik)
    assert row["market_cap"] == market_cap(sandbox.market, symbol, NOW)
    assert row["list_date"] == who.ipo.isoformat()


async def test_details_as_of_a_day(sandbox, get):
    row = (await get("/v3/reference/tickers/IBM?date=2012-03-01"))["results"]

    assert row["market_cap"] == market_cap(sandbox.market, "IBM", datetime(2012, 3, 1, 23, 59, 59, 999999, tzinfo=UTC))


@pytest.mark.parametrize(
    ("ticker", "market"), [("SPY", "stocks"), ("X:BTCUSD", "crypto"), ("C:EURUSD", "fx"), ("I:SPX", "indices")]
)
async def test_details_of_what_is_no_company(get, ticker, market):
    row = (await get(f"/v3/reference/tickers/{ticker}"))["results"]

    assert (row["ticker"], row["market"]) == (ticker, market)
    assert "market_cap" not in row


async def test_details_of_an_unknown_ticker(get):
    body = await get("/v3/reference/tickers/ZZZZ", expect=404)

    assert (body["status"], body["message"]) == ("NOT_FOUND", "Ticker not found.")


@pytest.mark.parametrize(("timeframe", "truth"), [("annual", years), ("quarterly", quarters)])
async def test_statements_are_those_that_were_filed(sandbox, get, timeframe, truth):
    rows = await everything(get, f"{STATEMENTS}?ticker=AAPL&timeframe={timeframe}&limit=7")
    filed = [period for period in truth(sandbox.market, "AAPL", NOW) if period.ends.year >= 2009][::-1]

    assert [row["end_date"] for row in rows] == [period.ends.isoformat() for period in filed]
    for row, period in zip(rows, filed, strict=True):
        sheet, income = row["financials"]["balance_sheet"], row["financials"]["income_statement"]
        assert sheet["assets"]["value"] == sheet["liabilities_and_equity"]["value"] == period.balance.total_assets
        assert income["gross_profit"] == {
            "label": "Gross Profit",
            "value": period.income.gross_profit,
            "unit": "USD",
            "order": 800,
        }
        assert ("filing_date" in row) == (period.label != "Q4")


async def test_the_last_four_quarters(sandbox, get):
    (row,) = await everything(get, f"{STATEMENTS}?ticker=AAPL&timeframe=ttm")

    revenue = ttm(sandbox.market, "AAPL", NOW).income.revenue
    assert row["financials"]["income_statement"]["revenues"]["value"] == revenue


async def test_statements_by_their_dates(get):
    rows = await everything(get, f"{STATEMENTS}?ticker=IBM&timeframe=quarterly&period_of_report_date.gte=2025-01-01")
    filed = await everything(get, f"{STATEMENTS}?ticker=IBM&timeframe=annual&filing_date.gte=2025-01-01&order=asc")

    assert min(row["end_date"] for row in rows) == "2025-03-31"
    assert [row["fiscal_year"] for row in filed] == ["2024", "2025"]
    assert (await get(f"{STATEMENTS}?ticker=SPY"))["results"] == []
    assert (await get(f"{STATEMENTS}?ticker=IBM&timeframe=weekly", expect=400))["status"] == "ERROR"


@pytest.mark.parametrize("order", ["desc", "asc"])
@pytest.mark.parametrize("limit", [1, 7, 1000])
async def test_news_comes_once_and_in_order(sandbox, get, order, limit):
    path = "/v2/reference/news?ticker=AAPL&published_utc.gte=2026-06-01&published_utc.lt=2026-07-01"
    rows = await everything(get, f"{path}&order={order}&limit={limit}")
    truth = news(sandbox.market, ["AAPL"], datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))

    assert [row["article_url"] for row in rows] == [each.url for each in (truth if order == "desc" else truth[::-1])]
    assert {tuple(row["tickers"]) for row in rows} == {("AAPL",)}


async def test_news_of_the_whole_market_spells_every_ticker(get):
    rows = (await get("/v2/reference/news?limit=1000"))["results"]

    assert {row["tickers"][0][:2] for row in rows} >= {"X:", "C:", "I:"}
    assert len({row["id"] for row in rows}) == 1000
    assert await get("/v2/reference/news?cursor=YWZ0ZXI9bm8", expect=400)


async def test_later_pages_of_news_see_nothing_newer(sandbox, get):
    first = await get("/v2/reference/news?limit=50")
    sandbox.clock.advance(datetime(2026, 7, 16, tzinfo=UTC) - NOW)
    second = await get(first["next_url"])

    assert second["results"][0]["published_utc"] <= first["results"][-1]["published_utc"]


async def test_the_universal_snapshot_answers_unknown_tickers_in_their_place(sandbox, get):
    rows = (await get("/v3/snapshot?ticker.any_of=AAPL,ZZZZ,X:BTCUSD,C:EURUSD,I:SPX"))["results"]
    price = sandbox.market.quote("AAPL", NOW).price

    assert [row.get("type") for row in rows] == ["stocks", None, "crypto", "fx", "indices"]
    assert rows[0]["last_trade"]["price"] == rows[0]["session"]["close"] == price
    assert rows[1] == {"error": "NOT_FOUND", "message": "Ticker not found.", "ticker": "ZZZZ"}
    assert "last_trade" not in rows[3]
    assert rows[4]["value"] == sandbox.market.quote("^GSPC", NOW).price
    assert (await get("/v3/snapshot?ticker.any_of=AAPL", key="free", expect=403))["status"] == "NOT_AUTHORIZED"


async def test_indices_have_prices_only(get):
    page = await get("/v2/aggs/ticker/I:SPX/range/1/day/2026-07-01/2026-07-10")

    assert {name for row in page["results"] for name in row} == set("ochlt")
