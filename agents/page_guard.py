"""Who may call the worker's pages: a program that shows the token and names the worker's own host.

The token alone keeps other users of the machine out. A web browser needs more: it sends requests of any web page, to
127.0.0.1 as well, and an attacker's name may resolve to this host (DNS rebinding). A request therefore names a host of
ours, comes from no other origin, and posts a type that no web page sends without asking first.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from streams.runtime.pages import SQL

HOST = re.compile(r"(?P<name>[^\[\]:]+|\[[^\[\]]+\])(?::[0-9]{1,5})?")
LIVE = "/live/"
"""The one page without a token: it says that the process answers, and nothing else."""
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PageGuard:
    """Refuses requests before any page sees them.

    Args:
        token: what a caller shows as `Authorization: Bearer …`.
        names: host names of the worker, by commas, beside `localhost` and addresses, which no DNS can lend to others.
    """

    def __init__(self, token: str, names: str = "") -> None:
        self._token = token.encode()
        self._names = {"localhost", *(name.strip().lower() for name in names.split(",") if name.strip())}

    @property
    def middleware(self) -> Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]:
        """What aiohttp runs before every page."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            if refusal := self._refusal(request):
                status, reason = refusal
                more = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
                return web.json_response({"error": reason}, status=status, headers={**HEADERS, **more})
            if request.path == LIVE:
                return web.json_response({"live": True}, headers=HEADERS)
            answer = await handler(request)
            answer.headers.update(HEADERS)
            return answer

        return guard

    def _refusal(self, request: web.Request) -> tuple[int, str] | None:
        """The status and reason of a refusal; None for a request that may pass."""
        if not self._is_ours(request.host):
            return 403, "the Host is not one of this worker's names: call it by its address, or set WEB_NAMES"
        origin = request.headers.get("Origin")
        if origin is not None and origin.lower().partition("://")[2] != request.host.lower():
            return 403, "a page of another origin may not call this worker"
        if request.path == LIVE and request.method in {"GET", "HEAD"}:
            return None
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        token = shown.strip().encode(errors="surrogateescape")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token, self._token):
            return 401, "show the worker's token as Authorization: Bearer …; it is in DATA_DIR, or is WEB_TOKEN"
        if request.method not in {"GET", "HEAD"} and request.content_type != SQL:
            return 415, f"send the question as Content-Type: {SQL}"
        return None

    def _is_ours(self, host: str) -> bool:
        found = HOST.fullmatch(host.lower())
        if not found:
            return False
        if found["name"] in self._names:
            return True
        try:
            ipaddress.ip_address(found["name"].strip("[]"))
        except ValueError:
            return False
        return True
