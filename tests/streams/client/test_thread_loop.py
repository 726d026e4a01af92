"""A pipeline in a thread: it is entered, asked and left in one loop, and nobody waits for one that has ended."""

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from streams.client.thread_loop import Background
from streams.errors import NotRunning

ROOT = Path(__file__).parents[3]


class Ended(RuntimeError):
    pass


class Pipeline:
    """Enters, ends and leaves as the test says; tells where."""

    def __init__(self, entering=None, leaving=None):
        self.entering, self.leaving = entering, leaving
        self.told = []
        self.loop = None
        self.end = asyncio.Event()

    async def __aenter__(self):
        self.loop = asyncio.get_running_loop()
        self.told.append("entered")
        if self.entering:
            raise self.entering
        return self

    async def __aexit__(self, *_):
        self.told.append("left")
        if self.leaving:
            raise self.leaving

    async def watch(self):
        await self.end.wait()
        raise Ended("the worker ended")


@pytest.fixture
def begin():
    """Start a pipeline; what a test leaves running is stopped."""
    begun = []

    def start(**differing):
        background = Background(Pipeline(**differing), "tested")
        begun.append(background)
        background.start()
        return background

    before = set(threading.enumerate())
    yield start
    for background in begun:
        with suppress(Ended):
            background.stop()
    assert set(threading.enumerate()) <= before


async def loop_of(pipeline):
    assert pipeline.told == ["entered"]
    return asyncio.get_running_loop()


async def nothing(_):
    pass


async def for_ever(_):
    await asyncio.Event().wait()


async def ends(pipeline):
    pipeline.end.set()
    await asyncio.Event().wait()


def test_what_is_asked_happens_in_the_pipeline_s_own_loop_until_it_is_left(begin):
    background = begin()

    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: background.do(loop_of), range(50)))

    assert found == {background.pipeline.loop}
    background.stop()
    background.stop()
    assert background.pipeline.told == ["entered", "left"]
    with pytest.raises(NotRunning, match="stopped"):
        background.do(nothing)


def test_what_cannot_be_entered_says_why(begin):
    with pytest.raises(Ended, match="port busy"):
        begin(entering=Ended("port busy"))


def test_an_error_of_what_was_asked_ends_nothing(begin):
    async def wrong(_):
        raise ValueError("wrong")

    background = begin()

    with pytest.raises(ValueError, match="wrong"):
        background.do(wrong)

    assert background.do(loop_of) is background.pipeline.loop


def test_who_waits_and_who_comes_later_is_told_what_ended_it(begin):
    background = begin()

    for work in (ends, nothing, for_ever):
        with pytest.raises(Ended, match="the worker ended"):
            background.do(work)

    background.stop()
    assert background.pipeline.told == ["entered", "left"]


def test_what_ended_it_unnoticed_is_told_at_the_stop(begin):
    background = begin()
    background.pipeline.loop.call_soon_threadsafe(background.pipeline.end.set)
    background._thread.join(20)

    with pytest.raises(Ended, match="the worker ended"):
        background.stop()

    background.stop()


def test_what_goes_wrong_while_it_is_left_is_told(begin):
    background = begin(leaving=Ended("killed"))

    with pytest.raises(Ended, match="killed"):
        background.stop()


def test_a_stop_wakes_whoever_waits(begin):
    background = begin()
    waiting = Future()

    async def wait(_):
        waiting.set_result(None)
        await for_ever(_)

    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(background.do, wait)
        waiting.result(20)
        background.stop()

        with pytest.raises(NotRunning):
            asked.result(20)


def test_a_stop_while_it_is_entered_calls_that_off(begin):
    entering = Future()

    class Slow(Pipeline):
        async def __aenter__(self):
            entering.set_result(None)
            await for_ever(self)

    background = Background(Slow(), "tested")
    with ThreadPoolExecutor(1) as threads:
        started = threads.submit(background.start)
        entering.result(20)
        background.stop()

        with pytest.raises(NotRunning):
            started.result(20)


FORGETFUL = """
import asyncio
from streams.client.thread_loop import Background

class Pipeline:
    async def __aenter__(self): print("entered", flush=True)
    async def __aexit__(self, *_): print("left", flush=True)
    async def watch(self): await asyncio.Event().wait()

Background(Pipeline(), "forgotten").start()
{last}
"""


@pytest.mark.parametrize(("last", "code"), [("", 0), ("raise SystemExit(3)", 3), ("1 / 0", 1)])
def test_a_program_that_never_stops_it_leaves_in_order(last, code):
    program = [sys.executable, "-c", FORGETFUL.format(last=last)]

    found = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert (found.returncode, found.stdout) == (code, "entered\nleft\n")
