"""TLS as a client: which certificates are trusted, and which one is ours."""

from __future__ import annotations

import ssl
from pathlib import Path

from infra.errors import ConfigurationError


class TlsFileInvalid(ConfigurationError, ValueError):
    """A file with certificates or a key cannot be used; the message says which and why."""


def client_context(
    *, trusted: Path | None = None, cert: Path | None = None, key: Path | None = None, password: str = ""
) -> ssl.SSLContext:
    """What encrypts a connection and checks the server's certificate and name.

    Args:
        trusted: PEM certificates that are trusted instead of the system's.
        cert: PEM certificate by which the server knows us, with its chain.
        key: its private key, where that is not in the same file.
        password: of the key.

    Raises:
        TlsFileInvalid: one of the files cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=trusted)
    except OSError as error:  # ssl.SSLError is one
        raise TlsFileInvalid(f"the trusted certificates {trusted} cannot be used: {_reason(error)}") from None
    if cert:
        try:
            # a callable: without a password OpenSSL would ask for one at the terminal
            context.load_cert_chain(cert, key, password=lambda: password)
        except OSError as error:
            files = f"{cert} with the key {key}" if key else str(cert)
            raise TlsFileInvalid(f"the certificate {files} cannot be used: {_reason(error)}") from None
    return context


def _reason(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or type(error).__name__
