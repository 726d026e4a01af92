"""Insiders' transactions in their own company's shares, as Form 4 filings report them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from sandbox.market.company import company
from sandbox.market.generated import stream

if TYPE_CHECKING:
    from sandbox.market.market import Market

EVERY_DAYS = 9  # one transaction in so many days
CODES = ("S", "S", "S", "P", "A", "M")  # sale, purchase, grant, exercise (SEC Form 4)


@dataclass(frozen=True, slots=True)
class InsiderTrade:
    """One transaction of an insider."""

    accession: str
    """The filing's number at the SEC (`0001234567-24-000123`)."""
    transaction_date: date
    """Day of the transaction."""
    filed: date
    """Day of filing."""
    name: str
    """Name of the insider."""
    role: str
    """Title of the office."""
    cik: str
    """The SEC's number of the insider, ten digits."""
    code: str
    """Transaction code of Form 4."""
    shares: int
    """Shares: + acquired, - disposed of."""
    price: float
    """Price of a share in US dollars; 0 for a grant."""
    shares_after: int
    """Shares held afterwards."""
    derivative: bool
    """Whether it is of options and the like."""

    @property
    def acquired(self) -> bool:
        """Whether the insider has more shares than before."""
        return self.shares > 0


def insider_trades(market: Market, symbol: str, since: date, until: date) -> list[InsiderTrade]:
    """Transactions filed in `since`…`until`, both inclusive, newest filing first.

    Raises:
        UnknownInstrument: the market has no such symbol.
        ValueError: it is no company.
    """
    origin = market.find(symbol).listed
    first = max(0, ((since - origin).days - 5) // EVERY_DAYS)
    last = (until - origin).days // EVERY_DAYS
    drawn = (_trade(market, symbol, number) for number in range(first, last + 1))
    made = [trade for trade in drawn if trade and since <= trade.filed <= until]
    return sorted(made, key=lambda trade: (trade.filed, trade.accession), reverse=True)


def _trade(market: Market, symbol: str, number: int) -> InsiderTrade | None:
    """The transaction of one stretch of days, on a trading day; None in a stretch without any."""
    who = company(market, symbol)
    draw = stream(market.seed, symbol, "insider", number)
    wanted = who.ipo + timedelta(days=number * EVERY_DAYS + int(draw.integers(EVERY_DAYS - 5)))
    asof = datetime.combine(wanted + timedelta(days=6), time(), UTC)
    bars = market.daily(symbol, wanted, wanted + timedelta(days=4), asof)
    if not len(bars):
        return None
    day, low, high = bars.days[0].item(), float(bars.low[0]), float(bars.high[0])
    officer = who.officers[int(draw.integers(len(who.officers)))]
    code = CODES[int(draw.integers(len(CODES)))]
    shares = 10 * int(draw.integers(5, 4000))
    return InsiderTrade(
        accession=f"{officer.cik}-{day.year % 100:02d}-{number % 10**6:06d}",
        transaction_date=day,
        filed=day + timedelta(days=2),
        name=officer.name,
        role=officer.title,
        cik=officer.cik,
        code=code,
        shares=-shares if code == "S" else shares,
        price=0.0 if code == "A" else round(draw.uniform(low, high), 4),
        shares_after=shares + 10 * int(draw.integers(100, 50_000)),
        derivative=code == "M",
    )
