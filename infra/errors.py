"""The root of the program's errors, and what the surroundings can do wrong. `streams.errors` draws the whole tree.

A message is one line, or one line for each mistake: what was wrong, where, and what to do.
"""

from __future__ import annotations

from typing import ClassVar


class TapestreamError(Exception):
    """Root of everything that the program raises on purpose, apart from what a provider answers."""

    exit_code: ClassVar[int] = 1
    """Exit code of a command that ends by it."""


class ConfigurationError(TapestreamError):
    """What a user configured cannot be used: mend it and start again."""


class PipelineError(TapestreamError):
    """The pipeline, or the broker or a process it needs, is not there, not ours, or has ended."""
