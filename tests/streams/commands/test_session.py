"""`tapestream session` where nothing runs: what it tells, ends and exports, and how it answers mistakes."""

import asyncio
import json

import pytest
from click.testing import CliRunner

from infra.clickhouse import Store, log_table, migrate
from streams.__main__ import main
from streams.sessions import checkpoint
from streams.sessions.folder import Folder, SessionManifest
from streams.sessions.spec import HOUR_MS, SessionAsset, Spec
from streams.sessions.state import Checkpointed, Paused, SessionEnded, Started, UnitDone, UnitsPlanned, advance, unit_id

NOW = 1_717_419_600_000
UNIT = unit_id("polygon", {"dataset": "bars"})


@pytest.fixture
def tell(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WEB_PORT", "1")
    monkeypatch.chdir(tmp_path)

    def run(*words):
        found = CliRunner().invoke(main, ["session", *words])
        return found.exit_code, found.output

    return run


def session(data_dir, name="s-1", *events):
    spec = Spec(name, "custom", HOUR_MS, (SessionAsset("AAPL"),), ("polygon",), ("bars",))
    folder = Folder.create(data_dir, SessionManifest(spec))
    found = folder.session()
    done = UnitDone(UNIT, "polygon", 500, 2, 1, "records")
    for event in (UnitsPlanned(2), Started(), done, *events, Checkpointed()):
        found = advance(found, event, max(NOW, found.at + 60_000))
    checkpoint.write(folder.path, found)
    return folder


def test_all_sessions_are_listed_and_a_dead_one_was_interrupted(tell, tmp_path):
    session(tmp_path, "s-1", SessionEnded())
    session(tmp_path, "s-2")

    code, said = tell("list", "--json")
    rows = [json.loads(line) for line in said.splitlines()]

    assert code == 0
    assert [(row["id"], row["state"], row["units"]) for row in rows] == [
        ("s-1", "completed", "1/2"),
        ("s-2", "interrupted", "1/2"),
    ]
    assert rows[1]["left_s"] == 3600 - 120
    assert rows[0]["api_calls"] == 2
    assert "interrupted" in tell("list")[1]


def test_a_damaged_session_is_told_and_hides_no_other(tell, tmp_path):
    session(tmp_path, "s-1")
    for path in session(tmp_path, "s-2").path.glob("checkpoint*"):
        path.write_bytes(b"torn")

    code, said = tell("list")

    assert code == 0
    assert "tapestream: session s-2: no usable checkpoint" in said
    assert "s-1" in said


def test_figures_are_shown_of_the_last_session(tell, tmp_path):
    session(tmp_path, "s-1", Paused())

    code, said = tell("show", "--json")
    told = json.loads(said)

    assert code == 0
    assert told["session_summary"]["state"] == "paused"
    assert told["source_performance"]["polygon"]["records"] == 500
    assert "2024-06-03 13:" in tell("show", "last")[1]


@pytest.mark.parametrize("events", [(), (Paused(),)])
def test_a_session_that_nobody_runs_can_be_ended(tell, tmp_path, events):
    folder = session(tmp_path, "s-1", *events)

    assert tell("stop", "s-1") == (0, "tapestream: session s-1 is completed\n")
    assert folder.session().state == "completed"
    assert json.loads((folder.path / "summary.json").read_text())["session_summary"]["records"] == 500
    assert tell("resume", "s-1") == (1, "tapestream: session s-1 is completed: start another one\n")


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (
            ["start", "--clock-rate", "60"],
            2,
            "--clock-rate needs --sandbox: real providers cannot be hurried",
        ),
        (["start", "--sources", "nobody"], 2, "unknown source 'nobody'"),
        (["start", "--datasets", "assets"], 2, "unknown dataset 'assets'"),
        (["start", "--symbols", "aapl"], 2, "symbols: 'aapl' is not of the form"),
        (["start", "--file", "none.toml"], 2, "none.toml"),
        (["start", "--hours", "0"], 2, "0.0 is not in the range"),
        (["resume", "last"], 1, "there is no session last"),
        (["pause", "s-1"], 1, "there is no session s-1"),
        (["show", "s-1"], 1, "there is no session s-1"),
    ],
)
def test_a_mistake_gets_one_line(tell, words, code, line):
    found, said = tell(*words)

    assert (found, line in said) == (code, True), said
    assert "Traceback" not in said


def test_what_is_paused_must_run(tell, tmp_path):
    session(tmp_path, "s-1")

    assert tell("pause") == (1, "tapestream: session s-1 is interrupted: there is nothing to pause\n")


def test_a_damaged_checkpoint_file_is_not_resumed(tell, tmp_path):
    path = tmp_path / "checkpoint.json"
    path.write_bytes(b"torn")

    code, said = tell("resume", str(path))

    assert code == 1
    assert said == f"tapestream: {path} is no tapestream.checkpoint, or its beginning is damaged\n"


@pytest.mark.parametrize("form", ["parquet", "csv", "json"])
def test_the_rows_of_a_session_are_exported_and_no_others(tell, tmp_path, form):
    session(tmp_path, "s-1")
    quote = {"asset_class": ["equity"], "ts": [NOW], "observed_at": [NOW], "price": [2.5]}

    async def fill():
        async with await Store.open(f"chdb://{tmp_path}/store") as store:
            await migrate(store)
            for symbol, source, request in (("AAPL", "polygon", "s-1-a.1"), ("IBM", "polygon", "s-1-b.1/0")):
                row = {**quote, "symbol": [symbol], "source": [source], "request_id": [request]}
                await store.insert(log_table("quotes"), row)
            for request in ("s-2-a.1", "s-10-a.1"):
                row = {**quote, "symbol": ["KO"], "source": ["fmp"], "request_id": [request]}
                await store.insert(log_table("quotes"), row)

    asyncio.run(fill())

    code, said = tell("export", "s-1", "--format", form, "--to", str(tmp_path / "out"))
    files = [path.name for path in (tmp_path / "out").iterdir()]

    assert code == 0, said
    assert files == [f"polygon-quote.{form}"]
    assert rows((tmp_path / "out" / files[0]).read_bytes(), form) == [("AAPL", 2.5), ("IBM", 2.5)]


def rows(body, form):
    if form == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        import io

        return [(row["symbol"], row["price"]) for row in parquet.read_table(io.BytesIO(body)).to_pylist()]
    if form == "json":
        return [(row["symbol"], row["price"]) for row in map(json.loads, body.splitlines())]
    head, *lines = [line.replace('"', "").split(",") for line in body.decode().splitlines()]
    return [(line[head.index("symbol")], float(line[head.index("price")])) for line in lines]


def test_symbols_are_added_and_removed_by_orders_for_whoever_runs_it_next(tell, tmp_path):
    folder = session(tmp_path, "s-1")

    assert tell("add", "AMD", "SPY:etf") == (0, "AMD SPY will be added when it is resumed, in session s-1\n")
    assert tell("remove", "AAPL", "--session", "s-1")[0] == 0
    assert [(order.what, order.symbol, order.asset_class) for order in folder.orders()] == [
        ("add", "AMD", "equity"),
        ("add", "SPY", "etf"),
        ("remove", "AAPL", "equity"),
    ]
    code, said = tell("add", "AMD", "SPY:stock")
    assert (code, "unknown asset class 'stock'" in said) == (2, True)
    assert folder.orders() == []
    tell("stop")
    assert tell("add", "AMD") == (1, "tapestream: session s-1 is completed: start another one\n")
