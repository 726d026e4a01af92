"""Who owns a chDB folder: a lock that the kernel releases with the process, whatever ends it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from infra.clickhouse._errors import StoreOwned, StoreUrlInvalid

LOCK_FILE = "owner.lock"


class StoreLock:
    """The exclusive right to open a chDB folder, held until `release()` or the end of the process.

    Raises:
        StoreOwned: when another process, or another store of this one, has it.
        StoreUrlInvalid: when the folder cannot be made or written.
    """

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        try:
            if create:
                folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise StoreUrlInvalid(f"the store's folder {folder} cannot be used: {exc.strerror}") from exc
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            holder = os.pread(self._lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._lock)
            raise StoreOwned(_explain(folder, holder)) from exc
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Return the folder up; the file stays, since removing it would let two owners in."""
        os.close(self._lock)


def _explain(folder: Path, holder: str) -> str:
    who = "this process itself" if holder == str(os.getpid()) else f"process {holder}"
    return f"the store {folder} is open in {who}: ask that process, stop it, or name another folder"
