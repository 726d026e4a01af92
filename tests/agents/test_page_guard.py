"""The worker's pages let in who shows the token, by a name of theirs, and no web page. Asked over real HTTP."""

import io
import json

import aiohttp
import pytest
from aiohttp import web

from agents.monitor import Monitor, Progress
from agents.page_guard import PageGuard
from agents.polling.quote_cache import Quotes
from infra import settings
from infra.kafka.brokers import Brokers
from streams import application
from streams.errors import AccessRefused
from streams.runtime.pages import Pages
from tests.waiting import ending

TOKEN = "a-token-of-32-characters-at-least"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SQL = {"Content-Type": "application/sql"}
FAUST_OWN = ("/", "/stats/", "/router/", "/table/", "/graph/")
OURS = ("/status/", "/keys/", "/breakers/", "/budget/", "/query/", "/export/")


def progress():
    return Progress(ready=True, behind={}, settled=True, rows_stored=0, store_away=False)


async def nothing():
    pass


@pytest.fixture
async def pages(store, tmp_path):
    """Every page of a worker, Faust's own too, behind the guard and on a real server; no broker is needed for that."""
    configured = settings.load(tmp_path / "no.env", {"DATA_DIR": str(tmp_path), "WEB_NAMES": "worker, Worker.example"})
    guard = PageGuard(TOKEN, configured.web_names).middleware
    app = application.build(configured, guard, opening=nothing, draining=nothing, closing=nothing)
    Monitor({}, Quotes(Brokers("127.0.0.1:1"), 0), owned=list, progress=progress, store=lambda: store).attach(app)
    runner = web.AppRunner(await app.web.wsgi(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield Pages(f"http://127.0.0.1:{runner.addresses[0][1]}", TOKEN)
    await runner.cleanup()


async def asked(pages, method, path, *, data=None, **headers):
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, pages.url + path, data=data and io.BytesIO(data), headers=headers) as answer,
    ):
        return answer.status, await answer.read()


async def test_our_own_callers_are_let_in(pages):
    assert (await pages.status())["ready"]
    assert await pages.ready()
    assert (await pages.query("SELECT 1 AS one")) == {"columns": ["one"], "rows": [[1]]}
    assert (await pages.export("SELECT 1 AS one", "CSVWithNames")) == b'"one"\n1\n'


async def test_without_the_token_nothing_answers_but_that_the_worker_lives(pages):
    for path in (*OURS, *FAUST_OWN, "/no/such/page/", "/live/../status/", "//live/"):
        for headers in (
            {},
            {"Authorization": "Bearer "},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": TOKEN},
        ):
            for method in ("GET", "POST", "PUT", "OPTIONS"):
                status, body = await asked(pages, method, path, **SQL, **headers)
                assert (status, set(json.loads(body))) == (401, {"error"}), (method, path, headers)
    for wrong in (TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "caf\udce9", "x" * 5000):
        assert (await asked(pages, "GET", "/status/", Authorization=f"Bearer {wrong}"))[0] == 401

    assert await asked(pages, "GET", "/live/") == (200, b'{"live": true}')
    assert (await asked(pages, "POST", "/live/", **SQL))[0] == 401


STRANGE_HOSTS = (
    *("evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "worker.evil.example"),
    *("[::1", "a:b:c", "", "127.0.0.1@evil.example", "localhost:99999999"),
)
OWN_HOSTS = ("127.0.0.1:80", "localhost:80", "LocalHost", "[::1]:80", "10.0.0.7", "worker:6066", "WORKER.example")


@pytest.mark.parametrize("path", ["/status/", "/live/"])
async def test_a_name_that_is_not_the_workers_is_refused(pages, path):
    for host in STRANGE_HOSTS:
        assert (await asked(pages, "GET", path, Host=host, **BEARER))[0] == 403, host
    for host in OWN_HOSTS:
        assert (await asked(pages, "GET", path, Host=host, **BEARER))[0] == 200, host


async def test_a_web_page_of_another_origin_is_refused_even_with_the_token(pages):
    own = pages.url.removeprefix("http://")
    for origin in (
        "http://evil.example",
        "https://evil.example",
        "null",
        "",
        f"http://{own}.evil.example",
        "http://127.0.0.1:1",
    ):
        assert (await asked(pages, "POST", "/query/", data=b"SELECT 1", Origin=origin, **BEARER, **SQL))[0] == 403, (
            origin
        )

    status, _ = await asked(pages, "POST", "/query/", data=b"SELECT 1", Origin=f"http://{own}", **BEARER, **SQL)
    assert status == 200


async def test_a_question_has_to_say_that_it_is_sql(pages):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json", ""):
        for path in ("/query/", "/export/"):
            status, body = await asked(pages, "POST", path, data=b"SELECT 1", **BEARER, **{"Content-Type": kind})
            assert (status, b"application/sql" in body) == (415, True), (kind, path)
    assert (
        await asked(
            pages, "POST", "/query/", data=b"SELECT 1", **BEARER, **{"Content-Type": "application/sql; charset=utf-8"}
        )
    )[0] == 200


async def test_no_answer_allows_another_origin_to_read_it(pages):
    async with aiohttp.ClientSession() as session, session.get(f"{pages.url}/status/", headers=BEARER) as answer:
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_question_of_any_size_is_answered_or_refused(pages):
    assert (await asked(pages, "POST", "/query/", data=b"SELECT 1 -- " + b"x" * 2**20, **BEARER, **SQL))[0] == 413
    assert (await asked(pages, "POST", "/query/", data=b"\xff\xfe", **BEARER, **SQL))[0] == 400


async def test_a_token_is_shown_to_nobody_unknown_and_goes_to_no_other_place():
    shown = []

    async def elsewhere(request):
        shown.append(request.headers.get("Authorization"))
        raise web.HTTPTemporaryRedirect(location="/stolen/")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", elsewhere)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    with pytest.raises(aiohttp.ClientConnectionError, match="no worker of ours"):
        await Pages(url).status()
    assert not await Pages(url).ready()
    assert shown == []
    assert not await Pages(url, TOKEN).ready()
    assert shown == [f"Bearer {TOKEN}"]
    await runner.cleanup()


async def test_another_workers_token_is_told_in_one_line(pages):
    other = Pages(pages.url, "the token of another worker")
    for asking in (other.status(), other.ready(), other.query("SELECT 1"), other.export("SELECT 1", "TSV")):
        with pytest.raises(AccessRefused, match="does not take our token"):
            await ending(asking, "the question")
    assert "the token" not in repr(other)
