"""Polygon's slow data: news, statements, profiles, the universe. Documentation: https://massive.com/docs.

Retired shapes (v1 and v2 of the reference paths) are read, never asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connectors import fields as read
from connectors.items import Item, LeftOut
from connectors.polygon.names import ASSET_TYPES, FLAT, OUTSIDE, PERIODS, SECTIONS
from connectors.polygon.rows import Row, each, spelled
from connectors.reading import Reading, counted, unrecognised
from connectors.records import Asset, News, Profile, Statement
from connectors.venues import us_exchange


def _article(reading: Reading, row: Row) -> News:
    """`insights` judge in words, not in numbers: no sentiment."""
    return News(
        **reading.source(),
        id=read.text(row["id"]),
        ts=read.iso_time(row["published_utc"]),
        title=read.text(row["title"]),
        summary=read.text(row.get("description")),
        url=read.text(row.get("article_url")),
        publisher=read.text((row.get("publisher") or {}).get("name")),
        symbols=reading.symbols(row.get("tickers")),
    )


parse_news = each(_article)


def _filing(reading: Reading, row: Row) -> Iterator[Item]:
    """One filing holds every statement; it may lack the ticker, and has sections that are none of ours."""
    yield from unrecognised(row["financials"], SECTIONS, ("comprehensive_income",))
    for section, (statement, names) in SECTIONS.items():
        found = row["financials"].get(section) or {}
        units = {str(item.get("unit")).partition(" / ")[0] for item in found.values()} - {"shares", "None"}
        if items := read.named({name: item["value"] for name, item in found.items()}, names):
            yield Statement(
                **reading.of(),
                statement=statement,
                period=PERIODS[row["fiscal_period"]],
                fiscal_date=read.iso_date(row["end_date"]),
                filed_date=read.iso_date(row.get("filing_date")),
                currency=reading.currency(spelled(units.pop())) if len(units) == 1 else None,
                items=items,
            )


parse_filings = each(_filing)


def _flat_filing(reading: Reading, row: Row) -> Iterator[Statement]:
    """The retired v2: one flat object; the restated periods YA, QA and TA are left out."""
    for statement, names in FLAT.items() if row["period"] in PERIODS else ():
        read.one_of(row, *names)
        if items := read.named({name: row.get(name) for name in names}, names):
            yield Statement(
                **reading.of(row["ticker"]),
                statement=statement,
                period=PERIODS[row["period"]],
                fiscal_date=read.iso_date(row["reportPeriod"]),
                filed_date=read.iso_date(row.get("dateKey")),
                items=items,
            )


parse_flat_filings = each(_flat_filing)


def parse_profile(reading: Reading) -> Iterator[Item]:
    """v3 has its object in `results`; the retired v1 is flat, in other words, and true as of its US date `updated`.

    `locale` is the market's, not the company's country; `sic_description` is v3's only industry.
    """
    row = reading.json.get("results") or reading.json
    read.one_of(row, "ticker", "symbol")

    def first(*names: str) -> Any:
        return next((row[name] for name in names if row.get(name) is not None), None)

    updated = read.midnight(read.us_date(row.get("updated")))
    yield Profile(
        **reading.of(first("ticker", "symbol"), ASSET_TYPES.get(row.get("type"))),
        ts=reading.answer.observed_at if updated is None else updated,
        name=read.text(row.get("name")),
        exchange=us_exchange(read.text(first("primary_exchange", "exchangeSymbol"))),
        country="US" if row.get("country") == "usa" else None,
        currency=reading.currency(spelled(row.get("currency_name"))),
        sector=read.text(row.get("sector")),
        industry=read.text(first("industry", "sic_description")),
        website=read.text(first("homepage_url", "url")),
        description=read.text(row.get("description")),
        employees=read.integer(first("total_employees", "employees")) or None,
        market_cap=read.size(first("market_cap", "marketcap")),
        shares_outstanding=read.size(row.get("share_class_shares_outstanding")),
        ipo_date=read.iso_date(first("list_date", "listdate")),
        cik=read.cik(row.get("cik")),
        figi=read.text(first("composite_figi", "figi")),
    )


def _asset(reading: Reading, row: Row) -> Item:
    """v3 names the MIC and the FIGI; the retired v2 has its own exchange codes and keeps identifiers in `codes`."""
    if row.get("type") in OUTSIDE or str(row["ticker"]).startswith("O:"):
        return LeftOut()
    codes = row.get("codes") or row
    return Asset(
        **reading.of(row["ticker"], ASSET_TYPES.get(row.get("type"))),
        name=read.text(row.get("name")),
        exchange=us_exchange(read.text(row.get("primary_exchange", row.get("primaryExch")))),
        currency=reading.currency(
            spelled(row.get("currency_symbol") or row.get("currency_name") or row.get("currency"))
        ),
        active=row.get("active"),
        delisted_date=read.iso_date(row.get("delisted_utc")),
        cik=read.cik(codes.get("cik")),
        figi=read.text(codes.get("composite_figi", codes.get("cfigi"))),
        provider_symbol=row["ticker"],
    )


parse_tickers = each(_asset)


def parse_tickers_v2(reading: Reading) -> Iterator[Item]:
    """Read the retired list of tickers, whose pages are counted."""
    body = reading.json
    yield from reading.rows(counted(body["tickers"], body["count"]), lambda row: _asset(reading, row))
    if body["page"] * body["perPage"] < body["count"]:
        yield reading.following(page=str(body["page"] + 1))
