"""How EODHD answers in rows: JSON or CSV tables, sections keyed like lists, pages, the currency. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from connectors import errors
from connectors.items import Item, Next, Withheld
from connectors.reading import Reading
from connectors.records import Envelope
from connectors.symbols import split_listing

Row = dict[str, Any]


def page(reading: Reading, name: str, offset: int) -> Next:
    """The same request from `offset` on."""
    return reading.following(**{name: str(offset)})


def table(reading: Reading, *needed: str) -> list[Any]:
    """The rows of a JSON or CSV answer, CSV names in lower case; `needed` tells our tables from foreign ones.

    A CSV ends in its byte count, a line of one number; on the free plan rows beyond a year are withheld, which only
    a `warning` says: `NotEntitled` when nothing else came, see `withheld`. Raises `MalformedPayload` too.
    """
    if reading.answer.body.lstrip()[:1] not in {b"[", b"{"}:
        listed = [{name.lower(): cell for name, cell in row.items()} for row in reading.csv()]
        rows: list[Any] = [row for row in listed if any(list(row.values())[1:])]
    else:
        answered = known(reading.json)
        rows = [row for row in answered if not isinstance(row, dict) or row.keys() != {"warning"}]
        if answered and not rows:
            raise errors.NotEntitled(str(answered[0]["warning"])[:200])
    return known(rows, *needed)


def withheld(reading: Reading) -> Iterator[Item]:
    """Say that the plan withholds a part of a table: a `warning` in a row of its own, or beside a bar's prices."""
    answered = reading.json if reading.answer.body.lstrip()[:1] == b"[" else []
    said = (row["warning"] for row in answered if isinstance(row, dict) and isinstance(row.get("warning"), str))
    yield from (Withheld(errors.NotEntitled(warning[:200])) for warning in islice(said, 1))


def known(rows: Any, *needed: str) -> list[Any]:
    """Return `rows` when any of them has the names of our tables; raises `MalformedPayload` for a foreign shape."""
    if not isinstance(rows, list):
        raise errors.MalformedPayload(f"expected a list of rows, was {type(rows).__name__}")
    if rows and not any(isinstance(row, dict) and {name.lower() for name in row} >= {*needed} for row in rows):
        raise errors.MalformedPayload(f"no row has {' and '.join(needed)}; the first was {rows[0]!r:.80}")
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
