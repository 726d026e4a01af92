"""Records of the public topics: what is read of them, whose they are, and what is no record."""

from types import SimpleNamespace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import Quote
from infra.kafka.admin import ensure_topics
from streams.messaging import market, topics
from streams.messaging.bars import bars_of
from streams.messaging.producer import Outbox
from streams.messaging.tolerant_reader import TolerantReader
from tests.waiting import ending

NOW = 1_717_406_123_000


def quote(request_id="job-0", **more):
    common = {"symbol": "AAPL", "asset_class": "equity", "source": "polygon", "observed_at": NOW}
    return {**common, "request_id": request_id, "ts": NOW - 1000, "price": 10.0, **more}


def frame(n=2, **more):
    prices = {name: [10.0] * n for name in ("open", "high", "low", "close", "volume")}
    kind = {"interval": "1d", "adjustment": "split", "ts": list(range(n))}
    return {**{name: value for name, value in quote().items() if name not in {"ts", "price"}}, **kind, **prices, **more}


def record(value, dataset="quote"):
    encoded = value if value is None or isinstance(value, bytes) else orjson.dumps(value)
    return SimpleNamespace(topic=topics.MARKET[dataset], partition=0, offset=7, value=encoded)


def test_a_field_of_a_later_version_is_left_out():
    assert market.read_record(record(quote(mood="bullish"))) == Quote(**quote())


POISON = [
    None,
    b"",
    b"null",
    b"[]",
    b"{}",
    b"\xff",
    b'{"symbol":',
    quote(price="dear"),
    quote(ts=None),
    quote(symbol=""),
]


@pytest.mark.parametrize("value", POISON, ids=repr)
def test_what_is_no_record_is_skipped_and_counted(value):
    reader = TolerantReader(market.read_record)

    assert reader.read(record(value)) is None
    assert reader.skipped == 1
    assert reader.read(record(quote())) == Quote(**quote())


@given(st.binary(max_size=200), st.sampled_from(sorted(topics.MARKET)))
def test_no_bytes_whatever_end_a_reader(value, dataset):
    TolerantReader(market.read_record).read(record(value, dataset))


@pytest.mark.parametrize("column", ["open", "ts", "volume"])
def test_columns_of_unequal_length_are_no_bars(column):
    ragged = frame(3)
    ragged[column] = ragged[column][:2]

    with pytest.raises(ValueError, match="is not as long as ts"):
        bars_of(dict(market.read_record(record(ragged, "bars"))))


def test_a_frame_without_its_optional_columns_becomes_bars_without_them():
    first, _ = bars_of(dict(market.read_record(record(frame(), "bars"))))

    assert (first.symbol, first.ts, first.close, first.vwap, first.trades, first.currency) == (
        *("AAPL", 0, 10.0),
        *(None, None, None),
    )


@pytest.mark.pipeline
async def test_a_record_is_its_job_s_alone_even_where_it_names_another(embedded_broker):
    """A job's id may stand in a value (a news title, an id): only the header says whose the record is."""
    await ensure_topics(embedded_broker, topics.SPECS)
    async with Outbox(embedded_broker) as outbox, market.market_records(embedded_broker, "quote") as listener:
        with listener.listen_for("job") as inbox:

            async def send(request_id, value):
                await outbox.send(topics.MARKET["quote"], value, key="AAPL", headers=market.headers(request_id))

            await send("other-0", orjson.dumps(quote("job-0")))
            await send("job-10/0", b"no record")
            await send("job-2-0", orjson.dumps(quote("job-0")))
            await send("job-1/0/1", orjson.dumps(quote("job-1/0/1")))
            found = await ending(inbox.next_event(), "an event")

    assert found.request_id == "job-1/0/1"
    assert (len(inbox), listener.skipped) == (0, 1)
