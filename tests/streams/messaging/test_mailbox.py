"""Acknowledgement strictly in order, whatever order the work ends in."""

import asyncio
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.messaging.mailbox import Mailbox, Mailboxes
from tests.waiting import ending, turns


class TopicPartition(tuple):
    __slots__ = ()
    topic = property(lambda self: self[0])
    partition = property(lambda self: self[1])


TP = TopicPartition(("poll.requests", 6))


class Events:
    """Events of one partition; remembers which were acknowledged."""

    def __init__(self, where=TP):
        self.acked = []
        self._where = where

    def event(self, offset):
        def ack():
            self.acked.append(offset)
            return True

        return SimpleNamespace(message=SimpleNamespace(offset=offset, tp=self._where), ack=ack, offset=offset)


class Work:
    """Work that ends when it is told to; `running` is what is under way, in the order of starting."""

    def __init__(self):
        self.running = {}
        self.started = []
        self.most = 0

    async def __call__(self, event):
        self.started.append(event.offset)
        self.running[event.offset] = asyncio.get_running_loop().create_future()
        self.most = max(self.most, len(self.running))
        try:
            await self.running[event.offset]
        finally:
            del self.running[event.offset]

    async def finish(self, offset, error=None):
        future = self.running[offset]
        future.set_exception(error) if error else future.set_result(None)
        await turns()


class Consumer:
    """The two calls by which the mailboxes tell Faust's consumer to stop and resume fetching."""

    def __init__(self):
        self.full = []
        self.dropped = []

    def on_buffer_full(self, where):
        self.full.append(where)

    def on_buffer_drop(self, where):
        self.dropped.append(where)


async def fill(window, count, **more):
    events, work = Events(), Work()
    box = Mailbox(work, window, **more)
    for offset in range(count):
        box.put(events.event(offset))
    await turns()
    return box, events, work


@settings(max_examples=80, deadline=None)
@given(data=st.data(), count=st.integers(1, 30), window=st.integers(1, 8))
def test_acknowledged_in_order_under_any_order_of_completion(data, count, window):
    async def main():
        box, events, work = await fill(window, count)
        done = set()
        while work.running:
            offset = data.draw(st.sampled_from(sorted(work.running)))
            await work.finish(offset)
            done.add(offset)
            first_open = next((i for i in range(count) if i not in done), count)
            assert events.acked == list(range(first_open))
            assert (box.acked, len(box)) == (first_open - 1, count - first_open)
        assert events.acked == list(range(count))
        assert work.started == list(range(count))
        assert work.most <= window

    asyncio.run(main())


@settings(max_examples=60, deadline=None)
@given(data=st.data(), count=st.integers(1, 20), window=st.integers(1, 6))
def test_work_that_raises_leaves_itself_and_all_behind_it_unacknowledged(data, count, window):
    async def main():
        box, events, work = await fill(window, count)
        broken = data.draw(st.integers(0, count - 1))
        while work.running:
            offset = data.draw(st.sampled_from(sorted(work.running)))
            await work.finish(offset, RuntimeError("a fault of ours") if offset == broken else None)
        assert events.acked == list(range(broken))
        assert len(box) == count - broken

    asyncio.run(main())


async def test_after_a_fault_nothing_more_is_started():
    box, events, work = await fill(2, 5)
    await work.finish(1, RuntimeError("a fault of ours"))
    await work.finish(0)
    box.put(events.event(5))
    await turns()

    assert work.started == [0, 1]
    assert events.acked == [0]


async def test_the_window_is_bounded_and_refilled():
    _, _, work = await fill(3, 10)
    assert sorted(work.running) == [0, 1, 2]

    await work.finish(1)

    assert sorted(work.running) == [0, 2, 3]


async def test_drain_finishes_what_is_under_way_and_starts_nothing():
    box, events, work = await fill(2, 4)
    draining = asyncio.ensure_future(box.drain(60))
    await turns()
    await work.finish(0)
    assert not draining.done()
    await work.finish(1)
    await draining

    assert events.acked == [0, 1]
    assert work.started == [0, 1]
    assert len(box) == 2


async def test_drain_cancels_what_does_not_end_in_time():
    box, events, work = await fill(3, 3)
    await work.finish(1)

    await box.drain(0)

    assert work.running == {}
    assert events.acked == []
    assert len(box) == 3


async def test_cancelled_work_is_not_acknowledged_but_what_came_before_it_is():
    box, events, work = await fill(3, 3)
    await work.finish(0)

    await box.drain(0)

    assert events.acked == [0]


class Parking:
    """Work that parks an event the first time; `leave(offset)` lets it go on."""

    def __init__(self):
        self.calls = []
        self.parked = {}

    async def __call__(self, event):
        self.calls.append(event.offset)
        if self.calls.count(event.offset) > 1:
            return None
        self.parked[event.offset] = asyncio.get_running_loop().create_future()
        return self.parked[event.offset]

    async def leave(self, offset):
        self.parked[offset].set_result(None)
        await turns()


async def parking(window, count):
    events, work = Events(), Parking()
    box = Mailbox(work, window)
    for offset in range(count):
        box.put(events.event(offset))
    await turns()
    return box, events, work


async def test_what_is_parked_takes_no_place_and_is_called_again():
    box, events, work = await parking(1, 3)
    assert (work.calls, events.acked, len(box)) == ([0, 1, 2], [], 3)

    await work.leave(1)
    assert (work.calls, events.acked) == ([0, 1, 2, 1], [])
    await work.leave(0)

    assert (work.calls[-1], events.acked, len(box)) == (0, [0, 1], 1)


async def test_what_is_parked_is_left_alone_at_a_stop():
    box, events, work = await parking(2, 3)

    await ending(box.drain(60), "the mailbox that holds parked work only")

    assert (events.acked, len(box)) == ([], 3)
    assert all(future.cancelled() for future in work.parked.values())


async def test_draining_an_idle_mailbox_returns_at_once():
    box, _, _ = await fill(1, 0)

    await box.drain(60)

    assert len(box) == 0


async def mailboxes(high=4, window=2):
    consumer, work = Consumer(), Work()
    boxes = Mailboxes(work, window=window, high=high, consumer=consumer)
    boxes.own(TopicPartition((topic, n)) for topic in ("poll.requests", "raw.responses") for n in range(8))
    return boxes, consumer, work


async def test_a_slow_partition_holds_up_no_other():
    boxes, _, work = await mailboxes(window=1)
    slow, quick = Events(TP), Events(TopicPartition(("poll.requests", 7)))
    boxes.put(slow.event(0))
    boxes.put(quick.event(100))
    boxes.put(quick.event(101))
    await turns()
    await work.finish(100)
    await work.finish(101)

    assert (slow.acked, quick.acked) == ([], [100, 101])
    assert boxes.pending == 1
    assert boxes.handled() == {("poll.requests", 6): 0, ("poll.requests", 7): 102}


async def test_a_full_partition_is_paused_with_every_event_and_reopened_at_half():
    boxes, consumer, work = await mailboxes(high=4, window=4)
    events = Events()
    for offset in range(5):
        boxes.put(events.event(offset))
    await turns()
    assert consumer.full == [TP, TP]

    await work.finish(0)
    await work.finish(1)
    assert consumer.dropped == []
    await work.finish(2)

    assert consumer.dropped == [TP]


async def test_a_partition_reopens_even_when_many_are_acknowledged_at_once():
    boxes, consumer, work = await mailboxes(high=4, window=4)
    events = Events()
    for offset in range(4):
        boxes.put(events.event(offset))
    await turns()
    for offset in (3, 2, 1, 0):
        await work.finish(offset)

    assert events.acked == [0, 1, 2, 3]
    assert consumer.dropped == [TP]


async def test_a_partition_that_was_never_full_is_not_reopened():
    boxes, consumer, work = await mailboxes(high=4)
    events = Events()
    for offset in range(3):
        boxes.put(events.event(offset))
    await turns()
    for offset in range(3):
        await work.finish(offset)

    assert (consumer.full, consumer.dropped) == ([], [])


async def test_released_partitions_are_abandoned_and_can_come_back():
    boxes, _, work = await mailboxes()
    before, kept = Events(), Events(TopicPartition(("poll.requests", 7)))
    boxes.put(before.event(0))
    boxes.put(kept.event(50))
    await turns()

    await boxes.release({TP, TopicPartition(("poll.requests", 9))})

    assert list(work.running) == [50]
    assert before.acked == []
    boxes.put(before.event(1))
    await turns()
    assert list(work.running) == [50]  # it belongs to another worker now

    again = Events()
    boxes.own({TP})
    boxes.put(again.event(0))
    await turns()
    await work.finish(0)
    assert again.acked == [0]


async def test_all_mailboxes_drain_together():
    boxes, _, work = await mailboxes()
    for partition in range(3):
        boxes.put(Events(TopicPartition(("raw.responses", partition))).event(0))
    await turns()

    await boxes.drain(0)

    assert work.running == {}
