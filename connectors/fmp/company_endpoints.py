"""Financial Modeling Prep's endpoints of companies: facts, statements, analysts, insiders, news."""

from __future__ import annotations

from connectors.calls import DAY_MS
from connectors.endpoints import Endpoint, Facts, endpoint
from connectors.fmp import company
from connectors.fmp import requests as ask
from connectors.fmp.names import BALANCE, CASH_FLOW, DOCS, EQUITY, INCOME, SHARES
from connectors.fmp.rows import each, paged

OF_SYMBOL = Facts(build=ask.one)
CALENDAR = Facts(build=ask.between, batch=0, span_ms={"": 30 * DAY_MS}, rows=4000)
"""A whole market's events, past and announced."""
BY_PERIOD = Facts(build=ask.period, rows=1000, history="5 periods on the free plan")
STATEMENTS = Facts(dataset="statements")
METRICS = Facts(dataset="metrics")
NEWS = Facts(
    dataset="news", build=ask.feed(250), parse=paged(company.news, "publishedDate", 250), rows=250, plan="starter"
)
INSIDER = Facts(
    dataset="insider",
    build=ask.feed(1000, dated=False),
    parse=paged(each(company.insider), "filingDate", 1000),
    asset_classes=EQUITY,
    rows=1000,
)
RATINGS = OF_SYMBOL | Facts(dataset="recommendations")

COMPANIES: tuple[Endpoint, ...] = (
    endpoint(
        "profile",
        OF_SYMBOL,
        dataset="profile",
        path="/profile",
        parse=each(company.profile),
        asset_classes=SHARES,
        latest=True,
        docs=f"{DOCS}/profile-symbol",
    ),
    endpoint(
        "income_statement",
        STATEMENTS,
        BY_PERIOD,
        path="/income-statement",
        parse=company.statements("income", INCOME),
        kinds=("income",),
        docs=f"{DOCS}/income-statement",
    ),
    endpoint(
        "income_statement_ttm",
        STATEMENTS,
        OF_SYMBOL,
        path="/income-statement-ttm",
        parse=company.statements("income", INCOME, ttm=True),
        kinds=("income",),
        periods=("ttm",),
        plan="starter",
        docs=f"{DOCS}/income-statements-ttm",
    ),
    endpoint(
        "balance_sheet_statement",
        STATEMENTS,
        BY_PERIOD,
        path="/balance-sheet-statement",
        parse=company.statements("balance", BALANCE),
        kinds=("balance",),
        docs=f"{DOCS}/balance-sheet-statement",
    ),
    endpoint(
        "balance_sheet_statement_ttm",
        STATEMENTS,
        OF_SYMBOL,
        path="/balance-sheet-statement-ttm",
        parse=company.statements("balance", BALANCE, ttm=True),
        kinds=("balance",),
        periods=("ttm",),
        plan="starter",
        docs=f"{DOCS}/balance-sheet-statements-ttm",
    ),
    endpoint(
        "cash_flow_statement",
        STATEMENTS,
        BY_PERIOD,
        path="/cash-flow-statement",
        parse=company.statements("cash_flow", CASH_FLOW),
        kinds=("cash_flow",),
        docs=f"{DOCS}/cashflow-statement",
    ),
    endpoint(
        "cash_flow_statement_ttm",
        STATEMENTS,
        OF_SYMBOL,
        path="/cash-flow-statement-ttm",
        parse=company.statements("cash_flow", CASH_FLOW, ttm=True),
        kinds=("cash_flow",),
        periods=("ttm",),
        plan="starter",
        docs=f"{DOCS}/cashflow-statements-ttm",
    ),
    endpoint(
        "ratios",
        METRICS,
        BY_PERIOD,
        path="/ratios",
        parse=company.metrics("ratios"),
        kinds=("ratios",),
        docs=f"{DOCS}/metrics-ratios",
    ),
    endpoint(
        "ratios_ttm",
        METRICS,
        OF_SYMBOL,
        path="/ratios-ttm",
        parse=company.metrics("ratios", ttm=True),
        asset_classes=EQUITY,
        kinds=("ratios",),
        periods=("ttm",),
        docs=f"{DOCS}/metrics-ratios-ttm",
    ),
    endpoint(
        "key_metrics",
        METRICS,
        BY_PERIOD,
        path="/key-metrics",
        parse=company.metrics("key_metrics"),
        kinds=("key_metrics",),
        docs=f"{DOCS}/key-metrics",
    ),
    endpoint(
        "key_metrics_ttm",
        METRICS,
        OF_SYMBOL,
        path="/key-metrics-ttm",
        parse=company.metrics("key_metrics", ttm=True),
        asset_classes=EQUITY,
        kinds=("key_metrics",),
        periods=("ttm",),
        docs=f"{DOCS}/key-metrics-ttm",
    ),
    endpoint(
        "discounted_cash_flow",
        METRICS,
        OF_SYMBOL,
        path="/discounted-cash-flow",
        parse=company.metrics("dcf"),
        asset_classes=EQUITY,
        kinds=("dcf",),
        docs=f"{DOCS}/dcf-advanced",
    ),
    endpoint(
        "analyst_estimates",
        METRICS,
        path="/analyst-estimates",
        build=ask.period,
        parse=each(company.estimates),
        asset_classes=EQUITY,
        kinds=("estimates",),
        rows=1000,
        docs=f"{DOCS}/financial-estimates",
    ),
    endpoint(
        "etf_info",
        METRICS,
        OF_SYMBOL,
        path="/etf/info",
        parse=each(company.fund),
        asset_classes=("etf", "fund"),
        kinds=("etf",),
        plan="ultimate",
        docs=f"{DOCS}/information",
    ),
    endpoint(
        "earnings",
        OF_SYMBOL,
        dataset="earnings",
        path="/earnings",
        parse=each(company.earnings),
        asset_classes=EQUITY,
        rows=1000,
        docs=f"{DOCS}/earnings-company",
    ),
    endpoint(
        "earnings_calendar",
        CALENDAR,
        dataset="earnings",
        path="/earnings-calendar",
        parse=paged(each(company.earnings), "date", 4000),
        asset_classes=EQUITY,
        docs=f"{DOCS}/earnings-calendar",
    ),
    endpoint("news_stock", NEWS, path="/news/stock", asset_classes=SHARES, batch=20, docs=f"{DOCS}/search-stock-news"),
    endpoint(
        "news_stock_latest", NEWS, path="/news/stock-latest", asset_classes=SHARES, batch=0, docs=f"{DOCS}/stock-news"
    ),
    endpoint(
        "news_crypto", NEWS, path="/news/crypto", asset_classes=("crypto",), batch=20, docs=f"{DOCS}/search-crypto-news"
    ),
    endpoint(
        "news_crypto_latest",
        NEWS,
        path="/news/crypto-latest",
        asset_classes=("crypto",),
        batch=0,
        docs=f"{DOCS}/crypto-news",
    ),
    endpoint(
        "news_forex", NEWS, path="/news/forex", asset_classes=("forex",), batch=20, docs=f"{DOCS}/search-forex-news"
    ),
    endpoint(
        "news_forex_latest",
        NEWS,
        path="/news/forex-latest",
        asset_classes=("forex",),
        batch=0,
        docs=f"{DOCS}/forex-news",
    ),
    endpoint(
        "insider_trading_search",
        INSIDER,
        path="/insider-trading/search",
        plan="starter",
        docs=f"{DOCS}/search-insider-trades",
    ),
    endpoint(
        "insider_trading_latest", INSIDER, path="/insider-trading/latest", batch=0, docs=f"{DOCS}/latest-insider-trade"
    ),
    endpoint(
        "grades_consensus",
        RATINGS,
        path="/grades-consensus",
        parse=each(company.consensus),
        kinds=("consensus",),
        docs=f"{DOCS}/grades-summary",
    ),
    endpoint(
        "price_target_consensus",
        RATINGS,
        path="/price-target-consensus",
        parse=each(company.consensus),
        kinds=("target",),
        docs=f"{DOCS}/price-target-consensus",
    ),
    endpoint(
        "grades_historical",
        RATINGS,
        path="/grades-historical",
        parse=each(company.monthly_counts),
        kinds=("history",),
        rows=1000,
        docs=f"{DOCS}/historical-grades",
    ),
    endpoint("grades", RATINGS, path="/grades", parse=each(company.grade), kinds=("change",), docs=f"{DOCS}/grades"),
)
