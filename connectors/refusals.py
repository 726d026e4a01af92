"""What the words of a refusal say of its scope. Pure.

Providers refuse in English, each in sentences of its own, about the same few things. The first that is recognised
decides; words that name none of them are about the endpoint, for the market and interval that were asked.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from connectors import errors
from connectors.calls import DAY_MS
from connectors.reading import Reading
from connectors.scope import Scope, asks_whole_history, sold_together

NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "ten": 10}
R = TypeVar("R", bound=errors.Refusal)
UNITS_MS = {"minute": 60_000, "hour": 3_600_000, "day": DAY_MS, "week": 7 * DAY_MS, "month": 30 * DAY_MS}
YEAR_MS = 365 * DAY_MS  # as plans count: "two years of history" names no day
SPAN = re.compile(rf"\b(\d{{1,4}}|{'|'.join(NUMBERS)})[ -]?({'|'.join(UNITS_MS)}|year)s?\b", re.IGNORECASE)
WHOLE_KEY = re.compile(
    r"(subscription|plan|account|trial) (has |is |was )?(expired|ended|inactive|cancelled|canceled)"
    r"|no active (subscription|plan)",
    re.IGNORECASE,
)
TOO_LONG = re.compile(
    r"max(imum)? (period|range)|period length|worth of|per request|(range|period) is too (long|large)", re.IGNORECASE
)
TOO_RECENT = re.compile(r"\brecent\b|real-?time|(past|last) \d+ minutes|today|before end of day", re.IGNORECASE)
TOO_OLD = re.compile(
    r"time ?frame|histor(y|ical)|limited (by|to)|within the last|older than|years? of data|(past|last) \w+ years?",
    re.IGNORECASE,
)
PARAMETER = re.compile(
    r"value set for ['\"](\w+)['\"]|parameter:? ['\"](\w+)['\"]|\b(\w+)=\w+ parameter|\b(\w+) must be between",
    re.IGNORECASE,
)
SYMBOLS = frozenset({"symbol", "symbols", "ticker", "tickers"})
EXCHANGES = frozenset({"exchange", "exchanges", "mic"})
FIRSTS = frozenset({"from", "start", "first", "period1", "date"})


def asked(reading: Reading, **more: Any) -> Scope:
    """The scope of the endpoint that was asked, for its market and interval, and for what `more` narrows it to."""
    call = reading.call
    return Scope(
        endpoint=reading.request.endpoint, asset_classes=sold_together(call.asset_class), interval=call.interval, **more
    )


def older(reading: Reading, *depths_ms: int) -> Scope:
    """The scope of a range that begins too early.

    Of the depths of history that the provider's plans sell, the plan's is the deepest that the refused range passes.
    """
    now, start = reading.answer.observed_at, reading.call.start
    age = now if start is None else now - start
    depth = max((depth for depth in depths_ms if depth < age), default=None)
    return asked(reading, older_ms=age if depth is None else depth, limit_known=depth is not None)


def newer(reading: Reading, delay_ms: int | None = None) -> Scope:
    """The scope of a range that ends too late: within `delay_ms`, or on the running day (UTC) where none is known."""
    end, now = reading.call.end, reading.answer.observed_at
    delay = max(1, now % DAY_MS if delay_ms is None else delay_ms)
    age = 0 if end is None else now - end
    return asked(reading, newer_ms=max(delay, age + 1), limit_known=age < delay)


def longer(reading: Reading, longest_ms: int) -> Scope:
    """The scope of a range that is too long for one request."""
    start, end = reading.call.start, reading.call.end
    length = None if start is None or end is None else end - start
    if length is None or length > longest_ms:
        return asked(reading, longer_ms=longest_ms)
    return asked(reading, longer_ms=max(1, length - 1), limit_known=False)


def scope_of(words: str, reading: Reading) -> Scope:
    """Read the scope of a refusal from its words and from what was asked."""
    if WHOLE_KEY.search(words):
        return Scope()
    return range_of(words, reading) or parameter_of(words, reading) or asked(reading)


def range_of(words: str, reading: Reading) -> Scope | None:
    """The range that the words refuse; None where they speak of none, or none was asked."""
    call, span = reading.call, span_ms(words)
    if call.start is None and call.end is None and not asks_whole_history(call):
        return None
    if TOO_LONG.search(words) and span is not None:
        return longer(reading, span)
    if TOO_RECENT.search(words):
        return newer(reading, span)
    if TOO_OLD.search(words):
        return older(reading, *([] if span is None else [span]))
    return None


def parameter_of(words: str, reading: Reading) -> Scope | None:
    """The parameter that the words name, with the value it had; one that carries symbols or a range is that."""
    found = PARAMETER.search(words)
    name = next(filter(None, found.groups()), "") if found else ""
    if name in SYMBOLS and reading.call.symbols:
        return asked(reading, symbols=reading.call.symbols)
    if name in EXCHANGES and reading.call.exchange:
        return asked(reading, exchange=reading.call.exchange)
    if name in FIRSTS and reading.call.start is not None:
        return older(reading)
    value = reading.params.get(name)
    return None if value is None else asked(reading, parameter=name, value=value)


def span_ms(words: str) -> int | None:
    """The first span of time in a text, `60 days` or `one year`, in milliseconds; None where there is none."""
    if not (found := SPAN.search(words)):
        return None
    count, unit = found[1].lower(), found[2].lower()
    return (NUMBERS.get(count) or int(count)) * UNITS_MS.get(unit, YEAR_MS) or None


def scoped(refusal: R, reading: Reading) -> R:
    """Return a refusal with its scope: of what is not sold always, of a wrong request where its words name a range."""
    if isinstance(refusal, errors.NotEntitled) and refusal.scope is None:
        refusal.scope = scope_of(refusal.reason, reading)
    elif isinstance(refusal, errors.InvalidRequest) and refusal.scope is None:
        refusal.scope = range_of(refusal.reason, reading)
    return refusal
