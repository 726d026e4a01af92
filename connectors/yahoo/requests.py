"""How a call becomes Yahoo's parameters, how symbols are spelled, what a refusal looks like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from connectors import errors
from connectors.calls import DAY_MS, Call
from connectors.coins import NUMBERS, PLAIN, TICKERS
from connectors.declaration import NO_RECORDS, NoRecords
from connectors.fields import period_start, shown
from connectors.reading import Reading
from connectors.records import INTERVAL_MS, AssetClass
from connectors.symbols import FOREX, INDEX, PAIR, QUOTE_COINS, suffixed, unsuffixed
from connectors.yahoo.names import CODES, SHARES, STATEMENTS

SPANS = MappingProxyType({"1m": 7, "5m": 60, "15m": 60, "30m": 60, "1h": 730, "4h": 730})
"""Days of one intraday call: beyond them Yahoo answers 422 and names the limit."""
SPAN_OF = MappingProxyType({"annual": "annual", "quarterly": "quarterly", "ttm": "trailing"})
"""How a series of statements begins its name."""
OLDEST_S, LATEST_S = -2_208_988_800, 4_102_444_800  # 1900 and 2100: Yahoo needs both ends
EASTERNMOST_MS = 14 * 3_600_000  # a trading date begins up to 14 h before it does in UTC


def chart(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send the interval, both ends in seconds, and which of splits and dividends are wanted beside the bars."""
    interval = call.interval or "1d"
    events = {"split": "split", "dividend": "div"}.get(call.kind or "", "div,split")
    return {"symbol": spelled[0], "interval": CODES[interval], "events": events, **_range(call, interval)}


def _range(call: Call, interval: str) -> dict[str, str]:
    """`period1` and `period2` are inclusive seconds. Days and longer are asked as whole periods, and cut when read."""
    if limit := SPANS.get(interval):
        if call.end is None and call.start is None:
            return {"range": f"{limit}d"}
        if call.end is None:
            raise errors.UnsupportedCall(
                f"yahoo's {interval} bars from a start need an end, at most {limit} days later"
            )
        first = call.end - limit * DAY_MS if call.start is None else call.start
        return {"period1": str(-(-first // 1000)), "period2": str((call.end - 1) // 1000)}
    first_s, last_s = OLDEST_S, LATEST_S
    if call.start is not None:
        first_s = (_period(call.start, interval) - EASTERNMOST_MS) // 1000
    if call.end is not None:
        last_s = (_period(call.end - 1, interval) + INTERVAL_MS[interval]) // 1000 - 1
    return {"period1": str(first_s), "period2": str(last_s)}


def _period(ms: int, interval: str) -> int:
    """Start of the day, week or month that `ms` falls in, UTC."""
    day = ms // DAY_MS * DAY_MS
    first = period_start(day, interval)
    return day if first is None else first


def session(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send the running session of one symbol, for its quote."""
    return {"symbol": spelled[0], "interval": "1d", "range": "1d"}


def quotes(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send the symbols in one list."""
    return {"symbols": ",".join(spelled)}


def summary(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send the symbol in the path; plain numbers are asked for, and not always given."""
    return {"symbol": spelled[0], "formatted": "false"}


def statements(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send every item of the statements wanted, each by its period, and both ends in seconds."""
    kinds = [kind for kind in STATEMENTS if call.kind in {None, kind}]
    spans = [SPAN_OF[call.period]] if call.period else ["annual", "quarterly"]
    types = [f"{span}{item}" for span in spans for kind in kinds for item in STATEMENTS[kind]]
    first = 0 if call.start is None else call.start // 1000
    last = LATEST_S if call.end is None else (call.end - 1) // 1000
    return {"symbol": spelled[0], "type": ",".join(types), "period1": str(first), "period2": str(last)}


def search(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Send a symbol for its news, or the query for instruments. Raises `UnsupportedCall` without a query."""
    if call.dataset == "news":
        return {"q": spelled[0], "quotesCount": "0", "newsCount": str(call.limit or 20)}
    if not call.query:
        raise errors.UnsupportedCall("yahoo lists no universe, it only searches one: give a query")
    return {"q": call.query, "quotesCount": str(call.limit or 20), "newsCount": "0"}


# -- symbols: AAPL, BRK-B, OCDO.L, BTC-USD, EURUSD=X, INR=X (USD/INR), GC=F, ^GSPC -----------------------------------

MORNINGSTAR = r"0P[A-Z0-9]{8}"  # a fund without a ticker


def spell(symbol: str, asset_class: AssetClass) -> str:
    """`BRK.B` -> `BRK-B`, `OCDO.XLON` -> `OCDO.L`, `EUR/USD` -> `EURUSD=X`, `GC` -> `GC=F`.

    Raises `UnsupportedSymbol`.
    """
    if asset_class == "crypto" and (match := PAIR.fullmatch(symbol)) and (coin := _coin(match["base"])):
        return f"{coin}-{match['quote']}"
    if asset_class == "forex" and (match := FOREX.fullmatch(symbol)):
        return f"{match['quote']}=X" if match["base"] == "USD" else f"{match['base']}{match['quote']}=X"
    if asset_class == "commodity" and re.fullmatch(r"[A-Z0-9]{1,5}", symbol):
        return f"{symbol}=F"
    if asset_class == "index" and INDEX.fullmatch(symbol):
        return symbol
    if asset_class in SHARES and re.fullmatch(MORNINGSTAR, symbol):
        return symbol
    if asset_class in SHARES and (spelled := suffixed(symbol)):
        return spelled
    raise errors.UnsupportedSymbol(
        f"yahoo cannot spell the {asset_class} {symbol!r}",
        "it sells AAPL, BRK.B, OCDO.XLON "
        "(and most other venues), coins that it is known to have (BTC-USD), EUR/USD, futures by root (GC) "
        "and indices with a caret (^GSPC)",
    )


def canonical(spelling: str, asset_class: AssetClass) -> tuple[str, AssetClass]:
    """Invert `spell`; the form decides the asset class, and of shares the request does. Raises `FieldError`."""
    if match := re.fullmatch(r"([A-Z]{3})?([A-Z]{3})=X", spelling):
        return f"{match[1] or 'USD'}/{match[2]}", "forex"
    if match := re.fullmatch(r"([A-Z0-9]{1,5})=F", spelling):
        return match[1], "commodity"
    if INDEX.fullmatch(spelling):
        return spelling, "index"
    if (match := PAIR.fullmatch(spelling)) and (asset_class == "crypto" or match["quote"] in QUOTE_COINS):
        base = TICKERS.get(match["base"], match["base"])
        if _coin(base) != match["base"]:
            raise errors.OutOfScope(f"{shown(spelling)} is a coin that exchanges know under no or another ticker")
        return f"{base}-{match['quote']}", "crypto"
    kind = asset_class if asset_class in {*SHARES, "index"} else "equity"
    if match := re.fullmatch(rf"({MORNINGSTAR})-?\.?", spelling):  # a separator without a tail is ignored, as of shares
        return match[1], kind
    if symbol := unsuffixed(spelling):
        return symbol, kind
    raise errors.FieldError("symbol", f"{shown(spelling)} is no symbol of a known form or venue")


def _coin(ticker: str) -> str | None:
    """Yahoo's ticker of a coin, or None: what is not known to be the same coin there may be any other."""
    if number := NUMBERS.get(ticker):
        return f"{ticker}{number}"
    return ticker if ticker in PLAIN else None


# -- refusals --------------------------------------------------------------------------------------------------------

REFUSED = {
    "not found": errors.UnknownSymbol,
    "unauthorized": errors.KeyRejected,
    "bad request": errors.InvalidRequest,
    "argument-error": errors.InvalidRequest,
    "unprocessable entity": errors.InvalidRequest,
    "too many requests": errors.RateLimited,
}


def refusal(reading: Reading) -> errors.Refusal | NoRecords | None:
    """Find what a 200 hides: an error object in any wrapper, or the text of a limit."""
    answer = reading.answer
    if answer.status == 400 and "Data doesn't exist for startDate" in reading.text:
        return NO_RECORDS  # a range before the first bar
    if answer.status not in {200, 404}:
        return None
    if reading.text.lower().startswith(("too many requests", "edge: too many requests")):
        return errors.RateLimited(reading.text[:80])
    for wrapper in reading.object.values():
        if isinstance(wrapper, dict) and isinstance(error := wrapper.get("error"), dict):
            cls = REFUSED.get(str(error.get("code")).lower(), errors.ProviderUnavailable)
            return cls(f"{error.get('code')}: {error.get('description')}")
    return None
