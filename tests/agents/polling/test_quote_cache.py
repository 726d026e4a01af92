"""The quote cache learns from the topic, whatever else is written there."""

import asyncio

import orjson
import pytest

from agents.polling.quote_cache import Quotes
from connectors import Call
from infra.clock import SYSTEM
from infra.kafka.admin import ensure_topics
from streams.messaging import topics
from streams.messaging.producer import Outbox

pytestmark = pytest.mark.pipeline


def quote(symbol, price):
    common = {"symbol": symbol, "asset_class": "equity", "source": "yahoo", "observed_at": SYSTEM.now_ms()}
    return orjson.dumps({**common, "request_id": "j-0", "ts": SYSTEM.now_ms() - 1000, "price": price})


async def test_poison_in_the_topic_is_skipped_and_counted_and_later_quotes_are_known(embedded_broker):
    await ensure_topics(embedded_broker, topics.SPECS)
    quotes = Quotes(embedded_broker, 900_000)
    async with Outbox(embedded_broker) as outbox, asyncio.timeout(60):
        for value in (quote("AAPL", 1.0), None, b"poison", b"[]", orjson.dumps({"symbol": 7}), quote("AAPL", 2.0)):
            await outbox.send(topics.MARKET["quote"], value, key="AAPL")
        await quotes.start()
        try:
            while not (found := quotes.fresh(Call(dataset="quote", symbols=("AAPL",)), ["yahoo"], SYSTEM.now_ms())):
                await asyncio.sleep(0.05)
            while found["AAPL"]["price"] != 2.0:
                await asyncio.sleep(0.05)
                found = quotes.fresh(Call(dataset="quote", symbols=("AAPL",)), ["yahoo"], SYSTEM.now_ms())
            await outbox.send(topics.MARKET["quote"], quote("IBM", 3.0), key="IBM")
            while len(quotes) < 2:
                await asyncio.sleep(0.05)
        finally:
            await quotes.stop()

    assert quotes.unreadable == 4
