"""EODHD's news, earnings calendar, estimates, insiders' transactions and lists of symbols."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from sandbox.eodhd.answers import TEXT, BadRequest, dates, number, table, ticker_not_found
from sandbox.eodhd.listings import COUNTRIES, TYPES, currency, exchange, find, listings, spelling, ticker, venue
from sandbox.market.analysts import Estimate, Report, estimates, reports
from sandbox.market.company import company, fund
from sandbox.market.insiders import InsiderTrade, insider_trades
from sandbox.market.newsroom import Article, news
from sandbox.market.statements import later_splits
from sandbox.server.provider import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.market.universe import Instrument

MARKET_NEWS_DAYS = 3  # what is searched for where no range is given; a symbol's news go back a year
RELEASES = {"bmo": "BeforeMarket", "amc": "AfterMarket"}
SEC = "https://www.sec.gov/Archives/edgar/data"


def articles(call: Call) -> Reply:
    """`/news?s=|t=&from=&to=&limit=&offset=`: newest first; `s` takes one ticker."""
    if "," in call.query.get("s", ""):
        raise BadRequest("Only one ticker is allowed in parameter s")
    named = find(call.query["s"]) if call.query.get("s") else None
    if call.query.get("s") and named is None:
        return Reply([])
    about = [named.symbol] if named else [each.symbol for each in listings().values()]
    reach = timedelta(days=365 if named else MARKET_NEWS_DAYS)
    first, last = dates(call, (call.now - reach).date(), call.now.date())
    since = datetime.combine(first, time(), UTC)
    until = min(datetime.combine(last + timedelta(days=1), time(), UTC), call.now)
    found = news(call.market, about, since, until)
    offset = number(call, "offset", 0, 10**6)
    return Reply([_article(call, article) for article in found[offset : offset + number(call, "limit", 50, 1000)]])


def _article(call: Call, article: Article) -> dict[str, Any]:
    mood = article.sentiment
    return {
        "date": article.at.isoformat(),
        "title": article.title,
        "content": article.summary,
        "link": article.url,
        "symbols": [name for symbol in article.symbols if (name := spelling(call.market.find(symbol)))],
        "tags": ["MARKETS"],
        "sentiment": {
            "polarity": round(mood, 3),
            "neg": round(max(-mood, 0) / 4, 3),
            "neu": round(1 - abs(mood) / 4, 3),
            "pos": round(max(mood, 0) / 4, 3),
        },
    }


def earnings(call: Call) -> Reply:
    """`/calendar/earnings?symbols=` (all of their reports) or `?from=&to=` (everybody's; the next seven days).

    Earnings a share are adjusted for later splits.
    """
    today = call.now.date()
    since, until = dates(call, today, today + timedelta(days=7))
    asked = call.query.get("symbols")
    shares = _named(asked) if asked else _shares()
    rows = [
        row
        for share in shares
        for report in reports(call.market, share.symbol, call.now, since=date.min if asked else since)
        if asked or report.report_date <= until
        for row in [_report(call, share, report)]
    ]
    head = {"type": "Earnings", "description": "Historical and upcoming Earnings"}
    span = {"symbols": asked} if asked else {"from": since.isoformat(), "to": until.isoformat()}
    return Reply(head | span | {"earnings": sorted(rows, key=lambda row: (row["report_date"], row["code"]))})


def _report(call: Call, share: Instrument, report: Report) -> dict[str, Any]:
    divisor = later_splits(call.market, share.symbol, report.fiscal_date, call.now)
    estimate = round(report.eps_estimate / divisor, 4)
    actual = None if report.eps_actual is None else round(report.eps_actual / divisor, 4)
    return {
        "code": spelling(share),
        "report_date": report.report_date.isoformat(),
        "date": report.fiscal_date.isoformat(),
        "before_after_market": RELEASES[report.time_of_day],
        "currency": share.currency,
        "actual": actual,
        "estimate": estimate,
        "difference": None if actual is None else round(actual - estimate, 4),
        "percent": report.surprise_pct,
    }


def trends(call: Call) -> Reply:
    """`/calendar/trends?symbols=`: one list for each symbol."""
    asked = call.query.get("symbols", "")
    found = [[{"code": spelling(share)} | row for row in trend(call, share)] for share in _named(asked)]
    head = {"type": "Trends", "description": "Historical and upcoming earning trends", "symbols": asked}
    return Reply(head | {"trends": found})


def trend(call: Call, share: Instrument) -> list[dict[str, Any]]:
    """Estimates of two quarters and two years, later ones first; numbers are text."""
    labels = zip(("0q", "+1q", "0y", "+1y"), estimates(call.market, share.symbol, call.now), strict=False)
    reported = [_estimate(label, estimate) for label, estimate in labels]
    return sorted(reported, key=lambda row: str(row["date"]), reverse=True)


def _estimate(label: str, estimate: Estimate) -> dict[str, Any]:
    growth = estimate.eps_average / estimate.eps_year_ago - 1 if estimate.eps_year_ago else 0
    sales = estimate.revenue_average / estimate.revenue_year_ago - 1
    return {
        "date": estimate.fiscal_date.isoformat(),
        "period": label,
        "growth": f"{growth:.4f}",
        "earningsEstimateAvg": f"{estimate.eps_average:.4f}",
        "earningsEstimateLow": f"{estimate.eps_low:.4f}",
        "earningsEstimateHigh": f"{estimate.eps_high:.4f}",
        "earningsEstimateYearAgoEps": f"{estimate.eps_year_ago:.4f}",
        "earningsEstimateNumberOfAnalysts": f"{estimate.analysts:.4f}",
        "earningsEstimateGrowth": f"{growth:.4f}",
        "revenueEstimateAvg": f"{estimate.revenue_average:.2f}",
        "revenueEstimateLow": f"{estimate.revenue_low:.2f}",
        "revenueEstimateHigh": f"{estimate.revenue_high:.2f}",
        "revenueEstimateYearAgoEps": None,
        "revenueEstimateNumberOfAnalysts": f"{estimate.analysts:.2f}",
        "revenueEstimateGrowth": f"{sales:.4f}",
        "epsTrendCurrent": f"{estimate.eps_average:.4f}",
        "epsTrend7daysAgo": f"{estimate.eps_average:.4f}",
        "epsRevisionsUpLast7days": "0.0000",
    }


def form4(call: Call) -> Reply:
    """`/sec-filings/{symbol}/form4?page[limit]=&page[offset]=`: filings, newest first; US shares alone."""
    share = find(call.path["symbol"])
    if share is None or share not in _shares() or exchange(share) != "US":
        return ticker_not_found()
    offset, limit = number(call, "page[offset]", 0, 10**6), number(call, "page[limit]", 20, 100)
    filed = insider_trades(call.market, share.symbol, date.min, call.now.date())
    page = [_filing(trade) for trade in filed[offset : offset + limit]]
    more = urlencode({"page[offset]": offset + limit, "page[limit]": limit})
    following = f"{call.base_url}{call.url_path}?{more}" if offset + limit < len(filed) else None
    meta = {"total": len(filed), "page": {"offset": offset, "limit": limit}}
    return Reply({"data": page, "meta": meta, "links": {"next": following}})


def _filing(trade: InsiderTrade) -> dict[str, Any]:
    owner = {
        "reporting_owner_cik": trade.cik,
        "reporting_owner_name": trade.name.upper(),
        "is_director": trade.role == "Director",
        "is_officer": trade.role != "Director",
        "is_ten_percent_owner": False,
        "is_other": False,
        "officer_title": None if trade.role == "Director" else trade.role,
        "other_text": None,
        "security_title": "Stock Option" if trade.derivative else "Common Stock",
    }
    row = {
        "transaction_date": f"{trade.transaction_date}T00:00:00+00:00",
        "transaction_code": trade.code,
        "acquired_or_disposed": "A" if trade.acquired else "D",
        "shares_amount": abs(trade.shares),
        "price_per_share": trade.price,
        "shares_owned_after": trade.shares_after,
    }
    option = {
        "conversion_or_exercise_price": trade.price,
        "underlying_security_title": "Common Stock",
        "underlying_shares": abs(trade.shares),
        "exercise_date": None,
        "expiration_date": None,
    }
    direct = owner | row | {"total_value": round(abs(trade.shares) * trade.price, 2)}
    return {
        "accession_number": trade.accession,
        "filed_at": trade.filed.isoformat(),
        "period_of_report": trade.transaction_date.isoformat(),
        "non_derivative": [] if trade.derivative else [direct],
        "derivative": [owner | row | option] if trade.derivative else [],
        "footnotes": [],
    }


def insider_transactions(call: Call) -> Reply:
    """`/insider-transactions?code=&from=&to=&limit=`: purchases and sales of a year, newest first."""
    code = call.query.get("code")
    first, last = dates(call, (call.now - timedelta(days=365)).date(), call.now.date())
    shares = _named(code) if code else [share for share in _shares() if exchange(share) == "US"]
    rows = [
        _transaction(share, trade)
        for share in shares
        for trade in insider_trades(
            call.market, share.symbol, max(first, (call.now - timedelta(days=365)).date()), last
        )
        if trade.code in ("P", "S")
    ]
    rows.sort(key=lambda row: (row["reportDate"], row["code"]), reverse=True)
    return Reply(rows[: number(call, "limit", 100, 1000)])


def _transaction(share: Instrument, trade: InsiderTrade) -> dict[str, Any]:
    return {
        "code": spelling(share),
        "exchange": "US",
        "date": trade.filed.isoformat(),
        "reportDate": trade.filed.isoformat(),
        "ownerCik": trade.cik,
        "ownerName": trade.name,
        "ownerRelationship": None,
        "ownerTitle": trade.role,
        "transactionDate": trade.transaction_date.isoformat(),
        "transactionCode": trade.code,
        "transactionAmount": abs(trade.shares),
        "transactionPrice": trade.price,
        "transactionAcquiredDisposed": "A" if trade.acquired else "D",
        "postTransactionAmount": trade.shares_after,
        "link": f"{SEC}/{int(trade.cik)}/{trade.accession.replace('-', '')}/{trade.accession}-index.htm",
    }


def symbols(call: Call) -> Reply:
    """`/exchange-symbol-list/{exchange}?delisted=1`: everything listed there; nothing here was ever delisted."""
    where = call.path["exchange"].upper()
    listed = [each for each in listings().values() if exchange(each) == where or venue(each) == where]
    if not listed:
        return Reply("Exchange Not Found.", 404, TEXT)
    rows = [] if call.query.get("delisted") == "1" else [_listing(call, each) for each in listed]
    headings = ("Code", "Name", "Country", "Exchange", "Currency", "Type", "Isin")
    return table(call, rows, dict(zip(headings, headings, strict=True)))


def _listing(call: Call, instrument: Instrument) -> dict[str, Any]:
    isin = None
    if instrument.asset_class == "equity":
        isin = company(call.market, instrument.symbol).isin
    elif instrument.asset_class in ("etf", "fund"):
        isin = fund(call.market, instrument.symbol).isin
    return {
        "Code": ticker(instrument),
        "Name": instrument.name,
        "Country": COUNTRIES.get(exchange(instrument) or "", "Unknown"),
        "Exchange": venue(instrument),
        "Currency": currency(instrument),
        "Type": TYPES[instrument.asset_class],
        "Isin": isin,
    }


def _shares() -> list[Instrument]:
    return [each for each in listings().values() if each.asset_class == "equity"]


def _named(symbols: str) -> Iterable[Instrument]:
    found = (find(symbol) for symbol in symbols.split(",") if symbol)
    return [share for share in found if share is not None and share.asset_class == "equity"]
