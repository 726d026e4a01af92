"""News page by page, a stretch of days at a time: no page needs what is before or behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from sandbox.market.newsroom import Article, news

if TYPE_CHECKING:
    from sandbox.market.market import Market

STRETCH = timedelta(days=7)
SECOND = timedelta(seconds=1)  # articles are dated to the second


@dataclass(frozen=True, slots=True)
class Request:
    """The articles that are asked for."""

    symbols: Sequence[str]
    """Canonical symbols; an article about any of them counts."""
    since: datetime
    """First moment, included."""
    until: datetime
    """End, excluded."""
    backward: bool = True
    """Whether the newest comes first."""


def articles(market: Market, asked: Request) -> Iterator[Article]:
    """The articles one by one."""
    since, until = asked.since, asked.until
    while since < until:
        if asked.backward:
            first = max(since, until - STRETCH)
            yield from news(market, asked.symbols, first, until)
            until = first
        else:
            last = min(until, since + STRETCH)
            yield from reversed(news(market, asked.symbols, since, last))
            since = last


def page(market: Market, asked: Request, limit: int, mark: str = "") -> tuple[list[Article], str]:
    """The next `limit` articles after the `mark` that the page before gave, and the next mark (empty: the end).

    A mark is the second of the last article returned, and the number of articles of that second.

    Raises:
        ValueError: the mark is none.
    """
    reported = 0
    if mark:
        second, reported = (int(part) for part in mark.split("."))
        at = datetime.fromtimestamp(second, UTC)
        ends = (asked.since, at + SECOND) if asked.backward else (at, asked.until)
        asked = Request(asked.symbols, *ends, asked.backward)
    found = list(islice(articles(market, asked), reported, reported + limit + 1))
    if len(found) <= limit:
        return found, ""
    found.pop()
    last = found[-1].at
    same = sum(article.at == last for article in found) + (reported if mark and last == at else 0)
    return found, f"{int(last.timestamp())}.{same}"
