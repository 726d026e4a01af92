"""Yahoo Finance, unofficial: charts, quotes, company facts. Yahoo on its data: https://help.yahoo.com/kb/SLN2310.html.

Bars are stamped in seconds with the session's open, or with midnight in the exchange's zone; their date is the stamp's
date in `meta.exchangeTimezoneName`, for `meta.gmtoffset` is that of the day of the answer. Prices, volumes and dividend
amounts are adjusted for every later split, `adjclose` for dividends too. The last bar of a running session is stamped
with its last trade. Crypto volume is money. Yahoo answers 429 to clients and addresses that it takes for robots.
"""

from __future__ import annotations

from connectors import errors
from connectors.calls import DAY_MS, Auth, Handshake, Limit
from connectors.declaration import Connector
from connectors.endpoints import Facts, endpoint
from connectors.records import AssetClass
from connectors.symbols import Symbols
from connectors.yahoo import company, market
from connectors.yahoo import requests as ask
from connectors.yahoo.names import CODES, SHARES, STATEMENTS
from connectors.yahoo.statements import parse_statements

DATA_DOCS = "https://help.yahoo.com/kb/SLN2310.html"
HISTORY_DOCS = "https://help.yahoo.com/kb/SLN28256.html"
UNADJUSTED: tuple[AssetClass, ...] = ("crypto", "forex", "commodity", "index")
EVERY = (*SHARES, *UNADJUSTED)
SUMMARIZED = ("profile", "metrics", "earnings", "insider", "recommendations", "summary")
CHART = Facts(path="/v8/finance/chart/{symbol}", build=ask.chart, parse=market.parse_chart, docs=HISTORY_DOCS)
BARS = Facts(
    dataset="bars",
    intervals=CODES,
    span_ms={interval: limit * DAY_MS for interval, limit in ask.SPANS.items()},
    history="days and longer: all; 1h and 4h: 730 days; 5m to 30m: 60 days; 1m: 30 days",
    begins={
        **dict.fromkeys(("1h", "4h"), ("730d",)),
        **dict.fromkeys(("5m", "15m", "30m"), ("60d",)),
        "1m": ("30d",),
    },
)
SUMMARY = Facts(
    path="/v10/finance/quoteSummary/{symbol}", build=ask.summary, parse=company.parse_summary, docs=DATA_DOCS
)
SEARCH = Facts(
    path="/v1/finance/search", build=ask.search, parse=company.parse_search, asset_classes=EVERY, docs=DATA_DOCS
)

CONNECTOR = Connector(
    name="yahoo",
    title="Yahoo Finance",
    base_url="https://query2.finance.yahoo.com",
    docs=DATA_DOCS,
    auth=Auth(
        handshake=Handshake(
            cookie_url="https://fc.yahoo.com",
            token_path="/v1/test/getcrumb",  # noqa: S106  (a path, no secret)
            token_param="crumb",  # noqa: S106
            endpoints=frozenset({"quote", *SUMMARIZED}),
        )
    ),
    symbols=Symbols(spell=ask.spell, canonical=ask.canonical),
    limits=(Limit(calls=30, per="minute"),),  # undocumented, and per address rather than per key
    statuses={403: errors.ProviderUnavailable, 999: errors.RateLimited},
    refusal=ask.refusal,
    mailbox=24,
    endpoints=(
        endpoint("chart", CHART, BARS, asset_classes=SHARES, adjustments=("split",)),
        endpoint("chart_unadjusted", CHART, BARS, asset_classes=UNADJUSTED, adjustments=("raw",)),
        endpoint(
            "chart_actions", CHART, dataset="actions", asset_classes=SHARES, kinds=("split", "dividend"), history="all"
        ),
        endpoint(
            "quote",
            dataset="quote",
            path="/v7/finance/quote",
            build=ask.quotes,
            parse=market.parse_quotes,
            asset_classes=EVERY,
            batch=200,
            latest=True,
            docs=DATA_DOCS,
        ),
        # needs no session: one symbol a call, no bid and ask
        endpoint("chart_quote", CHART, dataset="quote", build=ask.session, asset_classes=EVERY, latest=True),
        endpoint(
            "profile",
            SUMMARY,
            dataset="profile",
            match={"modules": "assetProfile,price,defaultKeyStatistics"},
            asset_classes=(*SHARES, "crypto"),
            latest=True,
        ),
        endpoint(
            "metrics",
            SUMMARY,
            dataset="metrics",
            match={"modules": "defaultKeyStatistics,summaryDetail,financialData,earningsTrend,price"},
            asset_classes=SHARES,
            kinds=("key_metrics", "ratios", "estimates"),
            latest=True,
        ),
        endpoint(
            "earnings",
            SUMMARY,
            dataset="earnings",
            match={"modules": "earningsHistory,calendarEvents"},
            asset_classes=("equity",),
            history="4 quarters and the next announced",
        ),
        endpoint(
            "insider",
            SUMMARY,
            dataset="insider",
            match={"modules": "insiderTransactions"},
            asset_classes=("equity",),
            history="about 2 years",
        ),
        endpoint(
            "recommendations",
            SUMMARY,
            dataset="recommendations",
            match={"modules": "recommendationTrend,upgradeDowngradeHistory,financialData,price"},
            asset_classes=("equity",),
            kinds=("consensus", "change"),
            history="4 months of counts, all changes",
        ),
        # other modules, and other sets of them, are read when somebody else asked; the statement modules are retired
        endpoint("summary", SUMMARY, dataset="statements", asset_classes=EVERY, routed=False),
        endpoint(
            "fundamentals",
            dataset="statements",
            path="/ws/fundamentals-timeseries/v1/finance/timeseries/{symbol}",
            build=ask.statements,
            parse=parse_statements,
            asset_classes=("equity",),
            kinds=tuple(STATEMENTS),
            periods=("annual", "quarterly", "ttm"),
            history="4 years, 5 quarters",
            docs=DATA_DOCS,
        ),
        endpoint("news", SEARCH, dataset="news"),
        endpoint("search", SEARCH, dataset="assets", batch=0),
        endpoint(
            "download",
            dataset="bars",
            path="/v7/finance/download/{symbol}",
            build=ask.chart,
            parse=market.parse_download,
            asset_classes=SHARES,
            intervals=CODES,
            adjustments=("split",),
            match={"events": "history"},
            docs=HISTORY_DOCS,
            routed=False,
        ),
    ),
)
