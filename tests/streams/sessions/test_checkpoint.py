"""A checkpoint is whole or refused, and a kill at any moment leaves the old or the new one."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import CheckpointRefused
from streams.sessions import checkpoint
from streams.sessions.checkpoint import CURRENT, NEW, PREVIOUS, read, read_file, write
from streams.sessions.spec import preset
from streams.sessions.state import Checkpointed, Failed, Session, Started, UnitDone, UnitsPlanned, advance, unit_id

ROOT = Path(__file__).parents[3]


def session_of(session_id="t-1", units=3):
    session = advance(Session(preset("test", session_id, "Ann")), UnitsPlanned(units + 1), 1_000)
    session = advance(session, Started(), 2_000)
    for number in range(units):
        event = UnitDone(unit_id("yahoo", {"start": number}), "yahoo", 10, 2, 1, "records")
        session = advance(session, event, 3_000 + number * 1_000_000)
    return next_of(session)


def next_of(session):
    return advance(session, Checkpointed(), session.at + 60_000)


OLD = session_of()
NEWER = next_of(OLD)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("folder")


@pytest.fixture(scope="module")
def document(folder):
    write(folder, OLD)
    return (folder / CURRENT).read_bytes()


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """Reads a folder whose current checkpoint (of NEWER) holds the given bytes and whose previous one is OLD."""
    folder = tmp_path_factory.mktemp("damaged")
    write(folder, OLD)
    write(folder, NEWER)
    whole = (folder / CURRENT).read_bytes()

    def reading(change):
        (folder / CURRENT).write_bytes(change(whole))
        return read(folder, OLD.spec.id)

    return reading


def forged(session, payload=None, /, **header):
    """A document with a right sum, whatever it holds."""
    if payload is None:
        payload = orjson.dumps(session, default=sorted, option=orjson.OPT_NON_STR_KEYS)
    fields = {
        "format": "tapestream.checkpoint",
        "version": 1,
        "session": session.spec.id,
        "sequence": session.checkpoints,
        "created": session.at,
        "sha256": hashlib.sha256(payload).hexdigest(),
    } | header
    return orjson.dumps(fields)[:-1] + b',"payload":' + payload + b"}\n"


def test_what_is_written_is_read_again(tmp_path):
    for session in (OLD, advance(NEWER, Failed("StoreAway"), 10**12), Session(preset("production", "t-1"))):
        folder = tmp_path / session.state
        write(folder, session)

        assert read(folder) == checkpoint.Loaded(session)
        assert read_file(folder / CURRENT) == session


def test_the_one_before_is_kept(tmp_path):
    write(tmp_path, OLD)
    write(tmp_path, NEWER)

    assert read_file(tmp_path / PREVIOUS) == OLD
    assert {path.name for path in tmp_path.iterdir()} == {CURRENT, PREVIOUS}


def test_the_document_is_json_with_a_telling_header(document):
    told = orjson.loads(document)

    payload = told.pop("payload")
    assert told == {
        "format": "tapestream.checkpoint",
        "version": 1,
        "session": "t-1",
        "sequence": 1,
        "created": OLD.at,
        "sha256": hashlib.sha256(document.partition(b'"payload":')[2][:-2]).hexdigest(),
    }
    assert payload["done"] == sorted(OLD.done)
    assert document == forged(OLD)


def test_a_file_cut_anywhere_is_refused_and_the_previous_one_used(document, damaged):
    for length in range(len(document)):
        loaded = damaged(lambda whole, length=length: whole[:length])

        assert (loaded.session, loaded.from_previous) == (OLD, True)
        assert CURRENT in loaded.refused
        assert "\n" not in loaded.refused


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=5))
def test_flipped_bytes_are_refused_or_change_nothing(damaged, flips):
    changed = []

    def flip(whole):
        document = bytearray(whole)
        for place, value in flips:
            document[place % len(document)] = value
        changed.append(bytes(document) != whole)
        return bytes(document)

    loaded = damaged(flip)

    if changed[0]:
        assert (loaded.session, loaded.from_previous, bool(loaded.refused)) == (OLD, True, True)
    else:
        assert loaded == checkpoint.Loaded(NEWER)


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda tail: b'{"format":"tapestream.checkpoint",' + tail))
def test_any_bytes_are_refused_in_one_line(folder, content):
    path = folder / "anything.json"
    path.write_bytes(content)

    with pytest.raises(CheckpointRefused) as caught:
        read_file(path)
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.sampled_from(sorted(Session.__slots__)), JSON)
def test_a_payload_of_another_shape_with_a_right_sum_is_refused_or_a_session_like_any_other(folder, name, value):
    payload = orjson.loads(forged(OLD).partition(b'"payload":')[2][:-2]) | {name: value}
    path = folder / "shape.json"
    path.write_bytes(forged(OLD, json.dumps(payload).encode()))
    try:
        found = read_file(path)
    except CheckpointRefused:
        return
    path.write_bytes(forged(found))
    assert read_file(path) == found


@pytest.mark.parametrize(
    "numbers", [{"planned": -1}, {"spent_ms": 10**30}, {"checkpoints": 1.5}, {"checkpoints": True}, {"at": "1"}]
)
def test_numbers_that_no_session_can_have_are_refused(folder, numbers):
    payload = orjson.loads(forged(OLD).partition(b'"payload":')[2][:-2]) | numbers
    (folder / "numbers.json").write_bytes(forged(OLD, json.dumps(payload).encode()))

    with pytest.raises(CheckpointRefused, match=f"holds no session: {next(iter(numbers))}: "):
        read_file(folder / "numbers.json")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b'{"format":"another.program","version":1}\n', "is no tapestream.checkpoint"),
        (forged(OLD, version=2), "is of version 2, written by a newer program: this one reads version 1"),
        (forged(OLD, version=0), "is of version 0, written by no known program"),
        (forged(OLD)[:-2], "is cut off"),
        (forged(OLD)[:60], "is cut off"),
        (forged(OLD).replace(b'"records":30', b'"records":90'), "its SHA-256 is another"),
        (forged(OLD, sequence=7), "its header and its payload do not belong together"),
        (forged(OLD, session="t-2"), "its header and its payload do not belong together"),
        (forged(OLD, b'{"spec":1}'), "holds no session: spec"),
        (forged(OLD, b"not json"), "holds no session: payload"),
        (forged(session_of("t-2")), "is of session t-2, not of t-1"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, content, complaint):
    write(tmp_path, OLD)
    write(tmp_path, NEWER)
    (tmp_path / CURRENT).write_bytes(content)

    loaded = read(tmp_path, "t-1")

    assert (loaded.session, loaded.from_previous) == (OLD, True)
    assert f"{CURRENT} " in loaded.refused
    assert complaint in loaded.refused


def test_a_folder_without_a_usable_checkpoint_says_what_is_wrong_with_both(tmp_path):
    with pytest.raises(CheckpointRefused, match=rf"{CURRENT} is missing; .*{PREVIOUS} is missing"):
        read(tmp_path)
    (tmp_path / CURRENT).write_bytes(b"")
    (tmp_path / PREVIOUS).mkdir()

    with pytest.raises(CheckpointRefused, match=rf"{CURRENT} is empty; .*{PREVIOUS} cannot be read: Is a directory"):
        read(tmp_path)


def test_a_damaged_checkpoint_never_takes_the_place_of_the_good_one_before(tmp_path):
    write(tmp_path, OLD)
    write(tmp_path, NEWER)
    (tmp_path / CURRENT).write_bytes(b"torn")

    write(tmp_path, next_of(NEWER))

    assert read_file(tmp_path / PREVIOUS) == OLD
    assert read(tmp_path).session == next_of(NEWER)


def test_another_session_s_or_a_later_checkpoint_is_not_replaced(tmp_path):
    write(tmp_path, NEWER)
    before = (tmp_path / CURRENT).read_bytes()
    with pytest.raises(CheckpointRefused, match="is of session t-1: give t-2 its own folder"):
        write(tmp_path, session_of("t-2"))
    with pytest.raises(CheckpointRefused, match="is number 2, later than 1"):
        write(tmp_path, OLD)

    assert (tmp_path / CURRENT).read_bytes() == before
    write(tmp_path, NEWER)  # the same again is a retry


def test_it_is_on_disk_before_it_takes_its_name_and_the_names_after(tmp_path, monkeypatch):
    steps = []
    fsync, rename = os.fsync, Path.replace

    def noted_fsync(descriptor):
        steps.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def noted_rename(path, target):
        steps.append(f"{path.name} -> {target.name}")
        return rename(path, target)

    write(tmp_path, OLD)
    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_rename)
    write(tmp_path, NEWER)

    assert steps == [f"fsync {NEW}", f"{CURRENT} -> {PREVIOUS}", f"{NEW} -> {CURRENT}", f"fsync {tmp_path.name}"]


class Killed(BaseException):
    """Nothing catches it, like a kill."""


def killed_at(step, folder, session):
    """Write, but end before the step-th line of the module is run. True when it had not come to its end."""
    lines = iter(range(step))

    def trace(frame, event, _):
        if frame.f_code.co_filename != checkpoint.__file__:
            return None
        if event == "line" and next(lines, None) is None:
            raise Killed
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        write(folder, session)
    except Killed:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.filterwarnings("ignore:unclosed file")  # a kill closes nothing
@pytest.mark.parametrize("previous", ["good", "only one", "current damaged"])
def test_a_write_that_ends_at_any_of_its_steps_leaves_the_old_or_the_new_state(tmp_path, previous):
    step, seen = 0, set()
    while True:
        folder = tmp_path / str(step)
        write(folder, OLD)
        if previous != "only one":
            write(folder, NEWER)
        if previous == "current damaged":
            (folder / CURRENT).write_bytes(b"torn")
        old, new = read(folder).session, next_of(NEWER)

        killed = killed_at(step, folder, new)

        found = read(folder, "t-1").session
        assert found in (old, new)
        seen.add(found == new)
        write(folder, new)
        assert read(folder).session == new
        if not killed:
            break
        step += 1
    assert found == new
    assert seen == {True, False}
    assert step > 20


WRITER = """
import sys
from pathlib import Path
from streams.sessions.checkpoint import read, write
from streams.sessions.state import Checkpointed, advance

folder = Path(sys.argv[1])
session = read(folder).session
while True:
    session = advance(session, Checkpointed(), session.at + 1)
    write(folder, session)
    print(session.checkpoints, flush=True)
"""


def test_a_killed_process_leaves_a_state_no_older_than_the_last_it_reported(tmp_path):
    write(tmp_path, session_of(units=200))
    for reports in (1, 2, 3, 5, 8):
        command = [sys.executable, "-c", WRITER, str(tmp_path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
            reported = [int(writer.stdout.readline()) for _ in range(reports)]
            writer.send_signal(signal.SIGKILL)
            reported += map(int, filter(None, writer.stdout.read().split("\n")))

        assert read(tmp_path, "t-1").session.checkpoints in (reported[-1], reported[-1] + 1)


def test_sixteen_thousand_units_take_under_half_a_megabyte_and_come_back(tmp_path):
    units = frozenset(unit_id("polygon", {"start": number}) for number in range(16_000))
    session = replace(OLD, planned=16_000, done=units)

    write(tmp_path, session)

    assert read(tmp_path).session.done == units
    assert (tmp_path / CURRENT).stat().st_size < 500_000
