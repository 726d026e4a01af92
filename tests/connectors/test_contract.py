"""One contract for every connector, held against its fixture file: asks rightly, reads rightly, survives anything."""

import json
import math
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import REFUSALS, FieldError, UnsupportedCall, UnsupportedSymbol, connectors
from connectors.errors import MalformedPayload
from streams.processing import replay as stored
from streams.processing.normalize import judge

FIXTURES = Path(__file__).parent / "fixtures"
PROVIDERS = sorted(connectors())
SYMBOLS = {
    "equity": r"[A-Z]{1,5}(\.[A-C])?|[A-Z]{3,5}\.X(LON|PAR|TSE)",
    "etf": r"[A-Z]{3,4}",
    "fund": r"[A-Z]{4}X",
    "crypto": r"(BTC|ETH|SOL|BNB|SHIB|DOGE|USDT|[A-Z]{3,5})-(USD|EUR)",
    "forex": r"(EUR|GBP|AUD|XAU)/(USD|JPY|CHF)",
    "commodity": r"GC|CL|NG|SI|HG|ZC|WTI|BRENT|COPPER",
    "index": r"\^(GSPC|DJI|IXIC|FTSE|NDX|VIX)",
}


def fixtures(provider):
    path = FIXTURES / f"{provider}.json"
    return json.loads(path.read_text()) if path.is_file() else []


def every(wanted=lambda fixture: True):
    return [
        pytest.param(fixture, id=f"{provider}: {fixture['name']}")
        for provider in PROVIDERS
        for fixture in fixtures(provider)
        if wanted(fixture)
    ]


def case_of(fixture):
    return stored.Case.from_recording({"provider": fixture["call"]["provider"], **fixture}, fixture["call"])


def fits(want, got):
    """Tell whether `got` has everything `want` says: objects may hold more, lists and values are compared whole."""
    if isinstance(want, dict):
        return isinstance(got, dict) and all(fits(value, got.get(name)) for name, value in want.items())
    if isinstance(want, list):
        return isinstance(got, list) and len(want) == len(got) and all(map(fits, want, got))
    if isinstance(want, float) and isinstance(got, (int, float)):
        return math.isclose(want, got, rel_tol=1e-9)
    return want == got and isinstance(want, bool) == isinstance(got, bool)


@pytest.mark.parametrize("fixture", every())
def test_answer_becomes_its_records(fixture):
    want = fixture["expect"]

    result = stored.run(case_of(fixture))

    assert result.outcome == want["outcome"], result.refusal and result.refusal.reason
    records = [record for record in result.records() if record["dataset"] != "dead_letters"]
    wrong = [(w, g) for w, g in zip(want.get("records", []), records, strict=False) if not fits(w, g)]
    assert wrong == []
    assert len(records) == len(want.get("records", []))
    assert sorted(reject.rule for reject in result.normalized.rejects) == sorted(want.get("rejects", []))
    assert {symbol: refusal.name for symbol, refusal in result.missing.items()} == want.get("missing", {})
    assert (result.next is not None) == want.get("next", False)
    for name in {"retry_after", "resets_at"} & set(want):
        assert getattr(result.refusal, name) == want[name]
    if want["outcome"] == "Pending":
        assert result.refusal.poll is not None


@pytest.mark.parametrize("fixture", every())
def test_the_verdict_finds_every_refusal_but_a_body_that_cannot_be_read(fixture):
    case = case_of(fixture)

    verdict = connectors()[case.provider].verdict(case.call, case.request, case.answer).refusal

    read = stored.run(case).refusal
    if read is not None and (read.name != "MalformedPayload" or verdict is not None):
        assert (verdict and verdict.name, verdict and verdict.reason) == (read.name, read.reason)
    else:
        assert verdict is None


# -- asking ----------------------------------------------------------------------------------------------------------


def place(endpoint):
    return endpoint.method, endpoint.path, tuple(sorted(endpoint.match.items()))


def endpoints(wanted=lambda endpoint: True):
    return [
        pytest.param(provider, endpoint, id=f"{provider}.{endpoint.name}")
        for provider in PROVIDERS
        for endpoint in connectors()[provider].endpoints
        if wanted(endpoint)
    ]


def cases_of(provider, endpoint):
    """The fixtures that are answers of this endpoint's place, whatever its name."""
    connector = connectors()[provider]
    for fixture in fixtures(provider):
        case = case_of(fixture)
        if case.request.endpoint and place(connector.endpoint(case.request.endpoint)) == place(endpoint):
            yield fixture, case


def sent(fixture):
    """(URL without query, parameters, body) as the fixture says they go out."""
    request = fixture["request"]
    parts = urlsplit(request["url"])
    params = {**dict(parse_qsl(parts.query)), **{name: str(value) for name, value in request.get("params", {}).items()}}
    return f"{parts.scheme}://{parts.netloc}{parts.path}", params, request.get("body")


def built(provider, endpoint, call):
    """(URL without query, parameters, body) as the connector builds them when it has only this endpoint."""
    connector = connectors()[provider]
    hosts = {name: host for name, host in connector.hosts.items() if name == endpoint.name}
    alone = replace(connector, endpoints=(replace(endpoint, routed=True),), hosts=hosts, options={})
    request = alone.request(call)
    return hosts.get(endpoint.name, connector.base_url) + request.path, dict(request.params), request.body


@pytest.mark.parametrize(("provider", "endpoint"), endpoints())
def test_every_endpoint_has_an_answer_in_the_fixtures(provider, endpoint):
    siblings = [e for e in connectors()[provider].endpoints if e.parse is endpoint.parse]
    places = [endpoint] if endpoint.routed else siblings
    expected = [fixture["expect"] for each in places for fixture, _ in cases_of(provider, each)]

    assert expected, f"no answer of {endpoint.path} in {provider}.json"
    if endpoint.routed:
        useful = [one for one in expected if one.get("records") or one["outcome"] == "Pending"]
        assert useful, f"no answer of {endpoint.path} in {provider}.json holds a record"


@pytest.mark.parametrize(("provider", "endpoint"), endpoints(lambda endpoint: endpoint.routed))
def test_request_is_built_as_documented(provider, endpoint):
    asked = [(f, c) for f, c in cases_of(provider, endpoint) if endpoint.serves(c.call)]
    assert asked, f"no fixture asks {endpoint.name}: a call that it serves, at its path"

    pairs = [(built(provider, endpoint, case.call), sent(fixture)) for fixture, case in asked]

    assert any(ours == theirs for ours, theirs in pairs), pairs


@pytest.mark.parametrize("provider", PROVIDERS)
def test_key_goes_where_it_is_declared_and_nowhere_else(provider):
    connector = connectors()[provider]

    params, headers = connector.auth.place("ident:secret")

    if not connector.auth.keyless:
        assert "secret" in "".join([*params.values(), *headers.values()])
    for fixture in fixtures(provider):
        case = case_of(fixture)
        following = stored.run(case).next
        for endpoint in (e for e in connector.endpoints if e.routed):
            with suppress(UnsupportedCall):
                _, asked, _ = built(provider, endpoint, case.call)
                assert not set(asked) & set(params)
        assert following is None or not set(following.params) & set(params)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_request_is_recognised_again(provider):
    connector = connectors()[provider]
    for fixture in fixtures(provider):
        call = case_of(fixture).call
        try:
            request = connector.request(call)
        except UnsupportedCall:
            continue

        found = connector.find(request.method, "https://elsewhere.example" + request.path, request.params)

        assert found is not None
        assert place(connector.endpoint(found.endpoint)) == place(connector.endpoint(request.endpoint))


# -- symbols ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fixture", every(lambda fixture: fixture["expect"]["outcome"] == "records"))
def test_symbols_of_fixture_round_trip(fixture):
    case = case_of(fixture)
    connector = connectors()[case.provider]
    symbols = connector.symbols
    met = {(symbol, case.call.asset_class) for symbol in case.call.symbols}
    met |= {(r["symbol"], r["asset_class"]) for r in stored.run(case).records() if r.get("asset_class")}
    for symbol, asset_class in met:
        try:
            spelled = symbols.spell(symbol, asset_class)
        except UnsupportedSymbol:
            asked = symbol in case.call.symbols and connector.endpoint(case.request.endpoint).routed
            assert not asked, f"the fixture asks for {symbol}, which cannot be asked"
        else:
            assert symbols.canonical(spelled, asset_class) == (symbol, asset_class)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_asset_class_on_sale_has_a_spelling(provider):
    connector = connectors()[provider]
    for asset_class in {name for e in connector.endpoints if e.routed and e.batch for name in e.asset_classes}:
        spelled = 0
        for symbol in ("AAPL", "VTSAX", "BTC-USD", "EUR/USD", "GC", "WTI", "^GSPC", "CL"):
            try:
                spelled += bool(connector.symbols.spell(symbol, asset_class))
            except UnsupportedSymbol:
                continue
        assert spelled, f"no {asset_class} can be spelled"


@pytest.mark.parametrize("provider", PROVIDERS)
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_can_be_spelled_round_trips(provider, data):
    symbols = connectors()[provider].symbols
    asset_class = data.draw(st.sampled_from(sorted(SYMBOLS)))
    symbol = data.draw(st.from_regex(SYMBOLS[asset_class], fullmatch=True))
    try:
        spelled = symbols.spell(symbol, asset_class)
    except UnsupportedSymbol:
        return

    assert symbols.canonical(spelled, asset_class) == (symbol, asset_class)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_unspellable_symbol_is_named_with_a_reason(provider):
    for asset_class in SYMBOLS:
        with pytest.raises(UnsupportedSymbol, match="NO SUCH"):
            connectors()[provider].symbols.spell("NO SUCH", asset_class)


@pytest.mark.parametrize("provider", PROVIDERS)
@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(text=st.one_of(st.text(max_size=20), st.from_regex(r"[A-Z0-9./:=^_-]{0,14}", fullmatch=True)))
def test_any_text_is_spelled_or_refused(provider, text):
    symbols = connectors()[provider].symbols
    for asset_class in SYMBOLS:
        with suppress(UnsupportedSymbol):
            symbols.spell(text, asset_class)
        with suppress(FieldError):
            symbols.canonical(text, asset_class)


# -- broken payloads -------------------------------------------------------------------------------------------------

ODD = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        2**63,
        -(2**70),
        10**400,
        0.1,
        1e308,
        -5e-324,
        "",
        "x",
        "None",
        "NaN",
        "1e999",
        "9" * 400,
        "0000-00-00",
        "2024-02-30",
        "9999-12-31T23:59:59.999999999Z",
        "\x00\ud7ff",
        [],
        {},
        [[]],
        [None, 1, "a", {}],
        {"a": {"b": []}},
    ]
)


def nodes(value, path=()):
    """Paths to everything inside a JSON value, itself included."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in inside:
        yield from nodes(part, (*path, name))


def changed(value, path, change):
    """A copy of `value` in which what lies at `path` is what `change` makes of it; `...` removes it."""
    if not path:
        return change(value)
    name, rest = path[0], path[1:]
    part = changed(value[name], rest, change)
    if isinstance(value, dict):
        return {k: v for k, v in {**value, name: part}.items() if v is not ...}
    return [v for v in [*value[:name], part, *value[name + 1 :]] if v is not ...]


def turned_inside_out(value):
    if isinstance(value, dict):
        return list(value.values())
    return {str(i): part for i, part in enumerate(value)} if isinstance(value, list) else [value]


@st.composite
def broken(draw, body):
    """A body derived from a good one: parts replaced, removed, repeated, added; or cut off, or garbled."""
    if draw(st.integers(0, 9)) == 0:
        return body[: draw(st.integers(0, len(body)))] + draw(st.binary(max_size=4))
    try:
        value = json.loads(body)
    except ValueError:
        lines = body.split(b"\n")
        index = draw(st.integers(0, len(lines) - 1))
        lines[index] = draw(st.sampled_from([b"", b",,,,", lines[index] * 2, lines[index].replace(b",", b"", 1), b'"']))
        return b"\n".join(lines)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(nodes(value))))
        odd = draw(ODD)
        change = draw(
            st.sampled_from(
                [
                    lambda _, odd=odd: odd,
                    lambda was, odd=odd: {**was, "extra": odd} if isinstance(was, dict) else [was, odd],
                    lambda was: [*was, *was] if isinstance(was, list) else was,
                    lambda was, path=path: ... if path else None,
                    turned_inside_out,
                ]
            )
        )
        value = changed(value, path, change)
    return json.dumps(value).encode()


def answered():
    """Of each place that has answers, one endpoint and its cases: no place goes without broken payloads."""
    for provider in PROVIDERS:
        once = {place(endpoint): endpoint for endpoint in reversed(connectors()[provider].endpoints)}
        for endpoint in once.values():
            if known := [case for _, case in cases_of(provider, endpoint) if case.answer.body]:
                yield pytest.param(provider, known, id=f"{provider}.{endpoint.name}")


@pytest.mark.parametrize(("provider", "known"), list(answered()))
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_broken_payload_ends_as_records_rejects_or_a_refusal(provider, known, of_python, data):
    case = data.draw(st.sampled_from(known))
    answer = replace(
        case.answer,
        body=data.draw(broken(case.answer.body)),
        status=data.draw(st.sampled_from([case.answer.status] * 5 + [204, 302, 404, 418, 429, 503])),
        headers=data.draw(st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-reset"]), st.text(max_size=9))),
    )

    outcome = connectors()[provider].read(case.call, case.request, answer, "fuzz")

    assert outcome.name == "records" or outcome.name in REFUSALS
    normalized = judge(outcome)
    for record in normalized.records:
        record.model_validate(record.model_dump())
    assert all(reject.rule and reject.reason for reject in normalized.rejects)
    assert [reject.reason for reject in normalized.rejects if of_python(reject.reason)] == []
    if isinstance(outcome.refusal, MalformedPayload):
        assert not of_python(outcome.refusal.reason), outcome.refusal.reason
