"""What Alpha Vantage says of companies: fundamentals, reports, news, insiders and the universe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal

from connectors import errors
from connectors.alphavantage.names import ASSET_TYPES, ITEMS, NO_METRIC, RATINGS, TIMES_OF_DAY, day, table
from connectors.alphavantage.requests import NEWS_ROWS
from connectors.endpoints import Parse
from connectors.fields import (
    cik,
    integer,
    iso_date,
    iso_time,
    named,
    number,
    one_of,
    outflows,
    price,
    row_id,
    size,
    text,
    utc_date,
)
from connectors.items import Item, LeftOut
from connectors.reading import Reading, counted
from connectors.records import Asset, Earnings, Insider, Metrics, News, Profile, Recommendation, Statement
from connectors.venues import us_exchange

StatementKind = Literal["income", "balance", "cash_flow"]


# -- fundamentals ----------------------------------------------------------------------------------------------------


def overview(reading: Reading) -> Iterator[Item]:
    """One object is a profile, the key metrics and the analysts' consensus."""
    if "Symbol" not in reading.json:
        raise errors.MalformedPayload("an overview without its Symbol")
    for read in (_profile, _key_metrics, _consensus):
        yield from reading.rows([reading.json], partial(read, reading))


def _profile(reading: Reading, row: dict[str, Any]) -> Profile:
    return Profile(
        **reading.of(row["Symbol"]),
        ts=reading.answer.observed_at,
        name=text(row.get("Name")),
        exchange=us_exchange(text(row.get("Exchange"))),
        country="US" if row.get("Country") == "USA" else None,
        currency=reading.currency(row.get("Currency")),
        sector=text(row.get("Sector")),
        industry=text(row.get("Industry")),
        website=text(row.get("OfficialSite")),
        description=text(row.get("Description")),
        market_cap=size(row.get("MarketCapitalization")),
        shares_outstanding=size(row.get("SharesOutstanding")),
        cik=cik(row.get("CIK")),
    )


def _key_metrics(reading: Reading, row: dict[str, Any]) -> Metrics | None:
    if not (values := named(row, {}, NO_METRIC)):
        return None
    as_of = utc_date(reading.answer.observed_at)
    return Metrics(
        **reading.of(row["Symbol"]),
        kind="key_metrics",
        period="spot",
        as_of=as_of,
        currency=reading.currency(row.get("Currency")),
        values=values,
    )


def _consensus(reading: Reading, row: dict[str, Any]) -> Recommendation | None:
    counts = {name: integer(row.get(given)) for given, name in RATINGS.items()}
    target = price(row.get("AnalystTargetPrice"))
    if target is None and set(counts.values()) == {None}:
        return None
    return Recommendation(
        **reading.of(row["Symbol"]),
        **counts,
        kind="consensus",
        period=f"{utc_date(reading.answer.observed_at)[:7]}-01",
        target_mean=target,
        currency=reading.currency(row.get("Currency")),
    )


def etf(reading: Reading) -> Iterator[Item]:
    """The answer names neither symbol nor date; the weights of sectors and holdings have no dataset."""
    one_of(reading.json, "net_assets", "net_expense_ratio", "holdings")
    if values := named(reading.json, {}):
        as_of = utc_date(reading.answer.observed_at)
        yield Metrics(**reading.of(), kind="etf", period="spot", as_of=as_of, values=values)


def shares(reading: Reading) -> Iterator[Item]:
    """Quarterly counts of shares outstanding, basic and diluted."""

    def read(row: dict[str, Any]) -> Metrics | None:
        values = {name: count for name, count in named(row, {}).items() if count}
        envelope = reading.of(reading.object.get("symbol"))
        return Metrics(**envelope, kind="key_metrics", period="Q", as_of=day(row, "date"), values=values)

    yield from table(reading, read, "date", "shares_outstanding_basic", member="data")


def estimates(reading: Reading) -> Iterator[Item]:
    """`horizon` says only whether `date` ends a fiscal year or a quarter."""

    def read(row: dict[str, Any]) -> Metrics:
        return Metrics(
            **reading.of(reading.json["symbol"]),
            kind="estimates",
            period="FY" if "year" in row["horizon"] else "Q",
            as_of=day(row, "date"),
            values=named(row, {}),
        )

    yield from table(reading, read, member="estimates")


def statement(kind: StatementKind) -> Parse:
    """Return the parser of one statement; which fiscal quarter a quarterly report is of is not said."""

    def read(reading: Reading, row: dict[str, Any], period: Literal["FY", "Q"]) -> Statement | None:
        if not (items := _items(row)):
            return None
        return Statement(
            **reading.of(reading.json["symbol"]),
            statement=kind,
            period=period,
            fiscal_date=day(row, "fiscalDateEnding"),
            currency=reading.currency(row.get("reportedCurrency")),
            items=items,
        )

    def parse(reading: Reading) -> Iterator[Item]:
        yield from reading.rows(reading.json["annualReports"], lambda row: read(reading, row, "FY"))
        yield from reading.rows(reading.json["quarterlyReports"], lambda row: read(reading, row, "Q"))

    return parse


def _items(row: dict[str, Any]) -> dict[str, float]:
    items = outflows(named(row, ITEMS))
    return {name: value for name, value in items.items() if value or name != "shares_outstanding"}


def earnings(reading: Reading) -> Iterator[Item]:
    """Quarters only: the newest annual row is the sum of a running year, under the date of its last quarter."""

    def read(row: dict[str, Any]) -> Earnings:
        return Earnings(
            **reading.of(reading.json["symbol"]),
            period="Q",
            fiscal_date=day(row, "fiscal_date_ending"),
            report_date=iso_date(row.get("reported_date")),
            time_of_day=TIMES_OF_DAY.get(text(row.get("report_time"))),
            eps_actual=number(row.get("reported_eps")),
            eps_estimate=number(row.get("estimated_eps")),
            surprise_pct=number(row.get("surprise_percentage")),
        )

    yield from table(reading, read, member="quarterlyEarnings")


def calendar(reading: Reading) -> Iterator[Item]:
    """Announced reports, CSV only."""

    def read(row: dict[str, Any]) -> Earnings:
        return Earnings(
            **reading.of(row["symbol"]),
            period="Q",
            fiscal_date=iso_date(row.get("fiscal_date_ending")),
            report_date=day(row, "report_date"),
            time_of_day=TIMES_OF_DAY.get(text(row.get("time_of_the_day"))),
            eps_estimate=number(row.get("estimate")),
            currency=reading.currency(row.get("currency")),
        )

    yield from table(reading, read, "symbol", "reportDate", "estimate", member="data")


# -- news, insiders, universe ----------------------------------------------------------------------------------------


def news(reading: Reading) -> Iterator[Item]:
    """`items` is not the number of rows. A full page of a range is followed by one that starts at its last minute.

    Of the mentions, a coin (`CRYPTO:BTC`) or a currency (`FOREX:EUR`) is half a pair and no symbol.
    """

    def read(row: dict[str, Any]) -> News:
        return News(
            **reading.source(),
            id=row_id(row["url"]),
            ts=_published(row),
            title=text(row["title"]),
            summary=text(row.get("summary")),
            url=text(row["url"]),
            publisher=text(row.get("source")),
            symbols=reading.symbols([mention["ticker"] for mention in row.get("ticker_sentiment") or []]),
            sentiment=number(row.get("overall_sentiment_score")),
        )

    feed = counted(reading.json["feed"], reading.json.get("items"))
    yield from reading.rows(feed, read)
    since = reading.params.get("time_from")
    if since and not reading.call.limit and len(feed) >= NEWS_ROWS:
        newest = max(str(row["time_published"]) for row in feed)[: len("20240131T2359")]
        if newest > since:
            yield reading.following(time_from=newest)


def _published(row: Mapping[str, Any]) -> int:
    ts = iso_time(f"{row['time_published']}+00:00")
    assert ts is not None
    return ts


def insider(reading: Reading) -> Iterator[Item]:
    """`acquisition_or_disposal` is a direction, not a transaction code of Form 4; a grant's price 0 is none."""

    def read(row: dict[str, Any]) -> Insider:
        sign = {"A": 1, "D": -1}.get(row.get("acquisition_or_disposal") or "")
        count = number(row.get("shares"))
        return Insider(
            **reading.of(row["ticker"]),
            id=row_id(*row.values()),
            transaction_date=iso_date(row.get("transaction_date")),
            name=text(row.get("executive")),
            role=text(row.get("executive_title")),
            shares=None if sign is None or count is None else sign * count,
            price=price(row.get("share_price")),
        )

    yield from table(reading, read, member="data")


def listing(reading: Reading) -> Iterator[Item]:
    """Units, rights and warrants come as `Stock`; CSV only."""

    def read(row: dict[str, Any]) -> Asset | LeftOut:
        if (kind := ASSET_TYPES.get(row["asset_type"])) is None:
            return LeftOut()
        return Asset(
            **reading.of(row["symbol"], kind),
            name=text(row["name"]),
            exchange=us_exchange(text(row["exchange"])),
            active={"active": True, "delisted": False}.get(row["status"].lower()),
            listed_date=iso_date(row["ipo_date"]),
            delisted_date=iso_date(row["delisting_date"]),
            provider_symbol=row["symbol"],
        )

    columns = ("symbol", "name", "exchange", "assetType", "ipoDate", "delistingDate", "status")
    yield from table(reading, read, *columns, member="data")


def search(reading: Reading) -> Iterator[Item]:
    """The ten best matches of keywords, over all venues."""

    def read(row: dict[str, Any]) -> Asset | LeftOut:
        if (kind := ASSET_TYPES.get(row["type"])) is None:
            return LeftOut()
        return Asset(
            **reading.of(row["symbol"], kind),
            name=text(row.get("name")),
            currency=reading.currency(row.get("currency")),
            provider_symbol=row["symbol"],
        )

    yield from table(reading, read, "symbol", "type", member="bestMatches")
