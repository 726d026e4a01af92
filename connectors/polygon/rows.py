"""What all of Polygon's answers share: rows in `results`, the next page in `next_url`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from connectors import errors
from connectors.endpoints import Parse
from connectors.fields import kind, shown, text
from connectors.items import Item, Next
from connectors.reading import Reading, counted, unrecognised

Row = dict[str, Any]


def results(reading: Reading) -> list[Any]:
    """An empty range may have no `results`, and then counts 0. Raises `MalformedPayload` for what is no answer."""
    body = reading.json
    counts = [body[name] for name in COUNTS if name in body]
    if "results" not in body and not counts:
        raise errors.MalformedPayload(f"neither results nor a count of them in {shown(list(body))}")
    found = body.get("results") or []
    if not isinstance(found, list):
        raise errors.MalformedPayload(f"results is {kind(found)}, not a list")
    return counted(found, *counts)


COUNTS = ("resultsCount", "count")
ENVELOPE = frozenset({"status", "request_id", "ticker", "results", "message", *COUNTS})
"""Members of an answer beside `next_url` that may be texts."""


def _address(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("http:", "https:", "/"))


def spelled(code: Any) -> Any:
    """Polygon writes most currency codes in small letters (`usd`), some in capitals, and no minor units."""
    return code.upper() if isinstance(code, str) else code


def follow(reading: Reading) -> Iterator[Item]:
    """`next_url` names another host and lacks the key, which must not come back as a parameter of it."""
    if url := text(reading.json.get("next_url")):
        page = reading.following_at(url).request
        yield Next(replace(page, params={name: page.params[name] for name in page.params if name.lower() != "apikey"}))
    yield from unrecognised(reading.json, ("next_url",), ENVELOPE, _address)


def each(one: Callable[[Reading, Row], Item | Iterator[Item] | None]) -> Parse:
    """Make a parser of a reader of one row of `results`."""

    def parse(reading: Reading) -> Iterator[Item]:
        yield from reading.rows(results(reading), lambda row: one(reading, row))
        yield from follow(reading)

    return parse
