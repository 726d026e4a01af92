"""Polygon's endpoints of markets: bars, quotes, splits, dividends, changes of ticker."""

from __future__ import annotations

from connectors.calls import DAY_MS
from connectors.endpoints import Endpoint, Facts, endpoint, with_market
from connectors.polygon import market
from connectors.polygon import requests as ask
from connectors.polygon.names import ALL, DOCS, SPANS, TRADED

BARS = Facts(dataset="bars", asset_classes=ALL, intervals=SPANS, adjustments=("split", "raw"))
DAILY = BARS | Facts(asset_classes=TRADED, intervals={"1d": SPANS["1d"]})
LATEST = Facts(dataset="quote", latest=True)
SNAPSHOT = LATEST | Facts(asset_classes=TRADED, plan="starter")
DIVIDENDS = Facts(dataset="actions", kinds=("dividend",), parse=market.parse_dividends)
SPLITS = Facts(dataset="actions", kinds=("split",), parse=market.parse_splits)
UNASKED = Facts(routed=False)
"""Retired versions, and parts of what others hold: read when somebody else asked."""

MARKET: tuple[Endpoint, ...] = (
    endpoint(
        "aggregates",
        BARS,
        path="/v2/aggs/ticker/{ticker}/range/{multiplier}/{timespan}/{first}/{last}",
        build=ask.aggregates,
        parse=market.parse_aggregates,
        rows=50_000,
        history="2 years on the free plan, since 2003 on paid ones",
        begins={"": ("730d", "2003-01-01")},
        docs=f"{DOCS}/stocks/get_v2_aggs_ticker__stocksticker__range__multiplier___timespan___from___to",
    ),
    endpoint(
        "grouped_daily",
        DAILY,
        path="/v2/aggs/grouped/locale/{locale}/market/{market}/{day}",
        build=ask.one_day,
        parse=market.parse_grouped,
        batch=0,
        span_ms={"1d": DAY_MS},
        docs=f"{DOCS}/stocks/get_v2_aggs_grouped_locale_us_market_stocks__date",
    ),
    endpoint(
        "previous_close",
        DAILY,
        UNASKED,
        path="/v2/aggs/ticker/{ticker}/prev",
        build=ask.ticker,
        parse=market.parse_aggregates,
        docs=f"{DOCS}/stocks/get_v2_aggs_ticker__stocksticker__prev",
    ),
    endpoint(
        "open_close",
        DAILY,
        UNASKED,
        path="/v1/open-close/{ticker}/{day}",
        build=ask.one_day,
        parse=market.parse_open_close,
        docs=f"{DOCS}/stocks/get_v1_open-close__stocksticker___date",
    ),
    *with_market(
        endpoint(
            "snapshots",
            SNAPSHOT,
            path="/v2/snapshot/locale/{locale}/markets/{market}/tickers",
            build=ask.snapshots,
            parse=market.parse_snapshots,
            batch=250,
            docs=f"{DOCS}/stocks/get_v2_snapshot_locale_us_markets_stocks_tickers",
        ),
        "all_snapshots",
    ),
    endpoint(
        "universal_snapshot",
        SNAPSHOT,
        path="/v3/snapshot",
        build=ask.universal_of,
        parse=market.parse_universal,
        asset_classes=ALL,
        batch=250,
        docs=f"{DOCS}/stocks/get_v3_snapshot",
    ),
    endpoint(
        "snapshot",
        SNAPSHOT,
        UNASKED,
        path="/v2/snapshot/locale/{locale}/markets/{market}/tickers/{ticker}",
        build=ask.snapshot_of,
        parse=market.parse_snapshots,
        docs=f"{DOCS}/stocks/get_v2_snapshot_locale_us_markets_stocks_tickers__stocksticker",
    ),
    endpoint(
        "last_trade",
        LATEST,
        path="/v2/last/trade/{ticker}",
        build=ask.ticker,
        parse=market.parse_last,
        plan="developer",
        docs=f"{DOCS}/stocks/get_v2_last_trade__stocksticker",
    ),
    endpoint(
        "last_quote",
        LATEST,
        path="/v2/last/nbbo/{ticker}",
        build=ask.ticker,
        parse=market.parse_last,
        plan="advanced",
        docs=f"{DOCS}/stocks/get_v2_last_nbbo__stocksticker",
    ),
    endpoint(
        "last_crypto",
        LATEST,
        path="/v1/last/crypto/{base}/{quote}",
        build=ask.pair,
        parse=market.parse_last_pair,
        asset_classes=("crypto",),
        plan="starter",
        docs=f"{DOCS}/crypto/get_v1_last_crypto__from___to",
    ),
    endpoint(
        "last_forex",
        LATEST,
        path="/v1/last_quote/currencies/{base}/{quote}",
        build=ask.pair,
        parse=market.parse_last_pair,
        asset_classes=("forex",),
        plan="starter",
        docs=f"{DOCS}/forex/get_v1_last_quote_currencies__from___to",
    ),
    *with_market(
        endpoint(
            "stocks_dividends",
            DIVIDENDS,
            path="/stocks/v1/dividends",
            build=ask.listed("ex_dividend_date", 5000),
            rows=5000,
            docs=f"{DOCS}/rest/stocks/corporate-actions/dividends",
        ),
        "all_stocks_dividends",
    ),
    *with_market(
        endpoint(
            "stocks_splits",
            SPLITS,
            path="/stocks/v1/splits",
            build=ask.listed("execution_date", 5000),
            rows=5000,
            docs=f"{DOCS}/rest/stocks/corporate-actions/splits",
        ),
        "all_stocks_splits",
    ),
    endpoint(
        "ticker_events",
        dataset="actions",
        path="/vX/reference/tickers/{ticker}/events",
        build=ask.changes,
        parse=market.parse_ticker_events,
        kinds=("symbol_change",),
        history="since 2003",
        docs=f"{DOCS}/rest/stocks/corporate-actions/ticker-events",
    ),
    # deprecated in February 2026
    *with_market(
        endpoint(
            "dividends",
            DIVIDENDS,
            UNASKED,
            path="/v3/reference/dividends",
            build=ask.listed("ex_dividend_date"),
            rows=1000,
            docs=f"{DOCS}/stocks/get_v3_reference_dividends",
        ),
        "all_dividends",
    ),
    *with_market(
        endpoint(
            "splits",
            SPLITS,
            UNASKED,
            path="/v3/reference/splits",
            build=ask.listed("execution_date"),
            rows=1000,
            docs=f"{DOCS}/stocks/get_v3_reference_splits",
        ),
        "all_splits",
    ),
    endpoint(
        "dividends_v2",
        DIVIDENDS,
        UNASKED,
        path="/v2/reference/dividends/{ticker}",
        build=ask.ticker,
        docs=f"{DOCS}/stocks/get_v3_reference_dividends",
    ),
    endpoint(
        "splits_v2",
        SPLITS,
        UNASKED,
        path="/v2/reference/splits/{ticker}",
        build=ask.ticker,
        docs=f"{DOCS}/stocks/get_v3_reference_splits",
    ),
)
