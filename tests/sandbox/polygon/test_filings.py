from datetime import UTC, datetime, timedelta
from math import prod

import aiohttp
import orjson
import pytest

from sandbox import Clock, Sandbox, SandboxSettings
from sandbox.market.insiders import insider_trades
from sandbox.market.reorganizations import rename
from sandbox.market.statements import quarters, ttm, years

NOW = datetime(2026, 7, 15, 15, 30, 10, tzinfo=UTC)
FIVE = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
INCOME = "/stocks/financials/v1/income-statements"


@pytest.fixture
async def sandbox():
    settings = SandboxSettings(seed=7, keys={"polygon": {"k": None}}, clock=Clock(NOW, rate=0))
    async with Sandbox(settings) as sandbox:
        yield sandbox


@pytest.fixture
async def answer(sandbox):
    async with aiohttp.ClientSession() as http:

        async def answer(path, expect=200):
            url = path if path.startswith("http") else f"{sandbox.url}/polygon{path}"
            async with http.get(url, headers={"Authorization": "Bearer k"}) as response:
                assert response.status == expect, (await response.text())[:500]
                return orjson.loads(await response.read()), response.headers

        yield answer


@pytest.fixture
async def everything(answer):
    async def everything(path):
        rows, at = [], path
        while at:
            page, _ = await answer(at)
            rows += page["results"]
            at = page.get("next_url")
        return rows

    return everything


async def test_factors_take_every_later_split_into_account(sandbox, everything):
    rows = await everything("/stocks/v1/splits?ticker=AAPL&limit=2")
    truth = sandbox.market.splits("AAPL", NOW)[::-1]

    assert len(rows) == len(truth) > 2
    assert [row["execution_date"] for row in rows] == [split.ex_date.isoformat() for split in truth]
    for at, row in enumerate(rows):
        assert row["historical_adjustment_factor"] == pytest.approx(1 / prod(float(s.ratio) for s in truth[: at + 1]))


async def test_dividends_are_as_paid_beside_the_amount_for_a_share_of_today(sandbox, everything):
    rows = await everything("/stocks/v1/dividends?ticker=MSFT&ex_dividend_date.gte=2010-01-01")
    paid = sandbox.market.dividends("MSFT", NOW, datetime(2010, 1, 1, tzinfo=UTC).date())
    splits = sandbox.market.splits("MSFT", NOW)

    assert [row["cash_amount"] for row in rows] == [each.amount for each in paid[::-1]]
    for row, each in zip(rows, paid[::-1], strict=True):
        later = prod(float(split.ratio) for split in splits if split.ex_date > each.ex_date)
        assert row["split_adjusted_cash_amount"] == pytest.approx(each.amount / later, abs=1e-6)
    factors = [row["historical_adjustment_factor"] for row in rows]
    assert factors == sorted(factors, reverse=True)
    assert 0 < factors[-1] < factors[0] < 1


@pytest.mark.parametrize(("timeframe", "truth"), [("annual", years), ("quarterly", quarters)])
async def test_statements_are_those_that_were_filed(sandbox, everything, timeframe, truth):
    rows = await everything(f"{INCOME}?tickers=IBM&timeframe={timeframe}&limit=7")
    told = [period for period in truth(sandbox.market, "IBM", NOW) if period.ends.year >= 2009]

    assert [row["period_end"] for row in rows] == [period.ends.isoformat() for period in told[::-1]]
    assert [row["revenue"] for row in rows] == [period.income.revenue for period in told[::-1]]
    assert {row["timeframe"] for row in rows} == {timeframe}


async def test_twelve_months_have_flows_and_no_balance(sandbox, everything):
    (row,) = await everything(f"{INCOME}?tickers=IBM&timeframe=trailing_twelve_months")

    assert row["revenue"] == ttm(sandbox.market, "IBM", NOW).income.revenue
    assert not await everything("/stocks/financials/v1/balance-sheets?tickers=IBM&timeframe=trailing_twelve_months")
    assert await everything("/stocks/financials/v1/cash-flow-statements?tickers=IBM&timeframe=trailing_twelve_months")


async def test_a_timeframe_that_is_none_is_refused(answer):
    body, _ = await answer(f"{INCOME}?tickers=IBM&timeframe=ttm", expect=400)

    assert body["error"].startswith("Invalid timeframe: ttm.")


async def test_ratios_are_of_companies_only(everything):
    assert [row["ticker"] for row in await everything("/stocks/financials/v1/ratios?ticker=GOOG")] == ["GOOG"]
    assert await everything("/stocks/financials/v1/ratios?ticker=SPY") == []


async def test_insiders_are_told_line_by_line(sandbox, everything):
    since = NOW.date() - timedelta(days=200)
    rows = await everything(f"/stocks/filings/vX/form-4?tickers=IBM&transaction_date.gte={since}&limit=3")
    truth = [t for t in insider_trades(sandbox.market, "IBM", since, NOW.date()) if t.transaction_date >= since]

    assert len(rows) == len(truth) > 3
    signs = {"A": 1, "D": -1}
    assert [signs[row["transaction_acquired_disposed"]] * row["transaction_shares"] for row in rows] == [
        trade.shares for trade in truth
    ]


async def test_a_renamed_company_had_another_ticker_before(sandbox, answer):
    changed = {symbol: rename(sandbox.market, symbol, NOW) for symbol in FIVE}
    assert any(changed.values())
    for symbol, change in changed.items():
        body, _ = await answer(f"/vX/reference/tickers/{symbol}/events")
        events = body["results"]["events"]

        assert events[0]["ticker_change"]["ticker"] == symbol
        assert len(events) == (2 if change else 1)
        if change:
            assert (events[0]["date"], events[1]["ticker_change"]["ticker"]) == (change.day.isoformat(), change.before)


async def test_deprecated_paths_say_so(answer):
    for path in ("/v3/reference/splits?ticker=IBM", "/v3/reference/dividends?ticker=IBM"):
        _, headers = await answer(path)
        assert headers["Deprecation"] == "@1771372800"
        assert headers["Sunset"].endswith("GMT")
    _, headers = await answer("/stocks/v1/splits?ticker=IBM")
    assert "Deprecation" not in headers
