"""What reaches stderr, in which form, and what never does."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAIL = """
def call(key):
    raise RuntimeError("broken")

try:
    call("sesame-in-a-local-variable")
except RuntimeError:
    telemetry.get("agents.polling.poller").exception("poller.fault", request_id="r1")
"""


def python(code, level="info", **options):
    program = f"import logging\nfrom infra import telemetry\ntelemetry.configure({level!r})\n{code}"
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60, **options)


def logged(code, level="info"):
    done = python(code, level, capture_output=True, text=True)
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def on_a_terminal(code):
    terminal, child = pty.openpty()
    try:
        python(code, stderr=child)
        os.close(child)
        return os.read(terminal, 65_536).decode()
    finally:
        os.close(terminal)


def test_lines_are_json_with_time_level_and_logger():
    (line,) = logged('telemetry.get("streams.messaging.mailbox").info("mailbox.opened", partition=6)')

    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "mailbox.opened", "partition": 6, "level": "info", "logger": "streams.messaging.mailbox"}


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level_decides_for_our_own_code(level, seen):
    code = (
        'log = telemetry.get("infra.x")\nfor level in ("debug", "info", "warning", "error"): getattr(log, level)("e")'
    )

    assert [line["level"] for line in logged(code, level)] == seen


@pytest.mark.parametrize(("level", "seen"), [("info", ["WARNING"]), ("debug", ["DEBUG", "INFO", "WARNING"])])
def test_libraries_are_heard_from_warning_on_and_in_full_when_debugging(level, seen):
    code = 'for name in ("DEBUG", "INFO", "WARNING"): logging.getLogger("faust.app").log(getattr(logging, name), name)'

    assert [line["event"] for line in logged(code, level)] == seen


@pytest.mark.parametrize("library", ["httpx", "httpcore.http11", "hpack.hpack"])
def test_libraries_that_log_urls_and_headers_are_never_heard_below_warning(library):
    code = f"""
log = logging.getLogger({library!r})
log.info("GET https://api.example/?apikey=sesame")
log.debug("authorization: Bearer sesame")
log.warning("something odd")
"""
    assert [line["event"] for line in logged(code, "debug")] == ["something odd"]


def test_a_fault_comes_with_its_traceback_on_one_line_without_local_variables():
    (line,) = logged(FAIL)

    assert (line["event"], line["request_id"], line["level"]) == ("poller.fault", "r1", "error")
    assert "RuntimeError: broken" in line["exception"]
    assert "sesame" not in json.dumps(line)


def test_on_a_terminal_a_traceback_shows_no_local_variables_either():
    shown = on_a_terminal(FAIL)

    assert "RuntimeError: broken" in shown
    assert "poller.fault" in shown
    assert "sesame" not in shown


HOSTILE = """
evil = "\\x1b[2J\\r\\x9b\\u202e"
try:
    raise RuntimeError(f"said {evil}")
except RuntimeError:
    log = telemetry.get("agents.polling.poller")
    log.exception(f"event {evil}", reason=evil, listed=[evil])
    logging.getLogger("faust").warning("library %s", evil)
"""


def test_what_a_terminal_would_obey_is_shown_wherever_it_is_in_a_line():
    shown = on_a_terminal(HOSTILE)

    assert shown.count("\\u001b[2J\\u000d\\u009b\\u202e") >= 4
    assert not {"\x1b[2J", "\x9b", "\u202e"} & {shown[at : at + size] for at in range(len(shown)) for size in (1, 4)}
    assert all(line.endswith("\r") and line.count("\r") == 1 for line in shown.split("\n")[:-1])  # the terminal's own


def test_lines_for_a_program_are_ascii():
    done = python(HOSTILE, capture_output=True)

    assert done.stderr.isascii()
    assert b"\x1b" not in done.stderr


def test_context_is_on_every_line():
    code = """
import structlog
with structlog.contextvars.bound_contextvars(job_id="j1"):
    telemetry.get("agents.sink").info("sink.inserted")
"""
    assert [line["job_id"] for line in logged(code)] == ["j1"]
