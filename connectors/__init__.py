"""What the providers say. `ls` is the list of providers: every module here without a leading underscore.

Reading order: `_connector` (the vocabulary), `_records` (the unified datasets), `_errors`, `_fields` (shared
readers), then any provider. A provider module holds one `CONNECTOR` named like the module.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from connectors._connector import Connector, Endpoint, Outcome
from connectors._errors import (
    REFUSALS,
    ConnectorError,
    DeclarationError,
    FieldError,
    Refusal,
    UnsupportedCall,
    UnsupportedSymbol,
)
from connectors._records import DATASETS, INTERVAL_MS, AnyRecord, Bars, Quote
from connectors._vocabulary import Answer, BarColumns, Call, Reject, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DATASETS",
    "INTERVAL_MS",
    "REFUSALS",
    "Answer",
    "AnyRecord",
    "BarColumns",
    "Bars",
    "Call",
    "Connector",
    "ConnectorError",
    "DeclarationError",
    "Endpoint",
    "FieldError",
    "Outcome",
    "Quote",
    "Refusal",
    "Reject",
    "Request",
    "UnsupportedCall",
    "UnsupportedSymbol",
    "connector",
    "connectors",
]


@cache
def connectors() -> Mapping[str, Connector]:
    """All providers by name, in the order of their names. Raises `DeclarationError` for a faulty file."""
    found: dict[str, Connector] = {}
    for path in sorted(entry for folder in __path__ for entry in Path(folder).glob("*.py")):
        if path.stem.startswith("_"):
            continue
        declared = getattr(import_module(f"{__name__}.{path.stem}"), "CONNECTOR", None)
        if not isinstance(declared, Connector):
            raise DeclarationError(f"{path.name} declares no CONNECTOR: every provider file must hold one")
        if declared.name != path.stem:
            raise DeclarationError(f"{path.name} declares {declared.name!r}: name the connector like its file")
        if taken := [other.name for other in found.values() if other.mailbox == declared.mailbox]:
            raise DeclarationError(
                f"{path.name} takes mailbox {declared.mailbox}, which is {taken[0]}'s: choose a free one"
            )
        found[declared.name] = declared
    return MappingProxyType(found)


def connector(name: str) -> Connector:
    """Give one provider. Raises `UnsupportedCall` that lists the known ones."""
    try:
        return connectors()[name]
    except KeyError:
        raise UnsupportedCall(f"unknown provider {name!r}; known: {', '.join(connectors())}") from None
