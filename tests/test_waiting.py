"""Tests pass on a busy machine: they wait for events in `waiting.py`, and assert nothing on elapsed time."""

import ast
import asyncio
import re
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.waiting import LIMIT_S, ending, turns, until, until_in_thread

TESTS = Path(__file__).parent
WAITING = TESTS / "waiting.py"
FILES = sorted(path for path in TESTS.rglob("*.py") if path != WAITING)
SHORTEST_LIMIT_S = 60
"""Seconds: a shorter limit of a test would be an assertion on time."""
LIMITED = {"asyncio.timeout": 0, "asyncio.wait_for": 1, "psutil.wait_procs": 1, "ending": 2, "until": 2}
"""The calls that end a wait after a limit, and the place of the limit among their arguments."""
LIMITS = {"timeout", "limit_s"}
SLEEPS = {
    ("agents/polling/test_transport.py", "asyncio.sleep(0.02)"): "a server that sends a byte now and then, for ever",
    ("pipeline/test_sessions.py", "asyncio.sleep(chance.random())"): "a kill at any moment, not after an event",
    ("streams/client/test_subscription.py", "asyncio.sleep(0.15)"): "a strategy that is slower than its records come",
}
"""The sleeps that simulate something slow, and what that is. None of them synchronizes anything."""
STOPWATCHES = re.compile(r"\btime\.(?:monotonic|perf_counter)(?:_ns)?$|loop(?:\(\))?\.time$")
"""Clocks that only measure how much time has passed: every comparison of their readings is one of elapsed time."""
WALL_CLOCKS = re.compile(r"\btime\.time(?:_ns)?$|\bdatetime\.now$|\bnow_ms$")
"""Clocks that say how late it is: the difference of two readings is elapsed time, the order of two is none."""


def programs(path):
    """The trees of a file and of the programs that it holds as texts, for a process to run."""
    yield (tree := ast.parse(path.read_text(encoding="utf-8")))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "import" in node.value:
            try:
                yield ast.parse(node.value)
            except SyntaxError:
                continue  # prose, or another language


def calls(node):
    return (each for each in ast.walk(node) if isinstance(each, ast.Call))


def sleeps(tree):
    """The calls that sleep; `asyncio.sleep(0)` is a turn of the loop."""
    for call in calls(tree):
        name = ast.unparse(call.func)
        if name == "time.sleep" or (name == "asyncio.sleep" and ast.unparse(call.args[0]) != "0"):
            yield ast.unparse(call)


def short_limits(tree):
    """The calls that end a wait sooner than a busy machine may need."""
    for call in calls(tree):
        place = LIMITED.get(ast.unparse(call.func))
        if place is None:
            continue
        given = [*call.args[place : place + 1], *(word.value for word in call.keywords if word.arg in LIMITS)]
        if any(isinstance(each, ast.Constant) and each.value < SHORTEST_LIMIT_S for each in given):
            yield ast.unparse(call)


def scopes(tree):
    """Each function by itself, and the statements outside of functions."""
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    yield ast.Module([node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)], [])


def reads(node, clocks, names):
    """Whether an expression holds a reading of these clocks, directly or by one of these names."""
    return any(
        (isinstance(each, ast.Call) and clocks.search(ast.unparse(each.func)))
        or (isinstance(each, ast.Name) and each.id in names)
        for each in ast.walk(node)
    )


def readings(scope, clocks):
    """The names that hold a reading of these clocks, or something that was reckoned with one."""
    names = set()
    for _ in range(3):  # a reading may go from name to name
        for node in ast.walk(scope):
            if isinstance(node, ast.Assign | ast.AugAssign | ast.NamedExpr) and reads(node.value, clocks, names):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names |= {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    return names


def comparisons_of_time(tree):
    """The comparisons with time that has passed."""
    for scope in scopes(tree):
        elapsing, late = readings(scope, STOPWATCHES), readings(scope, WALL_CLOCKS)
        for node in ast.walk(scope):
            if not isinstance(node, ast.Compare):
                continue
            sums = [each for each in ast.walk(node) if isinstance(each, ast.BinOp)]
            if reads(node, STOPWATCHES, elapsing) or any(reads(each, WALL_CLOCKS, late) for each in sums):
                yield ast.unparse(node)


def relative(path):
    return path.relative_to(TESTS).as_posix()


def test_tests_sleep_only_to_simulate_something_slow():
    found = Counter((relative(path), call) for path in FILES for tree in programs(path) for call in sleeps(tree))

    assert found == dict.fromkeys(SLEEPS, 1)


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_test_asserts_how_much_time_has_passed(path):
    trees = list(programs(path))

    assert [each for tree in trees for each in comparisons_of_time(tree)] == []
    assert [each for tree in trees for each in short_limits(tree)] == []


@pytest.mark.parametrize(
    "asserted",
    [
        "began = time.monotonic()\n    work()\n    assert time.monotonic() - began < 15",
        "began = time.perf_counter()\n    work()\n    took = time.perf_counter() - began\n    assert took < 1",
        "patience = time.monotonic() + 60\n    while True:\n        assert time.monotonic() < patience",
        "began = asyncio.get_running_loop().time()\n    if asyncio.get_running_loop().time() > began + 1: fail()",
        "began = time.time()\n    work()\n    assert time.time() - began < 15",
        "began = now_ms()\n    work()\n    late = now_ms() - began\n    assert late + 1 < 15",
        "assert (datetime.now(UTC) - began).total_seconds() < 1",
    ],
)
def test_a_comparison_with_elapsed_time_is_found(asserted):
    assert len(list(comparisons_of_time(ast.parse(f"def test_it():\n    {asserted}\n")))) == 1


@pytest.mark.parametrize(
    "asserted",
    [
        "before = now_ms()\n    found = work()\n    assert before <= found.at <= now_ms()",
        "before = time.thread_time()\n    work()\n    assert time.thread_time() - before < 0.1",
    ],
)
def test_the_order_of_two_moments_and_processor_time_are_no_elapsed_time(asserted):
    assert list(comparisons_of_time(ast.parse(f"def test_it():\n    {asserted}\n"))) == []


def undocumented(tree):
    """The public classes, methods and functions without a docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.Module):
            for each in node.body:
                named = isinstance(each, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                if named and not each.name.startswith("_") and not ast.get_docstring(each):
                    yield each.name


def test_what_tests_share_is_described():
    shared = {path: ast.parse(path.read_text()) for path in (*FILES, WAITING) if not path.name.startswith("test_")}

    assert {relative(path) for path, tree in shared.items() if not ast.get_docstring(tree)} == set()
    modules = {relative(path): list(undocumented(tree)) for path, tree in shared.items() if path.name != "conftest.py"}
    assert {name: lacking for name, lacking in modules.items() if lacking} == {}
    fixtures = {
        node.name: bool(ast.get_docstring(node))
        for tree in shared.values()
        for node in tree.body
        if any("fixture" in ast.unparse(mark) for mark in getattr(node, "decorator_list", ()))
    }
    assert {name for name, described in fixtures.items() if not described} == set()


# -- waiting.py ------------------------------------------------------------------------------------------------------

NO_TIME_S = 0.0  # the limit has passed at once


async def test_it_asks_until_the_answer_is_true_and_returns_it():
    plain, awaited = iter([0, None, "", "found"]), iter([[], [7]])

    async def ask():
        return next(awaited)

    assert await until(lambda: next(plain), "a text") == "found"
    assert await until(ask, "a list") == [7]
    assert until_in_thread(iter([False, 3]).__next__, "a number") == 3


async def test_in_vain_it_says_what_lacked_and_what_it_saw():
    with pytest.raises(AssertionError, match=r"waited 0 s in vain for two rows; the last answer was \[\]"):
        await until(lambda: [], "two rows", limit_s=NO_TIME_S)
    with pytest.raises(AssertionError, match=r"in vain for two rows; the last answer was 0"):
        until_in_thread(lambda: 0, "two rows", limit_s=NO_TIME_S)
    with pytest.raises(AssertionError, match="in vain for the worker"):
        await ending(asyncio.Event().wait(), "the worker", limit_s=NO_TIME_S)


async def test_a_fault_is_none_of_the_waiting():
    async def fails():
        raise TimeoutError("of the work itself")

    for waiting in (until(fails, "nothing"), ending(fails(), "nothing")):
        with pytest.raises(TimeoutError, match="of the work itself"):
            await waiting


async def test_what_ends_gives_its_result_and_turns_let_callbacks_run():
    seen = []
    asyncio.get_running_loop().call_soon(lambda: asyncio.get_running_loop().call_soon(seen.append, 1))
    assert seen == []
    await turns()

    assert seen == [1]
    assert await ending(asyncio.to_thread(threading.get_ident), "a thread") != threading.get_ident()
    assert LIMIT_S >= SHORTEST_LIMIT_S
