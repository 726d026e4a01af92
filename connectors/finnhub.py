"""Finnhub: quotes, candles, company facts, lists. Documentation: https://finnhub.io/docs/api.

Times are seconds. A daily candle is stamped with midnight in the exchange's zone, a forex one with 17:00 New York of
the evening before. Daily candles are split-adjusted, intraday ones as traded. What measures a company is in millions.
An unknown symbol is answered with zeros. There are no batches. A list of symbols is a redirect to a file. What the free
plan lacks is refused with 401 or 403, most listings abroad too. The statements of `/stock/financials` are standardised,
not as reported, and not asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connectors import _errors as errors
from connectors import _finnhub_company as company
from connectors import _finnhub_market as market
from connectors._connector import Build, Connector, Endpoint, Parse, Symbols, retry_after
from connectors._fields import period_start, utc_date
from connectors._finnhub_company import each, one
from connectors._finnhub_names import DAILY, INTRADAY, SHARES, canonical, spell
from connectors._reading import Reading
from connectors._records import AssetClass
from connectors._symbols import BY_MIC, split_listing
from connectors._vocabulary import DAY_MS, Answer, Auth, Call, Limit

DOCS = "https://finnhub.io/docs/api"
LATEST_MS = 4_102_444_800_000  # 2100: candles and news need both ends
LONGEST_WINDOW_S = 60.0
MONTH = dict.fromkeys(INTRADAY, 30 * DAY_MS)


# -- requests --------------------------------------------------------------------------------------------------------


def _one(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    return {"symbol": spelled[0]} if spelled else {}


def _quote_of(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """The quote endpoint knows forex by the symbols of Finnhub's own rates."""
    return {"symbol": f"FHFX:{call.symbols[0].replace('/', '-')}" if call.asset_class == "forex" else spelled[0]}


def _candles(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """`from` and `to` are inclusive; a day east of Greenwich begins before it does in UTC."""
    interval = call.interval or "1d"
    first, last = call.start or 0, (LATEST_MS if call.end is None else call.end) - 1
    if interval in DAILY:
        first = max((period_start(first // DAY_MS * DAY_MS, interval) or 0) - market.HALF_DAY_MS, 0)
    resolution = {**INTRADAY, **DAILY}[interval]
    return {"symbol": spelled[0], "resolution": resolution, "from": str(-(-first // 1000)), "to": str(last // 1000)}


def _dates(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    """`from` and `to` are dates, both inclusive."""
    first = {} if call.start is None else {"from": utc_date(call.start)}
    last = {} if call.end is None else {"to": utc_date(call.end - 1)}
    return {**_one(call, spelled), **first, **last}


def _both_dates(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    return {"from": "1970-01-01", "to": utc_date(LATEST_MS), **_dates(call, spelled)}


def _reported(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    return {**_dates(call, spelled), "freq": call.period or "annual"}


def _metric(_: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    return {"symbol": spelled[0], "metric": "all"}


def _frequency(call: Call, spelled: tuple[str, ...]) -> Mapping[str, str]:
    return {"symbol": spelled[0], "freq": call.period or "quarterly"}


def _category(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    by_class = call.asset_class if call.asset_class in {"forex", "crypto"} else "general"
    return {"category": "merger" if call.kind == "merger" else by_class}


def _listed_on(default: str) -> Build:
    """An exchange is asked by Finnhub's code or its MIC; the US venues are parts of one exchange."""

    def build(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
        code = call.exchange or default
        if code in BY_MIC:
            return {"exchange": BY_MIC[code].yahoo}
        return {"exchange": "US", "mic": code} if default == "US" and len(code) == 4 else {"exchange": code}

    return build


def _search(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    if not call.query:
        raise errors.UnsupportedCall("finnhub's symbol search needs a query")
    return {"q": call.query}


def _base(call: Call, _: tuple[str, ...]) -> Mapping[str, str]:
    return {"base": call.query or "USD"}


# -- refusals --------------------------------------------------------------------------------------------------------


def refusal(reading: Reading) -> errors.Refusal | None:
    """The text of an error tells the key from the plan."""
    answer = reading.answer
    if answer.status == 429:
        return errors.RateLimited(f"HTTP 429: {reading.text[:200]}", retry_after=_wait(answer))
    said = str(reading.object.get("error") or "")[:200]
    if not said or answer.status not in {200, 401, 403}:
        return None
    if "limit reached" in said:
        return errors.RateLimited(said)
    if "have access" in said:
        return _not_sold(reading, said)
    if "API key" in said:
        return errors.KeyRejected(said)
    return errors.InvalidRequest(said) if answer.status == 200 else None


def _wait(answer: Answer) -> float | None:
    """Seconds until the limit's end, which a header gives in seconds since the epoch."""
    reset = answer.headers.get("x-ratelimit-reset", "").strip()
    if (told := retry_after(answer)) is not None or not re.fullmatch("[0-9]{1,11}", reset):
        return told
    return min(max(0.0, int(reset) - answer.observed_at / 1000), LONGEST_WINDOW_S)


def _not_sold(reading: Reading, said: str) -> errors.Refusal:
    """Of an endpoint on the free plan only the listing abroad can be meant: the dataset itself is sold."""
    asked, name = reading.call.symbols, reading.request.endpoint
    if name and reading.connector.endpoint(name).plan == "free" and asked and all(map(split_listing, asked)):
        return errors.UnknownSymbol(f"not on this plan, like most listings abroad: {said}")
    return errors.NotEntitled(said)


# -- declaration -----------------------------------------------------------------------------------------------------


def _at(path: str, dataset: str, parse: Parse, docs: str, build: Build = _one, **rest: Any) -> Endpoint:
    """An endpoint named like its path; `docs` is its page under the documentation."""
    name = rest.pop("name", re.sub(r"\W", "_", path.strip("/")))
    return Endpoint(name=name, dataset=dataset, path=path, build=build, parse=parse, docs=f"{DOCS}/{docs}", **rest)


def _bars(of: str, asset_classes: tuple[AssetClass, ...], *, daily: bool) -> Endpoint:
    split = daily and asset_classes == SHARES
    return _at(
        f"/{of}/candle",
        "bars",
        market.candles,
        f"{of}-candles",
        _candles,
        name=f"{of}_{'daily' if daily else 'intraday'}",
        asset_classes=asset_classes,
        intervals=DAILY if daily else INTRADAY,
        adjustments=("split",) if split else ("raw",),
        span_ms={} if daily else MONTH,
        history="25 years of US shares" if split else "",
        plan="premium",
    )


EQUITY: dict[str, Any] = {"asset_classes": ("equity",)}
PREMIUM: dict[str, Any] = {"asset_classes": ("equity",), "plan": "premium"}

CONNECTOR = Connector(
    name="finnhub",
    mailbox=4,
    title="Finnhub",
    base_url="https://finnhub.io/api/v1",
    docs=DOCS,
    auth=Auth(headers={"X-Finnhub-Token": "{key}"}),
    symbols=Symbols(spell=spell, canonical=canonical),
    limits=(Limit(calls=60, per="minute"), Limit(calls=30, per="second")),
    refusal=refusal,
    endpoints=(
        _at(
            "/quote",
            "quote",
            one(market.quote),
            "quote",
            _quote_of,
            asset_classes=(*SHARES, "forex", "crypto"),
            latest=True,
        ),
        _at(
            "/forex/rates",
            "quote",
            market.rates,
            "forex-rates",
            _base,
            asset_classes=("forex",),
            batch=0,
            plan="premium",
        ),
        _bars("stock", SHARES, daily=True),
        _bars("stock", SHARES, daily=False),
        _bars("forex", ("forex",), daily=True),
        _bars("forex", ("forex",), daily=False),
        _bars("crypto", ("crypto",), daily=True),
        _bars("crypto", ("crypto",), daily=False),
        _at(
            "/stock/dividend",
            "actions",
            each(company.dividend),
            "stock-dividends",
            _both_dates,
            kinds=("dividend",),
            **PREMIUM,
        ),
        _at("/stock/split", "actions", each(company.split), "stock-splits", _both_dates, kinds=("split",), **PREMIUM),
        _at("/stock/profile2", "profile", one(company.profile), "company-profile2", kinds=("short",), latest=True),
        _at(
            "/stock/profile",
            "profile",
            one(company.profile),
            "company-profile",
            kinds=("full",),
            latest=True,
            plan="premium",
        ),
        _at(
            "/stock/financials-reported",
            "statements",
            company.reported,
            "financials-reported",
            _reported,
            kinds=("income", "balance", "cash_flow"),
            **EQUITY,
        ),
        _at(
            "/stock/metric",
            "metrics",
            company.metrics,
            "company-basic-financials",
            _metric,
            kinds=("key_metrics", "ratios"),
            **EQUITY,
        ),
        _at(
            "/stock/eps-estimate",
            "metrics",
            company.estimates,
            "company-eps-estimates",
            _frequency,
            kinds=("estimates",),
            **PREMIUM,
        ),
        _at(
            "/etf/profile",
            "metrics",
            one(company.fund),
            "etfs-profile",
            kinds=("etf",),
            asset_classes=("etf",),
            plan="premium",
        ),
        _at(
            "/mutual-fund/profile",
            "metrics",
            one(company.fund),
            "mutual-fund-profile",
            kinds=("etf",),
            asset_classes=("fund",),
            plan="premium",
        ),
        _at(
            "/calendar/earnings",
            "earnings",
            each(company.announcement, "earningsCalendar"),
            "earnings-calendar",
            _dates,
            kinds=("calendar",),
            history="1 month on the free plan",
            **EQUITY,
        ),
        _at(
            "/calendar/earnings",
            "earnings",
            each(company.announcement, "earningsCalendar"),
            "earnings-calendar",
            _dates,
            name="calendar_earnings_all",
            kinds=("calendar",),
            batch=0,
            history="1 month on the free plan",
            **EQUITY,
        ),
        _at(
            "/stock/earnings",
            "earnings",
            each(company.surprise),
            "company-earnings",
            kinds=("surprise",),
            history="4 quarters on the free plan",
            **EQUITY,
        ),
        _at(
            "/company-news",
            "news",
            each(company.article),
            "company-news",
            _both_dates,
            history="1 year on the free plan",
        ),
        _at(
            "/news",
            "news",
            each(company.article),
            "market-news",
            _category,
            asset_classes=("equity", "forex", "crypto"),
            batch=0,
        ),
        _at(
            "/stock/insider-transactions",
            "insider",
            company.insiders,
            "insider-transactions",
            _dates,
            rows=100,
            span_ms={"": 30 * DAY_MS},
            **EQUITY,
        ),
        _at(
            "/stock/insider-transactions",
            "insider",
            company.insiders,
            "insider-transactions",
            _dates,
            name="stock_insider_transactions_all",
            rows=100,
            batch=0,
            **EQUITY,
        ),
        _at(
            "/stock/recommendation",
            "recommendations",
            each(company.trend),
            "recommendation-trends",
            kinds=("consensus",),
            **EQUITY,
        ),
        _at(
            "/stock/price-target", "recommendations", one(company.target), "price-target", kinds=("target",), **PREMIUM
        ),
        _at(
            "/stock/upgrade-downgrade",
            "recommendations",
            each(company.grade),
            "upgrade-downgrade",
            _dates,
            kinds=("change",),
            **PREMIUM,
        ),
        _at(
            "/stock/symbol",
            "assets",
            each(company.listing),
            "stock-symbols",
            _listed_on("US"),
            kinds=("listed",),
            asset_classes=SHARES,
            batch=0,
        ),
        _at(
            "/forex/symbol",
            "assets",
            each(company.pair),
            "forex-symbols",
            _listed_on("oanda"),
            kinds=("listed",),
            asset_classes=("forex",),
            batch=0,
        ),
        _at(
            "/crypto/symbol",
            "assets",
            each(company.pair),
            "crypto-symbols",
            _listed_on("binance"),
            kinds=("listed",),
            asset_classes=("crypto",),
            batch=0,
        ),
        _at(
            "/search",
            "assets",
            each(company.listing, "result"),
            "symbol-search",
            _search,
            kinds=("search",),
            asset_classes=(*SHARES, "forex", "crypto"),
            batch=0,
        ),
    ),
)
