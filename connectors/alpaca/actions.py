"""What Alpaca says of corporate actions: lists by kind, each with fields of its own.

A row of another region than the US (`cas_region`, since June 2026) is a listing that its symbol does not name, and
is left out; so is an instrument without a ticker, which goes by its CUSIP. Mergers, rights and the like are not read.
Documentation: https://docs.alpaca.markets/reference/corporateactions-1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from connectors import fields as read
from connectors.alpaca.requests import follow
from connectors.items import Item, LeftOut
from connectors.reading import Reading, unrecognised
from connectors.records import Action
from connectors.symbols import us_share

Row = dict[str, Any]


def actions(reading: Reading) -> Iterator[Item]:
    """Read the kinds that are ours, whichever of them were asked for."""
    found = reading.json["corporate_actions"]
    for kind, read_row in KINDS.items():
        yield from reading.rows(found.get(kind) or [], partial(_of_the_us, reading, read_row))
    yield from unrecognised(found, KINDS, OTHER_KINDS)
    yield from follow(reading)


OTHER_KINDS = frozenset(
    {
        *("cash_mergers", "stock_mergers", "stock_and_cash_mergers"),
        *("redemptions", "rights_distributions", "worthless_removals", "contract_adjustments", "partial_calls"),
    }
)
"""Kinds that are documented and not read."""


def _of_the_us(reading: Reading, read_row: Callable[[Reading, Row], Item], row: Row) -> Item:
    return LeftOut() if str(row.get("cas_region") or "us").lower() != "us" else read_row(reading, row)


def _dividend(reading: Reading, row: Row) -> Action:
    """Rows say their currency since June 2026; before, a foreign dividend's is unknown."""
    unit = reading.currency(row["currency"]) if row.get("currency") else None if row.get("foreign") else "USD"
    return Action(
        **reading.of(row["symbol"]),
        kind="dividend",
        ex_date=read.iso_date(row["ex_date"]),
        amount=read.number(row["rate"]),
        currency=unit,
        record_date=read.iso_date(row.get("record_date")),
        pay_date=read.iso_date(row.get("payable_date")),
    )


def _split(reading: Reading, row: Row) -> Action:
    return _shares(reading, row, _per(row["new_rate"], row["old_rate"]))


def _stock_dividend(reading: Reading, row: Row) -> Action:
    """`rate` counts new shares beside each old one."""
    rate = read.number(row["rate"])
    return _shares(reading, row, None if rate is None else 1 + rate)


def _shares(reading: Reading, row: Row, ratio: float | None) -> Action:
    return Action(
        **reading.of(row["symbol"]),
        kind="split",
        ex_date=read.iso_date(row["ex_date"]),
        ratio=ratio,
        record_date=read.iso_date(row.get("record_date")),
        pay_date=read.iso_date(row.get("payable_date")),
    )


def _spin_off(reading: Reading, row: Row) -> Item:
    """`new_rate` shares of the new company for `source_rate` held."""
    if not _tickers(row["source_symbol"], row["new_symbol"]):
        return LeftOut()
    return Action(
        **reading.of(row["source_symbol"]),
        kind="spin_off",
        ex_date=read.iso_date(row["ex_date"]),
        ratio=_per(row["new_rate"], row["source_rate"]),
        new_symbol=reading.canonical(row["new_symbol"])[0],
        record_date=read.iso_date(row.get("record_date")),
        pay_date=read.iso_date(row.get("payable_date")),
    )


def _symbol_change(reading: Reading, row: Row) -> Item:
    """A change of name or CUSIP alone keeps the symbol; the change counts from the day it is processed on."""
    old, new = row["old_symbol"], row["new_symbol"]
    if old == new or not _tickers(old, new):
        return LeftOut()
    return Action(
        **reading.of(old),
        kind="symbol_change",
        ex_date=read.iso_date(row["process_date"]),
        new_symbol=reading.canonical(new)[0],
    )


def _per(new: Any, old: Any) -> float | None:
    above, below = read.number(new), read.number(old)
    return round(above / below, 12) if above and below else None


def _tickers(*symbols: str) -> bool:
    return all(us_share(symbol) is not None for symbol in symbols)


KINDS: Mapping[str, Callable[[Reading, Row], Item]] = MappingProxyType(
    {
        "cash_dividends": _dividend,
        "forward_splits": _split,
        "reverse_splits": _split,
        "stock_dividends": _stock_dividend,
        "spin_offs": _spin_off,
        "name_changes": _symbol_change,
    }
)
