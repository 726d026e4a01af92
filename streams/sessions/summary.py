"""What a collection session has brought so far, in figures. Pure; a ratio of nothing is null, never NaN."""

from __future__ import annotations

from typing import Any

from streams.messaging.outcomes import PollOutcome
from streams.sessions.spec import HOUR_MS
from streams.sessions.state import Session, SourceFigures, active_ms


def summary(session: Session, now: int) -> dict[str, Any]:
    """Return `session_summary`, `source_performance` and `data_quality_metrics`, fit for JSON.

    Times are ms UTC. `duration_s` is the time of all runs: pauses and interruptions left out, and so it is what
    `records_per_hour` divides by. An attempt is one try at a unit; it succeeded when its outcome is `records`.
    """
    by_source = {source: session.tallies.get(source, SourceFigures()) for source in session.spec.sources}
    ran_ms = active_ms(session, now)
    records = sum(figures.records for figures in by_source.values())
    calls = sum(figures.calls for figures in by_source.values())
    efficiency = _ratio(sum(figures.calls_with_records for figures in by_source.values()), calls)
    attempts = sum(map(_attempts, by_source.values()))
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
        "source_performance": {source: _performance(figures) for source, figures in by_source.items()},
        "data_quality_metrics": {
            "source_success_rate": _ratio(sum(figures.records > 0 for figures in by_source.values()), len(by_source)),
            "error_rate": _ratio(attempts - sum(map(_successes, by_source.values())), attempts),
            "completeness": _ratio(len(session.done), session.planned),
            "efficiency": efficiency,
        },
    }


def _performance(figures: SourceFigures) -> dict[str, Any]:
    return {
        "records": figures.records,
        "calls": figures.calls,
        "success_rate": _ratio(_successes(figures), _attempts(figures)),
        "errors": {
            kind.value: count for kind, count in sorted(figures.outcomes.items()) if kind != PollOutcome.RECORDS
        },
        "hourly": [
            {"hour": number, "records": hour.records, "calls": hour.calls}
            for number, hour in sorted(figures.hours.items())
        ],
    }


def _attempts(figures: SourceFigures) -> int:
    return sum(figures.outcomes.values())


def _successes(figures: SourceFigures) -> int:
    return figures.outcomes.get(PollOutcome.RECORDS, 0)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
