"""Every error of the program, one class for each decision of the caller.

TapestreamError                     root: one line that says what was wrong, where, and what to do
├── ConfigurationError              what a user configured cannot be used: mend it and start again
│   ├── SettingsInvalid             a variable or a line of `.env`
│   ├── BadBrokerUrl                a text that names no Kafka servers
│   ├── SecurityInvalid             how to log in to Kafka: parts that do not belong together
│   ├── TlsFileInvalid              a file with certificates or a key
│   ├── TokenUrlInvalid             a URL that no token of OAUTHBEARER can be had from safely
│   ├── DeclarationsInvalid         a `tapestream.toml`: one line for each mistake
│   └── DependencyCycle             collectors that wait for each other
├── UsageError                      what the caller gave cannot be used; exit code 2
│   ├── InvalidSpec                 a session cannot be what was asked
│   ├── ChangeInvalid               no symbol, or of no known asset class
│   └── UnknownCollector            nothing of this name is declared
├── Unroutable                      no provider can serve the call: ask for something else, or add a key
├── LastPage                        a following page is not requested: repeated, or one too many
├── PartlySold                      a plan sells a part of a range only: the planner asks others for the rest
├── PipelineError                   there is no pipeline to work with
│   ├── BrokerUnreachable           no broker answers: start it, or try again
│   ├── BrokerRefused               a broker takes neither our certificate nor our user: correct the settings
│   ├── BrokerMissing               the embedded broker does not exist for this machine: set KAFKA_URL
│   ├── KafkaUnavailable            Apache Kafka cannot run on this machine
│   ├── ClickHouseUnavailable       the test server of ClickHouse cannot run on this machine
│   ├── TopicMismatch               a topic exists with other partitions: use another cluster, or delete it
│   ├── TopicRefused                the broker does not create or configure a topic
│   ├── PortBusy                    another process listens on the port: choose another one
│   ├── ChildFailed                 a process did not start, or did not become ready: read its log
│   ├── AlreadyRunning              another process owns the data folder
│   ├── RunFileInvalid              the file of a running process says something else than it should: start it again
│   ├── AccessRefused               a worker does not take our token: use its DATA_DIR, or its WEB_TOKEN
│   ├── PartEnded                   a part of the process tree ended by itself: read its log
│   ├── PipelineGone                the pipeline that was used has ended: begin again
│   ├── PipelineAway                the worker did not answer just now: ask again
│   └── NotRunning                  the object was not started, or was stopped
├── SessionError                    a session cannot do what was asked
│   ├── NoSuchSession               there is none of this name
│   ├── SessionBusy                 another process runs it
│   ├── CheckpointRefused           its checkpoint cannot be used, or must not be replaced
│   ├── ForbiddenEvent              its state does not allow this
│   └── NothingToCollect            no source can be asked anything of what it wants
└── StoreError                      the store did not do what was asked
    ├── StoreUrlInvalid             its URL, user or password cannot be used
    ├── StoreOwned                  another process has the embedded store
    ├── StoreUnavailable            it cannot be reached, or has no capacity: try again
    ├── RowsRefused                 it refuses the rows of an insert
    ├── QueryRefused                it refuses the SQL
    └── MigrationRefused            its migrations are not ours

What a provider answers is a tree of its own, in `connectors.errors`. A caller of `streams.client` meets one class of
it: `UnsupportedCall`, which says that a provider is unknown or has no endpoint for the call.
"""

from __future__ import annotations

from typing import ClassVar

from infra.errors import ConfigurationError, PipelineError, TapestreamError

__all__ = [
    "AccessRefused",
    "AlreadyRunning",
    "ChangeInvalid",
    "CheckpointRefused",
    "ConfigurationError",
    "DeclarationsInvalid",
    "DependencyCycle",
    "ForbiddenEvent",
    "InvalidSpec",
    "NoSuchSession",
    "NotRunning",
    "NothingToCollect",
    "PartEnded",
    "PipelineAway",
    "PipelineError",
    "PipelineGone",
    "RunFileInvalid",
    "SessionBusy",
    "SessionError",
    "TapestreamError",
    "UnknownCollector",
    "Unroutable",
    "UsageError",
]


class UsageError(TapestreamError, ValueError):
    """What the caller gave cannot be used."""

    exit_code: ClassVar[int] = 2


class DeclarationsInvalid(ConfigurationError):
    """Declarations cannot be used: one line for each mistake, naming its file, table and key."""


class DependencyCycle(ConfigurationError):
    """Collectors that wait for each other; `names` goes around once, each followed by one that it depends on."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(f"{' -> '.join(names)} is a cycle")
        self.names = names


class InvalidSpec(UsageError):
    """A session cannot be what was asked; the message says all that is wrong, in one line."""


class ChangeInvalid(UsageError):
    """What is to be added or removed is no symbol, or of no known asset class."""


class UnknownCollector(UsageError):
    """No collector of this name is declared."""


class Unroutable(TapestreamError):
    """No provider can serve the call; the message says why for each one."""


class AlreadyRunning(PipelineError):
    """Another process owns this data folder."""


class RunFileInvalid(PipelineError):
    """The file of a running process has another shape than it should; the message says what to do."""


class AccessRefused(PipelineError):
    """A worker answers, but not to us: its token is another one."""


class PartEnded(PipelineError):
    """A part of the process tree ended by itself."""


class PipelineGone(PipelineError):
    """The pipeline that was used has ended, or cannot be used."""


class PipelineAway(PipelineError):
    """The worker did not answer just now."""


class NotRunning(PipelineError):
    """It was not started, or was stopped."""


class SessionError(TapestreamError):
    """A session cannot do what was asked; the message says why, in one line."""


class NoSuchSession(SessionError):
    """There is no session of this name, or its description cannot be read."""


class SessionBusy(SessionError):
    """Another process runs the session."""


class CheckpointRefused(SessionError):
    """A checkpoint cannot be used, or must not be replaced."""


class ForbiddenEvent(SessionError, ValueError):
    """An event that this session cannot take in its state."""


class NothingToCollect(SessionError):
    """No source can be asked anything of what the session wants."""
