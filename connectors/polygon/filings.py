"""Polygon's statements, ratios and insiders as sold since 2026: flat rows made from SEC filings.

Documentation: https://massive.com/docs. No row names a currency.
"""

from __future__ import annotations

from connectors import errors
from connectors import fields as read
from connectors.endpoints import Parse
from connectors.items import Item, LeftOut
from connectors.polygon.names import NO_ITEMS, ROLES, SHEETS, Statement
from connectors.polygon.rows import Row, each
from connectors.reading import Reading
from connectors.records import FiscalPeriod, Insider, Metrics
from connectors.records import Statement as Record

QUARTERS: dict[int | None, FiscalPeriod] = {1: "Q1", 2: "Q2", 3: "Q3", 4: "Q4", None: "Q"}


def statements(kind: Statement) -> Parse:
    """Make the parser of one statement's rows: one for each period, restated values as they were filed."""

    def statement(reading: Reading, row: Row) -> Record | None:
        items = read.outflows(read.named(row, SHEETS[kind], NO_ITEMS))
        if not items:
            return None
        return Record(
            **reading.of(_ticker(reading, row)),
            statement=kind,
            period=_period(row),
            fiscal_date=read.iso_date(row["period_end"]),
            filed_date=read.iso_date(row.get("filing_date")),
            items=items,
        )

    return each(statement)


def _period(row: Row) -> FiscalPeriod:
    match row["timeframe"]:
        case "annual":
            return "FY"
        case "trailing_twelve_months" | "ttm":
            return "TTM"
        case "quarterly":
            return QUARTERS[read.integer(row.get("fiscal_quarter"))]
    raise errors.FieldError("period", f"timeframe was {read.shown(row['timeframe'])}")


def _ticker(reading: Reading, row: Row) -> str:
    """A filing can be of several share classes: the one that was asked, else the first."""
    tickers: list[str] = row["tickers"]
    wanted = reading.params.get("tickers", "")
    return wanted if wanted in tickers else tickers[0]


def _ratios(reading: Reading, row: Row) -> Metrics:
    """Ratios, prices and sums of money as of one day: the last twelve months over the price of the day."""
    return Metrics(
        **reading.of(row["ticker"]),
        kind="ratios",
        period="spot",
        as_of=read.iso_date(row["date"]),
        values=read.named(row, {}, NO_ITEMS),
    )


parse_ratios = each(_ratios)


def _form4(reading: Reading, row: Row) -> Item:
    """One line of a Form 4: a transaction, or a holding beside it, which is none."""
    if row["record_type"] == "holding":
        return LeftOut()
    sign = {"A": 1, "D": -1}.get(row.get("transaction_acquired_disposed") or "")
    amount = read.number(row.get("transaction_shares"))
    roles = [title for flag, title in ROLES.items() if row.get(flag) is True]
    return Insider(
        **reading.of(_ticker(reading, row)),
        id=read.row_id(*(row.get(name) for name in LINE)),
        transaction_date=read.iso_date(row.get("transaction_date")),
        filed_date=read.iso_date(row.get("filing_date")),
        name=read.text(row.get("owner_name")),
        role=read.text(row.get("officer_title")) or ", ".join(roles) or None,
        code=read.text(row.get("transaction_code")),
        shares=None if amount is None or sign is None else sign * abs(amount),
        price=read.price(row.get("transaction_price_per_share")),
        shares_after=read.number(row.get("shares_owned_following_transaction")),
        derivative=row.get("security_type") == "derivative",
        url=read.text(row.get("filing_url")),
    )


LINE = (
    *("accession_number", "owner_cik", "security_type", "security_title", "transaction_code", "transaction_date"),
    *("transaction_acquired_disposed", "transaction_shares", "transaction_price_per_share"),
    *("shares_owned_following_transaction", "direct_or_indirect"),
)
"""What tells the lines of a filing apart, which have no number."""

parse_form4 = each(_form4)
