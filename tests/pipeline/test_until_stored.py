"""What was reported is stored once the groups have committed it, and can be had as a file."""

import json

import pytest

from connectors import Call
from infra.clickhouse import QueryRefused
from streams.client import Client, requests_for
from streams.runtime.stored import until_stored

pytestmark = pytest.mark.pipeline


async def test_after_settling_everything_that_was_reported_is_stored(start_pipeline, embedded_broker, tmp_path):
    calls = [(Call(dataset="bars", symbols=(symbol,), interval="1d"), ("yahoo",)) for symbol in ("AAPL", "IBM", "MSFT")]
    async with start_pipeline(embedded_broker, tmp_path, SINK_BATCH_AGE_S="3") as pipeline:
        async with Client(pipeline.bootstrap) as client:
            job = await client.run(requests_for(calls))
        before = await pipeline.value("SELECT count() FROM bars")
        await until_stored(pipeline.bootstrap)

        kept = await pipeline.rows("SELECT (SELECT count() FROM bars), (SELECT count() FROM actions)")
        assert before == 0
        assert sum(kept[0]) == sum(report.records for report in job.done.values()) > 0
        assert await pipeline.value("SELECT count() FROM api_calls WHERE outcome = 'records'") == 3

        file = await pipeline.pages.export("SELECT symbol FROM bars ORDER BY ts, symbol LIMIT 1", "JSONEachRow")
        assert json.loads(file)["symbol"] in {"AAPL", "IBM", "MSFT"}
        with pytest.raises(QueryRefused, match="nothing"):
            await pipeline.pages.export("SELECT nothing FROM bars", "JSONEachRow")
