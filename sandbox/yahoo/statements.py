"""Yahoo's fundamentals time series: one series for each item of a statement that is asked for."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from sandbox.market.statements import quarters, total, years
from sandbox.server.provider import Call, Reply
from sandbox.yahoo.listings import listings
from sandbox.yahoo.session import JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.market.statements import Period
    from sandbox.market.universe import Instrument

FREQUENCIES = {"annual": "12M", "quarterly": "3M", "trailing": "TTM"}
REACH = {"annual": 4, "quarterly": 5, "trailing": 5}  # periods told at most

INCOME = {
    "TotalRevenue": "revenue",
    "OperatingRevenue": "revenue",
    "CostOfRevenue": "cost_of_revenue",
    "ReconciledCostOfRevenue": "cost_of_revenue",
    "GrossProfit": "gross_profit",
    "ResearchAndDevelopment": "research_and_development",
    "SellingGeneralAndAdministration": "selling_general_and_administrative",
    "OperatingExpense": "operating_expenses",
    "OperatingIncome": "operating_income",
    "InterestExpense": "interest_expense",
    "PretaxIncome": "income_before_tax",
    "TaxProvision": "income_tax",
    "NetIncome": "net_income",
    "NetIncomeCommonStockholders": "net_income",
    "ReconciledDepreciation": "depreciation_and_amortization",
    "EBIT": "operating_income",
    "EBITDA": "ebitda",
    "BasicAverageShares": "shares_basic",
    "DilutedAverageShares": "shares_diluted",
    "BasicEPS": "eps_basic",
    "DilutedEPS": "eps_diluted",
}
BALANCE = {
    "CashAndCashEquivalents": "cash_and_equivalents",
    "OtherShortTermInvestments": "short_term_investments",
    "Receivables": "receivables",
    "AccountsReceivable": "receivables",
    "Inventory": "inventory",
    "OtherCurrentAssets": "other_current_assets",
    "CurrentAssets": "current_assets",
    "NetPPE": "property_plant_equipment",
    "OtherNonCurrentAssets": "other_non_current_assets",
    "TotalNonCurrentAssets": "non_current_assets",
    "TotalAssets": "total_assets",
    "Payables": "payables",
    "AccountsPayable": "payables",
    "CurrentDebt": "short_term_debt",
    "OtherCurrentLiabilities": "other_current_liabilities",
    "CurrentLiabilities": "current_liabilities",
    "LongTermDebt": "long_term_debt",
    "OtherNonCurrentLiabilities": "other_non_current_liabilities",
    "TotalNonCurrentLiabilitiesNetMinorityInterest": "non_current_liabilities",
    "TotalLiabilitiesNetMinorityInterest": "total_liabilities",
    "CommonStock": "common_stock",
    "CapitalStock": "common_stock",
    "RetainedEarnings": "retained_earnings",
    "CommonStockEquity": "total_equity",
    "StockholdersEquity": "total_equity",
    "TotalEquityGrossMinorityInterest": "total_equity",
    "TotalDebt": "total_debt",
    "ShareIssued": "shares_outstanding",
    "OrdinarySharesNumber": "shares_outstanding",
}
CASH_FLOW = {
    "NetIncomeFromContinuingOperations": "net_income",
    "DepreciationAndAmortization": "depreciation_and_amortization",
    "StockBasedCompensation": "stock_based_compensation",
    "ChangeInWorkingCapital": "change_in_working_capital",
    "OperatingCashFlow": "operating_cash_flow",
    "CapitalExpenditure": "capital_expenditure",
    "NetOtherInvestingChanges": "other_investing",
    "InvestingCashFlow": "investing_cash_flow",
    "NetIssuancePaymentsOfDebt": "debt_issued",
    "CashDividendsPaid": "dividends_paid",
    "CommonStockDividendPaid": "dividends_paid",
    "IssuanceOfCapitalStock": "stock_issued",
    "CommonStockIssuance": "stock_issued",
    "RepurchaseOfCapitalStock": "share_repurchases",
    "CommonStockPayments": "share_repurchases",
    "FinancingCashFlow": "financing_cash_flow",
    "FreeCashFlow": "free_cash_flow",
    "ChangesInCash": "net_change_in_cash",
    "BeginningCashPosition": "cash_at_beginning",
    "EndCashPosition": "cash_at_end",
}


def timeseries(call: Call) -> Reply:
    """`…/timeseries/{symbol}?type=annualTotalRevenue,quarterlyNetIncome&period1=&period2=`.

    A type nobody reports has a `meta` and nothing else.
    """
    instrument = listings().get(call.path["symbol"])
    asked = [name for name in call.query.get("type", "").split(",") if name]
    if not asked:
        error = {"code": "Bad Request", "description": 'Missing value for the "type" argument'}
        return Reply({"timeseries": {"result": None, "error": error}}, 400, JSON)
    result = _lines(call, instrument, asked) if instrument else []
    return Reply({"timeseries": {"result": result, "error": None}}, content_type=JSON)


def _lines(call: Call, instrument: Instrument, asked: list[str]) -> list[dict[str, Any]]:
    reports = instrument.asset_class == "equity"
    reported = {
        frequency: _reported(call, instrument.symbol, frequency) if reports else [] for frequency in FREQUENCIES
    }
    return [_line(call.path["symbol"], instrument.currency, name, reported) for name in asked]


def _reported(call: Call, symbol: str, frequency: str) -> Sequence[Period]:
    """The last few periods inside `period1`…`period2`, oldest first."""
    periods: Sequence[Period]
    if frequency == "annual":
        periods = years(call.market, symbol, call.now, REACH[frequency])
    else:
        periods = quarters(call.market, symbol, call.now, REACH[frequency] + 3)
    if frequency == "trailing":
        periods = [total(periods[at - 3 : at + 1], "TTM") for at in range(3, len(periods))]
    since = int(call.query.get("period1", 0))
    until = int(call.query.get("period2", call.now.timestamp()))
    return [each for each in periods[-REACH[frequency] :] if since <= epoch(each.ends) <= until]


def _line(symbol: str, currency: str, name: str, reported: dict[str, Sequence[Period]]) -> dict[str, Any]:
    frequency = next((each for each in FREQUENCIES if name.startswith(each)), "")
    line: dict[str, Any] = {"meta": {"symbol": [symbol], "type": [name]}}
    read = _reader(name.removeprefix(frequency)) if frequency else None
    periods = reported.get(frequency, ())
    if read is None or not periods:
        return line
    rows = [
        {
            "dataId": 20_000,
            "asOfDate": each.ends.isoformat(),
            "periodType": FREQUENCIES[frequency],
            "currencyCode": currency,
            "reportedValue": {"raw": read(each), "fmt": shortened(read(each))},
        }
        for each in periods
    ]
    return line | {"timestamp": [epoch(each.ends) for each in periods], name: rows}


def _reader(item: str) -> Callable[[Period], float] | None:
    for names, part in ((INCOME, "income"), (BALANCE, "balance"), (CASH_FLOW, "cash_flow")):
        if item in names:
            return lambda period: float(getattr(getattr(period, part), names[item]))
    return None


def epoch(day: date) -> int:
    """Midnight UTC of a day, in seconds."""
    return int(datetime.combine(day, time(), UTC).timestamp())


def shortened(number: float) -> str:
    """A number as people read it: `23.65B`, `1.52k`, `6.31`."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.2f}{letter}"
    return f"{number:.2f}"
