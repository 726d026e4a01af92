"""What becomes of a poll request: every one ends in one report, every call in another, and nothing is lost between."""

import asyncio
import json
from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import orjson
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from agents.polling.poller import PENDING_MS
from connectors import Call, Connector, Endpoint, Request, connector
from connectors.calls import Auth
from connectors.errors import Pending
from connectors.symbols import Symbols
from sandbox import Fault
from streams.accounts.account import CallEnded
from streams.accounts.breaker import BreakerPolicy
from streams.accounts.quota import Window
from streams.messaging import topics
from streams.messaging.mailbox import Mailbox
from streams.messaging.messages import ApiCall, Page, PollDone, PollRequest, RawMeta
from tests.waiting import until

QUOTES = Call(dataset="quote", symbols=("KO", "NOPE"))


# -- served ----------------------------------------------------------------------------------------------------------


async def test_a_served_request_leaves_the_answer_the_call_and_the_report(scene):
    scene = scene()
    done = await scene.handle()

    (call,), (raw,) = scene.outbox.calls, scene.outbox.to(topics.RAW_RESPONSES)
    meta = RawMeta.decode(raw.headers["meta"])
    assert (done.outcome, len(done.children), done.rejects, done.tried) == ("records", 0, 0, ())
    assert done.records == len(orjson.loads(raw.value)["results"]) > 10
    assert raw.key == "KO"
    assert (meta.call, meta.page.endpoint, meta.status, meta.provider) == (scene.daily, "aggregates", 200, "polygon")
    assert (call.call_id, call.key_label, call.request_id) == (meta.call_id, "polygon#1", "r")
    assert (call.status, call.outcome, call.bytes, call.cost_calls) == (200, "records", len(raw.value), 1)
    assert scene.outbox.to(topics.API_CALLS)[0].partition == topics.mailbox("polygon")
    assert scene.time.slept == []


async def test_no_key_is_in_anything_that_is_sent(scene):
    scene = scene(keys=("wrong-key-0001", "good-key-0001"))
    await scene.handle()
    await scene.handle(QUOTES)

    sent = b"".join(record.value + b"".join((record.headers or {}).values()) for record in scene.outbox.sent)
    assert b"key-0001" not in sent


async def test_a_further_page_becomes_a_child_that_is_asked_as_it_stands(scene):
    scene = scene()
    planned = connector("polygon").request(scene.daily)
    page = Page(endpoint=planned.endpoint, path=planned.path, params={**planned.params, "limit": "5"})
    done = await scene.handle(page=page)

    (child,) = scene.outbox.children
    assert (done.outcome, len(done.children)) == ("records", 1)
    assert (child.request_id, child.slip) == ("r/0", ("polygon",))
    assert child.page.params["cursor"]
    await scene.receive(child.encode())
    assert [call.outcome for call in scene.outbox.calls] == ["records", "records"]
    first, second = (orjson.loads(record.value)["results"] for record in scene.outbox.to(topics.RAW_RESPONSES))
    assert first[-1]["t"] < second[0]["t"]


async def test_symbols_missing_from_a_batch_go_to_the_next_provider(scene):
    scene = scene()
    done = await scene.handle(QUOTES, ("polygon", "yahoo"))

    (child,) = scene.outbox.children
    assert (done.outcome, done.records) == ("records", 1)
    assert (child.request_id, child.slip, child.call.symbols) == ("r/1", ("yahoo",), ("NOPE",))
    assert [(hop.provider, hop.outcome) for hop in child.tried] == [("polygon", "UnknownSymbol")]
    assert child.page is None


async def test_symbols_missing_from_the_last_providers_batch_are_done_with(scene):
    scene = scene()

    assert (await scene.handle(QUOTES)).outcome == "records"
    assert scene.outbox.children == []


async def test_rejected_rows_are_counted(scene, sandbox):
    sandbox.misbehave(Fault("high_below_low", provider="polygon", next=1))
    scene = scene()
    done = await scene.handle()

    assert (done.outcome, done.rejects) == ("records", 1)


async def test_a_request_of_many_calls_is_cut_into_children(scene):
    scene = scene()
    minutes = scene.daily.model_copy(update={"interval": "1m", "symbols": ("KO", "PEP")})
    done = await scene.handle(minutes, ("yahoo",))

    children = scene.outbox.children
    assert (done.outcome, done.reason) == ("Cut", "6 calls")
    assert [child.request_id for child in children] == [f"r/{i}" for i in range(6)]
    assert all(connector("yahoo").split(child.call) == [child.call] for child in children)
    for symbol in ("KO", "PEP"):
        ranges = [(child.call.start, child.call.end) for child in children if child.call.symbols == (symbol,)]
        assert (ranges[0][0], ranges[-1][1]) == (scene.daily.start, scene.daily.end)
        assert all(end == start for (_, end), (start, _) in pairwise(ranges))
    assert scene.outbox.calls == []


async def test_a_request_handled_again_causes_the_same_children(scene):
    first, again = scene(), scene()
    for one in (first, again):
        await one.handle(QUOTES, ("polygon", "yahoo"))

    assert first.outbox.children == again.outbox.children


# -- not asked at all ------------------------------------------------------------------------------------------------


async def test_without_a_key_nothing_is_asked(scene):
    scene = scene(keys=())
    done = await scene.handle(slip=("polygon", "yahoo"))

    assert (done.outcome, done.reason) == ("NoKey", "no key for polygon: set POLYGON_KEYS")
    assert scene.outbox.calls == []
    assert [child.slip for child in scene.outbox.children] == [("yahoo",)]


async def test_a_request_past_its_deadline_expires(scene):
    scene = scene()
    done = await scene.handle(slip=("polygon", "yahoo"), deadline=scene.time.now)

    assert (done.outcome, len(done.children)) == ("Expired", 0)
    assert scene.outbox.calls == []


async def test_a_request_that_would_wait_past_its_deadline_expires_at_once(scene, sandbox):
    sandbox.misbehave(Fault("rate_limit", provider="polygon", retry_after_s=30))
    scene = scene()
    done = await scene.handle(deadline=scene.time.now + 20_000)

    assert done.outcome == "Expired"
    assert scene.time.slept == []


async def test_a_long_wait_passes_the_request_on(scene):
    scene = scene(windows=[Window(1, "day")])
    await scene.handle()
    done = await scene.handle(slip=("polygon", "yahoo"))

    assert done.outcome == "QuotaExhausted"
    assert done.reason.startswith("polygon has no call left before ")
    assert len(scene.outbox.calls) == 1
    assert [child.slip for child in scene.outbox.children] == [("yahoo",)]


async def test_the_last_provider_is_waited_for_to_the_moment(scene):
    scene = scene(windows=[Window(2, "minute")])
    for _ in range(4):
        await scene.handle()

    assert scene.time.slept == [60.0]
    assert len(scene.outbox.calls) == 4


@pytest.mark.parametrize(
    "call",
    [
        Call(dataset="recommendations", symbols=("KO",)),
        Call(dataset="bars", symbols=("not a symbol",), interval="1d"),
    ],
)
async def test_what_a_provider_does_not_sell_is_passed_on(scene, call):
    scene = scene()
    done = await scene.handle(call, ("polygon", "yahoo"))

    assert done.outcome == "Unsupported"
    assert scene.outbox.calls == []
    assert len(scene.outbox.children) == 1


async def test_an_unknown_provider_is_passed_by(scene):
    scene = scene()
    done = await scene.handle(slip=("reuters", "polygon"))

    assert (done.outcome, done.reason) == ("Unsupported", "unknown provider 'reuters'")
    assert [child.slip for child in scene.outbox.children] == [("polygon",)]


# -- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, b"", b"{", b'{"request_id": "r"}'])
async def test_what_is_no_request_becomes_a_letter(scene, value):
    scene = scene()
    await scene.receive(value)

    (letter,) = scene.outbox.letters
    assert (letter.stage, letter.rule, letter.raw_topic, letter.raw_offset) == (
        "message",
        "message",
        "poll.requests",
        9,
    )
    assert len(scene.outbox.sent) == 1


async def test_a_slip_that_leads_to_nobody_becomes_a_letter(scene):
    scene = scene(keys=())
    done = await scene.handle(slip=("polygon", "reuters"))

    assert done.outcome == "Fault"
    assert [(letter.stage, letter.rule) for letter in scene.outbox.letters] == [("poll", "fault")]


async def test_an_answer_that_the_broker_refuses_becomes_a_letter(scene):
    scene = scene(refuse=topics.RAW_RESPONSES)
    done = await scene.handle()

    assert done.outcome == "Fault"
    assert "MessageSizeTooLarge" in scene.outbox.letters[0].reason


def nothing(_):
    return iter(())


def provider(refusal=lambda _: None):
    return Connector(
        name="example",
        title="Example",
        base_url="http://127.0.0.1:9",
        docs="https://example.org",
        auth=Auth(),
        symbols=Symbols(spell=lambda symbol, _: symbol, canonical=lambda text, kind: (text, kind)),
        refusal=refusal,
        mailbox=topics.MAILBOXES - 1,
        endpoints=(
            Endpoint(
                name="quote", dataset="quote", path="/quote", build=lambda *_: {}, parse=nothing, docs="", batch=9
            ),
            Endpoint(name="job", dataset="quote", path="/progress/{id}", build=lambda *_: {}, parse=nothing, docs=""),
        ),
    )


async def fine(_):
    return web.json_response({"ok": True})


async def test_a_fault_of_a_connector_becomes_a_letter_and_holds_nobody_up(answering):
    def broken(_):
        raise RuntimeError("a bug of this connector")

    scene = await answering(
        fine, extra=[provider(refusal=broken)], policy=BreakerPolicy(failure_threshold=1, recovery_ms=1)
    )
    pool = scene.pools["example"]
    pool.begin("example#1", "before", "quote", 1, scene.time.now - 10)
    pool.end(CallEnded("before", "example#1", "ProviderUnavailable", scene.time.now - 5))
    done = await scene.handle(QUOTES, ("example",))

    assert (done.outcome, done.reason) == ("Fault", "RuntimeError: a bug of this connector")
    assert [(letter.rule, letter.provider, letter.request_id) for letter in scene.outbox.letters] == [
        ("fault", "example", "r")
    ]
    assert pool.next_permit(QUOTES, Request(endpoint="quote", path=""), 1, scene.time.now).wait_ms == 0


async def test_a_cancelled_probe_leaves_the_place_to_the_next(answering):
    arrived = asyncio.Event()

    async def hang(_):
        arrived.set()
        await asyncio.Event().wait()

    scene = await answering(hang, extra=[provider()], policy=BreakerPolicy(failure_threshold=1, recovery_ms=1))
    pool = scene.pools["example"]
    pool.begin("example#1", "before", "quote", 1, scene.time.now - 10)
    pool.end(CallEnded("before", "example#1", "ProviderUnavailable", scene.time.now - 5))
    task = asyncio.create_task(scene.handle(QUOTES, ("example",)))
    await arrived.wait()
    assert pool.next_permit(QUOTES, Request(endpoint="quote", path=""), 1, scene.time.now).wait_ms == 1_000
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert pool.next_permit(QUOTES, Request(endpoint="quote", path=""), 1, scene.time.now).wait_ms == 0
    assert [call.outcome for call in scene.outbox.told] == ["Reserved"]
    assert len(scene.outbox.sent) == 1


async def test_what_is_ready_later_becomes_a_child_that_asks_again(answering):
    poll = Request(endpoint="job", path="/progress/7", params={"format": "json"})
    scene = await answering(fine, extra=[provider(refusal=lambda _: Pending("still running", poll=poll))])
    request = PollRequest(request_id="r", job_id="j", call=QUOTES, slip=("yahoo",))
    pool = scene.pools["yahoo"] = scene.pools.pop("example")  # a child needs the mailbox of a known provider
    await scene.receive(request.encode())

    (child,), (done,) = scene.outbox.children, scene.outbox.read(topics.POLL_DONE, PollDone)
    assert pool.account.breaker.failed == 0
    assert (done.outcome, len(done.children)) == ("Pending", 1)
    assert (child.page.request(), child.slip) == (poll, ("yahoo",))
    assert (child.not_before, scene.time.slept) == (scene.time.now + PENDING_MS, [])

    asking_again = await scene.poller.handle(SimpleNamespace(value=child.encode(), headers={}))
    assert len(scene.outbox.calls) == 1
    await asking_again
    assert scene.time.slept == [PENDING_MS / 1000]


# -- where a provider sends us on ------------------------------------------------------------------------------------


def received(asked):
    """Answers that count the requests, path and query, that reach them."""

    def kept(reply):
        async def handle(request):
            asked.append(request.path_qs)
            return await reply(request)

        return handle

    return kept


async def test_every_hop_of_a_redirect_is_a_call_that_counts_before_it_is_made(answering):
    asked = []

    @received(asked)
    async def reply(request):
        hop = int(request.query.get("hop", 0))
        if hop < 2:
            raise web.HTTPFound(f"/moved?hop={hop + 1}")
        return web.json_response({"status": "OK", "resultsCount": 0})

    scene = await answering(reply, windows=(Window(2, "minute"),))
    done = await scene.handle()

    assert (done.outcome, done.records) == ("records", 0)
    assert asked[1:] == ["/moved?hop=1", "/moved?hop=2"]
    assert [call.outcome for call in scene.outbox.calls] == ["Redirected", "Redirected", "records"]
    assert len(scene.outbox.to(topics.RAW_RESPONSES)) == 3
    assert scene.time.slept == [60.0]


@pytest.mark.parametrize("to", ["/quote", "/{n}"])
async def test_redirects_end_with_the_tries(answering, to):
    asked = []

    @received(asked)
    async def reply(_):
        raise web.HTTPFound(to.format(n=len(asked)))

    scene = await answering(reply, retries=3)
    done = await scene.handle(slip=("polygon", "yahoo"))

    assert (done.outcome, len(done.children), len(asked)) == ("Redirected", 1, 4)
    assert [call.outcome for call in scene.outbox.calls] == ["Redirected"] * 4
    assert scene.pools["polygon"].account.breaker.failed == 0


@pytest.mark.parametrize(
    "path", [".evil.example/x", "@evil.example/x", ":1/x", "//evil.example/x", "/v2/../x", "/other"]
)
async def test_a_page_that_is_no_endpoint_s_is_not_asked(answering, path):
    asked = []
    scene = await answering(received(asked)(fine))
    done = await scene.handle(page=Page(endpoint="aggregates", path=path))

    assert (done.outcome, asked, scene.outbox.told) == ("Unsupported", [], [])
    assert "polygon.aggregates is GET /v2/aggs/" in done.reason


@pytest.mark.parametrize(
    "url", ["{at}.evil.example/v1/x", "@evil.example/x", "http://[", "/v2/aggs/ticker/../x", "c" * 20_000]
)
async def test_the_rows_of_a_page_stay_when_the_next_one_leads_astray(answering, url):
    asked = []

    @received(asked)
    async def reply(request):
        row = {"t": 1_751_342_400_000, "o": 1.0, "h": 1.0, "l": 1.0, "c": 1.0, "v": 1}
        return web.json_response({"status": "OK", "results": [row], "next_url": url.format(at=request.url.origin())})

    scene = await answering(reply)
    done = await scene.handle()

    assert (done.outcome, done.records, len(done.children), len(asked)) == ("Truncated", 1, 0, 1)
    assert done.reason.startswith("next page: polygon.aggregates is GET")
    assert [call.outcome for call in scene.outbox.calls] == ["records"]


@pytest.mark.parametrize(
    ("cursor", "pages", "reason"),
    [
        (lambda _: "same", 2, "next page: it was asked before, 1 pages back"),
        (lambda n: "abc"[n % 3], 4, "next page: it was asked before, 3 pages back"),
        (lambda n: f"new-{n}", 10, "next page: an answer of aggregates has 10 pages at most"),
    ],
    ids=["same", "around", "new"],
)
async def test_pages_without_end_end_with_what_has_come(answering, cursor, pages, reason):
    asked = []

    @received(asked)
    async def reply(request):
        day = 1_751_342_400_000 + len(asked) * 86_400_000
        row = {"t": day, "o": 1.0, "h": 1.0, "l": 1.0, "c": 1.0, "v": 1}
        following = str(request.url.with_query({"cursor": cursor(len(asked))}))
        return web.json_response({"status": "OK", "results": [row], "next_url": following})

    scene = await answering(reply)
    await scene.handle(slip=("polygon", "yahoo"))
    while len(scene.outbox.children) == len(scene.outbox.to(topics.POLL_DONE)):
        await scene.receive(scene.outbox.children[-1].encode())

    done = scene.outbox.read(topics.POLL_DONE, PollDone)
    assert (len(asked), len(scene.outbox.calls)) == (pages, pages)
    assert [report.outcome for report in done] == ["records"] * (pages - 1) + ["Truncated"]
    assert (done[-1].reason, done[-1].children) == (reason, ())
    assert sum(report.records for report in done) == pages


async def test_a_job_that_is_never_ready_is_not_looked_at_for_ever(answering):
    asked, poll = [], Request(endpoint="job", path="/progress/7")
    scene = await answering(received(asked)(fine), extra=[provider(lambda _: Pending("still running", poll=poll))])
    scene.pools["yahoo"] = scene.pools.pop("example")
    await scene.receive(PollRequest(request_id="r", job_id="j", call=QUOTES, slip=("yahoo",)).encode())
    while len(scene.outbox.children) == len(scene.outbox.to(topics.POLL_DONE)):
        await scene.receive(scene.outbox.children[-1].encode())

    done = scene.outbox.read(topics.POLL_DONE, PollDone)[-1]
    assert len(asked) == 1_000
    assert (done.outcome, done.reason, done.children) == ("Pending", "still running; it was looked at 1000 times", ())


# -- endpoints that will go ------------------------------------------------------------------------------------------


async def test_an_endpoint_s_end_is_logged_once_and_again_when_it_is_moved(answering):
    said = {"Deprecation": "@1771372800"}

    async def leave(_):
        return web.json_response({"status": "OK"}, headers=said)

    scene = await answering(leave)
    with capture_logs() as told:
        await scene.handle()
        await scene.handle()
        said["Sunset"] = "Fri, 09 Oct 2026 00:00:00 GMT"
        await scene.handle()

    ends = [line for line in told if line["event"] == "endpoint.deprecated"]
    assert [(line["provider"], line["endpoint"], line["since"], line.get("sunset")) for line in ends] == [
        ("polygon", "aggregates", "2026-02-18", None),
        ("polygon", "aggregates", "2026-02-18", "2026-10-09"),
    ]
    (_, _, raw) = scene.outbox.to(topics.RAW_RESPONSES)
    assert RawMeta.decode(raw.headers["meta"]).headers["sunset"] == said["Sunset"]


ASKED = {"request_id": "r", "job_id": "j", "call": {"dataset": "quote", "symbols": ["KO"]}, "slip": ["polygon"]}


@pytest.mark.parametrize("number", [10**20, -(10**19), 10**400])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda number: {"deadline": number},
        lambda number: {"not_before": number},
        lambda number: {"call": {**ASKED["call"], "start": number}},
        lambda number: {"call": {**ASKED["call"], "limit": number}},
        lambda number: {"tried": [{"provider": "yahoo", "outcome": "Busy", "free_at": number}]},
        lambda number: {"page": {"endpoint": "snapshot", "path": "/", "number": number}},
    ],
    ids=["deadline", "not_before", "start", "limit", "free_at", "number"],
)
async def test_a_mailbox_passes_a_request_with_an_absurd_number(scene, spoil, number):
    scene = scene()
    mailbox, acked = Mailbox(scene.poller.handle, window=1), []
    for offset, value in enumerate(({**ASKED, **spoil(number)}, ASKED)):
        message = SimpleNamespace(topic=topics.POLL_REQUESTS, partition=8, offset=offset)
        ack = partial(acked.append, offset)
        mailbox.put(SimpleNamespace(message=message, value=json.dumps(value).encode(), headers={}, ack=ack))
    await until(lambda: acked == [0, 1], "both acknowledged")

    (letter,) = scene.outbox.letters
    assert (letter.stage, letter.raw_offset) == ("message", 0)
    assert [call.outcome for call in scene.outbox.calls] == ["records"]


FAR = "9" * 14  # within what a header's number may have, and no time


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (429, {"retry-after": "9" * 400}),
        (429, {"retry-after": "9" * 20}),
        (429, {"x-ratelimit-reset": FAR, "x-ratelimit-remaining": FAR, "x-ratelimit-limit": FAR}),
        (200, {"x-ratelimit-reset": FAR, "x-ratelimit-remaining": FAR, "x-ratelimit-limit": FAR}),
        (503, {"retry-after": "9" * 400}),
    ],
)
async def test_absurd_numbers_of_a_provider_reach_no_message(answering, status, headers):
    async def reply(_):
        return web.json_response({"status": "OK", "results": []}, status=status, headers=headers)

    scene = await answering(reply, retries=0)
    done = await scene.handle()

    reports = scene.outbox.read(topics.API_CALLS, ApiCall)
    assert [call.outcome == "Reserved" for call in reports] == [True, False]
    assert (reports[-1].retry_after_s, reports[-1].resets_at, reports[-1].said_resets_at) == (None, None, None)
    assert done.outcome != "Fault"
    assert scene.outbox.letters == []
