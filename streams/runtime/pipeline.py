"""The pipeline that a program uses: one that runs already, or an embedded tree of its own. Its worker is asked here.

The worker may be away for a while, when the tree starts a grown broker afresh: `PipelineAway` says ask again.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Self

import aiohttp

from infra.clickhouse import Store, StoreError
from infra.kafka.brokers import Brokers
from infra.settings import Settings
from streams.errors import PipelineAway, PipelineGone
from streams.runtime import discovery
from streams.runtime.pages import Pages
from streams.runtime.process_tree import READY_S, ProcessTreeAddress, Stack
from streams.runtime.stored import until_stored

LOOK_S = 1.0  # a pipeline that ends is noticed within a second


class Pipeline:
    """Use as `async with Pipeline(settings) as pipeline`: it is ready then, and what was started ends with the block.

    With `sandbox` the tree that is started calls the bundled sandbox. Raises as `Stack` does, `PipelineGone` where a
    pipeline runs already that calls the real providers, `StoreError` where the store is a server that does not answer.
    """

    def __init__(self, settings: Settings, *, sandbox: bool = False) -> None:
        self._settings = settings
        self._sandbox = sandbox
        self._stack: Stack | None = None
        self._tree: ProcessTreeAddress | None = None
        self._store: Store | None = None
        self._closing = AsyncExitStack()
        self.bootstrap = Brokers("")
        self.pages = Pages("")
        self.providers: frozenset[str] = frozenset()

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException:
            await self._closing.aclose()
            raise
        return self

    async def _open(self) -> None:
        settings = self._settings
        self._tree = ProcessTreeAddress.find(settings.data_dir)
        where = discovery.find(settings)
        if self._tree is None and not await _is_there(where.pages):
            self._stack = await self._closing.enter_async_context(Stack(settings, sandbox=self._sandbox))
            where = discovery.find(settings)
        elif self._sandbox and not (self._tree and self._tree.sandbox_url):
            raise PipelineGone("a pipeline without a sandbox runs already: stop it, or leave out --sandbox")
        self.bootstrap, self.pages, self.providers = where.bootstrap, where.pages, where.providers
        if not settings.embedded_store:  # then it is there whatever becomes of a worker
            self._store = await self._closing.enter_async_context(await Store.open(settings.store_url, readonly=True))

    async def __aexit__(self, *_: object) -> None:
        await self._closing.aclose()

    @property
    def own(self) -> bool:
        """True when it was started here."""
        return self._stack is not None

    async def watch(self) -> None:
        """Return never. Raises `PartEnded` or `PipelineGone` when the pipeline has ended."""
        if self._stack:
            await self._stack.watch()
        while True:
            await asyncio.sleep(LOOK_S)
            self.check()

    def check(self) -> None:
        """Raise `PipelineGone` when another tree, or none, is where ours was: its broker has forgotten everything."""
        if self._tree and ProcessTreeAddress.find(self._settings.data_dir) != self._tree:
            raise PipelineGone(f"the pipeline of process {self._tree.pid} has ended")

    async def until_stored(self) -> None:
        """Return once all that was reported before is stored, by whichever worker. Raises `PipelineGone`."""
        await until_stored(self.bootstrap)
        self.check()

    async def query(self, sql: str) -> list[list[Any]]:
        """Rows of a question to the store. Raises `PipelineAway`."""
        if self._store:
            try:
                return [list(row) for row in (await self._store.query_user(sql)).rows]
            except StoreError as error:
                raise PipelineAway(f"the store did not answer: {error}") from None
        try:
            found = await self.pages.query(sql)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise PipelineAway(f"the worker does not answer: {type(error).__name__}") from None
        if "error" in found:
            raise PipelineAway(f"the store did not answer: {found['error']}")
        return list(found["rows"])

    async def provider_status(self, provider: str) -> dict[str, Any]:
        """The worker's view of a provider: keys and their use, breaker, budget. Raises `PipelineAway`."""
        try:
            found: dict[str, Any] = (await self.pages.status())["providers"][provider]
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise PipelineAway(f"the worker does not answer: {type(error).__name__}") from None
        return found


async def _is_there(pages: Pages) -> bool:
    """Return whether a worker runs there; one that starts, or shares work with others anew, is waited for.

    Raises `PipelineGone` when that lasts too long.
    """
    clock = asyncio.get_running_loop().time
    patience = clock() + READY_S
    while clock() < patience:
        try:
            if (await pages.status())["ready"]:
                return True
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False
        await asyncio.sleep(LOOK_S / 4)
    raise PipelineGone(f"the worker at {pages.url} has not become ready within {READY_S:g} s: see its log")
