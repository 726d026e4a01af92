"""A ClickHouse server on loopback, from the engine's own library: for tests of the store as a server.

    async with ClickHouseServer(data_dir=folder) as server:
        store = await Store.open(server.url())

`python -m infra.clickhouse.server` runs one until Ctrl-C (`make clickhouse`).
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from pathlib import Path
from urllib.parse import quote

import aiohttp
import click

from infra.child_process import Child, ChildFailed
from infra.clickhouse.distribution import ClickHouseUnavailable, library
from infra.ports import PortBusy, free_port, require_free
from infra.server_process import ServerProcess, until_signal

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


class ClickHouseServer(ServerProcess):
    """ClickHouse as a child that dies with us; its tables stay in `data_dir`, also after kill -9.

    Raises (on entering):
        ClickHouseUnavailable: another platform, or npm cannot resolve the library.
        PortBusy: another process listens on `port`.
        ChildFailed: it ended or did not answer.
    """

    title = "ClickHouse"
    ready_within_s = READY_WITHIN_S
    grace_s = GRACE_S

    def __init__(self, *, data_dir: Path, port: int | None = None) -> None:
        self._dir = data_dir.resolve()
        self._port = port

    @property
    def port(self) -> int:
        """Its HTTP port; 0 before the first start."""
        return self._port or 0

    def url(self, *, password: str = PASSWORD, path: str = "", options: str = "") -> str:
        """Return the URL of a store on it; `path` names a database (`/research`), `options` begin with `&`."""
        return f"http://{USER}:{quote(password, safe='')}@{LOOPBACK}:{self._port}{path}?compress=false{options}"

    async def launch(self) -> Child:
        """Start the engine on its folder and a free port, or on its own again."""
        engine = await asyncio.to_thread(library)
        if self._port is None:
            self._port = free_port()
        require_free(self._port)
        self._dir.mkdir(parents=True, exist_ok=True)
        config = self._dir / "config.xml"
        config.write_text(CONFIG.format(port=self._port, folder=self._dir))
        digest = hashlib.sha256(PASSWORD.encode()).hexdigest()
        (self._dir / "users.xml").write_text(USERS.format(user=USER, digest=digest))
        return await Child.start(
            self.title, [sys.executable, SERVE, engine, config], log=self._dir / "server.log", env={}, cwd=self._dir
        )

    async def answers(self) -> bool:
        """Return whether it answers a ping."""
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
    async with server:
        click.echo(f"CLICKHOUSE_URL={server.url(path='/tapestream')}")
        await until_signal(server)


if __name__ == "__main__":
    main()
