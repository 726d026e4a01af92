"""Alpaca market data: US shares and ETFs, crypto, currency rates. Documentation: https://docs.alpaca.markets.

Times are RFC 3339 in UTC with up to nanoseconds. A stock's day, week and month are stamped with midnight New York, a
crypto day with midnight Chicago: it is filed under the UTC date of that stamp. Bars are raw unless `adjustment` asks
otherwise, and the answer does not say which they are: the request decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from connectors import _errors as errors
from connectors import _fields as read
from connectors._connector import Build, Connector, Endpoint, Parse, Symbols
from connectors._reading import Reading, objects
from connectors._records import Action, Adjustment, Asset, AssetClass, News, Quote
from connectors._symbols import FOREX, PAIR, US_SHARE, split_pair, us_exchange
from connectors._vocabulary import DAY_MS, Auth, BarColumns, Call, Item, LeftOut, Limit

DOCS = "https://docs.alpaca.markets/reference"
SPANS = MappingProxyType(
    {
        "1m": "1Min",
        "5m": "5Min",
        "15m": "15Min",
        "30m": "30Min",
        "1h": "1Hour",
        "4h": "4Hour",
        "1d": "1Day",
        "1w": "1Week",
        "1mo": "1Month",
    }
)
ADJUSTMENTS: Mapping[str, Adjustment] = MappingProxyType({"raw": "raw", "split": "split", "all": "total"})
CLASSES: Mapping[str, AssetClass] = MappingProxyType({"us_equity": "equity", "crypto": "crypto"})
SHARES: tuple[AssetClass, ...] = ("equity", "etf")
FIRST_DAY = 1_451_606_400_000  # the history starts in 2016; without a start only today is given
SETTLING_MS = 90 * DAY_MS  # a dividend is processed when it is paid, weeks after its ex-date
ROUND_LOT = 100  # quote sizes of shares count round lots: https://docs.alpaca.markets/reference/stocklatestquotes-1
UTC = ZoneInfo("UTC")
Row = dict[str, Any]
Spelled = tuple[str, ...]


# -- symbols: AAPL, BRK.B, BTC/USD, EURUSD -------------------------------------------------------------------------


def spell(symbol: str, asset_class: AssetClass) -> str:
    """`BTC-USD` -> `BTC/USD`, `EUR/USD` -> `EURUSD`, shares as they are. Raises `UnsupportedSymbol`."""
    if asset_class == "crypto" and PAIR.fullmatch(symbol):
        return symbol.replace("-", "/")
    if asset_class == "forex" and FOREX.fullmatch(symbol):
        return symbol.replace("/", "")
    if asset_class in SHARES and US_SHARE.fullmatch(symbol):
        return symbol
    raise errors.UnsupportedSymbol(f"alpaca cannot spell the {asset_class} {symbol!r}: it sells US listings and pairs")


def canonical(spelling: str, asset_class: AssetClass) -> tuple[str, AssetClass]:
    """`BTC/USD`, `BTCUSD` (older) -> (`BTC-USD`, crypto). Delisted shares have codes. Raises `FieldError`."""
    if re.fullmatch(r"[A-Z0-9]+/[A-Z]+", spelling):
        return spelling.replace("/", "-"), "crypto"
    if asset_class == "crypto" and (pair := split_pair(spelling)):
        return "-".join(pair), "crypto"
    if asset_class == "forex" and re.fullmatch(r"[A-Z]{6}", spelling):
        return f"{spelling[:3]}/{spelling[3:]}", "forex"
    if asset_class in SHARES and re.fullmatch(r"[A-Za-z0-9._-]{1,24}", spelling):
        return spelling, asset_class
    raise errors.FieldError("symbol", f"{spelling!r:.40} is no {asset_class} symbol of a known form")


# -- requests --------------------------------------------------------------------------------------------------------


def _time(ms: int) -> str:
    return f"{read.utc_date(ms)}T{ms % DAY_MS // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms % 60_000 / 1000:06.3f}Z"


def _range(call: Call) -> dict[str, str]:
    """Both ends are inclusive. Without an end the answer reaches as far as the plan may see."""
    until = {} if call.end is None else {"end": _time(call.end - 1)}
    return {"start": _time(FIRST_DAY if call.start is None else call.start), **until}


def _bars(call: Call, spelled: Spelled) -> Mapping[str, str]:
    timeframe = SPANS[call.interval or "1d"]
    return {"symbols": ",".join(spelled), "timeframe": timeframe, **_range(call), "limit": "10000", "sort": "asc"}


def _stock_bars(call: Call, spelled: Spelled) -> Mapping[str, str]:
    asked = {ours: theirs for theirs, ours in ADJUSTMENTS.items()}[call.adjustment or "raw"]
    return {**_bars(call, spelled), "adjustment": asked}


def _bars_of(call: Call, spelled: Spelled) -> Mapping[str, str]:
    asked = dict(_bars(call, spelled))
    return {**asked, "symbol": asked.pop("symbols")}


def _latest(_: Call, spelled: Spelled) -> Mapping[str, str]:
    return {"symbols": ",".join(spelled)}


def _rates(_: Call, spelled: Spelled) -> Mapping[str, str]:
    return {"currency_pairs": ",".join(spelled)}


TYPES = MappingProxyType({"dividend": "cash_dividend", "split": "forward_split,reverse_split,stock_dividend"})


def _actions(call: Call, spelled: Spelled) -> Mapping[str, str]:
    """The range is of process dates, and without one only today is given."""
    end = "2099-12-31" if call.end is None else read.utc_date(call.end + SETTLING_MS)
    return {
        **({"symbols": ",".join(spelled)} if spelled else {}),
        "types": TYPES[call.kind] if call.kind else ",".join(TYPES.values()),
        "start": read.utc_date(FIRST_DAY if call.start is None else call.start),
        "end": end,
        "limit": "1000",
    }


def _news(call: Call, spelled: Spelled) -> Mapping[str, str]:
    """A coin has no slash here: `BTCUSD`."""
    symbols = {"symbols": ",".join(spelled).replace("/", "")} if spelled else {}
    return {**symbols, **({} if call.start is None and call.end is None else _range(call)), "limit": "50"}


def _universe(call: Call, _: Spelled) -> Mapping[str, str]:
    return {"status": "active", "asset_class": "crypto" if call.asset_class == "crypto" else "us_equity"}


def _follow(reading: Reading) -> Iterator[Item]:
    if token := read.text(reading.json.get("next_page_token")):
        yield reading.following(page_token=token)


# -- bars ------------------------------------------------------------------------------------------------------------


def _frame(reading: Reading, spelling: str, rows: list[Row]) -> BarColumns:
    envelope = reading.of(spelling)
    shares = envelope["asset_class"] in SHARES
    interval = reading.call.interval or "1d"
    ts = read.wall_times([row.get("t") for row in rows], UTC)
    if interval in {"1d", "1w", "1mo"}:
        zone = read.NEW_YORK if shares else UTC
        ts = [read.period_start(read.local_day(at, zone), interval) for at in ts]
    return BarColumns(
        envelope=envelope,
        interval=interval,
        adjustment=ADJUSTMENTS[reading.params.get("adjustment", "raw")] if shares else "raw",
        currency=_currency(reading, envelope["symbol"], envelope["asset_class"]),
        ts=ts,
        open=read.column(rows, "o"),
        high=read.column(rows, "h"),
        low=read.column(rows, "l"),
        close=read.column(rows, "c"),
        volume=read.column(rows, "v"),
        vwap=[at or None for at in read.column(rows, "vw")],
        trades=read.column(rows, "n"),
    )


def _currency(reading: Reading, symbol: str, asset_class: AssetClass) -> str:
    return reading.params.get("currency", "USD") if asset_class in SHARES else re.split("[-/]", symbol)[-1]


def _parse_bars(reading: Reading) -> Iterator[Item]:
    """Lists by symbol; the path of one symbol gives its list alone, the latest bars an object for each symbol."""
    body = reading.json
    found = body["bars"] or {}
    keyed = found if isinstance(found, dict) else {body["symbol"]: found}

    def series(item: tuple[str, Any]) -> Iterator[Item]:
        spelling, bars = item
        rows, strays = objects([bars] if isinstance(bars, dict) else bars or [])
        yield from strays
        if rows:
            yield _frame(reading, spelling, rows)

    yield from reading.rows(list(keyed.items()), series)
    yield from _follow(reading)


# -- quotes ----------------------------------------------------------------------------------------------------------


def _quote(reading: Reading, spelling: str, trade: Row, quote: Row, day: Row, before: Row) -> Quote | None:
    """Make a quote of the latest trade, the latest sides, the running and the previous day; None without a price."""
    envelope = reading.of(spelling)
    last, bid, ask = read.price(trade.get("p")), read.price(quote.get("bp")), read.price(quote.get("ap"))
    if not (last or bid or ask):
        return None
    ts = read.iso_time(trade.get("t") if last else quote.get("t"))
    lot = ROUND_LOT if envelope["asset_class"] in SHARES else 1.0
    return Quote(
        **envelope,
        ts=reading.answer.observed_at if ts is None else ts,
        ts_estimated=ts is None,
        price=last,
        bid=bid,
        ask=ask,
        bid_size=read.scaled(read.size(quote.get("bs")), lot) if bid else None,
        ask_size=read.scaled(read.size(quote.get("as")), lot) if ask else None,
        open=read.price(day.get("o")),
        high=read.price(day.get("h")),
        low=read.price(day.get("l")),
        prev_close=read.price(before.get("c")),
        volume=read.number(day.get("v")),
        currency=_currency(reading, envelope["symbol"], envelope["asset_class"]),
    )


def _by_symbol(found: Any) -> list[tuple[str, Any]]:
    """Symbols and what is said of them; null is said of an unknown one. Raises `MalformedPayload`."""
    if found and not any(isinstance(said, dict) or said is None for said in found.values()):
        raise errors.MalformedPayload(f"no object by symbol under {list(found)!r:.120}")
    return [(spelling, said) for spelling, said in found.items() if said is not None]


def _parse_snapshots(reading: Reading) -> Iterator[Item]:
    """Crypto has a wrapper, stocks have none; members can be null."""

    def snapshot(item: tuple[str, Row]) -> Quote | None:
        spelling, said = item
        parts = (said.get(name) or {} for name in ("latestTrade", "latestQuote", "dailyBar", "prevDailyBar"))
        return _quote(reading, spelling, *parts)

    body = reading.json
    yield from reading.rows(_by_symbol(body.get("snapshots", body)), snapshot)


def _parse_trades(reading: Reading) -> Iterator[Item]:
    latest = _by_symbol(reading.json["trades"])
    yield from reading.rows(latest, lambda item: _quote(reading, item[0], item[1], {}, {}, {}))


def _parse_quotes(reading: Reading) -> Iterator[Item]:
    """The latest sides of shares and coins, and the rates of currencies."""
    body = reading.json
    latest = _by_symbol(body["rates"] if "rates" in body else body["quotes"])
    yield from reading.rows(latest, lambda item: _quote(reading, item[0], {}, item[1], {}, {}))


# -- actions, news, assets -------------------------------------------------------------------------------------------


def _ratio(kind: str, row: Row) -> float | None:
    """A stock dividend's `rate` counts new shares beside each old one."""
    if kind == "stock_dividends":
        return None if (rate := read.number(row["rate"])) is None else 1 + rate
    new, old = read.number(row["new_rate"]), read.number(row["old_rate"])
    return round(new / old, 12) if new and old else None


def _parse_actions(reading: Reading) -> Iterator[Item]:
    """Lists by kind; mergers, spin-offs, name changes and the like are none of ours."""
    found = reading.json["corporate_actions"]

    def action(item: tuple[str, Row]) -> Action:
        kind, row = item
        paid = kind == "cash_dividends"
        return Action(
            **reading.of(row["symbol"]),
            kind="dividend" if paid else "split",
            ex_date=read.iso_date(row["ex_date"]),
            ratio=None if paid else _ratio(kind, row),
            amount=read.number(row["rate"]) if paid else None,
            currency="USD" if paid and not row.get("foreign") else None,
            record_date=read.iso_date(row.get("record_date")),
            pay_date=read.iso_date(row.get("payable_date")),
        )

    for kind in ("cash_dividends", "forward_splits", "reverse_splits", "stock_dividends"):
        yield from reading.rows([(kind, row) for row in found.get(kind) or []], action)
    yield from _follow(reading)


def _parse_news(reading: Reading) -> Iterator[Item]:
    def article(row: Row) -> News:
        number = read.integer(row["id"])
        return News(
            **reading.source(),
            id=None if number is None else str(number),
            ts=read.iso_time(row["created_at"]),
            title=read.text(row["headline"]),
            summary=read.text(row.get("summary")),
            url=read.text(row.get("url")),
            publisher=read.text(row.get("source")),
            symbols=reading.symbols(row.get("symbols")),
        )

    yield from reading.rows(reading.json["news"], article)
    yield from _follow(reading)


def _parse_assets(reading: Reading) -> Iterator[Item]:
    """`us_equity` holds shares and ETFs alike: which one is not said."""

    def asset(row: Row) -> Item:
        if (asset_class := CLASSES.get(row["class"])) is None:
            return LeftOut()
        envelope = reading.of(row["symbol"], asset_class)
        return Asset(
            **envelope,
            name=read.text(row.get("name")),
            exchange=us_exchange(read.text(row.get("exchange"))),
            currency=envelope["symbol"].split("-")[-1] if asset_class == "crypto" else None,
            active=row["status"] == "active",
            tradable=row.get("tradable"),
            provider_symbol=row["symbol"],
        )

    yield from reading.rows(reading.json, asset)


# -- refusals and the declaration ------------------------------------------------------------------------------------


def _refusal(reading: Reading) -> errors.Refusal | None:
    """A 403 is about the key or about the plan; a 429 says when the minute ends, as unix seconds.

    https://docs.alpaca.markets/docs/market-data-faq
    """
    answer, message = reading.answer, str(reading.object.get("message", ""))
    if answer.status == 403 and "forbidden" in message:
        return errors.KeyRejected(message)
    if answer.status == 403 and "recent" in message:
        return errors.NotEntitled(message, slice_only=True)  # older data of the same feed is sold
    if answer.status == 400 and "invalid symbol" in message and len(reading.call.symbols) == 1:
        return errors.UnknownSymbol(message)
    reset = answer.headers.get("x-ratelimit-reset", "")
    if answer.status == 429 and "retry-after" not in answer.headers and re.fullmatch(r"[0-9]{1,12}", reset):
        return errors.RateLimited(message, retry_after=max(0.0, int(reset) - answer.observed_at / 1000))
    return None


def _at(name: str, path: str, page: str, build: Build, parse: Parse, **more: Any) -> Endpoint:
    return Endpoint(name=name, path=path, docs=f"{DOCS}/{page}", build=build, parse=parse, **{"batch": 100, **more})


COINS: tuple[AssetClass, ...] = ("crypto",)
BARS: Mapping[str, Any] = {"dataset": "bars", "intervals": SPANS, "rows": 10_000}
STOCK_BARS: Mapping[str, Any] = {
    **BARS,
    "adjustments": ("raw", "split", "total"),
    "history": "since 2016; the last 15 minutes of all exchanges are not in the free plan",
}
COIN_BARS: Mapping[str, Any] = {**BARS, "asset_classes": COINS, "adjustments": ("raw",), "history": "since 2021"}
LIVE: Mapping[str, Any] = {"dataset": "quote", "latest": True}
COIN: Mapping[str, Any] = {**LIVE, "asset_classes": COINS}
RATE: Mapping[str, Any] = {**LIVE, "asset_classes": ("forex",)}
ACTIONS: Mapping[str, Any] = {"dataset": "actions", "kinds": ("split", "dividend"), "rows": 1000}
NEWS: Mapping[str, Any] = {"dataset": "news", "asset_classes": (*SHARES, *COINS), "rows": 50}
ASSETS: Mapping[str, Any] = {"dataset": "assets", "asset_classes": ("equity", *COINS), "batch": 0}
PART: Mapping[str, Any] = {"routed": False}
ONE: Mapping[str, Any] = {**PART, "batch": 1}
ACTIONS_PATH, NEWS_PATH, COIN_PATH = "/v1/corporate-actions", "/v1beta1/news", "/v1beta3/crypto/us/latest"

CONNECTOR = Connector(
    name="alpaca",
    title="Alpaca",
    base_url="https://data.alpaca.markets",
    docs="https://docs.alpaca.markets",
    auth=Auth(headers={"APCA-API-KEY-ID": "{id}", "APCA-API-SECRET-KEY": "{secret}"}),
    symbols=Symbols(spell=spell, canonical=canonical),
    limits=(Limit(calls=200, per="minute"),),
    refusal=_refusal,
    hosts={"assets": "https://paper-api.alpaca.markets"},
    mailbox=0,
    endpoints=(
        _at("bars", "/v2/stocks/bars", "stockbars", _stock_bars, _parse_bars, **STOCK_BARS),
        _at("crypto_bars", "/v1beta3/crypto/us/bars", "cryptobars-1", _bars, _parse_bars, **COIN_BARS),
        _at("snapshots", "/v2/stocks/snapshots", "stocksnapshots-1", _latest, _parse_snapshots, **LIVE),
        _at("crypto_snapshots", "/v1beta3/crypto/us/snapshots", "cryptosnapshots-1", _latest, _parse_snapshots, **COIN),
        _at("forex_rates", "/v1beta1/forex/latest/rates", "latestrates", _rates, _parse_quotes, **RATE),
        _at("actions", ACTIONS_PATH, "corporateactions-1", _actions, _parse_actions, **ACTIONS),
        _at("all_actions", ACTIONS_PATH, "corporateactions-1", _actions, _parse_actions, **ACTIONS, batch=0),
        _at("news", NEWS_PATH, "news-3", _news, _parse_news, **NEWS),
        _at("all_news", NEWS_PATH, "news-3", _news, _parse_news, **NEWS, batch=0),
        _at("assets", "/v2/assets", "get-v2-assets-1", _universe, _parse_assets, **ASSETS),
        # never asked: parts of what the snapshots hold, and paths of one symbol
        _at("trades", "/v2/stocks/trades/latest", "stocklatesttrades-1", _latest, _parse_trades, **LIVE, **PART),
        _at("quotes", "/v2/stocks/quotes/latest", "stocklatestquotes-1", _latest, _parse_quotes, **LIVE, **PART),
        _at("latest_bars", "/v2/stocks/bars/latest", "stocklatestbars-1", _latest, _parse_bars, **STOCK_BARS, **PART),
        _at("crypto_trades", f"{COIN_PATH}/trades", "cryptolatesttrades-1", _latest, _parse_trades, **COIN, **PART),
        _at("crypto_quotes", f"{COIN_PATH}/quotes", "cryptolatestquotes-1", _latest, _parse_quotes, **COIN, **PART),
        _at("crypto_latest", f"{COIN_PATH}/bars", "cryptolatestbars-1", _latest, _parse_bars, **COIN_BARS, **PART),
        _at("bars_of", "/v2/stocks/{symbol}/bars", "stockbarsingle-1", _bars_of, _parse_bars, **STOCK_BARS, **ONE),
        _at("crypto_old", "/v1beta1/crypto/{symbol}/bars", "cryptobars-1", _bars_of, _parse_bars, **COIN_BARS, **ONE),
    ),
)
