"""Financial Modeling Prep's v3 API, closed to keys made after August 2025: read, never asked."""

from __future__ import annotations

from connectors.endpoints import Endpoint, Facts, endpoint
from connectors.fmp import company, market
from connectors.fmp import requests as ask
from connectors.fmp.names import ALL, BALANCE, CASH_FLOW, INCOME, INTRADAY
from connectors.fmp.rows import each

V3 = Facts(
    build=ask.one,
    asset_classes=ALL,
    routed=False,
    docs="https://site.financialmodelingprep.com/developer/docs",
)
BARS = V3 | Facts(dataset="bars", adjustments=("split",))
ACTIONS = V3 | Facts(dataset="actions")
STATEMENTS = V3 | Facts(dataset="statements")

RETIRED: tuple[Endpoint, ...] = (
    endpoint("v3_quote", V3, dataset="quote", path="/api/v3/quote/{symbol}", parse=each(market.quote), latest=True),
    endpoint(
        "v3_historical_price_full",
        BARS,
        path="/api/v3/historical-price-full/{symbol}",
        parse=market.retired_daily,
        intervals={"1d": "1d"},
    ),
    endpoint(
        "v3_historical_chart",
        BARS,
        path="/api/v3/historical-chart/{interval}/{symbol}",
        parse=market.intraday,
        intervals=INTRADAY,
    ),
    endpoint(
        "v3_historical_price_full_stock_dividend",
        ACTIONS,
        path="/api/v3/historical-price-full/stock_dividend/{symbol}",
        parse=each(market.dividend),
    ),
    endpoint(
        "v3_historical_price_full_stock_split",
        ACTIONS,
        path="/api/v3/historical-price-full/stock_split/{symbol}",
        parse=each(market.split),
    ),
    endpoint("v3_profile", V3, dataset="profile", path="/api/v3/profile/{symbol}", parse=each(company.profile)),
    endpoint(
        "v3_income_statement",
        STATEMENTS,
        path="/api/v3/income-statement/{symbol}",
        parse=company.statements("income", INCOME),
    ),
    endpoint(
        "v3_balance_sheet_statement",
        STATEMENTS,
        path="/api/v3/balance-sheet-statement/{symbol}",
        parse=company.statements("balance", BALANCE),
    ),
    endpoint(
        "v3_cash_flow_statement",
        STATEMENTS,
        path="/api/v3/cash-flow-statement/{symbol}",
        parse=company.statements("cash_flow", CASH_FLOW),
    ),
)
