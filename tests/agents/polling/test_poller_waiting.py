"""What becomes of a request that nobody has room for now, and of one that needs no call at all."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest
from aiohttp import web

from connectors import Call, connector
from sandbox import Fault
from streams.accounts import account as accounts
from streams.accounts.budget import Allowance
from streams.accounts.quota import Window, window_end
from streams.messaging import topics
from streams.messaging.messages import CANCELLATION, Cancellation, Hop, PollDone, PollRequest
from tests.waiting import ending, turns, until

MINUTE, HOUR = 60_000, 3_600_000
DAILY = Call(dataset="bars", symbols=("KO",), interval="1d", start=1_751_328_000_000, end=1_753_056_000_000)
QUOTES = Call(dataset="quote", symbols=("KO", "PEP"))


def day_is_spent(scene, provider="polygon", calls=1):
    pool = scene.pools[provider]
    for i in range(calls):
        began = pool.begin(f"{provider}#1", f"earlier-{i}", pool.connector.endpoints[0].name, 1, scene.time.now)
        pool.abandon(began, scene.time.now)
    return window_end(Window(1, "day"), scene.time.now)


def quote(symbol, observed_at, source="polygon", **more):
    return {
        **{"symbol": symbol, "asset_class": "equity", "source": source, "ts": observed_at, "observed_at": observed_at},
        **{"price": 1.0, "request_id": "earlier"},
        **more,
    }


async def test_the_last_provider_parks_a_request_until_it_has_room_again(scene):
    scene = scene(windows=(Window(1, "day"),))
    midnight = day_is_spent(scene)
    before = scene.time.now

    done = await scene.handle()

    assert (done.outcome, done.tried) == ("records", ())
    assert scene.parked == 1
    assert scene.time.now >= midnight
    assert scene.time.slept == [(midnight - before) / 1000]


async def test_a_provider_that_fails_is_not_asked_again_once_the_deadline_has_passed(scene, sandbox):
    sandbox.misbehave(Fault("status", status=503, provider="polygon"))
    scene = scene()

    done = await scene.handle(deadline=scene.time.now + 600)

    # the first try, and one half a second later
    assert done.outcome == "ProviderUnavailable"
    assert scene.outcomes == [("polygon#1", "ProviderUnavailable")] * 2


async def test_a_provider_that_is_busy_for_long_says_when_it_is_free(scene):
    scene = scene(windows=(Window(1, "day"),))
    midnight = day_is_spent(scene)

    done = await scene.handle(slip=("polygon", "yahoo"))

    assert (done.outcome, len(done.children), scene.parked) == ("QuotaExhausted", 1, 0)
    (child,) = scene.outbox.children
    assert child.slip == ("yahoo",)
    (hop,) = child.tried
    assert (hop.provider, hop.outcome, hop.free_at) == ("polygon", "QuotaExhausted", midnight)
    assert hop.reason.startswith("polygon has no call left before ")


async def test_the_last_provider_hands_a_request_back_to_whoever_has_room_first(scene):
    scene = scene(windows=(Window(1, "day"),))
    day_is_spent(scene)
    soon = scene.time.now + 10 * MINUTE
    tried = (Hop(provider="yahoo", outcome="Busy", reason="later", free_at=soon),)

    done = await scene.handle(tried=tried)

    assert (done.outcome, len(done.children), scene.parked) == ("QuotaExhausted", 1, 0)
    (child,) = scene.outbox.children
    assert (child.slip, child.not_before) == (("yahoo",), soon)
    assert [hop.provider for hop in child.tried] == ["yahoo", "polygon"]


async def test_after_a_refusal_the_request_goes_to_one_that_was_only_busy(scene, sandbox):
    sandbox.misbehave(Fault("broken_json", provider="polygon"))
    scene = scene()
    tried = (Hop(provider="yahoo", outcome="Busy", reason="later", free_at=scene.time.now + HOUR),)

    done = await scene.handle(tried=tried)

    assert (done.outcome, len(done.children), scene.parked) == ("MalformedPayload", 1, 0)
    (child,) = scene.outbox.children
    assert child.slip == ("yahoo",)
    assert [(hop.provider, hop.outcome) for hop in child.tried] == [("yahoo", "Busy"), ("polygon", "MalformedPayload")]


async def test_one_that_refused_since_is_not_waited_for(scene, sandbox):
    sandbox.misbehave(Fault("broken_json", provider="polygon"))
    scene = scene()
    tried = (
        Hop(provider="yahoo", outcome="Busy", reason="later", free_at=scene.time.now + HOUR),
        Hop(provider="yahoo", outcome="UnknownSymbol", reason="no such thing"),
    )

    done = await scene.handle(tried=tried)

    assert (done.outcome, len(done.children)) == ("MalformedPayload", 0)
    assert [hop.outcome for hop in done.tried] == ["UnknownSymbol", "MalformedPayload"]


async def test_nobody_waits_beyond_the_deadline(scene):
    scene = scene(windows=(Window(1, "day"),))
    day_is_spent(scene)

    done = await scene.handle(deadline=scene.time.now + 1_000)

    assert (done.outcome, len(done.children), scene.parked, scene.time.slept) == ("Expired", 0, 0, [])
    assert "nobody has room before the deadline" in done.reason
    assert [(hop.provider, hop.outcome) for hop in done.tried] == [("polygon", "QuotaExhausted")]


async def test_when_the_money_is_spent_the_request_says_so_and_waits_for_midnight(scene):
    scene = scene(allowance=Allowance(0))
    scene.pools["polygon"].price = 0.0015
    midnight = window_end(Window(1, "day"), scene.time.now)

    done = await scene.handle(slip=("polygon", "yahoo"))

    assert (done.outcome, len(done.children)) == ("BudgetExhausted", 1)
    assert scene.outbox.children[0].tried[0].free_at == midnight
    assert scene.outbox.calls == []


async def test_what_a_call_costs_is_told_before_it_is_sent(scene, sandbox):
    scene = scene(allowance=Allowance.usd(1))
    scene.pools["polygon"].price = 0.0015
    await scene.handle()

    reserved, ended = scene.outbox.told
    assert (reserved.outcome, reserved.cost_usd, reserved.ended_at, reserved.status) == ("Reserved", 0.0015, None, None)
    assert (ended.outcome, ended.call_id, ended.started_at) == ("records", reserved.call_id, reserved.started_at)
    assert scene.pools["polygon"].account.budget.micros == 1_500


async def scraping(answering, *polls, **options):
    """A scene whose Bright Data answers a trigger with the id of a job, then its polls, the last of them for ever."""
    left = list(polls)

    async def reply(request):
        if request.path.endswith("/trigger"):
            return web.json_response({"snapshot_id": "s_1"})
        status, body = left.pop(0) if len(left) > 1 else left[0]
        return web.json_response(body, status=status)

    scene = await answering(reply, extra=(connector("brightdata"),), **options)
    scene.pools["brightdata"].keys = {"brightdata#1": "a-token"}
    return scene


def article(n):
    return {"url": f"https://news.example/{n}", "title": f"Anvils {n}", "date": "2026-01-02T11:01:00.000Z"}


FAILED = {"error": "Crawler error", "error_code": "crawl_failed", "input": {"url": "https://news.google.com/"}}
RUNNING = (202, {"status": "running"})
ANVILS = Call(dataset="news", query="anvils")


@pytest.mark.parametrize(
    ("last", "results"),
    [
        ((200, [article(1), article(2), FAILED]), 2),
        ((200, []), 0),
        ((200, [article(n) for n in range(50)]), 50),
        ((200, {"snapshot_id": "s_1", "status": "failed", "error_message": "no input"}), 0),
        ((503, {"message": "try again"}), 50),
    ],
)
async def test_a_job_costs_what_it_brought(answering, last, results):
    scene = await scraping(answering, RUNNING, last, retries=0)
    pool = scene.pools["brightdata"]
    pool.policy = replace(pool.policy, allowance=Allowance.usd(1))
    await scene.handle(ANVILS, slip=("brightdata",))
    assert pool.account.budget.micros == 75_000

    for polled in range(2):  # once while it runs, once when it is done
        await scene.receive(scene.outbox.children[polled].encode())

    spent = sum(call.cost_usd for call in scene.outbox.calls)
    assert spent == pytest.approx(results * 0.0015)
    assert pool.account.budget.micros == results * 1_500
    assert [call.reserved_usd for call in scene.outbox.calls] == [0.075, 0, 0]
    assert accounts.replayed(scene.outbox.calls, pool.policy).budget == pool.account.budget
    trigger, *polls = scene.outbox.calls
    assert [(trigger.triggered_by, poll.triggered_by) for poll in polls] == [("", trigger.call_id)] * 2


async def test_results_that_are_fetched_twice_give_back_once(answering):
    scene = await scraping(answering, (200, [article(1)]))
    await scene.handle(ANVILS, slip=("brightdata",))
    (child,) = scene.outbox.children

    await scene.receive(child.encode())
    await scene.receive(child.encode())

    assert [call.cost_usd for call in scene.outbox.calls] == pytest.approx([0.075, -0.0735, 0])
    assert scene.pools["brightdata"].account.budget.micros == 1_500


async def test_a_price_of_the_settings_is_that_of_a_result(answering):
    scene = await scraping(answering, (200, [article(1)]))
    scene.pools["brightdata"].price = 0.01
    await scene.handle(ANVILS, slip=("brightdata",))
    (child,) = scene.outbox.children

    await scene.receive(child.encode())

    assert [call.cost_usd for call in scene.outbox.calls] == pytest.approx([0.5, -0.49])


async def test_bulk_stands_back_while_somebody_waits_for_another_request(scene):
    scene = scene()
    scene.pools["polygon"].urgent = 1
    request = PollRequest(request_id="r", job_id="j", call=scene.daily, slip=("polygon",))
    bulk = asyncio.ensure_future(scene.receive(request.encode()))
    await until(lambda: len(scene.time.slept) >= 5, "bulk to have looked five times")
    assert scene.outbox.told == []

    await scene.receive(request.model_copy(update={"request_id": "u", "urgent": True}).encode())
    assert [call.request_id for call in scene.outbox.calls] == ["u"]

    scene.pools["polygon"].urgent = 0
    await bulk
    assert [call.request_id for call in scene.outbox.calls] == ["u", "r"]


async def test_young_quotes_answer_without_a_call(scene):
    scene = scene()
    for symbol in QUOTES.symbols:
        scene.quotes.note(quote(symbol, scene.time.now - 1_000))

    done = await scene.handle(QUOTES)

    assert (done.outcome, done.records, len(done.children), scene.outbox.calls) == ("cached", 2, 0, [])
    published = scene.outbox.to(topics.MARKET["quote"])
    assert [record.key for record in published] == ["KO", "PEP"]
    assert all(b'"request_id":"r"' in record.value for record in published)
    assert (scene.quotes.hits, scene.quotes.misses) == (2, 0)


async def test_only_the_quotes_that_are_not_known_are_asked_for(scene):
    scene = scene()
    scene.quotes.note(quote("KO", scene.time.now - 1_000))

    done = await scene.handle(QUOTES)

    assert (done.outcome, done.records, len(done.children)) == ("cached", 1, 1)
    assert [child.call.symbols for child in scene.outbox.children] == [("PEP",)]


@pytest.mark.parametrize(
    ("age_ms", "source", "more"),
    [(900_000, "polygon", {}), (1_000, "finnhub", {}), (1_000, "polygon", {"force_fresh": True})],
)
async def test_old_quotes_and_those_of_others_than_asked_for_are_no_answer(scene, age_ms, source, more):
    scene = scene()
    scene.quotes.note(quote("KO", scene.time.now - age_ms, source))

    done = await scene.handle(Call(dataset="quote", symbols=("KO",)), **more)

    assert done.outcome == "records"
    assert len(scene.outbox.calls) == 1


async def test_no_call_is_made_before_the_account_is_known(scene, sandbox):
    scene = scene()
    known = asyncio.Event()
    scene.poller._ready = lambda _: known.wait()
    serving = asyncio.ensure_future(scene.handle())
    await turns()
    assert scene.outbox.told == []

    known.set()

    assert (await serving).outcome == "records"


def test_a_report_tells_the_whole_call():
    call = Call(dataset="bars", symbols=("KO",), interval="1d", start=1, end=2)
    done = PollDone(request_id="r", job_id="j", provider="polygon", call=call, outcome="records", at=1)

    assert PollDone.decode(done.encode()) == done
    assert (done.dataset, done.symbols) == ("bars", ("KO",))


# -- taken back ------------------------------------------------------------------------------------------------------


def taken_back(work, kept=""):
    return SimpleNamespace(value=Cancellation(work=work, kept=kept).encode(), headers=CANCELLATION, message=None)


def asked(job_id, **more):
    request = PollRequest(request_id=job_id, job_id=job_id, call=DAILY, slip=("polygon",), **more)
    return SimpleNamespace(value=request.encode(), headers={}, message=None)


async def asleep(scene):
    await until(lambda: scene.time.slept, "the poller to sleep")


async def test_a_parked_request_that_is_taken_back_ends_uncalled_and_the_newer_job_is_served(scene):
    scene = scene(windows=(Window(1, "day"),))
    day_is_spent(scene)
    scene.poller._sleep = forever = Forever(scene)
    parked = await scene.poller.handle(asked("s-1.a"))
    waking = asyncio.ensure_future(parked)
    await asleep(scene)

    event = taken_back("s-1", kept="s-1.b")
    scene.poller.arrived(event)
    await ending(waking, "the sleep of the cancelled request")
    assert await scene.poller.handle(asked("s-1.a")) is None
    assert await scene.poller.handle(event) is None

    (done,) = scene.outbox.read(topics.POLL_DONE, PollDone)
    assert (done.job_id, done.outcome, scene.outbox.calls) == ("s-1.a", "Cancelled", [])
    assert forever.cancelled
    for job in ("s-1.b", "s-10.a", "s-1", "another"):
        again = await scene.poller.handle(asked(job))
        again.close()  # it would wait for tomorrow


async def test_a_request_that_waits_for_its_turn_is_taken_back_at_once(scene):
    scene = scene(windows=(Window(1, "minute"),))
    day_is_spent(scene)
    scene.poller._sleep = Forever(scene)
    waiting = asyncio.ensure_future(scene.poller.handle(asked("s-1.a")))
    await asleep(scene)

    scene.poller.arrived(taken_back("s-1"))
    assert await ending(waiting, "the cancelled request") is None

    (done,) = scene.outbox.read(topics.POLL_DONE, PollDone)
    assert (done.outcome, scene.outbox.calls) == ("Cancelled", [])


async def test_a_withdrawal_that_cannot_be_read_is_a_dead_letter_and_takes_nothing_back(scene):
    scene = scene()
    event = SimpleNamespace(
        value=b'{"work": ""}',
        headers=CANCELLATION,
        message=SimpleNamespace(topic=topics.POLL_REQUESTS, partition=8, offset=9),
    )

    scene.poller.arrived(event)
    assert await scene.poller.handle(event) is None

    assert len(scene.outbox.letters) == 1
    assert (await scene.handle()).outcome == "records"


class Forever:
    """A sleep that only a cancellation ends."""

    def __init__(self, scene):
        self._scene = scene
        self.cancelled = False

    async def __call__(self, seconds):
        self._scene.time.slept.append(seconds)
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
