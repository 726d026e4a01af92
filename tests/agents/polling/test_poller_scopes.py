"""A refusal takes off what it covers and no more: everything else is asked of the same provider, the rest of others."""

import re
from datetime import UTC, datetime

import pytest
from aiohttp import web

from connectors import Call, connector
from connectors.calls import DAY_MS
from connectors.refusals import YEAR_MS
from infra.clock import SYSTEM
from streams.accounts.entitlement import REMEMBERED_MS
from streams.messaging import topics
from streams.messaging.messages import PollDone, PollRequest

OTHERS = [connector(name) for name in ("alphavantage", "eodhd", "finnhub", "fmp")]
NOW = SYSTEM.now_ms()
TODAY = NOW // DAY_MS * DAY_MS
BARS = {"dataset": "bars", "interval": "1d"}


def day(ms):
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")


def bars(symbol="AAPL", start=TODAY - 8 * YEAR_MS, end=TODAY, **more):
    return Call(symbols=(symbol,), start=start, end=end, **{**BARS, **more})


class Providers:
    """The providers on loopback: `answer(path, query)` is (status, body), or None for an empty success."""

    def __init__(self):
        self.asked = []
        self.answer = lambda path, query: None

    async def reply(self, request):
        _, name, path = request.path.split("/", 2)
        self.asked.append((name, path, dict(request.query)))
        status, body = self.answer(path, request.query) or (200, NOTHING[name])
        if isinstance(body, str):
            return web.Response(text=body, status=status, content_type="text/html")
        return web.json_response(body, status=status)


NOTHING = {
    "polygon": {"status": "OK", "resultsCount": 0},
    "alphavantage": {"Meta Data": {"2. Symbol": "AAPL"}, "Time Series (Daily)": {}},
    "eodhd": [],
    "finnhub": {"s": "no_data"},
    "fmp": [],
    "yahoo": {"chart": {"result": [], "error": None}},
}


@pytest.fixture
async def stage(answering):
    providers = Providers()
    scene = await answering(providers.reply, extra=OTHERS)

    async def ask(call, *slip):
        """Serve a request and all that its first provider makes of it. Gives the reports, and what goes to others."""
        before, start = len(scene.outbox.to(topics.POLL_DONE)), len(scene.outbox.children)
        handled = 0
        await scene.receive(PollRequest(request_id="r", job_id="j", call=call, slip=slip).encode())
        while mine := [child for child in scene.outbox.children[start:] if child.provider == slip[0]][handled:]:
            handled += 1
            await scene.receive(mine[0].encode())
        elsewhere = [child for child in scene.outbox.children[start:] if child.provider != slip[0]]
        return scene.outbox.read(topics.POLL_DONE, PollDone)[before:], elsewhere

    scene.providers, scene.ask = providers, ask
    return scene


def older_than(age_ms):
    """Polygon as a plan with that much history answers."""

    def answer(path, _):
        first = re.search(r"/(\d{4}-\d\d-\d\d)/", path)
        if first and first[1] < day(NOW - age_ms):
            return 403, {"status": "NOT_AUTHORIZED", "message": "Your plan doesn't include this data timeframe."}
        return None

    return answer


async def test_a_key_with_two_years_serves_them_and_others_are_asked_the_rest(stage):
    stage.providers.answer = older_than(2 * YEAR_MS)
    reports, elsewhere = await stage.ask(bars(), "polygon", "yahoo")

    ranges = sorted((child.call.start, child.call.end) for child in elsewhere)
    assert [call.outcome for call in stage.outbox.calls] == ["NotEntitled", "NotEntitled", "records"]
    assert ranges == [
        (TODAY - 8 * YEAR_MS, TODAY - 5 * YEAR_MS + DAY_MS),
        (TODAY - 5 * YEAR_MS + DAY_MS, TODAY - 2 * YEAR_MS + DAY_MS),
    ]
    assert [(r.call.start, r.call.end) for r in reports if r.outcome == "records"] == [(ranges[1][1], TODAY)]
    assert {child.call.adjustment for child in elsewhere} == {"split"}


async def test_what_was_learned_costs_no_further_call(stage):
    stage.providers.answer = older_than(2 * YEAR_MS)
    await stage.ask(bars(), "polygon", "yahoo")
    stage.outbox.sent.clear()
    _, elsewhere = await stage.ask(bars("MSFT"), "polygon", "yahoo")
    await stage.ask(bars("IBM", start=TODAY - YEAR_MS), "polygon", "yahoo")

    assert [call.outcome for call in stage.outbox.calls] == ["records", "records"]
    assert [(child.call.symbols, child.call.end) for child in elsewhere] == [(("MSFT",), TODAY - 2 * YEAR_MS + DAY_MS)]


async def test_a_refusal_is_tried_again_after_a_day(stage):
    stage.providers.answer = older_than(2 * YEAR_MS)
    await stage.ask(bars(), "polygon", "yahoo")
    stage.outbox.sent.clear()
    bar = dict.fromkeys(("o", "h", "l", "c", "v"), 1) | {"t": TODAY - 8 * YEAR_MS}
    stage.providers.answer = lambda *_: (200, {"status": "OK", "resultsCount": 1, "results": [bar]})
    stage.time.now += REMEMBERED_MS
    _, elsewhere = await stage.ask(bars(), "polygon", "yahoo")

    assert [call.outcome for call in stage.outbox.calls] == ["records"]
    assert elsewhere == []


async def test_when_everybody_refuses_the_request_ends_with_the_providers_words(stage):
    stage.providers.answer = older_than(2 * YEAR_MS)
    reports, _ = await stage.ask(bars(end=TODAY - 3 * YEAR_MS), "polygon")
    again, _ = await stage.ask(bars(end=TODAY - 3 * YEAR_MS), "polygon")

    for told in (reports, again):
        assert all(report.outcome == "NotEntitled" for report in told if not report.children)
        assert "doesn't include this data timeframe" in told[-1].reason


async def test_the_reason_is_that_of_a_provider_that_could_be_asked(stage):
    stage.providers.answer = older_than(2 * YEAR_MS)
    early = bars(end=TODAY - 3 * YEAR_MS, adjustment="raw")
    _, elsewhere = await stage.ask(early, "polygon", "finnhub")
    for child in elsewhere:
        await stage.receive(child.encode())

    last = stage.outbox.read(topics.POLL_DONE, PollDone)[-1]
    assert [hop.outcome for hop in last.tried] == ["NotEntitled", "Unsupported"]
    assert (last.provider, last.outcome) == ("finnhub", "NotEntitled")
    assert "doesn't include this data timeframe" in last.reason


async def test_a_firewalls_page_takes_nothing_off(stage):
    pages = iter([(403, "<html><title>Attention Required!</title></html>")])
    stage.providers.answer = lambda *_: next(pages, None)
    await stage.ask(bars(start=TODAY - YEAR_MS), "polygon")

    assert [call.outcome for call in stage.outbox.calls] == ["ProviderUnavailable", "records"]
    assert stage.pools["polygon"].account.refusals == {"polygon#1": ()}


async def test_a_premium_parameter_leaves_the_compact_series(stage):
    words = {"Information": "The outputsize=full parameter value is a premium feature for the endpoint."}
    stage.providers.answer = lambda _, query: (200, words) if query.get("outputsize") == "full" else None
    refused, elsewhere = await stage.ask(bars(), "alphavantage", "yahoo")
    served, _ = await stage.ask(bars(start=TODAY - 30 * DAY_MS), "alphavantage", "yahoo")

    assert (refused[0].outcome, served[0].outcome) == ("NotEntitled", "records")
    assert [child.call for child in elsewhere] == [bars()]
    await stage.ask(bars("MSFT"), "alphavantage", "yahoo")
    functions = [(query["function"], query["outputsize"]) for _, _, query in stage.providers.asked]
    assert functions == [
        ("TIME_SERIES_DAILY", "full"),
        ("TIME_SERIES_DAILY_ADJUSTED", "full"),
        ("TIME_SERIES_DAILY", "compact"),
    ]


async def test_an_answer_with_a_warning_is_stored_and_the_withheld_part_asked_elsewhere(stage):
    row = {
        "date": day(TODAY - 9 * DAY_MS),
        "open": 1,
        "high": 2,
        "low": 1,
        "close": 2,
        "adjusted_close": 2,
        "volume": 1,
    }
    row |= {"warning": "Data is limited by one year as you have free subscription"}
    stage.providers.answer = lambda *_: (200, [row])
    reports, elsewhere = await stage.ask(bars(), "eodhd", "yahoo")

    first = TODAY - YEAR_MS + DAY_MS
    assert (reports[0].outcome, reports[0].records, len(reports[0].children)) == ("records", 1, 1)
    assert [(child.call.start, child.call.end, child.call.adjustment) for child in elsewhere] == [
        (TODAY - 8 * YEAR_MS, first, "raw")
    ]
    await stage.ask(bars("MSFT"), "eodhd", "yahoo")
    assert stage.providers.asked[-1][2]["from"] == day(first)
    assert len(stage.providers.asked) == 2


async def test_a_withheld_part_that_nobody_else_may_serve_ends_with_the_reason(stage):
    row = dict.fromkeys(("open", "high", "low", "close", "adjusted_close", "volume"), 1)
    row |= {"date": day(TODAY - 9 * DAY_MS), "warning": "Data is limited by one year as you have free subscription"}
    stage.providers.answer = lambda *_: (200, [row])
    reports, elsewhere = await stage.ask(bars(), "eodhd")

    assert [report.outcome for report in reports] == ["records", "NotEntitled"]
    assert "limited by one year" in reports[-1].reason
    assert (elsewhere, len(stage.providers.asked)) == ([], 1)


async def test_a_listing_abroad_takes_no_us_listing_off(stage):
    access = {"error": "You don't have access to this resource."}
    stage.providers.answer = lambda _, query: (403, access) if "." in query["symbol"] else None
    await stage.ask(bars("SAP.XETR"), "finnhub", "yahoo")
    us, _ = await stage.ask(bars("AAPL"), "finnhub", "yahoo")
    stage.providers.asked.clear()
    same, elsewhere = await stage.ask(bars("BMW.XETR"), "finnhub", "yahoo")

    assert (us[0].outcome, same[0].outcome, stage.providers.asked) == ("records", "NotEntitled", [])
    assert [child.call.symbols for child in elsewhere if child.call.symbols == ("BMW.XETR",)] == [("BMW.XETR",)]


async def test_an_unsold_symbol_takes_no_other_off(stage):
    words = "Premium Query Parameter: 'Special Endpoint : This value set for 'symbol' is not available under your plan"
    stage.providers.answer = lambda _, query: (402, words) if query["symbol"] == "VEEV" else None
    refused, _ = await stage.ask(bars("VEEV"), "fmp")
    served, _ = await stage.ask(bars("AAPL"), "fmp")
    stage.providers.asked.clear()
    again, _ = await stage.ask(bars("VEEV"), "fmp")

    assert [reports[-1].outcome for reports in (refused, served, again)] == ["NotEntitled", "records", "NotEntitled"]
    assert stage.providers.asked == []


async def test_an_unsold_kind_of_a_dataset_takes_no_other_kind_off(stage):
    words = "Restricted Endpoint: This endpoint is not available under your current subscription."
    stage.providers.answer = lambda path, _: (402, words) if path.endswith("dividends") else None
    call = Call(dataset="actions", symbols=("AAPL",))
    await stage.ask(call, "fmp", "yahoo")
    stage.providers.asked.clear()
    stage.outbox.sent.clear()
    _, elsewhere = await stage.ask(call, "fmp", "yahoo")

    assert [path for _, path, _ in stage.providers.asked] == ["splits"]
    assert [child.call.kind for child in elsewhere] == ["dividend"]


async def test_a_batch_of_which_everything_is_refused_is_no_success(stage):
    rows = [{"ticker": f"I:{name}", "error": "NOT_ENTITLED", "message": "Not entitled."} for name in ("SPX", "NDX")]
    stage.providers.answer = lambda *_: (200, {"results": rows, "status": "OK", "resultsCount": 2})
    call = Call(dataset="quote", symbols=("^GSPC", "^NDX"), asset_class="index")
    reports, _ = await stage.ask(call, "polygon")

    assert (reports[-1].outcome, reports[-1].reason) == ("NotEntitled", "Not entitled.")
