"""What Finnhub reports about companies and funds: profile, ratios, earnings, analysts, insiders, actions, news."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice

import numpy as np

from sandbox.finnhub.listings import Refused, Row, asked, asked_day, company_of, shares
from sandbox.finnhub.metrics import metrics, series
from sandbox.market.actions import split_divisors
from sandbox.market.analysts import estimates, grades, ratings, reports, targets
from sandbox.market.company import company, fund
from sandbox.market.insiders import InsiderTrade, insider_trades
from sandbox.market.newsroom import Article
from sandbox.market.statements import market_cap, shares_at
from sandbox.market.universe import Instrument, instruments
from sandbox.server.news_pages import Request, articles
from sandbox.server.provider import Call, Reply

MILLION = 1e6
EXCHANGES = {
    "XNAS": "NASDAQ NMS - GLOBAL MARKET",
    "XNYS": "NEW YORK STOCK EXCHANGE, INC.",
    "XLON": "LONDON STOCK EXCHANGE",
    "XTKS": "TOKYO STOCK EXCHANGE-TOKYO PRO MARKET",
}
MOST_TRADES = 100
MOST_RELEASES = 1500
MARKET_NEWS = 100
CATEGORIES = {"general": ("equity",), "forex": ("forex",), "crypto": ("crypto",), "merger": ("equity",)}


# -- profile and ratios ------------------------------------------------------------------------------------------------


def profile2(call: Call) -> Reply:
    """`/stock/profile2?symbol=`: the short profile; `{}` for what is no company."""
    instrument = company_of(call)
    return Reply(_profile(call, instrument) if instrument else {})


def profile(call: Call) -> Reply:
    """`/stock/profile?symbol=`: the long one."""
    instrument = company_of(call)
    if instrument is None:
        return Reply({})
    who = company(call.market, instrument.symbol)
    more = {
        "address": f"{who.employees % 900 + 1} Market Street",
        "city": who.city,
        "cusip": who.cusip,
        "description": who.description,
        "employeeTotal": str(who.employees),
        "ggroup": who.industry,
        "gind": who.industry,
        "gsector": who.sector,
        "gsubind": who.industry,
        "isin": who.isin,
        "naics": "N/A",
        "naicsNationalIndustry": "N/A",
        "naicsSector": "N/A",
        "naicsSubsector": "N/A",
        "sedol": "",
        "state": "NY" if who.country == "US" else "N/A",
    }
    return Reply(_profile(call, instrument) | more)


def _profile(call: Call, instrument: Instrument) -> Row:
    who = company(call.market, instrument.symbol)
    cap = market_cap(call.market, instrument.symbol, call.now) or 0
    return {
        "country": who.country,
        "currency": instrument.currency,
        "estimateCurrency": instrument.currency,
        "exchange": EXCHANGES[instrument.exchange],
        "finnhubIndustry": who.sector,
        "ipo": who.ipo.isoformat(),
        "logo": f"{who.website}/logo.png",
        "marketCapitalization": cap / MILLION,
        "name": who.name,
        "phone": who.phone.replace("-", ""),
        "shareOutstanding": shares_at(call.market, instrument.symbol, call.now) / MILLION,
        "ticker": call.query["symbol"],
        "weburl": f"{who.website}/",
    }


def metric(call: Call) -> Reply:
    """`/stock/metric?symbol=&metric=all`: ratios of now, and their history by fiscal year and quarter."""
    instrument = company_of(call)
    if instrument is None:
        return Reply({"metric": {}, "metricType": "all", "series": {}, "symbol": call.query["symbol"]})
    reported = {"metric": metrics(call, instrument), "metricType": "all", "series": series(call, instrument)}
    return Reply(reported | {"symbol": call.query["symbol"]})


# -- funds -------------------------------------------------------------------------------------------------------------


def etf_profile(call: Call) -> Reply:
    """`/etf/profile?symbol=`; assets in dollars, not in millions."""
    instrument = shares().get(asked(call, "symbol"))
    if instrument is None or instrument.asset_class != "etf":
        return Reply({"profile": {}, "symbol": call.query["symbol"]})
    reported, price = fund(call.market, instrument.symbol), call.quote(instrument.symbol)
    row = {
        "assetClass": "Equity",
        "aum": reported.assets,
        "avgVolume": instrument.daily_volume,
        "cusip": reported.cusip,
        "description": reported.description,
        "domicile": "US",
        "etfCompany": reported.issuer,
        "expenseRatio": reported.expense_pct,
        "inceptionDate": reported.inception.isoformat(),
        "investmentSegment": reported.category,
        "isin": reported.isin,
        "name": reported.name,
        "nav": price.price if price else None,
        "navCurrency": instrument.currency,
        "trackingIndex": f"{reported.name} Index",
        "website": reported.website,
    }
    return Reply({"profile": row, "symbol": call.query["symbol"]})


def mutual_fund_profile(call: Call) -> Reply:
    """`/mutual-fund/profile?symbol=`."""
    instrument = shares().get(asked(call, "symbol"))
    if instrument is None or instrument.asset_class != "fund":
        return Reply({"profile": {}, "symbol": call.query["symbol"]})
    reported = fund(call.market, instrument.symbol)
    row = {
        "benchmark": f"{reported.name} Index",
        "beta": 1.0,
        "category": reported.category,
        "cusip": reported.cusip,
        "deferredLoad": 0,
        "description": reported.description,
        "expenseRatio": reported.expense_pct,
        "fee12b1": 0,
        "frontLoad": 0,
        "fundFamily": reported.issuer.upper(),
        "inceptionDate": reported.inception.isoformat(),
        "investmentSegment": reported.category,
        "iraMinInvestment": 0,
        "isin": reported.isin,
        "manager": "Example,Sample",
        "maxRedemptionFee": 0,
        "name": reported.name,
        "standardMinInvestment": 3000,
        "status": "Open",
        "totalNav": reported.assets,
        "turnover": 8,
    }
    return Reply({"profile": row, "symbol": call.query["symbol"]})


# -- earnings and analysts ---------------------------------------------------------------------------------------------


def earnings(call: Call) -> Reply:
    """`/stock/earnings?symbol=&limit=`: surprises, newest first; the last four on the free plan."""
    instrument = company_of(call)
    reported = reports(call.market, instrument.symbol, call.now) if instrument else []
    out = [each for each in reported if each.eps_actual is not None][::-1]
    limit = int(call.query.get("limit", len(out)))
    return Reply(
        [
            {
                "actual": each.eps_actual,
                "estimate": each.eps_estimate,
                "period": each.fiscal_date.isoformat(),
                "quarter": int(each.quarter[1]),
                "surprise": round((each.eps_actual or 0) - each.eps_estimate, 4),
                "surprisePercent": each.surprise_pct,
                "symbol": call.query["symbol"],
                "year": each.fiscal_year,
            }
            for each in out[: min(limit, 4) if call.plan.denies else limit]
        ]
    )


def earnings_calendar(call: Call) -> Reply:
    """`/calendar/earnings?from=&to=&symbol=`: newest first, at most 1500; without a range two weeks."""
    today = call.now.date()
    since = asked_day(call, "from", today - timedelta(days=7))
    until = asked_day(call, "to", today + timedelta(days=7))
    wanted = [call.query["symbol"]] if call.query.get("symbol") else list(shares())
    rows = [
        {
            "date": each.report_date.isoformat(),
            "epsActual": each.eps_actual,
            "epsEstimate": each.eps_estimate,
            "hour": each.time_of_day,
            "quarter": int(each.quarter[1]),
            "revenueActual": each.revenue_actual,
            "revenueEstimate": each.revenue_estimate,
            "symbol": name,
            "year": each.fiscal_year,
        }
        for name in wanted
        if (instrument := shares().get(name)) and instrument.asset_class == "equity"
        for each in reports(call.market, instrument.symbol, call.now)
        if since <= each.report_date <= until
    ]
    rows.sort(key=lambda row: (row["date"], row["symbol"]), reverse=True)
    return Reply({"earningsCalendar": rows[:MOST_RELEASES]})


def eps_estimate(call: Call) -> Reply:
    """`/stock/eps-estimate?symbol=&freq=quarterly|annual`: latest period first."""
    instrument, freq = company_of(call), call.query.get("freq", "quarterly")
    reported = estimates(call.market, instrument.symbol, call.now, n=4) if instrument else []
    rows = [
        {
            "epsAvg": each.eps_average,
            "epsHigh": each.eps_high,
            "epsLow": each.eps_low,
            "numberAnalysts": each.analysts,
            "period": each.fiscal_date.isoformat(),
            "year": each.fiscal_year,
            "quarter": 4 if each.label == "FY" else int(each.label[1]),
        }
        for each in reported
        if (each.label == "FY") == (freq == "annual")
    ]
    return Reply({"data": rows[::-1], "freq": freq, "symbol": call.query["symbol"]})


def recommendation(call: Call) -> Reply:
    """`/stock/recommendation?symbol=`: counts of the last months, newest first."""
    instrument = company_of(call)
    return Reply(
        [
            {
                "buy": each.buy,
                "hold": each.hold,
                "period": each.month.isoformat(),
                "sell": each.sell,
                "strongBuy": each.strong_buy,
                "strongSell": each.strong_sell,
                "symbol": call.query["symbol"],
            }
            for each in (ratings(call.market, instrument.symbol, call.now) if instrument else ())
        ]
    )


def price_target(call: Call) -> Reply:
    """`/stock/price-target?symbol=`; `{}` for what is no company."""
    instrument = company_of(call)
    reported = targets(call.market, instrument.symbol, call.now) if instrument else None
    if reported is None:
        return Reply({})
    return Reply(
        {
            "lastUpdated": f"{call.now:%Y-%m-%d} 00:00:00",
            "numberAnalysts": reported.analysts,
            "symbol": call.query["symbol"],
            "targetHigh": reported.high,
            "targetLow": reported.low,
            "targetMean": reported.mean,
            "targetMedian": reported.median,
        }
    )


def upgrade_downgrade(call: Call) -> Reply:
    """`/stock/upgrade-downgrade?symbol=&from=&to=`: newest first; a first grade has an empty `fromGrade`."""
    instrument = company_of(call)
    since, until = asked_day(call, "from", date(2000, 1, 1)), asked_day(call, "to", call.now.date())
    span = _midnight(since), min(_midnight(until) + timedelta(days=1), call.now)
    return Reply(
        [
            {
                "symbol": call.query["symbol"],
                "gradeTime": int(each.at.timestamp()),
                "fromGrade": each.from_grade or "",
                "toGrade": each.to_grade,
                "company": each.firm,
                "action": each.action,
            }
            for each in (grades(call.market, instrument.symbol, *span) if instrument else ())
        ]
    )


# -- insiders, actions, news -------------------------------------------------------------------------------------------


def insider_transactions(call: Call) -> Reply:
    """`/stock/insider-transactions?symbol=&from=&to=`: the newest hundred filings, of one company or of all."""
    name = call.query.get("symbol", "")
    since = asked_day(call, "from", call.now.date() - timedelta(days=365 if name else 3))
    until = min(asked_day(call, "to", call.now.date()), call.now.date())
    rows = [
        (each.filed, symbol, each)
        for symbol, instrument in shares().items()
        if name in ("", symbol) and (instrument.asset_class, instrument.currency) == ("equity", "USD")
        for each in insider_trades(call.market, instrument.symbol, since, until)
    ]
    rows.sort(key=lambda row: row[:2], reverse=True)
    return Reply({"data": [_trade(symbol, each) for _, symbol, each in rows[:MOST_TRADES]], "symbol": name})


def _trade(symbol: str, reported: InsiderTrade) -> Row:
    """`share` is what is held afterwards, `change` the transaction; the id is the filing's."""
    return {
        "change": reported.shares,
        "currency": "",
        "filingDate": reported.filed.isoformat(),
        "id": reported.accession,
        "isDerivative": reported.derivative,
        "name": reported.name,
        "share": reported.shares_after,
        "source": "sec",
        "symbol": symbol,
        "transactionCode": reported.code,
        "transactionDate": reported.transaction_date.isoformat(),
        "transactionPrice": reported.price,
    }


def dividends(call: Call) -> Reply:
    """`/stock/dividend?symbol=&from=&to=`: newest first, as paid and adjusted for later splits."""
    instrument = shares().get(asked(call, "symbol"))
    since, until = asked_day(call, "from"), asked_day(call, "to")
    if instrument is None:
        return Reply([])
    paid = [each for each in call.market.dividends(instrument.symbol, call.now, since) if each.ex_date <= until]
    days = np.array([each.ex_date for each in paid], "datetime64[D]")
    divisors = split_divisors(days, call.market.splits(instrument.symbol, call.now))
    rows = [
        {
            "symbol": call.query["symbol"],
            "date": each.ex_date.isoformat(),
            "amount": each.amount,
            "adjustedAmount": round(each.amount / float(divisor), 6),
            "payDate": (each.ex_date + timedelta(days=14)).isoformat(),
            "recordDate": (each.ex_date + timedelta(days=1)).isoformat(),
            "declarationDate": (each.ex_date - timedelta(days=21)).isoformat(),
            "currency": instrument.currency,
            "freq": "4",
        }
        for each, divisor in zip(paid, divisors, strict=True)
    ]
    return Reply(rows[::-1])


def splits(call: Call) -> Reply:
    """`/stock/split?symbol=&from=&to=`: newest first."""
    instrument = shares().get(asked(call, "symbol"))
    since, until = asked_day(call, "from"), asked_day(call, "to")
    rows = [
        {
            "symbol": call.query["symbol"],
            "date": each.ex_date.isoformat(),
            "fromFactor": each.ratio.denominator,
            "toFactor": each.ratio.numerator,
        }
        for each in (call.market.splits(instrument.symbol, call.now) if instrument else ())
        if since <= each.ex_date <= until
    ]
    return Reply(rows[::-1])


def company_news(call: Call) -> Reply:
    """`/company-news?symbol=&from=&to=`: both days inclusive, newest first; a year back on the free plan."""
    instrument = shares().get(asked(call, "symbol"))
    since, until = _midnight(asked_day(call, "from")), _midnight(asked_day(call, "to")) + timedelta(days=1)
    if call.plan.denies:
        since = max(since, call.now - timedelta(days=365))
    if instrument is None:
        return Reply([])
    reported = articles(call.market, Request([instrument.symbol], since, min(until, call.now)))
    return Reply([_article(each, "company", call.query["symbol"]) for each in reported])


def market_news(call: Call) -> Reply:
    """`/news?category=general|forex|crypto|merger&minId=`: the newest hundred."""
    category = asked(call, "category")
    if category not in CATEGORIES:
        raise Refused(422, "Wrong category: use general, forex, crypto or merger")
    after = int(call.query.get("minId", 0))
    symbols = [name for name, each in instruments().items() if each.asset_class in CATEGORIES[category]]
    reported = articles(call.market, Request(symbols, call.now - timedelta(days=30), call.now))
    newest = islice((each for each in reported if each.id > after), MARKET_NEWS)
    return Reply([_article(each, category, "") for each in newest])


def _article(reported: Article, category: str, related: str) -> Row:
    return {
        "category": category,
        "datetime": int(reported.at.timestamp()),
        "headline": reported.title,
        "id": reported.id,
        "image": reported.image,
        "related": related,
        "source": reported.publisher,
        "summary": reported.summary,
        "url": reported.url,
    }


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
