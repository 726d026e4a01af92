"""A task that must live comes back after every end; a fault is reported; an end waits for what is cancelled."""

import asyncio

import pytest
from structlog.testing import capture_logs

from infra import tasks
from tests.waiting import ending


class Pauses:
    """A sleep that only notes for how long."""

    def __init__(self):
        self.seconds = []

    async def __call__(self, seconds):
        self.seconds.append(seconds)
        await asyncio.sleep(0)


async def test_work_that_fails_or_returns_is_begun_anew_after_growing_pauses():
    pauses, begun, lives = Pauses(), [], asyncio.Event()

    async def work():
        begun.append(len(begun))
        if len(begun) == 9:
            lives.set()
            await asyncio.Event().wait()
        if len(begun) % 2:
            raise ValueError("poison")

    task = tasks.keep_alive(work, "reader", sleep=pauses)
    await ending(lives.wait(), "the ninth begin")

    assert not task.done()
    assert pauses.seconds == [1, 2, 4, 8, 16, 32, 60, 60]
    await tasks.end(task)
    assert task.cancelled()


async def test_every_restart_is_logged_with_its_reason():
    failed = asyncio.Event()

    async def work():
        raise KeyError("symbol")

    async def sleep(_):
        failed.set()
        await asyncio.Event().wait()

    with capture_logs() as logs:
        task = tasks.keep_alive(work, "reader", sleep=sleep)
        await ending(failed.wait(), "the pause after the failure")
        await tasks.end(task)

    (line,) = logs
    assert (line["event"], line["log_level"], line["task"]) == ("task.restarted", "warning", "reader")
    assert line["reason"] == "KeyError('symbol')"


async def test_a_fault_is_reported_and_a_cancellation_is_none():
    faults = []

    async def fails():
        raise ValueError("broken")

    failing, waiting = asyncio.create_task(fails()), asyncio.create_task(asyncio.Event().wait())
    for task in (failing, waiting):
        tasks.report_fault(task, faults.append)
    await asyncio.wait({failing})
    await tasks.end(waiting)

    assert [str(fault) for fault in faults] == ["broken"]


async def test_an_end_waits_until_the_last_task_has_cleaned_up():
    cleaned = []

    async def work(number):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(number)

    running = [asyncio.create_task(work(number)) for number in range(3)]
    await asyncio.sleep(0)
    await tasks.end(*running, None)

    assert sorted(cleaned) == [0, 1, 2]


async def test_an_end_is_quiet_about_what_had_failed_before():
    async def fails():
        raise ValueError("before")

    task = asyncio.create_task(fails())
    await asyncio.wait({task})

    await tasks.end(task)

    with pytest.raises(ValueError, match="before"):
        task.result()
