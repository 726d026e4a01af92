"""EODHD: bars, fundamentals and news of some seventy exchanges. Documentation: https://eodhd.com/financial-apis.

Intraday times are UTC seconds, daily dates the exchange's own (a forex day ends at 23:59 UTC). Open, high, low and
close are raw, volumes split-adjusted, `adjusted_close` is adjusted for both. London, Johannesburg and Tel Aviv quote
in minor units where only the symbol list says so, hence bars and quotes outside the US name no currency.
A call costs credits of the day's quota, several for the heavier endpoints: https://eodhd.com/financial-apis/api-limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import get_args

from connectors import errors
from connectors.calls import DAY_MS, Auth, Limit
from connectors.declaration import Connector
from connectors.endpoints import Facts, endpoint, with_market
from connectors.eodhd import company, market, names
from connectors.eodhd import requests as ask
from connectors.records import AssetClass
from connectors.symbols import Symbols

DOCS = "https://eodhd.com/financial-apis"
ALL: tuple[AssetClass, ...] = get_args(AssetClass)
SHARES: tuple[AssetClass, ...] = ("equity", "etf", "fund")
EQUITY: tuple[AssetClass, ...] = ("equity",)
SPAN_DAYS = MappingProxyType({"1m": 120, "5m": 600, "1h": 7200})
LIVE = Facts(dataset="quote", cost=0, cost_per_symbol=1, latest=True)
BARS = Facts(dataset="bars", adjustments=("raw",))
BULK = Facts(
    path="/eod-bulk-last-day/{exchange}",
    build=ask.trading_day,
    batch=0,
    cost=100,
    plan="all world",
    docs=f"{DOCS}/bulk-api-eod-splits-dividends",
)
ACTIONS = Facts(dataset="actions", asset_classes=SHARES)
DATED_ACTIONS = ACTIONS | Facts(
    build=ask.dated("symbol"), history="since 2000", plan="all world", docs=f"{DOCS}/api-splits-dividends"
)
CALENDAR = Facts(
    build=ask.dated("symbols"),
    asset_classes=EQUITY,
    batch=50,
    latest=True,
    plan="fundamentals",
    docs=f"{DOCS}/calendar-upcoming-earnings-ipos-and-splits",
)
DOCUMENT = Facts(
    path="/fundamentals/{symbol}",
    build=ask.symbol,
    parse=company.parse_fundamentals,
    asset_classes=EQUITY,
    history="statements since 1985 in the US, 2000 elsewhere",
    cost=10,
    latest=True,
    plan="fundamentals",
    docs=f"{DOCS}/stock-etfs-fundamental-data-feeds",
)
INSIDER = Facts(dataset="insider", asset_classes=EQUITY, plan="fundamentals", docs=f"{DOCS}/insider-transactions-api")


def sections(*names: str) -> Mapping[str, str]:
    """Ask for some sections of the fundamentals document: as dear as the whole, but a fraction of its size."""
    return {"filter": ",".join(("General", *names))}


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
    withholding=b'"warning"',
    refusal=ask.refusal,
    endpoints=(
        endpoint(
            "live",
            LIVE,
            path="/real-time/{symbol}",
            build=ask.live,
            parse=market.parse_live,
            asset_classes=ALL,
            batch=15,
            history="latest, 15 to 20 minutes late",
            docs=f"{DOCS}/live-realtime-stocks-api",
        ),
        # US only, and a class of shares does not say where they are listed: the endpoint above serves both
        endpoint(
            "us_quotes",
            LIVE,
            path="/us-quote-delayed",
            build=ask.dated("s"),
            parse=market.parse_us_quotes,
            batch=100,
            routed=False,
            docs=f"{DOCS}/live-v2-for-us-stocks-extended-quotes-2025",
        ),
        endpoint(
            "eod",
            BARS,
            path="/eod/{symbol}",
            build=ask.eod,
            parse=market.parse_eod,
            asset_classes=ALL,
            intervals=names.PERIODS,
            history="1 year on the free plan, else since listing",
            begins={"": ("365d", "")},
            docs=f"{DOCS}/api-for-historical-data-and-volumes",
        ),
        endpoint(
            "intraday",
            BARS,
            path="/intraday/{symbol}",
            build=ask.intraday,
            parse=market.parse_intraday,
            asset_classes=("equity", "etf", "crypto", "forex", "index", "commodity"),
            intervals={interval: interval for interval in SPAN_DAYS},
            span_ms={interval: span * DAY_MS for interval, span in SPAN_DAYS.items()},
            history="1m since 2004 (US), 2009 (crypto, forex); 5m and 1h since October 2020",
            begins={"1m": ("2009-01-01", "2004-01-01"), "": ("2020-10-01",)},
            cost=5,
            plan="all world extended",
            docs=f"{DOCS}/intraday-historical-data-api",
        ),
        endpoint(
            "bulk_dividends",
            BULK,
            ACTIONS,
            match={"type": "dividends"},
            parse=market.parse_bulk_dividends,
            kinds=("dividend",),
            span_ms={"": DAY_MS},
        ),
        endpoint(
            "bulk_splits",
            BULK,
            ACTIONS,
            match={"type": "splits"},
            parse=market.parse_bulk_splits,
            kinds=("split",),
            span_ms={"": DAY_MS},
        ),
        endpoint(
            "bulk_eod",
            BULK,
            BARS,
            parse=market.parse_bulk,
            asset_classes=ALL,
            intervals={"1d": "d"},
            span_ms={"1d": DAY_MS},
        ),
        endpoint("dividends", DATED_ACTIONS, path="/div/{symbol}", parse=market.parse_dividends, kinds=("dividend",)),
        endpoint("splits", DATED_ACTIONS, path="/splits/{symbol}", parse=market.parse_splits, kinds=("split",)),
        endpoint("statements", DOCUMENT, dataset="statements", match=sections("Financials"), latest=False),
        endpoint(
            "metrics",
            DOCUMENT,
            dataset="metrics",
            match=sections(*names.KEY_METRICS, "Valuation"),
            kinds=("key_metrics", "ratios"),
        ),
        endpoint(
            "metrics_etf",
            DOCUMENT,
            dataset="metrics",
            match=sections("Technicals", "ETF_Data"),
            asset_classes=("etf",),
            kinds=("etf", "key_metrics"),
        ),
        endpoint(
            "metrics_fund",
            DOCUMENT,
            dataset="metrics",
            match=sections("MutualFund_Data"),
            asset_classes=("fund",),
            kinds=("etf",),
        ),
        endpoint("recommendations", DOCUMENT, dataset="recommendations", match=sections("AnalystRatings")),
        *with_market(
            endpoint(
                "earnings_calendar",
                CALENDAR,
                dataset="earnings",
                path="/calendar/earnings",
                parse=company.parse_calendar,
            ),
            "earnings_week",
        ),
        endpoint(
            "earnings_trends",
            CALENDAR,
            dataset="metrics",
            path="/calendar/trends",
            parse=company.parse_trends,
            kinds=("estimates",),
        ),
        endpoint("fundamentals", DOCUMENT, dataset="profile", asset_classes=(*SHARES, "index")),
        endpoint(
            "bulk_fundamentals",
            dataset="profile",
            path="/bulk-fundamentals/{exchange}",
            build=ask.exchange,
            parse=company.parse_bulk_fundamentals,
            asset_classes=EQUITY,
            batch=0,
            rows=500,
            history="4 quarters, 4 years",
            cost=100,
            latest=True,
            plan="extended fundamentals",
            docs=f"{DOCS}/bulk-fundamentals-api",
        ),
        *with_market(
            endpoint(
                "news",
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
            "market_news",
        ),
        endpoint(
            "form4",
            INSIDER,
            path="/sec-filings/{symbol}/form4",
            build=ask.form4,
            parse=company.parse_form4,
            rows=100,
            history="US only, up to 10 years",
            cost=10,
        ),
        # called obsolete in favour of the one above, but the only one that covers the whole market
        endpoint(
            "insider_transactions",
            INSIDER,
            path="/insider-transactions",
            build=ask.dated("code", limit="1000"),
            parse=company.parse_insider,
            batch=0,
            rows=1000,
            history="US only, 1 year",
        ),
        endpoint(
            "symbols",
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
