"""Whole sessions through the command line: eight hours in less than a minute, killed and resumed, stopped by signals.

The sandbox runs in the test's process, on the same fast clock, so it outlives every kill and counts what arrives.
`TAPESTREAM_KILLS=20` kills as often as that.
"""

import asyncio
import json
import os
import random
import signal
import sys
import time
from datetime import UTC, datetime

import psutil
import pytest

from infra.clickhouse import Store
from infra.ports import free_port
from sandbox import Fault, Sandbox, SandboxSettings
from sandbox.server.clock import Clock
from sandbox.server.limits import Limit
from streams.runtime.process_tree import sandbox_environment
from streams.sessions import checkpoint
from streams.sessions.spec import PRESETS
from streams.sessions.state import RUNNING
from tests.waiting import ending, until

pytestmark = pytest.mark.pipeline

KILLS = int(os.environ.get("TAPESTREAM_KILLS", "3"))
HTTP_TIMEOUT_S = 5
ENDING_S = 240.0  # eight hours take half a minute; two sessions at once on a busy machine take a few
HOUR_MS = 3_600_000
BEGIN_MS = 1_717_419_600_000
"""2024-06-03T13:00Z, a Monday: every run begins there, so that two of them ask for the same days."""


class Rehearsal:
    """A sandbox whose keys hold to their free plans, the command line pointed at it, and time `rate` times as fast."""

    def __init__(self, folder, rate, fmp_a_day=250):
        self.folder, self.rate, self.fmp_a_day = folder, rate, fmp_a_day
        real = time.time_ns() // 1_000_000
        self.anchor = round((real * rate - BEGIN_MS) / (rate - 1))  # so that the fast clock shows BEGIN_MS now
        keys = {"fmp": {"demo-fmp-1": [Limit(fmp_a_day, "day")]}}
        clock = Clock(datetime.fromtimestamp(BEGIN_MS / 1000, UTC), rate)
        self.sandbox = Sandbox(SandboxSettings(keys=keys, clock=clock))
        self.process, self._printed = None, folder / "printed.txt"

    async def __aenter__(self):
        await self.sandbox.start()
        pointed = sandbox_environment(self.sandbox.url)
        self.environment = {
            **os.environ,
            **{name: value for name, value in pointed.items() if not name.endswith("_LIMITS")},
            "FMP_LIMITS": f"{self.fmp_a_day}/day",
            "DATA_DIR": str(self.folder / "data"),
            "WEB_PORT": str(free_port()),
            "CLOCK_RATE": str(self.rate),
            "CLOCK_ANCHOR": str(self.anchor),
            "HTTP_TIMEOUT_S": str(HTTP_TIMEOUT_S),
        }
        return self

    async def __aexit__(self, *_):
        if self.process and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        await self.sandbox.stop()

    async def begin(self, *words):
        """Start `tapestream session ...`, in a process group of its own; it prints into a file."""
        with self._printed.open("wb") as printed:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "streams", "session", *words),
                env=self.environment,
                cwd=self.folder,
                stdout=printed,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self):
        """What the process has printed so far."""
        return self._printed.read_text()

    async def end(self):
        """Wait for its end; returns (exit code, what it printed)."""
        code = await ending(self.process.wait(), "the end of the session's process", limit_s=ENDING_S)
        return code, self.said

    def now(self):
        """The time by the fast clock."""
        return self.anchor + (time.time_ns() // 1_000_000 - self.anchor) * self.rate

    async def kill(self):
        """Kill -9 the process group; the rest of the tree dies with it."""
        tree = psutil.Process(self.process.pid).children(recursive=True)
        os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()

        def alive():  # a zombie of the tree waits for the machine's init, which may reap none
            return [child for child in tree if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]

        await until(lambda: not alive(), "the end of the process tree")

    async def tell(self, *words):
        """Run another `tapestream session ...` meanwhile."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "streams", "session", *words),
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await ending(process.communicate(), f"`tapestream session {' '.join(words)}`")
        return process.returncode, output.decode()

    @property
    def path(self):
        """The folder of the newest session."""
        return max((self.folder / "data" / "sessions").iterdir(), key=lambda path: path.name)

    def session(self):
        return checkpoint.read(self.path).session

    def events(self, name):
        """The events of a name in the session's log."""
        lines = map(json.loads, (self.path / "session.log").read_text().splitlines())
        return [line for line in lines if line["event"] == name]

    def summary(self):
        return json.loads((self.path / "summary.json").read_text())

    def received(self):
        """Calls of our endpoints that reached the sandbox, by provider; Yahoo's session is none of them."""
        return {
            name: sum(
                count
                for told in keys.values()
                for endpoint, counts in told["endpoints"].items()
                for count in [counts["received"]]
                if endpoint not in {"cookie", "getcrumb"}
            )
            for name, keys in self.sandbox.calls().items()
        }

    def refused(self):
        return {name: sum(told["refused"] for told in keys.values()) for name, keys in self.sandbox.calls().items()}


@pytest.fixture
async def rehearsal(tmp_path, request):
    async with Rehearsal(tmp_path, request.param) as found:
        yield found


def at_rate(rate):
    return pytest.mark.parametrize("rehearsal", [rate], indirect=True, ids=[f"{rate} times as fast"])


async def stored(folder, *questions):
    """Answers of the store, which nobody has open."""
    async with await Store.open(f"chdb://{folder / 'data' / 'store'}", readonly=True) as store:
        return [(await store.query(sql)).rows for sql in questions]


# -- eight hours -----------------------------------------------------------------------------------------------------


@at_rate(960)
async def test_a_production_session_of_eight_hours_counts_what_store_and_sandbox_count_and_ends_in_time(rehearsal):
    await rehearsal.begin("start", "--mode", "production")
    code, said = await rehearsal.end()
    assert code == 0, said
    summary, session = rehearsal.summary(), rehearsal.session()
    calls, polls, late = await stored(
        rehearsal.folder,
        f"SELECT provider, count() FROM api_calls WHERE startsWith(request_id, '{session.spec.id}-') GROUP BY 1",
        "SELECT provider, sum(records) FROM polls GROUP BY 1",
        "SELECT max(toUnixTimestamp64Milli(started_at)), max(toUnixTimestamp64Milli(ended_at)) FROM api_calls",
    )

    told = summary["source_performance"]
    assert summary["session_summary"]["state"] == "completed"
    assert {name: counts["calls"] for name, counts in told.items()} == dict(calls) == rehearsal.received()
    assert {name: counts["records"] for name, counts in told.items()} == dict(polls)
    assert len(told) == 8
    assert min(dict(polls)[name] for name in told if name != "finnhub") > 0
    end = session.started + 8 * HOUR_MS
    assert late[0][0] < end
    assert late[0][1] <= end + HTTP_TIMEOUT_S * 1000 * rehearsal.rate
    assert end <= session.ended
    assert "8 h 0 min" in said
    assert 12 <= said.count("calls/records") <= 16


# -- kills -----------------------------------------------------------------------------------------------------------

SYMBOLS = sorted(asset.symbol for asset in PRESETS["production"].symbols)[: 9 + 2 * KILLS]
WISH = (
    *("start", "--hours", "4", "--symbols", ",".join(SYMBOLS), "--sources", "polygon,fmp,yahoo,alpaca"),
    *("--datasets", "bars,actions,profile,statements,earnings"),
)
FMP_A_DAY = 8 * len(SYMBOLS) + 40 * KILLS
VALUES = {
    "bars": "* EXCEPT (observed_at, request_id)",
    "actions": "* EXCEPT (observed_at, request_id)",
    "statements": "* EXCEPT (observed_at, request_id)",
    "earnings": "* EXCEPT (observed_at, request_id)",
    "profiles": "DISTINCT * EXCEPT (observed_at, request_id, ts, market_cap)",  # a repeated one is of another moment
}
CONTENT = [f"SELECT {what} FROM {name} ORDER BY ALL" for name, what in VALUES.items()]
ATTEMPTS = """
    SELECT DISTINCT splitByChar('.', substring(root, length(root) - 31))[1] AS unit, splitByChar('.', root)[2] AS begun
    FROM (SELECT splitByChar('/', request_id)[1] AS root FROM api_calls)
"""


@pytest.mark.timeout(600 + 40 * KILLS)
async def test_killed_again_and_again_a_session_brings_what_an_undisturbed_one_does(tmp_path):
    for name in ("killed", "undisturbed"):
        (tmp_path / name).mkdir()
    async with (
        Rehearsal(tmp_path / "killed", 30, FMP_A_DAY) as rehearsal,
        Rehearsal(tmp_path / "undisturbed", 30, FMP_A_DAY) as undisturbed,
    ):
        await undisturbed.begin(*WISH)
        kills = await killed_and_resumed(rehearsal, random.Random(11))
        code, said = await rehearsal.end()
        assert code == 0, said
        code, said = await undisturbed.end()
        assert code == 0, said
        calm, calm_calls = undisturbed.session(), undisturbed.received()
        session = rehearsal.session()
    expected = await stored(undisturbed.folder, *CONTENT)
    *found, attempts, counted = await stored(
        rehearsal.folder,
        *CONTENT,
        ATTEMPTS,
        "SELECT provider, count() FROM api_calls GROUP BY 1",
    )

    assert len(kills) == KILLS
    assert 0 < len(kills[-1][1]) < len(session.done)
    assert session.state == calm.state == "completed"
    assert session.done == calm.done
    assert len(session.done) == session.planned
    assert min(map(len, expected)) > 0
    for name, ours, theirs in zip(VALUES, found, expected, strict=True):
        assert ours == theirs, name
    again = {unit for unit, begun in attempts for at, done in kills if unit in done and int(begun, 16) > at}
    assert again == set()
    assert sum(rehearsal.refused().values()) == 0
    told = rehearsal.summary()["source_performance"]
    assert {name: counts["calls"] for name, counts in told.items()} == dict(counted)
    lost = {name: dict(counted)[name] - calls for name, calls in calm_calls.items()}
    assert min(lost.values()) >= 0
    # what was under way, or ended and not yet known to be stored, at a kill
    assert sum(lost.values()) <= KILLS * 4 * 32


async def killed_and_resumed(rehearsal, chance):
    """Kill the session at random moments; gives for each kill its time and the units that were done."""
    kills = []
    await rehearsal.begin(*WISH)
    for kill in range(KILLS):
        target = sum(rehearsal.received().values()) + chance.randrange(1, 12)
        await until(lambda target=target: sum(rehearsal.received().values()) >= target, f"{target} calls")
        if kill % 3:  # else it may be too soon for anything to be known to be stored
            known = rehearsal.session().done
            await until(lambda known=known: rehearsal.session().done > known, "more units that are done")
        await asyncio.sleep(chance.random())
        assert rehearsal.process.returncode is None, "the session ended before its kill: give it more to do"
        await rehearsal.kill()
        kills.append((rehearsal.now(), rehearsal.session().done))
        assert rehearsal.session().state in RUNNING
        await rehearsal.begin("resume", "last")
    return kills


# -- signals ---------------------------------------------------------------------------------------------------------


async def leaves(rehearsal, number):
    """Send a signal; returns what was printed, once the process has ended in good order."""
    rehearsal.process.send_signal(number)
    code, said = await rehearsal.end()
    assert code == 0, said
    assert rehearsal.summary()["session_summary"]["state"] == rehearsal.session().state
    return said


async def more_calls(rehearsal):
    before = sum(rehearsal.received().values())
    await until(lambda: sum(rehearsal.received().values()) > before, "one more call")


@pytest.mark.timeout(600)
@at_rate(30)
async def test_a_signal_in_any_phase_ends_the_process_and_the_session_can_go_on(rehearsal):
    await rehearsal.begin("start", "--mode", "production", "--hours", "2", "--sources", "polygon,yahoo")
    await until((rehearsal.folder / "data" / "logs" / "worker.log").exists, "the worker to start")
    said = await leaves(rehearsal, signal.SIGINT)
    assert rehearsal.session().state == "planned"
    assert "goes on" in said

    await rehearsal.begin("start", "--mode", "production", "--resume")
    await more_calls(rehearsal)
    said = await leaves(rehearsal, signal.SIGTERM)
    session = rehearsal.session()
    assert session.state == "paused"
    assert f"tapestream session resume {session.spec.id}" in said
    ended, polls, bars = await stored(
        rehearsal.folder,
        "SELECT count() FROM api_calls WHERE outcome = 'records'",
        "SELECT count() FROM polls WHERE outcome = 'records'",
        # Yahoo's splits and dividends ride in the same answers as its bars
        "SELECT sum(records), (SELECT count() FROM bars WHERE source != 'yahoo') "
        "FROM polls WHERE dataset = 'bars' AND provider != 'yahoo'",
    )
    assert ended[0][0] == polls[0][0] == sum(rehearsal.received().values())
    assert bars[0][0] == bars[0][1] > 0

    await rehearsal.begin("resume")
    await more_calls(rehearsal)
    assert (await rehearsal.tell("pause"))[1].endswith("is paused\n")
    await leaves(rehearsal, signal.SIGINT)
    assert rehearsal.session().state == "paused"

    await rehearsal.begin("resume", str(rehearsal.path / "checkpoint.previous.json"))
    await more_calls(rehearsal)
    rehearsal.process.send_signal(signal.SIGINT)
    await until(lambda: "stopping;" in rehearsal.said, "the answer to the first signal")
    rehearsal.process.send_signal(signal.SIGINT)
    code, said = await rehearsal.end()
    assert code == 130, said

    await rehearsal.begin("resume", "last")
    await more_calls(rehearsal)
    stopping = asyncio.ensure_future(rehearsal.tell("stop", "last"))
    await until(lambda: rehearsal.session().state == "stopping", "the session to stop")
    await leaves(rehearsal, signal.SIGTERM)
    assert (await stopping)[0] == 0
    assert rehearsal.session().state == "completed"
    assert await rehearsal.tell("resume", "last") == (
        1,
        f"tapestream: session {session.spec.id} is completed: start another one\n",
    )


@at_rate(30)
async def test_a_signal_waits_for_no_provider_that_never_answers(rehearsal):
    """The exit's own bound ends the wait: a call may take an hour, longer than this test, and the log says so."""
    rehearsal.environment["HTTP_TIMEOUT_S"] = "3600"
    rehearsal.sandbox.misbehave(Fault("hang"))
    await rehearsal.begin("start", "--mode", "production", "--hours", "2", "--sources", "polygon,yahoo")
    await more_calls(rehearsal)
    await leaves(rehearsal, signal.SIGTERM)

    (given_up,) = rehearsal.events("units.given_up")
    assert given_up["count"] > 0
    assert rehearsal.session().state == "paused"
    assert rehearsal.session().done == set()
