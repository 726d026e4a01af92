"""An answer as a person and as a program wants it: exact, readable, and never obeyed by a terminal."""

import asyncio
import csv
import io
import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from infra.clickhouse import Store
from streams.__main__ import main
from streams.commands.query import exact, for_people, vertical

WIDE = ", ".join(f"{n} AS column_{n}" for n in range(30))


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Run `tapestream query` on an empty store of its own; returns click's result."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "100")

    async def make():
        async with await Store.open(f"chdb://{tmp_path}/data/store"):
            pass

    asyncio.run(make())
    return lambda *words: CliRunner().invoke(main, ["query", *words])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1234567890123, "0.1234567890123"),
        (1234567.0, "1234567"),
        (1e-12, "1e-12"),
        (12345678901234567890, "12345678901234567890"),
        (None, ""),
        (True, "true"),
        ("[/red]x\x1b[2J", "[/red]x\\u001b[2J"),
        (datetime(2024, 6, 3, 13, 30, tzinfo=UTC), "2024-06-03T13:30:00+00:00"),
        ([1.5, "a"], '[1.5,"a"]'),
    ],
)
def test_a_value_is_shown_exactly(value, text):
    assert exact(value) == text


def test_markup_is_text(ask):
    found = ask("SELECT '[/foo]' AS a, '[red]b' AS c")

    assert found.exit_code == 0, found.output
    assert "[/foo]" in found.output
    assert "[red]b" in found.output


def test_columns_that_have_no_room_are_shown_row_by_row(ask):
    found = ask(f"SELECT {WIDE}")

    assert found.output.splitlines()[:3] == ["row 1", "  column_0   0", "  column_1   1"]
    assert "column_29  29" in found.output


def test_a_form_that_was_asked_is_kept():
    assert for_people(("a",), [(1,)], "vertical") == vertical(("a",), [(1,)]) == "row 1\n  a  1\n"
    assert "column_29" not in for_people([f"column_{n}" for n in range(30)], [], "table").partition("\n")[0]


@pytest.mark.parametrize(("form", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_separated_values_are_those_of_the_store(ask, form, delimiter):
    found = ask("SELECT 'a,b\tc' AS text, 0.1 + 0.2 AS sum, NULL AS nothing", "--format", form)

    assert list(csv.reader(io.StringIO(found.stdout), delimiter=delimiter)) == [
        ["text", "sum", "nothing"],
        ["a,b\tc", repr(0.1 + 0.2), ""],
    ]


def test_json_is_an_object_a_row(ask):
    found = ask("SELECT number, toString(number) AS text FROM numbers(2)", "--json")

    assert [json.loads(line) for line in found.stdout.splitlines()] == [
        {"number": 0, "text": "0"},
        {"number": 1, "text": "1"},
    ]


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_a_file_of_a_frame_library_holds_the_rows(ask, tmp_path, form):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import ipc, parquet

    path = tmp_path / f"rows.{form}"
    found = ask("SELECT number, 0.5 AS half FROM numbers(3)", "--format", form, "-o", str(path))

    assert found.exit_code == 0, found.output
    table = parquet.read_table(path) if form == "parquet" else ipc.open_file(pyarrow.memory_map(str(path))).read_all()
    assert table.to_pydict() == {"number": [0, 1, 2], "half": [0.5] * 3}
    assert "3 rows in" in found.stderr


def test_a_file_that_cannot_be_written_leaves_the_one_before(ask, tmp_path):
    (tmp_path / "folder").mkdir()
    found = ask("SELECT 1", "--format", "csv", "-o", str(tmp_path / "absent" / "rows.csv"))

    assert found.exit_code == 1
    assert "cannot be written: No such file or directory" in found.stderr
