"""How Finnhub is asked and how it refuses: a call becomes parameters, the text of an error a refusal. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from connectors import errors
from connectors.calls import DAY_MS, Answer, Call
from connectors.endpoints import Build
from connectors.fields import period_start, utc_date
from connectors.finnhub.market import HALF_DAY_MS
from connectors.finnhub.names import DAILY, INTRADAY
from connectors.headers import retry_after
from connectors.reading import Reading
from connectors.refusals import asked
from connectors.scope import Scope
from connectors.symbols import split_listing
from connectors.venues import BY_MIC

LATEST_MS = 4_102_444_800_000  # 2100: candles and news need both ends
LONGEST_WINDOW_S = 60.0  # its longest window is a minute
SAID: Mapping[str, type[errors.Refusal]] = {"limit reached": errors.RateLimited, "API key": errors.KeyRejected}


def one(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send the symbol, or nothing for a whole market."""
    return {"symbol": spelled[0]} if spelled else {}


def quote(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """The quote endpoint knows forex by the symbols of Finnhub's own rates."""
    return {"symbol": f"FHFX:{call.symbols[0].replace('/', '-')}" if call.asset_class == "forex" else spelled[0]}


def candles(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """`from` and `to` are inclusive; a day east of Greenwich begins before it does in UTC."""
    interval = call.interval or "1d"
    first, last = call.start or 0, (LATEST_MS if call.end is None else call.end) - 1
    if interval in DAILY:
        first = max((period_start(first // DAY_MS * DAY_MS, interval) or 0) - HALF_DAY_MS, 0)
    resolution = {**INTRADAY, **DAILY}[interval]
    return {"symbol": spelled[0], "resolution": resolution, "from": str(-(-first // 1000)), "to": str(last // 1000)}


def dated(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """`from` and `to` are dates, both inclusive."""
    first = {} if call.start is None else {"from": utc_date(call.start)}
    last = {} if call.end is None else {"to": utc_date(call.end - 1)}
    return {**one(call, spelled), **first, **last}


def bounded(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send the symbol with both dates, which these endpoints require."""
    return {"from": "1970-01-01", "to": utc_date(LATEST_MS), **dated(call, spelled)}


def reported(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send the symbol, filing dates, and whether annual or quarterly reports are meant."""
    return {**dated(call, spelled), "freq": call.period or "annual"}


def metric(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send the symbol; every figure comes in one answer."""
    return {"symbol": spelled[0], "metric": "all"}


def frequency(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send the symbol, and whether estimates are of years or quarters."""
    return {"symbol": spelled[0], "freq": call.period or "quarterly"}


def category(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    """Send the asset class as a category of news; kind `merger` is one too."""
    by_class = call.asset_class if call.asset_class in {"forex", "crypto"} else "general"
    return {"category": "merger" if call.kind == "merger" else by_class}


def listed_on(default: str) -> Build:
    """An exchange is asked by Finnhub's code or its MIC; the US venues are parts of one exchange."""

    def build(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
        code = call.exchange or default
        if code in BY_MIC:
            return {"exchange": BY_MIC[code].yahoo}
        return {"exchange": "US", "mic": code} if default == "US" and len(code) == 4 else {"exchange": code}

    return build


def search(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    """Send the query. Raises `UnsupportedCall` without one."""
    if not call.query:
        raise errors.UnsupportedCall("finnhub's symbol search needs a query")
    return {"q": call.query}


def base(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    """Send the base currency whose rates are wanted: US dollars unless the query names another."""
    return {"base": call.query or "USD"}


def refusal(reading: Reading) -> errors.Refusal | None:
    """The text of an error distinguishes the key from the plan."""
    answer = reading.answer
    if answer.status == 429:
        return errors.RateLimited(f"HTTP 429: {reading.text[:200]}", retry_after=_wait(answer))
    said = str(reading.object.get("error") or "")[:200]
    if "symbol not supported" in said.lower():
        return errors.UnknownSymbol(said)
    if not said or answer.status not in {200, 401, 403}:
        return None
    if "have access" in said:
        return errors.NotEntitled(said, scope=_abroad(reading))
    other = errors.InvalidRequest if answer.status == 200 else None
    cls = next((cls for words, cls in SAID.items() if words in said), other)
    return cls(said) if cls else None


def _wait(answer: Answer) -> float | None:
    """Seconds until the limit's end, which a header gives in seconds since the epoch."""
    reset = answer.headers.get("x-ratelimit-reset", "").strip()
    if (wait_s := retry_after(answer)) is not None or not re.fullmatch("[0-9]{1,11}", reset):
        return wait_s
    return min(max(0.0, int(reset) - answer.observed_at / 1000), LONGEST_WINDOW_S)


def _abroad(reading: Reading) -> Scope | None:
    """The exchange, where listings abroad were asked: the words leave open whether it or the endpoint is refused.

    So US listings are asked until they are refused too.
    """
    call = reading.call
    venues = {listing[1].mic if (listing := split_listing(symbol)) else None for symbol in call.symbols}
    venue = venues.pop() if len(venues) == 1 else None if call.symbols else call.exchange
    return asked(reading, exchange=venue) if venue else None
