"""The pipeline's collectors and schedules for programs, as `tapestream collect`, `schedule` and `symbols`.

with SchedulerClient() as scheduler:
    scheduler.add_symbol("AMD")
    run = scheduler.force_collection("daily_prices")
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from connectors.records import AssetClass
from infra import settings
from infra.clickhouse.runs import run_sql
from infra.settings import Settings
from streams.client.thread_loop import Background
from streams.collecting import declarations as collectors
from streams.collecting import runs, universe
from streams.errors import NotRunning, PipelineAway
from streams.messaging.collector_messages import CollectorRun, CollectRequest, UniverseChange
from streams.runtime.pipeline import Pipeline
from streams.runtime.query import stored

LOOKS, LOOK_S = 60, 1.0
"""How long a worker is waited for that is just started afresh."""
T = TypeVar("T")


class SchedulerClient:
    """Changes the universe, requests runs of collectors, and reports their state and that of their schedules.

    The clock of the schedules is kept by the worker (`agents.collecting.scheduler`); this class asks it.
    It uses the pipeline that runs already, and that one keeps running; else it starts an embedded one, whose schedules
    fire unless SCHEDULES=off, and stops it at the end of the `with` block, or by `stop`. Threads may share it. A method
    raises what ended the pipeline (`PartEnded`, `PipelineGone`), and `NotRunning` before `start` and after `stop`.

    Settings and declarations are read when it is made, tapestream.toml in the working directory: let that be the
    worker's. Raises `SettingsInvalid` and `DeclarationsInvalid`.
    """

    def __init__(self, *, sandbox: bool = False) -> None:
        self._settings = with_schedules(settings.load())
        self._clock = self._settings.clock
        self._declared = collectors.load()
        self._sandbox = sandbox
        self._turn = threading.RLock()
        self._background: Background[Pipeline] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except Exception:
            if error is None:  # else that is what the program is to hear of
                raise

    def start(self) -> None:
        """Find the pipeline or start one, and return when it is ready. Once it runs, this changes nothing.

        Raises:
            AlreadyRunning, BrokerMissing, ChildFailed, PortBusy: none could be started.
            PipelineGone: with `sandbox`, and one runs already that calls the real providers.
        """
        with self._turn:
            if self._background is not None:
                return
            self._background = Background(Pipeline(self._settings, sandbox=self._sandbox), "scheduler")
            try:
                self._background.start()
            except BaseException:
                self._background = None
                raise

    def stop(self) -> None:
        """Stop what was started, and return when all that it received is stored. Once it is stopped, this does nothing.

        Raises what ended the pipeline before, if no method has raised that yet.
        """
        with self._turn:
            background, self._background = self._background, None
            if background is not None:
                background.stop()

    @property
    def own(self) -> bool:
        """True while it keeps a pipeline that it started itself."""
        background = self._background
        return background is not None and background.pipeline.own

    def add_symbol(self, symbol: str, asset_class: AssetClass = "equity") -> bool:
        """Let the collectors run for this symbol too, from their next run on. Raises `ChangeInvalid`.

        True once that is stored; False where the store takes its time: then it will be.
        """
        return self._change("add", symbol, asset_class)

    def remove_symbol(self, symbol: str, asset_class: AssetClass = "equity") -> bool:
        """Let no run ask for this symbol any more; what is stored of it stays. Returns and raises as `add_symbol`."""
        return self._change("remove", symbol, asset_class)

    @overload
    def force_collection(
        self, collector: str, *, full: bool = False, at_once: bool = False, wait: Literal[True] = True
    ) -> CollectorRun: ...
    @overload
    def force_collection(
        self, collector: str, *, full: bool = False, at_once: bool = False, wait: Literal[False]
    ) -> str: ...
    def force_collection(
        self, collector: str, *, full: bool = False, at_once: bool = False, wait: bool = True
    ) -> CollectorRun | str:
        """Have a collector run now, and give the report of its end: its `state` is `done`, `failed` or `skipped`.

        With `full` it fetches everything again, whatever is stored; with `at_once` it waits for no dependency and for
        no other run. Without `wait` only the run's id is given, as soon as the run is asked for.

        Raises:
            UnknownCollector: nothing of this name is declared.
            BrokerUnreachable: the broker of a pipeline that runs elsewhere has gone.
        """
        runs.require_declared(collector, self._declared)
        asked = runs.request(collector, self._clock.now_ms(), full=full, at_once=at_once)
        if wait:
            return self._do(lambda pipeline: _reported(pipeline, asked))
        self._do(lambda pipeline: runs.submit(pipeline.bootstrap, asked))
        return asked.run_id

    def statistics(self) -> dict[str, Any]:
        """Return the state of everything: `collectors` and `schedules`, by their names.

        Of a collector `last_state`, `last_reason`, `last_started`, `last_ended`, `units`, `calls`, `records`, `rejects`
        of its last run (None: it never ran); of a schedule `last_fired`, its `next` three times, and whether it is
        `due`. Times are aware and in UTC.
        """
        return self._do(self._statistics)

    def _change(self, change: Literal["add", "remove"], symbol: str, asset_class: AssetClass) -> bool:
        changed = universe.changes(change, [symbol], asset_class, self._clock.now_ms())
        return self._do(lambda pipeline: _handed_over(pipeline, changed))

    async def _statistics(self, pipeline: Pipeline) -> dict[str, Any]:
        ask = partial(_patiently, pipeline)
        standings = await runs.standings(self._declared, ask)
        timetables = await runs.timetables(self._declared, ask, self._clock.now_ms())
        return {
            "collectors": {each.collector: asdict(each) for each in standings},
            "schedules": {each.schedule: asdict(each) for each in timetables},
        }

    def _do(self, work: Callable[[Pipeline], Coroutine[Any, Any, T]]) -> T:
        background = self._background
        if background is None:
            raise NotRunning("it does not run: write `with SchedulerClient() as scheduler:`, or call its start()")
        return background.do(work)


def with_schedules(given: Settings) -> Settings:
    """The settings of a pipeline whose schedules fire, unless the user has said that they must not."""
    return given if given.schedules == "off" else given.model_copy(update={"schedules": "on"})


async def _reported(pipeline: Pipeline, asked: CollectRequest) -> CollectorRun:
    """Have a run made, and give its report once the statistics know of it too."""
    report = await runs.run(pipeline.bootstrap, asked)
    await stored(partial(_patiently, pipeline), run_sql(report.run_id), bool)
    return report


async def _handed_over(pipeline: Pipeline, changed: list[UniverseChange]) -> bool:
    return await universe.hand_over(pipeline.bootstrap, changed, partial(_patiently, pipeline))


async def _patiently(pipeline: Pipeline, sql: str) -> list[Any]:
    """Ask the worker, again where it is away for a moment. Raises `PipelineAway` when it stays so."""
    for _ in range(LOOKS):
        with suppress(PipelineAway):
            return await pipeline.query(sql)
        await asyncio.sleep(LOOK_S)
    return await pipeline.query(sql)
