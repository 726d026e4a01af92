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
    told = period.income
    yield "RevenueFromContractWithCustomerExcludingAssessedTax", "Net sales", told.revenue
    yield "CostOfGoodsAndServicesSold", "Cost of sales", told.cost_of_revenue
    yield "GrossProfit", "Gross margin", told.gross_profit
    yield "ResearchAndDevelopmentExpense", "Research and development", told.research_and_development
    yield "SellingGeneralAndAdministrativeExpense", "Selling and general", told.selling_general_and_administrative
    yield "OperatingExpenses", "Total operating expenses", told.operating_expenses
    yield "OperatingIncomeLoss", "Operating income", told.operating_income
    yield "InterestExpense", "Interest expense", told.interest_expense
    yield (
        "IncomeLossFromContinuingOperationsBeforeIncomeTaxesExtraordinaryItemsNoncontrollingInterest",
        "Income before provision for income taxes",
        told.income_before_tax,
    )
    yield "IncomeTaxExpenseBenefit", "Provision for income taxes", told.income_tax
    yield "NetIncomeLoss", "Net income", told.net_income
    yield "EarningsPerShareBasic", "Basic (in dollars per share)", told.eps_basic, "usd/shares"
    yield "EarningsPerShareDiluted", "Diluted (in dollars per share)", told.eps_diluted, "usd/shares"
    yield "WeightedAverageNumberOfSharesOutstandingBasic", "Basic (in shares)", told.shares_basic, "shares"
    yield "WeightedAverageNumberOfDilutedSharesOutstanding", "Diluted (in shares)", told.shares_diluted, "shares"


def _balance(period: Period) -> Iterator[tuple[str, str, float]]:
    told = period.balance
    yield "CashAndCashEquivalentsAtCarryingValue", "Cash and cash equivalents", told.cash_and_equivalents
    yield "MarketableSecuritiesCurrent", "Marketable securities", told.short_term_investments
    yield "AccountsReceivableNetCurrent", "Accounts receivable, net", told.receivables
    yield "InventoryNet", "Inventories", told.inventory
    yield "OtherAssetsCurrent", "Other current assets", told.other_current_assets
    yield "AssetsCurrent", "Total current assets", told.current_assets
    yield "PropertyPlantAndEquipmentNet", "Property, plant and equipment, net", told.property_plant_equipment
    yield "OtherAssetsNoncurrent", "Other non-current assets", told.other_non_current_assets
    yield "Assets", "Total assets", told.total_assets
    yield "AccountsPayableCurrent", "Accounts payable", told.payables
    yield "LongTermDebtCurrent", "Term debt", told.short_term_debt
    yield "OtherLiabilitiesCurrent", "Other current liabilities", told.other_current_liabilities
    yield "LiabilitiesCurrent", "Total current liabilities", told.current_liabilities
    yield "LongTermDebtNoncurrent", "Term debt, non-current", told.long_term_debt
    yield "OtherLiabilitiesNoncurrent", "Other non-current liabilities", told.other_non_current_liabilities
    yield "Liabilities", "Total liabilities", told.total_liabilities
    yield "CommonStocksIncludingAdditionalPaidInCapital", "Common stock", told.common_stock
    yield "RetainedEarningsAccumulatedDeficit", "Retained earnings", told.retained_earnings
    yield "StockholdersEquity", "Total shareholders' equity", told.total_equity
    yield "LiabilitiesAndStockholdersEquity", "Total liabilities and equity", told.total_assets


def _cash_flow(period: Period) -> Iterator[tuple[str, str, float]]:
    """Payments are positive here, as their concepts have it."""
    told = period.cash_flow
    yield "NetIncomeLoss", "Net income", told.net_income
    yield "DepreciationDepletionAndAmortization", "Depreciation", told.depreciation_and_amortization
    yield "ShareBasedCompensation", "Share-based compensation expense", told.stock_based_compensation
    yield "NetCashProvidedByUsedInOperatingActivities", "Cash from operating", told.operating_cash_flow
    yield "PaymentsToAcquirePropertyPlantAndEquipment", "Payments for equipment", -told.capital_expenditure
    yield "NetCashProvidedByUsedInInvestingActivities", "Cash from investing", told.investing_cash_flow
    yield "PaymentsOfDividends", "Payments for dividends", -told.dividends_paid
    yield "PaymentsForRepurchaseOfCommonStock", "Repurchases of common stock", -told.share_repurchases
    yield "NetCashProvidedByUsedInFinancingActivities", "Cash from financing", told.financing_cash_flow
    yield (
        "CashCashEquivalentsRestrictedCashAndRestrictedCashEquivalentsPeriodIncreaseDecreaseIncludingExchangeRateEffect",
        "Increase in cash",
        told.net_change_in_cash,
    )
