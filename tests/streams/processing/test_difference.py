"""The difference between rows as read today and as stored: by key and by value, and never against a later answer."""

import pytest

from connectors.records import DATASETS, Action, Bars, Earnings, News, Quote
from streams.messaging.dead_letters import letter
from streams.messaging.messages import Page, RawMeta
from streams.processing.difference import Layout, Yield, differences, gone, letters_closed, letters_new, part_of

AT = 1_000
COMMON = {"symbol": "AAPL", "asset_class": "equity", "source": "yahoo", "observed_at": AT, "request_id": "r1"}
FLOATS = {"price", "open", "high", "low", "close", "volume", "vwap", "amount", "ratio", "eps_actual"}
LAYOUTS = {
    name: Layout(name, {field: "Float64" if field in FLOATS else "String" for field in record.model_fields})
    for name, record in DATASETS.items()
}


def quote(**changes):
    return Quote(**{**COMMON, "ts": 5, "price": 10.0, **changes})


def frame(**changes):
    column = [1.0, 2.0, 3.0]
    prices = dict.fromkeys(("open", "high", "low", "close", "volume"), column)
    return Bars(**{**COMMON, "interval": "1d", "adjustment": "raw", "ts": [0, 1, 2], **prices, **changes})


def read(*records, at=AT, request="r1", into=None):
    found = into or Yield(LAYOUTS)
    page = Page(endpoint="e", path="/e")
    call = {"dataset": records[0].dataset if records else "quote", "interval": "1d"}
    meta = {"call_id": f"call of {request}", "request_id": request, "provider": "yahoo", "key_label": "", "url": ""}
    found.add(RawMeta(**meta, call=call, page=page, status=200, headers={}, received_at=at, latency_ms=0), records)
    return found


def stored(*records):
    return {
        layout.key(row): row
        for record in records
        for layout in [LAYOUTS[record.dataset]]
        for row in layout.rows(record)
    }


def compared(found, known, others=frozenset(), settled=None):
    keys = set() if settled is None else settled
    changes = differences(found, known, found.origins.keys() | others, keys)
    return [(change.kind, dict(change.fields)) for change, _ in changes]


def lost(found, known, others=frozenset(), settled=frozenset()):
    return [
        (change.key["symbol"], change.call_id)
        for change in gone(found, known, found.origins.keys() | others, settled, LAYOUTS)
    ]


def test_equal_rows_are_no_difference_whatever_request_brought_them():
    assert compared(read(quote()), stored(quote(request_id="of a cached answer"))) == []
    assert compared(read(quote(volume=3)), stored(quote(volume=3.0))) == []


def test_a_new_row_and_a_changed_field_are_differences():
    assert compared(read(quote()), {}) == [
        ("added", {"asset_class": (None, "equity"), "ts_estimated": (None, False), "price": (None, 10.0)})
    ]
    assert compared(read(quote(bid=9.5)), stored(quote(price=11.0))) == [
        ("changed", {"price": (11.0, 10.0), "bid": (None, 9.5)})
    ]


def test_zero_is_not_absent():
    assert compared(read(quote(volume=0.0)), stored(quote())) == [("changed", {"volume": (None, 0.0)})]


@pytest.mark.parametrize(
    ("at", "request_id", "others", "expected"),
    [
        (AT + 1, "r2", (), 0),
        (AT - 1, "r2", (), 1),
        (AT, "r2", (("yahoo", AT, "r2"),), 0),
        (AT, "r2", (("polygon", AT, "r2"),), 1),
        (AT, "r1", (), 1),
    ],
)
def test_only_a_row_of_no_later_answer_is_changed(at, request_id, others, expected):
    known = stored(quote(price=11.0, observed_at=at, request_id=request_id))

    assert len(compared(read(quote()), known, frozenset(others))) == expected


def test_of_two_answers_the_newer_one_decides_also_across_batches():
    settled = set()
    newer = read(quote(observed_at=AT + 1, request_id="r2"), at=AT + 1, request="r2")
    older = quote(price=12.0)

    assert len(compared(newer, {}, settled=settled)) == 1
    assert compared(read(older), {}, settled=settled) == []
    assert [fields["price"] for _, fields in compared(read(older, into=newer), {})] == [(None, 10.0)]


def test_an_equal_row_of_a_newer_answer_keeps_those_between_from_counting():
    settled = set()
    known = stored(quote(observed_at=AT - 5, request_id="r0"))

    assert compared(read(quote(observed_at=AT + 1), at=AT + 1, request="r2"), known, settled=settled) == []
    assert compared(read(quote(price=12.0)), known, settled=settled) == []


def test_the_last_of_two_rows_with_one_key_counts_as_in_the_store():
    assert compared(read(quote(price=1.0), quote(price=2.0)), stored(quote(price=2.0))) == []


def test_a_stored_row_that_its_answer_has_no_more_is_gone():
    old = quote(symbol="AAPL.X")

    assert lost(read(quote()), stored(quote(), old)) == [("AAPL.X", "call of r1")]
    assert lost(read(quote()), stored(quote(symbol="AAPL.X", observed_at=AT - 1))) == []
    assert lost(read(quote()), stored(quote(symbol="MSFT", request_id="r2")), {("yahoo", AT, "r2")}) == []
    assert lost(read(quote()), stored(old), settled=set(stored(old))) == []


def test_a_root_that_is_a_ticker_too_is_another_instrument():
    both = [quote(symbol="GC"), quote(symbol="GC", asset_class="commodity")]

    assert len(stored(*both)) == 2
    assert len(stored(*both, quote(symbol="GC", asset_class="etf"))) == 2


def test_absent_parts_of_a_key_are_as_in_the_tables():
    one, other = (Earnings(**COMMON, report_date=day) for day in ("2024-06-03", "2024-06-04"))
    fiscal = Earnings(**COMMON, fiscal_date="2024-03-31", report_date="2024-06-03")

    assert len(stored(one, other)) == 2
    assert set(stored(fiscal)) == set(stored(fiscal.model_copy(update={"report_date": "2024-06-04"})))


def test_records_of_several_datasets_are_compared_in_their_own_tables():
    split = Action(**COMMON, kind="split", ex_date="2024-06-03", ratio=2.0)
    article = News(source="yahoo", observed_at=AT, request_id="r1", id="n1", ts=5, title="t")

    assert compared(read(frame(), split, article), stored(frame(), split)) == [
        ("added", {"ts": (None, 5), "title": (None, "t"), "symbols": (None, [])})
    ]


def test_a_frame_is_reduced_to_the_bars_that_differ():
    found = read(frame(vwap=[1.0, None, 2.0]))
    rows = [row for _, row in differences(found, stored(frame(vwap=[1.0, 1.5, 1.0])), found.origins.keys(), set())]

    assert [row.index for row in rows] == [1, 2]
    part = part_of(rows[::-1])
    assert (part.ts, part.close, part.vwap, part.trades) == ([1, 2], [2.0, 3.0], [None, 2.0], None)
    whole = read(frame())
    assert part_of(list(whole.rows.values())) is next(iter(whole.rows.values())).record


def one_letter(rule="price", stage="validate", **where):
    return letter(stage=stage, rule=rule, reason="a reason", at=AT, **{"call_id": "c1", "symbol": "AAPL", **where})


def test_a_letter_is_closed_when_nothing_like_it_is_written_any_more():
    old = [one_letter(), one_letter("volume"), one_letter("fault", "normalize"), one_letter(stage="sink", row="x")]
    today = [one_letter("volume", raw_topic="another place"), one_letter("ratio"), one_letter("ratio")]

    assert [one.rule for one in letters_closed(old, today)] == ["price", "fault"]
    assert [one.rule for one in letters_new(old, today)] == ["ratio"]


def test_letters_of_other_rows_symbols_and_answers_are_others():
    old = one_letter(row="1")
    others = [one_letter(row="2"), one_letter(row="1", symbol="IBM"), one_letter(row="1", call_id="c2")]

    assert letters_closed([old], others) == [old]
    assert letters_new([old], [*others, old]) == others
