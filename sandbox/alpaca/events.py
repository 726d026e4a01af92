"""What Alpaca reports beside prices: corporate actions, news, assets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sandbox.alpaca.parameters import (
    BadRequest,
    Row,
    asked_day,
    asked_limit,
    asked_moment,
    asked_symbols,
    coins,
    listings,
    page_token,
    paged,
    rfc3339,
    row_id,
    stocks,
    token_text,
)
from sandbox.market.newsroom import Article
from sandbox.market.reorganizations import rename, spin_off
from sandbox.market.universe import Instrument
from sandbox.server import news_pages
from sandbox.server.provider import Call, Reply

NEW_YORK = ZoneInfo("America/New_York")
EXCHANGES = {"XNAS": "NASDAQ", "XNYS": "NYSE", "ARCX": "ARCA"}
FIRST_NEWS = datetime(2015, 1, 1, tzinfo=UTC)
SIZES = ("large", "small", "thumb")
MAY_BE_LATE = timedelta(days=90)  # a dividend is processed when it is paid, after its ex-date


def corporate_actions(call: Call) -> Reply:
    """`/v1/corporate-actions?symbols=&types=&start=&end=&limit=`: dates are process dates, of today alone if absent."""
    today = call.now.astimezone(NEW_YORK).date()
    since, until = asked_day(call, "start", today), asked_day(call, "end", today)
    types = set(filter(None, call.query.get("types", "").split(",")))
    names = asked_symbols(call) if "symbols" in call.query else sorted(stocks())
    rows = [
        (kind, row)
        for name in names
        if name in stocks()
        for kind, row in (*_actions_of(call, name, since), *_reorganizations_of(call, name))
        if since <= date.fromisoformat(row["process_date"]) <= until and (not types or kind in types)
    ]
    rows.sort(
        key=lambda row: (row[1]["process_date"], row[1].get("symbol", "")), reverse=call.query.get("sort") == "desc"
    )
    page, token = paged(call, rows, 1000, 100)
    grouped: dict[str, list[Row]] = {}
    for kind, row in page:
        grouped.setdefault(f"{kind}s", []).append(row)
    return Reply({"corporate_actions": grouped, "next_page_token": token})


def _actions_of(call: Call, name: str, since: date) -> Iterable[tuple[str, Row]]:
    for split in call.market.splits(name, call.now):
        kind = "forward_split" if split.ratio > 1 else "reverse_split"
        new, old = split.ratio.as_integer_ratio()
        when = {"ex_date": split.ex_date, "process_date": split.ex_date, "record_date": split.ex_date}
        if kind == "forward_split":
            when["payable_date"] = split.ex_date - timedelta(days=1)
        yield kind, _action(name, kind, when, {"new_rate": new, "old_rate": old})
    for paid in call.market.dividends(name, call.now, max(since, date.min + MAY_BE_LATE) - MAY_BE_LATE):
        payable = paid.ex_date + timedelta(days=14)
        when = {"ex_date": paid.ex_date, "process_date": payable, "payable_date": payable}
        when["record_date"] = paid.ex_date + timedelta(days=1)
        yield "cash_dividend", _action(name, "", when, {"rate": paid.amount, "foreign": False, "special": False})


def _reorganizations_of(call: Call, name: str) -> Iterable[tuple[str, Row]]:
    if stocks()[name].asset_class != "equity":
        return
    if changed := rename(call.market, name, call.now):
        symbols = {"old_symbol": changed.before, "new_symbol": name}
        yield "name_change", {"id": row_id(name, "name"), **symbols, "process_date": changed.day.isoformat()}
    if left := spin_off(call.market, name, call.now):
        day = left.ex_date.isoformat()
        rates = {"source_symbol": name, "source_rate": 1, "new_symbol": left.symbol, "new_rate": left.ratio}
        days = dict.fromkeys(("ex_date", "record_date", "payable_date", "process_date"), day)
        yield "spin_off", {"id": row_id(name, "spin"), **rates, **days}


def _action(name: str, kind: str, when: Mapping[str, date], reported: Row) -> Row:
    number = f"{sum(map(ord, name)) * 7919 % 10**9:09}"
    named = {"old_cusip": number, "new_cusip": number[::-1]} if kind == "reverse_split" else {"cusip": number}
    days = {field: day.isoformat() for field, day in when.items()}
    return {"id": row_id(name, kind, days["ex_date"]), "symbol": name, **named, **reported, **days}


def news(call: Call) -> Reply:
    """`/v1beta1/news?symbols=AAPL,BTCUSD&start=&end=&sort=desc&limit=&include_content=`: newest first."""
    spelled = {name.replace("/", ""): found for name, found in (stocks() | coins()).items()}
    names = asked_symbols(call) if "symbols" in call.query else sorted(spelled)
    symbols = [spelled[name].symbol for name in names if name in spelled]
    since, limit = asked_moment(call, "start", FIRST_NEWS, UTC), asked_limit(call, 50, 10)
    until = min(asked_moment(call, "end", call.now, UTC), call.now) + timedelta(milliseconds=1)
    asked = news_pages.Request(symbols, since, until, call.query.get("sort", "desc") == "desc")
    try:
        page, mark = news_pages.page(call.market, asked, limit, token_text(call))
    except ValueError:
        raise BadRequest("page_token is invalid") from None
    token = page_token(mark) if mark else None
    whole = call.query.get("include_content") == "true"
    return Reply({"news": [_article(item, whole) for item in page], "next_page_token": token})


def _article(item: Article, whole: bool) -> Row:
    at = rfc3339(int(item.at.timestamp()) * 1000)
    return {
        "id": item.id,
        "headline": item.title,
        "author": item.author,
        "created_at": at,
        "updated_at": at,
        "summary": item.summary,
        "content": f"<p>{item.summary}</p>" if whole else "",
        "url": item.url,
        "images": [{"size": size, "url": item.image} for size in SIZES],
        "symbols": [symbol.replace("-", "") for symbol in item.symbols],
        "source": item.publisher,
    }


def asset(call: Call) -> Reply:
    """`/v2/assets/{symbol}`."""
    name = call.path["symbol"]
    if name not in stocks() and name not in coins():
        return Reply({"code": 40410000, "message": f"asset not found for {name}"}, 404)
    return Reply(_asset(name, listings()[name]))


def assets(call: Call) -> Reply:
    """`/v2/assets?status=active&asset_class=us_equity|crypto&exchange=`: all of them, without pages."""
    known = {"us_equity": stocks, "crypto": coins}
    wanted = call.query.get("asset_class", "us_equity")
    if wanted not in known:
        raise BadRequest(f"invalid asset_class: {wanted}")
    if call.query.get("status", "active") != "active":
        return Reply([])
    rows = [_asset(name, instrument) for name, instrument in known[wanted]().items()]
    return Reply([row for row in rows if row["exchange"] == call.query.get("exchange", row["exchange"])])


def _asset(name: str, instrument: Instrument) -> Row:
    crypto = instrument.asset_class == "crypto"
    return {
        "id": row_id(name),
        "class": "crypto" if crypto else "us_equity",
        "exchange": "CRYPTO" if crypto else EXCHANGES[instrument.exchange],
        "symbol": name,
        "name": instrument.name,
        "status": "active",
        "tradable": True,
        "marginable": not crypto,
        "maintenance_margin_requirement": 100 if crypto else 30,
        "shortable": not crypto,
        "easy_to_borrow": not crypto,
        "fractionable": True,
        "attributes": [],
    }
