"""How Financial Modeling Prep is asked and how it refuses: calls become parameters, errors refusals. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from connectors import errors
from connectors.calls import Call
from connectors.endpoints import Build
from connectors.fields import NEW_YORK, local_date, utc_date
from connectors.fmp.names import INTRADAY, SHARES
from connectors.reading import Reading


def one(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send the symbol, and the most rows when the call says so."""
    return {"symbol": spelled[0], **({"limit": str(call.limit)} if call.limit else {})}


def many(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send the symbols in one list."""
    return {"symbols": ",".join(spelled)}


def nothing(_: Call, __: tuple[str, ...]) -> Mapping[str, str]:
    """Send nothing: the path says all."""
    return {}


def _dates(call: Call, day: Callable[[int], str] = utc_date) -> dict[str, str]:
    """`from` and `to` are dates, both inclusive."""
    first = {} if call.start is None else {"from": day(call.start)}
    return first if call.end is None else {**first, "to": day(call.end - 1)}


def _eastern_dates(call: Call) -> dict[str, str]:
    """What has a time is asked by New York's dates."""
    return _dates(call, lambda ms: local_date(ms, NEW_YORK))


def daily(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send the symbol and the dates, both inclusive."""
    return {"symbol": spelled[0], **_dates(call)}


def intraday(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send the symbol and New York's dates; shares as traded have a parameter of their own."""
    raw = {"nonadjusted": "true"} if call.adjustment == "raw" and call.asset_class in SHARES else {}
    return {"interval": INTRADAY[call.interval or "1h"], "symbol": spelled[0], **_eastern_dates(call), **raw}


def period(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """The free plan refuses a limit above 5."""
    code = "quarter" if call.period == "quarterly" else "annual"
    return {"symbol": spelled[0], "period": code, "limit": str(call.limit or 5)}


def between(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    """Send the dates alone: a calendar is of a whole market."""
    return _dates(call)


def feed(most: int, *, dated: bool = True) -> Build:
    """Pages of `most` rows, newest first."""

    def build(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
        asked = {("symbols" if dated else "symbol"): ",".join(spelled)} if spelled else {}
        dates = _eastern_dates(call) if dated else {}
        return {**asked, **dates, "page": "0", "limit": str(min(call.limit or most, most))}

    return build


def search(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    """Send the query. Raises `UnsupportedCall` without one."""
    if not call.query:
        raise errors.UnsupportedCall("fmp's symbol search needs a query")
    return {"query": call.query, "limit": str(call.limit or 50)}


def screen(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    """Send what distinguishes shares, ETFs and funds, and an exchange by FMP's code."""
    kind = {"isEtf": str(call.asset_class == "etf").lower(), "isFund": str(call.asset_class == "fund").lower()}
    exchange = {"exchange": call.exchange} if call.exchange else {}
    return {**kind, **exchange, "limit": str(call.limit or 10_000)}


SAID = (
    ("limit reach", errors.RateLimited),
    ("invalid api key", errors.KeyRejected),
    ("account suspended", errors.KeyRejected),
    ("endpoint :", errors.NotEntitled),
    ("premium", errors.NotEntitled),
    ("value set for", errors.NotEntitled),  # of a symbol that does not exist, too, the free plan says this
    ("must be between", errors.NotEntitled),  # the limit of rows: its bounds are the plan's
    ("subscription", errors.NotEntitled),
)


def refusal(reading: Reading) -> errors.Refusal | None:
    """Errors are an object or plain text where a list is promised, sometimes with status 200."""
    if reading.answer.status not in {200, 401, 402, 403}:
        return None
    message = reading.object.get("Error Message")
    plain = "" if reading.text.lstrip()[:1] in "[{" else reading.text
    said = str(message or plain)[:300]
    for sign, cls in SAID:
        if sign in said.lower():
            return cls(said)
    return errors.InvalidRequest(said) if message and reading.answer.status == 200 else None
