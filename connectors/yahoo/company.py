"""What Yahoo says about companies and funds: the modules of quoteSummary, and search."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from connectors.errors import FieldError, MalformedPayload
from connectors.fields import (
    integer,
    millis,
    minor,
    named,
    number,
    price,
    row_id,
    scaled,
    shown,
    size,
    snake,
    text,
    utc_date,
)
from connectors.items import Item, LeftOut
from connectors.reading import Reading, counted, unrecognised
from connectors.records import Asset, Earnings, FiscalPeriod, Insider, Metrics, News, Profile, Recommendation
from connectors.symbols import split_listing
from connectors.yahoo.market import read_quote
from connectors.yahoo.names import COUNTRIES, ESTIMATES, EXCHANGES, KINDS, NO_METRICS
from connectors.yahoo.rows import Modules, listed, plain, raw, read_date, required
from connectors.yahoo.statements import read_history

# -- quoteSummary: one answer with many modules ----------------------------------------------------------------------


def parse_summary(reading: Reading) -> Iterator[Item]:
    """One answer with many modules: the dataset asked for takes those it knows.

    A module that does not apply to the instrument is absent. Raises `MalformedPayload` where all that were asked are.
    """
    asked = reading.params.get("modules", "").split(",")
    for modules in reading.json["quoteSummary"]["result"] or []:
        if not modules.keys() & {*asked}:
            raise MalformedPayload(f"none of the modules {shown(asked)}, but {shown(list(modules))}")
        yield from unrecognised(modules, asked)
        yield from SUMMARIES[reading.call.dataset](reading, modules)


def _read_price(reading: Reading, modules: Modules) -> Iterator[Item]:
    if traded := modules.get("price"):
        yield read_quote(reading, traded)


def _read_profile(reading: Reading, modules: Modules) -> Iterator[Item]:
    """`assetProfile` has no name and no size; those are `price`'s and `defaultKeyStatistics`'.

    A coin's has a name, and its description under another word than a company's; its supply is not said here.
    """
    about, traded = plain(modules.get("assetProfile") or {}), plain(modules.get("price") or {})
    envelope = reading.of()
    yield Profile(
        **envelope,
        ts=reading.answer.observed_at,
        name=text(traded.get("longName")) or text(traded.get("shortName")) or text(about.get("name")),
        exchange=_exchange(envelope["symbol"], traded.get("exchange")),
        country=COUNTRIES.get(text(about.get("country")) or ""),
        currency=reading.currency(traded.get("currency")),
        sector=text(about.get("sector")),
        industry=text(about.get("industry")),
        website=text(about.get("website")),
        description=text(about.get("longBusinessSummary")) or text(about.get("description")),
        employees=integer(about.get("fullTimeEmployees")) or None,
        market_cap=size(traded.get("marketCap")),
        shares_outstanding=size(raw((modules.get("defaultKeyStatistics") or {}).get("sharesOutstanding"))),
    )


def _read_metrics(reading: Reading, modules: Modules) -> Iterator[Item]:
    """Fractions, percentages and money stand side by side, as Yahoo gives them."""
    today = utc_date(reading.answer.observed_at)
    traded = text((modules.get("price") or {}).get("currency"))  # the modules of a fund name no currency
    for kind, names in (("key_metrics", ("defaultKeyStatistics", "summaryDetail")), ("ratios", ("financialData",))):
        found = [plain(modules[name]) for name in names if modules.get(name)]
        values = {item: value for module in reversed(found) for item, value in named(module, {}, NO_METRICS).items()}
        money = [text(module.get("currency") or module.get("financialCurrency")) for module in found]
        money += [traded] if kind == "key_metrics" else []
        # prices in pence stay as they are: the currency of such a record cannot be said
        unit = reading.currency(next((code for code in money if code and minor(code) == 1), None))
        if values:
            yield Metrics(**reading.of(), kind=kind, period="spot", as_of=today, currency=unit, values=values)
    yield from reading.rows(listed(modules, "earningsTrend", "trend"), lambda row: _estimates(reading, row))


def _estimates(reading: Reading, row: dict[str, Any]) -> Metrics | None:
    """Rows of a quarter (`0q`, `+1q`) and a year (`0y`); those of five years have no end and no estimates."""
    parts = {module: plain(row.get(module) or {}) for module in ESTIMATES}
    values = {
        name: value
        for module, names in ESTIMATES.items()
        for item, name in names.items()
        if (value := number(parts[module].get(item))) is not None
    }
    if not values:
        return None
    as_of = required(read_date(row.get("endDate")), "endDate")
    period: FiscalPeriod = "FY" if str(row["period"]).endswith("y") else "Q"
    unit = reading.currency(parts["earningsEstimate"].get("earningsCurrency"))
    return Metrics(**reading.of(), kind="estimates", period=period, as_of=as_of, currency=unit, values=values)


def _read_earnings(reading: Reading, modules: Modules) -> Iterator[Item]:
    """`earningsHistory` names the quarters' ends; without it the calendar quarters of the `earnings` charts stand."""
    if history := listed(modules, "earningsHistory", "history"):
        yield from reading.rows(history, lambda row: _reported(reading, plain(row)))
    elif charts := modules.get("earnings"):
        yield from _charted(reading, charts)
    if coming := listed(modules, "calendarEvents", "earnings"):
        yield from _announced(reading, plain(coming))


def _reported(reading: Reading, row: dict[str, Any]) -> Earnings:
    surprise = number(row.get("surprisePercent"))
    return Earnings(
        **reading.of(),
        period="Q",
        fiscal_date=required(read_date(row.get("quarter")), "quarter"),
        eps_actual=number(row.get("epsActual")),
        eps_estimate=number(row.get("epsEstimate")),
        surprise_pct=None if surprise is None else surprise * 100,  # a fraction, whatever its name says
        currency=reading.currency(row.get("currency")),
    )


def _charted(reading: Reading, charts: Mapping[str, Any]) -> Iterator[Item]:
    quarters: dict[str, dict[str, Any]] = {}
    for chart in ("earningsChart", "financialsChart"):
        for row in (charts.get(chart) or {}).get("quarterly") or []:
            quarters.setdefault(row["date"], {"date": row["date"]}).update(plain(row))

    def read(row: dict[str, Any]) -> Earnings:
        return Earnings(
            **reading.of(),
            period="Q",
            fiscal_date=_quarter_end(row["date"]),
            eps_actual=number(row.get("actual")),
            eps_estimate=number(row.get("estimate")),
            revenue_actual=number(row.get("revenue")),
            currency=reading.currency(charts.get("financialCurrency")),
        )

    yield from reading.rows(list(quarters.values()), read)


def _quarter_end(label: str) -> str:
    """`4Q2024` -> 2024-12-31."""
    if not (match := re.fullmatch(r"([1-4])Q(\d{4})", label)):
        raise FieldError("date", f"{shown(label)} is not a quarter like 4Q2024")
    return f"{match[2]}-{('03-31', '06-30', '09-30', '12-31')[int(match[1]) - 1]}"


def _announced(reading: Reading, coming: dict[str, Any]) -> Iterator[Item]:
    """Two dates are a window in which a report is guessed to fall: no date of a report."""
    days = {read_date(at) for at in coming["earningsDate"] or []}
    if len(days) == 1 and (day := days.pop()):
        yield Earnings(
            **reading.of(),
            report_date=day,
            eps_estimate=number(coming.get("earningsAverage")),
            revenue_estimate=number(coming.get("revenueAverage")),
        )


DIRECTIONS = {"sale": -1, "purchase": 1, "conversion": 1, "stock award": 1}
"""Beginnings of `transactionText`: shares are always positive. A gift, or no text, has no direction."""


def _read_insider(reading: Reading, modules: Modules) -> Iterator[Item]:
    """`insiderTransactions`: who, when, and a text that hides direction and price."""
    rows = listed(modules, "insiderTransactions", "transactions")
    yield from reading.rows(rows, lambda row: _transaction(reading, plain(row)))


def _transaction(reading: Reading, row: dict[str, Any]) -> Insider:
    said = text(row.get("transactionText")) or ""
    sign = next((sign for start, sign in DIRECTIONS.items() if said.lower().startswith(start)), None)
    shares = number(row.get("shares"))
    paid = re.search(r"at price ([\d.,]+) per share", said)  # a range of prices is no price
    columns = ("filerName", "filerRelation", "startDate", "shares", "value", "transactionText", "ownership")
    return Insider(
        **reading.of(),
        id=row_id(*(row.get(name) for name in columns)),
        transaction_date=read_date(row.get("startDate")),
        name=text(row["filerName"]),
        role=text(row.get("filerRelation")),
        shares=shares * sign if shares is not None and sign else None,
        price=price(paid[1]) if paid else None,
        url=text(row.get("filerUrl")),
    )


def _read_recommendations(reading: Reading, modules: Modules) -> Iterator[Item]:
    """Counts by month, the running month with the price targets, and single firms' changes."""
    trend = listed(modules, "recommendationTrend", "trend")
    targets = _targets(reading, modules)
    yield from reading.rows(trend, lambda row: _consensus(reading, row, targets))
    changes = listed(modules, "upgradeDowngradeHistory", "history")
    yield from reading.rows(changes, lambda row: _change(reading, row))


def _targets(reading: Reading, modules: Modules) -> dict[str, Any]:
    """Targets are in the currency of the price, pence included, which only `price` names."""
    said, traded = plain(modules.get("financialData") or {}), modules.get("price") or {}
    names = {"target_mean": "targetMeanPrice", "target_high": "targetHighPrice", "target_low": "targetLowPrice"}
    unit = traded.get("currency")
    targets = {name: scaled(price(said.get(item)), minor(unit)) for name, item in names.items() if unit}
    return {**targets, "currency": reading.currency(unit)} if any(targets.values()) else {}


def _consensus(reading: Reading, row: dict[str, Any], targets: dict[str, Any]) -> Recommendation:
    """Months are counted back from the one of the answer: `0m`, `-1m`."""
    if not (match := re.fullmatch(r"(0|-\d{1,3})m", row["period"])):
        raise FieldError("date", f"{shown(row['period'])} is not a month like -1m")
    now = datetime.fromtimestamp(reading.answer.observed_at / 1000, UTC)
    year, month = divmod(now.year * 12 + now.month - 1 + int(match[1]), 12)
    names = ("strongBuy", "buy", "hold", "sell", "strongSell")
    counts = {snake(name): integer(raw(row.get(name))) for name in names}
    return Recommendation(
        **reading.of(),
        kind="consensus",
        period=date(year, month + 1, 1).isoformat(),
        **counts,
        **(targets if match[1] == "0" else {}),
    )


def _change(reading: Reading, row: dict[str, Any]) -> Recommendation:
    return Recommendation(
        **reading.of(),
        kind="change",
        ts=millis(row["epochGradeDate"], "s"),
        firm=text(row["firm"]),
        from_grade=text(row.get("fromGrade")),
        to_grade=text(row.get("toGrade")),
        action=text(row.get("action")),
    )


SUMMARIES = {
    "quote": _read_price,
    "profile": _read_profile,
    "statements": read_history,
    "metrics": _read_metrics,
    "earnings": _read_earnings,
    "insider": _read_insider,
    "recommendations": _read_recommendations,
}


# -- search ----------------------------------------------------------------------------------------------------------


def parse_search(reading: Reading) -> Iterator[Item]:
    """One answer with instruments and articles: what was asked for is read."""
    body = reading.json
    if not isinstance(body["quotes"], list):
        raise MalformedPayload("quotes is no list")
    counted([*body["quotes"], *(body.get("news") or [])], body.get("count"))
    if reading.call.dataset == "news":
        yield from reading.rows(body["news"], lambda row: _article(reading, row))
    else:
        yield from reading.rows(body["quotes"], lambda row: _asset(reading, row))


def _asset(reading: Reading, row: dict[str, Any]) -> Asset | LeftOut:
    private = row.get("isYahooFinance") is False  # a company without a listing has no kind
    if private or (asset_class := KINDS.get(row["quoteType"])) is None:
        return LeftOut()
    envelope = reading.of(row["symbol"], asset_class)
    return Asset(
        **envelope,
        name=text(row.get("longname")) or text(row.get("shortname")),
        exchange=_exchange(envelope["symbol"], row.get("exchange")),
        provider_symbol=row["symbol"],
    )


def _article(reading: Reading, row: dict[str, Any]) -> News:
    return News(
        **reading.source(),
        id=row["uuid"],
        ts=millis(row["providerPublishTime"], "s"),
        title=row["title"],
        url=text(row.get("link")),
        publisher=text(row.get("publisher")),
        symbols=reading.symbols(row.get("relatedTickers")),
    )


def _exchange(symbol: str, code: Any) -> str | None:
    if listing := split_listing(symbol):
        return listing[1].mic
    found = text(code)
    return EXCHANGES.get(found, found) if found else None
