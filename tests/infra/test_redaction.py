"""Keys in what a provider sends back: none stays, however it is spelled, and nothing else is touched."""

import base64
import html
import json
import re
import string
from html.entities import codepoint2name
from urllib.parse import unquote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from infra.redaction import SHORTEST, WINDOW, Redactor

PRINTABLE = "".join(chr(code) for code in range(33, 127))
HALVES = st.text(re.sub(r"[:%&\\]", "", PRINTABLE), min_size=SHORTEST, max_size=40)  # what begins no escape by itself
KEYS = st.one_of(HALVES, st.tuples(HALVES, HALVES).map(":".join))
ODD = st.text(PRINTABLE, min_size=SHORTEST, max_size=40)
PLAIN = st.text(string.ascii_letters + string.digits + ' "{}[],.<>', max_size=20)
ANY = st.text(max_size=20)

SPELLINGS = {
    "as it is": lambda char: [char],
    "other case": lambda char: [char.swapcase()],
    "JSON": lambda char: [f"\\u{ord(char):04x}", f"\\u{ord(char):04X}", json.dumps(char)[1:-1]],
    "a slash in JSON": lambda char: ["\\/" if char == "/" else char],
    "JavaScript": lambda char: [f"\\x{ord(char):02x}", f"\\u{{{ord(char):x}}}", f"\\u{{{ord(char):06X}}}"],
    "URL": lambda char: [f"%{ord(char):02x}", f"%{ord(char):02X}", f"%{ord(char):02x}".swapcase()],
    "URL twice": lambda char: [
        f"%25{ord(char):02x}",
        f"%25%{ord('a'):02x}" if char == "\xaa" else f"%2525{ord(char):02X}",
    ],
    "HTML decimal": lambda char: [f"&#{ord(char)};", f"&#{ord(char):07d};"],
    "HTML hexadecimal": lambda char: [f"&#x{ord(char):x};", f"&#X{ord(char):06X};"],
    "HTML by name": lambda char: [
        f"&{codepoint2name[ord(char)]};" if ord(char) in codepoint2name else f"&#{ord(char)};"
    ],
    "HTML twice": lambda char: [f"&amp;#{ord(char)};", f"&amp;#x{ord(char):X};"],
    "a URL in JSON": lambda char: [f"\\u0025{ord(char):02x}"],
    "JSON in JSON": lambda char: [f"\\\\u{ord(char):04x}"],
    "UTF-16": lambda char: [f"{char}\0", f"\0{char}"],
}
MIXED = sorted(SPELLINGS)


@st.composite
def spelled(draw, key, names=None):
    """The key, each character in a spelling that is drawn."""
    uniform = names or (draw(st.sampled_from(MIXED)),)
    return "".join(draw(st.sampled_from(SPELLINGS[draw(st.sampled_from(uniform))](char))) for char in key)


def undone(text):
    """Everything that programs make of a text: escapes of JSON, URLs and HTML, in any order, up to three deep."""
    found = {text}
    for _ in range(3):
        for known in list(found):
            found |= {
                unquote(known, errors="replace"),
                html.unescape(known),
                re.sub(r"\\+(?:u00|x|u\{0*)([0-9A-Fa-f]{2})\}?", lambda match: chr(int(match[1], 16)), known),
                re.sub(r"\\+(.)", r"\1", known),
                known.replace("\0", ""),
            }
    return found


def hidden(key, text):
    parts = [part for part in {key, *key.split(":")} if len(part) >= SHORTEST]
    return not any(part.lower() in known.lower() for known in undone(text) for part in parts)


@given(st.data(), KEYS, PLAIN, PLAIN)
def test_a_key_in_any_spelling_is_cut_out_and_its_surroundings_stay(data, key, before, after):
    assume(hidden(key, before) and hidden(key, after))
    echo = data.draw(spelled(key))
    redacted = Redactor(key).text(f"{before}«{echo}»{after}")

    assert redacted.replace("\0", "") in {f"{before}«***»{after}", f"{before}«***:***»{after}"}


@given(st.data(), KEYS)
def test_every_character_may_be_spelled_in_its_own_way(data, key):
    echo = data.draw(spelled(key, MIXED))

    assert hidden(key, Redactor(key).text(f"<{echo}>"))


@given(st.data(), ODD, ANY, ANY)
@example(None, "2Fabcdefg", "%", "")
@example(None, "abcdefgh%4", "", "1")
@example(None, "u0041abcdef", "\\", "")
@example(None, "abcdefgh&", "", "amp;")
@example(None, "#47;abcdefgh", "&", "")
def test_no_surroundings_hide_a_key(data, key, before, after):
    echo = data.draw(spelled(key, ("as it is", "other case"))) if data else key

    assert echo.lower() not in Redactor(key).text(before + echo + after).lower()


@given(HALVES, HALVES)
def test_the_halves_of_a_key_are_hidden_alone_and_exchanged(ident, secret):
    assume(ident.lower() not in secret.lower() and secret.lower() not in ident.lower())
    redactor = Redactor(f"{ident}:{secret}")

    assert redactor.text(f"<{ident}> <{secret}> <{secret}:{ident}>") == "<***> <***> <***>"


@given(
    st.text(PRINTABLE.replace(":", ""), min_size=4, max_size=7),
    st.text(PRINTABLE.replace(":", ""), min_size=4, max_size=7),
)
def test_short_halves_are_hidden_as_a_pair(ident, secret):
    redacted = Redactor(f"{ident}:{secret}").text(f" {ident}:{secret} {secret}:{ident} ")

    assert f"{ident}:{secret}" not in redacted
    assert f"{secret}:{ident}" not in redacted


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@given(KEYS, st.binary(max_size=7), st.binary(max_size=7))
def test_a_key_inside_base64_is_cut_out_at_every_alignment(encode, key, before, after):
    coded = encode(before + key.encode() + after).decode()
    left, mark, right = Redactor(key).text(coded).partition("***")
    right = right.rpartition("***")[2]

    assert mark
    assert coded.startswith(left)
    assert coded.endswith(right)
    assert len(left) <= -(-len(before) * 8 // 6)  # at most the character that a byte before the key reaches into
    assert len(right) <= -(-len(after) * 8 // 6) + 1 + 2  # and the padding


@given(KEYS, st.sampled_from([str.lower, str.upper]), PLAIN)
def test_a_key_in_hexadecimal_is_cut_out(key, case, after):
    assert key.encode().hex() not in Redactor(key).text(case(key.encode().hex()) + " " + after).lower()


@given(st.data(), KEYS, st.integers(-400, 400), st.integers(1, 2))
def test_a_key_on_the_border_of_two_windows_is_found(data, key, offset, windows):
    before = b"." * (windows * WINDOW + offset)
    echo = data.draw(spelled(key)).encode()

    assert hidden(
        key, Redactor(key).body(before + echo + before)[windows * WINDOW - 1_000 :].lstrip(b".").decode()[:2_000]
    )


@given(ANY, KEYS)
def test_a_text_without_the_key_stays_as_it_is(text, key):
    assume(hidden(key, text))

    assert Redactor(key).text(text) == text


@given(st.binary(max_size=200))
def test_bytes_that_are_no_text_stay_as_they_are(body):
    assert Redactor("a-key-that-is-nowhere").body(body) == body


def test_a_short_key_is_a_word():
    assert Redactor("demo", "").text("the demo key is for AAPL only") == "the demo key is for AAPL only"


def test_json_around_a_key_stays_json():
    key = 'ab/cd\\ef"gh'
    body = json.dumps({"error": f'unknown "{key}"', "key": key, "next": "c:\\\\" + key}).replace("/", "\\/").encode()

    assert json.loads(Redactor(key).body(body)) == {"error": 'unknown "***"', "key": "***", "next": "c:***"}


def test_several_secrets_are_hidden_at_once():
    redactor = Redactor("first-secret", "second-secret")

    assert redactor.text("second-secret first-secretsecond-secret") == "*** ***"
    assert redactor.finds("%66irst-secret")
    assert not redactor.finds("third-secret")
