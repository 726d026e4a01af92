"""The only outbound HTTP. Places the key, keeps it out of everything that is kept, bounds time and size.

httpx is imported here and nowhere else.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from connectors import Answer, Connector, Request
from connectors.errors import ProviderUnavailable
from infra import telemetry
from infra.clock import now_ms

log = telemetry.get(__name__)

KEPT_HEADERS = frozenset(
    {"content-type", "retry-after", "date", "etag", "location", "server"}
    | {"x-request-id", "x-response-id", "proxy-status"}
)
KEPT_PREFIXES = ("x-ratelimit-", "x-brd-", "ratelimit-")
MAX_REDIRECTS = 5
TOKEN = re.compile(r"\S{1,64}")  # a page of text instead is a refusal
SHORTEST_SECRET = 8  # shorter keys ("demo") are no secrets, and words of bodies
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"
"""Yahoo answers browsers only; the others do not care."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """One finished exchange: the answer without secrets, the URL without its key, times in ms."""

    answer: Answer
    url: str
    started_at: int
    latency_ms: int


class Transport:
    """Outbound HTTP of one process: connections are shared, sessions (cookies and crumbs) are per provider."""

    def __init__(self, *, timeout_s: float, body_limit: int, base_urls: Mapping[str, str]) -> None:
        self._timeout_s = timeout_s
        self._body_limit = body_limit
        self._base_urls = base_urls
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._tokens: dict[str, str] = {}
        self._opening: dict[str, asyncio.Lock] = {}

    async def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def fetch(self, connector: Connector, request: Request, key: str) -> Fetched:
        """Send one request. Raises `ProviderUnavailable` when no complete answer came back in time."""
        client = self._client(connector.name)
        base = self._base(connector, request.endpoint)
        params, headers = connector.auth.place(key)
        request = connector.auth.address(request, key)
        handshake = connector.auth.handshake
        url = (
            base
            + request.path
            + ("?" + urlencode(request.params, quote_via=quote, safe=",:/") if request.params else "")
        )
        started_at, clock = now_ms(), time.perf_counter()
        secrets = _worth_hiding(key, *key.split(":"))
        try:
            async with asyncio.timeout(self._timeout_s):
                if handshake and request.endpoint in handshake.endpoints:
                    token = params[handshake.token_param] = await self._token(connector, client)
                    secrets += _worth_hiding(token)
                outgoing = client.build_request(
                    request.method,
                    base + request.path,
                    params={**request.params, **params},
                    headers={**connector.headers, **headers},
                    json=request.body,
                )
                response = await self._exchange(client, outgoing, connector.headers, headers)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError) as error:
            reason = _redact(f"{type(error).__name__}: {error}", secrets)
            raise ProviderUnavailable(f"{connector.name} {request.path}: {reason}") from None
        status, kept, body = response
        latency = round((time.perf_counter() - clock) * 1000)
        answer = Answer(
            status=status,
            headers={name: _redact(value, secrets) for name, value in kept.items()},
            body=_redact_bytes(body, secrets),
            observed_at=started_at + latency,
        )
        return Fetched(answer=answer, url=_redact(url, secrets), started_at=started_at, latency_ms=latency)

    def forget_session(self, provider: str) -> None:
        """Drop a session that was refused; the next fetch opens a new one."""
        self._tokens.pop(provider, None)
        if provider in self._clients:
            self._clients[provider].cookies.clear()

    async def _exchange(
        self, client: httpx.AsyncClient, outgoing: httpx.Request, public: Mapping[str, str], secret: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """Send, and follow redirects: another host gets neither our key's headers nor its query parameters."""
        home = _origin(outgoing.url)
        for _ in range(MAX_REDIRECTS):
            response = await client.send(outgoing, stream=True)
            try:
                if response.next_request is None:
                    return response.status_code, _kept(response.headers), await self._body(response)
                target = response.next_request.url
            finally:
                await response.aclose()
            ours = secret if _origin(target) == home else {}
            outgoing = client.build_request("GET", target, headers={**public, **ours})
        raise httpx.TooManyRedirects(f"more than {MAX_REDIRECTS} redirects", request=outgoing)

    async def _body(self, response: httpx.Response) -> bytes:
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > self._body_limit:
                raise httpx.StreamError(f"body is larger than {self._body_limit} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    def _client(self, provider: str) -> httpx.AsyncClient:
        if provider not in self._clients:
            self._clients[provider] = httpx.AsyncClient(
                http2=True,
                timeout=httpx.Timeout(self._timeout_s, connect=min(10.0, self._timeout_s)),
                limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
                headers={"User-Agent": AGENT, "Accept-Encoding": "gzip, br"},
                trust_env=False,
            )
        return self._clients[provider]

    def _base(self, connector: Connector, endpoint: str) -> str:
        return self._base_urls.get(connector.name) or connector.hosts.get(endpoint, connector.base_url)

    async def _token(self, connector: Connector, client: httpx.AsyncClient) -> str:
        """Open the provider's session once: cookies into the client's jar, then the token."""
        handshake = connector.auth.handshake
        assert handshake is not None
        async with self._opening.setdefault(connector.name, asyncio.Lock()):
            if connector.name not in self._tokens:
                base, headers = self._base_urls.get(connector.name), connector.headers
                cookie_url = f"{base}/" if base else handshake.cookie_url
                await client.get(cookie_url, headers=headers, follow_redirects=True)
                answer = await client.get((base or connector.base_url) + handshake.token_path, headers=headers)
                token = answer.text.strip()
                if answer.status_code != 200 or not TOKEN.fullmatch(token):
                    raise ProviderUnavailable(f"{connector.name} session: HTTP {answer.status_code} without a token")
                self._tokens[connector.name] = token
            return self._tokens[connector.name]


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _kept(headers: Any) -> dict[str, str]:
    """The headers that matter: lower-case names, no cookies."""
    return {
        name.lower(): value
        for name, value in headers.items()
        if name.lower() in KEPT_HEADERS or name.lower().startswith(KEPT_PREFIXES)
    }


def _worth_hiding(*texts: str) -> list[str]:
    return [text for text in texts if len(text) >= SHORTEST_SECRET]


def _redact(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
    return text


def _redact_bytes(body: bytes, secrets: list[str]) -> bytes:
    """Some providers repeat the key in their refusals."""
    for secret in secrets:
        body = body.replace(secret.encode(), b"***").replace(quote(secret, safe="").encode(), b"***")
    return body
