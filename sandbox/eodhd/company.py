"""EODHD's fundamentals: one nested document for each company, fund or index, numbers mostly as text.

Documentation: https://eodhd.com/financial-apis/stock-etfs-fundamental-data-feeds.
"""

from __future__ import annotations

from calendar import month_name
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from sandbox.eodhd.answers import number, ticker_not_found
from sandbox.eodhd.events import RELEASES, trend
from sandbox.eodhd.listings import TYPES, exchange, find, listings, ticker, venue
from sandbox.market.analysts import ratings, reports, targets
from sandbox.market.company import company, fund
from sandbox.market.statements import Period, later_splits, market_cap, quarters, shares_at, ttm, years
from sandbox.server.provider import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.market.universe import Instrument

Document = dict[str, Any]
INDEX_MEMBERS = 30
BULK_PERIODS = 4


def fundamentals(call: Call) -> Reply:
    """`/fundamentals/{symbol}?filter=General,Financials::Balance_Sheet::yearly`.

    One filter answers with what stands there, several with an object by filter.
    """
    instrument = find(call.path["symbol"])
    writer = WRITERS.get(instrument.asset_class) if instrument else None
    if instrument is None or writer is None:
        return ticker_not_found()
    document = writer(call, instrument)
    wanted = [path for path in call.query.get("filter", "").split(",") if path]
    if not wanted:
        return Reply(document)
    parts = {path: _part(document, path) for path in wanted}
    return Reply(orjson.dumps(parts if len(parts) > 1 else parts[wanted[0]]))  # a single text is JSON, too


def _part(document: Document, path: str) -> Any:
    part: Any = document
    for name in path.split("::"):
        part = part.get(name) if isinstance(part, dict) else None
    return "NA" if part is None else part


def bulk_fundamentals(call: Call) -> Reply:
    """`/bulk-fundamentals/{exchange}?limit=&offset=`: shares by number, four quarters and years; past the end `{}`."""
    where = call.path["exchange"].upper()
    shares = [
        each for each in listings().values() if each.asset_class == "equity" and where in (exchange(each), venue(each))
    ]
    offset = number(call, "offset", 0, 10**6)
    page = shares[offset : offset + number(call, "limit", 500, 500)]
    return Reply({str(at): _shortened(_company(call, share, BULK_PERIODS)) for at, share in enumerate(page)})


def _shortened(document: Document) -> Document:
    """The bulk form: the last four of everything, by place instead of by date."""
    short = {name: document[name] for name in ("General", "Highlights", "Valuation", "SharesStats", "AnalystRatings")}
    out = [row for row in document["Earnings"]["History"].values() if row["epsActual"] is not None]
    short["Earnings"] = {f"Last_{at}": row for at, row in enumerate(out[:BULK_PERIODS])}
    short["Financials"] = {
        kind: {"currency_symbol": sheet["currency_symbol"]}
        | {
            f"{span}_last_{at}": row
            for span in ("quarterly", "yearly")
            for at, row in enumerate(list(sheet[span].values())[:BULK_PERIODS])
        }
        for kind, sheet in document["Financials"].items()
    }
    return short


def _company(call: Call, share: Instrument, last: int | None = None) -> Document:
    """The document with all periods, or the `last` ones."""
    filed = quarters(call.market, share.symbol, call.now, last)
    whole = years(call.market, share.symbol, call.now, last)
    return {
        "General": _general(call, share),
        **_valued(call, share),
        "Earnings": _earnings(call, share, whole, filed[0].ends if last and filed else date.min),
        "AnalystRatings": _analysts(call, share),
        "Financials": {
            name: {
                "currency_symbol": share.currency,
                "quarterly": _by_date(sheet, share, filed),
                "yearly": _by_date(sheet, share, whole),
            }
            for name, sheet in (("Balance_Sheet", _balance), ("Cash_Flow", _cash_flow), ("Income_Statement", _income))
        },
    }


def _general(call: Call, share: Instrument) -> Document:
    who = company(call.market, share.symbol)
    return {
        "Code": ticker(share),
        "Type": TYPES["equity"],
        "Name": who.name,
        "Exchange": venue(share),
        "CurrencyCode": share.currency,
        "CurrencyName": share.currency,
        "CurrencySymbol": {"USD": "$", "GBP": "£"}.get(share.currency, share.currency),
        "CountryName": {"US": "USA", "GB": "UK"}.get(who.country, who.country),
        "CountryISO": who.country,
        "OpenFigi": who.figi,
        "ISIN": who.isin,
        "CUSIP": who.cusip,
        "CIK": who.cik,
        "EmployerIdNumber": "NA",
        "FiscalYearEnd": month_name[who.fiscal_year_end],
        "IPODate": who.ipo.isoformat(),
        "InternationalDomestic": "Domestic",
        "Sector": who.sector,
        "Industry": who.industry,
        "Description": who.description,
        "Address": f"1 Example Street, {who.city}",
        "Officers": {str(at): {"Name": each.name, "Title": each.title} for at, each in enumerate(who.officers)},
        "Phone": who.phone,
        "WebURL": who.website,
        "LogoURL": f"/img/logos/{exchange(share)}/{ticker(share)}.png",
        "FullTimeEmployees": who.employees,
        "IsDelisted": False,
        "UpdatedAt": call.now.date().isoformat(),
    }


def _valued(call: Call, share: Instrument) -> Document:
    """Highlights, Valuation, SharesStats and Technicals: what price and last year's figures give together."""
    cap, year, target = market_cap(call.market, share.symbol, call.now), ttm(call.market, share.symbol, call.now), None
    outstanding, who = shares_at(call.market, share.symbol, call.now), company(call.market, share.symbol)
    technicals = {"Technicals": {"Beta": f"{who.beta:.4f}"} | _year_of_prices(call, share)}
    stats = {"SharesStats": {"SharesOutstanding": outstanding, "SharesFloat": round(outstanding * 0.98)}}
    if cap is None or year is None:
        return {"Highlights": {}, "Valuation": {}} | stats | technicals
    income, sheet = year.income, year.balance
    target = targets(call.market, share.symbol, call.now)
    earned, whole = income.net_income / outstanding, cap + sheet.total_debt - sheet.cash_and_equivalents
    highlights = {
        "MarketCapitalization": cap,
        "MarketCapitalizationMln": f"{cap / 1e6:.4f}",
        "EBITDA": income.ebitda,
        "PERatio": f"{cap / income.net_income:.4f}",
        "PEGRatio": "0.0000",
        "WallStreetTargetPrice": f"{target.mean:.4f}" if target else None,
        "BookValue": f"{sheet.total_equity / outstanding:.4f}",
        "EarningsShare": f"{earned:.4f}",
        "EPSEstimateCurrentYear": None,
        "MostRecentQuarter": year.ends.isoformat(),
        "ProfitMargin": f"{income.net_income / income.revenue:.4f}",
        "OperatingMarginTTM": f"{income.operating_income / income.revenue:.4f}",
        "ReturnOnAssetsTTM": f"{income.net_income / sheet.total_assets:.4f}",
        "ReturnOnEquityTTM": f"{income.net_income / sheet.total_equity:.4f}",
        "RevenueTTM": f"{income.revenue:.2f}",
        "RevenuePerShareTTM": f"{income.revenue / outstanding:.4f}",
        "GrossProfitTTM": f"{income.gross_profit:.2f}",
        "DilutedEpsTTM": f"{income.net_income / income.shares_diluted:.4f}",
    }
    valuation = {
        "TrailingPE": f"{cap / income.net_income:.4f}",
        "ForwardPE": f"{cap / income.net_income / 1.05:.4f}",
        "PriceSalesTTM": f"{cap / income.revenue:.4f}",
        "PriceBookMRQ": f"{cap / sheet.total_equity:.4f}",
        "EnterpriseValue": whole,
        "EnterpriseValueRevenue": f"{whole / income.revenue:.4f}",
        "EnterpriseValueEbitda": f"{whole / income.ebitda:.4f}",
    }
    return {"Highlights": highlights, "Valuation": valuation} | stats | technicals


def _year_of_prices(call: Call, instrument: Instrument) -> Document:
    today = call.now.date()
    bars = call.market.daily(instrument.symbol, today - timedelta(days=365), today, call.now)
    if not len(bars):
        return {}
    return {
        "52WeekHigh": f"{bars.high.max():.4f}",
        "52WeekLow": f"{bars.low.min():.4f}",
        "50DayMA": f"{bars.close[-50:].mean():.4f}",
        "200DayMA": f"{bars.close[-200:].mean():.4f}",
    }


def _analysts(call: Call, share: Instrument) -> Document:
    target = targets(call.market, share.symbol, call.now)
    counts = ratings(call.market, share.symbol, call.now, months=1)[0]
    votes = (counts.strong_buy, counts.buy, counts.hold, counts.sell, counts.strong_sell)
    mean = sum(vote * weight for vote, weight in zip(votes, (5, 4, 3, 2, 1), strict=True)) / max(1, sum(votes))
    names = ("StrongBuy", "Buy", "Hold", "Sell", "StrongSell")
    head = {"Rating": round(mean, 4), "TargetPrice": target.mean if target else None}
    return head | dict(zip(names, votes, strict=True))


def _earnings(call: Call, share: Instrument, whole: Sequence[Period], since: date) -> Document:
    history = {}
    for report in reversed(reports(call.market, share.symbol, call.now, since=since)):
        divisor = later_splits(call.market, share.symbol, report.fiscal_date, call.now)
        estimate = round(report.eps_estimate / divisor, 4)
        actual = None if report.eps_actual is None else round(report.eps_actual / divisor, 4)
        history[report.fiscal_date.isoformat()] = {
            "reportDate": report.report_date.isoformat(),
            "date": report.fiscal_date.isoformat(),
            "beforeAfterMarket": RELEASES[report.time_of_day],
            "currency": share.currency,
            "epsActual": actual,
            "epsEstimate": estimate,
            "epsDifference": None if actual is None else round(actual - estimate, 4),
            "surprisePercent": report.surprise_pct,
        }
    annual = {
        year.ends.isoformat(): {
            "date": year.ends.isoformat(),
            "epsActual": round(
                year.income.eps_diluted / later_splits(call.market, share.symbol, year.ends, call.now), 4
            ),
        }
        for year in reversed(whole)
    }
    return {"History": history, "Trend": {row["date"]: row for row in trend(call, share)}, "Annual": annual}


def _by_date(
    sheet: Callable[[Period], dict[str, int | None]], share: Instrument, periods: Sequence[Period]
) -> Document:
    """Statements by their fiscal date, newest first; amounts are text with two decimals."""
    return {
        period.ends.isoformat(): {
            "date": period.ends.isoformat(),
            "filing_date": period.filed.isoformat(),
            "currency_symbol": share.currency,
        }
        | {name: None if amount is None else f"{amount:.2f}" for name, amount in sheet(period).items()}
        for period in reversed(periods)
    }


def _income(period: Period) -> dict[str, int | None]:
    reported = period.income
    return {
        "researchDevelopment": reported.research_and_development,
        "effectOfAccountingCharges": None,
        "incomeBeforeTax": reported.income_before_tax,
        "minorityInterest": None,
        "netIncome": reported.net_income,
        "sellingGeneralAdministrative": reported.selling_general_and_administrative,
        "grossProfit": reported.gross_profit,
        "reconciledDepreciation": reported.depreciation_and_amortization,
        "ebit": reported.operating_income,
        "ebitda": reported.ebitda,
        "operatingIncome": reported.operating_income,
        "otherOperatingExpenses": reported.cost_of_revenue + reported.operating_expenses,
        "interestExpense": reported.interest_expense,
        "taxProvision": reported.income_tax,
        "incomeTaxExpense": reported.income_tax,
        "totalRevenue": reported.revenue,
        "totalOperatingExpenses": reported.operating_expenses,
        "costOfRevenue": reported.cost_of_revenue,
        "totalOtherIncomeExpenseNet": -reported.interest_expense,
        "netIncomeFromContinuingOps": reported.net_income,
        "netIncomeApplicableToCommonShares": reported.net_income,
        "preferredStockAndOtherAdjustments": None,
    }


def _balance(period: Period) -> dict[str, int | None]:
    reported = period.balance
    return {
        "totalAssets": reported.total_assets,
        "intangibleAssets": None,
        "otherCurrentAssets": reported.other_current_assets,
        "totalLiab": reported.total_liabilities,
        "totalStockholderEquity": reported.total_equity,
        "otherCurrentLiab": reported.other_current_liabilities,
        "commonStock": reported.common_stock,
        "retainedEarnings": reported.retained_earnings,
        "cash": reported.cash_and_equivalents,
        "cashAndShortTermInvestments": reported.cash_and_equivalents + reported.short_term_investments,
        "shortTermInvestments": reported.short_term_investments,
        "totalCurrentLiabilities": reported.current_liabilities,
        "shortTermDebt": reported.short_term_debt,
        "shortLongTermDebtTotal": reported.total_debt,
        "propertyPlantEquipment": reported.property_plant_equipment,
        "totalCurrentAssets": reported.current_assets,
        "netReceivables": reported.receivables,
        "longTermDebt": reported.long_term_debt,
        "inventory": reported.inventory,
        "accountsPayable": reported.payables,
        "nonCurrrentAssetsOther": reported.other_non_current_assets,  # spelled so
        "nonCurrentAssetsTotal": reported.non_current_assets,
        "nonCurrentLiabilitiesOther": reported.other_non_current_liabilities,
        "nonCurrentLiabilitiesTotal": reported.non_current_liabilities,
        "liabilitiesAndStockholdersEquity": reported.total_assets,
        "commonStockSharesOutstanding": reported.shares_outstanding,
    }


def _cash_flow(period: Period) -> dict[str, int | None]:
    """Capital expenditures are positive here, dividends negative in old answers and positive in new ones."""
    reported = period.cash_flow
    return {
        "totalCashflowsFromInvestingActivities": reported.investing_cash_flow,
        "totalCashFromFinancingActivities": reported.financing_cash_flow,
        "netBorrowings": reported.debt_issued,
        "netIncome": reported.net_income,
        "changeInCash": reported.net_change_in_cash,
        "beginPeriodCashFlow": reported.cash_at_beginning,
        "endPeriodCashFlow": reported.cash_at_end,
        "totalCashFromOperatingActivities": reported.operating_cash_flow,
        "depreciation": reported.depreciation_and_amortization,
        "otherCashflowsFromInvestingActivities": reported.other_investing,
        "dividendsPaid": reported.dividends_paid,
        "changeInWorkingCapital": reported.change_in_working_capital,
        "stockBasedCompensation": reported.stock_based_compensation,
        "salePurchaseOfStock": reported.stock_issued + reported.share_repurchases,
        "capitalExpenditures": -reported.capital_expenditure,
        "freeCashFlow": reported.free_cash_flow,
        "exchangeRateChanges": None,
    }


def _etf(call: Call, etf: Instrument) -> Document:
    facts = fund(call.market, etf.symbol)
    held = {
        f"{each.symbol}.US": {"Code": each.symbol, "Exchange": "US", "Name": each.name, "Assets_%": each.weight_pct}
        for each in facts.holdings
    }
    return {
        "General": _general_of_fund(call, etf) | {"Category": facts.category, "Description": facts.description},
        "Technicals": {"Beta": "1.0000"} | _year_of_prices(call, etf),
        "ETF_Data": {
            "ISIN": facts.isin,
            "Company_Name": facts.issuer,
            "Company_URL": facts.website,
            "Yield": f"{etf.dividend_yield:.4f}",
            "Dividend_Paying_Frequency": "Quarterly",
            "Inception_Date": facts.inception.isoformat(),
            "Max_Annual_Mgmt_Charge": "0.00",
            "Ongoing_Charge": "0.00",
            "Date_Ongoing_Charge": "0000-00-00",
            "NetExpenseRatio": f"{facts.expense_pct / 100:.5f}",
            "AnnualHoldingsTurnover": "0.03000",
            "TotalAssets": f"{facts.assets:.2f}",
            "Average_Mkt_Cap_Mil": "No data",
            "Market_Capitalisation": {},
            "Sector_Weights": {
                name: {"Equity_%": f"{weight}", "Relative_to_Category": f"{weight}"} for name, weight in facts.sectors
            },
            "Holdings_Count": len(held),
            "Top_10_Holdings": dict(list(held.items())[:10]),
            "Holdings": held,
        },
    }


def _mutual_fund(call: Call, instrument: Instrument) -> Document:
    facts, quote = fund(call.market, instrument.symbol), call.quote(instrument.symbol)
    held = {
        str(at): {"Name": each.name, "Owned": "1,000", "Change": "0", "Weight": f"{each.weight_pct:.2f}"}
        for at, each in enumerate(facts.holdings[:6])
    }
    return {
        "General": _general_of_fund(call, instrument)
        | {"Fund_Summary": facts.description, "Fund_Family": facts.issuer, "Fiscal_Year_End": None},
        "MutualFund_Data": {
            "Nav": f"{quote.price:.4f}" if quote else None,
            "Prev_Close_Price": f"{quote.prev_close:.4f}" if quote else None,
            "Portfolio_Net_Assets": str(facts.assets),
            "Share_Class_Net_Assets": None,
            "Morning_Star_Category": facts.category,
            "Inception_Date": facts.inception.isoformat(),
            "Currency": instrument.currency,
            "Domicile": "United States",
            "Yield": f"{instrument.dividend_yield:.4f}",
            "Expense_Ratio": f"{facts.expense_pct:.4f}",
            "Top_Holdings": held,
        },
    }


def _index(call: Call, index: Instrument) -> Document:
    unknown = dict.fromkeys(("CurrencyCode", "CurrencyName", "CurrencySymbol", "CountryName", "CountryISO"), "NA")
    members = [each for each in listings().values() if each.asset_class == "equity" and exchange(each) == "US"]
    return {
        "General": {"Code": ticker(index), "Type": "INDEX", "Name": index.name, "Exchange": "INDX"} | unknown,
        "Components": {
            str(at): {
                "Code": ticker(each),
                "Exchange": "US",
                "Name": each.name,
                "Sector": company(call.market, each.symbol).sector,
                "Industry": company(call.market, each.symbol).industry,
            }
            for at, each in enumerate(members[:INDEX_MEMBERS])
        },
    }


def _general_of_fund(call: Call, instrument: Instrument) -> Document:
    facts = fund(call.market, instrument.symbol)
    return {
        "Code": ticker(instrument),
        "Type": TYPES[instrument.asset_class],
        "Name": facts.name,
        "Exchange": venue(instrument),
        "CurrencyCode": instrument.currency,
        "CurrencyName": "US Dollar",
        "CurrencySymbol": "$",
        "CountryName": "USA",
        "CountryISO": "US",
        "ISIN": facts.isin,
        "CUSIP": facts.cusip,
        "OpenFigi": facts.figi,
        "UpdatedAt": call.now.date().isoformat(),
    }


WRITERS: dict[str, Callable[[Call, Instrument], Document]] = {
    "equity": _company,
    "etf": _etf,
    "fund": _mutual_fund,
    "index": _index,
}
