"""Recognises an answer that is not the provider's: a page, nothing, or the words of a gateway on the way to it. Pure.

Firewalls, load balancers and maintenance pages answer under the statuses by which providers refuse. None of them knows
a key, a plan or a symbol. So nobody but the provider itself may be believed about these, and its own refusals are
texts or JSON that say something.
"""

from __future__ import annotations

import re

import orjson

from connectors.calls import Answer

WORDS = frozenset(
    {
        "forbidden",
        "access denied",
        "access forbidden",
        "blocked",
        "request blocked",
        "missing authentication token",  # AWS: the path is unknown
        "user is not authorized to access this resource",
        "user is not authorized to access this resource with an explicit deny",
        "no route matched with those values",  # Kong
        "failure to get a peer from the ring-balancer",
        "an invalid response was received from the upstream server",
        "the upstream server is timing out",
        "upstream request timeout",  # Envoy
        "no healthy upstream",
        "rbac: access denied",
        "endpoint request timed out",
        "bad gateway",
        "service unavailable",
        "service temporarily unavailable",
        "gateway timeout",
        "gateway time-out",
        "internal server error",
        "default backend - 404",  # Kubernetes
        "404 page not found",
    }
)
"""Whole texts, in lower case. Alpaca's own "forbidden." has a full stop; "Unauthorized" is about a key."""
PATTERNS = re.compile(r"error code: 1\d{3}|upstream connect error.{0,200}|(40[0-9]|50[0-9]) (forbidden|bad gateway)")
MEMBERS = ("message", "Message", "error", "detail")
"""Where a gateway's JSON says it. Others beside it are a status, a path, an id."""
BESIDE = frozenset({"status", "statusCode", "status_code", "code", "path", "timestamp", "requestId", "request_id"})
SHORT = 500  # bytes: a gateway's words are few
MARKUP = re.compile(rb"\s*<")
TITLE = re.compile(rb"<title[^>]*>\s*(.{1,60}?)\s*</title>", re.IGNORECASE | re.DOTALL)


def gateway_answer(answer: Answer) -> str | None:
    """Say what stands in the provider's place; None for an answer that may be its own."""
    body = answer.body
    if not body.strip():
        return f"HTTP {answer.status} with an empty body"
    if MARKUP.match(body):
        title = TITLE.search(body)
        named = f" ({title[1].decode('utf-8', 'replace')})" if title else ""
        return f"HTTP {answer.status}: a web page{named} instead of data"
    if len(body) <= SHORT and (words := _gateway_words(body)):
        return f"HTTP {answer.status}: a gateway said {words!r}"
    return None


def _gateway_words(body: bytes) -> str | None:
    said = _text_of(body)
    plain = said.strip().lower() if said else ""
    return said if plain in WORDS or PATTERNS.fullmatch(plain) else None


def _text_of(body: bytes) -> str | None:
    """The text of a body that says nothing else: plain, a JSON text, or a JSON object with one text."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")
    if isinstance(found, dict):
        names = [name for name in MEMBERS if name in found]
        found = found[names[0]] if len(names) == 1 and found.keys() <= {*names, *BESIDE} else None
    return found if isinstance(found, str) else None
