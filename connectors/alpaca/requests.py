"""What Alpaca is asked: symbols both ways (AAPL, BRK.B, BTC/USD, EURUSD), parameters, the next page, refusals."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from connectors import errors
from connectors import fields as read
from connectors.calls import DAY_MS, Call
from connectors.items import Item
from connectors.reading import Reading, unrecognised
from connectors.records import Adjustment, AssetClass
from connectors.refusals import newer
from connectors.scope import asks_whole_history
from connectors.symbols import FOREX, PAIR, is_us, split_pair, us_share

SPANS = MappingProxyType(
    {
        "1m": "1Min",
        "5m": "5Min",
        "15m": "15Min",
        "30m": "30Min",
        "1h": "1Hour",
        "4h": "4Hour",
        "1d": "1Day",
        "1w": "1Week",
        "1mo": "1Month",
    }
)
ADJUSTMENTS: Mapping[str, Adjustment] = MappingProxyType({"raw": "raw", "split": "split", "all": "total"})
SHARES: tuple[AssetClass, ...] = ("equity", "etf")
FIRST_DAY = 1_451_606_400_000  # the history starts in 2016; without a start only today is given
DELAY_MS = 15 * 60_000  # what the free plan may see of all exchanges is this old
SETTLING_MS = 90 * DAY_MS  # a dividend is processed when it is paid, weeks after its ex-date
TYPES = MappingProxyType(
    {
        "dividend": "cash_dividend",
        "split": "forward_split,reverse_split,stock_dividend",
        "spin_off": "spin_off",
        "symbol_change": "name_change",
    }
)
INDICES = MappingProxyType({"SPX": "GSPC", "COMP": "IXIC"})
"""Indices that have other names here than at Yahoo, whose names are ours."""
Spelled = tuple[str, ...]


# -- symbols ---------------------------------------------------------------------------------------------------------


def spell(symbol: str, asset_class: AssetClass) -> str:
    """`BTC-USD` -> `BTC/USD`, `EUR/USD` -> `EURUSD`, shares as they are. Raises `UnsupportedSymbol`."""
    if asset_class == "crypto" and PAIR.fullmatch(symbol):
        return symbol.replace("-", "/")
    if asset_class == "forex" and FOREX.fullmatch(symbol):
        return symbol.replace("/", "")
    if asset_class in SHARES and is_us(symbol):
        return symbol
    if asset_class == "index" and re.fullmatch(r"\^[A-Z0-9]{1,10}", symbol) and symbol[1:] not in INDICES:
        return next((code for code, name in INDICES.items() if name == symbol[1:]), symbol[1:])
    raise errors.UnsupportedSymbol(
        f"alpaca cannot spell the {asset_class} {symbol!r}", "it sells US listings, pairs and indices"
    )


def canonical(spelling: str, asset_class: AssetClass) -> tuple[str, AssetClass]:
    """`BTC/USD`, `BTCUSD` (older) -> (`BTC-USD`, crypto). What is no ticker, a delisted share's code, stays as it is.

    Raises `FieldError`.
    """
    if re.fullmatch(r"[A-Z0-9]+/[A-Z]+", spelling):
        return spelling.replace("/", "-"), "crypto"
    if asset_class == "crypto" and (pair := split_pair(spelling)):
        return "-".join(pair), "crypto"
    if asset_class == "forex" and re.fullmatch(r"[A-Z]{6}", spelling):
        return f"{spelling[:3]}/{spelling[3:]}", "forex"
    if asset_class == "index" and re.fullmatch(r"[A-Z0-9]{1,10}", spelling):
        return f"^{INDICES.get(spelling, spelling)}", "index"
    if asset_class in SHARES and re.fullmatch(r"[A-Za-z0-9._-]{1,24}", spelling):
        return us_share(spelling) or spelling, asset_class
    raise errors.FieldError("symbol", f"{read.shown(spelling)} is no {asset_class} symbol of a known form")


# -- requests --------------------------------------------------------------------------------------------------------


def _time(ms: int) -> str:
    return f"{read.utc_date(ms)}T{ms % DAY_MS // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms % 60_000 / 1000:06.3f}Z"


def _range(call: Call) -> dict[str, str]:
    """Both ends are inclusive. Without an end the answer reaches as far as the plan may see."""
    until = {} if call.end is None else {"end": _time(call.end - 1)}
    return {"start": _time(FIRST_DAY if call.start is None else call.start), **until}


def bars(call: Call, spelled: Spelled) -> Mapping[str, str]:
    """Send the symbols in one list, RFC 3339 times and the largest page: 10,000 rows over all symbols."""
    timeframe = SPANS[call.interval or "1d"]
    return {"symbols": ",".join(spelled), "timeframe": timeframe, **_range(call), "limit": "10000", "sort": "asc"}


def stock_bars(call: Call, spelled: Spelled) -> Mapping[str, str]:
    """Send `bars` and how prices are adjusted; without it Alpaca gives raw ones."""
    asked = {ours: theirs for theirs, ours in ADJUSTMENTS.items()}[call.adjustment or "raw"]
    return {**bars(call, spelled), "adjustment": asked}


def bars_of(call: Call, spelled: Spelled) -> Mapping[str, str]:
    """The path names the one symbol."""
    asked = dict(bars(call, spelled))
    return {**asked, "symbol": asked.pop("symbols")}


def latest(_: Call, spelled: Spelled) -> Mapping[str, str]:
    """Send the symbols alone: a snapshot or a latest trade has no range."""
    return {"symbols": ",".join(spelled)}


def rates(_: Call, spelled: Spelled) -> Mapping[str, str]:
    """Send the currency pairs, spelled `EURUSD`."""
    return {"currency_pairs": ",".join(spelled)}


def index_values(_: Call, spelled: Spelled) -> Mapping[str, str]:
    """Send the indices, spelled `SPX`."""
    return {"index_symbols": ",".join(spelled)}


def actions(call: Call, spelled: Spelled) -> Mapping[str, str]:
    """The range is of process dates, and without one only today is given; without `cas_region` the US is meant."""
    end = "2099-12-31" if call.end is None else read.utc_date(call.end + SETTLING_MS)
    return {
        **({"symbols": ",".join(spelled)} if spelled else {}),
        "types": TYPES[call.kind] if call.kind else ",".join(TYPES.values()),
        "start": read.utc_date(FIRST_DAY if call.start is None else call.start),
        "end": end,
        "limit": "1000",
    }


def news(call: Call, spelled: Spelled) -> Mapping[str, str]:
    """A coin has no slash here: `BTCUSD`."""
    symbols = {"symbols": ",".join(spelled).replace("/", "")} if spelled else {}
    return {**symbols, **({} if call.start is None and call.end is None else _range(call)), "limit": "50"}


def universe(call: Call, _: Spelled) -> Mapping[str, str]:
    """Send the asset class in Alpaca's words; instruments that no longer trade are left out."""
    return {"status": "active", "asset_class": "crypto" if call.asset_class == "crypto" else "us_equity"}


def follow(reading: Reading) -> Iterator[Item]:
    """Ask the next page, which the answer names by a token."""
    if token := read.text(reading.json.get("next_page_token")):
        yield reading.following(page_token=token)
    yield from unrecognised(reading.json, ("next_page_token",), ("symbol", "currency"), lambda it: isinstance(it, str))


# -- refusals --------------------------------------------------------------------------------------------------------


def refusal(reading: Reading) -> errors.Refusal | None:
    """A 403 is about the key or about the plan; a 429 says when the minute ends, as unix seconds.

    https://docs.alpaca.markets/docs/market-data-faq
    """
    answer, message = reading.answer, str(reading.object.get("message", ""))
    if answer.status == 403 and "forbidden" in message and "grants" not in message:  # grants are the plan's
        return errors.KeyRejected(message)
    if answer.status in {403, 422} and re.search("recent|past 15 minutes", message):
        ranged = reading.call.start is not None or asks_whole_history(reading.call)
        return errors.NotEntitled(message, scope=newer(reading, DELAY_MS) if ranged else None)
    if answer.status == 400 and "invalid symbol" in message and len(reading.call.symbols) == 1:
        return errors.UnknownSymbol(message)
    reset = answer.headers.get("x-ratelimit-reset", "")
    if answer.status == 429 and "retry-after" not in answer.headers and re.fullmatch(r"[0-9]{1,12}", reset):
        return errors.RateLimited(message, retry_after=max(0.0, int(reset) - answer.observed_at / 1000))
    return None
