-- Splits and dividends carry the provider's own cumulative factor; spin-offs and changes of symbol name another symbol.
ALTER TABLE actions_log
    ADD COLUMN IF NOT EXISTS adjustment_factor  Nullable(Float64) AFTER amount_adjusted,
    ADD COLUMN IF NOT EXISTS new_symbol         LowCardinality(Nullable(String)) AFTER adjustment_factor;

DROP VIEW IF EXISTS actions;

CREATE VIEW IF NOT EXISTS actions AS SELECT * FROM actions_log FINAL
COMMENT 'Splits, dividends (amount per share), spin-offs, changes of symbol; key source, symbol, kind, ex_date';
