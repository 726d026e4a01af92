"""Financial Modeling Prep: quotes, bars, company facts, lists. https://site.financialmodelingprep.com/developer/docs.

Times are texts without a zone and mean New York for every asset class, crypto and forex included; `quote` counts
seconds, the after-hours quote milliseconds. A crypto day is the UTC day, a forex day ends at 17:00 New York. Rows come
newest first. Daily bars are split-adjusted, unadjusted or adjusted for dividends too, by endpoint: the last two name
their fields adjOpen and so on, whatever they hold. Crypto volume is money. An after-hours trade has no place in a
quote, a series of closing prices none in bars, so `aftermarket-trade` and `light` are not asked.
"""

from __future__ import annotations

from connectors.calls import DAY_MS, Auth, Limit
from connectors.declaration import Connector
from connectors.fmp import company, market
from connectors.fmp import requests as ask
from connectors.fmp.endpoints import DOCS, at, calendar, daily_bars, listed, metrics, news, retired, statement
from connectors.fmp.names import ALL, BALANCE, CASH_FLOW, INCOME, INTRADAY, SHARES, UNADJUSTED, canonical, spell
from connectors.fmp.rows import each, paged
from connectors.symbols import Symbols

INTRADAY_DAYS = {"1m": 2, "5m": 10, "15m": 30, "30m": 30, "1h": 90, "4h": 180}
"""Days of one intraday call; the documentation gives no limit, and answers beyond some thousand rows are cut short."""

CONNECTOR = Connector(
    name="fmp",
    mailbox=20,
    title="Financial Modeling Prep",
    base_url="https://financialmodelingprep.com/stable",
    docs=DOCS,
    auth=Auth(headers={"apikey": "{key}"}),
    symbols=Symbols(spell=spell, canonical=canonical),
    limits=(Limit(calls=250, per="day"),),
    refusal=ask.refusal,
    endpoints=(
        # one symbol a call comes first, for the free plan does not sell the batch: kind `batch` asks for it
        at("/quote", "quote", each(market.quote), "quote", kinds=("session",), asset_classes=ALL, latest=True),
        at(
            "/batch-quote",
            "quote",
            each(market.quote),
            "batch-quote",
            ask.many,
            kinds=("session", "batch"),
            asset_classes=ALL,
            batch=100,
            latest=True,
            plan="starter",
        ),
        at(
            "/aftermarket-quote",
            "quote",
            each(market.after_hours),
            "aftermarket-quote",
            kinds=("after_hours",),
            latest=True,
            plan="starter",
        ),
        at("/quote-short", "quote", each(market.quote), "quote-short", asset_classes=ALL, latest=True, routed=False),
        daily_bars("full", "split", market.PLAIN, SHARES),
        daily_bars("full", "raw", market.PLAIN, UNADJUSTED),
        daily_bars("non-split-adjusted", "raw", market.ADJUSTED, SHARES),
        daily_bars("dividend-adjusted", "total", market.ADJUSTED, SHARES),
        at(
            "/historical-chart/{interval}",
            "bars",
            market.intraday,
            "intraday-1-hour",
            ask.intraday,
            name="intraday",
            asset_classes=ALL,
            intervals=INTRADAY,
            adjustments=("split", "raw"),
            span_ms={interval: days * DAY_MS for interval, days in INTRADAY_DAYS.items()},
            plan="premium",
        ),
        at(
            "/dividends",
            "actions",
            each(market.dividend),
            "dividends-company",
            kinds=("dividend",),
            asset_classes=SHARES,
            rows=1000,
        ),
        at(
            "/splits",
            "actions",
            each(market.split),
            "splits-company",
            kinds=("split",),
            asset_classes=SHARES,
            rows=1000,
        ),
        calendar("dividends", "actions", market.dividend, kinds=("dividend",)),
        calendar("splits", "actions", market.split, kinds=("split",)),
        at("/profile", "profile", each(company.profile), "profile-symbol", asset_classes=SHARES, latest=True),
        *statement("income", "income-statement", "income-statement", INCOME),
        *statement("balance", "balance-sheet-statement", "balance-sheet-statement", BALANCE),
        *statement("cash_flow", "cash-flow-statement", "cashflow-statement", CASH_FLOW),
        *metrics("ratios", "ratios", "metrics-ratios"),
        *metrics("key_metrics", "key-metrics", "key-metrics"),
        at(
            "/discounted-cash-flow",
            "metrics",
            company.metrics("dcf"),
            "dcf-advanced",
            kinds=("dcf",),
            asset_classes=("equity",),
        ),
        at(
            "/analyst-estimates",
            "metrics",
            each(company.estimates),
            "financial-estimates",
            ask.period,
            kinds=("estimates",),
            asset_classes=("equity",),
            rows=1000,
        ),
        at(
            "/etf/info",
            "metrics",
            each(company.fund),
            "information",
            kinds=("etf",),
            asset_classes=("etf", "fund"),
            plan="ultimate",
        ),
        at("/earnings", "earnings", each(company.earnings), "earnings-company", asset_classes=("equity",), rows=1000),
        calendar("earnings", "earnings", company.earnings, asset_classes=("equity",)),
        *news("stock", SHARES),
        *news("crypto", ("crypto",)),
        *news("forex", ("forex",)),
        at(
            "/insider-trading/search",
            "insider",
            paged(each(company.insider), "filingDate", 1000),
            "search-insider-trades",
            ask.feed(1000, dated=False),
            asset_classes=("equity",),
            rows=1000,
            plan="starter",
        ),
        at(
            "/insider-trading/latest",
            "insider",
            paged(each(company.insider), "filingDate", 1000),
            "latest-insider-trade",
            ask.feed(1000, dated=False),
            asset_classes=("equity",),
            batch=0,
            rows=1000,
        ),
        at("/grades-consensus", "recommendations", each(company.consensus), "grades-summary", kinds=("consensus",)),
        at(
            "/price-target-consensus",
            "recommendations",
            each(company.consensus),
            "price-target-consensus",
            kinds=("target",),
        ),
        at(
            "/grades-historical",
            "recommendations",
            each(company.monthly_counts),
            "historical-grades",
            kinds=("history",),
            rows=1000,
        ),
        at("/grades", "recommendations", each(company.grade), "grades", kinds=("change",)),
        listed("stock-list", "company-symbols-list", "equity", kinds=("listed",)),
        listed("etf-list", "etfs-list", "etf", kinds=("listed",)),
        listed("cryptocurrency-list", "cryptocurrency-list", "crypto"),
        listed("forex-list", "forex-list", "forex"),
        listed("commodities-list", "commodities-list", "commodity"),
        listed("index-list", "indexes-list", "index"),
        at(
            "/company-screener",
            "assets",
            each(market.asset),
            "search-company-screener",
            ask.screen,
            kinds=("screened",),
            asset_classes=SHARES,
            batch=0,
            rows=10_000,
            plan="starter",
        ),
        at(
            "/delisted-companies",
            "assets",
            paged(each(market.asset), "delistedDate", 100),
            "delisted-companies",
            ask.feed(100, dated=False),
            kinds=("delisted",),
            batch=0,
            rows=100,
        ),
        at(
            "/search-symbol",
            "assets",
            each(market.asset),
            "search-symbol",
            ask.search,
            kinds=("search",),
            asset_classes=ALL,
            batch=0,
        ),
        retired("quote/{symbol}", "quote", each(market.quote), latest=True),
        retired(
            "historical-price-full/{symbol}",
            "bars",
            market.retired_daily,
            intervals={"1d": "1d"},
            adjustments=("split",),
        ),
        retired(
            "historical-chart/{interval}/{symbol}", "bars", market.intraday, intervals=INTRADAY, adjustments=("split",)
        ),
        retired("historical-price-full/stock_dividend/{symbol}", "actions", each(market.dividend)),
        retired("historical-price-full/stock_split/{symbol}", "actions", each(market.split)),
        retired("profile/{symbol}", "profile", each(company.profile)),
        retired("income-statement/{symbol}", "statements", company.statements("income", INCOME)),
        retired("balance-sheet-statement/{symbol}", "statements", company.statements("balance", BALANCE)),
        retired("cash-flow-statement/{symbol}", "statements", company.statements("cash_flow", CASH_FLOW)),
    ),
)
