"""What may reach a terminal. Pure.

A terminal obeys some characters instead of showing them. A provider's text may hold them, and so move the cursor, hide
what was printed before, rename the window, or turn words around. Such a character is shown as JSON writes it, which
changes nothing in a text that is JSON.
"""

from __future__ import annotations

import re

_OBEYED = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but for tab and line feed, DEL, C1: ESC and CR begin or are commands
    "\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"  # direction, and what is invisible
    "\ud800-\udfff"  # halves of a character cannot be encoded
    "\U000e0000-\U000e007f"  # tags, which are invisible
    "]"
)


def printable(text: str) -> str:
    """Return the text as it may be printed: what a terminal obeys is written as JSON escapes it."""
    return _OBEYED.sub(_written, text)


def _written(match: re.Match[str]) -> str:
    pairs = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{pairs[at : at + 4]}" for at in range(0, len(pairs), 4))
