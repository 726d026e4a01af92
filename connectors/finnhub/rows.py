"""How Finnhub answers: a list of rows, bare or wrapped, or one object. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from connectors.endpoints import Parse
from connectors.items import Item
from connectors.reading import Reading, counted, objects

Read = Callable[[Reading, dict[str, Any]], Item | Iterator[Item] | None]


def each(read: Read, wrapper: str | None = None) -> Parse:
    """Read a list of rows, bare or under the name `wrapper`; null is an empty one."""

    def parse(reading: Reading) -> Iterator[Item]:
        found = reading.json[wrapper] if wrapper else reading.json
        rows, strays = objects([] if found is None else found)
        if wrapper:
            counted(rows, reading.json.get("count"))
        yield from strays
        yield from reading.rows(rows, lambda row: read(reading, row))

    return parse


def one(read: Read) -> Parse:
    """Read an object; an empty one is the answer about an unknown symbol."""

    def parse(reading: Reading) -> Iterator[Item]:
        rows, _ = objects([reading.json])
        if rows != [{}]:
            yield from reading.rows(rows, lambda row: read(reading, row))

    return parse
