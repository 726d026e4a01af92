"""A program asks the running pipeline, and every symbol gets its own answer."""

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from infra.kafka.connection import BrokerUnreachable
from infra.ports import free_port
from sandbox import Fault
from streams.client import Client, fetch_ticker, fetch_tickers, get_quote

pytestmark = [pytest.mark.pipeline, pytest.mark.asyncio(loop_scope="module")]

README = Path(__file__).parents[2] / "README.md"
MONTH = {"start": "2024-05-01", "end": "2024-05-31"}
TRADED = 22  # days on which the exchanges were open in May 2024


class Meter:
    """Counts the calls that providers receive from now on."""

    def __init__(self, pipeline):
        self._sandbox = pipeline.sandbox
        self._before = self._all()

    def __call__(self):
        return self._all() - self._before

    def _all(self):
        return sum(key["received"] for keys in self._sandbox.calls().values() for key in keys.values())


async def test_thirty_days_of_several_symbols_come_at_once_and_an_unknown_one_fails_alone(pipeline_shared):
    symbols = ["IBM", "ZZZZZ", "AAPL", "NVDA"]

    found = await fetch_tickers(symbols, days=30, bootstrap=pipeline_shared.bootstrap)

    assert list(found) == symbols
    assert {symbol: result.success for symbol, result in found.items()} == {
        "IBM": True,
        "ZZZZZ": False,
        "AAPL": True,
        "NVDA": True,
    }
    for symbol in ("IBM", "AAPL", "NVDA"):
        assert found[symbol].tried == ()
        assert 18 <= len(found[symbol].candles) <= 23
        assert {bar.symbol for bar in found[symbol].candles} == {symbol}
    assert found["ZZZZZ"].tried
    assert found["ZZZZZ"].error


async def test_one_connection_serves_calls_at_the_same_time(pipeline_shared):
    async with Client(pipeline_shared.bootstrap) as client:
        bars, singly, cut, quote = await asyncio.gather(
            client.fetch_tickers(["IBM", "AAPL"], **MONTH, providers=["alpaca"]),
            client.fetch_ticker("MSFT", **MONTH, providers=["polygon"]),
            client.fetch_ticker("IBM", days=20, interval="1m", providers=["yahoo"]),
            client.get_quote("BTC-USD", asset_class="crypto"),
        )
        again = await client.fetch_ticker("MSFT", **MONTH, providers=["yahoo"])

    assert {symbol: (result.source, len(result.candles)) for symbol, result in bars.items()} == {
        "IBM": ("alpaca", TRADED),
        "AAPL": ("alpaca", TRADED),
    }
    assert (singly.source, len(singly.candles)) == ("polygon", TRADED)
    assert (again.source, len(again.candles)) == ("yahoo", TRADED)
    assert (cut.source, cut.error, len({bar.ts for bar in cut.candles})) == ("yahoo", None, len(cut.candles))
    assert cut.candles[-1].ts - cut.candles[0].ts > 14 * 86_400_000  # a week is the most that one call gives
    assert quote.quote.symbol == "BTC-USD"


async def test_symbols_of_a_call_are_asked_at_once_where_the_provider_takes_several(pipeline_shared):
    pipeline, received = pipeline_shared, Meter(pipeline_shared)

    found = await fetch_tickers(["IBM", "AAPL", "MSFT"], **MONTH, providers=["alpaca"], bootstrap=pipeline.bootstrap)

    assert [len(result.candles) for result in found.values()] == [TRADED] * 3
    assert received() == 1


async def test_another_provider_serves_what_the_first_one_spoils(pipeline_shared):
    pipeline = pipeline_shared
    pipeline.sandbox.misbehave(Fault("broken_json", provider="polygon"))

    result = await fetch_ticker("IBM", **MONTH, providers=["polygon", "yahoo"], bootstrap=pipeline.bootstrap)

    assert result.success
    assert (result.source, len(result.candles)) == ("yahoo", TRADED)
    assert [(tried.provider, tried.outcome) for tried in result.tried] == [("polygon", "MalformedPayload")]
    assert result.tried[0].reason


async def test_a_time_out_tells_who_was_asked_and_leaves_the_others_alone(pipeline_shared):
    pipeline = pipeline_shared
    faults = [Fault("broken_json", provider="polygon", symbol="IBM"), Fault("hang", provider="yahoo", symbol="IBM")]
    pipeline.sandbox.misbehave(*faults)
    options = {"providers": ["polygon", "yahoo"], "timeout_s": 5, "bootstrap": pipeline.bootstrap}

    found = await fetch_tickers(["IBM", "AAPL"], **MONTH, **options)

    assert found["AAPL"].success
    assert [tuple(tried)[:2] for tried in found["IBM"].tried] == [("polygon", "MalformedPayload"), ("yahoo", "Timeout")]
    assert found["IBM"].error.startswith("timed out after 5 s: polygon: MalformedPayload")


async def test_a_young_quote_answers_without_a_call_unless_a_fresh_one_is_wanted(pipeline_shared):
    received = Meter(pipeline_shared)
    async with Client(pipeline_shared.bootstrap) as client:
        first = await client.get_quote("NVDA")
        calls = received()
        second = await client.get_quotes(["NVDA", "KO"])
        after = received()
        known = await client.get_quote("KO")
        forced = await client.get_quote("NVDA", force_fresh=True)

    assert first.success
    assert not first.cached
    assert (second["NVDA"].cached, second["NVDA"].quote.price) == (True, first.quote.price)
    assert (second["NVDA"].source, second["NVDA"].quote.observed_at) == (first.source, first.quote.observed_at)
    assert (second["KO"].success, second["KO"].cached) == (True, False)
    assert known.cached
    assert (calls, after) == (1, 2)
    assert (forced.success, forced.cached, received()) == (True, False, 3)
    assert forced.quote.observed_at > first.quote.observed_at


async def test_a_wish_that_nobody_serves_is_told_without_a_call(pipeline_shared):
    bootstrap, received = pipeline_shared.bootstrap, Meter(pipeline_shared)

    odd = await get_quote("no symbol at all", bootstrap=bootstrap)
    not_entitled = await fetch_ticker("EUR/USD", asset_class="forex", providers=["brightdata"], bootstrap=bootstrap)

    assert odd.error.startswith("nobody can serve it: ")
    assert not_entitled.error.startswith("nobody can serve it: brightdata does not serve forex bars 1d")
    assert (odd.tried, not_entitled.tried) == ((), ())
    assert received() == 0


DAYS = ("--interval", "1d")


async def polled(pipeline, *arguments):
    """Run `tapestream poll` beside the pipeline; returns (exit code, what it printed)."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams", "poll", *arguments),
        env=pipeline.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    return process.returncode, printed.decode()


async def test_poll_asks_the_canonical_symbols_and_says_what_the_others_may_mean(pipeline_shared):
    week = (*DAYS, "--start", "2012-06-04", "--end", "2012-06-08", "--provider", "polygon")

    code, printed = await polled(pipeline_shared, "bars", "AAPL", "BRK-B", "MSFT", *week)

    assert "not asked: BRK-B is not canonical: did you mean BRK.B?" in printed
    assert "10 records, 0 rejected, 2 requests" in printed
    assert code == 1


async def test_poll_takes_the_asset_class_of_each_symbol_from_its_form(pipeline_shared):
    code, printed = await polled(pipeline_shared, "quote", "MSFT", "BTC-USD", "EUR/USD", "^GSPC")

    assert code == 0, printed
    assert "4 records, 0 rejected" in printed


async def test_poll_asks_nothing_where_nothing_is_canonical(pipeline_shared):
    received = Meter(pipeline_shared)

    code, printed = await polled(pipeline_shared, "quote", "BRK-B")

    assert (code, printed) == (2, "not asked: BRK-B is not canonical: did you mean BRK.B?\n")
    assert received() == 0


async def test_poll_of_an_empty_range_names_days(pipeline_shared):
    code, printed = await polled(pipeline_shared, "bars", "AAPL", *DAYS, "--start", "2024-06-04", "--end", "2024-06-02")

    assert code == 2
    assert "the range is empty: start 2024-06-04 is not before end 2024-06-03" in printed


async def test_a_range_before_a_history_goes_on_and_poll_says_where_bars_begin(
    pipeline_shared,
):
    years = (*DAYS, "--start", "2000-02-25", "--end", "2013-03-01")

    code, printed = await polled(pipeline_shared, "bars", "AAPL", *years, "--provider", "alpaca", "--provider", "yahoo")
    assert code == 0, printed
    assert re.search(r"answered by yahoo 3\d{3}$", printed, re.MULTILINE)
    assert "later than" not in printed

    code, printed = await polled(pipeline_shared, "bars", "FB", *years, "--provider", "yahoo")
    assert code == 0, printed
    assert "FB begins on 2012-05-18, later than 2000-02-25" in printed


async def test_poll_shows_the_prices_and_where_the_rows_are(pipeline_shared):
    code, printed = await polled(pipeline_shared, "quote", "IBM", "GOOG", "--provider", "polygon", "--json")
    lines = printed.splitlines()
    quotes = {row["symbol"]: row for row in map(json.loads, (line for line in lines if line.startswith("{")))}
    (where,) = re.findall(r'stored: tapestream query "(.*)"', printed)

    assert code == 0
    assert set(quotes) == {"IBM", "GOOG"}
    assert all(row["price"] > 0 and row["source"] == "polygon" for row in quotes.values())
    assert {row[0] for row in await pipeline_shared.rows(where.replace("*", "symbol"))} == {"IBM", "GOOG"}


async def test_poll_gives_up_when_no_report_comes(pipeline_embedded):
    os.kill(pipeline_embedded.worker.pid, signal.SIGSTOP)
    try:
        code, printed = await polled(pipeline_embedded, "quote", "AAPL", "--provider", "yahoo", "--within", "1")
    finally:
        os.kill(pipeline_embedded.worker.pid, signal.SIGCONT)

    assert code == 1
    assert "no report of 1 request within 1 s: `tapestream status` shows whether a worker runs" in printed


async def test_the_program_in_the_readme_runs(pipeline_shared):
    section = README.read_text(encoding="utf-8").partition("**A program** fetches.")[2]
    program = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]

    running = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=pipeline_shared.environment, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await running.communicate()

    assert running.returncode == 0
    lines = printed.decode().splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["AAPL", "MSFT", "ZZZZZ"]
    assert lines[0].endswith(" () None")
    assert lines[2].startswith("ZZZZZ None 0 (")
    assert re.fullmatch(r"\d+\.\d+ \w+ False", lines[3])


async def test_a_pipeline_that_does_not_run_is_told_in_one_line():
    address = f"127.0.0.1:{free_port()}"

    with pytest.raises(BrokerUnreachable, match=rf"^no Kafka broker answered at kafka://{re.escape(address)} .*$"):
        await fetch_ticker("AAPL", bootstrap=address)
