-- The call that triggers a job pays for the results that it may bring; the call that fetches them, which names it here,
-- has a negative cost_usd: what they cost less.
ALTER TABLE api_calls_log
    ADD COLUMN IF NOT EXISTS triggered_by  String DEFAULT '' CODEC(ZSTD) AFTER reserved_usd;

ALTER TABLE api_calls_latest_log
    ADD COLUMN IF NOT EXISTS triggered_by  String DEFAULT '' CODEC(ZSTD) AFTER reserved_usd;

ALTER TABLE api_calls_latest_feed MODIFY QUERY SELECT
    call_id, request_id, provider, key_label, endpoint, dataset, asset_class, symbols, interval, started_at, ended_at,
    latency_ms, status, outcome, retry_after_s, resets_at, scope, said_left, said_limit, said_resets_at, cost_calls,
    cost_usd, reserved_usd, triggered_by, bytes, error, worker
FROM api_calls_log;

CREATE OR REPLACE VIEW api_calls AS SELECT * FROM api_calls_latest_log FINAL
COMMENT 'One row per HTTP call: outcome is records, the error class, or Reserved while its end is not known; key call_id';
