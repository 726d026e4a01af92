"""The only outbound HTTP. Places the key, keeps it on the provider's origin, bounds time, size and redirects.

A key travels to the origin (scheme, host, port) that the provider declares, or that `<PROVIDER>_URL` names, and to no
other: every URL is built, parsed by the library that sends it, and compared. httpx is imported here and nowhere else.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version
from itertools import islice
from ssl import SSLContext
from urllib.parse import quote, unquote, urlencode

import httpx

from agents.polling.bodies import BodyRefused, TooLarge, decoded
from connectors import Answer, Connector, Request
from connectors.calls import LONGEST_REQUEST, is_path
from connectors.errors import InvalidRequest, ProviderUnavailable
from infra.clock import SYSTEM
from infra.redaction import Redactor

KEPT_HEADERS = frozenset(
    {"content-type", "retry-after", "date", "etag", "location", "server", "x-request-id", "x-response-id"}
    | {"proxy-status", "deprecation", "sunset"}
)
KEPT_PREFIXES = ("x-ratelimit-", "x-brd-", "ratelimit-")
MOST_HEADERS, LONGEST_HEADER = 64, 2_048  # kept of one answer, in characters each: they travel beside every raw body
FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, BodyRefused, UnicodeError, OSError, TimeoutError)
"""What a provider can make of an exchange; a host name that cannot be encoded is a `UnicodeError`."""
TOKEN = re.compile(r"\S{1,64}")  # a page of text instead is a refusal
TOKEN_BYTES = 4_096  # what a session's token may be read of: the robot page that comes instead is cut here
HANDSHAKE_S = 10.0  # a session takes two small answers; the rest of the call's time is the call's
HANDSHAKE_REDIRECTS = 3  # from the page that sets the cookies to the one that asks for consent, and back
THREADS = 2  # of their own, since the store's statements may fill those of the loop
LAST_PORT = 65_535  # the largest number that TCP can write
INLINE = 65_536  # bytes that are decoded and searched for keys on the loop, in two milliseconds; threads take more
ELSEWHERE = ""
"""The connections to hosts that are no provider's: the name of none."""
AGENT = f"tapestream/{version('tapestream')}"
"""The User-Agent of every request to a provider."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """One finished exchange."""

    answer: Answer
    """The answer, without secrets."""
    url: str
    """The URL that was called, without its key."""
    started_at: int
    """When the call was sent, ms UTC."""
    latency_ms: int
    """Milliseconds from then to the last byte of the answer."""
    redirect: Request | None = None
    """The request that asks where the provider says that the answer is: on its own origin, another call."""


@dataclass(frozen=True, slots=True)
class _Session:
    """What a provider without keys hands out: a token for the query, and cookies."""

    token: str
    cookies: httpx.Cookies


@dataclass(frozen=True, slots=True)
class _Received:
    """One response, read in full: `raw` is its body as it travelled, `target` is where it redirects to."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    encodings: str
    target: httpx.URL | None


class Transport:
    """Outbound HTTP of one process: connections are shared, sessions (cookies and crumbs) are per provider.

    `trust` replaces the certificate authorities that servers are checked against.
    """

    def __init__(
        self,
        *,
        timeout_s: float,
        body_limit: int,
        base_urls: Mapping[str, str],
        trust: SSLContext | None = None,
        now: Callable[[], int] = SYSTEM.now_ms,
    ) -> None:
        self._timeout_s = timeout_s
        self._body_limit = body_limit
        self._base_urls = base_urls
        self._trust = trust
        self._now = now
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._sessions: dict[str, _Session] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="transport")

    async def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def fetch(self, connector: Connector, request: Request, key: str) -> Fetched:
        """Send one request and read its answer in full.

        A redirect on the provider's origin is returned, since following it is another call. One to another host is
        followed here, once, where it leads to a file: by GET over https, without the key, in URL and headers.

        Raises:
            ProviderUnavailable: no complete answer came back in time, or a redirect leads where no call may go.
            InvalidRequest: the URL would leave the provider's origin; nothing was sent.
        """
        request = connector.auth.address(request, key)
        started_at, clock = self._now(), time.perf_counter()
        base = self._base(connector, request.endpoint)
        secrets = [key, _userinfo(base)]
        try:
            async with asyncio.timeout(self._timeout_s):
                outgoing = await self._outgoing(connector, request, key, secrets)
                received = await self._exchange(connector, outgoing, _redactor(*secrets))
                body = await self._read(received, _redactor(*secrets))
        except FAILURES as error:
            reason = _redactor(*secrets).text(f"{connector.name} {request.path}: {type(error).__name__}: {error}")
            raise ProviderUnavailable(reason) from None
        latency = round((time.perf_counter() - clock) * 1000)
        redactor = _redactor(*secrets)
        answer = Answer(
            status=received.status,
            headers={
                redactor.text(name): redactor.text(value)[:LONGEST_HEADER]  # in this order: half a key is no key
                for name, value in received.headers.items()
            },
            body=body,
            observed_at=started_at + latency,
        )
        return Fetched(
            answer=answer,
            url=redactor.text(_shown(base, request)),
            started_at=started_at,
            latency_ms=latency,
            redirect=_redirected(connector, request, received, redactor),
        )

    def forget_session(self, provider: str) -> None:
        """Drop a session that was refused; the next fetch opens a new one."""
        self._sessions.pop(provider, None)

    async def _outgoing(self, connector: Connector, request: Request, key: str, secrets: list[str]) -> httpx.Request:
        """Build the request with its key, or with the session's token and cookies, which join the `secrets`."""
        url = _address(self._base(connector, request.endpoint), request)
        params, headers = connector.auth.place(key)
        handshake, session = connector.auth.handshake, None
        if handshake and request.endpoint in handshake.endpoints:
            session = await self._session(connector)
            params[handshake.token_param] = session.token
            secrets += [session.token, *session.cookies.values()]
        outgoing = self._client(connector.name).build_request(
            request.method,
            url.copy_merge_params(params) if params else url,
            headers={**connector.headers, **headers},
            json=request.body,
        )
        if session:
            session.cookies.set_cookie_header(outgoing)
        return outgoing

    async def _exchange(self, connector: Connector, outgoing: httpx.Request, redactor: Redactor) -> _Received:
        """Send one request; where another host holds the answer, fetch it there without anything of ours."""
        received = await self._receive(self._client(connector.name), outgoing, self._body_limit)
        target = received.target
        if target is None or _origin(target) == _origin(outgoing.url):
            return received
        refused = (
            "is no https URL"
            if target.scheme != "https"
            else "repeats the key"
            if redactor.finds(str(target))
            else "answers a POST"
            if outgoing.method != "GET"
            else None
        )
        if refused:
            raise ProviderUnavailable(f"{connector.name} redirects to another host, and the redirect {refused}")
        client = self._client(ELSEWHERE)
        there = client.build_request("GET", target.copy_with(userinfo=b""), headers=connector.headers)
        found = await self._receive(client, there, self._body_limit)
        if found.target is not None:
            raise ProviderUnavailable(f"{connector.name} redirects to another host, which redirects again")
        return found

    async def _read(self, received: _Received, redactor: Redactor) -> bytes:
        """The body of a response without secrets. A large one, or what becomes large, leaves the loop to others."""
        small = min(INLINE, self._body_limit)
        if len(received.raw) <= small:
            try:
                return _readable(received, small, redactor)
            except TooLarge:
                if small == self._body_limit:
                    raise
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _readable, received, self._body_limit, redactor)

    async def _receive(self, client: httpx.AsyncClient, outgoing: httpx.Request, limit: int) -> _Received:
        async with _sent(client, outgoing) as response:
            return _Received(
                response.status_code,
                _kept(response.headers),
                await _raw(response, limit),
                response.headers.get("content-encoding", ""),
                _target(response),
            )

    def _client(self, name: str) -> httpx.AsyncClient:
        """The connections of a provider. None keeps a cookie: a session brings its own."""
        if name not in self._clients:
            self._clients[name] = self._new_client(CookieJar(DefaultCookiePolicy(allowed_domains=[])))
        return self._clients[name]

    def _new_client(self, cookies: CookieJar | None = None) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            http2=True,
            timeout=httpx.Timeout(self._timeout_s, connect=min(10.0, self._timeout_s)),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
            headers={"User-Agent": AGENT, "Accept-Encoding": "gzip, br"},
            cookies=cookies,
            verify=True if self._trust is None else self._trust,
            trust_env=False,
        )

    def _base(self, connector: Connector, endpoint: str) -> str:
        return self._base_urls.get(connector.name) or connector.hosts.get(endpoint, connector.base_url)

    async def _session(self, connector: Connector) -> _Session:
        """The provider's session, opened once."""
        name = connector.name
        async with self._opening.setdefault(name, asyncio.Lock()):
            if name not in self._sessions:
                async with asyncio.timeout(HANDSHAKE_S), self._new_client() as client:
                    self._sessions[name] = await self._handshake(connector, client)
            return self._sessions[name]

    async def _handshake(self, connector: Connector, client: httpx.AsyncClient) -> _Session:
        """Collect cookies into the client's jar, then ask for the token. No key is on the way."""
        handshake, override = connector.auth.handshake, self._base_urls.get(connector.name)
        assert handshake is not None
        at = httpx.URL(f"{override}/" if override else handshake.cookie_url)
        for _ in range(1 + HANDSHAKE_REDIRECTS):
            asked = client.build_request("GET", at, headers=connector.headers)
            async with _sent(client, asked) as response:  # its cookies are all that is wanted
                target = _target(response)
            if target is None:
                break
            if target.scheme != "https" and _origin(target) != _origin(at):
                raise ProviderUnavailable(f"{connector.name} session: a redirect to another host is no https URL")
            at = target
        else:
            raise ProviderUnavailable(f"{connector.name} session: more than {HANDSHAKE_REDIRECTS} redirects")
        asked = client.build_request(
            "GET", (override or connector.base_url) + handshake.token_path, headers=connector.headers
        )
        received = await self._receive(client, asked, TOKEN_BYTES)
        token = decoded(received.raw, received.encodings, TOKEN_BYTES).decode("utf-8", "replace").strip()
        if received.status != 200 or not TOKEN.fullmatch(token):
            raise ProviderUnavailable(f"{connector.name} session: HTTP {received.status} without a token")
        return _Session(token, client.cookies)


@asynccontextmanager
async def _sent(client: httpx.AsyncClient, outgoing: httpx.Request) -> AsyncIterator[httpx.Response]:
    """The response to a request, its body unread; the connection is free again at the end."""
    response = await client.send(outgoing, stream=True)
    try:
        yield response
    finally:
        await response.aclose()


async def _raw(response: httpx.Response, limit: int) -> bytes:
    """The body as it travels: httpx would undo encodings a whole chunk at a time, however much that becomes."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > limit:
            raise TooLarge(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _readable(received: _Received, limit: int, redactor: Redactor) -> bytes:
    return redactor.body(decoded(received.raw, received.encodings, limit))


# -- where a request may go ------------------------------------------------------------------------------------------


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Scheme, host and port (None: the scheme's own): what a browser calls the same place."""
    return url.scheme, url.host, url.port


def _address(base: str, request: Request) -> httpx.URL:
    """The URL of a request below `base`, without its key. Raises `InvalidRequest` when it is not below it."""
    root = httpx.URL(base)
    if request.moved is not None:
        return root.copy_with(raw_path=request.moved.encode("ascii"))
    found = httpx.URL(base + request.path, params=request.params) if is_path(request.path) else None
    if found is None or _origin(found) != _origin(root) or not found.path.startswith(root.path.rstrip("/") + "/"):
        raise InvalidRequest(f"{request.path!r:.80} is no path below the provider's URL: nothing was sent")
    return found


def _userinfo(base: str) -> str:
    """`user:password` of a base URL, as its owner wrote them before they were escaped."""
    return unquote(base.partition("://")[2].partition("/")[0].rpartition("@")[0])


def _target(response: httpx.Response) -> httpx.URL | None:
    """Where a response redirects to. Raises `httpx.InvalidURL`."""
    if not response.has_redirect_location:
        return None
    found = response.request.url.join(response.headers["location"])
    if (found.port or 0) > LAST_PORT:  # what the library passes on to the socket
        raise httpx.InvalidURL(f"Invalid port: {found.port}")
    return found


def _redirected(connector: Connector, request: Request, received: _Received, redactor: Redactor) -> Request | None:
    """The request at the place on the provider's origin that a redirect names; without a key that it repeats.

    The next call may be made with another key, whose redaction would leave this one. Raises `ProviderUnavailable` for
    what is no path, and for a path that repeats the key.
    """
    if received.target is None:
        return None
    placed = {connector.auth.query, connector.auth.handshake and connector.auth.handshake.token_param}
    query = [
        (name, value)
        for name, value in received.target.params.multi_items()
        if name not in placed and not redactor.finds(f"{name}={value}")
    ]
    path = received.target.raw_path.partition(b"?")[0].decode("ascii")
    moved = f"{path}?{urlencode(query)}" if query else path
    if redactor.finds(path):
        raise ProviderUnavailable(f"{connector.name} redirects to a path that repeats the key")
    if not is_path(path) or len(moved) > LONGEST_REQUEST:
        raise ProviderUnavailable(f"{connector.name} redirects to what is no path, or a too long one")
    if received.status in {307, 308}:
        return replace(request, moved=moved)
    return replace(request, moved=moved, method="GET", body=None)


def _shown(base: str, request: Request) -> str:
    """The URL of a request as it is kept: without key, user and password."""
    root = str(httpx.URL(base).copy_with(userinfo=b"")).rstrip("/")
    if request.moved is not None:
        return str(httpx.URL(root).copy_with(raw_path=request.moved.encode("ascii")))
    params = urlencode(request.params, quote_via=quote, safe=",:/")
    return f"{root}{request.path}?{params}" if params else root + request.path


# -- what is kept of an answer ---------------------------------------------------------------------------------------


def _kept(headers: httpx.Headers) -> dict[str, str]:
    """The headers that matter: lower-case names, no cookies, of a bounded number and length."""
    kept = {
        name.lower(): value
        for name, value in headers.items()
        if name.lower() in KEPT_HEADERS or name.lower().startswith(KEPT_PREFIXES)
    }
    return dict(islice(kept.items(), MOST_HEADERS))


@lru_cache(maxsize=256)
def _redactor(*secrets: str) -> Redactor:
    """The forms of a key are worked out once."""
    return Redactor(*secrets)
