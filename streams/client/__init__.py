"""For programs: fetch bars and quotes, subscribe to the normalized topics, collect for hours, run collectors, ask SQL.

found = await fetch_ticker("AAPL", days=30)

async for bar in subscribe(find_pipeline().bootstrap, "bars", symbols={"AAPL"}):
...

This is the whole of it: what `__all__` names is public and keeps its name; the modules below may move.
"""

from connectors import UnsupportedCall
from infra.clickhouse import StoreError, StoreUnavailable
from infra.kafka.connection import BadBrokerUrl, BrokerUnreachable
from infra.settings import SettingsInvalid
from streams.client.client import Client, fetch_ticker, fetch_tickers, get_quote, get_quotes
from streams.client.collection import Collection
from streams.client.lookup import find_pipeline, query
from streams.client.results import FetchResult, QuoteResult, Tried
from streams.client.scheduler import SchedulerClient
from streams.client.subscription import subscribe
from streams.errors import (
    AlreadyRunning,
    ChangeInvalid,
    CheckpointRefused,
    ConfigurationError,
    DeclarationsInvalid,
    ForbiddenEvent,
    InvalidSpec,
    NothingToCollect,
    NotRunning,
    PartEnded,
    PipelineAway,
    PipelineError,
    PipelineGone,
    SessionBusy,
    SessionError,
    TapestreamError,
    UnknownCollector,
    UsageError,
)
from streams.messaging.bars import Bar, bars_of
from streams.messaging.collector_messages import CollectorRun
from streams.messaging.job import Job, requests_for
from streams.messaging.outcomes import PollOutcome
from streams.runtime.discovery import PipelineLocation

__all__ = [
    "AlreadyRunning",
    "BadBrokerUrl",
    "Bar",
    "BrokerUnreachable",
    "ChangeInvalid",
    "CheckpointRefused",
    "Client",
    "Collection",
    "CollectorRun",
    "ConfigurationError",
    "DeclarationsInvalid",
    "FetchResult",
    "ForbiddenEvent",
    "InvalidSpec",
    "Job",
    "NotRunning",
    "NothingToCollect",
    "PartEnded",
    "PipelineAway",
    "PipelineError",
    "PipelineGone",
    "PipelineLocation",
    "PollOutcome",
    "QuoteResult",
    "SchedulerClient",
    "SessionBusy",
    "SessionError",
    "SettingsInvalid",
    "StoreError",
    "StoreUnavailable",
    "TapestreamError",
    "Tried",
    "UnknownCollector",
    "UnsupportedCall",
    "UsageError",
    "bars_of",
    "fetch_ticker",
    "fetch_tickers",
    "find_pipeline",
    "get_quote",
    "get_quotes",
    "query",
    "requests_for",
    "subscribe",
]
