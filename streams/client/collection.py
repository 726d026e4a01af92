"""A collection session from Python, beside the program's own work: the same session as `tapestream session` runs.

with Collection(symbols=["AAPL", "BTC-USD"], sources=["finnhub", "yahoo"], hours=4) as collection:
    collection.wait()
print(collection.summary())
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from infra import settings
from streams.sessions import options, units
from streams.sessions.folder import Folder, SessionCommand, SessionManifest, What
from streams.sessions.log import SessionLog
from streams.sessions.recorder import in_short
from streams.sessions.runner import conduct
from streams.sessions.state import FINAL, RUNNING, Session, remaining_ms
from streams.sessions.summary import summary


class Collection:
    """Collects from the beginning of the `with` block on, in a thread of its own.

    At the end of the block a session that still runs is stopped; where the block ended by an exception it is only
    interrupted, and `tapestream session resume` goes on with it. Options are as those of `tapestream session start`.
    Raises `InvalidSpec` and `SettingsInvalid` when made.
    """

    def __init__(
        self,
        *,
        symbols: Sequence[str] = (),
        sources: Sequence[str] = (),
        datasets: Sequence[str] = (),
        hours: float | None = None,
        mode: str | None = None,
        file: Path | None = None,
        sandbox: bool = False,
    ) -> None:
        self._settings = settings.load()
        self._clock = self._settings.clock
        self._spec = options.make(
            self._clock.now_ms(), mode=mode, hours=hours, symbols=symbols, sources=sources, datasets=datasets, file=file
        )
        self._manifest = SessionManifest(self._spec, os.getpid(), sandbox, self._clock.rate, self._clock.anchor_ms)
        self._folder: Folder | None = None
        self._thread = threading.Thread(target=self._work, name=f"session {self._spec.id}")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving: asyncio.Event | None = None
        self._left = False
        self._fault: BaseException | None = None

    def __enter__(self) -> Self:
        self._folder = Folder.create(self._settings.data_dir, self._manifest)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._leave()
            self._thread.join()
        elif self._fault is None:
            self.stop()

    @property
    def id(self) -> str:
        """The session's id."""
        return self._spec.id

    @property
    def folder(self) -> Folder:
        """Where everything of the session is kept."""
        if self._folder is None:
            raise RuntimeError("a collection begins with its block: write `with Collection(...) as collection:`")
        return self._folder

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the session has ended; False when that takes longer. Raises what ended it too early."""
        folder = self.folder
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        if self._fault:
            raise self._fault
        return folder.session().state in FINAL

    def stop(self) -> None:
        """End the session before its time, and return when it has ended. Raises as `wait`."""
        self._order("stop")
        self.wait()

    def pause(self) -> None:
        """Let it rest: nothing more is asked, and its time stands still. Takes effect in a moment."""
        self._order("pause")

    def resume(self) -> None:
        """Go on after a pause."""
        self._order("resume")

    def add_symbol(self, symbol: str) -> None:
        """Collect this symbol too, from the next cycle on; `SPY:etf` names its class. Raises `InvalidSpec`."""
        self._order("add", symbol)

    def remove_symbol(self, symbol: str) -> None:
        """Ask for this symbol no more, from the next cycle on."""
        self._order("remove", symbol)

    def status(self) -> dict[str, Any]:
        """How far it is: `id`, `state`, `remaining_s`, `units_done`, `units_planned`, and all of that in a `line`."""
        session, now = self._session(), self._clock.now_ms()
        return {
            "id": self.id,
            "state": session.state,
            "remaining_s": remaining_ms(session, self._moment(session, now)) / 1000,
            "units_done": len(session.done),
            "units_planned": session.planned,
            "line": in_short(session, 0, self._moment(session, now)),
        }

    def statistics(self) -> dict[str, Any]:
        """What each source brought so far: records, calls, success rate, errors, by hour."""
        found: dict[str, Any] = self.summary()["source_performance"]
        return found

    def summary(self) -> dict[str, Any]:
        """All figures so far, as summary.json has them at the end."""
        session = self._session()
        return summary(session, self._moment(session, self._clock.now_ms()))

    def _session(self) -> Session:
        return self.folder.session()

    @staticmethod
    def _moment(session: Session, now: int) -> int:
        return now if session.state in RUNNING else session.at

    def _order(self, what: What, symbol: str = "") -> None:
        order = SessionCommand(what=what)
        if symbol:
            asset = options.asset(symbol)
            units.check(replace(self._spec, symbols=(asset,)))
            order = SessionCommand(what=what, symbol=asset.symbol, asset_class=asset.asset_class)
        self.folder.order(order)

    def _leave(self) -> None:
        self._left = True
        if self._loop and self._leaving and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._leaving.set)

    def _work(self) -> None:
        log = SessionLog(self.folder.log, lambda _: None, now=self._clock.now_ms)
        try:
            asyncio.run(self._conduct(log))
        except BaseException as error:  # noqa: BLE001  (raised where somebody waits)
            self._fault = error
        finally:
            log.close()

    async def _conduct(self, log: SessionLog) -> None:
        self._loop, self._leaving = asyncio.get_running_loop(), asyncio.Event()
        if self._left:
            self._leaving.set()
        await conduct(self.folder, self._settings, log, self._leaving, sandbox=self._manifest.sandbox)
