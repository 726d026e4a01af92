"""What every Polygon endpoint needs: its tickers, parameters, pages, and the frame of an answer."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

from sandbox.market.universe import Instrument, instruments
from sandbox.server.provider import Call, Reply

Row = dict[str, Any]

MARKETS: Mapping[str, tuple[str, ...]] = {
    "stocks": ("equity", "etf"),
    "crypto": ("crypto",),
    "forex": ("forex",),
    "fx": ("forex",),
    "indices": ("index",),
    "all": ("equity", "etf", "crypto", "forex", "index"),
}
INDICES = {"^GSPC": "I:SPX", "^DJI": "I:DJI", "^IXIC": "I:COMP", "^RUT": "I:RUT", "^VIX": "I:VIX"}


class BadParameter(ValueError):
    """A parameter Polygon would refuse with 400."""


@cache
def tickers() -> dict[str, Instrument]:
    """Every instrument Polygon has, by its ticker."""
    return {ticker: instrument for instrument in instruments().values() if (ticker := _ticker(instrument))}


def _ticker(instrument: Instrument) -> str | None:
    match instrument.asset_class:
        case "crypto":
            return "X:" + instrument.symbol.replace("-", "")
        case "forex":
            return "C:" + instrument.symbol.replace("/", "")
        case "index":
            return INDICES.get(instrument.symbol)
        case "equity" | "etf" if instrument.currency == "USD":
            return instrument.symbol
    return None


def market_of(instrument: Instrument) -> str:
    """The market an instrument belongs to: stocks, crypto, fx or indices."""
    return {"crypto": "crypto", "forex": "fx", "index": "indices"}.get(instrument.asset_class, "stocks")


def paged(call: Call, asked: Mapping[str, str], rows: Sequence[Row], default: int, largest: int = 1000) -> Reply:
    """One page of `rows`."""
    limit, after = asked_number(asked, "limit", default, largest), int(asked.get("after", 0))
    more = after + limit < len(rows)
    return listed(
        call, rows[after : after + limit], {**asked, "limit": limit, "after": after + limit} if more else None
    )


def listed(call: Call, page: Sequence[Row], following: Mapping[str, object] | None) -> Reply:
    """A page, and the address of the `following` one, which is asked with these parameters."""
    body = {"results": page, "status": "OK", "request_id": request_id(call), "count": len(page)}
    return Reply(body | ({"next_url": next_url(call, call.url_path, following)} if following else {}))


def next_url(call: Call, path: str, kept: Mapping[str, object]) -> str:
    """Where the next page is; its cursor carries what was asked, never the key."""
    cursor = base64.urlsafe_b64encode(urlencode(kept).encode()).decode().rstrip("=")
    return f"{call.base_url}{path}?cursor={cursor}"


def asked_day(text: str) -> date:
    """A date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadParameter(f"Could not parse the date: {text}. Use YYYY-MM-DD") from None


def asked_number(asked: Mapping[str, str], name: str, default: int, largest: int) -> int:
    """A parameter that is a number of 1…`largest`."""
    text = asked.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= largest:
        raise BadParameter(f"'{name}' must be a number between 1 and {largest}")
    return int(text)


def in_range(day: str, asked: Mapping[str, str], name: str) -> bool:
    """Whether a date lies where `name`, `name.gte`, `name.gt`, `name.lte` and `name.lt` want it."""
    return (
        asked.get(name, day) == day
        and asked.get(f"{name}.gte", day) <= day <= asked.get(f"{name}.lte", day)
        and not (f"{name}.gt" in asked and day <= asked[f"{name}.gt"])
        and not (f"{name}.lt" in asked and day >= asked[f"{name}.lt"])
    )


def with_cursor(call: Call) -> dict[str, str]:
    """The query, and what the cursor of a `next_url` carries of the first one; never the key."""
    asked = {name: value for name, value in call.query.items() if name not in ("apiKey", "cursor")}
    if "cursor" not in call.query:
        return asked
    try:
        text = base64.urlsafe_b64decode(call.query["cursor"] + "==").decode()
    except ValueError:
        raise BadParameter("Invalid cursor") from None
    return asked | dict(parse_qsl(text))


def request_id(call: Call) -> str:
    """The id of this request."""
    return hashlib.blake2b(f"{call.now}{call.url_path}{call.query}".encode(), digest_size=16).hexdigest()


def not_found(call: Call, message: str, status: str = "NOT_FOUND") -> Reply:
    """A 404."""
    return Reply({"status": status, "request_id": request_id(call), "message": message}, 404)
