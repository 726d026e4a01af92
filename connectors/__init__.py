"""What the providers say. Folders are the providers, so `ls -d */` is their list; files are what providers share.

Reading order: `calls` (asked, sent, received), `records` (the unified datasets), `items` (what a parser yields),
`errors`, `endpoints` (`Endpoint` and its builder), `declaration` (`Connector`), `fields` (shared readers), then any
provider. A provider is a folder, or a module, that holds a `CONNECTOR` of the same name.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from typing import TYPE_CHECKING

from connectors.calls import Answer, Call, Request
from connectors.declaration import Connector
from connectors.endpoints import Endpoint, Facts, endpoint
from connectors.errors import (
    REFUSALS,
    ConnectorError,
    DeclarationError,
    FieldError,
    Refusal,
    UnsupportedCall,
    UnsupportedSymbol,
)
from connectors.items import BarColumns, Outcome, Reject
from connectors.records import DATASETS, INTERVAL_MS, AnyRecord, Bars, Quote

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
    "Facts",
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
    "endpoint",
]


@cache
def connectors() -> Mapping[str, Connector]:
    """All providers by name, in the order of their names. Raises `DeclarationError` for a faulty file."""
    found: dict[str, Connector] = {}
    for module in sorted(iter_modules(__path__), key=lambda module: module.name):
        name = module.name
        declared = getattr(import_module(f"{__name__}.{name}"), "CONNECTOR", None)
        if declared is None and not module.ispkg:
            continue  # one of the files that the providers share
        if not isinstance(declared, Connector):
            raise DeclarationError(f"connectors/{name} declares no CONNECTOR: every provider must hold one")
        if declared.name != name:
            raise DeclarationError(
                f"connectors/{name} declares {declared.name!r}: name the connector like its folder or file"
            )
        if taken := [other.name for other in found.values() if other.mailbox == declared.mailbox]:
            raise DeclarationError(
                f"connectors/{name} takes mailbox {declared.mailbox}, which is {taken[0]}'s: choose a free one"
            )
        found[declared.name] = declared
    return MappingProxyType(found)


def connector(name: str) -> Connector:
    """Return one provider. Raises `UnsupportedCall` that lists the known ones."""
    try:
        return connectors()[name]
    except KeyError:
        raise UnsupportedCall(f"unknown provider {name!r}; known: {', '.join(connectors())}") from None
