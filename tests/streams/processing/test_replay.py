"""Stored answers: what had been asked, in canonical terms, and what the answer becomes."""

import orjson
import pytest
from pydantic import ValidationError

from connectors import Call, ConnectorError, UnsupportedCall
from streams.processing.replay import Case, call_from, run

DAY = 86_400_000
JUNE_3 = 1_717_372_800_000
RECORDING = {
    "provider": "polygon",
    "request": {
        "method": "GET",
        "url": "https://api.polygon.io/v2/aggs/ticker/AAPL/range/1/day/2024-06-03/2024-06-05",
        "params": {"adjusted": "true", "limit": 50000},
    },
    "status": 200,
    "headers": {"Content-Type": "application/json", "X-Count": 3},
    "body": {
        "ticker": "AAPL",
        "status": "OK",
        "adjusted": True,
        "results": [
            {"o": 10, "h": 12, "l": 9, "c": 11, "v": 100, "t": JUNE_3 + DAY // 6},
            {"o": 10, "h": 1, "l": 9, "c": 11, "v": 100, "t": JUNE_3 + DAY + DAY // 6},
        ],
    },
}
ASKED = {"dataset": "bars", "symbol": "AAPL", "interval": "1d"}


def result_of(recording=None, asked=None, **changes):
    return run(Case.from_recording({**(recording or RECORDING), **changes}, {**ASKED, **(asked or {})}))


def test_a_recording_becomes_records_and_rejects():
    result = result_of()

    bars, reject = result.records()
    assert (result.outcome, result.refusal, result.next) == ("records", None, None)
    assert (bars["dataset"], bars["symbol"], bars["ts"], bars["close"]) == ("bars", "AAPL", [JUNE_3], [11.0])
    assert (reject["dataset"], reject["rule"], reject["symbol"]) == ("dead_letters", "low_above_high", "AAPL")
    assert orjson.loads(reject["row"])["high"] == 1


def test_the_request_is_recognised_whatever_its_host_and_keeps_its_parameters():
    case = Case.from_recording(
        {**RECORDING, "request": {"url": "http://127.0.0.1:8080/polygon/v2/aggs/ticker/AAPL/prev?adjusted=false"}},
        ASKED,
    )

    assert (case.request.endpoint, case.request.params["adjusted"]) == ("previous_close", "false")
    assert Case.from_recording(RECORDING, ASKED).request.params == {"adjusted": "true", "limit": "50000"}


def test_headers_are_read_in_lower_case_as_text():
    assert Case.from_recording(RECORDING, ASKED).answer.headers == {"content-type": "application/json", "x-count": "3"}


@pytest.mark.parametrize(
    ("body", "sent"), [(None, b""), ("a,b\n", b"a,b\n"), ([1], b"[1]"), ({"a": "ü"}, b'{"a":"\xc3\xbc"}')]
)
def test_bodies_are_text_json_or_nothing(body, sent):
    assert Case.from_recording({**RECORDING, "body": body}, ASKED).answer.body == sent


def test_what_was_asked_overrules_the_recording():
    case = Case.from_recording({**RECORDING, "observed_at": 1}, {**ASKED, "provider": "yahoo", "observed_at": 2})

    assert (case.provider, case.answer.observed_at) == ("yahoo", 2)


def test_a_request_of_no_known_endpoint_tells_only_refusals():
    unknown = {"request": {"url": "https://api.polygon.io/v9/weather"}}

    assert result_of(**unknown).records() == []
    refused = result_of(**unknown, status=429, headers={"Retry-After": "7"}, body="slow down")
    assert (refused.outcome, refused.refusal.retry_after) == ("RateLimited", 7.0)


def test_a_recording_without_a_request_tells_refusals_too():
    recording = {name: value for name, value in RECORDING.items() if name != "request"}

    assert result_of(recording, status=401).outcome == "KeyRejected"


def test_a_malformed_payload_is_an_outcome():
    result = result_of(body="{broken")

    assert result.outcome == "MalformedPayload"
    assert result.records() == []


def test_a_further_page_is_told():
    body = {**RECORDING["body"], "next_url": "https://api.polygon.io/v2/aggs/ticker/AAPL/range/1/day/1/2?cursor=abc"}

    assert result_of(body=body).next.params["cursor"] == "abc"


def test_symbols_missing_from_a_batch_are_told_one_by_one():
    url = "https://api.polygon.io/v2/snapshot/locale/us/markets/stocks/tickers"
    asked = {"dataset": "quote", "symbols": ["AAPL", "NOPE"], "symbol": None, "interval": None}
    body = {"status": "OK", "tickers": [{"ticker": "AAPL", "lastTrade": {"p": 10.5, "t": 1_717_400_000_000_000_000}}]}
    result = result_of(asked=asked, request={"url": url}, body=body)

    assert result.outcome == "records"
    assert {symbol: refusal.name for symbol, refusal in result.missing.items()} == {"NOPE": "UnknownSymbol"}


@pytest.mark.parametrize(
    ("asked", "call"),
    [
        ({"dataset": "quote", "symbol": "AAPL"}, Call(dataset="quote", symbols=("AAPL",))),
        ({"dataset": "quote", "symbols": ["A", "B"]}, Call(dataset="quote", symbols=("A", "B"))),
        ({"dataset": "bars"}, Call(dataset="bars", interval="1d")),
        ({"dataset": "bars", "interval": "5m"}, Call(dataset="bars", interval="5m")),
        ({"dataset": "news", "date": "2024-06-03"}, Call(dataset="news", start=JUNE_3, end=JUNE_3 + DAY)),
        ({"dataset": "statements", "statement": "income"}, Call(dataset="statements", kind="income")),
        ({"dataset": "quote", "oracle": "by hand", "limit": None}, Call(dataset="quote")),
        ({}, Call(dataset="assets")),
    ],
)
def test_calls_are_read_as_a_user_writes_them(asked, call):
    assert call_from(asked) == call


@pytest.mark.parametrize(
    "asked",
    [
        {"dataset": "weather"},
        {"dataset": "bars", "interval": "7m"},
        {"dataset": "quote", "asset_class": "bond"},
        {"dataset": "quote", "symbols": "AAPL"},
        {"dataset": "quote", "start": 5, "end": 5},
        {"dataset": "quote", "limit": 0},
        {"dataset": "news", "date": "June"},
        {"dataset": "news", "date": ["2024-06-03"]},
    ],
)
def test_a_call_that_makes_no_sense_is_refused(asked):
    with pytest.raises((ValidationError, ConnectorError)):
        call_from(asked)


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"status": None}, {}),
        ({"status": "fine"}, {}),
        ({"headers": ["a"]}, {}),
        ({"request": "GET /"}, {}),
        ({"request": {"url": 5}}, {}),
        ({"provider": None}, {}),
        ({"observed_at": "noon"}, {}),
        ({}, {"observed_at": "noon"}),
    ],
)
def test_a_recording_that_makes_no_sense_is_refused(changes, asked):
    with pytest.raises(ValidationError):
        Case.from_recording({**RECORDING, **changes}, {**ASKED, **asked})


def test_an_unknown_provider_is_refused():
    with pytest.raises(UnsupportedCall, match="unknown provider 'reuters'"):
        Case.from_recording({**RECORDING, "provider": "reuters"}, ASKED)
