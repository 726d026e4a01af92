-- What a refusal covers, as JSON: a range, a parameter's value, symbols, an exchange, an endpoint, or {} for all of a
-- key. What is paid only for results is reserved before the call, and cost_usd is what was charged in the end.
ALTER TABLE api_calls_log
    ADD COLUMN IF NOT EXISTS scope         String DEFAULT '' CODEC(ZSTD) AFTER resets_at,
    ADD COLUMN IF NOT EXISTS reserved_usd  Float64 DEFAULT cost_usd AFTER cost_usd,
    DROP COLUMN IF EXISTS slice_only;

DROP VIEW IF EXISTS api_calls;

CREATE VIEW IF NOT EXISTS api_calls AS SELECT * FROM api_calls_log FINAL
COMMENT 'One row per HTTP call: outcome is records, the error class, or Reserved while its end is not told; key call_id';
