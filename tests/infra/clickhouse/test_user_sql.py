"""What a user's SQL may do, held against the engine itself: hostile queries are refused, honest ones answered."""

import asyncio
import json
from pathlib import Path

import pytest

from infra.clickhouse import QueryRefused, Store, migrate, queries, runs, universe
from infra.clickhouse._user_sql import SYSTEM_TABLES, TABLE_FUNCTIONS, _allowed, _functions, _read, require_reading

SECRET = "POLYGON_KEYS=planted"
HOSTILE = (
    # files of the machine
    "SELECT 1 INTO OUTFILE '{stolen}'",
    "SELECT 1 INTO/**/OUTFILE '{stolen}'",
    "SELECT 1 INTO -- x\n OUTFILE '{stolen}' TRUNCATE FORMAT TSV",
    "EXPLAIN SELECT 1 INTO OUTFILE '{stolen}'",
    "DESCRIBE bars INTO OUTFILE '{stolen}'",
    "SHOW TABLES INTO OUTFILE '{stolen}'",
    "SHOW CREATE TABLE bars INTO OUTFILE '{stolen}'",
    "SELECT file('{secret}')",
    "SELECT file/**/('{secret}')",
    "SELECT `file`('{secret}')",
    "SELECT \"file\"('{secret}')",
    "SELECT 1 UNION ALL SELECT file('{secret}')",
    "SELECT (SELECT file('{secret}'))",
    "WITH x AS (SELECT file('{secret}') AS y) SELECT * FROM x",
    "WITH file('{secret}') AS y SELECT y",
    "WITH (p -> file(p)) AS f SELECT f('{secret}')",
    "SELECT arrayMap(p -> file(p), ['{secret}'])",
    "SELECT * APPLY(file) FROM (SELECT '{secret}')",
    "SELECT COLUMNS('.') APPLY(p -> file(p)) FROM (SELECT '{secret}' AS p)",
    "SELECT * REPLACE(file(p) AS p) FROM (SELECT '{secret}' AS p)",
    "SELECT 1 WHERE file('{secret}') != ''",
    "SELECT 1 ORDER BY file('{secret}')",
    "SELECT 1 GROUP BY 1 HAVING file('{secret}') != ''",
    "SELECT 1 LIMIT length(file('{secret}'))",
    "SELECT sum(1) OVER (PARTITION BY file('{secret}'))",
    "SELECT sum(1) OVER w WINDOW w AS (ORDER BY file('{secret}'))",
    "SELECT n FROM (SELECT 1 AS n) ORDER BY n WITH FILL FROM 1 TO length(file('{secret}'))",
    "SELECT n, b FROM (SELECT 1 AS n, '' AS b) ORDER BY n WITH FILL FROM 1 TO 3 INTERPOLATE (b AS file('{secret}'))",
    "SELECT 1 FROM bars AS a JOIN bars AS b ON a.symbol = b.symbol AND file('{secret}') != ''",
    "SELECT 1 ARRAY JOIN [file('{secret}')] AS x",
    "SELECT 'x' IN (file('{secret}'))",
    "SELECT 'x' IN (SELECT file('{secret}'))",
    "SELECT 'x' IN file('{secret}', 'LineAsString')",
    "SHOW TABLES WHERE file('{secret}') != ''",
    "SHOW COLUMNS FROM bars WHERE file('{secret}') != ''",
    "EXPLAIN SELECT file('{secret}')",
    "EXPLAIN SYNTAX SELECT file('{secret}')",
    "EXPLAIN QUERY TREE SELECT file('{secret}')",
    "DESCRIBE (SELECT file('{secret}'))",
    "DESCRIBE file('{secret}', 'LineAsString')",
    "SELECT * FROM file('{secret}', 'LineAsString')",
    "SELECT * FROM `{secret}`",
    "SELECT * FROM default.`{secret}`",
    "SELECT * FROM filesystem('/')",
    "SELECT * FROM view(SELECT * FROM file('{secret}', 'LineAsString'))",
    "SELECT * FROM numbers((SELECT toUInt64(length(file('{secret}')))))",
    "SELECT * FROM sqlite('{secret}', 'x')",
    "SELECT * FROM icebergLocal('{secret}')",
    "SELECT * FROM fileCluster('c', '{secret}', 'LineAsString')",
    # other machines and programs
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM urlCluster('c', 'http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM s3('http://127.0.0.1:1/b/k', 'LineAsString')",
    "SELECT * FROM remote('127.0.0.1:1', system.one)",
    "SELECT * FROM remoteSecure('127.0.0.1:1', system.one)",
    "SELECT * FROM cluster('default', system.one)",
    "SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "SELECT * FROM postgresql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "SELECT * FROM mongodb('127.0.0.1:1', 'd', 't', 'u', 'p', 'x Int8')",
    "SELECT * FROM redis('127.0.0.1:1', 'k', 'k String')",
    "SELECT * FROM odbc('DSN=x', 'd', 't')",
    "SELECT * FROM executable('id', 'LineAsString', 'x String')",
    "SELECT * FROM executable('id', 'LineAsString', 'x String', (SELECT 1))",
    "SELECT * FROM python(secret)",
    "SELECT * FROM eval('SELECT 1')",
    "SELECT hasColumnInTable('127.0.0.1:1', 'u', 'p', 'd', 't', 'c')",
    "SELECT aiGenerate('x', 'y')",
    "EXPLAIN TABLE OVERRIDE mysql('127.0.0.1:1', 'd', 't', 'u', 'p') COLUMNS (x Int8)",
    # tables that are not ours
    "SELECT * FROM system.users",
    "SELECT * FROM system /* x */ . users",
    "SELECT * FROM `system`.`query_log`",
    "SELECT * FROM system.processes",
    "SELECT * FROM system.settings",
    "SELECT * FROM system.server_settings",
    "SELECT * FROM system.named_collections",
    "SELECT * FROM system.environment",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM bars JOIN system.users USING (name)",
    "SELECT * FROM (SELECT * FROM (SELECT * FROM system.users))",
    "SELECT ('VERSION_INTEGER', 'x') IN system.build_options",
    "SELECT ('VERSION_INTEGER', 'x') NOT IN (system.build_options)",
    "SELECT 1 WHERE 'x' IN system.users",
    "SELECT 1 WHERE 'x' NOT IN `system`.users",
    "SELECT 1 WHERE 'x' GLOBAL IN system.users",
    "SELECT 1 EXCEPT SELECT name FROM system.users",
    "SELECT * FROM merge('system', 'users')",
    "SELECT * FROM loop(system.users)",
    "SELECT * FROM dictionary('d')",
    "SELECT dictGet('d', 'a', 1)",
    "SELECT joinGet('system.users', 'name', 1)",
    "DESCRIBE system.users",
    "SHOW CREATE TABLE system.users",
    "SHOW TABLES FROM system",
    "SHOW COLUMNS FROM users FROM system",
    "EXISTS TABLE system.users",
    "SHOW DATABASES",
    "SHOW SETTINGS LIKE '%'",
    "SHOW GRANTS",
    "SHOW USERS",
    "SHOW PROCESSLIST",
    # what tells of the machine and of its users
    "SELECT hostName()",
    "SELECT FQDN()",
    "SELECT currentUser()",
    "SELECT getMacro('x')",
    "SELECT getServerSetting('max_connections')",
    "SELECT getClientHTTPHeader('Authorization')",
    "SELECT filesystemAvailable()",
    "SELECT addressToLine(1)",
    # settings, formats, several statements, writing
    "SELECT 1 SETTINGS max_threads = 1",
    "SELECT 1 SETTINGS/**/max_memory_usage = 0",
    "SELECT * FROM (SELECT 1 SETTINGS readonly = 0)",
    "EXPLAIN SELECT 1 SETTINGS max_threads = 1",
    "SELECT 1 FORMAT JSON",
    "SELECT 1 FORMAT/**/Null",
    "SELECT 1 FORMAT CSV SETTINGS max_threads = 1",
    "DESCRIBE bars FORMAT JSON",
    "SHOW CREATE TABLE bars FORMAT JSON",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE bars_log",
    "SELECT 1 PARALLEL WITH DROP TABLE bars_log",
    "SET max_threads = 1",
    "USE default",
    "DROP TABLE bars_log",
    "/* SELECT */ TRUNCATE TABLE bars_log",
    "INSERT INTO bars_log SELECT * FROM bars_log",
    "INSERT INTO FUNCTION file('{stolen}') SELECT 1",
    "ALTER TABLE bars_log DELETE WHERE 1",
    "CREATE TABLE other (n UInt8) ENGINE = Memory",
    "CREATE FUNCTION f AS (p) -> file(p)",
    "ATTACH TABLE x FROM '{secret}' (n UInt8) ENGINE = Memory",
    "BACKUP TABLE bars_log TO Disk('d', 'b')",
    "KILL QUERY WHERE 1",
    "SYSTEM FLUSH LOGS",
    "SYSTEM SHUTDOWN",
    "GRANT ALL ON *.* TO default",
    "CREATE USER intruder",
    "EXECUTE AS default SELECT 1",
    "OPTIMIZE TABLE bars_log FINAL",
    "CHECK TABLE bars_log",
    # names that would pretend to be nodes of the tree
    "SELECT 1 AS `x\\n   Function count`, file('{secret}')",
    "SELECT file('{secret}') AS `x\n TableExpression\n  Function view`",
    "SELECT `file\\n`('{secret}')",
    # what a query may not have, or has never ended
    "SELECT sleep(3)",
    "SELECT {{p:String}}",
    "SELECT 1 +",
    "",
    " ; ",
    "-- nothing",
)
HONEST = (
    "SELECT 1",
    "SELECT count() FROM bars -- of all\n;",
    "/* a comment */ SELECT symbol, max(close) FROM daily_bars GROUP BY symbol ORDER BY symbol LIMIT 3",
    "SELECT 'INTO OUTFILE x', 'file(\\'y\\')', $$SETTINGS a = 1$$, 'FORMAT JSON', '\n Function file'",
    "SELECT b.symbol, q.price FROM daily_bars AS b INNER JOIN latest_quotes AS q ON b.symbol = q.symbol",
    "SELECT * FROM bars AS b ASOF LEFT JOIN quotes AS q ON b.symbol = q.symbol AND b.ts >= q.ts",
    "WITH c AS (SELECT symbol, close, lagInFrame(close) OVER (PARTITION BY symbol ORDER BY ts) AS before FROM bars) "
    "SELECT symbol, avg(log(close / before)) FROM c WHERE before > 0 GROUP BY symbol",
    "SELECT avg(close) OVER w FROM bars WINDOW w AS (ORDER BY ts ROWS BETWEEN 20 PRECEDING AND CURRENT ROW)",
    "SELECT row_number() OVER (ORDER BY ts), rank() OVER (ORDER BY ts) FROM bars",
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i) FROM n",
    "SELECT count(DISTINCT symbol), uniq(symbol), quantiles(0.1, 0.9)(close), argMaxIf(close, ts, close > 1) FROM bars",
    "SELECT sumIf(volume, close > open), groupArray(3)(symbol), count() FILTER (WHERE volume > 0) FROM bars",
    "SELECT finalizeAggregation(avgState(close)), quantileTDigestIfOrNull(0.5)(close, volume > 1) FROM bars",
    "SELECT toStartOfInterval(ts, INTERVAL 1 HOUR), any(open), anyLast(close) FROM bars GROUP BY ALL WITH TOTALS",
    "SELECT CASE interval WHEN '1d' THEN 1 ELSE 2 END, CASE WHEN close > 1 THEN 1 END, if(close > 1, 1, 0) FROM bars",
    "SELECT close::Decimal(18, 4), CAST(volume AS Nullable(UInt64)), toString(ts), ts + INTERVAL 1 DAY FROM bars",
    "SELECT items['revenue'], mapKeys(items), arrayMap(x -> x * 2, mapValues(items)) FROM statements",
    "SELECT * EXCEPT (request_id) REPLACE (round(close, 2) AS close) FROM bars",
    "SELECT bars.*, COLUMNS('^o'), bars.COLUMNS(high, low) FROM bars",
    "SELECT symbol FROM bars WHERE symbol IN (SELECT symbol FROM universe WHERE active) AND symbol NOT IN ('A', 'B')",
    "WITH u AS (SELECT 'AAPL' AS symbol) SELECT count() FROM bars WHERE symbol IN u",
    "SELECT count() FROM bars WHERE (symbol, source) IN (('A', 'b')) AND close BETWEEN 1 AND 2 OR symbol ILIKE 'a%'",
    "SELECT symbol FROM bars UNION DISTINCT SELECT symbol FROM quotes EXCEPT SELECT symbol FROM assets",
    "SELECT n FROM (SELECT 1 AS n) ORDER BY n WITH FILL FROM 1 TO 5 STEP 1 INTERPOLATE",
    "SELECT symbol FROM news ARRAY JOIN symbols AS symbol ORDER BY symbol COLLATE 'en' LIMIT 1 BY symbol",
    "SELECT * FROM bars_log FINAL PREWHERE symbol = 'AAPL' WHERE close > 1 ORDER BY ts DESC LIMIT 5 OFFSET 1",
    "SELECT EXISTS (SELECT 1 FROM bars), (SELECT max(ts) FROM bars)",
    "SELECT symbol, source, count() FROM bars GROUP BY GROUPING SETS ((symbol), (source)) HAVING count() > 0",
    "SELECT JSONExtractString(row, 'symbol') FROM dead_letters",
    "SELECT number, toDate('2024-01-01') + number AS day FROM numbers(5)",
    "SELECT * FROM values('a UInt8, b String', (1, 'x'))",
    "SELECT name FROM system.tables WHERE database = currentDatabase()",
    "SELECT name, type FROM system.columns WHERE database = 'tapestream'",
    "SELECT count() FROM tapestream.bars",
    "FROM bars SELECT count()",
    "SELECT version(), currentDatabase(), now(), today(), generateUUIDv4(), rand()",
    "DESCRIBE bars",
    "DESC TABLE tapestream.bars",
    "DESCRIBE (SELECT symbol, close FROM bars)",
    "SHOW TABLES",
    "SHOW TABLES FROM tapestream LIKE '%bars%'",
    "SHOW FULL TABLES NOT ILIKE 'Q%' LIMIT 3",
    "SHOW COLUMNS FROM bars",
    "SHOW CREATE TABLE bars_log",
    "SHOW CREATE VIEW tapestream.bars",
    "EXISTS TABLE bars",
    "EXPLAIN SELECT * FROM bars WHERE symbol = 'AAPL'",
    "EXPLAIN indexes = 1 SELECT * FROM bars WHERE symbol = 'AAPL'",
    "EXPLAIN SYNTAX SELECT * FROM bars",
    "EXPLAIN PIPELINE SELECT * FROM bars",
    "EXPLAIN ESTIMATE SELECT * FROM bars",
)
OURS = (
    *(queries.ROW_COUNTS, queries.HAS_POLLS, queries.calls_sql({}), queries.calls_sql({"polygon": 0, "fmp": 1})),
    *(queries.refused_sql(0), queries.answered_sql("bars", "equity", "1d", "raw", [None, "x"], final=1)),
    *(queries.answered_sql("quote", "equity", None, None, ["x'y\\"], period="q", since=5),),
    *(runs.LAST_RUNS, runs.FIRES, runs.run_sql("a"), runs.calls_of_sql("a", 0), runs.spending_sql(0, 1)),
    *(runs.quality_sql(0, 1), universe.listed_sql("equity"), universe.active_sql(["equity", "crypto"])),
    *(
        universe.chosen_sql("exchange = 'XNAS' -- or so"),
        universe.members_sql("equity", "AA"),
        universe.changed_sql("equity", 1),
    ),
)
"""What the program itself asks through the pages."""


@pytest.fixture
async def store_on_server(clickhouse_server):
    async with await Store.open(clickhouse_server.url()) as opened:
        await migrate(opened)
        yield opened


@pytest.fixture(params=["store", "store_on_server"])
def reading(request):
    """A migrated store: in the process, and on a server."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def planted(tmp_path):
    (tmp_path / ".env").write_text(SECRET)
    return {"secret": tmp_path / ".env", "stolen": tmp_path / "stolen"}


async def test_hostile_queries_are_refused(reading, planted, subtests):
    for sql in (pattern.format(**planted) for pattern in HOSTILE):
        for asked in (reading.query_user(sql), reading.export(sql, "TSV")):
            with subtests.test(sql=sql):
                with pytest.raises(QueryRefused) as refused:
                    await asked
                assert SECRET not in str(refused.value)
                assert not planted["stolen"].exists()
    assert (await reading.query_user("SELECT count() FROM bars")).rows == [(0,)]


async def test_honest_queries_are_answered(reading, subtests):
    for sql in (*HONEST, *OURS):
        with subtests.test(sql=sql):
            await reading.query_user(sql)


async def test_a_refusal_says_what_to_leave_out(store):
    for sql, said in (
        ("SELECT 1 INTO OUTFILE 'x'", "leave out INTO OUTFILE"),
        ("SELECT 1 FORMAT JSON", "leave out FORMAT"),
        ("SELECT file('x')", r"may not call file\(\): it reads files of the machine"),
        ("SELECT * FROM url('http://x')", r"may not read url\(\)"),
        ("SELECT * FROM system.users", "may not read system.users: its tables are those of tapestream"),
        ("SELECT no_such(1)", "no_such.*not known to be harmless"),
        ("SELECT * APPLY(max) FROM bars", "APPLY"),
        ("DROP TABLE bars_log", "may only read"),
        ("SELECT FROM WHERE", r"Syntax error: failed at position 18 \(end of query\): \.$"),
    ):
        with pytest.raises(QueryRefused, match=said):
            await store.query_user(sql)


async def test_a_format_of_a_file_is_no_way_to_write_sql(store):
    for form in ("CSV SETTINGS max_memory_usage = 0", "CSV INTO OUTFILE '/tmp/stolen'", "Null", "", "parquet"):
        with pytest.raises(QueryRefused, match="there is no format"):
            await store.export("SELECT 1", form)


async def test_a_query_is_bounded_in_time_rows_bytes_and_memory(store):
    for sql, bounds, said in (
        ("SELECT sum(sipHash64(number)) FROM numbers(20000000000)", {"timeout_s": 0.2}, r"longer than 0\.2 s"),
        ("SELECT number FROM numbers(100000)", {"max_rows": 1000}, "[Ll]imit"),
        ("SELECT repeat('x', 1000000) FROM numbers(1000)", {}, "larger than 128 MiB"),
        ("SELECT arrayWithConstant(100000, 'x') FROM numbers(1000)", {}, "larger than|[Ll]imit.*bytes"),
        ("SELECT repeat(toString(number), 100) FROM numbers(900000)", {}, "[Ll]imit.*bytes"),
        # asks for 60 GB at once, and block by block
        ("SELECT length(groupArray(repeat('x', 1000000))) FROM numbers(60000)", {}, "more memory than"),
        ("SELECT length(groupArray(number)) FROM numbers(8000000000)", {"memory": 2**28}, "more memory than 256 MiB"),
        (
            "SELECT number FROM numbers(2000000000) ORDER BY sipHash64(number) LIMIT 500000000, 1",
            {"memory": 2**27},
            "128 MiB",
        ),
    ):
        with pytest.raises(QueryRefused, match=said):
            await store.query_user(sql, **bounds)
    with pytest.raises(QueryRefused, match="larger than 1 MiB"):
        await store.export("SELECT repeat('x', 1000000) FROM numbers(10)", "TSV", max_bytes=2**20)
    assert (await store.query_user("SELECT 1")).rows == [(1,)]


async def test_every_function_of_the_engine_is_allowed_or_refused_for_a_reason(store):
    names = {name.lower() for (name,) in (await store.query("SELECT name FROM system.functions")).rows}
    allowed, refused = _functions()

    assert names - allowed - set(refused) == set(), "decide about these in functions.toml"
    assert allowed & set(refused) == set()
    assert set(refused) <= names
    assert "file" in refused


async def test_aggregates_keep_their_combinators(store):
    combinators = [
        name.lower() for (name,) in (await store.query("SELECT name FROM system.aggregate_function_combinators")).rows
    ]

    assert [name for name in combinators if not _allowed(f"sum{name}") or not _allowed(f"avg{name}if")] == []
    assert [name for name in combinators if _allowed(f"file{name}")] == []


async def test_no_allowed_table_function_is_unknown_and_no_table_is_of_another_database(store):
    known = {name.lower() for (name,) in (await store.query("SELECT name FROM system.table_functions")).rows}

    assert known >= TABLE_FUNCTIONS
    assert {name.partition(".")[0] for name in SYSTEM_TABLES} == {"system"}


async def test_the_tree_that_is_judged_holds_every_function_that_the_engine_would_call(store):
    """The engine's other account of a query, as JSON, is the witness: it hides nothing."""

    def called(found):
        if isinstance(found, list):
            return {name for part in found for name in called(part)}
        if not isinstance(found, dict):
            return set()
        own = {found["name"]} if found.get("type") == "Function" else set()
        return own.union(*(called(part) for part in found.values()))

    for sql in (text.strip().rstrip(";") for text in (*HONEST, *OURS)):
        if sql.startswith(("DESC", "EXISTS", "EXPLAIN", "SHOW")):
            continue
        told = json.loads((await store.query("SELECT parseQueryToJSON({sql:String})", {"sql": sql})).rows[0][0])
        written = (await store.query("SELECT formatQuerySingleLine({sql:String})", {"sql": sql})).rows[0][0]
        tree = "\n".join(row for (row,) in (await store.query(f"EXPLAIN AST {written}")).rows)
        seen = {node.name for node in _read(tree) if node.kind == "Function"}
        assert called(told) <= seen, sql


@pytest.mark.parametrize(
    "tree",
    [
        "",
        "SelectWithUnionQuery\n   Function count",
        "SelectWithUnionQuery\nSelectWithUnionQuery",
        "SelectWithUnionQuery (children 1)\n ExpressionList\n?!",
        "SelectWithUnionQuery (children 1)\n NodeOfALaterEngine",
        "StatementOfALaterEngine",
    ],
)
def test_a_tree_that_is_not_understood_is_refused(tree):
    with pytest.raises(QueryRefused):
        require_reading("SELECT 1", tree, "tapestream")


async def test_a_query_nested_as_deeply_as_the_engine_takes_it_is_judged(store):
    deep = "SELECT " + "negate(" * 150 + "1" + ")" * 150
    assert (await store.query_user(deep)).rows == [(1,)]
    with pytest.raises(QueryRefused):
        await store.query_user("SELECT " + "negate(" * 5000 + "1" + ")" * 5000)


async def test_a_slow_query_holds_up_neither_another_users_nor_the_sink(store):
    long = "SELECT sum(sipHash64(number)) FROM numbers(20000000000)"
    slow = asyncio.ensure_future(store.query_user(long, timeout_s=3))
    assert (await store.query_user("SELECT 1")).rows == [(1,)]
    await store.execute("SELECT 1")

    assert not slow.done()
    with pytest.raises(QueryRefused, match="longer"):
        await slow


def test_the_secret_of_the_tests_can_be_read_at_all(planted):
    assert Path(planted["secret"]).read_text() == SECRET
