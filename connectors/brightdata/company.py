"""What Bright Data's scraper jobs find: Yahoo Finance's companies with their prices, and Google's news."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from connectors import errors
from connectors.fields import integer, iso_time, minor, number, one_of, price, row_id, scaled, shown, text
from connectors.items import Item, Missing
from connectors.reading import Reading
from connectors.records import News, Profile, Quote
from connectors.venues import us_exchange


def snapshot(reading: Reading) -> Iterator[Item]:
    """Each row echoes its input; `include_errors` adds rows of what could not be scraped."""

    def read(row: dict[str, Any]) -> Iterator[Item]:
        if row.get("error") or row.get("error_code"):
            yield _failed(reading, row)
        elif "stock_ticker" in row:
            yield from _company(reading, row)
        else:
            yield _article(reading, row)

    yield from reading.rows(reading.json, read)


def _failed(reading: Reading, row: dict[str, Any]) -> Missing:
    said = ": ".join(shown(row[name]) for name in ("error_code", "error") if row.get(name))
    symbol, _ = reading.canonical(unquote(urlsplit(row["input"]["url"]).path).rpartition("/")[2])
    dead = row.get("error_code") == "dead_page"
    return Missing(symbol, errors.UnknownSymbol(said) if dead else errors.ProviderUnavailable(said))


def _company(reading: Reading, row: dict[str, Any]) -> Iterator[Item]:
    """Numbers are texts as the page shows them: `1,234.50`, `229.80 x 100`, `228.10 - 231.40`, `3.45T`."""
    envelope, observed_at = reading.of(row["stock_ticker"]), reading.answer.observed_at
    scraped = iso_time(row.get("timestamp"))
    ts = observed_at if scraped is None else scraped
    yield Profile(
        **envelope,
        ts=ts,
        name=text(row.get("name")),
        exchange=us_exchange(text(row.get("exchange"))),
        currency=reading.currency(row.get("currency")),
        sector=text(row.get("company_profile_sector")),
        industry=text(row.get("company_profile_industry")),
        website=text(row.get("company_profile_website")),
        description=text(row.get("company_profile_description")),
        employees=integer(row.get("company_profile_employees")) or None,
        market_cap=_magnitude(row.get("market_cap")),
    )

    def paid(name: str, part: int = 0) -> float | None:
        return scaled([*_shown(row.get(name)), None][part], minor(row.get("currency")))

    one_of(row, "closing_price")
    if paid("closing_price") is not None:
        yield Quote(
            **envelope,
            ts=ts,
            ts_estimated=True,
            price=paid("closing_price"),
            bid=paid("bid"),
            ask=paid("ask"),
            open=paid("open"),
            high=paid("day_range", 1),
            low=paid("day_range"),
            prev_close=paid("previous_close"),
            volume=number(row.get("volume")),
            currency=reading.currency(row.get("currency")),
        )


def _shown(value: Any) -> Iterator[float | None]:
    """Read the prices of a text such as `229.80 x 100` or `228.10 - 231.40`; a size after `x` is left aside."""
    for part in str("" if value is None else value).partition("x")[0].split(" - "):
        yield price(part)


def _magnitude(value: Any) -> float | None:
    shown = str("" if value is None else value).strip()
    found = price(shown.rstrip("KMBT"))
    return None if found is None else found * {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}.get(shown[-1:], 1.0)


def _article(reading: Reading, row: dict[str, Any]) -> News:
    """`date` is the publication, `timestamp` the scrape; a keyword is no symbol."""
    ts = iso_time(row["date"])
    if ts is None:
        raise errors.FieldError("time", "date is absent")
    return News(
        **reading.source(),
        id=row_id(row["url"]),
        ts=ts,
        title=row["title"],
        url=text(row["url"]),
        publisher=text(row.get("publisher")),
    )
