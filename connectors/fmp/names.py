"""How Financial Modeling Prep names things: symbols, intervals, asset classes of exchanges, statement items."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from connectors.errors import FieldError, UnsupportedSymbol
from connectors.fields import shown, text
from connectors.records import AssetClass, Envelope
from connectors.symbols import FOREX, PAIR, split_listing, suffixed, unsuffixed
from connectors.venues import us_exchange

DOCS = "https://site.financialmodelingprep.com/developer/docs/stable"

EQUITY: tuple[AssetClass, ...] = ("equity",)
SHARES: tuple[AssetClass, ...] = ("equity", "etf", "fund")
UNADJUSTED: tuple[AssetClass, ...] = ("crypto", "forex", "commodity", "index")
ALL: tuple[AssetClass, ...] = (*SHARES, *UNADJUSTED)

INTRADAY: Mapping[str, str] = MappingProxyType(
    {"1m": "1min", "5m": "5min", "15m": "15min", "30m": "30min", "1h": "1hour", "4h": "4hour"}
)
INTERVALS: Mapping[str, str] = MappingProxyType({code: interval for interval, code in INTRADAY.items()})

EXCHANGE_CLASSES: Mapping[str, AssetClass] = MappingProxyType(
    {"CRYPTO": "crypto", "CCC": "crypto", "FOREX": "forex", "COMMODITY": "commodity", "INDEX": "index"}
)
"""Exchanges that are none: they tell the asset class of a search result."""

CRYPTO_QUOTES = frozenset({"USD", "EUR", "GBP", "JPY", "AUD", "CAD", "CHF", "KRW", "BTC", "ETH"})
"""Always three letters: `USDCUSD` is USDC in USD, `BNBUSD` is BNB in USD."""

OTHER_COINS = frozenset({"XCN"})
"""Tickers that cryptocurrency-list gives to another coin than exchanges do: XCN is Cryptonite there."""

CENTS = frozenset({"CT", "GF", "HE", "KC", "KE", "LE", "OJ", "SB", "ZC", "ZL", "ZO", "ZS"})
"""Futures quoted in US cents, spelled with USX: https://site.financialmodelingprep.com/developer/docs/stable/commodities-list."""

INDEX = re.compile(r"\^[A-Z0-9.\-]{1,15}|[A-Z0-9\-]{1,12}\.[A-Z]{2,3}")  # few come without a caret: 000001.SS

# -- symbols: AAPL, BRK-B, OCDO.L, BTCUSD, EURUSD, GCUSD, ZOUSX, ^GSPC -----------------------------------------------


def spell(symbol: str, asset_class: AssetClass) -> str:
    """`BRK.B` -> `BRK-B`, `OCDO.XLON` -> `OCDO.L`, `BTC-USD` -> `BTCUSD`, `GC` -> `GCUSD`, `ZO` -> `ZOUSX`.

    Raises `UnsupportedSymbol`.
    """
    coins = PAIR.fullmatch(symbol) if asset_class == "crypto" else None
    if coins and coins["quote"] in CRYPTO_QUOTES and coins["base"] not in OTHER_COINS:
        return coins["base"] + coins["quote"]
    if asset_class == "forex" and (match := FOREX.fullmatch(symbol)):
        return match["base"] + match["quote"]
    if asset_class == "commodity" and re.fullmatch(r"[A-Z0-9]{1,5}", symbol):
        return symbol + ("USX" if symbol in CENTS else "USD")
    if asset_class == "index" and INDEX.fullmatch(symbol):
        return symbol
    if asset_class in SHARES and (spelling := suffixed(symbol)):
        return spelling
    raise UnsupportedSymbol(
        f"fmp cannot spell the {asset_class} {symbol!r}",
        f"it sells shares (AAPL, BRK.B, OCDO.XLON), BTC-USD against "
        f"{', '.join(sorted(CRYPTO_QUOTES))}, EUR/USD, futures by root (GC) and indices (^GSPC)",
    )


def canonical(spelling: str, asset_class: AssetClass) -> tuple[str, AssetClass]:
    """Invert `spell`; the asset class asked for separates `BTCUSD`, `EURUSD` and `GCUSD`. Raises `FieldError`."""
    base, quote = spelling[:-3], spelling[-3:]
    found: str | None = None
    if asset_class == "crypto":
        found = f"{base}-{quote}" if quote in CRYPTO_QUOTES else None
        found = found if found and PAIR.fullmatch(found) else None
    elif asset_class == "forex":
        found = f"{base}/{quote}" if FOREX.fullmatch(f"{base}/{quote}") else None
    elif asset_class == "commodity":
        found = base if quote in {"USD", "USX"} and re.fullmatch(r"[A-Z0-9]{1,5}", base) else None
    elif asset_class == "index":
        found = spelling if INDEX.fullmatch(spelling) else None
    else:
        found = unsuffixed(spelling)
    if found is None:
        raise FieldError("symbol", f"{shown(spelling)} is no {asset_class} of a known form or venue")
    return found, asset_class


def exchange_mic(symbol: str, code: Any) -> str | None:
    """Return the MIC of a listing: abroad its symbol carries the venue, in the US `code` names it."""
    listing = split_listing(symbol)
    return listing[1].mic if listing else us_exchange(text(code))


def share_class(row: Mapping[str, Any]) -> AssetClass | None:
    """Return `etf` or `fund` where the row's flags say so; None of all else."""
    return "etf" if row.get("isEtf") is True else "fund" if row.get("isFund") is True else None


def pair_currency(envelope: Envelope) -> str | None:
    """Return the currency that a symbol says: that of a pair, US dollars of a future; None of a share."""
    if envelope["asset_class"] in {"crypto", "forex"}:
        return envelope["symbol"][-3:]
    return "USD" if envelope["asset_class"] == "commodity" else None


# -- statements ------------------------------------------------------------------------------------------------------

INCOME: Mapping[str, str] = MappingProxyType(
    {
        "researchAndDevelopmentExpenses": "research_and_development",
        "sellingGeneralAndAdministrativeExpenses": "selling_general_and_administrative",
        "incomeTaxExpense": "income_tax",
        "eps": "eps_basic",
        "epsdiluted": "eps_diluted",
        "weightedAverageShsOut": "shares_basic",
        "weightedAverageShsOutDil": "shares_diluted",
    }
)
BALANCE: Mapping[str, str] = MappingProxyType(
    {
        "cashAndCashEquivalents": "cash_and_equivalents",
        "netReceivables": "receivables",
        "totalCurrentAssets": "current_assets",
        "accountPayables": "payables",
        "totalCurrentLiabilities": "current_liabilities",
    }
)
CASH_FLOW: Mapping[str, str] = MappingProxyType(
    {
        "netCashProvidedByInvestingActivities": "investing_cash_flow",
        "netCashUsedForInvestingActivites": "investing_cash_flow",
        "netDividendsPaid": "dividends_paid",
        "dividendsPaid": "dividends_paid",
        "commonStockRepurchased": "share_repurchases",
        "netCashProvidedByFinancingActivities": "financing_cash_flow",
        "netCashUsedProvidedByFinancingActivities": "financing_cash_flow",
    }
)
NO_ITEMS = frozenset(
    {
        "symbol",
        "date",
        "cik",
        "period",
        "fiscalYear",
        "calendarYear",
        "filingDate",
        "fillingDate",
        "acceptedDate",
        "reportedCurrency",
        "link",
        "finalLink",
    }
)
"""Keys of statements and metrics that are no figures; those spelled otherwise are the retired v3's."""
