"""`tapestream symbols` without a pipeline: changes go straight into the store."""

import asyncio

import orjson
import pytest
from click.testing import CliRunner

from infra.clickhouse import Store
from infra.ports import free_port
from streams.__main__ import main


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TAPESTREAM_ENV", str(tmp_path / "none.env"))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WEB_PORT", str(free_port()))
    monkeypatch.setenv("KAFKA_URL", f"kafka://127.0.0.1:{free_port()}")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, ["symbols", *arguments])


def members(*arguments):
    return [
        (row["symbol"], row["asset_class"], row["added"])
        for row in map(orjson.loads, run("list", "--json", *arguments).stdout.splitlines())
    ]


def test_what_is_added_is_a_member_and_what_is_removed_none():
    added = run("add", "TSM", "ASML", "TSM")
    assert (added.exit_code, added.stdout) == (0, "added TSM ASML (equity): holds from the next run on\n")
    run("add", "BTC-USD", "--asset-class", "crypto")
    assert members() == [("ASML", "equity", True), ("BTC-USD", "crypto", True), ("TSM", "equity", True)]

    run("remove", "ASML")

    assert members() == [("BTC-USD", "crypto", True), ("TSM", "equity", True)]
    assert members("--asset-class", "crypto") == [("BTC-USD", "crypto", True)]
    assert members("--search", "ts") == [("TSM", "equity", True)]
    assert run("list").stdout.splitlines()[-1] == "2 members"


def test_without_a_store_there_are_no_members():
    assert members() == []
    assert run("list").exit_code == 0


def test_a_store_that_knows_of_no_universe_yet_has_no_members(environment):
    async def make():
        (environment / "data").mkdir()
        async with await Store.open(f"chdb://{environment}/data/store"):
            pass

    asyncio.run(make())

    assert members() == []


@pytest.mark.parametrize("symbols", [("AAPL,MSFT",), ("AAPL MSFT",), (" ",)])
def test_what_is_no_symbol_is_refused_in_one_line(symbols):
    result = run("add", *symbols)

    assert result.exit_code == 2
    assert "is no canonical symbol of the asset class equity: write AAPL, BRK.B, VOD.XLON" in result.stderr
    assert members() == []


def test_what_is_misspelt_is_named_with_what_may_be_meant_and_the_others_are_added():
    result = run("add", "TSM", "BRK-B", "SOL-USD", "eur-usd", "^GSPC")

    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "not added: BRK-B is not canonical: did you mean BRK.B?",
        "not added: eur-usd is not canonical: did you mean EUR/USD?",
    ]
    assert members() == [("SOL-USD", "crypto", True), ("TSM", "equity", True), ("^GSPC", "index", True)]


def test_an_unknown_asset_class_is_refused():
    assert run("add", "AAPL", "--asset-class", "stock").exit_code == 2
