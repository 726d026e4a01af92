"""`tapestream normalize`: what it prints, how it ends, and that every mistake gets one clear line."""

import subprocess
import sys

import orjson
import pytest
from click.testing import CliRunner

from streams.__main__ import main

JUNE_3 = 1_717_372_800_000
BAR = {"o": 10, "h": 12, "l": 9, "c": 11, "v": 100, "t": JUNE_3 + 14_400_000}
ANSWER = {"ticker": "AAPL", "status": "OK", "adjusted": True, "results": [BAR, {**BAR, "h": 1}]}
RECORDING = {
    "provider": "polygon",
    "request": {"url": "https://api.polygon.io/v2/aggs/ticker/AAPL/range/1/day/2024-06-03/2024-06-05"},
    "status": 200,
    "body": ANSWER,
}
ASKED = '{"dataset": "bars", "symbol": "AAPL", "interval": "1d"}'
DAILY = ("polygon", "bars", "--symbol", "AAPL", "--interval", "1d")


def normalize(*args, body=ANSWER):
    given = body if isinstance(body, bytes) else orjson.dumps(body)
    return CliRunner().invoke(main, ["normalize", *args], input=given)


def lines(result):
    return [orjson.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def recorded(tmp_path):
    def write(content=RECORDING, name="recording.json"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else orjson.dumps(content))
        return str(path)

    return write


def test_records_and_rejects_are_lines_of_json():
    result = normalize(*DAILY, "-")

    bars, reject = lines(result)
    assert result.exit_code == 0
    assert (bars["dataset"], bars["symbol"], bars["interval"], bars["close"]) == ("bars", "AAPL", "1d", [11.0])
    assert reject["dataset"] == "dead_letters"
    assert (reject["rule"], reject["reason"]) == ("low_above_high", "low is above high")
    assert result.stderr == ""


def test_a_file_is_read_as_well_as_standard_input(recorded):
    assert lines(normalize(*DAILY, recorded(ANSWER), body=b""))[0]["close"] == [11.0]


def test_an_empty_answer_prints_nothing():
    result = normalize(*DAILY, "-", body={**ANSWER, "results": []})

    assert (result.exit_code, result.stdout) == (0, "")


def test_an_answer_whose_rows_are_all_out_of_scope_says_how_many():
    test_tickers = [{"symbol": "ZVZZT", "companyName": "A test"}, {"symbol": "NTEST", "companyName": "Another"}]

    result = normalize("fmp", "assets", "-", body=test_tickers)

    assert (result.exit_code, lines(result)) == (
        0,
        [{"left_out": 2, "reason": "every row is outside the asset classes, or a test ticker"}],
    )


def test_rows_that_are_left_out_beside_others_are_not_said():
    rows = [{"symbol": "ZVZZT", "companyName": "A test"}, {"symbol": "AAPL", "companyName": "Apple"}]

    assert [line.get("symbol") for line in lines(normalize("fmp", "assets", "-", body=rows))] == ["AAPL"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--status", "401"), {"error": "KeyRejected"}),
        (("--status", "403"), {"error": "NotEntitled"}),
        (("--status", "404"), {"error": "UnknownSymbol"}),
        (("--status", "429", "--header", "Retry-After=12"), {"error": "RateLimited", "retry_after": 12.0}),
        (("--status", "503"), {"error": "ProviderUnavailable"}),
    ],
)
def test_a_refusal_is_one_line_and_exits_3(options, error):
    result = normalize(*DAILY, *options, "-", body=b"no")

    assert result.exit_code == 3
    assert [{name: line[name] for name in error} for line in lines(result)] == [error]
    assert lines(result)[0]["reason"]


def test_a_malformed_payload_is_one_line_and_exits_4():
    result = normalize(*DAILY, "-", body=b'{"results": [')

    assert result.exit_code == 4
    assert [line["error"] for line in lines(result)] == ["MalformedPayload"]
    assert "not JSON" in lines(result)[0]["reason"]


@pytest.mark.parametrize("body", [{"unexpected": {"shape": 1}}, [{"unexpected": 1}], {}])
def test_an_unknown_shape_is_an_answer_of_no_endpoint(body):
    result = normalize(*DAILY, "-", body=body)

    (line,) = lines(result)
    assert result.exit_code == 4
    assert (line["error"], line["hint"]) == ("MalformedPayload", "no endpoint of polygon fits this answer")


def test_an_answer_of_another_endpoint_is_named_by_it():
    result = normalize("polygon", "news", "--symbol", "AAPL", "-", body={"results": {"T": "AAPL", "p": 12.5}})

    assert result.exit_code == 4
    assert "last_trade" in lines(result)[0]["hint"]


def test_a_recording_at_an_address_of_no_endpoint_says_so(recorded):
    case = recorded({**RECORDING, "request": {"url": "https://api.polygon.io/v9/nothing"}})

    result = normalize("--case", case, "--call", ASKED)

    (line,) = lines(result)
    assert result.exit_code == 4
    assert line["reason"] == "the request is at no endpoint of polygon: /v9/nothing"
    assert line["hint"] == "it reads as an answer of aggregates, previous_close: give that --url"


def test_params_say_what_had_been_asked():
    unsaid = {name: value for name, value in ANSWER.items() if name != "adjusted"}
    adjustments = [
        lines(normalize(*DAILY, "--param", f"adjusted={value}", "-", body=unsaid))[0]["adjustment"]
        for value in ("true", "false")
    ]

    assert adjustments == ["split", "raw"]


def test_a_further_page_is_a_line_and_no_error():
    further = {**ANSWER, "next_url": "https://api.polygon.io/v2/aggs/ticker/AAPL/range/1/day/1/2?cursor=abc"}
    result = normalize(*DAILY, "-", body=further)

    assert result.exit_code == 0
    assert lines(result)[-1]["next"]["params"]["cursor"] == "abc"


def test_a_symbol_of_a_batch_that_is_refused_is_a_line_and_no_error():
    body = {"status": "OK", "tickers": [{"ticker": "AAPL", "lastTrade": {"p": 10.5, "t": 1_717_400_000_000_000_000}}]}
    result = normalize("polygon", "quote", "--symbol", "AAPL", "--symbol", "NOPE", "-", body=body)

    assert result.exit_code == 0
    quote, missing = lines(result)
    assert (quote["symbol"], quote["price"]) == ("AAPL", 10.5)
    assert missing == {"symbol": "NOPE", "error": "UnknownSymbol"}


def test_another_endpoint_is_recognised_by_its_url():
    result = normalize(*DAILY, "--url", "https://api.polygon.io/v2/aggs/ticker/AAPL/prev", "-")

    assert result.exit_code == 0
    assert lines(result)[0]["ts"] == [JUNE_3]


def test_a_whole_recording_is_taken_with_what_had_been_asked(recorded):
    result = normalize("--case", recorded(), "--call", ASKED)

    assert result.exit_code == 0
    assert [line["dataset"] for line in lines(result)] == ["bars", "dead_letters"]


def test_the_calls_provider_completes_a_recording_without_one(recorded):
    nameless = {name: value for name, value in RECORDING.items() if name != "provider"}
    asked = orjson.dumps({**orjson.loads(ASKED), "provider": "polygon"}).decode()

    assert lines(normalize("--case", recorded(nameless), "--call", asked))[0]["close"] == [11.0]


def test_a_recorded_refusal_exits_3_and_a_malformed_one_4(recorded):
    assert normalize("--case", recorded({**RECORDING, "status": 429}), "--call", ASKED).exit_code == 3
    assert normalize("--case", recorded({**RECORDING, "body": "{"}), "--call", ASKED).exit_code == 4


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (("reuters", "bars", "-"), "unknown provider 'reuters'; known: alpaca, "),
        (("polygon", "weather", "-"), "unknown dataset 'weather'; known: quote, bars, "),
        (("polygon", "bars", "--symbol", "AAPL", "--interval", "7m", "-"), "interval was '7m'"),
        (("polygon", "bars", "--symbol", "AAPL", "--adjustment", "double", "-"), "adjustment was 'double'"),
        (("polygon", "bars", "--symbol", "AAPL", "--asset-class", "bond", "-"), "asset_class was 'bond'"),
        (("polygon", "bars", "--symbol", "A A P L", "-"), "polygon cannot spell the equity 'A A P L'"),
        (("polygon", "bars", "--symbol", "BTC-USD", "--asset-class", "forex", "-"), "'BTC-USD'"),
        (("polygon", "earnings", "--symbol", "AAPL", "-"), "polygon does not serve equity earnings"),
        ((*DAILY, "--header", "Retry-After", "-"), "--header 'Retry-After' is not NAME=VALUE"),
        ((*DAILY, "--param", "=1", "-"), "--param '=1' is not NAME=VALUE"),
        ((*DAILY, "--url", "https://example.org/weather", "-"), "is no endpoint of polygon that we know"),
        (("polygon", "bars"), "give PROVIDER DATASET FILE, or --case FILE"),
        ((), "give PROVIDER DATASET FILE, or --case FILE"),
    ],
)
def test_a_mistake_gets_one_line_that_says_what_to_do(args, complaint):
    result = normalize(*args)

    assert result.exit_code in {1, 2}
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("tapestream: ")
    assert complaint in result.stderr


@pytest.mark.parametrize(
    ("content", "call", "complaint"),
    [
        (b"{", ASKED, "is not JSON"),
        (b"[1]", ASKED, "holds a list, not an object"),
        (RECORDING, "{", "--call is not JSON"),
        (RECORDING, "[]", "--call holds a list"),
        (RECORDING, '{"dataset": "weather"}', "unknown dataset 'weather'"),
        (RECORDING, '{"dataset": "bars", "interval": "7m"}', "interval was '7m'"),
        (RECORDING, '{"dataset": "news", "date": "June"}', '"June" is not a date'),
        ({"status": 200}, ASKED, "names no provider: add it"),
        ({**RECORDING, "provider": "reuters"}, ASKED, "unknown provider 'reuters'"),
        ({"provider": "polygon"}, ASKED, "status"),
        ({**RECORDING, "status": "fine"}, ASKED, "status was 'fine'"),
        ({**RECORDING, "headers": [1]}, ASKED, "headers was [1]"),
        ({**RECORDING, "request": "GET /"}, ASKED, "request was 'GET /'"),
    ],
)
def test_a_recording_that_cannot_be_used_gets_one_line(recorded, content, call, complaint):
    result = normalize("--case", recorded(content), "--call", call)

    assert result.exit_code in {1, 2}
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert complaint in result.stderr


@pytest.mark.parametrize(
    "args",
    [
        ("polygon", "bars", "--symbol", "AAPL", "no-such-file.json"),
        ("--case", "no-such-file.json"),
        (*DAILY, "--status", "fine", "-"),
        (*DAILY, "--colour", "blue", "-"),
    ],
)
def test_a_wrong_usage_exits_2_and_names_it(args):
    result = normalize(*args)

    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert "Traceback" not in result.stderr


def test_the_installed_command_reads_standard_input_and_ends_as_said():
    done = subprocess.run(
        [sys.executable, "-m", "streams", "normalize", *DAILY, "--status", "429", "-"],
        input=b"slow down",
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 3
    assert orjson.loads(done.stdout)["error"] == "RateLimited"
    assert done.stderr == b""


HOSTILE = "a\x1b[2J\r\x9b\u202e\x7f"


def test_what_a_terminal_would_obey_is_escaped_and_means_the_same():
    result = normalize(*DAILY, "-", body={"status": "ERROR", "error": HOSTILE})

    assert lines(result) == [{"error": "ProviderUnavailable", "reason": HOSTILE}]
    assert result.stdout.removesuffix("\n").isprintable()
