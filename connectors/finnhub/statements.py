"""What Finnhub says of statements: filings as reported, in US GAAP concepts, and the fiscal periods they cover."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from functools import partial
from typing import Any, Literal

from connectors.currencies import KNOWN
from connectors.errors import FieldError
from connectors.fields import iso_date, named, outflows, shown
from connectors.finnhub.names import BALANCE, CASH_FLOW, INCOME
from connectors.items import Item
from connectors.reading import Reading, objects, unrecognised
from connectors.records import FiscalPeriod, Statement

MONTH_DAYS = 30.4  # mean length of a month
StatementKind = Literal["income", "balance", "cash_flow"]
SECTIONS: tuple[tuple[str, StatementKind, Mapping[str, str]], ...] = (
    ("ic", "income", INCOME),
    ("bs", "balance", BALANCE),
    ("cf", "cash_flow", CASH_FLOW),
)


def reported(reading: Reading) -> Iterator[Item]:
    """Read filings: three statements each, in US GAAP concepts."""
    filings, strays = objects(reading.json["data"] or [])
    yield from strays
    sections = [section for section, _, _ in SECTIONS]
    yield from reading.rows(filings, lambda filing: unrecognised(filing["report"] or {}, sections))
    for section, statement, names in SECTIONS:
        yield from reading.rows(filings, partial(_statement, reading, section, statement, names))


def _statement(
    reading: Reading, section: str, statement: StatementKind, names: Mapping[str, str], filing: dict[str, Any]
) -> Statement | None:
    if not (facts := (filing["report"] or {}).get(section)):
        return None
    values, unit = _concepts(facts)
    return Statement(
        **reading.of(filing["symbol"] or ""),
        statement=statement,
        period=_period(filing, flows=statement != "balance"),
        fiscal_date=iso_date(filing["endDate"]),
        filed_date=iso_date(filing.get("filedDate")),
        currency=unit,
        items=outflows(_items(values, names)),
    )


def _concepts(facts: Any) -> tuple[dict[str, Any], str | None]:
    """Return (values by concept without its taxonomy, the currency of the first amount).

    The facts are a list; the documentation shows an object.
    """
    if isinstance(facts, dict):
        return facts, None
    values: dict[str, Any] = {}
    for fact in facts:
        values.setdefault(fact["concept"].rpartition("_")[2].rpartition(":")[2], fact.get("value"))
    units = (str(fact.get("unit")).upper() for fact in facts)  # `usd`, but also `usd/shares` and `bbl`
    return values, next((unit for unit in units if unit in KNOWN), None)


def _items(values: dict[str, Any], names: Mapping[str, str]) -> dict[str, float]:
    renamed: dict[str, str] = {}
    for concept, name in names.items():
        if concept in values and name not in renamed.values():
            renamed[concept] = name
    return named(values, renamed)


def _period(row: dict[str, Any], *, flows: bool) -> FiscalPeriod:
    """Flows of a quarterly filing add up since the fiscal year's start: half a year is H1, nine months are nothing.

    Raises `FieldError` (rule `period`).
    """
    quarters: dict[Any, FiscalPeriod] = {1: "Q1", 2: "Q2", 3: "Q3", 4: "Q4"}
    if isinstance(quarter := row["quarter"], bool) or quarter not in (0, *quarters):
        raise FieldError("period", f"quarter was {shown(quarter)}, not 0 to 4")
    if quarter == 0:
        return "FY"
    months = 3
    if flows and (first := iso_date(row.get("startDate"))) and (last := iso_date(row["endDate"])):
        months = round((date.fromisoformat(last) - date.fromisoformat(first)).days / MONTH_DAYS)
    if months <= 4:
        return quarters[quarter]
    if quarter == 2 and months in {5, 6, 7}:
        return "H1"
    raise FieldError("period", f"the figures of quarter {shown(quarter)} cover {months} months: no fiscal period")
