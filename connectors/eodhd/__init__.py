"""EODHD: bars, fundamentals and news of some seventy exchanges. Documentation: https://eodhd.com/financial-apis.

Intraday times are UTC seconds, daily dates the exchange's own (a forex day ends at 23:59 UTC). Open, high, low and
close are raw, volumes split-adjusted, `adjusted_close` is adjusted for both. London, Johannesburg and Tel Aviv quote
in minor units where only the symbol list says so, hence bars and quotes outside the US name no currency.
A call costs credits of the day's quota, several for the heavier endpoints: https://eodhd.com/financial-apis/api-limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, get_args

from connectors import errors
from connectors.calls import DAY_MS, Auth, Limit
from connectors.declaration import Connector, Endpoint
from connectors.eodhd import company, market, names
from connectors.eodhd import requests as ask
from connectors.records import AssetClass
from connectors.symbols import Symbols

DOCS = "https://eodhd.com/financial-apis"
CALENDAR = f"{DOCS}/calendar-upcoming-earnings-ipos-and-splits"
BULK = f"{DOCS}/bulk-api-eod-splits-dividends"
ALL: tuple[AssetClass, ...] = get_args(AssetClass)
SHARES: tuple[AssetClass, ...] = ("equity", "etf", "fund")
SPAN_DAYS = MappingProxyType({"1m": 120, "5m": 600, "1h": 7200})


def _with(endpoint: Endpoint, *variants: Mapping[str, Any]) -> tuple[Endpoint, ...]:
    """An endpoint, and those that differ from it in what `variants` say."""
    return (endpoint, *(replace(endpoint, **changed) for changed in variants))


def _document(
    name: str,
    dataset: str,
    *sections: str,
    asset_classes: tuple[AssetClass, ...] = ("equity",),
    kinds: tuple[str, ...] = (),
) -> Endpoint:
    """The fundamentals document, or some sections of it: as dear as the whole, but a fraction of its size."""
    return Endpoint(
        name=name,
        dataset=dataset,
        path="/fundamentals/{symbol}",
        build=ask.symbol,
        parse=company.parse_fundamentals,
        asset_classes=asset_classes,
        kinds=kinds,
        match={"filter": ",".join(("General", *sections))} if sections else {},
        history="statements since 1985 in the US, 2000 elsewhere",
        cost=10,
        latest=dataset != "statements",
        plan="fundamentals",
        docs=f"{DOCS}/stock-etfs-fundamental-data-feeds",
    )


CONNECTOR = Connector(
    name="eodhd",
    title="EODHD (EOD Historical Data)",
    base_url="https://eodhd.com/api",
    docs=DOCS,
    auth=Auth(query="api_token"),
    symbols=Symbols(spell=names.spell, canonical=names.canonical),
    limits=(Limit(calls=1000, per="minute", weighted=False), Limit(calls=20, per="day")),
    mailbox=4,
    zone="UTC",
    statuses={402: errors.QuotaExhausted},
    refusal=ask.refusal,
    endpoints=(
        Endpoint(
            name="live",
            dataset="quote",
            path="/real-time/{symbol}",
            build=ask.live,
            parse=market.parse_live,
            asset_classes=ALL,
            batch=15,
            history="latest, 15 to 20 minutes late",
            cost=0,
            cost_per_symbol=1,
            latest=True,
            docs=f"{DOCS}/live-realtime-stocks-api",
        ),
        Endpoint(
            # US only, and a class of shares does not say where they are listed: the endpoint above serves both
            name="us_quotes",
            dataset="quote",
            path="/us-quote-delayed",
            build=ask.dated("s"),
            parse=market.parse_us_quotes,
            batch=100,
            cost=0,
            cost_per_symbol=1,
            latest=True,
            routed=False,
            docs=f"{DOCS}/live-v2-for-us-stocks-extended-quotes-2025",
        ),
        Endpoint(
            name="eod",
            dataset="bars",
            path="/eod/{symbol}",
            build=ask.eod,
            parse=market.parse_eod,
            asset_classes=ALL,
            intervals=names.PERIODS,
            adjustments=("raw",),
            history="1 year on the free plan, else since listing",
            docs=f"{DOCS}/api-for-historical-data-and-volumes",
        ),
        Endpoint(
            name="intraday",
            dataset="bars",
            path="/intraday/{symbol}",
            build=ask.intraday,
            parse=market.parse_intraday,
            asset_classes=("equity", "etf", "crypto", "forex", "index", "commodity"),
            intervals={interval: interval for interval in SPAN_DAYS},
            adjustments=("raw",),
            span_ms={interval: span * DAY_MS for interval, span in SPAN_DAYS.items()},
            history="1m since 2004 (US), 2009 (crypto, forex); 5m and 1h since October 2020",
            cost=5,
            plan="all world extended",
            docs=f"{DOCS}/intraday-historical-data-api",
        ),
        *_with(
            Endpoint(
                name="bulk_dividends",
                dataset="actions",
                path="/eod-bulk-last-day/{exchange}",
                build=ask.trading_day,
                parse=market.parse_bulk_dividends,
                asset_classes=SHARES,
                kinds=("dividend",),
                match={"type": "dividends"},
                batch=0,
                span_ms={"": DAY_MS},
                cost=100,
                plan="all world",
                docs=BULK,
            ),
            {
                "name": "bulk_splits",
                "kinds": ("split",),
                "match": {"type": "splits"},
                "parse": market.parse_bulk_splits,
            },
        ),
        Endpoint(
            name="bulk_eod",
            dataset="bars",
            path="/eod-bulk-last-day/{exchange}",
            build=ask.trading_day,
            parse=market.parse_bulk,
            asset_classes=ALL,
            intervals={"1d": "d"},
            adjustments=("raw",),
            batch=0,
            span_ms={"1d": DAY_MS},
            cost=100,
            plan="all world",
            docs=BULK,
        ),
        *_with(
            Endpoint(
                name="dividends",
                dataset="actions",
                path="/div/{symbol}",
                build=ask.dated("symbol"),
                parse=market.parse_dividends,
                asset_classes=SHARES,
                kinds=("dividend",),
                history="since 2000",
                plan="all world",
                docs=f"{DOCS}/api-splits-dividends",
            ),
            {"name": "splits", "path": "/splits/{symbol}", "kinds": ("split",), "parse": market.parse_splits},
        ),
        _document("statements", "statements", "Financials"),
        _document("metrics", "metrics", *names.KEY_METRICS, "Valuation", kinds=("key_metrics", "ratios")),
        _document(
            "metrics_etf", "metrics", "Technicals", "ETF_Data", asset_classes=("etf",), kinds=("etf", "key_metrics")
        ),
        _document("metrics_fund", "metrics", "MutualFund_Data", asset_classes=("fund",), kinds=("etf",)),
        _document("recommendations", "recommendations", "AnalystRatings"),
        *_with(
            Endpoint(
                name="earnings_calendar",
                dataset="earnings",
                path="/calendar/earnings",
                build=ask.dated("symbols"),
                parse=company.parse_calendar,
                asset_classes=("equity",),
                batch=50,
                latest=True,
                plan="fundamentals",
                docs=CALENDAR,
            ),
            {"name": "earnings_week", "batch": 0, "latest": False},
            {
                "name": "earnings_trends",
                "dataset": "metrics",
                "path": "/calendar/trends",
                "parse": company.parse_trends,
                "kinds": ("estimates",),
            },
        ),
        _document("fundamentals", "profile", asset_classes=(*SHARES, "index")),
        Endpoint(
            name="bulk_fundamentals",
            dataset="profile",
            path="/bulk-fundamentals/{exchange}",
            build=ask.exchange,
            parse=company.parse_bulk_fundamentals,
            asset_classes=("equity",),
            batch=0,
            rows=500,
            history="4 quarters, 4 years",
            cost=100,
            latest=True,
            plan="extended fundamentals",
            docs=f"{DOCS}/bulk-fundamentals-api",
        ),
        *_with(
            Endpoint(
                name="news",
                dataset="news",
                path="/news",
                build=ask.news,
                parse=company.parse_news,
                asset_classes=ALL,
                rows=1000,
                history="since 2016",
                cost=5,
                cost_per_symbol=5,
                docs=f"{DOCS}/stock-market-financial-news-api",
            ),
            {"name": "market_news", "batch": 0},
        ),
        Endpoint(
            name="form4",
            dataset="insider",
            path="/sec-filings/{symbol}/form4",
            build=ask.form4,
            parse=company.parse_form4,
            asset_classes=("equity",),
            rows=100,
            history="US only, up to 10 years",
            cost=10,
            plan="fundamentals",
            docs=f"{DOCS}/insider-transactions-api",
        ),
        Endpoint(
            # called obsolete in favour of the one above, but the only one that covers the whole market
            name="insider_transactions",
            dataset="insider",
            path="/insider-transactions",
            build=ask.dated("code", limit="1000"),
            parse=company.parse_insider,
            asset_classes=("equity",),
            batch=0,
            rows=1000,
            history="US only, 1 year",
            plan="fundamentals",
            docs=f"{DOCS}/insider-transactions-api",
        ),
        Endpoint(
            name="symbols",
            dataset="assets",
            path="/exchange-symbol-list/{exchange}",
            build=ask.exchange,
            parse=market.parse_assets,
            asset_classes=ALL,
            batch=0,
            docs=f"{DOCS}/exchanges-api-list-of-tickers-and-trading-hours",
        ),
    ),
)
