"""Raw answers to records and dead letters: every answer is accounted for, and none stops the stream."""

import sys
from types import SimpleNamespace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import connectors
from connectors import Call
from streams.messaging import topics
from streams.messaging.messages import DeadLetter, Page, RawMeta
from streams.processing.normalize import FAULT, Normalizer, dead_row, encode, normalize

NOW = 1_780_000_000_000
RAW = (topics.RAW_RESPONSES, 3, 42)
BARS = Call(dataset="bars", symbols=("AAPL",), interval="1d")
FAULTY = """
from connectors.declaration import Connector
from connectors.endpoints import Endpoint
from connectors.symbols import Symbols
from connectors.calls import Auth


def parse(reading):
    raise RuntimeError("a bug of this connector")
    yield


CONNECTOR = Connector(
    name="faulty",
    title="Faulty",
    base_url="https://faulty.example",
    docs="https://faulty.example/docs",
    mailbox=31,
    auth=Auth(),
    symbols=Symbols(spell=lambda symbol, _: symbol, canonical=lambda text, kind: (text, kind)),
    endpoints=(
        Endpoint(name="quote", dataset="quote", path="/quote", build=lambda call, spelled: {}, parse=parse, docs=""),
    ),
)
"""


class Recorder:
    """An outbox that keeps what it is sent."""

    def __init__(self):
        self.sent = []

    async def send(self, topic, value, *, key=None, partition=None, headers=None):
        self.sent.append((topic, key, orjson.loads(value)))

    def to(self, topic):
        return [value for where, _, value in self.sent if where == topic]


@pytest.fixture
def faulty(tmp_path):
    """A ninth provider whose parser has a bug."""
    (tmp_path / "faulty.py").write_text(FAULTY)
    connectors.__path__.append(str(tmp_path))
    connectors.connectors.cache_clear()
    yield "faulty"
    connectors.__path__.remove(str(tmp_path))
    connectors.connectors.cache_clear()
    sys.modules.pop("connectors.faulty", None)


def meta(
    provider="polygon",
    call=BARS,
    endpoint="aggregates",
    path="/v2/aggs/ticker/AAPL/range/1/day/2024-06-03/2024-06-04",
    **more,
):
    return RawMeta(
        **{
            "call_id": "c1",
            "request_id": "r1",
            "provider": provider,
            "key_label": f"{provider}#1",
            "call": call,
            "page": Page(endpoint=endpoint, path=path),
            "url": f"https://api.example{path}",
            "status": 200,
            "headers": {"content-type": "application/json"},
            "received_at": NOW,
            "latency_ms": 12,
            **more,
        }
    )


def aggregates(*rows):
    return orjson.dumps({"ticker": "AAPL", "status": "OK", "adjusted": True, "results": list(rows)})


def bar(day=0, **changes):
    midnight = 1_717_387_200_000  # 2024-06-03 in New York
    return {"o": 10, "h": 12, "l": 9, "c": 11, "v": 100, "t": midnight + day * 86_400_000, **changes}


def event(body, found=None, offset=42):
    headers = [("meta", (found or meta()).encode())]
    return SimpleNamespace(
        message=SimpleNamespace(topic=RAW[0], partition=RAW[1], offset=offset), value=body, headers=headers
    )


def test_good_rows_become_records_and_the_others_dead_letters():
    records, letters = normalize(meta(), aggregates(bar(0), bar(1, h=1), bar(2)), RAW)

    assert [len(record.ts) for record in records] == [2]
    assert records[0].request_id == "r1"
    letter = letters[0]
    assert (letter.stage, letter.rule, letter.symbol, letter.dataset) == ("validate", "low_above_high", "AAPL", "bars")
    assert (letter.raw_topic, letter.raw_partition, letter.raw_offset) == RAW
    assert (letter.call_id, letter.request_id, letter.provider, letter.at) == ("c1", "r1", "polygon", NOW)
    assert orjson.loads(letter.row)["high"] == 1


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"results": 5}', b"\xff\xfe", b"<html>robots</html>"])
def test_a_malformed_payload_becomes_one_letter(body):
    records, letters = normalize(meta(), body, RAW)

    assert records == []
    assert [(letter.stage, letter.rule) for letter in letters] == [("normalize", "MalformedPayload")]
    assert letters[0].reason


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_refusal_is_neither_record_nor_letter(status):
    assert normalize(meta(status=status), b'{"status": "ERROR", "error": "no"}', RAW) == ([], [])


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (meta(provider="reuters"), "unknown provider 'reuters'; known: "),
        (meta(endpoint="teleprinter", path="/"), "polygon has no endpoint 'teleprinter'"),
    ],
)
def test_an_answer_nobody_can_read_is_accounted_for(found, reason):
    records, letters = normalize(found, aggregates(bar()), RAW)

    assert (records, len(letters)) == ([], 1)
    assert reason in letters[0].reason


def test_the_same_raw_record_gives_the_same_letters_again():
    body = aggregates(bar(0, h=1), bar(1, o=None), bar(2))
    first, again = normalize(meta(), body, RAW)[1], normalize(meta(), body, RAW)[1]
    elsewhere = normalize(meta(), body, (RAW[0], RAW[1], 43))[1]

    assert first == again
    assert len({letter.letter_id for letter in (*first, *elsewhere)}) == 4


async def test_records_go_to_the_topic_of_their_dataset_keyed_by_symbol():
    outbox = Recorder()
    await Normalizer(outbox).handle(event(aggregates(bar(0), bar(1, c=99))))

    assert [(topic, key) for topic, key, _ in outbox.sent] == [("market.bars", "AAPL"), (topics.DEAD_LETTERS, None)]
    assert outbox.to("market.bars")[0]["close"] == [11.0]


async def test_news_is_keyed_by_article():
    outbox = Recorder()
    article = {"id": "n1", "title": "t", "published_utc": "2024-06-03T12:00:00Z", "article_url": "https://example.org/"}
    body = orjson.dumps({"status": "OK", "results": [article]})
    found = meta(call=Call(dataset="news", symbols=("AAPL",)), endpoint="news", path="/v2/reference/news")
    await Normalizer(outbox).handle(event(body, found))

    assert [(topic, key) for topic, key, _ in outbox.sent] == [("market.news", "n1")]


async def test_a_fault_of_a_connector_becomes_a_letter_and_the_stream_goes_on(faulty):
    outbox = Recorder()
    found = meta(provider=faulty, call=Call(dataset="quote", symbols=("AAPL",)), endpoint="quote", path="/quote")
    normalizer = Normalizer(outbox)

    await normalizer.handle(event(b"{}", found))
    await normalizer.handle(event(aggregates(bar()), offset=43))

    letter = DeadLetter.model_validate(outbox.to(topics.DEAD_LETTERS)[0])
    assert (letter.stage, letter.rule) == ("normalize", "fault")
    assert letter.reason == FAULT
    assert (letter.provider, letter.raw_offset) == ("faulty", 42)
    assert len(outbox.to("market.bars")) == 1


@pytest.mark.parametrize("headers", [None, [], [("meta", b"{}")], [("meta", b"\xff")]])
async def test_an_event_that_is_no_raw_response_becomes_a_letter(headers):
    outbox = Recorder()
    await Normalizer(outbox).handle(SimpleNamespace(**{**vars(event(b"some body")), "headers": headers}))

    letters = outbox.to(topics.DEAD_LETTERS)
    assert [(letter["stage"], letter["rule"]) for letter in letters] == [("message", "message")]
    assert (letters[0]["raw_offset"], letters[0]["row"]) == (42, "some body")
    assert len(outbox.sent) == 1


async def test_an_event_without_a_value_is_an_empty_answer():
    outbox = Recorder()
    await Normalizer(outbox).handle(event(None))

    assert outbox.sent == []


DEEP = None
for _ in range(900):
    DEEP = [DEEP]
ROWS = st.recursive(
    st.none() | st.integers() | st.floats() | st.text() | st.binary(max_size=5) | st.builds(object),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers() | st.tuples(), inner, max_size=4)
    ),
)


@given(row=ROWS)
def test_any_row_fits_a_letter(row):
    text = dead_row(row)

    assert (text is None) == (row is None)
    assert text is None or len(text.encode()) <= 200_000
    assert DeadLetter(letter_id="l", at=1, stage="s", rule="r", reason="", row=text).encode()


@pytest.mark.parametrize("row", [2**70, "\ud800", {(1, 2): 3}, DEEP, {"a": DEEP}, b"\xff", "x" * 100_000])
def test_rows_that_json_cannot_say_are_shown(row):
    assert 0 < len(dead_row(row)) <= 65_536


def test_a_value_on_the_wire_is_the_records_fields():
    records, _ = normalize(meta(), aggregates(bar()), RAW)

    assert orjson.loads(encode(records[0])) == records[0].model_dump()
