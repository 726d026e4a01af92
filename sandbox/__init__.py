"""The sandbox: the providers' APIs on loopback, for the demo and for tests.

It speaks their paths, keys, paging, errors and limits, and renders one seeded market (`market`: real daily bars
of five shares, the rest invented) in each provider's own format. It is shaped after the providers'
documentation and shares no code with the connectors, so that it cannot share their mistakes.

    async with Sandbox(SandboxSettings(keys={"polygon": {"key-1": "free", "key-2": None}})) as sandbox:
        ...  # f"{sandbox.url}/polygon/v2/aggs/ticker/AAPL/range/1/day/2012-01-01/2012-12-31?apiKey=key-1"
        sandbox.misbehave(Fault("rate_limit", provider="polygon", next=3))
        sandbox.calls()  # {"polygon": {"polygon#1": {"received": …, "accepted": …, "refused": …, …}}}

Reading order: `server/provider.py` (the vocabulary), `polygon/`, `market/`, `server/server.py`.

To add a provider, write one module or folder here that defines `PROVIDER = Provider(…)`; being here registers it:

1. One function `Call → Reply` for each endpoint. Take prices from `call.market` (raw, as of `call.now`), pass
   bars through `call.with_faults(…)` before you render them, so that faults on values work, and adjust them with
   `actions.split_divisors` and `actions.dividend_factors` where the provider does.
2. `routes`: a `Route(path, handler, name, cost=…)` each; paths come after `/<provider>`.
3. `key` (where the key stands in a call), `refuse` (a `Refusal` in the provider's words: status, body,
   headers), `plans` (the real limits, the default first), `symbols` (which symbols a call names).
4. Test it in `tests/sandbox/<provider>/test_<provider>.py`.
"""

from sandbox.errors import InvalidFault, InvalidSettings, RecordedBarsMissing, SandboxError, SandboxPortBusy
from sandbox.server.clock import Clock
from sandbox.server.faults import Fault
from sandbox.server.limits import Limit, Plan
from sandbox.server.server import Sandbox, SandboxSettings, run, serve

__all__ = [
    "Clock",
    "Fault",
    "InvalidFault",
    "InvalidSettings",
    "Limit",
    "Plan",
    "RecordedBarsMissing",
    "Sandbox",
    "SandboxError",
    "SandboxPortBusy",
    "SandboxSettings",
    "run",
    "serve",
]
