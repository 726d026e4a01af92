"""FMP about companies and funds: profile, earnings, estimates, insiders, analysts, news, and its lists."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.fmp.listings import (
    EASTERN,
    currency,
    dates,
    eastern,
    listings,
    named,
    number,
    page,
    shares,
    spelling,
    unit,
    venue,
)
from sandbox.market.analysts import estimates, grades, ratings, reports, targets
from sandbox.market.company import company, fund
from sandbox.market.insiders import InsiderTrade, insider_trades
from sandbox.market.newsroom import Article, news
from sandbox.market.statements import later_splits, market_cap, shares_at, ttm
from sandbox.server.provider import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.market.analysts import Estimate, Report
    from sandbox.market.universe import AssetClass, Instrument

LATEST_DAYS = 3  # how far back the latest news of a market reach
GRADE_YEARS = 5
DEALS = {"S": "S-Sale", "P": "P-Purchase", "A": "A-Award", "M": "M-Exempt"}
ACTIONS = {"up": "upgrade", "down": "downgrade", "main": "maintain", "init": "initialise"}


def profile(call: Call) -> Reply:
    """`/profile?symbol=`: companies and funds; nothing for the rest."""
    known = [each for each in named(call) if each.asset_class in ("equity", "etf", "fund")]
    return Reply([row for each in known if (row := _profile(call, each))])


def _profile(call: Call, instrument: Instrument) -> dict[str, Any] | None:
    quote = call.quote(instrument.symbol)
    if quote is None:
        return None
    factor, (code, place) = unit(instrument), venue(instrument)
    paid = call.market.dividends(instrument.symbol, call.now, (call.now - timedelta(days=365)).date())
    row = {
        "symbol": spelling(instrument),
        "price": quote.price * factor,
        "lastDividend": round(sum(each.amount for each in paid) * factor, 4),
        "change": round((quote.price - quote.prev_close) * factor, 6),
        "changePercentage": round(100 * (quote.price / quote.prev_close - 1), 5),
        "volume": int(quote.today.volume),
        "averageVolume": int(instrument.daily_volume),
        "companyName": instrument.name,
        "currency": currency(instrument),
        "exchangeFullName": place,
        "exchange": code,
        "image": f"https://images.example/symbol/{spelling(instrument)}.png",
        "ipoDate": instrument.listed.isoformat(),
        "defaultImage": False,
        "isEtf": instrument.asset_class == "etf",
        "isActivelyTrading": True,
        "isAdr": False,
        "isFund": instrument.asset_class == "fund",
    }
    return row | (_who(call, instrument) if instrument.asset_class == "equity" else _what(call, instrument))


def _who(call: Call, share: Instrument) -> dict[str, Any]:
    who = company(call.market, share.symbol)
    return {
        "marketCap": market_cap(call.market, share.symbol, call.now),
        "beta": who.beta,
        "cik": who.cik,
        "isin": who.isin,
        "cusip": who.cusip,
        "industry": who.industry,
        "website": who.website,
        "description": who.description,
        "ceo": who.officers[0].name,
        "sector": who.sector,
        "country": who.country,
        "fullTimeEmployees": str(who.employees),
        "phone": who.phone,
        "address": "1 Example Street",
        "city": who.city,
        "state": None,
        "zip": None,
    }


def _what(call: Call, instrument: Instrument) -> dict[str, Any]:
    what = fund(call.market, instrument.symbol)
    return {
        "marketCap": what.assets,
        "beta": 1.0,
        "cik": what.cik,
        "isin": what.isin,
        "cusip": what.cusip,
        "industry": "Asset Management",
        "website": what.website,
        "description": what.description,
        "ceo": None,
        "sector": "Financial Services",
        "country": "US",
        "fullTimeEmployees": None,
    }


def earnings(call: Call) -> Reply:
    """`/earnings?symbol=&limit=`: newest first, announced ones with null results; a share's figures split-adjusted."""
    rows = [
        _report(call, each, report) for each in shares(call) for report in reports(call.market, each.symbol, call.now)
    ]
    return Reply(rows[::-1][: number(call, "limit", 1000, 1000)])


def earnings_calendar(call: Call) -> Reply:
    """`/earnings-calendar?from=&to=`: everybody's, newest first; a month around today if not given."""
    today = call.now.date()
    since, until = dates(call, today - timedelta(days=7), today + timedelta(days=30))
    rows = [
        _report(call, share, report)
        for share in listings().values()
        if share.asset_class == "equity"
        for report in reports(call.market, share.symbol, call.now, since=since)
        if report.report_date <= until
    ]
    return Reply(sorted(rows, key=lambda row: (row["date"], row["symbol"]), reverse=True)[:4000])


def _report(call: Call, share: Instrument, report: Report) -> dict[str, Any]:
    divisor = later_splits(call.market, share.symbol, report.fiscal_date, call.now)
    return {
        "symbol": spelling(share),
        "date": report.report_date.isoformat(),
        "epsActual": None if report.eps_actual is None else round(report.eps_actual / divisor, 4),
        "epsEstimated": round(report.eps_estimate / divisor, 4),
        "revenueActual": report.revenue_actual,
        "revenueEstimated": report.revenue_estimate,
        "lastUpdated": call.now.date().isoformat(),
    }


def analyst_estimates(call: Call) -> Reply:
    """`/analyst-estimates?symbol=&period=annual|quarter&limit=`: latest period first."""
    yearly = call.query.get("period", "annual") == "annual"
    rows = [
        _estimate(share, each)
        for share in shares(call)
        for each in reversed(estimates(call.market, share.symbol, call.now, n=4))
        if (each.label == "FY") is yearly
    ]
    return Reply(page(call, rows, 10, 1000))


def _estimate(share: Instrument, reported: Estimate) -> dict[str, Any]:
    averages = {
        "revenue": reported.revenue_average,
        "ebitda": reported.ebitda_average,
        "netIncome": reported.net_income_average,
    }
    spread = {"Low": 0.94, "High": 1.06, "Avg": 1.0}
    return {
        "symbol": spelling(share),
        "date": reported.fiscal_date.isoformat(),
        **{f"{name}{end}": round(mean * part) for name, mean in averages.items() for end, part in spread.items()},
        "epsAvg": reported.eps_average,
        "epsHigh": reported.eps_high,
        "epsLow": reported.eps_low,
        "numAnalystsRevenue": reported.analysts,
        "numAnalystsEps": reported.analysts,
    }


def discounted_cash_flow(call: Call) -> Reply:
    """`/discounted-cash-flow?symbol=`: ten years' free cash flow a share; the price's name has a space."""
    rows = []
    for share in shares(call):
        quote, year = call.quote(share.symbol), ttm(call.market, share.symbol, call.now)
        if quote and year:
            value = 12 * year.cash_flow.free_cash_flow / shares_at(call.market, share.symbol, call.now)
            day = call.now.date().isoformat()
            rows.append({"symbol": spelling(share), "date": day, "dcf": value, "Stock Price": quote.price})
    return Reply(rows)


def grades_consensus(call: Call) -> Reply:
    """`/grades-consensus?symbol=`: this month's counts."""
    rows = []
    for share in shares(call):
        counts = ratings(call.market, share.symbol, call.now, months=1)[0]
        votes = {"strongBuy": counts.strong_buy, "buy": counts.buy, "hold": counts.hold}
        votes |= {"sell": counts.sell, "strongSell": counts.strong_sell}
        rows.append({"symbol": spelling(share)} | votes | {"consensus": "Buy"})
    return Reply(rows)


def grades_historical(call: Call) -> Reply:
    """`/grades-historical?symbol=&limit=`: counts by month, newest first."""
    limit = number(call, "limit", 100, 1000)
    return Reply(
        [
            {
                "symbol": spelling(share),
                "date": counts.month.isoformat(),
                "analystRatingsStrongBuy": counts.strong_buy,
                "analystRatingsBuy": counts.buy,
                "analystRatingsHold": counts.hold,
                "analystRatingsSell": counts.sell,
                "analystRatingsStrongSell": counts.strong_sell,
            }
            for share in shares(call)
            for counts in ratings(call.market, share.symbol, call.now, months=min(limit, 12 * GRADE_YEARS))
        ]
    )


def changed_grades(call: Call) -> Reply:
    """`/grades?symbol=`: every change, newest first, whatever limit is asked for."""
    return Reply(
        [
            {
                "symbol": spelling(share),
                "date": each.at.date().isoformat(),
                "gradingCompany": each.firm,
                "previousGrade": each.from_grade or "",
                "newGrade": each.to_grade,
                "action": ACTIONS[each.action],
            }
            for share in shares(call)
            for each in grades(call.market, share.symbol, datetime.min.replace(tzinfo=UTC), call.now)
        ]
    )


def price_target_consensus(call: Call) -> Reply:
    """`/price-target-consensus?symbol=`."""
    rows = []
    for share in shares(call):
        if reported := targets(call.market, share.symbol, call.now):
            ends = {"targetHigh": reported.high, "targetLow": reported.low}
            rows.append(
                {"symbol": spelling(share)} | ends | {"targetConsensus": reported.mean, "targetMedian": reported.median}
            )
    return Reply(rows)


def insider_search(call: Call) -> Reply:
    """`/insider-trading/search?symbol=&page=&limit=`: newest filing first."""
    rows = [
        _deal(call, share, trade)
        for share in shares(call)
        for trade in insider_trades(call.market, share.symbol, date.min, call.now.date())
    ]
    return Reply(page(call, rows, 100, 1000))


def insider_latest(call: Call) -> Reply:
    """`/insider-trading/latest?page=&limit=`: everybody's filings of a month."""
    since = (call.now - timedelta(days=30)).date()
    rows = [
        _deal(call, share, trade)
        for share in listings().values()
        if share.asset_class == "equity"
        for trade in insider_trades(call.market, share.symbol, since, call.now.date())
    ]
    return Reply(page(call, sorted(rows, key=lambda row: str(row["filingDate"]), reverse=True), 100, 1000))


def _deal(call: Call, share: Instrument, trade: InsiderTrade) -> dict[str, Any]:
    who = company(call.market, share.symbol)
    folder = f"{int(who.cik)}/{trade.accession.replace('-', '')}"
    return {
        "symbol": spelling(share),
        "filingDate": trade.filed.isoformat(),
        "transactionDate": trade.transaction_date.isoformat(),
        "reportingCik": trade.cik,
        "companyCik": who.cik,
        "transactionType": DEALS[trade.code],
        "securitiesOwned": trade.shares_after,
        "reportingName": trade.name,
        "typeOfOwner": "director" if trade.role == "Director" else f"officer: {trade.role}",
        "acquisitionOrDisposition": "A" if trade.acquired else "D",
        "directOrIndirect": "D",
        "formType": "4",
        "securitiesTransacted": abs(trade.shares),
        "price": trade.price,
        "securityName": "Stock Option" if trade.derivative else "Common Stock",
        "url": f"https://www.sec.gov/Archives/edgar/data/{folder}/{trade.accession}-index.htm",
    }


def articles(classes: tuple[AssetClass, ...], latest: bool) -> Callable[[Call], Reply]:
    """`/news/{kind}?symbols=` or `/news/{kind}-latest`, `from`, `to`, `page`, `limit`: a row for each article."""

    def answer(call: Call) -> Reply:
        about = list(listings().values()) if latest else named(call, "symbols")
        about = [each for each in about if each.asset_class in classes]
        today = call.now.astimezone(EASTERN).date()
        first, last = dates(call, today - timedelta(days=LATEST_DAYS if latest else 365), today)
        since = datetime.combine(first, time(), EASTERN)
        until = min(datetime.combine(last + timedelta(days=1), time(), EASTERN), call.now)
        found = news(call.market, [each.symbol for each in about], since, until)
        return Reply([_article(call, each) for each in page(call, found, 20, 250)])

    return answer


def _article(call: Call, article: Article) -> dict[str, Any]:
    return {
        "symbol": spelling(call.market.find(article.symbols[0])),
        "publishedDate": eastern(article.at),
        "publisher": article.publisher,
        "title": article.title,
        "image": article.image,
        "site": article.url.split("/")[2],
        "text": article.summary,
        "url": article.url,
    }


def etf_info(call: Call) -> Reply:
    """`/etf/info?symbol=`: expense ratio in percent."""
    rows = []
    for each in named(call):
        quote = call.quote(each.symbol)
        if each.asset_class in ("etf", "fund") and quote:
            what = fund(call.market, each.symbol)
            rows.append(
                {
                    "symbol": spelling(each),
                    "name": what.name,
                    "description": what.description,
                    "isin": what.isin,
                    "assetClass": "Equity",
                    "securityCusip": what.cusip,
                    "domicile": "US",
                    "website": what.website,
                    "etfCompany": what.issuer,
                    "expenseRatio": what.expense_pct,
                    "assetsUnderManagement": what.assets,
                    "avgVolume": int(each.daily_volume),
                    "inceptionDate": what.inception.isoformat(),
                    "nav": quote.price,
                    "navCurrency": each.currency,
                    "holdingsCount": len(what.holdings),
                    "isActivelyTrading": True,
                    "updatedAt": call.now.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                    "sectorsList": [{"industry": name, "exposure": weight} for name, weight in what.sectors],
                }
            )
    return Reply(rows)
