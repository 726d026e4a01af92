"""What the store has of a session: the calls of its attempts, reports of polls, and what was lost between two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.messaging.job import root_of
from streams.messaging.messages import PollDone
from streams.messaging.outcomes import PollOutcome
from streams.runtime.pipeline import Pipeline
from streams.sessions.in_flight import REPORTED, Attempt, report_of
from streams.sessions.state import Session, SourceFigures, UnitDone, unit_id

SLACK_MS = 60_000  # a worker's clock may differ from ours


class Stored:
    """Asks the store through the pipeline; every method raises `PipelineAway`."""

    def __init__(self, pipeline: Pipeline, session_id: str) -> None:
        self._pipeline = pipeline
        self._id = session_id

    async def calls(self, attempts: Sequence[Attempt]) -> dict[str, int]:
        """HTTP calls by request id, of these attempts with all that they caused."""
        since = min(attempt.since for attempt in attempts) - SLACK_MS
        rows = await self._pipeline.query(
            f"SELECT splitByChar('/', request_id)[1] AS root, count() {self._from('api_calls')} "
            f"AND started_at >= fromUnixTimestamp64Milli({since}) GROUP BY root"
        )
        return {root: int(count) for root, count in rows}

    async def reports(self, underway: Mapping[str, Attempt]) -> list[PollDone]:
        """The reports, as far as they are stored, of attempts that are under way."""
        if not underway:
            return []
        since = min(attempt.since for attempt in underway.values()) - SLACK_MS
        columns, after = ", ".join(REPORTED), f"at >= fromUnixTimestamp64Milli({since})"
        rows = await self._pipeline.query(f"SELECT {columns} {self._from('polls')} AND {after}")
        found = [(underway.get(root_of(row[0])), row) for row in rows]
        return [report_of(attempt, row) for attempt, row in found if attempt]

    async def lost(self, session: Session) -> list[UnitDone]:
        """For each source the calls and records that the store has beyond what the session counts.

        They are those of attempts whose end nobody heard of, as a kill was faster: one event counts them.
        """
        both = (
            f"(SELECT provider, 1 AS calls, 0 AS records, 0 AS fruitful {self._from('api_calls')} UNION ALL "
            f"SELECT provider, 0, records, records > 0 {self._from('polls')})"
        )
        columns = "provider, sum(calls), sum(records), sum(fruitful)"
        rows = await self._pipeline.query(f"SELECT {columns} FROM {both} GROUP BY provider")  # noqa: S608
        return [event for row in rows if (event := self._beyond(session, row[0], *map(int, row[1:])))]

    def _beyond(self, session: Session, source: str, calls: int, records: int, worth_asking: int) -> UnitDone | None:
        known = session.tallies.get(source, SourceFigures())
        calls, records = max(0, calls - known.calls), max(0, records - known.records)
        if source not in session.spec.sources or not (calls or records):
            return None
        with_records = min(calls, max(0, worth_asking - known.calls_with_records))
        unit = unit_id(source, {"lost": session.checkpoints})
        return UnitDone(unit, source, records, calls, with_records, PollOutcome.INTERRUPTED)

    def _from(self, table: str) -> str:
        return f"FROM {table} WHERE startsWith(request_id, '{self._id}-')"
