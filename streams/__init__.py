"""How messages flow: the Faust application. `faust -A streams worker` runs it.

Reading order: `topics`, `messages`, `normalize` -> `validate`, `rows`, `mailbox`, then `topology`, which wires the
actors of `agents` together. `client` is for programs, `commands` is for operators.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

__all__ = ["app"]


@cache
def _worker() -> Any:
    from infra import settings, telemetry  # noqa: PLC0415  (importing the package must stay light)
    from streams.topology import Worker  # noqa: PLC0415

    try:
        found = settings.load()
        telemetry.configure(found.log_level)
        return Worker(found)
    except settings.SettingsInvalid as error:
        sys.exit(f"tapestream: {error}")


def __getattr__(name: str) -> Any:
    if name == "app":
        return _worker().app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
