"""What EODHD says of a company: the fundamentals document, the calendars, the insiders, the news. Pure.

One document answers several datasets, and which sections it has depends on `General.Type`:
https://eodhd.com/financial-apis/stock-etfs-fundamental-data-feeds
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from connectors import errors
from connectors import fields as field
from connectors.eodhd import names
from connectors.eodhd.rows import Row, known, money, page, values
from connectors.items import Item, LeftOut
from connectors.reading import Reading, counted, unrecognised
from connectors.records import (
    Earnings,
    Envelope,
    FiscalPeriod,
    Insider,
    Metrics,
    News,
    Profile,
    Recommendation,
    Statement,
)

UTC = ZoneInfo("UTC")


def _profile(reading: Reading, envelope: Envelope, document: Row) -> Profile:
    general, fund = _section(document, "General"), _section(document, "ETF_Data")
    return Profile(
        **envelope,
        ts=envelope["observed_at"],
        name=field.text(general.get("Name")),
        exchange=names.place(field.text(general.get("Exchange")))[0],
        country=field.text(general.get("CountryISO")),
        currency=reading.currency(general.get("CurrencyCode")),
        sector=field.text(general.get("Sector")),
        industry=field.text(general.get("Industry")),
        website=field.text(general.get("WebURL") or fund.get("ETF_URL")),
        description=field.text(general.get("Description") or general.get("Fund_Summary")),
        employees=field.integer(general.get("FullTimeEmployees")) or None,
        market_cap=field.size(_section(document, "Highlights").get("MarketCapitalization")),
        shares_outstanding=field.size(_section(document, "SharesStats").get("SharesOutstanding")),
        ipo_date=field.iso_date(general.get("IPODate")),
        isin=field.text(general.get("ISIN") or fund.get("ISIN")),
        cik=field.cik(general.get("CIK")),
        figi=field.text(general.get("OpenFigi")),
    )


def _statement(
    reading: Reading,
    envelope: Envelope,
    row: Row,
    *,
    kind: names.StatementKind,
    period: FiscalPeriod,
    items: Mapping[str, str],
    unit: Any,
) -> Statement | None:
    """Zero and null say the same, that the item is not available: so EODHD's own FAQ on fundamentals."""
    found = {name: value for name, value in field.named(row, items, names.NO_ITEMS).items() if value}
    for name in names.OUTFLOWS & found.keys():
        found[name] = -abs(found[name])
    if not found:
        return None
    return Statement(
        **envelope,
        statement=kind,
        period=period,
        fiscal_date=field.iso_date(row["date"]),
        filed_date=field.iso_date(row.get("filing_date")),
        currency=reading.currency(row.get("currency_symbol") or unit),
        items=found,
    )


def _statements(reading: Reading, envelope: Envelope, document: Row) -> Iterator[Item]:
    """Rows stand under `yearly` and `quarterly`, in whole-market answers under `yearly_last_0` and so on."""
    for section, kind, items in names.STATEMENTS:
        table = _section(_section(document, "Financials"), section)
        spans = {name.partition("_")[0]: value for name, value in table.items()}  # quarterly_last_0 is quarterly
        yield from unrecognised(spans, ("yearly", "quarterly"))
        for name, value in table.items():
            if name.startswith(("yearly", "quarterly")):
                period: FiscalPeriod = "FY" if name.startswith("yearly") else "Q"
                unit = table.get("currency_symbol")
                read = partial(_statement, reading, envelope, kind=kind, period=period, items=items, unit=unit)
                yield from reading.rows([value] if "_last_" in name else values(value), read)


def _report(reading: Reading, envelope: Envelope, row: Row) -> Earnings:
    """One row of the document's history or of the calendar, which name the same things differently."""
    unit = row.get("currency")
    actual = field.number(row.get("actual", row.get("epsActual")))
    estimate = field.number(row.get("estimate", row.get("epsEstimate")))
    fiscal = field.iso_date(row["date"])
    return Earnings(
        **envelope,
        # old rows repeat a day near the report instead of the period's end
        fiscal_date=fiscal if fiscal and _ends_month(fiscal) else None,
        report_date=field.iso_date(row.get("report_date", row.get("reportDate"))),
        time_of_day=names.TIMES_OF_DAY.get(row.get("before_after_market", row.get("beforeAfterMarket"))),
        eps_actual=field.scaled(actual, field.minor(unit)),
        eps_estimate=field.scaled(estimate, field.minor(unit)),
        surprise_pct=None if actual is None else field.number(row.get("percent", row.get("surprisePercent"))),
        currency=reading.currency(unit),
    )


def _ends_month(day: str) -> bool:
    return (date.fromisoformat(day) + timedelta(days=1)).day == 1


def _estimates(envelope: Envelope, row: Row) -> Metrics | None:
    """`period` counts from now, `0q` `+1q` `0y` `+1y`; the same names in the document and in the calendar."""
    found = field.named(row, {}, frozenset({"code", "date", "period"}))
    if not found:
        return None
    period = names.ESTIMATE_PERIODS[str(row["period"])[-1:]]
    return Metrics(**envelope, kind="estimates", period=period, as_of=field.iso_date(row["date"]), values=found)


def _metrics(envelope: Envelope, document: Row) -> Iterator[Item]:
    """Amounts are in several currencies at once (an income in dollars beside a price in francs), so none is named."""
    day = field.iso_date(_section(document, "General").get("UpdatedAt")) or field.utc_date(envelope["observed_at"])
    for kind, sections in names.METRICS:
        merged = {name: value for section in sections for name, value in _section(document, section).items()}
        if found := field.named(merged, {}):
            yield Metrics(**envelope, kind=kind, period="spot", as_of=day, values=found)


def _consensus(envelope: Envelope, ratings: Row) -> Recommendation | None:
    """The month is that of the observation: the counts bear no date."""
    counts = {ours: field.integer(ratings.get(theirs)) for theirs, ours in names.RATINGS.items()}
    target = field.price(ratings.get("TargetPrice"))
    if target is None and all(count is None for count in counts.values()):
        return None
    month = field.period_start(envelope["observed_at"], "1mo") or 0
    return Recommendation(
        **envelope,
        kind="consensus",
        period=field.utc_date(month),
        target_mean=target,
        currency=money(envelope) if target else None,
        **counts,
    )


def _section(document: Row, name: str) -> Row:
    """A section that does not apply is absent, null, `"NA"` or `[]`."""
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _strangers(document: Row) -> Iterator[Item]:
    """Sections of a document, and tables of a section, that nothing explains while documented ones are missing."""
    yield from unrecognised(document, names.SECTIONS, names.OTHER_SECTIONS)
    yield from unrecognised(_section(document, "Financials"), [section for section, _, _ in names.STATEMENTS])
    earnings = {name: value for name, value in _section(document, "Earnings").items() if not name.startswith("Last_")}
    yield from unrecognised(earnings, ("History", "Trend"), ("Annual",))


def _document(reading: Reading, document: Row, spelling: str) -> Iterator[Item]:
    """Read every section that is there; one that cannot be read does not sink the others.

    A filtered answer gives no profile: it lacks the sections that half of its fields come from.
    """
    if not document.keys() & names.SECTIONS:
        raise errors.FieldError("shape", f"a document has {field.shown(sorted(document))}, no section that is known")
    general = _section(document, "General")
    stated = field.text(general.get("Type"))
    if stated and stated.lower() not in names.ASSET_TYPES:
        yield LeftOut()
        return
    envelope = reading.of(spelling, names.ASSET_TYPES[stated.lower()] if stated else None)
    if "filter" not in reading.params:
        yield from reading.rows([general] if general else [], lambda _: _profile(reading, envelope, document))
    yield from _strangers(document)
    earnings = _section(document, "Earnings")
    reports = values(earnings.get("History")) + [row for name, row in earnings.items() if name.startswith("Last_")]
    yield from _statements(reading, envelope, document)
    yield from reading.rows(reports, partial(_report, reading, envelope))
    yield from reading.rows(values(earnings.get("Trend")), partial(_estimates, envelope))
    yield from reading.rows([document.get("General")], lambda _: _metrics(envelope, document))
    yield from reading.rows([_section(document, "AnalystRatings")], partial(_consensus, envelope))
    yield from reading.rows(values(document.get("InsiderTransactions")), partial(_transaction, envelope))


def parse_fundamentals(reading: Reading) -> Iterator[Item]:
    """An instrument without a document is answered with an empty one."""
    body = reading.json
    if not isinstance(body, (dict, list)) or (isinstance(body, list) and body):
        raise errors.MalformedPayload(f"expected one document, was {field.kind(body)}")
    if body:
        yield from _document(reading, body, reading.params["symbol"])


def parse_bulk_fundamentals(reading: Reading) -> Iterator[Item]:
    """Past the last instrument the answer is an empty object."""
    if not isinstance(reading.json, (dict, list)):
        raise errors.MalformedPayload(f"expected documents, was {field.kind(reading.json)}")
    documents = values(reading.json)

    def read(document: Row) -> Iterator[Item]:
        general = document["General"]
        yield from _document(reading, document, f"{general['Code']}.{general['Exchange']}")

    yield from reading.rows(documents, read)
    if documents:
        yield page(reading, "offset", int(reading.params.get("offset", "0")) + len(documents))


def parse_calendar(reading: Reading) -> Iterator[Item]:
    """Read the reports of the calendar, past and announced: amounts in the currency of the row."""
    rows = known(reading.json["earnings"], "code", "report_date")
    yield from reading.rows(rows, lambda row: _report(reading, reading.of(row["code"]), row))


def parse_trends(reading: Reading) -> Iterator[Item]:
    """One list per symbol asked."""
    rows = known([row for one in reading.json["trends"] for row in values(one)], "code", "period")
    yield from reading.rows(rows, lambda row: _estimates(reading.of(row["code"]), row))


def _transaction(envelope: Envelope, row: Row) -> Insider:
    """One row of the flat list or of a document; `date` is when EODHD stored it."""
    day, code = field.iso_date(row["transactionDate"]), field.text(row.get("transactionCode"))
    name, amount = field.text(row.get("ownerName")), field.number(row.get("transactionAmount"))
    paid, after = field.price(row.get("transactionPrice")), field.number(row.get("postTransactionAmount"))
    shares = _signed(amount, row.get("transactionAcquiredDisposed"))
    return Insider(
        **envelope,
        id=field.row_id(envelope["symbol"], name, day, code, shares, amount, paid, after),
        transaction_date=day,
        filed_date=field.iso_date(row.get("reportDate")),
        name=name,
        role=field.text(row.get("ownerTitle") or row.get("ownerRelationship")),
        code=code,
        shares=shares,
        price=paid,
        shares_after=after,
        url=field.text(row.get("link") or row.get("secLink")),
    )


def _signed(amount: float | None, direction: Any) -> float | None:
    return None if amount is None or direction not in {"A", "D"} else abs(amount) * (1 if direction == "A" else -1)


def parse_insider(reading: Reading) -> Iterator[Item]:
    """Read the flat list of transactions, each with its own code."""
    rows = known(reading.json, "code", "transactiondate")
    yield from reading.rows(rows, lambda row: _transaction(reading.of(row["code"]), row))


def _filing(envelope: Envelope, filing: Row) -> Iterator[Item]:
    """A filing lists its transactions in two tables; only their place in it distinguishes them."""
    accession, filed = field.text(filing["accession_number"]), field.iso_date(filing.get("filed_at"))
    for table in ("non_derivative", "derivative"):
        for position, row in enumerate(filing[table] or []):
            held = [title for flag, title in names.ROLES.items() if row.get(flag) is True]
            yield Insider(
                **envelope,
                id=field.row_id(accession, table, position),
                transaction_date=field.iso_date(row["transaction_date"]),
                filed_date=filed,
                name=field.text(row.get("reporting_owner_name")),
                role=field.text(row.get("officer_title")) or ", ".join(held) or None,
                code=field.text(row.get("transaction_code")),
                shares=_signed(field.number(row.get("shares_amount")), row.get("acquired_or_disposed")),
                price=field.price(row.get("price_per_share")),
                shares_after=field.number(row.get("shares_owned_after")),
                derivative=table == "derivative",
            )


def parse_form4(reading: Reading) -> Iterator[Item]:
    """Read filings with their transactions inside; the next page begins after the filings of this one."""
    total = reading.json["meta"]["total"]
    filings = known(reading.json["data"], "accession_number")
    envelope = reading.of(reading.params["symbol"])
    yield from reading.rows(filings, lambda filing: _filing(envelope, filing))
    offset = int(reading.params.get("page[offset]", "0")) + len(filings)
    if not offset:
        counted(filings, total)
    if filings and offset < total:
        yield page(reading, "page[offset]", offset)


def _article(reading: Reading, row: Row) -> News:
    link, mood = field.text(row.get("link")), row.get("sentiment")
    return News(
        **reading.source(),
        id=field.row_id(link or f"{row['date']} {row['title']}"),
        ts=field.iso_time(row["date"], UTC),
        title=field.text(row["title"]),
        summary=field.text(row.get("content")),
        url=link,
        symbols=reading.symbols(row.get("symbols")),
        sentiment=field.number(mood.get("polarity")) if isinstance(mood, dict) else None,
    )


def parse_news(reading: Reading) -> Iterator[Item]:
    """Read articles, stamped in UTC; a full page is followed by the next unless the call's limit is reached."""
    articles = known(reading.json, "date", "title")
    yield from reading.rows(articles, lambda row: _article(reading, row))
    limit, offset = int(reading.params.get("limit", "50")), int(reading.params.get("offset", "0"))
    read, wanted = offset + len(articles), reading.call.limit
    if articles and len(articles) >= limit and (wanted is None or read < wanted):
        yield page(reading, "offset", read)
