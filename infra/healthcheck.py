"""Asks the worker of this machine whether it is ready: `python -m infra.healthcheck` exits with 0 when it is.

A container runs it every few seconds, so it reads the environment by itself and needs the standard library only.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "localhost": "127.0.0.1"}  # noqa: S104  (also on loopback, then)
WITHIN_S = 4  # less than the five seconds that the Dockerfile allows the check


def ready() -> bool:
    """Return whether a worker runs and says that it is ready."""
    host, port = os.environ.get("WEB_HOST") or "127.0.0.1", os.environ.get("WEB_PORT") or "6066"
    url = f"http://{EVERYWHERE.get(host, host)}:{port}/status/"
    return any(_says_ready(url, token) for token in _tokens(port))


def _tokens(port: str) -> Iterator[str]:
    """WEB_TOKEN, else those of a worker by itself and of a process tree, of which a crash may have left the other."""
    if given := os.environ.get("WEB_TOKEN"):
        yield given
        return
    folder = Path(os.environ.get("DATA_DIR") or "data")
    for name in (f"worker-{socket.gethostname()}-{port}.json", "run.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            yield str(json.loads((folder / name).read_text())["token"])


def _says_ready(url: str, token: str) -> bool:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310  (our own address)
    try:
        with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:  # noqa: S310
            return bool(json.load(answer)["ready"])
    except (OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"{url}: {error}\n")
        return False


if __name__ == "__main__":
    sys.exit(0 if ready() else 1)
