"""TCP ports on loopback: one that is free, or a clear refusal of one that is not."""

import errno
import socket

from infra.errors import PipelineError

LOOPBACK = "127.0.0.1"


class PortBusy(PipelineError, OSError):
    """Another process listens on the wanted port."""


def free_port() -> int:
    """A port nobody listens on. Another process may take it before its user binds it."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, host: str = LOOPBACK) -> None:
    """Make sure that `port` of the address `host` can be listened on.

    Raises:
        PortBusy: it is in use, or reserved for the superuser.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closed connection's rest is no obstacle
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = "is already in use" if error.errno == errno.EADDRINUSE else f"is refused ({error.strerror})"
            raise PortBusy(
                f"port {port} on {host} {reason}: stop what listens there "
                f"(`ss -ltnp 'sport = :{port}'` names it) or choose another port"
            ) from None
