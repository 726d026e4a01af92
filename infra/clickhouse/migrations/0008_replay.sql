-- What an answer answers, so that today's parser can read it again: the call as JSON, and path, method and body of the
-- request. Rows of earlier versions have an empty call: the report of their poll and their URL say as much.
ALTER TABLE raw_responses_log
    ADD COLUMN IF NOT EXISTS call    String DEFAULT '' CODEC(ZSTD) AFTER symbols,
    ADD COLUMN IF NOT EXISTS method  LowCardinality(String) DEFAULT 'GET' AFTER call,
    ADD COLUMN IF NOT EXISTS path    String DEFAULT '' CODEC(ZSTD) AFTER method,
    ADD COLUMN IF NOT EXISTS sent    String DEFAULT '' CODEC(ZSTD) AFTER params;

DROP VIEW IF EXISTS raw_responses;

CREATE VIEW IF NOT EXISTS raw_responses AS SELECT * FROM raw_responses_log FINAL
COMMENT 'Bodies as received in the last 30 days, with the request that they answer; no column ever holds a key; key call_id';

-- A letter is closed by the same letter with the time of its closing: of two rows with one version the later one stays.
ALTER TABLE dead_letters_log
    ADD COLUMN IF NOT EXISTS resolved_at Nullable(DateTime64(3, 'UTC'));

DROP VIEW IF EXISTS dead_letters;

CREATE VIEW IF NOT EXISTS dead_letters AS SELECT * FROM dead_letters_log FINAL WHERE resolved_at IS NULL
COMMENT 'What could not be understood or stored, with the rule it broke; stage normalize, validate, sink or message';

CREATE VIEW IF NOT EXISTS resolved_dead_letters AS SELECT * FROM dead_letters_log FINAL WHERE resolved_at IS NOT NULL
COMMENT 'Dead letters that a replay closed, since the answer is understood by now';
