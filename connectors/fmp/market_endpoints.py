"""Financial Modeling Prep's endpoints of markets: quotes, bars, splits and dividends, lists of instruments."""

from __future__ import annotations

from types import MappingProxyType

from connectors.calls import DAY_MS
from connectors.endpoints import Endpoint, Facts, endpoint
from connectors.fmp import market
from connectors.fmp import requests as ask
from connectors.fmp.names import ALL, DOCS, EQUITY, INTRADAY, SHARES, UNADJUSTED
from connectors.fmp.rows import each, paged

INTRADAY_DAYS = MappingProxyType({"1m": 2, "5m": 10, "15m": 30, "30m": 30, "1h": 90, "4h": 180})
"""Days of one intraday call; the documentation gives no limit, and answers beyond some thousand rows are cut short."""

OF_SYMBOL = Facts(build=ask.one)
QUOTE = OF_SYMBOL | Facts(dataset="quote", latest=True)
DAILY = Facts(
    dataset="bars",
    build=ask.daily,
    intervals={"1d": "1d"},
    span_ms={"1d": 5000 * DAY_MS},
    rows=5000,
    history="5 years on the free plan",
    begins={"": ("1826d", "")},
)
DIVIDENDS = Facts(dataset="actions", kinds=("dividend",))
SPLITS = Facts(dataset="actions", kinds=("split",))
CALENDAR = Facts(build=ask.between, batch=0, span_ms={"": 30 * DAY_MS}, rows=4000)
"""A whole market's events, past and announced."""
ASSETS = Facts(dataset="assets", parse=each(market.asset), batch=0)
LISTED = ASSETS | Facts(build=ask.nothing)

PRICES: tuple[Endpoint, ...] = (
    # one symbol a call comes first, for the free plan does not sell the batch: kind `batch` asks for it
    endpoint(
        "quote",
        QUOTE,
        path="/quote",
        parse=each(market.quote),
        kinds=("session",),
        asset_classes=ALL,
        docs=f"{DOCS}/quote",
    ),
    endpoint(
        "batch_quote",
        QUOTE,
        path="/batch-quote",
        build=ask.many,
        parse=each(market.quote),
        kinds=("session", "batch"),
        asset_classes=ALL,
        batch=100,
        plan="starter",
        docs=f"{DOCS}/batch-quote",
    ),
    endpoint(
        "aftermarket_quote",
        QUOTE,
        path="/aftermarket-quote",
        parse=each(market.after_hours),
        kinds=("after_hours",),
        plan="starter",
        docs=f"{DOCS}/aftermarket-quote",
    ),
    endpoint(
        "quote_short",
        QUOTE,
        path="/quote-short",
        parse=each(market.quote),
        asset_classes=ALL,
        routed=False,
        docs=f"{DOCS}/quote-short",
    ),
    endpoint(
        "daily_split",
        DAILY,
        path="/historical-price-eod/full",
        parse=market.daily("split", market.PLAIN),
        asset_classes=SHARES,
        adjustments=("split",),
        docs=f"{DOCS}/historical-price-eod-full",
    ),
    endpoint(
        "daily_unadjustable",
        DAILY,
        path="/historical-price-eod/full",
        parse=market.daily("raw", market.PLAIN),
        asset_classes=UNADJUSTED,
        adjustments=("raw",),
        docs=f"{DOCS}/historical-price-eod-full",
    ),
    endpoint(
        "daily_raw",
        DAILY,
        path="/historical-price-eod/non-split-adjusted",
        parse=market.daily("raw", market.ADJUSTED),
        asset_classes=SHARES,
        adjustments=("raw",),
        docs=f"{DOCS}/historical-price-eod-non-split-adjusted",
    ),
    endpoint(
        "daily_total",
        DAILY,
        path="/historical-price-eod/dividend-adjusted",
        parse=market.daily("total", market.ADJUSTED),
        asset_classes=SHARES,
        adjustments=("total",),
        docs=f"{DOCS}/historical-price-eod-dividend-adjusted",
    ),
    endpoint(
        "intraday",
        dataset="bars",
        path="/historical-chart/{interval}",
        build=ask.intraday,
        parse=market.intraday,
        asset_classes=ALL,
        intervals=INTRADAY,
        adjustments=("split", "raw"),
        span_ms={interval: days * DAY_MS for interval, days in INTRADAY_DAYS.items()},
        plan="premium",
        docs=f"{DOCS}/intraday-1-hour",
    ),
    endpoint(
        "dividends",
        DIVIDENDS,
        OF_SYMBOL,
        path="/dividends",
        parse=each(market.dividend),
        asset_classes=SHARES,
        rows=1000,
        docs=f"{DOCS}/dividends-company",
    ),
    endpoint(
        "splits",
        SPLITS,
        OF_SYMBOL,
        path="/splits",
        parse=each(market.split),
        asset_classes=SHARES,
        rows=1000,
        docs=f"{DOCS}/splits-company",
    ),
    endpoint(
        "dividends_calendar",
        DIVIDENDS,
        CALENDAR,
        path="/dividends-calendar",
        parse=paged(each(market.dividend), "date", 4000),
        docs=f"{DOCS}/dividends-calendar",
    ),
    endpoint(
        "splits_calendar",
        SPLITS,
        CALENDAR,
        path="/splits-calendar",
        parse=paged(each(market.split), "date", 4000),
        docs=f"{DOCS}/splits-calendar",
    ),
)

LISTS: tuple[Endpoint, ...] = (
    endpoint(
        "stock_list",
        LISTED,
        path="/stock-list",
        asset_classes=EQUITY,
        kinds=("listed",),
        docs=f"{DOCS}/company-symbols-list",
    ),
    endpoint("etf_list", LISTED, path="/etf-list", asset_classes=("etf",), kinds=("listed",), docs=f"{DOCS}/etfs-list"),
    endpoint(
        "cryptocurrency_list",
        LISTED,
        path="/cryptocurrency-list",
        asset_classes=("crypto",),
        docs=f"{DOCS}/cryptocurrency-list",
    ),
    endpoint("forex_list", LISTED, path="/forex-list", asset_classes=("forex",), docs=f"{DOCS}/forex-list"),
    endpoint(
        "commodities_list",
        LISTED,
        path="/commodities-list",
        asset_classes=("commodity",),
        docs=f"{DOCS}/commodities-list",
    ),
    endpoint("index_list", LISTED, path="/index-list", asset_classes=("index",), docs=f"{DOCS}/indexes-list"),
    endpoint(
        "company_screener",
        ASSETS,
        path="/company-screener",
        build=ask.screen,
        asset_classes=SHARES,
        kinds=("screened",),
        rows=10_000,
        plan="starter",
        docs=f"{DOCS}/search-company-screener",
    ),
    endpoint(
        "delisted_companies",
        ASSETS,
        path="/delisted-companies",
        build=ask.feed(100, dated=False),
        parse=paged(each(market.asset), "delistedDate", 100),
        kinds=("delisted",),
        rows=100,
        docs=f"{DOCS}/delisted-companies",
    ),
    endpoint(
        "search_symbol",
        ASSETS,
        path="/search-symbol",
        build=ask.search,
        asset_classes=ALL,
        kinds=("search",),
        docs=f"{DOCS}/search-symbol",
    ),
)
