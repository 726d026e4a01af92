"""Massive, formerly Polygon.io: US shares, currencies, crypto, indices. Documentation: https://massive.com/docs.

Bars are stamped with their start in ms (a stock's day starts at midnight New York, but the previous day and the
grouped day are stamped at the close; crypto and forex days start at 00:00 UTC, weeks on Sunday); trades and quotes of
shares are in ns. Prices are adjusted for splits unless `adjusted=false`, never for dividends. The old host
`api.polygon.io` answers alike.
"""

from __future__ import annotations

from connectors.calls import Auth, Limit
from connectors.declaration import Connector
from connectors.polygon import requests as ask
from connectors.polygon.company_endpoints import COMPANIES
from connectors.polygon.market_endpoints import MARKET
from connectors.polygon.names import DOCS
from connectors.symbols import Symbols

CONNECTOR = Connector(
    name="polygon",
    title="Massive (formerly Polygon.io)",
    base_url="https://api.massive.com",
    docs=DOCS,
    auth=Auth(headers={"Authorization": "Bearer {key}"}),
    symbols=Symbols(spell=ask.spell, canonical=ask.canonical),
    limits=(Limit(calls=5, per="minute"),),
    refusal=ask.refusal,
    mailbox=8,
    endpoints=(*MARKET, *COMPANIES),
)
