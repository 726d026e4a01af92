"""The files that start everything elsewhere: they fit the code and each other, and the store accepts their SQL."""

import asyncio
import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import time
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import click
import pytest
import yaml

from infra.clickhouse import Store, log_table, migrate
from infra.kafka.apache import MAX_REQUEST_BYTES
from infra.settings import Settings, load
from streams.__main__ import main
from streams.sessions.spec import PRESETS

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
SESSION = yaml.safe_load((ROOT / "infra" / "docker" / "session.yml").read_text())["services"]["session"]
DASHBOARDS = sorted((ROOT / "infra" / "grafana" / "dashboards").glob("*.json"))
MACROS = {  # https://grafana.com/docs/plugins/grafana-clickhouse-datasource/latest/
    r"\$__timeFilter\((\w+)\)": r"(\1 >= now() - INTERVAL 1 HOUR AND \1 <= now() + INTERVAL 1 HOUR)",
    r"\$__timeInterval\((\w+)\)": r"toStartOfInterval(toDateTime(\1), INTERVAL 60 second)",
}
NOW = time.time_ns() // 1_000_000
COMMON = {"symbol": ["AAPL"], "asset_class": ["equity"], "source": ["yahoo"], "observed_at": [NOW], "request_id": ["r"]}
ROWS = {
    "quotes": {**COMMON, "ts": [NOW], "price": [1.5]},
    "bars": {
        **COMMON,
        **{"interval": ["1d"], "adjustment": ["raw"], "ts": [0]},
        **{name: [1.0] for name in ("open", "high", "low", "close")},
    },
    "api_calls": {
        **{
            "call_id": ["c"],
            "request_id": ["r"],
            "provider": ["yahoo"],
            "key_label": ["yahoo#1"],
            "endpoint": ["chart"],
        },
        **{"dataset": ["bars"], "asset_class": ["equity"], "symbols": [["AAPL"]], "started_at": [NOW]},
        **{
            "latency_ms": [20.0],
            "status": [200],
            "outcome": ["records"],
            "cost_calls": [1.0],
            "cost_usd": [0.0],
            "bytes": [9],
        },
    },
    "dead_letters": {"letter_id": ["l"], "at": [NOW], "stage": ["validate"], "rule": ["price"], "reason": ["a reason"]},
}


PANELS = [
    pytest.param(panel, target, id=f"{path.stem}: {panel['title']}")
    for path in DASHBOARDS
    for panel in json.loads(path.read_text())["panels"]
    for target in panel["targets"]
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """The rows that each panel's SQL gives of a store with a quote, a bar, a call and a dead letter."""

    async def ask():
        async with await Store.open(f"chdb://{tmp_path_factory.mktemp('store')}") as store:
            await migrate(store)
            for table, rows in ROWS.items():
                await store.insert(log_table(table), rows)
            statements = {target["rawSql"] for _, target in (parameter.values for parameter in PANELS)}
            return {sql: (await store.query_user(expanded(sql))).rows for sql in statements}

    return asyncio.run(ask())


def expanded(sql):
    for macro, meaning in MACROS.items():
        sql = re.sub(macro, meaning, sql)
    assert "$__" not in sql
    return sql


# -- grafana ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("panel", "target"), PANELS)
def test_panel_shows_what_is_stored(answers, panel, target):
    rows = answers[target["rawSql"]]

    assert rows
    assert panel["type"] == "timeseries" or rows[0][0] is not None


@pytest.mark.parametrize(("panel", "target"), PANELS)
def test_panel_asks_the_provisioned_datasource(panel, target):
    folder = ROOT / "infra" / "grafana" / "provisioning" / "datasources"
    known = {
        found["uid"]: found["type"] for p in folder.iterdir() for found in yaml.safe_load(p.read_text())["datasources"]
    }

    for source in (panel["datasource"], target["datasource"]):
        assert known[source["uid"]] == source["type"]
    assert target["format"] == (0 if panel["type"] == "timeseries" else 1)


def test_datasource_reads_the_store_that_the_worker_fills():
    source = yaml.safe_load((ROOT / "infra/grafana/provisioning/datasources/clickhouse.yaml").read_text())[
        "datasources"
    ][0]
    reader = yaml.safe_load((ROOT / "infra/grafana/reader.yaml").read_text())
    store = re.match(r"http://(\w+):.*@(\w+):(\d+)/(\w+)$", SERVICES["worker"]["environment"]["CLICKHOUSE_URL"])

    told = source["jsonData"]
    assert (told["host"], str(told["port"]), told["defaultDatabase"]) == store.groups()[1:]
    assert told["username"] in reader["users"]
    assert reader["users"][told["username"]]["profile"] in reader["profiles"]
    assert source["secureJsonData"]["password"] == "$READER_PASSWORD"
    assert reader["users"][told["username"]]["password"] == {"@from_env": "READER_PASSWORD"}
    assert (
        SERVICES["grafana"]["environment"]["READER_PASSWORD"]
        == SERVICES["clickhouse"]["environment"]["READER_PASSWORD"]
    )
    assert SERVICES["grafana"]["environment"]["GF_PLUGINS_PREINSTALL_SYNC"] == source["type"]


# -- compose ---------------------------------------------------------------------------------------------------------


def test_images_are_pinned_and_kafka_is_the_one_that_is_tested():
    pom = ET.parse(ROOT / "infra" / "kafka" / "pom.xml").getroot()
    version = next(node.text for node in pom.iter() if node.tag.endswith("}version") and node.text.count(".") == 2)

    images = {name: service["image"] for name, service in SERVICES.items() if "image" in service}
    assert images["kafka"] == f"apache/kafka:{version}"
    assert all(re.search(r":\d+(\.\d+)+$", image) for image in images.values())


@pytest.mark.parametrize("service", [SERVICES["worker"], SESSION], ids=["worker", "session"])
def test_who_works_gets_settings_that_exist_and_are_valid(service):
    environment = {name: str(value) for name, value in service["environment"].items()}
    environment["CLICKHOUSE_URL"] = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", environment["CLICKHOUSE_URL"])

    assert set(environment) <= {name.upper() for name in Settings.model_fields}
    settings = load(Path("none"), environment)
    assert settings.bootstrap.servers in re.findall(
        r"//(kafka:\d+)", SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    )


def test_session_reaches_the_worker_of_its_pipeline_and_shares_its_folder():
    assert SESSION["environment"] == SERVICES["worker"]["environment"]
    assert SESSION["network_mode"] == "service:worker"
    assert list(SESSION["depends_on"]) == ["worker"]
    assert SESSION["volumes"] == SERVICES["worker"]["volumes"]
    assert parsed(SESSION["command"][1:], "") == (
        "start",
        {**dict.fromkeys(ABSENT), **EMPTY, "mode": "production", "onward": True},
    )


def test_kafka_takes_the_largest_message():
    environment = SERVICES["kafka"]["environment"]

    assert environment["KAFKA_MESSAGE_MAX_BYTES"] == environment["KAFKA_REPLICA_FETCH_MAX_BYTES"] == MAX_REQUEST_BYTES


def test_every_port_is_on_loopback():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("service", [SERVICES["worker"], SESSION], ids=["worker", "session"])
def test_what_we_build_runs_without_rights_on_a_read_only_root(service):
    assert re.search(r"^USER (?!root)\w+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["environment"]["DATA_DIR"] in {volume.split(":")[1] for volume in service["volumes"]}


def test_everything_mounted_is_there_and_every_volume_declared():
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def test_everything_is_watched():
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert [name for name, service in SERVICES.items() if "healthcheck" not in service and "build" not in service] == []
    assert "HEALTHCHECK" in dockerfile


def test_image_holds_every_package_and_starts_a_command():
    dockerfile = (ROOT / "Dockerfile").read_text()
    ignored = (ROOT / ".dockerignore").read_text()
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]

    for package in {name.partition(".")[0] for name in packages}:
        assert f"COPY {package} {package}\n" in dockerfile
        assert f"!{package}\n" in ignored
    command = json.loads(re.findall(r"^CMD (.*)$", dockerfile, re.MULTILINE)[0])
    assert command[0] == "tapestream"
    assert command[1] in main.commands


# -- systemd ---------------------------------------------------------------------------------------------------------


ABSENT = ("hours", "symbols", "file", "clock_rate")
EMPTY = {"sources": "", "datasets": "", "sandbox": False, "onward": False}
UNITS = sorted((ROOT / "infra" / "systemd").glob("*.service"))


def service_of(path):
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str
    unit.read(path)
    return unit["Service"]


def parsed(words, mode):
    """The command that the words after `tapestream` start, with its options; fails for any that there is not."""
    words = [word.replace("%i", mode) for word in words]
    command = main.commands[words[0]]
    if isinstance(command, click.Group):
        command, words = command.commands[words[1]], words[1:]
    return command.name, command.make_context("tapestream", words[1:]).params


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_unit_starts_a_command_and_signals_it_alone(path):
    service = service_of(path)
    program, *words = shlex.split(service["ExecStart"])

    assert Path(program).name == "tapestream"
    assert parsed(words, "production")
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > 20
    assert set(re.findall(r"([A-Z_]+)=", service["Environment"])) <= {"HOME"} | {
        n.upper() for n in Settings.model_fields
    }


@pytest.mark.parametrize("mode", PRESETS)
def test_session_unit_starts_a_session_of_each_mode(mode):
    words = shlex.split(service_of(ROOT / "infra/systemd/tapestream-session@.service")["ExecStart"])

    assert parsed(words[1:], mode) == ("start", {**dict.fromkeys(ABSENT), **EMPTY, "mode": mode})


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_units_are_valid_and_name_each_other(tmp_path):
    for path in (ROOT / "infra" / "systemd").iterdir():
        text = path.read_text().replace("/opt/tapestream/venv/bin/tapestream", "/bin/true")
        (tmp_path / path.name).write_text(text)
    names = [str(tmp_path / path.name.replace("@", "@production")) for path in tmp_path.iterdir()]

    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names],
        check=False,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
    )

    ours = [line for line in found.stderr.splitlines() if "tapestream" in line]
    assert ours == []


def test_cron_lines_start_sessions():
    lines = (ROOT / "infra" / "cron" / "tapestream.cron").read_text().splitlines()
    words = [shlex.split(line)[-5:] for line in lines if "/bin/tapestream " in line]
    given = dict(re.findall(r"^([A-Z_]+)=(.*)$", "\n".join(lines), re.MULTILINE))

    commands = [parsed(line[line.index("session") :], "")[0] for line in words]
    assert commands == ["start", "resume"]
    assert set(given) <= {"SHELL", "HOME", "MAILTO"} | {name.upper() for name in Settings.model_fields}
