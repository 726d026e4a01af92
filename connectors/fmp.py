"""Financial Modeling Prep: quotes, bars, company facts, lists. https://site.financialmodelingprep.com/developer/docs.

Times are texts without a zone and mean New York for every asset class, crypto and forex included; `quote` counts
seconds, the after-hours quote milliseconds. A crypto day is the UTC day, a forex day ends at 17:00 New York. Rows come
newest first. Daily bars are split-adjusted, unadjusted or adjusted for dividends too, by endpoint: the last two name
their fields adjOpen and so on, whatever they hold. Crypto volume is money. An after-hours trade has no place in a
quote, a series of closing prices none in bars, so `aftermarket-trade` and `light` are not asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from connectors import _errors as errors
from connectors import _fmp_company as company
from connectors import _fmp_market as market
from connectors._connector import Build, Connector, Endpoint, Parse, Symbols
from connectors._fields import NEW_YORK, local_date, utc_date
from connectors._fmp_company import each, paged
from connectors._fmp_names import (
    BALANCE,
    CASH_FLOW,
    INCOME,
    INTRADAY,
    SHARES,
    UNADJUSTED,
    canonical,
    spell,
)
from connectors._reading import Reading
from connectors._records import Adjustment, AssetClass
from connectors._vocabulary import DAY_MS, Auth, Call, Limit

DOCS = "https://site.financialmodelingprep.com/developer/docs"
INTRADAY_DAYS = {"1m": 2, "5m": 10, "15m": 30, "30m": 30, "1h": 90, "4h": 180}
"""Days of one intraday call; the documentation gives no limit, and answers beyond some thousand rows are cut short."""
ALL: tuple[AssetClass, ...] = (*SHARES, *UNADJUSTED)
PERIODS: dict[str, Any] = {"rows": 1000, "history": "5 periods on the free plan"}


# -- requests --------------------------------------------------------------------------------------------------------


def _one(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    return {"symbol": spelled[0], **({"limit": str(call.limit)} if call.limit else {})}


def _many(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    return {"symbols": ",".join(spelled)}


def _nothing(_: Call, __: tuple[str, ...]) -> Mapping[str, str]:
    return {}


def _dates(call: Call, day: Callable[[int], str] = utc_date) -> dict[str, str]:
    """`from` and `to` are dates, both inclusive."""
    first = {} if call.start is None else {"from": day(call.start)}
    return first if call.end is None else {**first, "to": day(call.end - 1)}


def _eastern_dates(call: Call) -> dict[str, str]:
    """What has a time is asked by New York's dates."""
    return _dates(call, lambda ms: local_date(ms, NEW_YORK))


def _daily(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    return {"symbol": spelled[0], **_dates(call)}


def _intraday(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    raw = {"nonadjusted": "true"} if call.adjustment == "raw" and call.asset_class in SHARES else {}
    return {"interval": INTRADAY[call.interval or "1h"], "symbol": spelled[0], **_eastern_dates(call), **raw}


def _period(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """The free plan refuses a limit above 5."""
    period = "quarter" if call.period == "quarterly" else "annual"
    return {"symbol": spelled[0], "period": period, "limit": str(call.limit or 5)}


def _calendar(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    return _dates(call)


def _feed(most: int, *, dated: bool = True) -> Build:
    """Pages of `most` rows, newest first."""

    def build(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
        asked = {("symbols" if dated else "symbol"): ",".join(spelled)} if spelled else {}
        dates = _eastern_dates(call) if dated else {}
        return {**asked, **dates, "page": "0", "limit": str(min(call.limit or most, most))}

    return build


def _search(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    if not call.query:
        raise errors.UnsupportedCall("fmp's symbol search needs a query")
    return {"query": call.query, "limit": str(call.limit or 50)}


def _screen(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    kind = {"isEtf": str(call.asset_class == "etf").lower(), "isFund": str(call.asset_class == "fund").lower()}
    exchange = {"exchange": call.exchange} if call.exchange else {}
    return {**kind, **exchange, "limit": str(call.limit or 10_000)}


# -- refusals --------------------------------------------------------------------------------------------------------

SAID = (
    ("value set for 'symbol'", errors.UnknownSymbol),  # free plan: unknown, or known and not sold; said of both
    ("limit reach", errors.RateLimited),
    ("invalid api key", errors.KeyRejected),
    ("endpoint :", errors.NotEntitled),
    ("premium", errors.NotEntitled),
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


# -- declaration -----------------------------------------------------------------------------------------------------


def _at(path: str, dataset: str, parse: Parse, docs: str, build: Build = _one, **rest: Any) -> Endpoint:
    """An endpoint named like its path; `docs` is its page under the documentation."""
    name = rest.pop("name", re.sub(r"\W", "_", path.strip("/")))
    page = f"{DOCS}/stable/{docs}" if docs else DOCS
    return Endpoint(name=name, dataset=dataset, path=path, build=build, parse=parse, docs=page, **rest)


def _retired(path: str, dataset: str, parse: Parse, **rest: Any) -> Endpoint:
    """The v3 API, closed to keys made after August 2025: read, never asked."""
    name = "v3_" + re.sub(r"\W+", "_", re.sub(r"/{\w+}", "", path))
    return _at(f"/api/v3/{path}", dataset, parse, "", name=name, routed=False, asset_classes=ALL, **rest)


def _daily_bars(path: str, adjustment: Adjustment, names: tuple[str, ...], classes: tuple[AssetClass, ...]) -> Endpoint:
    return _at(
        f"/historical-price-eod/{path}",
        "bars",
        market.daily(adjustment, names),
        f"historical-price-eod-{path}",
        _daily,
        name=f"daily_{adjustment}" if classes == SHARES else "daily_unadjustable",
        asset_classes=classes,
        adjustments=(adjustment,),
        intervals={"1d": "1d"},
        span_ms={"1d": 5000 * DAY_MS},
        rows=5000,
        history="5 years on the free plan",
    )


def _statement(
    kind: company.StatementKind, path: str, docs: str, names: Mapping[str, str]
) -> tuple[Endpoint, Endpoint]:
    read, read_ttm = company.statements(kind, names), company.statements(kind, names, ttm=True)
    ttm = f"{docs.replace('statement', 'statements')}-ttm"
    return (
        _at(f"/{path}", "statements", read, docs, _period, kinds=(kind,), **PERIODS),
        _at(f"/{path}-ttm", "statements", read_ttm, ttm, kinds=(f"{kind}_ttm",), plan="starter"),
    )


def _metrics(kind: company.MetricsKind, path: str, docs: str) -> tuple[Endpoint, Endpoint]:
    read, read_ttm = company.metrics(kind), company.metrics(kind, ttm=True)
    return (
        _at(f"/{path}", "metrics", read, docs, _period, kinds=(kind,), **PERIODS),
        _at(f"/{path}-ttm", "metrics", read_ttm, f"{docs}-ttm", kinds=(f"{kind}_ttm",), asset_classes=("equity",)),
    )


def _news(word: str, classes: tuple[AssetClass, ...]) -> tuple[Endpoint, Endpoint]:
    rest: dict[str, Any] = {"asset_classes": classes, "rows": 250, "plan": "starter"}
    read = paged(company.news, "publishedDate", 250)
    return (
        _at(f"/news/{word}", "news", read, f"search-{word}-news", _feed(250), batch=20, **rest),
        _at(f"/news/{word}-latest", "news", read, f"{word}-news", _feed(250), batch=0, **rest),
    )


def _calendar_of(word: str, dataset: str, read: company.Read, **rest: Any) -> Endpoint:
    parse = paged(each(read), "date", 4000)
    path, spans = f"{word}-calendar", {"": 30 * DAY_MS}
    return _at(f"/{path}", dataset, parse, path, _calendar, batch=0, span_ms=spans, rows=4000, **rest)


def _list(path: str, docs: str, asset_class: AssetClass, **rest: Any) -> Endpoint:
    return _at(f"/{path}", "assets", each(company.asset), docs, _nothing, batch=0, asset_classes=(asset_class,), **rest)


CONNECTOR = Connector(
    name="fmp",
    mailbox=5,
    title="Financial Modeling Prep",
    base_url="https://financialmodelingprep.com/stable",
    docs=DOCS,
    auth=Auth(headers={"apikey": "{key}"}),
    symbols=Symbols(spell=spell, canonical=canonical),
    limits=(Limit(calls=250, per="day"),),
    refusal=refusal,
    endpoints=(
        # one symbol a call comes first, for the free plan does not sell the batch: kind `batch` asks for it
        _at("/quote", "quote", each(market.quote), "quote", kinds=("session",), asset_classes=ALL, latest=True),
        _at(
            "/batch-quote",
            "quote",
            each(market.quote),
            "batch-quote",
            _many,
            kinds=("session", "batch"),
            asset_classes=ALL,
            batch=100,
            latest=True,
            plan="starter",
        ),
        _at(
            "/aftermarket-quote",
            "quote",
            each(market.after_hours),
            "aftermarket-quote",
            kinds=("after_hours",),
            latest=True,
            plan="starter",
        ),
        _at("/quote-short", "quote", each(market.quote), "quote-short", asset_classes=ALL, latest=True, routed=False),
        _daily_bars("full", "split", market.PLAIN, SHARES),
        _daily_bars("full", "raw", market.PLAIN, UNADJUSTED),
        _daily_bars("non-split-adjusted", "raw", market.ADJUSTED, SHARES),
        _daily_bars("dividend-adjusted", "total", market.ADJUSTED, SHARES),
        _at(
            "/historical-chart/{interval}",
            "bars",
            market.intraday,
            "intraday-1-hour",
            _intraday,
            name="intraday",
            asset_classes=ALL,
            intervals=INTRADAY,
            adjustments=("split", "raw"),
            span_ms={interval: days * DAY_MS for interval, days in INTRADAY_DAYS.items()},
            plan="premium",
        ),
        _at(
            "/dividends",
            "actions",
            each(company.dividend),
            "dividends-company",
            kinds=("dividend",),
            asset_classes=SHARES,
            rows=1000,
        ),
        _at(
            "/splits",
            "actions",
            each(company.split),
            "splits-company",
            kinds=("split",),
            asset_classes=SHARES,
            rows=1000,
        ),
        _calendar_of("dividends", "actions", company.dividend, kinds=("dividend",)),
        _calendar_of("splits", "actions", company.split, kinds=("split",)),
        _at("/profile", "profile", each(company.profile), "profile-symbol", asset_classes=SHARES, latest=True),
        *_statement("income", "income-statement", "income-statement", INCOME),
        *_statement("balance", "balance-sheet-statement", "balance-sheet-statement", BALANCE),
        *_statement("cash_flow", "cash-flow-statement", "cashflow-statement", CASH_FLOW),
        *_metrics("ratios", "ratios", "metrics-ratios"),
        *_metrics("key_metrics", "key-metrics", "key-metrics"),
        _at(
            "/discounted-cash-flow",
            "metrics",
            company.metrics("dcf"),
            "dcf-advanced",
            kinds=("dcf",),
            asset_classes=("equity",),
        ),
        _at(
            "/analyst-estimates",
            "metrics",
            each(company.estimates),
            "financial-estimates",
            _period,
            kinds=("estimates",),
            asset_classes=("equity",),
            rows=1000,
        ),
        _at(
            "/etf/info",
            "metrics",
            each(company.fund),
            "information",
            kinds=("etf",),
            asset_classes=("etf", "fund"),
            plan="ultimate",
        ),
        _at("/earnings", "earnings", each(company.earnings), "earnings-company", asset_classes=("equity",), rows=1000),
        _calendar_of("earnings", "earnings", company.earnings, asset_classes=("equity",)),
        *_news("stock", SHARES),
        *_news("crypto", ("crypto",)),
        *_news("forex", ("forex",)),
        _at(
            "/insider-trading/search",
            "insider",
            paged(each(company.insider), "filingDate", 1000),
            "search-insider-trades",
            _feed(1000, dated=False),
            asset_classes=("equity",),
            rows=1000,
            plan="starter",
        ),
        _at(
            "/insider-trading/latest",
            "insider",
            paged(each(company.insider), "filingDate", 1000),
            "latest-insider-trade",
            _feed(1000, dated=False),
            asset_classes=("equity",),
            batch=0,
            rows=1000,
        ),
        _at("/grades-consensus", "recommendations", each(company.consensus), "grades-summary", kinds=("consensus",)),
        _at(
            "/price-target-consensus",
            "recommendations",
            each(company.consensus),
            "price-target-consensus",
            kinds=("target",),
        ),
        _at(
            "/grades-historical",
            "recommendations",
            each(company.monthly_counts),
            "historical-grades",
            kinds=("history",),
            rows=1000,
        ),
        _at("/grades", "recommendations", each(company.grade), "grades", kinds=("change",)),
        _list("stock-list", "company-symbols-list", "equity", kinds=("listed",)),
        _list("etf-list", "etfs-list", "etf", kinds=("listed",)),
        _list("cryptocurrency-list", "cryptocurrency-list", "crypto"),
        _list("forex-list", "forex-list", "forex"),
        _list("commodities-list", "commodities-list", "commodity"),
        _list("index-list", "indexes-list", "index"),
        _at(
            "/company-screener",
            "assets",
            each(company.asset),
            "search-company-screener",
            _screen,
            kinds=("screened",),
            asset_classes=SHARES,
            batch=0,
            rows=10_000,
            plan="starter",
        ),
        _at(
            "/delisted-companies",
            "assets",
            paged(each(company.asset), "delistedDate", 100),
            "delisted-companies",
            _feed(100, dated=False),
            kinds=("delisted",),
            batch=0,
            rows=100,
        ),
        _at(
            "/search-symbol",
            "assets",
            each(company.asset),
            "search-symbol",
            _search,
            kinds=("search",),
            asset_classes=ALL,
            batch=0,
        ),
        _retired("quote/{symbol}", "quote", each(market.quote), latest=True),
        _retired(
            "historical-price-full/{symbol}",
            "bars",
            market.retired_daily,
            intervals={"1d": "1d"},
            adjustments=("split",),
        ),
        _retired(
            "historical-chart/{interval}/{symbol}", "bars", market.intraday, intervals=INTRADAY, adjustments=("split",)
        ),
        _retired("historical-price-full/stock_dividend/{symbol}", "actions", each(company.dividend)),
        _retired("historical-price-full/stock_split/{symbol}", "actions", each(company.split)),
        _retired("profile/{symbol}", "profile", each(company.profile)),
        _retired("income-statement/{symbol}", "statements", company.statements("income", INCOME)),
        _retired("balance-sheet-statement/{symbol}", "statements", company.statements("balance", BALANCE)),
        _retired("cash-flow-statement/{symbol}", "statements", company.statements("cash_flow", CASH_FLOW)),
    ),
)
