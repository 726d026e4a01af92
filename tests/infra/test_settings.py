"""The settings: where they come from, which are refused and with which words, and that secrets stay inside."""

import os
from pathlib import Path

import pytest

from infra.errors import ConfigurationError
from infra.settings import Settings, SettingsInvalid, load


def from_env(**environ):
    return load(Path("no-such.env"), environ)


@pytest.fixture
def env_file(tmp_path):
    def write(text):
        path = tmp_path / ".env"
        path.write_text(text)
        return path

    return write


def test_without_anything_the_defaults_hold():
    assert from_env() == Settings()


def test_the_environment_wins_over_the_file(env_file):
    found = load(env_file("WEB_PORT=7001\nRETRIES=2\nPOLYGON_KEYS=from-file\n"), {"WEB_PORT": "7002"})

    assert (found.web_port, found.retries, found.keys("polygon")) == (7002, 2, ("from-file",))


def test_only_the_given_environment_is_read(monkeypatch):
    monkeypatch.setenv("WEB_PORT", "7003")

    assert from_env().web_port == Settings().web_port
    assert load(Path("no-such.env")).web_port == 7003


def test_an_empty_variable_is_an_unset_one(monkeypatch):
    monkeypatch.setenv("KAFKA_URL", "")
    monkeypatch.setenv("WEB_PORT", "")

    found = load(Path("no-such.env"))

    assert (found.kafka_url, found.web_port) == (Settings().kafka_url, Settings().web_port)


def test_a_file_is_named_by_a_variable(env_file):
    path = env_file("LOG_LEVEL=debug\n")

    assert load(environ={"TAPESTREAM_ENV": str(path)}).log_level == "debug"


def test_a_file_may_hold_comments_quotes_exports_and_foreign_names(env_file):
    text = "# ours\n\nexport WEB_PORT=7004\nLOG_LEVEL='warning' # loud\nDATABASE_URL=postgres://elsewhere\nEMPTY=\n"
    found = load(env_file(text), {})

    assert (found.web_port, found.log_level) == (7004, "warning")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("WEB_PORT=1\nthis is no setting\n", 2),
        ("=7001\n", 1),
        ("A=1\n\nB='open\nC=3\n", 3),
        ("POLYGON_KEYS sesame\n", 1),
    ],
)
def test_a_malformed_line_is_named_and_not_shown(env_file, text, line):
    path = env_file(text)
    with pytest.raises(SettingsInvalid) as caught:
        load(path, {})

    assert str(caught.value) == f"{path} line {line}: not NAME=value; mend or remove the line"


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("KAFKA_URL", "http://broker:9092", "write it as kafka://host:port[,host:port]"),
        ("KAFKA_URL", "kafka://broker", "write it as kafka://host:port[,host:port]"),
        ("KAFKA_URL", "kafka://broker:port", "write it as kafka://host:port[,host:port]"),
        ("KAFKA_URL", "kafka://broker:99999", "write it as kafka://host:port[,host:port]"),
        ("KAFKA_URL", "kafka://a:9092,:9092", "write it as kafka://host:port[,host:port]"),
        ("CLICKHOUSE_URL", "store:8123", "write it as http://user:password@host:8123/database or chdb:///"),
        ("WEB_PORT", "0", "greater than or equal to 1"),
        ("WEB_PORT", "65536", "less than or equal to 65535"),
        ("WEB_PORT", "http", "valid integer"),
        ("WEB_HOST", "worker.example", "write an address of this machine, such as 127.0.0.1 or 0.0.0.0"),
        ("WEB_TOKEN", "a token with blanks in it", "write at least 16 letters"),
        ("WEB_TOKEN", "fifteen-letters", "write at least 16 letters"),
        ("LOG_LEVEL", "loud", "write debug, info, warning or error"),
        ("POLLER_WINDOW", "0", "greater than or equal to 1"),
        ("HTTP_BODY_LIMIT", "14680065", "less than or equal to 14680064"),
        ("HTTP_TIMEOUT_S", "0", "greater than 0"),
        ("HTTP_TIMEOUT_S", "soon", "valid number"),
        ("RETRIES", "-1", "greater than or equal to 0"),
        ("SINK_BATCH_ROWS", "1.5", "valid integer"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_what_to_write(name, value, advice):
    with pytest.raises(SettingsInvalid) as caught:
        from_env(**{name: value})

    assert str(caught.value).startswith(f"{name} cannot be used: ")
    assert advice in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_all_mistakes_are_told_at_once():
    with pytest.raises(SettingsInvalid, match=r"KAFKA_URL cannot be used: .*; WEB_PORT cannot be used: "):
        from_env(KAFKA_URL="x", WEB_PORT="y")


@pytest.mark.parametrize(
    ("given", "bootstrap"),
    [
        ("kafka://broker:9092", "broker:9092"),
        ("aiokafka://broker:9092/", "broker:9092"),
        ("broker:9092", "broker:9092"),
        ("kafka://a:9092,b:9093", "a:9092,b:9093"),
        ("kafka://[::1]:9092", "[::1]:9092"),
    ],
)
def test_brokers_are_read_as_people_write_them(given, bootstrap):
    found = from_env(KAFKA_URL=given)

    assert (str(found.bootstrap), found.kafka_url) == (bootstrap, f"kafka://{bootstrap}")


def test_the_store_is_embedded_unless_a_url_says_otherwise(tmp_path):
    embedded = from_env(DATA_DIR=str(tmp_path))
    server = from_env(CLICKHOUSE_URL="http://reader@store:8123/market")

    assert (embedded.store_url, embedded.embedded_store) == (f"chdb://{tmp_path}/store", True)
    assert (server.store_url, server.embedded_store) == ("http://reader@store:8123/market", False)


@pytest.mark.parametrize(
    ("environ", "keys"),
    [
        ({}, ()),
        ({"POLYGON_KEYS": "one"}, ("one",)),
        ({"POLYGON_KEYS": " one, two,,three ,"}, ("one", "two", "three")),
        ({"POLYGON_KEY": "single"}, ("single",)),
        ({"POLYGON_KEY": "single", "POLYGON_KEYS": "one,two"}, ("one", "two")),
        ({"POLYGON_KEYS": "id:secret"}, ("id:secret",)),
    ],
)
def test_keys_come_in_their_order(environ, keys):
    assert from_env(**environ).keys("polygon") == keys


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("300/minute", ((300.0, "minute"),)),
        ("300/minute, 100000/day", ((300.0, "minute"), (100_000.0, "day"))),
        ("none", ()),
        ("None", ()),
        ("", None),
    ],
)
def test_limits_are_read_as_people_write_them(text, limits):
    assert from_env(POLYGON_LIMITS=text).limits("polygon") == limits


@pytest.mark.parametrize(
    "text", ["300", "300/hour", "0/minute", "-5/day", "1.5/second", "many/day", "300/minute,", "/day"]
)
def test_a_limit_that_cannot_be_used_says_how_to_write_it(text):
    with pytest.raises(
        SettingsInvalid, match=r"POLYGON_LIMITS cannot be used: .*; write 300/minute,100000/day or none"
    ):
        from_env(POLYGON_LIMITS=text).limits("polygon")


def test_a_providers_url_is_http():
    assert from_env(POLYGON_URL="http://127.0.0.1:8080/polygon/").base_url("polygon") == "http://127.0.0.1:8080/polygon"
    assert from_env().base_url("polygon") is None
    with pytest.raises(SettingsInvalid, match=r"POLYGON_URL cannot be used: write it as https://host/path"):
        from_env(POLYGON_URL="api.polygon.io").base_url("polygon")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:6066"),
        ("localhost", "http://127.0.0.1:6066"),
        ("0.0.0.0", "http://127.0.0.1:6066"),
        ("::", "http://[::1]:6066"),
        ("[::1]", "http://[::1]:6066"),
        ("10.0.0.7", "http://10.0.0.7:6066"),
    ],
)
def test_the_pages_are_called_where_they_listen(host, url):
    assert from_env(WEB_HOST=host).web_url == url


def test_secrets_show_neither_in_the_settings_nor_in_complaints():
    secrets = {
        "POLYGON_KEYS": "sesame-one,sesame-two",
        "FMP_KEY": "sesame-three",
        "CLICKHOUSE_URL": "http://writer:sesame-four@store:8123/market",
        "WEB_TOKEN": "sesame-five-sesame",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_SASL_USERNAME": "trader",
        "KAFKA_SASL_PASSWORD": "sesame-six",
        "KAFKA_OAUTH_CLIENT_SECRET": "sesame-seven",
        "KAFKA_SSL_PASSWORD": "sesame-eight",
    }
    found = from_env(**secrets)

    assert found.store_url.endswith("store:8123/market")  # computed values must not show either
    assert found.bootstrap.options["sasl_plain_password"] == "sesame-six"
    assert "sesame" not in repr(found) + str(found) + repr(found.provider_values) + repr(found.bootstrap)
    with pytest.raises(SettingsInvalid) as caught:
        from_env(
            **{**secrets, "CLICKHOUSE_URL": "writer:sesame-four@store", "WEB_PORT": "sesame", "WEB_TOKEN": "sesame"}
        )
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL cannot be used: write one of"),
        ({"KAFKA_SASL_PASSWORD": "sesame"}, "KAFKA_SECURITY_PROTOCOL is PLAINTEXT: write SASL_SSL"),
        (
            {"KAFKA_SECURITY_PROTOCOL": "ssl", "KAFKA_SSL_CAFILE": "no.pem"},
            "certificates no.pem cannot be used",
        ),
        (
            {
                "KAFKA_OAUTH_TOKEN_URL": "http://login.example/token",
                "KAFKA_OAUTH_CLIENT_ID": "me",
                "KAFKA_OAUTH_CLIENT_SECRET": "sesame",
            },
            "KAFKA_OAUTH_TOKEN_URL cannot be used: write https://host/path",
        ),
        ({"KAFKA_REPLICATION_FACTOR": "0"}, "KAFKA_REPLICATION_FACTOR cannot be used: .*greater than or equal to 1"),
        ({"KAFKA_MIN_INSYNC_REPLICAS": "two"}, "KAFKA_MIN_INSYNC_REPLICAS cannot be used: .*valid integer"),
    ],
)
def test_a_login_that_cannot_be_used_ends_the_start(given, said):
    with pytest.raises(ConfigurationError, match=said) as told:
        from_env(**given)
    assert "sesame" not in str(told.value)


def test_settings_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        from_env().web_port = 1


def test_reading_leaves_the_environment_alone(env_file):
    before = dict(os.environ)
    load(env_file("POLYGON_KEYS=from-file\n"))

    assert dict(os.environ) == before


def test_a_renamed_provider_is_read_under_either_name():
    massive = from_env(MASSIVE_KEYS="new-1,new-2", MASSIVE_LIMITS="300/minute")

    assert massive.keys("polygon") == ("new-1", "new-2")
    assert massive.limits("polygon") == ((300, "minute"),)
    assert from_env(MASSIVE_KEYS="new", POLYGON_KEYS="old").keys("polygon") == ("old",)
    with pytest.raises(SettingsInvalid, match="MASSIVE_LIMITS"):
        from_env(MASSIVE_LIMITS="many")
