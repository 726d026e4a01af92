"""Shared readers: one value of a payload in, one unified value out. Pure; they raise `FieldError`, never guess.

None always means absent. What counts as absent, and every unit, is defined in docs/DATASETS.md.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter
from typing import Any, Literal
from zoneinfo import ZoneInfo

from connectors.currencies import unit
from connectors.errors import FieldError, MalformedPayload

NEW_YORK = ZoneInfo("America/New_York")
LONDON = ZoneInfo("Europe/London")
DAY_MS = 86_400_000

ABSENT = frozenset(
    {
        "",
        "none",
        "-",
        ".",
        "n/a",
        "na",
        "null",
        "no data",
        "unknown",
        "0000-00-00",
        "nan",
        "inf",
        "-inf",
        "+inf",
        "infinity",
        "-infinity",
    }
)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


def shown(value: Any) -> str:
    """A value of a payload as a reason shows it: in JSON, at most 80 characters."""
    try:
        found = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return kind(value)
    return found if len(found) <= 80 else f"{found[:79]}…"


def kind(value: Any) -> str:
    """What a value of a payload is, in JSON's words: `an object`, `a list`, `a text`, `a number`, `null`, …."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names = ((Mapping, "an object"), (str, "a text"), ((int, float), "a number"), (Sequence, "a list"))
    return next((name for kinds, name in names if isinstance(value, kinds)), "no JSON value")


def absent(value: Any) -> bool:
    """Return whether `value` stands for nothing: null, NaN, infinity, or one of the texts that say so."""
    if value is None:
        return True
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, str) and value.strip().lower() in ABSENT


def number(value: Any) -> float | None:
    """Read a finite float from a JSON number or a decimal text (thousands commas and a `%` sign are dropped).

    Raises `FieldError` (rule `number`) for anything else, booleans included.
    """
    if absent(value):
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _finite(value)
    if isinstance(value, str):
        text = value.strip().removesuffix("%").replace(",", "").strip()
        if _NUMBER.fullmatch(text):
            return _finite(float(text))
    raise FieldError("number", f"{shown(value)} is not a number")


def _finite(value: float) -> float | None:
    try:
        result = float(value)
    except OverflowError:
        raise FieldError("number", "a number is too large") from None
    return result if math.isfinite(result) else None


def price(value: Any) -> float | None:
    """Read a price: as `number`, and 0 is absent."""
    return number(value) or None


size = price
"""Read a size of a quote, a market cap or a share count: as `number`, and 0 is absent."""


def integer(value: Any) -> int | None:
    """Read a whole number; `4.0` and `"4"` are whole. Raises `FieldError` (rule `number`)."""
    exact = isinstance(value, int) and not isinstance(value, bool)
    found = value if exact else number(value)
    if found is None:
        return None
    if not exact and not found.is_integer():
        raise FieldError("number", f"{shown(value)} is not a whole number")
    if abs(found) >= 2**63:  # no integer of 64 bits, the largest that JSON and the store take
        raise FieldError("number", "a number is too large")
    return int(found)


def count(value: Any) -> int:
    """Read how many rows an answer says that it has; 0 for what is no such number."""
    try:
        return integer(value) or 0
    except FieldError:
        return 0


def text(value: Any) -> str | None:
    """Read a text, stripped; a number is not a text. Raises `FieldError` (rule `text`)."""
    if absent(value):
        return None
    if not isinstance(value, str):
        raise FieldError("text", f"{shown(value)} is not a text")
    return value.strip()


def column(rows: Sequence[Mapping[str, Any]], name: str) -> list[float | None]:
    """Read one column of row objects as `cells` does; a missing name is absent."""
    try:
        return cells([*map(itemgetter(name), rows)])
    except KeyError:
        return cells([row.get(name) for row in rows])


def cells(values: Sequence[Any], *, zero_absent: bool = False) -> list[float | None]:
    """Read numbers for `BarColumns`: None is absent, NaN stands for what cannot be read.

    A column of nothing but finite floats and ints, as most are, is taken whole: that costs a fifth of looking at each.
    """
    if not zero_absent and set(map(type, values)) <= PLAIN:
        with suppress(OverflowError):
            found = [*map(float, values)]
            if math.isfinite(sum(found)):  # one that is not finite makes the sum so
                return [*found]
    return [cell(value, zero_absent) for value in values]


PLAIN = {float, int}


def cell(value: Any, zero_absent: bool) -> float | None:
    """Read one number as `cells` does."""
    if type(value) is float or type(value) is int:
        try:
            found: float | None = float(value)
        except OverflowError:
            return math.nan
        if not math.isfinite(found):  # type: ignore[arg-type]
            return None
    else:
        try:
            found = number(value)
        except FieldError:
            return math.nan
    return None if zero_absent and found == 0 else found


def millis(value: Any, unit: Literal["s", "ms", "us", "ns"]) -> int | None:
    """Read an epoch time as ms UTC. Integers stay integers (nanoseconds pass 2^53); sub-ms is truncated.

    Raises `FieldError` (rule `time`) outside the years 1..9999.
    """
    try:
        found = integer(value) if unit != "s" or not isinstance(value, float) else value
        if found is None and isinstance(value, (int, float)):
            found = None
    except FieldError:
        raise FieldError("time", f"{shown(value)} is not an epoch time") from None
    if found is None:
        return None
    if isinstance(found, float) and not math.isfinite(found):
        return None
    result = int(found * 1000) if unit == "s" else int(found) // SCALES[unit][1]
    return _plausible(result, value)


def times(values: Sequence[Any], unit: Literal["s", "ms", "us", "ns"]) -> list[int | None]:
    """Read epoch times for `BarColumns.ts`: None stands for what cannot be read."""
    if values and set(map(type, values)) == {int}:
        factor, divisor = SCALES[unit]
        found = values if factor == divisor else [value * factor // divisor for value in values]
        if min(found) >= FIRST_MS and max(found) <= LAST_MS:
            return [*found]
    return [time(value, unit) for value in values]


def time(value: Any, unit: Literal["s", "ms", "us", "ns"]) -> int | None:
    """Read one epoch time as `times` does."""
    try:
        return millis(value, unit)
    except FieldError:
        return None


SCALES: Mapping[str, tuple[int, int]] = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1_000), "ns": (1, 1_000_000)}
"""Ms in a unit, and units in a ms."""
FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""Ms UTC of the years 1 to 9999."""


def _plausible(ms: int, value: Any) -> int:
    if not FIRST_MS <= ms <= LAST_MS:
        raise FieldError("time", f"{shown(value)} lies outside the years 1 to 9999")
    return ms


def iso_date(value: Any) -> str | None:
    """Read `YYYY-MM-DD` (a time after it is dropped) as an ISO date. Raises `FieldError` (rule `date`)."""
    found = text(value)
    if found is None:
        return None
    match = _DATE.match(found)
    try:
        return date(*map(int, match.groups())).isoformat() if match else date.fromisoformat(found).isoformat()
    except ValueError:
        raise FieldError("date", f"{shown(value)} is not a date YYYY-MM-DD") from None


def us_date(value: Any) -> str | None:
    """Read `MM/DD/YYYY` as an ISO date. Raises `FieldError` (rule `date`)."""
    found = text(value)
    if found is None:
        return None
    try:
        return datetime.strptime(found, "%m/%d/%Y").date().isoformat()  # noqa: DTZ007  (a date has no zone)
    except ValueError:
        raise FieldError("date", f"{shown(value)} is not a date MM/DD/YYYY") from None


def midnight(day: str | None) -> int | None:
    """Ms of 00:00 UTC of an ISO date: how a daily bar is stamped."""
    if day is None:
        return None
    return _midnight(day)


@lru_cache(maxsize=65_536)
def _midnight(day: str) -> int:
    try:
        return date.fromisoformat(day).toordinal() * DAY_MS - _EPOCH
    except ValueError:
        raise FieldError("date", f"{shown(day)} is not a date YYYY-MM-DD") from None


_EPOCH = date(1970, 1, 1).toordinal() * DAY_MS


def days(values: Iterable[Any]) -> list[int | None]:
    """Read ISO dates for `BarColumns.ts`: ms of 00:00 UTC, None for what cannot be read."""
    found: list[int | None] = []
    for value in values:
        try:
            found.append(midnight(iso_date(value)))
        except FieldError:
            found.append(None)
    return found


def utc_date(ms: int) -> str:
    """ISO date of ms in UTC."""
    return _utc(ms).date().isoformat()


def local_day(ms: int | None, zone: ZoneInfo) -> int | None:
    """Ms of 00:00 UTC of the calendar date that `ms` falls on in `zone`, by the zone's own rules on that date."""
    if ms is None:
        return None
    return _local_day(ms // 60_000, zone)


@lru_cache(maxsize=65_536)
def _local_day(minute: int, zone: ZoneInfo) -> int:
    return _utc(minute * 60_000).astimezone(zone).date().toordinal() * DAY_MS - _EPOCH


def local_date(ms: int, zone: ZoneInfo) -> str:
    """ISO date that `ms` falls on in `zone`."""
    return _utc(ms).astimezone(zone).date().isoformat()


def period_start(ms: int | None, interval: str) -> int | None:
    """Move a daily, weekly or monthly stamp to its canonical one: the day, that week's Monday, the month's first.

    `ms` is 00:00 UTC of any day of the period; other intervals pass unchanged.
    """
    if ms is None or interval not in {"1w", "1mo"}:
        return ms
    day = _utc(ms).date()
    first = day - timedelta(days=day.weekday()) if interval == "1w" else day.replace(day=1)
    return first.toordinal() * DAY_MS - _EPOCH


def iso_time(value: Any, zone: ZoneInfo | None = None) -> int | None:
    """Read an ISO 8601 / RFC 3339 time as ms UTC; a text without an offset is a wall clock in `zone`.

    Raises `FieldError` (rule `time`), also for a time without offset when no zone is known.
    """
    found = text(value)
    if found is None:
        return None
    try:
        # fromisoformat of 3.11 reads at most microseconds: longer fractions are cut, not rounded
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", found))
    except ValueError:
        raise FieldError("time", f"{shown(value)} is not an ISO time") from None
    if moment.tzinfo is None:
        if zone is None:
            raise FieldError("time", f"{shown(value)} names no zone")
        moment = moment.replace(tzinfo=zone)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def wall_times(values: Iterable[Any], zone: ZoneInfo) -> list[int | None]:
    """Read wall clocks of `zone` (`2024-01-02 09:30:00`) for `BarColumns.ts`: None stands for what cannot be read."""
    found: list[int | None] = []
    for value in values:
        try:
            found.append(iso_time(value, zone))
        except FieldError:
            found.append(None)
    return found


def _utc(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def currency(value: Any) -> str | None:
    """Read a currency code, a minor unit as its major (`GBp` is GBP). Raises `FieldError` (rule `currency`)."""
    found = text(value)
    return unit(found)[0] if found else None


def minor(value: Any) -> float:
    """Factor that brings a price in this currency text to the major unit: 0.01 for GBp, 0.001 for KWF, else 1."""
    try:
        return unit(value.strip())[1] if isinstance(value, str) else 1.0
    except FieldError:
        return 1.0  # the unknown code is reported where it is read


def scaled(value: float | None, factor: float) -> float | None:
    """Return `value * factor`, None staying None; a factor of 0.01 divides, so that 1234 p is exactly 12.34."""
    if value is None or factor == 1:
        return value
    return value / (1 / factor) if factor < 1 else value * factor


def cik(value: Any) -> str | None:
    """Read an SEC central index key as its ten digits."""
    found = str(value).strip() if not absent(value) else ""
    return found.zfill(10) if found.isdecimal() and int(found) else None


def country(value: Any) -> str | None:
    """Read an ISO 3166-1 alpha-2 code; a country written out is absent."""
    found = text(value)
    return found if found and re.fullmatch("[A-Z]{2}", found) else None


def one_of(row: Mapping[str, Any], *names: str) -> None:
    """Hold a row to having a member of at least one of these names. Raises `FieldError` (rule `shape`)."""
    if not any(name in row for name in names):
        raise FieldError("shape", f"{' or '.join(map(shown, names[:3]))} is missing")


def snake(name: str) -> str:
    """Turn `totalRevenue`, `Total Revenue` or `10DayAverage` into snake_case."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[^0-9a-z]+", "_", spaced.lower()).strip("_")


def row_id(*parts: Any) -> str:
    """A stable id (32 hex digits) of a row that has none: the hash of its parts."""
    return blake2b(
        "\x1f".join("" if part is None else str(part) for part in parts).encode(), digest_size=16
    ).hexdigest()


def named(row: Mapping[str, Any], names: Mapping[str, str], skip: frozenset[str] = frozenset()) -> dict[str, float]:
    """Collect the numbers of `row`: keys in `names` under their canonical name, others in snake_case.

    Absent values, texts and booleans are left out; `skip` names keys that are no items.
    """
    found: dict[str, float] = {}
    for key, value in row.items():
        if key in skip or isinstance(value, (bool, dict, list)):
            continue
        try:
            amount = number(value)
        except FieldError:
            continue
        if amount is not None:
            found.setdefault(names.get(key) or snake(key), amount)
    return found


OUTFLOWS = ("capital_expenditure", "dividends_paid", "share_repurchases")


def outflows(items: Mapping[str, float]) -> dict[str, float]:
    """Return a cash flow's items with what is paid out at most 0, whatever sign the provider writes."""
    return {name: (-abs(value) or 0.0) if name in OUTFLOWS else value for name, value in items.items()}


def read_csv(body: str, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read CSV text with a header line of two names or more; `columns` must be in it. Raises `MalformedPayload`.

    A row with fewer or more cells than the header is kept with what it has; missing cells read as "".
    """
    try:
        table = [row for row in csv.reader(io.StringIO(body.lstrip("\ufeff").strip())) if row]
    except csv.Error as error:
        raise MalformedPayload(f"body is not CSV: {error}") from None
    header = [name.strip() for name in table[0]] if table else []
    if lacking := [name for name in columns if name not in header]:
        raise MalformedPayload(f"CSV header {shown(header)} lacks {shown(lacking[0])}")
    if len(header) < 2:
        raise MalformedPayload(f"body is neither JSON with rows nor a table: {shown(body)}")
    return [dict(zip(header, [*row, *[""] * (len(header) - len(row))], strict=False)) for row in table[1:]]
