"""EODHD: bars, fundamentals and news of some seventy exchanges. Documentation: https://eodhd.com/financial-apis.

Intraday times are UTC seconds, daily dates the exchange's own (a forex day ends at 23:59 UTC). Open, high, low and
close are raw, volumes split-adjusted, `adjusted_close` is adjusted for both. London, Johannesburg and Tel Aviv quote
in minor units where only the symbol list says so, hence bars and quotes outside the US name no currency.
A call costs credits of the day's quota, several for the heavier endpoints: https://eodhd.com/financial-apis/api-limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import get_args
from zoneinfo import ZoneInfo

from connectors import _eodhd_company as company
from connectors import _eodhd_names as names
from connectors import _eodhd_rows as rows
from connectors import _errors as errors
from connectors._connector import Build, Connector, Endpoint, Symbols
from connectors._eodhd_rows import Row
from connectors._fields import currency, iso_time, number, period_start, row_id, text, utc_date
from connectors._reading import Reading
from connectors._records import Asset, AssetClass, News
from connectors._vocabulary import DAY_MS, Auth, Call, Item, LeftOut, Limit

DOCS = "https://eodhd.com/financial-apis"
FUNDAMENTALS = f"{DOCS}/stock-etfs-fundamental-data-feeds"
CALENDAR = f"{DOCS}/calendar-upcoming-earnings-ipos-and-splits"
BULK = f"{DOCS}/bulk-api-eod-splits-dividends"
ALL: tuple[AssetClass, ...] = get_args(AssetClass)
SHARES: tuple[AssetClass, ...] = ("equity", "etf", "fund")
PERIODS = MappingProxyType({"1d": "d", "1w": "w", "1mo": "m"})
SPAN_DAYS = MappingProxyType({"1m": 120, "5m": 600, "1h": 7200})
UTC = ZoneInfo("UTC")
JSON = MappingProxyType({"fmt": "json"})  # many endpoints answer CSV unless asked


# -- requests --------------------------------------------------------------------------------------------------------


def _dates(call: Call) -> dict[str, str]:
    """`from` and `to`, both inclusive."""
    found = {} if call.start is None else {"from": utc_date(call.start)}
    return found if call.end is None else {**found, "to": utc_date(call.end - 1)}


def _eod(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """Weeks and months are built of the days asked for, so the range is widened to whole ones."""
    interval = call.interval or "1d"
    whole = {
        "start": period_start(call.start, interval),
        "end": None if call.end is None else _period_end(call.end - 1, interval),
    }
    return {"symbol": spelled[0], **JSON, "period": PERIODS[interval], **_dates(call.model_copy(update=whole))}


def _period_end(at: int, interval: str) -> int:
    """First ms after the day, week or month that `at` lies in."""
    if interval == "1d":
        return at + 1
    first = period_start(at, interval) or 0
    # 31 days on lies in the next month, whatever this one's length
    return first + 7 * DAY_MS if interval == "1w" else period_start(first + 31 * DAY_MS, "1mo") or 0


def _intraday(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """The range is in seconds, both ends inclusive."""
    first = {} if call.start is None else {"from": str(-(-call.start // 1000))}
    last = {} if call.end is None else {"to": str((call.end - 1) // 1000)}
    return {"symbol": spelled[0], **JSON, "interval": call.interval or "", **first, **last}


def _live(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    more = {"s": ",".join(spelled[1:])} if spelled[1:] else {}
    return {"symbol": spelled[0], **JSON, **more}


def _bulk(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    if call.start is not None and call.end is not None and call.end - call.start > DAY_MS:
        raise errors.UnsupportedCall("eodhd answers an exchange day by day: give a range of at most one day")
    day = {} if call.start is None else {"date": utc_date(call.start)}
    return {"exchange": names.exchange(call), **JSON, **day}


def _market(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    return {"exchange": names.exchange(call), **JSON}


def _of(name: str, **fixed: str) -> Build:
    """Parameters of an endpoint whose symbols travel in `name`, with the range as dates."""

    def build(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
        asked = {name: ",".join(spelled)} if spelled else {}
        return {**asked, **JSON, **_dates(call), **fixed}

    return build


def _news(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    asked = {"s": spelled[0]} if spelled else {"t": call.query} if call.query else {}
    return {**asked, **JSON, **_dates(call), "limit": str(min(call.limit or 1000, 1000)), "offset": "0"}


def _symbol(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    return {"symbol": spelled[0], **JSON}


def _form4(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    return {"symbol": spelled[0], "page[limit]": "100", "page[offset]": "0"}


def _ranged(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    return {"symbol": spelled[0], **JSON, **_dates(call)}


# -- news and listings -------------------------------------------------------------------------------------------------


def _article(reading: Reading, row: Row) -> News:
    link, mood = text(row.get("link")), row.get("sentiment")
    return News(
        **reading.source(),
        id=row_id(link or f"{row['date']} {row['title']}"),
        ts=iso_time(row["date"], UTC),
        title=text(row["title"]),
        summary=text(row.get("content")),
        url=link,
        symbols=reading.symbols(row.get("symbols")),
        sentiment=number(mood.get("polarity")) if isinstance(mood, dict) else None,
    )


def _parse_news(reading: Reading) -> Iterator[Item]:
    articles = rows.known(reading.json, "date", "title")
    yield from reading.rows(articles, lambda row: _article(reading, row))
    limit, offset = int(reading.params.get("limit", "50")), int(reading.params.get("offset", "0"))
    read, wanted = offset + len(articles), reading.call.limit
    if articles and len(articles) >= limit and (wanted is None or read < wanted):
        yield rows.page(reading, "offset", read)


def _asset(reading: Reading, row: Row) -> Item:
    """Names are capitalised in JSON. A code is taken as it stands, for `NA` and `NAN` are tickers."""
    row = {name.lower(): value for name, value in row.items()}
    kind = names.ASSET_TYPES.get((text(row["type"]) or "").lower())
    if kind is None:
        return LeftOut()
    code, listed = row["code"], text(row.get("exchange")) or reading.params["exchange"]
    mic, country = names.place(listed)
    return Asset(
        **reading.of(f"{code}.{listed}", kind),
        name=text(row.get("name")),
        exchange=mic,
        currency=currency(row.get("currency")),
        country=country,
        active=reading.params.get("delisted") != "1",
        isin=text(row.get("isin")),
        provider_symbol=f"{code}.{'US' if listed in names.US_NAMES else listed}",
    )


def _parse_assets(reading: Reading) -> Iterator[Item]:
    yield from reading.rows(rows.table(reading, "code", "type"), lambda row: _asset(reading, row))


# -- refusals --------------------------------------------------------------------------------------------------------


def _refusal(reading: Reading) -> errors.Refusal | None:
    """Errors are plain text; 402 is the day's quota, 403 a plan that lacks the feed, 401 the key.

    A 200 can be empty, a page, or one object with a `warning` (the free plan's year) or an `error`.
    """
    said = reading.answer.body[:200].decode("utf-8", "replace").strip()
    match reading.answer.status:
        case 403 if re.search(r"api.?(key|token)|unauthenticated", said, re.IGNORECASE):
            return errors.KeyRejected(f"HTTP 403: {said}")
        case 402 if re.search(r"plan|subscription", said, re.IGNORECASE) and "limit" not in said.lower():
            return errors.NotEntitled(f"HTTP 402: {said}")
        case 200 if not said or said.startswith("<"):
            return errors.ProviderUnavailable("the answer was a page, not data" if said else "the answer was empty")
        case 200 if warning := reading.object.get("warning"):
            return errors.NotEntitled(f"{warning:.200}")
        case 200 if "not found" in str(reading.object.get("error", "")).lower():
            return errors.UnknownSymbol(said)
    return None


# -- declaration -----------------------------------------------------------------------------------------------------


FUNDAMENTAL = Endpoint(
    name="fundamentals",
    dataset="profile",
    path="/fundamentals/{symbol}",
    build=_symbol,
    parse=company.parse_fundamentals,
    asset_classes=(*SHARES, "index"),
    history="statements since 1985 in the US, 2000 elsewhere",
    cost=10,
    latest=True,
    plan="fundamentals",
    docs=FUNDAMENTALS,
)
NEWS = Endpoint(
    name="news",
    dataset="news",
    path="/news",
    build=_news,
    parse=_parse_news,
    asset_classes=ALL,
    rows=1000,
    history="since 2016",
    cost=5,
    cost_per_symbol=5,
    docs=f"{DOCS}/stock-market-financial-news-api",
)
EARNINGS = Endpoint(
    name="earnings_calendar",
    dataset="earnings",
    path="/calendar/earnings",
    build=_of("symbols"),
    parse=company.parse_calendar,
    asset_classes=("equity",),
    batch=50,
    latest=True,
    plan="fundamentals",
    docs=CALENDAR,
)
BULK_ACTIONS = Endpoint(
    name="bulk_dividends",
    dataset="actions",
    path="/eod-bulk-last-day/{exchange}",
    build=_bulk,
    parse=rows.parse_bulk_dividends,
    asset_classes=SHARES,
    kinds=("dividend",),
    match={"type": "dividends"},
    batch=0,
    span_ms={"": DAY_MS},
    cost=100,
    plan="all world",
    docs=BULK,
)
DIVIDENDS = Endpoint(
    name="dividends",
    dataset="actions",
    path="/div/{symbol}",
    build=_ranged,
    parse=rows.parse_dividends,
    asset_classes=SHARES,
    kinds=("dividend",),
    history="since 2000",
    plan="all world",
    docs=f"{DOCS}/api-splits-dividends",
)


def _filtered(dataset: str, name: str, asset_class: AssetClass, kinds: tuple[str, ...], *sections: str) -> Endpoint:
    """A part of the document: as dear as the whole, but a fraction of its size."""
    return replace(
        FUNDAMENTAL,
        name=name,
        dataset=dataset,
        asset_classes=(asset_class,),
        kinds=kinds,
        match={"filter": ",".join(("General", *sections))},
        latest=dataset != "statements",
    )


CONNECTOR = Connector(
    name="eodhd",
    title="EODHD (EOD Historical Data)",
    base_url="https://eodhd.com/api",
    docs=DOCS,
    auth=Auth(query="api_token"),
    symbols=Symbols(spell=names.spell, canonical=names.canonical),
    limits=(Limit(calls=1000, per="minute"), Limit(calls=20, per="day")),
    mailbox=3,
    zone="UTC",
    statuses={402: errors.QuotaExhausted},
    refusal=_refusal,
    endpoints=(
        Endpoint(
            name="live",
            dataset="quote",
            path="/real-time/{symbol}",
            build=_live,
            parse=rows.parse_live,
            asset_classes=ALL,
            batch=15,
            history="latest, 15 to 20 minutes late",
            cost=0,
            cost_per_symbol=1,
            latest=True,
            docs=f"{DOCS}/live-realtime-stocks-api",
        ),
        Endpoint(
            # US only, and a class of shares does not say where they are listed: the endpoint above serves both
            name="us_quotes",
            dataset="quote",
            path="/us-quote-delayed",
            build=_of("s"),
            parse=rows.parse_us_quotes,
            batch=100,
            cost=0,
            cost_per_symbol=1,
            latest=True,
            routed=False,
            docs=f"{DOCS}/live-v2-for-us-stocks-extended-quotes-2025",
        ),
        Endpoint(
            name="eod",
            dataset="bars",
            path="/eod/{symbol}",
            build=_eod,
            parse=rows.parse_eod,
            asset_classes=ALL,
            intervals=PERIODS,
            adjustments=("raw",),
            history="1 year on the free plan, else since listing",
            docs=f"{DOCS}/api-for-historical-data-and-volumes",
        ),
        Endpoint(
            name="intraday",
            dataset="bars",
            path="/intraday/{symbol}",
            build=_intraday,
            parse=rows.parse_intraday,
            asset_classes=("equity", "etf", "crypto", "forex", "index", "commodity"),
            intervals={interval: interval for interval in SPAN_DAYS},
            adjustments=("raw",),
            span_ms={interval: span * DAY_MS for interval, span in SPAN_DAYS.items()},
            history="1m since 2004 (US), 2009 (crypto, forex); 5m and 1h since October 2020",
            cost=5,
            plan="all world extended",
            docs=f"{DOCS}/intraday-historical-data-api",
        ),
        BULK_ACTIONS,
        replace(
            BULK_ACTIONS, name="bulk_splits", kinds=("split",), match={"type": "splits"}, parse=rows.parse_bulk_splits
        ),
        Endpoint(
            name="bulk_eod",
            dataset="bars",
            path="/eod-bulk-last-day/{exchange}",
            build=_bulk,
            parse=rows.parse_bulk,
            asset_classes=ALL,
            intervals={"1d": "d"},
            adjustments=("raw",),
            batch=0,
            span_ms={"1d": DAY_MS},
            cost=100,
            plan="all world",
            docs=BULK,
        ),
        DIVIDENDS,
        replace(DIVIDENDS, name="splits", path="/splits/{symbol}", kinds=("split",), parse=rows.parse_splits),
        _filtered("statements", "statements", "equity", (), "Financials"),
        _filtered("metrics", "metrics", "equity", ("key_metrics", "ratios"), *names.KEY_METRICS, "Valuation"),
        _filtered("metrics", "metrics_etf", "etf", ("etf", "key_metrics"), "Technicals", "ETF_Data"),
        _filtered("metrics", "metrics_fund", "fund", ("etf",), "MutualFund_Data"),
        _filtered("recommendations", "recommendations", "equity", (), "AnalystRatings"),
        EARNINGS,
        replace(EARNINGS, name="earnings_week", batch=0, latest=False),
        replace(
            EARNINGS,
            name="earnings_trends",
            dataset="metrics",
            path="/calendar/trends",
            parse=company.parse_trends,
            kinds=("estimates",),
        ),
        FUNDAMENTAL,
        replace(
            FUNDAMENTAL,
            name="bulk_fundamentals",
            path="/bulk-fundamentals/{exchange}",
            build=_market,
            parse=company.parse_bulk_fundamentals,
            asset_classes=("equity",),
            batch=0,
            rows=500,
            cost=100,
            history="4 quarters, 4 years",
            plan="extended fundamentals",
            docs=f"{DOCS}/bulk-fundamentals-api",
        ),
        NEWS,
        replace(NEWS, name="market_news", batch=0),
        Endpoint(
            name="form4",
            dataset="insider",
            path="/sec-filings/{symbol}/form4",
            build=_form4,
            parse=company.parse_form4,
            asset_classes=("equity",),
            rows=100,
            history="US only, up to 10 years",
            cost=10,
            plan="fundamentals",
            docs=f"{DOCS}/insider-transactions-api",
        ),
        Endpoint(
            # called obsolete in favour of the one above, but the only one that covers the whole market
            name="insider_transactions",
            dataset="insider",
            path="/insider-transactions",
            build=_of("code", limit="1000"),
            parse=company.parse_insider,
            asset_classes=("equity",),
            batch=0,
            rows=1000,
            history="US only, 1 year",
            plan="fundamentals",
            docs=f"{DOCS}/insider-transactions-api",
        ),
        Endpoint(
            name="symbols",
            dataset="assets",
            path="/exchange-symbol-list/{exchange}",
            build=_market,
            parse=_parse_assets,
            asset_classes=ALL,
            batch=0,
            docs=f"{DOCS}/exchanges-api-list-of-tickers-and-trading-hours",
        ),
    ),
)
