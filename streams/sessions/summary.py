"""What a collection session has brought so far, in figures. Pure; a ratio of nothing is null, never NaN."""

from __future__ import annotations

from typing import Any

from streams.messaging.outcomes import PollOutcome
from streams.sessions.spec import HOUR_MS
from streams.sessions.state import Session, Tally, active_ms


def summary(session: Session, now: int) -> dict[str, Any]:
    """Return `session_summary`, `source_performance` and `data_quality_metrics`, fit for JSON.

    Times are ms UTC. `duration_s` is the time of all runs: pauses and interruptions left out, and so it is what
    `records_per_hour` divides by. An attempt is one try at a unit; it succeeded when its outcome is `records`.
    """
    tallies = {source: session.tallies.get(source, Tally()) for source in session.spec.sources}
    ran_ms = active_ms(session, now)
    records = sum(tally.records for tally in tallies.values())
    calls = sum(tally.calls for tally in tallies.values())
    efficiency = _ratio(sum(tally.calls_with_records for tally in tallies.values()), calls)
    attempts = sum(map(_attempts, tallies.values()))
    return {
        "session_summary": {
            "id": session.spec.id,
            "mode": session.spec.mode,
            "state": session.state,
            "started": session.started,
            "ended": session.ended,
            "duration_s": ran_ms / 1000,
            "records": records,
            "api_calls": calls,
            "records_per_hour": _ratio(records * HOUR_MS, ran_ms),
            "api_efficiency": efficiency,
        },
        "source_performance": {source: _performance(tally) for source, tally in tallies.items()},
        "data_quality_metrics": {
            "source_success_rate": _ratio(sum(tally.records > 0 for tally in tallies.values()), len(tallies)),
            "error_rate": _ratio(attempts - sum(map(_successes, tallies.values())), attempts),
            "completeness": _ratio(len(session.done), session.planned),
            "efficiency": efficiency,
        },
    }


def _performance(tally: Tally) -> dict[str, Any]:
    return {
        "records": tally.records,
        "calls": tally.calls,
        "success_rate": _ratio(_successes(tally), _attempts(tally)),
        "errors": {kind: count for kind, count in sorted(tally.outcomes.items()) if kind != PollOutcome.RECORDS},
        "hourly": [
            {"hour": number, "records": hour.records, "calls": hour.calls}
            for number, hour in sorted(tally.hours.items())
        ],
    }


def _attempts(tally: Tally) -> int:
    return sum(tally.outcomes.values())


def _successes(tally: Tally) -> int:
    return tally.outcomes.get(PollOutcome.RECORDS, 0)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
