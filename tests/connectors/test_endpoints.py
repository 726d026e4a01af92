"""How an endpoint is declared: facts by name, the later one replacing the earlier, none lacking."""

from dataclasses import replace
from typing import get_type_hints

import pytest

from connectors import Call, DeclarationError, Endpoint, Facts, UnsupportedCall, connector, endpoint
from connectors.endpoints import with_market


def nothing(*_):
    return {}


DAILY = Facts(dataset="bars", path="/daily", build=nothing, parse=nothing, docs="", intervals={"1d": "d"}, rows=10)


def test_facts_are_the_fields_of_an_endpoint():
    declared = get_type_hints(Endpoint)

    assert declared.pop("name") is str
    assert get_type_hints(Facts) == declared


def test_a_later_fact_replaces_an_earlier_one():
    made = endpoint("weekly", DAILY, Facts(intervals={"1w": "w"}, plan="paid"), path="/weekly", plan="dear")

    assert made == Endpoint(
        name="weekly",
        dataset="bars",
        path="/weekly",
        build=nothing,
        parse=nothing,
        docs="",
        intervals={"1w": "w"},
        rows=10,
        plan="dear",
    )
    assert DAILY["intervals"] == {"1d": "d"}


def test_what_is_lacking_is_named():
    with pytest.raises(DeclarationError, match=r"endpoint 'daily' declares no docs and no parse$"):
        endpoint("daily", dataset="bars", path="/daily", build=nothing)


def test_the_market_is_asked_at_the_same_path_without_symbols():
    one = endpoint("quote", DAILY, dataset="quote", batch=50, latest=True)

    assert with_market(one, "all_quotes") == (one, replace(one, name="all_quotes", batch=0, latest=False))


def income(period=None):
    return Call(dataset="statements", symbols=("AAPL",), kind="income", period=period)


@pytest.mark.parametrize("provider", ["fmp", "yahoo"])
def test_the_last_twelve_months_are_asked_where_they_are_sold(provider):
    assert connector(provider).sells(income("ttm"))


@pytest.mark.parametrize("provider", ["alphavantage", "eodhd", "finnhub"])
def test_the_last_twelve_months_are_refused_where_nobody_sells_them(provider):
    assert connector(provider).sells(income("annual"))
    with pytest.raises(UnsupportedCall, match="does not serve equity statements income ttm"):
        connector(provider).route(income("ttm"))


def test_a_call_without_a_period_never_falls_on_the_last_twelve_months():
    fmp = connector("fmp")

    assert fmp.route(income()).name == "income_statement"
    assert not fmp.sells(income(), frozenset({"income_statement"}))
