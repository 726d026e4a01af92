"""Canonical symbols, and how the tickers of shares are read and written in each provider's dialect.

`AAPL`, `BRK.B`, `GM.WS.B`, `NOVO.B.XCSE` (ISO 10383 MIC), `BTC-USD`, `EUR/USD`, `GC`, `^GSPC`: see docs/DATASETS.md.

A US ticker is a root and parts. Exchanges define the parts, and there are three notations of them
(https://www.nasdaqtrader.com/Trader.aspx?id=CQSSymbolConvention): the words of CMS (`PRA`, `WS`, `RT`), each after a
dot, are canonical; Polygon keeps the tape's own CQS (`pA`, `.WS`, `r`); web sites have hyphens (`-PA`, `-WT`, `-RI`).
One reader knows them all, for providers mix them: a share is the same symbol in any notation. A word that no exchange
defines is no part of a ticker; it may be the suffix of a venue that the table does not have.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from connectors.errors import OutOfScope
from connectors.records import AssetClass
from connectors.venues import BY_MIC, Venue, venue_by

SHARES: tuple[AssetClass, ...] = ("equity", "etf", "fund")
PAIR = re.compile(r"(?P<base>[A-Z0-9]{1,12})-(?P<quote>[A-Z]{3,5})")
FOREX = re.compile(r"(?P<base>[A-Z]{3})/(?P<quote>[A-Z]{3})")
INDEX = re.compile(r"\^[A-Z0-9.\-]{1,15}")
QUOTE_COINS = (
    "USDT",
    "USDC",
    "USD",
    "EUR",
    "GBP",
    "JPY",
    "AUD",
    "CAD",
    "CHF",
    "KRW",
    "BTC",
    "ETH",
    "BNB",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbols:
    """Maps symbols both ways.

    `spell(symbol, asset_class)` returns the provider's spelling or raises `UnsupportedSymbol`;
    `canonical(spelling, asset_class)` returns (symbol, asset class), the asset class being the one asked
    for, or raises `FieldError`.
    """

    spell: Callable[[str, AssetClass], str]
    """Takes (symbol, asset class); returns the provider's spelling or raises `UnsupportedSymbol`."""
    canonical: Callable[[str, AssetClass], tuple[str, AssetClass]]
    """Takes (spelling, asset class asked for); returns (symbol, asset class) or raises `FieldError`."""


# -- shares listed in the US -----------------------------------------------------------------------------------------

_ROOT = re.compile(r"[A-Z][A-Z0-9]{0,11}")
_NOTATIONS = tuple(
    (re.compile(theirs), canonical)
    for theirs, canonical in (
        (r"-P(?:R?-)?([A-Z]?)(?=[.-]|$)", r".PR\1"),  # -P, -PE, -P-E, -PR-E; after a dot P is a class
        (r"\.PR\.([A-Z])(?=\.|$)", r".PR\1"),
        (r"p(?=[A-Z]?(?:[.w]|$))", ".PR"),  # the tape's p, r and w
        (r"r", ".RT"),
        (r"w", ".WI"),
        (r"[.-]W[ST][.-]?([A-Z])(?=[.-]|$)", r".WS.\1"),
        (r"[.-]WT(?=[.-]|$)", ".WS"),
        (r"[.-]UN(?=[.-]|$)", ".U"),
        (r"[.-]RT?WI(?=[.-]|$)", ".RT.WI"),
        (r"[.-]RI(?=[.-]|$)", ".RT"),
        (r"-", "."),
    )
)
_PARTS = re.compile(r"(?:\.(?:[A-Z]|PR[A-Z]?|WS(?:\.[A-Z])?|RT))?(?:\.(?:WI|WD|CL|CV|EC|PP|SD|TEST)){0,2}")
"""Class, unit, preferred, warrants or rights; then when issued, when distributed, called, convertible, ….

Each part may be missing.
"""
_TESTS = re.compile(r"[A-Z]?TEST|Z[A-Z]ZZT|ZVZZC|ZTST|ZBZX|ZXYZ|ZEXIT|ZIEXT|ZXIET|ZVV|ZZK|ZZV|ZZZTX|CBO|CBX|IBO|IGZ")
"""Tickers with which the exchanges test, https://www.nasdaqtrader.com/Trader.aspx?id=TestingFacility."""


def us_share(text: str) -> str | None:
    """Read a ticker of the US, whatever its notation: `PEB-PE`, `PEBpE`, `PEB.PR.E` are `PEB.PRE`; None for no ticker.

    Raises `OutOfScope` for a test ticker.
    """
    text = text.rstrip(".-")
    if (root := _ROOT.match(text)) is None:
        return None
    tail = text[root.end() :]
    for theirs, canonical in _NOTATIONS if tail else ():
        tail = theirs.sub(canonical, tail)
    if not _PARTS.fullmatch(tail):
        return None
    if _TESTS.fullmatch(root[0]) or ".TEST" in tail:
        raise OutOfScope(f"{text:.20} is a test ticker of the exchanges")
    return root[0] + tail


def is_us(symbol: str) -> bool:
    """Return whether `symbol` is the canonical one of a share listed in the US."""
    try:
        return us_share(symbol) == symbol
    except OutOfScope:
        return False


def taped(symbol: str) -> str:
    """Spell a US share as the tape does: `PEB.PRE` -> `PEBpE`, `X.RT.WI` -> `Xrw`, `GM.WS.B` as it is."""
    return re.sub(r"\.PR(?=[A-Z]?(\.|$))", "p", symbol).replace(".RT", "r").replace(".WI", "w")


# -- shares listed elsewhere -----------------------------------------------------------------------------------------

_LISTED = re.compile(r"(?P<ticker>[A-Z0-9][A-Z0-9.\-&]{0,15})\.(?P<mic>[A-Z][A-Z0-9]{3})")
_PIECES = re.compile(r"[A-Z0-9&]+(?:[.\- ][A-Z0-9&]+)*")


def listing(text: str, venue: Venue) -> str | None:
    """Read a ticker of a venue outside the US: `NOVO-B` of Copenhagen is `NOVO.B.XCSE`; None for no ticker.

    One or two letters after a hyphen, dot or space are a class (`NOVO-B`, `REI-UN`), as is the series of a
    Canadian preferred share (`BCE-PA`, `BCE-PR-A`); more belong to the name (`BAJAJ-AUTO`). Hong Kong's numbers have
    four digits at least.
    """
    text = text.rstrip(".- ")
    if not _PIECES.fullmatch(text):
        return None
    root, *rest = re.split(r"[.\- ]", text)
    if venue.country == "CA" and (preferred := re.fullmatch("PR?([A-Z])", "".join(rest))):
        rest = [f"PR{preferred[1]}"]
    if venue.mic == "XHKG" and root.isdecimal():
        root = root.lstrip("0").zfill(4)
    ticker = root + "".join(f".{piece}" if re.fullmatch("[A-Z]{1,2}|PR[A-Z]", piece) else f"-{piece}" for piece in rest)
    symbol = f"{ticker}.{venue.mic}"
    return symbol if _LISTED.fullmatch(symbol) else None


def split_listing(symbol: str) -> tuple[str, Venue] | None:
    """Split `OCDO.XLON` into (`OCDO`, its venue); None for a US share, an unknown MIC or another spelling."""
    if (match := _LISTED.fullmatch(symbol)) and (venue := BY_MIC.get(match["mic"])):
        return (match["ticker"], venue) if listing(match["ticker"], venue) == symbol else None
    return None


# -- the hyphens of web sites ----------------------------------------------------------------------------------------


def dashed(symbol: str) -> str | None:
    """Spell a share as web sites do, without its venue: `BRK.B` -> `BRK-B`, `PEB.PRE` -> `PEB-PE`, `X.WS.B` -> `X-WTB`.

    None when it is no share of a known form or venue, or has no such spelling (`.P` reads as a preferred share).
    """
    if listed := split_listing(symbol):
        ticker, venue = listed
        shorter = re.sub(r"\.PR([A-Z])$", r".P\1", ticker) if venue.country == "CA" else ticker
        return shorter.replace(".", "-")
    if not is_us(symbol):
        return None
    root, _, tail = symbol.partition(".")
    found = _DASHED.get(tail) or re.sub(r"^PR([A-Z])$", r"P\1", re.sub(r"^WS\.([A-Z])$", r"WT\1", tail))
    spelling = f"{root}-{found}" if found else root
    return spelling if "." not in spelling and us_share(spelling) == symbol else None


_DASHED = MappingProxyType({"WS": "WT", "U": "UN", "PR": "P", "RT": "RI", "RT.WI": "RWI"})


def suffixed(symbol: str) -> str | None:
    """Spell a share as Yahoo and FMP do: as `dashed`, and the venue's suffix after a dot (`NOVO-B.CO`)."""
    spelling, listed = dashed(symbol), split_listing(symbol)
    if spelling is None or listed is None:
        return spelling
    return f"{spelling}.{listed[1].yahoo}" if listed[1].yahoo else None


def unsuffixed(spelling: str) -> str | None:
    """Invert `suffixed`; None when it is no share of a known form or venue. Raises `OutOfScope` for a test ticker."""
    ticker, dot, suffix = spelling.rstrip(".").rpartition(".")
    if not dot:
        return us_share(spelling)
    venue = venue_by("yahoo", suffix)
    return listing(ticker, venue) if venue else None


# -- pairs -----------------------------------------------------------------------------------------------------------


def split_pair(text: str) -> tuple[str, str] | None:
    """Split `BTCUSD` or `EURSUSD` into base and quote coin by the known quote coins; None when none fits."""
    for coin in QUOTE_COINS:
        if text.endswith(coin) and len(text) > len(coin):
            return text[: -len(coin)], coin
    return None
