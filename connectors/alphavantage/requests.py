"""What Alpha Vantage is asked: symbols both ways, parameters of a call, and the refusals it hides in a 200."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from connectors import errors
from connectors.alphavantage.names import INTRADAY, LISTED
from connectors.calls import DAY_MS, Call
from connectors.declaration import NO_RECORDS, NoRecords
from connectors.endpoints import Build
from connectors.fields import NEW_YORK, local_date, shown, utc_date
from connectors.reading import Reading
from connectors.records import AssetClass
from connectors.symbols import FOREX, PAIR, is_us, listing, split_listing, us_share
from connectors.venues import venue_by

COMPACT = 100  # rows of outputsize=compact
NEWS_ROWS = 1000  # the most that one answer has
WORDS: Mapping[str, type[errors.Refusal]] = MappingProxyType(
    {
        "apikey is invalid|api key is for demo": errors.KeyRejected,
        "is a premium": errors.NotEntitled,
        "per minute|per second|minute-level|spreading out|burst": errors.RateLimited,
        "per day|daily .*limit": errors.QuotaExhausted,
        "call volume|frequency|rate limit": errors.RateLimited,
        "premium|entitlement": errors.NotEntitled,
    }
)
OTHER_COINS = frozenset({"AMP", "BIT", "MEME", "SKY", "STX", "XCN"})
"""Tickers that https://www.alphavantage.co/digital_currency_list/ gives to another coin than exchanges do (Stox, …)."""

# -- symbols: AAPL, BRK-B, PEB-P-E, TSCO.LON; a pair travels as two parameters and is spelled BTC/EUR here -----------


def spell(symbol: str, asset_class: AssetClass) -> str:
    """`BRK.B` -> `BRK-B`, `TSCO.XLON` -> `TSCO.LON`, `BTC-EUR` -> `BTC/EUR`. Raises `UnsupportedSymbol`."""
    if asset_class == "crypto" and (pair := PAIR.fullmatch(symbol)) and pair["base"] not in OTHER_COINS:
        return symbol.replace("-", "/")
    if asset_class == "forex" and FOREX.fullmatch(symbol):
        return symbol
    if asset_class in LISTED:
        if (listed := split_listing(symbol)) and listed[1].alphavantage:
            return f"{listed[0].replace('.', '-')}.{listed[1].alphavantage}"
        spelling = re.sub(r"\.PR(?=[A-Z]?(\.|$))", "-P-", symbol).replace(".", "-").rstrip("-")
        if is_us(symbol) and _us(spelling) == symbol:
            return spelling
    raise errors.UnsupportedSymbol(
        f"alphavantage cannot spell the {asset_class} {symbol!r}",
        "it sells US tickers, listings of venues it has a suffix for, BTC-EUR and EUR/USD",
    )


def canonical(spelling: str, asset_class: AssetClass) -> tuple[str, AssetClass]:
    """`BRK-B` -> `BRK.B`, `ABR-P-D` -> `ABR.PRD`, `TSCO.LON` -> `TSCO.XLON`. Raises `FieldError`."""
    if match := re.fullmatch(r"([A-Z0-9]{1,12})/([A-Z]{3,5})", spelling):
        crypto = asset_class == "crypto"
        if crypto and match[1] in OTHER_COINS:
            raise errors.OutOfScope(f"{match[1]} is another coin here than on exchanges")
        return f"{match[1]}{'-' if crypto else '/'}{match[2]}", "crypto" if crypto else "forex"
    if re.fullmatch("[A-Z-]+:[A-Z]{3}", spelling):
        raise errors.OutOfScope(f"{shown(spelling)} lists a share a second time, on another exchange of the US")
    match = re.fullmatch(r"([A-Z0-9&-]+)\.([A-Z]{3})", spelling)
    venue = venue_by("alphavantage", match[2]) if match else None
    symbol = listing(match[1], venue) if match and venue else _us(spelling)
    if symbol is None:
        raise errors.FieldError("symbol", f"{shown(spelling)} is no ticker of a known form")
    return symbol, asset_class


def _us(spelling: str) -> str | None:
    """A root has five letters at most: the list of all shares runs those of some warrants together, `ABCDWS`."""
    return us_share(re.sub("^([A-Z]{4,5})WS$", r"\1-WS", spelling))


# -- requests --------------------------------------------------------------------------------------------------------


def nothing(_: Call, __: tuple[str, ...]) -> Mapping[str, str]:
    """Send nothing beside the function."""
    return {}


def by_symbol(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send the symbols, more than one for the bulk quotes only."""
    return {"symbol": ",".join(spelled)}


def pair(base: str, quote: str) -> Build:
    """Name the two parameters that carry a pair."""

    def build(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
        return dict(zip((base, quote), spelled[0].split("/"), strict=True))

    return build


def sized(build: Build) -> Build:
    """Ask the free compact answer unless the range alone says that it is too short; the parser of bars asks again."""

    def asked(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
        long = call.start is not None and call.end is not None and call.end - call.start > 2 * COMPACT * DAY_MS
        return {**build(call, spelled), "outputsize": "full" if long else "compact"}

    return asked


def timed(build: Build) -> Build:
    """Ask all that is given of an interval within the day, five minutes unless said."""

    def asked(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
        return {**build(call, spelled), "interval": INTRADAY[call.interval or "5m"], "outputsize": "full"}

    return asked


def intraday(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """`full` is the last 30 days, or one month: a range is read backwards from its end by `market.intraday_bars`."""
    params = {**timed(by_symbol)(call, spelled), "adjusted": "true" if call.adjustment == "total" else "false"}
    return params if call.end is None else {**params, "month": local_date(call.end - 1, NEW_YORK)[:7]}


def articles(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send one ticker (`CRYPTO:BTC`, `FOREX:USD`), UTC minutes and the largest page; oldest first from a start on."""
    coin = spelled[0].partition("/")[0]
    prefix = {"crypto": "CRYPTO:", "forex": "FOREX:"}.get(call.asset_class, "")
    params = {"tickers": prefix + coin, "limit": str(min(call.limit or NEWS_ROWS, NEWS_ROWS))}
    if call.start is not None:
        params |= {"time_from": _minute(call.start), "sort": "EARLIEST"}
    if call.end is not None:
        params["time_to"] = _minute(call.end - 1)
    return params


def _minute(ms: int) -> str:
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms):%Y%m%dT%H%M}"


def horizon(_: Call, __: tuple[str, ...]) -> Mapping[str, str]:
    """Send the longest horizon: reports announced for the next 12 months."""
    return {"horizon": "12month"}


def listed(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    """Send whether active or delisted shares are meant, and the date on which they were."""
    params = {"state": "delisted" if call.kind == "delisted" else "active"}
    return params if call.end is None else {**params, "date": utc_date(call.end - 1)}


def keywords(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    """Send the query as keywords. Raises `UnsupportedCall` without one."""
    if not call.query:
        raise errors.UnsupportedCall("alphavantage searches symbols by keywords: give a query")
    return {"keywords": call.query}


# -- refusals --------------------------------------------------------------------------------------------------------


def refusal(reading: Reading) -> errors.Refusal | NoRecords | None:
    """Find the refusal in a 200: a text under `Note`, `Information` or `Error Message`, sample data, or nothing."""
    body = reading.answer.body.strip()
    if reading.answer.status != 200:
        return None
    if body == b"{}" and reading.call.symbols:
        return errors.UnknownSymbol("the answer is an empty object")
    said = [reading.object[name] for name in ("Note", "Information", "Error Message") if name in reading.object]
    if said:
        # some texts echo the key
        return _refused(reading, re.sub(r"(API key as )\S+", r"\1***", str(said[0]))[:400])
    sample = b"ARTIFICIAL" in body[:1000] and any("ARTIFICIAL" in str(said) for said in reading.object.values())
    return errors.NotEntitled("premium function: the data are an artificial sample") if sample else None


def _refused(reading: Reading, reason: str) -> errors.Refusal | NoRecords | None:
    """The first match decides: the text about bursts also names the daily limit and the premium plans.

    A `Note` has only ever been about the rate, in words that change.
    """
    if "no articles found" in reason.lower():
        return NO_RECORDS
    cls = next((cls for words, cls in WORDS.items() if re.search(words, reason, re.IGNORECASE)), None)
    if "Note" in reading.object:
        return cls(reason) if cls is errors.QuotaExhausted else errors.RateLimited(reason)
    if cls is not None:
        return cls(reason)
    if reading.call.symbols and re.search("invalid (api call|inputs)", reason, re.IGNORECASE):
        return None if "month" in reading.params else errors.UnknownSymbol(reason)
    return errors.InvalidRequest(reason)
