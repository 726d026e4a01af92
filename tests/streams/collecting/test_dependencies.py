"""The order of collectors, who may run, and the rest after a failure."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.collecting.dependencies import order, ready, retry_delay_s
from streams.collecting.model import Collector, RetryPolicy, Universe, Wanted
from streams.errors import DependencyCycle

PRICES, NEWS = "daily_prices depends on stocks_etfs", "news depends on daily_prices"


def collector(name, *depends_on, priority=0):
    return Collector(
        name=name,
        datasets=(Wanted(dataset="news"),),
        universe=Universe(symbols=("AAPL",)),
        priority=priority,
        depends_on=depends_on,
    )


def names(collectors):
    return [each.name for each in order(collectors)]


@st.composite
def graphs(draw, *, cyclic=False):
    """Collectors in any order; each depends on earlier ones only, and with `cyclic` one also on a later one."""
    size = draw(st.integers(1, 8))
    letters = draw(st.permutations("abcdefgh"[:size]))
    depends = {name: draw(st.sets(st.sampled_from(letters[:n]))) if n else set() for n, name in enumerate(letters)}
    if cyclic:
        first, last = sorted(draw(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1))))
        for n in range(first + 1, last + 1):
            depends[letters[n]].add(letters[n - 1])
        depends[letters[first]].add(letters[last])
    return draw(
        st.permutations([collector(name, *depends[name], priority=draw(st.integers(0, 3))) for name in letters])
    )


@given(graphs())
def test_dependencies_precede_and_among_the_free_the_lowest_priority_then_the_name_decides(collectors):
    found = order(collectors)

    assert sorted(found, key=lambda each: each.name) == sorted(collectors, key=lambda each: each.name)
    for place, each in enumerate(found):
        before = {earlier.name for earlier in found[:place]}
        assert set(each.depends_on) <= before
        free = [other for other in found[place:] if set(other.depends_on) <= before]
        assert (each.priority, each.name) == min((other.priority, other.name) for other in free)


@given(graphs(), st.randoms())
def test_the_order_does_not_depend_on_that_of_the_file(collectors, random):
    shuffled = random.sample(collectors, len(collectors))

    assert order(shuffled) == order(collectors)


@given(graphs(cyclic=True))
def test_a_cycle_is_named(collectors):
    depends = {each.name: each.depends_on for each in collectors}
    with pytest.raises(DependencyCycle) as error:
        order(collectors)

    around = error.value.names
    assert around[0] == around[-1]
    assert all(other in depends[name] for name, other in pairwise(around))
    assert str(error.value) == f"{' -> '.join(around)} is a cycle"


def test_a_dependency_that_is_not_among_them_does_not_count():
    assert names([collector("b", "a", priority=1), collector("c", "b"), collector("d", priority=2)]) == ["b", "c", "d"]


COLLECTORS = {
    each.name: each
    for each in (collector("stocks_etfs"), collector("crypto"), collector("daily_prices", "stocks_etfs", "crypto"))
} | {"news": collector("news", "daily_prices")}


@pytest.mark.parametrize(
    ("name", "endings", "decision", "reason"),
    [
        ("stocks_etfs", {}, "run", ""),
        ("daily_prices", {}, "wait", "daily_prices waits for stocks_etfs, crypto"),
        ("daily_prices", {"crypto": "done"}, "wait", "daily_prices waits for stocks_etfs"),
        ("daily_prices", {"crypto": "done", "stocks_etfs": "done"}, "run", ""),
        ("daily_prices", {"stocks_etfs": "failed"}, "skip", f"{PRICES}, which failed"),
        ("daily_prices", {"stocks_etfs": "skipped"}, "skip", f"{PRICES}, which was skipped"),
        ("daily_prices", {"crypto": "failed"}, "skip", "daily_prices depends on crypto, which failed"),
        ("news", {"crypto": "done"}, "wait", "news waits for daily_prices"),
        ("news", {"stocks_etfs": "failed"}, "skip", f"{NEWS}; {PRICES}, which failed"),
        ("news", {"stocks_etfs": "failed", "daily_prices": "skipped"}, "skip", f"{NEWS}, which was skipped"),
        ("news", {"stocks_etfs": "failed", "daily_prices": "done"}, "run", ""),
    ],
)
def test_a_failure_skips_all_that_depends_on_it_and_says_so(name, endings, decision, reason):
    found = ready(name, endings, COLLECTORS)

    assert (found.decision, found.reason) == (decision, reason)


@given(graphs(), st.data())
def test_a_round_ends_and_skips_exactly_what_lies_behind_a_failure(collectors, data):
    named = {each.name: each for each in collectors}
    failing = data.draw(st.sets(st.sampled_from(sorted(named))))
    endings = {}
    for each in order(collectors):
        decision = ready(each.name, endings, named).decision
        assert decision != "wait"
        endings[each.name] = "skipped" if decision == "skip" else "failed" if each.name in failing else "done"

    for each in collectors:
        behind = any(endings[other] != "done" for other in each.depends_on)
        assert (endings[each.name] == "skipped") == behind


@given(attempt=st.integers(1, 2000), chance=st.floats(0, 1, exclude_max=True))
def test_the_rest_doubles_up_to_its_cap_and_is_spread_over_its_second_half(attempt, chance):
    policy = RetryPolicy(base_s=2, cap_s=100)
    whole = min(100, 2 * 2 ** (attempt - 1))

    assert whole / 2 <= retry_delay_s(policy, attempt, chance) <= whole
    assert retry_delay_s(policy, attempt, 0) == whole / 2
    assert retry_delay_s(policy, attempt, 0.5) == whole * 0.75
