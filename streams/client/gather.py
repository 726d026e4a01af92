"""The reports and records of one job become a result for each symbol, in whatever order they come. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from connectors import Quote
from streams.client.results import FetchResult, QuoteResult, Tried, moment
from streams.messaging.bars import Bar, bars_of
from streams.messaging.job import Job, asks_beginning, gave_up, parent_of, root_of
from streams.messaging.messages import PollDone, PollRequest
from streams.messaging.outcomes import ENDED_WELL, PollOutcome
from streams.planning.history import begins_late

Record = dict[str, Any]
BRINGS: Mapping[str, tuple[str, ...]] = {"bars": ("bars", "actions"), "quote": ("quote",)}
"""The datasets of which an answer about one may hold records: splits and dividends ride along with bars."""


@dataclass(slots=True)
class Gathering:
    """What has come of a job so far. Records that came twice count once."""

    requests: Mapping[str, PollRequest]
    """The requests that were submitted, by id."""
    job: Job
    """The reports so far, and what is awaited."""
    _reports: dict[str, list[PollDone]] = field(default_factory=dict)
    _records: dict[tuple[str, str], dict[bytes, Record]] = field(default_factory=dict)
    _arrived: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, requests: Sequence[PollRequest]) -> Gathering:
        """Begin with the requests of one job."""
        return cls({request.request_id: request for request in requests}, Job(requests[0].job_id, len(requests)))

    def note(self, report: PollDone) -> None:
        """Take in a report."""
        if self.job.note(report):
            for symbol in report.symbols:
                self._reports.setdefault(symbol, []).append(report)

    def add(self, dataset: str, record: Record) -> None:
        """Take in a record of that dataset, unless another job caused it."""
        request_id = record["request_id"]
        if root_of(request_id) not in self.requests:
            return
        alike = self._records.setdefault((dataset, record["symbol"]), {})
        identity = orjson.dumps({**record, "observed_at": None})
        known = alike.get(identity)
        if known is None:
            self._arrived[request_id] += len(record["ts"]) if dataset == "bars" else 1
        if known is None or known["observed_at"] < record["observed_at"]:
            alike[identity] = record

    @property
    def complete(self) -> bool:
        """True when every request has ended and as many rows have come as the reports announce."""
        return self.job.finished and all(map(self._has_arrived, self.job.done.values()))

    def bars(self, symbol: str, within_s: float) -> FetchResult:
        """The result of a symbol whose bars were requested; `within_s` is how long that was waited for."""
        reports = self._about(symbol)
        candles = self._candles(symbol)
        served = dict.fromkeys(bar.source for bar in candles)
        tried = _tried(reports)
        error = self._unanswered(symbol, reports, tried, within_s) or _unserved(reports, tried, part=bool(candles))
        if not error and not candles:
            tried |= self._empty(symbol, reports)
            error = f"nobody has bars of it in that range: {_listed(tried)}"
        error = error or _mixed(candles)
        if error:
            return FetchResult(symbol, tried=tuple(tried.values()), error=error)
        others = tuple(attempt for attempt in tried.values() if attempt.provider not in served)
        return FetchResult(symbol, ", ".join(served), candles, others, begins_late=self._begins_late(symbol, candles))

    def quote(self, symbol: str, within_s: float) -> QuoteResult:
        """The result of a symbol whose quote was requested."""
        reports = self._about(symbol)
        tried = _tried(reports)
        if quotes := self._of(symbol, "quote"):
            newest = Quote(**max(quotes, key=_lateness))
            report = self.job.done.get(newest.request_id)
            others = tuple(attempt for attempt in tried.values() if attempt.provider != newest.source)
            return QuoteResult(
                symbol, newest.source, newest, bool(report and report.outcome == PollOutcome.CACHED), others
            )
        error = self._unanswered(symbol, reports, tried, within_s) or _unserved(reports, tried, part=False)
        if not error:
            tried |= self._empty(symbol, reports)
            error = f"nobody has a quote of it: {_listed(tried)}"
        return QuoteResult(symbol, tried=tuple(tried.values()), error=error)

    def _about(self, symbol: str) -> list[PollDone]:
        """The reports about a symbol, each behind that of the request which caused it; without that it says nothing."""
        reached = {""}
        found = []
        for report in sorted(self._reports.get(symbol, ()), key=lambda report: _place(report.request_id)):
            if parent_of(report.request_id) in reached:
                reached.add(report.request_id)
                found.append(report)
        return found

    def _of(self, symbol: str, dataset: str) -> Iterable[Record]:
        return self._records.get((dataset, symbol), {}).values()

    def _candles(self, symbol: str) -> tuple[Bar, ...]:
        """Its bars, oldest first. Where two requests gave the same bar, that of the later one counts.

        A provider that takes over in the middle is asked for the whole range again.
        """
        frames = sorted(self._of(symbol, "bars"), key=_lateness)
        found = {bar.ts: bar for frame in frames for bar in bars_of(frame)}
        return tuple(found[ts] for ts in sorted(found))

    def _has_arrived(self, report: PollDone) -> bool:
        return self._arrived[report.request_id] >= report.records

    def _awaited(self, symbol: str, reports: Sequence[PollDone]) -> list[str]:
        """The providers whose answers about the symbol have not come."""
        if not reports:
            return [request.slip[0] for request in self.requests.values() if symbol in request.call.symbols]
        late = [report.provider for report in reports if not self._has_arrived(report)]
        return late + [
            child.provider
            for report in reports
            for child, child_id in zip(report.children, report.child_ids(), strict=True)
            if symbol in child.symbols and child_id not in self.job.done
        ]

    def _begins_late(self, symbol: str, candles: Sequence[Bar]) -> datetime | None:
        """The time of the first bar, where that is later than asked."""
        asked = next(request.call for request in self.requests.values() if symbol in request.call.symbols)
        first = candles[0].ts if candles else None
        return moment(first) if first is not None and begins_late(asked, first) else None

    def _unanswered(
        self, symbol: str, reports: Sequence[PollDone], tried: dict[str, Tried], within_s: float
    ) -> str | None:
        """Why a symbol that is still waited for has no result; adds to `tried` whom it waited for."""
        awaited = self._awaited(symbol, reports)
        for provider in awaited:
            tried[provider] = Tried(provider, PollOutcome.TIMEOUT, f"no answer within {within_s:g} s")
        return f"timed out after {within_s:g} s: {_listed(tried)}" if awaited else None

    def _empty(self, symbol: str, reports: Iterable[PollDone]) -> dict[str, Tried]:
        """The providers that were the last to be asked, and answered with nothing about the symbol."""
        return {
            report.provider: Tried(report.provider, PollOutcome.NO_RECORDS, f"it answered without a row of {symbol}")
            for report in reports
            if report.outcome in ENDED_WELL and not any(symbol in child.symbols for child in report.children)
        }


def _tried(reports: Iterable[PollDone]) -> dict[str, Tried]:
    """Who was asked in vain, in their order, with the last that each of them said."""
    found: dict[str, Tried] = {}
    for report in reports:
        for hop in report.tried:
            found[hop.provider] = Tried(hop.provider, hop.outcome, _line(hop.reason))
        if report.outcome not in ENDED_WELL:
            found[report.provider] = Tried(report.provider, report.outcome, _line(report.reason))
    return found


def _unserved(reports: Iterable[PollDone], tried: Mapping[str, Tried], *, part: bool) -> str | None:
    wanted = [report for report in reports if not (part and asks_beginning(report))]
    unserved = any(map(gave_up, wanted))
    return f"nobody served {'a part of it' if part else 'it'}: {_listed(tried)}" if unserved else None


def _mixed(candles: Iterable[Bar]) -> str | None:
    """Two adjustments or currencies make no series: the parts of a range may come from different providers."""
    kinds = {(bar.source, bar.adjustment, bar.currency) for bar in candles}
    if len({kind[1] for kind in kinds}) <= 1 and len({kind[2] for kind in kinds} - {None}) <= 1:
        return None
    listed = ", ".join(sorted(" ".join(filter(None, kind)) for kind in kinds))
    return f"its parts do not fit together ({listed}): ask for one adjustment, or one provider"


def _listed(tried: Mapping[str, Tried]) -> str:
    return "; ".join(f"{attempt.provider}: {attempt.outcome} {attempt.reason}".rstrip() for attempt in tried.values())


def _line(text: str) -> str:
    return " ".join(text.split())


def _lateness(record: Record) -> tuple[int, int, str]:
    request_id = record["request_id"]
    return request_id.count("/"), record["observed_at"], request_id


def _place(request_id: str) -> tuple[int, ...]:
    """Where a request stands in its job: the number of its root, then those of the children on the way to it."""
    return tuple(map(int, request_id.rpartition("-")[2].split("/")))
