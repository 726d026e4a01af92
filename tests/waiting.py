"""Waiting for an event that another task, thread or process causes: the only place where tests ask again and again.

A limit protects against a test that hangs and is no assertion on time: `LIMIT_S` is many times what a busy machine
needs. `tests/test_waiting.py` holds that no other file of `tests/` sleeps or compares elapsed time.
"""

import asyncio
import inspect
import time

LIMIT_S = 120.0
"""Seconds after which a test that waits fails: less than pytest's own limit, so that the message says what lacked."""
PAUSE_S = 0.01
"""Seconds between two questions."""
TURNS = 20
"""Turns of the event loop: more than any chain of callbacks between two tasks of the tests needs."""


async def until(condition, what, *, limit_s=LIMIT_S):
    """Ask `condition()`, or await it where it is a coroutine function, until its answer is true; returns the answer.

    Raises:
        AssertionError: `limit_s` seconds passed; the message names `what` was awaited and the last answer.
    """
    found, limit = None, asyncio.timeout(limit_s)
    try:
        async with limit:
            while True:
                found = condition()
                if inspect.isawaitable(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(PAUSE_S)
    except TimeoutError:
        if not limit.expired():  # the condition's own
            raise
        raise AssertionError(f"waited {limit_s:g} s in vain for {what}; the last answer was {found!r}") from None


def until_in_thread(condition, what, *, limit_s=LIMIT_S):
    """Do the same without an event loop: block this thread until `condition()` is true; returns the answer.

    Raises:
        AssertionError: as `until` does.
    """
    patience = time.monotonic() + limit_s
    while not (found := condition()):
        if time.monotonic() > patience:
            raise AssertionError(f"waited {limit_s:g} s in vain for {what}; the last answer was {found!r}")
        time.sleep(PAUSE_S)
    return found


async def ending(awaitable, what, *, limit_s=LIMIT_S):
    """Await a task, a future or a coroutine, and return its result; it is cancelled after `limit_s` seconds.

    Raises:
        AssertionError: `limit_s` seconds passed; the message names `what` had to end.
    """
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            return await awaitable
    except TimeoutError:
        if not limit.expired():  # what was awaited raised it
            raise
        raise AssertionError(f"waited {limit_s:g} s in vain for {what}") from None


async def turns():
    """Run every callback that is due; what has not happened then, waits for something else."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
