"""Tokens for SASL/OAUTHBEARER by client credentials (RFC 6749, section 4.4), the way of managed clusters."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlsplit

import aiohttp
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError, KafkaConnectionError

from infra.errors import ConfigurationError

TIMEOUT_S = 10.0  # a login that takes longer is tried again by whoever connects
EARLY_S = 30.0  # a token is replaced before it ends, since a connection begins some time after
LIFE_S = 300.0  # of a token whose answer does not say how long it lives
LOOPBACK = frozenset(("127.0.0.1", "::1", "localhost"))


class TokenUrlInvalid(ConfigurationError, ValueError):
    """A URL that no token can be had from safely."""


@dataclass(eq=False)
class ClientCredentials(AbstractTokenProvider):  # type: ignore[misc]
    """Who we are to an authorization server. A token serves all clients until shortly before it ends.

    Raises `TokenUrlInvalid` where the secret would travel in clear text.
    """

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""
    _token: str = field(default="", init=False, repr=False)
    _until: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.token_url)
            safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
        except ValueError:
            safe = False
        if not safe:
            raise TokenUrlInvalid("KAFKA_OAUTH_TOKEN_URL cannot be used: write https://host/path")

    async def token(self) -> str:
        """A token that is valid now. Raises what aiokafka takes for a lost connection or a refused login."""
        if time.monotonic() >= self._until:
            await self._renew()
        return self._token

    def _basic(self) -> str:
        """Both names are percent-encoded before they are joined (RFC 6749, section 2.3.1)."""
        joined = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
        return base64.b64encode(joined.encode()).decode()

    async def _renew(self) -> None:
        form = {"grant_type": "client_credentials", **({"scope": self.scope} if self.scope else {})}
        host = urlsplit(self.token_url).hostname
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session,
                session.post(
                    self.token_url,
                    data=form,
                    headers={"Authorization": f"Basic {self._basic()}"},
                    allow_redirects=False,  # the secret stays where it was sent
                ) as answer,
            ):
                status = answer.status
                found: Any = await answer.json(content_type=None) if status == 200 else {}
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise KafkaConnectionError(f"{host} gives no token: {type(error).__name__}") from None
        if status >= 500:
            raise KafkaConnectionError(f"{host} gives no token just now: status {status}")
        token = found.get("access_token") if isinstance(found, dict) else None
        if not isinstance(token, str) or not token:
            raise AuthenticationFailedError(f"{host} gives this client no token: status {status}")
        life = found.get("expires_in")
        self._token = token
        self._until = time.monotonic() + max(0.0, (life if isinstance(life, int | float) else LIFE_S) - EARLY_S)
