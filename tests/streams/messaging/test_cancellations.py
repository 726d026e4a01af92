"""Of a piece of work only the newest job is wanted."""

import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.messaging.cancellations import Cancellations, is_cancellation, next_job_id
from streams.messaging.messages import CANCELLATION, Cancellation
from tests.waiting import ending, until

WORKS = st.sampled_from(["s-1", "s-2", "daily_prices.close.17", "", "s"])


@given(st.lists(st.tuples(WORKS, st.booleans()), max_size=12))
def test_a_job_is_covered_by_the_last_cancellation_of_its_work_alone(steps):
    cancellations = Cancellations()
    jobs = {work: [next_job_id(work)] for work, _ in steps if work}
    kept = {}
    for work, keeps in steps:
        if not work:
            continue
        jobs[work].append(next_job_id(work))
        kept[work] = jobs[work][-1] if keeps else ""
        cancellations.take(Cancellation(work=work, kept=kept[work]))

    for work, found in jobs.items():
        assert [cancellations.cover(job) for job in found] == [work in kept and job != kept[work] for job in found]
    assert not cancellations.cover("019a2b3c4d5e6f")


async def test_who_rests_is_woken_by_the_cancellation_of_its_own_job_only():
    cancellations, slept = Cancellations(), []

    async def sleep(seconds):
        slept.append(seconds)
        await asyncio.get_running_loop().create_future()

    resting = [asyncio.create_task(cancellations.rest(sleep, 9, job)) for job in ("s-1.a", "s-1.b", "s-2.a")]
    await until(lambda: len(slept) == 3, "all three to rest")
    cancellations.take(Cancellation(work="s-1", kept="s-1.b"))
    await ending(resting[0], "the rest of the cancelled job")
    assert [task.done() for task in resting] == [True, False, False]

    cancellations.take(Cancellation(work="s-2"))
    cancellations.take(Cancellation(work="s-1"))
    await ending(asyncio.gather(*resting), "the rest of each job")


async def test_a_rest_ends_with_its_sleep():
    await ending(Cancellations().rest(asyncio.sleep, 0, "s-1.a"), "a rest of 0 s")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (CANCELLATION, True),
        ({"kind": b"cancellation"}, True),
        ({"kind": b"withdrawal"}, True),  # of earlier versions
        ({"kind": b"order"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_cancellation_is_known_by_its_header_also_one_of_a_former_version(headers, expected):
    assert is_cancellation(SimpleNamespace(headers=headers)) is expected
