"""What Alpaca's calls name (symbols, limits, pages, days) and how it writes times."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, tzinfo
from functools import cache
from typing import Any

from sandbox.market.universe import Instrument, instruments
from sandbox.server.provider import Call

Row = dict[str, Any]


class BadRequest(ValueError):
    """A call Alpaca would refuse with 400."""


@cache
def listings() -> dict[str, Instrument]:
    """Every share, ETF, coin and pair that Alpaca has, by its spelling: `AAPL`, `BTC/USD`, `EURUSD`."""
    named = {}
    for instrument in instruments().values():
        match instrument.asset_class:
            case "crypto":
                named[instrument.symbol.replace("-", "/")] = instrument
            case "forex":
                named[instrument.symbol.replace("/", "")] = instrument
            case "equity" | "etf" if instrument.currency == "USD":
                named[instrument.symbol] = instrument
    return named


@cache
def stocks() -> dict[str, Instrument]:
    """Shares and ETFs by spelling."""
    return {name: found for name, found in listings().items() if found.asset_class in ("equity", "etf")}


@cache
def coins() -> dict[str, Instrument]:
    """Coins by spelling."""
    return {name: found for name, found in listings().items() if found.asset_class == "crypto"}


@cache
def indices() -> dict[str, Instrument]:
    """Indices by Alpaca's names."""
    named = {"^GSPC": "SPX", "^IXIC": "COMP"}
    found = [instrument for instrument in instruments().values() if instrument.asset_class == "index"]
    return {named.get(index.symbol, index.symbol[1:]): index for index in found}


def asked_symbols(call: Call, parameter: str = "symbols") -> list[str]:
    """The symbols of a comma-separated parameter, each once, sorted."""
    names = [name for name in call.query.get(parameter, "").split(",") if name]
    if not names:
        raise BadRequest(f"{parameter} is required")
    for name in names:
        if not re.fullmatch(r"[A-Z0-9./]{1,24}", name):
            raise BadRequest(f"invalid symbol: {name}")
    return sorted(set(names))


def paged(call: Call, rows: Sequence[Any], largest: int, default: int) -> tuple[Sequence[Any], str | None]:
    """One page of `rows`, and the token of the next; None on the last."""
    limit, after = asked_limit(call, largest, default), _page_after(call)
    more = after + limit < len(rows)
    return rows[after : after + limit], page_token(str(after + limit)) if more else None


def _page_after(call: Call) -> int:
    """How many rows the pages before this one held."""
    text = token_text(call) or "0"
    if not text.isdecimal():
        raise BadRequest("page_token is invalid")
    return int(text)


def asked_limit(call: Call, largest: int, default: int) -> int:
    """How many rows a page holds."""
    text = call.query.get("limit", str(default))
    if not text.isdecimal() or not 1 <= int(text) <= largest:
        raise BadRequest(f"limit must be between 1 and {largest}")
    return int(text)


def bar_token(call: Call) -> tuple[str, int]:
    """Symbol and time stamp (UTC ms) of the last bar of the page before."""
    name, _, rest = token_text(call).partition("|")
    try:
        return name, int(rest.partition("|")[2] or 0) // 1_000_000
    except ValueError:
        raise BadRequest("page_token is invalid") from None


def token_text(call: Call) -> str:
    """What the token of the page before says; empty on the first page."""
    try:
        return base64.b64decode(call.query.get("page_token", ""), validate=True).decode()
    except ValueError:
        raise BadRequest("page_token is invalid") from None


def page_token(text: str) -> str:
    """Where a page ended, as it travels."""
    return base64.b64encode(text.encode()).decode()


def asked_day(call: Call, name: str, default: date) -> date:
    """A parameter that is a date."""
    try:
        return date.fromisoformat(call.query.get(name, default.isoformat()))
    except ValueError:
        raise BadRequest(f"invalid {name}: {call.query[name]!r} is no date") from None


def asked_moment(call: Call, name: str, default: datetime, zone: tzinfo) -> datetime:
    """A parameter that is an RFC 3339 time or a date, which is its midnight in `zone`."""
    if name not in call.query:
        return default
    try:
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", call.query[name]))
    except ValueError:
        raise BadRequest(f"invalid {name}: {call.query[name]!r} is no RFC-3339 time or date") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def rfc3339(ms: int) -> str:
    """Go's RFC3339Nano: no zeros at the end of the fraction."""
    moment = datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{ms % 1000:03}".rstrip("0").rstrip(".") + "Z" if ms % 1000 else f"{moment}Z"


def row_id(*names: str) -> str:
    """The UUID that belongs to `names`."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "|".join(names)))
