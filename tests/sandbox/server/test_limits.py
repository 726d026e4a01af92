from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import Clock, InvalidSettings, Limit, Plan, Sandbox, SandboxSettings
from sandbox.polygon import PROVIDER as POLYGON
from sandbox.server.keys import Keyring
from sandbox.server.limits import Meter

START = datetime(2024, 3, 31, 23, 59, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("limit", "start", "end"),
    [
        (Limit(1, "second"), "2024-03-31T23:59:30+00:00", "2024-03-31T23:59:31+00:00"),
        (Limit(1, "minute"), "2024-03-31T23:59:00+00:00", "2024-04-01T00:00:00+00:00"),
        (Limit(1, "hour"), "2024-03-31T23:00:00+00:00", "2024-04-01T00:00:00+00:00"),
        (Limit(1, "day"), "2024-03-31T00:00:00+00:00", "2024-04-01T00:00:00+00:00"),
        (Limit(1, "month"), "2024-03-01T00:00:00+00:00", "2024-04-01T00:00:00+00:00"),
        (Limit(1, "day", "America/New_York"), "2024-03-31T00:00:00-04:00", "2024-04-01T00:00:00-04:00"),
        (Limit(1, "month", "America/New_York"), "2024-03-01T00:00:00-05:00", "2024-04-01T00:00:00-04:00"),
    ],
)
def test_windows_are_those_of_the_calendar_in_their_zone(limit, start, end):
    assert limit.window(START) == (datetime.fromisoformat(start), datetime.fromisoformat(end))


@given(
    st.lists(st.integers(0, 90), max_size=200),
    st.integers(1, 9),
    st.sampled_from(["second", "minute", "hour"]),
)
def test_no_window_ever_holds_more_than_the_limit_nor_refuses_less(steps, calls, per):
    limit, meter, now, accepted = Limit(calls, per), Meter(Plan((Limit(calls, per),))), START, {}
    for step in steps:
        now += timedelta(seconds=step)
        window = limit.window(now)[0]
        refused = meter.spend(now)

        assert bool(refused) == (accepted.get(window, 0) == calls)
        if refused:
            assert now + refused[1] == limit.window(now)[1]
        else:
            accepted[window] = accepted.get(window, 0) + 1


def test_a_refused_call_spends_nothing_of_the_other_windows():
    minute, day = Limit(1, "minute"), Limit(3, "day")
    meter = Meter(Plan((minute, day)))
    now = datetime(2024, 1, 1, tzinfo=UTC)

    answers = [meter.spend(now + timedelta(seconds=20 * i)) for i in range(7)]

    assert [bool(answer) for answer in answers] == [False, True, True, False, True, True, False]
    assert (meter.used[day], meter.peak[minute]) == (3, 1)
    assert meter.spend(now + timedelta(minutes=10))[0] == day


def test_what_is_left_of_a_minute_is_whole_again_when_the_next_begins():
    meter = Meter(Plan((Limit(9, "day"), Limit(3, "minute"))))
    meter.spend(START)
    meter.spend(START)

    left, later = meter.left("minute", START), meter.left("minute", START + timedelta(seconds=30))

    assert (left.limit.calls, left.calls, left.resets) == (3, 1, START + timedelta(seconds=30))
    assert (later.calls, later.resets) == (3, START + timedelta(seconds=90))
    assert meter.left("hour", START) is None


ALPACA = ("alpaca/v2/assets/AAPL", {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "s"})
FINNHUB = ("finnhub/quote?symbol=AAPL", {"X-Finnhub-Token": "k"})
EODHD = ("eodhd/eod/AAPL.US?api_token=k", {})
LIMITED_SILENTLY = ("polygon/v3/reference/tickers/AAPL?apiKey=k", {})
RESET = str(int((START + timedelta(seconds=30)).timestamp()))


@pytest.fixture
async def told():
    """Makes calls a second apart; gives of each answer its status and what `X-RateLimit-*` headers say."""

    async def told(asked, limits, calls):
        path, headers = asked
        settings = SandboxSettings(keys={path.partition("/")[0]: {"k": limits}}, clock=Clock(START, rate=0))
        async with Sandbox(settings) as sandbox, aiohttp.ClientSession(headers=headers) as http:
            answers = []
            for _ in range(calls):
                async with http.get(f"{sandbox.url}/{path}") as response:
                    names = (name.lower().rpartition("x-ratelimit-") for name in response.headers)
                    quota = {word: response.headers[prefix + word] for _, prefix, word in names if prefix}
                    answers.append((response.status, quota))
                sandbox.clock.advance(timedelta(seconds=1))
            return answers

    return told


@pytest.mark.parametrize("asked", [ALPACA, FINNHUB])
async def test_every_answer_tells_what_is_left_of_the_minute_and_when_it_ends(told, asked):
    assert await told(asked, [Limit(1, "second"), Limit(2, "minute")], 3) == [
        (200, {"limit": "2", "remaining": "1", "reset": RESET}),
        (200, {"limit": "2", "remaining": "0", "reset": RESET}),
        (429, {"limit": "2", "remaining": "0", "reset": RESET}),
    ]


async def test_eodhd_tells_the_calls_of_the_minute_without_their_reset(told):
    assert await told(EODHD, [Limit(20, "day", credits=True), Limit(1000, "minute")], 2) == [
        (200, {"limit": "1000", "remaining": "999"}),
        (200, {"limit": "1000", "remaining": "998"}),
    ]


@pytest.mark.parametrize(
    ("asked", "limits"), [(ALPACA, None), (ALPACA, [Limit(9, "day")]), (LIMITED_SILENTLY, [Limit(9, "minute")])]
)
async def test_without_calls_a_minute_or_a_word_for_them_nothing_is_told(told, asked, limits):
    assert await told(asked, limits, 1) == [(200, {})]


def test_credits_weigh_by_endpoint():
    meter = Meter(Plan((Limit(10, "day", credits=True), Limit(9, "day"))))

    assert meter.spend(START, credits=5) is None
    assert meter.spend(START, credits=6)[0].credits
    assert meter.spend(START, credits=5) is None


def test_clock_stands_still_runs_and_jumps():
    still = Clock(START, rate=0)
    fast = Clock(START, rate=1_000_000)

    assert still.now() == still.now() == START
    still.advance(timedelta(hours=2))
    assert still.now() == START + timedelta(hours=2)
    assert fast.now() > START
    assert Clock(rate=60).real_seconds(timedelta(minutes=1)) == 1


def test_keys_are_named_by_their_place():
    keyring = Keyring(POLYGON, {"first": None, "second": "free", "third": [Limit(2, "day")]})

    assert [keyring.label(key) for key in ("first", "second", "other", None)] == [
        "polygon#1",
        "polygon#2",
        "unknown",
        "none",
    ]
    assert keyring.meter("first").plan == Plan()
    assert keyring.meter("second").plan == POLYGON.plans["free"]
    assert keyring.meter("third").plan.limits == (Limit(2, "day"),)
    assert keyring.meter("other") is None


def test_any_key_is_metered_by_itself():
    keyring = Keyring(POLYGON, {"*": [Limit(1, "day")]})

    assert keyring.meter("a").spend(START) is None
    assert keyring.meter("b").spend(START) is None
    assert keyring.meter("a").spend(START)


def test_without_settings_a_demo_key_has_the_first_plan():
    assert Keyring(POLYGON).meter("demo-polygon-1").plan == POLYGON.plans["free"]


def test_an_unknown_plan_is_named():
    with pytest.raises(InvalidSettings, match="polygon has no plan 'gold'; it has free, paid"):
        Keyring(POLYGON, {"k": "gold"})
