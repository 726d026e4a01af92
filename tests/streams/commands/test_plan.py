"""`tapestream plan` and `capacity`: what they print, how they end, what they learn from the store."""
# ruff: noqa: RUF001  (formulas are told as a person writes them)

import asyncio
from dataclasses import asdict

import orjson
import pytest
from click.testing import CliRunner

from connectors import connectors
from infra.clickhouse import Store, migrate
from infra.ports import free_port
from streams.commands.plan import capacity, in_words, plan
from streams.runtime.process_tree import ProcessTreeAddress
from streams.runtime.run_file import RunFile

DAY = 86_400_000
MONDAY = 1_717_372_800_000  # 2024-06-03
ONE_DAY = ("--datasets", "bars", "--interval", "1d", "--start", "2024-06-03", "--end", "2024-06-03")


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TAPESTREAM_ENV", str(tmp_path / "none.env"))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WEB_PORT", str(free_port()))
    monkeypatch.setenv("FINNHUB_KEYS", "secret-one,secret-two")
    monkeypatch.setenv("FINNHUB_LIMITS", "60/minute")


@pytest.fixture
def stored(tmp_path):
    def fill(table, *rows):
        async def insert():
            (tmp_path / "data").mkdir(exist_ok=True)
            async with await Store.open(f"chdb://{tmp_path}/data/store") as store:
                await migrate(store)
                if rows:
                    await store.insert(table, {name: [row[name] for row in rows] for name in rows[0]})

        asyncio.run(insert())

    return fill


def run(*arguments):
    return CliRunner().invoke(plan, arguments)


def told(*arguments):
    result = run(*arguments, "--json")
    assert result.stderr == ""
    return orjson.loads(result.stdout)


def allowed(*arguments):
    return orjson.loads(CliRunner().invoke(capacity, [*arguments, "--json"]).stdout)


def test_json_is_one_object_with_calls_time_money_and_what_cannot_be_had():
    found = told(
        *ONE_DAY, "--symbols", "AAPL,MSFT,XYZ.XLUX,BRK-B", *("--provider", "finnhub"), *("--provider", "polygon")
    )

    assert found["calls_total"] == 2
    assert found["calls"] == {"finnhub": 2}
    assert (found["duration_s"], found["cost_usd"], found["covered"]) == (0, 0, 0)
    lacking, misspelt = found["unavailable"]
    assert (lacking["dataset"], lacking["symbols"]) == ("bars", ["XYZ.XLUX"])
    assert "finnhub cannot spell the equity 'XYZ.XLUX'" in lacking["reason"]
    assert "polygon: no key, set POLYGON_KEYS" in lacking["reason"]
    assert misspelt == {
        "dataset": "bars",
        "symbols": ["BRK-B"],
        "reason": "BRK-B is not canonical: did you mean BRK.B?",
    }
    assert found["without_key"] == ["polygon"]


def test_a_table_tells_the_same_in_words(monkeypatch):
    monkeypatch.setenv("FINNHUB_KEYS", "one")
    symbols = ",".join(f"T{i}" for i in range(16_000))

    result = run(*ONE_DAY, "--symbols", symbols, "--provider", "finnhub", "--provider", "fmp")

    assert result.exit_code == 0
    assert "calls 16,000, requests 16,000, duration 4 h 26 min, cost $0.00; stored already: 0" in result.stdout
    assert "without a key: fmp (set FMP_KEYS)" in result.stdout


def test_symbols_are_read_from_a_file(tmp_path):
    path = tmp_path / "symbols.txt"
    path.write_text("# my own\n\nAAPL  # Apple\nMSFT,IBM\n AAPL\n")

    assert told(*ONE_DAY, "--symbols", f"@{path}", "--provider", "finnhub")["calls_total"] == 3


def test_interval_and_adjustment_concern_bars_only():
    found = told(
        *("--datasets", "bars, profile", "--interval", "1d", "--adjustment", "split", "--symbols", "AAPL"),
        *("--provider", "finnhub"),
    )

    assert found["calls"] == {"finnhub": 2}


def test_what_nobody_can_serve_exits_1_and_says_why():
    result = run(*ONE_DAY, "--symbols", "AAPL", "--provider", "fmp")

    assert result.exit_code == 1
    assert "cannot be had: bars AAPL: nobody can serve it: fmp: no key, set FMP_KEYS" in result.stdout.replace(
        "\n", " "
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--datasets", "bars", "--symbols", "AAPL"), "bars need an interval"),
        (("--datasets", "bar"), "unknown dataset 'bar'"),
        ((*ONE_DAY, "--provider", "nope"), "unknown provider 'nope'"),
        ((*ONE_DAY, "--symbols", "@nowhere.txt"), "@nowhere.txt"),
        ((*ONE_DAY, "--symbols", " , "), "names no symbol"),
        ((*ONE_DAY, "--asset-class", "stone"), "asset_class was 'stone'"),
        ((*ONE_DAY[:4], "--start", "yesterday"), "'yesterday' is no date"),
        ((*ONE_DAY[:4], "--start", "2024-06-04", "--end", "2024-06-03"), "the range is empty"),
    ],
)
def test_a_mistake_gets_one_line_and_exits_2(arguments, says):
    result = run(*arguments)

    assert result.exit_code == 2
    assert result.stderr.startswith("tapestream: ")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def poll(symbols, **differing):
    return {
        **{"request_id": "r", "job_id": "j", "provider": "finnhub", "dataset": "bars", "asset_class": "equity"},
        **{"symbols": symbols, "interval": "1d", "adjustment": None, "kind": None, "period": None, "exchange": None},
        **{"start_at": MONDAY, "end_at": MONDAY + DAY, "outcome": "records", "reason": "", "records": 1, "rejects": 0},
        **{"children": 0, "tried": "[]", "at": MONDAY + 3 * DAY},
        **differing,
    }


def test_what_polls_have_answered_is_left_out_unless_full(stored):
    stored("polls_log", poll(["AAPL", "MSFT"]), poll(["IBM"], request_id="s", outcome="NotEntitled"))
    asked = (*ONE_DAY, "--symbols", "AAPL,MSFT,IBM", "--provider", "finnhub")

    found = told(*asked)
    assert (found["calls_total"], found["covered"]) == (1, 2)
    found = told(*asked, "--full")
    assert (found["calls_total"], found["covered"]) == (3, 0)


def test_the_years_that_are_stored_do_not_stand_for_the_last_twelve_months(stored, monkeypatch):
    monkeypatch.setenv("FMP_KEYS", "one")
    statements = {"provider": "fmp", "dataset": "statements", "interval": None, "kind": "income"}
    stored("polls_log", poll(["AAPL"], **statements, period="annual"))
    asked = ("--datasets", "statements", "--kind", "income", "--symbols", "AAPL", "--provider", "fmp", *ONE_DAY[4:])

    assert told(*asked, "--period", "annual")["covered"] == 1
    assert told(*asked, "--period", "ttm")["covered"] == 0


def test_everything_stored_already_is_no_failure(stored):
    stored("polls_log", poll(["AAPL"]))

    assert run(*ONE_DAY, "--symbols", "AAPL").exit_code == 0


def test_an_endpoint_that_a_key_is_not_sold_is_not_planned(stored, monkeypatch):
    monkeypatch.setenv("FINNHUB_KEYS", "one")
    monkeypatch.setenv("CLOCK_RATE", "1e-12")  # it stands still
    monkeypatch.setenv("CLOCK_ANCHOR", str(MONDAY + 2 * DAY + 1))
    refused = {
        **{"call_id": "c", "request_id": "r", "provider": "finnhub", "key_label": "finnhub#1", "dataset": "bars"},
        **{"endpoint": "stock_daily", "asset_class": "equity", "symbols": ["AAPL"], "started_at": MONDAY + 2 * DAY},
        **{"ended_at": MONDAY + 2 * DAY, "latency_ms": 1.0, "status": 403, "outcome": "NotEntitled"},
        **{"scope": '{"endpoint":"stock_daily"}', "error": "no access", "cost_calls": 1.0, "cost_usd": 0.0, "bytes": 9},
    }
    stored("api_calls_log", refused)

    (lacking,) = told(*ONE_DAY, "--symbols", "AAPL", "--provider", "finnhub")["unavailable"]
    assert "finnhub does not sell stock_daily: no access" in lacking["reason"]


def test_a_store_from_before_polls_were_kept_covers_nothing(tmp_path, monkeypatch):
    async def empty():
        (tmp_path / "data").mkdir()
        async with await Store.open(f"chdb://{tmp_path}/data/store"):
            pass

    asyncio.run(empty())

    assert told(*ONE_DAY, "--symbols", "AAPL", "--provider", "finnhub")["covered"] == 0


def test_beside_a_sandboxed_tree_every_provider_has_a_key(tmp_path):
    address = ProcessTreeAddress(1, "kafka://127.0.0.1:1", "http://127.0.0.1:1", "t", "http://127.0.0.1:2")
    held = RunFile(tmp_path / "data" / "run.json").acquire()
    held.publish(asdict(address))

    assert told(*ONE_DAY, "--symbols", "AAPL")["without_key"] == []
    assert {name: entry["keys"] for name, entry in allowed()["providers"].items()} == dict.fromkeys(connectors(), 1)
    held.release()


def test_no_key_is_ever_printed():
    assert "secret" not in run(*ONE_DAY, "--symbols", "AAPL,no share").output
    assert "secret" not in CliRunner().invoke(capacity, []).output


def test_capacity_tells_what_the_keys_allow_and_how_it_comes_about(monkeypatch):
    monkeypatch.setenv("ALPHAVANTAGE_KEYS", "a")
    found = allowed()

    finnhub = found["providers"]["finnhub"]
    assert (finnhub["keys"], finnhub["minute"], finnhub["hour"], finnhub["day"]) == (2, 120, 7_200, 172_800)
    assert finnhub["formula"]["session"] == "60/minute × 480 × 2 keys = 57,600"
    assert found["providers"]["alphavantage"]["session"] == 25
    assert found["total"]["session"] == 57_625
    assert "polygon" in found["without_key"]


def test_no_claim_of_capacity_leans_on_best_effort_or_on_the_absence_of_a_limit(monkeypatch):
    monkeypatch.setenv("BRIGHTDATA_KEYS", "z:t")
    found = allowed("yahoo", "brightdata", "finnhub")

    assert {name: entry["in_total"] for name, entry in found["providers"].items()} == {
        "yahoo": False,
        "brightdata": False,
        "finnhub": True,
    }
    assert found["providers"]["brightdata"]["day"] is None
    assert found["total"]["minute"] == 120
    assert allowed("yahoo")["total"] == {"minute": None, "hour": None, "session": None, "day": None}


def test_capacity_as_a_table_shows_the_formula_and_names_who_has_no_key():
    result = CliRunner().invoke(capacity, ["finnhub", "polygon", "yahoo"])

    assert result.exit_code == 0
    assert "60/minute × 480 × 2 keys = 57,600" in result.stdout
    assert "not in the total, being best effort or without a limit: yahoo" in result.stdout
    assert "without a key: polygon (set POLYGON_KEYS)" in result.stdout


def test_capacity_of_an_unknown_provider_exits_2():
    result = CliRunner().invoke(capacity, ["nope"])

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "at once"),
        (45, "45 s"),
        (720, "12 min"),
        (15_960, "4 h 26 min"),
        (3_599, "1 h 0 min"),
        (5_540_400, "64 days 3 h"),
    ],
)
def test_durations_are_told_as_a_person_says_them(seconds, words):
    assert in_words(seconds) == words
