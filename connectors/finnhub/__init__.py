"""Finnhub: quotes, candles, company facts, lists. Documentation: https://finnhub.io/docs/api.

Times are seconds. A daily candle is stamped with midnight in the exchange's zone, a forex one with 17:00 New York of
the evening before. Daily candles are split-adjusted, intraday ones as traded. What measures a company is in millions.
An unknown symbol is answered with zeros. There are no batches. A list of symbols is a redirect to a file. What the free
plan lacks is refused with 401 or 403, most listings abroad too. The statements of `/stock/financials` are standardised,
not as reported, and not asked.
"""

from __future__ import annotations

import re
from typing import Any

from connectors.calls import DAY_MS, Auth, Limit
from connectors.declaration import Build, Connector, Endpoint, Parse
from connectors.finnhub import company, market, statements
from connectors.finnhub import requests as ask
from connectors.finnhub.names import DAILY, INTRADAY, SHARES, canonical, spell
from connectors.finnhub.rows import each, one
from connectors.records import AssetClass
from connectors.symbols import Symbols

DOCS = "https://finnhub.io/docs/api"
MONTH = dict.fromkeys(INTRADAY, 30 * DAY_MS)
EQUITY: dict[str, Any] = {"asset_classes": ("equity",)}
PREMIUM: dict[str, Any] = {"asset_classes": ("equity",), "plan": "premium"}


def _at(path: str, dataset: str, parse: Parse, docs: str, build: Build = ask.one, **rest: Any) -> Endpoint:
    """An endpoint named like its path; `docs` is its page under the documentation."""
    name = rest.pop("name", re.sub(r"\W", "_", path.strip("/")))
    return Endpoint(name=name, dataset=dataset, path=path, build=build, parse=parse, docs=f"{DOCS}/{docs}", **rest)


def _bars(of: str, asset_classes: tuple[AssetClass, ...], *, daily: bool) -> Endpoint:
    split = daily and asset_classes == SHARES
    return _at(
        f"/{of}/candle",
        "bars",
        market.candles,
        f"{of}-candles",
        ask.candles,
        name=f"{of}_{'daily' if daily else 'intraday'}",
        asset_classes=asset_classes,
        intervals=DAILY if daily else INTRADAY,
        adjustments=("split",) if split else ("raw",),
        span_ms={} if daily else MONTH,
        history="25 years of US shares" if split else "",
        plan="premium",
    )


CONNECTOR = Connector(
    name="finnhub",
    mailbox=16,
    title="Finnhub",
    base_url="https://finnhub.io/api/v1",
    docs=DOCS,
    auth=Auth(headers={"X-Finnhub-Token": "{key}"}),
    symbols=Symbols(spell=spell, canonical=canonical),
    limits=(Limit(calls=60, per="minute"), Limit(calls=30, per="second")),
    refusal=ask.refusal,
    endpoints=(
        _at(
            "/quote",
            "quote",
            one(market.quote),
            "quote",
            ask.quote,
            asset_classes=(*SHARES, "forex", "crypto"),
            latest=True,
        ),
        _at(
            "/forex/rates",
            "quote",
            market.rates,
            "forex-rates",
            ask.base,
            asset_classes=("forex",),
            batch=0,
            plan="premium",
        ),
        _bars("stock", SHARES, daily=True),
        _bars("stock", SHARES, daily=False),
        _bars("forex", ("forex",), daily=True),
        _bars("forex", ("forex",), daily=False),
        _bars("crypto", ("crypto",), daily=True),
        _bars("crypto", ("crypto",), daily=False),
        _at(
            "/stock/dividend",
            "actions",
            each(market.dividend),
            "stock-dividends",
            ask.bounded,
            kinds=("dividend",),
            **PREMIUM,
        ),
        _at("/stock/split", "actions", each(market.split), "stock-splits", ask.bounded, kinds=("split",), **PREMIUM),
        _at("/stock/profile2", "profile", one(company.profile), "company-profile2", kinds=("short",), latest=True),
        _at(
            "/stock/profile",
            "profile",
            one(company.profile),
            "company-profile",
            kinds=("full",),
            latest=True,
            plan="premium",
        ),
        _at(
            "/stock/financials-reported",
            "statements",
            statements.reported,
            "financials-reported",
            ask.reported,
            kinds=("income", "balance", "cash_flow"),
            **EQUITY,
        ),
        _at(
            "/stock/metric",
            "metrics",
            company.metrics,
            "company-basic-financials",
            ask.metric,
            kinds=("key_metrics", "ratios"),
            **EQUITY,
        ),
        _at(
            "/stock/eps-estimate",
            "metrics",
            company.estimates,
            "company-eps-estimates",
            ask.frequency,
            kinds=("estimates",),
            **PREMIUM,
        ),
        _at(
            "/etf/profile",
            "metrics",
            one(company.fund),
            "etfs-profile",
            kinds=("etf",),
            asset_classes=("etf",),
            plan="premium",
        ),
        _at(
            "/mutual-fund/profile",
            "metrics",
            one(company.fund),
            "mutual-fund-profile",
            kinds=("etf",),
            asset_classes=("fund",),
            plan="premium",
        ),
        _at(
            "/calendar/earnings",
            "earnings",
            each(company.announcement, "earningsCalendar"),
            "earnings-calendar",
            ask.dated,
            kinds=("calendar",),
            history="1 month on the free plan",
            **EQUITY,
        ),
        _at(
            "/calendar/earnings",
            "earnings",
            each(company.announcement, "earningsCalendar"),
            "earnings-calendar",
            ask.dated,
            name="calendar_earnings_all",
            kinds=("calendar",),
            batch=0,
            history="1 month on the free plan",
            **EQUITY,
        ),
        _at(
            "/stock/earnings",
            "earnings",
            each(company.surprise),
            "company-earnings",
            kinds=("surprise",),
            history="4 quarters on the free plan",
            **EQUITY,
        ),
        _at(
            "/company-news",
            "news",
            each(company.article),
            "company-news",
            ask.bounded,
            history="1 year on the free plan",
        ),
        _at(
            "/news",
            "news",
            each(company.article),
            "market-news",
            ask.category,
            asset_classes=("equity", "forex", "crypto"),
            batch=0,
        ),
        _at(
            "/stock/insider-transactions",
            "insider",
            company.insiders,
            "insider-transactions",
            ask.dated,
            rows=100,
            span_ms={"": 30 * DAY_MS},
            **EQUITY,
        ),
        _at(
            "/stock/insider-transactions",
            "insider",
            company.insiders,
            "insider-transactions",
            ask.dated,
            name="stock_insider_transactions_all",
            rows=100,
            batch=0,
            **EQUITY,
        ),
        _at(
            "/stock/recommendation",
            "recommendations",
            each(company.trend),
            "recommendation-trends",
            kinds=("consensus",),
            **EQUITY,
        ),
        _at(
            "/stock/price-target", "recommendations", one(company.target), "price-target", kinds=("target",), **PREMIUM
        ),
        _at(
            "/stock/upgrade-downgrade",
            "recommendations",
            each(company.grade),
            "upgrade-downgrade",
            ask.dated,
            kinds=("change",),
            **PREMIUM,
        ),
        _at(
            "/stock/symbol",
            "assets",
            each(market.listing),
            "stock-symbols",
            ask.listed_on("US"),
            kinds=("listed",),
            asset_classes=SHARES,
            batch=0,
        ),
        _at(
            "/forex/symbol",
            "assets",
            each(market.pair),
            "forex-symbols",
            ask.listed_on("oanda"),
            kinds=("listed",),
            asset_classes=("forex",),
            batch=0,
        ),
        _at(
            "/crypto/symbol",
            "assets",
            each(market.pair),
            "crypto-symbols",
            ask.listed_on("binance"),
            kinds=("listed",),
            asset_classes=("crypto",),
            batch=0,
        ),
        _at(
            "/search",
            "assets",
            each(market.listing, "result"),
            "symbol-search",
            ask.search,
            kinds=("search",),
            asset_classes=(*SHARES, "forex", "crypto"),
            batch=0,
        ),
    ),
)
