"""`/_sandbox/`: what tests and demos use to watch and steer the sandbox; no provider has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import orjson
from aiohttp import web

from sandbox.errors import InvalidFault
from sandbox.server.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.market.market import Market
    from sandbox.server.calls import CallLog
    from sandbox.server.clock import Clock
    from sandbox.server.faults import Faults
    from sandbox.server.keys import Keyring


class Steered(Protocol):
    """What the control endpoints watch and steer."""

    clock: Clock
    """What time it is in the sandbox."""
    market: Market
    """The generated market."""
    faults: Faults
    """The orders to misbehave."""
    log: CallLog
    """The calls so far."""

    @property
    def keyrings(self) -> Mapping[str, Keyring]:
        """The keys of each provider, with what is left of their quotas."""
        ...

    def calls(self) -> Mapping[str, object]:
        """Counts of calls by provider, key and endpoint."""
        ...

    def misbehave(self, *faults: Fault) -> None:
        """Replace the faults by these."""
        ...

    def reset(self) -> None:
        """Forget calls, quotas and faults."""
        ...


LATEST = 100


def add_routes(app: web.Application, sandbox: Steered) -> None:
    """The control endpoints of `sandbox`.

    GET `health`; GET `calls` (counts by provider, key and endpoint, quotas used; `?log=100` adds the newest
    calls); GET, POST and DELETE `faults` (POST replaces them by a fault or a list of them); POST `reset`.
    """

    async def health(_: web.Request) -> web.Response:
        body = {"status": "ok", "now": sandbox.clock.now().isoformat(), "rate": sandbox.clock.rate}
        return _json({**body, "providers": sorted(sandbox.keyrings), "symbols": len(sandbox.market.instruments)})

    async def calls(request: web.Request) -> web.Response:
        body: dict[str, object] = {
            "calls": sandbox.calls(),
            "quotas": {name: keyring.as_json() for name, keyring in sandbox.keyrings.items()},
            "faults_struck": sandbox.faults.struck,
        }
        if "log" in request.query:
            last = request.query["log"]
            body["log"] = sandbox.log.log_as_json(int(last) if last.isdecimal() else LATEST)
        return _json(body)

    async def faults(_: web.Request) -> web.Response:
        return _json(sandbox.faults.as_json())

    async def misbehave(request: web.Request) -> web.Response:
        try:
            reported = orjson.loads(await request.read())
            orders = [Fault.from_json(order) for order in (reported if isinstance(reported, list) else [reported])]
        except (InvalidFault, orjson.JSONDecodeError) as error:
            return _json({"error": str(error)}, status=400)
        sandbox.misbehave(*orders)
        return _json(sandbox.faults.as_json())

    async def behave(_: web.Request) -> web.Response:
        sandbox.misbehave()
        return _json([])

    async def reset(_: web.Request) -> web.Response:
        sandbox.reset()
        return _json({"status": "ok"})

    app.router.add_get("/_sandbox/health", health)
    app.router.add_get("/_sandbox/calls", calls)
    app.router.add_get("/_sandbox/faults", faults)
    app.router.add_post("/_sandbox/faults", misbehave)
    app.router.add_delete("/_sandbox/faults", behave)
    app.router.add_post("/_sandbox/reset", reset)


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
