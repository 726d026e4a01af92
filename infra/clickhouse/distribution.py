"""What a ClickHouse server for tests needs: the engine's library, which npm resolves once. Linux on x86-64 only.

The npm package of chDB carries ClickHouse whole. Started with the command line of clickhouse-local, the library opens
ClickHouse's own HTTP server: its handlers, users, passwords and table engines. It is for tests, not for production.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from infra.errors import PipelineError

PACKAGE = "@chdb/lib-linux-x64-gnu"
VERSION = "26.7.3-stable.1"  # npm's default tag still names 26.5, whose handlers lack what the store asks
RUN = Path(__file__).with_name(".run")
NPM_TIMEOUT_S = 600  # 170 MB, over a slow line


class ClickHouseUnavailable(PipelineError):
    """The test server cannot run on this machine; the message is the reason."""


def available() -> str | None:
    """Return the reason why the server cannot run here; None when it can. Resolves the library the first time."""
    try:
        library()
    except ClickHouseUnavailable as unavailable:
        return str(unavailable)
    return None


def library() -> Path:
    """Return the path of the engine's library; resolved when it is not there yet.

    Raises:
        ClickHouseUnavailable: another platform, no npm, or npm could not resolve it.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise ClickHouseUnavailable(f"{PACKAGE} is for Linux on x86-64 only")
    folder = RUN / f"lib-{VERSION}"
    if not folder.is_dir():
        _resolve(folder)
    return folder / "libchdb.so"


def _resolve(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise ClickHouseUnavailable("no npm on PATH: install Node.js, npm resolves the ClickHouse library for tests")
    RUN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RUN) as scratch:
        command = [npm, "pack", "--silent", "--pack-destination", scratch, f"{PACKAGE}@{VERSION}"]
        try:
            done = subprocess.run(  # noqa: S603 - our own command
                command, capture_output=True, text=True, timeout=NPM_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise ClickHouseUnavailable(f"npm did not resolve {PACKAGE} within {NPM_TIMEOUT_S} s") from None
        if done.returncode != 0:
            raise ClickHouseUnavailable(f"npm could not resolve {PACKAGE}: {done.stderr.strip()[-200:]}")
        fresh = Path(scratch, "package")
        with tarfile.open(next(Path(scratch).glob("*.tgz"))) as packed:
            packed.extract("package/libchdb.so", scratch, filter="data")
        if not folder.is_dir():  # another process may have been faster
            fresh.rename(folder)
