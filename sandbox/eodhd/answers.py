"""How EODHD words an answer: JSON or CSV, refusals in plain text; and the dates it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from sandbox.server.provider import Call, Reply

TEXT = "text/html; charset=UTF-8"


class BadRequest(ValueError):
    """What EODHD refuses with 422."""


def checked(handler: Callable[[Call], Reply]) -> Callable[[Call], Reply]:
    """The handler, its bad requests answered with 422."""

    def answer(call: Call) -> Reply:
        try:
            return handler(call)
        except BadRequest as error:
            return Reply(str(error), 422, TEXT)

    return answer


def table(call: Call, rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Reply:
    """The rows as asked for: JSON, or CSV with the columns `names` (JSON name to heading), which is the default.

    A table in CSV ends with the number of its characters.
    """
    if call.query.get("fmt") == "json":
        return Reply(rows)
    lines = [names.values(), *([row.get(name) for name in names] for row in rows)]
    table = "".join(",".join(map(_cell, line)) + "\n" for line in lines)
    return Reply(f"{table}{len(table)}", content_type="text/csv; charset=utf-8")


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f'"{text}"' if " " in text or "," in text else text


def ticker_not_found() -> Reply:
    """The answer about a symbol EODHD does not have."""
    return Reply("Ticker Not Found.", 404, TEXT)


def dates(call: Call, first: date, last: date) -> tuple[date, date]:
    """`from` and `to`, both inclusive; `first` and `last` where they are not given."""
    try:
        since, until = (
            date.fromisoformat(call.query.get(name) or usual.isoformat())
            for name, usual in (("from", first), ("to", last))
        )
    except ValueError:
        raise BadRequest("The dates from and to must match the format Y-m-d.") from None
    return since, until


def number(call: Call, name: str, usual: int, largest: int) -> int:
    """A whole number of the query, no more than `largest`."""
    text = call.query.get(name) or str(usual)
    if not text.isdecimal():
        raise BadRequest(f"The {name} must be an integer.")
    return min(int(text), largest)
