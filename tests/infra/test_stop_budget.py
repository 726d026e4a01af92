"""One deadline for all parts of a process: a part that hangs or fails keeps neither the others nor the process."""

import asyncio
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from infra import tasks
from infra.stop_budget import StopBudget
from tests.waiting import LIMIT_S, ending, turns


class Time:
    """A clock that a test moves, in seconds."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def budget(total_s=60.0, **more):
    return StopBudget(total_s, last_words=lambda: None, **more)


@given(st.floats(0.1, 60), st.lists(st.floats(0, 30), max_size=5), st.floats(0, 1))
def test_what_one_part_takes_the_others_lack_and_the_time_is_counted_once(total, passed, share):
    time = Time()
    found = budget(total, now_s=time, leave=lambda _: None)
    assert found.left_s(share) == pytest.approx(total * share)
    found._began_at = time.now
    for seconds in passed:
        time.now += seconds
        found.begin()

    assert found.left_s(share) == pytest.approx(max(0.0, total * share - sum(passed)), abs=1e-6)


async def test_a_part_that_hangs_is_late_one_that_fails_is_logged_and_the_next_one_stops():
    ended = []

    async def fails():
        raise OSError("the link is down")

    async def stops():
        ended.append("outbox")

    found = budget()
    with capture_logs() as logs:
        await found.within(0.0, "sink", asyncio.Event().wait())
        await found.within(1.0, "store", fails())
        await found.within(1.0, "outbox", stops())

    assert (found.late, ended) == (["sink"], ["outbox"])
    assert [(line["event"], line["part"]) for line in logs] == [("stop.fault", "store")]


async def test_work_that_heeds_no_cancellation_is_not_waited_for():
    let_go, cancelled = asyncio.Event(), []

    async def deaf():
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                cancelled.append(True)
        raise OSError("nobody listens any more")

    assert await ending(tasks.within(0.0, deaf()), "the wait") is False
    await turns()
    assert cancelled == [True]
    let_go.set()
    await turns()


async def test_work_that_ends_has_its_fault_raised_and_a_cancellation_of_its_own_is_an_end():
    async def fails():
        raise OSError("down")

    async def cancels_itself():
        raise asyncio.CancelledError

    with pytest.raises(OSError, match="down"):
        await tasks.within(LIMIT_S, fails())
    assert await tasks.within(LIMIT_S, cancels_itself()) is True


BLOCKED = """
import sys, threading
from infra.stop_budget import StopBudget

budget = StopBudget(0.01, last_words=lambda: {words}, exit_code=lambda: 7)
budget.begin()
threading.Event().wait()  # as an event loop that something blocks
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("print('left: 3 requests', flush=True)", "left: 3 requests\n"),
        ("threading.Event().wait()", ""),  # a log that nobody reads
        ("1 / 0", ""),
    ],
)
def test_at_the_deadline_the_process_ends_whatever_it_does(words, said):
    program = BLOCKED.format(words=words)
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )

    assert (found.returncode, found.stdout) == (7, said)


def test_the_time_begins_once():
    left = []
    gone = threading.Event()
    found = budget(0.01, leave=lambda code: (left.append(code), gone.set()))

    found.begin()
    found.begin()
    assert gone.wait(LIMIT_S)

    assert (left, found.late) == ([0], ["process"])
