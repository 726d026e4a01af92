"""The demo's whole collection: everything that anybody sells arrives, and the providers agree."""

import pytest

from connectors import connectors
from infra.clickhouse import DATASET_TABLES
from streams.commands import demo

pytestmark = [pytest.mark.pipeline, pytest.mark.asyncio(loop_scope="module")]


async def test_every_dataset_arrives_from_everybody_who_sells_it_and_closes_agree(pipeline_embedded):
    pipeline = pipeline_embedded
    sold = {
        (endpoint.dataset, name) for name, one in connectors().items() for endpoint in one.endpoints if endpoint.routed
    }

    job = await pipeline.poll(*demo.calls(list(connectors())))

    assert job.failures == []
    stored = set()
    for dataset, table in DATASET_TABLES.items():
        stored |= {(dataset, source) for (source,) in await pipeline.rows(f"SELECT DISTINCT source FROM {table}")}
    assert stored == sold
    assert await pipeline.value("SELECT count() FROM dead_letters") == 0
    agreement = await pipeline.rows(demo.AGREEMENT)
    assert {symbol for symbol, *_ in agreement} == {*demo.SHARES, demo.RECENT["equity"], demo.RECENT["etf"]}
    assert max(spread for *_, spread in agreement) < 1e-6
