"""How Financial Modeling Prep answers: lists of rows, newest first, each naming its symbol, and their pages. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from connectors.endpoints import Parse
from connectors.fields import utc_date
from connectors.items import Item
from connectors.reading import Reading, objects

LAST_PAGE = 100  # the highest page documented: https://site.financialmodelingprep.com/developer/docs/stable/stock-news
Read = Callable[[Reading, dict[str, Any]], Item | Iterator[Item] | None]


def each(read: Read) -> Parse:
    """Read a list of rows; the retired v3's histories hold it beside the symbol of all."""

    def parse(reading: Reading) -> Iterator[Item]:
        body = reading.json
        shared = {"symbol": body["symbol"]} if isinstance(body, dict) and "historical" in body else {}
        rows, strays = objects(body["historical"] if shared else body)
        yield from strays
        yield from reading.rows([{**shared, **row} for row in rows], lambda row: read(reading, row))

    return parse


def paged(parse: Parse, date_name: str, most: int) -> Parse:
    """Follow a full page until the range asked for is covered; without a start the first page is all."""

    def parse_page(reading: Reading) -> Iterator[Item]:
        yield from parse(reading)
        start, page = reading.call.start, int(reading.params.get("page", 0))
        rows, _ = objects(reading.json)
        full = len(rows) >= int(reading.params.get("limit", most))
        if not full or start is None or reading.call.limit or page >= LAST_PAGE:
            return
        first = reading.params.get("from") or utc_date(start)
        if min(str(row.get(date_name)) for row in rows)[:10] >= first:
            yield reading.following(page=str(page + 1))

    return parse_page
