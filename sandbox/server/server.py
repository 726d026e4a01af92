"""The HTTP server: every provider under its own prefix, and `/_sandbox/` to watch and steer it.

One call passes: route, guard, key, limits, plan, fault, handler. What it may not pass answers it.
"""

from __future__ import annotations

import asyncio
import errno
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from sandbox.errors import InvalidSettings, SandboxPortBusy
from sandbox.market import recorded
from sandbox.market.market import Market
from sandbox.server import control, delivery
from sandbox.server.calls import CallLog, LoggedCall, Outcome
from sandbox.server.clock import Clock
from sandbox.server.faults import Fault, Faults, spoiler
from sandbox.server.keys import KeyPlan, Keyring
from sandbox.server.provider import Call, Provider, Reason, Refusal, Reply, Route, providers

if TYPE_CHECKING:
    from sandbox.server.limits import Meter

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LARGEST_BODY = 16 * 1024**2


@dataclass(frozen=True)
class SandboxSettings:
    """What a sandbox is like."""

    seed: int = 0
    """What decides every price."""
    keys: Mapping[str, Mapping[str, KeyPlan]] = field(default_factory=dict)
    """By provider the plan of each accepted key: a plan's name, a list of `Limit`, or None for no limits. A
    provider left out accepts `demo-<provider>-1` on its first plan."""
    clock: Clock = field(default_factory=Clock)
    """The sandbox's clock."""


class Sandbox:
    """A running sandbox: `async with Sandbox(settings) as sandbox: …sandbox.url…`.

    Raises:
        InvalidSettings: the settings name a provider or plan that does not exist.
    """

    def __init__(self, settings: SandboxSettings | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self.settings = settings or SandboxSettings()
        self.clock = self.settings.clock
        self.market = Market(self.settings.seed)
        self.faults = Faults(self.settings.seed)
        self.log = CallLog()
        self.keyrings = _keyrings(self.settings)
        self.stopping = asyncio.Event()
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """`http://host:port`; providers begin at `/<provider>` below it."""
        return f"http://{self._host}:{self._port}"

    def calls(self) -> dict[str, dict[str, Any]]:
        """Calls by provider and key label: received, accepted, refused, and the same by endpoint."""
        return self.log.as_json()

    def misbehave(self, *faults: Fault) -> None:
        """Put these faults in force instead of those before; none at all means: behave."""
        self.faults.set(faults)

    def reset(self) -> None:
        """Forget calls, used quotas and faults. The clock goes on."""
        self.log.clear()
        self.faults.set(())
        for keyring in self.keyrings.values():
            keyring.reset()

    async def start(self) -> None:
        """Listen. With port 0 the system chooses one.

        Raises:
            SandboxPortBusy: another program listens on the port.
            RecordedBarsMissing: the package's `sandbox` extra is not installed.
        """
        recorded.require()  # otherwise every question about the recorded shares would be answered by a 500
        # a client that gives up ends its handler, else a hanging call would outlive it
        self._runner = web.AppRunner(self._app(), access_log=None, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self.stop()
            if error.errno == errno.EADDRINUSE:
                raise SandboxPortBusy(
                    f"Port {self._port} of {self._host} is in use by another program: choose another port, "
                    "or 0 for any free one."
                ) from error
            raise
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening, and let go of calls that hang."""
        self.stopping.set()
        if self._runner:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_BODY)
        control.add_routes(app, self)
        for provider in providers().values():
            for route in provider.routes:
                path = f"/{provider.name}{route.path}"
                app.router.add_route(route.method, path, self._serve(provider, route))
            for path in (f"/{provider.name}", f"/{provider.name}/{{rest:.*}}"):
                app.router.add_route("*", path, self._serve(provider, None))
        return app

    def _serve(self, provider: Provider, route: Route | None) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            call = await delivery.receive(request, provider.name, self.clock.now(), self.market)
            call = replace(call, endpoint=route.endpoint(call) if route else "unknown path")
            verdict = self._judge(provider, route, call)
            self.log.add(verdict.logged(provider, call))
            return await delivery.send(request, verdict.reply, verdict.fault, self.stopping)

        return handle

    def _judge(self, provider: Provider, route: Route | None, call: Call) -> Verdict:
        """Let the call through to its handler, or say why not. Nothing here waits."""
        if reply := provider.guard(call):
            return Verdict("none", "refused", reply)
        if route is None:
            return Verdict("none", "refused", provider.refuse(Refusal(Reason.NO_SUCH_PATH, call)))
        keyring = self.keyrings[provider.name]
        key = None if route.open else provider.key(call)
        meter = keyring.meter(key) if key is not None else None
        label = keyring.label(key)
        if not route.open:
            refusal = _refusal(key, meter, call, route.credits(call))
            if refusal:
                return Verdict(label, "refused", provider.refuse(refusal))
        fault = self.faults.strike(provider.name, call.endpoint, provider.symbols(call))
        if fault and fault.kind == "rate_limit":
            return Verdict(label, "refused", provider.refuse(Refusal(Reason.LIMITED, call)), fault)
        plan = meter.plan if meter else call.plan
        reply = route.handler(replace(call, plan=plan, spoil=spoiler(fault.kind) if fault else None))
        if left := meter and meter.left("minute", call.now):
            reply = replace(reply, headers={**provider.quota(left), **reply.headers})
        return Verdict(label, "accepted", reply, fault)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision about one call: its reply, and the fault that applies."""

    key: str
    """Label of the key; `none` where it was not looked for."""
    outcome: Outcome
    """What was decided."""
    reply: Reply
    """The answer."""
    fault: Fault | None = None
    """The order that strikes the call; None where none does."""

    def logged(self, provider: Provider, call: Call) -> LoggedCall:
        """The call as the log keeps it."""
        return LoggedCall(
            call.now,
            provider.name,
            self.key,
            call.endpoint,
            tuple(provider.symbols(call)),
            call.url_path,
            self.outcome,
            self.fault.status if self.fault and self.fault.kind == "status" else self.reply.status,
            self.fault.kind if self.fault else None,
        )


def _refusal(key: str | None, meter: Meter | None, call: Call, credits: int) -> Refusal | None:
    if key is None:
        return Refusal(Reason.KEY_MISSING, call)
    if meter is None:
        return Refusal(Reason.KEY_UNKNOWN, call)
    if reached := meter.spend(call.now, credits):
        return Refusal(Reason.LIMITED, call, *reached)
    if call.endpoint in meter.plan.denies:
        return Refusal(Reason.NOT_ENTITLED, call)
    return None


def _keyrings(settings: SandboxSettings) -> dict[str, Keyring]:
    known = providers()
    if unknown := set(settings.keys) - set(known):
        raise InvalidSettings(
            f"The sandbox plays no provider {', '.join(sorted(unknown))}; it plays {', '.join(sorted(known))}."
        )
    return {name: Keyring(provider, settings.keys.get(name)) for name, provider in known.items()}


async def serve(host: str, port: int, settings: SandboxSettings | None = None) -> Sandbox:
    """A sandbox that listens; end it with `await sandbox.stop()`.

    Raises:
        SandboxPortBusy: another program listens on the port.
    """
    sandbox = Sandbox(settings, host, port)
    await sandbox.start()
    return sandbox


def run(
    port: int,
    host: str = "127.0.0.1",
    settings: SandboxSettings | None = None,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until SIGINT or SIGTERM. `ready` receives the URL once the sandbox listens.

    Raises:
        SandboxPortBusy: another program listens on the port.
    """

    async def main() -> None:
        ended = asyncio.Event()
        for sign in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(sign, ended.set)
        sandbox = await serve(host, port, settings)
        ready(sandbox.url)
        await ended.wait()
        await sandbox.stop()

    asyncio.run(main())
