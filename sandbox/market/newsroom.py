"""News about every instrument: invented articles at seeded moments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from sandbox.market.generated import stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

    from sandbox.market.market import Market

PUBLISHERS = ("Example Wire", "Sample Journal", "Market Diary")
AUTHORS = ("A. Writer", "B. Reporter", "C. Columnist")
EVENTS = (  # what happens, and how glad it makes
    ("opens a new office", 0.2),
    ("raises its outlook", 0.7),
    ("cuts its outlook", -0.7),
    ("names a new head of sales", 0.05),
    ("draws interest after a quiet week", 0.3),
    ("falls behind its rivals", -0.4),
)
USUAL_A_DAY = 0.7


@dataclass(frozen=True, slots=True)
class Article:
    """One article."""

    id: int
    """Its number."""
    at: datetime
    """Publication, to the second."""
    title: str
    """Headline."""
    summary: str
    """Abstract."""
    url: str
    """Where to read it."""
    image: str
    """Address of its picture."""
    publisher: str
    """Who published it."""
    author: str
    """Who wrote it."""
    symbols: tuple[str, ...]
    """Canonical symbols that it is about."""
    sentiment: float
    """-1 (bad) to 1 (good)."""


def news(market: Market, symbols: Iterable[str], since: datetime, until: datetime) -> list[Article]:
    """Articles published in `since` ≤ t < `until` about any of `symbols`, newest first.

    Raises:
        UnknownInstrument: the market has no such symbol.
    """
    found: dict[int, Article] = {}
    for symbol in symbols:
        market.find(symbol)
        day = since.astimezone(UTC).date()
        while day <= until.astimezone(UTC).date():
            found |= {article.id: article for article in _articles(market, symbol, day) if since <= article.at < until}
            day += timedelta(days=1)
    return sorted(found.values(), key=lambda article: (article.at, article.id), reverse=True)


@lru_cache(maxsize=65_536)
def _articles(market: Market, symbol: str, day: date) -> tuple[Article, ...]:
    draw = stream(market.seed, symbol, "news", day)
    return tuple(_article(market, symbol, day, draw) for _ in range(int(draw.poisson(USUAL_A_DAY))))


def _article(market: Market, symbol: str, day: date, draw: np.random.Generator) -> Article:
    name = market.find(symbol).name
    event, gladness = EVENTS[int(draw.integers(len(EVENTS)))]
    number, publisher = int(draw.integers(10**7, 10**9)), PUBLISHERS[int(draw.integers(len(PUBLISHERS)))]
    title = f"{name} {event}"
    slug = "-".join("".join(letter for letter in word if letter.isalnum()) for word in title.lower().split())
    host = publisher.lower().replace(" ", "-")
    return Article(
        id=number,
        at=datetime.combine(day, time(), UTC) + timedelta(seconds=int(draw.integers(86_400))),
        title=title,
        summary=f"{title}, {publisher} was told on {day:%A}. The company did not comment.",
        url=f"https://{host}.example/{day:%Y/%m/%d}/{slug}-{number}",
        image=f"https://{host}.example/images/{number}.jpg",
        publisher=publisher,
        author=AUTHORS[int(draw.integers(len(AUTHORS)))],
        symbols=(symbol,),
        sentiment=round(gladness + draw.uniform(-0.2, 0.2), 4),
    )
