"""Who runs in a data folder, and how to reach it: a JSON file that counts while its writer's lock is held.

A process id decides nothing: it is given anew, in a container it is always the same. The kernel drops a lock with the
process that holds it, whatever ends that, so a file that was left behind is known as such.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from streams.errors import AlreadyRunning, RunFileInvalid

Shape = Mapping[str, type | tuple[type, ...]]
"""The fields of a file and their types."""
PATIENCE_S, LOOK_S = 1.0, 0.02  # a reader holds the lock for an instant, to see whether it can be had


class RunFile:
    """The file `path`, held from `acquire` until `release` or the end of the process; `<name>.lock` is beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None

    def acquire(self) -> Self:
        """Take it, and remove what an earlier holder left. Raises `AlreadyRunning`, OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(_lock_of(self._path), os.O_RDWR | os.O_CREAT, 0o600)
        patience = time.monotonic() + PATIENCE_S
        while not _locked(lock, fcntl.LOCK_EX):
            if time.monotonic() > patience:
                holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
                os.close(lock)
                raise AlreadyRunning(f"{self._path.parent} is in use by process {holder}: stop it, or set DATA_DIR")
            time.sleep(LOOK_S)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock
        self._path.unlink(missing_ok=True)
        return self

    def publish(self, record: Mapping[str, Any]) -> None:
        """Write the record, whole or not at all, for this user's eyes only: it may hold a token."""
        assert self._lock is not None, "acquired first"
        fresh = self._path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(record, file)
        fresh.replace(self._path)

    def release(self) -> None:
        """Remove the file and give it up; nothing happens where it is not held."""
        if self._lock is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None


def read(path: Path, shape: Shape) -> dict[str, Any] | None:
    """Return what the running holder of `path` has published; None where nobody holds it, or it is still starting.

    Args:
        path: the file.
        shape: its fields and their types; a field that may be None may be missing.

    Raises:
        RunFileInvalid: the holder's record has another shape.
    """
    try:
        lock = os.open(_lock_of(path), os.O_RDONLY)
    except OSError:
        return None
    try:
        if _locked(lock, fcntl.LOCK_SH):
            return None
        text = path.read_text()
    except OSError:
        return None
    finally:
        os.close(lock)
    return _checked(path, text, shape)


def _checked(path: Path, text: str, shape: Shape) -> dict[str, Any]:
    advice = "stop what runs in this folder and start it again; the file is its own"
    try:
        found = json.loads(text)
    except ValueError:
        raise RunFileInvalid(f"{path} is not JSON: {advice}") from None
    if not isinstance(found, dict):
        raise RunFileInvalid(f"{path} is not a JSON object: {advice}")
    record = {name: found.get(name) for name in shape}
    for name, kind in shape.items():
        if not isinstance(record[name], kind) or isinstance(record[name], bool):
            raise RunFileInvalid(f"{path}: {name!r} was {record[name]!r:.60}: {advice}")
    return record


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")


def _locked(lock: int, how: int) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
