"""SQL about the universe: who belongs to it, what users changed of it."""

from __future__ import annotations

from collections.abc import Iterable

from infra.clickhouse.queries import text


def listed_sql(asset_class: str) -> str:
    """SQL: (symbol, change) of what users added to an asset class, and removed, of whatever class that is."""
    own = f"asset_class = {text(asset_class)}"
    gone = f"change = 'remove' AND (asset_class = 'commodity') = {asset_class == 'commodity'}"
    return f"SELECT symbol, change FROM universe_changes WHERE {own} OR {gone} ORDER BY at, symbol"  # noqa: S608


def active_sql(asset_classes: Iterable[str]) -> str:
    """SQL: (symbol, asset class) of all active members of the universe."""
    named = ", ".join(map(text, asset_classes))
    return f"SELECT symbol, asset_class FROM universe WHERE active AND asset_class IN ({named}) ORDER BY symbol"  # noqa: S608


def chosen_sql(condition: str) -> str:
    """SQL: (symbol, asset class) of the members of which some provider's asset fulfils a user's condition."""
    return f"""
        SELECT symbol, asset_class FROM universe WHERE (symbol, asset_class = 'commodity') IN
        (
            SELECT symbol, asset_class = 'commodity' FROM assets WHERE ({condition}
            )
        ) ORDER BY symbol
    """  # noqa: S608  (the condition is the user's own, and a user's query reads tables only)


def members_sql(asset_class: str | None, search: str | None) -> str:
    """SQL: the members of the universe whose symbol begins, or whose name holds, what is searched; in any case."""
    terms = [f"asset_class = {text(asset_class)}"] if asset_class else []
    if search:
        begins = f"startsWith(upper(symbol), upper({text(search)}))"
        terms.append(f"({begins} OR positionCaseInsensitiveUTF8(coalesce(name, ''), {text(search)}) > 0)")
    where = f"WHERE {' AND '.join(terms)}" if terms else ""
    return f"""
        SELECT symbol, asset_class, name, exchange, currency, country, active, added, sources
        FROM universe {where} ORDER BY symbol, asset_class
    """  # noqa: S608  (texts are escaped)


def changed_sql(asset_class: str, at: int) -> str:
    """SQL: how many symbols of an asset class have a change of that very moment (ms UTC), or a later one, stored."""
    return f"""
        SELECT count() FROM universe_changes
        WHERE asset_class = {text(asset_class)} AND at >= fromUnixTimestamp64Milli({at:d})
    """  # noqa: S608  (texts are escaped)
