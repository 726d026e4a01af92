"""What the commands print: a provider's text is shown, never obeyed, and a mistake is one line."""

import json

import pytest

from streams.commands.console import fail, say, say_json, show

HOSTILE = "\x1b]0;owned\x07\r\x9b2J\u202e[red]x[/red][link=file:///etc/passwd]y"
SHOWN = "\\u001b]0;owned\\u0007\\u000d\\u009b2J\\u202e[red]x[/red][link=file:///etc/passwd]y"


def test_a_line_shows_what_a_terminal_would_obey(capsys):
    say(f"unserved: {HOSTILE}")
    say(HOSTILE, err=True, end="")

    assert capsys.readouterr() == (f"unserved: {SHOWN}\n", SHOWN)


def test_a_table_shows_it_too_and_reads_no_markup(capsys):
    show(("who", "what"), [(HOSTILE, 1)])

    assert SHOWN in capsys.readouterr().out


def test_json_means_the_same(capsys):
    say_json({"reason": HOSTILE})
    show(("reason",), [(HOSTILE,)], as_json=True)

    out = capsys.readouterr().out
    assert [json.loads(line) for line in out.split("\n")[:-1]] == [{"reason": HOSTILE}] * 2
    assert out.replace("\n", "").isprintable()


def test_a_mistake_shows_it_and_ends(capsys):
    with pytest.raises(SystemExit) as ended:
        fail(HOSTILE, 2)

    assert ended.value.code == 2
    assert capsys.readouterr().err == f"tapestream: {SHOWN}\n"
