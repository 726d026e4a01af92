"""Answers of the archive, as stored and as files that can be shared. Pure.

A file is a recording as `tapestream normalize --case` reads it, with what a replay needs beside: JSON of `provider`,
`observed_at`, `call`, `request`, `status`, `headers`, `body` (or `body_base64`, where it is not UTF-8) and the ids.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from pydantic import Base64Bytes, BaseModel, Field

from connectors import Call, UnsupportedCall, connector
from infra.redaction import Redactor
from streams.messaging.messages import Page, RawMeta


@dataclass(frozen=True, slots=True)
class Archived:
    """One answer of the archive."""

    meta: RawMeta
    """What it answers, and how."""
    body: bytes
    """As received."""

    def to_file(self, redactor: Redactor) -> bytes:
        """Return the answer as a file. Secrets are hidden once more; the key's label is left out."""
        meta, body = self.meta, redactor.body(self.body)
        try:
            shown: dict[str, Any] = {"body": body.decode()}
        except UnicodeDecodeError:
            shown = {"body_base64": b64encode(body).decode()}
        page = meta.page
        request = {"endpoint": page.endpoint, "method": page.method, "url": meta.url, "path": page.path}
        found = {
            **{name: getattr(meta, name) for name in ("provider", "call_id", "request_id", "latency_ms", "status")},
            "observed_at": meta.received_at,
            "call": meta.call.model_dump(exclude_defaults=True),
            "request": {**request, "params": page.params, "body": page.body},
            "headers": meta.headers,
        }
        return orjson.dumps({**_hidden(found, redactor), **shown}, option=orjson.OPT_INDENT_2)

    @classmethod
    def from_file(cls, text: bytes) -> Archived:
        """Read a file. Raises `pydantic.ValidationError` (a `ValueError`)."""
        found = _File.model_validate_json(text)
        body = found.body.encode() if found.body_base64 is None else found.body_base64
        sent = found.request
        page = Page(endpoint=sent.endpoint, path=sent.path, params=sent.params, method=sent.method, body=sent.body)
        same = {name: getattr(found, name) for name in ("call_id", "request_id", "provider", "call", "status")}
        meta = RawMeta(
            **same,
            key_label="",
            page=page,
            url=sent.url,
            headers=found.headers,
            received_at=found.observed_at,
            latency_ms=found.latency_ms,
        )
        return cls(meta, body)


class _Sent(BaseModel):
    endpoint: str
    path: str
    url: str = ""
    params: dict[str, str] = Field(default_factory=dict)
    method: Literal["GET", "POST"] = "GET"
    body: Any = None


class _File(BaseModel):
    provider: str
    call_id: str
    request_id: str
    observed_at: int
    latency_ms: int = 0
    call: Call
    request: _Sent
    status: int
    headers: dict[str, str] = Field(default_factory=dict)
    body: str = ""
    body_base64: Base64Bytes | None = None


def from_row(row: Mapping[str, Any], asked: Call | None, body: str) -> Archived | None:
    """Make an answer of a row of `raw_responses` and its body in base64.

    A row of an earlier version does not say what it answers: `asked` is then what its poll asked. None where that is
    not known, or its endpoint is none of ours.
    """
    call = Call.model_validate_json(row["call"]) if row["call"] else asked
    page = _page(row)
    if call is None or page is None:
        return None
    same = ("call_id", "request_id", "provider", "url", "status", "headers", "received_at")
    meta = RawMeta(
        **{name: row[name] for name in same},
        key_label=row["key_label"] or "",
        call=call,
        page=page,
        latency_ms=round(row["latency_ms"]),
    )
    return Archived(meta, b64decode(body))


def _page(row: Mapping[str, Any]) -> Page | None:
    """The request of a row; of a row of an earlier version what its URL says."""
    if row["path"]:
        sent = orjson.loads(row["sent"]) if row["sent"] else None
        same = {name: row[name] for name in ("endpoint", "path", "params", "method")}
        return Page(**same, body=sent)
    try:
        declared = connector(row["provider"])
    except UnsupportedCall:
        return None
    found = declared.find("GET", row["url"], row["params"]) or declared.find("POST", row["url"], row["params"])
    return Page.of(found) if found else None


def _hidden(value: Any, redactor: Redactor) -> Any:
    if isinstance(value, str):
        return redactor.text(value)
    if isinstance(value, Mapping):
        return {redactor.text(str(name)): _hidden(part, redactor) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(part, redactor) for part in value]
    return value
