"""Misbehaviour on order: what to do wrong, to whom, how often. Pure; the server carries it out."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from sandbox.errors import InvalidFault
from sandbox.market.bars import Bars, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

TRANSPORT = ("latency", "rate_limit", "status", "hang", "close", "cut_body", "broken_json", "empty_body")
VALUES = ("negative_price", "high_below_low", "nan_price", "none_price", "duplicate_time")
KINDS = TRANSPORT + VALUES


@dataclass(frozen=True, slots=True)
class Fault:
    """One order to misbehave.

    `latency` waits and then answers; `rate_limit` refuses in the provider's words; `status` answers with a gateway's
    page; `hang` never answers; `close` drops the connection; `cut_body` announces the whole body, sends half and
    drops the connection; `broken_json` sends half a body as if it were whole; `empty_body` a 200 with nothing. The
    rest falsify one bar: `nan_price` writes NaN, `none_price` the text "None".
    """

    kind: str
    """One of `KINDS`."""
    provider: str = "*"
    """Name of the provider whose calls it strikes, as a glob."""
    endpoint: str = "*"
    """Name of the endpoint whose calls it strikes, as a glob."""
    symbol: str = "*"
    """Symbol in the provider's spelling whose calls it strikes, as a glob."""
    probability: float = 1.0
    """Chance, 0 to 1, that it strikes a call."""
    next: int | None = None
    """Most calls that it strikes; None: all."""
    status: int = 503
    """HTTP status that `status` answers, a 5xx."""
    delay_s: float = 1.0
    """Seconds of real time that `latency` waits."""
    retry_after_s: int | None = None
    """Seconds that `rate_limit` names in Retry-After; None: it names none."""

    def __post_init__(self) -> None:
        for column in fields(self):
            _check_type(column.name, getattr(self, column.name), _TYPES[column.name])
        if self.kind not in KINDS:
            raise InvalidFault(f"kind: {self.kind!r} is none of {', '.join(KINDS)}.")
        if not 0 <= self.probability <= 1:
            raise InvalidFault(f"probability: {self.probability} is not between 0 and 1.")
        if not 500 <= self.status <= 599:
            raise InvalidFault(f"status: {self.status} is not between 500 and 599.")
        if self.delay_s < 0 or (self.next is not None and self.next < 1):
            raise InvalidFault("delay_s must be 0 or more, next 1 or more.")

    @classmethod
    def from_json(cls, order: object) -> Fault:
        """The fault of one JSON object.

        Raises:
            InvalidFault: it is no object, has an unknown field, or a value does not fit.
        """
        if not isinstance(order, dict) or "kind" not in order:
            raise InvalidFault('A fault is an object with a "kind", such as {"kind": "hang", "next": 1}.')
        if unknown := set(order) - set(_TYPES):
            raise InvalidFault(f"Unknown field {', '.join(sorted(unknown))}; known are {', '.join(_TYPES)}.")
        return cls(**order)

    def matches(self, provider: str, endpoint: str, symbols: Iterable[str]) -> bool:
        """Whether a call is one this fault strikes."""
        return (
            fnmatchcase(provider, self.provider)
            and fnmatchcase(endpoint, self.endpoint)
            and (self.symbol == "*" or any(fnmatchcase(symbol, self.symbol) for symbol in symbols))
        )


_TYPES: Mapping[str, tuple[type, ...]] = {
    "kind": (str,),
    "provider": (str,),
    "endpoint": (str,),
    "symbol": (str,),
    "probability": (int, float),
    "next": (int, type(None)),
    "status": (int,),
    "delay_s": (int, float),
    "retry_after_s": (int, type(None)),
}


def _check_type(name: str, value: object, types: tuple[type, ...]) -> None:
    if not isinstance(value, types) or isinstance(value, bool):
        allowed = " or ".join("null" if kind is type(None) else kind.__name__ for kind in types)
        raise InvalidFault(f"{name}: {value!r} is not {allowed}.")


@dataclass(slots=True)
class Faults:
    """The orders in force. The first that strikes a call is the one carried out."""

    seed: int = 0
    """What chance comes from."""
    orders: list[Fault] = field(default_factory=list)
    """The orders, in the order in which they were given."""
    struck: int = 0
    """Calls that an order struck, a count."""
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311  repeatable on purpose

    def set(self, orders: Iterable[Fault]) -> None:
        """Replace all orders, and begin the dice anew."""
        self.orders = list(orders)
        self._random.seed(self.seed)

    def strike(self, provider: str, endpoint: str, symbols: list[str]) -> Fault | None:
        """The fault for this call, counted off its `next`."""
        for i, fault in enumerate(self.orders):
            if fault.matches(provider, endpoint, symbols) and self._random.random() < fault.probability:
                if fault.next is not None:
                    self.orders[i : i + 1] = [replace(fault, next=fault.next - 1)] if fault.next > 1 else []
                self.struck += 1
                return fault
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """The faults in force, in the form in which they are set."""
        return [asdict(fault) for fault in self.orders]


def spoiler(kind: str) -> Callable[[Bars], Bars] | None:
    """What falsifies the middle bar, for a kind of `VALUES`."""
    return _SPOILERS.get(kind)


def _with(bars: Bars, **columns: Callable[[Bars, int], float]) -> Bars:
    if not len(bars):
        return bars
    at = len(bars) // 2
    changed = {}
    for name, value in columns.items():
        column = getattr(bars, name).copy()
        column[at] = value(bars, at)
        changed[name] = column
    return replace(bars, **changed)


def _negative_price(bars: Bars) -> Bars:
    return _with(bars, close=lambda bars, at: -abs(bars.close[at]))


def _high_below_low(bars: Bars) -> Bars:
    return _with(bars, high=lambda bars, at: bars.low[at] * 0.99, low=lambda bars, at: bars.high[at] * 1.01)


def _nan_price(bars: Bars) -> Bars:
    return _with(bars, close=lambda _bars, _at: np.nan)


def _duplicate_time(bars: Bars) -> Bars:
    at = len(bars) // 2
    return joined([bars.take(slice(at + 1)), bars.take(slice(at, None))])


_SPOILERS: Mapping[str, Callable[[Bars], Bars]] = {
    "negative_price": _negative_price,
    "high_below_low": _high_below_low,
    "nan_price": _nan_price,
    "none_price": _nan_price,
    "duplicate_time": _duplicate_time,
}
