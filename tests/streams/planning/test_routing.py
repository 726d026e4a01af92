"""Which providers a call is offered to, and in which order."""

import pytest

from connectors import Call, UnsupportedCall, connectors
from infra.settings import SettingsInvalid
from streams.errors import Unroutable
from streams.planning.routing import PREFERENCE, order, routes, slip

DAILY = Call(dataset="bars", symbols=("AAPL",), interval="1d")


def everybody(_):
    return True


def test_every_provider_has_a_place_and_every_place_a_provider():
    assert set(PREFERENCE) == set(connectors())


def test_the_slip_lists_all_that_sell_it_best_first():
    found = slip(DAILY, everybody)

    assert list(found) == [name for name in PREFERENCE if name in found]
    assert {"polygon", "yahoo"} <= set(found)


def test_providers_without_a_key_are_left_out():
    assert slip(DAILY, {"yahoo", "fmp"}.__contains__) == ("fmp", "yahoo")


def test_what_was_asked_for_restricts_and_orders():
    assert slip(DAILY, everybody, ("yahoo", "polygon")) == ("yahoo", "polygon")


def test_a_provider_that_cannot_spell_the_symbol_is_left_out():
    listed_in_london = Call(dataset="bars", symbols=("VOD.XLON",), interval="1d")

    assert "polygon" not in slip(listed_in_london, everybody)
    assert "yahoo" in slip(listed_in_london, everybody)


def test_nobody_left_says_why_for_each_one():
    with pytest.raises(Unroutable) as caught:
        slip(Call(dataset="bars", symbols=("VOD.XLON",), interval="1d"), {"polygon"}.__contains__, ("polygon", "fmp"))

    assert "fmp: no key, set FMP_KEYS" in str(caught.value)
    assert "polygon" in str(caught.value)
    assert "VOD.XLON" in str(caught.value)


def test_an_unknown_provider_is_named_with_the_known_ones():
    with pytest.raises(UnsupportedCall, match=r"unknown provider 'reuters'; known: .*yahoo"):
        slip(DAILY, everybody, ("reuters",))


def test_what_nobody_sells_is_refused_with_a_reason_for_every_provider():
    with pytest.raises(Unroutable) as caught:
        slip(Call(dataset="earnings", symbols=("EUR/USD",), asset_class="forex"), everybody)

    assert all(f"{name} does not serve forex earnings" in str(caught.value) for name in connectors())


def test_the_most_special_route_says_who_is_first_and_the_others_stand_behind():
    wanted = routes("quote=finnhub, alpaca; quote/crypto=alpaca; */forex=fmp; *=eodhd")

    assert order("quote", "equity", wanted)[:3] == ("finnhub", "alpaca", "polygon")
    assert order("quote", "crypto", wanted)[:2] == ("alpaca", "polygon")
    assert order("bars", "forex", wanted)[0] == "fmp"
    assert order("bars", "equity", wanted)[:2] == ("eodhd", "polygon")
    assert all(sorted(order(dataset, "equity", wanted)) == sorted(connectors()) for dataset in ("quote", "bars"))


def test_a_slip_follows_the_routes_unless_providers_were_asked_for():
    wanted = routes("bars=yahoo,fmp")

    assert slip(DAILY, everybody, (), wanted)[:3] == ("yahoo", "fmp", "polygon")
    assert slip(DAILY, everybody, ("polygon",), wanted) == ("polygon",)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("quote", "'quote' names no provider"),
        ("quotes=polygon", "'quotes' is none of quote, bars"),
        ("quote/shares=polygon", "'shares' is none of equity"),
        ("quote=reuters", "there is no provider 'reuters'"),
    ],
)
def test_a_route_that_cannot_be_used_is_named_with_what_to_write(text, fault):
    with pytest.raises(SettingsInvalid, match=f"ROUTES cannot be used: .*{fault}.*write quote=finnhub,polygon"):
        routes(text)
