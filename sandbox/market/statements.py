"""Quarterly and yearly statements of a company, which add up and follow one another.

gross = revenue - cost; assets = liabilities + equity; cash rolls from quarter to quarter by the cash flow;
equity grows by what was earned and issued, less what was paid out and bought back; a year is the sum of its
quarters. Amounts are whole units of the instrument's currency; outflows are negative. Figures are as reported:
shares and earnings a share are in the shares of the fiscal date, not adjusted for later splits. Each quarter has
its own random streams, so any of them is made without those before it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from sandbox.market.actions import split_divisors
from sandbox.market.company import Company, company
from sandbox.market.generated import stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.market.market import Market

FIRST_YEAR = 2000  # of statements, which else begin two years before the listing
BUYBACK = 0.003  # of the shares, each quarter
END_OF_TIME = datetime(2100, 1, 1, tzinfo=UTC)
SEASON = (0.95, 0.97, 1.0, 1.08)  # of sales, by fiscal quarter


@dataclass(frozen=True, slots=True)
class Income:
    """Income statement, in units of the company's currency.

    `eps_*` are rounded to the cent, `shares_*` are shares: the period's weighted averages.
    """

    revenue: int
    cost_of_revenue: int
    gross_profit: int
    research_and_development: int
    selling_general_and_administrative: int
    operating_expenses: int
    operating_income: int
    interest_expense: int
    income_before_tax: int
    income_tax: int
    net_income: int
    depreciation_and_amortization: int
    ebitda: int
    shares_basic: int
    shares_diluted: int

    @property
    def eps_basic(self) -> float:
        """Net income a share."""
        return round(self.net_income / self.shares_basic, 2)

    @property
    def eps_diluted(self) -> float:
        """Net income a share, were all options exercised."""
        return round(self.net_income / self.shares_diluted, 2)


@dataclass(frozen=True, slots=True)
class Balance:
    """Balance sheet at the fiscal date, in units of the company's currency; `shares_outstanding` are shares."""

    cash_and_equivalents: int
    short_term_investments: int
    receivables: int
    inventory: int
    other_current_assets: int
    current_assets: int
    property_plant_equipment: int
    other_non_current_assets: int
    non_current_assets: int
    total_assets: int
    payables: int
    short_term_debt: int
    other_current_liabilities: int
    current_liabilities: int
    long_term_debt: int
    other_non_current_liabilities: int
    non_current_liabilities: int
    total_liabilities: int
    common_stock: int
    retained_earnings: int
    total_equity: int
    shares_outstanding: int

    @property
    def total_debt(self) -> int:
        """Short-term and long-term debt."""
        return self.short_term_debt + self.long_term_debt


@dataclass(frozen=True, slots=True)
class CashFlow:
    """Cash flow, in units of the company's currency; outflows are negative, `cash_at_end` is the balance sheet's."""

    net_income: int
    depreciation_and_amortization: int
    stock_based_compensation: int
    change_in_working_capital: int
    operating_cash_flow: int
    capital_expenditure: int
    other_investing: int
    investing_cash_flow: int
    debt_issued: int
    dividends_paid: int
    stock_issued: int
    share_repurchases: int
    financing_cash_flow: int
    free_cash_flow: int
    net_change_in_cash: int
    cash_at_beginning: int
    cash_at_end: int


@dataclass(frozen=True, slots=True)
class Period:
    """A fiscal quarter or year, or the last four quarters, with its statements."""

    label: str
    """`Q1` to `Q4`, `FY` or `TTM`."""
    fiscal_year: int
    """The fiscal year."""
    ends: date
    """Last day of the period."""
    reported: date
    """Day of the earnings release."""
    filed: date
    """Day of filing."""
    income: Income
    """Its income statement."""
    balance: Balance
    """The balance sheet at its end."""
    cash_flow: CashFlow
    """Its cash flow."""


def quarters(market: Market, symbol: str, asof: datetime, last: int | None = None) -> list[Period]:
    """The quarters filed by `asof`, oldest first: all, or (faster) the `last` ones.

    Raises:
        UnknownInstrument: the market has no such symbol.
        ValueError: it is no company.
    """
    today = asof.astimezone(UTC).date()
    ends = [day for day in fiscal_dates(market, symbol, date.min, today) if releases(market, symbol, day)[1] <= today]
    return [quarter(market, symbol, day) for day in ends[-last if last else 0 :]]


def years(market: Market, symbol: str, asof: datetime, last: int | None = None) -> list[Period]:
    """The fiscal years filed by `asof`, oldest first: all, or (faster) the `last` ones."""
    filed = quarters(market, symbol, asof, 4 * last + 3 if last else None)
    ends = [at for at, period in enumerate(filed) if period.label == "Q4" and at >= 3]
    return [total(filed[at - 3 : at + 1], "FY") for at in ends]


def ttm(market: Market, symbol: str, asof: datetime) -> Period | None:
    """The last four quarters together; None while there are fewer."""
    filed = quarters(market, symbol, asof, last=4)
    return total(filed, "TTM") if len(filed) == 4 else None


def total(parts: Sequence[Period], label: str) -> Period:
    """Consecutive quarters as one period: flows are summed, the balance sheet is the last one's."""
    last = parts[-1]
    income, cash_flow = _summed([part.income for part in parts]), _summed([part.cash_flow for part in parts])
    shares = {
        name: sum(getattr(part.income, name) for part in parts) // len(parts)
        for name in ("shares_basic", "shares_diluted")
    }
    cash = {"cash_at_beginning": parts[0].cash_flow.cash_at_beginning, "cash_at_end": last.cash_flow.cash_at_end}
    return replace(last, label=label, income=replace(income, **shares), cash_flow=replace(cash_flow, **cash))


def shares_at(market: Market, symbol: str, asof: datetime) -> int:
    """Shares outstanding: those of the last quarter filed, times the splits since."""
    filed = quarters(market, symbol, asof, last=1)
    if not filed:
        return company(market, symbol).shares
    since = [split.ratio for split in market.splits(symbol, asof) if split.ex_date > filed[0].ends]
    return round(filed[0].balance.shares_outstanding * prod(since, start=1))


def later_splits(market: Market, symbol: str, day: date, asof: datetime) -> float:
    """By what a figure a share of `day` is divided to be in the shares of `asof`."""
    return float(split_divisors(np.array([day], "datetime64[D]"), market.splits(symbol, asof))[0])


def market_cap(market: Market, symbol: str, asof: datetime) -> int | None:
    """Price times shares outstanding, in the instrument's currency; None before the first trade."""
    quote = market.quote(symbol, asof)
    return None if quote is None else round(quote.price * shares_at(market, symbol, asof))


def fiscal_dates(market: Market, symbol: str, since: date, until: date) -> list[date]:
    """The days in `since`…`until` on which a fiscal quarter ends, oldest first."""
    who = company(market, symbol)
    first = max(who.ipo.year - 2, FIRST_YEAR, since.year)
    ends = [
        _month_end(year, month)
        for year in range(first, until.year + 1)
        for month in range(who.fiscal_year_end % 3 or 3, 13, 3)
    ]
    return [day for day in ends if since <= day <= until]


@lru_cache(maxsize=65_536)
def releases(market: Market, symbol: str, ends: date) -> tuple[date, date]:
    """When the results of a quarter are reported and when they are filed."""
    draw = stream(market.seed, symbol, "release", ends)
    reported = _weekday(ends + timedelta(days=int(draw.integers(18, 34))))
    return reported, _weekday(reported + timedelta(days=int(draw.integers(1, 8))))


@lru_cache(maxsize=65_536)
def quarter(market: Market, symbol: str, ends: date) -> Period:
    """The quarter ending on `ends`, released or not: the future is for estimates alone."""
    ledger, who = _ledger(market, symbol), company(market, symbol)
    draw = stream(market.seed, symbol, "quarter", ends)
    sheet, before = ledger.sheet(ends), ledger.sheet(_month_end(ends.year, ends.month - 3))
    place = (ends.month - who.fiscal_year_end - 1) % 12 // 3  # 0 to 3
    sales = ledger.trend(ends) * SEASON[place] * np.exp(0.03 * draw.standard_normal())
    income = ledger.income(draw, sales, sheet.shares_outstanding, before)
    reported, filed = releases(market, symbol, ends)
    return Period(
        label=f"Q{place + 1}",
        fiscal_year=ends.year + (ends.month > who.fiscal_year_end),
        ends=ends,
        reported=reported,
        filed=filed,
        income=income,
        balance=sheet,
        cash_flow=_cash_flow(draw, income, sheet, before, ledger.paid(ends, sheet.shares_outstanding)),
    )


class _Ledger:
    """What one company's quarters have in common; each is drawn from random streams of its own."""

    def __init__(self, market: Market, who: Company) -> None:
        self._market, self._who = market, who
        self._splits = market.splits(who.symbol, END_OF_TIME)
        draw = stream(market.seed, who.symbol, "ledger")
        self._cost, self._research, self._selling = draw.uniform((0.35, 0.02, 0.08), (0.65, 0.1, 0.18))
        self._tax = draw.uniform(0.15, 0.25)
        self._price_to_sales = draw.uniform(1.5, 5)

    @lru_cache(maxsize=8)  # noqa: B019  ledgers live as long as the process
    def sheet(self, day: date) -> Balance:
        """The balance sheet of a fiscal date."""
        draw = stream(self._market.seed, self._who.symbol, "sheet", day)
        return _balance(draw, self.trend(day), self._shares(day))

    def trend(self, day: date) -> float:
        """A usual quarter's sales around `day`: a part of what the company is worth."""
        return self._usual_price(day) * self._shares(day) / self._price_to_sales / 4

    def _usual_price(self, day: date) -> float:
        """Mean close of two years, in the shares of `day`; before the listing that of its first days."""
        since, until = day - timedelta(days=730), max(day, self._who.ipo + timedelta(days=12))
        bars = self._market.daily(self._who.symbol, since, until, datetime.combine(until, time(23), UTC))
        splits = [split for split in self._splits if split.ex_date <= until]
        return float(np.mean(bars.close / split_divisors(bars.days, splits)))

    def _shares(self, day: date) -> int:
        age = max(0, (day - self._who.ipo).days / 91)
        split = float(prod((each.ratio for each in self._splits if each.ex_date <= day), start=1))
        return _money(self._who.shares * split * (1 - BUYBACK) ** age) or 1000

    def paid(self, ends: date, shares: int) -> int:
        """Dividends of the quarter, negative."""
        begins = _month_end(ends.year, ends.month - 3) + timedelta(days=1)
        made = self._market.dividends(self._who.symbol, datetime.combine(ends, time(23), UTC), begins)
        return -_money(sum(each.amount for each in made) * shares)

    def income(self, draw: np.random.Generator, sales: float, shares: int, before: Balance) -> Income:
        """The income statement of a quarter with these `sales`."""
        revenue = _money(sales)
        cost, research, selling = (
            _money(sales * part * (1 + 0.03 * draw.standard_normal()))
            for part in (self._cost, self._research, self._selling)
        )
        operating = revenue - cost - research - selling
        interest = _money(0.01 * before.total_debt)
        pretax = operating - interest
        tax = _money(max(pretax, 0) * self._tax)
        worn = _money(0.06 * sales)
        return Income(
            revenue=revenue,
            cost_of_revenue=cost,
            gross_profit=revenue - cost,
            research_and_development=research,
            selling_general_and_administrative=selling,
            operating_expenses=research + selling,
            operating_income=operating,
            interest_expense=interest,
            income_before_tax=pretax,
            income_tax=tax,
            net_income=pretax - tax,
            depreciation_and_amortization=worn,
            ebitda=operating + worn,
            shares_basic=shares,
            shares_diluted=int(shares * 1.01),
        )


@lru_cache(maxsize=2048)
def _ledger(market: Market, symbol: str) -> _Ledger:
    return _Ledger(market, company(market, symbol))


def _balance(draw: np.random.Generator, trend: float, shares: int) -> Balance:
    """A sheet in proportion to the `trend` of sales."""
    parts = np.array((0.7, 0.6, 0.5, 0.25, 0.2, 1.6, 1.2, 0.5, 0.2, 0.6, 1.4, 0.5))
    amounts = trend * parts * np.exp(0.05 * draw.standard_normal(len(parts)))
    cash, invested, owed, stock, other, plant, beyond, *dues = (_money(amount) for amount in amounts)
    payables, short_debt, other_due, long_debt, other_later = dues
    current, later = cash + invested + owed + stock + other, plant + beyond
    due, due_later = payables + short_debt + other_due, long_debt + other_later
    equity = current + later - due - due_later
    common = _money(0.4 * equity)
    return Balance(
        cash_and_equivalents=cash,
        short_term_investments=invested,
        receivables=owed,
        inventory=stock,
        other_current_assets=other,
        current_assets=current,
        property_plant_equipment=plant,
        other_non_current_assets=beyond,
        non_current_assets=later,
        total_assets=current + later,
        payables=payables,
        short_term_debt=short_debt,
        other_current_liabilities=other_due,
        current_liabilities=due,
        long_term_debt=long_debt,
        other_non_current_liabilities=other_later,
        non_current_liabilities=due_later,
        total_liabilities=due + due_later,
        common_stock=common,
        retained_earnings=equity - common,
        total_equity=equity,
        shares_outstanding=shares,
    )


def _cash_flow(draw: np.random.Generator, income: Income, balance: Balance, before: Balance, paid: int) -> CashFlow:
    """What leads from the sheet `before` to `balance`; what equity lacks is raised, what is too much bought back."""
    awards = _money(0.02 * income.revenue)
    working = _working_capital(before) - _working_capital(balance)
    operating = income.net_income + income.depreciation_and_amortization + awards + working
    spent = -_money(0.07 * income.revenue * (1 + 0.05 * draw.standard_normal()))
    borrowed = balance.total_debt - before.total_debt
    raised = balance.total_equity - before.total_equity - income.net_income - awards - paid
    change, financing = balance.cash_and_equivalents - before.cash_and_equivalents, borrowed + paid + raised
    return CashFlow(
        net_income=income.net_income,
        depreciation_and_amortization=income.depreciation_and_amortization,
        stock_based_compensation=awards,
        change_in_working_capital=working,
        operating_cash_flow=operating,
        capital_expenditure=spent,
        other_investing=change - operating - financing - spent,
        investing_cash_flow=change - operating - financing,
        debt_issued=borrowed,
        dividends_paid=paid,
        stock_issued=max(raised, 0),
        share_repurchases=min(raised, 0),
        financing_cash_flow=financing,
        free_cash_flow=operating + spent,
        net_change_in_cash=change,
        cash_at_beginning=before.cash_and_equivalents,
        cash_at_end=balance.cash_and_equivalents,
    )


def _working_capital(sheet: Balance) -> int:
    """Current assets that are no money less current liabilities that are no debt."""
    return (
        sheet.receivables
        + sheet.inventory
        + sheet.other_current_assets
        - sheet.payables
        - sheet.other_current_liabilities
    )


Flows = TypeVar("Flows", Income, CashFlow)


def _summed(parts: Sequence[Flows]) -> Flows:
    first = parts[0]
    return type(first)(**{each.name: sum(getattr(part, each.name) for part in parts) for each in fields(first)})


def _month_end(year: int, month: int) -> date:
    """Last day of a month; month 0 and below lie in the year before."""
    months = 12 * year + month
    return date(months // 12, months % 12 + 1, 1) - timedelta(days=1)


def _weekday(day: date) -> date:
    return day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() >= 5 else 0)


def _money(amount: float) -> int:
    """Whole thousands, as companies report."""
    return round(amount / 1000) * 1000
