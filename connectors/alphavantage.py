"""Alpha Vantage: one path, `function` selects. Documentation: https://www.alphavantage.co/documentation/.

Numbers are texts, JSON names are numbered ("1. open"), missing is "None". Rows come newest first, their times are wall
clocks: US Eastern for shares, UTC for forex and crypto, whose days are UTC days. Prices are as traded, beside an
adjusted close where the function says so, and name no currency (London is quoted in pence). Every refusal is a 200.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from connectors import _alphavantage_company as company
from connectors import _errors as errors
from connectors._alphavantage_company import is_csv, plain, table
from connectors._connector import Build, Connector, Endpoint, Parse, Symbols
from connectors._fields import (
    NEW_YORK,
    column,
    days,
    iso_date,
    iso_time,
    local_date,
    number,
    period_start,
    price,
    wall_times,
)
from connectors._reading import Reading, objects
from connectors._records import Action, AssetClass, Envelope, Quote
from connectors._symbols import FOREX, PAIR, US_SHARE, split_listing, venue_by
from connectors._vocabulary import DAY_MS, Auth, BarColumns, Call, Item, LeftOut, Limit, Reject

DOCS = "https://www.alphavantage.co/documentation/"
LISTED: tuple[AssetClass, ...] = ("equity", "etf", "fund")
INTRADAY = MappingProxyType({"1m": "1min", "5m": "5min", "15m": "15min", "30m": "30min", "1h": "60min"})
ZONES = MappingProxyType({"US/Eastern": NEW_YORK, "UTC": ZoneInfo("UTC")})
COMPACT = 100  # rows of outputsize=compact
FIRST_MONTH = "2000-01"  # of TIME_SERIES_INTRADAY
COMMODITIES = (
    *("WTI", "BRENT", "NATURAL_GAS", "COPPER", "ALUMINUM", "WHEAT"),
    *("CORN", "COTTON", "SUGAR", "COFFEE", "ALL_COMMODITIES"),
)


# -- symbols: AAPL, BRK-B, PEB-P-E, TSCO.LON; a pair travels as two parameters and is spelled BTC/EUR here -----------


def spell(symbol: str, asset_class: AssetClass) -> str:
    """`BRK.B` -> `BRK-B`, `TSCO.XLON` -> `TSCO.LON`, `BTC-EUR` -> `BTC/EUR`. Raises `UnsupportedSymbol`."""
    if asset_class == "crypto" and PAIR.fullmatch(symbol):
        return symbol.replace("-", "/")
    if asset_class == "forex" and FOREX.fullmatch(symbol):
        return symbol
    if asset_class in LISTED:
        if (listing := split_listing(symbol)) and listing[1].alphavantage:
            return f"{listing[0].replace('.', '-')}.{listing[1].alphavantage}"
        if not listing and US_SHARE.fullmatch(symbol) and not symbol.endswith(".P"):  # `-P` is a preferred share
            ticker, _, suffix = symbol.partition(".")
            series = re.sub(r"^PR(?=[A-Z]?$)", "P-", suffix).rstrip("-")
            return f"{ticker}-{series}" if series else ticker
    raise errors.UnsupportedSymbol(
        f"alphavantage cannot spell the {asset_class} {symbol!r}: it sells US tickers, "
        "listings of venues it has a suffix for, BTC-EUR and EUR/USD"
    )


def canonical(spelling: str, asset_class: AssetClass) -> tuple[str, AssetClass]:
    """`BRK-B` -> `BRK.B`, `ABR-P-D` -> `ABR.PRD`, `TSCO.LON` -> `TSCO.XLON`. Raises `FieldError`."""
    if match := re.fullmatch(r"([A-Z0-9]{1,12})/([A-Z]{3,5})", spelling):
        crypto = asset_class == "crypto"
        return f"{match[1]}{'-' if crypto else '/'}{match[2]}", "crypto" if crypto else "forex"
    if (match := re.fullmatch(r"([A-Z0-9-]+)\.([A-Z]{3})", spelling)) and (venue := venue_by("alphavantage", match[2])):
        return f"{match[1].replace('-', '.')}.{venue.mic}", asset_class
    symbol = re.sub(r"-P(-(?=[A-Z]$)|$)", ".PR", spelling).replace("-", ".")
    if US_SHARE.fullmatch(symbol):
        return symbol, asset_class
    raise errors.FieldError("symbol", f"{spelling!r:.40} is no ticker of a known form")


# -- requests --------------------------------------------------------------------------------------------------------


def _nothing(_: Call, __: tuple[str, ...]) -> Mapping[str, str]:
    return {}


def _symbol(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    return {"symbol": ",".join(spelled)}


def _pair(base: str, quote: str) -> Build:
    """Name the two parameters that carry a pair."""

    def build(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
        return dict(zip((base, quote), spelled[0].split("/"), strict=True))

    return build


def _sized(build: Build) -> Build:
    """Ask the free compact answer unless the range alone says that it is too short; `_parse_bars` asks again."""

    def sized(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
        long = call.start is not None and call.end is not None and call.end - call.start > 2 * COMPACT * DAY_MS
        return {**build(call, spelled), "outputsize": "full" if long else "compact"}

    return sized


def _timed(build: Build) -> Build:
    def timed(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
        return {**build(call, spelled), "interval": INTRADAY[call.interval or "5m"], "outputsize": "full"}

    return timed


def _intraday(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """`full` is the last 30 days, or one month: a range is read backwards from its end, see `_parse_intraday`."""
    params = {**_timed(_symbol)(call, spelled), "adjusted": "true" if call.adjustment == "total" else "false"}
    return params if call.end is None else {**params, "month": local_date(call.end - 1, NEW_YORK)[:7]}


# -- bars ------------------------------------------------------------------------------------------------------------


def _series(reading: Reading) -> tuple[dict[str, Any], list[dict[str, Any]], list[Reject]]:
    """Give (meta data, rows with their `timestamp`, strays) of a time series; CSV has no meta data."""
    if is_csv(reading):
        return {}, [plain(row) for row in reading.csv("timestamp", "open", "high", "low", "close")], []
    body = reading.json
    series = next((body[name] for name in body if "Time Series" in name), None)
    if not isinstance(series, dict):
        raise errors.MalformedPayload(f"no time series among {list(body)!r:.120}")
    dated = [{**plain(row), "timestamp": at} if isinstance(row, dict) else row for at, row in series.items()]
    rows, strays = objects(dated)
    if rows and not any("close" in row for row in rows):
        raise errors.MalformedPayload(f"the bars have {list(rows[0])!r:.120} and no close")
    return plain(body.get("Meta Data") or {}), rows, strays


def _frame(reading: Reading, meta: dict[str, Any], rows: list[dict[str, Any]]) -> BarColumns:
    base = meta.get("from_symbol") or meta.get("digital_currency_code")
    quote = meta.get("to_symbol") or meta.get("market_code")
    envelope = reading.of(f"{base}/{quote}" if base and quote else meta.get("symbol"))
    interval, listed = reading.call.interval or "1d", envelope["asset_class"] in LISTED
    as_traded = not listed or interval not in INTRADAY or reading.params.get("adjusted") == "false"
    return BarColumns(
        envelope=envelope,
        interval=interval,
        adjustment="raw" if as_traded else "total",
        currency=_currency(envelope),
        ts=_starts([row["timestamp"] for row in rows], interval, meta.get("time_zone"), listed),
        open=column(rows, "open"),
        high=column(rows, "high"),
        low=column(rows, "low"),
        close=column(rows, "close"),
        volume=column(rows, "volume"),
        adj_close=column(rows, "adjusted_close"),
    )


def _starts(stamps: list[str], interval: str, zone_name: str | None, listed: bool) -> list[int | None]:
    """Weeks and months are stamped with their last trading day."""
    if interval not in INTRADAY:
        return [period_start(at, interval) for at in days(stamps)]
    zone = ZONES.get(zone_name or ("US/Eastern" if listed else "UTC"))
    if zone is None:
        raise errors.MalformedPayload(f"unknown time zone {zone_name!r:.40}")
    return wall_times(stamps, zone)


def _currency(envelope: Envelope) -> str | None:
    return re.split("[-/]", envelope["symbol"])[-1] if envelope["asset_class"] in {"crypto", "forex"} else None


def _oldest(frame: BarColumns) -> int | None:
    return min((at for at in frame.ts if at is not None), default=None)


def _parse_bars(reading: Reading) -> Iterator[Item]:
    """A compact answer that does not reach the start is followed by the full one."""
    meta, rows, strays = _series(reading)
    yield from strays
    if rows:
        yield (frame := _frame(reading, meta, rows))
        start, oldest = reading.call.start, _oldest(frame)
        compact = reading.params.get("outputsize") == "compact" and len(rows) >= COMPACT
        if compact and start is not None and oldest is not None and oldest > start:
            yield reading.following(outputsize="full")


def _parse_adjusted(reading: Reading) -> Iterator[Item]:
    """Only daily rows date their actions; a week's or month's dividends are sums."""
    yield from _parse_bars(reading)
    meta, rows, _ = _series(reading)

    def actions(row: dict[str, Any]) -> Iterator[Item]:
        envelope, day = reading.of(meta.get("symbol")), iso_date(row["timestamp"])
        if amount := number(row.get("dividend_amount")):
            yield Action(**envelope, kind="dividend", ex_date=str(day), amount=amount)
        if (ratio := number(row.get("split_coefficient"))) not in {None, 1.0}:
            yield Action(**envelope, kind="split", ex_date=str(day), ratio=ratio)

    yield from reading.rows(rows, actions)


def _parse_intraday(reading: Reading) -> Iterator[Item]:
    """Months are asked from the newest to the start; one before the listing is answered by an error and is the end."""
    if "Error Message" in reading.object:
        this_month = local_date(reading.answer.observed_at, NEW_YORK)[:7]
        if reading.params.get("month", "") > this_month:  # a range may end in the future
            yield reading.following(month=this_month)
        return
    meta, rows, strays = _series(reading)
    yield from strays
    oldest = None
    if rows:
        frame = _frame(reading, meta, rows)
        yield frame
        oldest = _oldest(frame)
    if reading.call.start is None:
        return
    month = _month_before(reading, reading.call.start, oldest)
    if month and month >= max(local_date(reading.call.start, NEW_YORK)[:7], FIRST_MONTH):
        yield reading.following(month=month)


def _month_before(reading: Reading, start: int, oldest: int | None) -> str | None:
    """Give the month before the one asked; after the last 30 days, the month in which they begin."""
    if month := reading.params.get("month"):
        return (date.fromisoformat(f"{month}-01") - timedelta(days=1)).isoformat()[:7]
    return local_date(oldest, NEW_YORK)[:7] if oldest is not None and oldest > start else None


def _parse_commodity(reading: Reading) -> Iterator[Item]:
    """One average a period is no bar, and a spot price is not the future of the same name."""
    yield from table(reading, lambda _: LeftOut(), "timestamp", "value", member="data")


# -- quotes ----------------------------------------------------------------------------------------------------------


def _parse_quote(reading: Reading) -> Iterator[Item]:
    """Only the trading day is said, no time. An unknown symbol is answered by an empty object."""
    rows = reading.csv("symbol", "price") if is_csv(reading) else [reading.json["Global Quote"]]
    yield from reading.rows(rows, lambda row: _quote(reading, plain(row), "price", None))


def _parse_bulk(reading: Reading) -> Iterator[Item]:
    """`close` is the regular session's last price; unknown symbols are rows of empty texts."""

    def read(row: dict[str, Any]) -> Quote | None:
        return _quote(reading, row, "close", iso_time(row.get("timestamp"), NEW_YORK))

    yield from table(reading, read, "symbol", "timestamp", "close", member="data")


def _quote(reading: Reading, row: dict[str, Any], last: str, ts: int | None) -> Quote | None:
    if (paid := price(row.get(last))) is None:
        return None
    return Quote(
        **reading.of(row["symbol"]),
        ts=reading.answer.observed_at if ts is None else ts,
        ts_estimated=ts is None,
        price=paid,
        open=price(row.get("open")),
        high=price(row.get("high")),
        low=price(row.get("low")),
        prev_close=price(row.get("previous_close")),
        volume=number(row.get("volume")),
    )


def _parse_rate(reading: Reading) -> Iterator[Item]:

    def read(given: dict[str, Any]) -> Quote:
        row = plain(given)
        envelope = reading.of(f"{row['from_currency_code']}/{row['to_currency_code']}")
        ts = iso_time(row.get("last_refreshed"), ZONES[row["time_zone"]])
        return Quote(
            **envelope,
            ts=reading.answer.observed_at if ts is None else ts,
            ts_estimated=ts is None,
            price=price(row.get("exchange_rate")),
            bid=price(row.get("bid_price")),
            ask=price(row.get("ask_price")),
            currency=_currency(envelope),
        )

    yield from reading.rows([reading.json["Realtime Currency Exchange Rate"]], read)


# -- refusals --------------------------------------------------------------------------------------------------------


def refusal(reading: Reading) -> errors.Refusal | None:
    """Find the refusal in a 200: a text under `Note`, `Information` or `Error Message`, sample data, or nothing."""
    body = reading.answer.body.strip()
    if reading.answer.status != 200:
        return None
    if not body:
        return errors.ProviderUnavailable("HTTP 200 with an empty body")
    if body == b"{}" and reading.call.symbols:
        return errors.UnknownSymbol("the answer is an empty object")
    said = [reading.object[name] for name in ("Note", "Information", "Error Message") if name in reading.object]
    if said:
        # some texts echo the key
        return _refused(reading, re.sub(r"(API key as )\S+", r"\1***", str(said[0]))[:400])
    sample = "ARTIFICIAL" in str(reading.object.get("message"))
    return errors.NotEntitled("premium function: the data are an artificial sample") if sample else None


def _refused(reading: Reading, reason: str) -> errors.Refusal | None:
    """The first match decides: the text about bursts also names the daily limit and the premium plans."""
    for words, cls in WORDS.items():
        if re.search(words, reason, re.IGNORECASE):
            return cls(reason)
    if reading.call.symbols and re.search("invalid (api call|inputs)", reason, re.IGNORECASE):
        return None if "month" in reading.params else errors.UnknownSymbol(reason)
    return errors.InvalidRequest(reason)


WORDS: Mapping[str, type[errors.Refusal]] = MappingProxyType(
    {
        "apikey is invalid|api key is for demo": errors.KeyRejected,
        "is a premium": errors.NotEntitled,
        "per minute|per second|spreading out|burst": errors.RateLimited,
        "per day|daily .*limit": errors.QuotaExhausted,
        "premium": errors.NotEntitled,
    }
)


# -- declaration -----------------------------------------------------------------------------------------------------

ANCHORS = MappingProxyType(
    {
        "GLOBAL_QUOTE": "latestprice",
        "CURRENCY_EXCHANGE_RATE": "currency-exchange",
        "TIME_SERIES_DAILY": "daily",
        "TIME_SERIES_DAILY_ADJUSTED": "dailyadj",
        "TIME_SERIES_WEEKLY": "weekly",
        "TIME_SERIES_WEEKLY_ADJUSTED": "weeklyadj",
        "TIME_SERIES_MONTHLY": "monthly",
        "TIME_SERIES_MONTHLY_ADJUSTED": "monthlyadj",
        "TIME_SERIES_INTRADAY": "intraday",
        "DIGITAL_CURRENCY_DAILY": "currency-daily",
        "DIGITAL_CURRENCY_WEEKLY": "currency-weekly",
        "DIGITAL_CURRENCY_MONTHLY": "currency-monthly",
        "OVERVIEW": "company-overview",
        "SYMBOL_SEARCH": "symbolsearch",
    }
)


def _function(
    name: str, dataset: str, sold: tuple[AssetClass, ...], build: Build, parse: Parse, **more: Any
) -> Endpoint:
    """Declare one function of the API; its endpoint is named alike unless `endpoint` says otherwise."""
    docs = f"{DOCS}#{ANCHORS.get(name) or name.lower().replace('_', '-')}"
    shared = {"path": "/query", "match": {"function": name}, "docs": docs, "asset_classes": sold}
    endpoint = more.pop("endpoint", name.lower())
    return Endpoint(name=endpoint, dataset=dataset, build=build, parse=parse, **shared | more)


def _bars(name: str, sold: tuple[AssetClass, ...], intervals: Mapping[str, str], build: Build, **more: Any) -> Endpoint:
    parse = more.pop("parse", _parse_bars)
    return _function(name, "bars", sold, build, parse, intervals=intervals, **{"adjustments": ("raw",), **more})


def _statement(name: str, kind: company.StatementKind) -> Endpoint:
    return _function(name, "statements", EQUITY, _symbol, company.statement(kind), kinds=(kind,))


def _assets(name: str, build: Build, parse: Parse, **more: Any) -> Endpoint:
    return _function(name, "assets", LISTED, build, parse, batch=0, **more)


FX, COIN, RATE = _pair("from_symbol", "to_symbol"), _pair("symbol", "market"), _pair("from_currency", "to_currency")
EQUITY: tuple[AssetClass, ...] = ("equity",)
FOREIGN: tuple[AssetClass, ...] = ("forex",)
CRYPTO: tuple[AssetClass, ...] = ("crypto",)
DAY, WEEK, MONTH = ({interval: ""} for interval in ("1d", "1w", "1mo"))
DEPTH = "100 days on the free plan, else 20+ years"

CONNECTOR = Connector(
    name="alphavantage",
    title="Alpha Vantage",
    base_url="https://www.alphavantage.co",
    docs=DOCS,
    auth=Auth(query="apikey"),
    symbols=Symbols(spell=spell, canonical=canonical),
    mailbox=1,
    limits=(Limit(calls=1, per="second"), Limit(calls=25, per="day", zone="America/New_York")),
    zone="America/New_York",
    refusal=refusal,
    endpoints=(
        _function("GLOBAL_QUOTE", "quote", LISTED, _symbol, _parse_quote, kinds=("single",), latest=True),
        _function(
            "REALTIME_BULK_QUOTES",
            "quote",
            LISTED,
            _symbol,
            _parse_bulk,
            kinds=("bulk",),
            batch=100,
            latest=True,
            plan="premium",
        ),
        _function("CURRENCY_EXCHANGE_RATE", "quote", (*FOREIGN, *CRYPTO), RATE, _parse_rate, latest=True),
        _bars("TIME_SERIES_DAILY", LISTED, DAY, _sized(_symbol), kinds=("raw",), history=DEPTH),
        _bars(
            "TIME_SERIES_DAILY_ADJUSTED",
            LISTED,
            DAY,
            _sized(_symbol),
            parse=_parse_adjusted,
            kinds=("adjusted",),
            plan="premium",
        ),
        _bars("TIME_SERIES_WEEKLY_ADJUSTED", LISTED, WEEK, _symbol, history="20+ years"),
        _bars("TIME_SERIES_WEEKLY", LISTED, WEEK, _symbol, routed=False),
        _bars("TIME_SERIES_MONTHLY_ADJUSTED", LISTED, MONTH, _symbol, history="20+ years"),
        _bars("TIME_SERIES_MONTHLY", LISTED, MONTH, _symbol, routed=False),
        _bars(
            "TIME_SERIES_INTRADAY",
            LISTED,
            INTRADAY,
            _intraday,
            parse=_parse_intraday,
            adjustments=("raw", "total"),
            history="since 2000, a month a call",
            plan="premium",
        ),
        _bars("FX_DAILY", FOREIGN, DAY, _sized(FX)),
        _bars("FX_WEEKLY", FOREIGN, WEEK, FX),
        _bars("FX_MONTHLY", FOREIGN, MONTH, FX),
        _bars("FX_INTRADAY", FOREIGN, INTRADAY, _timed(FX), history="recent days", plan="premium"),
        _bars("DIGITAL_CURRENCY_DAILY", CRYPTO, DAY, COIN),
        _bars("DIGITAL_CURRENCY_WEEKLY", CRYPTO, WEEK, COIN),
        _bars("DIGITAL_CURRENCY_MONTHLY", CRYPTO, MONTH, COIN),
        _bars("CRYPTO_INTRADAY", CRYPTO, INTRADAY, _timed(COIN), history="recent days", plan="premium"),
        *(_bars(name, ("commodity",), MONTH, _nothing, parse=_parse_commodity, routed=False) for name in COMMODITIES),
        _function("DIVIDENDS", "actions", LISTED, _symbol, company.dividends, kinds=("dividend",)),
        _function("SPLITS", "actions", LISTED, _symbol, company.splits, kinds=("split",)),
        _function("OVERVIEW", "profile", EQUITY, _symbol, company.overview, latest=True),
        _function(
            "OVERVIEW",
            "metrics",
            EQUITY,
            _symbol,
            company.overview,
            endpoint="overview_metrics",
            kinds=("key_metrics",),
            latest=True,
        ),
        _function(
            "OVERVIEW",
            "recommendations",
            EQUITY,
            _symbol,
            company.overview,
            endpoint="overview_consensus",
            latest=True,
        ),
        _function("ETF_PROFILE", "metrics", ("etf",), _symbol, company.etf, kinds=("etf",), latest=True),
        _function("EARNINGS_ESTIMATES", "metrics", EQUITY, _symbol, company.estimates, kinds=("estimates",)),
        _function("SHARES_OUTSTANDING", "metrics", EQUITY, _symbol, company.shares, kinds=("shares",)),
        _statement("INCOME_STATEMENT", "income"),
        _statement("BALANCE_SHEET", "balance"),
        _statement("CASH_FLOW", "cash_flow"),
        _function("EARNINGS", "earnings", EQUITY, _symbol, company.earnings),
        _function("EARNINGS_CALENDAR", "earnings", EQUITY, company.horizon, company.calendar, batch=0),
        _function(
            "NEWS_SENTIMENT",
            "news",
            (*LISTED, *CRYPTO, *FOREIGN),
            company.articles,
            company.news,
            rows=company.NEWS_ROWS,
        ),
        _function("INSIDER_TRANSACTIONS", "insider", EQUITY, _symbol, company.insider),
        _function(
            "LISTING_STATUS", "assets", LISTED, company.listed, company.listing, kinds=("active", "delisted"), batch=0
        ),
        _function(
            "SYMBOL_SEARCH", "assets", LISTED, company.keywords, company.search, kinds=("search",), batch=0, rows=10
        ),
    ),
)
