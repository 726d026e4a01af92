"""Records that are longer than a message: bars are cut without loss, anything else is rejected with a reason."""

from types import SimpleNamespace

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from connectors import Call
from connectors.records import Bars, News
from infra.kafka.admin import ensure_topics
from streams.messaging import topics
from streams.messaging.messages import Page, PollDone, PollRequest, RawMeta
from streams.messaging.producer import MAX_MESSAGE, Outbox
from streams.processing.conclude import rows_of
from streams.processing.frames import BAR, LARGEST_FRAME, LARGEST_RECORD, encode, fitting
from streams.processing.normalize import Normalizer, normalize

NOW = 1_717_426_800_000
MINUTE = 60_000
MIB = 2**20
ENVELOPE = {"symbol": "AAPL", "asset_class": "equity", "source": "polygon", "observed_at": NOW, "request_id": "r"}
LONG = -1.7976931348623157e308


def bars(n, price=1.0, **optional):
    columns = {name: [price] * n for name in ("open", "high", "low", "close", "volume")}
    return Bars(
        **ENVELOPE, interval="1m", adjustment="raw", ts=[NOW + MINUTE * i for i in range(n)], **columns, **optional
    )


def article(title):
    return News(source="polygon", observed_at=NOW, request_id="r", id="a-1", ts=NOW, title=title)


def meta(call, endpoint, path, **more):
    return RawMeta(
        call_id="c",
        request_id="r",
        provider="polygon",
        key_label="polygon#1",
        call=call,
        page=Page(endpoint=endpoint, path=path),
        url="",
        status=200,
        headers={},
        latency_ms=1,
        **{"received_at": NOW, **more},
    )


@pytest.mark.parametrize(
    "frame",
    [bars(1), bars(100), bars(300_000), bars(70_000, LONG, vwap=[0.1 + 0.2] * 70_000)],
    ids=["one", "few", "many", "long numbers"],
)
def test_frames_of_bars_are_cut_by_size_and_hold_the_same_bars(frame):
    parts, rejects = fitting([frame], 12 * MIB)

    assert rejects == []
    assert all(len(encode(part)) <= LARGEST_FRAME for part in parts)
    assert len(parts) <= 1 + 2 * len(encode(frame)) // LARGEST_FRAME
    for name, whole in frame.__dict__.items():
        if isinstance(whole, list):
            assert [value for part in parts for value in getattr(part, name)] == whole
        else:
            assert {getattr(part, name) for part in parts} == {whole}


def test_a_replay_cuts_alike():
    assert fitting([bars(200_000)], MIB) == fitting([bars(200_000)], 12 * MIB)


def test_no_bar_is_longer_than_is_counted():
    one = bars(1, LONG, trades=[-(2**63)], vwap=[LONG], adj_close=[LONG], quote_volume=[LONG])
    two = one.model_copy(update={name: column * 2 for name, column in one.__dict__.items() if isinstance(column, list)})

    assert len(encode(two)) - len(encode(one)) <= BAR


def test_a_record_that_cannot_be_cut_is_rejected_and_its_siblings_stay():
    records = [article("short"), article("\0" * (LARGEST_RECORD // 6)), bars(3)]
    kept, (reject,) = fitting(records, 3 * MIB)

    assert kept == [records[0], records[2]]
    assert (reject.rule, reject.symbol) == ("too_large", None)
    assert reject.reason.startswith("a record of 15,7")


def test_a_record_that_is_too_large_is_a_dead_letter_and_is_not_announced():
    story = {
        "id": "a-1",
        "title": "short",
        "published_utc": "2024-06-03T13:30:00Z",
        "article_url": "https://x.example/1",
    }
    rows = [story, {**story, "id": "a-2", "title": "\x7f" + "\x01" * (LARGEST_RECORD // 6)}]
    found = normalize(
        meta(Call(dataset="news", symbols=("AAPL",)), "news", "/v2/reference/news"),
        orjson.dumps({"status": "OK", "results": rows}),
        ("raw.responses", 0, 7),
    )

    assert ([record.id for record in found.records], found.rows) == (["a-1"], 1)
    assert [(letter.rule, letter.raw_offset) for letter in found.letters] == [("too_large", 7)]


async def read(bootstrap, topic):
    """Every value of a topic, in the order of its partitions."""
    consumer = AIOKafkaConsumer(**bootstrap.options, max_partition_fetch_bytes=MAX_MESSAGE)
    await consumer.start()
    try:
        partitions = [
            TopicPartition(topic, n) for spec in topics.SPECS if spec.name == topic for n in range(spec.partitions)
        ]
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        values = []
        for partition in partitions:
            while await consumer.position(partition) < ends[partition]:
                for records in (await consumer.getmany(partition, timeout_ms=500)).values():
                    values += [record.value for record in records]
        return values
    finally:
        await consumer.stop()


async def test_an_answer_at_the_limit_passes_through_a_broker_whole(embedded_broker):
    """Twelve MiB of numbers with exponents are longer as one frame than the broker takes in one message."""
    row = '{{"t":{},"o":1e15,"h":1e15,"l":1e15,"c":1e15}}'
    n = 12 * MIB // len(row.format(NOW) + ",")
    rows = ",".join(row.format(NOW + MINUTE * i) for i in range(n))
    call = Call(dataset="bars", symbols=("AAPL",), interval="1m")
    due = PollRequest(request_id="r", job_id="j", call=call, slip=("polygon",))
    path = "/v2/aggs/ticker/AAPL/range/1/minute/1/2"
    received = meta(call, "aggregates", path, due=due, received_at=NOW + MINUTE * n)
    await ensure_topics(embedded_broker, topics.SPECS)
    async with Outbox(embedded_broker) as outbox:
        await Normalizer(outbox).handle(
            SimpleNamespace(
                message=SimpleNamespace(topic=topics.RAW_RESPONSES, partition=0, offset=0),
                value=f'{{"status":"OK","ticker":"AAPL","results":[{rows}]}}'.encode(),
                headers=[("meta", received.encode())],
            )
        )

    values = await read(embedded_broker, topics.MARKET["bars"])
    frames = [Bars(**orjson.loads(value)) for value in values]
    (done,) = [PollDone.decode(value) for value in await read(embedded_broker, topics.POLL_DONE)]
    assert sum(map(len, values)) > MAX_MESSAGE > LARGEST_FRAME >= max(map(len, values))
    assert [ts for frame in frames for ts in frame.ts] == [NOW + MINUTE * i for i in range(n)]
    assert (done.outcome, done.records) == ("records", sum(map(rows_of, frames)))
    assert await read(embedded_broker, topics.DEAD_LETTERS) == []
