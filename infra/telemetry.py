"""How the program speaks: structured log lines on stderr, never a secret. Levels by meaning.

DEBUG is for developers, INFO needs no action, WARNING recovered without loss, ERROR means loss or an operator.
"""

from __future__ import annotations

import logging.config
import sys
from typing import Any

import structlog

from infra.terminal import printable

OURS = ("agents", "streams", "infra")
NOISY = ("faust", "mode", "aiokafka")
TELLTALE = ("httpx", "httpcore", "hpack")  # below WARNING they log URLs and headers, and so our keys
_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def config(level: str = "info") -> dict[str, Any]:
    """Return the `logging.config` dictionary: our level for our code, WARNING for libraries; JSON unless a terminal."""
    terminal = sys.stderr.isatty()
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": _SHARED,
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,  # without local variables, and so without our keys
            *([_shown, structlog.dev.ConsoleRenderer()] if terminal else [structlog.processors.JSONRenderer()]),
        ],
    }
    quiet = {"level": "DEBUG" if level == "debug" else "WARNING"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"structured": formatter},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {name: {"level": level.upper()} for name in OURS}
        | dict.fromkeys(NOISY, quiet)
        | {name: {"level": "WARNING"} for name in TELLTALE},
    }


def _shown(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """What a terminal would obey is shown, in whatever value it is. JSON escapes it by itself."""
    return {name: value if isinstance(value, int | float) else printable(str(value)) for name, value in event.items()}


def configure(level: str = "info") -> None:
    """Set up logging of this process."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(config(level))


def get(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
