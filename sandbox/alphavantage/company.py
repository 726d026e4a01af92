"""What Alpha Vantage reports about companies and funds: numbers as strings, "None" for what is missing."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import TypeVar

from sandbox.alphavantage.listings import Row, company_of, listed, shares, table
from sandbox.market.analysts import Estimate, Report, estimates, ratings, reports, targets
from sandbox.market.company import company, fund
from sandbox.market.insiders import insider_trades
from sandbox.market.statements import Period, market_cap, quarters, shares_at, ttm, years
from sandbox.market.universe import Instrument
from sandbox.server.provider import Call, Reply

NONE = "None"
COUNTRIES = {"US": "USA", "GB": "UK"}
EXCHANGES = {"XNAS": "NASDAQ", "XNYS": "NYSE", "XLON": "LSE"}
TIMES = {"bmo": "pre-market", "amc": "post-market"}
HORIZONS = {"3month": 91, "6month": 182, "12month": 365}
Paid = TypeVar("Paid")
KEPT_YEARS, KEPT_QUARTERS = 20, 81


def overview(call: Call) -> Reply:
    """`OVERVIEW`: `{}` for what is no company."""
    instrument = company_of(call)
    if instrument is None:
        return Reply({})
    who, last = company(call.market, instrument.symbol), ttm(call.market, instrument.symbol, call.now)
    head = {
        "Symbol": call.query["symbol"],
        "AssetType": "Common Stock",
        "Name": who.name,
        "Description": who.description,
        "CIK": who.cik.lstrip("0"),
        "Exchange": EXCHANGES[instrument.exchange],
        "Currency": instrument.currency,
        "Country": COUNTRIES.get(who.country, who.country),
        "Sector": who.sector.upper(),
        "Industry": who.industry.upper(),
        "Address": f"1 MARKET STREET, {who.city.upper()}",
        "OfficialSite": who.website,
        "FiscalYearEnd": calendar.month_name[who.fiscal_year_end],
        "LatestQuarter": last.ends.isoformat() if last else NONE,
        "MarketCapitalization": _text(market_cap(call.market, instrument.symbol, call.now)),
    }
    more = {"Beta": _text(who.beta), "SharesOutstanding": _text(shares_at(call.market, instrument.symbol, call.now))}
    return Reply(head | (_ratios(call, instrument, last) if last else {}) | _said(call, instrument) | more)


def _ratios(call: Call, instrument: Instrument, last: Period) -> Row:
    income, balance = last.income, last.balance
    cap = market_cap(call.market, instrument.symbol, call.now) or 0
    debt = balance.total_debt - balance.cash_and_equivalents
    pe = f"{cap / income.net_income:.2f}" if income.net_income > 0 else NONE
    return {
        "EBITDA": _text(income.ebitda),
        "PERatio": pe,
        "PEGRatio": NONE,
        "BookValue": f"{balance.total_equity / balance.shares_outstanding:.2f}",
        "EPS": f"{income.net_income / income.shares_basic:.2f}",
        "RevenuePerShareTTM": f"{income.revenue / income.shares_basic:.2f}",
        "ProfitMargin": f"{income.net_income / income.revenue:.4f}",
        "OperatingMarginTTM": f"{income.operating_income / income.revenue:.4f}",
        "ReturnOnAssetsTTM": f"{income.net_income / balance.total_assets:.4f}",
        "ReturnOnEquityTTM": f"{income.net_income / balance.total_equity:.4f}",
        "RevenueTTM": _text(income.revenue),
        "GrossProfitTTM": _text(income.gross_profit),
        "DilutedEPSTTM": f"{income.eps_diluted:.2f}",
        "TrailingPE": pe,
        "PriceToSalesRatioTTM": f"{cap / income.revenue:.3f}",
        "PriceToBookRatio": f"{cap / balance.total_equity:.2f}",
        "EVToRevenue": f"{(cap + debt) / income.revenue:.3f}",
        "EVToEBITDA": f"{(cap + debt) / income.ebitda:.2f}" if income.ebitda > 0 else NONE,
    }


def _said(call: Call, instrument: Instrument) -> Row:
    """What analysts say, and the dividends."""
    counts, target = (
        ratings(call.market, instrument.symbol, call.now, 1)[0],
        targets(call.market, instrument.symbol, call.now),
    )
    paid = call.market.dividends(instrument.symbol, call.now)[-4:]
    quote, yearly = call.quote(instrument.symbol), sum(each.amount for each in paid)
    return {
        "AnalystTargetPrice": _text(target.mean if target else None),
        "AnalystRatingStrongBuy": str(counts.strong_buy),
        "AnalystRatingBuy": str(counts.buy),
        "AnalystRatingHold": str(counts.hold),
        "AnalystRatingSell": str(counts.sell),
        "AnalystRatingStrongSell": str(counts.strong_sell),
        "DividendPerShare": f"{yearly:.2f}" if paid else NONE,
        "DividendYield": f"{yearly / quote.price:.4f}" if paid and quote else NONE,
        "DividendDate": (paid[-1].ex_date + timedelta(days=14)).isoformat() if paid else NONE,
        "ExDividendDate": paid[-1].ex_date.isoformat() if paid else NONE,
    }


# -- statements --------------------------------------------------------------------------------------------------------


def statement(items: Callable[[Period], Row]) -> Callable[[Call], Reply]:
    """`INCOME_STATEMENT`, `BALANCE_SHEET`, `CASH_FLOW`: years and quarters, newest first; `{}` for no company."""

    def reported(call: Call) -> Reply:
        instrument = company_of(call)
        if instrument is None:
            return Reply({})

        def rows(periods: Sequence[Period]) -> list[Row]:
            return [
                {"fiscalDateEnding": period.ends.isoformat(), "reportedCurrency": instrument.currency}
                | {name: _text(value) for name, value in items(period).items()}
                for period in reversed(periods)
            ]

        return Reply(
            {
                "symbol": call.query["symbol"],
                "annualReports": rows(years(call.market, instrument.symbol, call.now)[-KEPT_YEARS:]),
                "quarterlyReports": rows(quarters(call.market, instrument.symbol, call.now)[-KEPT_QUARTERS:]),
            }
        )

    return reported


def _income(period: Period) -> Row:
    it = period.income
    return {
        "grossProfit": it.gross_profit,
        "totalRevenue": it.revenue,
        "costOfRevenue": it.cost_of_revenue,
        "costofGoodsAndServicesSold": it.cost_of_revenue,
        "operatingIncome": it.operating_income,
        "sellingGeneralAndAdministrative": it.selling_general_and_administrative,
        "researchAndDevelopment": it.research_and_development,
        "operatingExpenses": it.operating_expenses,
        "investmentIncomeNet": None,
        "netInterestIncome": -it.interest_expense,
        "interestIncome": None,
        "interestExpense": it.interest_expense,
        "nonInterestIncome": None,
        "otherNonOperatingIncome": None,
        "depreciation": None,
        "depreciationAndAmortization": it.depreciation_and_amortization,
        "incomeBeforeTax": it.income_before_tax,
        "incomeTaxExpense": it.income_tax,
        "interestAndDebtExpense": None,
        "netIncomeFromContinuingOperations": it.net_income,
        "comprehensiveIncomeNetOfTax": None,
        "ebit": it.income_before_tax + it.interest_expense,
        "ebitda": it.ebitda,
        "netIncome": it.net_income,
    }


def _balance(period: Period) -> Row:
    it = period.balance
    return {
        "totalAssets": it.total_assets,
        "totalCurrentAssets": it.current_assets,
        "cashAndCashEquivalentsAtCarryingValue": it.cash_and_equivalents,
        "cashAndShortTermInvestments": it.cash_and_equivalents + it.short_term_investments,
        "inventory": it.inventory,
        "currentNetReceivables": it.receivables,
        "totalNonCurrentAssets": it.non_current_assets,
        "propertyPlantEquipment": it.property_plant_equipment,
        "accumulatedDepreciationAmortizationPPE": None,
        "intangibleAssets": None,
        "intangibleAssetsExcludingGoodwill": None,
        "goodwill": None,
        "investments": None,
        "longTermInvestments": None,
        "shortTermInvestments": it.short_term_investments,
        "otherCurrentAssets": it.other_current_assets,
        "otherNonCurrentAssets": it.other_non_current_assets,
        "totalLiabilities": it.total_liabilities,
        "totalCurrentLiabilities": it.current_liabilities,
        "currentAccountsPayable": it.payables,
        "deferredRevenue": None,
        "currentDebt": None,
        "shortTermDebt": it.short_term_debt,
        "totalNonCurrentLiabilities": it.non_current_liabilities,
        "capitalLeaseObligations": None,
        "longTermDebt": it.long_term_debt,
        "currentLongTermDebt": None,
        "longTermDebtNoncurrent": None,
        "shortLongTermDebtTotal": it.total_debt,
        "otherCurrentLiabilities": it.other_current_liabilities,
        "otherNonCurrentLiabilities": it.other_non_current_liabilities,
        "totalShareholderEquity": it.total_equity,
        "treasuryStock": None,
        "retainedEarnings": it.retained_earnings,
        "commonStock": it.common_stock,
        "commonStockSharesOutstanding": it.shares_outstanding,
    }


def _cash_flow(period: Period) -> Row:
    """Outlays for equipment and dividends are positive here, those for own shares negative."""
    it = period.cash_flow
    return {
        "operatingCashflow": it.operating_cash_flow,
        "paymentsForOperatingActivities": None,
        "proceedsFromOperatingActivities": None,
        "changeInOperatingLiabilities": None,
        "changeInOperatingAssets": None,
        "depreciationDepletionAndAmortization": it.depreciation_and_amortization,
        "capitalExpenditures": -it.capital_expenditure,
        "changeInReceivables": None,
        "changeInInventory": None,
        "profitLoss": None,
        "cashflowFromInvestment": it.investing_cash_flow,
        "cashflowFromFinancing": it.financing_cash_flow,
        "proceedsFromRepaymentsOfShortTermDebt": None,
        "paymentsForRepurchaseOfCommonStock": None,
        "paymentsForRepurchaseOfEquity": None,
        "paymentsForRepurchaseOfPreferredStock": None,
        "dividendPayout": -it.dividends_paid,
        "dividendPayoutCommonStock": -it.dividends_paid,
        "dividendPayoutPreferredStock": None,
        "proceedsFromIssuanceOfCommonStock": None,
        "proceedsFromIssuanceOfLongTermDebtAndCapitalSecuritiesNet": None,
        "proceedsFromIssuanceOfPreferredStock": None,
        "proceedsFromRepurchaseOfEquity": it.share_repurchases,
        "proceedsFromSaleOfTreasuryStock": None,
        "stockBasedCompensation": it.stock_based_compensation,
        "changeInCashAndCashEquivalents": None,
        "changeInExchangeRate": None,
        "netIncome": it.net_income,
    }


income_statement, balance_sheet, cash_flow = statement(_income), statement(_balance), statement(_cash_flow)


def shares_outstanding(call: Call) -> Reply:
    """`SHARES_OUTSTANDING`: by quarter, newest first."""
    instrument = company_of(call)
    filed = quarters(call.market, instrument.symbol, call.now) if instrument else []
    rows = [
        {
            "date": period.ends.isoformat(),
            "shares_outstanding_diluted": str(period.income.shares_diluted),
            "shares_outstanding_basic": str(period.income.shares_basic),
        }
        for period in reversed(filed)
    ]
    return Reply({"symbol": call.query.get("symbol", ""), "status": "success", "data": rows} if rows else {})


# -- earnings ----------------------------------------------------------------------------------------------------------


def earnings(call: Call) -> Reply:
    """`EARNINGS`: the year that has only begun stands among the annual ones with what it earned so far."""
    instrument = company_of(call)
    if instrument is None:
        return Reply({})
    reported = [each for each in reports(call.market, instrument.symbol, call.now) if each.eps_actual is not None]
    by_year: dict[int, list[Report]] = {}
    for each in reported:
        by_year.setdefault(each.fiscal_year, []).append(each)
    annual = [
        {
            "fiscalDateEnding": parts[-1].fiscal_date.isoformat(),
            "reportedEPS": _text(round(sum(part.eps_actual or 0 for part in parts), 2)),
        }
        for parts in by_year.values()
    ]
    quarterly = [
        {
            "fiscalDateEnding": each.fiscal_date.isoformat(),
            "reportedDate": each.report_date.isoformat(),
            "reportedEPS": _text(each.eps_actual),
            "estimatedEPS": _text(each.eps_estimate),
            "surprise": _text(round((each.eps_actual or 0) - each.eps_estimate, 4)),
            "surprisePercentage": _text(each.surprise_pct),
            "reportTime": TIMES[each.time_of_day],
        }
        for each in reported
    ]
    return Reply({"symbol": call.query["symbol"], "annualEarnings": annual[::-1], "quarterlyEarnings": quarterly[::-1]})


def earnings_estimates(call: Call) -> Reply:
    """`EARNINGS_ESTIMATES`: the furthest period first."""
    instrument = company_of(call)
    if instrument is None:
        return Reply({})
    reported = sorted(
        estimates(call.market, instrument.symbol, call.now), key=lambda each: each.fiscal_date, reverse=True
    )
    return Reply({"symbol": call.query["symbol"], "estimates": [_estimate(each) for each in reported]})


def _estimate(reported: Estimate) -> Row:
    eps = {
        "average": f"{reported.eps_average:.4f}",
        "high": f"{reported.eps_high:.4f}",
        "low": f"{reported.eps_low:.4f}",
        "analyst_count": f"{reported.analysts:.4f}",
        **{f"average_{days}_days_ago": f"{reported.eps_average:.4f}" for days in (7, 30, 60, 90)},
        "revision_up_trailing_7_days": None,
        "revision_down_trailing_7_days": None,
    }
    revenue = {
        "average": f"{reported.revenue_average:.2f}",
        "high": f"{reported.revenue_high:.2f}",
        "low": f"{reported.revenue_low:.2f}",
        "analyst_count": f"{reported.analysts:.2f}",
    }
    return {
        "date": reported.fiscal_date.isoformat(),
        "horizon": "fiscal year" if reported.label == "FY" else "fiscal quarter",
        **{f"eps_estimate_{name}": value for name, value in eps.items()},
        **{f"revenue_estimate_{name}": value for name, value in revenue.items()},
    }


def earnings_calendar(call: Call) -> Reply:
    """`EARNINGS_CALENDAR`: announced reports of one company or of all, always as CSV."""
    today = call.now.date()
    until = today + timedelta(days=HORIZONS.get(call.query.get("horizon", "3month"), 91))
    wanted = [call.query["symbol"].upper()] if call.query.get("symbol") else sorted(shares())
    rows = [
        (
            name,
            instrument.name,
            each.report_date,
            each.fiscal_date,
            each.eps_estimate,
            instrument.currency,
            TIMES[each.time_of_day],
        )
        for name in wanted
        if (instrument := shares().get(name)) and instrument.asset_class == "equity"
        for each in reports(call.market, instrument.symbol, call.now)
        if each.eps_actual is None and today <= each.report_date <= until
    ]
    columns = ("symbol", "name", "reportDate", "fiscalDateEnding", "estimate", "currency", "timeOfTheDay")
    return table(call, columns, rows, "earnings_calendar")


# -- actions, insiders, funds ------------------------------------------------------------------------------------------


def dividends(call: Call) -> Reply:
    """`DIVIDENDS`: newest first, as paid."""
    columns = ("ex_dividend_date", "declaration_date", "record_date", "payment_date", "amount")
    rows = [
        {
            "ex_dividend_date": each.ex_date.isoformat(),
            "declaration_date": (each.ex_date - timedelta(days=21)).isoformat(),
            "record_date": (each.ex_date + timedelta(days=1)).isoformat(),
            "payment_date": (each.ex_date + timedelta(days=14)).isoformat(),
            "amount": str(each.amount),
        }
        for each in _of_share(call, call.market.dividends)
    ]
    return listed(call, call.query.get("symbol", ""), dict.fromkeys(columns, ""), rows)


def splits(call: Call) -> Reply:
    """`SPLITS`: newest first."""
    rows = [
        {"effective_date": each.ex_date.isoformat(), "split_factor": f"{float(each.ratio):.4f}"}
        for each in _of_share(call, call.market.splits)
    ]
    return listed(call, call.query.get("symbol", ""), dict.fromkeys(("effective_date", "split_factor"), ""), rows)


def _of_share(call: Call, reported: Callable[[str, datetime], list[Paid]]) -> list[Paid]:
    instrument = shares().get(call.query.get("symbol", "").upper())
    return reported(instrument.symbol, call.now)[::-1] if instrument else []


def insider_transactions(call: Call) -> Reply:
    """`INSIDER_TRANSACTIONS`: all of them, newest first, without pages."""
    instrument = company_of(call)
    reported = insider_trades(call.market, instrument.symbol, date(2000, 1, 1), call.now.date()) if instrument else []
    return Reply(
        {
            "data": [
                {
                    "transaction_date": each.transaction_date.isoformat(),
                    "ticker": call.query["symbol"],
                    "executive": ", ".join(reversed(each.name.upper().split())),
                    "executive_title": each.role,
                    "security_type": "Stock Option" if each.derivative else "Common Stock",
                    "acquisition_or_disposal": "A" if each.acquired else "D",
                    "shares": f"{abs(each.shares):.1f}",
                    "share_price": str(each.price),
                }
                for each in reported
            ]
        }
    )


def etf_profile(call: Call) -> Reply:
    """`ETF_PROFILE`: parts instead of percents."""
    instrument = shares().get(call.query.get("symbol", "").upper())
    if instrument is None or instrument.asset_class != "etf":
        return Reply({})
    reported = fund(call.market, instrument.symbol)
    return Reply(
        {
            "net_assets": str(reported.assets),
            "net_expense_ratio": f"{reported.expense_pct / 100:.4f}",
            "portfolio_turnover": "n/a",
            "dividend_yield": f"{instrument.dividend_yield:.4f}",
            "inception_date": reported.inception.isoformat(),
            "leveraged": "NO",
            "sectors": [{"sector": name.upper(), "weight": f"{weight / 100:.3f}"} for name, weight in reported.sectors],
            "holdings": [
                {"symbol": each.symbol, "description": each.name.upper(), "weight": f"{each.weight_pct / 100:.4f}"}
                for each in reported.holdings
            ],
        }
    )


def _text(value: float | None) -> str:
    return NONE if value is None else str(value)
