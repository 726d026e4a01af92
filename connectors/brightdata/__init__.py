"""Bright Data: other sites' pages through one API, paid by request. Documentation: https://docs.brightdata.com.

Quotes are Bloomberg's quote pages through the Web Unlocker: delayed about 15 minutes, the JSON sits in a script tag,
the time is a text of epoch seconds. Profiles (Yahoo Finance) and news (Google News) are scraper jobs: trigger, poll,
snapshot. The outer status is 200 even when unlocking failed: the envelope and the `x-brd-*` headers tell.
"""

from __future__ import annotations

from connectors import errors
from connectors.brightdata import company, market
from connectors.brightdata import requests as ask
from connectors.brightdata.requests import ARTICLES, BACKGROUND, SHARES, canonical, charged, refusal, signed, spell
from connectors.calls import Auth
from connectors.declaration import Connector, Endpoint
from connectors.symbols import Symbols

DOCS = "https://docs.brightdata.com/api-reference"
YAHOO_FINANCE, GOOGLE_NEWS = "gd_lmrpz3vxmz972ghd7", "gd_lnsxoxzi1omrwnka5r"
USD = 0.0015  # a successful result

CONNECTOR = Connector(
    name="brightdata",
    title="Bright Data (Bloomberg)",
    base_url="https://api.brightdata.com",
    docs="https://docs.brightdata.com",
    auth=Auth(headers={"Authorization": "Bearer {token}"}, account="zone"),
    symbols=Symbols(spell=spell, canonical=canonical),
    mailbox=12,
    failure_threshold=3,
    recovery_s=120,
    budget_usd=5.50,
    statuses={407: errors.KeyRejected},
    refusal=refusal,
    signed=signed,
    charged=charged,
    hosts={"quote_page": "https://www.bloomberg.com"},
    endpoints=(
        Endpoint(
            name="unlocker",
            dataset="quote",
            method="POST",
            path="/request",
            build=ask.nothing,
            body=ask.page,
            parse=market.quote_page,
            asset_classes=(*SHARES, "index", "forex", "crypto", "commodity"),
            latest=True,
            usd=USD,
            plan="pay as you go",
            docs=f"{DOCS}/rest-api/unlocker/request",
        ),
        Endpoint(
            name=BACKGROUND,
            dataset="quote",
            method="POST",
            path="/unblocker/req",
            build=lambda *_: {"zone": ask.ZONE},
            body=ask.page,
            parse=market.quote_page,
            latest=True,
            routed=False,
            docs=f"{DOCS}/rest-api/unlocker/request",
        ),
        Endpoint(
            name="unlocker_result",
            dataset="quote",
            path="/unblocker/get_result",
            build=ask.polled,
            parse=market.quote_page,
            latest=True,
            routed=False,
            docs=f"{DOCS}/rest-api/unlocker/get-results",
        ),
        Endpoint(
            name="quote_page",
            dataset="quote",
            path="/markets/api/quote-page/{id}",
            build=lambda _, spelled: {"id": spelled[0]},
            parse=market.quote_page,
            asset_classes=(*SHARES, "index"),
            latest=True,
            routed=False,
            docs="https://www.bloomberg.com",
        ),
        Endpoint(
            name="companies",
            dataset="profile",
            method="POST",
            path="/datasets/v3/trigger",
            match={"dataset_id": YAHOO_FINANCE},
            build=ask.job,
            body=ask.companies,
            parse=company.snapshot,
            asset_classes=SHARES,
            latest=True,
            usd=USD,
            plan="pay as you go",
            docs=f"{DOCS}/rest-api/scraper/asynchronous-requests",
        ),
        Endpoint(
            name="news",
            dataset="news",
            method="POST",
            path="/datasets/v3/trigger",
            match={"dataset_id": GOOGLE_NEWS},
            build=ask.job,
            body=ask.keyword,
            parse=company.snapshot,
            batch=0,
            rows=ARTICLES,
            usd=ARTICLES * USD,
            plan="pay as you go",
            docs=f"{DOCS}/rest-api/scraper/asynchronous-requests",
        ),
        Endpoint(
            name="scrape",
            dataset="profile",
            method="POST",
            path="/datasets/v3/scrape",
            build=ask.job,
            body=ask.companies,
            parse=company.snapshot,
            latest=True,
            usd=USD,
            routed=False,
            docs=f"{DOCS}/scrapers/synchronous-requests",
        ),
        Endpoint(
            name="progress",
            dataset="profile",
            path="/datasets/v3/progress/{snapshot_id}",
            build=ask.polled,
            parse=company.snapshot,
            routed=False,
            docs=f"{DOCS}/scrapers/management-apis/monitor-progress",
        ),
        Endpoint(
            name="snapshot",
            dataset="profile",
            path="/datasets/v3/snapshot/{snapshot_id}",
            build=ask.polled,
            parse=company.snapshot,
            latest=True,
            routed=False,
            docs=f"{DOCS}/rest-api/scraper/asynchronous-requests",
        ),
    ),
)
