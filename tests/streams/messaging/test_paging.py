"""Pages of an answer: every chain of them ends, whatever the provider names as the next one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import Call, Request, connector
from streams.messaging.messages import Page, PollRequest
from streams.messaging.paging import REMEMBERED, LastPage, next_look, next_page

DAY = 86_400_000
START = 1_717_372_800_000


def page_of(cursor, **more):
    return Request(endpoint="bars", path="/bars", params={"cursor": str(cursor)}, **more)


def follow(cursors, most=1_000):
    """Ask page after page as `cursors` name them; returns (pages asked, why it ended)."""
    asked, count = Page.of(page_of("first")), 1
    for cursor in cursors:
        try:
            asked = Page.decode(next_page(asked, page_of(cursor), most).encode())
        except LastPage as last:
            return count, str(last)
        count += 1
    return count, ""


def test_a_cursor_that_stands_still_is_asked_once():
    assert follow(["a"] * 9) == (2, "next page: it was asked before, 1 pages back")


def test_a_cursor_that_leads_back_to_the_beginning_is_not_followed():
    assert follow(["first"]) == (1, "next page: it was asked before, 1 pages back")


@given(st.integers(0, 100), st.integers(1, REMEMBERED))
def test_a_way_around_is_gone_once(straight, around):
    cursors = [*range(straight), *(["a", *range(1_000, 1_000 + around - 1)] * 3)]

    assert follow(cursors)[0] == 1 + straight + around


@given(st.integers(1, 300))
def test_cursors_that_are_always_new_end_at_what_the_endpoint_declares(most):
    assert follow(range(1_000), most) == (most, f"next page: an answer of bars has {most} pages at most")


def test_the_same_cursor_with_another_parameter_body_or_method_is_another_page():
    first = page_of("a", body={"n": 1}, method="POST")
    asked = next_page(Page.of(page_of("a")), first, 9)
    asked = next_page(asked, page_of("a", body={"n": 2}, method="POST"), 9)

    assert asked.number == 2
    with pytest.raises(LastPage):
        next_page(asked, first, 9)


def test_what_is_not_ready_is_looked_at_again_and_again_but_not_for_ever():
    poll, asked = page_of("job"), Page.of(page_of("job"))
    for number in range(1, 20):
        asked = next_look(asked, poll, 20, "trigger")
        assert (asked.number, asked.request()) == (number, poll)

    with pytest.raises(LastPage, match="looked at 20 times"):
        next_look(asked, poll, 20, "trigger")


def test_marks_of_pages_stay_few():
    asked = Page.of(page_of("first"))
    for cursor in range(500):
        asked = next_page(asked, page_of(cursor), 1_000)

    assert (asked.number, len(asked.seen)) == (500, REMEMBERED)
    assert len(asked.encode()) < 2_000


def test_another_provider_begins_with_the_first_page():
    page = next_page(Page.of(page_of("first")), page_of("a"), 9)
    request = PollRequest(
        request_id="r", job_id="j", call=Call(dataset="quote", symbols=("A",)), slip=("polygon", "fmp"), page=page
    )

    assert request.child(0, slip=("fmp",), page=None).page is None


@pytest.mark.parametrize(
    ("provider", "endpoint", "interval", "days", "symbols", "most"),
    [
        ("polygon", "aggregates", "1d", 20, 1, 10),
        ("polygon", "aggregates", "1m", 20, 1, 10),
        ("polygon", "aggregates", "1h", 3_650, 1, 10 + 2 * 105),
        ("alpaca", "bars", "1m", 365, 100, 10 + 2 * 5_256),
        ("alpaca", "bars", "1m", 3_650, 100, 20_000),
        ("alpaca", "bars", "1mo", 3_650, 100, 10 + 2 * 36),
    ],
)
def test_the_pages_of_bars_are_counted_by_what_they_can_hold(provider, endpoint, interval, days, symbols, most):
    names = tuple(f"S{n}" for n in range(symbols))
    call = Call(dataset="bars", symbols=names, interval=interval, start=START, end=START + days * DAY)
    declared = connector(provider).endpoint(endpoint)

    assert declared.most_pages(call, 0) == most
    assert declared.most_pages(call.model_copy(update={"end": None}), START + days * DAY) == most
    assert declared.most_pages(call.model_copy(update={"start": None, "end": None}), 0) == declared.pages
