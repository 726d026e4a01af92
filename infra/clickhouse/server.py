"""A ClickHouse server on loopback, from the engine's own library: for tests of the store as a server.

    async with ClickHouseServer(data_dir=folder) as server:
        store = await Store.open(server.url())

`python -m infra.clickhouse.server` runs one until Ctrl-C (`make clickhouse`).
"""

from __future__ import annotations

import asyncio
import hashlib
import signal
import sys
from pathlib import Path
from typing import Self
from urllib.parse import quote

import aiohttp
import click

from infra.child_process import Child, ChildFailed
from infra.clickhouse.distribution import ClickHouseUnavailable, library
from infra.ports import PortBusy, free_port, require_free

LOOPBACK = "127.0.0.1"
USER, PASSWORD = "trader", "s3cret/word"
READY_WITHIN_S = 60.0  # the engine starts within 3 s on a quick machine
GRACE_S = 0.1  # its library answers no SIGTERM; what it has acknowledged survives a kill
SERVE = Path(__file__).with_name("_serve.py")
CONFIG = """\
<clickhouse>
  <http_port>{port}</http_port>
  <listen_host>127.0.0.1</listen_host>
  <path>{folder}/data/</path>
  <users_config>{folder}/users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
  <mark_cache_size>67108864</mark_cache_size>
</clickhouse>
"""
USERS = """\
<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <no_password/>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
    </default>
    <{user}>
      <password_sha256_hex>{digest}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <access_management>1</access_management>
    </{user}>
  </users>
</clickhouse>
"""
"""The query that starts the server runs as `default`, so that user must exist; programs log in as the other one."""


class ClickHouseServer:
    """ClickHouse as a child that dies with us; its tables stay in `data_dir`, also after kill -9.

    Raises (on entering):
        ClickHouseUnavailable: another platform, or npm cannot resolve the library.
        PortBusy: another process listens on `port`.
        ChildFailed: it ended or did not answer.
    """

    def __init__(self, *, data_dir: Path, port: int | None = None) -> None:
        self._dir = data_dir.resolve()
        self._port = port
        self._child: Child | None = None

    @property
    def port(self) -> int:
        """Its HTTP port; 0 before the first start."""
        return self._port or 0

    def url(self, *, password: str = PASSWORD, path: str = "", options: str = "") -> str:
        """Return the URL of a store on it; `path` names a database (`/research`), `options` begin with `&`."""
        return f"http://{USER}:{quote(password, safe='')}@{LOOPBACK}:{self._port}{path}?compress=false{options}"

    async def start(self) -> Self:
        """Start it, or start it again on the same folder and port, and wait until it answers."""
        engine = await asyncio.to_thread(library)
        if self._port is None:
            self._port = free_port()
        require_free(self._port)
        self._dir.mkdir(parents=True, exist_ok=True)
        config = self._dir / "config.xml"
        config.write_text(CONFIG.format(port=self._port, folder=self._dir))
        digest = hashlib.sha256(PASSWORD.encode()).hexdigest()
        (self._dir / "users.xml").write_text(USERS.format(user=USER, digest=digest))
        self._child = await Child.start(
            "ClickHouse", [sys.executable, SERVE, engine, config], log=self._dir / "server.log", env={}, cwd=self._dir
        )
        try:
            await self._child.until_ready(self._answers, READY_WITHIN_S)
        except BaseException:
            await self.stop()
            raise
        return self

    async def stop(self) -> None:
        """Kill it. ClickHouse has on disk what it has acknowledged."""
        if self._child:
            await self._child.stop(GRACE_S)
            self._child = None

    @property
    def pid(self) -> int:
        """Its process id. Raises `ChildFailed` while it does not run."""
        if self._child is None:
            raise ChildFailed("ClickHouse does not run")
        return self._child.pid

    async def wait(self) -> int:
        """Wait until it ends for any reason, and return its exit code."""
        return await self._child.wait() if self._child else 0

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _answers(self) -> bool:
        try:
            async with aiohttp.ClientSession() as http, http.get(f"http://{LOOPBACK}:{self._port}/ping") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("data/clickhouse"), show_default=True)
@click.option("--port", default=8123, show_default=True)
def main(folder: Path, port: int) -> None:
    """Run one ClickHouse server on loopback until Ctrl-C: for tests and for trying a worker against a server."""
    try:
        asyncio.run(_serve(ClickHouseServer(data_dir=folder, port=port)))
    except (ClickHouseUnavailable, PortBusy, ChildFailed) as error:
        raise SystemExit(f"clickhouse: {error}") from None


async def _serve(server: ClickHouseServer) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with server:
        click.echo(f"CLICKHOUSE_URL={server.url(path='/tapestream')}")
        ended, stopped = asyncio.ensure_future(server.wait()), asyncio.ensure_future(stopping.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        stopped.cancel()


if __name__ == "__main__":
    main()
