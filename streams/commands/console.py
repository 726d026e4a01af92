"""How a user writes things on the command line, and how mistakes are answered: one line, no traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar

import click
import orjson
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connectors import Call, ConnectorError
from infra import settings
from infra.kafka.connection import BrokerUnreachable
from infra.settings import Settings, SettingsInvalid
from infra.terminal import printable
from streams.errors import TapestreamError

P = ParamSpec("P")
T = TypeVar("T")


def fail(message: str, code: int = 1) -> NoReturn:
    """End the process with one clear line."""
    say(f"tapestream: {message}", err=True)
    sys.exit(code)


def say(text: str, *, err: bool = False, end: str = "\n") -> None:
    """Print a text of any origin: what a terminal would obey is shown."""
    click.echo(printable(text) + end, err=err, nl=False)


def count(number: int, noun: str) -> str:
    """Return `1 record`, `2 records`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def say_json(value: Any) -> None:
    """Print one line of JSON."""
    say(orjson.dumps(value, default=str).decode())


def one_line_errors(command: Callable[P, T]) -> Callable[P, T]:
    """Turn the errors that a user can cause into one line and a non-zero exit."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except BrokerUnreachable as error:
            fail(f"{error}; `tapestream up` starts everything, KAFKA_URL names another broker")
        except TapestreamError as error:
            fail(str(error), error.exit_code)
        except ConnectorError as error:
            fail(str(error), 2)
        except ValidationError as error:
            fail(explain(error))
        except OSError as error:
            fail(str(error))

    return run


def explain(error: ValidationError) -> str:
    """One line of a validation error: where, and what was wrong."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{where} was {first['input']!r:.60}: {message}" if where else message


def load_settings() -> Settings:
    """Read the settings, or end with the line that says what is wrong."""
    try:
        return settings.load()
    except SettingsInvalid as error:
        fail(str(error))


def moment(text: str | None, *, end: bool = False) -> int | None:
    """Read `YYYY-MM-DD` or an ISO time (UTC without offset) as ms; an end given as a day includes that day."""
    if text is None:
        return None
    try:
        if len(text) == 10:
            day = date.fromisoformat(text) + timedelta(days=1 if end else 0)
            found = datetime(day.year, day.month, day.day, tzinfo=UTC)
        else:
            found = datetime.fromisoformat(text)
            found = found.replace(tzinfo=found.tzinfo or UTC)
    except ValueError:
        fail(f"{text!r} is no date; write 2024-06-03 or 2024-06-03T13:30:00Z", 2)
    return round(found.timestamp() * 1000)


def make_call(**given: Any) -> Call:
    """Make a call of what the user wrote, or end with what was wrong."""
    try:
        return Call(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        fail(explain(error), 2)


def show(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, as_json: bool = False, title: str = "") -> None:
    """Print rows as a table, or as JSON lines."""
    if as_json:
        for row in rows:
            say_json(dict(zip(columns, row, strict=True)))
        return
    table = Table(*columns, title=title or None, title_justify="left")
    for row in rows:
        table.add_row(*(Text("" if value is None else printable(cell(value))) for value in row))
    stage(160).print(table)


def stage(width: int) -> Console:
    """The console that draws tables and progress; `width` in characters where there is no terminal."""
    return Console(width=None if sys.stdout.isatty() else width)


def cell(value: Any) -> str:
    """One value as a person reads it: UTC times without needless parts, numbers without noise."""
    if isinstance(value, datetime):
        return (
            f"{value:%Y-%m-%d}"
            if (value.hour, value.minute, value.second) == (0, 0, 0)
            else f"{value:%Y-%m-%d %H:%M:%S}"
        )
    if isinstance(value, float):
        return f"{value:.2e}" if 0 < abs(value) < 0.001 else f"{value:,.4f}".rstrip("0").rstrip(".")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, str) and value.endswith("+00:00"):
        return value.removesuffix("+00:00").removesuffix("T00:00:00").replace("T", " ")
    return str(value)
