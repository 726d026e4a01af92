"""Somebody who waits is told at once that a day's quota or money is spent, and until when."""

import asyncio
import sys

import pytest

from streams.client import Client

pytestmark = [pytest.mark.pipeline, pytest.mark.asyncio(loop_scope="module")]

MONTH = {"start": "2024-05-01", "end": "2024-05-31"}
LONG_S = 3 * 86_400
"""Time that is left to each request, beyond the next midnight: one that waits for its reset would outlast the test."""


async def polled(pipeline, *arguments):
    """Run `tapestream poll` beside the pipeline; returns (exit code, what it printed)."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams", "poll", *arguments, "--within", str(LONG_S)),
        env=pipeline.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    return process.returncode, printed.decode()


async def test_a_spent_quota_and_a_spent_budget_end_what_somebody_waits_for(start_pipeline, embedded_broker, tmp_path):
    limits = {"POLYGON_LIMITS": "1/day", "BRIGHTDATA_BUDGET": "0", "BRIGHTDATA_KEYS": "key-of-a-test"}
    async with start_pipeline(embedded_broker, tmp_path, **limits) as pipeline:
        async with Client(pipeline.bootstrap) as client:
            first = await client.fetch_ticker("IBM", **MONTH, providers=["polygon"], timeout_s=LONG_S)
            bars = await client.fetch_tickers(["AAPL", "MSFT"], **MONTH, providers=["polygon"], timeout_s=LONG_S)
            quotes = await client.get_quotes(["KO"], providers=["brightdata"], timeout_s=LONG_S)
            quota = await client.get_quotes(["PEP"], providers=["polygon"], timeout_s=LONG_S)
        by_bars = await polled(pipeline, "bars", "KO", "--interval", "1d", "--provider", "polygon")
        by_quote = await polled(pipeline, "quote", "KO", "--provider", "brightdata")

    assert first.success
    for result in (*bars.values(), quota["PEP"]):
        assert [(tried.provider, tried.outcome) for tried in result.tried] == [("polygon", "QuotaExhausted")]
        assert "polygon has no call left before " in result.error
    assert [(tried.provider, tried.outcome) for tried in quotes["KO"].tried] == [("brightdata", "BudgetExhausted")]
    assert "may go on from" in quotes["KO"].error
    for (code, printed), outcome in ((by_bars, "QuotaExhausted"), (by_quote, "BudgetExhausted")):
        assert code == 1
        assert outcome in printed
        assert "Expired" not in printed
