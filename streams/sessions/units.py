"""What a session asks of whom: its spec becomes units of work, and what a source may still be asked, its pauses. Pure.

A unit is one HTTP call with its further pages. Each source's come in the order of `ORDER`: what is worth most first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

from connectors import Call, UnsupportedCall, connector, connectors
from connectors.calls import DAY_MS
from connectors.forms import not_canonical
from connectors.records import AssetClass
from streams.accounts.capacity import PERIOD_MS
from streams.accounts.quota import ROLLING_MS
from streams.errors import InvalidSpec
from streams.planning.candidates import spells
from streams.sessions.spec import MINUTE_MS, SessionAsset, Spec
from streams.sessions.state import unit_id

ORDER = (
    *("bars", "quote", "profile", "actions", "earnings"),
    *("news", "statements", "metrics", "recommendations", "insider"),
)
SPAN_DAYS: Mapping[str, tuple[int, int]] = {
    "bars": (700, 0),  # free plans refuse what is older than two years
    "actions": (700, 0),
    "earnings": (100, 100),
    "news": (7, 0),
    "insider": (100, 0),
}
"""Days back, from the midnight (UTC) before the session's start, and ahead; of the other datasets all is asked."""
SHORTEST_MS, LONGEST_MS = MINUTE_MS, 15 * MINUTE_MS
"""Between the beginnings of two cycles of quotes of one source."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One call of one source. `id` is the same whenever the same session is laid out."""

    id: str
    """Id of the unit; the same in every layout of the session."""
    source: str
    """Name of the provider."""
    call: Call
    """What is asked."""


def check(spec: Spec) -> None:
    """Raise `InvalidSpec` for a source, dataset or asset class that there is not, or for no canonical symbol."""
    asset_classes = [asset.asset_class for asset in spec.symbols]
    for what, names, known in (
        ("source", spec.sources, tuple(connectors())),
        ("dataset", spec.datasets, ORDER),
        ("asset class", asset_classes, get_args(AssetClass)),
    ):
        if unknown := [name for name in names if name not in known]:
            raise InvalidSpec(f"session {spec.id!r}: unknown {what} {unknown[0]!r}; known: {', '.join(known)}")
    for asset in spec.symbols:
        if strange := not_canonical(asset.symbol, cast("AssetClass", asset.asset_class)):
            raise InvalidSpec(f"session {spec.id!r}: {strange}")


def once(source: str, assets: Sequence[SessionAsset], datasets: Iterable[str], started: int) -> list[Unit]:
    """What the source is asked once: of each dataset what it sells, for the symbols that it can spell.

    The ranges end with the midnight before `started`, so that a resumed session finds its units again.
    """
    wanted = set(datasets)
    today = started // DAY_MS * DAY_MS
    return [
        unit
        for dataset in ORDER
        if dataset in wanted
        for unit in _units(source, assets, {**_fields(dataset), **_span(dataset, today)}, {})
    ]


def quotes(source: str, assets: Sequence[SessionAsset], now: int) -> list[Unit]:
    """One cycle of the source's quotes; the ids of its units differ from those of another minute."""
    return list(_units(source, assets, _fields("quote"), {"minute": now // MINUTE_MS}))


def cost(units: Iterable[Unit]) -> tuple[float, float]:
    """What the units take of a key's quota, and dollars by the declared price."""
    weight = usd = 0.0
    for unit in units:
        endpoint = connector(unit.source).route(unit.call)
        weight += endpoint.weight(len(unit.call.symbols))
        usd += endpoint.usd
    return weight, usd


def interval_ms(status: Mapping[str, Any], weight: float, usd: float, remaining_ms: int) -> int | None:
    """Ms between two cycles that take so much each, that what may still be asked lasts for the time that is left.

    `status` is the worker's view of the provider (`accounts.views.provider`). None: not one more cycle fits in.
    """
    room = sum(_room(key, remaining_ms) for key in status["keys"] if key["health"] != "rejected")
    money = status["budget"]
    cycles = min(
        room / weight if weight else _MANY,
        _later(money["left_usd"], money["limit_usd"], "day", money["resets_ms"], remaining_ms) / usd
        if money and usd
        else _MANY,
    )
    return None if cycles < 1 else max(SHORTEST_MS, min(LONGEST_MS, round(remaining_ms / cycles)))


_MANY = 1e12  # stands for no limit


def _room(key: Mapping[str, Any], remaining_ms: int) -> float:
    """What one key may still be asked in the time that is left; the tightest of its limits decides."""
    rooms = []
    for limit, used in key["used"].items():
        calls, _, per = limit.partition("/")
        rooms.append(_later(max(0.0, float(calls) - used), float(calls), per, key["resets_ms"][limit], remaining_ms))
    return min(rooms, default=_MANY)


def _later(left: float, limit: float, per: str, resets_ms: int, remaining_ms: int) -> float:
    """What is left of a limit now, and of its later windows."""
    if per in ROLLING_MS:
        return limit * max(1.0, remaining_ms / PERIOD_MS[per])
    windows = 1 + (remaining_ms - resets_ms) // PERIOD_MS[per] if remaining_ms > resets_ms else 0
    return left + limit * windows


def _units(
    source: str, assets: Sequence[SessionAsset], fields: Mapping[str, Any], more: Mapping[str, Any]
) -> Iterator[Unit]:
    declared = connector(source)
    for asset_class in dict.fromkeys(asset.asset_class for asset in assets):
        symbols = tuple(asset.symbol for asset in assets if asset.asset_class == asset_class)
        call = Call.model_validate({**fields, "asset_class": asset_class, "symbols": symbols})
        spelled = tuple(symbol for symbol in symbols if spells(declared, call.asset_class, symbol))
        if not spelled:
            continue
        try:
            parts = declared.split(call.model_copy(update={"symbols": spelled}))
        except UnsupportedCall:
            continue
        for part in parts:
            yield Unit(unit_id(source, {**part.model_dump(mode="json"), **more}), source, part)


def _fields(dataset: str) -> dict[str, Any]:
    return {"dataset": dataset, "interval": "1d"} if dataset == "bars" else {"dataset": dataset}


def _span(dataset: str, today: int) -> dict[str, Any]:
    if dataset not in SPAN_DAYS:
        return {}
    back, ahead = SPAN_DAYS[dataset]
    return {"start": today - back * DAY_MS, "end": today + ahead * DAY_MS}
