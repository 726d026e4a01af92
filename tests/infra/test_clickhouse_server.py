"""The store on a server: the same code through HTTP, and what happens when nobody answers.

The server is real HTTP on loopback around the embedded engine: it binds the parameters and settings of
each request as https://clickhouse.com/docs/interfaces/http says, and knows one user.
"""

import base64
import http.server
import re
import socket
import tempfile
import threading
from urllib.parse import parse_qsl, urlsplit

import chdb
import pytest

from infra.clickhouse import QueryRefused, RowsRefused, Store, StoreUnavailable, StoreUrlInvalid, migrate
from infra.clickhouse.queries import ROW_COUNTS

USER, PASSWORD = "trader", "s3cret/word"
SETTINGS = ("max_execution_time", "max_result_rows", "readonly")
BAR = {
    **{"symbol": ["AAPL"], "asset_class": ["equity"], "source": ["yahoo"], "interval": ["1d"], "adjustment": ["raw"]},
    **{"ts": [0], "open": [1.0], "high": [1.0], "low": [1.0], "close": [1.0], "observed_at": [1], "request_id": ["r"]},
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self._body()
        given = dict(parse_qsl(urlsplit(self.path).query))
        if self.headers["Authorization"] != self.server.authorization:
            self._answer(403, b"Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)")
            return
        try:
            self._answer(200, self.server.run(body, given))
        except RuntimeError as exc:
            self._answer(500, str(exc).encode())

    def _body(self):
        if length := self.headers["Content-Length"]:
            return self.rfile.read(int(length))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, status, body):
        self.send_response(status)
        if code := re.search(rb"Code: (\d+)\.", body) if status != 200 else None:
            self.send_header("X-ClickHouse-Exception-Code", code[1].decode())
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class ClickHouseServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, folder, port=0):
        self.folder = str(folder)
        self.engine = chdb.connect(self.folder)
        self.turn = threading.Lock()
        self.authorization = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        super().__init__(("127.0.0.1", port), Handler)
        self.thread = threading.Thread(target=self.serve_forever)
        self.thread.start()

    def run(self, body, given):
        sql = "\n".join(part for part in (given.get("query", ""), body.decode(errors="replace")) if part)
        parameters = {name.removeprefix("param_"): value for name, value in given.items() if name.startswith("param_")}
        with self.turn, chdb.connect(self.folder) as session:
            if database := given.get("database"):
                session.query(f"USE {database}")
            for name in SETTINGS:
                if name in given:
                    session.query(f"SET {name} = {given[name]}")
            if not sql.startswith("INSERT"):
                return session.query(sql, "TabSeparated", params=parameters).bytes()
            insert, _, block = body.partition(b" FORMAT Native\n")
            with tempfile.NamedTemporaryFile() as file:
                file.write(block)
                file.flush()
                return session.query(f"{insert.decode()} FROM INFILE '{file.name}' FORMAT Native").bytes()

    def stop(self):
        self.shutdown()
        self.thread.join()
        self.server_close()
        self.engine.close()


@pytest.fixture
def server(tmp_path):
    running = ClickHouseServer(tmp_path / "engine")
    yield running
    running.stop()


def url_of(server, *, password="s3cret%2Fword", path="", options=""):
    return f"http://{USER}:{password}@127.0.0.1:{server.server_port}{path}?compress=false{options}"


async def test_a_server_does_what_the_embedded_engine_does(server):
    async with await Store.open(url_of(server)) as store:
        assert await migrate(store) == ["0001_market_and_calls", "0002_fundamentals_and_news"]
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
        with pytest.raises(QueryRefused, match="only reading"):
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
        await Store.open(f"http://{USER}:s3cret@127.0.0.1:{unused_port}/tapestream")

    assert f"http://127.0.0.1:{unused_port}/tapestream" in str(unavailable.value)
    assert "s3cret" not in str(unavailable.value)


async def test_a_server_that_went_away_is_unavailable_until_it_is_back(server, tmp_path):
    async with await Store.open(url_of(server)) as store:
        await migrate(store)
        server.stop()
        with pytest.raises(StoreUnavailable):
            await store.insert("bars_log", BAR)
        with pytest.raises(StoreUnavailable):
            await store.query("SELECT 1")

        server.__init__(tmp_path / "engine", server.server_port)
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
