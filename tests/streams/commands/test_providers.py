"""`tapestream providers` prints the matrix, whole or narrowed."""

import asyncio
import json

import pytest
from click.testing import CliRunner

from infra.clickhouse import Store, migrate
from infra.clock import SYSTEM
from infra.ports import free_port
from streams.commands.providers import price, providers
from streams.planning.capabilities import Capability, matrix


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TAPESTREAM_ENV", str(tmp_path / "none.env"))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WEB_PORT", str(free_port()))


def run(*arguments):
    return CliRunner().invoke(providers, arguments)


def answered(tmp_path, *answers):
    """Keep answers, (endpoint, headers, time of receipt), in the store of this test."""

    async def insert():
        (tmp_path / "data").mkdir()
        async with await Store.open(f"chdb://{tmp_path}/data/store") as store:
            await migrate(store)
            rows = [
                {
                    **{"call_id": str(at), "request_id": "r", "provider": "polygon", "endpoint": endpoint},
                    **{"dataset": "bars", "symbols": ["AAPL"], "url": "", "params": {}, "status": 200, "body": b"{}"},
                    **{"headers": headers, "key_label": "polygon#1", "received_at": at, "latency_ms": 1.0},
                }
                for endpoint, headers, at in answers
            ]
            await store.insert("raw_responses_log", {name: [row[name] for row in rows] for name in rows[0]})

    asyncio.run(insert())


def test_json_is_the_matrix():
    printed = [json.loads(line) for line in run("--json").stdout.splitlines()]

    assert [(row["provider"], row["endpoint"]) for row in printed] == [(row.provider, row.endpoint) for row in matrix()]
    assert printed[0].keys() == {*Capability.__dataclass_fields__, "deprecated", "sunset"}
    assert {(row["deprecated"], row["sunset"]) for row in printed} == {(None, None)}


def test_it_is_narrowed_by_provider_and_dataset():
    printed = [json.loads(line) for line in run("yahoo", "polygon", "--dataset", "bars", "--json").stdout.splitlines()]

    assert {(row["provider"], row["dataset"]) for row in printed} == {("yahoo", "bars"), ("polygon", "bars")}


def test_table_tells_limits_too():
    found = run("polygon", "--dataset", "bars")

    assert found.exit_code == 0
    assert "aggregates" in found.stdout
    assert "5/minute" in found.stdout
    assert "yahoo" not in found.stdout


def test_what_answers_said_of_their_endpoint_s_end_is_shown(tmp_path):
    now = SYSTEM.now_ms()
    early = {"deprecation": "@1771372800"}
    late = {**early, "sunset": "Fri, 09 Oct 2026 00:00:00 GMT"}
    answered(tmp_path, ("aggregates", early, now - 2), ("aggregates", late, now - 1), ("aggregates", {}, now))

    table = run("polygon", "--dataset", "bars").stdout
    printed = [json.loads(line) for line in run("polygon", "--dataset", "bars", "--json").stdout.splitlines()]

    assert "ceases to answer" in table
    assert {row["endpoint"]: (row["deprecated"], row["sunset"]) for row in printed} == {
        "aggregates": ("2026-02-18", "2026-10-09"),
        "grouped_daily": (None, None),
    }
    assert "ceases to answer" not in run("yahoo").stdout


@pytest.mark.parametrize(
    ("arguments", "known"), [(("nope",), "polygon"), (("--dataset", "nope"), "bars")], ids=["provider", "dataset"]
)
def test_unknown_name_gets_one_line_that_lists_the_known_ones(arguments, known):
    found = run(*arguments)

    assert found.exit_code != 0
    assert found.stderr.startswith("tapestream: unknown")
    assert known in found.stderr
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("costs", "told"),
    [
        ({"cost": 1, "cost_per_symbol": 0, "usd": 0}, "1"),
        ({"cost": 5, "cost_per_symbol": 5, "usd": 0}, "5 + 5/symbol"),
        ({"cost": 1, "cost_per_symbol": 0, "usd": 0.0015}, "1, $0.0015"),
    ],
)
def test_price_is_told_in_calls_and_dollars(costs, told):
    rest = dict.fromkeys(Capability.__dataclass_fields__.keys() - costs.keys())

    assert price(Capability(**rest, **costs)) == told
