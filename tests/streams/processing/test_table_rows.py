"""Records of a topic to columns of a table, and the batches the sink cuts."""

import json
from types import SimpleNamespace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import Call
from connectors.records import DATASETS
from streams.messaging import topics
from streams.messaging.collector_messages import CollectorRun, UniverseChange
from streams.messaging.messages import OWNER_COMMAND, ApiCall, DeadLetter, Hop, OwnerCommand, Page, PollDone, RawMeta
from streams.processing.table_rows import RAW_COLUMNS, SCALARS, SERIES, TABLES, Batch

BARS = TABLES[topics.MARKET["bars"]]
QUOTES = TABLES[topics.MARKET["quote"]]
DAY = 86_400_000


def frame(n, **changes):
    column = [float(i + 1) for i in range(n)]
    return {
        **dict.fromkeys(SCALARS, "x"),
        "symbol": "AAPL",
        "observed_at": 5,
        "ts": [i * DAY for i in range(n)],
        **dict.fromkeys(("open", "high", "low", "close", "volume"), column),
        **dict.fromkeys(("vwap", "trades", "adj_close", "quote_volume")),
        **changes,
    }


def record(value, offset=0, headers=()):
    return SimpleNamespace(
        value=value if isinstance(value, bytes | None) else orjson.dumps(value), headers=headers, offset=offset
    )


def batch_of(*sizes, table=BARS):
    batch = Batch(table, opened_at=0.0)
    for offset, size in enumerate(sizes):
        batch.add("p0", record(frame(size, symbol=f"S{offset}"), offset))
    return batch


def test_a_frame_becomes_a_row_per_bar():
    batch = batch_of(3)

    assert batch.rows == 3
    assert batch.data["ts"] == [0, DAY, 2 * DAY]
    assert batch.data["symbol"] == ["S0"] * 3
    assert batch.data["vwap"] == [None] * 3
    assert batch.data.keys() == {*SCALARS, *SERIES}


@given(sizes=st.lists(st.integers(1, 5), max_size=8))
def test_all_columns_are_as_long_as_the_batch(sizes):
    batch = batch_of(*sizes)

    assert {len(column) for column in batch.data.values()} == {sum(sizes)}
    assert batch.rows == sum(sizes)
    assert [count for _, count in batch.records] == sizes


@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=8), data=st.data())
def test_a_part_holds_the_rows_of_its_records(sizes, data):
    batch = batch_of(*sizes)
    first = data.draw(st.integers(0, len(sizes)))
    last = data.draw(st.integers(first, len(sizes)))

    part = batch.part(first, last)

    assert part["symbol"] == [f"S{i}" for i in range(first, last) for _ in range(sizes[i])]
    assert {len(column) for column in part.values()} == {sum(sizes[first:last])}


def test_offsets_point_behind_the_last_record_of_each_partition():
    batch = Batch(BARS, opened_at=0.0)
    batch.add("p0", record(frame(1), 7))
    batch.add("p1", record(frame(2), 100))
    batch.add("p0", record(frame(1), 8))
    batch.skip("p1", 101)

    assert batch.offsets == {"p0": 9, "p1": 102}
    assert batch.rows == 4


@pytest.mark.parametrize(
    "value",
    [
        frame(3, close=[1.0, 2.0]),
        frame(3, trades=[1, 2, 3, 4]),
        frame(3, open=5),
        frame(3, open="abc"),
        frame(3, ts=5),
        frame(3, ts="abc"),
        {name: value for name, value in frame(2).items() if name != "high"},
        {name: value for name, value in frame(2).items() if name != "symbol"},
        [1, 2],
        "text",
        None,
        b"{",
        b"",
        b"\xff",
    ],
)
def test_what_is_no_frame_is_refused_and_leaves_the_batch_as_it_was(value):
    batch = batch_of(2)
    before = (orjson.dumps(batch.data), list(batch.records), batch.rows, dict(batch.offsets))

    with pytest.raises(ValueError, match=r"."):
        batch.add("p0", record(value, 1))

    assert (orjson.dumps(batch.data), batch.records, batch.rows, batch.offsets) == before


def test_the_reason_names_the_fault():
    batch = batch_of()
    for value, reason in (
        (frame(3, close=[1.0]), "column close is not as long as ts"),
        ([1], "the record is a list, not an object"),
        (frame(3, open=5), "column open is no list"),
    ):
        with pytest.raises(ValueError, match=reason):
            batch.add("p0", record(value))
    with pytest.raises(ValueError, match="field 'symbol' is missing"):
        Batch(QUOTES, opened_at=0.0).add("p0", record({"price": 1}))


def test_every_stored_topic_has_a_table_and_every_dataset_its_columns():
    operations = {topics.API_CALLS, topics.POLL_DONE, topics.DEAD_LETTERS, topics.RAW_RESPONSES}
    collections = {topics.COLLECT_DONE, topics.UNIVERSE_CHANGES}
    assert set(TABLES) == {*operations, *collections, *topics.MARKET.values()}
    for name, cls in DATASETS.items():
        assert set(TABLES[topics.MARKET[name]].columns) == set(cls.model_fields)


def test_a_message_becomes_one_row():
    letter = DeadLetter(letter_id="l", at=1, stage="validate", rule="time", reason="unreadable", row="{}")
    batch = Batch(TABLES[topics.DEAD_LETTERS], opened_at=0.0)
    batch.add("p0", record(letter.encode()))

    assert {name: column[0] for name, column in batch.data.items()} == letter.model_dump()
    assert set(TABLES[topics.API_CALLS].columns) == set(ApiCall.model_fields)


def test_a_call_of_an_earlier_version_which_lacks_fields_is_a_row():
    call = ApiCall(
        **{
            "call_id": "c",
            "request_id": "r",
            "provider": "polygon",
            "key_label": "polygon#1",
            "endpoint": "aggregates",
        },
        **{"dataset": "bars", "asset_class": "equity", "symbols": ("KO",), "interval": "1d", "started_at": 1},
    )
    batch = Batch(TABLES[topics.API_CALLS], opened_at=0.0)
    batch.add("p0", record(call.model_dump(exclude={"triggered_by", "reserved_usd", "scope"})))

    assert {name: column[0] for name, column in batch.data.items()} == call.model_dump() | {"symbols": ["KO"]}


def test_a_raw_response_keeps_its_body_as_received_beside_what_was_asked():
    meta = RawMeta(
        call_id="c",
        request_id="r",
        provider="yahoo",
        key_label="yahoo#1",
        call=Call(dataset="quote", symbols=("AAPL", "MSFT")),
        page=Page(endpoint="quote", path="/v7/finance/quote", params={"symbols": "AAPL,MSFT"}),
        url="https://example.org/v7/finance/quote?symbols=AAPL,MSFT",
        status=200,
        headers={"content-type": "application/json"},
        received_at=9,
        latency_ms=4,
    )
    body = b"\x00 not JSON \xff"
    batch = Batch(TABLES[topics.RAW_RESPONSES], opened_at=0.0)
    batch.add("p0", record(body, headers=[("meta", meta.encode())]))

    row = {name: column[0] for name, column in batch.data.items()}
    assert tuple(row) == RAW_COLUMNS
    assert (row["body"], row["symbols"], row["endpoint"], row["dataset"]) == (body, ["AAPL", "MSFT"], "quote", "quote")
    assert row["params"] == {"symbols": "AAPL,MSFT"}


@pytest.mark.parametrize("headers", [(), [("meta", b"{}")], [("meta", None)], [("other", b"")]])
def test_a_raw_response_without_its_meta_is_refused(headers):
    batch = Batch(TABLES[topics.RAW_RESPONSES], opened_at=0.0)

    with pytest.raises(ValueError, match="RawMeta"):
        batch.add("p0", record(b"{}", headers=headers))

    assert batch.rows == 0


def test_a_report_becomes_a_row_of_what_was_asked_and_who_was_tried():
    call = Call(dataset="bars", symbols=("KO", "PEP"), interval="1d", start=5, end=9)
    tried = (Hop(provider="polygon", outcome="Busy", reason="later", free_at=7),)
    done = PollDone(
        request_id="r", job_id="j", provider="yahoo", call=call, outcome="records", records=3, tried=tried, at=8
    )
    batch = Batch(TABLES[topics.POLL_DONE], opened_at=0.0)
    batch.add("p0", record(done.encode()))

    row = {name: column[0] for name, column in batch.data.items()}
    assert (row["symbols"], row["interval"], row["start_at"], row["end_at"]) == (["KO", "PEP"], "1d", 5, 9)
    assert (row["provider"], row["outcome"], row["records"], row["at"]) == ("yahoo", "records", 3, 8)
    assert orjson.loads(row["tried"]) == [{"provider": "polygon", "outcome": "Busy", "reason": "later", "free_at": 7}]


def test_an_order_among_the_calls_is_no_row_but_counts_as_handled():
    order = OwnerCommand(order="takeover", provider="polygon", order_id="x", at=1)
    batch = Batch(TABLES[topics.API_CALLS], opened_at=0.0)
    batch.add("p0", record(order.encode(), 4, list(OWNER_COMMAND.items())))

    assert (batch.rows, batch.offsets) == (0, {"p0": 5})


ABSURD = [10**20, -(10**19), 10**400, 2**64]
MESSAGES = {
    topics.API_CALLS: ApiCall(
        **{
            "call_id": "c",
            "request_id": "r",
            "provider": "polygon",
            "key_label": "polygon#1",
            "endpoint": "aggregates",
        },
        **{"dataset": "bars", "asset_class": "equity", "symbols": (), "interval": "1d", "started_at": 5},
    ),
    topics.POLL_DONE: PollDone(
        request_id="r", job_id="j", provider="yahoo", call=Call(dataset="news"), outcome="records", at=8
    ),
    topics.DEAD_LETTERS: DeadLetter(letter_id="l", at=1, stage="sink", rule="message", reason=""),
    topics.COLLECT_DONE: CollectorRun(
        **{"run_id": "r", "collector": "prices", "cause": "command", "refresh": "full", "state": "done"},
        **{"due_at": 1, "started_at": 2, "ended_at": 3},
    ),
    topics.UNIVERSE_CHANGES: UniverseChange(symbol="KO", asset_class="equity", change="add", at=1),
    topics.MARKET["quote"]: DATASETS["quote"](
        symbol="KO", asset_class="equity", source="yahoo", observed_at=1, request_id="r", ts=1, price=2.0
    ),
    topics.MARKET["profile"]: DATASETS["profile"](
        symbol="KO", asset_class="equity", source="yahoo", observed_at=1, request_id="r", ts=1, employees=5
    ),
}
NUMBERS = [
    (topic, name)
    for topic, message in MESSAGES.items()
    for name, value in message.model_dump(mode="json").items()
    if isinstance(value, int | float) and not isinstance(value, bool)
]


@pytest.mark.parametrize(("topic", "name"), NUMBERS)
def test_a_message_with_an_absurd_number_is_refused_and_its_siblings_are_rows(topic, name):
    value = MESSAGES[topic].model_dump(mode="json")
    batch = Batch(TABLES[topic], opened_at=0.0)
    batch.add("p0", record(value, 0))
    integers = not isinstance(value[name], float)
    for number in (*ABSURD, float("inf"), float("nan")) if integers else (10**400, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=r"."):
            batch.add("p0", record(json.dumps({**value, name: number}).encode(), 1))
    batch.add("p0", record(value, 2))

    assert (batch.rows, batch.offsets) == (2, {"p0": 3})


@pytest.mark.parametrize("number", ABSURD)
@pytest.mark.parametrize("change", ["ts", "observed_at", "trades"])
def test_a_frame_with_an_absurd_number_is_refused(change, number):
    value = frame(2, **{change: number if change == "observed_at" else [5, number]})

    with pytest.raises(ValueError, match=r"."):
        batch_of(1).add("p0", record(json.dumps(value).encode(), 1))


@pytest.mark.parametrize("number", ABSURD)
def test_a_raw_response_with_an_absurd_number_is_refused(number):
    meta = {
        **{"call_id": "c", "request_id": "r", "provider": "yahoo", "key_label": "yahoo#1", "call": {"dataset": "news"}},
        **{"page": {"endpoint": "news", "path": "/"}, "url": "", "status": 200, "headers": {}, "received_at": 9},
        "latency_ms": 4,
    }
    spoilt = [{**meta, name: number} for name in ("status", "received_at", "latency_ms")]
    spoilt.append({**meta, "page": {**meta["page"], "method": "POST", "body": {"n": number}}})
    batch = Batch(TABLES[topics.RAW_RESPONSES], opened_at=0.0)
    for changed in spoilt:
        if number == 10**400 and "body" in changed["page"]:
            continue
        with pytest.raises(ValueError, match="RawMeta"):
            batch.add("p0", record(b"{}", headers=[("meta", json.dumps(changed).encode())]))
    batch.add("p0", record(b"{}", headers=[("meta", json.dumps(meta).encode())]))

    assert batch.rows == 1


def test_messages_of_an_earlier_version_which_lack_fields_are_rows():
    for topic, name in ((topics.API_CALLS, "scope"), (topics.COLLECT_DONE, "cpu_s"), (topics.DEAD_LETTERS, "row")):
        value = MESSAGES[topic].model_dump(mode="json")
        del value[name]
        batch = Batch(TABLES[topic], opened_at=0.0)
        batch.add("p0", record(value))

        assert batch.rows == 1
