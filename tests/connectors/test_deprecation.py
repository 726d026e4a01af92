"""What headers say of an endpoint's future, in the forms of the standards and of the drafts before them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.deprecation import Deprecation, deprecation

SINCE, SUNSET = 1_771_372_800_000, 1_791_504_000_000
GMT = "Fri, 09 Oct 2026 00:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, None),
        ({"deprecation": "false"}, None),
        ({"deprecation": "?0"}, None),
        ({"sunset": "soon"}, None),
        ({"deprecation": "@1771372800"}, Deprecation(SINCE, None)),
        ({"deprecation": "@1771372800", "sunset": GMT}, Deprecation(SINCE, SUNSET)),
        ({"sunset": GMT}, Deprecation(None, SUNSET)),
        ({"deprecation": "true"}, Deprecation(None, None)),
        ({"deprecation": "Wed, 18 Feb 2026 00:00:00 GMT", "sunset": "soon"}, Deprecation(SINCE, None)),
        ({"deprecation": "@99999999999999999999"}, Deprecation(None, None)),
    ],
)
def test_headers_are_read_in_every_form(headers, found):
    assert deprecation(headers) == found


@given(deprecated=st.text(max_size=40), sunset=st.text(max_size=40))
def test_no_header_is_too_odd(deprecated, sunset):
    found = deprecation({"deprecation": deprecated, "sunset": sunset})

    assert found is None or isinstance(found, Deprecation)
