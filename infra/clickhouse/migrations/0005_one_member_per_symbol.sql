-- A symbol is one instrument, whatever class each provider gives it; only a commodity may have the root of a share's.
-- Who is believed first is the order in which providers are asked; Alpaca calls every fund that trades a share.
CREATE OR REPLACE VIEW universe AS
WITH
    words AS
    (
        SELECT symbol, asset_class = 'commodity' AS is_root, argMax(asset_class, at) AS said, argMax(change, at) AS word
        FROM universe_changes GROUP BY symbol, is_root
    )
SELECT
    symbol,
    argMin(listed.class, (listed.source = 'alpaca', place)) AS asset_class,
    arraySort(groupUniqArrayIf(listed.source, listed.source != '')) AS sources,
    argMin(listed.name, place) AS name,
    argMin(listed.exchange, place) AS exchange,
    argMin(listed.currency, place) AS currency,
    argMin(listed.country, place) AS country,
    toBool(countIf(listed.source = '') > 0) AS added,
    added OR coalesce(argMin(listed.active, place), true) AS active
FROM
(
    SELECT symbol, assets.asset_class AS class, class = 'commodity' AS is_root, source, name, exchange, currency, country, active,
        indexOf(['polygon', 'alpaca', 'eodhd', 'fmp', 'finnhub', 'alphavantage', 'yahoo', 'brightdata'], source) AS known,
        if(known = 0, 99, known) AS place
    FROM assets
    UNION ALL
    SELECT symbol, said, is_root, '', NULL, NULL, NULL, NULL, NULL, 0, 100 FROM words WHERE word = 'add'
) AS listed
WHERE (symbol, is_root) NOT IN (SELECT symbol, is_root FROM words WHERE word = 'remove')
GROUP BY symbol, is_root
COMMENT 'Every instrument that a provider lists or a user added, but for what users removed; key symbol, asset_class = commodity';
