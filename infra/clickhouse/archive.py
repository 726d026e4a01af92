"""SQL about the archive of answers: which are kept, their bodies, and the rows and letters that came of them.

Times go in and come out as ms UTC, dates as ISO strings, so that rows compare with records as they travel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.clickhouse.queries import DATASET_TABLES, log_table, text


@dataclass(frozen=True, slots=True)
class Selection:
    """Which answers of the archive are meant; what is empty or None selects nothing out."""

    provider: str | None = None
    """Name of the provider."""
    dataset: str | None = None
    """Dataset that had been asked."""
    symbols: tuple[str, ...] = ()
    """Canonical symbols, one of which had been asked."""
    since: int | None = None
    """Received at or after this moment, ms UTC."""
    dead: bool = False
    """Only answers with open dead letters."""

    def terms(self) -> list[str]:
        """Conditions of SQL on `raw_responses`."""
        return [
            *([f"provider = {text(self.provider)}"] if self.provider else []),
            *([f"dataset = {text(self.dataset)}"] if self.dataset else []),
            *([f"hasAny(symbols, [{texts(self.symbols)}])"] if self.symbols else []),
            *([f"received_at >= {_moment(self.since)}"] if self.since is not None else []),
            *([f"call_id IN ({OPEN_CALLS})"] if self.dead else []),
        ]


OPEN_CALLS = "SELECT assumeNotNull(call_id) FROM dead_letters WHERE call_id IS NOT NULL"
"""SQL: the ids of the calls whose answers have open dead letters."""

Place = tuple[str, str, int, str]
"""Of an answer: provider, dataset, time of receipt in ms UTC, call id."""


def places_sql(selection: Selection, before: Place | None, most: int) -> str:
    """SQL: the places of the selected answers, newest first, behind `before`."""
    terms = selection.terms()
    if before:
        _, _, at, call_id = before
        terms.append(f"(received_at < {_moment(at)} OR received_at = {_moment(at)} AND call_id < {text(call_id)})")
    return f"""
        SELECT provider, dataset, toUnixTimestamp64Milli(received_at), call_id FROM raw_responses
        WHERE {" AND ".join(terms) or "true"} ORDER BY received_at DESC, call_id DESC LIMIT {most:d}
    """  # noqa: S608


ANSWER_COLUMNS = (
    *("call_id", "request_id", "provider", "endpoint", "dataset", "symbols", "call", "method", "path", "url", "params"),
    *("sent", "status", "headers", "key_label", "received_at", "latency_ms", "size"),
)
"""What `answers_sql` answers; `size` is the body's length in bytes."""


def answers_sql(places: Sequence[Place]) -> str:
    """SQL: what is known of the answers at these places, but for their bodies: rows of `ANSWER_COLUMNS`."""
    shown = {"size": "length(body)", "received_at": "toUnixTimestamp64Milli(received_at)"}
    return f"SELECT {', '.join(shown.get(name, name) for name in ANSWER_COLUMNS)} {_at(places)}"


def bodies_sql(places: Sequence[Place]) -> str:
    """SQL: (call id, body in base64) of the answers at these places."""
    return f"SELECT call_id, base64Encode(body) {_at(places)}"


CALL_FIELDS = ("dataset", "symbols", "asset_class", "interval", "adjustment", "kind", "period", "exchange")


def calls_sql(requests: Iterable[str]) -> str:
    """SQL: (request id, `CALL_FIELDS`, start, end) of what these polls asked."""
    return f"""
        SELECT request_id, {", ".join(CALL_FIELDS)}, toUnixTimestamp64Milli(start_at), toUnixTimestamp64Milli(end_at)
        FROM polls WHERE request_id IN ({texts(requests)})
    """  # noqa: S608


LETTER_COLUMNS = (
    *("letter_id", "at", "stage", "provider", "dataset", "symbol", "rule", "reason", "call_id", "request_id"),
    *("raw_topic", "raw_partition", "raw_offset", "row"),
)


def letters_sql(calls: Iterable[str]) -> str:
    """SQL: the open dead letters of these calls' answers: rows of `LETTER_COLUMNS`."""
    columns = ", ".join("toUnixTimestamp64Milli(at)" if name == "at" else name for name in LETTER_COLUMNS)
    return f"SELECT {columns} FROM dead_letters WHERE call_id IN ({texts(calls)})"  # noqa: S608


REFUSED_ROWS = "SELECT lower(hex(MD5(assumeNotNull(row)))) FROM dead_letters WHERE stage = 'sink' AND row IS NOT NULL"
"""SQL: the MD5 of every record that the store has refused."""
TYPES = f"""
    SELECT table, name, type FROM system.columns
    WHERE database = currentDatabase() AND table IN ({", ".join(map(text, DATASET_TABLES.values()))})
    ORDER BY table, position
"""  # noqa: S608  (our own names)
"""SQL: the columns of every dataset's view, with their types."""


def observed_sql(times: Iterable[int], providers: Iterable[str]) -> str:
    """SQL: the datasets that hold rows which were observed at one of these times."""
    seen, sources = _moments(times), texts(providers)
    return " UNION ALL ".join(
        f"SELECT '{dataset}', count() FROM {log_table(table)} WHERE observed_at IN ({seen}) AND source IN ({sources})"  # noqa: S608
        for dataset, table in DATASET_TABLES.items()
    )


def rows_observed_sql(dataset: str, types: Mapping[str, str], times: Iterable[int], providers: Iterable[str]) -> str:
    """SQL: the rows of a dataset's view that were observed at one of these times; `types` are its columns."""
    return f"{_rows(dataset, types)} WHERE observed_at IN ({_moments(times)}) AND source IN ({texts(providers)})"


def rows_sql(dataset: str, types: Mapping[str, str], where: str) -> str:
    """SQL: the rows of a dataset's view that fulfil a condition."""
    return f"{_rows(dataset, types)} WHERE {where}"


LOCATING = {"news": ("id",), "insider": ("symbol", "id"), "quote": ("symbol", "ts"), "profile": ("symbol", "ts")}
"""Parts of a key that find few rows; of the other datasets but bars a symbol has few."""
SERIES_OF_BARS = ("symbol", "interval", "adjustment", "ts")
"""Parts of a bar's key that `where_sql` needs."""
KEYS_AT_ONCE, SERIES_AT_ONCE = 500, 25
"""A query's text stays below the 256 KiB that the engine parses."""


def where_sql(dataset: str, keys: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """SQL: conditions that together find the rows with these keys, and perhaps some more."""
    if dataset == "bars":
        yield from _where_bars(keys)
        return
    names = LOCATING.get(dataset, ("symbol",))
    many = list(dict.fromkeys(tuple(key[name] for name in names) for key in keys))
    for at in range(0, len(many), KEYS_AT_ONCE):
        some = many[at : at + KEYS_AT_ONCE]
        first = f"{names[0]} IN ({texts({str(values[0]) for values in some})})"
        if len(names) == 1:
            yield first
            continue
        columns = ", ".join(f"toUnixTimestamp64Milli({name})" if name == "ts" else name for name in names)
        listed = ", ".join(f"({', '.join(map(_literal, values))})" for values in some)
        yield f"{first} AND ({columns}) IN ({listed})"


def _where_bars(keys: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Ranges of time by series: a series' bars in a range are little more than those of its key."""
    ranges: dict[tuple[str, str, str], tuple[int, int]] = {}
    for key in keys:
        series, at = (key["symbol"], key["interval"], key["adjustment"]), key["ts"]
        first, last = ranges.get(series, (at, at))
        ranges[series] = min(first, at), max(last, at)
    alike: dict[tuple[str, str, int, int], list[str]] = {}
    for (symbol, interval, adjustment), (first, last) in ranges.items():
        alike.setdefault((interval, adjustment, first, last), []).append(symbol)
    terms = [
        f"(symbol IN ({texts(symbols[at : at + KEYS_AT_ONCE])}) AND interval = {text(interval)}"
        f" AND adjustment = {text(adjustment)} AND ts >= {_moment(first)} AND ts <= {_moment(last)})"
        for (interval, adjustment, first, last), symbols in alike.items()
        for at in range(0, len(symbols), KEYS_AT_ONCE)
    ]
    for at in range(0, len(terms), SERIES_AT_ONCE):
        yield f"({' OR '.join(terms[at : at + SERIES_AT_ONCE])})"


def _literal(value: Any) -> str:
    return text(value) if isinstance(value, str) else f"{value:d}"


def requests_sql(times: Iterable[int]) -> str:
    """SQL: (provider, time of receipt, request id) of the answers received at one of these times."""
    return f"""
        SELECT provider, toUnixTimestamp64Milli(received_at), request_id FROM raw_responses
        WHERE received_at IN ({_moments(times)})
    """  # noqa: S608


def texts(values: Iterable[str]) -> str:
    """A list of texts as SQL literals; one empty text where there is none."""
    return ", ".join(map(text, values)) or "''"


def wire(name: str, kind: str) -> str:
    """SQL: a column's value as it travels: times as ms UTC, dates as ISO strings."""
    if "DateTime64" in kind:
        return f"toUnixTimestamp64Milli({name})"
    return f"toString({name})" if "Date32" in kind else name


def _rows(dataset: str, types: Mapping[str, str]) -> str:
    return f"SELECT {', '.join(wire(name, kind) for name, kind in types.items())} FROM {DATASET_TABLES[dataset]}"  # noqa: S608


def _at(places: Sequence[Place]) -> str:
    """The answers at these places, found by the primary key."""
    providers, datasets, times, calls = (sorted(set(column)) for column in zip(*places, strict=True))
    return f"""
        FROM raw_responses WHERE provider IN ({texts(providers)}) AND dataset IN ({texts(datasets)})
        AND received_at >= {_moment(times[0])} AND received_at <= {_moment(times[-1])} AND call_id IN ({texts(calls)})
    """


def _moment(at: int) -> str:
    return f"fromUnixTimestamp64Milli({at:d})"


def _moments(times: Iterable[int]) -> str:
    return ", ".join(map(_moment, sorted(set(times)))) or "NULL"
