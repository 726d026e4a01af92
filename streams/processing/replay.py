"""Run one stored answer through its connector, outside the pipeline: `tapestream normalize`, tests, bug reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import orjson
from pydantic import BaseModel

from connectors import Answer, Call, Connector, Refusal, Reject, Request, UnsupportedCall, connector
from connectors.calls import DAY_MS
from connectors.endpoints import Endpoint
from connectors.fields import iso_date, midnight
from connectors.reading import UNREADABLE
from streams.processing.normalize import Normalized, dead_row, judge

_CALL_FIELDS = frozenset(Call.model_fields)


@dataclass(frozen=True, slots=True)
class Case:
    """A stored answer beside what had been asked."""

    provider: str
    """The provider's name."""
    call: Call
    """The call that was asked."""
    request: Request
    """The HTTP request that asked it; one without an endpoint lets only refusals be recognised."""
    answer: Answer
    """The answer as it was stored."""

    @classmethod
    def from_recording(cls, recording: Mapping[str, Any], asked: Mapping[str, Any]) -> Case:
        """Make a case of a recording (`request status headers body`) and what had been asked, in canonical words.

        Raises `pydantic.ValidationError` and, for an unknown provider, `UnsupportedCall`.
        """
        said = {name: value for name in ("provider", "observed_at") if (value := asked.get(name)) is not None}
        found = _Recording.model_validate({**recording, **said})
        sent, body = found.request or _Sent(), found.body
        request = connector(found.provider).find(sent.method, sent.url, _texts(sent.params))
        if request is not None and sent.body:
            request = replace(request, body=sent.body)
        return cls(
            provider=found.provider,
            call=call_from(asked),
            request=request or Request(endpoint="", path=urlsplit(sent.url).path),
            answer=Answer(
                status=found.status,
                headers={name.lower(): text for name, text in _texts(found.headers).items()},
                body=body.encode() if isinstance(body, str) else b"" if body is None else orjson.dumps(body),
                observed_at=found.observed_at or 0,
            ),
        )


class _Sent(BaseModel):
    method: str = "GET"
    url: str = ""
    params: dict[str, Any] | None = None
    body: Any = None


class _Recording(BaseModel):
    provider: str
    request: _Sent | None = None
    status: int
    headers: dict[str, Any] | None = None
    body: Any = None
    observed_at: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a case became."""

    outcome: str
    """`records`, or the name of the refusal."""
    normalized: Normalized
    """The records and the rejects."""
    refusal: Refusal | None
    """What the answer refuses as a whole; None where it serves."""
    missing: Mapping[str, Refusal] = field(default_factory=dict)
    """Refusals of single symbols, by symbol."""
    next: Request | None = None
    """The request for the following page; None after the last."""
    left_out: int = 0
    """Rows outside the asset classes, a count."""

    def records(self) -> list[dict[str, Any]]:
        """The unified records as dicts with their `dataset`; rejected rows have dataset `dead_letters`."""
        return list(self._records())

    def _records(self) -> Iterator[dict[str, Any]]:
        for record in self.normalized.records:
            yield {"dataset": record.dataset, **record.model_dump()}
        for reject in self.normalized.rejects:
            yield {"dataset": "dead_letters", **_letter(reject)}


def _letter(reject: Reject) -> dict[str, Any]:
    return {
        "rule": reject.rule,
        "reason": reject.reason,
        "symbol": reject.symbol,
        "row": dead_row(reject.row),
    }


def run(case: Case) -> Result:
    """Read and judge a stored answer. Raises `UnsupportedCall` for an unknown provider."""
    outcome = connector(case.provider).read(case.call, case.request, case.answer, "case")
    return Result(
        outcome=outcome.name,
        normalized=judge(outcome),
        refusal=outcome.refusal,
        missing=outcome.missing,
        next=outcome.next,
        left_out=outcome.left_out,
    )


def readers_of(case: Case) -> list[str]:
    """Names of the provider's endpoints that find records in the answer, were each of them the one that was asked."""
    provider = connector(case.provider)
    return [endpoint.name for endpoint in provider.endpoints if _reads(provider, endpoint, case)]


def _reads(provider: Connector, endpoint: Endpoint, case: Case) -> bool:
    """Whether an endpoint finds records in the answer."""
    first = next(iter(endpoint.intervals), None)
    asked = {"dataset": endpoint.dataset, "interval": case.call.interval or first}
    symbols = case.call.symbols if endpoint.batch else ()
    call = case.call.model_copy(update={**asked, "kind": None, "symbols": symbols})
    try:
        request = provider.request_of(endpoint, call)
    except (UnsupportedCall, *UNREADABLE):  # a symbol or a range that it takes and the call lacks
        return False
    return bool(provider.read(call, request, case.answer).items)


def call_from(asked: Mapping[str, Any]) -> Call:
    """Read a call from canonical words as a user writes them: `symbol` or `symbols`, `date` for one day.

    Unknown names are ignored. Raises `pydantic.ValidationError`.
    """
    given = {name: value for name, value in asked.items() if name in _CALL_FIELDS and value is not None}
    given.setdefault("dataset", "assets")
    if symbol := asked.get("symbol"):
        given["symbols"] = (symbol,)
    if (day := midnight(iso_date(asked.get("date")))) is not None:
        given |= {"start": day, "end": day + DAY_MS}
    if kind := asked.get("statement"):
        given.setdefault("kind", kind)
    if given["dataset"] == "bars":
        given.setdefault("interval", "1d")
    return Call.model_validate(given)


def _texts(params: Mapping[str, Any] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (params or {}).items()}
