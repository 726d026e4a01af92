"""What can go wrong with the sandbox itself.

SandboxError
├── SandboxPortBusy      another program listens on the port: choose another
├── RecordedBarsMissing  install the `sandbox` extra
├── InvalidFault         the order to misbehave cannot be understood
└── InvalidSettings      keys or limits for a provider that does not exist

UnknownInstrument is an answer, not an accident: the market has no such symbol.
"""


class SandboxError(Exception):
    """Base of everything the sandbox raises to the one who starts or steers it."""


class SandboxPortBusy(SandboxError):
    """Another program already listens on the port."""


class RecordedBarsMissing(SandboxError):
    """The package with the real daily bars is not installed."""


class InvalidFault(SandboxError):
    """A fault that cannot be understood; the message names the field."""


class InvalidSettings(SandboxError):
    """Settings that name an unknown provider or plan."""


class UnknownInstrument(LookupError):
    """The sandbox market has no such symbol."""
