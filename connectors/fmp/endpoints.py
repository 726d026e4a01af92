"""Families of Financial Modeling Prep's endpoints: what is alike in those that `fmp` declares."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connectors.calls import DAY_MS
from connectors.declaration import Build, Endpoint, Parse
from connectors.fmp import company, market
from connectors.fmp import requests as ask
from connectors.fmp.names import ALL, SHARES
from connectors.fmp.rows import Read, each, paged
from connectors.records import Adjustment, AssetClass

DOCS = "https://site.financialmodelingprep.com/developer/docs"
PERIODS: dict[str, Any] = {"rows": 1000, "history": "5 periods on the free plan"}


def at(path: str, dataset: str, parse: Parse, docs: str, build: Build = ask.one, **rest: Any) -> Endpoint:
    """An endpoint named like its path; `docs` is its page under the documentation."""
    name = rest.pop("name", re.sub(r"\W", "_", path.strip("/")))
    page = f"{DOCS}/stable/{docs}" if docs else DOCS
    return Endpoint(name=name, dataset=dataset, path=path, build=build, parse=parse, docs=page, **rest)


def retired(path: str, dataset: str, parse: Parse, **rest: Any) -> Endpoint:
    """The v3 API, closed to keys made after August 2025: read, never asked."""
    name = "v3_" + re.sub(r"\W+", "_", re.sub(r"/{\w+}", "", path))
    return at(f"/api/v3/{path}", dataset, parse, "", name=name, routed=False, asset_classes=ALL, **rest)


def daily_bars(path: str, adjustment: Adjustment, names: tuple[str, ...], classes: tuple[AssetClass, ...]) -> Endpoint:
    """Daily bars; `names` are the words for open, high, low, close."""
    return at(
        f"/historical-price-eod/{path}",
        "bars",
        market.daily(adjustment, names),
        f"historical-price-eod-{path}",
        ask.daily,
        name=f"daily_{adjustment}" if classes == SHARES else "daily_unadjustable",
        asset_classes=classes,
        adjustments=(adjustment,),
        intervals={"1d": "1d"},
        span_ms={"1d": 5000 * DAY_MS},
        rows=5000,
        history="5 years on the free plan",
    )


def statement(kind: company.StatementKind, path: str, docs: str, names: Mapping[str, str]) -> tuple[Endpoint, Endpoint]:
    """A statement by period, and that of the last twelve months."""
    read, read_ttm = company.statements(kind, names), company.statements(kind, names, ttm=True)
    ttm = f"{docs.replace('statement', 'statements')}-ttm"
    return (
        at(f"/{path}", "statements", read, docs, ask.period, kinds=(kind,), **PERIODS),
        at(f"/{path}-ttm", "statements", read_ttm, ttm, kinds=(f"{kind}_ttm",), plan="starter"),
    )


def metrics(kind: company.MetricsKind, path: str, docs: str) -> tuple[Endpoint, Endpoint]:
    """Figures by period, and those of the last twelve months."""
    read, read_ttm = company.metrics(kind), company.metrics(kind, ttm=True)
    return (
        at(f"/{path}", "metrics", read, docs, ask.period, kinds=(kind,), **PERIODS),
        at(f"/{path}-ttm", "metrics", read_ttm, f"{docs}-ttm", kinds=(f"{kind}_ttm",), asset_classes=("equity",)),
    )


def news(word: str, classes: tuple[AssetClass, ...]) -> tuple[Endpoint, Endpoint]:
    """News of symbols, and the latest of all."""
    rest: dict[str, Any] = {"asset_classes": classes, "rows": 250, "plan": "starter"}
    read = paged(company.news, "publishedDate", 250)
    return (
        at(f"/news/{word}", "news", read, f"search-{word}-news", ask.feed(250), batch=20, **rest),
        at(f"/news/{word}-latest", "news", read, f"{word}-news", ask.feed(250), batch=0, **rest),
    )


def calendar(word: str, dataset: str, read: Read, **rest: Any) -> Endpoint:
    """A whole market's events, past and announced."""
    parse = paged(each(read), "date", 4000)
    path, spans = f"{word}-calendar", {"": 30 * DAY_MS}
    return at(f"/{path}", dataset, parse, path, ask.between, batch=0, span_ms=spans, rows=4000, **rest)


def listed(path: str, docs: str, asset_class: AssetClass, **rest: Any) -> Endpoint:
    """All instruments of one asset class."""
    return at(
        f"/{path}", "assets", each(market.asset), docs, ask.nothing, batch=0, asset_classes=(asset_class,), **rest
    )
