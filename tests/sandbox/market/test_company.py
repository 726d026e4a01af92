from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.errors import UnknownInstrument
from sandbox.market.analysts import estimates, grades, ratings, reports, targets
from sandbox.market.company import company, fund
from sandbox.market.insiders import insider_trades
from sandbox.market.market import Market
from sandbox.market.newsroom import news
from sandbox.market.statements import later_splits, market_cap, quarters, shares_at, ttm, years

MARKET = Market(7)
NOW = datetime(2026, 7, 15, 15, 30, 10, tzinfo=UTC)
SHARES = sorted(name for name, each in MARKET.instruments.items() if each.asset_class == "equity")
share = st.sampled_from(["AAPL", "FB", "GOOG", "IBM", "MSFT", "VOD.XLON", "BRK.B", *SHARES])
moment = st.integers(0, 9000).map(lambda days: datetime(2005, 1, 1, 15, tzinfo=UTC) + timedelta(days=days))


def luhn(text):
    digits = [int(digit) for digit in "".join(str(int(letter, 36)) for letter in text)][::-1]
    doubled = [digit * 2 if at % 2 else digit for at, digit in enumerate(digits)]
    return sum(digit // 10 + digit % 10 for digit in doubled) % 10


@given(share)
@settings(max_examples=30, deadline=None)
def test_statements_add_up_and_follow_one_another(symbol):
    told = quarters(MARKET, symbol, NOW)

    for before, this in pairwise(told):
        made, sheet, cash = this.income, this.balance, this.cash_flow
        assert made.gross_profit == made.revenue - made.cost_of_revenue
        assert made.operating_income == made.gross_profit - made.operating_expenses
        assert made.net_income == made.income_before_tax - made.income_tax == cash.net_income
        assert sheet.total_assets == sheet.current_assets + sheet.non_current_assets
        assert sheet.total_assets == sheet.total_liabilities + sheet.total_equity
        assert sheet.total_equity == sheet.common_stock + sheet.retained_earnings
        flows = cash.operating_cash_flow + cash.investing_cash_flow + cash.financing_cash_flow
        assert flows == cash.net_change_in_cash == cash.cash_at_end - cash.cash_at_beginning
        assert (cash.cash_at_beginning, cash.cash_at_end) == (
            before.balance.cash_and_equivalents,
            sheet.cash_and_equivalents,
        )
        gained = made.net_income + cash.stock_based_compensation + cash.dividends_paid
        bought = cash.stock_issued + cash.share_repurchases
        assert sheet.total_equity - before.balance.total_equity == gained + bought
        assert max(cash.capital_expenditure, cash.dividends_paid, cash.share_repurchases) <= 0
        assert before.ends < this.ends < this.reported < this.filed


@given(share, moment)
@settings(max_examples=30, deadline=None)
def test_what_is_told_at_a_moment_is_never_told_otherwise_later(symbol, asof):
    told, later = quarters(MARKET, symbol, asof), quarters(MARKET, symbol, asof + timedelta(days=500))

    assert later[: len(told)] == told
    assert all(period.filed <= asof.date() for period in told)
    assert all(report.eps_actual is None for report in reports(MARKET, symbol, asof) if report.at > asof)
    assert all(report.eps_actual is not None for report in reports(MARKET, symbol, asof) if report.at <= asof)


def test_a_year_is_the_sum_of_its_quarters():
    filed, year = quarters(MARKET, "MSFT", NOW), years(MARKET, "MSFT", NOW)[-1]
    parts = [quarter for quarter in filed if quarter.fiscal_year == year.fiscal_year]

    assert [part.label for part in parts] == ["Q1", "Q2", "Q3", "Q4"]
    assert year.income.revenue == sum(part.income.revenue for part in parts)
    assert year.balance == parts[-1].balance
    assert year.cash_flow.cash_at_beginning == parts[0].cash_flow.cash_at_beginning
    assert (year.label, year.ends.month) == ("FY", 6)
    assert ttm(MARKET, "MSFT", NOW).cash_flow.cash_at_end == filed[-1].balance.cash_and_equivalents


def test_dividends_paid_are_those_of_the_market():
    quarter = quarters(MARKET, "IBM", datetime(2012, 12, 31, tzinfo=UTC))[-1]
    paid = [
        each.amount for each in MARKET.dividends("IBM", NOW) if date(2012, 6, 30) < each.ex_date <= date(2012, 9, 30)
    ]

    assert quarter.ends == date(2012, 9, 30)
    assert quarter.cash_flow.dividends_paid == pytest.approx(-sum(paid) * quarter.balance.shares_outstanding, abs=500)


def test_shares_multiply_with_a_split():
    before, after = datetime(2014, 6, 6, 12, tzinfo=UTC), datetime(2014, 6, 9, 20, tzinfo=UTC)

    assert shares_at(MARKET, "AAPL", after) == 7 * shares_at(MARKET, "AAPL", before)
    assert market_cap(MARKET, "AAPL", after) == pytest.approx(market_cap(MARKET, "AAPL", before), rel=0.1)
    assert later_splits(MARKET, "AAPL", date(2014, 6, 6), NOW) == 28


def test_securities_have_valid_numbers_and_one_each():
    told = [company(MARKET, symbol) for symbol in SHARES]

    assert all(luhn(who.isin) == 0 and luhn(who.cusip) == 0 and who.isin[:2] == who.country for who in told)
    for name in ("cik", "isin", "cusip", "figi"):
        assert len({getattr(who, name) for who in told}) == len(SHARES), name


def test_the_same_seed_gives_the_same_facts():
    assert company(Market(7), "AAPL") == company(MARKET, "AAPL")
    assert quarters(Market(7), "AAPL", NOW) == quarters(MARKET, "AAPL", NOW)
    assert quarters(Market(8), "AAPL", NOW)[-1].income != quarters(MARKET, "AAPL", NOW)[-1].income


def test_a_fund_holds_shares_of_the_market_to_the_last_percent():
    what = fund(MARKET, "SPY")

    assert round(sum(holding.weight_pct for holding in what.holdings), 6) == 100
    assert round(sum(weight for _, weight in what.sectors), 6) == 100
    assert all(MARKET.find(holding.symbol).asset_class == "equity" for holding in what.holdings)


def test_what_is_no_company_has_no_facts():
    with pytest.raises(ValueError, match="BTC-USD is of class crypto"):
        company(MARKET, "BTC-USD")
    with pytest.raises(ValueError, match="AAPL is of class equity"):
        fund(MARKET, "AAPL")
    with pytest.raises(UnknownInstrument):
        company(MARKET, "NOPE")


def test_announced_reports_and_estimates_lie_ahead():
    coming = [report for report in reports(MARKET, "AAPL", NOW, ahead=2) if report.eps_actual is None]
    expected = estimates(MARKET, "AAPL", NOW)

    assert len(coming) == 2
    assert [each.label for each in expected][2:] == ["FY", "FY"]
    assert expected[0].fiscal_date == coming[0].fiscal_date
    assert all(each.eps_low <= each.eps_average <= each.eps_high for each in expected)


def test_ratings_targets_and_grades():
    months = [told.month for told in ratings(MARKET, "AAPL", datetime(2026, 2, 3, tzinfo=UTC))]
    aims = targets(MARKET, "AAPL", NOW)
    given_ = grades(MARKET, "AAPL", NOW - timedelta(days=900), NOW)

    assert months == [date(2026, 2, 1), date(2026, 1, 1), date(2025, 12, 1), date(2025, 11, 1)]
    assert aims.low <= aims.median <= aims.high
    assert aims.low <= aims.mean <= aims.high
    assert all(before.at > after.at for before, after in pairwise(given_))
    assert all((grade.from_grade == grade.to_grade) == (grade.action == "main") for grade in given_)


def test_insiders_trade_at_prices_of_the_day():
    trades = insider_trades(MARKET, "AAPL", date(2025, 1, 1), NOW.date())

    assert {trade.code for trade in trades} == {"S", "P", "A", "M"}
    for trade in trades:
        day = MARKET.daily("AAPL", trade.transaction_date, trade.transaction_date, NOW)
        assert trade.price == 0 if trade.code == "A" else day.low[0] <= trade.price <= day.high[0]
        assert (trade.shares < 0) == (trade.code == "S")
        assert trade.transaction_date < trade.filed <= NOW.date()


@given(st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_news_of_two_spans_are_the_news_of_both(first, second):
    middle = NOW - timedelta(days=second)
    since = middle - timedelta(days=first)
    about = ["AAPL", "BTC-USD"]

    whole = news(MARKET, about, since, NOW)

    assert whole == news(MARKET, about, middle, NOW) + news(MARKET, about, since, middle)
    assert all(since <= article.at < NOW and -1 <= article.sentiment <= 1 for article in whole)


def test_every_figure_of_a_statement_is_a_whole_number():
    quarter = quarters(MARKET, "FB", NOW)[-1]

    for part in (quarter.income, quarter.balance, quarter.cash_flow):
        assert all(isinstance(getattr(part, each.name), int) for each in fields(part))
