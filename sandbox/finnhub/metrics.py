"""Finnhub's basic financials: ratios of now, and their history. Margins of `metric` are percent, of `series` parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from sandbox.finnhub.listings import Row
from sandbox.market.actions import split_divisors
from sandbox.market.company import company
from sandbox.market.statements import Period, market_cap, quarters, total, ttm, years
from sandbox.server.provider import Call

if TYPE_CHECKING:
    from sandbox.market.bars import Bars
    from sandbox.market.universe import Instrument

MILLION = 1e6
KEPT_YEARS, KEPT_QUARTERS = 20, 40
RATIOS: Mapping[str, Callable[[Period], float]] = {
    "bookValue": lambda it: it.balance.total_equity / MILLION,
    "cashRatio": lambda it: it.balance.cash_and_equivalents / it.balance.current_liabilities,
    "currentRatio": lambda it: it.balance.current_assets / it.balance.current_liabilities,
    "eps": lambda it: it.income.eps_diluted,
    "fcfMargin": lambda it: it.cash_flow.free_cash_flow / it.income.revenue,
    "grossMargin": lambda it: it.income.gross_profit / it.income.revenue,
    "longtermDebtTotalAsset": lambda it: it.balance.long_term_debt / it.balance.total_assets,
    "longtermDebtTotalEquity": lambda it: it.balance.long_term_debt / it.balance.total_equity,
    "netMargin": lambda it: it.income.net_income / it.income.revenue,
    "operatingMargin": lambda it: it.income.operating_income / it.income.revenue,
    "pretaxMargin": lambda it: it.income.income_before_tax / it.income.revenue,
    "salesPerShare": lambda it: it.income.revenue / it.income.shares_diluted,
    "totalDebtToEquity": lambda it: it.balance.total_debt / it.balance.total_equity,
    "totalDebtToTotalAsset": lambda it: it.balance.total_debt / it.balance.total_assets,
}
RETURNS: Mapping[str, Callable[[Period], float]] = {
    "roa": lambda it: it.income.net_income / it.balance.total_assets,
    "roe": lambda it: it.income.net_income / it.balance.total_equity,
    "assetTurnover": lambda it: it.income.revenue / it.balance.total_assets,
    "inventoryTurnover": lambda it: it.income.cost_of_revenue / it.balance.inventory,
}


def series(call: Call, instrument: Instrument) -> Row:
    """Each ratio by fiscal year and by quarter, newest first; returns of a quarter are those of four together."""
    filed = quarters(call.market, instrument.symbol, call.now)
    whole = [total(filed[at - 3 : at + 1], "TTM") for at in range(3, len(filed))]
    annual = years(call.market, instrument.symbol, call.now)[-KEPT_YEARS:]
    return {
        "annual": _history({**RATIOS, **RETURNS}, annual),
        "quarterly": _history(RATIOS, filed[-KEPT_QUARTERS:])
        | {f"{name}TTM": points for name, points in _history(RETURNS, whole[-KEPT_QUARTERS:]).items()},
    }


def _history(ratios: Mapping[str, Callable[[Period], float]], periods: Sequence[Period]) -> dict[str, list[Row]]:
    return {
        name: [{"period": it.ends.isoformat(), "v": round(ratio(it), 4)} for it in reversed(periods)]
        for name, ratio in ratios.items()
    }


def metrics(call: Call, instrument: Instrument) -> Row:
    """The ratios of now; what needs four quarters is left out before there are four."""
    found = _prices(call, instrument) | {"beta": company(call.market, instrument.symbol).beta}
    cap = market_cap(call.market, instrument.symbol, call.now)
    last, annual = ttm(call.market, instrument.symbol, call.now), years(call.market, instrument.symbol, call.now)
    if cap is None or last is None or not annual:
        return found
    debt = last.balance.total_debt - last.balance.cash_and_equivalents
    found |= {"marketCapitalization": cap / MILLION, "enterpriseValue": (cap + debt) / MILLION}
    for suffix, it in (("TTM", last), ("Annual", annual[-1])):
        found |= {f"{name}{suffix}": round(value, 4) for name, value in _valuation(cap, debt, it).items()}
    found |= {
        "bookValuePerShareAnnual": round(annual[-1].balance.total_equity / annual[-1].income.shares_diluted, 4),
        "currentRatioQuarterly": round(RATIOS["currentRatio"](last), 4),
        "longTermDebt/equityQuarterly": round(RATIOS["longtermDebtTotalEquity"](last), 4),
        "totalDebt/totalEquityQuarterly": round(RATIOS["totalDebtToEquity"](last), 4),
        "roeTTM": round(100 * RETURNS["roe"](last), 2),
        "roaTTM": round(100 * RETURNS["roa"](last), 2),
        "assetTurnoverTTM": round(RETURNS["assetTurnover"](last), 4),
    }
    return found


def _valuation(cap: float, debt: float, it: Period) -> dict[str, float]:
    income, shares = it.income, it.income.shares_diluted
    return {
        "eps": income.net_income / shares,
        "pe": cap / income.net_income if income.net_income > 0 else 0.0,
        "ps": cap / income.revenue,
        "evRevenue": (cap + debt) / income.revenue,
        "evEbitda": (cap + debt) / income.ebitda if income.ebitda > 0 else 0.0,
        "revenuePerShare": income.revenue / shares,
        "cashFlowPerShare": it.cash_flow.operating_cash_flow / shares,
        "grossMargin": 100 * income.gross_profit / income.revenue,
        "operatingMargin": 100 * income.operating_income / income.revenue,
        "netProfitMargin": 100 * income.net_income / income.revenue,
        "pretaxMargin": 100 * income.income_before_tax / income.revenue,
        "payoutRatio": -100 * it.cash_flow.dividends_paid / income.net_income if income.net_income > 0 else 0.0,
    }


def _prices(call: Call, instrument: Instrument) -> dict[str, Any]:
    """Highs, lows and volumes of the last year, adjusted for splits, the running session not counted."""
    yesterday = call.now.astimezone(instrument.calendar.tz).date() - timedelta(days=1)
    bars = call.market.daily(instrument.symbol, yesterday - timedelta(days=364), yesterday, call.now)
    if not len(bars):
        return {}
    year = bars.scaled(split_divisors(bars.days, call.market.splits(instrument.symbol, call.now)))
    top, bottom = int(np.argmax(year.high)), int(np.argmin(year.low))
    return {
        "10DayAverageTradingVolume": _volume(year, 10),
        "3MonthAverageTradingVolume": _volume(year, 63),
        "52WeekHigh": round(float(year.high[top]), 4),
        "52WeekHighDate": str(year.days[top]),
        "52WeekLow": round(float(year.low[bottom]), 4),
        "52WeekLowDate": str(year.days[bottom]),
        "52WeekPriceReturnDaily": round(100 * float(year.close[-1] / year.close[0] - 1), 4),
        "5DayPriceReturnDaily": round(100 * float(year.close[-1] / year.close[-6:][0] - 1), 4),
    }


def _volume(bars: Bars, days: int) -> float:
    """Average of a day, in millions."""
    return round(float(np.mean(bars.volume[-days:])) / MILLION, 5)
