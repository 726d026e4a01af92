"""One answer while it is being read: what every parse function gets. Knows no provider."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, TypedDict
from urllib.parse import parse_qsl, urlsplit

import orjson
from pydantic import ValidationError

from connectors import errors
from connectors.calls import Answer, Call, Request
from connectors.fields import count, currency, kind, read_csv, shown
from connectors.items import Item, LeftOut, Next, Reject
from connectors.members import Members
from connectors.records import AssetClass, Envelope
from connectors.symbols import QUOTE_COINS, Symbols


class RecordSource(TypedDict):
    """The fields of every record, whatever it is about."""

    source: str
    """Provider that said it."""
    observed_at: int
    """When its answer was received, ms UTC."""
    request_id: str
    """Poll request that caused it; leads to `api_calls` and `raw_responses`."""


class Reading:
    """One answer being read: the call, the request's parameters, the body in the forms a parser wants.

    The body has no byte order mark here.
    """

    def __init__(
        self,
        *,
        source: str,
        symbols: Symbols,
        params: Mapping[str, str],
        call: Call,
        request: Request,
        answer: Answer,
        request_id: str,
        pattern: re.Pattern[str] | None = None,
    ) -> None:
        self.provider = source
        self.spelling = symbols
        self.params = params
        """Query parameters and path fields of the request, by name."""
        self.call = call
        self.request = request
        self.answer = replace(answer, body=answer.body.removeprefix(BOM))
        self.request_id = request_id
        self.doubts: dict[str, Reject] = {}
        """Values that were left absent while their record was kept, each once an answer, for the dead letters."""
        self._pattern = pattern

    def following(self, **changed: str) -> Next:
        """More of the same answer: this request with other query parameters."""
        return Next(replace(self.request, params={**self.request.params, **changed}))

    def following_at(self, url: str) -> Next:
        """More of the same answer, at a URL of the provider's: its path as the endpoint's template has it, its query.

        What stands before the template is left out. Where the path does not end like the template it stays as it is,
        and the page is not asked.
        """
        try:
            parts = urlsplit(url)
        except ValueError:  # brackets around what is no IPv6 address
            return Next(replace(self.request, path=url))
        found = self._pattern.search(parts.path) if self._pattern else None
        return Next(replace(self.request, path=found[0] if found else parts.path, params=dict(parse_qsl(parts.query))))

    @cached_property
    def json(self) -> Any:
        """The body as JSON. Raises `MalformedPayload`."""
        return read_json(self.answer.body)

    @cached_property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 are replaced."""
        return self.answer.body.decode("utf-8", "replace")

    @cached_property
    def object(self) -> Mapping[str, Any]:
        """The members of the body, if it is a JSON object, and none when it is anything else: for refusal hooks."""
        with suppress(ValueError):
            return Members(self.answer.body, _member)
        with suppress(errors.MalformedPayload):
            return self.json if isinstance(self.json, dict) else {}
        return {}

    def csv(self, *columns: str) -> list[dict[str, str]]:
        """The body as CSV rows; `columns` must be in its header. Raises `MalformedPayload`."""
        return read_csv(self.text, columns)

    def of(self, spelling: str | None = None, asset_class: AssetClass | None = None) -> Envelope:
        """Return the common fields of a record whose symbol the provider spells `spelling`.

        Without a spelling it is the call's only symbol (payloads that do not name it). Raises `FieldError`
        for a spelling the connector cannot map.
        """
        symbol, known = self.canonical(spelling, asset_class) if spelling is not None else (self._asked(), asset_class)
        return {
            "symbol": symbol,
            "asset_class": known or self.call.asset_class,
            "source": self.provider,
            "observed_at": self.answer.observed_at,
            "request_id": self.request_id,
        }

    def canonical(self, spelling: str, asset_class: AssetClass | None = None) -> tuple[str, AssetClass]:
        """Map the provider's spelling to (canonical symbol, asset class). Raises `FieldError`."""
        if not isinstance(spelling, str) or not spelling.strip():
            raise errors.FieldError("symbol", f"symbol was {shown(spelling)}, not a text")
        return self.spelling.canonical(spelling.strip(), asset_class or self.call.asset_class)

    def currency(self, code: Any) -> str | None:
        """Read a currency code as `fields.currency`; one that nobody knows is absent, and one of the `doubts`."""
        if self.call.asset_class == "crypto" and code in QUOTE_COINS:
            return str(code)
        try:
            return currency(code)
        except errors.FieldError as error:
            self.doubts[error.reason] = Reject(rule=error.rule, reason=error.reason, row={"currency": code})
            return None

    def symbols(self, spellings: Any) -> list[str]:
        """Canonical symbols of a list of spellings, each once; what is no instrument of ours is left out."""
        found = dict.fromkeys(self._known(spelling) for spelling in spellings or [])
        return [symbol for symbol in found if symbol is not None]

    def _known(self, spelling: Any) -> str | None:
        try:
            return self.canonical(spelling)[0]
        except errors.FieldError:
            return None

    def source(self) -> RecordSource:
        """Return the common fields of a record that is not about one symbol (news)."""
        return {
            "source": self.provider,
            "observed_at": self.answer.observed_at,
            "request_id": self.request_id,
        }

    def _asked(self) -> str:
        if len(self.call.symbols) != 1:
            raise errors.MalformedPayload(f"the answer names no symbol and {len(self.call.symbols)} were asked")
        return self.call.symbols[0]

    def rows(self, items: Any, read: Callable[[Any], Item | Iterator[Item] | None]) -> Iterator[Item]:
        """Read each element of a list with `read`; one that cannot be read becomes a `Reject`, its siblings go on.

        `read` returns one item, several, or None for nothing. Raises `MalformedPayload` when `items` is no list.
        """
        if not isinstance(items, list):
            raise errors.MalformedPayload(f"expected a list of rows, was {kind(items)}")
        for row in items:
            try:
                found = read(row)
                many = [found] if not isinstance(found, Iterator) else list(found)
            except errors.OutOfScope:
                yield LeftOut()
            except (errors.FieldError, ValidationError, *UNREADABLE) as error:
                rule, reason = broken_rule(error)
                yield Reject(rule=rule, reason=reason, row=row)
            else:
                yield from (item for item in many if item is not None)


def objects(items: Any, *names: str) -> tuple[list[dict[str, Any]], list[Reject]]:
    """Split a list into its JSON objects and a `Reject` for each element that is none: rows of a bar series.

    Raises `MalformedPayload` when `items` is no list, when it holds elements but no object at all, and when no row
    has any of the `names`, if there are any.
    """
    if not isinstance(items, list):
        raise errors.MalformedPayload(f"expected a list of rows, was {kind(items)}")
    found = [row for row in items if isinstance(row, dict)]
    if items and not found:
        raise errors.MalformedPayload(f"none of {len(items)} rows is an object; the first was {shown(items[0])}")
    if names and found and not any(name in row for row in found for name in names):
        raise errors.MalformedPayload(f"no row has any of {', '.join(names)}; the first was {shown(found[0])}")
    strays = [row for row in items if not isinstance(row, dict)] if len(found) < len(items) else []
    return found, [Reject(rule="shape", reason=f"a row was {kind(row)}, not an object", row=row) for row in strays]


def counted(rows: list[Any], *counts: Any) -> list[Any]:
    """Return `rows`, which may be empty only where none of the answer's `counts` says that there are some.

    Raises `MalformedPayload`.
    """
    if not rows and (most := max(map(count, counts), default=0)) > 0:
        raise errors.MalformedPayload(f"the answer counts {most} rows and holds none")
    return rows


def holds_more(value: Any) -> bool:
    """Return whether a value is an object or a list."""
    return isinstance(value, (dict, list))


def unrecognised(
    found: Mapping[str, Any],
    optional: Collection[str],
    known: Collection[str] = (),
    like: Callable[[Any], bool] = holds_more,
) -> Iterator[Reject]:
    """Yield a `Reject` where an object has a renamed member, and nothing where a member does not apply.

    An `optional` member may be absent. Where one is, a member outside `optional` and `known` whose value is `like` that
    of the absent one has lost its name: what it holds is not read.
    """
    lacking = [name for name in optional if name not in found]
    strange = [name for name, value in found.items() if name not in optional and name not in known and like(value)]
    if lacking and strange:
        said = f"{shown(strange[0])} is not documented, and {shown(lacking[0])} is missing"
        yield Reject(rule="shape", reason=said, row={strange[0]: found[strange[0]]})


def read_json(body: bytes) -> Any:
    """Read JSON, also such as no standard allows but as providers send it. Raises `MalformedPayload`.

    NaN, Infinity and numbers beyond a double are null; halves of surrogate pairs and bytes that are not UTF-8 become
    U+FFFD, and control characters within texts stay.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as strict:
        text = body.decode("utf-8", "replace")
        try:
            found = TOLERANT.decode(text)
            return _whole(found) if SURROGATE.search(text) else found
        except (ValueError, RecursionError):
            raise errors.MalformedPayload(
                f"body is not JSON from line {strict.lineno}, column {strict.colno}"
            ) from None


def _member(text: bytes) -> Any:
    """A member of an object as `read_json` reads it; null where it cannot be read, which reading the whole finds."""
    try:
        return read_json(text)
    except errors.MalformedPayload:
        return None


def _number(digits: str) -> float | int | None:
    """A number as JSON writes it; None for one that no double holds."""
    found = float(digits)
    if math.isinf(found):
        return None
    return int(digits) if digits.lstrip("-").isdecimal() else found


def _whole(value: Any) -> Any:
    """The value with the halves of surrogate pairs in its texts replaced."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole(part) for part in value]
    if isinstance(value, dict):
        return {_whole(name): _whole(part) for name, part in value.items()}
    return value


BOM = b"\xef\xbb\xbf"
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
TOLERANT = json.JSONDecoder(strict=False, parse_constant=lambda _: None, parse_float=_number, parse_int=_number)

UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What reading a payload of another shape than documented raises."""


def broken_rule(error: Exception) -> tuple[str, str]:
    """Return (rule, reason) of what reading a row raised, in words about the data and not about this program.

    docs/DATASETS.md lists the rules.
    """
    match error:
        case errors.FieldError():
            return error.rule, error.reason
        case ValidationError():
            return "field", first_fault(error)
        case ArithmeticError():
            zero = isinstance(error, ZeroDivisionError)
            return ("ratio", "a divisor is zero") if zero else ("number", "a number is too large")
        case KeyError():
            return "shape", f"{shown(error.args[0])} is missing"
    short = isinstance(error, LookupError)
    return "shape", "a list is shorter than documented" if short else "a value is not of the documented shape"


def first_fault(error: ValidationError) -> str:
    """Say of a record or message that is no valid one which field is at fault, and what it was."""
    first = error.errors(include_url=False)[0]
    # pydantic names the alternatives of a type beside the field: period, then literal['FY', ...]
    where = ".".join(part for part in map(str, first["loc"]) if "[" not in part) or "the value"
    if first["type"] == "json_invalid":
        return f"{where} is no JSON"
    absent = first["input"] is None or first["type"] == "missing"
    return f"{where} is absent" if absent else f"{where} cannot be {shown(first['input'])}"
