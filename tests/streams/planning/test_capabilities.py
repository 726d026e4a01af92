"""The matrix says what the router does."""

import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from connectors import Call, UnsupportedCall, connectors
from streams.planning.capabilities import matrix, sellers

RECIPE = Path(__file__).parents[3] / "ADDING_A_PROVIDER.md"
MATRIX = matrix()


def calls(row):
    """Every call that the row says can be asked, without symbols."""
    for asset_class in row.asset_classes:
        for kind in row.kinds or (None,):
            for interval in row.intervals or (None,):
                for adjustment in row.adjustments or (None,):
                    yield {
                        **{"dataset": row.dataset, "asset_class": asset_class, "kind": kind},
                        **{"interval": interval, "adjustment": adjustment},
                    }


@pytest.mark.parametrize("row", MATRIX, ids=lambda row: f"{row.provider}.{row.endpoint}")
def test_what_is_told_to_be_sold_is_routed_to_some_endpoint(row):
    connector = connectors()[row.provider]
    symbols = ("ANY",) if row.batch else ()

    for call in calls(row):
        assert connector.route(Call(symbols=symbols, **call)).dataset == row.dataset


@pytest.mark.parametrize("name", connectors())
def test_what_is_not_told_is_refused(name):
    told = {(row.dataset, asset_class) for row in MATRIX if row.provider == name for asset_class in row.asset_classes}
    every = {(row.dataset, asset_class) for row in MATRIX for asset_class in row.asset_classes}

    for dataset, asset_class in every - told:
        for symbols in ((), ("ANY",)):
            interval = "1d" if dataset == "bars" else None
            with pytest.raises(UnsupportedCall):
                connectors()[name].route(
                    Call(dataset=dataset, asset_class=asset_class, symbols=symbols, interval=interval)
                )


def test_every_provider_is_a_seller_and_sells_something():
    assert [seller.name for seller in sellers()] == list(connectors())
    assert {row.provider for row in MATRIX} == set(connectors())


def test_a_ninth_provider_appears_by_being_there(tmp_path):
    block = re.search(r"```python\n(.*?)```", RECIPE.read_text(encoding="utf-8"), re.DOTALL)[1]
    (tmp_path / "example.py").write_text(dedent(block))
    program = (
        f"import connectors; connectors.__path__.append({str(tmp_path)!r}); from streams.__main__ import main; main()"
    )

    command = [sys.executable, "-c", program, "providers", "--json", "example"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
    assert run.stdout.count("\n") == 1
    assert '"provider":"example","dataset":"bars","endpoint":"daily"' in run.stdout
