"""Apache Kafka with TLS and every login that we know, and an authorization server, with certificates made here."""

import base64
import json
import time
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote_plus

import trustme
from aiohttp import web
from cryptography.hazmat.primitives import serialization as pem

from infra.kafka.apache import ApacheKafka
from infra.kafka.brokers import KafkaSecurity
from infra.kafka.oauth import ClientCredentials

USER, PASSWORD = "trader", "kafka-s3cret/word"
CLIENT_ID, CLIENT_SECRET = "tapestream", "oauth s3cret:/+word%"
JAAS = "org.apache.kafka.common.security"
SASL = {
    "listener.name.client.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
    "listener.name.client.plain.sasl.jaas.config": f'{JAAS}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
    "listener.name.client.scram-sha-256.sasl.jaas.config": f"{JAAS}.scram.ScramLoginModule required;",
    "listener.name.client.scram-sha-512.sasl.jaas.config": f"{JAAS}.scram.ScramLoginModule required;",
    # takes tokens that are not signed: what is tried here is how they are had and shown
    "listener.name.client.oauthbearer.sasl.jaas.config": f"{JAAS}.oauthbearer.OAuthBearerLoginModule required;",
}


class Certificates:
    """An authority of the test's own, the broker's certificate for 127.0.0.1, and a client's."""

    def __init__(self, folder: Path):
        authority = trustme.CA()
        self.folder = folder
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        self.server = self._written("server", authority.issue_cert("127.0.0.1", "localhost"))
        self.client = self._written("client", authority.issue_cert("tapestream@example.com"))
        self.stranger = self._written("stranger", trustme.CA().issue_cert("tapestream@example.com"))

    def _written(self, name, issued):
        """One file with the key, as Java reads it, and the chain."""
        path = self.folder / f"{name}.pem"
        key = pem.load_pem_private_key(issued.private_key_pem.bytes(), None)
        form = (pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
        path.write_bytes(key.private_bytes(*form) + b"".join(part.bytes() for part in issued.cert_chain_pems))
        return path

    def properties(self, **more):
        """What the broker is told of its certificate."""
        files = {"keystore": self.server, "truststore": self.ca}
        found = {f"ssl.{store}.{what}": value for store, path in files.items() for what, value in
                 (("type", "PEM"), ("location", str(path)))}  # fmt: skip
        return found | {f"ssl.{name}": value for name, value in more.items()}


def login(certificates, mechanism="SCRAM-SHA-512", **more):
    """How one of the users logs in over TLS."""
    given = {"username": USER, "password": PASSWORD, "ca_file": certificates.ca, **more}
    return KafkaSecurity(protocol="SASL_SSL", mechanism=mechanism, **given)


def sasl_kafka(folder, certificates):
    """Apache Kafka with SASL_SSL and every mechanism."""
    users = [f"{name}=[name={USER},password={PASSWORD}]" for name in ("SCRAM-SHA-256", "SCRAM-SHA-512")]
    properties = SASL | certificates.properties()
    return ApacheKafka(data_dir=folder, security=login(certificates), properties=properties, scram_users=users)


def mutual_kafka(folder, certificates):
    """Apache Kafka that knows its clients by their certificates."""
    security = KafkaSecurity(protocol="SSL", ca_file=certificates.ca, cert_file=certificates.client)
    return ApacheKafka(
        data_dir=folder, security=security, properties=certificates.properties(**{"client.auth": "required"})
    )


class AuthorizationServer:
    """Gives tokens to one client; counts them, and can fail."""

    def __init__(self):
        self.given, self.status, self.life_s, self.url = 0, 200, 3600, ""

    async def answer(self, request):
        """Answer a request for a token: `status` where it is no 200, a refusal where the login is another."""
        if self.status != 200:
            return web.json_response({"error": "temporarily_unavailable"}, status=self.status)
        form = await request.post()
        named = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode().split(":")
        known = [unquote_plus(part) for part in named] == [CLIENT_ID, CLIENT_SECRET]
        if not known or form["grant_type"] != "client_credentials" or form["scope"] != "kafka":
            return web.json_response({"error": "invalid_client"}, status=401)
        self.given += 1
        now = int(time.time())
        claims = {"sub": CLIENT_ID, "iat": now, "exp": now + self.life_s}
        parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "none"}, claims))
        token = b".".join((*parts, b"")).decode()
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": self.life_s})

    def credentials(self, secret=CLIENT_SECRET):
        """Return the login of a client of this server."""
        return ClientCredentials(self.url, CLIENT_ID, secret, "kafka")


@asynccontextmanager
async def authorization_server():
    """Run the server on a free port of loopback."""
    server = AuthorizationServer()
    app = web.Application()
    app.router.add_post("/token", server.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
    yield server
    await runner.cleanup()
