import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from bokeh_sampledata import stocks
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.errors import UnknownInstrument
from sandbox.market import recorded
from sandbox.market.actions import dividend_factors, split_divisors
from sandbox.market.calendars import MINUTE_MS, NYSE, easter, months, weeks
from sandbox.market.market import Market
from sandbox.market.universe import instruments

NOW = datetime(2026, 7, 15, 15, 30, 10, tzinfo=UTC)  # a Wednesday, New York and London are open
MARKET = Market(seed=7)
SYMBOLS = sorted(instruments())
SAMPLE = ["AAPL", "KO", "BRK.A", "SPY", "BTC-USD", "EUR/USD", "USD/JPY", "GC", "^GSPC", "^VIX", "VOD.XLON", "7203.XTKS"]


def moment(day, clock="00:00"):
    return datetime.fromisoformat(f"{day}T{clock}+00:00")


def everything(symbol, asof=NOW):
    return MARKET.daily(symbol, date(1980, 1, 1), date(2100, 1, 1), asof)


@pytest.mark.parametrize(
    ("symbol", "rows"), [("AAPL", 3270), ("FB", 196), ("GOOG", 2148), ("IBM", 3270), ("MSFT", 3270)]
)
def test_recorded_bars_are_the_source_unchanged(symbol, rows):
    source = getattr(stocks, symbol)

    bars = MARKET.daily(symbol, date(2000, 3, 1), date(2013, 3, 1), NOW)

    assert len(bars) == rows
    assert bars.days.astype(str).tolist() == source["date"]
    for column in ("open", "high", "low", "close", "volume"):
        assert getattr(bars, column).tolist() == source[column]


def test_recorded_bars_need_no_pandas():
    code = "import sys, sandbox.market.recorded as r; r.daily('IBM'); sys.exit('pandas' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("symbol", recorded.SYMBOLS)
def test_splits_and_dividends_explain_the_adjusted_close_of_the_source(symbol):
    """The factors of ours and the source's differ only by what came after the period, which is constant."""
    source = getattr(stocks, symbol)
    bars = recorded.daily(symbol)

    ours = dividend_factors(bars.days, recorded.dividends(symbol)) / split_divisors(
        bars.days, recorded.SPLITS.get(symbol, ())
    )
    theirs = np.array(source["adj_close"]) / np.array(source["close"])

    # the source takes a dividend's part of the close after it, Yahoo of the close before
    assert np.ptp(np.log(theirs / ours)) < 0.012


def test_dividends_are_the_real_ones():
    paid = {str(dividend.ex_date): dividend.amount for dividend in recorded.dividends("AAPL")}
    special = {str(dividend.ex_date): dividend.amount for dividend in recorded.dividends("MSFT")}

    assert paid == {"2012-08-09": 2.65, "2012-11-07": 2.65, "2013-02-07": 2.65}
    assert special["2004-11-15"] == 3.08
    assert len(recorded.dividends("IBM")) == 52
    assert recorded.dividends("FB") == ()


def test_new_york_calendar_is_that_of_the_recorded_days():
    days = NYSE.sessions(date(2000, 3, 1), date(2013, 3, 1)).days

    assert days.astype(str).tolist() == stocks.IBM["date"]


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        ("2024-03-08", "14:30", "21:00"),  # winter
        ("2024-03-11", "13:30", "20:00"),  # summer, the Monday after the change
        ("2024-11-29", "14:30", "18:00"),  # the day after Thanksgiving is short
    ],
)
def test_sessions_follow_daylight_saving_and_short_days(day, opens, closes):
    sessions = NYSE.sessions(date.fromisoformat(day), date.fromisoformat(day))

    assert sessions.opens.tolist() == [moment(day, opens).timestamp() * 1000]
    assert sessions.closes.tolist() == [moment(day, closes).timestamp() * 1000]


@pytest.mark.parametrize("day", ["2022-06-20", "2024-03-29", "2021-12-24", "2023-01-02", "2025-01-09"])
def test_new_york_rests(day):
    assert not len(NYSE.sessions(date.fromisoformat(day), date.fromisoformat(day)).days)


@given(st.integers(1990, 2100))
def test_easter_is_a_spring_sunday(year):
    sunday = easter(year)

    assert sunday.weekday() == 6
    assert date(year, 3, 22) <= sunday <= date(year, 4, 25)


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.integers(0, 6), st.sampled_from([1, 3, 12]))
def test_windows_hold_their_day(day, first, n):
    days = np.array([day], "datetime64[D]")
    week, month = weeks(days, first)[0].item(), months(days, n)[0].item()

    assert week.weekday() == first
    assert 0 <= (day - week).days < 7
    assert (month.day, (month.month - 1) % n) == (1, 0)
    assert 0 <= 12 * (day.year - month.year) + day.month - month.month < n


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SYMBOLS), st.dates(date(2001, 1, 1), date(2026, 7, 14)))
def test_minutes_are_exactly_their_day(symbol, day):
    daily = MARKET.daily(symbol, day, day, NOW)
    minutes = MARKET.minutes(symbol, moment(day) - timedelta(hours=12), moment(day) + timedelta(hours=36), NOW)
    minutes = minutes.take(minutes.days == np.datetime64(day, "D"))

    whole = minutes.grouped(np.zeros(len(minutes), np.int64))

    if instruments()[symbol].asset_class == "fund":
        assert not len(minutes)
        return
    for column in ("open", "high", "low", "close", "trades"):
        assert getattr(whole, column).tolist() == getattr(daily, column).tolist()
    assert whole.volume.tolist() == pytest.approx(daily.volume.tolist(), rel=1e-12)
    assert (np.diff(minutes.starts) >= MINUTE_MS).all()


@pytest.mark.parametrize("symbol", SAMPLE)
def test_every_bar_is_possible(symbol):
    bars = everything(symbol)

    for told in (bars, MARKET.minutes(symbol, moment("2026-07-10"), moment("2026-07-16"), NOW)):
        assert (told.low > 0).all()
        assert (told.low <= np.minimum(told.open, told.close)).all()
        assert (told.high >= np.maximum(told.open, told.close)).all()
        assert ((told.low <= told.vwap) & (told.vwap <= told.high)).all()
        assert (told.volume >= 0).all()
        assert (np.diff(told.starts) > 0).all()


def test_thin_shares_have_minutes_without_a_trade():
    minutes = MARKET.minutes("BRK.A", moment("2026-07-10"), moment("2026-07-11"), NOW)

    assert 10 < len(minutes) < 200


@pytest.mark.parametrize("symbol", SAMPLE)
def test_a_day_is_the_same_however_it_is_reached(symbol):
    day = date(2019, 5, 14)
    alone = Market(seed=7).daily(symbol, day, day, NOW)

    among = everything(symbol)
    among = among.take(among.days == np.datetime64(day, "D"))

    assert list(alone) == list(among)
    assert list(Market(seed=8).daily("KO", day, day, NOW)) != list(MARKET.daily("KO", day, day, NOW))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(SAMPLE), st.integers(0, 3 * 24 * 60 * 60))
def test_nothing_is_told_before_it_happened(symbol, seconds):
    asof = moment("2026-07-13") + timedelta(seconds=seconds)
    now = asof.timestamp() * 1000

    minutes = MARKET.minutes(symbol, asof - timedelta(days=5), asof + timedelta(days=5), asof)
    later = MARKET.minutes(symbol, asof - timedelta(days=5), asof, asof + timedelta(days=1))
    quote = MARKET.quote(symbol, asof)

    assert (minutes.starts + MINUTE_MS <= now).all()
    assert list(minutes) == list(later)[: len(minutes)]
    assert quote.ts <= now
    assert everything(symbol, asof).starts[-1] <= now


def test_a_running_day_is_the_sum_of_its_minutes_so_far():
    today = list(everything("KO"))[-1]
    minutes = MARKET.minutes("KO", moment("2026-07-15"), moment("2026-07-16"), NOW)

    assert len(minutes) == 120
    assert today.volume == minutes.volume.sum()
    assert (today.open, today.close) == (minutes.open[0], minutes.close[-1])


def test_quote_belongs_to_the_running_session_then_to_the_last_one():
    open_, night = MARKET.quote("KO", NOW), MARKET.quote("KO", moment("2026-07-19"))

    assert (open_.live, open_.today.day, open_.ts) == (True, date(2026, 7, 15), NOW.timestamp() * 1000)
    assert open_.bid < open_.price < open_.ask
    assert (night.live, night.today.day) == (False, date(2026, 7, 17))
    assert night.price == MARKET.daily("KO", date(2026, 7, 17), date(2026, 7, 17), moment("2026-07-19")).close[0]


def test_a_split_in_the_night_is_no_fall():
    quote = MARKET.quote("AAPL", moment("2005-02-28", "21:00"))

    assert (quote.price, quote.prev_close) == (44.86, 88.99 / 2)


@pytest.mark.parametrize("symbol", recorded.SYMBOLS)
def test_invented_prices_join_the_recorded_ones(symbol):
    bars = MARKET.daily(symbol, date(2013, 2, 25), date(2013, 3, 8), NOW)

    assert np.abs(np.diff(np.log(bars.close))).max() < 0.1


def test_splits_take_effect_on_their_day():
    symbol = next(symbol for symbol in SYMBOLS if symbol not in recorded.SYMBOLS and MARKET.splits(symbol, NOW))
    for symbol_ in ("AAPL", symbol):
        bars = everything(symbol_)
        split = MARKET.splits(symbol_, NOW)[0]
        at = int(np.searchsorted(bars.days, np.datetime64(split.ex_date, "D")))

        assert bars.close[at - 1] / bars.close[at] == pytest.approx(float(split.ratio), rel=0.15)
        assert MARKET.splits(symbol_, datetime.combine(split.ex_date, datetime.min.time(), UTC)) == []


def test_unknown_and_unlisted():
    with pytest.raises(UnknownInstrument):
        MARKET.find("NOPE")
    assert not len(MARKET.daily("FB", date(2012, 1, 1), date(2012, 5, 17), NOW))
    assert MARKET.quote("FB", moment("2012-01-03")) is None
