"""`tapestream providers` prints the matrix, whole or narrowed."""

import json

import pytest
from click.testing import CliRunner

from streams.commands.providers import price, providers
from streams.planning.capabilities import Capability, matrix


def run(*arguments):
    return CliRunner().invoke(providers, arguments)


def test_json_is_the_matrix():
    printed = [json.loads(line) for line in run("--json").stdout.splitlines()]

    assert [(row["provider"], row["endpoint"]) for row in printed] == [(row.provider, row.endpoint) for row in matrix()]
    assert printed[0].keys() == set(Capability.__dataclass_fields__)


def test_it_is_narrowed_by_provider_and_dataset():
    printed = [json.loads(line) for line in run("yahoo", "polygon", "--dataset", "bars", "--json").stdout.splitlines()]

    assert {(row["provider"], row["dataset"]) for row in printed} == {("yahoo", "bars"), ("polygon", "bars")}


def test_table_tells_limits_too():
    found = run("polygon", "--dataset", "bars")

    assert found.exit_code == 0
    assert "aggregates" in found.stdout
    assert "5/minute" in found.stdout
    assert "yahoo" not in found.stdout


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
