"""Yahoo's financial statements: series of single items, and the retired quoteSummary modules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from connectors.errors import FieldError
from connectors.fields import iso_date, named, number, outflows, shown, snake
from connectors.items import Item
from connectors.reading import Reading, unrecognised
from connectors.records import FiscalPeriod, Statement
from connectors.yahoo.names import HISTORY, HISTORY_ITEMS, STATEMENT_OF, STATEMENTS, Kind
from connectors.yahoo.rows import Modules, plain, raw, read_date, required

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
    yield from _strangers(reading)
    series = list(_series(reading))
    kinds = {STATEMENT_OF[item] for _, item, _ in series if item in STATEMENT_OF}
    only = kinds.pop() if len(kinds) == 1 else None
    for span, item, rows in series:
        yield from reading.rows(rows, partial(_enter, reading, sheets, STATEMENT_OF.get(item, only), span, item))
    for (kind, span, day), sheet in sorted(sheets.items()):
        yield Statement(
            **reading.of(),
            statement=kind,
            period=PERIODS[span],
            fiscal_date=day,
            currency=sheet.currency,
            items=outflows(sheet.items),
        )


def _series(reading: Reading) -> Iterator[tuple[str, str, Any]]:
    """Return (`annual`, `TotalRevenue`, rows) of each series that has any."""
    for result in reading.json["timeseries"]["result"] or []:
        match = _SERIES.fullmatch(result["meta"]["type"][0])
        if match and result.get(match[0]):
            yield match[1], match[2], result[match[0]]


_SERIES = re.compile("(annual|quarterly|trailing)([A-Z].*)")


def _strangers(reading: Reading) -> Iterator[Item]:
    """Series under another name than the one that their `meta` says; a series without values is absent."""
    for result in reading.json["timeseries"]["result"] or []:
        yield from unrecognised(result, result["meta"]["type"], ("meta", "timestamp"))


def _enter(
    reading: Reading, sheets: Sheets, kind: Kind | None, span: str, item: str, row: dict[str, Any] | None
) -> None:
    """Enter one value into its sheet. An item we did not ask for belongs to the only statement of the answer."""
    if row is None:
        return
    if kind is None:
        raise FieldError("item", f"{shown(item)} is an item of no known statement")
    day = required(iso_date(row["asOfDate"]), "asOfDate")
    value = number(raw(row["reportedValue"]))
    if value is not None:
        sheet = sheets.setdefault((kind, span, day), _Sheet(reading.currency(row.get("currencyCode"))))
        sheet.items[STATEMENTS[kind].get(item) or snake(item)] = value


# -- the retired modules ---------------------------------------------------------------------------------------------


def read_history(reading: Reading, modules: Modules) -> Iterator[Item]:
    """The retired statement modules: since 2024 nearly empty, and `{raw: 0, fmt: null}` stands for nothing."""
    for name, (statement, rows, period) in HISTORY.items():
        if module := modules.get(name):
            yield from reading.rows(module[rows], partial(_past, reading, statement, period))


def _nothing(value: dict[str, Any]) -> bool:
    return value.get("fmt") is None and not value.get("raw")


def _past(reading: Reading, statement: Kind, period: FiscalPeriod, row: dict[str, Any]) -> Statement | None:
    plain_values = {name: value for name, value in row.items() if not (isinstance(value, dict) and _nothing(value))}
    items = named(plain(plain_values), HISTORY_ITEMS, skip=frozenset({"endDate", "maxAge"}))
    if not items:
        return None
    day = required(read_date(row.get("endDate")), "endDate")
    return Statement(**reading.of(), statement=statement, period=period, fiscal_date=day, items=outflows(items))
