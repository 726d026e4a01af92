"""Every number of every message has bounds: one beyond them is refused where it is read, and crashes nobody."""

import inspect
import json
from types import SimpleNamespace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors import Call
from connectors.records import DATASETS, YEAR_1, YEAR_9999
from connectors.scope import Scope
from streams.messaging import collector_messages, messages
from streams.messaging.collector_messages import CollectorRun, CollectRequest, UniverseChange
from streams.messaging.dead_letters import letter
from streams.messaging.market import read_record
from streams.messaging.messages import (
    MOST_CHILDREN,
    ApiCall,
    Cancellation,
    Child,
    DeadLetter,
    Hop,
    Message,
    OwnerCommand,
    Page,
    PollDone,
    PollRequest,
    RawMeta,
)
from streams.messaging.tolerant_reader import TolerantReader
from streams.messaging.topics import MARKET

NOON = 1_780_000_000_000
CALL = Call(dataset="bars", symbols=("KO",), interval="1d", start=NOON - 9, end=NOON, limit=5)
PAGE = Page(endpoint="aggregates", path="/v2", number=1)
HOP = Hop(provider="yahoo", outcome="Busy", free_at=NOON)
REQUEST = PollRequest(
    request_id="r", job_id="j", call=CALL, slip=("polygon",), tried=(HOP,), page=PAGE, deadline=NOON, not_before=NOON
)
RUN = {"run_id": "r", "collector": "prices", "cause": "command", "due_at": NOON}
EXAMPLES = [
    HOP,
    PAGE,
    REQUEST,
    Cancellation(work="w"),
    Child(number=1, provider="yahoo", symbols=()),
    PollDone.of(REQUEST, "records", NOON, [Child.of(REQUEST.child(0))], records=3, first_bars={"KO": NOON}),
    ApiCall(
        **{
            "call_id": "c",
            "request_id": "r",
            "provider": "polygon",
            "key_label": "polygon#1",
            "endpoint": "aggregates",
        },
        **{"dataset": "bars", "asset_class": "equity", "symbols": ("KO",), "interval": "1d", "started_at": NOON},
        **{"ended_at": NOON, "latency_ms": 3, "status": 200, "retry_after_s": 30.5, "resets_at": NOON, "bytes": 7},
        **{"said_left": 4.0, "said_limit": 5.0, "said_resets_at": NOON, "cost_usd": 0.01, "reserved_usd": 0.01},
    ),
    OwnerCommand(order="takeover", provider="polygon", order_id="o", at=NOON),
    RawMeta(
        **{"call_id": "c", "request_id": "r", "provider": "polygon", "key_label": "polygon#1", "call": CALL},
        **{"page": PAGE, "url": "https://x.example/", "status": 200, "headers": {}, "received_at": NOON},
        **{"latency_ms": 4, "due": REQUEST},
    ),
    DeadLetter(
        **{"letter_id": "l", "at": NOON, "stage": "sink", "rule": "message", "reason": "", "raw_partition": 3},
        **{"raw_offset": 2**62, "resolved_at": NOON},
    ),
    CollectRequest(**RUN, asked_at=NOON),
    CollectorRun(
        **RUN,
        refresh="full",
        state="done",
        started_at=NOON,
        ended_at=NOON,
        errors={"Busy": 2},
        cpu_s=0.5,
        rss_mb_peak=90.5,
    ),
    UniverseChange(symbol="KO", asset_class="equity", change="add", at=NOON),
]
ABSURD = [10**20, -(10**19), 2**64, -(2**63) - 1, 10**400, 1e300, -1e300]


def numbers(schema, path=""):
    """Yield the path and schema of every integer and number below a JSON Schema, but for those of `$defs`."""
    if isinstance(schema, list):
        for part in schema:
            yield from numbers(part, path)
    elif isinstance(schema, dict):
        if schema.get("type") in {"integer", "number"}:
            yield path, schema
        for name, part in schema.items():
            yield from numbers(part, f"{path}.{name}")


def places(value, path=()):
    """Yield the path of every number within JSON, booleans aside."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from places(part, (*path, name))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from places(part, (*path, place))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def changed(value, path, number):
    """Return a JSON value with the number at a path replaced."""
    if not path:
        return number
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], number)
    return copy


def text(value):
    """JSON as any producer may write it: integers of any length."""
    return json.dumps(value).encode()


CASES = [(example, path) for example in EXAMPLES for path in places(orjson.loads(example.encode()))]


def named(part):
    """Name a part of a case: a class, or the path of a number."""
    return type(part).__name__ if isinstance(part, Message) else ".".join(map(str, part))


def classes():
    for module in (messages, collector_messages):
        for _, found in inspect.getmembers(module, inspect.isclass):
            if issubclass(found, Message) and found is not Message:
                yield found


def test_every_class_of_messages_has_an_example():
    assert {type(example) for example in EXAMPLES} == set(classes())


@pytest.mark.parametrize("kind", [*classes(), Call, Scope, *DATASETS.values()], ids=lambda kind: kind.__name__)
def test_every_number_of_a_message_has_bounds(kind):
    """Of a record's own floats it is enough that they are finite: prices have no largest one."""
    unbounded = [
        path
        for path, schema in numbers(kind.model_json_schema())
        if not ({"minimum", "exclusiveMinimum"} & schema.keys() and {"maximum", "exclusiveMaximum"} & schema.keys())
        and not (schema["type"] == "number" and kind in DATASETS.values())
    ]

    assert unbounded == []
    assert issubclass(kind, Call | Scope) or kind.model_config["allow_inf_nan"] is False


@pytest.mark.parametrize(("example", "path"), CASES, ids=named)
def test_an_absurd_number_is_refused_wherever_it_stands(example, path):
    value = orjson.loads(example.encode())
    assert type(example).decode(example.encode()) == example
    for number in (*ABSURD, float("inf"), float("-inf"), float("nan")):
        with pytest.raises(ValidationError):
            type(example).decode(text(changed(value, path, number)))


@given(data=st.data())
def test_a_message_with_any_number_is_refused_or_can_be_sent_on(data):
    example, path = data.draw(st.sampled_from(CASES))
    number = data.draw(st.integers() | st.floats() | st.sampled_from(ABSURD))
    try:
        read = type(example).decode(text(changed(orjson.loads(example.encode()), path, number)))
    except ValidationError:
        return
    assert type(example).decode(read.encode()) == read


@pytest.mark.parametrize("body", [10**20, {"symbols": [-(10**19)]}])
def test_a_posted_body_that_cannot_be_sent_is_no_message(body):
    value = orjson.loads(PAGE.encode())

    with pytest.raises(ValidationError, match="no JSON that can be sent"):
        Page.decode(text({**value, "body": body}))


@pytest.mark.parametrize("count", [10**20, -1, MOST_CHILDREN + 1])
def test_a_count_of_children_that_no_memory_holds_is_refused(count):
    value = orjson.loads(PollDone.of(REQUEST, "records", NOON).encode())

    with pytest.raises(ValidationError, match="children"):
        PollDone.decode(text({**value, "children": count}))


@pytest.mark.parametrize("number", ABSURD)
def test_a_reader_of_the_market_skips_a_record_with_an_absurd_number(number):
    quote = {"symbol": "KO", "asset_class": "equity", "source": "yahoo", "request_id": "j-0", "price": 1.5}
    reader = TolerantReader(read_record)

    def record(**times):
        value = text({**quote, "observed_at": NOON, "ts": NOON, **times})
        return SimpleNamespace(topic=MARKET["quote"], partition=0, offset=1, value=value)

    assert reader.read(record()).ts == NOON
    assert reader.read(record(ts=number)) is reader.read(record(observed_at=number)) is None
    assert reader.skipped == 2


@pytest.mark.parametrize(("at", "kept"), [(2**62, YEAR_9999), (-(2**62), YEAR_1), (-1, -1)])
def test_a_letter_about_a_record_with_an_absurd_time_of_kafka_is_a_letter(at, kept):
    assert letter(stage="sink", rule="message", reason="no message", at=at).at == kept
