"""Bright Data: other sites' pages through one API, paid by request. Documentation: https://docs.brightdata.com.

Quotes are Bloomberg's quote pages through the Web Unlocker: delayed about 15 minutes, the JSON sits in a script tag,
the time is a text of epoch seconds. Profiles (Yahoo Finance) and news (Google News) are scraper jobs: trigger, poll,
snapshot. The outer status is 200 even when unlocking failed: the envelope and the `x-brd-*` headers show it.
"""

from __future__ import annotations

from connectors import errors
from connectors.brightdata import company, market
from connectors.brightdata import requests as ask
from connectors.brightdata.requests import ARTICLES, BACKGROUND, SHARES, canonical, charged, refusal, signed, spell
from connectors.calls import Auth
from connectors.declaration import Connector
from connectors.endpoints import Facts, endpoint
from connectors.symbols import Symbols

DOCS = "https://docs.brightdata.com/api-reference"
YAHOO_FINANCE, GOOGLE_NEWS = "gd_lmrpz3vxmz972ghd7", "gd_lnsxoxzi1omrwnka5r"
USD = 0.0015  # a successful result
PAGE = Facts(dataset="quote", parse=market.quote_page, latest=True)
JOB = Facts(parse=company.snapshot, docs=f"{DOCS}/rest-api/scraper/asynchronous-requests")
PAID = Facts(usd=USD, plan="pay as you go")
UNASKED = Facts(routed=False)
"""Other ways to the same data, and the polls of a job: read when somebody else asked, or as a job goes on."""

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
        endpoint(
            "unlocker",
            PAGE,
            PAID,
            method="POST",
            path="/request",
            build=ask.nothing,
            body=ask.page,
            asset_classes=(*SHARES, "index", "forex", "crypto", "commodity"),
            docs=f"{DOCS}/rest-api/unlocker/request",
        ),
        endpoint(
            BACKGROUND,
            PAGE,
            UNASKED,
            method="POST",
            path="/unblocker/req",
            build=lambda *_: {"zone": ask.ZONE},
            body=ask.page,
            docs=f"{DOCS}/rest-api/unlocker/request",
        ),
        endpoint(
            "unlocker_result",
            PAGE,
            UNASKED,
            path="/unblocker/get_result",
            build=ask.polled,
            docs=f"{DOCS}/rest-api/unlocker/get-results",
        ),
        endpoint(
            "quote_page",
            PAGE,
            UNASKED,
            path="/markets/api/quote-page/{id}",
            build=lambda _, spelled: {"id": spelled[0]},
            asset_classes=(*SHARES, "index"),
            docs="https://www.bloomberg.com",
        ),
        endpoint(
            "companies",
            JOB,
            PAID,
            dataset="profile",
            method="POST",
            path="/datasets/v3/trigger",
            match={"dataset_id": YAHOO_FINANCE},
            build=ask.job,
            body=ask.companies,
            asset_classes=SHARES,
            latest=True,
        ),
        endpoint(
            "news",
            JOB,
            PAID,
            dataset="news",
            method="POST",
            path="/datasets/v3/trigger",
            match={"dataset_id": GOOGLE_NEWS},
            build=ask.job,
            body=ask.keyword,
            batch=0,
            rows=ARTICLES,
            usd=ARTICLES * USD,
            results=ARTICLES,
        ),
        endpoint(
            "scrape",
            JOB,
            UNASKED,
            dataset="profile",
            method="POST",
            path="/datasets/v3/scrape",
            build=ask.job,
            body=ask.companies,
            latest=True,
            usd=USD,
            docs=f"{DOCS}/scrapers/synchronous-requests",
        ),
        endpoint(
            "progress",
            JOB,
            UNASKED,
            dataset="profile",
            path="/datasets/v3/progress/{snapshot_id}",
            build=ask.polled,
            docs=f"{DOCS}/scrapers/management-apis/monitor-progress",
        ),
        endpoint(
            "snapshot",
            JOB,
            UNASKED,
            dataset="profile",
            path="/datasets/v3/snapshot/{snapshot_id}",
            build=ask.polled,
            latest=True,
        ),
    ),
)
