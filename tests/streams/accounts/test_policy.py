"""What the settings make of what the connectors declare."""

import pytest

from connectors import connector, connectors
from infra import settings
from infra.settings import SettingsInvalid
from streams.accounts.breaker import BreakerPolicy
from streams.accounts.budget import Allowance
from streams.accounts.policy import allowed, labels, policies, windows
from streams.accounts.quota import Window


def load(tmp_path, **given):
    return settings.load(tmp_path / "none.env", given)


def test_without_settings_everything_is_as_declared(tmp_path):
    agreed = policies(load(tmp_path))

    assert agreed.keys() == connectors().keys()
    assert agreed["polygon"].windows == (Window(5, "minute"),)
    assert agreed["polygon"].breaker == BreakerPolicy()
    assert agreed["alphavantage"].zone == "America/New_York"
    assert agreed["brightdata"].breaker == BreakerPolicy(3, 120_000, 1)
    assert agreed["brightdata"].allowance == Allowance(5_500_000)
    assert [name for name, one in agreed.items() if one.allowance] == ["brightdata"]
    assert [name for name, one in agreed.items() if one.keyless] == ["yahoo"]


def test_limits_of_ones_own_count_as_the_declared_ones_do(tmp_path):
    given = load(tmp_path, EODHD_LIMITS="1200/minute,100000/day,5/second", ALPHAVANTAGE_LIMITS="500/day")

    assert windows(given, connector("eodhd")) == (
        Window(1200, "minute", weighted=False),
        Window(100_000, "day"),
        Window(5, "second"),
    )
    assert windows(given, connector("alphavantage")) == (Window(500, "day", "America/New_York"),)
    assert windows(load(tmp_path, EODHD_LIMITS="none"), connector("eodhd")) == ()


def test_breakers_prices_and_budgets_can_be_set_for_each_provider(tmp_path):
    given = load(
        tmp_path, POLYGON_BREAKER="2/7.5/3", POLYGON_PRICE="0.01", POLYGON_BUDGET="2", BRIGHTDATA_BUDGET="none"
    )
    agreed = policies(given)

    assert agreed["polygon"].breaker == BreakerPolicy(2, 7_500, 3)
    assert agreed["polygon"].allowance == Allowance(2_000_000)
    assert agreed["brightdata"].allowance is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"BUDGET_USD": "2"}, {"brightdata": 2.0}),
        ({"BUDGET_USD": "20"}, {"brightdata": 5.5}),
        ({"BUDGET_USD": "2", "BRIGHTDATA_BUDGET": "none"}, {"brightdata": 2.0}),
        (
            {"BUDGET_USD": "4", "BRIGHTDATA_BUDGET": "4", "FMP_PRICE": "0.01", "FMP_BUDGET": "1"},
            {"brightdata": 3.2, "fmp": 0.8},
        ),
        ({"BUDGET_USD": "0"}, {"brightdata": 0.0}),
    ],
)
def test_a_budget_for_all_is_shared_out_and_never_exceeded_together(tmp_path, given, expected):
    found = allowed(load(tmp_path, **given))

    assert {name: one.micros for name, one in found.items()} == {
        name: round(usd * 1e6) for name, usd in expected.items()
    }
    assert sum(one.micros for one in found.values()) <= max(float(given["BUDGET_USD"]), 0) * 1e6


def test_the_day_of_money_ends_in_the_named_zone(tmp_path):
    assert allowed(load(tmp_path, BUDGET_ZONE="America/New_York"))["brightdata"].zone == "America/New_York"


def test_keys_are_known_by_their_labels(tmp_path):
    given = load(tmp_path, POLYGON_KEYS="a-key,another", FINNHUB_KEY="one")

    assert labels(given, connector("polygon")) == {"polygon#1": "a-key", "polygon#2": "another"}
    assert labels(given, connector("finnhub")) == {"finnhub#1": "one"}
    assert labels(given, connector("yahoo")) == {"yahoo#1": ""}
    assert labels(given, connector("fmp")) == {}


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("POLYGON_BREAKER", "three", "write failures/seconds, such as 3/120"),
        ("POLYGON_BREAKER", "0/60", "write failures/seconds"),
        ("POLYGON_BUDGET", "much", "write dollars a day, such as 5.50, or none"),
        ("POLYGON_BUDGET", "-1", "write dollars a day"),
        ("POLYGON_PRICE", "nan", "write dollars a call, such as 0.0015"),
        ("BUDGET_ZONE", "Mars/Olympus", "write a zone such as UTC or America/New_York"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_what_to_write(tmp_path, name, value, hint):
    with pytest.raises(SettingsInvalid, match=f"{name} cannot be used: .*{hint}"):
        load(tmp_path, **{name: value})
