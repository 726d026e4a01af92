"""Which providers may serve a call, best first: the routing slip. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import get_args

from connectors import DATASETS, Call, UnsupportedCall, connector, connectors
from connectors.records import AssetClass
from infra.settings import SettingsInvalid
from streams.errors import Unroutable

PREFERENCE = ("polygon", "alpaca", "eodhd", "fmp", "finnhub", "alphavantage", "yahoo", "brightdata")
"""Order when nobody asks for another: exactness and allowance first, best effort and money last."""

Routes = Mapping[tuple[str, str], tuple[str, ...]]
"""(dataset, asset class) to the providers that are asked first; `*` is any."""
NO_ROUTES: Routes = MappingProxyType({})
FORM = "write quote=finnhub,polygon; bars/crypto=alpaca; */forex=fmp"


def routes(text: str) -> Routes:
    """Read the setting ROUTES: `dataset[/asset class]=provider,…`, several by semicolon. Raises `SettingsInvalid`."""
    found = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        what, _, names = part.partition("=")
        dataset, _, asset_class = (word.strip() for word in what.partition("/"))
        providers = tuple(name.strip() for name in names.split(",") if name.strip())
        if not providers:
            raise SettingsInvalid(f"ROUTES cannot be used: {part!r} names no provider; {FORM}")
        for word, known in ((dataset, DATASETS), (asset_class or "*", get_args(AssetClass))):
            if word != "*" and word not in known:
                raise SettingsInvalid(
                    f"ROUTES cannot be used: {part!r}: {word!r} is none of {', '.join(known)}; {FORM}"
                )
        for name in providers:
            if name not in connectors():
                raise SettingsInvalid(f"ROUTES cannot be used: {part!r}: there is no provider {name!r}; {FORM}")
        found[dataset, asset_class or "*"] = providers
    return found


def order(dataset: str, asset_class: str, wanted: Routes = NO_ROUTES) -> tuple[str, ...]:
    """Every provider, best first: those that the most special route names, then the others in the usual order."""
    special = [(dataset, asset_class), (dataset, "*"), ("*", asset_class), ("*", "*")]
    first = next((wanted[key] for key in special if key in wanted), ())
    return tuple(dict.fromkeys((*first, *PREFERENCE, *connectors())))


def slip(
    call: Call, usable: Callable[[str], bool], asked: Sequence[str] = (), wanted: Routes = NO_ROUTES
) -> tuple[str, ...]:
    """Return the providers that can serve `call`, best first; `asked` restricts and orders them.

    `usable` returns whether a provider has a key or needs none. Raises `Unroutable`, and `UnsupportedCall` for an
    unknown name.
    """
    for name in asked:
        connector(name)
    found: list[str] = []
    why: list[str] = []
    for name in asked or order(call.dataset, call.asset_class, wanted):
        if not usable(name):
            why.append(f"{name}: no key, set {name.upper()}_KEYS")
            continue
        try:
            connector(name).split(call)
        except UnsupportedCall as error:
            why.append(str(error))
        else:
            found.append(name)
    if not found:
        raise Unroutable("nobody can serve it: " + "; ".join(why))
    return tuple(found)
