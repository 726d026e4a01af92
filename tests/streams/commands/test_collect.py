"""`tapestream collect` and `schedule` without a pipeline: what they list, and how mistakes are told."""

import asyncio
import time

import orjson
import pytest
from click.testing import CliRunner

from infra.clickhouse import Store, log_table, migrate
from infra.ports import free_port
from streams.commands.collect import collect, schedule
from streams.commands.run import up

NOW = round(time.time() * 1000)
HOUR = 3_600_000
RUN = {
    **{"run_id": "r1", "collector": "quotes", "cause": "schedule:quotes/session", "refresh": "incremental"},
    **{"state": "failed", "reason": "nobody answered", "due_at": NOW - HOUR, "started_at": NOW, "ended_at": NOW + 1},
    **{"attempts": 1, "units": 2, "calls": 3, "records": 4, "rejects": 0, "errors": {}, "rss_mb_peak": 0, "cpu_s": 0},
}


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAPESTREAM_ENV", str(tmp_path / "none.env"))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WEB_PORT", str(free_port()))
    monkeypatch.setenv("KAFKA_URL", f"kafka://127.0.0.1:{free_port()}")
    return tmp_path


@pytest.fixture
def stored(environment):
    def fill(table, **row):
        async def insert():
            (environment / "data").mkdir(exist_ok=True)
            async with await Store.open(f"chdb://{environment}/data/store") as store:
                await migrate(store)
                await store.insert(log_table(table), {name: [value] for name, value in row.items()})

        asyncio.run(insert())

    return fill


def told(command, *arguments):
    result = CliRunner().invoke(command, [*arguments, "--json"])
    assert (result.exit_code, result.stderr) == (0, "")
    return [orjson.loads(line) for line in result.stdout.splitlines()]


def test_collectors_are_listed_in_their_order_with_their_last_runs(stored):
    stored("collector_runs", **RUN)

    found = {row["collector"]: row for row in told(collect)}

    assert list(found)[:4] == ["stocks_etfs", "mutual_funds", "crypto", "daily_prices"]
    assert found["daily_prices"]["depends_on"] == "stocks_etfs"
    assert found["daily_prices"]["last_state"] is None
    quotes = found["quotes"]
    assert (quotes["last_state"], quotes["last_reason"], quotes["calls"]) == ("failed", "nobody answered", 3)
    assert quotes["last_cause"] == "schedule:quotes/session"
    assert "nobody answered" in CliRunner().invoke(collect, []).stdout


def test_without_a_store_there_are_no_runs_to_tell():
    assert {row["last_state"] for row in told(collect)} == {None}


def test_schedules_tell_when_they_fired_and_fire_next_and_what_is_due(stored):
    stored("collector_runs", **{**RUN, "due_at": NOW - 60 * 24 * HOUR})
    stored("schedule_marks", schedule="cache_cleanup", at=NOW - 3 * HOUR, fired=True)
    stored("schedule_marks", schedule="budget_reset", at=NOW, fired=False)

    found = {row["schedule"]: row for row in told(schedule)}

    assert found["quotes/session"]["zone"] == "America/New_York"
    assert found["quotes/session"]["last_fired"] is not None
    assert found["quotes/session"]["due"] is True
    assert found["cache_cleanup"]["due"] is True
    assert (found["budget_reset"]["last_fired"], found["budget_reset"]["due"]) == (None, False)
    assert (found["stocks_etfs/morning"]["last_fired"], found["stocks_etfs/morning"]["due"]) == (None, False)
    assert all(row["next"] == sorted(row["next"]) and len(row["next"]) == 3 for row in found.values())


def test_it_is_told_whether_schedules_fire_by_themselves(environment, monkeypatch):
    assert "none of them fires by itself: there is no tapestream.toml here" in CliRunner().invoke(schedule, []).stdout

    (environment / "tapestream.toml").write_text("")
    assert "they fire while a worker runs" in CliRunner().invoke(schedule, []).stdout

    monkeypatch.setenv("SCHEDULES", "off")
    assert "fires by itself: SCHEDULES=off" in CliRunner().invoke(schedule, []).stdout


@pytest.mark.parametrize("command", [collect, schedule, up])
def test_a_mistake_in_the_declarations_is_one_clear_line(environment, command):
    (environment / "tapestream.toml").write_text('[collectors.quotes]\ndatasets = ["quotez"]\n')

    result = CliRunner().invoke(command, [])

    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("tapestream: tapestream.toml [collectors.quotes] datasets[0]")


def test_without_a_pipeline_a_run_cannot_be_asked_for():
    result = CliRunner().invoke(collect, ["quotes"])

    assert result.exit_code == 1
    assert "no Kafka broker answered" in result.stderr
    assert "`tapestream up` starts everything" in result.stderr
