"""What Finnhub says of companies and funds: facts, metrics, earnings, analysts, insiders, news."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from connectors.fields import (
    cik,
    country,
    integer,
    iso_date,
    iso_time,
    millis,
    named,
    number,
    one_of,
    price,
    row_id,
    scaled,
    size,
    snake,
    text,
    utc_date,
)
from connectors.finnhub.names import EXCHANGES, MILLIONS
from connectors.items import Item
from connectors.reading import Reading, unrecognised
from connectors.records import Earnings, Insider, Metrics, News, Profile, Recommendation
from connectors.symbols import split_listing

MILLION = 1e6


def _in_units(value: Any) -> float | None:
    return scaled(size(value), MILLION)


def _exchange(symbol: str, name: str | None) -> str | None:
    if listing := split_listing(symbol):
        return listing[1].mic
    known = (mic for start, mic in EXCHANGES.items() if name and name.upper().startswith(start))
    return next(known, name)


def profile(reading: Reading, row: dict[str, Any]) -> Profile:
    """Read a company: market capitalisation and shares are in millions; `ticker` lacks the venue, so it is not used."""
    one_of(row, "name", "ticker", "exchange")
    envelope = reading.of(reading.params.get("symbol"))
    return Profile(
        **envelope,
        ts=reading.answer.observed_at,
        name=text(row.get("name")),
        exchange=_exchange(envelope["symbol"], text(row.get("exchange"))),
        country=country(row.get("country")),
        currency=reading.currency(row.get("currency")),
        sector=text(row.get("gsector")),
        industry=text(row.get("gind")) or text(row.get("finnhubIndustry")),
        website=text(row.get("weburl")),
        description=text(row.get("description")),
        employees=integer(row.get("employeeTotal")) or None,
        market_cap=_in_units(row.get("marketCapitalization")),
        shares_outstanding=_in_units(row.get("shareOutstanding")),
        ipo_date=iso_date(row.get("ipo")),
        isin=text(row.get("isin")),
        cik=cik(row.get("cik")),
    )


def fund(reading: Reading, row: dict[str, Any]) -> Iterator[Item]:
    """Read an ETF or mutual fund as a profile and metrics, in units."""
    facts, envelope = row["profile"], reading.of(row["symbol"] or "")
    if not facts:
        return
    priced_in = reading.currency(facts.get("navCurrency"))
    yield Profile(
        **envelope,
        ts=reading.answer.observed_at,
        name=text(facts.get("name")),
        country=country(facts.get("domicile")),
        currency=priced_in,
        website=text(facts.get("website")),
        description=text(facts.get("description")),
        isin=text(facts.get("isin")),
    )
    yield Metrics(
        **envelope,
        kind="etf",
        period="spot",
        as_of=utc_date(reading.answer.observed_at),
        currency=priced_in,
        values=named(facts, {}, frozenset({"isin", "cusip", "inceptionDate"})),
    )


def _scaled_to_units(values: Mapping[str, Any]) -> dict[str, float]:
    read = named(values, {name: name for name in values})
    return {snake(name): value * MILLION if name in MILLIONS else value for name, value in read.items()}


def metrics(reading: Reading) -> Iterator[Item]:
    """Read the metrics of now, and the series of ratios: every point has its own date, and dates differ by series."""
    body = reading.json
    if values := _scaled_to_units(body["metric"] or {}):
        observed = utc_date(reading.answer.observed_at)
        envelope = reading.of(body["symbol"])
        yield Metrics(**envelope, kind="key_metrics", period="spot", as_of=observed, values=values)
    series = body["series"] or {}
    yield from unrecognised(series, ("annual", "quarterly"))
    yield from _series(reading, series.get("annual") or {}, "FY")
    yield from _series(reading, series.get("quarterly") or {}, "Q")


def _series(reading: Reading, series: dict[str, list[Any]], period: Literal["FY", "Q"]) -> Iterator[Item]:
    by_date: dict[str, dict[str, Any]] = {}
    for name, points in series.items():
        for point in points or []:
            by_date.setdefault(str(point["period"]), {})[name] = point["v"]

    def read(as_of: str) -> Metrics:
        values = _scaled_to_units(by_date[as_of])
        envelope = reading.of(reading.json["symbol"])
        return Metrics(**envelope, kind="ratios", period=period, as_of=iso_date(as_of), values=values)

    yield from reading.rows(sorted(by_date), read)


# -- earnings, analysts, insiders, news ------------------------------------------------------------------------------


def announcement(reading: Reading, row: dict[str, Any]) -> Earnings:
    """Read a report of the calendar: `date` is the report's day, `quarter` the fiscal one."""
    hour, quarter = row.get("hour"), integer(row.get("quarter"))
    return Earnings(
        **reading.of(row["symbol"] or ""),
        period=f"Q{quarter}" if quarter else None,
        report_date=iso_date(row["date"]),
        time_of_day=hour if hour in {"bmo", "amc"} else None,
        eps_actual=number(row.get("epsActual")),
        eps_estimate=number(row.get("epsEstimate")),
        revenue_actual=number(row.get("revenueActual")),
        revenue_estimate=number(row.get("revenueEstimate")),
    )


def surprise(reading: Reading, row: dict[str, Any]) -> Earnings:
    """Read a past quarter by its end, `period`; `quarter` is the calendar's and not used."""
    return Earnings(
        **reading.of(row["symbol"] or ""),
        period="Q",
        fiscal_date=iso_date(row["period"]),
        eps_actual=number(row.get("actual")),
        eps_estimate=number(row.get("estimate")),
        surprise_pct=number(row.get("surprisePercent")),
    )


def estimates(reading: Reading) -> Iterator[Item]:
    """Read the analysts' estimates of one figure; the answer says whether of years or quarters."""
    body = reading.json
    period = "FY" if body["freq"] == "annual" else "Q"

    def read(row: dict[str, Any]) -> Metrics:
        return Metrics(
            **reading.of(body["symbol"]),
            kind="estimates",
            period=period,
            as_of=iso_date(row["period"]),
            values=named(row, {}, frozenset({"period", "quarter", "year"})),
        )

    yield from reading.rows(body["data"] or [], read)


def trend(reading: Reading, row: dict[str, Any]) -> Recommendation:
    """Read the counts of a month."""
    return Recommendation(
        **reading.of(row["symbol"] or ""),
        kind="consensus",
        period=iso_date(row["period"]),
        strong_buy=integer(row.get("strongBuy")),
        buy=integer(row.get("buy")),
        hold=integer(row.get("hold")),
        sell=integer(row.get("sell")),
        strong_sell=integer(row.get("strongSell")),
    )


def target(reading: Reading, row: dict[str, Any]) -> Recommendation | None:
    """Read the price targets, if there are any; of `lastUpdated`, whose zone is not said, the day is taken."""
    if (mean := price(row["targetMean"])) is None:
        return None
    updated = iso_date(row.get("lastUpdated")) or utc_date(reading.answer.observed_at)
    return Recommendation(
        **reading.of(row["symbol"] or ""),
        kind="consensus",
        period=f"{updated[:7]}-01",
        ts=iso_time(f"{updated}T00:00:00Z"),
        target_mean=mean,
        target_high=price(row.get("targetHigh")),
        target_low=price(row.get("targetLow")),
    )


def grade(reading: Reading, row: dict[str, Any]) -> Recommendation:
    """Read one firm's rating change."""
    return Recommendation(
        **reading.of(row["symbol"] or ""),
        kind="change",
        ts=millis(row["gradeTime"], "s"),
        firm=text(row.get("company")),
        from_grade=text(row.get("fromGrade")),
        to_grade=text(row.get("toGrade")),
        action=text(row.get("action")),
    )


TRADE = (
    "name",
    "transactionDate",
    "filingDate",
    "transactionCode",
    "change",
    "share",
    "transactionPrice",
    "isDerivative",
)


def insiders(reading: Reading) -> Iterator[Item]:
    """Read transactions: they share the filing's `id`; `change` is the signed trade, `share` what is held after it."""
    body = reading.json

    def read(row: dict[str, Any]) -> Insider:
        derivative = row.get("isDerivative")
        return Insider(
            **reading.of(row.get("symbol") or body["symbol"] or ""),
            id=":".join(filter(None, (text(row.get("id")), row_id(*(row.get(name) for name in TRADE))))),
            transaction_date=iso_date(row.get("transactionDate")),
            filed_date=iso_date(row.get("filingDate")),
            name=text(row.get("name")),
            code=text(row.get("transactionCode")),
            shares=number(row.get("change")),
            price=price(row.get("transactionPrice")),
            shares_after=number(row.get("share")),
            derivative=derivative if isinstance(derivative, bool) else None,
        )

    yield from reading.rows(body["data"], read)


def article(reading: Reading, row: dict[str, Any]) -> News:
    """Read an article; `related` is one symbol, several with commas, or none."""
    related = text(row.get("related")) or ""
    return News(
        **reading.source(),
        id=str(row.get("id") or row_id(row["url"])),
        ts=millis(row["datetime"], "s"),
        title=text(row["headline"]),
        summary=text(row.get("summary")),
        url=text(row.get("url")),
        publisher=text(row.get("source")),
        symbols=reading.symbols(filter(None, related.split(","))),
    )
