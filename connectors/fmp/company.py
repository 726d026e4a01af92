"""What Financial Modeling Prep says of companies: earnings, facts, statements, analysts, insiders, news."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from connectors.endpoints import Parse
from connectors.fields import (
    NEW_YORK,
    cik,
    country,
    integer,
    iso_date,
    iso_time,
    midnight,
    named,
    number,
    outflows,
    price,
    row_id,
    size,
    text,
    utc_date,
)
from connectors.fmp.names import NO_ITEMS, exchange_mic, share_class
from connectors.fmp.rows import each
from connectors.items import Item
from connectors.reading import Reading
from connectors.records import Earnings, Insider, Metrics, News, Profile, Recommendation, Statement

StatementKind = Literal["income", "balance", "cash_flow"]
MetricsKind = Literal["ratios", "key_metrics", "dcf"]


def earnings(reading: Reading, row: dict[str, Any]) -> Earnings:
    """Read a report, past or announced: `date` is its day, the fiscal period is not said."""
    return Earnings(
        **reading.of(row["symbol"] or ""),
        report_date=iso_date(row["date"]),
        eps_actual=number(row.get("epsActual")),
        eps_estimate=number(row.get("epsEstimated")),
        revenue_actual=number(row.get("revenueActual")),
        revenue_estimate=number(row.get("revenueEstimated")),
    )


# -- companies and funds ---------------------------------------------------------------------------------------------


def profile(reading: Reading, row: dict[str, Any]) -> Profile:
    """Read a company; the retired v3 says `mktCap`, and has the exchange's full name where its code stands now."""
    envelope = reading.of(row["symbol"] or "", share_class(row))
    return Profile(
        **envelope,
        ts=reading.answer.observed_at,
        name=text(row.get("companyName")),
        exchange=exchange_mic(envelope["symbol"], row.get("exchangeShortName") or row.get("exchange")),
        country=country(row.get("country")),
        currency=reading.currency(row.get("currency")),
        sector=text(row.get("sector")),
        industry=text(row.get("industry")),
        website=text(row.get("website")),
        description=text(row.get("description")),
        employees=integer(row.get("fullTimeEmployees")) or None,
        market_cap=size(row.get("marketCap", row.get("mktCap"))),
        ipo_date=iso_date(row.get("ipoDate")),
        isin=text(row.get("isin")),
        cik=cik(row.get("cik")),
    )


def fund(reading: Reading, row: dict[str, Any]) -> Iterator[Item]:
    """Read an ETF as a profile and metrics; unlike everywhere else `updatedAt` names its zone."""
    envelope = reading.of(row["symbol"] or "")
    observed = reading.answer.observed_at
    ts = iso_time(row.get("updatedAt")) or observed
    yield Profile(
        **envelope,
        ts=ts,
        name=text(row.get("name")),
        country=country(row.get("domicile")),
        currency=reading.currency(row.get("navCurrency")),
        website=text(row.get("website")),
        description=text(row.get("description")),
        isin=text(row.get("isin")),
    )
    yield Metrics(
        **envelope,
        kind="etf",
        period="spot",
        as_of=utc_date(ts),
        currency=reading.currency(row.get("navCurrency")),
        values=named(row, {}, NO_ITEMS | {"isin", "securityCusip", "inceptionDate", "updatedAt"}),
    )


def statements(statement: StatementKind, names: Mapping[str, str], *, ttm: bool = False) -> Parse:
    """Statements of one kind; those of the last twelve months (`ttm`) say the quarter that they end with as period."""

    def read(reading: Reading, row: dict[str, Any]) -> Statement:
        return Statement(
            **reading.of(row["symbol"] or ""),
            statement=statement,
            period="TTM" if ttm else row["period"],
            fiscal_date=iso_date(row["date"]),
            filed_date=iso_date(row.get("filingDate", row.get("fillingDate"))),
            currency=reading.currency(row.get("reportedCurrency")),
            items=outflows(named(row, names, NO_ITEMS)),
        )

    return each(read)


def metrics(kind: MetricsKind, *, ttm: bool = False) -> Parse:
    """Ratios and the like; those of the last twelve months (`ttm`) have no date, and TTM at the end of every name."""

    def read(reading: Reading, row: dict[str, Any]) -> Metrics:
        return Metrics(
            **reading.of(row["symbol"] or ""),
            kind=kind,
            period="TTM" if ttm else "spot" if kind == "dcf" else row["period"],
            as_of=iso_date(row.get("date")) or utc_date(reading.answer.observed_at),
            currency=reading.currency(row.get("reportedCurrency")),
            values=named({name.removesuffix("TTM"): value for name, value in row.items()}, {}, NO_ITEMS),
        )

    return each(read)


def estimates(reading: Reading, row: dict[str, Any]) -> Metrics:
    """Read analysts' estimates; only the request distinguishes years from quarters, and nothing names the quarter."""
    return Metrics(
        **reading.of(row["symbol"] or ""),
        kind="estimates",
        period="FY" if reading.params.get("period") == "annual" else "Q",
        as_of=iso_date(row["date"]),
        values=named(row, {}, NO_ITEMS),
    )


# -- analysts, insiders, news ----------------------------------------------------------------------------------------


def _month(day: str) -> str:
    return f"{day[:7]}-01"


def consensus(reading: Reading, row: dict[str, Any]) -> Recommendation:
    """Read counts or targets as of now: undated, so stamped with the time of the answer."""
    observed = reading.answer.observed_at
    return Recommendation(
        **reading.of(row["symbol"] or ""),
        kind="consensus",
        period=_month(utc_date(observed)),
        ts=observed,
        strong_buy=integer(row.get("strongBuy")),
        buy=integer(row.get("buy")),
        hold=integer(row.get("hold")),
        sell=integer(row.get("sell")),
        strong_sell=integer(row.get("strongSell")),
        target_mean=price(row.get("targetConsensus")),
        target_high=price(row.get("targetHigh")),
        target_low=price(row.get("targetLow")),
    )


def monthly_counts(reading: Reading, row: dict[str, Any]) -> Recommendation:
    """Read the counts of one month."""
    return Recommendation(
        **reading.of(row["symbol"] or ""),
        kind="consensus",
        period=_month(iso_date(row["date"]) or ""),
        strong_buy=integer(row.get("analystRatingsStrongBuy")),
        buy=integer(row.get("analystRatingsBuy")),
        hold=integer(row.get("analystRatingsHold")),
        sell=integer(row.get("analystRatingsSell")),
        strong_sell=integer(row.get("analystRatingsStrongSell")),
    )


def grade(reading: Reading, row: dict[str, Any]) -> Recommendation:
    """Read one firm's rating change; only its day is said."""
    return Recommendation(
        **reading.of(row["symbol"] or ""),
        kind="change",
        ts=midnight(iso_date(row["date"])),
        firm=text(row.get("gradingCompany")),
        from_grade=text(row.get("previousGrade")),
        to_grade=text(row.get("newGrade")),
        action=text(row.get("action")),
    )


TRADE = (
    "symbol",
    "filingDate",
    "transactionDate",
    "reportingCik",
    "transactionType",
    "acquisitionOrDisposition",
    "directOrIndirect",
    "securityName",
    "securitiesTransacted",
    "securitiesOwned",
    "price",
    "url",
)


def insider(reading: Reading, row: dict[str, Any]) -> Insider:
    """Read a transaction: the URL is the filing's, shared by all of its transactions; `M-Exempt` holds the code M."""
    traded = number(row.get("securitiesTransacted"))
    sign = {"A": 1, "D": -1}.get(row["acquisitionOrDisposition"] or "")
    code = text(row.get("transactionType"))
    return Insider(
        **reading.of(row["symbol"] or ""),
        id=row_id(*(row.get(name) for name in TRADE)),
        transaction_date=iso_date(row.get("transactionDate")),
        filed_date=iso_date(row.get("filingDate")),
        name=text(row.get("reportingName")),
        role=text(row.get("typeOfOwner")),
        code=code.partition("-")[0] if code else None,
        shares=None if sign is None or traded is None else sign * traded,
        price=price(row.get("price")),
        shares_after=number(row.get("securitiesOwned")),
        url=text(row.get("url")),
    )


def _article(reading: Reading, row: dict[str, Any]) -> News:
    return News(
        **reading.source(),
        id=row_id(row["url"]),
        ts=iso_time(row["publishedDate"], NEW_YORK),
        title=text(row["title"]),
        summary=text(row.get("text")),
        url=text(row["url"]),
        publisher=text(row.get("publisher")) or text(row.get("site")),
        symbols=reading.symbols([row["symbol"]] if row.get("symbol") else []),
    )


def news(reading: Reading) -> Iterator[Item]:
    """Read articles: one about several symbols comes once for each of them, and is one record."""
    articles: dict[str, News] = {}
    for item in each(_article)(reading):
        if not isinstance(item, News):
            yield item
        elif known := articles.get(item.id):
            symbols = list(dict.fromkeys([*known.symbols, *item.symbols]))
            articles[item.id] = known.model_copy(update={"symbols": symbols})
        else:
            articles[item.id] = item
    yield from articles.values()
