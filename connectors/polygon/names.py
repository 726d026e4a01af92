"""How Polygon names things: intervals, markets, asset types, statement items. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from connectors.records import AssetClass, FiscalPeriod, Period

DOCS = "https://massive.com/docs"
Statement = Literal["income", "balance", "cash_flow"]

SHARES: tuple[AssetClass, ...] = ("equity", "etf")
PAIRS: tuple[AssetClass, ...] = ("crypto", "forex")
TRADED: tuple[AssetClass, ...] = (*SHARES, *PAIRS)
ALL: tuple[AssetClass, ...] = (*TRADED, "index")

SPANS: Mapping[str, str] = MappingProxyType(
    {
        "1m": "1/minute",
        "5m": "5/minute",
        "15m": "15/minute",
        "30m": "30/minute",
        "1h": "1/hour",
        "4h": "4/hour",
        "1d": "1/day",
        "1w": "1/week",
        "1mo": "1/month",
    }
)

MARKETS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "equity": ("us", "stocks", "stocks"),
        "etf": ("us", "stocks", "stocks"),
        "crypto": ("global", "crypto", "crypto"),
        "forex": ("global", "forex", "fx"),
        "index": ("us", "indices", "indices"),
    }
)
"""Locale of an asset class, its market in the snapshots' paths, and its market everywhere else."""

ASSET_TYPES: Mapping[str | None, AssetClass] = MappingProxyType(
    {"ETF": "etf", "ETN": "etf", "ETV": "etf", "ETS": "etf", "FUND": "fund", "INDEX": "index"}
)
"""https://massive.com/docs/stocks/get_v3_reference_tickers_types; what is not named here is as asked."""
OUTSIDE = frozenset({"BOND", "AGEN", "EQLK"})

PERIODS: Mapping[str, FiscalPeriod] = MappingProxyType(
    {"FY": "FY", "TTM": "TTM", "Q1": "Q1", "Q2": "Q2", "Q3": "Q3", "Q4": "Q4", "Y": "FY", "T": "TTM", "Q": "Q"}
)
"""Fiscal periods; those of one letter are the retired v2's, whose YA, TA and QA are restated."""

SECTIONS: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {
        "income_statement": (
            "income",
            {
                "revenues": "revenue",
                "selling_general_and_administrative_expenses": "selling_general_and_administrative",
                "operating_income_loss": "operating_income",
                "interest_expense_operating": "interest_expense",
                "income_loss_from_continuing_operations_before_tax": "income_before_tax",
                "income_tax_expense_benefit": "income_tax",
                "net_income_loss_attributable_to_parent": "net_income",
                "basic_earnings_per_share": "eps_basic",
                "diluted_earnings_per_share": "eps_diluted",
                "basic_average_shares": "shares_basic",
                "diluted_average_shares": "shares_diluted",
            },
        ),
        "balance_sheet": (
            "balance",
            {
                "assets": "total_assets",
                "cash": "cash_and_equivalents",
                "accounts_receivable": "receivables",
                "accounts_payable": "payables",
                "liabilities": "total_liabilities",
                "equity": "total_equity",
            },
        ),
        "cash_flow_statement": (
            "cash_flow",
            {
                "net_cash_flow_from_operating_activities": "operating_cash_flow",
                "net_cash_flow_from_investing_activities": "investing_cash_flow",
                "net_cash_flow_from_financing_activities": "financing_cash_flow",
                "net_cash_flow": "net_change_in_cash",
            },
        ),
    }
)

FLAT: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "income": {
            "revenues": "revenue",
            "costOfRevenue": "cost_of_revenue",
            "grossProfit": "gross_profit",
            "researchAndDevelopmentExpense": "research_and_development",
            "sellingGeneralAndAdministrativeExpense": "selling_general_and_administrative",
            "operatingExpenses": "operating_expenses",
            "operatingIncome": "operating_income",
            "interestExpense": "interest_expense",
            "earningsBeforeTax": "income_before_tax",
            "incomeTaxExpense": "income_tax",
            "netIncome": "net_income",
            "earningsPerBasicShare": "eps_basic",
            "earningsPerDilutedShare": "eps_diluted",
            "weightedAverageShares": "shares_basic",
            "weightedAverageSharesDiluted": "shares_diluted",
            "earningsBeforeInterestTaxesDepreciationAmortization": "ebitda",
        },
        "balance": {
            "cashAndEquivalents": "cash_and_equivalents",
            "investmentsCurrent": "short_term_investments",
            "tradeAndNonTradeReceivables": "receivables",
            "inventory": "inventory",
            "assetsCurrent": "current_assets",
            "assets": "total_assets",
            "tradeAndNonTradePayables": "payables",
            "debtCurrent": "short_term_debt",
            "currentLiabilities": "current_liabilities",
            "debtNonCurrent": "long_term_debt",
            "totalLiabilities": "total_liabilities",
            "accumulatedRetainedEarningsDeficit": "retained_earnings",
            "shareholdersEquity": "total_equity",
            "shares": "shares_outstanding",
        },
        "cash_flow": {
            "netCashFlowFromOperations": "operating_cash_flow",
            "depreciationAmortizationAndAccretion": "depreciation_and_amortization",
            "shareBasedCompensation": "stock_based_compensation",
            "capitalExpenditure": "capital_expenditure",
            "netCashFlowFromInvesting": "investing_cash_flow",
            "paymentDividendsOtherCashDistributions": "dividends_paid",
            "netCashFlowFromFinancing": "financing_cash_flow",
            "freeCashFlow": "free_cash_flow",
            "netCashFlow": "net_change_in_cash",
        },
    }
)
"""The retired v2 has one flat object with all statements and many ratios: only these belong to a statement."""

SHEETS: Mapping[Statement, Mapping[str, str]] = MappingProxyType(
    {
        "income": {
            "research_development": "research_and_development",
            "selling_general_administrative": "selling_general_and_administrative",
            "total_operating_expenses": "operating_expenses",
            "income_before_income_taxes": "income_before_tax",
            "income_taxes": "income_tax",
            "net_income_loss_attributable_common_shareholders": "net_income",
            "basic_earnings_per_share": "eps_basic",
            "diluted_earnings_per_share": "eps_diluted",
            "basic_shares_outstanding": "shares_basic",
            "diluted_shares_outstanding": "shares_diluted",
        },
        "balance": {
            "inventories": "inventory",
            "total_current_assets": "current_assets",
            "accounts_payable": "payables",
            "debt_current": "short_term_debt",
            "total_current_liabilities": "current_liabilities",
            "long_term_debt_and_capital_lease_obligations": "long_term_debt",
            "retained_earnings_deficit": "retained_earnings",
        },
        "cash_flow": {
            "net_cash_from_operating_activities": "operating_cash_flow",
            "depreciation_depletion_and_amortization": "depreciation_and_amortization",
            "purchase_of_property_plant_and_equipment": "capital_expenditure",
            "net_cash_from_investing_activities": "investing_cash_flow",
            "dividends": "dividends_paid",
            "net_cash_from_financing_activities": "financing_cash_flow",
            "change_in_cash_and_equivalents": "net_change_in_cash",
        },
    }
)
"""Items of the statements of 2026, one flat row for each; what is not named here has our name or stays as it is."""
NO_ITEMS = frozenset({"tickers", "ticker", "cik", "period_end", "filing_date", "fiscal_year", "fiscal_quarter", "date"})
TIMEFRAMES: Mapping[Period, str] = MappingProxyType(
    {"annual": "annual", "quarterly": "quarterly", "ttm": "trailing_twelve_months"}
)
ROLES: Mapping[str, str] = MappingProxyType(
    {"is_director": "Director", "is_officer": "Officer", "is_ten_percent_owner": "10% Owner", "is_other": "Other"}
)
