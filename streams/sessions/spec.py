"""What a collection session is to collect, from whom and for how long, and the usual ones ready made. Pure data.

Only the form of names is checked here. The connectors decide whether a provider, dataset or asset class exists.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from streams.errors import InvalidSpec

Mode = Literal["production", "focused", "test", "custom"]
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
LONGEST_MS = 366 * 24 * HOUR_MS  # a year: longer is a typing error

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.&/-]{0,31}")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,31}")
_PERSON = re.compile(r"[\w .,@+-]{0,80}")  # neither URLs nor `key=...`: it goes into a checkpoint


@dataclass(frozen=True, slots=True)
class SessionAsset:
    """One thing to collect: its canonical symbol, and the asset class that always travels beside it."""

    symbol: str
    """Canonical symbol."""
    asset_class: str = "equity"
    """Its asset class."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A session's task. `duration_ms` is time that it runs: pauses and interruptions use none of it.

    `id` names files too; `sources` are provider names. Raises `InvalidSpec`.
    """

    id: str
    """Id of the session; its folder and jobs have it as name."""
    mode: Mode
    """Preset that it was made from."""
    duration_ms: int
    """Running time, ms; pauses and interruptions do not count."""
    symbols: tuple[SessionAsset, ...]
    """What is collected."""
    sources: tuple[str, ...]
    """Names of the providers."""
    datasets: tuple[str, ...]
    """Names of the datasets."""
    started_by: str = ""
    """Who started it: a command, a program or a timer."""

    def __post_init__(self) -> None:
        if problems := list(_problems(self)):
            raise InvalidSpec(f"session {self.id!r}: {'; '.join(problems)}")


def _problems(spec: Spec) -> Iterator[str]:
    if not _ID.fullmatch(spec.id):
        yield "its id must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit"
    if spec.mode not in get_args(Mode):
        yield f"mode {spec.mode!r} is none of {', '.join(get_args(Mode))}"
    if not 0 < spec.duration_ms <= LONGEST_MS:
        yield f"it cannot last {spec.duration_ms / HOUR_MS:g} hours: more than 0, at most {LONGEST_MS // HOUR_MS}"
    if not _PERSON.fullmatch(spec.started_by):
        yield "started_by must be a name: at most 80 letters, digits, spaces and . , @ + - _"
    yield from _misspelt("symbols", [asset.symbol for asset in spec.symbols], _SYMBOL)
    yield from _misspelt("asset classes", [asset.asset_class for asset in spec.symbols], _WORD)
    yield from _repeated("symbols", [f"{asset.symbol} ({asset.asset_class})" for asset in spec.symbols])
    for name, words in (("sources", spec.sources), ("datasets", spec.datasets)):
        yield from _misspelt(name, words, _WORD)
        yield from _repeated(name, words)


def _misspelt(name: str, words: Sequence[str], form: re.Pattern[str]) -> Iterator[str]:
    if not words:
        yield f"{name}: name at least one"
    if wrong := [word for word in words if not form.fullmatch(word)]:
        yield f"{name}: {wrong[0][:40]!r} is not of the form {form.pattern}"


def _repeated(name: str, words: Sequence[str]) -> Iterator[str]:
    if twice := [word for place, word in enumerate(words) if word in words[:place]]:
        yield f"{name}: {twice[0]} is named twice"


@dataclass(frozen=True, slots=True)
class Preset:
    """A `Spec` without its id."""

    duration_ms: int
    """Running time, ms."""
    symbols: tuple[SessionAsset, ...]
    """What is collected."""
    sources: tuple[str, ...]
    """Names of the providers."""
    datasets: tuple[str, ...]
    """Names of the datasets."""


def preset(mode: str, session_id: str, started_by: str = "") -> Spec:
    """Return the ready-made session of a mode. Raises `InvalidSpec` for one that has none."""
    for name, found in PRESETS.items():
        if name == mode:
            return Spec(session_id, name, found.duration_ms, found.symbols, found.sources, found.datasets, started_by)
    raise InvalidSpec(f"there is no ready-made session {mode!r}; there are {', '.join(PRESETS)}")


def _assets(**symbols: str) -> tuple[SessionAsset, ...]:
    """Assets of `asset_class="SYMBOL SYMBOL ..."`."""
    return tuple(SessionAsset(symbol, asset_class) for asset_class, text in symbols.items() for symbol in text.split())


PRESETS: Mapping[Mode, Preset] = MappingProxyType(
    {
        "production": Preset(
            duration_ms=8 * HOUR_MS,
            symbols=_assets(
                equity="AAPL MSFT NVDA AMZN GOOGL META TSLA BRK.B JPM V MA UNH XOM JNJ PG HD COST ABBV MRK CVX KO PEP "
                "WMT BAC CRM ORCL NFLX AMD ADBE CSCO MCD DIS INTC QCOM TXN CAT BA GE IBM GS",
                etf="SPY QQQ IWM DIA VTI EEM GLD TLT XLF XLK",
                crypto="BTC-USD ETH-USD SOL-USD",
                forex="EUR/USD GBP/USD USD/JPY",
            ),
            sources=("polygon", "alpaca", "eodhd", "fmp", "finnhub", "alphavantage", "yahoo", "brightdata"),
            datasets=(
                "quote",
                "bars",
                "actions",
                "profile",
                "statements",
                "metrics",
                "earnings",
                "news",
                "insider",
                "recommendations",
            ),
        ),
        "focused": Preset(
            duration_ms=2 * HOUR_MS,
            symbols=_assets(equity="AAPL MSFT NVDA AMZN GOOGL META TSLA JPM XOM JNJ PG WMT", etf="SPY QQQ IWM"),
            sources=("eodhd", "finnhub", "fmp"),
            datasets=("quote", "bars", "profile", "metrics", "earnings", "news"),
        ),
        "test": Preset(
            duration_ms=30 * MINUTE_MS,
            symbols=_assets(equity="AAPL MSFT GOOGL", etf="SPY", crypto="BTC-USD"),
            sources=("yahoo", "polygon", "finnhub", "eodhd"),
            datasets=("quote", "bars", "profile"),
        ),
    }
)
"""Well-known, liquid symbols only, so that what is missing speaks of a provider and not of the symbol."""
