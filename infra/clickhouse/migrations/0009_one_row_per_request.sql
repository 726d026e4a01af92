-- A request that is handled twice, since a worker died between its report and its acknowledgement, has two reports with
-- two times. The key of polls_log begins with the time, so both stayed. A sorting key cannot be changed, and a table
-- cannot be exchanged while other workers insert into it: so an insert feeds a second table, which has the right key.
-- Whoever adds a column adds it to both and makes the feed anew.
CREATE TABLE IF NOT EXISTS polls_latest_log AS polls_log
ENGINE = ReplacingMergeTree(at)
ORDER BY (dataset, request_id)
COMMENT 'The latest report of each poll request; read the view polls';

CREATE MATERIALIZED VIEW IF NOT EXISTS polls_latest_feed TO polls_latest_log AS SELECT
    request_id, job_id, provider, dataset, asset_class, symbols, interval, adjustment, kind, period, exchange, start_at,
    end_at, outcome, reason, records, rejects, children, tried, at
FROM polls_log;

INSERT INTO polls_latest_log (
    request_id, job_id, provider, dataset, asset_class, symbols, interval, adjustment, kind, period, exchange, start_at,
    end_at, outcome, reason, records, rejects, children, tried, at
) SELECT
    request_id, job_id, provider, dataset, asset_class, symbols, interval, adjustment, kind, period, exchange, start_at,
    end_at, outcome, reason, records, rejects, children, tried, at
FROM polls_log;

CREATE OR REPLACE VIEW polls AS SELECT * FROM polls_latest_log FINAL
COMMENT 'One row per poll request handled: outcome is records (answered, possibly with none), cached, Cut, or why not; key request_id';

-- Calls: the same. Of a call's rows the one with its end counts, in whatever order they come: a sink that was replaced
-- may insert the reservation once more behind the end. Ids begin with their time, so ranges of time stay together.
CREATE TABLE IF NOT EXISTS api_calls_latest_log
(
    call_id        String CODEC(ZSTD),
    request_id     String CODEC(ZSTD),
    provider       LowCardinality(String),
    key_label      LowCardinality(Nullable(String)),
    endpoint       LowCardinality(String),
    dataset        LowCardinality(String),
    asset_class    LowCardinality(String),
    symbols        Array(String) CODEC(ZSTD),
    interval       LowCardinality(Nullable(String)),
    started_at     DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    ended_at       Nullable(DateTime64(3, 'UTC')),
    latency_ms     Float64,
    status         Nullable(UInt16),
    outcome        LowCardinality(String),
    retry_after_s  Nullable(Float64),
    resets_at      Nullable(DateTime64(3, 'UTC')),
    scope          String DEFAULT '' CODEC(ZSTD),
    said_left      Nullable(Float64),
    said_limit     Nullable(Float64),
    said_resets_at Nullable(DateTime64(3, 'UTC')),
    cost_calls     Float64,
    cost_usd       Float64,
    reserved_usd   Float64 DEFAULT cost_usd,
    bytes          UInt64,
    error          Nullable(String) CODEC(ZSTD),
    worker         LowCardinality(String) DEFAULT '',
    report         UInt64 MATERIALIZED if(outcome = 'Reserved', 0, greatest(1, toUnixTimestamp64Milli(coalesce(ended_at, started_at))))
)
ENGINE = ReplacingMergeTree(report)
ORDER BY (provider, call_id)
COMMENT 'The latest report of each HTTP call; read the view api_calls';

CREATE MATERIALIZED VIEW IF NOT EXISTS api_calls_latest_feed TO api_calls_latest_log AS SELECT
    call_id, request_id, provider, key_label, endpoint, dataset, asset_class, symbols, interval, started_at, ended_at,
    latency_ms, status, outcome, retry_after_s, resets_at, scope, said_left, said_limit, said_resets_at, cost_calls,
    cost_usd, reserved_usd, bytes, error, worker
FROM api_calls_log;

INSERT INTO api_calls_latest_log (
    call_id, request_id, provider, key_label, endpoint, dataset, asset_class, symbols, interval, started_at, ended_at,
    latency_ms, status, outcome, retry_after_s, resets_at, scope, said_left, said_limit, said_resets_at, cost_calls,
    cost_usd, reserved_usd, bytes, error, worker
) SELECT
    call_id, request_id, provider, key_label, endpoint, dataset, asset_class, symbols, interval, started_at, ended_at,
    latency_ms, status, outcome, retry_after_s, resets_at, scope, said_left, said_limit, said_resets_at, cost_calls,
    cost_usd, reserved_usd, bytes, error, worker
FROM api_calls_log;

CREATE OR REPLACE VIEW api_calls AS SELECT * FROM api_calls_latest_log FINAL
COMMENT 'One row per HTTP call: outcome is records, the error class, or Reserved while its end is not known; key call_id';

-- Answers: bodies are too large to be kept twice, and their table is cut by day, so that what is over age goes as whole
-- parts. So only the times of each call are kept beside them, and of a call with two the view leaves out the earlier.
CREATE TABLE IF NOT EXISTS raw_response_times_log
(
    call_id   String CODEC(ZSTD),
    first_at  SimpleAggregateFunction(min, DateTime64(3, 'UTC')) CODEC(ZSTD),
    last_at   SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(ZSTD)
)
ENGINE = AggregatingMergeTree
ORDER BY call_id
TTL toDateTime(last_at) + INTERVAL 31 DAY
COMMENT 'When the answer of each call was received; for the view raw_responses';

CREATE MATERIALIZED VIEW IF NOT EXISTS raw_response_times_feed TO raw_response_times_log AS
SELECT call_id, received_at AS first_at, received_at AS last_at FROM raw_responses_log;

INSERT INTO raw_response_times_log SELECT call_id, received_at, received_at FROM raw_responses_log;

CREATE OR REPLACE VIEW raw_responses AS SELECT * FROM raw_responses_log FINAL
WHERE call_id NOT IN (SELECT call_id FROM raw_response_times_log FINAL WHERE first_at < last_at)
    OR (call_id, received_at) IN (SELECT call_id, last_at FROM raw_response_times_log FINAL WHERE first_at < last_at)
COMMENT 'Bodies as received in the last 30 days, with the request that they answer; no column ever holds a key; key call_id';
