"""How Finnhub names things: symbols, resolutions, security types, concepts of statements, figures in millions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from connectors.errors import FieldError, UnsupportedSymbol
from connectors.fields import shown
from connectors.records import AssetClass
from connectors.symbols import FOREX, PAIR, is_us, split_listing, split_pair, suffixed, unsuffixed, us_share
from connectors.venues import venue_by

SHARES: tuple[AssetClass, ...] = ("equity", "etf", "fund")

INTRADAY: Mapping[str, str] = MappingProxyType({"1m": "1", "5m": "5", "15m": "15", "30m": "30", "1h": "60"})
DAILY: Mapping[str, str] = MappingProxyType({"1d": "D", "1w": "W", "1mo": "M"})
RESOLUTIONS: Mapping[str, str] = MappingProxyType({code: interval for interval, code in {**INTRADAY, **DAILY}.items()})

BROKERS = frozenset({"OANDA", "FHFX", "FXCM", "FOREX.COM", "FXPRO", "PEPPERSTONE", "IC MARKETS", "ICM TRADER"})
"""Prefixes of forex symbols (https://finnhub.io/docs/api/forex-exchanges); any other is a crypto exchange."""

COINBASE_QUOTES = frozenset({"USD", "EUR", "GBP"})
BINANCE_QUOTES = frozenset({"USDT", "USDC", "BTC", "ETH", "BNB"})

ASSET_TYPES: Mapping[str, AssetClass] = MappingProxyType(
    {
        "ETP": "etf",
        "ETF": "etf",
        "Closed-End Fund": "fund",
        "Open-End Fund": "fund",
        "Mutual Fund": "fund",
        "Fund of Funds": "fund",
    }
)
"""OpenFIGI security types; the rest of them (ADR, REIT, Unit, PUBLIC for a preferred, ...) are shares."""

EXCHANGES: Mapping[str, str] = MappingProxyType(
    {
        "NASDAQ": "XNAS",
        "NEW YORK STOCK EXCHANGE": "XNYS",
        "NYSE MKT": "XASE",
        "NYSE AMERICAN": "XASE",
        "NYSE ARCA": "ARCX",
        "BATS": "BATS",
        "CBOE": "BATS",
        "OTC": "OOTC",
    }
)
"""How the names of exchanges in a profile begin (`NASDAQ NMS - GLOBAL MARKET`)."""

# -- symbols: AAPL, BRK.B, NOVO-B.CO, OANDA:EUR_USD, COINBASE:BTC-USD, BINANCE:ETHBTC ----------------------------------


def spell(symbol: str, asset_class: AssetClass) -> str:
    """`BRK.B` as it is, `OCDO.XLON` -> `OCDO.L`, `EUR/USD` -> `OANDA:EUR_USD`, `BTC-USD` -> `COINBASE:BTC-USD`.

    Coins against coins are Binance's. Raises `UnsupportedSymbol`.
    """
    if asset_class == "forex" and (match := FOREX.fullmatch(symbol)):
        return f"OANDA:{match['base']}_{match['quote']}"
    if asset_class == "crypto" and (match := PAIR.fullmatch(symbol)):
        if match["quote"] in COINBASE_QUOTES:
            return f"COINBASE:{symbol}"
        if match["quote"] in BINANCE_QUOTES and split_pair(match["base"] + match["quote"]) == match.groups():
            return f"BINANCE:{match['base']}{match['quote']}"
    if asset_class in SHARES:
        if split_listing(symbol) and (spelling := suffixed(symbol)):
            return spelling
        if is_us(symbol) and not venue_by("yahoo", symbol.rpartition(".")[2]):
            return symbol
    raise UnsupportedSymbol(
        f"finnhub cannot spell the {asset_class} {symbol!r}: it sells shares (AAPL, BRK.B, OCDO.XLON), EUR/USD, "
        f"and coins against {', '.join(sorted(COINBASE_QUOTES | BINANCE_QUOTES))}"
    )


def canonical(spelling: str, asset_class: AssetClass) -> tuple[str, AssetClass]:
    """Invert `spell`, whatever the broker or exchange before the colon. Raises `FieldError`."""
    exchange, colon, name = spelling.partition(":")
    found: tuple[str, AssetClass] | None = None
    if colon:
        found = _forex(name) if exchange.upper() in BROKERS else _crypto(name)
    elif asset_class in SHARES:
        abroad = "." in spelling and venue_by("yahoo", spelling.rpartition(".")[2])
        symbol = unsuffixed(spelling) if abroad else us_share(_unsigned(spelling))
        found = (symbol, asset_class) if symbol else None
    elif asset_class in {"forex", "crypto"}:
        found = _forex(spelling) if asset_class == "forex" else _crypto(spelling)
    if found is None:
        raise FieldError("symbol", f"{shown(spelling)} is no symbol of a known form or venue")
    return found


def _unsigned(spelling: str) -> str:
    """The search writes warrants and units as NASDAQ's platform does, `ABCD+`, `ABCD+A` and `ABCD=`."""
    return re.sub(r"=$", ".U", re.sub(r"\+(?=[A-Z]?$)", ".WS", spelling))


def _forex(name: str) -> tuple[str, AssetClass] | None:
    match = re.fullmatch(r"([A-Z]{3})[_/-]?([A-Z]{3})", name)
    return (f"{match[1]}/{match[2]}", "forex") if match else None


def _crypto(name: str) -> tuple[str, AssetClass] | None:
    base, separator, quote = re.sub("[/_]", "-", name).partition("-")
    pair = (base, quote) if separator else split_pair(name)
    symbol = "-".join(pair) if pair else ""
    return (symbol, "crypto") if PAIR.fullmatch(symbol) else None


# -- figures ---------------------------------------------------------------------------------------------------------

MILLIONS = frozenset(
    {
        "marketCapitalization",
        "enterpriseValue",
        "ev",
        "bookValue",
        "tangibleBookValue",
        "10DayAverageTradingVolume",
        "3MonthAverageTradingVolume",
        "revenueEmployeeAnnual",
        "revenueEmployeeTTM",
        "netIncomeEmployeeAnnual",
        "netIncomeEmployeeTTM",
    }
)
"""Metrics in millions, seen by size: the documentation gives no units. https://finnhub.io/docs/api/company-basic-financials."""

_BEFORE_TAX = "IncomeLossFromContinuingOperationsBeforeIncomeTaxes"
_CASH = "CashCashEquivalentsRestrictedCashAndRestrictedCashEquivalentsPeriodIncreaseDecreaseIncludingExchangeRateEffect"

INCOME: Mapping[str, str] = MappingProxyType(
    {
        "Revenues": "revenue",
        "RevenueFromContractWithCustomerExcludingAssessedTax": "revenue",
        "RevenueFromContractWithCustomerIncludingAssessedTax": "revenue",
        "SalesRevenueNet": "revenue",
        "CostOfRevenue": "cost_of_revenue",
        "CostOfGoodsAndServicesSold": "cost_of_revenue",
        "CostOfGoodsSold": "cost_of_revenue",
        "ResearchAndDevelopmentExpense": "research_and_development",
        "SellingGeneralAndAdministrativeExpense": "selling_general_and_administrative",
        "OperatingIncomeLoss": "operating_income",
        "InterestExpenseNonoperating": "interest_expense",
        "InterestExpenseDebt": "interest_expense",
        f"{_BEFORE_TAX}ExtraordinaryItemsNoncontrollingInterest": "income_before_tax",
        f"{_BEFORE_TAX}MinorityInterestAndIncomeLossFromEquityMethodInvestments": "income_before_tax",
        "IncomeTaxExpenseBenefit": "income_tax",
        "NetIncomeLoss": "net_income",
        "ProfitLoss": "net_income",
        "EarningsPerShareBasic": "eps_basic",
        "EarningsPerShareDiluted": "eps_diluted",
        "WeightedAverageNumberOfSharesOutstandingBasic": "shares_basic",
        "WeightedAverageNumberOfDilutedSharesOutstanding": "shares_diluted",
    }
)
BALANCE: Mapping[str, str] = MappingProxyType(
    {
        "CashAndCashEquivalentsAtCarryingValue": "cash_and_equivalents",
        "MarketableSecuritiesCurrent": "short_term_investments",
        "ShortTermInvestments": "short_term_investments",
        "AccountsReceivableNetCurrent": "receivables",
        "ReceivablesNetCurrent": "receivables",
        "InventoryNet": "inventory",
        "AssetsCurrent": "current_assets",
        "Assets": "total_assets",
        "AccountsPayableCurrent": "payables",
        "DebtCurrent": "short_term_debt",
        "LongTermDebtCurrent": "short_term_debt",
        "LiabilitiesCurrent": "current_liabilities",
        "LongTermDebtNoncurrent": "long_term_debt",
        "Liabilities": "total_liabilities",
        "RetainedEarningsAccumulatedDeficit": "retained_earnings",
        "StockholdersEquity": "total_equity",
        "StockholdersEquityIncludingPortionAttributableToNoncontrollingInterest": "total_equity",
        "CommonStockSharesOutstanding": "shares_outstanding",
    }
)
CASH_FLOW: Mapping[str, str] = MappingProxyType(
    {
        "NetCashProvidedByUsedInOperatingActivities": "operating_cash_flow",
        "DepreciationDepletionAndAmortization": "depreciation_and_amortization",
        "DepreciationAmortizationAndAccretionNet": "depreciation_and_amortization",
        "ShareBasedCompensation": "stock_based_compensation",
        "PaymentsToAcquirePropertyPlantAndEquipment": "capital_expenditure",
        "NetCashProvidedByUsedInInvestingActivities": "investing_cash_flow",
        "PaymentsOfDividends": "dividends_paid",
        "PaymentsOfDividendsCommonStock": "dividends_paid",
        "PaymentsForRepurchaseOfCommonStock": "share_repurchases",
        "NetCashProvidedByUsedInFinancingActivities": "financing_cash_flow",
        _CASH: "net_change_in_cash",
        "CashAndCashEquivalentsPeriodIncreaseDecrease": "net_change_in_cash",
    }
)
"""US GAAP concepts; of several for one name the first that a report holds is it, the others stay as they are."""
