"""Alpaca market data: US shares and ETFs, crypto, currency rates, indices. Documentation: https://docs.alpaca.markets.

Times are RFC 3339 in UTC with up to nanoseconds. A stock's day, week and month are stamped with midnight New York, a
crypto day with midnight Chicago: it is filed under the UTC date of that stamp. Bars are raw unless `adjustment` asks
otherwise, and the answer does not say which they are: the request decides.
"""

from __future__ import annotations

from connectors.alpaca import actions, company, market
from connectors.alpaca import requests as ask
from connectors.alpaca.requests import SHARES, SPANS, canonical, refusal, spell
from connectors.calls import Auth, Limit
from connectors.declaration import Connector
from connectors.endpoints import Facts, endpoint, with_market
from connectors.records import AssetClass
from connectors.symbols import Symbols

DOCS = "https://docs.alpaca.markets/reference"
COINS: tuple[AssetClass, ...] = ("crypto",)
COIN_PATH = "/v1beta3/crypto/us"
BARS = Facts(
    dataset="bars",
    parse=market.bars,
    batch=100,
    intervals=SPANS,
    adjustments=("raw", "split", "total"),
    rows=10_000,
    pages=20_000,  # minutes of a hundred symbols since 2016
    history="since 2016; the last 15 minutes of all exchanges are not in the free plan",
    begins={"": ("2016-01-01",)},
)
COIN_BARS = BARS | Facts(asset_classes=COINS, adjustments=("raw",), history="since 2021", begins={"": ("2021-01-01",)})
LATEST = Facts(dataset="quote", build=ask.latest, batch=100, latest=True)
COIN_LATEST = LATEST | Facts(asset_classes=COINS)
UNASKED = Facts(routed=False)
"""Parts of what the snapshots hold, and paths of one symbol: read when somebody else asked."""

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
        endpoint("bars", BARS, path="/v2/stocks/bars", build=ask.stock_bars, docs=f"{DOCS}/stockbars"),
        endpoint("crypto_bars", COIN_BARS, path=f"{COIN_PATH}/bars", build=ask.bars, docs=f"{DOCS}/cryptobars-1"),
        endpoint(
            "snapshots", LATEST, path="/v2/stocks/snapshots", parse=market.snapshots, docs=f"{DOCS}/stocksnapshots-1"
        ),
        endpoint(
            "crypto_snapshots",
            COIN_LATEST,
            path=f"{COIN_PATH}/snapshots",
            parse=market.snapshots,
            docs=f"{DOCS}/cryptosnapshots-1",
        ),
        endpoint(
            "forex_rates",
            LATEST,
            path="/v1beta1/forex/latest/rates",
            build=ask.rates,
            parse=market.quotes,
            asset_classes=("forex",),
            docs=f"{DOCS}/latestrates",
        ),
        endpoint(
            "index_values",
            LATEST,
            path="/v1beta1/indices/latest/values",
            build=ask.index_values,
            parse=market.index_values,
            asset_classes=("index",),
            plan="index data",
            docs="https://docs.alpaca.markets/us/changelog",
        ),
        *with_market(
            endpoint(
                "actions",
                dataset="actions",
                path="/v1/corporate-actions",
                build=ask.actions,
                parse=actions.actions,
                kinds=("split", "dividend", "spin_off", "symbol_change"),
                batch=100,
                rows=1000,
                docs=f"{DOCS}/corporateactions-1",
            ),
            "all_actions",
        ),
        *with_market(
            endpoint(
                "news",
                dataset="news",
                path="/v1beta1/news",
                build=ask.news,
                parse=company.news,
                asset_classes=(*SHARES, *COINS),
                batch=100,
                rows=50,
                pages=20_000,  # of a hundred symbols since 2015
                docs=f"{DOCS}/news-3",
            ),
            "all_news",
        ),
        endpoint(
            "assets",
            dataset="assets",
            path="/v2/assets",
            build=ask.universe,
            parse=company.assets,
            asset_classes=("equity", *COINS),
            batch=0,
            docs=f"{DOCS}/get-v2-assets-1",
        ),
        endpoint(
            "trades",
            LATEST,
            UNASKED,
            path="/v2/stocks/trades/latest",
            parse=market.trades,
            docs=f"{DOCS}/stocklatesttrades-1",
        ),
        endpoint(
            "quotes",
            LATEST,
            UNASKED,
            path="/v2/stocks/quotes/latest",
            parse=market.quotes,
            docs=f"{DOCS}/stocklatestquotes-1",
        ),
        endpoint(
            "latest_bars",
            BARS,
            UNASKED,
            path="/v2/stocks/bars/latest",
            build=ask.latest,
            docs=f"{DOCS}/stocklatestbars-1",
        ),
        endpoint(
            "crypto_trades",
            COIN_LATEST,
            UNASKED,
            path=f"{COIN_PATH}/latest/trades",
            parse=market.trades,
            docs=f"{DOCS}/cryptolatesttrades-1",
        ),
        endpoint(
            "crypto_quotes",
            COIN_LATEST,
            UNASKED,
            path=f"{COIN_PATH}/latest/quotes",
            parse=market.quotes,
            docs=f"{DOCS}/cryptolatestquotes-1",
        ),
        endpoint(
            "crypto_latest",
            COIN_BARS,
            UNASKED,
            path=f"{COIN_PATH}/latest/bars",
            build=ask.latest,
            docs=f"{DOCS}/cryptolatestbars-1",
        ),
        endpoint(
            "bars_of",
            BARS,
            UNASKED,
            path="/v2/stocks/{symbol}/bars",
            build=ask.bars_of,
            batch=1,
            docs=f"{DOCS}/stockbarsingle-1",
        ),
        endpoint(
            "crypto_old",
            COIN_BARS,
            UNASKED,
            path="/v1beta1/crypto/{symbol}/bars",
            build=ask.bars_of,
            batch=1,
            docs=f"{DOCS}/cryptobars-1",
        ),
    ),
)
