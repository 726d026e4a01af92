"""How a call becomes Polygon's parameters, how symbols are spelled, what a refusal looks like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from connectors import errors
from connectors.calls import DAY_MS, Call
from connectors.endpoints import Build
from connectors.fields import shown, utc_date
from connectors.polygon.names import MARKETS, SPANS, TIMEFRAMES
from connectors.reading import Reading
from connectors.records import AssetClass
from connectors.symbols import is_us, split_pair, taped, us_share

FIRST_DAY = 1_062_547_200_000  # no data lies before September 2003
LAST_DAY = 4_102_444_800_000  # "until now": the path wants an end
Spelled = tuple[str, ...]


def _adjusted(call: Call) -> str:
    return "false" if call.adjustment == "raw" else "true"


def aggregates(call: Call, spelled: Spelled) -> Mapping[str, str]:
    """The range takes dates or ms, both ends inclusive; a week that began on the Sunday before is asked for too."""
    multiplier, timespan = SPANS[call.interval or "1d"].split("/")
    first = call.start if call.start is not None else FIRST_DAY
    last = (call.end if call.end is not None else LAST_DAY) - 1
    if call.interval == "1w":
        first -= DAY_MS
    daily = call.interval in {"1d", "1w", "1mo"}
    return {
        "ticker": spelled[0],
        "multiplier": multiplier,
        "timespan": timespan,
        "first": utc_date(first) if daily else str(first),
        "last": utc_date(last) if daily else str(last),
        "adjusted": _adjusted(call),
        "sort": "asc",
        "limit": "50000",
    }


def one_day(call: Call, spelled: Spelled) -> Mapping[str, str]:
    """Send one date, for a ticker or a market. Raises `UnsupportedCall` for a longer range."""
    if call.start is None or call.end is None or call.end - call.start > DAY_MS:
        raise errors.UnsupportedCall("polygon answers one day here: give a start and an end at most one day later")
    locale, _, market = MARKETS[call.asset_class]
    place = {"ticker": spelled[0]} if spelled else {"locale": locale, "market": market}
    return {**place, "day": utc_date(call.start), "adjusted": _adjusted(call)}


def snapshots(call: Call, spelled: Spelled) -> Mapping[str, str]:
    """Send the market in the path, and the tickers unless all are meant."""
    locale, market, _ = MARKETS[call.asset_class]
    return {"locale": locale, "market": market, **({"tickers": ",".join(spelled)} if spelled else {})}


def snapshot_of(call: Call, spelled: Spelled) -> Mapping[str, str]:
    """Send the market and the ticker in the path."""
    locale, market, _ = MARKETS[call.asset_class]
    return {"locale": locale, "market": market, "ticker": spelled[0]}


def universal_of(_: Call, spelled: Spelled) -> Mapping[str, str]:
    """Send the tickers of any market, with the largest page."""
    return {"ticker.any_of": ",".join(spelled), "limit": "250"}


def pair(call: Call, _: Spelled) -> Mapping[str, str]:
    """Send both sides of a pair in the path."""
    base, quote = re.split("[-/]", call.symbols[0])
    return {"base": base, "quote": quote}


def ticker(_: Call, spelled: Spelled) -> Mapping[str, str]:
    """Send the ticker in the path."""
    return {"ticker": spelled[0]}


def listed(date_name: str, limit: int = 1000, ticker_name: str = "ticker") -> Build:
    """Lists take a ticker, a range `<date>.gte`, `<date>.lt` and, for statements, `timeframe`."""

    def build(call: Call, spelled: Spelled) -> Mapping[str, str]:
        params = {ticker_name: spelled[0]} if spelled else {}
        if call.start is not None:
            params[f"{date_name}.gte"] = utc_date(call.start)
        if call.end is not None:
            # the end's own day belongs to the range unless the end is its midnight
            params[f"{date_name}.lt"] = utc_date(call.end + DAY_MS - 1)
        if call.period:
            params["timeframe"] = TIMEFRAMES[call.period]
        return {**params, "limit": str(limit)}

    return build


def changes(_: Call, spelled: Spelled) -> Mapping[str, str]:
    """Send the ticker in the path, and the only type of event there is."""
    return {"ticker": spelled[0], "types": "ticker_change"}


def universe(call: Call, _: Spelled) -> Mapping[str, str]:
    """Send the market, and the type where a class is a part of one; active tickers only."""
    kind = {"type": "ETF"} if call.asset_class == "etf" else {}
    return {"market": MARKETS[call.asset_class][2], **kind, "active": "true", "limit": "1000"}


# -- symbols: AAPL, BRK.B, PEBpE, X:BTCUSD, C:EURUSD, I:SPX ----------------------------------------------------------

INDICES = MappingProxyType({"GSPC": "SPX", "IXIC": "COMP"})
_FROM_INDEX = {theirs: ours for ours, theirs in INDICES.items()}


def spell(symbol: str, asset_class: AssetClass) -> str:
    """`BTC-USD` -> `X:BTCUSD`, `EUR/USD` -> `C:EURUSD`, `PEB.PRE` -> `PEBpE`. Raises `UnsupportedSymbol`."""
    match asset_class:
        case "crypto" if found := re.fullmatch(r"([A-Z0-9]+)-([A-Z]{3,4})", symbol):
            return f"X:{found[1]}{found[2]}"
        case "forex" if found := re.fullmatch(r"([A-Z]{3})/([A-Z]{3})", symbol):
            return f"C:{found[1]}{found[2]}"
        case "index" if found := re.fullmatch(r"\^([A-Z0-9]+)", symbol):
            return f"I:{INDICES.get(found[1], found[1])}"
        case "equity" | "etf" if is_us(symbol):
            return taped(symbol)
    raise errors.UnsupportedSymbol(
        f"polygon cannot spell the {asset_class} {symbol!r}: it sells US listings, pairs, indices"
    )


def canonical(spelling: str, asset_class: AssetClass) -> tuple[str, AssetClass]:
    """`X:BTCUSD` -> (`BTC-USD`, crypto), `PEBpE` -> (`PEB.PRE`, as asked). Raises `FieldError`."""
    prefix, colon, rest = spelling.rpartition(":")
    if prefix == "X" and (sides := split_pair(rest)):
        return "-".join(sides), "crypto"
    if prefix == "C" and re.fullmatch(r"[A-Z]{6}", rest):
        return f"{rest[:3]}/{rest[3:]}", "forex"
    if prefix == "I" or (asset_class == "index" and not colon):
        return f"^{_FROM_INDEX.get(rest, rest)}", "index"
    if re.fullmatch(r"[A-Z0-9]+[-/][A-Z]{3,4}", spelling):  # v1 answers: BTC-USD, AUD/USD
        return spelling, "forex" if "/" in spelling else "crypto"
    # the retired lists write a preferred share AAIC-B
    if not colon and (symbol := us_share(re.sub("-(?=[A-Z]?$)", "p", spelling))):
        return symbol, asset_class
    raise errors.FieldError("symbol", f"{shown(spelling)} is no ticker of a known form")


# -- refusals --------------------------------------------------------------------------------------------------------

REFUSED: Mapping[str, type[errors.Refusal]] = MappingProxyType(
    {"NOT_AUTHORIZED": errors.NotEntitled, "NOT_FOUND": errors.UnknownSymbol, "ERROR": errors.ProviderUnavailable}
)


def refusal(reading: Reading) -> errors.Refusal | None:
    """The body's `status` decides where HTTP says 200; its text is under `error` or `message`."""
    cls = REFUSED.get(str(reading.object.get("status")))
    if reading.answer.status != 200 or cls is None:
        return None
    return cls(str(reading.object.get("error") or reading.object.get("message")))
