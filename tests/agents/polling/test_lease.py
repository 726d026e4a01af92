"""No call is sent by a worker that its group may have counted out."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.polling.lease import Lapsed, Lease
from streams.messaging import topics

SESSION_S = 6.0


class Time:
    """A clock that a test moves, in seconds: what passes during a pause passes at once."""

    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def lease(time):
    return Lease(SESSION_S, now_s=time)


def test_it_begins_with_the_first_accepted_heartbeat_and_ends_with_the_session(lease, time):
    with pytest.raises(Lapsed):
        lease.require()
    lease.renew(time.now)
    term = lease.require()

    time.now += SESSION_S
    assert lease.require(term) == term
    time.now += 0.001
    with pytest.raises(Lapsed):
        lease.require(term)


def test_what_an_earlier_term_reserved_is_not_sent_in_the_next_one(lease, time):
    lease.renew(time.now)
    term = lease.require()
    time.now += 30
    lease.renew(time.now)

    with pytest.raises(Lapsed):
        lease.require(term)
    assert lease.require() != term


def test_an_answer_to_a_heartbeat_of_before_the_pause_renews_nothing(lease, time):
    lease.renew(time.now)
    sent_at = time.now + 1
    time.now += 30

    lease.renew(sent_at)

    assert lease.term() is None


def test_a_worker_that_has_no_other_beside_it_needs_no_heartbeat():
    assert Lease().require() == 0


@given(st.lists(st.tuples(st.sampled_from(["beat", "pause", "look"]), st.floats(0, 20)), max_size=40))
def test_whatever_happens_a_term_is_held_only_without_a_gap_longer_than_the_session(steps):
    time = Time()
    lease = Lease(SESSION_S, now_s=time)
    beats, held = [-math.inf], {}
    for step, seconds in steps:
        time.now += seconds
        if step == "beat":
            beats.append(time.now)
            lease.renew(time.now)
        term = lease.term()
        assert (term is None) == (time.now - beats[-1] > SESSION_S)
        if term is not None:
            since = held.setdefault(term, len(beats) - 1)
            held_beats = beats[since:]
            assert all(later - earlier <= SESSION_S for earlier, later in pairwise(held_beats))


async def test_a_pause_between_the_reservation_and_the_call_sends_nothing(sandbox, scene, time, lease):
    scene = scene(lease=lease)
    lease.renew(time.now)
    send, paused = scene.outbox.send, []

    async def pausing(topic, value, **more):
        await send(topic, value, **more)
        if topic == topics.API_CALLS and not paused:
            paused.append(sum(counts["received"] for counts in sandbox.calls().get("polygon", {}).values()))
            time.now += 30

    async def beating(seconds):
        """The first heartbeat after the pause: the group has given nothing away."""
        paused.append(sum(counts["received"] for counts in sandbox.calls().get("polygon", {}).values()))
        lease.renew(time.now)
        await sleep(seconds)

    sleep, scene.poller._sleep = scene.poller._sleep, beating
    scene.outbox.send = pausing
    done = await scene.handle()

    assert paused == [0, 0]
    assert done.outcome == "records"
    # the reservation of before the pause stays, as one that was made for nothing; the call was reserved anew
    assert [call.outcome for call in scene.outbox.told] == ["Reserved", "Reserved", "records"]
    assert scene.pools["polygon"].account.key("polygon#1").statistics.calls == 2
