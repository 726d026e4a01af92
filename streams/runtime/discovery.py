"""Where the running pipeline is, and whom it can ask: the tree that owns DATA_DIR, else the broker of KAFKA_URL."""

from __future__ import annotations

from dataclasses import dataclass

from connectors import connector, connectors
from infra.settings import Settings
from streams.planning.routing import Routes, routes
from streams.runtime.process_tree import ProcessTreeAddress


@dataclass(frozen=True, slots=True)
class PipelineLocation:
    """How a running pipeline is reached: its broker as `host:port`, and the web URL of a worker on this machine.

    `providers` are those that it can ask: they have a key, or need none; `routes` say whom first.
    """

    bootstrap: str
    web_url: str
    providers: frozenset[str]
    routes: Routes


def find(settings: Settings) -> PipelineLocation:
    """Return the location of the pipeline of these settings, running or not. Raises `SettingsInvalid`."""
    first = routes(settings.routes)
    tree = ProcessTreeAddress.find(settings.data_dir)
    names = frozenset(name for name in connectors() if usable(settings, name))
    if tree is None:
        return PipelineLocation(settings.bootstrap, f"http://127.0.0.1:{settings.web_port}", names, first)
    # a sandbox gives every provider a key
    every = frozenset(connectors())
    return PipelineLocation(tree.bootstrap, tree.web_url, every if tree.sandbox_url else names, first)


def usable(settings: Settings, provider: str) -> bool:
    """Return whether the provider has a key, or needs none."""
    return connector(provider).auth.keyless or bool(settings.keys(provider))
