"""The fiscal period of Finnhub's filings: read from a number, refused in words about the data."""

import pytest

from connectors.errors import FieldError
from connectors.finnhub.statements import _period

HALF = {"startDate": "2023-01-01 00:00:00", "endDate": "2023-06-30 00:00:00"}


@pytest.mark.parametrize(("quarter", "period"), [(0, "FY"), (1, "Q1"), (4, "Q4")])
def test_quarter_is_its_period_and_0_is_the_year(quarter, period):
    assert _period({"quarter": quarter}, flows=False) == period


@pytest.mark.parametrize(
    ("quarter", "shown"), [(True, "true"), (False, "false"), (None, "null"), (5, "5"), ("1", '"1"'), ([1], "[1]")]
)
def test_what_is_no_quarter_is_said_in_json(quarter, shown):
    with pytest.raises(FieldError, match="not 0 to 4") as error:
        _period({"quarter": quarter}, flows=False)

    assert f"quarter was {shown}, " in error.value.reason


def test_flows_of_half_a_year_are_h1_and_no_other_quarter():
    assert _period({"quarter": 2, **HALF}, flows=True) == "H1"
    with pytest.raises(FieldError, match="the figures of quarter 3 cover 6 months"):
        _period({"quarter": 3, **HALF}, flows=True)
