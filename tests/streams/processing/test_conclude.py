"""What is asked elsewhere once an answer was read: the symbols it lacks, and the beginning of its range."""

import pytest

from connectors import Call
from connectors.calls import DAY_MS
from connectors.records import Bars
from streams.messaging.messages import Page, PollRequest
from streams.processing.conclude import EARLIER, Understood, end_of

NOW = 1_780_000_000_000
TODAY = NOW // DAY_MS * DAY_MS
SINCE_2003, SINCE_2000 = 1_041_379_200_000, 946_684_800_000
PAGE = Page(endpoint="aggregates", path="/v2/aggs/ticker/AAPL/range/1/day/0/1")


def asked(*slip, page=None, start=SINCE_2000, **more):
    call = Call(**{"dataset": "bars", "symbols": ("AAPL",), "interval": "1d", "start": start, "end": TODAY, **more})
    return PollRequest(request_id="r", job_id="j", call=call, slip=slip, page=page)


def bars(first, symbol="AAPL"):
    values = {name: [1.0] for name in ("open", "high", "low", "close", "volume")}
    return Bars(
        symbol=symbol, asset_class="equity", source="polygon", observed_at=NOW, request_id="r", interval="1d",
        adjustment="split", currency="USD", ts=[first], **values,
    )  # fmt: skip


def test_what_lies_before_the_history_is_asked_of_those_who_reach_further_back():
    end = end_of(asked("polygon", "alpaca", "yahoo"), PAGE, Understood([bars(SINCE_2003)]), NOW)

    (child,) = end.children
    assert (end.outcome, end.records, end.first_bars) == ("records", 1, {"AAPL": SINCE_2003})
    assert (child.call.start, child.call.end, child.call.adjustment) == (SINCE_2000, SINCE_2003, "split")
    assert (child.slip, child.request_id) == (("yahoo",), f"r/{EARLIER}")
    assert [(hop.provider, hop.outcome, hop.reason) for hop in child.tried] == [
        ("polygon", "NoRecords", "it has no 1d bars before 2003-01-01")
    ]


def test_an_empty_answer_goes_on_whole_where_the_history_may_not_cover_it():
    end = end_of(asked("polygon", "yahoo", end=SINCE_2003 + DAY_MS), PAGE, Understood(), NOW)

    assert [(child.call.start, child.call.end) for child in end.children] == [(SINCE_2000, SINCE_2003 + DAY_MS)]


@pytest.mark.parametrize("records", [[], [bars(TODAY - 10 * DAY_MS)]], ids=["empty", "listed then"])
def test_a_range_that_the_history_covers_is_taken_as_it_came(records):
    within = asked("polygon", "yahoo", start=TODAY - 90 * DAY_MS)

    assert end_of(within, PAGE, Understood(records), NOW).children == ()


def test_nobody_is_asked_behind_the_last_of_the_slip():
    assert end_of(asked("polygon"), PAGE, Understood([bars(SINCE_2003)]), NOW).children == ()
    assert end_of(asked("polygon", "alpaca"), PAGE, Understood([bars(SINCE_2003)]), NOW).children == ()


def test_a_page_in_the_middle_says_nothing_of_the_beginning():
    following = Page(endpoint="aggregates", path="/v2/aggs/ticker/AAPL/range/1/day/0/1", params={"cursor": "a"})
    more = following.model_copy(update={"params": {"cursor": "b"}}).request()
    first = end_of(asked("polygon", "yahoo"), PAGE, Understood([bars(SINCE_2003)], next=following.request()), NOW)
    middle = end_of(
        asked("polygon", "yahoo", page=following), following, Understood([bars(SINCE_2003)], next=more), NOW
    )
    empty = end_of(asked("polygon", "yahoo", page=following), following, Understood(), NOW)

    assert [child.request_id for child in first.children] == ["r/0", f"r/{EARLIER}"]
    assert [child.request_id for child in middle.children] == ["r/0"]
    assert empty.children == ()


def test_first_bars_are_told_of_the_symbols_that_were_asked():
    end = end_of(asked("polygon"), PAGE, Understood([bars(SINCE_2003), bars(SINCE_2003, "IBM")]), NOW)

    assert end.first_bars == {"AAPL": SINCE_2003}


@pytest.mark.parametrize(
    ("asks", "follows"),
    [({}, False), ({"start": TODAY - DAY_MS}, True), ({"start": TODAY - DAY_MS, "limit": 20}, False)],
)
@pytest.mark.parametrize("dataset", ["news", "insider"])
def test_a_feed_is_followed_back_to_the_start_that_was_asked_and_no_further(dataset, asks, follows):
    call = Call(dataset=dataset, symbols=("AAPL",), **asks)
    request = PollRequest(request_id="r", job_id="j", call=call, slip=("polygon",))
    page = Page(endpoint="news", path="/v2/reference/news")
    more = page.model_copy(update={"params": {"cursor": "b"}}).request()

    end = end_of(request, page, Understood(next=more), NOW)

    assert ([child.request_id for child in end.children], end.outcome) == (["r/0"] if follows else [], "records")


def test_a_list_without_a_start_is_read_to_its_end():
    call = Call(dataset="assets", exchange="XNAS")
    request = PollRequest(request_id="r", job_id="j", call=call, slip=("polygon",))
    page = Page(endpoint="tickers", path="/v3/reference/tickers")
    more = page.model_copy(update={"params": {"cursor": "b"}}).request()

    assert [child.request_id for child in end_of(request, page, Understood(next=more), NOW).children] == ["r/0"]
