"""What travels: round trips, ids that repeat when work is repeated, values that are no message."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors import Call, Request
from infra.clock import SYSTEM
from streams.messaging.messages import (
    ApiCall,
    DeadLetter,
    Hop,
    OwnerCommand,
    Page,
    PollDone,
    PollRequest,
    RawMeta,
    new_id,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MS = st.integers(-62_135_596_800_000, 253_402_300_799_999)
PARAMS = st.dictionaries(TEXT, TEXT, max_size=4)
JSON = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT, st.lists)
CALLS = st.builds(
    Call,
    dataset=st.sampled_from(["quote", "news", "actions"]),
    symbols=st.lists(TEXT, max_size=5).map(tuple),
    asset_class=st.sampled_from(["equity", "crypto", "forex"]),
    start=MS | st.none(),
    end=st.none(),
    query=TEXT | st.none(),
    limit=st.integers(1, 1000) | st.none(),
)
PAGES = st.builds(
    Page,
    endpoint=TEXT,
    path=TEXT,
    params=PARAMS,
    method=st.sampled_from(["GET", "POST"]),
    body=st.none() | st.dictionaries(TEXT, JSON) | st.lists(JSON),
)
HOPS = st.lists(st.builds(Hop, provider=TEXT, reason=TEXT, free_at=MS | st.none()), max_size=3).map(tuple)
REQUESTS = st.builds(
    PollRequest,
    request_id=TEXT,
    job_id=TEXT,
    call=CALLS,
    slip=st.lists(TEXT, min_size=1, max_size=4).map(tuple),
    tried=HOPS,
    page=st.none() | PAGES,
    deadline=MS | st.none(),
    urgent=st.booleans(),
    force_fresh=st.booleans(),
)
MESSAGES = st.one_of(
    REQUESTS,
    st.builds(PollDone, call=CALLS, tried=HOPS, at=MS, children=st.integers(0, 9)),
    st.builds(OwnerCommand, provider=TEXT, order_id=TEXT, at=MS),
    st.builds(
        ApiCall,
        symbols=st.lists(TEXT).map(tuple),
        started_at=MS,
        ended_at=MS | st.none(),
        resets_at=MS | st.none(),
        said_left=st.floats(0, 1e6) | st.none(),
        latency_ms=st.integers(0, 10**6),
        status=st.integers(100, 599) | st.none(),
        retry_after_s=st.floats(0, 1e6) | st.none(),
        cost_calls=st.floats(0, 1e6),
        cost_usd=st.floats(0, 1e3),
        bytes=st.integers(0, 2**40),
    ),
    st.builds(
        RawMeta,
        call=CALLS,
        page=PAGES,
        headers=PARAMS,
        status=st.integers(100, 599),
        received_at=MS,
        latency_ms=st.integers(0, 10**6),
    ),
    st.builds(DeadLetter, at=MS, raw_partition=st.integers(-1, 64), raw_offset=st.integers(-1, 2**62)),
)


def request(**changes):
    call = Call(dataset="bars", symbols=("AAPL",), interval="1d")
    return PollRequest(**{"request_id": "r", "job_id": "j", "call": call, "slip": ("polygon", "yahoo"), **changes})


@given(message=MESSAGES)
def test_every_message_survives_the_wire(message):
    assert type(message).decode(message.encode()) == message


@given(message=MESSAGES)
def test_every_message_is_a_json_object(message):
    assert orjson.loads(message.encode()).keys() == type(message).model_fields.keys()


def test_a_message_of_a_later_release_is_read_without_its_new_fields():
    later = orjson.dumps({**orjson.loads(request().encode()), "colour": "blue"})

    assert PollRequest.decode(later) == request()


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe",
        b'{"request_id": "r", "job_id": "j", "call": {"dataset": "quote"}, "slip": []}',
        b'{"request_id": "r", "job_id": "j", "call": {"dataset": "weather"}, "slip": ["yahoo"]}',
        b'{"request_id": "r", "job_id": "j", "call": {"dataset": "bars"}, "slip": ["yahoo"]}',
        b'{"request_id": 5, "job_id": "j", "call": {"dataset": "quote"}, "slip": ["yahoo"]}',
    ],
)
def test_what_is_no_request_is_refused(value):
    with pytest.raises(ValidationError):
        PollRequest.decode(value)


def test_the_head_of_the_slip_owns_the_mailbox():
    assert request().provider == "polygon"
    assert request(slip=("yahoo",)).provider == "yahoo"


def test_children_have_the_same_ids_whenever_the_parent_is_handled_again():
    first, again = request(), PollRequest.decode(request().encode())
    children = [first.child(number) for number in range(3)]

    assert children == [again.child(number) for number in range(3)]
    assert [child.request_id for child in children] == ["r/0", "r/1", "r/2"]
    assert children[1].child(4).request_id == "r/1/4"
    assert all(child.job_id == "j" for child in children)


@given(page=PAGES)
def test_a_page_gives_the_connectors_request_again(page):
    assert Page.of(page.request()) == page


def test_a_page_keeps_the_whole_request():
    asked = Request(endpoint="trigger", path="/v3/trigger", params={"a": "1"}, method="POST", body=[{"symbol": "AAPL"}])

    assert Page.of(asked).request() == asked


def test_ids_are_unique_and_sort_by_the_time_of_their_making():
    before = SYSTEM.now_ms()
    ids = [new_id() for _ in range(1000)]

    assert len(set(ids)) == 1000
    assert [new[:12] for new in ids] == sorted(new[:12] for new in ids)
    assert before <= int(ids[0][:12], 16) <= SYSTEM.now_ms()
