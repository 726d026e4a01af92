"""The store on a server: the same code through HTTP, and what happens when nobody answers.

The server is ClickHouse's own (`infra.clickhouse.server`).
"""

import http.server
import socket
import threading

import pytest

from infra.clickhouse import QueryRefused, RowsRefused, Store, StoreUnavailable, StoreUrlInvalid, migrate
from infra.clickhouse.migrate import PACKAGED
from infra.clickhouse.queries import ROW_COUNTS

BAR = {
    **{"symbol": ["AAPL"], "asset_class": ["equity"], "source": ["yahoo"], "interval": ["1d"], "adjustment": ["raw"]},
    **{"ts": [0], "open": [1.0], "high": [1.0], "low": [1.0], "close": [1.0], "observed_at": [1], "request_id": ["r"]},
}


@pytest.fixture
def server(clickhouse_server):
    return clickhouse_server


def url_of(server, **more):
    return server.url(**more)


async def test_a_server_does_what_the_embedded_engine_does(server):
    async with await Store.open(url_of(server)) as store:
        applied = await migrate(store)
        assert applied == sorted(path.name.removesuffix(".sql") for path in PACKAGED.iterdir() if path.name[0] == "0")
        assert await migrate(store) == []
        for _ in range(2):
            assert await store.insert("bars_log", BAR) == 1

        assert dict((await store.query(ROW_COUNTS)).rows)["bars"] == 1
        assert (await store.query("SELECT currentDatabase(), volume FROM bars")).rows == [("tapestream", None)]
        assert (await store.query("SELECT {n:UInt8}", {"n": 7})).rows == [(7,)]


async def test_the_database_of_the_url_is_created(server):
    async with await Store.open(url_of(server, path="/research")) as store:
        assert (await store.query("SELECT currentDatabase()")).rows == [("research",)]
    async with await Store.open(url_of(server, path="/research"), readonly=True) as store:
        assert (await store.query("SELECT currentDatabase()")).rows == [("research",)]
    with pytest.raises(QueryRefused, match="no database 'absent'"):
        await Store.open(url_of(server, path="/absent"), readonly=True)


async def test_refusals_of_a_server_are_those_of_the_embedded_engine(server):
    async with await Store.open(url_of(server)) as store:
        await migrate(store)
        with pytest.raises(RowsRefused, match="ts_representable"):
            await store.insert("bars_log", BAR | {"ts": [-3_000_000_000_000]})
        with pytest.raises(RowsRefused, match="open"):
            await store.insert("bars_log", BAR | {"open": [None]})
        with pytest.raises(QueryRefused, match="nothing"):
            await store.query("SELECT * FROM nothing")
        with pytest.raises(QueryRefused, match="may only read"):
            await store.query_user("DROP VIEW bars")

        assert (await store.query_user("SELECT count() FROM bars")).rows == [(0,)]


async def test_a_wrong_password_is_told_without_telling_it(server):
    with pytest.raises(StoreUrlInvalid, match="refused this user and password") as refused:
        await Store.open(url_of(server, password="wr0ng"))

    assert "wr0ng" not in str(refused.value)


async def test_https_is_never_sent_in_the_clear(server):
    with pytest.raises(StoreUnavailable, match="SSL"):
        await Store.open(url_of(server).replace("http://", "https://"))


async def test_an_unknown_option_of_the_url_is_refused(server):
    with pytest.raises(StoreUrlInvalid, match="colour"):
        await Store.open(url_of(server, options="&colour=blue"))


async def test_a_closed_port_is_unavailable_and_told_without_the_password(unused_port):
    with pytest.raises(StoreUnavailable, match="Connection refused") as unavailable:
        await Store.open(f"http://trader:s3cret@127.0.0.1:{unused_port}/tapestream")

    assert f"http://127.0.0.1:{unused_port}/tapestream" in str(unavailable.value)
    assert "s3cret" not in str(unavailable.value)


async def test_a_server_that_went_away_is_unavailable_until_it_is_back(server):
    async with await Store.open(url_of(server)) as store:
        await migrate(store)
        await server.stop()
        with pytest.raises(StoreUnavailable):
            await store.insert("bars_log", BAR)
        with pytest.raises(StoreUnavailable):
            await store.query("SELECT 1")

        await server.start()
        await store.insert("bars_log", BAR)

        assert (await store.query("SELECT count() FROM bars")).rows == [(1,)]


async def test_a_server_that_does_not_answer_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}?send_receive_timeout=1"
        with pytest.raises(StoreUnavailable, match="timed out"):
            await Store.open(url)


async def test_what_is_no_clickhouse_is_unavailable(unused_port):
    class Teapot(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_error(418)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", unused_port), Teapot) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        with pytest.raises(StoreUnavailable, match="418"):
            await Store.open(f"http://127.0.0.1:{unused_port}")
        other.shutdown()
        thread.join()


@pytest.fixture
def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]
