"""Where the running pipeline is, and whom it can ask: the tree that owns DATA_DIR, else the broker of KAFKA_URL."""

from __future__ import annotations

from dataclasses import dataclass

from connectors import connector, connectors
from infra.kafka.brokers import Brokers
from infra.settings import Settings
from streams.planning.routing import Routes, routes
from streams.runtime.pages import Pages, pages_of_worker
from streams.runtime.process_tree import ProcessTreeAddress


@dataclass(frozen=True, slots=True)
class PipelineLocation:
    """How a running pipeline is reached: its brokers, and the pages of a worker on this machine.

    `providers` are those that it can ask: they have a key, or need none; `routes` say whom first.
    """

    bootstrap: Brokers
    pages: Pages
    providers: frozenset[str]
    routes: Routes


def find(settings: Settings) -> PipelineLocation:
    """Return the location of the pipeline of these settings, running or not.

    Raises `SettingsInvalid`, and `RunFileInvalid` where a running one says something else of itself than it should.
    """
    first = routes(settings.routes)
    tree = ProcessTreeAddress.find(settings.data_dir)
    names = frozenset(name for name in connectors() if usable(settings, name))
    if tree is None:
        return PipelineLocation(settings.bootstrap, pages_of_worker(settings), names, first)
    # a sandbox gives every provider a key
    every = frozenset(connectors())
    return PipelineLocation(tree.bootstrap, tree.pages, every if tree.sandbox_url else names, first)


def usable(settings: Settings, provider: str) -> bool:
    """Return whether the provider has a key, or needs none."""
    return connector(provider).auth.keyless or bool(settings.keys(provider))
