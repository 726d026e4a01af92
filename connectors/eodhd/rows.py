"""How EODHD answers in rows: JSON or CSV tables, sections keyed like lists, pages, the currency. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from connectors import errors
from connectors.fields import kind, shown
from connectors.items import Item, Next, Reject, Withheld
from connectors.reading import Reading
from connectors.records import Envelope
from connectors.symbols import split_listing

Row = dict[str, Any]


def page(reading: Reading, name: str, offset: int) -> Next:
    """The same request from `offset` on."""
    return reading.following(**{name: str(offset)})


def table(reading: Reading, *needed: str) -> list[Any]:
    """The rows of a JSON or CSV answer, CSV names in lower case; `needed` distinguishes our tables from foreign ones.

    A CSV ends in its byte count, a line of one number; on the free plan rows beyond a year are withheld, which only
    a `warning` says: `NotEntitled` when nothing else came, see `withheld`. Raises `MalformedPayload` too.
    """
    if reading.answer.body.lstrip()[:1] not in {b"[", b"{"}:
        listed = [{name.lower(): cell for name, cell in row.items()} for row in reading.csv()]
        rows: list[Any] = [row for row in listed if any(list(row.values())[1:])]
    else:
        answered = known(reading.json)
        rows = [row for row in answered if not isinstance(row, dict) or row.keys() != {"warning"}]
    return known(rows, *needed)


def only_warned(reading: Reading) -> str:
    """What the answer warns of, if it holds nothing else: on the free plan rows beyond a year are withheld."""
    if plain := CSV_WARNING.fullmatch(reading.answer.body[:300].strip()):
        return plain[1].decode("utf-8", "replace")
    if b'"warning"' not in reading.answer.body:
        return ""
    rows = reading.json if isinstance(reading.json, list) else [reading.json]
    warnings = [row["warning"] for row in rows if isinstance(row, dict) and row.keys() == {"warning"}]
    return f"{warnings[0]:.200}" if len(warnings) == len(rows) else ""


def withheld(reading: Reading) -> Iterator[Item]:
    """Say that the plan withholds a part of a table: a `warning` in a row of its own, or beside a bar's prices."""
    answered = reading.json if reading.answer.body.lstrip()[:1] == b"[" else []
    said = (row["warning"] for row in answered if isinstance(row, dict) and isinstance(row.get("warning"), str))
    yield from (Withheld(errors.NotEntitled(warning[:200])) for warning in islice(said, 1))


def known(rows: Any, *needed: str) -> list[Any]:
    """Return `rows` when any of them has the names of our tables; raises `MalformedPayload` for a foreign shape."""
    if not isinstance(rows, list):
        raise errors.MalformedPayload(f"expected a list of rows, was {kind(rows)}")
    if rows and not any(isinstance(row, dict) and {name.lower() for name in row} >= {*needed} for row in rows):
        raise errors.MalformedPayload(f"no row has {' and '.join(needed)}; the first was {shown(rows[0])}")
    return rows


def values(section: Any) -> list[Any]:
    """Sections list their rows as an array, or as an object keyed by number or date."""
    return list(section.values()) if isinstance(section, dict) else section if isinstance(section, list) else []


def money(envelope: Envelope) -> str | None:
    """The quote side of a pair, dollars in the US; other listings may be in minor units, which nothing here says."""
    symbol = envelope["symbol"]
    if envelope["asset_class"] in {"crypto", "forex"}:
        return re.split("[-/]", symbol)[-1]
    listed_abroad = split_listing(symbol) is not None
    return "USD" if envelope["asset_class"] in {"equity", "etf"} and not listed_abroad else None


def within(reading: Reading, rows: list[Row], name: str) -> tuple[list[Row], list[Reject]]:
    """Split rows into those of the range that was asked, both ends included, and one `Reject` for all others.

    EODHD ignores a date that it cannot read and answers the whole history; a delisted or renamed code keeps its old
    data. `name` is the row's day, or its second since the epoch.
    """
    only = reading.params.get("date", "")
    first, last = reading.params.get("from", only), reading.params.get("to", only)
    outside = [row for row in rows if not _lies(row.get(name), first, last)]
    if not outside:
        return rows, []
    reason = (
        f"{len(outside)} of {len(rows)} rows lie outside the range that was asked, from {first or 'the first'} "
        f"to {last or 'the last'}: one is of {outside[0].get(name)}"
    )
    inside = [row for row in rows if _lies(row.get(name), first, last)]
    return inside, [Reject(rule="range", reason=reason, row=outside[0])]


def _lies(at: Any, first: str, last: str) -> bool:
    """Whether a day or second lies in the range; what is neither is left to the reader of the row."""
    if type(at) is int:
        return not (first.isdecimal() and at < int(first)) and not (last.isdecimal() and at > int(last))
    if not isinstance(at, str) or not ISO_DAY.match(at):
        return True
    return not (ISO_DAY.match(first) and at[:10] < first) and not (ISO_DAY.match(last) and at[:10] > last)


CSV_WARNING = re.compile(rb"Value\s+(Data is limited.*)")
"""A warning in CSV: the only row, under a header of its own."""
ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
