"""Takes keys out of what a provider sends back, in every spelling a program may give them. Pure.

A text is undone, a layer of escapes at a time, and each layer is searched. What is found is cut out of the text as it
came, so that the rest stays byte for byte. Letters count in either case. A form of a key is the key, either half of
`id:secret`, both halves exchanged, and each of these in hexadecimal and in base64. Base64 turns three bytes into four
characters: a key inside a longer text stands at one of three alignments, and is searched by the characters that depend
on the key alone.
"""

from __future__ import annotations

import base64
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.entities import html5

SHORTEST = 8
"""Shorter keys ("demo") are no secrets, and words of bodies."""
HIDDEN = b"***"
LAYERS = 5
"""Escapes within escapes, such as a URL in JSON in a page; each layer costs one more reading of the text."""
WINDOW = 65_536
"""Bytes that are searched at a time: what is made of them stays small, and other threads get their turn."""
SPELLED = 32
"""Bytes that one character may take when it is escaped: `&amp;#x0000002f;` takes 16."""

_NAMES = {name: char for name, char in html5.items() if len(char) == 1 and "!" <= char <= "~"}
_ESCAPE = re.compile(
    rb"""
      \\+ (?: u00 | x )          ([0-9A-Fa-f]{2})       # JSON
    | \\+ u \{ 0*               ([0-9A-Fa-f]{1,2}) \}  # JavaScript
    | %   (?: u00 )?             ([0-9A-Fa-f]{2})       # URLs
    | &\# [xX] 0*                ([0-9A-Fa-f]{1,2}) ;?  # HTML and XML
    | &\#      0*                ([0-9]{1,3}) ;?
    | &                          (NAMES)
    | (?: \\+ | \x00+ )          ([\x01-\x7f])          # JSON's \/ and \"; UTF-16
    """.replace(b"NAMES", "|".join(sorted(_NAMES, key=len, reverse=True)).encode()),
    re.VERBOSE | re.DOTALL,
)
_FOLDED = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ-_", b"abcdefghijklmnopqrstuvwxyz+/")
"""Either case, and either alphabet of base64."""


class Redactor:
    """Hides secrets: keys, tokens, passwords. Those shorter than `SHORTEST` characters are none."""

    def __init__(self, *secrets: str) -> None:
        forms = {form for secret in secrets for part in _parts(secret) for form in _forms(part.encode())}
        self._forms = sorted({_folded(spelled) for form in forms for spelled in (form, _plain(form))})
        self._reach = SPELLED * max(map(len, self._forms), default=0)

    def body(self, body: bytes) -> bytes:
        """Return the bytes with every secret replaced by `***`."""
        kept, at = [], 0
        for first, last in self._spans(body):
            kept += [body[at:first], HIDDEN]
            at = last
        return b"".join([*kept, body[at:]]) if kept else body

    def text(self, text: str) -> str:
        """Return the text with every secret replaced by `***`."""
        return self.body(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def finds(self, text: str) -> bool:
        """Return whether any secret is in the text."""
        return next(self._spans(text.encode("utf-8", "surrogatepass")), None) is not None

    def _spans(self, body: bytes) -> Iterator[tuple[int, int]]:
        """Where secrets are, as (first, last exclusive), in order and apart from each other."""
        if not self._forms:
            return
        open_, close = -1, -1
        for start in range(0, len(body), WINDOW):
            low = max(0, start - self._reach)
            found = self._found(body[low : start + WINDOW])
            for first, last in sorted((low + first, low + last) for first, last in found):
                if first <= close:
                    close = max(close, last)
                    continue
                if close > open_:
                    yield open_, close
                open_, close = first, last
        if close > open_:
            yield open_, close

    def _found(self, piece: bytes) -> Iterator[tuple[int, int]]:
        undone: list[_Undone] = []
        for _ in range(LAYERS):
            folded = _folded(piece)
            for form in self._forms:
                at = folded.find(form)
                while at >= 0:
                    span = (at, at + len(form))
                    for layer in reversed(undone):
                        span = layer.source(*span)
                    yield span
                    at = folded.find(form, at + 1)
            layer = _undo(piece)
            if not layer.outs:
                return
            undone.append(layer)
            piece = layer.text


@dataclass(slots=True)
class _Undone:
    """A text without its outermost escapes, and for each escape where its character is, and where it was."""

    text: bytes = b""
    outs: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def source(self, first: int, last: int) -> tuple[int, int]:
        """Where the characters `first` up to `last` (exclusive) stood, with all of their escapes."""
        return self._place(first)[0], self._place(last - 1)[1]

    def _place(self, at: int) -> tuple[int, int]:
        nearest = bisect_right(self.outs, at) - 1
        if nearest < 0:
            return at, at + 1
        if self.outs[nearest] == at:
            return self.starts[nearest], self.ends[nearest]
        place = self.ends[nearest] + at - self.outs[nearest] - 1
        return place, place + 1


def _undo(text: bytes) -> _Undone:
    found = _Undone()
    pieces, length, at = [], 0, 0
    for match in _ESCAPE.finditer(text):
        char = _char(match)
        if char is None:
            continue
        start, end = match.span()
        pieces += [text[at:start], char]
        length += start - at + 1
        at = end
        found.outs.append(length - 1)
        found.starts.append(start)
        found.ends.append(end)
    found.text = b"".join([*pieces, text[at:]])
    return found


def _char(match: re.Match[bytes]) -> bytes | None:
    """The character of an escape; None for one outside ASCII, which no key has."""
    *hexadecimal, decimal, name, plain = match.groups()
    if name:
        return _NAMES[name.decode()].encode()
    if plain:
        return plain
    code = int(decimal) if decimal else next(int(digits, 16) for digits in hexadecimal if digits)
    return bytes([code]) if code < 128 else None


def _plain(text: bytes) -> bytes:
    for _ in range(LAYERS):
        text = _undo(text).text
    return text


def _folded(text: bytes) -> bytes:
    return text.translate(_FOLDED)


def _parts(secret: str) -> list[str]:
    """What of a secret is to be hidden: all of it, its parts, and the two halves of a pair exchanged."""
    first, _, rest = secret.partition(":")
    found = {secret, *secret.split(":"), rest, f"{rest}:{first}" if rest else ""}
    return [part for part in found if len(part) >= SHORTEST]


def _forms(secret: bytes) -> Iterator[bytes]:
    yield secret
    yield secret.hex().encode()
    for before in range(3):
        coded = base64.b64encode(bytes(before) + secret + bytes(2))
        yield coded[-(-8 * before // 6) : 8 * (before + len(secret)) // 6]
