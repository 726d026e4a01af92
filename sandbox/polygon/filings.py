"""Massive's endpoints of 2026: flat statements, ratios, Form 4, splits and dividends with factors, ticker events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta

from sandbox.market.company import company
from sandbox.market.insiders import InsiderTrade, insider_trades
from sandbox.market.reorganizations import rename
from sandbox.market.statements import Period, market_cap, quarters, ttm, years
from sandbox.polygon.answers import (
    BadParameter,
    Row,
    asked_day,
    in_range,
    not_found,
    paged,
    request_id,
    tickers,
    with_cursor,
)
from sandbox.server.provider import Call, Reply

FIRST_YEAR = 2009  # filings are machine-readable since then
FIRST_FILING = date(2003, 9, 10)
TIMEFRAMES = ("quarterly", "annual", "trailing_twelve_months")
Items = Callable[[Period], Iterator[tuple[str, float]]]


def splits(call: Call) -> Reply:
    """`/stocks/v1/splits`: `ticker`, `execution_date[.gte|.gt|.lte|.lt]`, `limit`; by ticker, then newest first."""

    def rows(ticker: str, symbol: str) -> Iterator[Row]:
        factor = 1.0
        for split in reversed(call.market.splits(symbol, call.now)):
            factor /= float(split.ratio)
            yield {
                "adjustment_type": "forward_split" if split.ratio > 1 else "reverse_split",
                "execution_date": split.ex_date.isoformat(),
                "historical_adjustment_factor": round(factor, 9),
                "id": f"P{ticker}{split.ex_date:%Y%m%d}",
                "split_from": split.ratio.denominator,
                "split_to": split.ratio.numerator,
                "ticker": ticker,
            }

    return _dated(call, rows, "execution_date")


def dividends(call: Call) -> Reply:
    """`/stocks/v1/dividends`: `ticker`, `ex_dividend_date[.gte|…]`, `limit`; by ticker, then newest first."""
    since = asked_day(with_cursor(call).get("ex_dividend_date.gte", FIRST_FILING.isoformat()))

    def rows(ticker: str, symbol: str) -> Iterator[Row]:
        factor, later = 1.0, list(call.market.splits(symbol, call.now))
        for paid in reversed(call.market.dividends(symbol, call.now, since)):
            factor *= 1 - paid.amount / paid.close_before
            divisor = 1.0
            for split in later:
                divisor *= float(split.ratio) if split.ex_date > paid.ex_date else 1.0
            yield {
                "cash_amount": paid.amount,
                "currency": "USD",
                "declaration_date": (paid.ex_date - timedelta(days=21)).isoformat(),
                "distribution_type": "recurring",
                "ex_dividend_date": paid.ex_date.isoformat(),
                "frequency": 4,
                "historical_adjustment_factor": round(factor, 6),
                "id": f"E{ticker}{paid.ex_date:%Y%m%d}",
                "pay_date": (paid.ex_date + timedelta(days=14)).isoformat(),
                "record_date": (paid.ex_date + timedelta(days=1)).isoformat(),
                "split_adjusted_cash_amount": round(paid.amount / divisor, 6),
                "ticker": ticker,
            }

    return _dated(call, rows, "ex_dividend_date")


def _dated(call: Call, rows: Callable[[str, str], Iterator[Row]], by: str) -> Reply:
    asked = with_cursor(call)
    wanted = [asked["ticker"]] if "ticker" in asked else sorted(tickers())
    found = [row for name in wanted if name in tickers() for row in rows(name, tickers()[name].symbol)]
    return paged(call, asked, [row for row in found if in_range(row[by], asked, by)], default=100, largest=5000)


def ticker_events(call: Call) -> Reply:
    """`/vX/reference/tickers/{ticker}/events`: the tickers a company has had, newest first."""
    ticker = call.path["ticker"]
    if ticker not in tickers() or tickers()[ticker].asset_class != "equity":
        return not_found(call, "Entity ID not found.")
    who = company(call.market, ticker)
    named = [(who.ipo, ticker)]
    if changed := rename(call.market, ticker, call.now):
        named = [(changed.day, ticker), (who.ipo, changed.before)]
    events = [
        {"ticker_change": {"ticker": name}, "type": "ticker_change", "date": day.isoformat()} for day, name in named
    ]
    body = {"name": who.name, "composite_figi": who.figi, "cik": who.cik, "events": events}
    return Reply({"results": body, "status": "OK", "request_id": request_id(call)})


# -- statements and ratios -------------------------------------------------------------------------------------------


def statements(items: Items) -> Callable[[Call], Reply]:
    """A statement's endpoint: `tickers`, `timeframe`, `period_end[.gte|…]`, `filing_date[.gte|…]`; newest first."""

    def answer(call: Call) -> Reply:
        asked = with_cursor(call)
        if asked.get("timeframe", "annual") not in TIMEFRAMES:
            raise BadParameter(f"Invalid timeframe: {asked['timeframe']}. Use {', '.join(TIMEFRAMES)}")
        rows = [
            row
            for name in _equities(asked.get("tickers"))
            for row in _rows(call, name, items, asked.get("timeframe"))
            if in_range(row["period_end"], asked, "period_end") and in_range(row["filing_date"], asked, "filing_date")
        ]
        rows.sort(key=lambda row: (row["period_end"], row["timeframe"]), reverse=True)
        return paged(call, asked, rows, default=100, largest=50_000)

    return answer


def _equities(names: str | None) -> list[str]:
    wanted = names.split(",") if names else sorted(tickers())
    return [name for name in wanted if name in tickers() and tickers()[name].asset_class == "equity"]


def _rows(call: Call, ticker: str, items: Items, timeframe: str | None) -> Iterator[Row]:
    last = ttm(call.market, ticker, call.now)
    reported: dict[str, Sequence[Period]] = {
        "quarterly": quarters(call.market, ticker, call.now),
        "annual": years(call.market, ticker, call.now),
        "trailing_twelve_months": [last] if last and items is not balance else [],
    }
    who = company(call.market, ticker)
    for name, periods in reported.items():
        for period in periods if timeframe in (None, name) else ():
            if period.ends.year >= FIRST_YEAR:
                yield {
                    "cik": who.cik,
                    "filing_date": period.filed.isoformat(),
                    "fiscal_quarter": int(period.label[1]) if period.label[0] == "Q" else 4,
                    "fiscal_year": period.fiscal_year,
                    "period_end": period.ends.isoformat(),
                    "tickers": [ticker],
                    "timeframe": name,
                    **dict(items(period)),
                }


def income(period: Period) -> Iterator[tuple[str, float]]:
    """An income statement's items."""
    it = period.income
    yield "revenue", it.revenue
    yield "cost_of_revenue", it.cost_of_revenue
    yield "gross_profit", it.gross_profit
    yield "research_development", it.research_and_development
    yield "selling_general_administrative", it.selling_general_and_administrative
    yield "total_operating_expenses", it.operating_expenses
    yield "operating_income", it.operating_income
    yield "interest_expense", it.interest_expense
    yield "income_before_income_taxes", it.income_before_tax
    yield "income_taxes", it.income_tax
    yield "consolidated_net_income_loss", it.net_income
    yield "net_income_loss_attributable_common_shareholders", it.net_income
    yield "basic_earnings_per_share", it.eps_basic
    yield "diluted_earnings_per_share", it.eps_diluted
    yield "basic_shares_outstanding", it.shares_basic
    yield "diluted_shares_outstanding", it.shares_diluted
    yield "ebitda", it.ebitda


def balance(period: Period) -> Iterator[tuple[str, float]]:
    """A balance sheet's items."""
    it = period.balance
    yield "cash_and_equivalents", it.cash_and_equivalents
    yield "short_term_investments", it.short_term_investments
    yield "receivables", it.receivables
    yield "inventories", it.inventory
    yield "total_current_assets", it.current_assets
    yield "total_assets", it.total_assets
    yield "accounts_payable", it.payables
    yield "debt_current", it.short_term_debt
    yield "total_current_liabilities", it.current_liabilities
    yield "long_term_debt_and_capital_lease_obligations", it.long_term_debt
    yield "total_liabilities", it.total_liabilities
    yield "retained_earnings_deficit", it.retained_earnings
    yield "total_equity", it.total_equity


def cash_flow(period: Period) -> Iterator[tuple[str, float]]:
    """A cash-flow statement's items; what is paid out is negative."""
    it = period.cash_flow
    yield "net_income", it.net_income
    yield "depreciation_depletion_and_amortization", it.depreciation_and_amortization
    yield "net_cash_from_operating_activities", it.operating_cash_flow
    yield "purchase_of_property_plant_and_equipment", it.capital_expenditure
    yield "net_cash_from_investing_activities", it.investing_cash_flow
    yield "dividends", it.dividends_paid
    yield "net_cash_from_financing_activities", it.financing_cash_flow
    yield "change_in_cash_and_equivalents", it.net_change_in_cash


def ratios(call: Call) -> Reply:
    """`/stocks/financials/v1/ratios`: `ticker`; figures of the last twelve months over the price of today."""
    asked = with_cursor(call)
    rows = [row for name in _equities(asked.get("ticker")) if (row := _ratios(call, name))]
    return paged(call, asked, rows, default=100, largest=50_000)


def _ratios(call: Call, ticker: str) -> Row | None:
    year, quote, cap = ttm(call.market, ticker, call.now), call.quote(ticker), market_cap(call.market, ticker, call.now)
    if year is None or quote is None or cap is None:
        return None
    debt = year.balance.short_term_debt + year.balance.long_term_debt
    return {
        "ticker": ticker,
        "cik": company(call.market, ticker).cik,
        "date": call.now.date().isoformat(),
        "price": quote.price,
        "average_volume": quote.today.volume,
        "market_cap": cap,
        "earnings_per_share": year.income.eps_diluted,
        "price_to_earnings": round(cap / year.income.net_income, 4),
        "price_to_sales": round(cap / year.income.revenue, 4),
        "price_to_book": round(cap / year.balance.total_equity, 4),
        "debt_to_equity": round(debt / year.balance.total_equity, 4),
        "return_on_equity": round(year.income.net_income / year.balance.total_equity, 4),
        "free_cash_flow": year.cash_flow.free_cash_flow,
    }


# -- insiders --------------------------------------------------------------------------------------------------------


def form4(call: Call) -> Reply:
    """`/stocks/filings/vX/form-4`: `tickers`, `transaction_date[.gte|…]`, `limit`; a line for each transaction."""
    asked = with_cursor(call)
    since = asked_day(asked.get("transaction_date.gte", FIRST_FILING.isoformat()))
    rows = [
        _line(ticker, trade)
        for ticker in _equities(asked.get("tickers"))
        for trade in insider_trades(call.market, ticker, since, call.now.date())
        if in_range(trade.transaction_date.isoformat(), asked, "transaction_date")
    ]
    rows.sort(key=lambda row: (row["filing_date"], row["accession_number"]), reverse=True)
    return paged(call, asked, rows, default=100)


def _line(ticker: str, trade: InsiderTrade) -> Row:
    director = trade.role == "Director"
    return {
        "accession_number": trade.accession,
        "filing_date": trade.filed.isoformat(),
        "tickers": [ticker],
        "owner_cik": trade.cik,
        "owner_name": trade.name,
        "is_director": director,
        "is_officer": not director,
        "is_ten_percent_owner": False,
        "is_other": False,
        **({} if director else {"officer_title": trade.role}),
        "record_type": "transaction",
        "security_type": "derivative" if trade.derivative else "non_derivative",
        "security_title": "Stock Option" if trade.derivative else "Common Stock",
        "transaction_date": trade.transaction_date.isoformat(),
        "transaction_code": trade.code,
        "transaction_acquired_disposed": "A" if trade.acquired else "D",
        "transaction_shares": abs(trade.shares),
        "transaction_price_per_share": trade.price,
        "shares_owned_following_transaction": trade.shares_after,
        "direct_or_indirect": "D",
    }
