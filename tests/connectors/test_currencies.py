"""Currency codes: ISO 4217's, minor units, and what nobody knows, which is reported and never guessed."""

import json
import re
from pathlib import Path

import pytest
from iso4217 import Currency

from connectors import FieldError
from connectors.currencies import HUNDREDTHS, KNOWN, OFFSHORE, THOUSANDTHS, UNDIVIDED, WITHDRAWN, unit
from connectors.fields import currency, minor
from streams.processing import replay as stored

IN_FORCE = {entry.code: entry.exponent for entry in Currency}
NO_CURRENCY = {"XTS", "XXX"}  # codes for tests and for none


def test_codes_in_force_are_iso_4217_s():
    assert IN_FORCE.keys() - NO_CURRENCY == HUNDREDTHS | THOUSANDTHS | UNDIVIDED
    assert WITHDRAWN & IN_FORCE.keys() == OFFSHORE & IN_FORCE.keys() == set()


def test_minor_units_are_iso_4217_s():
    assert {code for code, exponent in IN_FORCE.items() if exponent == 3} == THOUSANDTHS
    assert {code for code, exponent in IN_FORCE.items() if exponent == 2} == HUNDREDTHS


@pytest.mark.parametrize(
    ("code", "major", "factor"),
    [
        *(("GBp", "GBP", 0.01), ("GBX", "GBP", 0.01), ("ZAc", "ZAR", 0.01), ("ZAC", "ZAR", 0.01), ("ZAr", "ZAR", 0.01)),
        *(("ILA", "ILS", 0.01), ("ILs", "ILS", 0.01), ("USX", "USD", 0.01), ("USd", "USD", 0.01), ("EUr", "EUR", 0.01)),
        *(("KWF", "KWD", 0.001), ("KWd", "KWD", 0.001), ("BHd", "BHD", 0.001), ("JOd", "JOD", 0.001)),
        *(("USD", "USD", 1), ("KWD", "KWD", 1), ("JPY", "JPY", 1), ("DEM", "DEM", 1), ("CNH", "CNH", 1)),
    ],
)
def test_code_gives_its_major_unit_and_the_factor_to_it(code, major, factor):
    assert unit(code) == (major, factor)
    assert (currency(f" {code} "), minor(f" {code} ")) == (major, factor)


@pytest.mark.parametrize("code", ["ZZc", "ZZZ", "usd", "Usd", "uSD", "JPy", "USDT", "US", "DOLLAR", "£"])
def test_what_is_no_code_is_no_currency_and_scales_nothing(code):
    assert code not in KNOWN
    with pytest.raises(FieldError, match=code[:20]) as caught:
        currency(code)

    assert (caught.value.rule, minor(code)) == ("currency", 1.0)


FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.json"))


FIELD = re.compile("^(?!.*(digital|from|to_)).*currency", re.IGNORECASE)  # not the two of a pair


def with_code(value, code):
    """A payload in which every currency is `code`."""
    if isinstance(value, list):
        return [with_code(part, code) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        name: code if FIELD.search(name) and isinstance(part, str) and part else with_code(part, code)
        for name, part in value.items()
    }


def run(provider, fixture, body):
    case = stored.Case.from_recording({"provider": provider, **fixture, "body": body}, fixture["call"])
    return stored.run(case).normalized


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_record_of_an_unknown_currency_is_kept_without_it_and_the_code_is_a_dead_letter(path):
    met = 0
    for fixture in json.loads(path.read_text()):
        before = run(path.stem, fixture, fixture["body"])
        after = run(path.stem, fixture, with_code(fixture["body"], "ZZc"))
        codes = [getattr(record, "currency", None) for record in after.records]
        assert len(codes) == len(before.records), fixture["name"]
        if codes != [getattr(record, "currency", None) for record in before.records]:
            met += 1
            letters = [reject for reject in after.rejects if reject.rule == "currency"]
            assert [(letter.reason, letter.row) for letter in letters] in TOLD, fixture["name"]
        assert {code for code in codes if code} <= KNOWN | {"USDT", "BTC"}, fixture["name"]

    assert met or path.stem == "alpaca"  # whose prices are in what was asked for


TOLD = [  # once an answer, whatever the number of its records; Polygon writes in small letters what is no minor unit
    [(f"currency {code} is neither of ISO 4217 nor a known minor unit", {"currency": code})] for code in ("ZZc", "ZZC")
]
