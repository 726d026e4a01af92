-- A run that comes again after a crash has the same id; its last report is the one that counts.
CREATE TABLE IF NOT EXISTS collector_runs_log
(
    run_id       String CODEC(ZSTD),
    collector    LowCardinality(String),
    cause        LowCardinality(String),
    refresh      LowCardinality(String),
    state        LowCardinality(String),
    reason       String CODEC(ZSTD),
    due_at       DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    started_at   DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    ended_at     DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    attempts     UInt32,
    units        UInt64,
    calls        UInt64,
    records      UInt64,
    rejects      UInt64,
    errors       Map(String, UInt32) CODEC(ZSTD),
    rss_mb_peak  Float64,
    cpu_s        Float64
)
ENGINE = ReplacingMergeTree(ended_at)
ORDER BY run_id
COMMENT 'Runs of collectors as reported; read the view collector_runs';

CREATE VIEW IF NOT EXISTS collector_runs AS SELECT * FROM collector_runs_log FINAL
COMMENT 'One row per run of a collector: state is done, failed or skipped, errors counts what stayed unserved by outcome';

-- What fired is told by the run that it caused, so that a run which a crash cut off is still owed. Here is only what
-- causes no run: the worker's own jobs, and when each schedule was first seen.
CREATE TABLE IF NOT EXISTS schedule_marks_log
(
    schedule  String,
    at        DateTime64(3, 'UTC'),
    fired     Bool
)
ENGINE = ReplacingMergeTree(at)
ORDER BY schedule
COMMENT 'Jobs done and schedules first seen; read the view schedule_fires';

CREATE VIEW IF NOT EXISTS schedule_fires AS
SELECT schedule, max(at) AS last_at, argMax(fired, at) AS has_fired FROM
(
    SELECT schedule, at, fired FROM schedule_marks_log
    UNION ALL
    SELECT substring(cause, length('schedule:') + 1), due_at, true FROM collector_runs_log WHERE startsWith(cause, 'schedule:')
)
GROUP BY schedule
COMMENT 'The last moment at which each schedule fired; has_fired is false while that is when it was first seen';

CREATE TABLE IF NOT EXISTS quality_checks_log
(
    dataset       LowCardinality(String),
    checked_at    DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    rows          UInt64,
    dead_letters  UInt64,
    newest        Nullable(DateTime64(3, 'UTC'))
)
ENGINE = ReplacingMergeTree
ORDER BY (dataset, checked_at)
COMMENT 'Daily checks as made; read the view quality_checks';

CREATE VIEW IF NOT EXISTS quality_checks AS SELECT * FROM quality_checks_log FINAL
COMMENT 'Of each dataset, what the day before checked_at brought: rows, dead letters, the newest observation';

-- The last word on each symbol counts.
CREATE TABLE IF NOT EXISTS universe_changes_log
(
    symbol       String,
    asset_class  LowCardinality(String),
    change       LowCardinality(String),
    at           DateTime64(3, 'UTC') CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (symbol, asset_class)
COMMENT 'What users added and removed; read the view universe_changes';

CREATE VIEW IF NOT EXISTS universe_changes AS SELECT * FROM universe_changes_log FINAL
COMMENT 'The last change of each symbol: add or remove';

-- Who is believed first is the order in which providers are asked.
CREATE VIEW IF NOT EXISTS universe AS
SELECT
    symbol,
    asset_class,
    arraySort(groupUniqArrayIf(listed.source, listed.source != '')) AS sources,
    argMin(listed.name, place) AS name,
    argMin(listed.exchange, place) AS exchange,
    argMin(listed.currency, place) AS currency,
    argMin(listed.country, place) AS country,
    toBool(countIf(listed.source = '') > 0) AS added,
    added OR coalesce(argMin(listed.active, place), true) AS active
FROM
(
    SELECT symbol, asset_class, source, name, exchange, currency, country, active,
        indexOf(['polygon', 'alpaca', 'eodhd', 'fmp', 'finnhub', 'alphavantage', 'yahoo', 'brightdata'], source) AS known,
        if(known = 0, 99, known) AS place
    FROM assets
    UNION ALL
    SELECT symbol, asset_class, '', NULL, NULL, NULL, NULL, NULL, 0, 100 FROM universe_changes WHERE change = 'add'
) AS listed
WHERE (symbol, asset_class) NOT IN (SELECT symbol, asset_class FROM universe_changes WHERE change = 'remove')
GROUP BY symbol, asset_class
COMMENT 'Every instrument that a provider lists or a user added, but for what users removed; key symbol, asset_class';
