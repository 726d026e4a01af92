-- Small beside bars: no partitions, one part merges away every replay. Absent parts of a key count as one value.

CREATE TABLE IF NOT EXISTS profiles_log
(
    symbol              LowCardinality(String),
    asset_class         LowCardinality(String),
    source              LowCardinality(String),
    ts                  DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    name                Nullable(String) CODEC(ZSTD),
    exchange            LowCardinality(Nullable(String)),
    country             LowCardinality(Nullable(String)),
    currency            LowCardinality(Nullable(String)),
    sector              LowCardinality(Nullable(String)),
    industry            LowCardinality(Nullable(String)),
    website             Nullable(String) CODEC(ZSTD),
    description         Nullable(String) CODEC(ZSTD(6)),
    employees           Nullable(UInt64),
    market_cap          Nullable(Float64),
    shares_outstanding  Nullable(Float64),
    ipo_date            Nullable(Date32),
    isin                Nullable(String),
    cik                 Nullable(String),
    figi                Nullable(String),
    observed_at         DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    request_id          String CODEC(ZSTD)
)
ENGINE = ReplacingMergeTree(observed_at)
ORDER BY (symbol, source, ts)
COMMENT 'Profiles as inserted; read the view profiles';

CREATE VIEW IF NOT EXISTS profiles AS SELECT * FROM profiles_log FINAL
COMMENT 'Who the instrument was at ts; key source, symbol, ts';

CREATE TABLE IF NOT EXISTS statements_log
(
    symbol       LowCardinality(String),
    asset_class  LowCardinality(String),
    source       LowCardinality(String),
    statement    LowCardinality(String),
    period       LowCardinality(String),
    fiscal_date  Date32,
    filed_date   Nullable(Date32),
    currency     LowCardinality(Nullable(String)),
    items        Map(String, Float64) CODEC(ZSTD),
    observed_at  DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    request_id   String CODEC(ZSTD)
)
ENGINE = ReplacingMergeTree(observed_at)
ORDER BY (symbol, source, statement, period, fiscal_date)
COMMENT 'Financial statements as inserted; read the view statements';

CREATE VIEW IF NOT EXISTS statements AS SELECT * FROM statements_log FINAL
COMMENT 'income, balance and cash_flow as reported, in units of currency; key source, symbol, statement, period, fiscal_date';

CREATE TABLE IF NOT EXISTS metrics_log
(
    symbol       LowCardinality(String),
    asset_class  LowCardinality(String),
    source       LowCardinality(String),
    kind         LowCardinality(String),
    period       LowCardinality(String),
    as_of        Date32,
    currency     LowCardinality(Nullable(String)),
    values       Map(String, Float64) CODEC(ZSTD),
    observed_at  DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    request_id   String CODEC(ZSTD)
)
ENGINE = ReplacingMergeTree(observed_at)
ORDER BY (symbol, source, kind, period, as_of)
COMMENT 'Ratios, key metrics and valuations as inserted; read the view metrics';

CREATE VIEW IF NOT EXISTS metrics AS SELECT * FROM metrics_log FINAL
COMMENT 'Ratios, key metrics and valuations in the provider''s own numbers; key source, symbol, kind, period, as_of';

CREATE TABLE IF NOT EXISTS earnings_log
(
    symbol            LowCardinality(String),
    asset_class       LowCardinality(String),
    source            LowCardinality(String),
    period            LowCardinality(Nullable(String)),
    fiscal_date       Nullable(Date32),
    report_date       Nullable(Date32),
    time_of_day       LowCardinality(Nullable(String)),
    eps_actual        Nullable(Float64),
    eps_estimate      Nullable(Float64),
    surprise_pct      Nullable(Float64),
    revenue_actual    Nullable(Float64),
    revenue_estimate  Nullable(Float64),
    currency          LowCardinality(Nullable(String)),
    observed_at       DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    request_id        String CODEC(ZSTD)
)
ENGINE = ReplacingMergeTree(observed_at)
ORDER BY (symbol, source, ifNull(period, ''), coalesce(fiscal_date, report_date, toDate32('1900-01-01')))
COMMENT 'Earnings reports as inserted; read the view earnings';

CREATE VIEW IF NOT EXISTS earnings AS SELECT * FROM earnings_log FINAL
COMMENT 'Earnings reports, past and announced; key source, symbol, period, fiscal_date or else report_date';

CREATE TABLE IF NOT EXISTS news_log
(
    source       LowCardinality(String),
    id           String CODEC(ZSTD),
    ts           DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    title        String CODEC(ZSTD(6)),
    summary      Nullable(String) CODEC(ZSTD(6)),
    url          Nullable(String) CODEC(ZSTD),
    publisher    LowCardinality(Nullable(String)),
    symbols      Array(String) CODEC(ZSTD),
    sentiment    Nullable(Float64),
    observed_at  DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    request_id   String CODEC(ZSTD)
)
ENGINE = ReplacingMergeTree(observed_at)
ORDER BY (source, id)
COMMENT 'News as inserted; read the view news';

CREATE VIEW IF NOT EXISTS news AS SELECT * FROM news_log FINAL
COMMENT 'Articles, ts = publication, sentiment -1 to 1; key source, id';

CREATE TABLE IF NOT EXISTS insiders_log
(
    symbol            LowCardinality(String),
    asset_class       LowCardinality(String),
    source            LowCardinality(String),
    id                String CODEC(ZSTD),
    transaction_date  Nullable(Date32),
    filed_date        Nullable(Date32),
    name              Nullable(String) CODEC(ZSTD),
    role              LowCardinality(Nullable(String)),
    code              LowCardinality(Nullable(String)),
    shares            Nullable(Float64),
    price             Nullable(Float64),
    shares_after      Nullable(Float64),
    derivative        Nullable(Bool),
    url               Nullable(String) CODEC(ZSTD),
    observed_at       DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    request_id        String CODEC(ZSTD)
)
ENGINE = ReplacingMergeTree(observed_at)
ORDER BY (symbol, source, id)
COMMENT 'Insider transactions as inserted; read the view insiders';

CREATE VIEW IF NOT EXISTS insiders AS SELECT * FROM insiders_log FINAL
COMMENT 'Insider transactions, shares + acquired, - disposed; key source, symbol, id';

CREATE TABLE IF NOT EXISTS recommendations_log
(
    symbol       LowCardinality(String),
    asset_class  LowCardinality(String),
    source       LowCardinality(String),
    kind         LowCardinality(String),
    period       Nullable(Date32),
    ts           Nullable(DateTime64(3, 'UTC')),
    firm         LowCardinality(Nullable(String)),
    from_grade   LowCardinality(Nullable(String)),
    to_grade     LowCardinality(Nullable(String)),
    action       LowCardinality(Nullable(String)),
    strong_buy   Nullable(UInt32),
    buy          Nullable(UInt32),
    hold         Nullable(UInt32),
    sell         Nullable(UInt32),
    strong_sell  Nullable(UInt32),
    target_mean  Nullable(Float64),
    target_high  Nullable(Float64),
    target_low   Nullable(Float64),
    currency     LowCardinality(Nullable(String)),
    observed_at  DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    request_id   String CODEC(ZSTD)
)
ENGINE = ReplacingMergeTree(observed_at)
ORDER BY (symbol, source, kind, ifNull(period, toDate32('1900-01-01')), ifNull(ts, toDateTime64(0, 3, 'UTC')), ifNull(firm, ''))
COMMENT 'Analysts'' recommendations as inserted; read the view recommendations';

CREATE VIEW IF NOT EXISTS recommendations AS SELECT * FROM recommendations_log FINAL
COMMENT 'Analysts'' counts and targets of a month, single rating changes; key source, symbol, kind, period, ts, firm';

CREATE TABLE IF NOT EXISTS assets_log
(
    symbol           String,
    asset_class      LowCardinality(String),
    source           LowCardinality(String),
    name             Nullable(String) CODEC(ZSTD),
    exchange         LowCardinality(Nullable(String)),
    currency         LowCardinality(Nullable(String)),
    country          LowCardinality(Nullable(String)),
    active           Nullable(Bool),
    tradable         Nullable(Bool),
    listed_date      Nullable(Date32),
    delisted_date    Nullable(Date32),
    isin             Nullable(String),
    cik              Nullable(String),
    figi             Nullable(String),
    provider_symbol  String,
    observed_at      DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    request_id       String CODEC(ZSTD)
)
ENGINE = ReplacingMergeTree(observed_at)
ORDER BY (source, symbol, asset_class = 'commodity')
COMMENT 'Instruments as inserted; read the view assets';

CREATE VIEW IF NOT EXISTS assets AS SELECT * FROM assets_log FINAL
COMMENT 'The universe of each provider, with its own spelling; key source, symbol';
