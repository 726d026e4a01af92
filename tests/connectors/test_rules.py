"""Rules that a row can break: those that the code names are those that docs/DATASETS.md lists, and no other."""

import ast
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.errors import FieldError, MalformedPayload
from connectors.reading import broken_rule
from connectors.records import Metrics, Quote
from streams.processing import validate

ROOT = Path(__file__).parents[2]
SOURCES = [path for package in ("agents", "connectors", "streams") for path in ROOT.glob(f"{package}/**/*.py")]
PAIRS = {ROOT / "connectors" / "reading.py", ROOT / "streams" / "processing" / "validate.py"}
"""Modules whose functions give (rule, reason)."""
WORDED = {"FieldError", "MalformedPayload", "Reject"}
"""Calls whose text becomes the reason of a dead letter."""
WHOLE_ANSWER = MalformedPayload.__name__
"""The rule that an answer as a whole breaks: the name of its refusal."""


def listed():
    text = (ROOT / "docs" / "DATASETS.md").read_text(encoding="utf-8")
    table = text.partition("### Rules that a rejected row can break")[2]
    return {rule for row in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE) for rule in re.findall(r"`(\w+)`", row)}


def first_text(node):
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def named_in(path):
    """Rules that a module names: of a FieldError, of a letter, or of a (rule, reason) that it gives."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            place = {"FieldError": 0, "_letter": 3, "_dead": 1}.get(name)
            if place is not None and len(node.args) > place:
                yield first_text(node.args[place])
            if name in {"Reject", "letter"}:
                yield from (first_text(word.value) for word in node.keywords if word.arg == "rule")
        elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and path in PAIRS:
            yield (
                first_text(node.elts[0]) if isinstance(node.elts[1], ast.Constant | ast.JoinedStr | ast.Call) else None
            )


def test_rules_of_the_code_are_those_that_are_listed():
    named = {rule for path in SOURCES for rule in named_in(path)} - {None}

    assert {*validate.REASONS, *validate.OPTIONAL, WHOLE_ANSWER} | named == listed()


def fault_of(read):
    with pytest.raises((LookupError, TypeError, ValueError, AttributeError, ArithmeticError)) as caught:
        read({"a": 1, "list": []})
    return broken_rule(caught.value)


@pytest.mark.parametrize(
    ("read", "rule", "reason"),
    [
        (lambda row: row["date"], "shape", '"date" is missing'),
        (lambda row: row["list"][0], "shape", "a list is shorter than documented"),
        (lambda row: row["a"]["b"], "shape", "a value is not of the documented shape"),
        (lambda row: row["a"].strip(), "shape", "a value is not of the documented shape"),
        (lambda row: row["a"] / 0, "ratio", "a divisor is zero"),
        (lambda row: 10.0 ** (row["a"] * 400), "number", "a number is too large"),
    ],
)
def test_fault_of_a_row_is_told_in_words_about_the_data(read, rule, reason):
    assert fault_of(read) == (rule, reason)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"price": "x"}, 'price cannot be "x"'),
        ({"ts": None}, "ts is absent"),
        ({"asset_class": "bond"}, 'asset_class cannot be "bond"'),
    ],
)
def test_field_that_a_record_cannot_have_is_named_with_its_value(fields, reason):
    good = {"symbol": "ABC", "asset_class": "equity", "source": "x", "observed_at": 1, "request_id": "r", "ts": 1}
    with pytest.raises(ValidationError) as caught:
        Quote(**{**good, **fields})

    assert broken_rule(caught.value) == ("field", reason)


def test_field_of_several_types_is_named_without_them():
    good = {"symbol": "ABC", "asset_class": "equity", "source": "x", "observed_at": 1, "request_id": "r"}
    with pytest.raises(ValidationError) as caught:
        Metrics(**good, kind="ratios", period=None, as_of="2024-01-02", values={"pe": 1.0})

    assert broken_rule(caught.value) == ("field", "period is absent")


def test_rule_of_an_unreadable_value_is_its_own():
    assert broken_rule(FieldError("time", "it is late")) == ("time", "it is late")


def test_value_of_a_payload_is_shown_as_json_writes_it():
    """A value that a reason repeats by `!r` would be written in Python: None for null."""
    repeated = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in WORDED
        for part in ast.walk(node)
        if isinstance(part, ast.FormattedValue) and part.conversion == ord("r")
    ]

    assert repeated == []
