"""`tapestream keys` and `budget` without a worker: what the stored calls say of quotas, refusals and money."""

import asyncio

import orjson
import pytest
from click.testing import CliRunner

from connectors.scope import Scope
from infra.clickhouse import Store, migrate
from infra.ports import free_port
from streams.accounts.entitlement import REMEMBERED_MS
from streams.commands.accounts import budget, keys

NOW = 1_717_588_800_000  # 2024-06-05 12:00
HOUR = 3_600_000


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TAPESTREAM_ENV", str(tmp_path / "none.env"))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WEB_PORT", str(free_port()))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("CLOCK_RATE", "1e-12")  # it stands still
    monkeypatch.setenv("CLOCK_ANCHOR", str(NOW))
    monkeypatch.setenv("POLYGON_KEYS", "secret-one,secret-two")
    monkeypatch.setenv("POLYGON_LIMITS", "5/minute,100/day")
    monkeypatch.setenv("BRIGHTDATA_KEYS", "secret-three")


@pytest.fixture
def stored(tmp_path):
    def fill(*rows):
        async def insert():
            (tmp_path / "data").mkdir(exist_ok=True)
            async with await Store.open(f"chdb://{tmp_path}/data/store") as store:
                await migrate(store)
                await store.insert("api_calls_log", {name: [row[name] for row in rows] for name in rows[0]})

        asyncio.run(insert())

    return fill


def call(call_id, ago, outcome="records", label="polygon#1", **more):
    return {
        **{"call_id": call_id, "request_id": "r", "provider": label.partition("#")[0], "key_label": label},
        **{"dataset": "bars", "endpoint": "aggregates", "asset_class": "equity", "symbols": ["AAPL"], "bytes": 9},
        **{"started_at": NOW - ago, "ended_at": NOW - ago, "latency_ms": 1.0, "status": 200, "outcome": outcome},
        **{"scope": "", "error": "", "cost_calls": 1.0, "cost_usd": 0.0, "reserved_usd": 0.0, "triggered_by": ""},
        **more,
    }


def told(command, *arguments):
    result = CliRunner().invoke(command, [*arguments, "--json"])
    assert (result.exit_code, result.stderr) == (0, "")
    return [orjson.loads(line) for line in result.stdout.splitlines()]


RANGE = Scope(endpoint="aggregates", older_ms=730 * 86_400_000)
REFUSED = (
    call("a", 25 * HOUR, "NotEntitled", scope=Scope(endpoint="news").text(), error="forgotten by now"),
    call("b", 5 * HOUR, "NotEntitled", scope=RANGE.text(), error="Your plan lacks it."),
    call("c", 3 * HOUR, "NotEntitled", scope=RANGE.text(), error="Your plan lacks it."),
    call("d", 2 * HOUR, scope=Scope(endpoint="trades", symbols=("KO",)).text(), error="A part of it."),
    call("e", HOUR),
)


def test_keys_shows_from_the_store_what_is_refused_since_when_and_until_when(stored):
    stored(*REFUSED)

    first, second = told(keys, "polygon")

    assert (first["key"], first["health"], first["calls"], first["last_outcome"]) == (
        "polygon#1",
        "healthy",
        5,
        "records",
    )
    assert first["used"] == {"5/minute": 0, "100/day": 4}
    assert first["not_sold"] == [
        {
            "what": "aggregates: ranges that begin 730 days ago or earlier",
            "kind": "range",
            "outcome": "NotEntitled",
            "reason": "Your plan lacks it.",
            "since": NOW - 5 * HOUR,
            "until": NOW - 3 * HOUR + REMEMBERED_MS,
        },
        {
            "what": "trades: KO",
            "kind": "symbol",
            "outcome": "NotEntitled",
            "reason": "A part of it.",
            "since": NOW - 2 * HOUR,
            "until": NOW - 2 * HOUR + REMEMBERED_MS,
        },
    ]
    assert (second["key"], second["calls"], second["not_sold"]) == ("polygon#2", 0, [])


def test_the_table_of_keys_names_each_refusal_with_its_times_in_words(stored):
    stored(*REFUSED)

    result = CliRunner().invoke(keys, ["polygon", "yahoo", "fmp"])

    assert result.exit_code == 0
    assert "4 of 100/day" in result.stdout
    (refusal,) = [line for line in result.stdout.splitlines() if "730 days ago" in line]
    for part in ("polygon#1", "2024-06-05 07:00", "2024-06-06 09:00", "Your plan lacks it."):
        assert part in refusal
    assert "forgotten by now" not in result.stdout
    assert result.stdout.splitlines()[-1] == "no key, so never asked: fmp"
    assert "secret" not in result.output


def test_the_table_of_keys_has_no_second_part_where_nothing_is_refused(stored):
    stored(call("e", HOUR))

    assert "is not sold" not in CliRunner().invoke(keys, ["polygon"]).stdout


def test_keys_without_a_store_are_fresh():
    assert [(key["key"], key["calls"], key["not_sold"]) for key in told(keys, "polygon")] == [
        ("polygon#1", 0, []),
        ("polygon#2", 0, []),
    ]


def test_money_that_a_job_gave_back_is_not_spent(stored):
    job = {"label": "brightdata#1", "dataset": "news"}
    stored(
        call("trigger", 2 * HOUR, "Pending", **job, endpoint="news", cost_usd=0.075, reserved_usd=0.075),
        call("early", 2 * HOUR - 10_000, "Pending", **job, endpoint="snapshot", triggered_by="trigger"),
        call("results", HOUR, **job, endpoint="snapshot", cost_usd=-0.072, triggered_by="trigger"),
        call("again", HOUR - 10_000, **job, endpoint="snapshot", cost_usd=-0.072, triggered_by="trigger"),
        call("failed", HOUR, "RateLimited", **job, endpoint="unlocker", reserved_usd=0.0015),
    )

    (own, whole) = told(budget, "brightdata")

    assert (own["spent_usd"], own["paid_calls"]) == (0.003, 1)
    assert whole["spent_usd"] == 0.003
