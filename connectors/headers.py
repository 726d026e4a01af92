"""What an answer's headers say of waiting and of the key's quota. Pure; knows no provider."""

from __future__ import annotations

from connectors.calls import Answer
from connectors.errors import LONGEST_WAIT_S


def retry_after(answer: Answer) -> float | None:
    """Seconds of a `Retry-After` header, or None (absent, or an HTTP date: RFC 9110 section 10.2.3)."""
    text = answer.headers.get("retry-after", "").strip()
    return float(text) if text.isdecimal() else None


def reported_quota(answer: Answer) -> tuple[float, float | None, int | None] | None:
    """What `X-RateLimit-*` headers say of the key: calls left, the limit, and its reset in ms UTC; None without them.

    A reset is written in seconds since the epoch (Alpaca, Finnhub) or from now.
    """
    left, limit, reset = (
        _count(answer.headers.get(f"x-ratelimit-{name}", "")) for name in ("remaining", "limit", "reset")
    )
    if left is None:
        return None
    if reset is None:
        return left, limit, None
    at = round(reset * 1000) if reset > EPOCH_S else answer.observed_at + round(reset * 1000)
    return left, limit, believable_reset(at, answer.observed_at)


def believable_reset(at: int | None, now: int) -> int | None:
    """A quota's reset as a provider says it, or None where it is more than a year away; both in ms UTC."""
    return at if at is not None and abs(at - now) <= LONGEST_WAIT_S * 1000 else None


EPOCH_S = 1_000_000_000  # a larger number of seconds is a date (2001), a smaller one a span


def _count(text: str) -> float | None:
    return float(text) if len(text) < 15 and text.strip().isdecimal() else None
