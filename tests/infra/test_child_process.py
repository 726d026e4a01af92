"""Children are started, watched and stopped in order, and never outlive us."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from infra.child_process import Child, ChildFailed

SLEEP = "import signal; signal.pause()"
GRACEFUL = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("goodbye", flush=True), sys.exit(7)))
print("hello", flush=True)
signal.pause()
"""
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("hello", flush=True)
while True:
    signal.pause()
"""
# Holds a connection to us open for as long as it lives.
WITNESS = "import signal, socket; line = socket.create_connection(('127.0.0.1', {port})); signal.pause()"
PARENT = """
import asyncio, sys
from pathlib import Path
from infra.child_process import Child

async def main(code, log):
    child = await Child.start("the child", [sys.executable, "-c", code], log=Path(log))
    await child.wait()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "child.log"


@pytest.fixture
async def witness():
    """Code for a process to run, and the stream that ends when that process is dead."""
    arrived = asyncio.get_running_loop().create_future()
    async with await asyncio.start_server(lambda *line: arrived.set_result(line), "127.0.0.1", 0) as server:
        yield WITNESS.format(port=server.sockets[0].getsockname()[1]), arrived
        (await arrived)[1].close()


async def python(code: str, log: Path, **options) -> Child:
    return await Child.start("the child", [sys.executable, "-c", code], log=log, **options)


async def said_hello(log: Path) -> bool:
    return "hello" in log.read_text()  # noqa: ASYNC240 - a line


async def test_its_output_and_exit_code_are_kept(log):
    child = await python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(5)", log)

    assert await child.wait() == 5
    assert child.returncode == 5
    assert sorted(log.read_text().split()) == ["err", "out"]


async def test_the_log_is_appended_to(log):
    for word in ("first", "second"):
        await (await python(f"print({word!r})", log)).wait()

    assert log.read_text().split() == ["first", "second"]


async def test_stop_lets_it_finish_its_work(log):
    child = await python(GRACEFUL, log)
    await child.until_ready(lambda: said_hello(log), within_s=20)

    assert await child.stop(grace_s=20) == 7
    assert log.read_text().split() == ["hello", "goodbye"]
    assert await child.stop() == 7, "stopping twice is harmless"


async def test_stop_kills_what_does_not_listen(log):
    child = await python(STUBBORN, log)
    await child.until_ready(lambda: said_hello(log), within_s=20)

    assert await child.stop(grace_s=0.1) == -signal.SIGKILL


async def test_a_cancelled_stop_kills_at_once(log):
    child = await python(STUBBORN, log)
    await child.until_ready(lambda: said_hello(log), within_s=20)
    stopping = asyncio.create_task(child.stop(grace_s=1000))
    await asyncio.sleep(0)  # one turn of the loop, so that the stop has begun

    stopping.cancel()

    assert await child.wait() == -signal.SIGKILL
    assert stopping.cancelled()


async def test_the_kill_reaches_its_own_children(log, witness):
    code, arrived = witness
    child = await python(
        f"import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"subprocess.run([sys.executable, '-c', {code!r}])",
        log,
    )
    reader, _ = await arrived

    await child.stop(grace_s=0.1)

    assert await reader.read() == b""


async def test_the_terminal_does_not_reach_it(log):
    child = await python(SLEEP, log)

    try:
        assert os.getsid(child.pid) == child.pid != os.getsid(0)
    finally:
        await child.stop()


async def test_memory_is_read_while_it_runs(log):
    child = await python(SLEEP, log)

    assert child.rss() > 0
    await child.stop()
    assert child.rss() == 0


async def test_it_gets_only_the_given_environment(log, monkeypatch):
    monkeypatch.setenv("POLYGON_API_KEY", "secret")
    child = await python("import os; print(*os.environ)", log, env={"COLOUR": "no"})

    await child.wait()

    assert "COLOUR" in log.read_text()
    assert "POLYGON_API_KEY" not in log.read_text()


async def test_an_early_end_says_its_last_words(log):
    child = await python("import sys; sys.exit('no disk')", log)

    with pytest.raises(ChildFailed, match=r"^the child ended with exit code 1 .*: no disk \(its log: .*child.log\)$"):
        await child.until_ready(lambda: asyncio.sleep(0, False), within_s=20)


async def test_readiness_is_bounded(log):
    child = await python(SLEEP, log)

    try:
        with pytest.raises(ChildFailed, match=r"was not ready after 0\.2 s"):
            await child.until_ready(lambda: asyncio.sleep(0, False), within_s=0.2)
        assert child.returncode is None
    finally:
        await child.stop()


async def test_a_probe_that_fails_is_not_hidden(log):
    async def probe() -> bool:
        raise LookupError("a bug in the probe")

    child = await python(SLEEP, log)
    try:
        with pytest.raises(LookupError):
            await child.until_ready(probe, within_s=20)
    finally:
        await child.stop()


async def test_a_missing_program_is_named(log):
    with pytest.raises(ChildFailed, match="cannot start the child: there is no program no-such-program"):
        await Child.start("the child", ["no-such-program"], log=log)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills the children of a killed process")
async def test_it_dies_with_a_parent_that_was_killed(log, witness):
    code, arrived = witness
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, code, str(log))
    reader, _ = await arrived

    parent.kill()

    assert await parent.wait() == -signal.SIGKILL
    assert await reader.read() == b""
