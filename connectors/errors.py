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
    ├── NotEntitled           the plan does not sell it: never ask this key again for it
    ├── UnknownSymbol         stop asking this provider for this symbol
    ├── InvalidRequest        our mistake: report it
    ├── Pending               ready later: ask again with `poll`
    ├── Redirected            it is at another address of the provider: ask `target`
    ├── ProviderUnavailable   5xx, time-out, broken connection, robot page: retry, count for the breaker
    └── MalformedPayload      not what the documentation promises: dead letter
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.calls import Request


class ConnectorError(Exception):
    """Root of everything a connector raises."""


class DeclarationError(ConnectorError):
    """A connector file declares something twice, incompletely or wrongly."""


class UnsupportedCall(ConnectorError):
    """The provider has no endpoint for this dataset, asset class, interval or adjustment."""


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
    """Too many calls on this key; `retry_after` in seconds when the provider said it."""

    def __init__(self, reason: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class QuotaExhausted(Refusal):
    """The key's daily or monthly quota is used up; `resets_at` in ms UTC when the provider said it."""

    def __init__(self, reason: str = "", *, resets_at: int | None = None) -> None:
        super().__init__(reason)
        self.resets_at = resets_at


class KeyRejected(Refusal):
    """The key is unknown, expired or revoked."""


class NotEntitled(Refusal):
    """The key's plan does not sell what was asked; with `slice_only` just this range or symbol, not the endpoint."""

    def __init__(self, reason: str = "", *, slice_only: bool = False) -> None:
        super().__init__(reason)
        self.slice_only = slice_only


class UnknownSymbol(Refusal):
    """The provider does not know the symbol."""


class InvalidRequest(Refusal):
    """The provider says that we asked wrongly."""


class Pending(Refusal):
    """The provider is still working; `poll` is the request that asks again, after `retry_after` seconds if said."""

    def __init__(self, reason: str = "", *, poll: Request | None = None, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.poll = poll
        self.retry_after = retry_after


class Redirected(Refusal):
    """The provider answers at another address of its own origin: `target` is the request that asks there."""

    def __init__(self, reason: str = "", *, target: Request | None = None) -> None:
        super().__init__(reason)
        self.target = target


class ProviderUnavailable(Refusal):
    """The provider is down, overloaded or answering with something that is not its API."""


class MalformedPayload(Refusal):
    """The body is not in the documented shape."""


REFUSALS: dict[str, type[Refusal]] = {cls.__name__: cls for cls in Refusal.__subclasses__()}
