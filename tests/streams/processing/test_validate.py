"""The rules of the datasets, one by one, and that nothing but good bars passes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import INTERVAL_MS, BarColumns, Bars, Quote
from connectors.records import Action, News
from streams.processing.validate import judge_bars, validate

DAY = 86_400_000
HOUR = 3_600_000
NAN = math.nan
RECEIVED = 1_999_998_000_000  # 2033, a full hour
OPENING = 1_717_421_400_000  # 2024-06-03 13:30 UTC: New York opens at half past
PRICES = ("open", "high", "low", "close")
LONG = ("1d", "1w", "1mo")
OPTIONAL = ("vwap", "trades", "adj_close", "quote_volume")
COLUMNS = ("ts", *PRICES, "volume")
GOOD = {"ts": 0, "open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": 100.0}


def envelope(asset_class="equity", symbol="AAPL"):
    return {"symbol": symbol, "asset_class": asset_class, "source": "yahoo", "observed_at": RECEIVED, "request_id": "r"}


def columns(*rows, interval="1d", asset_class="equity", symbol="AAPL", **optional):
    """Bars as a connector gives them; a row names what differs from a good bar, days follow one another."""
    filled = [{**GOOD, "ts": i * DAY, **row} for i, row in enumerate(rows)]
    return BarColumns(
        envelope=envelope(asset_class, symbol),
        interval=interval,
        adjustment="raw" if asset_class != "equity" else "split",
        currency="USD",
        **{name: [row[name] for row in filled] for name in COLUMNS},
        **optional,
    )


def rules(found):
    return [reject.rule for reject in judge_bars(found)[1]]


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ({"ts": None}, "time"),
        ({"open": None}, "price"),
        ({"close": NAN}, "price"),
        ({"high": math.inf}, "price"),
        ({"low": -math.inf}, "price"),
        ({"low": 0.0}, "price_not_positive"),
        ({"open": -1.0, "low": -2.0}, "price_not_positive"),
        ({"low": 13.0, "open": 13.0, "close": 13.0}, "low_above_high"),
        ({"open": 12.1}, "open_outside"),
        ({"open": 8.9}, "open_outside"),
        ({"close": 12.1}, "close_outside"),
        ({"close": 8.9}, "close_outside"),
        ({"volume": -1.0}, "volume"),
        ({"volume": NAN}, "volume"),
        ({"volume": math.inf}, "volume"),
    ],
)
def test_a_bar_that_breaks_a_rule_is_rejected_and_its_siblings_go_on(row, rule):
    frame, rejects = judge_bars(columns({}, row, {}))

    assert frame.ts == [0, 2 * DAY]
    assert [reject.rule for reject in rejects] == [rule]
    assert rejects[0].symbol == "AAPL"
    assert rejects[0].reason
    assert rejects[0].row["interval"] == "1d"
    assert rejects[0].row["ts"] == row.get("ts", DAY)


@pytest.mark.parametrize("name", OPTIONAL)
@pytest.mark.parametrize("value", [NAN, math.inf])
def test_an_unreadable_value_of_an_optional_column_rejects_its_bar(name, value):
    frame, rejects = judge_bars(columns({}, {}, **{name: [1.0, value]}))

    assert getattr(frame, name) == [1.0]
    assert [(reject.rule, reject.reason) for reject in rejects] == [(name, f"{name} is negative or unreadable")]


@pytest.mark.parametrize(
    ("interval", "latest"), [("1m", RECEIVED), ("1h", RECEIVED), *((name, RECEIVED + 14 * HOUR) for name in LONG)]
)
def test_a_bar_that_begins_after_it_was_received_is_rejected_and_one_that_begins_then_is_kept(interval, latest):
    """A bar of a day and longer is stamped 00:00 UTC of a date that begins up to 14 hours earlier in the far east."""
    frame, rejects = judge_bars(columns({"ts": latest}, {"ts": latest + HOUR}, interval=interval))

    assert frame.ts == [latest]
    assert [(reject.rule, reject.row["ts"]) for reject in rejects] == [("future", latest + HOUR)]


def test_without_a_time_of_receipt_no_bar_is_too_late():
    found = columns({"ts": RECEIVED})
    found.envelope["observed_at"] = 0

    assert rules(found) == []


@pytest.mark.parametrize("name", ["trades", "quote_volume"])
def test_a_negative_count_rejects_its_bar_and_zero_does_not(name):
    frame, rejects = judge_bars(columns({}, {}, **{name: [0.0, -1.0]}))

    assert getattr(frame, name) == [0.0]
    assert [reject.rule for reject in rejects] == [name]


def test_a_vwap_of_zero_or_less_is_absent_and_one_outside_the_range_is_kept():
    """Odd lots count for the average but not for high and low."""
    frame, rejects = judge_bars(columns({}, {}, {}, vwap=[0.0, -1.0, 99.0]))

    assert (frame.vwap, rejects) == ([None, None, 99.0], [])
    assert judge_bars(columns({}, vwap=[0.0]))[0].vwap is None


def test_unreadable_values_are_named_in_the_rejected_row():
    _, rejects = judge_bars(columns({"close": NAN, "open": None}))

    assert (rejects[0].row["close"], rejects[0].row["open"]) == ("unreadable", None)


def test_a_bar_without_any_price_is_left_out_whatever_its_volume():
    absent = dict.fromkeys(PRICES)

    assert judge_bars(columns({**absent, "volume": 7.0}, {**absent, "ts": None})) == (None, [])
    assert rules(columns({}, {**absent, "close": NAN})) == ["price"]


def test_rounding_between_the_prices_is_forgiven_up_to_one_in_a_billion():
    assert rules(columns({"open": 12.0 * (1 + 0.9e-9)}, {"close": 9.0 - 12 * 0.9e-9})) == []
    assert rules(columns({"open": 12.0 * (1 + 1.1e-9)}, {"close": 9.0 - 12 * 1.1e-9})) == [
        "open_outside",
        "close_outside",
    ]


def test_commodities_may_be_negative():
    row = {"open": -37.0, "high": -10.0, "low": -40.0, "close": -37.63}

    assert rules(columns(row, asset_class="commodity")) == []
    assert rules(columns(row, asset_class="crypto")) == ["price_not_positive"]


@pytest.mark.parametrize(
    ("asset_class", "volume"),
    [("equity", 0.0), ("crypto", 0.0), ("commodity", 0.0), ("forex", None), ("fund", None), ("index", None)],
)
def test_no_volume_is_absent_where_none_is_counted(asset_class, volume):
    frame, _ = judge_bars(columns({"volume": 0.0}, {"volume": None}, asset_class=asset_class))

    assert frame.volume == [volume, None]


def test_of_bars_with_the_same_time_the_first_stays_and_identical_ones_are_one():
    frame, rejects = judge_bars(columns({"ts": DAY}, {"ts": 0}, {"ts": DAY}, {"ts": DAY, "close": 10.5}))

    assert (frame.ts, frame.close) == ([0, DAY], [11.0, 11.0])
    assert [(reject.rule, reject.row["close"]) for reject in rejects] == [("duplicate", 10.5)]


def test_a_bad_bar_takes_no_good_ones_place():
    frame, rejects = judge_bars(columns({"ts": 0, "open": 99.0}, {"ts": 0}))

    assert frame.close == [11.0]
    assert [reject.rule for reject in rejects] == ["open_outside"]


def intraday(*minutes, interval="1h"):
    return columns(*({"ts": OPENING + round(minute * 60_000)} for minute in minutes), interval=interval)


@pytest.mark.parametrize(
    ("interval", "minutes", "kept"),
    [
        ("1h", (0, 60, 120), 3),  # hours at half past are right
        ("1h", (0, 60, 73), 2),  # the running hour carries its last trade
        ("1h", (0, 60, 73.5), 2),
        ("1m", (0, 1, 1.7), 2),
        ("5m", (0, 5, 7), 2),
        ("4h", (0, 240, 300), 3),
        ("15m", (7,), 1),  # alone it has no grid to leave
        ("15m", (7.1,), 0),
    ],
)
def test_a_running_intraday_bar_off_the_grid_is_left_out(interval, minutes, kept):
    frame, rejects = judge_bars(intraday(*minutes, interval=interval))

    assert len(frame.ts if frame else ()) == kept
    assert rejects == []


def test_an_unreadable_time_tells_nothing_of_the_grid():
    frame, rejects = judge_bars(
        columns({"ts": None}, {"ts": OPENING}, {"ts": OPENING + HOUR}, {"ts": OPENING + 1.5 * HOUR}, interval="1h")
    )

    assert frame.ts == [OPENING, OPENING + HOUR]
    assert [reject.rule for reject in rejects] == ["time"]


@pytest.mark.parametrize("interval", ["1d", "1w", "1mo"])
def test_days_and_longer_are_never_off_the_grid(interval):
    frame, _ = judge_bars(columns({"ts": 0}, {"ts": DAY + 77_777}, interval=interval))

    assert frame.ts == [0, DAY + 77_777]


def test_a_frame_carries_what_the_connector_said():
    frame, _ = judge_bars(columns({}, {}, vwap=[1.5, None], trades=[3.0, None], adj_close=[None, None]))

    assert frame == Bars(
        **envelope(),
        interval="1d",
        adjustment="split",
        currency="USD",
        **{name: [GOOD[name]] * 2 for name in (*PRICES, "volume")},
        ts=[0, DAY],
        vwap=[1.5, None],
        trades=[3, None],
    )
    assert isinstance(frame.trades[0], int)


def test_no_bar_makes_no_frame():
    assert judge_bars(columns()) == (None, [])


# -- whatever a connector gives --------------------------------------------------------------------------------------

ODD = st.sampled_from([None, NAN, math.inf, -math.inf, 0.0, -5.0])
PRICE = st.floats(5, 15) | st.sampled_from([8.0, 9.0, 10.0, 11.0]) | ODD
OTHER = st.none() | st.floats(0, 1e9) | ODD


@st.composite
def any_columns(draw):
    interval = draw(st.sampled_from(["1m", "1h", "4h", "1d", "1w"]))
    n = draw(st.integers(0, 12))
    step = INTERVAL_MS[interval]
    grid = st.integers(-3, 8).map(lambda place: OPENING + place * step)
    stamp = st.none() | grid | grid | st.builds(int.__add__, grid, st.sampled_from([7_000, 720_000]))
    ordered = draw(st.booleans())  # good bars are common, odd ones not rare
    likely = st.floats(9, 10), st.floats(11, 12), st.floats(8, 9), st.floats(9, 11)
    prices = draw(st.lists(st.tuples(*(likely if ordered else [PRICE] * 4)), min_size=n, max_size=n))
    optional = {
        name: draw(st.none() | st.lists(OTHER, min_size=n, max_size=n)) if draw(st.booleans()) else None
        for name in OPTIONAL
    }
    asset_class = draw(st.sampled_from(["equity", "commodity", "forex"]))
    return BarColumns(
        envelope=envelope(asset_class),
        interval=interval,
        adjustment="raw",
        ts=draw(st.lists(stamp, min_size=n, max_size=n)),
        **{name: [values[i] for values in prices] for i, name in enumerate(PRICES)},
        volume=draw(st.lists(OTHER, min_size=n, max_size=n)),
        **optional,
    )


def rows_of(found):
    return [
        {name: None if (values := getattr(found, name)) is None else values[i] for name in (*COLUMNS, *OPTIONAL)}
        for i in range(len(found.ts))
    ]


def fine(value):
    return value is None or math.isfinite(value)


def is_good(row, asset_class):
    """The bar rules of docs/DATASETS.md, said once more in plain words."""
    if row["ts"] is None or any(row[name] is None or not math.isfinite(row[name]) for name in PRICES):
        return False
    low, high, ends = row["low"], row["high"], (row["open"], row["close"])
    slack = 1e-9 * max(abs(low), abs(high))
    return (
        low <= high + slack
        and low - slack <= min(ends)
        and max(ends) <= high + slack
        and (asset_class == "commodity" or min(low, *ends, high) > 0)
        and (row["volume"] is None or 0 <= row["volume"] < math.inf)
        and all(fine(row[name]) for name in OPTIONAL)
        and all(row[name] is None or row[name] >= 0 for name in ("trades", "quote_volume"))
    )


def left_out(found):
    """Indexes of bars without any price, and of intraday bars off the grid."""
    rows = rows_of(found)
    gone = {i for i, row in enumerate(rows) if all(row[name] is None for name in PRICES)}
    known = [(ts, i) for i, ts in enumerate(found.ts) if ts is not None]
    if INTERVAL_MS[found.interval] >= DAY or not known:
        return gone
    gone |= {i for ts, i in known if ts % 60_000}
    step = min(INTERVAL_MS[found.interval], HOUR)
    newest, last = max(known, key=lambda at: (at[0], -at[1]))
    siblings = {ts % step for ts, i in known if i != last}
    return gone | ({last} if siblings and newest % step not in siblings else set())


@given(found=any_columns())
def test_nothing_but_good_bars_passes(found):
    frame, _ = judge_bars(found)

    if frame is not None:
        assert all(is_good(row, frame.asset_class) for row in rows_of(frame))
        assert len(frame.ts) >= 1
        assert frame.asset_class == "commodity" or all(vwap is None or vwap > 0 for vwap in frame.vwap or ())
        assert all(a < b for a, b in zip(frame.ts, frame.ts[1:], strict=False))
        assert Bars.model_validate(frame.model_dump()) == frame


@given(found=any_columns())
def test_every_bar_is_kept_rejected_left_out_or_a_repeat(found):
    frame, rejects = judge_bars(found)

    gone = left_out(found)
    judged = [row for i, row in enumerate(rows_of(found)) if i not in gone]
    good = [row for row in judged if is_good(row, found.envelope["asset_class"])]
    first = {row["ts"]: row for row in reversed(good)}
    differing = [row for row in good if row != first[row["ts"]]]
    assert len(rejects) == len(judged) - len(good) + len(differing)
    assert [reject.rule for reject in rejects].count("duplicate") == len(differing)
    assert (frame.ts if frame else []) == sorted(first)
    for ts, close in zip(frame.ts, frame.close, strict=True) if frame else ():
        assert close == first[ts]["close"]


@given(found=any_columns())
def test_judging_a_judged_frame_changes_nothing(found):
    frame, _ = judge_bars(found)

    if frame is not None and INTERVAL_MS[frame.interval] >= DAY:
        values = {name: getattr(frame, name) for name in (*COLUMNS, *OPTIONAL)}
        again = BarColumns(envelope=found.envelope, interval=frame.interval, adjustment=frame.adjustment, **values)
        assert judge_bars(again) == (frame, [])


# -- the other datasets ----------------------------------------------------------------------------------------------


def quote(**fields):
    return Quote(**{**envelope(), "ts": 1, "price": 10.0, **fields})


def action(**fields):
    return Action(**{**envelope(), "ex_date": "2024-06-07", **fields})


@pytest.mark.parametrize(
    ("record", "rule"),
    [
        (quote(price=None), "no_price"),
        (quote(low=11.0, high=10.0), "low_above_high"),
        (quote(price=-1.0), "price_not_positive"),
        (quote(prev_close=0.0), "price_not_positive"),
        (quote(ask=-0.5), "price_not_positive"),
        (quote(bid_size=-1.0), "negative_size"),
        (quote(volume=-1.0), "negative_size"),
        (action(kind="split"), "ratio"),
        (action(kind="split", ratio=0.0), "ratio"),
        (action(kind="split", ratio=-2.0), "ratio"),
        (action(kind="dividend"), "amount"),
    ],
)
def test_a_record_that_breaks_a_rule_is_rejected(record, rule):
    records, rejects = validate([record, quote()])

    assert records == [quote()]
    assert [(reject.rule, reject.symbol, reject.row) for reject in rejects] == [(rule, "AAPL", record.model_dump())]


@pytest.mark.parametrize(
    "record",
    [
        quote(price=None, bid=9.0),
        quote(bid=10.2, ask=10.1),  # a crossed quote stays
        quote(low=10.0, high=10.0, volume=0.0),
        quote(price=-37.63, asset_class="commodity"),
        action(kind="split", ratio=0.1),
        action(kind="dividend", amount=0.25),
        action(kind="dividend", amount_adjusted=0.0625),
        News(source="yahoo", observed_at=RECEIVED, request_id="r", id="1", ts=1, title="t"),
    ],
)
def test_a_record_that_keeps_the_rules_passes_as_it_is(record):
    assert validate([record]) == ([record], [])


def test_identical_records_are_one_and_differing_ones_are_not():
    records, rejects = validate([quote(), quote(ts=2), quote(), quote(price=10.5)])

    assert records == [quote(), quote(ts=2), quote(price=10.5)]
    assert rejects == []


def test_identical_frames_are_one_and_differing_ones_are_not():
    longer, other, later = columns({}, {}), columns({}, {}, symbol="MSFT"), columns({"ts": DAY}, {"ts": 2 * DAY})
    changed = columns({}, {"close": 9.5})

    records, rejects = validate([longer, other, longer, later, columns({}), changed, other])

    assert [record.symbol for record in records] == ["AAPL", "MSFT", "AAPL", "AAPL", "AAPL"]
    assert [len(record.ts) for record in records] == [2, 2, 2, 1, 2]
    assert rejects == []


def test_all_kinds_of_items_of_one_answer_are_judged_together():
    records, rejects = validate([columns({}, {"open": None}), action(kind="split"), action(kind="split", ratio=4.0)])

    assert [type(record) for record in records] == [Bars, Action]
    assert [reject.rule for reject in rejects] == ["price", "ratio"]
