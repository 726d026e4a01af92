"""The summary's figures: exactly the promised ones, and null where there is nothing to divide by."""

import json
from dataclasses import replace

import orjson
from hypothesis import given
from hypothesis import strategies as st

from streams.sessions.spec import HOUR_MS, SessionAsset, Spec
from streams.sessions.state import (
    Paused,
    Resumed,
    Session,
    SessionEnded,
    Started,
    UnitDone,
    UnitsPlanned,
    advance,
    unit_id,
)
from streams.sessions.summary import summary

SPEC = Spec("s-1", "custom", 4 * HOUR_MS, (SessionAsset("AAPL"),), ("polygon", "yahoo"), ("bars",))


def unit(number):
    return unit_id("polygon", {"dataset": "bars", "start": number})


def told(*events):
    session = Session(SPEC)
    for event, now in events:
        session = advance(session, event, now)
    return session


def test_a_session_that_did_nothing_has_nulls_for_ratios():
    figures = summary(Session(SPEC), 5)

    assert figures == {
        "session_summary": {
            "id": "s-1",
            "mode": "custom",
            "state": "planned",
            "started": None,
            "ended": None,
            "duration_s": 0,
            "records": 0,
            "api_calls": 0,
            "records_per_hour": None,
            "api_efficiency": None,
        },
        "source_performance": {
            source: {"records": 0, "calls": 0, "success_rate": None, "errors": {}, "hourly": []}
            for source in ("polygon", "yahoo")
        },
        "data_quality_metrics": {
            "source_success_rate": 0,
            "error_rate": None,
            "completeness": None,
            "efficiency": None,
        },
    }


def test_the_figures_are_those_of_the_runs():
    session = told(
        (UnitsPlanned(8), 0),
        (Started(), 1_000),
        (UnitDone(unit(1), "polygon", 300, 4, 3, "records"), 2_000),
        (Paused(), 1_000 + HOUR_MS),
        (Resumed(), 1_000 + 2 * HOUR_MS),
        (UnitDone(unit(2), "polygon", 0, 1, 0, "RateLimited"), 2_000 + 2 * HOUR_MS),
        (UnitDone(unit(2), "polygon", 100, 1, 1, "records"), 3_000 + 2 * HOUR_MS),
        (UnitDone(unit(4), "polygon", 0, 0, 0, "records"), 3_000 + 2 * HOUR_MS),
        (UnitDone(unit(3), "yahoo", 0, 2, 0, "UnknownSymbol"), 4_000 + 2 * HOUR_MS),
        (SessionEnded(), 1_000 + 3 * HOUR_MS),
    )

    figures = summary(session, 99 * HOUR_MS)

    assert figures["session_summary"] == {
        "id": "s-1",
        "mode": "custom",
        "state": "completed",
        "started": 1_000,
        "ended": 1_000 + 3 * HOUR_MS,
        "duration_s": 7_200,
        "records": 400,
        "api_calls": 8,
        "records_per_hour": 200,
        "api_efficiency": 0.5,
    }
    assert figures["source_performance"] == {
        "polygon": {
            "records": 400,
            "calls": 6,
            "success_rate": 3 / 4,
            "errors": {"RateLimited": 1},
            "hourly": [{"hour": 0, "records": 300, "calls": 4}, {"hour": 2, "records": 100, "calls": 2}],
        },
        "yahoo": {
            "records": 0,
            "calls": 2,
            "success_rate": 0,
            "errors": {"UnknownSymbol": 1},
            "hourly": [{"hour": 2, "records": 0, "calls": 2}],
        },
    }
    assert figures["data_quality_metrics"] == {
        "source_success_rate": 0.5,
        "error_rate": 2 / 5,
        "completeness": 4 / 8,
        "efficiency": 0.5,
    }


def test_a_running_session_is_measured_up_to_now():
    session = told((UnitsPlanned(1), 0), (Started(), 0), (UnitDone(unit(1), "yahoo", 60, 1, 1, "records"), 1))

    assert summary(session, HOUR_MS // 2)["session_summary"]["records_per_hour"] == 120


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.sampled_from(SPEC.sources),
            st.integers(0, 9),
            st.integers(0, 9),
            st.sampled_from(["records", "RateLimited", "MalformedPayload"]),
        )
    ),
    st.integers(0, 10 * HOUR_MS),
)
def test_figures_are_json_and_shares_are_within_zero_and_one(attempts, now):
    session = told((UnitsPlanned(6), 0), (Started(), 0))
    for number, source, records, calls, outcome in attempts:
        session = advance(session, UnitDone(unit(number), source, records, calls, calls, outcome), now)

    figures = summary(session, now)

    assert orjson.loads(orjson.dumps(figures)) == json.loads(json.dumps(figures, allow_nan=False)) == figures
    shares = [
        figures["session_summary"]["api_efficiency"],
        *figures["data_quality_metrics"].values(),
        *(source["success_rate"] for source in figures["source_performance"].values()),
    ]
    assert all(share is None or 0 <= share <= 1 for share in shares)
    hours = [hour for source in figures["source_performance"].values() for hour in source["hourly"]]
    assert sum(hour["records"] for hour in hours) == figures["session_summary"]["records"]
    assert sum(hour["calls"] for hour in hours) == figures["session_summary"]["api_calls"]


def test_every_source_of_the_task_is_told_of_even_when_it_was_never_asked():
    session = Session(replace(SPEC, sources=("fmp", "alpaca", "yahoo")))

    assert list(summary(session, 0)["source_performance"]) == ["fmp", "alpaca", "yahoo"]
