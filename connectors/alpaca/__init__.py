"""Alpaca market data: US shares and ETFs, crypto, currency rates. Documentation: https://docs.alpaca.markets.

Times are RFC 3339 in UTC with up to nanoseconds. A stock's day, week and month are stamped with midnight New York, a
crypto day with midnight Chicago: it is filed under the UTC date of that stamp. Bars are raw unless `adjustment` asks
otherwise, and the answer does not say which they are: the request decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.alpaca import company, market
from connectors.alpaca import requests as ask
from connectors.alpaca.requests import SHARES, SPANS, canonical, refusal, spell
from connectors.calls import Auth, Limit
from connectors.declaration import Build, Connector, Endpoint, Parse
from connectors.records import AssetClass
from connectors.symbols import Symbols

DOCS = "https://docs.alpaca.markets/reference"
COINS: tuple[AssetClass, ...] = ("crypto",)
BARS: Mapping[str, Any] = {
    "dataset": "bars",
    "intervals": SPANS,
    "adjustments": ("raw", "split", "total"),
    "rows": 10_000,
    "history": "since 2016; the last 15 minutes of all exchanges are not in the free plan",
}
COIN_BARS: Mapping[str, Any] = {**BARS, "asset_classes": COINS, "adjustments": ("raw",), "history": "since 2021"}
LIVE: Mapping[str, Any] = {"dataset": "quote", "latest": True}
COIN: Mapping[str, Any] = {**LIVE, "asset_classes": COINS}
RATE: Mapping[str, Any] = {**LIVE, "asset_classes": ("forex",)}
ACTIONS: Mapping[str, Any] = {"dataset": "actions", "kinds": ("split", "dividend"), "rows": 1000}
NEWS: Mapping[str, Any] = {"dataset": "news", "asset_classes": (*SHARES, *COINS), "rows": 50}
ASSETS: Mapping[str, Any] = {"dataset": "assets", "asset_classes": ("equity", *COINS), "batch": 0}
PART: Mapping[str, Any] = {"routed": False}
ONE: Mapping[str, Any] = {**PART, "batch": 1}
ACTIONS_PATH, NEWS_PATH, COIN_PATH = "/v1/corporate-actions", "/v1beta1/news", "/v1beta3/crypto/us"
NEWEST = f"{COIN_PATH}/latest"


def _at(name: str, path: str, page: str, build: Build, parse: Parse, **more: Any) -> Endpoint:
    return Endpoint(name=name, path=path, docs=f"{DOCS}/{page}", build=build, parse=parse, **{"batch": 100, **more})


CONNECTOR = Connector(
    name="alpaca",
    title="Alpaca",
    base_url="https://data.alpaca.markets",
    docs="https://docs.alpaca.markets",
    auth=Auth(headers={"APCA-API-KEY-ID": "{id}", "APCA-API-SECRET-KEY": "{secret}"}),
    symbols=Symbols(spell=spell, canonical=canonical),
    limits=(Limit(calls=200, per="minute"),),
    refusal=refusal,
    hosts={"assets": "https://paper-api.alpaca.markets"},
    mailbox=0,
    endpoints=(
        _at("bars", "/v2/stocks/bars", "stockbars", ask.stock_bars, market.bars, **BARS),
        _at("crypto_bars", f"{COIN_PATH}/bars", "cryptobars-1", ask.bars, market.bars, **COIN_BARS),
        _at("snapshots", "/v2/stocks/snapshots", "stocksnapshots-1", ask.latest, market.snapshots, **LIVE),
        _at("crypto_snapshots", f"{COIN_PATH}/snapshots", "cryptosnapshots-1", ask.latest, market.snapshots, **COIN),
        _at("forex_rates", "/v1beta1/forex/latest/rates", "latestrates", ask.rates, market.quotes, **RATE),
        _at("actions", ACTIONS_PATH, "corporateactions-1", ask.actions, market.actions, **ACTIONS),
        _at("all_actions", ACTIONS_PATH, "corporateactions-1", ask.actions, market.actions, **ACTIONS, batch=0),
        _at("news", NEWS_PATH, "news-3", ask.news, company.news, **NEWS),
        _at("all_news", NEWS_PATH, "news-3", ask.news, company.news, **NEWS, batch=0),
        _at("assets", "/v2/assets", "get-v2-assets-1", ask.universe, company.assets, **ASSETS),
        # never asked: parts of what the snapshots hold, and paths of one symbol
        _at("trades", "/v2/stocks/trades/latest", "stocklatesttrades-1", ask.latest, market.trades, **LIVE, **PART),
        _at("quotes", "/v2/stocks/quotes/latest", "stocklatestquotes-1", ask.latest, market.quotes, **LIVE, **PART),
        _at("latest_bars", "/v2/stocks/bars/latest", "stocklatestbars-1", ask.latest, market.bars, **BARS, **PART),
        _at("crypto_trades", f"{NEWEST}/trades", "cryptolatesttrades-1", ask.latest, market.trades, **COIN, **PART),
        _at("crypto_quotes", f"{NEWEST}/quotes", "cryptolatestquotes-1", ask.latest, market.quotes, **COIN, **PART),
        _at("crypto_latest", f"{NEWEST}/bars", "cryptolatestbars-1", ask.latest, market.bars, **COIN_BARS, **PART),
        _at("bars_of", "/v2/stocks/{symbol}/bars", "stockbarsingle-1", ask.bars_of, market.bars, **BARS, **ONE),
        _at(
            "crypto_old", "/v1beta1/crypto/{symbol}/bars", "cryptobars-1", ask.bars_of, market.bars, **COIN_BARS, **ONE
        ),
    ),
)
