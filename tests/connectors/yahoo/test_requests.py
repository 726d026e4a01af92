"""What Yahoo is asked for a range: every bar of it, in whole periods."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import Call, UnsupportedCall
from connectors.calls import DAY_MS
from connectors.fields import period_start
from connectors.yahoo import CONNECTOR

HOUR_MS = 3_600_000
DAYS = st.integers(0, 40_000)


def asked(interval, start, end):
    request = CONNECTOR.request(Call(dataset="bars", symbols=("AAPL",), interval=interval, start=start, end=end))
    return int(request.params["period1"]) * 1000, int(request.params["period2"]) * 1000


@given(first=DAYS, days=st.integers(1, 900), interval=st.sampled_from(["1d", "1w", "1mo"]), data=st.data())
def test_range_of_days_holds_every_stamp_of_its_periods(first, days, interval, data):
    start, end = first * DAY_MS, (first + days) * DAY_MS
    day = data.draw(st.integers(first, first + days - 1)) * DAY_MS
    offset = data.draw(st.integers(-11, 14)) * HOUR_MS
    opens = data.draw(st.integers(0, 12)) * HOUR_MS

    period1, period2 = asked(interval, start, end)

    assert period1 <= period_start(day, interval) - offset + opens <= period2


@given(first=DAYS, days=st.integers(1, 900), interval=st.sampled_from(["1w", "1mo"]))
def test_last_week_and_month_are_asked_to_their_end(first, days, interval):
    last_day = (first + days - 1) * DAY_MS
    ends = last_day
    while period_start(ends + DAY_MS, interval) == period_start(last_day, interval):
        ends += DAY_MS

    assert asked(interval, first * DAY_MS, (first + days) * DAY_MS)[1] >= ends + DAY_MS - 1000


@given(start=st.integers(0, 10**12), length=st.integers(1, 10**8))
def test_minutes_are_asked_from_start_until_before_end(start, length):
    whole = [second * 1000 for second in range(start // 1000, start // 1000 + 3)]

    period1, period2 = asked("5m", start, start + length)

    assert [at for at in whole if period1 <= at <= period2] == [at for at in whole if start <= at < start + length]


def test_long_minutes_are_split_into_spans_that_touch():
    call = Call(dataset="bars", symbols=("AAPL", "MSFT"), interval="1m", start=0, end=20 * DAY_MS)

    parts = [(part.symbols, part.start, part.end) for part in CONNECTOR.split(call)]

    spans = [(0, 7 * DAY_MS), (7 * DAY_MS, 14 * DAY_MS), (14 * DAY_MS, 20 * DAY_MS)]
    assert parts == [((symbol,), *span) for symbol in ("AAPL", "MSFT") for span in spans]


def test_minutes_without_an_end_are_refused():
    with pytest.raises(UnsupportedCall, match="need an end"):
        asked("1m", 0, None)


@pytest.mark.parametrize(
    ("symbol", "asset_class", "spelled"),
    [
        ("BRK.B", "equity", "BRK-B"),
        ("PEB.PRE", "equity", "PEB-PE"),
        ("AAIC.WS", "equity", "AAIC-WT"),
        ("X.U", "equity", "X-UN"),
        ("ERIC.B.XSTO", "equity", "ERIC-B.ST"),
        ("BAJAJ-AUTO.XNSE", "equity", "BAJAJ-AUTO.NS"),
        ("0P000071W8.XTSE", "fund", "0P000071W8.TO"),
        ("USD/INR", "forex", "INR=X"),
        ("EUR/USD", "forex", "EURUSD=X"),
        ("GC", "commodity", "GC=F"),
    ],
)
def test_symbols_are_spelled_both_ways(symbol, asset_class, spelled):
    assert CONNECTOR.symbols.spell(symbol, asset_class) == spelled
    assert CONNECTOR.symbols.canonical(spelled, asset_class) == (symbol, asset_class)
