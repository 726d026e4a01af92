"""TLS and logins: what belongs together is checked at the start, and every client of ours gets in, or says why not."""

import asyncio
import os
import ssl

import pytest
from aiokafka.errors import AuthenticationFailedError, KafkaConnectionError

from infra.kafka.admin import TopicSpec, ensure_topics
from infra.kafka.apache import available
from infra.kafka.brokers import MECHANISMS, Brokers, KafkaSecurity, SecurityInvalid
from infra.kafka.connection import BrokerRefused, BrokerUnreachable, answers, connected
from infra.kafka.lag import lag, unread
from infra.kafka.oauth import ClientCredentials, TokenUrlInvalid
from infra.tls import TlsFileInvalid
from streams.messaging.follow import follow, tail
from streams.messaging.producer import Outbox
from tests.infra.kafka.secured import (
    CLIENT_SECRET,
    PASSWORD,
    USER,
    Certificates,
    authorization_server,
    login,
    mutual_kafka,
    sasl_kafka,
)
from tests.waiting import LIMIT_S

DAY_S = 86_400.0  # the patience of a client whose login is refused: a second try would outlast the test
SASL = {"protocol": "SASL_SSL", "mechanism": "PLAIN", "username": USER, "password": PASSWORD}


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def tokens():
    async with authorization_server() as server:
        yield server


def started(run, folder, make, certificates):
    reason = available()
    if reason is not None:
        (pytest.fail if os.environ.get("TAPESTREAM_REQUIRE_KAFKA") == "1" else pytest.skip)(reason)
    broker = make(folder, certificates)
    run(broker.start())
    yield broker
    run(broker.stop())


@pytest.fixture(scope="module")
def sasl(run, tmp_path_factory, certificates):
    """A broker with logins over TLS."""
    yield from started(run, tmp_path_factory.mktemp("sasl"), sasl_kafka, certificates)


@pytest.fixture(scope="module")
def mutual(run, tmp_path_factory, certificates):
    """A broker that knows its clients by their certificates."""
    yield from started(run, tmp_path_factory.mktemp("mutual"), mutual_kafka, certificates)


@pytest.fixture(params=["sasl", "mutual"])
def secured(request):
    return request.getfixturevalue(request.param)


# -- what belongs together ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"protocol": "TLS"}, "KAFKA_SECURITY_PROTOCOL cannot be used: write one of PLAINTEXT, SSL,"),
        ({"username": USER, "password": PASSWORD}, "a login is set, but KAFKA_SECURITY_PROTOCOL is PLAINTEXT"),
        (
            {"protocol": "SSL", "mechanism": "PLAIN"},
            "a login is set, but KAFKA_SECURITY_PROTOCOL is SSL: write SASL_SSL",
        ),
        ({"protocol": "SASL_SSL"}, "KAFKA_SASL_MECHANISM cannot be used: write one of PLAIN, SCRAM-SHA-256,"),
        ({**SASL, "mechanism": "GSSAPI"}, "KAFKA_SASL_MECHANISM cannot be used"),
        ({**SASL, "password": ""}, "PLAIN needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"),
        ({"protocol": "SASL_SSL", "mechanism": "OAUTHBEARER"}, "OAUTHBEARER needs KAFKA_OAUTH_TOKEN_URL"),
        ({"ca_file": "ca.pem"}, "KAFKA_SSL_… is set, but KAFKA_SECURITY_PROTOCOL is PLAINTEXT: write SSL or SASL_SSL"),
        ({"protocol": "SSL", "key_file": "key.pem"}, "KAFKA_SSL_KEYFILE is set without KAFKA_SSL_CERTFILE"),
        (
            {"protocol": "SSL", "ca_file": "no/such.pem"},
            "certificates no/such.pem cannot be used: No such file",
        ),
        ({"protocol": "SSL", "ca_file": __file__}, "trusted certificates .* cannot be used: "),
        ({"protocol": "SSL", "cert_file": __file__}, "the certificate .* cannot be used: "),
    ],
)
def test_a_login_that_cannot_be_used_is_told_by_its_settings(given, said):
    with pytest.raises((SecurityInvalid, TlsFileInvalid), match=said) as told:
        KafkaSecurity(**given)
    assert PASSWORD not in str(told.value)
    assert len(str(told.value).splitlines()) == 1


def test_the_broker_is_always_checked(certificates):
    context = KafkaSecurity(protocol="SSL", ca_file=certificates.ca).ssl_context

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_no_text_form_shows_a_secret(certificates):
    credentials = ClientCredentials("https://login.example/token", "me", CLIENT_SECRET)
    oauth = KafkaSecurity(protocol="SASL_SSL", mechanism="OAUTHBEARER", credentials=credentials)

    for security in (KafkaSecurity(**SASL, key_password=PASSWORD), oauth):
        shown = f"{Brokers('b:1', security)!r} {Brokers('b:1', security)} {security} {security.credentials}"
        assert PASSWORD not in shown
        assert CLIENT_SECRET not in shown


# -- tokens ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["http://login.example/token", "ftp://x", "", "https//x", "http://[::1/token"])
def test_a_secret_is_sent_over_tls_or_to_this_machine(url):
    with pytest.raises(TokenUrlInvalid, match="KAFKA_OAUTH_TOKEN_URL cannot be used: write https://host/path"):
        ClientCredentials(url, "me", "s")


async def test_a_token_serves_until_shortly_before_it_ends(tokens):
    credentials = tokens.credentials()
    first = await credentials.token()

    assert [await credentials.token() for _ in range(3)] == [first] * 3
    assert tokens.given == 1
    tokens.life_s = 20  # it ends sooner than one is replaced
    short = tokens.credentials()
    await short.token()
    await short.token()
    assert tokens.given == 3


async def test_who_is_not_known_gets_no_token_and_a_server_that_is_away_is_lost(tokens):
    with pytest.raises(AuthenticationFailedError, match="gives this client no token: status 401") as refused:
        await tokens.credentials("another secret").token()
    assert "another secret" not in str(refused.value)
    tokens.status = 503
    with pytest.raises(KafkaConnectionError, match="no token just now: status 503"):
        await tokens.credentials().token()
    with pytest.raises(KafkaConnectionError, match="gives no token"):
        await ClientCredentials("http://127.0.0.1:1/token", "me", "s").token()


# -- on Apache Kafka ---------------------------------------------------------------------------------------------------


@pytest.mark.kafka
async def test_every_client_of_ours_works_through_it(secured):
    bootstrap = secured.bootstrap
    await ensure_topics(bootstrap, [TopicSpec("poll.done", 1)])
    async with tail(bootstrap, "poll.done") as consumer:
        async with Outbox(bootstrap) as outbox:
            await outbox.send("poll.done", b"x", key="k")
        async for record in follow(consumer, bootstrap):
            assert record.value == b"x"
            break

    assert await answers(bootstrap)
    assert [row.end for row in await lag(bootstrap, "g", ["poll.done"])] == [1]
    assert [record.value for record in await unread(bootstrap, "g", "poll.done")] == [b"x"]


@pytest.mark.kafka
async def test_every_mechanism_logs_in(sasl, certificates, tokens):
    where = str(sasl.bootstrap)
    for mechanism in MECHANISMS:
        given = {"credentials": tokens.credentials(), "username": "", "password": ""}
        given = given if mechanism == "OAUTHBEARER" else {}
        async with connected(Brokers(where, login(certificates, mechanism, **given))) as client:
            assert client.cluster.brokers(), mechanism


@pytest.mark.kafka
async def test_who_is_not_let_in_is_told_at_once_and_by_what(sasl, certificates, tokens):
    refused = {
        "SCRAM-SHA-512.*check KAFKA_SASL_MECHANISM, user and password": login(certificates, password="wrong"),
        "Invalid username or password": login(certificates, "PLAIN", password="wrong"),
        "gives this client no token": login(
            certificates, "OAUTHBEARER", credentials=tokens.credentials("wrong"), username="", password=""
        ),
        "unable to get local issuer certificate: check .*KAFKA_SSL_CAFILE": login(certificates, ca_file=None),
    }
    for said, security in refused.items():
        with pytest.raises(BrokerRefused, match=said) as told:
            async with asyncio.timeout(LIMIT_S), connected(Brokers(str(sasl.bootstrap), security), within_s=DAY_S):
                pass
        assert "wrong" not in str(told.value)
        assert not await answers(Brokers(str(sasl.bootstrap), security))


@pytest.mark.kafka
async def test_a_name_that_the_certificate_does_not_have_is_no_broker_of_ours(secured):
    port = secured.bootstrap.servers.rpartition(":")[2]
    with pytest.raises(BrokerRefused, match="mismatch"):
        async with connected(Brokers(f"127.1:{port}", secured.bootstrap.security), within_s=5):  # 127.0.0.1 as well
            pass


@pytest.mark.kafka
async def test_another_way_of_speaking_gets_no_answer_and_says_what_to_look_at(sasl):
    with pytest.raises(BrokerUnreachable, match=r"something listens there: .* KAFKA_SECURITY_PROTOCOL"):
        async with connected(Brokers(str(sasl.bootstrap)), within_s=1):
            pass


@pytest.mark.kafka
async def test_a_client_without_the_right_certificate_is_not_let_in(mutual, certificates):
    for cert in (None, certificates.stranger):
        security = KafkaSecurity(protocol="SSL", ca_file=certificates.ca, cert_file=cert)
        with pytest.raises(BrokerUnreachable, match="whether it wants a certificate of ours"):
            async with connected(Brokers(str(mutual.bootstrap), security), within_s=1):
                pass
