"""Polygon's endpoints of companies: statements, ratios, insiders, news, profiles, the universe."""

from __future__ import annotations

from connectors.endpoints import Endpoint, Facts, endpoint, with_market
from connectors.polygon import company, filings
from connectors.polygon import requests as ask
from connectors.polygon.names import ALL, DOCS, TRADED

STATEMENTS = Facts(
    dataset="statements",
    build=ask.listed("period_end", ticker_name="tickers"),
    asset_classes=("equity",),
    periods=("annual", "quarterly", "ttm"),
    rows=1000,
    plan="financials and ratios",
)
UNASKED = Facts(routed=False)
"""Retired versions: read when somebody else asked."""

COMPANIES: tuple[Endpoint, ...] = (
    endpoint(
        "income_statements",
        STATEMENTS,
        path="/stocks/financials/v1/income-statements",
        parse=filings.statements("income"),
        kinds=("income",),
        docs=f"{DOCS}/rest/stocks/fundamentals/income-statements",
    ),
    endpoint(
        "balance_sheets",
        STATEMENTS,
        path="/stocks/financials/v1/balance-sheets",
        parse=filings.statements("balance"),
        kinds=("balance",),
        periods=("annual", "quarterly"),
        docs=f"{DOCS}/rest/stocks/fundamentals/balance-sheets",
    ),
    endpoint(
        "cash_flow_statements",
        STATEMENTS,
        path="/stocks/financials/v1/cash-flow-statements",
        parse=filings.statements("cash_flow"),
        kinds=("cash_flow",),
        docs=f"{DOCS}/rest/stocks/fundamentals/cash-flow-statements",
    ),
    endpoint(
        "ratios",
        dataset="metrics",
        path="/stocks/financials/v1/ratios",
        build=ask.ticker,
        parse=filings.parse_ratios,
        asset_classes=("equity",),
        kinds=("ratios",),
        latest=True,
        plan="financials and ratios",
        docs=f"{DOCS}/rest/stocks/fundamentals/ratios",
    ),
    *with_market(
        endpoint(
            "form4",
            dataset="insider",
            path="/stocks/filings/vX/form-4",
            build=ask.listed("transaction_date", ticker_name="tickers"),
            parse=filings.parse_form4,
            asset_classes=("equity",),
            rows=1000,
            docs=f"{DOCS}/rest/stocks/filings/form-4",
        ),
        "all_form4",
    ),
    # deprecated in favour of the statements above
    endpoint(
        "financials",
        UNASKED,
        dataset="statements",
        path="/vX/reference/financials",
        build=ask.listed("period_of_report_date", 100),
        parse=company.parse_filings,
        rows=100,
        docs=f"{DOCS}/stocks/get_vx_reference_financials",
    ),
    endpoint(
        "financials_v2",
        UNASKED,
        dataset="statements",
        path="/v2/reference/financials/{ticker}",
        build=ask.ticker,
        parse=company.parse_flat_filings,
        docs=f"{DOCS}/stocks/get_vx_reference_financials",
    ),
    *with_market(
        endpoint(
            "news",
            dataset="news",
            path="/v2/reference/news",
            build=ask.listed("published_utc"),
            parse=company.parse_news,
            asset_classes=TRADED,
            rows=1000,
            docs=f"{DOCS}/stocks/get_v2_reference_news",
        ),
        "all_news",
    ),
    endpoint(
        "ticker_details",
        dataset="profile",
        path="/v3/reference/tickers/{ticker}",
        build=ask.ticker,
        parse=company.parse_profile,
        latest=True,
        docs=f"{DOCS}/stocks/get_v3_reference_tickers__ticker",
    ),
    endpoint(
        "company",
        UNASKED,
        dataset="profile",
        path="/v1/meta/symbols/{ticker}/company",
        build=ask.ticker,
        parse=company.parse_profile,
        latest=True,
        docs=f"{DOCS}/stocks/get_v3_reference_tickers__ticker",
    ),
    endpoint(
        "tickers",
        dataset="assets",
        path="/v3/reference/tickers",
        build=ask.universe,
        parse=company.parse_tickers,
        asset_classes=ALL,
        batch=0,
        rows=1000,
        docs=f"{DOCS}/stocks/get_v3_reference_tickers",
    ),
    endpoint(
        "tickers_v2",
        UNASKED,
        dataset="assets",
        path="/v2/reference/tickers",
        build=ask.universe,
        parse=company.parse_tickers_v2,
        batch=0,
        docs=f"{DOCS}/stocks/get_v3_reference_tickers",
    ),
)
