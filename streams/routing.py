"""Which providers may serve a call, best first: the routing slip. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from connectors import Call, UnsupportedCall, connector, connectors

PREFERENCE = ("polygon", "alpaca", "eodhd", "fmp", "finnhub", "alphavantage", "yahoo", "brightdata")
"""Order when nobody asks for another: exactness and allowance first, best effort and money last."""


class Unroutable(Exception):
    """No provider can serve the call; the message says why for each one."""


def slip(call: Call, usable: Callable[[str], bool], asked: Sequence[str] = ()) -> tuple[str, ...]:
    """Give the providers that can serve `call`, best first; `asked` restricts and orders them.

    `usable` tells whether a provider has a key or needs none. Raises `Unroutable`, and `UnsupportedCall` for an
    unknown name.
    """
    for name in asked:
        connector(name)
    rank = {name: place for place, name in enumerate(PREFERENCE)}
    names = list(asked) or sorted(connectors(), key=lambda name: (rank.get(name, len(rank)), name))
    found: list[str] = []
    why: list[str] = []
    for name in names:
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
