"""Which provider can be asked what, from the connectors' declarations alone. Pure; knows no key and no quota."""

from __future__ import annotations

from dataclasses import dataclass

from connectors import Connector, Endpoint, connectors
from connectors.records import DATASETS, INTERVAL_MS


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing that a provider sells: a row of the matrix.

    `batch` is the most symbols of one call, 0 a whole market without naming any; `rows` the most rows of one answer.
    A call costs `cost` and, for each of its symbols, `cost_per_symbol` of the key's limits, and `usd` dollars.
    Empty `kinds`, `intervals` or `adjustments` say that the dataset has none, or that one call brings all. `periods`
    are named where the last twelve months (`ttm`) are among them; elsewhere years and quarters are what there is.
    """

    provider: str
    dataset: str
    endpoint: str
    asset_classes: tuple[str, ...]
    kinds: tuple[str, ...]
    intervals: tuple[str, ...]
    periods: tuple[str, ...]
    adjustments: tuple[str, ...]
    batch: int
    rows: int | None
    history: str
    cost: float
    cost_per_symbol: float
    usd: float
    plan: str
    docs: str


@dataclass(frozen=True, slots=True)
class Seller:
    """One provider: where it is, whether it wants a key, and what one key may be asked (`60/minute`)."""

    name: str
    title: str
    base_url: str
    docs: str
    keyless: bool
    limits: tuple[str, ...]
    zone: str


def matrix() -> list[Capability]:
    """Everything that can be asked, by provider, then in the order of datasets; of one dataset the usual way first."""
    order = {name: place for place, name in enumerate(DATASETS)}
    return [
        _capability(connector, endpoint)
        for connector in connectors().values()
        for endpoint in sorted(connector.endpoints, key=lambda endpoint: order[endpoint.dataset])
        if endpoint.routed
    ]


def sellers() -> list[Seller]:
    """All providers, by name."""
    return [
        Seller(
            name=connector.name,
            title=connector.title,
            base_url=connector.base_url,
            docs=connector.docs,
            keyless=connector.auth.keyless,
            limits=tuple(f"{limit.calls}/{limit.per}" for limit in connector.limits),
            zone=connector.zone,
        )
        for connector in connectors().values()
    ]


def _capability(connector: Connector, endpoint: Endpoint) -> Capability:
    return Capability(
        provider=connector.name,
        dataset=endpoint.dataset,
        endpoint=endpoint.name,
        asset_classes=endpoint.asset_classes,
        kinds=endpoint.kinds,
        intervals=tuple(name for name in INTERVAL_MS if name in endpoint.intervals),
        periods=endpoint.periods if "ttm" in endpoint.periods else (),
        adjustments=endpoint.adjustments,
        batch=endpoint.batch,
        rows=endpoint.rows,
        history=endpoint.history,
        cost=endpoint.cost,
        cost_per_symbol=endpoint.cost_per_symbol,
        usd=endpoint.usd,
        plan=endpoint.plan,
        docs=endpoint.docs,
    )
