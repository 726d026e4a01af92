"""The store: ClickHouse, as a server or embedded (chDB), through one code path.

Read `client` first (opening, inserting, asking), then `migrations/0001_market_and_calls.sql` (what is kept
and why so), `migrate` and `queries` (the program's own questions).
"""

from infra.clickhouse._errors import (
    MigrationRefused,
    QueryRefused,
    RowsRefused,
    StoreError,
    StoreOwned,
    StoreUnavailable,
    StoreUrlInvalid,
)
from infra.clickhouse.client import Rows, Store
from infra.clickhouse.migrate import migrate, pending
from infra.clickhouse.queries import DATASET_TABLES, log_table

__all__ = [
    "DATASET_TABLES",
    "MigrationRefused",
    "QueryRefused",
    "Rows",
    "RowsRefused",
    "Store",
    "StoreError",
    "StoreOwned",
    "StoreUnavailable",
    "StoreUrlInvalid",
    "log_table",
    "migrate",
    "pending",
]
