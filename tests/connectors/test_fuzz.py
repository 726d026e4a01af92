"""Altered answers of every provider: no failure without a type, no reason about Python, no silent loss by a rename.

FUZZ_EXAMPLES is the number of altered answers over all providers; `make fuzz` takes a million.
"""

import copy
import json
import os

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from connectors import REFUSALS, connectors

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "30000"))
PROVIDERS = sorted(connectors())
MORE = "FUZZ_EXAMPLES" in os.environ

ODD = (
    None,
    True,
    0,
    -1,
    2**63,
    1e308,
    0.1,
    "",
    "x",
    "None",
    "NaN",
    "9" * 400,
    "2024-02-30",
    "9999-12-31T23:59:59Z",
    "\x00",
    [],
    {},
    [[]],
    [None, 1, "a", {}],
    {"a": {"b": []}},
)
"""Values of other types, and of the same type beyond what is documented."""


def dropped(holder, place, _):
    holder.pop(place)


def renamed(holder, place, _):
    if isinstance(holder, list):
        return
    members = [(f"x_{name}_x" if name == place else name, part) for name, part in holder.items()]
    holder.clear()
    holder.update(members)


def retyped(holder, place, odd):
    holder[place] = copy.deepcopy(odd)


def duplicated(holder, place, _):
    if isinstance(holder, list):
        holder.insert(place, copy.deepcopy(holder[place]))
    else:
        holder[f"{place}_2"] = copy.deepcopy(holder[place])


def truncated(holder, place, _):
    part = holder[place]
    if isinstance(part, (str, list)):
        holder[place] = part[: len(part) // 2]
    elif isinstance(part, dict):
        holder[place] = dict([*part.items()][: len(part) // 2])
    elif isinstance(part, (int, float)):
        holder[place] = part // 1000


def inside_out(holder, place, _):
    part = holder[place]
    holder[place] = [*part.values()] if isinstance(part, dict) else {str(i): x for i, x in enumerate([part])}


CHANGES = (dropped, renamed, retyped, duplicated, truncated, inside_out)


def places(value):
    """(object or list, key or index) of everything inside a JSON value."""
    inside = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    for place, part in inside:
        yield value, place
        yield from places(part)


def altered(body, steps):
    """The body after these changes; of a text or a scalar, a part of it."""
    if not isinstance(body, (dict, list)):
        text = body if isinstance(body, str) else json.dumps(body)
        return text[: steps[0][0] % (len(text) + 1)]
    value = orjson.loads(orjson.dumps(body))
    for at, change, odd in steps:
        if found := list(places(value)):
            change(*found[at % len(found)], odd)
    return value


@pytest.fixture(scope="session")
def known(recordings):
    """Picks a recording of a provider by any number: beside it the body to be altered, and what it is unaltered."""
    found = {provider: [] for provider in PROVIDERS}
    for recording in recordings:
        found[recording.provider].append((recording, recording.body, recording.read()))
    return lambda provider, pick: found[provider][pick % len(found[provider])]


STEPS = st.lists(
    st.tuples(st.integers(0, 10_000), st.sampled_from(CHANGES), st.sampled_from(ODD)), min_size=1, max_size=3
)


@pytest.mark.parametrize("provider", PROVIDERS)
@settings(
    max_examples=max(1, EXAMPLES // len(PROVIDERS)),
    deadline=None,
    derandomize=not MORE,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(pick=st.integers(0, 10_000), steps=STEPS)
def test_an_altered_answer_is_read_refused_or_rejected(provider, known, of_python, pick, steps):
    recording, body, before = known(provider, pick)
    case = recording.with_body(altered(body, steps)).case

    verdict = connectors()[provider].verdict(case.call, case.request, case.answer)
    outcome = connectors()[provider].read(case.call, case.request, case.answer, "fuzz")
    after = before.of(outcome)

    assert {outcome.name, verdict.name} <= {"records", *REFUSALS}
    said = [reason for _, reason in after.faults]
    said += [found.refusal.reason for found in (verdict, outcome) if found.name == "MalformedPayload"]
    assert [reason for reason in said if of_python(reason)] == []
    if isinstance(body, (dict, list)) and [change for _, change, _ in steps] == [renamed]:
        assert before.silent_loss(after) == ""


@pytest.mark.parametrize("number", ["1" + "0" * 400, "-1e999"])
def test_a_number_that_no_double_holds_fails_no_verdict(recordings, number):
    for recording in recordings:
        if isinstance(recording.body, dict):
            for name in recording.body:
                text = orjson.dumps({**recording.body, name: "HUGE"}).decode().replace('"HUGE"', number)
                case = recording.with_bytes(text.encode()).case
                verdict = connectors()[recording.provider].verdict(case.call, case.request, case.answer)
                assert verdict.name in {"records", *REFUSALS}
