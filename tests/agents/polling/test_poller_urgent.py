"""What a waiting person meets: nobody who is down, full or slow holds up the next provider, and every wait is told."""

import asyncio
from types import SimpleNamespace

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from agents.polling.caller import SLOW_S
from agents.polling.poller import URGENT_PATIENCE_MS
from sandbox import Fault
from streams.accounts.breaker import BreakerPolicy
from streams.accounts.budget import Allowance
from streams.accounts.quota import Window, window_end
from streams.messaging import topics
from streams.messaging.mailbox import Mailbox
from streams.messaging.messages import PollDone, PollRequest
from tests.waiting import until

SLIP = ("polygon", "yahoo")
POLICY = BreakerPolicy(failure_threshold=1, recovery_ms=60_000)


def spend(scene, calls=1):
    """Use up calls of Polygon's key; returns now."""
    pool = scene.pools["polygon"]
    for number in range(calls):
        began = pool.begin("polygon#1", f"earlier-{number}", "aggregates", 1, scene.time.now)
        pool.abandon(began, scene.time.now)
    return scene.time.now


async def test_a_provider_that_is_down_costs_one_call_and_no_wait(scene, sandbox):
    sandbox.misbehave(Fault("status", status=503, provider="polygon"))
    scene = scene(retries=4)

    done = await scene.handle(slip=SLIP, urgent=True)

    (child,) = scene.outbox.children
    assert (done.outcome, child.slip) == ("ProviderUnavailable", ("yahoo",))
    assert (scene.outcomes, scene.time.slept) == ([("polygon#1", "ProviderUnavailable")], [])


async def test_an_open_breaker_passes_the_request_on_at_once(scene, sandbox):
    sandbox.misbehave(Fault("status", status=503, provider="polygon", next=1))
    scene = scene(policy=POLICY, retries=0)
    await scene.handle()

    done = await scene.handle(slip=SLIP, urgent=True)

    assert done.outcome == "Open"
    assert (len(scene.outcomes), scene.time.slept) == (1, [])
    assert scene.outbox.children[-1].slip == ("yahoo",)


@pytest.mark.parametrize(("urgent", "level"), [(True, "info"), (False, "debug")])
async def test_fallbacks_and_changes_of_the_breaker_are_logged(scene, sandbox, urgent, level):
    sandbox.misbehave(Fault("status", status=503, provider="polygon", next=1))
    scene = scene(policy=POLICY, retries=0)
    with capture_logs() as told:
        await scene.handle(slip=SLIP, urgent=urgent)
        scene.time.now += POLICY.recovery_ms
        await scene.handle(slip=SLIP, urgent=urgent)

    fallbacks = [line for line in told if line["event"] == "request.passed_on"]
    assert [(line["provider"], line["to"], line["outcome"], line["log_level"]) for line in fallbacks] == [
        ("polygon", "yahoo", "ProviderUnavailable", level)
    ]
    assert fallbacks[0]["reason"]
    assert [
        (line["provider"], line["state"], line["log_level"]) for line in told if line["event"] == "breaker.changed"
    ] == [("polygon", "OPEN", "warning"), ("polygon", "HALF_OPEN", "info"), ("polygon", "CLOSED", "info")]


async def test_the_last_provider_is_tried_again_until_the_deadline(scene, sandbox):
    sandbox.misbehave(Fault("status", status=503, provider="polygon", next=2))
    scene = scene()

    done = await scene.handle(urgent=True, deadline=scene.time.now + 60_000)

    assert (done.outcome, scene.time.slept, scene.parked) == ("records", [0.5, 1.0], 2)


async def test_a_full_minute_is_passed_on_and_a_moment_is_not(scene):
    scene = scene(windows=(Window(1, "minute"),))
    spend(scene)
    scene.time.now += 60_000 - URGENT_PATIENCE_MS - 1

    assert (await scene.handle(slip=SLIP, urgent=True)).outcome == "Busy"
    scene.time.now += 1
    assert (await scene.handle(slip=SLIP, urgent=True)).outcome == "records"
    assert scene.time.slept == [URGENT_PATIENCE_MS / 1000]


async def test_the_last_provider_tells_for_what_it_waits(scene):
    scene = scene(windows=(Window(1, "minute"),))
    began = spend(scene)

    done = await scene.handle(urgent=True)

    (child,) = scene.outbox.children
    assert (done.outcome, done.reason, scene.time.slept) == ("Busy", "polygon is free in 60 s", [])
    assert (child.slip, child.not_before) == (("polygon",), began + 60_000)
    await scene.receive(child.encode())
    assert scene.outcomes == [("polygon#1", "records")]
    assert scene.time.now == began + 60_000


async def test_a_day_s_quota_ends_the_request_and_says_until_when(scene):
    scene = scene(windows=(Window(1, "day"),))
    spend(scene)

    done = await scene.handle(urgent=True)

    assert (done.outcome, done.children, scene.parked) == ("QuotaExhausted", (), 0)
    assert done.reason.startswith("polygon has no call left before ")
    assert [(hop.provider, hop.free_at) for hop in done.tried] == [
        ("polygon", window_end(Window(1, "day"), scene.time.now))
    ]


async def test_spent_money_ends_the_request_and_says_until_when(scene):
    scene = scene(allowance=Allowance(0))
    scene.pools["polygon"].price = 0.0015

    done = await scene.handle(urgent=True, deadline=scene.time.now + 600_000)

    assert (done.outcome, done.children, scene.parked) == ("BudgetExhausted", (), 0)
    assert "may go on from" in done.reason


# -- slow providers --------------------------------------------------------------------------------------------------


@pytest.fixture
async def slow(answering):
    """Makes scenes whose Polygon never answers; Yahoo has no such chart."""

    async def reply(request):
        if request.path.startswith("/polygon"):
            await asyncio.Event().wait()
        return web.json_response({"chart": {"result": None, "error": {"code": "Not Found"}}}, status=404)

    async def make(**options):
        return await answering(reply, **options)

    return make


async def test_a_provider_gets_its_share_of_the_time_and_the_next_one_the_rest(slow):
    scene = await slow(policy=POLICY)

    done = await scene.handle(slip=SLIP, urgent=True, deadline=scene.time.now + 500)

    assert (done.outcome, done.reason) == ("Timeout", "polygon gave no answer within 0.25 s")
    assert scene.outbox.children[0].slip == ("yahoo",)
    assert scene.outcomes == [("polygon#1", "Timeout")]
    breaker = scene.pools["polygon"].account.breaker
    assert (breaker.state, breaker.failed) == ("CLOSED", 0), "the time was the request's, not the provider's"


async def test_the_last_one_has_what_is_left_and_then_the_request_ends(slow):
    scene = await slow()

    done = await scene.handle(urgent=True, deadline=scene.time.now + 250)

    assert (done.outcome, done.reason, done.children) == ("Timeout", "polygon gave no answer within 0.25 s", ())


@pytest.mark.parametrize(
    ("slip", "left_ms", "paid", "share_s"),
    [
        (SLIP, 60_000, False, SLOW_S),
        (SLIP, 60_000, True, 30.0),
        (SLIP, 12_000, False, 6.0),
        (SLIP, None, False, SLOW_S),
        (SLIP, None, True, None),
        (SLIP, -1, False, 0.0),
        (("polygon",), 60_000, False, 60.0),
        (("polygon",), None, False, None),
    ],
)
async def test_the_time_of_a_person_is_shared_among_the_providers_that_are_left(scene, slip, left_ms, paid, share_s):
    scene = scene()
    deadline = None if left_ms is None else scene.time.now + left_ms
    request = PollRequest(request_id="r", job_id="j", call=scene.daily, slip=slip, deadline=deadline)

    assert scene.poller._share_s(request, paid=paid) is None, "bulk has all the time there is"
    assert scene.poller._share_s(request.model_copy(update={"urgent": True}), paid=paid) == share_s


# -- the places of a provider ------------------------------------------------------------------------------------------


class Event(SimpleNamespace):
    def ack(self):
        return True


async def test_a_request_that_rests_before_its_next_try_leaves_its_place_to_others(scene, sandbox):
    sandbox.misbehave(Fault("status", status=503, provider="polygon", next=1))
    scene = scene()
    woken = asyncio.Event()

    async def sleep(seconds):
        scene.time.slept.append(seconds)
        await woken.wait()
        scene.time.now += round(seconds * 1000)

    scene.poller._sleep = sleep
    box = Mailbox(scene.poller.handle, window=1)
    for offset, name in enumerate(("first", "second")):
        request = PollRequest(request_id=name, job_id="j", call=scene.daily, slip=("polygon",))
        box.put(Event(value=request.encode(), headers={}, message=SimpleNamespace(offset=offset)))
    await until(lambda: len(scene.outbox.calls) == 2, "the end of both calls")

    assert [(call.request_id, call.outcome) for call in scene.outbox.calls] == [
        ("first", "ProviderUnavailable"),
        ("second", "records"),
    ]
    assert scene.time.slept == [0.5]
    woken.set()
    await until(lambda: box.acked >= 1, "the end of both requests")
    assert [call.request_id for call in scene.outbox.calls] == ["first", "second", "first"]
    assert scene.outbox.read(topics.POLL_DONE, PollDone) == []  # the normalizer reports both
