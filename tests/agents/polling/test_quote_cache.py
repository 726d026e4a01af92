"""The quote cache learns from the topic, whatever else is written there."""

import orjson
import pytest

from agents.polling.quote_cache import Quotes
from connectors import Call
from infra.clock import SYSTEM
from infra.kafka.admin import ensure_topics
from streams.messaging import topics
from streams.messaging.producer import Outbox
from tests.waiting import until

pytestmark = pytest.mark.pipeline


def quote(symbol, price):
    common = {"symbol": symbol, "asset_class": "equity", "source": "yahoo", "observed_at": SYSTEM.now_ms()}
    return orjson.dumps({**common, "request_id": "j-0", "ts": SYSTEM.now_ms() - 1000, "price": price})


async def test_poison_in_the_topic_is_skipped_and_counted_and_later_quotes_are_known(embedded_broker):
    await ensure_topics(embedded_broker, topics.SPECS)
    quotes = Quotes(embedded_broker, 900_000)

    def price():
        found = quotes.fresh(Call(dataset="quote", symbols=("AAPL",)), ["yahoo"], SYSTEM.now_ms())
        return found["AAPL"]["price"] if found else None

    async with Outbox(embedded_broker) as outbox:
        for value in (quote("AAPL", 1.0), None, b"poison", b"[]", orjson.dumps({"symbol": 7}), quote("AAPL", 2.0)):
            await outbox.send(topics.MARKET["quote"], value, key="AAPL")
        await quotes.start()
        try:
            await until(lambda: price() == 2.0, "the later quote")
            await outbox.send(topics.MARKET["quote"], quote("IBM", 3.0), key="IBM")
            await until(lambda: len(quotes) == 2, "the quote of the other symbol")
        finally:
            await quotes.stop()

    assert quotes.unreadable == 4
