"""Alpha Vantage: one path, `function` selects. Documentation: https://www.alphavantage.co/documentation/.

Numbers are texts, JSON names are numbered ("1. open"), missing is "None". Rows come newest first, their times are wall
clocks: US Eastern for shares, UTC for forex and crypto, whose days are UTC days. Prices are as traded, beside an
adjusted close where the function says so, and name no currency (London is quoted in pence). Every refusal is a 200.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.alphavantage import company, market
from connectors.alphavantage import requests as ask
from connectors.alphavantage.names import ANCHORS, COMMODITIES, INTRADAY, LISTED
from connectors.alphavantage.requests import canonical, refusal, spell
from connectors.calls import Auth, Limit
from connectors.declaration import Build, Connector, Endpoint, Parse
from connectors.records import AssetClass
from connectors.symbols import Symbols

DOCS = "https://www.alphavantage.co/documentation/"
EQUITY: tuple[AssetClass, ...] = ("equity",)
FOREIGN: tuple[AssetClass, ...] = ("forex",)
CRYPTO: tuple[AssetClass, ...] = ("crypto",)
FX = ask.pair("from_symbol", "to_symbol")
COIN = ask.pair("symbol", "market")
RATE = ask.pair("from_currency", "to_currency")
DAY, WEEK, MONTH = ({interval: ""} for interval in ("1d", "1w", "1mo"))
ENTITLED = frozenset(  # of US shares: realtime or delayed by 15 minutes, where the plan sells it
    {"global_quote", "time_series_intraday", "time_series_daily", "time_series_daily_adjusted"}
    | {f"time_series_{span}{kind}" for span in ("weekly", "monthly") for kind in ("", "_adjusted")}
)
DEPTH = "100 days on the free plan, else 20+ years"


def _function(
    name: str, dataset: str, sold: tuple[AssetClass, ...], build: Build, parse: Parse, **more: Any
) -> Endpoint:
    """Declare one function of the API; its endpoint is named alike unless `endpoint` says otherwise."""
    docs = f"{DOCS}#{ANCHORS.get(name) or name.lower().replace('_', '-')}"
    shared = {"path": "/query", "match": {"function": name}, "docs": docs, "asset_classes": sold}
    endpoint = more.pop("endpoint", name.lower())
    return Endpoint(name=endpoint, dataset=dataset, build=build, parse=parse, **shared | more)


def _bars(name: str, sold: tuple[AssetClass, ...], intervals: Mapping[str, str], build: Build, **more: Any) -> Endpoint:
    parse = more.pop("parse", market.bars)
    return _function(name, "bars", sold, build, parse, intervals=intervals, **{"adjustments": ("raw",), **more})


def _statement(name: str, kind: company.StatementKind) -> Endpoint:
    return _function(name, "statements", EQUITY, ask.by_symbol, company.statement(kind), kinds=(kind,))


def _assets(name: str, build: Build, parse: Parse, **more: Any) -> Endpoint:
    return _function(name, "assets", LISTED, build, parse, batch=0, **more)


CONNECTOR = Connector(
    name="alphavantage",
    title="Alpha Vantage",
    base_url="https://www.alphavantage.co",
    docs=DOCS,
    auth=Auth(query="apikey"),
    symbols=Symbols(spell=spell, canonical=canonical),
    mailbox=28,
    limits=(Limit(calls=1, per="second"), Limit(calls=25, per="day", zone="America/New_York")),
    zone="America/New_York",
    refusal=refusal,
    options={"entitlement": ENTITLED},
    endpoints=(
        _function("GLOBAL_QUOTE", "quote", LISTED, ask.by_symbol, market.single_quote, kinds=("single",), latest=True),
        _function(
            "REALTIME_BULK_QUOTES",
            "quote",
            LISTED,
            ask.by_symbol,
            market.bulk_quotes,
            kinds=("bulk",),
            batch=100,
            latest=True,
            plan="premium",
        ),
        _function("CURRENCY_EXCHANGE_RATE", "quote", (*FOREIGN, *CRYPTO), RATE, market.exchange_rate, latest=True),
        _bars("TIME_SERIES_DAILY", LISTED, DAY, ask.sized(ask.by_symbol), kinds=("raw",), history=DEPTH),
        _bars(
            "TIME_SERIES_DAILY_ADJUSTED",
            LISTED,
            DAY,
            ask.sized(ask.by_symbol),
            parse=market.adjusted_bars,
            kinds=("adjusted",),
            plan="premium",
        ),
        _bars("TIME_SERIES_WEEKLY_ADJUSTED", LISTED, WEEK, ask.by_symbol, history="20+ years"),
        _bars("TIME_SERIES_WEEKLY", LISTED, WEEK, ask.by_symbol, routed=False),
        _bars("TIME_SERIES_MONTHLY_ADJUSTED", LISTED, MONTH, ask.by_symbol, history="20+ years"),
        _bars("TIME_SERIES_MONTHLY", LISTED, MONTH, ask.by_symbol, routed=False),
        _bars(
            "TIME_SERIES_INTRADAY",
            LISTED,
            INTRADAY,
            ask.intraday,
            parse=market.intraday_bars,
            adjustments=("raw", "total"),
            history="since 2000, a month a call",
            plan="premium",
        ),
        _bars("FX_DAILY", FOREIGN, DAY, ask.sized(FX)),
        _bars("FX_WEEKLY", FOREIGN, WEEK, FX),
        _bars("FX_MONTHLY", FOREIGN, MONTH, FX),
        _bars("FX_INTRADAY", FOREIGN, INTRADAY, ask.timed(FX), history="recent days", plan="premium"),
        _bars("DIGITAL_CURRENCY_DAILY", CRYPTO, DAY, COIN),
        _bars("DIGITAL_CURRENCY_WEEKLY", CRYPTO, WEEK, COIN),
        _bars("DIGITAL_CURRENCY_MONTHLY", CRYPTO, MONTH, COIN),
        _bars("CRYPTO_INTRADAY", CRYPTO, INTRADAY, ask.timed(COIN), history="recent days", plan="premium"),
        *(
            _bars(name, ("commodity",), MONTH, ask.nothing, parse=market.commodity, routed=False)
            for name in COMMODITIES
        ),
        _function("DIVIDENDS", "actions", LISTED, ask.by_symbol, market.dividends, kinds=("dividend",)),
        _function("SPLITS", "actions", LISTED, ask.by_symbol, market.splits, kinds=("split",)),
        _function("OVERVIEW", "profile", EQUITY, ask.by_symbol, company.overview, latest=True),
        _function(
            "OVERVIEW",
            "metrics",
            EQUITY,
            ask.by_symbol,
            company.overview,
            endpoint="overview_metrics",
            kinds=("key_metrics",),
            latest=True,
        ),
        _function(
            "OVERVIEW",
            "recommendations",
            EQUITY,
            ask.by_symbol,
            company.overview,
            endpoint="overview_consensus",
            latest=True,
        ),
        _function("ETF_PROFILE", "metrics", ("etf",), ask.by_symbol, company.etf, kinds=("etf",), latest=True),
        _function("EARNINGS_ESTIMATES", "metrics", EQUITY, ask.by_symbol, company.estimates, kinds=("estimates",)),
        _function("SHARES_OUTSTANDING", "metrics", EQUITY, ask.by_symbol, company.shares, kinds=("shares",)),
        _statement("INCOME_STATEMENT", "income"),
        _statement("BALANCE_SHEET", "balance"),
        _statement("CASH_FLOW", "cash_flow"),
        _function("EARNINGS", "earnings", EQUITY, ask.by_symbol, company.earnings),
        _function("EARNINGS_CALENDAR", "earnings", EQUITY, ask.horizon, company.calendar, batch=0),
        _function(
            "NEWS_SENTIMENT",
            "news",
            (*LISTED, *CRYPTO, *FOREIGN),
            ask.articles,
            company.news,
            rows=ask.NEWS_ROWS,
        ),
        _function("INSIDER_TRANSACTIONS", "insider", EQUITY, ask.by_symbol, company.insider),
        _assets("LISTING_STATUS", ask.listed, company.listing, kinds=("active", "delisted")),
        _assets("SYMBOL_SEARCH", ask.keywords, company.search, kinds=("search",), rows=10),
    ),
)
