"""The universe: what providers list, merged, with what users added and without what they removed."""

import itertools

import pytest

from infra.clickhouse import QueryRefused
from infra.clickhouse.universe import active_sql, changed_sql, chosen_sql, listed_sql, members_sql
from streams.planning.routing import PREFERENCE

ABSENT = dict.fromkeys(("name", "exchange", "currency", "country", "active"))


async def insert(store, table, *rows):
    await store.insert(table, {name: [row[name] for row in rows] for name in rows[0]})


def asset(symbol, source, asset_class="equity", **known):
    return {
        **{"symbol": symbol, "asset_class": asset_class, "source": source, **ABSENT, **known},
        **{"provider_symbol": symbol, "observed_at": 1, "request_id": "r"},
    }


def change(symbol, what, at=1, asset_class="equity"):
    return {"symbol": symbol, "asset_class": asset_class, "change": what, "at": at}


async def universe(store):
    found = await store.query("SELECT * FROM universe ORDER BY symbol, asset_class")
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


async def test_providers_are_merged_by_symbol_each_field_by_who_is_preferred(store):
    await insert(
        store,
        "assets_log",
        asset("AAPL", "yahoo", name="Apple (Yahoo)", exchange="NMS", country="US"),
        asset("AAPL", "polygon", exchange="XNAS"),
        asset("AAPL", "eodhd", name="Apple Inc", currency="USD"),
        asset("AAPL", "nobody", name="Apple?", exchange="?"),
        asset("SPY", "alpaca"),
        asset("SPY", "finnhub", "etf"),
        asset("SPY", "alphavantage", "equity"),
        asset("GC", "alpaca"),
        asset("GC", "yahoo", "commodity"),
    )

    apple, *others = await universe(store)

    assert apple == {
        **{"symbol": "AAPL", "asset_class": "equity", "sources": ["eodhd", "nobody", "polygon", "yahoo"]},
        **{"name": "Apple Inc", "exchange": "XNAS", "currency": "USD", "country": "US"},
        **{"added": False, "active": True},
    }
    assert [(row["symbol"], row["asset_class"], row["sources"]) for row in others] == [
        ("GC", "commodity", ["yahoo"]),
        ("GC", "equity", ["alpaca"]),
        ("SPY", "etf", ["alpaca", "alphavantage", "finnhub"]),
    ]


async def test_the_order_of_belief_is_the_order_of_asking(store):
    for place, (first, second) in enumerate(itertools.pairwise(PREFERENCE)):
        await insert(
            store, "assets_log", asset(f"S{place}", first, name="believed"), asset(f"S{place}", second, name="not")
        )

    assert {row["name"] for row in await universe(store)} == {"believed"}


async def test_the_last_change_of_a_user_counts(store):
    await insert(store, "assets_log", asset("AAPL", "polygon"), asset("XOM", "polygon"))
    await insert(
        store,
        "universe_changes_log",
        change("TSM", "add"),
        change("XOM", "remove"),
        change("AAPL", "remove", 1),
        change("AAPL", "add", 2),
        change("NEW", "add", 1),
        change("NEW", "remove", 2),
    )

    assert [(row["symbol"], row["added"], row["sources"]) for row in await universe(store)] == [
        ("AAPL", True, ["polygon"]),
        ("TSM", True, []),
    ]


async def test_a_change_holds_for_the_symbol_whatever_class_it_has(store):
    await insert(store, "assets_log", asset("SPY", "polygon", "etf"), asset("QQQ", "polygon", "etf"))
    await insert(
        store,
        "universe_changes_log",
        change("SPY", "add", 1, "etf"),
        change("SPY", "remove", 2),
        change("QQQ", "remove", 1),
        change("QQQ", "add", 2, "etf"),
        change("GC", "add", 1, "commodity"),
        change("GC", "remove", 2),
    )

    assert [(row["symbol"], row["asset_class"], row["added"]) for row in await universe(store)] == [
        ("GC", "commodity", True),
        ("QQQ", "etf", True),
    ]
    assert (await store.query(listed_sql("etf"))).rows == [
        ("QQQ", "remove"),
        ("SPY", "add"),
        ("GC", "remove"),
        ("QQQ", "add"),
        ("SPY", "remove"),
    ]
    assert (await store.query(listed_sql("commodity"))).rows == [("GC", "add")]


async def test_inactive_members_are_told_and_not_collected_unless_a_user_wants_them(store):
    await insert(
        store,
        "assets_log",
        asset("OLD", "polygon", active=False),
        asset("OLD", "yahoo", active=True),
        asset("BACK", "polygon", active=False),
        asset("NEW", "polygon", active=True),
        asset("EVER", "polygon"),
        asset("BTC-USD", "polygon", "crypto"),
    )
    await insert(store, "universe_changes_log", change("BACK", "add"))

    assert len(await universe(store)) == 5
    assert (await store.query(active_sql(["equity", "etf"]))).rows == [
        ("BACK", "equity"),
        ("EVER", "equity"),
        ("NEW", "equity"),
    ]


async def test_a_condition_chooses_among_the_assets_but_never_what_was_removed(store):
    await insert(
        store,
        "assets_log",
        asset("AAPL", "polygon", exchange="XNAS"),
        asset("AAPL", "yahoo", exchange="XNAS"),
        asset("MSFT", "polygon", exchange="XNAS"),
        asset("IBM", "polygon", exchange="XNYS"),
        asset("QQQ", "polygon", "etf", exchange="XNAS"),
        asset("QQQ", "alpaca", exchange="XNAS"),
    )
    await insert(store, "universe_changes_log", change("MSFT", "remove"))

    assert (await store.query_user(chosen_sql("exchange = 'XNAS' -- or so"))).rows == [
        ("AAPL", "equity"),
        ("QQQ", "etf"),
    ]
    with pytest.raises(QueryRefused):
        await store.query_user(chosen_sql("no_such_column = 1"))


async def test_members_are_searched_by_the_beginning_of_a_symbol_or_a_part_of_the_name(store):
    await insert(
        store,
        "assets_log",
        asset("AAPL", "polygon", name="Apple Inc"),
        asset("PINE", "polygon", name="Pineapple's"),
        asset("AAP", "polygon", name="Advance"),
        asset("APLE", "polygon", "etf", name="Hospitality"),
    )

    async def found(asset_class=None, search=None):
        return [row[0] for row in (await store.query(members_sql(asset_class, search))).rows]

    assert await found() == ["AAP", "AAPL", "APLE", "PINE"]
    assert await found(search="aap") == ["AAP", "AAPL"]
    assert await found(search="apple'") == ["PINE"]
    assert await found("etf", "a") == ["APLE"]


async def test_changes_are_told_in_their_order_and_looked_for_by_their_moment(store):
    await insert(
        store, "universe_changes_log", change("B", "add", 2), change("A", "add", 3), change("C", "remove", 1, "etf")
    )

    assert (await store.query(listed_sql("equity"))).rows == [("C", "remove"), ("B", "add"), ("A", "add")]
    assert (await store.query(changed_sql("equity", 3))).rows == [(1,)]
