"""A collection becomes the cheapest calls: nothing is forgotten or asked twice, nobody asked what it does not sell."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import Call, UnsupportedCall, connectors
from connectors.scope import Scope
from streams.accounts.entitlement import Refused
from streams.accounts.quota import KeyUsage, Window, reject
from streams.planning.candidates import spells
from streams.planning.plan import Availability, Plan, Requirement, market_of, missing
from streams.planning.planner import make

DAY = 86_400_000
MONDAY = 1_717_372_800_000  # 2024-06-03
NOW = MONDAY + 10 * DAY
BIG_DAY = (Window(100_000, "day"),)
LISTED = tuple(f"T{i}" for i in range(16_000))
BARS = {"dataset": "bars", "interval": "1d", "start": MONDAY, "end": MONDAY + DAY}


def availability(name, *, keys=1, windows=None, **more):
    declared = connectors()[name]
    limits = tuple(Window(limit.calls, limit.per, limit.zone, limit.weighted) for limit in declared.limits)
    usages = {f"{name}#{i}": KeyUsage() for i in range(1, keys + 1)}
    return Availability(declared, limits if windows is None else windows, **{"usages": usages, **more})


def nothing(_, __):
    return ()


def plan(requirements, *availabilities, covered=nothing):
    return make([requirements] if isinstance(requirements, Requirement) else requirements, availabilities, covered, NOW)


def asked_by(found):
    """Symbols asked by name of each provider."""
    by_provider = {}
    for call, slip in found.requests:
        by_provider.setdefault(slip[0], []).extend(call.symbols)
    return by_provider


# -- whatever is wished, of whomever ---------------------------------------------------------------------------------

SYMBOLS = ("AAPL", "BRK.B", "MSFT", "IBM", "VOD.XLON", "BMW.XETR", "AIR.XPAR", "T1", "T2", "T3", "T4", "no share", "")
WISHED = st.builds(
    Requirement,
    dataset=st.sampled_from(["bars", "quote", "profile", "news"]),
    symbols=st.lists(st.sampled_from(SYMBOLS[:-1]), min_size=1, max_size=12, unique=True).map(tuple),
    asset_class=st.sampled_from(["equity", "etf", "crypto"]),
    interval=st.just("1d"),
    adjustment=st.sampled_from([None, None, "raw", "split", "total"]),
    start=st.integers(0, 6).map(lambda days: MONDAY + days * DAY),
    end=st.integers(7, 12).map(lambda days: MONDAY + days * DAY),
).map(
    lambda requirement: (
        requirement
        if requirement.dataset == "bars"
        else Requirement(requirement.dataset, requirement.symbols, requirement.asset_class)
    )
)
SUPPLIED = st.lists(
    st.builds(
        availability,
        st.sampled_from(sorted(connectors())),
        keys=st.integers(0, 2),
        windows=st.sampled_from([None, (), BIG_DAY]),
        usd_left=st.sampled_from([None, 0, 0.004]),
    ),
    max_size=8,
    unique_by=lambda supplied: supplied.connector.name,
)
RANGES = st.lists(st.tuples(st.integers(-2, 13), st.integers(1, 4)), max_size=3).map(
    lambda found: [(MONDAY + day * DAY, MONDAY + (day + length) * DAY) for day, length in found]
)
STORED = st.dictionaries(st.sampled_from(SYMBOLS), RANGES, max_size=6)


def days_of(start, end):
    """Days of a range on which US shares trade, or one moment where there is no range."""
    return [0] if start is None else [at for at in range(start, end, DAY) if at // DAY % 7 not in {2, 3}]


def wanted(requirement, stored):
    """Every symbol and day that is wished and not stored."""
    for symbol in requirement.symbols:
        days = days_of(requirement.start, requirement.end)
        if market_of(symbol, requirement.asset_class) or requirement.asset_class not in {"equity", "etf"}:
            days = [0] if requirement.start is None else list(range(requirement.start, requirement.end, DAY))
        for day in days:
            if not day or not any(start <= day < end for start, end in stored.get(symbol, ())):
                yield symbol, day


def covers(call, day):
    return not day or call.start <= day < call.end


@settings(max_examples=100)
@given(WISHED, SUPPLIED, STORED)
def test_everything_missing_is_asked_for_once_or_named_with_the_reason(requirement, supplied, stored):
    found = plan(requirement, *supplied, covered=lambda _, symbol: stored.get(symbol, ()))

    unavailable = {symbol for lacking in found.unavailable for symbol in lacking.symbols}
    for symbol, day in wanted(requirement, stored):
        market = market_of(symbol, requirement.asset_class)
        by_name = [call for call, _ in found.requests if symbol in call.symbols and covers(call, day)]
        whole = [
            call
            for call, slip in found.requests
            if not call.symbols
            and covers(call, day)
            and call.exchange == market
            and spells(connectors()[slip[0]], requirement.asset_class, symbol)
        ]
        assert len(by_name) <= 1
        assert bool(by_name or whole) != (symbol in unavailable)
    assert all(lacking.reason for lacking in found.unavailable)
    fully = [
        symbol for symbol in requirement.symbols if symbol not in {symbol for symbol, _ in wanted(requirement, stored)}
    ]
    assert found.covered + len([symbol for symbol in fully if symbol in unavailable]) == len(fully)


@settings(max_examples=100)
@given(WISHED, SUPPLIED, STORED)
def test_nobody_is_asked_what_it_does_not_sell_or_has_no_key_for(requirement, supplied, stored):
    found = plan(requirement, *supplied, covered=lambda _, symbol: stored.get(symbol, ()))

    keyed = {one.connector.name for one in supplied if one.usages}
    for call, slip in found.requests:
        assert len(set(slip)) == len(slip)
        assert set(slip) <= keyed
        for name in slip:
            assert connectors()[name].split(call)
        if requirement.adjustment and requirement.dataset == "bars":
            assert call.adjustment == requirement.adjustment
            assert requirement.adjustment in connectors()[slip[0]].route(call).adjustments


@settings(max_examples=100)
@given(WISHED, SUPPLIED, STORED)
def test_calls_are_counted_as_they_will_be_cut_and_never_exceed_one_for_each_symbol(requirement, supplied, stored):
    found = plan(requirement, *supplied, covered=lambda _, symbol: stored.get(symbol, ()))

    cut = {}
    for call, slip in found.requests:
        cut[slip[0]] = cut.get(slip[0], 0) + len(connectors()[slip[0]].split(call))
    assert found.calls == cut
    assert sum(found.calls.values()) <= len({symbol for symbol, _ in wanted(requirement, stored)})


@settings(max_examples=100)
@given(WISHED, SUPPLIED)
def test_money_and_best_effort_serve_only_what_nobody_else_can(requirement, supplied):
    found = plan(requirement, *supplied)
    budgets = {one.connector.name: one.usd_left for one in supplied}

    for call, slip in found.requests:
        others = [one for one in supplied if one.usages and one.connector.name not in {"yahoo", "brightdata"}]
        if slip[0] in {"yahoo", "brightdata"}:
            assert not [one for one in others if able(one, call)]
        assert "brightdata" not in slip[1:]
    for name, work in found.work.items():
        assert budgets[name] is None or work.usd <= budgets[name]


def able(supplied, call):
    try:
        parts = supplied.connector.split(call)
    except UnsupportedCall:
        return False
    heaviest = max(supplied.connector.route(part).weight(1) for part in parts)
    return all(heaviest <= window.calls for window in supplied.windows if window.weighted)


@given(RANGES, st.sampled_from([None, MONDAY]), st.sampled_from([None, MONDAY + 7 * DAY]))
def test_what_is_missing_and_what_is_covered_make_up_the_range(covered, start, end):
    requirement = Requirement("bars", ("AAPL",), interval="1d", start=start, end=end)
    found = missing(requirement, covered)

    if start is None and end is None:
        assert found == ((None, None),)
        return
    for day in range(MONDAY - 30 * DAY, MONDAY + 30 * DAY, DAY):
        wished = (start is None or start <= day) and (end is None or day < end)
        inside = [1 for a, b in found if (a is None or a <= day) and (b is None or day < b)]
        assert len(inside) == (wished and not any(a <= day < b for a, b in covered))


# -- the rules, one by one -------------------------------------------------------------------------------------------


def test_one_day_of_sixteen_thousand_shares_is_one_call_for_the_whole_market():
    found = plan(
        Requirement(symbols=LISTED, **BARS),
        availability("polygon"),
        availability("eodhd", windows=BIG_DAY),
        availability("finnhub"),
    )

    assert sum(found.calls.values()) <= 20
    ((call, slip),) = found.requests
    assert (call.symbols, call.start, call.end) == ((), MONDAY, MONDAY + DAY)
    assert slip == ("polygon", "eodhd")


def test_without_a_whole_market_each_share_is_a_call_and_the_quota_says_how_long_that_takes():
    found = plan(Requirement(symbols=LISTED, **BARS), availability("finnhub", windows=(Window(60, "minute"),)))

    assert found.calls == {"finnhub": 16_000}
    assert found.duration_s == 15_960
    assert found.cost_usd == 0


def test_a_whole_market_must_fit_into_the_limits_and_take_fewer_calls():
    few = Requirement(symbols=("AAPL", "MSFT"), **BARS)

    assert all(
        call.symbols for call, _ in plan(Requirement(symbols=LISTED[:30], **BARS), availability("eodhd")).requests
    )
    assert all(
        call.symbols for call, _ in plan(Requirement(symbols=("AAPL",), **BARS), availability("polygon")).requests
    )
    assert [call.symbols for call, _ in plan(few, availability("polygon")).requests] == [()]


def test_a_whole_market_is_not_waited_for_over_days_where_asking_by_name_is_faster():
    month = Requirement("bars", LISTED[:40], interval="1d", start=MONDAY, end=MONDAY + 30 * DAY)
    found = plan(month, availability("eodhd", windows=(Window(100, "day"),)), availability("finnhub"))

    assert all(call.symbols for call, _ in found.requests)


@pytest.mark.parametrize(
    ("requirement", "supplied"),
    [
        (Requirement("earnings", LISTED[:300], start=MONDAY, end=MONDAY + DAY), availability("fmp")),
        (Requirement("actions", LISTED[:300], kind="dividend", end=MONDAY + DAY), availability("fmp")),
        (
            Requirement("actions", LISTED[:300], kind="dividend", start=MONDAY, end=MONDAY + DAY),
            availability("polygon"),
        ),
        (
            Requirement(
                "actions", tuple(f"L{i}.XLON" for i in range(300)), kind="split", start=MONDAY, end=MONDAY + DAY
            ),
            availability("fmp"),
        ),
    ],
    ids=[
        "it holds what is announced only",
        "it has no beginning",
        "it has pages without end",
        "it is of another venue",
    ],
)
def test_a_whole_market_that_would_not_do_is_not_asked_for(requirement, supplied):
    assert plan(requirement, supplied).calls == {supplied.connector.name: 300}


def test_the_whole_market_that_serves_most_is_taken_and_one_that_costs_money_is_not():
    digit = Requirement(symbols=(*LISTED[:50], "3M"), **BARS)
    paid = availability("eodhd", windows=BIG_DAY, price=0.01)

    assert plan(digit, availability("eodhd", windows=BIG_DAY), availability("polygon")).calls == {"polygon": 1}
    assert plan(Requirement(symbols=LISTED[:50], **BARS), paid, availability("finnhub")).calls == {"finnhub": 50}
    assert {slip for _, slip in plan(digit, paid, availability("polygon")).requests} == {("polygon",)}


def test_a_day_of_a_whole_market_is_asked_once_for_all_who_miss_it():
    week = Requirement("bars", LISTED[:200], interval="1d", start=MONDAY, end=MONDAY + 5 * DAY)
    late = frozenset(LISTED[:100])
    found = plan(
        week, availability("polygon"), covered=lambda _, symbol: [(0, MONDAY + 2 * DAY)] if symbol in late else ()
    )

    assert found.calls == {"polygon": 5}


def test_a_whole_market_is_not_asked_for_on_a_weekend():
    month = Requirement("bars", LISTED, interval="1d", start=MONDAY - 2 * DAY, end=MONDAY + 8 * DAY)
    found = plan(month, availability("polygon"))

    assert found.calls == {"polygon": 6}
    assert [(call.start - MONDAY) // DAY for call, _ in found.requests] == [0, 1, 2, 3, 4, 7]


def test_shares_of_other_venues_are_planned_with_their_own_exchange():
    london = tuple(f"L{i}.XLON" for i in range(300))
    found = plan(
        Requirement(symbols=LISTED[:300] + london, **BARS),
        availability("polygon"),
        availability("eodhd", windows=BIG_DAY),
    )

    assert {(call.exchange, slip[0]) for call, slip in found.requests} == {(None, "polygon"), ("XLON", "eodhd")}
    assert found.weights == {"polygon": 1, "eodhd": 100}


def test_an_adjustment_that_is_named_is_given():
    raw = plan(
        Requirement(symbols=LISTED, adjustment="split", **BARS),
        availability("eodhd", windows=BIG_DAY),
        availability("fmp"),
    )
    total = plan(
        Requirement(symbols=LISTED[:5], adjustment="total", **BARS), availability("polygon"), availability("finnhub")
    )

    assert set(raw.calls) == {"fmp"}
    assert total.requests == ()
    assert [lacking.symbols for lacking in total.unavailable] == [LISTED[:5]]


def test_many_symbols_go_into_one_call_where_that_is_sold():
    found = plan(
        Requirement("bars", LISTED, interval="1m", start=MONDAY, end=MONDAY + DAY),
        availability("alpaca"),
        availability("fmp"),
    )

    assert set(found.calls) == {"alpaca"}
    assert len(found.requests) == 160
    assert found.calls["alpaca"] > 160, "a hundred shares have more minutes than an answer has rows"


def test_single_calls_are_shared_in_proportion_to_what_the_keys_allow():
    found = plan(
        Requirement("profile", LISTED[:6_500]),
        availability("polygon", windows=(Window(5, "minute"),)),
        availability("finnhub", windows=(Window(30, "minute"),), keys=2),
    )

    assert found.calls == {"polygon": 500, "finnhub": 6_000}
    assert found.duration_s == 99 * 60
    assert {slip for _, slip in found.requests} == {("polygon", "finnhub"), ("finnhub", "polygon")}


def test_keys_with_more_to_spare_get_more_even_where_all_can_start_at_once():
    found = plan(
        Requirement("profile", LISTED[:13]),
        availability("polygon", windows=(Window(5, "minute"),)),
        availability("finnhub", windows=(Window(60, "minute"),)),
    )

    assert found.calls == {"polygon": 1, "finnhub": 12}


def test_what_is_planned_for_one_wish_is_gone_for_the_next():
    fmp, finnhub = (
        availability("fmp", windows=(Window(90, "day"),)),
        availability("finnhub", windows=(Window(10, "day"),)),
    )
    found = plan([Requirement("metrics", LISTED[:90], kind="dcf"), Requirement("profile", LISTED[:10])], fmp, finnhub)

    assert found.calls == {"fmp": 90, "finnhub": 10}
    assert found.duration_s == 0


def test_what_a_key_has_used_already_counts():
    spent = KeyUsage(counted=(("day", NOW - NOW % DAY, 249.0, 249.0),))
    found = plan(
        Requirement("profile", LISTED[:40]),
        availability("fmp", usages={"fmp#1": spent}),
        availability("finnhub", windows=(Window(39, "day"),)),
    )

    assert found.calls == {"fmp": 1, "finnhub": 39}
    assert found.duration_s == 0


def test_more_calls_than_symbols_are_made_only_where_it_would_otherwise_take_too_long():
    statements = Requirement("statements", LISTED[:600])
    patient = plan(statements, availability("fmp", windows=BIG_DAY), availability("finnhub"))
    pressed = plan(
        statements, availability("fmp", windows=BIG_DAY), availability("finnhub", windows=(Window(1, "day"),))
    )

    assert patient.calls == {"finnhub": 600}
    assert pressed.calls["fmp"] > 3 * 590


def test_one_range_around_a_gap_is_asked_where_that_takes_fewer_calls():
    week = Requirement("bars", ("AAPL",), interval="1d", start=MONDAY, end=MONDAY + 5 * DAY)
    hole = [(MONDAY + DAY, MONDAY + 3 * DAY)]
    found = plan(week, availability("finnhub"), covered=lambda *_: hole)

    assert [(call.start, call.end) for call, _ in found.requests] == [(MONDAY, MONDAY + 5 * DAY)]


def test_what_is_stored_is_counted_and_not_asked():
    requirement = Requirement(symbols=LISTED[:10], **BARS)
    found = plan(requirement, availability("finnhub"), covered=lambda _, symbol: [(0, NOW)] if symbol != "T3" else ())

    assert found.covered == 9
    assert asked_by(found) == {"finnhub": ["T3"]}


def test_a_weekend_is_nothing_to_ask_and_said_to_be():
    found = plan(
        Requirement("bars", ("AAPL",), interval="1d", start=MONDAY - 2 * DAY, end=MONDAY), availability("polygon")
    )

    assert found.requests == ()
    assert "Saturday" in found.unavailable[0].reason


def refusals(name, label=1, *, until=NOW + DAY, **scope):
    """What a key of that number is not sold."""
    said = Refused(Scope(**scope).text(), "NotEntitled", "not in your plan", NOW, until)
    return {f"{name}#{label}": (said,)}


def test_an_endpoint_is_for_sale_until_every_key_is_known_not_to_be_sold_it():
    daily = refusals("finnhub", endpoint="stock_daily")
    requirement = Requirement(symbols=("AAPL",), **BARS)

    assert plan(requirement, availability("finnhub", keys=2, refusals=daily)).calls == {"finnhub": 1}
    (lacking,) = plan(requirement, availability("finnhub", refusals=daily)).unavailable
    assert lacking.reason == (
        "nobody can serve it: finnhub does not sell stock_daily: not in your plan "
        "(asked again from 2024-06-14 00:00 UTC)"
    )
    forgotten = refusals("finnhub", endpoint="stock_daily", until=NOW)
    assert plan(requirement, availability("finnhub", refusals=forgotten)).calls == {"finnhub": 1}


LONG = {"dataset": "bars", "interval": "1d", "start": NOW - 4000 * DAY, "end": NOW}
TWO_YEARS = refusals("polygon", interval="1d", older_ms=730 * DAY)
FIRST = NOW - 730 * DAY + DAY


def asked_ranges(found):
    return [(slip[0], call.start, call.end, call.adjustment) for call, slip in found.requests]


def test_a_key_with_two_years_is_planned_for_them_and_others_for_the_rest():
    found = plan(
        Requirement(symbols=("AAPL",), **LONG), availability("polygon", refusals=TWO_YEARS), availability("yahoo")
    )

    assert sorted(asked_ranges(found)) == [
        ("polygon", FIRST, NOW, "split"),
        ("yahoo", NOW - 4000 * DAY, FIRST, "split"),
    ]


def test_who_is_free_and_sells_the_whole_range_is_asked_it_at_once():
    supplied = availability("polygon", refusals=TWO_YEARS), availability("eodhd")

    assert asked_ranges(plan(Requirement(symbols=("AAPL",), **LONG), *supplied)) == [
        ("eodhd", NOW - 4000 * DAY, NOW, None)
    ]


def test_a_range_that_nobody_sells_is_told_beside_the_part_that_is_planned():
    found = plan(Requirement(symbols=("AAPL",), **LONG), availability("polygon", refusals=TWO_YEARS))

    assert asked_ranges(found) == [("polygon", FIRST, NOW, "split")]
    (lacking,) = found.unavailable
    assert "polygon does not sell every endpoint (1d): ranges that begin 730 days ago or earlier" in lacking.reason


def test_a_range_whose_limit_is_not_known_is_planned_elsewhere_whole():
    unknown = refusals("polygon", interval="1d", older_ms=730 * DAY, limit_known=False)
    supplied = availability("polygon", refusals=unknown), availability("yahoo")

    assert asked_ranges(plan(Requirement(symbols=("AAPL",), **LONG), *supplied)) == [
        ("yahoo", NOW - 4000 * DAY, NOW, None)
    ]


@pytest.mark.parametrize("scope", [{"symbols": ("VOD.XLON",)}, {"exchange": "XLON"}])
def test_a_symbol_that_is_not_sold_is_planned_elsewhere_and_the_others_are_not(scope):
    symbols = ("VOD.XLON", "BMW.XETR")
    unsold = refusals("finnhub", endpoint="stock_daily", **scope)
    requirement = Requirement(symbols=symbols, **BARS)
    found = plan(requirement, availability("finnhub", refusals=unsold), availability("yahoo"))

    assert asked_by(found) == {"finnhub": ["BMW.XETR"], "yahoo": ["VOD.XLON"]}
    (lacking,) = plan(requirement, availability("finnhub", refusals=unsold)).unavailable
    assert (lacking.symbols, "not in your plan" in lacking.reason) == (("VOD.XLON",), True)


def test_what_the_smallest_limit_of_a_range_cuts_is_counted_as_calls():
    short = refusals("eodhd", endpoint="eod", longer_ms=1000 * DAY)

    assert plan(Requirement(symbols=("AAPL",), **LONG), availability("eodhd", refusals=short)).calls == {"eodhd": 4}


@pytest.mark.parametrize(
    ("supplied", "reason"),
    [
        (availability("finnhub", keys=0), "finnhub: no key, set FINNHUB_KEYS"),
        (availability("finnhub", usages={"finnhub#1": reject(KeyUsage())}), "finnhub rejected every key: finnhub#1"),
        (availability("eodhd", windows=(Window(5, "day"),)), "a call of eodhd costs 10 calls, more than 5/day"),
        (availability("alpaca"), "alpaca does not serve equity profile"),
        (availability("brightdata", usd_left=0.001), "brightdata may spend $0.001 more today, and it costs $0.0015"),
    ],
)
def test_what_cannot_be_had_is_named_with_the_reason(supplied, reason):
    found = plan(Requirement("profile", ("AAPL", "MSFT")), supplied)

    assert found.requests == ()
    assert [(lacking.dataset, lacking.symbols) for lacking in found.unavailable] == [("profile", ("AAPL", "MSFT"))]
    assert reason in found.unavailable[0].reason


def test_money_is_spent_to_the_last_symbol_it_pays_and_not_beyond():
    found = plan(Requirement("profile", LISTED[:10]), availability("brightdata", usd_left=0.006))

    assert found.calls == {"brightdata": 4}
    assert found.cost_usd == 0.006
    assert found.unavailable[0].symbols == LISTED[4:10]


def test_a_price_of_one_s_own_replaces_the_declared_one():
    requirement = Requirement("profile", LISTED[:10])

    assert plan(requirement, availability("brightdata", price=0.5)).cost_usd == 5
    assert plan(requirement, availability("brightdata", price=0.0), availability("yahoo")).calls == {"brightdata": 10}


def test_a_wish_without_symbols_is_one_provider_s_whole_market():
    found = plan(
        Requirement("assets", asset_class="crypto"),
        availability("alpaca"),
        availability("yahoo"),
        availability("eodhd"),
    )

    ((call, slip),) = found.requests
    assert call == Call(dataset="assets", asset_class="crypto")
    assert slip == ("alpaca", "eodhd", "yahoo")


def test_lists_are_wanted_of_each_provider_that_has_a_key_and_can_be_asked():
    requirement = Requirement("assets", asset_class="crypto", of_each=True)

    found = plan(
        requirement, availability("alpaca"), availability("yahoo"), availability("eodhd"), availability("brightdata")
    )
    assert sorted(slip for _, slip in found.requests) == [("alpaca",), ("eodhd",)]
    assert {call for call, _ in found.requests} == {Call(dataset="assets", asset_class="crypto")}
    assert found.calls == {"alpaca": 1, "eodhd": 1}

    shares = [replace(requirement, asset_class=each) for each in ("equity", "etf")]
    once = plan(shares, availability("eodhd"), availability("polygon"))  # EODHD has one list for both
    assert [(call.asset_class, *slip) for call, slip in once.requests] == [
        ("equity", "polygon"),
        ("equity", "eodhd"),
        ("etf", "polygon"),
    ]

    alone = plan(requirement, availability("yahoo"), availability("brightdata"))
    assert [slip for _, slip in alone.requests] == [("yahoo",)]


def test_work_on_several_datasets_adds_up_by_provider():
    requirements = [Requirement(dataset, LISTED[:100]) for dataset in ("profile", "metrics")]
    found = plan(requirements, availability("finnhub", windows=(Window(60, "minute"),)))

    assert found.calls == {"finnhub": 200}
    assert found.duration_s == 180


def test_nothing_wished_is_an_empty_plan():
    assert plan([]) == Plan((), {}, (), 0)


@pytest.mark.parametrize(("symbols", "dataset"), list(product([LISTED], ["bars", "quote", "profile"])))
def test_planning_looks_at_each_symbol_a_few_times_only(symbols, dataset):
    looked = []

    def covered(_, symbol):
        looked.append(symbol)
        return ()

    requirement = Requirement(symbols=symbols, **BARS) if dataset == "bars" else Requirement(dataset, symbols)
    plan(requirement, *(availability(name) for name in connectors()), covered=covered)

    assert len(looked) == len(symbols)
