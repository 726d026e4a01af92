"""What Yahoo says about companies and funds: quoteSummary modules, statements, search.

Numbers come plain or as `{raw, fmt}`, whether or not `formatted=false` was asked; `{}` is nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from connectors._errors import FieldError, MalformedPayload
from connectors._fields import (
    currency,
    integer,
    iso_date,
    millis,
    minor,
    named,
    number,
    price,
    row_id,
    scaled,
    size,
    snake,
    text,
    utc_date,
)
from connectors._reading import Reading
from connectors._records import (
    Asset,
    Earnings,
    FiscalPeriod,
    Insider,
    Metrics,
    News,
    Profile,
    Recommendation,
    Statement,
)
from connectors._symbols import split_listing
from connectors._vocabulary import Item, LeftOut
from connectors._yahoo_names import (
    COUNTRIES,
    ESTIMATES,
    EXCHANGES,
    HISTORY,
    HISTORY_ITEMS,
    KINDS,
    NO_METRICS,
    OUTFLOWS,
    STATEMENT_OF,
    STATEMENTS,
    Kind,
)

Modules = Mapping[str, Mapping[str, Any]]


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give `row` with `{raw, fmt}` as its raw value and `{}` as None."""
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    return value.get("raw") if isinstance(value, dict) and (not value or "raw" in value) else value


def _date(value: Any) -> str | None:
    """Read a date that Yahoo gives as seconds at midnight UTC, or as an ISO text."""
    value = _plain(value)
    if isinstance(value, str):
        return iso_date(value)
    ms = millis(value, "s")
    return None if ms is None else utc_date(ms)


def _exchange(symbol: str, code: Any) -> str | None:
    if listing := split_listing(symbol):
        return listing[1].mic
    found = text(code)
    return EXCHANGES.get(found, found) if found else None


# -- quoteSummary modules --------------------------------------------------------------------------------------------


def read_profile(reading: Reading, modules: Modules) -> Iterator[Item]:
    """`assetProfile` has no name and no size; those are `price`'s and `defaultKeyStatistics`'."""
    about, traded = plain(modules.get("assetProfile") or {}), plain(modules.get("price") or {})
    envelope = reading.of()
    yield Profile(
        **envelope,
        ts=reading.answer.observed_at,
        name=text(traded.get("longName")) or text(traded.get("shortName")),
        exchange=_exchange(envelope["symbol"], traded.get("exchange")),
        country=COUNTRIES.get(text(about.get("country")) or ""),
        currency=currency(traded.get("currency")),
        sector=text(about.get("sector")),
        industry=text(about.get("industry")),
        website=text(about.get("website")),
        description=text(about.get("longBusinessSummary")),
        employees=integer(about.get("fullTimeEmployees")) or None,
        market_cap=size(traded.get("marketCap")),
        shares_outstanding=size(_plain((modules.get("defaultKeyStatistics") or {}).get("sharesOutstanding"))),
    )


def read_metrics(reading: Reading, modules: Modules) -> Iterator[Item]:
    """Fractions, percentages and money stand side by side, as Yahoo gives them."""
    today = utc_date(reading.answer.observed_at)
    for kind, names in (("key_metrics", ("defaultKeyStatistics", "summaryDetail")), ("ratios", ("financialData",))):
        found = [plain(modules[name]) for name in names if modules.get(name)]
        values = {item: value for module in reversed(found) for item, value in named(module, {}, NO_METRICS).items()}
        money = [text(module.get("currency") or module.get("financialCurrency")) for module in found]
        # prices in pence stay as they are: the currency of such a record cannot be said
        unit = next((code for code in money if code and minor(code) == 1), None)
        if values:
            yield Metrics(**reading.of(), kind=kind, period="spot", as_of=today, currency=unit, values=values)
    yield from reading.rows(
        (modules.get("earningsTrend") or {}).get("trend") or [], lambda row: _estimates(reading, row)
    )


def _estimates(reading: Reading, row: dict[str, Any]) -> Metrics | None:
    """Rows of a quarter (`0q`, `+1q`) and a year (`0y`); those of five years have no end and no estimates."""
    parts = {module: plain(row.get(module) or {}) for module in ESTIMATES}
    values = {
        name: value
        for module, names in ESTIMATES.items()
        for item, name in names.items()
        if (value := number(parts[module].get(item))) is not None
    }
    as_of = _date(row.get("endDate"))
    if not values or as_of is None:
        return None
    period: FiscalPeriod = "FY" if str(row["period"]).endswith("y") else "Q"
    unit = currency(parts["earningsEstimate"].get("earningsCurrency"))
    return Metrics(**reading.of(), kind="estimates", period=period, as_of=as_of, currency=unit, values=values)


def read_earnings(reading: Reading, modules: Modules) -> Iterator[Item]:
    """`earningsHistory` names the quarters' ends; without it the calendar quarters of the `earnings` charts stand."""
    history = (modules.get("earningsHistory") or {}).get("history")
    if history:
        yield from reading.rows(history, lambda row: _reported(reading, plain(row)))
    elif charts := modules.get("earnings"):
        yield from _charted(reading, charts)
    if coming := (modules.get("calendarEvents") or {}).get("earnings"):
        yield from _announced(reading, plain(coming))


def _reported(reading: Reading, row: dict[str, Any]) -> Earnings:
    surprise = number(row.get("surprisePercent"))
    return Earnings(
        **reading.of(),
        period="Q",
        fiscal_date=_required(_date(row.get("quarter")), "quarter"),
        eps_actual=number(row.get("epsActual")),
        eps_estimate=number(row.get("epsEstimate")),
        surprise_pct=None if surprise is None else surprise * 100,  # a fraction, whatever its name says
        currency=currency(row.get("currency")),
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
            currency=currency(charts.get("financialCurrency")),
        )

    yield from reading.rows(list(quarters.values()), read)


def _quarter_end(label: str) -> str:
    """`4Q2024` -> 2024-12-31."""
    if not (match := re.fullmatch(r"([1-4])Q(\d{4})", label)):
        raise FieldError("date", f"{label!r:.40} is not a quarter like 4Q2024")
    return f"{match[2]}-{('03-31', '06-30', '09-30', '12-31')[int(match[1]) - 1]}"


def _announced(reading: Reading, coming: dict[str, Any]) -> Iterator[Item]:
    """Two dates are a window in which a report is guessed to fall: no date of a report."""
    days = {_date(at) for at in coming.get("earningsDate") or []}
    if len(days) == 1 and (day := days.pop()):
        yield Earnings(
            **reading.of(),
            report_date=day,
            eps_estimate=number(coming.get("earningsAverage")),
            revenue_estimate=number(coming.get("revenueAverage")),
        )


def _required(day: str | None, name: str) -> str:
    if day is None:
        raise FieldError("date", f"{name} is absent")
    return day


DIRECTIONS = {"sale": -1, "purchase": 1, "conversion": 1, "stock award": 1}
"""Beginnings of `transactionText`: shares are always positive. A gift, or no text, has no direction."""


def read_insider(reading: Reading, modules: Modules) -> Iterator[Item]:
    """`insiderTransactions`: who, when, and a text that hides direction and price."""
    rows = (modules.get("insiderTransactions") or {}).get("transactions") or []
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
        transaction_date=_date(row.get("startDate")),
        name=text(row.get("filerName")),
        role=text(row.get("filerRelation")),
        shares=shares * sign if shares is not None and sign else None,
        price=price(paid[1]) if paid else None,
        url=text(row.get("filerUrl")),
    )


def read_recommendations(reading: Reading, modules: Modules) -> Iterator[Item]:
    """Counts by month, the running month with the price targets, and single firms' changes."""
    trend = (modules.get("recommendationTrend") or {}).get("trend") or []
    targets = _targets(modules)
    yield from reading.rows(trend, lambda row: _consensus(reading, row, targets))
    changes = (modules.get("upgradeDowngradeHistory") or {}).get("history") or []
    yield from reading.rows(changes, lambda row: _change(reading, row))


def _targets(modules: Modules) -> dict[str, Any]:
    """Targets are in the currency of the price, pence included, which only `price` names."""
    said, traded = plain(modules.get("financialData") or {}), modules.get("price") or {}
    names = {"target_mean": "targetMeanPrice", "target_high": "targetHighPrice", "target_low": "targetLowPrice"}
    unit = traded.get("currency")
    targets = {name: scaled(price(said.get(item)), minor(unit)) for name, item in names.items() if unit}
    return {**targets, "currency": currency(unit)} if any(targets.values()) else {}


def _consensus(reading: Reading, row: dict[str, Any], targets: dict[str, Any]) -> Recommendation:
    """Months are counted back from the one of the answer: `0m`, `-1m`."""
    if not (match := re.fullmatch(r"(0|-\d{1,3})m", row["period"])):
        raise FieldError("date", f"{row['period']!r:.40} is not a month like -1m")
    now = datetime.fromtimestamp(reading.answer.observed_at / 1000, UTC)
    year, month = divmod(now.year * 12 + now.month - 1 + int(match[1]), 12)
    names = ("strongBuy", "buy", "hold", "sell", "strongSell")
    counts = {snake(name): integer(_plain(row.get(name))) for name in names}
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


def read_history(reading: Reading, modules: Modules) -> Iterator[Item]:
    """The retired statement modules: since 2024 nearly empty, and `{raw: 0, fmt: null}` stands for nothing."""
    for name, (statement, rows, period) in HISTORY.items():
        if module := modules.get(name):
            yield from reading.rows(module[rows], partial(_past, reading, statement, period))


def _past(reading: Reading, statement: Kind, period: FiscalPeriod, row: dict[str, Any]) -> Statement | None:
    told = {name: value for name, value in row.items() if not (isinstance(value, dict) and value.get("fmt") is None)}
    items = named(plain(told), HISTORY_ITEMS, skip=frozenset({"endDate", "maxAge"}))
    if not items:
        return None
    day = _required(_date(row.get("endDate")), "endDate")
    return Statement(**reading.of(), statement=statement, period=period, fiscal_date=day, items=_outflows(items))


def _outflows(items: dict[str, float]) -> dict[str, float]:
    return {name: -abs(value) or 0.0 if name in OUTFLOWS else value for name, value in items.items()}


# -- statements ------------------------------------------------------------------------------------------------------

PERIODS: dict[str, FiscalPeriod] = {"annual": "FY", "quarterly": "Q", "trailing": "TTM"}


@dataclass(slots=True)
class _Sheet:
    """A statement while its items come in, each in a series of its own."""

    currency: str | None = None
    items: dict[str, float] = field(default_factory=dict)


Sheets = dict[tuple[Kind, str, str], _Sheet]


def parse_statements(reading: Reading) -> Iterator[Item]:
    """One series per item, turned into one statement per date; which fiscal quarter it is, is not said."""
    sheets: Sheets = {}
    series = list(_series(reading))
    kinds = {STATEMENT_OF[item] for _, item, _ in series if item in STATEMENT_OF}
    only = kinds.pop() if len(kinds) == 1 else None
    for span, item, rows in series:
        yield from reading.rows(rows, partial(_enter, sheets, STATEMENT_OF.get(item, only), span, item))
    for (kind, span, day), sheet in sorted(sheets.items()):
        yield Statement(
            **reading.of(),
            statement=kind,
            period=PERIODS[span],
            fiscal_date=day,
            currency=sheet.currency,
            items=_outflows(sheet.items),
        )


def _series(reading: Reading) -> Iterator[tuple[str, str, Any]]:
    """Give (`annual`, `TotalRevenue`, rows) of each series that has any."""
    for result in reading.json["timeseries"]["result"] or []:
        match = re.fullmatch("(annual|quarterly|trailing)([A-Z].*)", result["meta"]["type"][0])
        if match and result.get(match[0]):
            yield match[1], match[2], result[match[0]]


def _enter(sheets: Sheets, kind: Kind | None, span: str, item: str, row: dict[str, Any] | None) -> None:
    """Enter one value into its sheet. An item we did not ask for belongs to the only statement of the answer."""
    if row is None:
        return
    if kind is None:
        raise FieldError("item", f"{item!r:.60} is an item of no known statement")
    day = _required(iso_date(row["asOfDate"]), "asOfDate")
    value = number(_plain(row["reportedValue"]))
    if value is not None:
        sheet = sheets.setdefault((kind, span, day), _Sheet(currency(row.get("currencyCode"))))
        sheet.items[STATEMENTS[kind].get(item) or snake(item)] = value


# -- search ----------------------------------------------------------------------------------------------------------


def parse_search(reading: Reading) -> Iterator[Item]:
    """One answer with instruments and articles: what was asked for is read."""
    body = reading.json
    if not isinstance(body["quotes"], list):
        raise MalformedPayload("quotes is no list")
    if reading.call.dataset == "news":
        yield from reading.rows(body["news"], lambda row: _article(reading, row))
    else:
        yield from reading.rows(body["quotes"], lambda row: _asset(reading, row))


def _asset(reading: Reading, row: dict[str, Any]) -> Asset | LeftOut:
    if (asset_class := KINDS.get(row.get("quoteType", ""))) is None:
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
