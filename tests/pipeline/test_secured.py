"""The whole pipeline through a broker with TLS and logins: Faust's own clients, ours, and the command line."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from connectors import Call
from infra import settings
from infra.kafka.apache import available
from streams.client import Client
from tests.infra.kafka.secured import (
    CLIENT_ID,
    CLIENT_SECRET,
    PASSWORD,
    USER,
    Certificates,
    authorization_server,
    mutual_kafka,
    sasl_kafka,
)

pytestmark = [pytest.mark.pipeline, pytest.mark.kafka]
CALL = Call(dataset="bars", symbols=("IBM",), interval="1d", start=1_325_376_000_000, end=1_328_054_400_000)


@pytest.fixture
async def tokens():
    async with authorization_server() as server:
        yield server


def of_user(certificates, _):
    return sasl_kafka, {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SASL_USERNAME": USER,
        "KAFKA_SASL_PASSWORD": PASSWORD,
        "KAFKA_SSL_CAFILE": str(certificates.ca),
    }


def of_tokens(certificates, tokens):
    return sasl_kafka, {
        "KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
        "KAFKA_SASL_MECHANISM": "oauthbearer",
        "KAFKA_OAUTH_TOKEN_URL": tokens.url,
        "KAFKA_OAUTH_CLIENT_ID": CLIENT_ID,
        "KAFKA_OAUTH_CLIENT_SECRET": CLIENT_SECRET,
        "KAFKA_OAUTH_SCOPE": "kafka",
        "KAFKA_SSL_CAFILE": str(certificates.ca),
    }


def of_certificate(certificates, _):
    return mutual_kafka, {
        "KAFKA_SECURITY_PROTOCOL": "SSL",
        "KAFKA_SSL_CAFILE": str(certificates.ca),
        "KAFKA_SSL_CERTFILE": str(certificates.client),
    }


@pytest.mark.parametrize("login", [of_user, of_tokens, of_certificate])
async def test_a_worker_polls_and_stores_through_a_secured_broker(login, start_pipeline, tokens, tmp_path, monkeypatch):
    if (reason := available()) is not None:
        (pytest.fail if os.environ.get("TAPESTREAM_REQUIRE_KAFKA") == "1" else pytest.skip)(reason)
    certificates = Certificates(tmp_path)
    make, environment = login(certificates, tokens)
    async with make(tmp_path / "kafka", certificates) as broker:
        bootstrap = settings.load(Path("no.env"), {"KAFKA_URL": broker.url, **environment}).bootstrap
        async with start_pipeline(bootstrap, tmp_path / "worker", **environment) as pipeline:
            job = await pipeline.poll((CALL, ("yahoo",)))
            told = await _poll(pipeline)
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setenv("KAFKA_URL", broker.url)
            async with Client(broker.url) as client:  # as text, it is logged in to as the settings say
                found = (await client.fetch_tickers(["IBM"], days=5, providers=["yahoo"]))["IBM"]
            stored = await pipeline.value("SELECT count() FROM bars WHERE symbol = 'IBM'")

    assert job.failures == []
    assert stored >= 20
    assert "0 rejected, 1 request\n" in told
    assert found.source == "yahoo"
    for path in (tmp_path / "worker").rglob("*"):
        if path.is_file():
            written = path.read_bytes()
            assert PASSWORD.encode() not in written, path
            assert CLIENT_SECRET.encode() not in written, path


async def _poll(pipeline):
    command = [*("poll", "bars", "IBM", "--interval", "1d"), *("--start", "2012-01-03", "--provider", "yahoo")]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams", *command),
        env=pipeline.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()
