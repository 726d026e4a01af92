"""What the poller decides when a provider refuses: wait, take another key, try again, or pass the request on."""

import pytest
from aiohttp import web

from connectors import Call
from sandbox import Fault
from streams.accounts.account import COOL_MS
from streams.accounts.breaker import BreakerPolicy
from streams.messaging import topics
from streams.messaging.messages import Hop, RawMeta

GOOD, WRONG, FREE = "good-key-0001", "wrong-key-0001", "free-key-0001"
QUOTES = Call(dataset="quote", symbols=("KO", "NOPE"))


@pytest.mark.parametrize(("retry_after", "waited"), [(7, 7.0), (None, COOL_MS / 1000)])
async def test_a_rate_limited_key_is_waited_for(scene, sandbox, retry_after, waited):
    sandbox.misbehave(Fault("rate_limit", provider="polygon", next=1, retry_after_s=retry_after))
    scene = scene()
    done = await scene.handle(slip=("polygon", "yahoo"))

    assert done.outcome == "records"
    assert scene.time.slept == [waited]
    assert scene.outcomes == [("polygon#1", "RateLimited"), ("polygon#1", "records")]
    assert [call.retry_after_s for call in scene.outbox.calls] == [retry_after, None]
    assert [RawMeta.decode(raw.headers["meta"]).status for raw in scene.outbox.to(topics.RAW_RESPONSES)] == [429, 200]


async def test_a_rate_limited_key_leaves_the_call_to_another(scene, sandbox):
    sandbox.misbehave(Fault("rate_limit", provider="polygon", next=1, retry_after_s=30))
    scene = scene(keys=(GOOD, FREE))

    assert (await scene.handle()).outcome == "records"
    assert scene.outcomes == [("polygon#1", "RateLimited"), ("polygon#2", "records")]
    assert scene.time.slept == []


@pytest.mark.parametrize(
    ("fault", "status"),
    [("status", 503), ("close", None), ("cut_body", None), ("empty_body", 200)],
)
async def test_an_unavailable_provider_is_tried_again_and_serves(scene, sandbox, fault, status):
    sandbox.misbehave(Fault(fault, provider="polygon", next=1))
    scene = scene()
    done = await scene.handle()

    assert done.outcome == "records"
    assert scene.time.slept == [0.5]
    assert [(call.outcome, call.status) for call in scene.outbox.calls] == [
        ("ProviderUnavailable", status),
        ("records", 200),
    ]
    assert len(scene.outbox.to(topics.RAW_RESPONSES)) == 1 + (status is not None)


async def test_a_provider_that_stays_unavailable_is_passed_by(scene, sandbox):
    sandbox.misbehave(Fault("status", provider="polygon", status=502))
    scene = scene()
    done = await scene.handle(slip=("polygon", "yahoo"))

    (child,) = scene.outbox.children
    assert (done.outcome, len(done.children)) == ("ProviderUnavailable", 1)
    assert scene.time.slept == [0.5, 1.0]
    assert len(scene.outbox.calls) == 3
    assert (child.request_id, child.slip, child.call) == ("r/0", ("yahoo",), scene.daily)
    assert [(hop.provider, hop.outcome) for hop in child.tried] == [("polygon", "ProviderUnavailable")]


async def test_the_last_provider_of_a_slip_gives_up_and_tells_who_had_tried(scene, sandbox):
    sandbox.misbehave(Fault("status", provider="polygon"))
    scene = scene(retries=0)
    before = Hop(provider="yahoo", outcome="UnknownSymbol", reason="no")
    done = await scene.handle(tried=(before,))

    assert (done.outcome, len(done.children)) == ("ProviderUnavailable", 0)
    assert [(hop.provider, hop.outcome) for hop in done.tried] == [
        ("yahoo", "UnknownSymbol"),
        ("polygon", "ProviderUnavailable"),
    ]
    assert done.reason.startswith("HTTP 503")


async def test_a_call_that_takes_too_long_is_unavailable(scene, sandbox):
    sandbox.misbehave(Fault("hang", provider="polygon"))
    scene = scene(timeout_s=0.2, retries=0)
    done = await scene.handle()

    assert done.outcome == "ProviderUnavailable"
    assert "Timeout" in done.reason
    assert scene.outbox.calls[0].status is None


async def test_an_open_breaker_is_waited_for_with_one_probe(scene, sandbox):
    sandbox.misbehave(Fault("status", provider="polygon", next=2))
    scene = scene(policy=BreakerPolicy(failure_threshold=2, recovery_ms=9_000))
    done = await scene.handle()

    assert done.outcome == "records"
    assert scene.time.slept == [0.5, 1.0, 8.0]
    assert scene.pools["polygon"].account.breaker.state == "CLOSED"


async def test_a_rejected_key_is_taken_out_and_the_next_one_asked(scene):
    scene = scene(keys=(WRONG, GOOD))
    done = await scene.handle()
    await scene.handle()

    assert done.outcome == "records"
    assert scene.outcomes == [("polygon#1", "KeyRejected"), ("polygon#2", "records"), ("polygon#2", "records")]
    assert scene.time.slept == []


async def test_without_any_accepted_key_the_request_is_passed_on(scene):
    scene = scene(keys=(WRONG, "other-wrong-key"))
    done = await scene.handle(slip=("polygon", "yahoo"))

    assert done.outcome == "NoKey"
    assert "polygon rejected every key: polygon#1, polygon#2" in done.reason
    assert [child.slip for child in scene.outbox.children] == [("yahoo",)]


async def test_a_plan_that_does_not_sell_it_is_asked_once(scene):
    scene = scene(keys=(FREE, GOOD))
    first = await scene.handle(QUOTES)
    second = await scene.handle(QUOTES)

    assert (first.outcome, second.outcome) == ("records", "records")
    assert scene.outcomes == [("polygon#1", "NotEntitled"), ("polygon#2", "records"), ("polygon#2", "records")]


async def test_what_no_plan_sells_is_passed_on_without_another_call(scene):
    scene = scene(keys=(FREE,))
    first = await scene.handle(QUOTES, ("polygon", "yahoo"))
    (child,) = scene.outbox.children
    assert (first.outcome, child.slip) == ("NotEntitled", ("polygon", "yahoo"))  # another endpoint may be sold
    while child.provider == "polygon":
        scene.outbox.sent.clear()
        await scene.receive(child.encode())
        child = scene.outbox.children[-1]
    refused = scene.poller.pools["polygon"].not_entitled

    scene.outbox.sent.clear()
    done = await scene.handle(QUOTES, ("polygon", "yahoo"))

    assert len(refused) > 1
    assert done.outcome == "Unsupported"
    assert scene.outbox.calls == []
    assert [child.slip for child in scene.outbox.children] == [("yahoo",)]


async def test_an_unknown_symbol_is_not_asked_twice(scene):
    scene = scene()
    done = await scene.handle(Call(dataset="quote", symbols=("NOPE",)))

    assert done.outcome == "UnknownSymbol"
    assert len(scene.outbox.calls) == 1


async def test_a_malformed_payload_is_kept_and_passed_on(scene, sandbox):
    sandbox.misbehave(Fault("broken_json", provider="polygon"))
    scene = scene()
    done = await scene.handle(slip=("polygon", "yahoo"))

    assert (done.outcome, len(done.children)) == ("MalformedPayload", 1)
    assert len(scene.outbox.to(topics.RAW_RESPONSES)) == 1


# -- Yahoo's session -------------------------------------------------------------------------------------------------


class Yard:
    """Yahoo as far as its session goes: the crumbs in `refused` are answered with 401."""

    def __init__(self, *refused):
        self._refused = refused
        self.asked = []
        self.opened = 0

    async def reply(self, request):
        path = request.path.removeprefix("/yahoo")
        self.asked.append(path)
        if path == "/":
            return web.Response()
        if path == "/v1/test/getcrumb":
            self.opened += 1
            return web.Response(text=f"crumb-{self.opened:05}")
        if request.query["crumb"] in self._refused:
            error = {"code": "Unauthorized", "description": "Invalid Crumb"}
            return web.json_response({"finance": {"result": None, "error": error}}, status=401)
        quote = {"symbol": "KO", "quoteType": "EQUITY", "currency": "USD", "regularMarketPrice": 60.5}
        quote |= {"regularMarketTime": 1_751_400_000, "exchange": "NYQ", "market": "us_market"}
        return web.json_response({"quoteResponse": {"result": [quote], "error": None}})


OPENING = ["/", "/v1/test/getcrumb"]


async def test_a_refused_crumb_renews_the_session_once(answering):
    yard = Yard("crumb-00001")
    scene = await answering(yard.reply)
    done = await scene.handle(Call(dataset="quote", symbols=("KO",)), ("yahoo",))
    await scene.handle(Call(dataset="quote", symbols=("KO",)), ("yahoo",))

    assert (done.outcome, done.records) == ("records", 1)
    assert scene.outcomes == [("yahoo#1", "KeyRejected"), ("yahoo#1", "records"), ("yahoo#1", "records")]
    assert yard.asked == [*OPENING, "/v7/finance/quote", *OPENING, "/v7/finance/quote", "/v7/finance/quote"]


async def test_a_crumb_refused_again_is_passed_on(answering):
    yard = Yard("crumb-00001", "crumb-00002")
    scene = await answering(yard.reply, retries=5)
    done = await scene.handle(Call(dataset="quote", symbols=("KO",)), ("yahoo", "polygon"))

    assert done.outcome == "KeyRejected"
    assert yard.asked == [*OPENING, "/v7/finance/quote"] * 2
    assert [child.slip for child in scene.outbox.children] == [("polygon",)]


async def test_the_sandboxs_yahoo_serves_a_session(scene):
    scene = scene()
    done = await scene.handle(Call(dataset="quote", symbols=("KO", "PEP")), ("yahoo",))

    assert (done.outcome, done.records) == ("records", 2)
