"""Polygon's statements (vX): items with label, unit and order; a fourth quarter is derived, so it has no filing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sandbox.market.company import Company, company
from sandbox.market.statements import Period, quarters, ttm, years
from sandbox.polygon.answers import BadParameter, Row, in_range, paged, tickers, with_cursor
from sandbox.server.provider import Call, Reply

TIMEFRAMES = ("annual", "quarterly", "ttm")
FIRST_YEAR = 2009  # filings are machine-readable since then
DAYS = {"annual": 364, "ttm": 364, "quarterly": 90}
Item = tuple[str, float, int] | tuple[str, float, int, str]


def financials(call: Call) -> Reply:
    """`/vX/reference/financials`: `ticker`, `timeframe`, `filing_date` and `period_of_report_date` with bounds."""
    asked = with_cursor(call)
    if asked.get("timeframe", "annual") not in TIMEFRAMES:
        raise BadParameter(f"Invalid timeframe: {asked['timeframe']}. Use {', '.join(TIMEFRAMES)}")
    wanted = [asked["ticker"]] if "ticker" in asked else list(tickers())
    rows = [
        row
        for name in wanted
        if name in tickers() and tickers()[name].asset_class == "equity"
        for row in _filings(call, name, asked.get("timeframe"))
        if in_range(row["end_date"], asked, "period_of_report_date")
        and in_range(row.get("filing_date", asked.get("filing_date", "9")), asked, "filing_date")
    ]
    by = "filing_date" if asked.get("sort") == "filing_date" else "end_date"
    rows.sort(key=lambda row: (row.get(by, row["end_date"]), row["timeframe"]), reverse=asked.get("order") != "asc")
    return paged(call, asked, rows, default=10, largest=100)


def _filings(call: Call, ticker: str, timeframe: str | None) -> Iterator[Row]:
    symbol = tickers()[ticker].symbol
    who, last = company(call.market, symbol), ttm(call.market, symbol, call.now)
    reported = {
        "annual": years(call.market, symbol, call.now),
        "quarterly": quarters(call.market, symbol, call.now),
        "ttm": [last] if last else [],
    }
    for name, periods in reported.items():
        if timeframe in (None, name):
            for period in periods:
                if period.ends.year >= FIRST_YEAR:
                    yield _filing(call, ticker, who, name, period)


def _filing(call: Call, ticker: str, who: Company, timeframe: str, period: Period) -> Row:
    row: Row = {
        "financials": {
            "income_statement": _items(_income(period)),
            "balance_sheet": _items(_balance(period)),
            "cash_flow_statement": _items(_cash_flow(period)),
            "comprehensive_income": _items([("comprehensive_income_loss", period.income.net_income, 100)]),
        },
        "start_date": (period.ends - timedelta(days=DAYS[timeframe])).isoformat(),
        "end_date": period.ends.isoformat(),
        "timeframe": timeframe,
        "fiscal_period": period.label,
        "fiscal_year": str(period.fiscal_year),
        "cik": who.cik,
        "sic": "3571",
        "tickers": [ticker],
        "company_name": who.name,
    }
    if period.label not in ("Q4", "TTM"):
        number = f"{who.cik}-{period.filed.year % 100:02d}-{period.filed.timetuple().tm_yday:06d}"
        row |= {"filing_date": period.filed.isoformat(), "acceptance_datetime": f"{period.filed}T18:04:01Z"}
        row["source_filing_url"] = f"{call.base_url}/v1/reference/sec/filings/{number}"
    return row


def _items(reported: Iterator[Item] | list[Item]) -> Row:
    found = {}
    for name, value, order, *unit in reported:
        label = name.replace("_", " ").title()
        found[name] = {"label": label, "value": value, "unit": unit[0] if unit else "USD", "order": order}
    return found


def _income(period: Period) -> Iterator[Item]:
    it = period.income
    yield "revenues", it.revenue, 100
    yield "cost_of_revenue", it.cost_of_revenue, 300
    yield "gross_profit", it.gross_profit, 800
    yield "operating_expenses", it.operating_expenses, 1000
    yield "selling_general_and_administrative_expenses", it.selling_general_and_administrative, 1020
    yield "research_and_development", it.research_and_development, 1030
    yield "operating_income_loss", it.operating_income, 1100
    yield "income_loss_from_continuing_operations_before_tax", it.income_before_tax, 1500
    yield "income_loss_from_continuing_operations_after_tax", it.net_income, 1400
    yield "income_tax_expense_benefit", it.income_tax, 2200
    yield "interest_expense_operating", it.interest_expense, 2700
    yield "net_income_loss", it.net_income, 3200
    yield "net_income_loss_attributable_to_parent", it.net_income, 3500
    yield "basic_earnings_per_share", it.eps_basic, 4200, "USD / shares"
    yield "diluted_earnings_per_share", it.eps_diluted, 4300, "USD / shares"
    yield "basic_average_shares", it.shares_basic, 4400, "shares"
    yield "diluted_average_shares", it.shares_diluted, 4500, "shares"


def _balance(period: Period) -> Iterator[Item]:
    it = period.balance
    yield "assets", it.total_assets, 100
    yield "current_assets", it.current_assets, 200
    yield "cash", it.cash_and_equivalents, 210
    yield "accounts_receivable", it.receivables, 220
    yield "inventory", it.inventory, 230
    yield "other_current_assets", it.short_term_investments + it.other_current_assets, 250
    yield "noncurrent_assets", it.non_current_assets, 300
    yield "fixed_assets", it.property_plant_equipment, 320
    yield "other_noncurrent_assets", it.other_non_current_assets, 350
    yield "liabilities", it.total_liabilities, 600
    yield "current_liabilities", it.current_liabilities, 700
    yield "accounts_payable", it.payables, 710
    yield "other_current_liabilities", it.short_term_debt + it.other_current_liabilities, 740
    yield "noncurrent_liabilities", it.non_current_liabilities, 800
    yield "long_term_debt", it.long_term_debt, 810
    yield "other_noncurrent_liabilities", it.other_non_current_liabilities, 820
    yield "equity", it.total_equity, 1400
    yield "equity_attributable_to_parent", it.total_equity, 1600
    yield "liabilities_and_equity", it.total_assets, 1900


def _cash_flow(period: Period) -> Iterator[Item]:
    it = period.cash_flow
    yield "net_cash_flow_from_operating_activities", it.operating_cash_flow, 100
    yield "net_cash_flow_from_operating_activities_continuing", it.operating_cash_flow, 200
    yield "net_cash_flow_from_investing_activities", it.investing_cash_flow, 400
    yield "net_cash_flow_from_investing_activities_continuing", it.investing_cash_flow, 500
    yield "net_cash_flow_from_financing_activities", it.financing_cash_flow, 700
    yield "net_cash_flow_from_financing_activities_continuing", it.financing_cash_flow, 800
    yield "net_cash_flow", it.net_change_in_cash, 1100
    yield "net_cash_flow_continuing", it.net_change_in_cash, 1200
