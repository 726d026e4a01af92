"""Polygon.io, now called Massive: US shares, currencies, crypto and indices. Documentation: https://polygon.io/docs.

Bars are stamped with their start in ms (a stock's day starts at midnight New York, but the previous day and the
grouped day are stamped at the close; crypto and forex days start at 00:00 UTC, weeks on Sunday); trades and quotes of
shares are in ns. Prices are adjusted for splits unless `adjusted=false`, never for dividends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from connectors import _errors as errors
from connectors import _fields as read
from connectors import _polygon_reference as reference
from connectors._connector import Build, Connector, Endpoint, Parse, Symbols
from connectors._polygon_names import ENDPOINTS, MARKETS, PAIRS, SHARES, SPANS, canonical, spell
from connectors._polygon_reference import Row, each, follow, results
from connectors._reading import Reading, objects
from connectors._records import AssetClass, Quote
from connectors._vocabulary import DAY_MS, Auth, BarColumns, Call, Item, LeftOut, Limit, Missing

DOCS = "https://polygon.io/docs"
FIRST_DAY = 1_062_547_200_000  # no data lies before September 2003
LAST_DAY = 4_102_444_800_000  # "until now": the path wants an end
ROUND_LOT = 100  # quote sizes of shares count round lots: https://polygon.io/docs/stocks/get_v2_last_nbbo__stocksticker
Spelled = tuple[str, ...]


# -- requests --------------------------------------------------------------------------------------------------------


def _adjusted(call: Call) -> str:
    return "false" if call.adjustment == "raw" else "true"


def _aggregates(call: Call, spelled: Spelled) -> Mapping[str, str]:
    """The range takes dates or ms, both ends inclusive; a week that began on the Sunday before is asked for too."""
    multiplier, timespan = SPANS[call.interval or "1d"].split("/")
    first = call.start if call.start is not None else FIRST_DAY
    last = (call.end if call.end is not None else LAST_DAY) - 1
    if call.interval == "1w":
        first -= DAY_MS
    daily = call.interval in {"1d", "1w", "1mo"}
    return {
        "ticker": spelled[0],
        "multiplier": multiplier,
        "timespan": timespan,
        "first": read.utc_date(first) if daily else str(first),
        "last": read.utc_date(last) if daily else str(last),
        "adjusted": _adjusted(call),
        "sort": "asc",
        "limit": "50000",
    }


def _one_day(call: Call, spelled: Spelled) -> Mapping[str, str]:
    if call.start is None or call.end is None or call.end - call.start > DAY_MS:
        raise errors.UnsupportedCall("polygon answers one day here: give a start and an end at most one day later")
    locale, _, market = MARKETS[call.asset_class]
    place = {"ticker": spelled[0]} if spelled else {"locale": locale, "market": market}
    return {**place, "day": read.utc_date(call.start), "adjusted": _adjusted(call)}


def _snapshots(call: Call, spelled: Spelled) -> Mapping[str, str]:
    locale, market, _ = MARKETS[call.asset_class]
    return {"locale": locale, "market": market, **({"tickers": ",".join(spelled)} if spelled else {})}


def _snapshot_of(call: Call, spelled: Spelled) -> Mapping[str, str]:
    locale, market, _ = MARKETS[call.asset_class]
    return {"locale": locale, "market": market, "ticker": spelled[0]}


def _universal_of(_: Call, spelled: Spelled) -> Mapping[str, str]:
    return {"ticker.any_of": ",".join(spelled), "limit": "250"}


def _pair(call: Call, _: Spelled) -> Mapping[str, str]:
    base, quote = re.split("[-/]", call.symbols[0])
    return {"base": base, "quote": quote}


def _ticker(_: Call, spelled: Spelled) -> Mapping[str, str]:
    return {"ticker": spelled[0]}


def _listed(date_name: str, limit: int = 1000) -> Build:
    """Lists take `ticker`, a range `<date>.gte`, `<date>.lt` and, for statements, `timeframe`."""

    def build(call: Call, spelled: Spelled) -> Mapping[str, str]:
        params = {"ticker": spelled[0]} if spelled else {}
        if call.start is not None:
            params[f"{date_name}.gte"] = read.utc_date(call.start)
        if call.end is not None:
            # the end's own day belongs to the range unless the end is its midnight
            params[f"{date_name}.lt"] = read.utc_date(call.end + DAY_MS - 1)
        if call.period:
            params["timeframe"] = call.period
        return {**params, "limit": str(limit)}

    return build


def _universe(call: Call, _: Spelled) -> Mapping[str, str]:
    kind = {"type": "ETF"} if call.asset_class == "etf" else {}
    return {"market": MARKETS[call.asset_class][2], **kind, "active": "true", "limit": "1000"}


# -- bars ------------------------------------------------------------------------------------------------------------


def _currency(symbol: str, asset_class: AssetClass) -> str | None:
    """The quote side of a pair; shares are in dollars, an index in points."""
    if asset_class == "index":
        return None
    return re.split("[-/]", symbol)[-1] if asset_class in PAIRS else "USD"


def _columns(reading: Reading, ticker: str | None, rows: list[Row], ts: list[int | None], names: str) -> BarColumns:
    """Make columns of `rows`; `names` are the provider's names of open, high, low, close, volume, vwap and trades."""
    envelope = reading.of(ticker)
    asset_class = envelope["asset_class"]
    adjusted = reading.json.get("adjusted", reading.params.get("adjusted") != "false")
    opened, high, low, close, volume, vwap, trades = (read.column(rows, name) for name in names.split())
    return BarColumns(
        envelope=envelope,
        interval=reading.call.interval or "1d",
        adjustment="split" if adjusted and asset_class in SHARES else "raw",
        currency=_currency(envelope["symbol"], asset_class),
        ts=ts,
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=volume,
        vwap=[at or None for at in vwap],
        trades=trades,
    )


def _frame(reading: Reading, ticker: str | None, rows: list[Row]) -> BarColumns:
    interval = reading.call.interval or "1d"
    ts = read.times([row.get("t") for row in rows], "ms")
    if interval in {"1d", "1w", "1mo"}:
        days = ts if reading.of(ticker)["asset_class"] in PAIRS else [read.local_day(at, read.NEW_YORK) for at in ts]
        sunday = DAY_MS if interval == "1w" else 0
        ts = [read.period_start(None if at is None else at + sunday, interval) for at in days]
    return _columns(reading, ticker, rows, ts, "o h l c v vw n")


def _parse_aggregates(reading: Reading) -> Iterator[Item]:
    rows, strays = objects(results(reading))
    yield from strays
    if rows:
        yield _frame(reading, read.text(reading.json.get("ticker")) or reading.params.get("ticker"), rows)
    yield from follow(reading)


def _grouped(reading: Reading, row: Row) -> BarColumns:
    return _frame(reading, row["T"], [row])


def _parse_open_close(reading: Reading) -> Iterator[Item]:
    """`from` is the date; a time after it is meaningless."""
    row = reading.json
    ts = [read.midnight(read.iso_date(row["from"]))]
    yield _columns(reading, row["symbol"], [row], ts, "open high low close volume vwap trades")


# -- quotes ----------------------------------------------------------------------------------------------------------


def _since_epoch(value: Any) -> int | None:
    """Shares say ns, crypto and forex ms, in the same field: told apart by size."""
    return read.millis(value, "ns" if isinstance(value, int) and abs(value) > 10**15 else "ms") or None


def _quote(reading: Reading, ticker: str, at: list[Any], values: Mapping[str, Any]) -> Quote | None:
    """Make a quote whose time is the first of `at` that is there; None without any price."""
    envelope = reading.of(ticker)
    paid, bid, ask = (read.price(values.get(name)) for name in ("price", "bid", "ask"))
    if not (paid or bid or ask):
        return None
    ts = next((found for value in at if (found := _since_epoch(value)) is not None), None)
    lot = ROUND_LOT if envelope["asset_class"] in SHARES else 1.0
    uncounted = envelope["asset_class"] in {"forex", "index"}  # a currency's volume is a number of quotes
    return Quote(
        **envelope,
        ts=reading.answer.observed_at if ts is None else ts,
        ts_estimated=ts is None,
        price=paid,
        bid=bid,
        ask=ask,
        bid_size=read.scaled(read.size(values.get("bid_size")), lot) if bid else None,
        ask_size=read.scaled(read.size(values.get("ask_size")), lot) if ask else None,
        open=read.price(values.get("open")),
        high=read.price(values.get("high")),
        low=read.price(values.get("low")),
        prev_close=read.price(values.get("prev_close")),
        volume=None if uncounted else read.number(values.get("volume")),
        currency=_currency(envelope["symbol"], envelope["asset_class"]),
    )


def _snapshot(reading: Reading, row: Row) -> Quote | None:
    """The sides of shares are P/S (ask) and p/s (bid), those of currencies a and b.

    Plans without trades and quotes have neither `lastTrade` nor `lastQuote`: the running day's close is the price.
    `updated` can lie hours ahead, so it is the time of last resort:
    https://polygon.io/docs/stocks/get_v2_snapshot_locale_us_markets_stocks_tickers
    """
    trade, quote, day = row.get("lastTrade") or {}, row.get("lastQuote") or {}, row.get("day") or {}
    bare = not trade and not quote
    values = {
        "price": day.get("c") if bare else trade.get("p"),
        "bid": quote.get("p", quote.get("b")),
        "ask": quote.get("P", quote.get("a")),
        "bid_size": quote.get("s"),
        "ask_size": quote.get("S"),
        "open": day.get("o"),
        "high": day.get("h"),
        "low": day.get("l"),
        "volume": day.get("v"),
        "prev_close": (row.get("prevDay") or {}).get("c"),
    }
    return _quote(reading, row["ticker"], [row.get("updated")] if bare else [trade.get("t"), quote.get("t")], values)


def _parse_snapshots(reading: Reading) -> Iterator[Item]:
    body = reading.json
    rows = body["tickers"] if "tickers" in body else [body["ticker"]]
    yield from reading.rows(rows, lambda row: _snapshot(reading, row))


def _universal(reading: Reading, row: Row) -> Item | None:
    """A ticker's refusal stands in its own row: https://polygon.io/docs/stocks/get_v3_snapshot."""
    if row.get("type") == "options":
        return LeftOut()
    if error := row.get("error"):
        refusal = errors.UnknownSymbol if error == "NOT_FOUND" else errors.NotEntitled
        return Missing(reading.canonical(row["ticker"])[0], refusal(str(row.get("message") or error)))
    trade, quote, session = (row.get(name) or {} for name in ("last_trade", "last_quote", "session"))
    last = trade.get("price", row.get("value"))
    values = {
        **session,
        **quote,
        "price": session.get("price") if last is None else last,
        "prev_close": session.get("previous_close"),
    }
    at = [trade.get("sip_timestamp"), trade.get("last_updated"), quote.get("last_updated"), row.get("last_updated")]
    return _quote(reading, row["ticker"], at, values)


def _parse_last(reading: Reading) -> Iterator[Item]:
    """The last trade (`p` is its price) or the last quote (`p` is the bid, `P` the ask) of a share."""
    row = reading.json["results"]
    sides = {"bid": row.get("p"), "ask": row.get("P"), "bid_size": row.get("s"), "ask_size": row.get("S")}
    if found := _quote(reading, row["T"], [row.get("t")], sides if "P" in row else {"price": row.get("p")}):
        yield found


def _parse_last_pair(reading: Reading) -> Iterator[Item]:
    """The v1 answers for crypto (a trade) and forex (a two-sided quote): ms, symbol with its separator."""
    last = reading.json["last"]
    sides = {name: last.get(name) for name in ("price", "bid", "ask")}
    if found := _quote(reading, reading.json["symbol"], [last.get("timestamp")], sides):
        yield found


# -- refusals and the declaration ------------------------------------------------------------------------------------


REFUSED: Mapping[str, type[errors.Refusal]] = MappingProxyType(
    {"NOT_AUTHORIZED": errors.NotEntitled, "NOT_FOUND": errors.UnknownSymbol, "ERROR": errors.ProviderUnavailable}
)


def _refusal(reading: Reading) -> errors.Refusal | None:
    """The body's `status` decides where HTTP says 200; its text is under `error` or `message`."""
    cls = REFUSED.get(str(reading.object.get("status")))
    if reading.answer.status != 200 or cls is None:
        return None
    return cls(str(reading.object.get("error") or reading.object.get("message")))


def _at(dataset: str, name: str, build: Build, parse: Parse, **more: Any) -> Endpoint:
    path, page = ENDPOINTS[name]
    return Endpoint(dataset=dataset, name=name, path=path, build=build, parse=parse, docs=f"{DOCS}/{page}", **more)


def _or_all(endpoint: Endpoint) -> tuple[Endpoint, Endpoint]:
    """The same list for given symbols and, without any, for the whole market."""
    return endpoint, replace(endpoint, name=f"all_{endpoint.name}", batch=0, latest=False)


TRADED: tuple[AssetClass, ...] = (*SHARES, *PAIRS)
ALL: tuple[AssetClass, ...] = (*TRADED, "index")
BARS: Mapping[str, Any] = {"asset_classes": ALL, "intervals": SPANS, "adjustments": ("split", "raw")}
DAILY: Mapping[str, Any] = {**BARS, "asset_classes": TRADED, "intervals": {"1d": SPANS["1d"]}}
LIVE: Mapping[str, Any] = {"asset_classes": TRADED, "plan": "starter", "latest": True}
UNIVERSAL, GROUPED = each(_universal), each(_grouped)
DIVIDENDS, SPLITS, NEWS = each(reference.dividend), each(reference.split), each(reference.article)
HISTORY = "2 years on the free plan, since 2003 on paid ones"

CONNECTOR = Connector(
    name="polygon",
    title="Polygon.io (Massive)",
    base_url="https://api.polygon.io",
    docs=DOCS,
    auth=Auth(headers={"Authorization": "Bearer {key}"}),
    symbols=Symbols(spell=spell, canonical=canonical),
    limits=(Limit(calls=5, per="minute"),),
    refusal=_refusal,
    mailbox=6,
    endpoints=(
        _at("bars", "aggregates", _aggregates, _parse_aggregates, **BARS, rows=50_000, history=HISTORY),
        _at("bars", "grouped_daily", _one_day, GROUPED, **DAILY, batch=0, span_ms={"1d": DAY_MS}),
        _at("bars", "previous_close", _ticker, _parse_aggregates, **DAILY, routed=False),
        _at("bars", "open_close", _one_day, _parse_open_close, **DAILY, routed=False),
        *_or_all(_at("quote", "snapshots", _snapshots, _parse_snapshots, **LIVE, batch=250)),
        _at("quote", "universal_snapshot", _universal_of, UNIVERSAL, **{**LIVE, "asset_classes": ALL}, batch=250),
        _at("quote", "snapshot", _snapshot_of, _parse_snapshots, **LIVE, routed=False),
        _at("quote", "last_trade", _ticker, _parse_last, plan="developer", latest=True),
        _at("quote", "last_quote", _ticker, _parse_last, plan="advanced", latest=True),
        _at("quote", "last_crypto", _pair, _parse_last_pair, **{**LIVE, "asset_classes": ("crypto",)}),
        _at("quote", "last_forex", _pair, _parse_last_pair, **{**LIVE, "asset_classes": ("forex",)}),
        *_or_all(_at("actions", "dividends", _listed("ex_dividend_date"), DIVIDENDS, kinds=("dividend",), rows=1000)),
        *_or_all(_at("actions", "splits", _listed("execution_date"), SPLITS, kinds=("split",), rows=1000)),
        _at("actions", "dividends_v2", _ticker, DIVIDENDS, kinds=("dividend",), routed=False),
        _at("actions", "splits_v2", _ticker, SPLITS, kinds=("split",), routed=False),
        _at("statements", "financials", _listed("period_of_report_date", 100), each(reference.filing), rows=100),
        _at("statements", "financials_v2", _ticker, each(reference.flat_filing), routed=False),
        *_or_all(_at("news", "news", _listed("published_utc"), NEWS, asset_classes=TRADED, rows=1000)),
        _at("profile", "ticker_details", _ticker, reference.parse_profile, latest=True),
        _at("profile", "company", _ticker, reference.parse_profile, latest=True, routed=False),
        _at("assets", "tickers", _universe, each(reference.asset), asset_classes=ALL, batch=0, rows=1000),
        _at("assets", "tickers_v2", _universe, reference.parse_tickers_v2, batch=0, routed=False),
    ),
)
