"""What can go wrong with a provider, one class for every decision a caller takes.

ConnectorError
├── DeclarationError          a connector file is wrong: refused at import
├── UnsupportedCall           this provider cannot be asked this at all; no call was made
│   └── UnsupportedSymbol     the symbol cannot be spelled at this provider
├── FieldError                one value or row of a payload cannot be read: the row is rejected
│   └── OutOfScope            the row is about nothing that we keep: it is left out and counted
└── Refusal                   the provider answered, and the answer is not records
    ├── RateLimited           wait on this key (`retry_after`, seconds)
    ├── QuotaExhausted        this key is done until the provider's reset (`resets_at`, ms UTC)
    ├── KeyRejected           take the key out
    ├── NotEntitled           the plan does not sell it: ask this key for nothing in its `scope` for a while
    ├── UnknownSymbol         stop asking this provider for this symbol
    ├── InvalidRequest        our mistake: report it, and ask for nothing in its `scope` for a while
    ├── Pending               ready later: ask again with `poll`
    ├── Redirected            it is at another address of the provider: ask `target`
    ├── ProviderUnavailable   5xx, time-out, broken connection, robot page: retry, count for the breaker
    └── MalformedPayload      not what the documentation promises: dead letter
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.calls import Request
    from connectors.scope import Scope


LONGEST_WAIT_S = 366 * 86_400.0
"""The longest wait that is believed, in seconds: no quota is whole again later than a year."""


class ConnectorError(Exception):
    """Root of everything a connector raises."""


class DeclarationError(ConnectorError):
    """A connector file declares something twice, incompletely or wrongly."""


class UnsupportedCall(ConnectorError):
    """The provider has no endpoint for this dataset, asset class, interval or adjustment.

    `reason` says what it cannot be asked; the text of the error adds what it has.
    """

    def __init__(self, reason: str, offer: str = "") -> None:
        super().__init__(f"{reason}; {offer}" if offer else reason)
        self.reason = reason


class UnsupportedSymbol(UnsupportedCall):
    """The canonical symbol has no spelling at this provider."""


class FieldError(ConnectorError):
    """A value cannot be read as what the documentation promises.

    `rule` names the broken rule in a dead letter, e.g. ``number`` or ``time``.
    """

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule
        self.reason = reason


class OutOfScope(FieldError):
    """A row is about no instrument of the asset classes: a test ticker of the exchanges, a coin of unknown identity."""

    def __init__(self, reason: str) -> None:
        super().__init__("symbol", reason)


class Refusal(ConnectorError):
    """The provider's answer asks for a decision instead of giving records."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def name(self) -> str:
        """The class name: how the outcome is written in records, tables and command output."""
        return type(self).__name__


class RateLimited(Refusal):
    """Too many calls on this key; `retry_after` in seconds when the provider said it, believably."""

    def __init__(self, reason: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = _believable(retry_after)


class QuotaExhausted(Refusal):
    """The key's daily or monthly quota is used up; `resets_at` in ms UTC when the provider said it."""

    def __init__(self, reason: str = "", *, resets_at: int | None = None) -> None:
        super().__init__(reason)
        self.resets_at = resets_at


class KeyRejected(Refusal):
    """The key is unknown, expired or revoked."""


class NotEntitled(Refusal):
    """The key's plan does not sell what was asked; `scope` is how much of it.

    A refusal that a connector gives has a scope; one that a hook raises may leave it to the provider's words.
    """

    def __init__(self, reason: str = "", *, scope: Scope | None = None) -> None:
        super().__init__(reason)
        self.scope = scope


class UnknownSymbol(Refusal):
    """The provider does not know the symbol."""


class InvalidRequest(Refusal):
    """The provider says that we asked wrongly; `scope` where it names a range that it cannot answer."""

    def __init__(self, reason: str = "", *, scope: Scope | None = None) -> None:
        super().__init__(reason)
        self.scope = scope


class Pending(Refusal):
    """The provider is still working; `poll` is the request that asks again, after `retry_after` seconds if said."""

    def __init__(self, reason: str = "", *, poll: Request | None = None, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.poll = poll
        self.retry_after = _believable(retry_after)


class Redirected(Refusal):
    """The provider answers at another address of its own origin: `target` is the request that asks there."""

    def __init__(self, reason: str = "", *, target: Request | None = None) -> None:
        super().__init__(reason)
        self.target = target


class ProviderUnavailable(Refusal):
    """The provider is down, overloaded or answering with something that is not its API."""


class MalformedPayload(Refusal):
    """The body is not in the documented shape."""


def _believable(seconds: float | None) -> float | None:
    """The seconds, or None for what is no wait: negative, not a number, or longer than any quota lasts."""
    return seconds if seconds is not None and 0 <= seconds <= LONGEST_WAIT_S else None


REFUSALS: dict[str, type[Refusal]] = {cls.__name__: cls for cls in Refusal.__subclasses__()}
