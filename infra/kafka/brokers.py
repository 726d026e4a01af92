"""The brokers of a Kafka cluster: where they are, and how one logs in. Every client gets its options here."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from infra.errors import ConfigurationError
from infra.kafka.oauth import ClientCredentials
from infra.tls import client_context

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")


class SecurityInvalid(ConfigurationError, ValueError):
    """The parts of a login do not belong together: what is missing or superfluous, by the names of the settings."""


@dataclass(frozen=True)
class KafkaSecurity:
    """How one logs in; passwords show in no text form of it.

    Raises `SecurityInvalid` where the parts do not belong together, `TlsFileInvalid` where a file cannot be used.
    """

    protocol: str = "PLAINTEXT"
    """One of `PROTOCOLS`."""
    mechanism: str = ""
    """One of `MECHANISMS` where the protocol has SASL."""
    username: str = ""
    password: str = field(default="", repr=False)
    credentials: ClientCredentials | None = None
    """Of OAUTHBEARER: how its tokens are had."""
    ca_file: Path | None = None
    """PEM certificates that are trusted instead of the system's."""
    cert_file: Path | None = None
    """PEM certificate by which the broker knows us (mutual TLS), with its chain."""
    key_file: Path | None = None
    """Its private key, where that is not in the same file."""
    key_password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if problem := self._problem():
            raise SecurityInvalid(problem)
        _ = self.ssl_context

    def _problem(self) -> str:
        """What is wrong with the parts together; empty where nothing is."""
        is_oauth = self.mechanism == "OAUTHBEARER"
        has_login = self.mechanism or self.username or self.password or self.credentials
        has_files = self.ca_file or self.cert_file or self.key_file
        faults = (
            (self.protocol not in PROTOCOLS, f"KAFKA_SECURITY_PROTOCOL cannot be used: {_one_of(PROTOCOLS)}"),
            (
                has_login and not self.sasl,
                f"a login is set, but KAFKA_SECURITY_PROTOCOL is {self.protocol}: write SASL_SSL",
            ),
            (
                self.sasl and self.mechanism not in MECHANISMS,
                f"KAFKA_SASL_MECHANISM cannot be used: {_one_of(MECHANISMS)}",
            ),
            (
                self.sasl and not is_oauth and not (self.username and self.password),
                f"{self.mechanism} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD",
            ),
            (
                is_oauth and self.credentials is None,
                "OAUTHBEARER needs KAFKA_OAUTH_TOKEN_URL, KAFKA_OAUTH_CLIENT_ID and KAFKA_OAUTH_CLIENT_SECRET",
            ),
            (
                has_files and not self.tls,
                f"KAFKA_SSL_… is set, but KAFKA_SECURITY_PROTOCOL is {self.protocol}: write SSL or SASL_SSL",
            ),
            (self.key_file and not self.cert_file, "KAFKA_SSL_KEYFILE is set without KAFKA_SSL_CERTFILE"),
        )
        return next((fault for is_so, fault in faults if is_so), "")

    @property
    def tls(self) -> bool:
        """True where the connection is encrypted."""
        return self.protocol.endswith("SSL")

    @property
    def sasl(self) -> bool:
        """True where a user logs in."""
        return self.protocol.startswith("SASL")

    @cached_property
    def ssl_context(self) -> ssl.SSLContext | None:
        """What encrypts and checks the broker's name and certificate; None without TLS."""
        if not self.tls:
            return None
        files = {"trusted": self.ca_file, "cert": self.cert_file, "key": self.key_file}
        return client_context(**files, password=self.key_password)


@dataclass(frozen=True)
class Brokers:
    """`host:port`, several joined by commas, and how one logs in there. Its text form is the address alone."""

    servers: str
    security: KafkaSecurity = field(default_factory=KafkaSecurity)

    def __str__(self) -> str:
        return self.servers

    @property
    def url(self) -> str:
        """The address as Faust takes it."""
        return f"kafka://{self.servers}"

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of any aiokafka client."""
        return {"bootstrap_servers": self.servers, **self.login}

    @property
    def login(self) -> dict[str, Any]:
        """Those of them that are about logging in."""
        security = self.security
        found: dict[str, Any] = {"security_protocol": security.protocol, "ssl_context": security.ssl_context}
        if security.mechanism == "OAUTHBEARER":
            found |= {"sasl_mechanism": security.mechanism, "sasl_oauth_token_provider": security.credentials}
        elif security.sasl:
            found |= {
                "sasl_mechanism": security.mechanism,
                "sasl_plain_username": security.username,
                "sasl_plain_password": security.password,
            }
        return found


def _one_of(words: tuple[str, ...]) -> str:
    return f"write one of {', '.join(words)}"
