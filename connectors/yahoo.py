"""Yahoo Finance, unofficial: charts, quotes, company facts. Yahoo on its data: https://help.yahoo.com/kb/SLN2310.html.

Bars are stamped in seconds with the session's open, or with midnight in the exchange's zone; their date is the stamp's
date in `meta.exchangeTimezoneName`, for `meta.gmtoffset` is that of the day of the answer. Prices, volumes and dividend
amounts are adjusted for every later split, `adjclose` for dividends too. The last bar of a running session is stamped
with its last trade. Crypto volume is money.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from connectors import _errors as errors
from connectors._connector import NO_RECORDS, Connector, Endpoint, NoRecords, Symbols
from connectors._fields import period_start
from connectors._reading import Reading
from connectors._records import INTERVAL_MS, AssetClass
from connectors._symbols import FOREX, PAIR, QUOTE_COINS, US_SHARE, split_listing, venue_by
from connectors._vocabulary import DAY_MS, Auth, Call, Handshake, Item, Limit
from connectors._yahoo_company import (
    parse_search,
    parse_statements,
    read_earnings,
    read_history,
    read_insider,
    read_metrics,
    read_profile,
    read_recommendations,
)
from connectors._yahoo_market import CODES, SHARES, parse_chart, parse_download, parse_quotes, read_quote
from connectors._yahoo_names import STATEMENTS

DATA_DOCS = "https://help.yahoo.com/kb/SLN2310.html"
HISTORY_DOCS = "https://help.yahoo.com/kb/SLN28256.html"
UNADJUSTED: tuple[AssetClass, ...] = ("crypto", "forex", "commodity", "index")
EVERY = (*SHARES, *UNADJUSTED)
SPANS = MappingProxyType({"1m": 7, "5m": 60, "15m": 60, "30m": 60, "1h": 730, "4h": 730})
"""Days of one intraday call: beyond them Yahoo answers 422 and names the limit."""
OLDEST_S, LATEST_S = -2_208_988_800, 4_102_444_800  # 1900 and 2100: Yahoo needs both ends
EASTERNMOST_MS = 14 * 3_600_000  # a trading date begins up to 14 h before it does in UTC


# -- symbols: AAPL, BRK-B, OCDO.L, BTC-USD, EURUSD=X, INR=X (USD/INR), GC=F, ^GSPC -----------------------------------

INDEX = r"\^[A-Z0-9.-]{1,15}"
MORNINGSTAR = r"0P[A-Z0-9]{8}"  # a fund without a ticker
TAILS = {"WS": "WT", "U": "UN", "PR": "P"}  # warrants, units, preferreds without a series; PRE is PE
DOTTED = {yahoo: sip for sip, yahoo in TAILS.items()}


def spell(symbol: str, asset_class: AssetClass) -> str:
    """`BRK.B` -> `BRK-B`, `OCDO.XLON` -> `OCDO.L`, `EUR/USD` -> `EURUSD=X`, `GC` -> `GC=F`.

    Raises `UnsupportedSymbol`.
    """
    if asset_class == "crypto" and PAIR.fullmatch(symbol):
        return symbol
    if asset_class == "forex" and (match := FOREX.fullmatch(symbol)):
        return f"{match['quote']}=X" if match["base"] == "USD" else f"{match['base']}{match['quote']}=X"
    if asset_class == "commodity" and re.fullmatch(r"[A-Z0-9]{1,5}", symbol):
        return f"{symbol}=F"
    if asset_class == "index" and re.fullmatch(INDEX, symbol):
        return symbol
    if asset_class in SHARES:
        if (listing := split_listing(symbol)) and listing[1].yahoo:
            return f"{listing[0].replace('.', '-')}.{listing[1].yahoo}"
        if US_SHARE.fullmatch(symbol) or re.fullmatch(MORNINGSTAR, symbol):
            root, _, tail = symbol.partition(".")
            tail = TAILS.get(tail) or re.sub(r"^PR(?=.)", "P", tail)
            return f"{root}-{tail}" if tail else root
    raise errors.UnsupportedSymbol(
        f"yahoo cannot spell the {asset_class} {symbol!r}: it sells AAPL, BRK.B, OCDO.XLON "
        "(and most other venues), BTC-USD, EUR/USD, futures by root (GC) and indices with a caret (^GSPC)"
    )


def canonical(spelling: str, asset_class: AssetClass) -> tuple[str, AssetClass]:
    """Invert `spell`; the form tells the asset class, and of shares the one asked for. Raises `FieldError`."""
    if match := re.fullmatch(r"([A-Z]{3})?([A-Z]{3})=X", spelling):
        return f"{match[1] or 'USD'}/{match[2]}", "forex"
    if match := re.fullmatch(r"([A-Z0-9]{1,5})=F", spelling):
        return match[1], "commodity"
    if re.fullmatch(INDEX, spelling):
        return spelling, "index"
    if (match := PAIR.fullmatch(spelling)) and (asset_class == "crypto" or match["quote"] in QUOTE_COINS):
        return spelling, "crypto"
    kind = asset_class if asset_class in {*SHARES, "index"} else "equity"
    ticker, _, suffix = spelling.partition(".")
    root, _, tail = ticker.partition("-")
    if venue := venue_by("yahoo", suffix):
        # a dash before one or two letters is a class (ERIC-B), before more a part of the name (BAJAJ-AUTO)
        symbol = f"{root}.{tail}.{venue.mic}" if 0 < len(tail) < 3 else f"{ticker}.{venue.mic}"
        known = split_listing(symbol) is not None
    else:
        tail = DOTTED.get(tail) or re.sub(r"^P(?=[A-Z]$)", "PR", tail)
        symbol = f"{root}.{tail}" if tail else root
        known = not suffix and bool(US_SHARE.fullmatch(symbol) or re.fullmatch(MORNINGSTAR, symbol))
    if not known:
        raise errors.FieldError("symbol", f"{spelling!r:.40} is no symbol of a known form or venue")
    return symbol, kind


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
    """Find what a 200 hides: an error object in any wrapper, a robot or consent page, nothing at all."""
    answer = reading.answer
    if answer.status == 400 and "Data doesn't exist for startDate" in reading.text:
        return NO_RECORDS  # a range before the first bar
    if answer.status not in {200, 404}:
        return None
    start = answer.body.lstrip()[:1]
    if not start or start == b"<":
        return errors.ProviderUnavailable(
            f"HTTP {answer.status}: {'a web page' if start else 'nothing'} instead of data"
        )
    if reading.text.lower().startswith(("too many requests", "edge: too many requests")):
        return errors.RateLimited(reading.text[:80])
    for wrapper in reading.object.values():
        if isinstance(wrapper, dict) and isinstance(error := wrapper.get("error"), dict):
            cls = REFUSED.get(str(error.get("code")).lower(), errors.ProviderUnavailable)
            return cls(f"{error.get('code')}: {error.get('description')}")
    return None


# -- requests --------------------------------------------------------------------------------------------------------


def _chart(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
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


def _session(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    return {"symbol": spelled[0], "interval": "1d", "range": "1d"}


def _symbols(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    return {"symbols": ",".join(spelled)}


# -- companies: quoteSummary, statements, search ---------------------------------------------------------------------


def _symbol(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    return {"symbol": spelled[0], "formatted": "false"}


def _parse_summary(reading: Reading) -> Iterator[Item]:
    """One answer with many modules: the dataset asked for takes those it knows."""
    for modules in reading.json["quoteSummary"]["result"] or []:
        yield from SUMMARIES[reading.call.dataset](reading, modules)


def _read_price(reading: Reading, modules: Mapping[str, Any]) -> Iterator[Item]:
    if traded := modules.get("price"):
        yield read_quote(reading, traded)


SUMMARIES = {
    "quote": _read_price,
    "profile": read_profile,
    "statements": read_history,
    "metrics": read_metrics,
    "earnings": read_earnings,
    "insider": read_insider,
    "recommendations": read_recommendations,
}


def _statements(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    kinds = [kind for kind in STATEMENTS if call.kind in {None, kind}]
    spans = {"annual": ["annual"], "quarterly": ["quarterly"]}.get(call.period or "", ["annual", "quarterly"])
    types = [f"{span}{item}" for span in spans for kind in kinds for item in STATEMENTS[kind]]
    first = 0 if call.start is None else call.start // 1000
    last = LATEST_S if call.end is None else (call.end - 1) // 1000
    return {"symbol": spelled[0], "type": ",".join(types), "period1": str(first), "period2": str(last)}


def _search(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    if call.dataset == "news":
        return {"q": spelled[0], "quotesCount": "0", "newsCount": str(call.limit or 20)}
    if not call.query:
        raise errors.UnsupportedCall("yahoo lists no universe, it only searches one: give a query")
    return {"q": call.query, "quotesCount": str(call.limit or 20), "newsCount": "0"}


# -- declaration -----------------------------------------------------------------------------------------------------


def _of_chart(name: str, dataset: str, **more: Any) -> Endpoint:
    shared = {"build": _chart, "parse": parse_chart, "docs": HISTORY_DOCS}
    return Endpoint(name=name, dataset=dataset, path="/v8/finance/chart/{symbol}", **{**shared, **more})


def _of_summary(name: str, dataset: str, modules: str = "", **more: Any) -> Endpoint:
    return Endpoint(
        name=name,
        dataset=dataset,
        path="/v10/finance/quoteSummary/{symbol}",
        build=_symbol,
        parse=_parse_summary,
        match={"modules": modules} if modules else {},
        docs=DATA_DOCS,
        **more,
    )


BARS: dict[str, Any] = {
    "intervals": CODES,
    "span_ms": {interval: limit * DAY_MS for interval, limit in SPANS.items()},
    "history": "days and longer: all; 1h and 4h: 730 days; 5m to 30m: 60 days; 1m: 30 days",
}
SUMMARIZED = ("profile", "metrics", "earnings", "insider", "recommendations", "summary")

CONNECTOR = Connector(
    name="yahoo",
    title="Yahoo Finance",
    base_url="https://query2.finance.yahoo.com",
    docs=DATA_DOCS,
    auth=Auth(
        handshake=Handshake(
            cookie_url="https://fc.yahoo.com",
            token_path="/v1/test/getcrumb",  # noqa: S106  (a path, no secret)
            token_param="crumb",  # noqa: S106
            endpoints=frozenset({"quote", *SUMMARIZED}),
        )
    ),
    # a client that does not look like a browser is answered 429
    headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
    symbols=Symbols(spell=spell, canonical=canonical),
    limits=(Limit(calls=30, per="minute"),),  # undocumented, and per address rather than per key
    statuses={403: errors.ProviderUnavailable, 999: errors.RateLimited},
    refusal=refusal,
    mailbox=7,
    endpoints=(
        _of_chart("chart", "bars", asset_classes=SHARES, adjustments=("split",), **BARS),
        _of_chart("chart_unadjusted", "bars", asset_classes=UNADJUSTED, adjustments=("raw",), **BARS),
        _of_chart("chart_actions", "actions", asset_classes=SHARES, kinds=("split", "dividend"), history="all"),
        Endpoint(
            name="quote",
            dataset="quote",
            path="/v7/finance/quote",
            build=_symbols,
            parse=parse_quotes,
            asset_classes=EVERY,
            batch=200,
            latest=True,
            docs=DATA_DOCS,
        ),
        # needs no session: one symbol a call, no bid and ask
        _of_chart("chart_quote", "quote", asset_classes=EVERY, build=_session, latest=True),
        _of_summary(
            "profile",
            "profile",
            "assetProfile,price,defaultKeyStatistics",
            asset_classes=(*SHARES, "crypto"),
            latest=True,
        ),
        _of_summary(
            "metrics",
            "metrics",
            "defaultKeyStatistics,summaryDetail,financialData,earningsTrend",
            asset_classes=SHARES,
            kinds=("key_metrics", "ratios", "estimates"),
            latest=True,
        ),
        _of_summary(
            "earnings",
            "earnings",
            "earningsHistory,calendarEvents",
            asset_classes=("equity",),
            history="4 quarters and the next announced",
        ),
        _of_summary(
            "insider",
            "insider",
            "insiderTransactions",
            asset_classes=("equity",),
            history="about 2 years",
        ),
        _of_summary(
            "recommendations",
            "recommendations",
            "recommendationTrend,upgradeDowngradeHistory,financialData,price",
            asset_classes=("equity",),
            kinds=("consensus", "change"),
            history="4 months of counts, all changes",
        ),
        # other modules, and other sets of them, are read when somebody else asked; the statement modules are retired
        _of_summary("summary", "statements", asset_classes=EVERY, routed=False),
        Endpoint(
            name="fundamentals",
            dataset="statements",
            path="/ws/fundamentals-timeseries/v1/finance/timeseries/{symbol}",
            build=_statements,
            parse=parse_statements,
            asset_classes=("equity",),
            kinds=tuple(STATEMENTS),
            history="4 years, 5 quarters",
            docs=DATA_DOCS,
        ),
        Endpoint(
            name="news",
            dataset="news",
            path="/v1/finance/search",
            build=_search,
            parse=parse_search,
            asset_classes=EVERY,
            docs=DATA_DOCS,
        ),
        Endpoint(
            name="search",
            dataset="assets",
            path="/v1/finance/search",
            build=_search,
            parse=parse_search,
            asset_classes=EVERY,
            batch=0,
            docs=DATA_DOCS,
        ),
        Endpoint(
            name="download",
            dataset="bars",
            path="/v7/finance/download/{symbol}",
            build=_chart,
            parse=parse_download,
            asset_classes=SHARES,
            intervals=CODES,
            adjustments=("split",),
            match={"events": "history"},
            docs=HISTORY_DOCS,
            routed=False,
        ),
    ),
)
