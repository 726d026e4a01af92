"""An actor stalls when work waits for a minute and none is done; one that waits on purpose never does."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from agents.watchdog import LOOK_S, PAUSED_S, STALLED_S, Sample, Stalled, Watchdog, of_mailboxes, of_sink
from infra.kafka.lag import PartitionLag
from streams.messaging.mailbox import Mailboxes
from tests.waiting import turns


def stalls(samples, every_s=LOOK_S):
    """The index of the look at which the watchdog speaks up; None if it never does."""
    watchdog = Watchdog()
    for n, sample in enumerate(samples):
        try:
            watchdog.look([sample] if sample else [], n * every_s)
        except Stalled:
            return n
    return None


def still(n, lag=5, **more):
    return [Sample("normalizer", 7, lag, **more)] * n


ENOUGH = round(STALLED_S / LOOK_S)


def test_an_actor_that_does_nothing_for_a_minute_while_work_waits_stalls():
    assert stalls(still(ENOUGH)) is None
    assert stalls(still(ENOUGH + 1)) == ENOUGH
    assert stalls([Sample("normalizer", 7, 5 + n) for n in range(9)]) == ENOUGH


def test_one_record_handled_begins_the_minute_anew():
    samples = [*still(ENOUGH), Sample("normalizer", 8, 9), *[Sample("normalizer", 8, 12)] * ENOUGH]

    assert stalls(samples) == 2 * ENOUGH


def test_a_pause_of_this_process_is_no_minute_of_the_actor():
    watchdog = Watchdog()
    watchdog.look(still(1), 0.0)
    watchdog.look(still(1), PAUSED_S + STALLED_S)

    for n in range(1, ENOUGH):
        watchdog.look(still(1), PAUSED_S + STALLED_S + n * LOOK_S)
    with pytest.raises(Stalled, match="it has handled nothing for 60 s, and 5 records wait"):
        watchdog.look(still(1), PAUSED_S + STALLED_S + ENOUGH * LOOK_S)


def test_what_is_not_known_for_a_moment_is_not_counted():
    assert stalls([*still(ENOUGH), None, *still(ENOUGH)]) is None


def test_an_actor_whose_records_take_long_has_their_time_as_well():
    assert stalls(still(ENOUGH + 2, longest_s=2 * LOOK_S)) is None
    assert stalls(still(ENOUGH + 3, longest_s=2 * LOOK_S)) == ENOUGH + 2


samples = st.builds(
    Sample, st.just("poller"), st.integers(0, 3), st.integers(0, 3), st.booleans(), st.sampled_from([0.0, 30.0])
)


def runs(of):
    """Samples of which each comes several times in a row: only so does anything stand still."""
    several = st.lists(st.tuples(of, st.integers(1, 9)), max_size=12)
    return several.map(lambda found: [sample for sample, times in found for _ in range(times)])


@given(runs(samples))
def test_it_speaks_up_only_after_a_minute_without_any_progress_or_purpose(found):
    at = stalls(found)
    if at is None:
        return
    said = found[at]
    standstill = found[at - round((STALLED_S + said.longest_s) / LOOK_S) : at + 1]
    assert len(standstill) > STALLED_S / LOOK_S
    assert {sample.handled for sample in standstill} == {said.handled}
    assert not any(sample.waits for sample in standstill)
    lags = [sample.lag for sample in standstill]
    assert min(lags) == lags[0] > 0


@given(runs(samples.filter(lambda sample: sample.waits or not sample.lag)))
def test_whoever_waits_on_purpose_or_has_no_work_never_stalls(found):
    assert stalls(found) is None


@given(st.lists(st.integers(0, 5), max_size=60))
def test_whoever_handles_records_never_stalls_however_much_waits(handled):
    total, found = 0, []
    for n in handled:
        total += n + 1
        found.append(Sample("sink", total, 10_000))

    assert stalls(found) is None


# -- what the actors say ---------------------------------------------------------------------------------------------


class Consumer:
    """A consumer that nobody stops."""

    def on_buffer_full(self, where):
        """Fetch on."""


def event(where, offset):
    return SimpleNamespace(message=SimpleNamespace(tp=where, offset=offset), ack=lambda: None)


PLACE = TopicPartition("poll.requests", 3)
BEHIND = [PartitionLag("poll.requests", n, 0, 10, 14) for n in (3, 4)]


async def sampled(work, events, resting=0):
    boxes = Mailboxes(work, window=2, high=1_000, consumer=Consumer())
    boxes.own([PLACE])
    for offset in range(events):
        boxes.put(event(PLACE, offset))
    await turns()
    (found,) = of_mailboxes("poller", boxes, BEHIND, resting={3: resting})
    await boxes.drain(0)
    return found


async def parks(_):
    return asyncio.Event().wait()


async def hangs(_):
    await asyncio.Event().wait()


async def works(_):
    return None


async def test_events_in_work_that_do_not_end_are_a_standstill_unless_they_rest():
    assert await sampled(hangs, 3) == Sample("poller of poll.requests/3", 10, 4)
    assert await sampled(hangs, 3, resting=1) == Sample("poller of poll.requests/3", 10, 4)
    assert await sampled(hangs, 3, resting=2) == Sample("poller of poll.requests/3", 10, 4, waits=True)


async def test_events_that_are_parked_wait_on_purpose_and_what_ended_counts():
    assert await sampled(parks, 3) == Sample("poller of poll.requests/3", 13, 4, waits=True)
    assert await sampled(works, 3) == Sample("poller of poll.requests/3", 13, 4)


async def test_a_lag_of_which_nothing_arrives_is_a_standstill():
    assert await sampled(works, 0) == Sample("poller of poll.requests/3", 10, 4)


def test_the_sink_waits_while_store_or_broker_have_something_to_answer():
    sink = SimpleNamespace(assignment={("poll.requests", 4)}, rows=100, waits=True, batch_age_s=1.0)

    assert of_sink(sink, BEHIND) == Sample("sink", 110, 4, waits=True, longest_s=1.0)
