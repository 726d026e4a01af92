"""Yahoo's summary of an instrument, module by module. Most numbers are plain, some `{raw, fmt}`, in no order."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.market.analysts import estimates, grades, ratings, reports, targets
from sandbox.market.company import company, fund
from sandbox.market.insiders import InsiderTrade, insider_trades
from sandbox.market.statements import later_splits, market_cap, shares_at, ttm
from sandbox.server.provider import Call, Reply
from sandbox.yahoo.listings import EXCHANGES, TYPES, listings, unit_of
from sandbox.yahoo.session import JSON, has_crumb, unauthorized
from sandbox.yahoo.statements import epoch, shortened

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.market.analysts import Estimate, Report
    from sandbox.market.market import Quote
    from sandbox.market.universe import Instrument

Module = dict[str, Any]
COUNTRIES = {"US": "United States", "GB": "United Kingdom", "JP": "Japan"}
INSIDER_YEARS = 2
PERIODS = ("0q", "+1q", "0y", "+1y")
DEALS = {
    "S": "Sale at price {price:.2f} per share.",
    "P": "Purchase at price {price:.2f} per share.",
    "A": "Stock Award(Grant) at price 0.00 per share.",
    "M": "Conversion of Exercise of derivative security at price {price:.2f} per share.",
}


def summary(call: Call) -> Reply:
    """`/v10/finance/quoteSummary/{symbol}?modules=&crumb=`: the modules the instrument has, 404 if it has none."""
    if not has_crumb(call):
        return unauthorized("Invalid Crumb")
    symbol, asked = call.path["symbol"], [name for name in call.query.get("modules", "").split(",") if name]
    instrument = listings().get(symbol)
    if instrument is None:
        return _not_found(f"Quote not found for symbol: {symbol}")
    quote = call.quote(instrument.symbol)
    writers = {name: write for name in asked if (write := MODULES.get(name))}
    reported = {name: write(call, instrument, quote) for name, write in writers.items()} if quote else {}
    modules = {name: module for name, module in reported.items() if module}
    if not modules:
        return _not_found(f"No fundamentals data found for any of the summaryTypes={','.join(asked)}")
    return Reply({"quoteSummary": {"result": [modules], "error": None}}, content_type=JSON)


def _not_found(description: str) -> Reply:
    error = {"code": "Not Found", "description": description}
    return Reply({"quoteSummary": {"result": None, "error": error}}, 404, JSON)


def _formatted(number: float) -> dict[str, Any]:
    return {"raw": number, "fmt": shortened(number), "longFmt": f"{number:,}"}


def _day(day: date) -> dict[str, Any]:
    return {"raw": epoch(day), "fmt": day.isoformat()}


def _profile(call: Call, instrument: Instrument, _: Quote) -> Module | None:
    if instrument.asset_class in ("etf", "fund"):
        what = fund(call.market, instrument.symbol)
        return {"longBusinessSummary": what.description, "companyOfficers": [], "executiveTeam": [], "maxAge": 86400}
    if instrument.asset_class == "crypto":
        described = f"{instrument.name} is a coin."
        begun = instrument.listed.isoformat()
        return {"name": instrument.name, "startDate": begun, "description": described, "maxAge": 86400}
    if instrument.asset_class != "equity":
        return None
    who = company(call.market, instrument.symbol)
    return {
        "address1": "1 Example Street",
        "city": who.city,
        "country": COUNTRIES[who.country],
        "phone": who.phone,
        "website": who.website,
        "industry": who.industry,
        "industryDisp": who.industry,
        "sector": who.sector,
        "sectorDisp": who.sector,
        "longBusinessSummary": who.description,
        "fullTimeEmployees": who.employees,
        "companyOfficers": [
            {"maxAge": 1, "name": each.name, "title": each.title, "totalPay": _formatted(1_000_000)}
            for each in who.officers
        ],
        "maxAge": 86400,
    }


def _price(call: Call, instrument: Instrument, quote: Quote) -> Module:
    currency, factor = unit_of(instrument)
    change = quote.price - quote.prev_close
    cap = market_cap(call.market, instrument.symbol, call.now) if instrument.asset_class == "equity" else None
    code, place = EXCHANGES[instrument.exchange]
    row = {
        "maxAge": 1,
        "regularMarketChangePercent": round(change / quote.prev_close, 8),
        "regularMarketChange": round(change * factor, 6),
        "regularMarketTime": quote.ts // 1000,
        "priceHint": 4 if instrument.decimals > 2 else 2,
        "regularMarketPrice": round(quote.price * factor, 6),
        "regularMarketDayHigh": round(quote.today.high * factor, 6),
        "regularMarketDayLow": round(quote.today.low * factor, 6),
        "regularMarketVolume": _volume(instrument, quote),
        "regularMarketPreviousClose": round(quote.prev_close * factor, 6),
        "regularMarketSource": "DELAYED",
        "regularMarketOpen": round(quote.today.open * factor, 6),
        "exchange": code,
        "exchangeName": place,
        "exchangeDataDelayedBy": 0,
        "marketState": "REGULAR" if quote.live else "CLOSED",
        "quoteType": TYPES[instrument.asset_class][0],
        "symbol": call.path["symbol"],
        "underlyingSymbol": None,
        "shortName": instrument.name,
        "longName": instrument.name,
        "currency": currency,
        "quoteSourceName": "Delayed Quote",
        "fromCurrency": None,
        "toCurrency": None,
        "lastMarket": None,
    }
    return row | ({"marketCap": cap} if cap else {})


def _volume(instrument: Instrument, quote: Quote) -> int:
    if instrument.asset_class == "crypto":
        return int(quote.today.volume * quote.today.vwap)
    return 0 if instrument.asset_class == "forex" else int(quote.today.volume)


def _summary_detail(call: Call, instrument: Instrument, quote: Quote) -> Module:
    currency, factor = unit_of(instrument)
    paid = call.market.dividends(instrument.symbol, call.now, (call.now - timedelta(days=365)).date())
    rate = sum(each.amount for each in paid)
    row: Module = {
        "maxAge": 1,
        "priceHint": 4 if instrument.decimals > 2 else 2,
        "previousClose": round(quote.prev_close * factor, 6),
        "open": round(quote.today.open * factor, 6),
        "dayLow": round(quote.today.low * factor, 6),
        "dayHigh": round(quote.today.high * factor, 6),
        "volume": _volume(instrument, quote),
        "averageVolume": int(instrument.daily_volume),
        "bid": round(quote.bid * factor, 6),
        "ask": round(quote.ask * factor, 6),
        "bidSize": quote.bid_size,
        "askSize": quote.ask_size,
        "trailingAnnualDividendRate": round(rate * factor, 4),
        "trailingAnnualDividendYield": rate / quote.prev_close,
        "currency": currency,
        "fromCurrency": None,
        "toCurrency": None,
        "lastMarket": None,
        "algorithm": None,
        "tradeable": False,
    }
    if instrument.asset_class in ("etf", "fund"):
        row |= {"totalAssets": fund(call.market, instrument.symbol).assets, "navPrice": quote.price}
        return row | {
            "yield": instrument.dividend_yield,
            "currency": None if instrument.asset_class == "fund" else currency,
        }
    year = ttm(call.market, instrument.symbol, call.now) if instrument.asset_class == "equity" else None
    cap = market_cap(call.market, instrument.symbol, call.now) if year else None
    if year and cap:
        sales = {"priceToSalesTrailing12Months": cap / year.income.revenue}
        row |= {"marketCap": cap, "trailingPE": cap / year.income.net_income} | sales
        row |= {"beta": company(call.market, instrument.symbol).beta}
    return row


def _key_statistics(call: Call, instrument: Instrument, quote: Quote) -> Module | None:
    if instrument.asset_class in ("etf", "fund"):
        what = fund(call.market, instrument.symbol)
        head = {"maxAge": 1, "priceHint": 2, "category": what.category, "fundFamily": what.issuer}
        begun = {"fundInceptionDate": epoch(what.inception), "legalType": "Exchange Traded Fund"}
        return head | begun | {"totalAssets": what.assets, "beta3Year": 1.0, "lastSplitFactor": None}
    year = ttm(call.market, instrument.symbol, call.now) if instrument.asset_class == "equity" else None
    if year is None:
        return None
    count, who = shares_at(call.market, instrument.symbol, call.now), company(call.market, instrument.symbol)
    made, sheet = year.income, year.balance
    whole = quote.price * count + sheet.total_debt - sheet.cash_and_equivalents
    splits = call.market.splits(instrument.symbol, call.now)
    last = splits[-1].ratio.as_integer_ratio() if splits else None
    return {
        "maxAge": 1,
        "priceHint": 2,
        "enterpriseValue": round(whole),
        "profitMargins": made.net_income / made.revenue,
        "floatShares": round(0.98 * count),
        "sharesOutstanding": count,
        "impliedSharesOutstanding": count,
        "beta": who.beta,
        "category": None,
        "bookValue": sheet.total_equity / count,
        "priceToBook": quote.price * count / sheet.total_equity,
        "fundFamily": None,
        "legalType": None,
        "mostRecentQuarter": epoch(year.ends),
        "netIncomeToCommon": made.net_income,
        "trailingEps": round(made.net_income / count, 2),
        "forwardEps": round(1.05 * made.net_income / count, 2),
        "forwardPE": quote.price * count / made.net_income / 1.05,
        "lastSplitFactor": f"{last[0]}:{last[1]}" if last else None,
        "lastSplitDate": epoch(splits[-1].ex_date) if splits else None,
        "enterpriseToRevenue": whole / made.revenue,
        "enterpriseToEbitda": whole / made.ebitda,
        "latestShareClass": None,
        "leadInvestor": None,
    }


def _financial_data(call: Call, instrument: Instrument, quote: Quote) -> Module | None:
    year = ttm(call.market, instrument.symbol, call.now) if instrument.asset_class == "equity" else None
    goals = targets(call.market, instrument.symbol, call.now) if year else None
    if year is None or goals is None:
        return None
    made, sheet, cash, (_, factor) = year.income, year.balance, year.cash_flow, unit_of(instrument)
    return {
        "maxAge": 86400,
        "currentPrice": round(quote.price * factor, 6),
        "targetHighPrice": goals.high * factor,
        "targetLowPrice": goals.low * factor,
        "targetMeanPrice": goals.mean * factor,
        "targetMedianPrice": goals.median * factor,
        "recommendationMean": 2.1,
        "recommendationKey": "buy",
        "numberOfAnalystOpinions": goals.analysts,
        "totalCash": sheet.cash_and_equivalents + sheet.short_term_investments,
        "ebitda": made.ebitda,
        "totalDebt": sheet.total_debt,
        "currentRatio": sheet.current_assets / sheet.current_liabilities,
        "totalRevenue": made.revenue,
        "debtToEquity": 100 * sheet.total_debt / sheet.total_equity,
        "returnOnAssets": made.net_income / sheet.total_assets,
        "returnOnEquity": made.net_income / sheet.total_equity,
        "grossProfits": made.gross_profit,
        "freeCashflow": cash.free_cash_flow,
        "operatingCashflow": cash.operating_cash_flow,
        "grossMargins": made.gross_profit / made.revenue,
        "ebitdaMargins": made.ebitda / made.revenue,
        "operatingMargins": made.operating_income / made.revenue,
        "profitMargins": made.net_income / made.revenue,
        "financialCurrency": instrument.currency,
    }


def _earnings_history(call: Call, instrument: Instrument, _: Quote) -> Module | None:
    if instrument.asset_class != "equity":
        return None
    since = (call.now - timedelta(days=500)).date()
    out = reports(call.market, instrument.symbol, call.now, ahead=0, since=since)
    rows = [_reported(call, instrument, each, f"-{4 - at}q") for at, each in enumerate(out[-4:])]
    return {"history": rows, "maxAge": 86400}


def _reported(call: Call, share: Instrument, report: Report, period: str) -> Module:
    divisor = later_splits(call.market, share.symbol, report.fiscal_date, call.now)
    actual, estimate = (report.eps_actual or 0.0) / divisor, report.eps_estimate / divisor
    surprise = (report.surprise_pct or 0.0) / 100
    return {
        "maxAge": 1,
        "epsActual": {"raw": round(actual, 5), "fmt": f"{actual:.2f}"},
        "epsEstimate": {"raw": round(estimate, 5), "fmt": f"{estimate:.2f}"},
        "epsDifference": {"raw": round(actual - estimate, 2), "fmt": f"{actual - estimate:.2f}"},
        "surprisePercent": {"raw": round(surprise, 6), "fmt": f"{surprise:.2%}"},
        "quarter": _day(report.fiscal_date),
        "currency": share.currency,
        "period": period,
    }


def _calendar_events(call: Call, instrument: Instrument, _: Quote) -> Module | None:
    if instrument.asset_class != "equity":
        return None
    following = reports(call.market, instrument.symbol, call.now, ahead=1, since=call.now.date())[-1]
    average, sales = following.eps_estimate, following.revenue_estimate
    paid = call.market.dividends(instrument.symbol, call.now)
    module: Module = {
        "maxAge": 1,
        "earnings": {
            "earningsDate": [int(following.at.timestamp())],
            "earningsCallDate": [int(following.at.timestamp()) + 1800],
            "isEarningsDateEstimate": False,
            "earningsAverage": average,
            "earningsLow": round(average - 0.08 * abs(average), 4),
            "earningsHigh": round(average + 0.09 * abs(average), 4),
            "revenueAverage": sales,
            "revenueLow": round(0.94 * sales),
            "revenueHigh": round(1.06 * sales),
        },
    }
    if paid:
        module |= {"exDividendDate": epoch(paid[-1].ex_date)}
        module |= {"dividendDate": epoch(paid[-1].ex_date + timedelta(days=14))}
    return module


def _earnings_trend(call: Call, instrument: Instrument, _: Quote) -> Module | None:
    if instrument.asset_class != "equity":
        return None
    coming = zip(PERIODS, estimates(call.market, instrument.symbol, call.now), strict=False)
    return {"trend": [_trend(instrument, period, each) for period, each in coming], "maxAge": 1}


def _trend(share: Instrument, period: str, reported: Estimate) -> Module:
    growth = reported.eps_average / reported.eps_year_ago - 1 if reported.eps_year_ago else None
    return {
        "maxAge": 1,
        "period": period,
        "endDate": reported.fiscal_date.isoformat(),
        "growth": growth,
        "earningsEstimate": {
            "avg": reported.eps_average,
            "low": reported.eps_low,
            "high": reported.eps_high,
            "yearAgoEps": reported.eps_year_ago,
            "numberOfAnalysts": reported.analysts,
            "growth": growth,
            "earningsCurrency": share.currency,
        },
        "revenueEstimate": {
            "avg": reported.revenue_average,
            "low": reported.revenue_low,
            "high": reported.revenue_high,
            "numberOfAnalysts": reported.analysts,
            "yearAgoRevenue": reported.revenue_year_ago,
            "growth": reported.revenue_average / reported.revenue_year_ago - 1,
            "revenueCurrency": share.currency,
        },
        "epsTrend": {
            "current": reported.eps_average,
            "7daysAgo": reported.eps_average,
            "30daysAgo": None,
            "epsTrendCurrency": share.currency,
        },
        "epsRevisions": {"upLast7days": 0, "upLast30days": 1, "downLast30days": 0, "downLast90days": {}},
    }


def _insiders(call: Call, instrument: Instrument, _: Quote) -> Module | None:
    if instrument.asset_class != "equity":
        return None
    today = call.now.date()
    since = today - timedelta(days=365 * INSIDER_YEARS)
    trades = insider_trades(call.market, instrument.symbol, since, today)
    return {"transactions": [_deal(each) for each in trades], "maxAge": 1}


def _deal(trade: InsiderTrade) -> Module:
    """Shares are never signed; only the text says which way they went."""
    row = {
        "maxAge": 1,
        "shares": _formatted(abs(trade.shares)),
        "filerUrl": "",
        "transactionText": DEALS[trade.code].format(price=trade.price),
        "filerName": trade.name.upper(),
        "filerRelation": trade.role,
        "moneyText": "",
        "startDate": _day(trade.transaction_date),
        "ownership": "D",
    }
    return row | ({"value": _formatted(round(abs(trade.shares) * trade.price))} if trade.price else {})


def _recommendation_trend(call: Call, instrument: Instrument, _: Quote) -> Module | None:
    if instrument.asset_class != "equity":
        return None
    rows = [
        {
            "period": f"-{at}m" if at else "0m",
            "strongBuy": counts.strong_buy,
            "buy": counts.buy,
            "hold": counts.hold,
            "sell": counts.sell,
            "strongSell": counts.strong_sell,
        }
        for at, counts in enumerate(ratings(call.market, instrument.symbol, call.now))
    ]
    return {"trend": rows, "maxAge": 86400}


def _changed_grades(call: Call, instrument: Instrument, _: Quote) -> Module | None:
    if instrument.asset_class != "equity":
        return None
    given = grades(call.market, instrument.symbol, call.now - timedelta(days=365 * 13), call.now)
    rows = [
        {
            "epochGradeDate": int(each.at.timestamp()),
            "firm": each.firm,
            "toGrade": each.to_grade,
            "fromGrade": each.from_grade or "",
            "action": each.action,
        }
        for each in given
    ]
    return {"history": rows, "maxAge": 86400}


MODULES: dict[str, Callable[[Call, Instrument, Quote], Module | None]] = {
    "assetProfile": _profile,
    "price": _price,
    "summaryDetail": _summary_detail,
    "defaultKeyStatistics": _key_statistics,
    "financialData": _financial_data,
    "earningsHistory": _earnings_history,
    "calendarEvents": _calendar_events,
    "earningsTrend": _earnings_trend,
    "insiderTransactions": _insiders,
    "recommendationTrend": _recommendation_trend,
    "upgradeDowngradeHistory": _changed_grades,
}
