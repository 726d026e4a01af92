"""How EODHD names things: exchanges, symbols, instrument types, statement items. Data and two pure mappings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from connectors.calls import Call
from connectors.coins import NUMBERS, TICKERS
from connectors.errors import FieldError, OutOfScope, UnsupportedCall, UnsupportedSymbol
from connectors.fields import shown
from connectors.records import AssetClass, FiscalPeriod
from connectors.symbols import FOREX, PAIR, dashed, listing, split_listing, us_share
from connectors.venues import BY_MIC, us_exchange, venue_by

StatementKind = Literal["income", "balance", "cash_flow"]
MetricsKind = Literal["key_metrics", "ratios", "etf"]
TimeOfDay = Literal["bmo", "amc"]

PERIODS = MappingProxyType({"1d": "d", "1w": "w", "1mo": "m"})

MARKETS: Mapping[AssetClass, str] = MappingProxyType(
    {"crypto": "CC", "forex": "FOREX", "index": "INDX", "commodity": "COMM"}
)
"""Virtual exchanges: https://eodhd.com/financial-apis/list-supported-exchanges."""

US_PARTS = MappingProxyType({"XNAS": "NASDAQ", "XNYS": "NYSE", "XASE": "NYSE MKT", "ARCX": "NYSE ARCA", "BATS": "BATS"})
"""Parts of the one exchange `US` that can be listed on their own."""

US_NAMES = frozenset(
    {"US", "AMEX", "PINK", "NMFQS", "OTC", "OTCQB", "OTCQX", "OTCBB", "OTCMKTS", "OTCGREY", "OTCCE", *US_PARTS.values()}
)
"""What `Exchange` says of a US listing; all of them are spelled `.US`."""

ASSET_TYPES: Mapping[str, AssetClass] = MappingProxyType(
    {
        "common stock": "equity",
        "preferred stock": "equity",
        "preferred share": "equity",
        "adr": "equity",
        "unit": "equity",
        "warrant": "equity",
        "etf": "etf",
        "etc": "etf",
        "etn": "etf",
        "fund": "fund",
        "mutual fund": "fund",
        "index": "index",
        "indx": "index",
        "crypto": "crypto",
        "currency": "forex",  # crypto too: the exchange CC tells them apart
        "commodity": "commodity",
        "futures": "commodity",
    }
)
"""`Type` of a listing; bonds, rates, notes and certificates are none of our asset classes."""

INCOME = MappingProxyType(
    {
        "totalRevenue": "revenue",
        "researchDevelopment": "research_and_development",
        "sellingGeneralAdministrative": "selling_general_and_administrative",
        "totalOperatingExpenses": "operating_expenses",
        "incomeTaxExpense": "income_tax",
    }
)
BALANCE = MappingProxyType(
    {
        "cash": "cash_and_equivalents",
        "netReceivables": "receivables",
        "totalCurrentAssets": "current_assets",
        "accountsPayable": "payables",
        "totalCurrentLiabilities": "current_liabilities",
        "totalLiab": "total_liabilities",
        "totalStockholderEquity": "total_equity",
        "commonStockSharesOutstanding": "shares_outstanding",
    }
)
CASH_FLOW = MappingProxyType(
    {
        "totalCashFromOperatingActivities": "operating_cash_flow",
        "depreciation": "depreciation_and_amortization",
        "capitalExpenditures": "capital_expenditure",
        "totalCashflowsFromInvestingActivities": "investing_cash_flow",
        "totalCashFromFinancingActivities": "financing_cash_flow",
        "changeInCash": "net_change_in_cash",
    }
)
STATEMENTS: tuple[tuple[str, StatementKind, Mapping[str, str]], ...] = (
    ("Income_Statement", "income", INCOME),
    ("Balance_Sheet", "balance", BALANCE),
    ("Cash_Flow", "cash_flow", CASH_FLOW),
)
NO_ITEMS = frozenset({"date", "filing_date", "currency_symbol"})
OUTFLOWS = frozenset({"capital_expenditure", "dividends_paid"})  # their sign has changed over the years

KEY_METRICS = ("Highlights", "SharesStats", "Technicals", "SplitsDividends")
METRICS: tuple[tuple[MetricsKind, tuple[str, ...]], ...] = (
    ("key_metrics", KEY_METRICS),
    ("ratios", ("Valuation",)),
    ("etf", ("ETF_Data", "MutualFund_Data")),
)
ESTIMATE_PERIODS: Mapping[str, FiscalPeriod] = MappingProxyType({"q": "Q", "y": "FY"})
RATINGS = MappingProxyType(
    {"StrongBuy": "strong_buy", "Buy": "buy", "Hold": "hold", "Sell": "sell", "StrongSell": "strong_sell"}
)
ROLES = MappingProxyType(
    {"is_director": "Director", "is_officer": "Officer", "is_ten_percent_owner": "10% Owner", "is_other": "Other"}
)
TIMES_OF_DAY: Mapping[object, TimeOfDay] = MappingProxyType({"BeforeMarket": "bmo", "AfterMarket": "amc"})
SECTIONS = frozenset(
    {"General", "Financials", "Earnings", "AnalystRatings", "InsiderTransactions", "Components"}
    | {section for _, sections in METRICS for section in sections}
)
"""Sections of a fundamentals document that say what it is one."""
OTHER_SECTIONS = frozenset(
    {
        *("Holders", "ESGScores", "outstandingShares", "HistoricalTickerComponents"),
        *("Tech", "Resources", "Statistics"),
    }
)
"""Sections that are documented and not read."""

_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}\d")
_TICKER = re.compile(r"[A-Z0-9][A-Z0-9&-]{0,15}")


def spell(symbol: str, asset_class: AssetClass) -> str:
    """`BRK.B` -> `BRK-B.US`, `NOVO.B.XCSE` -> `NOVO-B.CO`, `EUR/USD` -> `EURUSD.FOREX`. Raises `UnsupportedSymbol`."""
    match asset_class:
        case "crypto" if (coins := PAIR.fullmatch(symbol)) and coins["base"] not in NUMBERS:
            spelled = f"{symbol}.CC"
        case "forex" if found := FOREX.fullmatch(symbol):
            spelled = f"{found['base']}{found['quote']}.FOREX"
        case "index" if re.fullmatch(r"\^[A-Z0-9-]+", symbol):
            spelled = f"{symbol[1:]}.INDX"
        case "commodity" if re.fullmatch(r"[A-Z0-9]{1,6}", symbol):
            spelled = f"{symbol}.COMM"
        case "fund" if _ISIN.fullmatch(symbol):
            spelled = f"{symbol}.EUFUND"
        case "equity" | "etf" | "fund" if code := dashed(symbol):
            listed = split_listing(symbol)
            exchange = listed[1].eodhd if listed else "US"
            spelled = f"{code}.{exchange}" if exchange else ""
        case _:
            spelled = ""
    if not spelled:
        raise UnsupportedSymbol(
            f"eodhd cannot spell the {asset_class} {symbol!r}", "it is of no form or exchange that it sells"
        )
    return spelled


def canonical(spelling: str, asset_class: AssetClass) -> tuple[str, AssetClass]:
    """`BRK-B.US` -> (`BRK.B`, as asked), `BTC-USD.CC` -> (`BTC-USD`, crypto). Raises `FieldError`.

    A bare code is a US listing; `EUR.FOREX` is the dollar's rate, `USD/EUR`.
    """
    code, dot, suffix = spelling.rpartition(".")
    if not dot:
        code, suffix = spelling, "US"
    if suffix == "FOREX" and re.fullmatch(r"[A-Z]{3}|[A-Z]{6}", code):
        pair = code if len(code) == 6 else f"USD{code}"
        return f"{pair[:3]}/{pair[3:]}", "forex"
    if suffix == "CC" and (coins := PAIR.fullmatch(code)):
        base = coins["base"]
        if base in NUMBERS:
            raise OutOfScope(f"{shown(spelling)} may be any of several coins of that ticker")
        return f"{TICKERS.get(base, base)}-{coins['quote']}", "crypto"
    if re.search(r"_OLD\d*$", code):
        raise OutOfScope(f"{shown(spelling)} is the code of a company whose ticker another one bears now")
    if not _TICKER.fullmatch(code) or suffix in {"FOREX", "CC"}:
        raise FieldError("symbol", f"{shown(spelling)} is no ticker of a known form")
    if suffix in {"INDX", "COMM"}:
        return (f"^{code}", "index") if suffix == "INDX" else (code, "commodity")
    if suffix == "EUFUND":
        return code, "fund"
    kind = asset_class if asset_class in {"equity", "etf", "fund"} else "equity"
    venue = venue_by("eodhd", suffix)
    symbol = us_share(code) if suffix in US_NAMES else listing(code, venue) if venue else None
    if symbol is None:
        raise FieldError("symbol", f"{shown(spelling)} is no ticker of a known form, or of an exchange of unknown MIC")
    return symbol, kind


def exchange_code(call: Call) -> str:
    """Return the exchange code of a whole-market call; all of the US by default. Raises `UnsupportedCall`."""
    if market := MARKETS.get(call.asset_class):
        return market
    mic = call.exchange or "US"
    venue = BY_MIC.get(mic)
    if code := venue.eodhd if venue else US_PARTS.get(mic, "US" if mic == "US" else ""):
        return code
    raise UnsupportedCall(f"eodhd does not sell the exchange {mic!r}: give a MIC it has, or none for the US")


def place(name: str | None) -> tuple[str | None, str | None]:
    """Return (MIC, or the provider's code where none is known; country) of an exchange's code or name."""
    if name is None or name in MARKETS.values():
        return name, None
    if venue := venue_by("eodhd", name):
        return venue.mic, venue.country
    return us_exchange(name), "US" if name in US_NAMES else None
