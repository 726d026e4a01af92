-- A call is told twice: before it is sent, with the outcome Reserved, and when it has ended. The second row replaces
-- the first; where nobody told the end, the first stays, and the call counts.
ALTER TABLE api_calls_log
    ADD COLUMN IF NOT EXISTS ended_at        Nullable(DateTime64(3, 'UTC')) AFTER started_at,
    ADD COLUMN IF NOT EXISTS resets_at       Nullable(DateTime64(3, 'UTC')) AFTER retry_after_s,
    ADD COLUMN IF NOT EXISTS slice_only      Bool DEFAULT false AFTER resets_at,
    ADD COLUMN IF NOT EXISTS said_left       Nullable(Float64) AFTER slice_only,
    ADD COLUMN IF NOT EXISTS said_limit      Nullable(Float64) AFTER said_left,
    ADD COLUMN IF NOT EXISTS said_resets_at  Nullable(DateTime64(3, 'UTC')) AFTER said_limit,
    ADD COLUMN IF NOT EXISTS worker          LowCardinality(String) DEFAULT '' AFTER error;

DROP VIEW IF EXISTS api_calls;

CREATE VIEW IF NOT EXISTS api_calls AS SELECT * FROM api_calls_log FINAL
COMMENT 'One row per HTTP call: outcome is records, the error class, or Reserved while its end is not told; key call_id';

-- How each poll request was handled: what was asked and answered, by whom, who was tried before and why they could not.
CREATE TABLE IF NOT EXISTS polls_log
(
    request_id   String CODEC(ZSTD),
    job_id       LowCardinality(String),
    provider     LowCardinality(String),
    dataset      LowCardinality(String),
    asset_class  LowCardinality(String),
    symbols      Array(String) CODEC(ZSTD),
    interval     LowCardinality(Nullable(String)),
    adjustment   LowCardinality(Nullable(String)),
    kind         LowCardinality(Nullable(String)),
    period       LowCardinality(Nullable(String)),
    exchange     LowCardinality(Nullable(String)),
    start_at     Nullable(DateTime64(3, 'UTC')),
    end_at       Nullable(DateTime64(3, 'UTC')),
    outcome      LowCardinality(String),
    reason       String CODEC(ZSTD),
    records      UInt64,
    rejects      UInt64,
    children     UInt32,
    tried        String CODEC(ZSTD),
    at           DateTime64(3, 'UTC') CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (dataset, at, request_id)
COMMENT 'Poll requests as inserted; read the view polls';

CREATE VIEW IF NOT EXISTS polls AS SELECT * FROM polls_log FINAL
COMMENT 'One row per poll request handled: outcome is records (answered, possibly with none), cached, Cut, or why not';
