"""Where a request may go: paths, whoever wrote them, and the requests that a connector admits."""

from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors import Request, UnsupportedCall, connectors
from connectors.calls import LONGEST_REQUEST, is_path

PIECES = st.sampled_from(
    [
        *"/\\.@:?#%[] \t\r\n\x00\x7f\u2044\uff0f\u3002^=,",
        "//",
        "..",
        "%2e",
        "%2E",
        "%2f",
        "%5C",
        "%00",
        "8443",
        "evil.example",
    ]
)
WRITTEN = st.one_of(st.text(max_size=30), st.lists(PIECES, max_size=8).map("".join))
ENDPOINTS = [(connector, endpoint) for connector in connectors().values() for endpoint in connector.endpoints]


@given(WRITTEN, st.sampled_from(["https://api.example", "https://user:word@api.example:8443/v1"]))
@example("/.evil.example", "https://api.example")
@example("/x/%2e%2e/y", "https://api.example")
def test_no_path_changes_where_a_url_leads(path, base):
    if not is_path(path):
        return
    read = urlsplit(base + path), httpx.URL(base + path)

    for url in read:
        origin = urlsplit(base)
        assert (url.scheme, url.port) == (origin.scheme, origin.port)
        assert (url.hostname if hasattr(url, "hostname") else url.host) == origin.hostname
    assert read[0].path == urlsplit(base).path + path
    assert read[1].raw_path.decode() == urlsplit(base).path + path


@pytest.mark.parametrize("path", ["/query", "/v8/finance/chart/^GSPC", "/a/X:BTCUSD/1.5/..a/.../BTC%2FUSD/x,y=X/"])
def test_paths_of_endpoints_are_paths(path):
    assert is_path(path)


@pytest.mark.parametrize(("connector", "endpoint"), ENDPOINTS, ids=lambda of: getattr(of, "name", ""))
def test_every_endpoint_admits_its_own_path_and_no_other(connector, endpoint):
    path = endpoint.path.replace("{", "").replace("}", "")
    method = endpoint.method

    assert connector.admit(Request(endpoint=endpoint.name, path=path, method=method)).path == path
    for other in (f"/x{path}", f"{path}/x/..", f"@evil.example{path}", f"//evil.example{path}", f"{path}\n", path[1:]):
        with pytest.raises(UnsupportedCall, match=f"{connector.name}.{endpoint.name} is {method}"):
            connector.admit(Request(endpoint=endpoint.name, path=other, method=method))
    with pytest.raises(UnsupportedCall):
        connector.admit(Request(endpoint=endpoint.name, path=path, method="POST" if method == "GET" else "GET"))
    with pytest.raises(UnsupportedCall, match="a request of"):
        connector.admit(
            Request(endpoint=endpoint.name, path=path, method=method, params={"cursor": "c" * LONGEST_REQUEST})
        )
