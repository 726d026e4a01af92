"""Who runs in a folder is decided by a lock that dies with its holder, and never by a process id."""

import asyncio
import os
import signal
import stat
import sys

import psutil
import pytest

from streams.errors import AlreadyRunning, RunFileInvalid
from streams.runtime import run_file
from streams.runtime.run_file import RunFile, read

SHAPE = {"pid": int, "url": str, "sandbox": (str, type(None))}
RECORD = {"pid": 1, "url": "http://127.0.0.1:1", "sandbox": None}
HOLDER = """
import signal, sys
from pathlib import Path
from streams.runtime.run_file import RunFile
held = RunFile(Path(sys.argv[1])).acquire()
held.publish({"pid": 1, "url": "theirs"})
print("held", flush=True)
signal.pause()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "run.json"


@pytest.fixture
async def other(path):
    """Another process that holds the file."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, path, stdout=asyncio.subprocess.PIPE)
    assert await process.stdout.readline() == b"held\n"
    yield process
    if process.returncode is None:
        process.kill()
    await process.wait()


def test_what_its_holder_publishes_is_read_by_others_for_this_user_only(path):
    held = RunFile(path).acquire()
    assert read(path, SHAPE) is None  # it starts
    held.publish(RECORD)

    assert read(path, SHAPE) == RECORD
    assert {stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()} == {0o600}
    held.publish({**RECORD, "url": "anew"})
    assert read(path, SHAPE)["url"] == "anew"
    held.release()
    assert read(path, SHAPE) is None
    assert not path.exists()


def test_where_nobody_ever_ran_nothing_is_read_and_nothing_is_made(path):
    assert read(path, SHAPE) is None
    assert not path.parent.exists()


async def test_a_second_one_is_refused_and_takes_nothing_from_the_first(path, other):
    second = RunFile(path)
    with pytest.raises(AlreadyRunning, match=f"is in use by process {other.pid}: stop it"):
        second.acquire()
    second.release()

    assert read(path, SHAPE)["url"] == "theirs"


async def test_a_holder_that_is_killed_blocks_nobody_whatever_process_has_its_number_now(path, other):
    os.kill(other.pid, signal.SIGKILL)
    await other.wait()
    left = path.read_text()
    assert "theirs" in left
    path.with_suffix(".lock").write_text(f"{os.getpid()}\n")  # a process of that number lives
    assert psutil.pid_exists(int(path.with_suffix(".lock").read_text()))

    assert read(path, SHAPE) is None
    held = RunFile(path).acquire()
    assert read(path, SHAPE) is None  # what was left is gone before anything new is there
    held.publish(RECORD)
    assert read(path, SHAPE) == RECORD
    held.release()


async def test_one_is_not_refused_because_others_look(path):
    RunFile(path).acquire().release()
    looking = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys; from pathlib import Path; from streams.runtime.run_file import read\n"
        "print('looking', flush=True)\nwhile True: read(Path(sys.argv[1]), {})",
        path,
        stdout=asyncio.subprocess.PIPE,
    )
    assert await looking.stdout.readline() == b"looking\n"
    for _ in range(200):
        await asyncio.to_thread(lambda: RunFile(path).acquire().release())
    looking.kill()
    await looking.wait()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[1]", "is not a JSON object"),
        ('{"pid": "1", "url": "u"}', "'pid' was '1'"),
        ('{"pid": true, "url": "u"}', "'pid' was True"),
        ('{"pid": 1}', "'url' was None"),
        ('{"pid": 1, "url": ["u"]}', r"'url' was \['u'\]"),
        ('{"pid": 1, "url": "u", "sandbox": 7}', "'sandbox' was 7"),
    ],
)
def test_a_file_of_another_shape_says_what_is_wrong_and_what_to_do(path, text, said):
    held = RunFile(path).acquire()
    path.write_text(text)

    with pytest.raises(RunFileInvalid, match=f"run.json.*{said}.*stop what runs in this folder and start it again"):
        read(path, SHAPE)
    held.release()
    path.write_text(text)
    assert read(path, SHAPE) is None  # nobody holds it: it says nothing


def test_a_field_that_a_newer_version_adds_is_no_fault(path):
    held = RunFile(path).acquire()
    held.publish({**RECORD, "more": 1})

    assert read(path, SHAPE) == RECORD
    held.release()


def test_no_reader_ever_sees_half_a_record(path, monkeypatch):
    held = RunFile(path).acquire()
    held.publish(RECORD)

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(run_file.json, "dump", full)
    with pytest.raises(OSError, match="no space"):
        held.publish({**RECORD, "url": "anew"})
    assert read(path, SHAPE) == RECORD
    monkeypatch.undo()
    held.publish({**RECORD, "url": "anew"})
    assert read(path, SHAPE)["url"] == "anew"
    held.release()
