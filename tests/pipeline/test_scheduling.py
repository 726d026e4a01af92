"""The scheduler object on a pipeline of its own, and on one that it finds: the program changes, asks, and looks on."""

import asyncio
import importlib.util
from pathlib import Path

import psutil
import pytest

from infra.clickhouse import Store
from infra.ports import free_port
from streams.client import SchedulerClient
from streams.runtime.process_tree import ProcessTreeAddress
from tests.waiting import LIMIT_S

pytestmark = pytest.mark.pipeline

EXAMPLE = Path(__file__).parents[2] / "examples" / "scheduler.py"
DECLARED = """
[collectors.profiles]
datasets = ["profile"]
universe = { symbols = ["AAPL", "IBM"] }
schedules.yearly = { cron = "0 0 1 1 *", zone = "UTC" }
"""


@pytest.fixture
def declared(tmp_path, monkeypatch):
    """The worker inherits this working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tapestream.toml").write_text(DECLARED)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WEB_PORT", str(free_port()))
    return tmp_path


def example():
    spec = importlib.util.spec_from_file_location("example_scheduler", EXAMPLE)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


async def stored(url, sql):
    async with await Store.open(url, readonly=True) as store:
        return (await store.query(sql)).rows


def test_a_program_changes_the_universe_has_it_collected_and_leaves_nothing_running(declared):
    others = set(psutil.Process().children(recursive=True))
    with SchedulerClient(sandbox=True) as scheduler:
        tree = set(psutil.Process().children(recursive=True)) - others
        assert scheduler.own
        assert [each.environ()["SCHEDULES"] for each in tree if "faust" in each.cmdline()] == ["on"]
        assert scheduler.statistics()["collectors"]["profiles"]["last_state"] is None
        assert scheduler.add_symbol("MSFT")
        assert scheduler.remove_symbol("IBM")

        run = scheduler.force_collection("profiles")

        assert (run.state, run.records, run.reason) == ("done", 2, "")
        told = scheduler.statistics()
        last = told["collectors"]["profiles"]
        assert (last["last_state"], last["last_cause"], last["records"]) == ("done", "command", 2)
        assert run.started_at <= run.ended_at == round(last["last_ended"].timestamp() * 1000)
        yearly = told["schedules"]["profiles/yearly"]
        assert [(at.month, at.day) for at in yearly["next"]] == [(1, 1)] * 3
        assert (yearly["last_fired"], yearly["due"]) == (None, False)
        shown = "\n".join(example().lines(told))
        assert "profiles                 done       2 records in" in shown
        assert f"profiles/yearly          {yearly['next'][0]:%Y}-01-01 00:00 UTC" in shown

        with SchedulerClient(sandbox=True) as other:
            assert not other.own
            assert other.statistics()["collectors"] == told["collectors"]
            assert other.force_collection("profiles", full=True, wait=False) != run.run_id
        assert scheduler.statistics()["schedules"]["profiles/yearly"] == yearly

    assert psutil.wait_procs(tree, timeout=LIMIT_S)[1] == []
    assert ProcessTreeAddress.find(declared / "data") is None
    sql = "SELECT DISTINCT symbol FROM profiles ORDER BY symbol"
    assert asyncio.run(stored(f"chdb://{declared}/data/store", sql)) == [("AAPL",), ("MSFT",)]
