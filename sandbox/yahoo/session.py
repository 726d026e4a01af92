"""Yahoo's session: a cookie, the crumb that belongs to it, and the refusal of calls without."""

from __future__ import annotations

import base64
import hashlib

from sandbox.server.provider import Call, Reply

JSON = "application/json;charset=utf-8"
COOKIE = "A3"


def cookie(call: Call) -> Reply:
    """`/`, which is fc.yahoo.com: nothing is there, but the cookie is set."""
    value = hashlib.blake2b(f"{call.client}{call.now}".encode(), digest_size=12).hexdigest()
    return Reply("", 404, "text/html", cookies={COOKIE: value})


def getcrumb(call: Call) -> Reply:
    """`/v1/test/getcrumb`: the crumb that belongs to the cookie, good for this day."""
    if not call.cookies.get(COOKIE):
        return unauthorized("Invalid Cookie")
    return Reply(_crumb(call), content_type="text/plain;charset=utf-8")


def has_crumb(call: Call) -> bool:
    """Whether the call carries the crumb of its cookie."""
    return _crumb(call) is not None and call.query.get("crumb") == _crumb(call)


def _crumb(call: Call) -> str | None:
    value = call.cookies.get(COOKIE)
    if not value:
        return None
    digest = hashlib.blake2b(f"{value}{call.now.date()}".encode(), digest_size=9).digest()
    return base64.urlsafe_b64encode(digest).decode()[:11]


def unauthorized(description: str) -> Reply:
    """The refusal of a call without a session."""
    error = {"code": "Unauthorized", "description": description}
    return Reply({"finance": {"result": None, "error": error}}, 401, JSON)
