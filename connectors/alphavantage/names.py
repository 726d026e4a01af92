"""How Alpha Vantage names things: its functions, fields and items, and the rows under its numbered names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal

from connectors import errors
from connectors.fields import iso_date, snake
from connectors.items import Item
from connectors.reading import Reading
from connectors.records import AssetClass

LISTED: tuple[AssetClass, ...] = ("equity", "etf", "fund")
INTRADAY = MappingProxyType({"1m": "1min", "5m": "5min", "15m": "15min", "30m": "30min", "1h": "60min"})
COMMODITIES = (
    *("WTI", "BRENT", "NATURAL_GAS", "COPPER", "ALUMINUM", "WHEAT"),
    *("CORN", "COTTON", "SUGAR", "COFFEE", "ALL_COMMODITIES"),
)
ANCHORS = MappingProxyType(
    {
        "GLOBAL_QUOTE": "latestprice",
        "CURRENCY_EXCHANGE_RATE": "currency-exchange",
        "TIME_SERIES_DAILY": "daily",
        "TIME_SERIES_DAILY_ADJUSTED": "dailyadj",
        "TIME_SERIES_WEEKLY": "weekly",
        "TIME_SERIES_WEEKLY_ADJUSTED": "weeklyadj",
        "TIME_SERIES_MONTHLY": "monthly",
        "TIME_SERIES_MONTHLY_ADJUSTED": "monthlyadj",
        "TIME_SERIES_INTRADAY": "intraday",
        "DIGITAL_CURRENCY_DAILY": "currency-daily",
        "DIGITAL_CURRENCY_WEEKLY": "currency-weekly",
        "DIGITAL_CURRENCY_MONTHLY": "currency-monthly",
        "OVERVIEW": "company-overview",
        "SYMBOL_SEARCH": "symbolsearch",
    }
)
ITEMS = MappingProxyType(
    {
        "totalRevenue": "revenue",
        "costofGoodsAndServicesSold": "cost_of_goods_and_services_sold",
        "incomeTaxExpense": "income_tax",
        "cashAndCashEquivalentsAtCarryingValue": "cash_and_equivalents",
        "currentNetReceivables": "receivables",
        "totalCurrentAssets": "current_assets",
        "currentAccountsPayable": "payables",
        "totalCurrentLiabilities": "current_liabilities",
        "totalShareholderEquity": "total_equity",
        "commonStockSharesOutstanding": "shares_outstanding",
        "operatingCashflow": "operating_cash_flow",
        "depreciationDepletionAndAmortization": "depreciation_and_amortization",
        "capitalExpenditures": "capital_expenditure",
        "cashflowFromInvestment": "investing_cash_flow",
        "cashflowFromFinancing": "financing_cash_flow",
        "dividendPayout": "dividends_paid",
        "paymentsForRepurchaseOfCommonStock": "share_repurchases",
        "changeInCashAndCashEquivalents": "net_change_in_cash",
    }
)
RATINGS = MappingProxyType(
    {
        "AnalystRatingStrongBuy": "strong_buy",
        "AnalystRatingBuy": "buy",
        "AnalystRatingHold": "hold",
        "AnalystRatingSell": "sell",
        "AnalystRatingStrongSell": "strong_sell",
    }
)
NO_METRIC = frozenset({"CIK", "SharesOutstanding", "MarketCapitalization", "AnalystTargetPrice", *RATINGS})
ASSET_TYPES: Mapping[str, AssetClass] = MappingProxyType(
    {"Stock": "equity", "Equity": "equity", "ETF": "etf", "Mutual Fund": "fund"}
)
TIMES_OF_DAY: Mapping[str | None, Literal["bmo", "amc"]] = MappingProxyType({"pre-market": "bmo", "post-market": "amc"})


def is_csv(reading: Reading) -> bool:
    """Distinguish CSV from JSON: a refusal is JSON even where CSV was asked."""
    return reading.answer.body.lstrip()[:1] not in (b"{", b"[")


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """`{"05. previous close": ...}` and `{"previousClose": ...}` alike become `{"previous_close": ...}`."""
    return {_name(key): value for key, value in row.items()}


@lru_cache(maxsize=512)
def _name(key: str) -> str:
    return snake(re.sub(r"^\d+[a-z]?\. ", "", key))


def table(
    reading: Reading, read: Callable[[dict[str, Any]], Item | None], *columns: str, member: str
) -> Iterator[Item]:
    """Read the rows of a CSV with `columns`, or of a JSON object's `member`; their names are plain."""
    rows = reading.csv(*columns) if is_csv(reading) else reading.json[member]
    yield from reading.rows(rows, lambda row: read(plain(row)))


def day(row: Mapping[str, Any], name: str) -> str:
    """Read a date that a record cannot be without. Raises `FieldError`."""
    if (found := iso_date(row[name])) is None:
        raise errors.FieldError("date", f"{name} is absent")
    return found
