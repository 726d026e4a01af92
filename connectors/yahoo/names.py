"""How Yahoo names things: intervals, items of statements, exchanges, kinds of instruments, countries. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from connectors.fields import snake
from connectors.records import AssetClass, FiscalPeriod

Kind = Literal["income", "balance", "cash_flow"]

SHARES: tuple[AssetClass, ...] = ("equity", "etf", "fund")
CODES = {
    "1m": "1m",
    "5m": "5m",
    "15m": "15m",
    "30m": "30m",
    "1h": "1h",
    "4h": "4h",
    "1d": "1d",
    "1w": "1wk",
    "1mo": "1mo",
}
"""Canonical interval -> Yahoo's."""

_CANONICAL: dict[Kind, dict[str, str]] = {
    "income": {
        "TotalRevenue": "revenue",
        "CostOfRevenue": "cost_of_revenue",
        "GrossProfit": "gross_profit",
        "ResearchAndDevelopment": "research_and_development",
        "SellingGeneralAndAdministration": "selling_general_and_administrative",
        "OperatingExpense": "operating_expenses",
        "OperatingIncome": "operating_income",
        "InterestExpense": "interest_expense",
        "PretaxIncome": "income_before_tax",
        "TaxProvision": "income_tax",
        "NetIncome": "net_income",
        "BasicEPS": "eps_basic",
        "DilutedEPS": "eps_diluted",
        "BasicAverageShares": "shares_basic",
        "DilutedAverageShares": "shares_diluted",
        "EBITDA": "ebitda",
    },
    "balance": {
        "CashAndCashEquivalents": "cash_and_equivalents",
        "OtherShortTermInvestments": "short_term_investments",
        "Receivables": "receivables",
        "Inventory": "inventory",
        "CurrentAssets": "current_assets",
        "TotalAssets": "total_assets",
        "Payables": "payables",
        "CurrentDebt": "short_term_debt",
        "CurrentLiabilities": "current_liabilities",
        "LongTermDebt": "long_term_debt",
        "TotalLiabilitiesNetMinorityInterest": "total_liabilities",
        "RetainedEarnings": "retained_earnings",
        "StockholdersEquity": "total_equity",
        "OrdinarySharesNumber": "shares_outstanding",
    },
    "cash_flow": {
        "OperatingCashFlow": "operating_cash_flow",
        "DepreciationAndAmortization": "depreciation_and_amortization",
        "StockBasedCompensation": "stock_based_compensation",
        "CapitalExpenditure": "capital_expenditure",
        "InvestingCashFlow": "investing_cash_flow",
        "CashDividendsPaid": "dividends_paid",
        "RepurchaseOfCapitalStock": "share_repurchases",
        "FinancingCashFlow": "financing_cash_flow",
        "FreeCashFlow": "free_cash_flow",
        "ChangesInCash": "net_change_in_cash",
    },
}
_OWN: dict[Kind, str] = {
    "income": """OperatingRevenue TotalExpenses EBIT InterestIncome NetInterestIncome NonInterestIncome
        OtherIncomeExpense NetIncomeCommonStockholders NetIncomeContinuousOperations NormalizedIncome
        NormalizedEBITDA ReconciledDepreciation DividendPerShare""",
    "balance": """CashCashEquivalentsAndShortTermInvestments AccountsReceivable OtherCurrentAssets NetPPE
        GoodwillAndOtherIntangibleAssets InvestmentsAndAdvances TotalNonCurrentAssets AccountsPayable
        CurrentDeferredRevenue OtherCurrentLiabilities CommercialPaper TotalDebt NetDebt CapitalLeaseObligations
        TotalNonCurrentLiabilitiesNetMinorityInterest CapitalStock MinorityInterest TotalEquityGrossMinorityInterest
        InvestedCapital TangibleBookValue WorkingCapital TreasurySharesNumber""",
    "cash_flow": """DeferredTax ChangeInWorkingCapital OtherNonCashItems PurchaseOfInvestment SaleOfInvestment
        NetBusinessPurchaseAndSale IssuanceOfDebt RepaymentOfDebt IssuanceOfCapitalStock BeginningCashPosition
        EndCashPosition IncomeTaxPaidSupplementalData InterestPaidSupplementalData""",
}

STATEMENTS: Mapping[Kind, Mapping[str, str]] = MappingProxyType(
    {kind: {**names, **{item: snake(item) for item in _OWN[kind].split()}} for kind, names in _CANONICAL.items()}
)
"""Statement -> the items we ask for -> their canonical names."""
STATEMENT_OF: Mapping[str, Kind] = MappingProxyType(
    {item: kind for kind, names in STATEMENTS.items() for item in names}
)

HISTORY: Mapping[str, tuple[Kind, str, FiscalPeriod]] = MappingProxyType(
    {
        "incomeStatementHistory": ("income", "incomeStatementHistory", "FY"),
        "incomeStatementHistoryQuarterly": ("income", "incomeStatementHistory", "Q"),
        "balanceSheetHistory": ("balance", "balanceSheetStatements", "FY"),
        "balanceSheetHistoryQuarterly": ("balance", "balanceSheetStatements", "Q"),
        "cashflowStatementHistory": ("cash_flow", "cashflowStatements", "FY"),
        "cashflowStatementHistoryQuarterly": ("cash_flow", "cashflowStatements", "Q"),
    }
)
"""Retired module -> (statement, name of its list, period)."""
HISTORY_ITEMS = MappingProxyType(
    {
        "totalRevenue": "revenue",
        "researchDevelopment": "research_and_development",
        "sellingGeneralAdministrative": "selling_general_and_administrative",
        "totalOperatingExpenses": "operating_expenses",
        "incomeTaxExpense": "income_tax",
        "cash": "cash_and_equivalents",
        "netReceivables": "receivables",
        "totalCurrentAssets": "current_assets",
        "accountsPayable": "payables",
        "shortLongTermDebt": "short_term_debt",
        "totalCurrentLiabilities": "current_liabilities",
        "totalLiab": "total_liabilities",
        "totalStockholderEquity": "total_equity",
        "totalCashFromOperatingActivities": "operating_cash_flow",
        "depreciation": "depreciation_and_amortization",
        "capitalExpenditures": "capital_expenditure",
        "totalCashflowsFromInvestingActivities": "investing_cash_flow",
        "repurchaseOfStock": "share_repurchases",
        "totalCashFromFinancingActivities": "financing_cash_flow",
        "changeInCash": "net_change_in_cash",
    }
)

NO_METRICS = frozenset(
    {
        "maxAge",
        "priceHint",
        "sharesShortPreviousMonthDate",
        "dateShortInterest",
        "lastFiscalYearEnd",
        "nextFiscalYearEnd",
        "mostRecentQuarter",
        "lastSplitDate",
        "lastDividendDate",
        "exDividendDate",
        "fundInceptionDate",
        "startDate",
        "expireDate",
    }
)
"""Numbers of a metrics module that are times or settings."""
ESTIMATES = MappingProxyType(
    {
        "earningsEstimate": {
            "avg": "eps_avg",
            "low": "eps_low",
            "high": "eps_high",
            "yearAgoEps": "eps_year_ago",
            "numberOfAnalysts": "eps_analysts",
            "growth": "eps_growth",
        },
        "revenueEstimate": {
            "avg": "revenue_avg",
            "low": "revenue_low",
            "high": "revenue_high",
            "yearAgoRevenue": "revenue_year_ago",
            "numberOfAnalysts": "revenue_analysts",
            "growth": "revenue_growth",
        },
        "epsTrend": {
            "7daysAgo": "eps_avg_7_days_ago",
            "30daysAgo": "eps_avg_30_days_ago",
            "60daysAgo": "eps_avg_60_days_ago",
            "90daysAgo": "eps_avg_90_days_ago",
        },
        "epsRevisions": {
            "upLast7days": "eps_up_7_days",
            "upLast30days": "eps_up_30_days",
            "downLast7Days": "eps_down_7_days",
            "downLast30days": "eps_down_30_days",
            "downLast90days": "eps_down_90_days",
        },
    }
)
"""Modules of a row of `earningsTrend`: what analysts expect, what they did before, how many changed their mind."""

KINDS: Mapping[str, AssetClass] = MappingProxyType(
    {
        "EQUITY": "equity",
        "ETF": "etf",
        "MUTUALFUND": "fund",
        "CRYPTOCURRENCY": "crypto",
        "CURRENCY": "forex",
        "FUTURE": "commodity",
        "INDEX": "index",
    }
)
"""`quoteType` -> asset class; options, private companies and the like are none of ours."""

EXCHANGES = MappingProxyType(
    {
        "NMS": "XNAS",
        "NGM": "XNAS",
        "NCM": "XNAS",
        "NYQ": "XNYS",
        "ASE": "XASE",
        "PCX": "ARCX",
        "BTS": "BATS",
        "PNK": "OOTC",
        "OQB": "OOTC",
        "OQX": "OOTC",
        "OEM": "OOTC",
    }
)
"""US exchange codes -> MIC; elsewhere the symbol's suffix tells it."""

COUNTRIES = MappingProxyType(
    {
        "Argentina": "AR",
        "Australia": "AU",
        "Austria": "AT",
        "Bahamas": "BS",
        "Bahrain": "BH",
        "Belgium": "BE",
        "Bermuda": "BM",
        "Brazil": "BR",
        "Canada": "CA",
        "Cayman Islands": "KY",
        "Chile": "CL",
        "China": "CN",
        "Colombia": "CO",
        "Costa Rica": "CR",
        "Cyprus": "CY",
        "Czech Republic": "CZ",
        "Denmark": "DK",
        "Egypt": "EG",
        "Estonia": "EE",
        "Finland": "FI",
        "France": "FR",
        "Germany": "DE",
        "Gibraltar": "GI",
        "Greece": "GR",
        "Guernsey": "GG",
        "Hong Kong": "HK",
        "Hungary": "HU",
        "Iceland": "IS",
        "India": "IN",
        "Indonesia": "ID",
        "Ireland": "IE",
        "Isle of Man": "IM",
        "Israel": "IL",
        "Italy": "IT",
        "Japan": "JP",
        "Jersey": "JE",
        "Jordan": "JO",
        "Kazakhstan": "KZ",
        "Kuwait": "KW",
        "Latvia": "LV",
        "Liechtenstein": "LI",
        "Lithuania": "LT",
        "Luxembourg": "LU",
        "Macau": "MO",
        "Malaysia": "MY",
        "Malta": "MT",
        "Mauritius": "MU",
        "Mexico": "MX",
        "Monaco": "MC",
        "Netherlands": "NL",
        "New Zealand": "NZ",
        "Nigeria": "NG",
        "Norway": "NO",
        "Panama": "PA",
        "Peru": "PE",
        "Philippines": "PH",
        "Poland": "PL",
        "Portugal": "PT",
        "Puerto Rico": "PR",
        "Qatar": "QA",
        "Romania": "RO",
        "Russia": "RU",
        "Saudi Arabia": "SA",
        "Singapore": "SG",
        "Slovenia": "SI",
        "South Africa": "ZA",
        "South Korea": "KR",
        "Spain": "ES",
        "Sweden": "SE",
        "Switzerland": "CH",
        "Taiwan": "TW",
        "Thailand": "TH",
        "Turkey": "TR",
        "Ukraine": "UA",
        "United Arab Emirates": "AE",
        "United Kingdom": "GB",
        "United States": "US",
        "Uruguay": "UY",
        "Vietnam": "VN",
    }
)
