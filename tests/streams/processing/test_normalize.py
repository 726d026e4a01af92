"""Raw answers to records and dead letters: every answer is accounted for, and none stops the stream."""

import sys
from types import SimpleNamespace

import orjson
import pytest
from aiokafka.errors import MessageSizeTooLargeError
from hypothesis import given
from hypothesis import strategies as st

import connectors
from connectors import Call
from streams.messaging import topics
from streams.messaging.messages import Child, DeadLetter, Page, PollDone, PollRequest, RawMeta
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
    found = normalize(meta(), aggregates(bar(0), bar(1, h=1), bar(2)), RAW)

    assert [len(record.ts) for record in found.records] == [2]
    assert found.records[0].request_id == "r1"
    letter = found.letters[0]
    assert (letter.stage, letter.rule, letter.symbol, letter.dataset) == ("validate", "low_above_high", "AAPL", "bars")
    assert (letter.raw_topic, letter.raw_partition, letter.raw_offset) == RAW
    assert (letter.call_id, letter.request_id, letter.provider, letter.at) == ("c1", "r1", "polygon", NOW)
    assert orjson.loads(letter.row)["high"] == 1


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"results": 5}', b"\xff\xfe", b"<html>robots</html>"])
def test_a_malformed_payload_becomes_one_letter(body):
    found = normalize(meta(), body, RAW)

    assert list(found.records) == []
    assert [(letter.stage, letter.rule) for letter in found.letters] == [("normalize", "MalformedPayload")]
    assert found.letters[0].reason


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_refusal_is_neither_record_nor_letter(status):
    found = normalize(meta(status=status), b'{"status": "ERROR", "error": "no"}', RAW)

    assert (list(found.records), list(found.letters)) == ([], [])
    assert found.refusal


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (meta(provider="reuters"), "unknown provider 'reuters'; known: "),
        (meta(endpoint="teleprinter", path="/"), "polygon has no endpoint 'teleprinter'"),
    ],
)
def test_an_answer_nobody_can_read_is_accounted_for(found, reason):
    understood = normalize(found, aggregates(bar()), RAW)

    assert (list(understood.records), len(understood.letters)) == ([], 1)
    assert reason in understood.letters[0].reason


def test_the_same_raw_record_gives_the_same_letters_again():
    body = aggregates(bar(0, h=1), bar(1, o=None), bar(2))
    first, again = normalize(meta(), body, RAW).letters, normalize(meta(), body, RAW).letters
    elsewhere = normalize(meta(), body, (RAW[0], RAW[1], 43)).letters

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


# -- the report that is due -------------------------------------------------------------------------------------------


def request(*slip, call=BARS, **more):
    return PollRequest(request_id="r1", job_id="j", call=call, slip=slip or ("polygon",), **more)


def due(asked, **more):
    return meta(due=asked, **more)


async def ended(body, found):
    """Handle an answer twice, as after a crash; gives everything sent, and the one report."""
    outbox = Recorder()
    normalizer = Normalizer(outbox, now=lambda: NOW + 5_000)
    await normalizer.handle(event(body, found))
    first = list(outbox.sent)
    await normalizer.handle(event(body, found))
    assert outbox.sent == first * 2
    assert first[-1][0] == topics.POLL_DONE
    return outbox, PollDone.model_validate(first[-1][2])


async def test_the_report_is_behind_the_records_and_counts_them():
    outbox, done = await ended(aggregates(bar(0), bar(1, h=1), bar(2)), due(request()))

    assert [topic for topic, *_ in outbox.sent[:3]] == ["market.bars", topics.DEAD_LETTERS, topics.POLL_DONE]
    assert (done.request_id, done.job_id, done.outcome, done.records, done.rejects) == ("r1", "j", "records", 2, 1)
    assert (done.at, done.children) == (NOW, ())
    assert outbox.to(topics.POLL_REQUESTS) == []


async def test_the_next_page_becomes_a_child_that_is_asked_as_it_stands():
    asked = request("polygon", "yahoo")
    answer = due(asked)
    body = orjson.dumps({**orjson.loads(aggregates(bar())), "next_url": f"{answer.url}?cursor=abc"})

    outbox, done = await ended(body, answer)

    (page, _) = map(PollRequest.model_validate, outbox.to(topics.POLL_REQUESTS))
    assert (done.outcome, done.children) == ("records", (Child.of(page),))
    assert (page.request_id, page.slip, dict(page.page.params)) == ("r1/0", asked.slip, {"cursor": "abc"})


async def test_without_a_report_that_is_due_there_is_none():
    outbox = Recorder()
    await Normalizer(outbox).handle(event(aggregates(bar())))

    assert outbox.to(topics.POLL_DONE) == []


async def test_an_answer_that_cannot_be_read_goes_to_the_next_provider_of_the_slip():
    outbox, done = await ended(b'{"results": 5}', due(request("polygon", "yahoo", urgent=True)))

    (child, _) = map(PollRequest.model_validate, outbox.to(topics.POLL_URGENT))
    assert (done.outcome, done.children, done.reason) == (
        "MalformedPayload",
        (Child.of(child),),
        "results is a number, not a list",
    )
    assert (child.request_id, child.slip) == ("r1/0", ("yahoo",))
    assert [(hop.provider, hop.outcome) for hop in child.tried] == [("polygon", "MalformedPayload")]


async def test_an_answer_that_the_last_provider_cannot_be_read_from_ends_unserved():
    _, done = await ended(b"{", due(request()))

    assert (done.outcome, done.children) == ("MalformedPayload", ())
    assert [(hop.provider, hop.outcome) for hop in done.tried] == [("polygon", "MalformedPayload")]


async def test_symbols_that_an_answer_lacks_go_to_the_next_provider():
    call = Call(dataset="quote", symbols=("AAPL", "NOPE"))
    body = orjson.dumps(
        {
            "status": "OK",
            "results": [
                {"ticker": "AAPL", "type": "stocks", "last_trade": {"price": 1.5}},
                {"ticker": "NOPE", "error": "NOT_FOUND", "message": "Ticker not found."},
            ],
        }
    )
    found = due(request("polygon", "yahoo", call=call), call=call, endpoint="universal_snapshot", path="/v3/snapshot")

    outbox, done = await ended(body, found)

    (child, _) = map(PollRequest.model_validate, outbox.to(topics.POLL_REQUESTS))
    assert (done.outcome, done.records, done.children) == ("records", 1, (Child.of(child),))
    assert (child.request_id, child.call.symbols, child.slip) == ("r1/1", ("NOPE",), ("yahoo",))


async def test_a_fault_of_ours_is_reported_as_well(faulty):
    asked = request(call=Call(dataset="quote", symbols=("AAPL",)))

    _, done = await ended(b"{}", due(asked, provider=faulty, call=asked.call, endpoint="quote", path="/quote"))

    assert (done.outcome, done.reason) == ("Fault", FAULT)


async def test_a_record_that_the_broker_refuses_becomes_a_letter_and_a_report():
    class Strict(Recorder):
        async def send(self, topic, value, **more):
            if topic == "market.bars":
                raise MessageSizeTooLargeError
            await super().send(topic, value, **more)

    outbox = Strict()
    await Normalizer(outbox).handle(event(aggregates(bar()), due(request())))

    assert [topic for topic, *_ in outbox.sent] == [topics.DEAD_LETTERS, topics.POLL_DONE]
    assert outbox.to(topics.POLL_DONE)[0]["outcome"] == "Fault"


# -- what is no raw response ------------------------------------------------------------------------------------------


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
    (record,) = normalize(meta(), aggregates(bar()), RAW).records

    assert orjson.loads(encode(record)) == record.model_dump()
