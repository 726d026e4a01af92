"""FMP's statements, ratios and key metrics, by fiscal period and for the last twelve months."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

from sandbox.fmp.listings import PREMIUM_PARAMETERS, BadRequest, Premium, number, shares, spelling
from sandbox.market.company import company
from sandbox.market.statements import Period, market_cap, quarters, total, ttm, years
from sandbox.server.provider import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.market.universe import Instrument

    Figures = Callable[[Period], dict[str, Any]]
    Valued = Callable[[Period, float], dict[str, Any]]

FREE_PERIODS = 5
QUARTERS = ("Q1", "Q2", "Q3", "Q4")


def by_period(figures: Figures) -> Callable[[Call], Reply]:
    """`?symbol=&period=annual|quarter|FY|Q1…Q4&limit=`: newest first."""

    def answer(call: Call) -> Reply:
        return Reply([head(call, share, period) | figures(period) for share, period in _periods(call)])

    return answer


def of_last_year(figures: Figures) -> Callable[[Call], Reply]:
    """`-ttm?symbol=&limit=`: sums of four quarters, as of each quarter, newest first."""

    def answer(call: Call) -> Reply:
        rows = []
        for share in shares(call):
            filed = quarters(call.market, share.symbol, call.now)
            wholes = [total(filed[at - 3 : at + 1], filed[at].label) for at in range(3, len(filed))]
            rows += [head(call, share, whole) | figures(whole) for whole in reversed(wholes)]
        return Reply(rows[: number(call, "limit", FREE_PERIODS, 1000)])

    return answer


def valued(figures: Valued) -> Callable[[Call], Reply]:
    """Ratios and key metrics of fiscal periods, at the price of the period's last day."""

    def answer(call: Call) -> Reply:
        rows = []
        for share, period in _periods(call):
            cap = market_cap(call.market, share.symbol, datetime.combine(period.ends, time(23, 59), UTC))
            reported = {name: value for name, value in head(call, share, period).items() if name in VALUED_HEAD}
            rows.append(reported | (figures(period, cap) if cap else {}))
        return Reply(rows)

    return answer


def valued_now(figures: Valued) -> Callable[[Call], Reply]:
    """The same of the last twelve months at the present price: no date, every name ending in TTM."""

    def answer(call: Call) -> Reply:
        rows = []
        for share in shares(call):
            year, cap = ttm(call.market, share.symbol, call.now), market_cap(call.market, share.symbol, call.now)
            if year and cap:
                reported = {f"{name}TTM": value for name, value in figures(year, cap).items() if name != "marketCap"}
                rows.append({"symbol": spelling(share), "marketCap": cap} | reported)
        return Reply(rows)

    return answer


def _periods(call: Call) -> list[tuple[Instrument, Period]]:
    asked = call.query.get("period", "annual")
    limit = number(call, "limit", FREE_PERIODS, 1000)
    if PREMIUM_PARAMETERS in call.plan.denies and (asked not in ("annual", "FY") or limit > FREE_PERIODS):
        raise Premium("limit" if asked in ("annual", "FY") else "period")
    if asked not in ("annual", "FY", "quarter", *QUARTERS):
        raise BadRequest("Query Error: Invalid or missing query parameter - period")
    found = []
    for share in shares(call):
        reported = years if asked in ("annual", "FY") else quarters
        periods = [
            each
            for each in reported(call.market, share.symbol, call.now)
            if asked not in QUARTERS or each.label == asked
        ]
        found += [(share, period) for period in reversed(periods)]
    return found[:limit]


VALUED_HEAD = ("symbol", "date", "fiscalYear", "period", "reportedCurrency")


def head(call: Call, share: Instrument, period: Period) -> dict[str, Any]:
    """What every statement begins with."""
    return {
        "date": period.ends.isoformat(),
        "symbol": spelling(share),
        "reportedCurrency": share.currency,
        "cik": company(call.market, share.symbol).cik,
        "filingDate": period.filed.isoformat(),
        "acceptedDate": f"{period.filed} 06:01:26",
        "fiscalYear": str(period.fiscal_year),
        "period": period.label,
    }


def income(period: Period) -> dict[str, Any]:
    """The income statement."""
    reported = period.income
    selling = reported.selling_general_and_administrative
    return {
        "revenue": reported.revenue,
        "costOfRevenue": reported.cost_of_revenue,
        "grossProfit": reported.gross_profit,
        "researchAndDevelopmentExpenses": reported.research_and_development,
        "generalAndAdministrativeExpenses": selling // 3,
        "sellingAndMarketingExpenses": selling - selling // 3,
        "sellingGeneralAndAdministrativeExpenses": selling,
        "otherExpenses": 0,
        "operatingExpenses": reported.operating_expenses,
        "costAndExpenses": reported.cost_of_revenue + reported.operating_expenses,
        "netInterestIncome": -reported.interest_expense,
        "interestIncome": 0,
        "interestExpense": reported.interest_expense,
        "depreciationAndAmortization": reported.depreciation_and_amortization,
        "ebitda": reported.ebitda,
        "ebit": reported.operating_income,
        "nonOperatingIncomeExcludingInterest": 0,
        "operatingIncome": reported.operating_income,
        "totalOtherIncomeExpensesNet": -reported.interest_expense,
        "incomeBeforeTax": reported.income_before_tax,
        "incomeTaxExpense": reported.income_tax,
        "netIncomeFromContinuingOperations": reported.net_income,
        "netIncomeFromDiscontinuedOperations": 0,
        "otherAdjustmentsToNetIncome": 0,
        "netIncome": reported.net_income,
        "netIncomeDeductions": 0,
        "bottomLineNetIncome": reported.net_income,
        "eps": reported.eps_basic,
        "epsDiluted": reported.eps_diluted,
        "weightedAverageShsOut": reported.shares_basic,
        "weightedAverageShsOutDil": reported.shares_diluted,
    }


NOT_KEPT = (
    "otherReceivables",
    "goodwill",
    "intangibleAssets",
    "goodwillAndIntangibleAssets",
    "longTermInvestments",
    "taxAssets",
    "otherPayables",
    "taxPayables",
    "deferredRevenue",
    "treasuryStock",
    "preferredStock",
    "additionalPaidInCapital",
    "accumulatedOtherComprehensiveIncomeLoss",
    "otherTotalStockholdersEquity",
    "minorityInterest",
)
"""Items of a balance sheet that the invented companies do not have."""


def balance(period: Period) -> dict[str, Any]:
    """The balance sheet."""
    reported = period.balance
    return {
        **dict.fromkeys(NOT_KEPT, 0),
        "cashAndCashEquivalents": reported.cash_and_equivalents,
        "shortTermInvestments": reported.short_term_investments,
        "cashAndShortTermInvestments": reported.cash_and_equivalents + reported.short_term_investments,
        "netReceivables": reported.receivables,
        "accountsReceivables": reported.receivables,
        "inventory": reported.inventory,
        "otherCurrentAssets": reported.other_current_assets,
        "totalCurrentAssets": reported.current_assets,
        "propertyPlantEquipmentNet": reported.property_plant_equipment,
        "otherNonCurrentAssets": reported.other_non_current_assets,
        "totalNonCurrentAssets": reported.non_current_assets,
        "totalAssets": reported.total_assets,
        "totalPayables": reported.payables,
        "accountPayables": reported.payables,
        "shortTermDebt": reported.short_term_debt,
        "otherCurrentLiabilities": reported.other_current_liabilities,
        "totalCurrentLiabilities": reported.current_liabilities,
        "longTermDebt": reported.long_term_debt,
        "otherNonCurrentLiabilities": reported.other_non_current_liabilities,
        "totalNonCurrentLiabilities": reported.non_current_liabilities,
        "totalLiabilities": reported.total_liabilities,
        "commonStock": reported.common_stock,
        "retainedEarnings": reported.retained_earnings,
        "totalStockholdersEquity": reported.total_equity,
        "totalEquity": reported.total_equity,
        "totalLiabilitiesAndTotalEquity": reported.total_assets,
        "totalInvestments": reported.short_term_investments,
        "totalDebt": reported.total_debt,
        "netDebt": reported.total_debt - reported.cash_and_equivalents,
    }


def cash_flow(period: Period) -> dict[str, Any]:
    """The cash flow; outflows are negative."""
    reported = period.cash_flow
    return {
        "netIncome": reported.net_income,
        "depreciationAndAmortization": reported.depreciation_and_amortization,
        "deferredIncomeTax": 0,
        "stockBasedCompensation": reported.stock_based_compensation,
        "changeInWorkingCapital": reported.change_in_working_capital,
        "otherNonCashItems": 0,
        "netCashProvidedByOperatingActivities": reported.operating_cash_flow,
        "investmentsInPropertyPlantAndEquipment": reported.capital_expenditure,
        "acquisitionsNet": 0,
        "otherInvestingActivities": reported.other_investing,
        "netCashProvidedByInvestingActivities": reported.investing_cash_flow,
        "netDebtIssuance": reported.debt_issued,
        "netStockIssuance": reported.stock_issued + reported.share_repurchases,
        "netCommonStockIssuance": reported.stock_issued + reported.share_repurchases,
        "commonStockIssuance": reported.stock_issued,
        "commonStockRepurchased": reported.share_repurchases,
        "netPreferredStockIssuance": 0,
        "netDividendsPaid": reported.dividends_paid,
        "commonDividendsPaid": reported.dividends_paid,
        "preferredDividendsPaid": 0,
        "otherFinancingActivities": 0,
        "netCashProvidedByFinancingActivities": reported.financing_cash_flow,
        "effectOfForexChangesOnCash": 0,
        "netChangeInCash": reported.net_change_in_cash,
        "cashAtEndOfPeriod": reported.cash_at_end,
        "cashAtBeginningOfPeriod": reported.cash_at_beginning,
        "operatingCashFlow": reported.operating_cash_flow,
        "capitalExpenditure": reported.capital_expenditure,
        "freeCashFlow": reported.free_cash_flow,
        "incomeTaxesPaid": period.income.income_tax,
        "interestPaid": period.income.interest_expense,
    }


def ratios(period: Period, cap: float) -> dict[str, Any]:
    """Margins, turnovers, price ratios and figures a share; plain quotients, but for one percentage."""
    made, sheet, cash = period.income, period.balance, period.cash_flow
    count = made.shares_basic
    return {
        "grossProfitMargin": made.gross_profit / made.revenue,
        "ebitMargin": made.operating_income / made.revenue,
        "ebitdaMargin": made.ebitda / made.revenue,
        "operatingProfitMargin": made.operating_income / made.revenue,
        "pretaxProfitMargin": made.income_before_tax / made.revenue,
        "netProfitMargin": made.net_income / made.revenue,
        "receivablesTurnover": made.revenue / sheet.receivables,
        "inventoryTurnover": made.cost_of_revenue / sheet.inventory,
        "assetTurnover": made.revenue / sheet.total_assets,
        "currentRatio": sheet.current_assets / sheet.current_liabilities,
        "quickRatio": (sheet.current_assets - sheet.inventory) / sheet.current_liabilities,
        "cashRatio": sheet.cash_and_equivalents / sheet.current_liabilities,
        "priceToEarningsRatio": cap / made.net_income,
        "priceToBookRatio": cap / sheet.total_equity,
        "priceToSalesRatio": cap / made.revenue,
        "priceToFreeCashFlowRatio": cap / cash.free_cash_flow,
        "debtToAssetsRatio": sheet.total_debt / sheet.total_assets,
        "debtToEquityRatio": sheet.total_debt / sheet.total_equity,
        "dividendPayoutRatio": -cash.dividends_paid / made.net_income,
        "dividendYield": -cash.dividends_paid / cap,
        "dividendYieldPercentage": -100 * cash.dividends_paid / cap,
        "revenuePerShare": made.revenue / count,
        "netIncomePerShare": made.net_income / count,
        "bookValuePerShare": sheet.total_equity / count,
        "freeCashFlowPerShare": cash.free_cash_flow / count,
        "effectiveTaxRate": made.income_tax / made.income_before_tax,
    }


def key_metrics(period: Period, cap: float) -> dict[str, Any]:
    """Enterprise value, returns and yields."""
    made, sheet, cash = period.income, period.balance, period.cash_flow
    whole = cap + sheet.total_debt - sheet.cash_and_equivalents
    return {
        "marketCap": cap,
        "enterpriseValue": whole,
        "evToSales": whole / made.revenue,
        "evToOperatingCashFlow": whole / cash.operating_cash_flow,
        "evToFreeCashFlow": whole / cash.free_cash_flow,
        "evToEBITDA": whole / made.ebitda,
        "netDebtToEBITDA": (sheet.total_debt - sheet.cash_and_equivalents) / made.ebitda,
        "currentRatio": sheet.current_assets / sheet.current_liabilities,
        "workingCapital": sheet.current_assets - sheet.current_liabilities,
        "returnOnAssets": made.net_income / sheet.total_assets,
        "returnOnEquity": made.net_income / sheet.total_equity,
        "earningsYield": made.net_income / cap,
        "freeCashFlowYield": cash.free_cash_flow / cap,
        "capexToRevenue": -cash.capital_expenditure / made.revenue,
        "researchAndDevelopementToRevenue": made.research_and_development / made.revenue,  # spelled so
        "stockBasedCompensationToRevenue": cash.stock_based_compensation / made.revenue,
    }
