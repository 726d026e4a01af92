"""What an answer says of its endpoint's future: the headers `Deprecation` (RFC 9745) and `Sunset` (RFC 8594). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

EPOCH = re.compile(r"@(\d{1,11})")
NOT_DEPRECATED = frozenset({"", "false", "?0", "0"})


@dataclass(frozen=True, slots=True)
class Deprecation:
    """An endpoint that is to be left.

    None: not said, or in a form that no standard knows.
    """

    since: int | None
    """When it is deprecated, ms UTC."""
    sunset: int | None
    """When it ceases to answer, ms UTC."""


def deprecation(headers: Mapping[str, str]) -> Deprecation | None:
    """Read an answer's headers, whose names are in lower case; None where neither says anything.

    Before RFC 9745 `Deprecation` was `true` or a date as HTTP writes it, and still is at many providers.
    """
    said = headers.get("deprecation", "").strip()
    deprecated = said.lower() not in NOT_DEPRECATED
    sunset = _http_date(headers.get("sunset", ""))
    if not deprecated and sunset is None:
        return None
    stamp = EPOCH.fullmatch(said)
    return Deprecation(since=int(stamp[1]) * 1000 if stamp else _http_date(said), sunset=sunset)


def _http_date(text: str) -> int | None:
    """Ms UTC of `Fri, 09 Oct 2026 00:00:00 GMT`; None for anything else."""
    try:
        return round(parsedate_to_datetime(text.strip()).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
