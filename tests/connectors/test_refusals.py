"""What a refusal covers, and whose refusal it is: the provider's words, what was asked, or a gateway on the way."""

import json

import pytest

from connectors import Answer, Call, Request, connector, connectors
from connectors.calls import DAY_MS
from connectors.refusals import YEAR_MS
from connectors.scope import Scope

NOW = 1_780_000_000_000  # 2026-05-28 20:26 UTC
TODAY = NOW // DAY_MS * DAY_MS
MINUTE = 60_000
BARS = {"dataset": "bars", "symbols": ("AAPL",), "interval": "1d"}
QUOTE = {"dataset": "quote", "symbols": ("AAPL",)}
PROVIDERS = sorted(connectors())


def ask(provider, status, body, *, headers=None, **call):
    """(the call, its request, its outcome) when the provider answers so."""
    declared, call = connector(provider), Call(**call)
    call = declared.split(call)[0]
    request = declared.request(call)
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    answer = Answer(status=status, body=content, observed_at=NOW, headers=headers or {})
    return call, request, declared.read(call, request, answer)


# -- a gateway is not the provider ------------------------------------------------------------------------------------

PAGE = "<!DOCTYPE html>\n<html><head><title>Attention Required!</title></head><body>Sorry</body></html>"
FOREIGN = {
    "a page": PAGE,
    "a page with a byte order mark": "\ufeff  " + PAGE,
    "an XML error": "<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    "a gateway's JSON": {"message": "Forbidden"},
    "a gateway's JSON with its status": {"statusCode": 403, "error": "Forbidden"},
    "AWS": {"message": "Missing Authentication Token"},
    "Kong": {"message": "no Route matched with those values"},
    "Cloudflare": "error code: 1020",
    "a proxy's text": "upstream connect error or disconnect/reset before headers. reset reason: overflow",
    "a word": "Forbidden",
    "nothing": "",
    "white space": " \r\n",
}


@pytest.mark.parametrize("status", [200, 400, 401, 402, 403, 404, 405, 422])
@pytest.mark.parametrize("said", FOREIGN)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_answer_of_a_gateway_says_nothing_of_key_plan_or_symbol(provider, said, status):
    _, _, outcome = ask(provider, status, FOREIGN[said], **QUOTE)

    assert outcome.name == "ProviderUnavailable"
    assert f"HTTP {status}" in outcome.refusal.reason


@pytest.mark.parametrize("body", [PAGE, ""])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_rate_limit_is_one_whoever_says_it(provider, body):
    assert ask(provider, 429, body, **QUOTE)[2].name == "RateLimited"


@pytest.mark.parametrize(
    ("provider", "status", "body", "outcome"),
    [
        ("alpaca", 403, {"message": "forbidden."}, "KeyRejected"),
        ("alpaca", 401, {"code": 40110000, "message": "request is not authorized"}, "KeyRejected"),
        ("alphavantage", 200, {"Error Message": "the parameter apikey is invalid or missing."}, "KeyRejected"),
        ("brightdata", 401, "Unauthorized", "KeyRejected"),
        ("brightdata", 401, "User authentication is required", "KeyRejected"),
        ("brightdata", 400, 'zone "web_unlocker1" not found', "InvalidRequest"),
        ("eodhd", 401, "Unauthenticated", "KeyRejected"),
        ("eodhd", 402, "You exceeded your daily API requests limit.", "QuotaExhausted"),
        ("eodhd", 403, "Forbidden. Please contact support", "NotEntitled"),
        ("eodhd", 404, "Ticker Not Found.", "UnknownSymbol"),
        ("finnhub", 401, {"error": "Invalid API key"}, "KeyRejected"),
        ("finnhub", 403, {"error": "You don't have access to this resource."}, "NotEntitled"),
        ("finnhub", 404, {"error": "Symbol not supported"}, "UnknownSymbol"),
        ("finnhub", 403, {"error": "Symbol not supported"}, "UnknownSymbol"),
        ("finnhub", 200, {"error": "Symbol not supported"}, "UnknownSymbol"),
        ("fmp", 402, "Restricted Endpoint: This endpoint is not available under your subscription", "NotEntitled"),
        ("fmp", 403, {"Error Message": "Account suspended"}, "KeyRejected"),
        ("polygon", 403, {"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."}, "NotEntitled"),
        ("polygon", 404, {"status": "NOT_FOUND", "message": "Ticker not found."}, "UnknownSymbol"),
        ("yahoo", 404, {"quoteResponse": {"error": {"code": "Not Found"}}}, "UnknownSymbol"),
        ("yahoo", 401, {"finance": {"error": {"code": "Unauthorized"}}}, "KeyRejected"),
    ],
)
def test_providers_own_refusal_stays_what_it_is(provider, status, body, outcome):
    assert ask(provider, status, body, **QUOTE)[2].name == outcome


# -- how much a refusal covers ----------------------------------------------------------------------------------------

TIMEFRAME = {"status": "NOT_AUTHORIZED", "message": "Your plan doesn't include this data timeframe."}
TODAY_REFUSED = {"status": "NOT_AUTHORIZED", "message": "Attempted to request today's data before end of day."}
GENERIC = {"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."}
SIP = {"message": "subscription does not permit querying recent SIP data"}
OUTPUTSIZE = {"Information": "The outputsize=full parameter value is a premium feature for the endpoint."}
PREMIUM = {"Information": "Thank you! This is a premium endpoint. You may subscribe to any of the premium plans"}
ONE_YEAR = [{"warning": "Data is limited by one year as you have free subscription"}]
ACCESS = {"error": "You don't have access to this resource."}
VALUE_SET = "Premium Query Parameter: 'Special Endpoint : This value set for '{}' is not available under your plan"
SIXTY_DAYS = {"chart": {"error": {"description": "The requested range must be within the last 60 days."}}}
EIGHT_DAYS = {"chart": {"error": {"description": "Only 8 days worth of 1m granularity data are allowed per request."}}}
MAX_PERIOD = {"errors": {"to": ["Max period length is 60 days"]}}
SHARES = {"asset_classes": ["equity", "etf"], "interval": "1d"}
ANY = {**SHARES, "endpoint": None}
QUOTES = {"asset_classes": ["equity", "etf"]}
LONG_AGO = {**BARS, "start": NOW - 8 * YEAR_MS, "end": NOW}
FROM_THE_BEGINNING = {**BARS, "start": None, "end": NOW}


@pytest.mark.parametrize(
    ("provider", "status", "body", "call", "scope"),
    [
        ("polygon", 403, TIMEFRAME, LONG_AGO, {**ANY, "older_ms": 5 * YEAR_MS}),
        ("polygon", 403, TIMEFRAME, {**LONG_AGO, "start": NOW - 3 * YEAR_MS}, {**ANY, "older_ms": 2 * YEAR_MS}),
        ("polygon", 403, TIMEFRAME, FROM_THE_BEGINNING, {**ANY, "older_ms": 10 * YEAR_MS}),
        (
            *("polygon", 403, TIMEFRAME, {**LONG_AGO, "start": NOW - YEAR_MS}),
            {**ANY, "older_ms": YEAR_MS, "limit_known": False},
        ),
        ("polygon", 403, TIMEFRAME, {**LONG_AGO, "start": TODAY}, {**SHARES, "newer_ms": NOW - TODAY}),
        ("polygon", 403, TODAY_REFUSED, LONG_AGO, {**SHARES, "newer_ms": NOW - TODAY}),
        ("polygon", 403, GENERIC, LONG_AGO, SHARES),
        (
            *("polygon", 403, GENERIC, {**LONG_AGO, "symbols": ("BTC-USD",), "asset_class": "crypto"}),
            {"asset_classes": ["crypto"], "interval": "1d"},
        ),
        ("alpaca", 403, SIP, LONG_AGO, {**SHARES, "newer_ms": 15 * MINUTE}),
        ("alpaca", 403, SIP, QUOTE, QUOTES),
        ("alphavantage", 200, OUTPUTSIZE, LONG_AGO, {**SHARES, "parameter": "outputsize", "value": "full"}),
        ("alphavantage", 200, PREMIUM, LONG_AGO, SHARES),
        ("eodhd", 200, ONE_YEAR, LONG_AGO, {**SHARES, "older_ms": YEAR_MS}),
        ("eodhd", 200, ONE_YEAR, FROM_THE_BEGINNING, {**SHARES, "older_ms": YEAR_MS}),
        ("eodhd", 403, "Only EOD data allowed for free users.", LONG_AGO, SHARES),
        ("finnhub", 403, ACCESS, LONG_AGO, SHARES),
        ("finnhub", 403, ACCESS, {**LONG_AGO, "symbols": ("SAP.XETR",)}, {**SHARES, "exchange": "XETR"}),
        ("finnhub", 403, ACCESS, {"dataset": "assets", "exchange": "XLON"}, {**QUOTES, "exchange": "XLON"}),
        ("fmp", 402, VALUE_SET.format("symbol"), QUOTE, {**QUOTES, "symbols": ["AAPL"]}),
        (
            *("fmp", 402, "Premium Query Parameter: 'limit'"),
            {"dataset": "statements", "symbols": ("AAPL",), "kind": "income", "limit": 10},
            {**QUOTES, "parameter": "limit", "value": "10"},
        ),
        (
            *("fmp", 402, VALUE_SET.format("period")),
            {"dataset": "statements", "symbols": ("AAPL",), "kind": "income", "period": "quarterly"},
            {**QUOTES, "parameter": "period", "value": "quarter"},
        ),
        ("fmp", 402, "Restricted Endpoint: not available under your current subscription.", QUOTE, QUOTES),
        ("yahoo", 422, SIXTY_DAYS, {**LONG_AGO, "interval": "5m"}, {"interval": "5m", "older_ms": 60 * DAY_MS}),
        (
            *("yahoo", 422, EIGHT_DAYS, {**BARS, "interval": "1d", "start": NOW - 20 * DAY_MS, "end": NOW}),
            {"interval": "1d", "longer_ms": 8 * DAY_MS},
        ),
        (
            *("eodhd", 422, MAX_PERIOD, {**BARS, "interval": "1m", "start": NOW - 100 * DAY_MS, "end": NOW}),
            {"interval": "1m", "longer_ms": 60 * DAY_MS},
        ),
    ],
)
def test_refusal_covers_what_was_refused(provider, status, body, call, scope):
    asked, request, outcome = ask(provider, status, body, **call)

    assert outcome.name in {"NotEntitled", "InvalidRequest"}
    expected = {"endpoint": request.endpoint, **QUOTES, **scope}
    assert outcome.refusal.scope == Scope(**expected)
    assert_is_covered(outcome.refusal.scope, asked, request, provider)


def assert_is_covered(scope, call, request, provider):
    """What was refused is not asked again: neither as it was, nor cut into pieces of the same size."""
    assert scope.concerns(request.endpoint, call, dict(connector(provider).fields(request)))
    refused, rest = scope.split(call, NOW)
    assert refused is not None or rest != (call,)
    assert call not in rest


def test_refusal_of_the_whole_key_says_so():
    body = {"status": "NOT_AUTHORIZED", "message": "Your subscription has expired."}
    call, _, outcome = ask("polygon", 403, body, **QUOTE)

    assert outcome.refusal.scope == Scope()
    assert outcome.refusal.scope.kind == "key"
    assert outcome.refusal.scope.concerns("news", call, {})


def test_wrong_request_without_a_range_covers_nothing():
    assert ask("finnhub", 422, {"error": "Invalid parameters."}, **QUOTE)[2].refusal.scope is None


def test_refused_symbol_of_a_batch_covers_that_symbol():
    rows = [{"ticker": "I:SPX", "error": "NOT_ENTITLED", "message": "Not entitled to this ticker."}]
    call = {"dataset": "quote", "symbols": ("^GSPC", "^IXIC"), "asset_class": "index"}
    _, _, outcome = ask("polygon", 200, {"results": rows, "status": "OK"}, **call)

    assert outcome.missing["^GSPC"].scope.symbols == ("^GSPC",)


# -- what a scope does to a call --------------------------------------------------------------------------------------


def cut(call, **scope):
    refused, rest = Scope(**scope).split(Call(**call), NOW)
    return (refused and (refused.start, refused.end)), [(part.start, part.end) for part in rest]


def test_too_old_a_range_is_cut_at_the_first_midnight_that_is_sold():
    first = TODAY - YEAR_MS + DAY_MS

    assert cut({**BARS, "start": 0, "end": NOW}, older_ms=YEAR_MS) == ((0, first), [(first, NOW)])
    assert cut({**BARS}, older_ms=YEAR_MS) == ((None, first), [(first, None)])
    assert cut({**BARS, "start": 0, "end": 9}, older_ms=YEAR_MS) == ((0, 9), [])
    assert cut({**BARS, "start": first}, older_ms=YEAR_MS) == (None, [(first, None)])
    assert cut({"dataset": "news"}, older_ms=YEAR_MS) == (None, [(None, None)])


def test_too_young_a_range_is_cut_at_the_last_minute_that_is_sold():
    last, minute = (NOW - 15 * MINUTE) // MINUTE * MINUTE, {**BARS, "interval": "1m", "start": TODAY}

    assert cut(minute, newer_ms=15 * MINUTE) == ((last, None), [(TODAY, last)])
    assert cut({**minute, "end": last}, newer_ms=15 * MINUTE) == (None, [(TODAY, last)])
    assert cut({**minute, "start": last}, newer_ms=15 * MINUTE) == ((last, None), [])


def test_nothing_is_refused_of_a_day_whose_bar_has_begun():
    last = (NOW - 15 * MINUTE) // MINUTE * MINUTE

    assert cut({**BARS, "start": 0, "end": NOW}, newer_ms=15 * MINUTE) == (None, [(0, last)])
    assert cut({**BARS, "start": 0, "end": NOW}, newer_ms=NOW - TODAY + 1)[0] == (TODAY - MINUTE, NOW)


def test_too_long_a_range_is_cut_into_pieces():
    assert cut({**BARS, "start": 0, "end": 25}, longer_ms=10) == (None, [(0, 10), (10, 20), (20, 25)])


def test_range_whose_limit_is_not_known_is_refused_whole():
    scope = {"older_ms": YEAR_MS, "limit_known": False}

    assert cut({**BARS, "start": 0, "end": NOW}, **scope) == ((0, NOW), [])
    assert cut({**BARS, "start": NOW - DAY_MS, "end": NOW}, **scope) == (None, [(NOW - DAY_MS, NOW)])


def test_symbols_and_exchanges_are_taken_out_of_a_batch():
    call = Call(dataset="quote", symbols=("AAPL", "SAP.XETR", "BMW.XETR"))

    refused, rest = Scope(exchange="XETR").split(call, NOW)
    assert (refused.symbols, [part.symbols for part in rest]) == (("SAP.XETR", "BMW.XETR"), [("AAPL",)])
    refused, rest = Scope(symbols=("AAPL",)).split(call, NOW)
    assert (refused.symbols, [part.symbols for part in rest]) == (("AAPL",), [("SAP.XETR", "BMW.XETR")])
    assert Scope(symbols=("AAPL", "MSFT")).split(call, NOW) == (None, (call,))


@pytest.mark.parametrize(
    ("asked", "covered"), [({"limit": "10"}, True), ({"limit": "250"}, True), ({"limit": "5"}, False), ({}, False)]
)
def test_larger_numbers_than_the_refused_one_are_refused_too(asked, covered):
    assert Scope(parameter="limit", value="10").concerns("any", Call(**QUOTE), asked) is covered


def test_scope_travels_as_text_and_reads_as_a_sentence():
    scope = Scope(endpoint="aggregates", asset_classes=("equity", "etf"), interval="1d", older_ms=2 * YEAR_MS)

    assert Scope.read(scope.text()) == scope
    assert Scope.read("") is None
    assert str(scope) == "aggregates (equity etf, 1d): ranges that begin 730 days ago or earlier"
    assert str(Scope()) == "everything"


# -- Alpha Vantage, Bright Data ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("member", "words", "outcome"),
    [
        ("Note", "Please visit https://www.alphavantage.co/premium/ to have a higher API call volume.", "RateLimited"),
        ("Note", "Something that nobody has seen before.", "RateLimited"),
        ("Note", "Something new about premium plans.", "RateLimited"),
        ("Note", "Our standard limit is 500 requests per day.", "QuotaExhausted"),
        ("Information", "Please contact support if you would like to have a higher API call volume", "RateLimited"),
        ("Information", "Please consider optimizing your API call frequency.", "RateLimited"),
        ("Information", "No articles found. Please adjust the time range.", "records"),
        ("Information", "This is a premium endpoint.", "NotEntitled"),
    ],
)
def test_words_of_alphavantage(member, words, outcome):
    found = ask("alphavantage", 200, {member: words}, dataset="news", symbols=("AAPL",))[2]

    assert found.name == outcome
    assert found.items == ()


@pytest.mark.parametrize("body", ["", {"status_code": 200, "headers": {}, "body": ""}])
@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({"x-brd-status-code": "407", "x-brd-err-code": "client_10070"}, "KeyRejected"),
        ({"x-brd-status-code": "404", "x-brd-err-code": "target_40411"}, "UnknownSymbol"),
        ({"x-brd-status-code": "429", "x-brd-error-code": "sr_rate_limit"}, "RateLimited"),
        ({"x-brd-status-code": "429", "x-brd-err-code": "policy_20050"}, "RateLimited"),
        ({"x-brd-status-code": "403", "x-brd-err-code": "policy_20220"}, "RateLimited"),
        ({"x-brd-status-code": "403", "x-brd-err-code": "policy_20050"}, "NotEntitled"),
        ({"x-brd-status-code": "502", "x-brd-err-code": "client_10100"}, "QuotaExhausted"),
        ({"x-brd-status-code": "502", "x-brd-error-code": "navigation_timeout"}, "ProviderUnavailable"),
        ({"proxy-status": 'brd; received-status=403; details="policy-20050: Forbidden"'}, "NotEntitled"),
    ],
)
def test_headers_of_an_unlocking_decide(headers, outcome, body):
    assert ask("brightdata", 200, body, headers=headers, **QUOTE)[2].name == outcome


@pytest.mark.parametrize(("status", "outcome"), [(407, "KeyRejected"), (502, "QuotaExhausted")])
def test_code_of_an_unlocking_beside_its_own_status_decides(status, outcome):
    headers = {"x-brd-err-code": "client_10100" if status == 502 else "client_10010"}

    assert ask("brightdata", status, "refused", headers=headers, **QUOTE)[2].name == outcome


def test_page_without_the_data_is_not_the_page_that_was_asked_for():
    body = {"status_code": 200, "headers": {}, "body": "<html><title>Maintenance</title></html>"}

    assert ask("brightdata", 200, body, **QUOTE)[2].name == "ProviderUnavailable"


# -- JSON outside the standard ----------------------------------------------------------------------------------------

DAY = '"date": "2024-01-0{}", "open": 1, "high": 2, "low": 1, "close": 1.5, "adjusted_close": 1.5'
ODD = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400, "9" * 5000]


@pytest.mark.parametrize("number", ODD)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_number_that_is_none_is_absent_and_its_siblings_stay(number, mark):
    body = f'[{{{DAY.format(2)}, "volume": {number}}}, {{{DAY.format(3)}, "volume": 7}}]'
    _, _, outcome = ask("eodhd", 200, mark + body.encode(), **BARS)

    (frame,) = outcome.items
    assert (frame.volume, frame.close) == ([None, 7.0], [1.5, 1.5])


@pytest.mark.parametrize("odd", [b'"\\ud83d cut"', b'"\xff"', b'"a\nb"'])
def test_text_that_is_not_unicode_does_not_sink_the_answer(odd):
    article = b'{"date": "2024-01-02T00:00:00+00:00", "title": %b, "content": "", "link": "https://e.example/1"}'
    _, _, outcome = ask("eodhd", 200, b"[" + article % odd + b"]", dataset="news", symbols=("AAPL",))

    (news,) = outcome.items
    assert json.loads(news.model_dump_json())["title"]


def test_byte_order_mark_before_a_table_is_skipped():
    body = b"\xef\xbb\xbftimestamp,open,high,low,close,volume\n2024-01-02,1,2,1,1.5,7\n"
    _, _, outcome = ask("alphavantage", 200, body, **BARS)

    assert outcome.items[0].close == [1.5]


def test_body_that_is_nested_without_end_is_malformed():
    request = Request(endpoint="eod", path="/eod/AAPL.US", params={})
    answer = Answer(status=200, body=b"[" * 100_000, observed_at=NOW)

    assert connector("eodhd").read(Call(**BARS), request, answer).name == "MalformedPayload"
