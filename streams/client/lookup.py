"""Where a program finds the running pipeline, and what the pipeline's store answers."""

from __future__ import annotations

from typing import Any

import orjson

from infra import settings
from infra.clickhouse import StoreUnavailable
from infra.kafka.brokers import Brokers
from infra.kafka.connection import brokers_at
from streams.runtime import discovery
from streams.runtime.discovery import PipelineLocation
from streams.runtime.query import answer


def find_pipeline() -> PipelineLocation:
    """Return where the pipeline of the settings is, whether it runs or not: `bootstrap` is its broker.

    It is the process tree that owns DATA_DIR, otherwise the broker of KAFKA_URL. Raises `SettingsInvalid`.
    """
    return discovery.find(settings.load())


def brokers_of(given: str | Brokers) -> Brokers:
    """Return the brokers that a caller names.

    The servers of KAFKA_URL, as text, are logged in to as the settings say; other texts name brokers without a login.
    Raises `BadBrokerUrl`, `SettingsInvalid`.
    """
    if isinstance(given, Brokers):
        return given
    named, own = brokers_at(given), settings.load().bootstrap
    return own if own.servers == named.servers else named


async def query(sql: str) -> list[dict[str, Any]]:
    """Answer read-only SQL from the store, whether the pipeline runs or not: one dict for each row, by column.

    Values are as in JSON; times and dates are ISO 8601 text, UTC.

    Raises:
        SettingsInvalid: the settings cannot be used.
        StoreUnavailable: there is no store yet, or it does not answer.
        StoreError: the store refuses the SQL.
    """
    given = settings.load()
    found = await answer(given, sql)
    if found.get("empty"):
        raise StoreUnavailable(f"there is no store in {given.data_dir} yet: run `tapestream up`, or set DATA_DIR")
    rows = orjson.loads(orjson.dumps(found["rows"], default=str))  # as the worker's page answers
    return [dict(zip(found["columns"], row, strict=True)) for row in rows]
