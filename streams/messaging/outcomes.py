"""How a poll can end: one word for each end, written in `poll.done`, the tables, checkpoints and results. Pure.

A provider's refusals keep the names of their classes in `connectors.errors`; which of those speak of the provider's
health is `streams.accounts.breaker.HEALTH`, as a breaker counts calls and knows no polls.
"""

from __future__ import annotations

from enum import StrEnum


class PollOutcome(StrEnum):
    """How one poll request ended, or why one provider of its slip did not serve it.

    A waiting component concludes the last four when no report says more. Only `NO_RECORDS` is reported too: of
    a request for the beginning of a range that an earlier answer lacked.
    """

    RECORDS = "records"
    """The provider answered, possibly with no rows."""
    CACHED = "cached"
    """Quotes that are young enough were published once more; no call was made."""
    CUT = "Cut"
    """The request was too large for one call: its children ask for the parts."""
    TRUNCATED = "Truncated"
    """The provider answered, but a further page is outside its origin, repeated, or one too many."""

    RATE_LIMITED = "RateLimited"
    """Too many calls on the key within a short window."""
    QUOTA_EXHAUSTED = "QuotaExhausted"
    """The key's day or month is used up."""
    KEY_REJECTED = "KeyRejected"
    """The key is unknown, expired or revoked."""
    NOT_ENTITLED = "NotEntitled"
    """The key's plan does not sell what was asked."""
    UNKNOWN_SYMBOL = "UnknownSymbol"
    """The provider does not know the symbol, or has no value for it."""
    INVALID_REQUEST = "InvalidRequest"
    """The provider says that it was asked wrongly."""
    PENDING = "Pending"
    """The provider is still working; where it says how to ask for the result, a child does."""
    REDIRECTED = "Redirected"
    """The provider answers at another address of its own origin, and the attempts ended before an answer came."""
    PROVIDER_UNAVAILABLE = "ProviderUnavailable"
    """The provider is down, overloaded, or answers with something that is not its API."""
    MALFORMED_PAYLOAD = "MalformedPayload"
    """The answer is not in the documented shape; it is in the dead letters."""

    UNSUPPORTED = "Unsupported"
    """The provider has no endpoint for it, or is unknown; no call was made."""
    NO_KEY = "NoKey"
    """No key of the provider may be used for this endpoint; no call was made."""
    BUSY = "Busy"
    """Every key is at a limit for more than a minute; the request went on, and comes back when one is free."""
    OPEN = "Open"
    """The provider's circuit breaker is open; the request went on, and comes back when it closes."""
    BUDGET_EXHAUSTED = "BudgetExhausted"
    """The provider's money for the day is spent; the request went on, and comes back on the next day."""

    EXPIRED = "Expired"
    """Its deadline passed before a provider could serve it."""
    CANCELLED = "Cancelled"
    """Its job was cancelled before a call was made."""
    FAULT = "Fault"
    """This program failed while it handled the request; the reason is in the dead letters."""

    UNAVAILABLE = "Unavailable"
    """A collector's plan found no provider whose keys sell it: nothing was submitted."""
    TIMEOUT = "Timeout"
    """A program waited as long as it wanted, and no report came."""
    NO_RECORDS = "NoRecords"
    """The last provider that was asked answered without a row of the symbol, or of the beginning of the range."""
    INTERRUPTED = "Interrupted"
    """A session was killed before it heard how its requests ended."""

    @classmethod
    def _missing_(cls, value: object) -> PollOutcome | None:
        """Read the word that earlier versions wrote for a cancelled request."""
        return cls.CANCELLED if value == "Withdrawn" else None


ENDED_WELL = frozenset({PollOutcome.RECORDS, PollOutcome.CACHED, PollOutcome.CUT})
"""The request did what was wanted of it. Any other outcome without children is a failure."""

CONCLUSIVE = frozenset({PollOutcome.RECORDS, PollOutcome.UNKNOWN_SYMBOL, PollOutcome.NOT_ENTITLED})
"""The provider has said all that it will: another attempt at the same provider brings nothing."""

RETRYABLE = frozenset(
    {
        PollOutcome.RATE_LIMITED,
        PollOutcome.QUOTA_EXHAUSTED,
        PollOutcome.PENDING,
        PollOutcome.REDIRECTED,
        PollOutcome.PROVIDER_UNAVAILABLE,
        PollOutcome.FAULT,
    }
)
"""A request that ended unserved for such a reason may be served at another attempt.

`Busy`, `Open` and `BudgetExhausted` are not among them, as they never end a request: each names a moment of room, and
the poller hands the request on or holds it until then, or lets it expire. `Expired` is not, as the time that it had is
over. `Fault` is: a fault of ours is often of the moment, attempts are bounded, and a run full of faults must not count
as done. `Cancelled` depends on who asks. A session that paused asks again, in a new job; a collector's run that was
cancelled has been taken over by another leader, and a second attempt would be cancelled as well.
"""
