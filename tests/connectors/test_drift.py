"""A provider renames a field: no record is lost in silence. Every key of every recorded answer is renamed once.

A silent loss is fewer rows of a dataset, or no next page, without `MalformedPayload`, dead letter or missing symbol.
A field that a record may lack, and an item of a statement or of metrics, may go without a word.
"""

import orjson
import pytest

from connectors.errors import MalformedPayload
from connectors.reading import counted, unrecognised

UNKNOWN = (
    {"unexpected": {"shape": 1}},
    {"unexpected": [{"shape": 1}]},
    [{"unexpected": 1}],
    [[1]],
    '"unexpected"',
    5,
    True,
)
"""Bodies that no endpoint of any provider has."""
RENAMED = "x_{}_x"
"""At both ends, so that no name is known by how it begins or ends."""


def places(value, at=()):
    """Paths to every key; `...` stands for all rows of a list, 0 for the first of several."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield (*at, name)
            yield from places(part, (*at, name))
    elif isinstance(value, list):
        for part in value:
            yield from places(part, (*at, ...))
        if len(value) > 1:
            yield from places(value[0], (*at, 0))


def renamed(value, place):
    """A copy of `value` whose key at `place` has another name."""
    first, *rest = place
    if first is ...:
        return [renamed(part, rest) for part in value] if isinstance(value, list) else value
    if first == 0:
        return [renamed(value[0], rest), *value[1:]]
    if not isinstance(value, dict):
        return value
    if not rest:
        return {RENAMED.format(name) if name == first else name: part for name, part in value.items()}
    return {name: renamed(part, rest) if name == first else part for name, part in value.items()}


def drifts(body):
    """Each body that one rename makes, beside what was renamed; of a text, a table whose first line names columns."""
    if isinstance(body, (dict, list)):
        for place in dict.fromkeys(places(body)):
            yield ".".join("*" if part is ... else str(part) for part in place), renamed(body, place)
    elif isinstance(body, str) and "," in body.partition("\n")[0] and not body.lstrip().startswith("<"):
        header, _, rows = body.partition("\n")
        names = header.strip().split(",")
        for i, name in enumerate(names):
            yield name, ",".join([*names[:i], RENAMED.format(name), *names[i + 1 :]]) + "\n" + rows


def test_no_renamed_key_loses_records_in_silence(recording):
    before = recording.read()

    lost = {place: before.silent_loss(recording.with_body(body).read()) for place, body in drifts(recording.body)}

    assert {place: loss for place, loss in lost.items() if loss} == {}


def test_a_body_of_unknown_shape_is_no_empty_answer(good_recording):
    bodies = [body.encode() if isinstance(body, str) else orjson.dumps(body) for body in UNKNOWN]

    for read in (good_recording.with_bytes(body).read() for body in bodies):
        assert read.outcome == "MalformedPayload" or (read.outcome == "records" and read.faults and not read.rows)


@pytest.mark.parametrize("counts", [(2,), (0, 3), ("4",), (None, 1.0)])
def test_no_row_where_the_answer_counts_some_is_malformed(counts):
    with pytest.raises(MalformedPayload, match="holds none"):
        counted([], *counts)


@pytest.mark.parametrize("counts", [(), (0,), (None,), ("no number",), ("0", 0)])
def test_no_row_where_the_answer_counts_none_is_an_empty_answer(counts):
    assert counted([], *counts) == []


def test_a_member_that_may_be_absent_is_absent_without_a_word():
    assert list(unrecognised({"a": [1]}, ("a", "b"))) == []


def test_a_new_member_beside_all_others_is_no_renamed_one():
    assert list(unrecognised({"a": [1], "b": [2], "new": [3]}, ("a", "b"))) == []


def test_a_renamed_member_is_a_dead_letter_that_names_both():
    (reject,) = unrecognised({"a": [1], "new": [3], "known": [4], "scalar": 5}, ("a", "b"), ("known",))

    assert (reject.rule, reject.row) == ("shape", {"new": [3]})
    assert reject.reason == '"new" is not documented, and "b" is missing'
