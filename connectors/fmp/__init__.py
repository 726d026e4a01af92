"""Financial Modeling Prep: quotes, bars, company facts, lists. https://site.financialmodelingprep.com/developer/docs.

Times are texts without a zone and mean New York for every asset class, crypto and forex included; `quote` counts
seconds, the after-hours quote milliseconds. A crypto day is the UTC day, a forex day ends at 17:00 New York. Rows come
newest first. Daily bars are split-adjusted, unadjusted or adjusted for dividends too, by endpoint: the last two name
their fields adjOpen and so on, whatever they hold. Crypto volume is money. An after-hours trade has no place in a
quote, a series of closing prices none in bars, so `aftermarket-trade` and `light` are not asked.
"""

from __future__ import annotations

from connectors.calls import Auth, Limit
from connectors.declaration import Connector
from connectors.fmp import requests as ask
from connectors.fmp.company_endpoints import COMPANIES
from connectors.fmp.market_endpoints import LISTS, PRICES
from connectors.fmp.names import canonical, spell
from connectors.fmp.retired_endpoints import RETIRED
from connectors.symbols import Symbols

CONNECTOR = Connector(
    name="fmp",
    mailbox=20,
    title="Financial Modeling Prep",
    base_url="https://financialmodelingprep.com/stable",
    docs="https://site.financialmodelingprep.com/developer/docs",
    auth=Auth(headers={"apikey": "{key}"}),
    symbols=Symbols(spell=spell, canonical=canonical),
    limits=(Limit(calls=250, per="day"),),
    refusal=ask.refusal,
    endpoints=(*PRICES, *COMPANIES, *LISTS, *RETIRED),
)
