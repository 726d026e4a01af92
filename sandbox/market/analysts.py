"""What analysts and companies say of earnings: reports with their estimates, ratings, targets, changed grades."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from sandbox.market.generated import stream
from sandbox.market.statements import Period, fiscal_dates, quarter, releases, total

if TYPE_CHECKING:
    from sandbox.market.market import Market

NEW_YORK = ZoneInfo("America/New_York")
RELEASES = {"bmo": time(7, 0), "amc": time(16, 5)}
FIRMS = ("Alder & Co", "Birch Capital", "Cedar Securities", "Dogwood Research", "Elm Partners")
GRADES = ("Strong Sell", "Sell", "Hold", "Buy", "Strong Buy")
LONGEST_WAIT = timedelta(days=60)  # from the end of a quarter to its report
LONGEST_QUARTER = timedelta(days=92)
GRADE_DAYS = 37  # between two changed grades


@dataclass(frozen=True, slots=True)
class Report:
    """An earnings report, past or announced."""

    quarter: str
    """`Q1` to `Q4`."""
    fiscal_year: int
    """The fiscal year of the quarter."""
    fiscal_date: date
    """Last day of the quarter."""
    report_date: date
    """Day of the release, in the exchange's zone."""
    time_of_day: Literal["bmo", "amc"]
    """`bmo` before the market opens, `amc` after it closes."""
    at: datetime
    """Moment of the release."""
    eps_estimate: float
    """Expected earnings per share, in the company's currency."""
    eps_actual: float | None
    """Earnings per share as reported; None until it is out."""
    revenue_estimate: int
    """Expected revenue, in units of the company's currency."""
    revenue_actual: int | None
    """Revenue as reported; None until it is out."""
    analysts: int
    """Analysts behind the estimates, a count."""

    @property
    def surprise_pct(self) -> float | None:
        """By how much the estimate was passed, in percent of it."""
        if self.eps_actual is None or not self.eps_estimate:
            return None
        return round(100 * (self.eps_actual - self.eps_estimate) / abs(self.eps_estimate), 4)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What analysts expect of a fiscal year (FY) or quarter that has not been reported."""

    label: str
    """`FY`, or `Q1` to `Q4`."""
    fiscal_year: int
    """The fiscal year."""
    fiscal_date: date
    """Last day of the period."""
    eps_average: float
    """Mean of the expected earnings per share, in the company's currency."""
    eps_low: float
    """Lowest of them."""
    eps_high: float
    """Highest of them."""
    eps_year_ago: float
    """Earnings per share of the same period a year before."""
    revenue_average: int
    """Mean of the expected revenues, in units of the company's currency."""
    revenue_low: int
    """Lowest of them."""
    revenue_high: int
    """Highest of them."""
    revenue_year_ago: int
    """Revenue of the same period a year before."""
    ebitda_average: int
    """Mean of the expected EBITDA, in units of the company's currency."""
    net_income_average: int
    """Mean of the expected net incomes, in units of the company's currency."""
    analysts: int
    """Analysts behind the estimates, a count."""


@dataclass(frozen=True, slots=True)
class Ratings:
    """How many analysts say what in a month."""

    month: date
    """First day of the month."""
    strong_buy: int
    """Analysts."""
    buy: int
    """Analysts."""
    hold: int
    """Analysts."""
    sell: int
    """Analysts."""
    strong_sell: int
    """Analysts."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Price targets, in the instrument's currency and its shares of the day."""

    mean: float
    """Mean of the targets."""
    median: float
    """Median of the targets."""
    high: float
    """Highest target."""
    low: float
    """Lowest target."""
    analysts: int
    """Analysts who set one, a count."""


@dataclass(frozen=True, slots=True)
class Grade:
    """One firm's changed (or first) grade."""

    at: datetime
    """When it was published."""
    firm: str
    """Name of the firm."""
    from_grade: str | None
    """The grade before; None for the first."""
    to_grade: str
    """The grade since."""
    action: Literal["up", "down", "main", "init"]
    """What was done: raised, lowered, kept (`main`) or begun (`init`)."""


def reports(market: Market, symbol: str, asof: datetime, ahead: int = 4, since: date = date.min) -> list[Report]:
    """Every report from `since` on, oldest first, and the next `ahead` announced ones without results."""
    today = asof.astimezone(UTC).date()
    first, last = max(since, date(2, 1, 1)) - LONGEST_WAIT, today + (ahead + 1) * LONGEST_QUARTER
    reported: list[Report] = []
    for ends in fiscal_dates(market, symbol, first, last):
        if releases(market, symbol, ends)[0] >= since:
            report = _report(market, symbol, quarter(market, symbol, ends), asof)
            ahead -= report.at > asof
            if ahead < 0:
                break
            reported.append(report)
    return reported


def estimates(market: Market, symbol: str, asof: datetime, n: int = 2) -> list[Estimate]:
    """The next `n` quarters that have not been reported, then the next `n` fiscal years, each oldest first."""
    today = asof.astimezone(UTC).date()
    ends = fiscal_dates(
        market, symbol, today - LONGEST_WAIT - 8 * LONGEST_QUARTER, today + 4 * (n + 1) * LONGEST_QUARTER
    )
    drawn = [quarter(market, symbol, day) for day in ends]
    coming = [at for at, period in enumerate(drawn) if _release(symbol, period)[1] > asof]
    year_ends = [at for at in coming if drawn[at].label == "Q4" and at >= 7]
    quarterly = [_estimate(market, symbol, drawn[at], drawn[at - 4]) for at in coming[:n] if at >= 4]
    yearly = [
        _estimate(market, symbol, total(drawn[at - 3 : at + 1], "FY"), total(drawn[at - 7 : at - 3], "FY"))
        for at in year_ends[:n]
    ]
    return quarterly + yearly


def ratings(market: Market, symbol: str, asof: datetime, months: int = 4) -> list[Ratings]:
    """The counts of the last `months` months, newest first."""
    said = []
    for back in range(months):
        number = 12 * asof.year + asof.month - 1 - back
        month = date(number // 12, number % 12 + 1, 1)
        draw = stream(market.seed, symbol, "ratings", month)
        said.append(Ratings(month, *(int(count) for count in draw.poisson((8, 14, 9, 2, 1)))))
    return said


def targets(market: Market, symbol: str, asof: datetime) -> Targets | None:
    """Targets around the last price; None before the first trade."""
    quote = market.quote(symbol, asof)
    if quote is None:
        return None
    draw = stream(market.seed, symbol, "targets", asof.year, asof.month)
    factors = sorted(draw.uniform(0.85, 1.4, 25).tolist())
    mean = sum(factors) / len(factors)
    middle, high, low = factors[12], factors[-1], factors[0]
    said = [round(quote.price * factor, 2) for factor in (mean, middle, high, low)]
    return Targets(said[0], said[1], said[2], said[3], len(factors))


def grades(market: Market, symbol: str, since: datetime, until: datetime) -> list[Grade]:
    """The grades given in `since` ≤ t < `until`, newest first."""
    step = timedelta(days=GRADE_DAYS)
    origin = datetime.combine(market.find(symbol).listed, time(12), UTC)
    held: dict[str, int] = {}
    given: list[Grade] = []
    for at in range(max(0, (until - origin) // step + 1)):
        draw = stream(market.seed, symbol, "grade", at)
        firm, level = FIRMS[int(draw.integers(len(FIRMS)))], int(draw.integers(1, len(GRADES)))
        moment = origin + at * step + timedelta(minutes=int(draw.integers(0, 600)))
        grade = Grade(
            moment, firm, GRADES[held[firm]] if firm in held else None, GRADES[level], _action(held.get(firm), level)
        )
        held[firm] = level
        if since <= moment < until:
            given.append(grade)
    return given[::-1]


def _action(before: int | None, level: int) -> Literal["up", "down", "main", "init"]:
    if before is None:
        return "init"
    if level == before:
        return "main"
    return "up" if level > before else "down"


def _release(symbol: str, period: Period) -> tuple[Literal["bmo", "amc"], datetime]:
    """A company always reports at the same time of the day."""
    part = _part(symbol)
    return part, datetime.combine(period.reported, RELEASES[part], NEW_YORK)


@cache
def _part(symbol: str) -> Literal["bmo", "amc"]:
    return "amc" if stream(symbol, "release").random() < 0.6 else "bmo"


def _report(market: Market, symbol: str, period: Period, asof: datetime) -> Report:
    part, moment = _release(symbol, period)
    draw = stream(market.seed, symbol, "surprise", period.ends)
    earned, income = period.income.eps_diluted, period.income
    out = moment <= asof
    return Report(
        quarter=period.label,
        fiscal_year=period.fiscal_year,
        fiscal_date=period.ends,
        report_date=period.reported,
        time_of_day=part,
        at=moment.astimezone(UTC),
        eps_estimate=round(earned * (1 - draw.normal(0.02, 0.05)), 4),
        eps_actual=earned if out else None,
        revenue_estimate=round(income.revenue * (1 - draw.normal(0.005, 0.02))),
        revenue_actual=income.revenue if out else None,
        analysts=int(draw.integers(12, 40)),
    )


def _estimate(market: Market, symbol: str, period: Period, year_ago: Period) -> Estimate:
    draw = stream(market.seed, symbol, "estimate", period.label, period.ends)
    earned, revenue = period.income.eps_diluted, period.income.revenue
    eps, sales = earned * (1 + draw.normal(0, 0.04)), revenue * (1 + draw.normal(0, 0.02))
    return Estimate(
        label=period.label,
        fiscal_year=period.fiscal_year,
        fiscal_date=period.ends,
        eps_average=round(eps, 4),
        eps_low=round(eps - 0.08 * abs(eps), 4),
        eps_high=round(eps + 0.09 * abs(eps), 4),
        eps_year_ago=year_ago.income.eps_diluted,
        revenue_average=round(sales),
        revenue_low=round(sales * 0.94),
        revenue_high=round(sales * 1.06),
        revenue_year_ago=year_ago.income.revenue,
        ebitda_average=round(period.income.ebitda * sales / revenue),
        net_income_average=round(period.income.net_income * sales / revenue),
        analysts=int(draw.integers(12, 40)),
    )
