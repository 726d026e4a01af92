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
    """Name of the provider."""
    dataset: str
    """Name of the dataset."""
    endpoint: str
    """Name of the endpoint in the declaration."""
    asset_classes: tuple[str, ...]
    """Asset classes that it serves."""
    kinds: tuple[str, ...]
    """Kinds of the dataset."""
    intervals: tuple[str, ...]
    """Canonical bar intervals."""
    periods: tuple[str, ...]
    """Fiscal periods of statements and metrics."""
    adjustments: tuple[str, ...]
    """Adjustments of bars; the first is the default."""
    batch: int
    """Most symbols of a call; 0 for a whole market."""
    rows: int | None
    """Most rows of an answer; None where it is not declared."""
    history: str
    """How far back it reaches, as the provider says."""
    cost: float
    """Calls or credits of a call."""
    cost_per_symbol: float
    """Additional calls or credits for each symbol."""
    usd: float
    """Dollars a call."""
    plan: str
    """Cheapest plan that sells it."""
    docs: str
    """URL of the provider's documentation."""


@dataclass(frozen=True, slots=True)
class Seller:
    """One provider: where it is, whether it wants a key, and what one key may be asked (`60/minute`)."""

    name: str
    """Name of the provider."""
    title: str
    """Name for people."""
    base_url: str
    """URL below which its endpoints are."""
    docs: str
    """URL of its documentation."""
    keyless: bool
    """True where no key is needed."""
    limits: tuple[str, ...]
    """Limits of a free key, as `60/minute`."""
    zone: str
    """IANA zone in which its days end."""


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
