"""Where the bars of a provider begin, and which part of a range an answer lacks because of it."""

import pytest

from connectors import Call, connector
from connectors.calls import DAY_MS
from streams.planning.history import before, begins_late, cut_off, reaching

NOW = 1_780_000_000_000
TODAY = NOW // DAY_MS * DAY_MS
YEAR = 365 * DAY_MS
POLYGON = connector("polygon").endpoint("aggregates")
SINCE_2003 = 1_041_379_200_000


def bars(start, end=TODAY, *symbols, interval="1d"):
    return Call(dataset="bars", symbols=symbols or ("AAPL",), interval=interval, start=start, end=end)


def test_a_range_before_every_plan_is_not_asked():
    assert before(POLYGON, bars(SINCE_2003 - 9 * YEAR, SINCE_2003), NOW) == "its 1d bars begin on 2003-01-01"
    assert before(POLYGON, bars(SINCE_2003 - 9 * YEAR, SINCE_2003 + 1), NOW) is None


def test_an_endpoint_that_declares_no_beginning_is_asked_everything():
    chart = connector("yahoo").route(bars(0))

    assert before(chart, bars(0, 1), NOW) is None
    assert cut_off(chart, bars(0), {}, NOW) == []


def test_an_interval_has_a_beginning_of_its_own():
    chart = connector("yahoo").route(bars(TODAY - DAY_MS, interval="1h"))

    assert before(chart, bars(TODAY - 800 * DAY_MS, TODAY - 731 * DAY_MS, interval="1h"), NOW) is not None
    assert before(chart, bars(TODAY - 800 * DAY_MS, TODAY - 731 * DAY_MS, interval="1d"), NOW) is None


@pytest.mark.parametrize("plan", [SINCE_2003, NOW - 730 * DAY_MS])
@pytest.mark.parametrize("days", [0, 5, 10])
def test_bars_that_begin_at_a_plans_limit_were_cut_off_there(plan, days):
    (part,) = cut_off(POLYGON, bars(SINCE_2003 - YEAR), {"AAPL": plan + days * DAY_MS}, NOW)

    assert (part.start, part.end, part.symbols) == (SINCE_2003 - YEAR, plan, ("AAPL",))


@pytest.mark.parametrize("first", [SINCE_2003 + 11 * DAY_MS, SINCE_2003 - 11 * DAY_MS, TODAY - 3 * YEAR])
def test_bars_that_begin_elsewhere_begin_at_the_listing(first):
    assert cut_off(POLYGON, bars(SINCE_2003 - YEAR), {"AAPL": first}, NOW) == []


def test_a_range_within_the_history_lacks_nothing():
    assert cut_off(POLYGON, bars(TODAY - YEAR), {}, NOW) == []


def test_no_bars_at_all_are_lacking_up_to_the_smallest_plan():
    (part,) = cut_off(POLYGON, bars(SINCE_2003, TODAY - 5 * YEAR), {}, NOW)

    assert (part.start, part.end) == (SINCE_2003, TODAY - 5 * YEAR)


def test_symbols_are_parted_by_what_they_lack():
    first = {"AAPL": SINCE_2003, "IBM": NOW - 730 * DAY_MS, "MSFT": SINCE_2003 + YEAR}
    parts = cut_off(POLYGON, bars(SINCE_2003 - YEAR, TODAY, "AAPL", "IBM", "MSFT"), first, NOW)

    assert [(part.symbols, part.end) for part in parts] == [
        (("AAPL",), SINCE_2003),
        (("IBM",), NOW - 730 * DAY_MS),
    ]


def test_only_those_are_asked_whose_history_reaches_back():
    wanted = bars(SINCE_2003 - 9 * YEAR, SINCE_2003 - YEAR)

    assert reaching(("alpaca", "polygon", "yahoo", "brightdata"), wanted, NOW) == ("yahoo",)


@pytest.mark.parametrize(("days", "late"), [(0, False), (10, False), (11, True)])
def test_a_series_begins_late_when_no_holiday_explains_it(days, late):
    assert begins_late(bars(SINCE_2003), SINCE_2003 + days * DAY_MS) is late


def test_a_series_that_was_asked_whole_does_not_begin_late():
    assert not begins_late(Call(dataset="bars", symbols=("AAPL",), interval="1d"), NOW)
    assert not begins_late(bars(SINCE_2003), None)
