"""How EODHD is asked and how it refuses: a call becomes parameters, an answer that is none becomes a refusal. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from connectors import errors
from connectors.calls import DAY_MS, Call
from connectors.endpoints import Build
from connectors.eodhd.names import PERIODS, exchange_code
from connectors.eodhd.rows import withheld
from connectors.fields import period_start, utc_date
from connectors.reading import Reading

JSON = MappingProxyType({"fmt": "json"})  # many endpoints answer CSV unless asked


def _dates(call: Call) -> dict[str, str]:
    """`from` and `to`, both inclusive."""
    found = {} if call.start is None else {"from": utc_date(call.start)}
    return found if call.end is None else {**found, "to": utc_date(call.end - 1)}


def eod(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Weeks and months are built of the days asked for, so the range is widened to whole ones."""
    interval = call.interval or "1d"
    whole = {
        "start": period_start(call.start, interval),
        "end": None if call.end is None else _period_end(call.end - 1, interval),
    }
    return {"symbol": spelled[0], **JSON, "period": PERIODS[interval], **_dates(call.model_copy(update=whole))}


def _period_end(at: int, interval: str) -> int:
    """First ms after the day, week or month that `at` lies in."""
    if interval == "1d":
        return at + 1
    first = period_start(at, interval) or 0
    # 31 days on lies in the next month, whatever this one's length
    return first + 7 * DAY_MS if interval == "1w" else period_start(first + 31 * DAY_MS, "1mo") or 0


def intraday(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """The range is in seconds, both ends inclusive."""
    first = {} if call.start is None else {"from": str(-(-call.start // 1000))}
    last = {} if call.end is None else {"to": str((call.end - 1) // 1000)}
    return {"symbol": spelled[0], **JSON, "interval": call.interval or "", **first, **last}


def live(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send the first symbol in the path, up to 14 others in `s`."""
    more = {"s": ",".join(spelled[1:])} if spelled[1:] else {}
    return {"symbol": spelled[0], **JSON, **more}


def trading_day(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    """Send an exchange and one day, the last trading day without one. Raises `UnsupportedCall` for a longer range."""
    if call.start is not None and call.end is not None and call.end - call.start > DAY_MS:
        raise errors.UnsupportedCall("eodhd answers an exchange day by day: give a range of at most one day")
    day = {} if call.start is None else {"date": utc_date(call.start)}
    return {"exchange": exchange_code(call), **JSON, **day}


def exchange(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    """Send the exchange: a virtual one for coins, pairs and indices. Raises `UnsupportedCall` for one it lacks."""
    return {"exchange": exchange_code(call), **JSON}


def dated(name: str, **fixed: str) -> Build:
    """Parameters of an endpoint whose symbols travel in `name`, with the range as dates."""

    def build(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
        asked = {name: ",".join(spelled)} if spelled else {}
        return {**asked, **JSON, **_dates(call), **fixed}

    return build


def news(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send one symbol, or the query as a tag, with dates and the largest page."""
    asked = {"s": spelled[0]} if spelled else {"t": call.query} if call.query else {}
    return {**asked, **JSON, **_dates(call), "limit": str(min(call.limit or 1000, 1000)), "offset": "0"}


def symbol(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send the symbol in the path."""
    return {"symbol": spelled[0], **JSON}


def form4(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send the symbol in the path, and the first page of 100 filings."""
    return {"symbol": spelled[0], "page[limit]": "100", "page[offset]": "0"}


def refusal(reading: Reading) -> errors.Refusal | None:
    """Errors are plain text; 402 is the day's quota, 403 a plan that lacks the feed, 401 the key.

    A 200 can be empty, a page, or nothing but a `warning` (the free plan's year) or an `error`.
    """
    said = reading.answer.body[:200].decode("utf-8", "replace").strip()
    match reading.answer.status:
        case 403 if re.search(r"api.?(key|token)|unauthenticated", said, re.IGNORECASE):
            return errors.KeyRejected(f"HTTP 403: {said}")
        case 402 if re.search(r"plan|subscription", said, re.IGNORECASE) and "limit" not in said.lower():
            return errors.NotEntitled(f"HTTP 402: {said}")
        case 200 if not said or said.startswith("<"):
            return errors.ProviderUnavailable("the answer was a page, not data" if said else "the answer was empty")
        case 200 if warning := withheld(reading):
            return errors.NotEntitled(warning)
        case 200 if "not found" in str(reading.object.get("error", "")).lower():
            return errors.UnknownSymbol(said)
    return None
