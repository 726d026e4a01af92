"""Bright Data: other sites' pages through one API, paid by request. Documentation: https://docs.brightdata.com.

Quotes are Bloomberg's quote pages through the Web Unlocker: delayed about 15 minutes, the JSON sits in a script tag,
the time is a text of epoch seconds. Profiles (Yahoo Finance) and news (Google News) are scraper jobs: trigger, poll,
snapshot. The outer status is 200 even when unlocking failed: the envelope and the `x-brd-*` headers tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson

from connectors import _errors as errors
from connectors._brightdata_symbols import SHARES, at_yahoo, canonical, spell
from connectors._connector import Connector, Endpoint, Symbols, retry_after
from connectors._fields import currency, integer, iso_time, millis, minor, number, price, row_id, scaled, text
from connectors._reading import Reading
from connectors._records import News, Profile, Quote
from connectors._symbols import us_exchange
from connectors._vocabulary import Auth, Call, Item, Missing, Request

DOCS = "https://docs.brightdata.com/api-reference"
ZONE = "web_unlocker1"  # the name Bright Data gives an account's first Web Unlocker zone
YAHOO_FINANCE, GOOGLE_NEWS = "gd_lmrpz3vxmz972ghd7", "gd_lnsxoxzi1omrwnka5r"
USD = 0.0015  # a successful result
ARTICLES = 50  # most results of one keyword: each is paid
BACKGROUND = "unlocker_background"
WAIT_S = 15.0  # 25 answers of 429 within five minutes block the address


# -- requests --------------------------------------------------------------------------------------------------------


def _nothing(_: Call, __: tuple[str, ...]) -> Mapping[str, str]:
    return {}


def _polled(_: Call, __: tuple[str, ...]) -> Mapping[str, str]:
    raise errors.UnsupportedCall("brightdata's results are polled by their id: ask the job instead")


def _page(_: Call, spelled: tuple[str, ...]) -> Mapping[str, Any]:
    return {"zone": ZONE, "url": f"https://www.bloomberg.com/quote/{spelled[0]}", "format": "json"}


def _job(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    limit = {} if call.symbols else {"limit_multiple_results": str(min(call.limit or ARTICLES, ARTICLES))}
    return {"format": "json", "include_errors": "true", **limit}


def _companies(call: Call, _: tuple[str, ...]) -> list[Any]:
    return [{"url": f"https://finance.yahoo.com/quote/{at_yahoo(symbol)}"} for symbol in call.symbols]


def _keyword(call: Call, _: tuple[str, ...]) -> list[Any]:
    if not call.query:
        raise errors.UnsupportedCall("brightdata searches news by a keyword: give a query")
    return [{"url": "https://news.google.com/", "keyword": call.query, "country": "US", "language": "en"}]


def _poll(snapshot: Any) -> Request:
    if not isinstance(snapshot, str) or not re.fullmatch(r"[\w-]+", snapshot):
        raise errors.MalformedPayload(f"snapshot_id was {snapshot!r:.60}")
    return Request(endpoint="snapshot", path=f"/datasets/v3/snapshot/{snapshot}", params={"format": "json"})


# -- Bloomberg's quote page ------------------------------------------------------------------------------------------

SCRIPT = re.compile(r'<script[^>]*\bid="__NEXT_DATA__"[^>]*>(.*?)</script>', re.DOTALL)
MEMBERS = (
    ("props", "pageProps", "quote"),
    ("props", "pageProps", "initialState", "quote"),
    ("props", "pageProps", "initialState", "security"),
    ("initialState", "quote"),
    ("initialState", "security"),
    ("basicQuote",),
)


def _parse_page(reading: Reading) -> Iterator[Item]:
    """Only Bloomberg's pages are read: the same path fetches any other."""
    sent = reading.request.body
    url = str(sent.get("url")) if isinstance(sent, dict) else ""
    if not url or re.search(r"[./]bloomberg\.com/", url):
        row = _quote_in(_data_of(_page_of(reading)))
        yield from reading.rows([row] if row else [], lambda row: _quote(reading, row))


def _envelope(reading: Reading) -> dict[str, Any]:
    """Give `{"status_code", "headers", "body"}` of format=json, or an empty object."""
    return reading.object if {"status_code", "body"} <= set(reading.object) else {}


def _page_of(reading: Reading) -> str:
    inner = _envelope(reading)
    return str(inner["body"]) if inner else reading.text


def _data_of(page: str) -> Any:
    if found := SCRIPT.search(page):
        return orjson.loads(found[1])
    if page.lstrip().startswith("{"):
        return orjson.loads(page)
    raise errors.MalformedPayload("the page holds no __NEXT_DATA__ script")


def _quote_in(data: Any) -> Any:
    for path in MEMBERS:
        found = data
        for name in path:
            found = found.get(name, ...) if isinstance(found, dict) else ...
        if found is not ...:
            return found
    raise errors.MalformedPayload("the page's data hold no quote")


def _quote(reading: Reading, row: dict[str, Any]) -> Quote | None:
    unit = minor(row.get("issuedCurrency"))

    def paid(name: str) -> float | None:
        return scaled(price(row.get(name)), unit)

    if paid("price") is None:
        return None
    ts = millis(row.get("lastUpdateEpoch"), "s") or iso_time(row.get("lastUpdateISO"))
    return Quote(
        **reading.of(row.get("id")),
        ts=reading.answer.observed_at if ts is None else ts,
        ts_estimated=ts is None,
        price=paid("price"),
        open=paid("openPrice"),
        high=paid("highPrice"),
        low=paid("lowPrice"),
        prev_close=paid("previousClosingPriceOneTradingDayAgo"),
        volume=number(row.get("volume")),
        currency=currency(row.get("issuedCurrency")),
    )


# -- scraper jobs ----------------------------------------------------------------------------------------------------


def _parse_snapshot(reading: Reading) -> Iterator[Item]:
    """Each row echoes its input; `include_errors` adds rows of what could not be scraped."""

    def read(row: dict[str, Any]) -> Iterator[Item]:
        if row.get("error") or row.get("error_code"):
            yield _failed(reading, row)
        elif "stock_ticker" in row:
            yield from _company(reading, row)
        else:
            yield _article(reading, row)

    yield from reading.rows(reading.json, read)


def _failed(reading: Reading, row: dict[str, Any]) -> Missing:
    said = f"{row.get('error_code')}: {row.get('error')}"[:200]
    symbol, _ = reading.canonical(unquote(urlsplit(row["input"]["url"]).path).rpartition("/")[2])
    dead = row.get("error_code") == "dead_page"
    return Missing(symbol, errors.UnknownSymbol(said) if dead else errors.ProviderUnavailable(said))


def _company(reading: Reading, row: dict[str, Any]) -> Iterator[Item]:
    """Numbers are texts as the page shows them: `1,234.50`, `229.80 x 100`, `228.10 - 231.40`, `3.45T`."""
    envelope, observed_at = reading.of(row["stock_ticker"]), reading.answer.observed_at
    scraped = iso_time(row.get("timestamp"))
    ts = observed_at if scraped is None else scraped
    yield Profile(
        **envelope,
        ts=ts,
        name=text(row.get("name")),
        exchange=us_exchange(text(row.get("exchange"))),
        currency=currency(row.get("currency")),
        sector=text(row.get("company_profile_sector")),
        industry=text(row.get("company_profile_industry")),
        website=text(row.get("company_profile_website")),
        description=text(row.get("company_profile_description")),
        employees=integer(row.get("company_profile_employees")) or None,
        market_cap=_magnitude(row.get("market_cap")),
    )

    def paid(name: str, part: int = 0) -> float | None:
        return scaled([*_shown(row.get(name)), None][part], minor(row.get("currency")))

    if paid("closing_price") is not None:
        yield Quote(
            **envelope,
            ts=ts,
            ts_estimated=True,
            price=paid("closing_price"),
            bid=paid("bid"),
            ask=paid("ask"),
            open=paid("open"),
            high=paid("day_range", 1),
            low=paid("day_range"),
            prev_close=paid("previous_close"),
            volume=number(row.get("volume")),
            currency=currency(row.get("currency")),
        )


def _shown(value: Any) -> Iterator[float | None]:
    """Read the prices of a text such as `229.80 x 100` or `228.10 - 231.40`; a size after `x` is left aside."""
    for part in str("" if value is None else value).partition("x")[0].split(" - "):
        yield price(part)


def _magnitude(value: Any) -> float | None:
    shown = str("" if value is None else value).strip()
    found = price(shown.rstrip("KMBT"))
    return None if found is None else found * {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}.get(shown[-1:], 1.0)


def _article(reading: Reading, row: dict[str, Any]) -> News:
    """`date` is the publication, `timestamp` the scrape; a keyword is no symbol."""
    ts = iso_time(row["date"])
    if ts is None:
        raise errors.FieldError("time", "date is absent")
    return News(
        **reading.source(),
        id=row_id(row["url"]),
        ts=ts,
        title=row["title"],
        url=text(row["url"]),
        publisher=text(row.get("publisher")),
    )


# -- refusals --------------------------------------------------------------------------------------------------------

CODES: Mapping[str, type[errors.Refusal]] = MappingProxyType(
    {
        "rate_limit|throttl": errors.RateLimited,
        "robots|policy|premium|feature_not_active|custom_headers": errors.NotEntitled,
        "credential|password|customer_name|auth": errors.KeyRejected,
        "zone_not_found|bad_port": errors.InvalidRequest,
    }
)
SAID: Mapping[str, type[errors.Refusal]] = MappingProxyType(
    {
        "account is (suspended|new)": errors.KeyRejected,
        "(snapshot|dataset) does not exist": errors.InvalidRequest,
        "are you a robot|unusual activity from your computer": errors.ProviderUnavailable,
    }
)


def refusal(reading: Reading) -> errors.Refusal | None:
    """Find the refusal in headers, envelope, text or a job's state; an unlocking that failed may pass the next time."""
    answer = reading.answer
    if answer.status == 429:
        return errors.RateLimited(f"HTTP 429: {reading.text[:200]}", retry_after=retry_after(answer) or WAIT_S)
    if answer.status not in {200, 202}:
        return _said(reading.text)
    return _unlocking(reading) or _said(_page_of(reading)) or _job_state(reading)


def _unlocking(reading: Reading) -> errors.Refusal | None:
    inner = _envelope(reading)
    given = inner["headers"] if isinstance(inner.get("headers"), dict) else {}
    headers = {name.lower(): value for name, value in [*given.items(), *reading.answer.headers.items()]}
    code = str(headers.get("x-brd-error-code") or headers.get("x-brd-err-code") or "")
    said = f"{code} {headers.get('x-brd-error') or headers.get('x-brd-err-msg') or ''}".strip()
    if said:
        cls = next((cls for words, cls in CODES.items() if re.search(words, code)), errors.ProviderUnavailable)
        return cls(said)
    status = number(inner.get("status_code") or headers.get("x-brd-status-code")) or 200
    if status == 407:
        return errors.KeyRejected("the unlocker's zone refuses the key")
    if status == 404:
        return errors.UnknownSymbol("Bloomberg has no such page")
    if not 200 <= status < 300:
        return errors.ProviderUnavailable(f"the page answered {status:.0f}")
    empty = not (inner["body"] if inner else reading.answer.body.strip())
    return errors.ProviderUnavailable("an empty answer") if empty and not _waiting(reading) else None


def _waiting(reading: Reading) -> bool:
    return reading.answer.status == 202 or reading.request.endpoint == BACKGROUND


def _said(words: str) -> errors.Refusal | None:
    """A page with its data, or JSON, may hold such words in a headline: only other texts are looked into."""
    if SCRIPT.search(words) or words.lstrip()[:1] in {"{", "["}:
        return None
    for pattern, cls in SAID.items():
        if found := re.search(pattern, words, re.IGNORECASE):
            return cls(found[0])
    return None


def _job_state(reading: Reading) -> errors.Refusal | None:
    """A job hands out its id, then its state, or 202 for not yet; so does an unlocking in the background."""
    body, state = reading.object, reading.object.get("status")
    response = reading.answer.headers.get("x-response-id") or reading.params.get("response_id")
    if response and _waiting(reading):
        params = {"response_id": response, "zone": ZONE}
        poll = Request(endpoint="unlocker_result", path="/unblocker/get_result", params=params)
        return errors.Pending("unlocking in the background", poll=poll)
    if state == "failed":
        return errors.ProviderUnavailable(f"the job failed: {body.get('error_message')!s:.200}")
    if _waiting(reading) or "snapshot_id" in body or state in {"starting", "running", "building"}:
        snapshot = body.get("snapshot_id") or reading.params.get("snapshot_id")
        return errors.Pending(str(state or "triggered"), poll=_poll(snapshot))
    return None


# -- declaration -----------------------------------------------------------------------------------------------------

CONNECTOR = Connector(
    name="brightdata",
    title="Bright Data (Bloomberg)",
    base_url="https://api.brightdata.com",
    docs="https://docs.brightdata.com",
    auth=Auth(headers={"Authorization": "Bearer {key}"}),
    symbols=Symbols(spell=spell, canonical=canonical),
    mailbox=2,
    refusal=refusal,
    hosts={"quote_page": "https://www.bloomberg.com"},
    endpoints=(
        Endpoint(
            name="unlocker",
            dataset="quote",
            method="POST",
            path="/request",
            build=_nothing,
            body=_page,
            parse=_parse_page,
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
            build=lambda *_: {"zone": ZONE},
            body=_page,
            parse=_parse_page,
            latest=True,
            routed=False,
            docs=f"{DOCS}/rest-api/unlocker/request",
        ),
        Endpoint(
            name="unlocker_result",
            dataset="quote",
            path="/unblocker/get_result",
            build=_polled,
            parse=_parse_page,
            latest=True,
            routed=False,
            docs=f"{DOCS}/rest-api/unlocker/get-results",
        ),
        Endpoint(
            name="quote_page",
            dataset="quote",
            path="/markets/api/quote-page/{id}",
            build=lambda _, spelled: {"id": spelled[0]},
            parse=_parse_page,
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
            build=_job,
            body=_companies,
            parse=_parse_snapshot,
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
            build=_job,
            body=_keyword,
            parse=_parse_snapshot,
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
            build=_job,
            body=_companies,
            parse=_parse_snapshot,
            latest=True,
            usd=USD,
            routed=False,
            docs=f"{DOCS}/scrapers/synchronous-requests",
        ),
        Endpoint(
            name="progress",
            dataset="profile",
            path="/datasets/v3/progress/{snapshot_id}",
            build=_polled,
            parse=_parse_snapshot,
            routed=False,
            docs=f"{DOCS}/scrapers/management-apis/monitor-progress",
        ),
        Endpoint(
            name="snapshot",
            dataset="profile",
            path="/datasets/v3/snapshot/{snapshot_id}",
            build=_polled,
            parse=_parse_snapshot,
            latest=True,
            routed=False,
            docs=f"{DOCS}/rest-api/scraper/asynchronous-requests",
        ),
    ),
)
