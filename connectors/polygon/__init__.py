"""Polygon.io, now called Massive: US shares, currencies, crypto and indices. Documentation: https://polygon.io/docs.

Bars are stamped with their start in ms (a stock's day starts at midnight New York, but the previous day and the
grouped day are stamped at the close; crypto and forex days start at 00:00 UTC, weeks on Sunday); trades and quotes of
shares are in ns. Prices are adjusted for splits unless `adjusted=false`, never for dividends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from connectors.calls import DAY_MS, Auth, Limit
from connectors.declaration import Build, Connector, Endpoint, Parse
from connectors.polygon import company, market
from connectors.polygon import requests as ask
from connectors.polygon.names import ENDPOINTS, PAIRS, SHARES, SPANS
from connectors.records import AssetClass
from connectors.symbols import Symbols

DOCS = "https://polygon.io/docs"
TRADED: tuple[AssetClass, ...] = (*SHARES, *PAIRS)
ALL: tuple[AssetClass, ...] = (*TRADED, "index")
BARS: Mapping[str, Any] = {"asset_classes": ALL, "intervals": SPANS, "adjustments": ("split", "raw")}
DAILY: Mapping[str, Any] = {**BARS, "asset_classes": TRADED, "intervals": {"1d": SPANS["1d"]}}
LIVE: Mapping[str, Any] = {"asset_classes": TRADED, "plan": "starter", "latest": True}
LIVE_ALL: Mapping[str, Any] = {**LIVE, "asset_classes": ALL}
HISTORY = "2 years on the free plan, since 2003 on paid ones"


def _at(dataset: str, name: str, build: Build, parse: Parse, **more: Any) -> Endpoint:
    path, page = ENDPOINTS[name]
    return Endpoint(dataset=dataset, name=name, path=path, build=build, parse=parse, docs=f"{DOCS}/{page}", **more)


def _or_all(dataset: str, name: str, build: Build, parse: Parse, **more: Any) -> tuple[Endpoint, Endpoint]:
    """The same list for given symbols and, without any, for the whole market."""
    endpoint = _at(dataset, name, build, parse, **more)
    return endpoint, replace(endpoint, name=f"all_{endpoint.name}", batch=0, latest=False)


CONNECTOR = Connector(
    name="polygon",
    title="Polygon.io (Massive)",
    base_url="https://api.polygon.io",
    docs=DOCS,
    auth=Auth(headers={"Authorization": "Bearer {key}"}),
    symbols=Symbols(spell=ask.spell, canonical=ask.canonical),
    limits=(Limit(calls=5, per="minute"),),
    refusal=ask.refusal,
    mailbox=8,
    endpoints=(
        _at("bars", "aggregates", ask.aggregates, market.parse_aggregates, **BARS, rows=50_000, history=HISTORY),
        _at("bars", "grouped_daily", ask.one_day, market.parse_grouped, **DAILY, batch=0, span_ms={"1d": DAY_MS}),
        _at("bars", "previous_close", ask.ticker, market.parse_aggregates, **DAILY, routed=False),
        _at("bars", "open_close", ask.one_day, market.parse_open_close, **DAILY, routed=False),
        *_or_all("quote", "snapshots", ask.snapshots, market.parse_snapshots, **LIVE, batch=250),
        _at("quote", "universal_snapshot", ask.universal_of, market.parse_universal, **LIVE_ALL, batch=250),
        _at("quote", "snapshot", ask.snapshot_of, market.parse_snapshots, **LIVE, routed=False),
        _at("quote", "last_trade", ask.ticker, market.parse_last, plan="developer", latest=True),
        _at("quote", "last_quote", ask.ticker, market.parse_last, plan="advanced", latest=True),
        _at("quote", "last_crypto", ask.pair, market.parse_last_pair, **{**LIVE, "asset_classes": ("crypto",)}),
        _at("quote", "last_forex", ask.pair, market.parse_last_pair, **{**LIVE, "asset_classes": ("forex",)}),
        *_or_all(
            "actions",
            "dividends",
            ask.listed("ex_dividend_date"),
            market.parse_dividends,
            kinds=("dividend",),
            rows=1000,
        ),
        *_or_all("actions", "splits", ask.listed("execution_date"), market.parse_splits, kinds=("split",), rows=1000),
        _at("actions", "dividends_v2", ask.ticker, market.parse_dividends, kinds=("dividend",), routed=False),
        _at("actions", "splits_v2", ask.ticker, market.parse_splits, kinds=("split",), routed=False),
        _at("statements", "financials", ask.listed("period_of_report_date", 100), company.parse_filings, rows=100),
        _at("statements", "financials_v2", ask.ticker, company.parse_flat_filings, routed=False),
        *_or_all("news", "news", ask.listed("published_utc"), company.parse_news, asset_classes=TRADED, rows=1000),
        _at("profile", "ticker_details", ask.ticker, company.parse_profile, latest=True),
        _at("profile", "company", ask.ticker, company.parse_profile, latest=True, routed=False),
        _at("assets", "tickers", ask.universe, company.parse_tickers, asset_classes=ALL, batch=0, rows=1000),
        _at("assets", "tickers_v2", ask.universe, company.parse_tickers_v2, batch=0, routed=False),
    ),
)
