"""What Bright Data's unlocker fetches: Bloomberg's quote pages, whose JSON sits in a script tag."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from connectors import errors
from connectors.fields import iso_time, millis, minor, number, price, scaled
from connectors.items import Item
from connectors.reading import Reading, read_json
from connectors.records import Quote

SCRIPT = re.compile(r'<script[^>]*\bid="__NEXT_DATA__"[^>]*>(.*?)</script>', re.DOTALL)
MEMBERS = (
    ("props", "pageProps", "quote"),
    ("props", "pageProps", "initialState", "quote"),
    ("props", "pageProps", "initialState", "security"),
    ("initialState", "quote"),
    ("initialState", "security"),
    ("basicQuote",),
)


def quote_page(reading: Reading) -> Iterator[Item]:
    """Only Bloomberg's pages are read: the same path fetches any other."""
    sent = reading.request.body
    url = str(sent.get("url")) if isinstance(sent, dict) else ""
    if not url or re.search(r"[./]bloomberg\.com/", url):
        row = _quote_in(_data_of(page_of(reading)))
        yield from reading.rows([row] if row else [], lambda row: _quote(reading, row))


def envelope(reading: Reading) -> dict[str, Any]:
    """Return `{"status_code", "headers", "body"}` of format=json, or an empty object."""
    return dict(reading.object) if {"status_code", "body"} <= set(reading.object) else {}


def page_of(reading: Reading) -> str:
    """Return the fetched page, out of its envelope when it has one."""
    inner = envelope(reading)
    return str(inner["body"]) if inner else reading.text


def _data_of(page: str) -> Any:
    if found := SCRIPT.search(page):
        return read_json(found[1].encode())
    if page.lstrip().startswith("{"):
        return read_json(page.encode())
    if page.lstrip().startswith("<"):
        raise errors.ProviderUnavailable("the page holds no __NEXT_DATA__ script: it is not the quote page")
    raise errors.MalformedPayload("the page is neither HTML nor JSON")


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

    if price(row["price"]) is None:
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
        currency=reading.currency(row.get("issuedCurrency")),
    )
