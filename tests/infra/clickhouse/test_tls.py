"""The store over TLS: the server is checked, and knows us by our certificate. TLS ends in a proxy before the server,
since the engine's library listens to plain HTTP only."""

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress

import pytest
import trustme
from aiohttp import web

from infra.clickhouse import Store, StoreUnavailable, StoreUrlInvalid, migrate
from infra.clickhouse.server import PASSWORD, USER
from infra.tls import TlsFileInvalid


class Files:
    """An authority, and what it and another one have issued, as PEM files."""

    def __init__(self, folder):
        ours, others = trustme.CA(), trustme.CA()
        self.ca, self.client, self.stranger = folder / "ca.pem", folder / "client.pem", folder / "stranger.pem"
        self.cert, self.key = folder / "cert-alone.pem", folder / "key-alone.pem"
        ours.cert_pem.write_to_path(self.ca)
        client = ours.issue_cert("tapestream@example.com")
        client.private_key_and_cert_chain_pem.write_to_path(self.client)
        client.private_key_pem.write_to_path(self.key)
        self.cert.write_bytes(b"".join(part.bytes() for part in client.cert_chain_pems))
        others.issue_cert("tapestream@example.com").private_key_and_cert_chain_pem.write_to_path(self.stranger)
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.ca)
        self.server.verify_mode = ssl.CERT_REQUIRED
        ours.issue_cert("127.0.0.1").configure_cert(self.server)

    def options(self, **files):
        return "&".join(f"{name}={path}" for name, path in {"ca_cert": self.ca, **files}.items())


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


@asynccontextmanager
async def over_tls(files, port):
    """The port of a listener that speaks TLS, demands a certificate, and hands on to `port`."""

    async def pipe(source, target):
        with suppress(ConnectionError, ssl.SSLError):
            while part := await source.read(65_536):
                target.write(part)
                await target.drain()
        target.close()

    async def serve(reader, writer):
        behind = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pipe(reader, behind[1]), pipe(behind[0], writer))

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=files.server)
    async with listener:
        yield listener.sockets[0].getsockname()[1]


LOGIN = f"{USER}:{PASSWORD.replace('/', '%2F')}"


def url(port, options, login=LOGIN):
    return f"https://{login}@127.0.0.1:{port}/tapestream?{options}"


@pytest.mark.parametrize("apart", [False, True])
async def test_the_store_works_over_tls_with_a_certificate_and_a_password(clickhouse_server, files, apart):
    own = {"client_cert": files.cert, "client_cert_key": files.key} if apart else {"client_cert": files.client}
    async with (
        over_tls(files, clickhouse_server.port) as port,
        await Store.open(url(port, files.options(**own))) as store,
    ):
        await migrate(store)
        assert (await store.query_user("SELECT count() FROM bars")).rows == [(0,)]
        assert "ca_cert" not in repr(store)


async def test_who_is_not_known_on_either_side_is_refused(clickhouse_server, files):
    async with over_tls(files, clickhouse_server.port) as port:
        for options in (
            files.options(),  # no certificate of ours
            files.options(client_cert=files.stranger),
            f"client_cert={files.client}",  # a server that nobody vouches for
        ):
            with pytest.raises(StoreUnavailable) as told:
                await Store.open(url(port, options))
            assert PASSWORD not in str(told.value)


async def test_a_certificate_without_a_password_is_the_login(files):
    shown = []

    async def ask(request):
        shown.append(dict(request.headers))
        return web.Response(
            status=403, text="Code: 516. DB::Exception: no", headers={"X-ClickHouse-Exception-Code": "516"}
        )

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", ask)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=files.server).start()
    for login in (USER, f"{USER}:secret"):
        with pytest.raises(StoreUrlInvalid, match="refused this user"):
            await Store.open(url(runner.addresses[0][1], files.options(client_cert=files.client), login))
    await runner.cleanup()

    alone, both = shown[0], shown[-1]
    assert (alone["X-ClickHouse-User"], alone["X-ClickHouse-SSL-Certificate-Auth"]) == (USER, "on")
    assert "Authorization" not in alone
    assert "Authorization" in both
    assert "X-ClickHouse-SSL-Certificate-Auth" not in both


@pytest.mark.parametrize(
    ("scheme", "options", "said"),
    [
        ("https", "ca_cert=/no/such.pem", "the trusted certificates /no/such.pem cannot be used: No such file"),
        ("https", f"ca_cert={__file__}", "the trusted certificates .* cannot be used"),
        ("https", f"client_cert={__file__}", "the certificate .* cannot be used"),
        ("https", f"client_cert={__file__}&client_cert_key=/no/such.key", "with the key /no/such.key cannot be used"),
        ("http", "client_cert=/me.pem", "has client_cert, which need https://"),
    ],
)
async def test_a_file_that_cannot_be_used_is_named_before_anything_is_sent(scheme, options, said):
    with pytest.raises((TlsFileInvalid, StoreUrlInvalid), match=said) as told:
        await Store.open(f"{scheme}://me:secret@127.0.0.1:1/x?{options}")
    assert "secret" not in str(told.value)
