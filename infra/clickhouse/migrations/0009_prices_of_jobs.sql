-- The call that triggers a job pays for the results that it may bring; the call that fetches them, which names it here,
-- has a negative cost_usd: what they cost less.
ALTER TABLE api_calls_log
    ADD COLUMN IF NOT EXISTS triggered_by  String DEFAULT '' CODEC(ZSTD) AFTER reserved_usd;

DROP VIEW IF EXISTS api_calls;

CREATE VIEW IF NOT EXISTS api_calls AS SELECT * FROM api_calls_log FINAL
COMMENT 'One row per HTTP call: outcome is records, the error class, or Reserved while its end is not told; key call_id';
