"""Child processes that never outlive us: their start, readiness, log and orderly stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Self

import psutil

from infra.errors import PipelineError

PARENT_DEATH = Path(__file__).with_name("parent_death.py")
POLL_S = 0.05  # how soon the end of a child is noticed


class ChildFailed(PipelineError):
    """A child process could not be started, ended too early, or did not get ready in time."""


class Child:
    """One running child process.

    It leads a session of its own, so Ctrl-C in the terminal reaches only its parent, which decides the
    order in which things stop. On Linux the kernel kills it when the thread that started it ends, even
    by kill -9: start children from the main thread. What it prints goes to its log.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Self:
        """Start `command`.

        Args:
            name: what errors call it.
            command: the program, looked up on PATH when it is a bare name, and its arguments.
            log: file that its output is appended to; its folder is created.
            env: its whole environment; None hands on our own, secrets included.
            cwd: its working directory; None is our own.

        Raises:
            ChildFailed: there is no such program.
        """
        program, *arguments = map(str, command)
        path = shutil.which(program)
        if path is None:
            raise ChildFailed(f"cannot start {name}: there is no program {program}")
        with _append(log) as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-IS", str(PARENT_DEATH), str(os.getpid()), path, *arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                cwd=cwd,
                start_new_session=True,
            )
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative when a signal ended it; None while it runs."""
        return self._process.returncode

    def rss(self) -> int:
        """Resident memory in bytes; 0 once it has ended."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.NoSuchProcess:
            return 0

    async def wait(self) -> int:
        """Wait for its end and return the exit code."""
        return await self._process.wait()

    async def until_ready(self, probe: Callable[[], Awaitable[bool]], within_s: float) -> None:
        """Ask `probe` again and again until it says yes.

        Raises:
            ChildFailed: the child ended first, or `within_s` seconds passed. It is not stopped.
        """
        ended = asyncio.ensure_future(self.wait())
        ready = asyncio.ensure_future(_until(probe))
        try:
            await asyncio.wait({ended, ready}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise ChildFailed(self._obituary(f"ended with exit code {ended.result()} before it was ready"))
            if not ready.done():
                raise ChildFailed(self._obituary(f"was not ready after {within_s:g} s"))
            ready.result()
        finally:
            for task in (ended, ready):
                task.cancel()
            await asyncio.gather(ended, ready, return_exceptions=True)

    async def stop(self, grace_s: float = 10.0) -> int:
        """Ask it to end (SIGTERM), kill it and its process group after `grace_s` seconds; its exit code.

        When the waiting itself is cancelled, it is killed at once.
        """
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
        try:
            async with asyncio.timeout(grace_s):
                return await self.wait()
        except TimeoutError:
            self._kill()
        except asyncio.CancelledError:
            self._kill()
            raise
        return await self.wait()

    def _kill(self) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def _obituary(self, what: str) -> str:
        said = _last_words(self.log)
        return f"{self.name} {what}" + (f": {said}" if said else "") + f" (its log: {self.log})"


async def _until(probe: Callable[[], Awaitable[bool]]) -> None:
    while True:
        if await probe():
            return
        await asyncio.sleep(POLL_S)


def _append(log: Path) -> BinaryIO:
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("ab")


def _last_words(log: Path, within: int = 8192) -> str:
    """The last line of the log that is not indented, as the frames of a stack trace are."""
    with log.open("rb") as output:
        output.seek(max(0, log.stat().st_size - within))
        lines = output.read().decode(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line[:1].strip()), "")
