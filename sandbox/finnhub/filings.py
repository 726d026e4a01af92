"""Finnhub's statements as reported: the concepts of a 10-K or 10-Q, with the filer's own labels."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from sandbox.finnhub.listings import Refused, Row, asked_day, company_of
from sandbox.market.company import Company, company
from sandbox.market.statements import Period, quarters, years
from sandbox.server.provider import Call, Reply


def financials_reported(call: Call) -> Reply:
    """`/stock/financials-reported?symbol=&freq=annual|quarterly&from=&to=`: newest first, ends in `from`…`to`."""
    instrument, freq = company_of(call), call.query.get("freq", "annual")
    if freq not in ("annual", "quarterly"):
        raise Refused(422, "Wrong freq: use annual or quarterly")
    if instrument is None or instrument.currency != "USD":  # filings are those of the SEC
        return Reply({"cik": "", "data": [], "symbol": call.query["symbol"]})
    since, until = asked_day(call, "from", date.min), asked_day(call, "to", date.max)
    who = company(call.market, instrument.symbol)
    filed = (years if freq == "annual" else quarters)(call.market, instrument.symbol, call.now)
    wanted = [period for period in filed if since <= period.ends <= until and _has_filing(period, freq)]
    rows = [_filing(who, period, number) for number, period in enumerate(wanted)]
    return Reply({"cik": who.cik.lstrip("0"), "data": rows[::-1], "symbol": call.query["symbol"]})


def _has_filing(period: Period, freq: str) -> bool:
    """The fourth quarter has no report of its own."""
    return freq == "annual" or period.label != "Q4"


def _filing(who: Company, period: Period, number: int) -> Row:
    yearly = period.label == "FY"
    begins = period.ends - timedelta(days=364 if yearly else 90)
    return {
        "accessNumber": f"{who.cik}-{period.filed.year % 100:02d}-{number:06d}",
        "symbol": who.symbol,
        "cik": who.cik.lstrip("0"),
        "year": period.fiscal_year,
        "quarter": 0 if yearly else int(period.label[1]),
        "form": "10-K" if yearly else "10-Q",
        "startDate": f"{begins} 00:00:00",
        "endDate": f"{period.ends} 00:00:00",
        "filedDate": f"{period.filed} 00:00:00",
        "acceptedDate": f"{period.filed} 18:04:01",
        "report": {
            "bs": [_item(*item) for item in _balance(period)],
            "ic": [_item(*item) for item in _income(period)],
            "cf": [_item(*item) for item in _cash_flow(period)],
        },
    }


def _item(concept: str, label: str, value: float, unit: str = "usd") -> Row:
    return {"concept": f"us-gaap_{concept}", "unit": unit, "label": label, "value": value}


def _income(period: Period) -> Iterator[tuple[str, str, float] | tuple[str, str, float, str]]:
    reported = period.income
    yield "RevenueFromContractWithCustomerExcludingAssessedTax", "Net sales", reported.revenue
    yield "CostOfGoodsAndServicesSold", "Cost of sales", reported.cost_of_revenue
    yield "GrossProfit", "Gross margin", reported.gross_profit
    yield "ResearchAndDevelopmentExpense", "Research and development", reported.research_and_development
    yield "SellingGeneralAndAdministrativeExpense", "Selling and general", reported.selling_general_and_administrative
    yield "OperatingExpenses", "Total operating expenses", reported.operating_expenses
    yield "OperatingIncomeLoss", "Operating income", reported.operating_income
    yield "InterestExpense", "Interest expense", reported.interest_expense
    yield (
        "IncomeLossFromContinuingOperationsBeforeIncomeTaxesExtraordinaryItemsNoncontrollingInterest",
        "Income before provision for income taxes",
        reported.income_before_tax,
    )
    yield "IncomeTaxExpenseBenefit", "Provision for income taxes", reported.income_tax
    yield "NetIncomeLoss", "Net income", reported.net_income
    yield "EarningsPerShareBasic", "Basic (in dollars per share)", reported.eps_basic, "usd/shares"
    yield "EarningsPerShareDiluted", "Diluted (in dollars per share)", reported.eps_diluted, "usd/shares"
    yield "WeightedAverageNumberOfSharesOutstandingBasic", "Basic (in shares)", reported.shares_basic, "shares"
    yield "WeightedAverageNumberOfDilutedSharesOutstanding", "Diluted (in shares)", reported.shares_diluted, "shares"


def _balance(period: Period) -> Iterator[tuple[str, str, float]]:
    reported = period.balance
    yield "CashAndCashEquivalentsAtCarryingValue", "Cash and cash equivalents", reported.cash_and_equivalents
    yield "MarketableSecuritiesCurrent", "Marketable securities", reported.short_term_investments
    yield "AccountsReceivableNetCurrent", "Accounts receivable, net", reported.receivables
    yield "InventoryNet", "Inventories", reported.inventory
    yield "OtherAssetsCurrent", "Other current assets", reported.other_current_assets
    yield "AssetsCurrent", "Total current assets", reported.current_assets
    yield "PropertyPlantAndEquipmentNet", "Property, plant and equipment, net", reported.property_plant_equipment
    yield "OtherAssetsNoncurrent", "Other non-current assets", reported.other_non_current_assets
    yield "Assets", "Total assets", reported.total_assets
    yield "AccountsPayableCurrent", "Accounts payable", reported.payables
    yield "LongTermDebtCurrent", "Term debt", reported.short_term_debt
    yield "OtherLiabilitiesCurrent", "Other current liabilities", reported.other_current_liabilities
    yield "LiabilitiesCurrent", "Total current liabilities", reported.current_liabilities
    yield "LongTermDebtNoncurrent", "Term debt, non-current", reported.long_term_debt
    yield "OtherLiabilitiesNoncurrent", "Other non-current liabilities", reported.other_non_current_liabilities
    yield "Liabilities", "Total liabilities", reported.total_liabilities
    yield "CommonStocksIncludingAdditionalPaidInCapital", "Common stock", reported.common_stock
    yield "RetainedEarningsAccumulatedDeficit", "Retained earnings", reported.retained_earnings
    yield "StockholdersEquity", "Total shareholders' equity", reported.total_equity
    yield "LiabilitiesAndStockholdersEquity", "Total liabilities and equity", reported.total_assets


def _cash_flow(period: Period) -> Iterator[tuple[str, str, float]]:
    """Payments are positive here, as their concepts have it."""
    reported = period.cash_flow
    yield "NetIncomeLoss", "Net income", reported.net_income
    yield "DepreciationDepletionAndAmortization", "Depreciation", reported.depreciation_and_amortization
    yield "ShareBasedCompensation", "Share-based compensation expense", reported.stock_based_compensation
    yield "NetCashProvidedByUsedInOperatingActivities", "Cash from operating", reported.operating_cash_flow
    yield "PaymentsToAcquirePropertyPlantAndEquipment", "Payments for equipment", -reported.capital_expenditure
    yield "NetCashProvidedByUsedInInvestingActivities", "Cash from investing", reported.investing_cash_flow
    yield "PaymentsOfDividends", "Payments for dividends", -reported.dividends_paid
    yield "PaymentsForRepurchaseOfCommonStock", "Repurchases of common stock", -reported.share_repurchases
    yield "NetCashProvidedByUsedInFinancingActivities", "Cash from financing", reported.financing_cash_flow
    yield (
        "CashCashEquivalentsRestrictedCashAndRestrictedCashEquivalentsPeriodIncreaseDecreaseIncludingExchangeRateEffect",
        "Increase in cash",
        reported.net_change_in_cash,
    )
