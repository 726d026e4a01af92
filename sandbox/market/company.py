"""Who an instrument is: the seeded facts that every provider renders about a company or a fund.

Pure: the same market (seed) and symbol give the same facts. What happens to a company in time stands beside:
`statements` (quarters that add up), `analysts` (earnings, estimates, ratings), `insiders`, `newsroom`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from sandbox.market.generated import stream

if TYPE_CHECKING:
    from datetime import date

    from numpy.typing import NDArray

    from sandbox.market.market import Market
    from sandbox.market.universe import Instrument

SECTORS = {
    "Technology": ("Consumer Electronics", "Software - Infrastructure", "Semiconductors"),
    "Communication Services": ("Internet Content & Information", "Telecom Services"),
    "Healthcare": ("Drug Manufacturers - General", "Medical Devices"),
    "Financial Services": ("Banks - Diversified", "Asset Management"),
    "Industrials": ("Aerospace & Defense", "Railroads"),
    "Consumer Cyclical": ("Specialty Retail", "Auto Manufacturers"),
    "Consumer Defensive": ("Packaged Foods", "Discount Stores"),
    "Energy": ("Oil & Gas Integrated", "Oil & Gas Midstream"),
    "Utilities": ("Utilities - Regulated Electric",),
    "Real Estate": ("REIT - Retail", "REIT - Office"),
    "Basic Materials": ("Chemicals", "Gold"),
}
KNOWN = {  # sector, industry, last month of the fiscal year
    "AAPL": ("Technology", "Consumer Electronics", 9),
    "FB": ("Communication Services", "Internet Content & Information", 12),
    "GOOG": ("Communication Services", "Internet Content & Information", 12),
    "IBM": ("Technology", "Information Technology Services", 12),
    "MSFT": ("Technology", "Software - Infrastructure", 6),
}
COUNTRIES = {"XLON": "GB", "XTKS": "JP"}
TITLES = (
    "Chief Executive Officer",
    "Chief Financial Officer",
    "Chief Operating Officer",
    "General Counsel",
    "Director",
)
FIRST_NAMES = ("Ada", "Blaise", "Carla", "Dmitri", "Elena", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Keiko", "Leo")
LAST_NAMES = ("Abel", "Bauer", "Cauchy", "Dirac", "Euler", "Fermat", "Gauss", "Hilbert", "Itoh", "Jordan", "Kepler")
HELD = 20  # shares in a fund
USUAL_VOLUME_AT = datetime(2026, 1, 1, tzinfo=UTC)  # the universe's daily volumes are in the shares of this day


@dataclass(frozen=True, slots=True)
class Officer:
    """A person who leads a company, and so an insider."""

    name: str
    """Name of the person."""
    title: str
    """Title of the office."""
    cik: str
    """The SEC's number of the person, ten digits."""


@dataclass(frozen=True, slots=True)
class Company:
    """A listed company."""

    instrument: Instrument
    """Its share."""
    name: str
    """Its name."""
    sector: str
    """Its sector."""
    industry: str
    """Its industry."""
    country: str
    """ISO 3166-1 alpha-2 code."""
    city: str
    """City of its head office."""
    website: str
    """Address of its web site."""
    phone: str
    """Telephone number."""
    description: str
    """What it does, in prose."""
    employees: int
    """Full-time employees, a count."""
    founded: int
    """Year of its foundation."""
    fiscal_year_end: int
    """Month, 1 to 12, on whose last day a fiscal year ends."""
    shares: int
    """Shares at its listing; `statements.shares_at` returns them for any day."""
    beta: float
    """Beta of its share to the market."""
    ipo: date
    """First day of listing."""
    cik: str
    """The SEC's number of the company, ten digits."""
    isin: str
    """ISO 6166 code, with its check digit."""
    cusip: str
    """CUSIP, with its check digit."""
    figi: str
    """Composite FIGI."""
    officers: tuple[Officer, ...]
    """Those who lead it."""

    @property
    def symbol(self) -> str:
        """The canonical symbol."""
        return self.instrument.symbol


@dataclass(frozen=True, slots=True)
class Holding:
    """A part of a fund."""

    symbol: str
    """Canonical symbol of what is held."""
    name: str
    """Name of what is held."""
    weight_pct: float
    """Percent of the fund's assets."""


@dataclass(frozen=True, slots=True)
class Fund:
    """An ETF or mutual fund."""

    instrument: Instrument
    """Its share."""
    name: str
    """Its name."""
    issuer: str
    """Who issues it."""
    category: str
    """What kind of fund it is."""
    description: str
    """What it holds, in prose."""
    website: str
    """Address of its web site."""
    inception: date
    """First day of the fund."""
    expense_pct: float
    """Cost in percent of the assets a year."""
    assets: int
    """Assets in units of its currency."""
    isin: str
    """ISO 6166 code, with its check digit."""
    cusip: str
    """CUSIP, with its check digit."""
    cik: str
    """The SEC's number of the fund, ten digits."""
    figi: str
    """Composite FIGI."""
    holdings: tuple[Holding, ...]
    """What it holds; the weights add up to 100."""
    sectors: tuple[tuple[str, float], ...]
    """Sector and percent of the assets, of each sector."""


@lru_cache(maxsize=2048)
def company(market: Market, symbol: str) -> Company:
    """The company behind a share.

    Raises:
        UnknownInstrument: the market has no such symbol.
        ValueError: the instrument is no share.
    """
    instrument = market.find(symbol)
    if instrument.asset_class != "equity":
        raise ValueError(f"{symbol} is of class {instrument.asset_class}: only an equity is a company.")
    draw = stream(market.seed, symbol, "company")
    sector, industry, month = _trade(symbol, draw.random(), draw.random(), draw.random())
    ratio = float(prod(split.ratio for split in market.splits(symbol, USUAL_VOLUME_AT)))
    shares = int(round(instrument.daily_volume * draw.uniform(60, 120) / ratio, -3))
    country = COUNTRIES.get(instrument.exchange, "US")
    number, founded = _number(symbol), instrument.listed.year - int(draw.integers(5, 60))
    cusip, isin = _securities(number, country)
    host = "".join(letter for letter in instrument.name.lower() if letter.isalnum())
    return Company(
        instrument,
        instrument.name,
        sector,
        industry,
        country,
        city={"GB": "London", "JP": "Tokyo"}.get(country, "New York"),
        website=f"https://www.{host}.example",
        phone=f"212-555-{number % 10_000:04d}",
        description=f"{instrument.name} works in {industry.lower()} and was founded in {founded}.",
        employees=int(draw.integers(800, 160_000)),
        founded=founded,
        fiscal_year_end=month,
        shares=max(shares, 1000),
        beta=round(draw.uniform(0.5, 1.6), 3),
        ipo=instrument.listed,
        cik=f"{number % 2_000_000:010d}",
        isin=isin,
        cusip=cusip,
        figi=f"BBG{number % 10**9:09d}",
        officers=_officers(symbol),
    )


@lru_cache(maxsize=512)
def fund(market: Market, symbol: str) -> Fund:
    """The facts of an ETF or mutual fund, its holdings being shares of this market.

    Raises:
        UnknownInstrument: the market has no such symbol.
        ValueError: the instrument is no fund.
    """
    instrument = market.find(symbol)
    if instrument.asset_class not in ("etf", "fund"):
        raise ValueError(f"{symbol} is of class {instrument.asset_class}, neither etf nor fund.")
    draw = stream(market.seed, symbol, "fund")
    holdings = _holdings(market, draw)
    number = _number(symbol)
    cusip, isin = _securities(number, "US")
    return Fund(
        instrument,
        instrument.name,
        issuer="Example Advisors",
        category="Large Blend" if instrument.volatility < 0.2 else "Sector",
        description=f"{instrument.name} holds {len(holdings)} shares of its market.",
        website="https://www.funds.example",
        inception=instrument.listed,
        expense_pct=round(draw.uniform(0.03, 0.6), 2),
        assets=int(round(draw.uniform(1e9, 4e11), -6)),
        isin=isin,
        cusip=cusip,
        cik=f"{number % 2_000_000:010d}",
        figi=f"BBG{number % 10**9:09d}",
        holdings=holdings,
        sectors=_by_sector(market, holdings),
    )


def _holdings(market: Market, draw: np.random.Generator) -> tuple[Holding, ...]:
    shares = [each for each in market.instruments.values() if (each.asset_class, each.currency) == ("equity", "USD")]
    held = [shares[at] for at in draw.choice(len(shares), HELD, replace=False)]
    weights = _percents(draw.pareto(2.0, HELD) + 1)
    return tuple(Holding(each.symbol, each.name, weight) for each, weight in zip(held, weights, strict=True))


def _by_sector(market: Market, holdings: tuple[Holding, ...]) -> tuple[tuple[str, float], ...]:
    weights: dict[str, float] = {}
    for holding in holdings:
        sector = company(market, holding.symbol).sector
        weights[sector] = round(weights.get(sector, 0.0) + holding.weight_pct, 2)
    return tuple(sorted(weights.items()))


def _trade(symbol: str, a: float, b: float, c: float) -> tuple[str, str, int]:
    if symbol in KNOWN:
        return KNOWN[symbol]
    sector = list(SECTORS)[int(a * len(SECTORS))]
    industries = SECTORS[sector]
    return sector, industries[int(b * len(industries))], 12 if c < 0.75 else int(c * 12)


def _officers(symbol: str) -> tuple[Officer, ...]:
    draw = stream(symbol, "officers")
    first, last = draw.permutation(len(FIRST_NAMES)), draw.permutation(len(LAST_NAMES))
    numbers = draw.integers(1_000_000, 2_000_000, len(TITLES))
    return tuple(
        Officer(f"{FIRST_NAMES[first[at]]} {LAST_NAMES[last[at]]}", title, f"{numbers[at]:010d}")
        for at, title in enumerate(TITLES)
    )


def _percents(weights: NDArray[np.float64]) -> list[float]:
    """Percentages with two decimals, largest first, that add up to 100."""
    cents = np.floor(10_000 * np.sort(weights)[::-1] / weights.sum()).astype(np.int64)
    cents[0] += 10_000 - cents.sum()
    return [float(cent) / 100 for cent in cents]


def _number(symbol: str) -> int:
    """A number of nine digits that belongs to the symbol, whatever the seed."""
    return int(stream(symbol, "number").integers(10**8, 10**9))


def _securities(number: int, country: str) -> tuple[str, str]:
    """CUSIP and ISIN with their check digits."""
    body = f"{number % 10**8:08d}"
    cusip = body + _luhn(body)
    return cusip, country + cusip + _luhn(country + cusip)


def _luhn(text: str) -> str:
    """The check digit of the Luhn sum, letters counting 10 to 35 (ISO 6166)."""
    digits = [int(digit) for digit in "".join(str(int(letter, 36)) for letter in text)]
    doubled = [digit * 2 if at % 2 == 0 else digit for at, digit in enumerate(reversed(digits))]
    return str(-sum(digit // 10 + digit % 10 for digit in doubled) % 10)
