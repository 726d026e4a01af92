"""What may reach a terminal: nothing that it obeys."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.terminal import printable

OBEYED = {
    "clears the screen": "\x1b[2J",
    "names the window": "\x1b]0;owned\x07",
    "writes over the line": "done\rfailed",
    "begins a command with one character": "\x9b31m",
    "deletes": "abc\x08\x7f",
    "turns the direction": "\u202egpj.exe",
    "isolates": "\u2066admin\u2069",
    "hides": "pay\u200bpal\ufeff",
    "is half a character": "\ud800",
    "is a tag": "\U000e0041",
}


@pytest.mark.parametrize("text", OBEYED.values(), ids=list(OBEYED))
def test_what_a_terminal_obeys_is_shown(text):
    shown = printable(text)

    assert shown.isprintable()
    assert json.loads(f'"{shown}"') == text


@pytest.mark.parametrize(
    "text", ["Nestlé S.A.", "東京電力", "👍🏽", "a\tb\nc", "שלום", "zero-width \u200d joiner", "1 000 €"]
)
def test_what_people_write_stays_as_it_is(text):
    assert printable(text) == text


@given(st.text())
def test_no_control_is_left_and_json_means_the_same(text):
    shown = printable(text)

    assert not [char for char in shown if unicodedata.category(char) in {"Cc", "Cs"} and char not in "\t\n"]
    assert not [
        char for char in shown if unicodedata.bidirectional(char) in {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI"}
    ]
    assert json.loads(printable(json.dumps(text, ensure_ascii=False))) == text
